//! A job graph becomes DataFusion plans and streams of record batches.
//!
//! ```text
//! Job (Glue's nodes)  ── graph ──>  order, checked inputs
//!   source, transform ────────────>  LogicalPlan ── NodeProvider (meter) ── SharedProvider (read twice)
//!   DynamicTransform  ── guest ───>  MapExec, StreamExec, or SQL and calls
//!   target            ────────────>  staged files, then commit and registration
//! ```
//!
//! Each node is a boundary: its output is a table whose rows are counted, and whose readers may narrow
//! what it computes by projection and limit. Chosen for visibility: what a person drew is what
//! the report counts. Refused for now: pushing filters across nodes, which would make the counts at a
//! node depend on who reads it.
//!
//! Each node that reads or writes has a place of its own (`engine/files.rs`): with the keys of the connection that it
//! names, and counting for itself within the run's budget of retries.
//!
//! Two kinds of nodes have to know what is in their input before they are planned (`DropNullFields` its empty columns,
//! `FillMissingValues` its model). They ask while the job is planned (`engine/plan.rs`); the input is computed once and kept
//! for the rest of the run. Refused: to find it out while rows pass, since columns are known before rows are.
//!
//! This room knows the host, connectors, the catalog and the registry, and DataFusion; nobody below knows it.

mod bounded;
mod bridge;
mod connections;
mod engine;
mod error;
mod formats;
#[doc(hidden)]
pub mod fuzz;
mod grants;
mod graph;
mod guest;
mod headroom;
mod in_order;
mod limits;
mod memory;
mod node;
mod partitioned;
mod register;
mod report;
mod session;
mod shared;
mod source;
mod spill;
mod statistics;
mod system;
mod target;
mod transform;
mod usage;

pub use bridge::MAX_PARTITIONS;
pub use connections::{ConnectionProperties, Vault, connection_properties};
pub use engine::{Engine, EngineConfig, IsNew, NodeColumns, Progress, Publication, first_rows};
pub use error::{Error, Result};
pub use grants::{Grant, GrantsFile};
pub use graph::*;
pub use guest::RunLog;
pub use limits::{LimitCaps, LimitLayer, LimitsFile, NodeLimits};
pub use node::Meter;
pub use report::{GuestReport, NodeReport, PluginReport, RunReport, TargetReport};
pub use statistics::{Analyzed, SamplePercent, column_statistics};
pub use system::{LoadRows, SystemTable};
pub use usage::Used;
