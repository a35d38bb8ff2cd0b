//! One file per command: an `Args` struct and a `run` function.

pub(crate) mod account;
pub(crate) mod administration;
pub(crate) mod analyst;
pub(crate) mod analyze_worker;
pub(crate) mod audit;
pub(crate) mod catalog;
pub(crate) mod child;
pub(crate) mod compile_worker;
pub(crate) mod completions;
pub(crate) mod data_root;
pub(crate) mod doctor;
pub(crate) mod find_matches;
pub(crate) mod job;
pub(crate) mod job_runner;
pub(crate) mod key;
pub(crate) mod prices;
pub(crate) mod rows;
pub(crate) mod run;
pub(crate) mod run_worker;
pub(crate) mod serve;
pub(crate) mod setup;
pub(crate) mod sql;
pub(crate) mod store;
pub(crate) mod system_tables;
pub(crate) mod token;
