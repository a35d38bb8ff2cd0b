//! Jobs and their runs: definitions, queue, attempts, bookmarks.
//!
//! A job is Glue's, field for field. This room knows when a run may begin, who works on it, how it ended and what is
//! remembered of it; it touches no data. What does is behind two narrow ports: a [`Planner`] says whether a
//! definition can run, a [`Runner`] runs a request, reports and honours a cancellation.
//!
//! ```text
//! start_run ──> WAITING ──claim──> STARTING ──> RUNNING ──> SUCCEEDED   with tables and bookmarks, one transaction
//!                  │                  │            ├──────> FAILED ──> a new attempt, WAITING, if retries allow
//!                  │                  │            └──────> TIMEOUT
//!                  │                  └──> STOPPING ──────> STOPPED
//!                  └──> STOPPED, EXPIRED (waited too long), ERROR (the job is gone)
//! ```
//!
//! | module | what |
//! |---|---|
//! | `job`, `run`, `time` | [`Job`], [`JobRun`], [`RunState`] and which state may follow which; as in Glue's JSON |
//! | `jobs` | [`Jobs`], [`TenantJobs`]: what all operations share |
//! | `definition` | creating, changing, deleting jobs; their tags |
//! | `start`, `list` | [`StartRun`]: arguments, client tokens, the queue; reading and stopping runs |
//! | `attempt` | what the holder of a lease may do to a run |
//! | `bookmark` | [`NodeBookmark`]: which files a source has read |
//! | `scheduler` | [`Scheduler`]: claims runs, watches them, recovers them |
//! | `port` | [`Planner`], [`Runner`], [`Running`], [`Report`] |
//! | `log`, `live` | what plugins of a run said; how far runs are that this process sees through |
//! | `story` | [`Told`]: what is said of a run, line by line |
//! | `drawing` | [`Graph`]: a graph to look at, alone or with what its nodes did |
//! | `ran` | [`RanDefinition`]: what a run ran |
//! | `rewind` | which run read which files: going back to an earlier run |
//! | `problem` | [`Problem`]: why a run did not succeed, and what to try |
//! | `prices` | [`Prices`]: what runs cost |
//! | `capacity`, `metrics` | [`Capacity`]: what workers are; [`RunMetrics`]: what a run did |
//! | `matching` | [`MlTransform`], their labels and task runs; nodes that name one |
//! | `stored` | keys and payloads |
//!
//! # Chosen and refused
//!
//! **The queue is records.** A waiting run has an entry whose key is its place: priority, time, job. Everything about
//! a run changes in one transaction with its entry and its job's tally, so a run is never lost and never queued twice,
//! wherever the process is killed. A queue in memory, rebuilt at start, was refused: it is a second truth.
//!
//! **A lease and a fencing token.** Who claims a run raises its token and holds it until a time that it must put off.
//! Whatever it does later names the token: an attempt that was given up can neither report success nor move a
//! bookmark, however late it wakes up.
//!
//! **A taken up run is a new attempt.** It runs again from the start under a new token, with the retries the job
//! allows; a run without retries ends FAILED and says that its server ended.
//!
//! **A run that was cut off while it made its results visible is repeated**, also beyond the retries of its job and before
//! what waits: the new attempt writes under the run's own name and its results take the place of the first ones, so that
//! they are there once. `REPEATS` bounds it.
//!
//! **Runs that go by a bookmark come one at a time**: two at once would read the same files. What a run has read is added
//! to what the bookmark holds then, so a reset in between is no conflict.
//!
//! **A job has a number, its runs lie below that.** A job that is created again under its old name never meets runs,
//! bookmarks or late workers of the old one, and deleting needs no transaction over all runs.
//!
//! **Queueing is the default.** Glue refuses a start beyond `MaxConcurrentRuns` unless `JobRunQueuingEnabled`; here
//! it waits unless that is `false`.
//!
//! **Fair between tenants.** A free slot goes to the tenant with the fewest runs under way, among equals to the one
//! that was served longest ago; priorities order runs within a tenant only.
//!
//! Everything blocks on the store; async callers use `spawn_blocking`.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test that fails should say so at once"
    )
)]

mod attempt;
mod bookmark;
mod capacity;
mod definition;
mod drawing;
mod error;
mod job;
mod jobs;
mod list;
mod live;
mod log;
mod matching;
mod metrics;
mod port;
mod prices;
mod problem;
mod ran;
mod rewind;
mod run;
mod scheduler;
mod start;
mod stored;
mod story;
mod time;

#[cfg(test)]
mod tests;

pub use bookmark::{BookmarkEntry, NodeBookmark, SeenFile};
pub use capacity::Capacity;
pub use drawing::{Graph, escaped, shortened};
pub use error::{Error, Kind, Result};
pub use job::{Arguments, ExecutionProperty, Job, JobCommand, JobDefinition, Nodes, Tags};
pub use jobs::{Jobs, Page, TenantJobs};
pub use list::WholeRun;
pub use log::LogLine;
pub use matching::{
    ColumnImportance, ConfusionMatrix, EvaluationMetrics, FindMatchesMetrics,
    FindMatchesParameters, Given, InputTable, LabelFile, LabelRow, LabelTable, Learned, MlTask,
    MlTransform, Model, SchemaColumn, TaskRun, TaskWork, TransformDefinition, TransformParameters,
    TransformUpdate, is_given,
};
pub use metrics::{NodeMetrics, PluginMetrics, RunMetrics};
pub use port::{Also, Outcome, Planner, Report, Reporter, RunRequest, Runner, Running, Success};
pub use prices::Prices;
pub use problem::Problem;
pub use ran::RanDefinition;
pub use rewind::BookmarkState;
pub use run::{JobRun, RunState};
pub use scheduler::{Scheduler, SchedulerConfig};
pub use start::StartRun;
pub use story::{Channel, Line, Stream, Told};
pub use time::Timestamp;
