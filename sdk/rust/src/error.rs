//! Why a function of a plugin failed. The host adds plugin, function and node.

use arrow_schema::ArrowError;

use crate::bindings::base::tenon::plugin::types as wit;

/// Result of a plugin's function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, by whom it can be mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// This data cannot be processed.
    User {
        /// A short stable word to branch on: `bad-date`.
        code: String,
        /// For a person.
        message: String,
        /// The row of the batch in hand, counted from 0.
        row: Option<u64>,
    },
    /// The configuration is wrong: say which key, what it got, what it takes.
    Config(String),
    /// These inputs do not fit, such as a column's type.
    Unsupported(String),
    /// A defect of the plugin.
    Internal(String),
}

impl Error {
    /// A problem with the data in hand.
    pub fn user(code: &str, message: impl Into<String>) -> Self {
        Self::User {
            code: code.to_owned(),
            message: message.into(),
            row: None,
        }
    }

    /// The same error, at a row of the batch.
    #[must_use]
    pub fn at_row(self, row: usize) -> Self {
        match self {
            Self::User { code, message, .. } => Self::User {
                code,
                message,
                row: u64::try_from(row).ok(),
            },
            other => other,
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User {
                code,
                message,
                row: Some(row),
            } => write!(f, "{message} [{code}, row {row}]"),
            Self::User {
                code,
                message,
                row: None,
            } => write!(f, "{message} [{code}]"),
            Self::Config(text) | Self::Unsupported(text) | Self::Internal(text) => {
                f.write_str(text)
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::User { code, message, row } => Self::User(wit::UserError { code, message, row }),
            Error::Config(text) => Self::Config(text),
            Error::Unsupported(text) => Self::Unsupported(text),
            Error::Internal(text) => Self::Internal(text),
        }
    }
}
