//! [`JobRun`]: one attempt of a run, as in Glue's JSON, and [`RunState`], its state machine.
//! <https://docs.aws.amazon.com/glue/latest/dg/job-run-statuses.html>

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::job::Arguments;
use crate::time::Timestamp;

/// Where a run is. [`RunState::may_become`] says what may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RunState {
    /// In the queue.
    Waiting,
    /// Claimed; a worker is being given to it.
    Starting,
    /// Under way.
    Running,
    /// Asked to stop.
    Stopping,
    /// Stopped as asked; nothing was written.
    Stopped,
    /// Done: its output, its tables and its bookmark are there.
    Succeeded,
    /// Failed; nothing was registered.
    Failed,
    /// Took longer than it may.
    Timeout,
    /// Its job was deleted before it began.
    Error,
    /// Waited longer than runs may.
    Expired,
}

/// What a state means for the queue and for leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// In the queue, held by nobody.
    Waiting,
    /// Held under a lease, counted against `MaxConcurrentRuns`.
    Active,
    /// For good.
    Ended,
}

impl RunState {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Waiting,
        Self::Starting,
        Self::Running,
        Self::Stopping,
        Self::Stopped,
        Self::Succeeded,
        Self::Failed,
        Self::Timeout,
        Self::Error,
        Self::Expired,
    ];

    /// Whether a run in this state may go to `next`. No state follows an end, and none follows itself.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Waiting => matches!(
                next,
                Self::Starting | Self::Stopped | Self::Error | Self::Expired
            ),
            Self::Starting => matches!(
                next,
                Self::Running | Self::Stopping | Self::Failed | Self::Timeout
            ),
            Self::Running => matches!(
                next,
                Self::Stopping | Self::Succeeded | Self::Failed | Self::Timeout
            ),
            // Results that were being published when the stop came are there, or that was cut off.
            Self::Stopping => matches!(next, Self::Stopped | Self::Succeeded | Self::Failed),
            Self::Stopped
            | Self::Succeeded
            | Self::Failed
            | Self::Timeout
            | Self::Error
            | Self::Expired => false,
        }
    }

    /// Whether nothing more happens to the run.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self.phase(), Phase::Ended)
    }

    pub(crate) const fn phase(self) -> Phase {
        match self {
            Self::Waiting => Phase::Waiting,
            Self::Starting | Self::Running | Self::Stopping => Phase::Active,
            _ => Phase::Ended,
        }
    }
}

impl fmt::Display for RunState {
    /// As on the wire.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting => "WAITING",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Stopping => "STOPPING",
            Self::Stopped => "STOPPED",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Timeout => "TIMEOUT",
            Self::Error => "ERROR",
            Self::Expired => "EXPIRED",
        })
    }
}

/// One attempt of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct JobRun {
    /// `jr_` and 64 hexadecimal digits; of a retry, the same with `_attempt_<n>` behind.
    pub id: String,
    /// 0 for the first.
    pub attempt: u32,
    /// The attempt before, or the run that a caller started again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_run_id: Option<String>,
    /// Its job.
    pub job_name: String,
    /// As of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_mode: Option<String>,
    /// Whether it might wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_run_queuing_enabled: Option<bool>,
    /// When it was accepted, also while it waits.
    pub started_on: Timestamp,
    /// When it last changed.
    pub last_modified_on: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_on: Option<Timestamp>,
    /// Where it is.
    pub job_run_state: RunState,
    /// Its own arguments, without the job's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Arguments>,
    /// Why it did not succeed, and what to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Kept and shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated_capacity: Option<i32>,
    /// Seconds it was under way, not waiting.
    pub execution_time: u64,
    /// Minutes it may take.
    pub timeout: i32,
    /// Kept and shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_capacity: Option<f64>,
    /// Which kind of worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_type: Option<String>,
    /// How many of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_of_workers: Option<i32>,
    /// Kept and shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_configuration: Option<String>,
    /// Where its log is, in CloudWatch's words.
    pub log_group_name: String,
    /// Kept and shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_property: Option<Value>,
    /// As of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glue_version: Option<String>,
    /// Kept and shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_class: Option<String>,
    /// DPUs of its workers times [`JobRun::execution_time`], once it has ended.
    #[serde(
        default,
        rename = "DPUSeconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub dpu_seconds: Option<f64>,
    /// How far it is: rows that left each node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_detail: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_state_follows_an_end_and_each_can_end() {
        for state in RunState::ALL {
            let following = RunState::ALL
                .into_iter()
                .filter(|next| state.may_become(*next));
            assert_eq!(following.count() == 0, state.is_final(), "{state}");
            assert!(!state.may_become(state) && !state.may_become(RunState::Waiting));
            let json = serde_json::to_string(&state).unwrap();
            assert_eq!(json, format!("\"{state}\""));
        }
        assert!(
            !RunState::Waiting.may_become(RunState::Running),
            "without a lease"
        );
        assert!(
            !RunState::Starting.may_become(RunState::Succeeded),
            "without having run"
        );
    }
}
