//! [`Error`]: few kinds, each telling the caller what to do; the message carries the detail.

use std::io;
use std::path::Path;

use datafusion::error::DataFusionError;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why data could not be found, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing is there: correct the path.
    #[error("{0}")]
    NotFound(String),
    /// The content is not what its format or inferred schema says: correct the file or the options.
    #[error("{0}")]
    Invalid(String),
    /// A file that its decoder could not read, or that made it panic.
    #[error("{file}: {message}; the file is damaged or not what its name says")]
    Corrupt {
        /// The file as it was named.
        file: String,
        /// What the decoder said.
        message: String,
    },
    /// A file asks for more than a limit of [`ReadLimits`](crate::ReadLimits) allows: raise the limit if the
    /// file can be trusted.
    #[error("{file}: {asked}; the limit {limit} is {value}, raise it if the file can be trusted")]
    Limit {
        /// The file as it was named, and where in it.
        file: String,
        /// The limit's name.
        limit: &'static str,
        /// What it is set to.
        value: u64,
        /// What would go beyond it.
        asked: String,
    },
    /// Well formed, but not something that can be done: the message names the alternative.
    #[error("{0}")]
    Unsupported(String),
    /// The path would leave the place it must stay in.
    #[error("{0}")]
    Refused(String),
    /// A remote place wants other keys: correct the connection.
    #[error("{0}")]
    Denied(String),
    /// A file is not the one it was when it was found: run again.
    #[error("{0}")]
    Changed(String),
    /// A remote place gave no answer, or none that can be used, however often it was asked: try later.
    #[error("{0}")]
    Unavailable(String),
    /// The operating system said no.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was attempted, as a verb.
        action: &'static str,
        /// The file or folder as it was named.
        path: String,
        /// The system's own error.
        #[source]
        source: io::Error,
    },
    /// The stream that was to be written failed, or a file could not be encoded.
    #[error(transparent)]
    Query(#[from] DataFusionError),
}

impl Error {
    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>, source: io::Error) -> Self {
        // What a place raised itself has passed through readers and writers that know only the system's errors.
        let source = match source.downcast::<Error>() {
            Ok(error) => return error,
            Err(source) => source,
        };
        let path = path.as_ref().display().to_string();
        // What cap-std raises itself, without the system, is an attempt to leave the root.
        if source.kind() == io::ErrorKind::PermissionDenied && source.raw_os_error().is_none() {
            return Error::Refused(format!(
                "{path}: leads out of the folder it must stay in; use a path inside it"
            ));
        }
        Error::Io {
            action,
            path,
            source,
        }
    }

    /// The same error again, if it is one that a place raises: encoders and readers hand on only borrowed causes.
    pub(crate) fn of_place(&self) -> Option<Self> {
        match self {
            Error::NotFound(text) => Some(Error::NotFound(text.clone())),
            Error::Refused(text) => Some(Error::Refused(text.clone())),
            Error::Denied(text) => Some(Error::Denied(text.clone())),
            Error::Changed(text) => Some(Error::Changed(text.clone())),
            Error::Unavailable(text) => Some(Error::Unavailable(text.clone())),
            _ => None,
        }
    }

    pub(crate) fn joined(error: tokio::task::JoinError) -> Self {
        match error.try_into_panic() {
            Ok(panic) => Error::Unsupported(format!(
                "a file task stopped: {}",
                crate::guard::panic_text(panic.as_ref())
            )),
            Err(error) => Error::Unsupported(format!("a file task was cancelled: {error}")),
        }
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        match error {
            Error::Query(error) => error,
            error => DataFusionError::External(Box::new(error)),
        }
    }
}
