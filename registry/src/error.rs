//! [`Error`]: few kinds, each telling the caller what to do; values are in the message.

use std::io;
use std::path::{Path, PathBuf};

use crate::digest::Digest;

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a registry operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The component carries no manifest.
    #[error(
        "the component has no {section:?} section: it was not built as a tenon plugin; build it with `tenon plugin build`"
    )]
    NoManifest {
        /// Name of the missing custom section.
        section: &'static str,
    },

    /// The manifest breaks a rule; `reason` says which and shows the value.
    #[error("invalid plugin manifest: {reason}")]
    InvalidManifest {
        /// Which rule, with the offending value.
        reason: String,
    },

    /// The bytes are not a WebAssembly component.
    #[error("not a wasm component: {reason}")]
    NotAComponent {
        /// What the bytes are instead and what to do.
        reason: String,
    },

    /// A size limit was exceeded.
    #[error("{what} has {size} bytes, the limit is {limit} bytes")]
    TooLarge {
        /// What was measured.
        what: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },

    /// A name breaks the naming rule.
    #[error("invalid {what} name {name:?}: use 1 to 64 of a-z, 0-9 and -")]
    InvalidName {
        /// What was to be named.
        what: &'static str,
        /// The name as given, cut to a readable length.
        name: String,
    },

    /// A reference such as `name@1` could not be read.
    #[error("invalid plugin reference {reference:?}: {reason}")]
    InvalidReference {
        /// The reference as given, cut to a readable length.
        reference: String,
        /// What is wrong with it.
        reason: String,
    },

    /// This version exists with other bytes.
    #[error("{plugin} is already installed as {installed}, refusing {offered}: raise the version")]
    Conflict {
        /// `name@version`.
        plugin: String,
        /// Digest of the installed component.
        installed: Digest,
        /// Digest of the refused component.
        offered: Digest,
    },

    /// Nothing installed answers to the reference.
    #[error("no plugin matches {reference:?}: {available}")]
    NotFound {
        /// The reference as given.
        reference: String,
        /// What there is instead, with a suggestion when one is near.
        available: String,
    },

    /// A stored component is not what its record says.
    #[error(
        "{path} is damaged or was changed: expected {expected}, found {found}; install the plugin again"
    )]
    Tampered {
        /// The stored component.
        path: PathBuf,
        /// Digest in the record.
        expected: Digest,
        /// Digest of the file.
        found: Digest,
    },

    /// A record cannot be read.
    #[error("{path} is not a readable plugin record: {reason}")]
    BadRecord {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// The file system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: an I/O error with what was tried on which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    pub(crate) fn manifest(reason: impl Into<String>) -> Self {
        Self::InvalidManifest {
            reason: reason.into(),
        }
    }
}

/// The first characters of `text`, for messages about input of unknown length.
pub(crate) fn shorten(text: &str) -> String {
    const SHOWN_CHARS: usize = 100;
    match text.char_indices().nth(SHOWN_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}
