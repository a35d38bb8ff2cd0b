//! [`IdentityError`]: few kinds, each telling an operator what to do. Secrets are never in a message.

use std::fmt;
use std::path::PathBuf;

/// Why something about accounts, keys or tokens failed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum IdentityError {
    /// What was named does not exist.
    NotFound {
        /// `account`, `access key` or `token`.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// What was to be created exists.
    AlreadyExists {
        /// `account`.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// The request breaks a rule, which the text names with the value.
    Invalid(String),
    /// The key that encrypts secrets cannot be used.
    MasterKey {
        /// Its file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// What an account has outside of the store cannot be removed.
    Folder {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A record cannot be read: it is of a newer build, or damaged.
    Unreadable(String),
    /// The store refused.
    Store(tenon_store::Error),
}

impl IdentityError {
    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid(reason.into())
    }

    pub(crate) fn not_found(what: &'static str, id: &str) -> Self {
        Self::NotFound {
            what,
            id: id.chars().take(100).collect(),
        }
    }

    /// Whether a precondition of a transaction failed.
    pub(super) const fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(tenon_store::Error::Conflict { .. }))
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { what, id } => write!(f, "{what} {id} does not exist"),
            Self::AlreadyExists { what, id } => write!(f, "{what} {id} already exists"),
            Self::Invalid(reason) | Self::Unreadable(reason) => f.write_str(reason),
            Self::MasterKey { path, reason } => {
                write!(f, "the master key {}: {reason}", path.display())
            }
            Self::Folder { path, reason } => {
                write!(f, "{} cannot be removed: {reason}", path.display())
            }
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for IdentityError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<tenon_catalog::Error> for IdentityError {
    fn from(error: tenon_catalog::Error) -> Self {
        match error {
            tenon_catalog::Error::Store(error) => Self::Store(error),
            error => Self::Unreadable(error.to_string()),
        }
    }
}

impl From<tenon_store::Error> for IdentityError {
    fn from(error: tenon_store::Error) -> Self {
        Self::Store(error)
    }
}
