//! [`Fault`]: an exception as Glue's clients see it, and the one place that makes them of the rooms' errors.
//!
//! Names and meanings: <https://docs.aws.amazon.com/glue/latest/webapi/CommonErrors.html>

use tenon_catalog::Error;

/// An exception on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) status: u16,
    pub(crate) name: &'static str,
    pub(crate) message: String,
}

impl Fault {
    /// The caller's fault.
    pub(crate) fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            name,
            message: message.into(),
        }
    }

    /// The caller may not, or is not known.
    pub(crate) fn forbidden(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: 403,
            ..Self::new(name, message)
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("InvalidInputException", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new("EntityNotFoundException", message)
    }

    /// Our fault: what happened is for the log.
    pub(crate) fn internal(reason: &str) -> Self {
        tracing::error!(reason, "a request failed");
        Self {
            status: 500,
            name: "InternalServiceException",
            message: "the request could not be served; the server's log says why".to_owned(),
        }
    }
}

impl From<tenon_jobs::Error> for Fault {
    fn from(error: tenon_jobs::Error) -> Self {
        use tenon_jobs::Error;
        let name = match &error {
            Error::NotFound { .. } => "EntityNotFoundException",
            Error::AlreadyExists { .. } => "AlreadyExistsException",
            Error::Conflict { .. } => "ConcurrentModificationException",
            Error::InvalidInput { .. } => "InvalidInputException",
            Error::TokenReused { .. } => "IdempotentParameterMismatchException",
            Error::TooManyRuns { .. } => "ConcurrentRunsExceededException",
            Error::LimitExceeded { .. } => "ResourceNumberLimitExceededException",
            Error::NotReady { .. } => "MLTransformNotReadyException",
            Error::TooManyTasks { .. } => "ConcurrentRunsExceededException",
            Error::Store(tenon_store::Error::TooLarge { .. }) => "InvalidInputException",
            _ => return Self::internal(&error.to_string()),
        };
        Self::new(name, error.to_string())
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let name = match &error {
            Error::NotFound { .. } => "EntityNotFoundException",
            Error::AlreadyExists { .. } => "AlreadyExistsException",
            Error::Conflict { .. } => "ConcurrentModificationException",
            Error::InvalidInput { .. } => "InvalidInputException",
            Error::InvalidState { .. } => "InvalidStateException",
            Error::ConditionFailed { .. } => "ConditionCheckFailureException",
            Error::LimitExceeded { .. } => "ResourceNumberLimitExceededException",
            Error::Store(tenon_store::Error::TooLarge { .. }) => "InvalidInputException",
            _ => return Self::internal(&error.to_string()),
        };
        Self::new(name, error.to_string())
    }
}
