//! Runs that find out statistics of columns, and what they are to do again and again.
//!
//! ```text
//!            start               begin                succeed, fail
//!   (none) ────────▶ STARTING ──────────▶ RUNNING ──────────────────▶ SUCCEEDED, FAILED
//!                        │ stop, fail         │ stop
//!                        └────────────────────┴─────────────────────▶ STOPPED
//! ```
//!
//! | module | what |
//! |---|---|
//! | `run` | [`StatisticsRun`] and its ways through the states |
//! | `id` | [`StatisticsRunId`] |
//! | `settings` | [`StatisticsSettings`] of a table, and which are due |
//! | `cron` | [`CronExpression`] |
//!
//! **Chosen: the states are in the store, and every step is one transaction.** A table has at most one run that is
//! under way because its record says which; what a run found out is written together with its success. Whoever
//! executes runs keeps nothing that a restart would lose: [`TenantCatalog::statistics_runs_under_way`] tells what was
//! left behind.
//!
//! Records of runs lie in the default catalog, since their ids name no other; what belongs to a table lies beside it
//! and goes with it. A run that ends after its table was deleted has failed, also when a table of the same name is there.
//!
//! <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-crawler-column-statistics.html>
//!
//! [`TenantCatalog::statistics_runs_under_way`]: crate::TenantCatalog::statistics_runs_under_way

mod cron;
mod id;
mod run;
mod settings;

#[cfg(test)]
mod tests;

pub use cron::CronExpression;
pub use id::StatisticsRunId;
pub use run::{StatisticsRun, StatisticsRunInput, StatisticsRunStatus};
pub use settings::{
    DueStatistics, ExecutionAttempt, ScheduleState, StatisticsSchedule, StatisticsSettings,
    StatisticsSettingsInput,
};

pub(crate) use run::TableRuns;
