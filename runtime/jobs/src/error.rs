//! [`Error`]: few kinds, each telling the caller what to do; values are in the message.

use std::fmt;

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What was named does not exist.
    #[error("{kind} {name} does not exist")]
    NotFound {
        /// What was looked for.
        kind: Kind,
        /// Its name.
        name: String,
    },

    /// What was to be created exists.
    #[error("{kind} {name} already exists")]
    AlreadyExists {
        /// What was to be created.
        kind: Kind,
        /// Its name.
        name: String,
    },

    /// Others change it all the time. Try again.
    #[error("{kind} {name} changed during each of {attempts} attempts")]
    Conflict {
        /// What was to be changed.
        kind: Kind,
        /// Its name.
        name: String,
        /// How often it was tried.
        attempts: usize,
    },

    /// The request breaks a rule, which the reason names with the value.
    #[error("{reason}")]
    InvalidInput {
        /// Which rule.
        reason: String,
    },

    /// A client token came before, with another request.
    #[error("the client token {token:?} was used for another start of job {job}")]
    TokenReused {
        /// The job.
        job: String,
        /// The token.
        token: String,
    },

    /// As many runs are under way as the job allows, and the caller does not want to wait.
    #[error(
        "job {job} has {active} runs under way or waiting and allows {limit} at once; \
         raise MaxConcurrentRuns, or leave JobRunQueuingEnabled out to wait"
    )]
    TooManyRuns {
        /// The job.
        job: String,
        /// Runs that are waiting or under way.
        active: u64,
        /// How many may be.
        limit: u64,
    },

    /// As many runs wait as may; the reason names the limit.
    #[error("{reason}")]
    LimitExceeded {
        /// Which limit, and what there is.
        reason: String,
    },

    /// The ML transform cannot be used so yet; the reason says what is missing.
    #[error("{reason}")]
    NotReady {
        /// What is missing.
        reason: String,
    },

    /// As many task runs of the transform wait or are under way as may.
    #[error(
        "ML transform {transform} has {here} task runs waiting or under way, at most {limit} are allowed; wait for one to end, \
         or cancel one"
    )]
    TooManyTasks {
        /// The transform.
        transform: String,
        /// Task runs that have not ended.
        here: u64,
        /// How many may be.
        limit: u64,
    },

    /// The run belongs to somebody else by now, has ended or is gone: whoever works on it must stop.
    #[error("run {run} is no longer held by this worker")]
    Lost {
        /// The run.
        run: String,
    },

    /// The store refused.
    #[error(transparent)]
    Store(#[from] tenon_store::Error),
}

/// What an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A job.
    Job,
    /// A run of a job.
    JobRun,
    /// A job's bookmark.
    Bookmark,
    /// An ML transform.
    MlTransform,
    /// A task run of an ML transform.
    MlTaskRun,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Job => "job",
            Self::JobRun => "job run",
            Self::Bookmark => "bookmark of job",
            Self::MlTransform => "ML transform",
            Self::MlTaskRun => "task run",
        })
    }
}

impl Error {
    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::InvalidInput {
            reason: reason.into(),
        }
    }

    pub(crate) fn not_found(kind: Kind, name: impl Into<String>) -> Self {
        Self::NotFound {
            kind,
            name: name.into(),
        }
    }

    /// Whether a precondition of a transaction failed.
    pub(crate) const fn is_store_conflict(&self) -> bool {
        matches!(self, Self::Store(tenon_store::Error::Conflict { .. }))
    }
}
