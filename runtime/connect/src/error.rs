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
    /// Well formed, but not something that can be done: the message names the alternative.
    #[error("{0}")]
    Unsupported(String),
    /// The path would leave the place it must stay in.
    #[error("{0}")]
    Refused(String),
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
