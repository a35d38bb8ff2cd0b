//! Whole-system tests: real components in the real engine. One binary, one file for each topic.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

mod cases;
mod columns;
mod compile;
mod conformance;
mod decoders;
mod deterministic;
mod engines;
#[path = "../clients/environment.rs"]
mod environment;
mod evils;
mod handmade;
mod hostile;
mod job_runs;
mod jobs;
mod match_commands;
mod matching;
mod ml_transforms;
#[path = "../../runtime/connect/tests/integration/remote/moto.rs"]
mod moto;
mod places;
mod plugins;
mod process;
mod served;
mod source;
mod statistics;
mod transforms;
