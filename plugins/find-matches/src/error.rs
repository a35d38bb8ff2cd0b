//! The one error of this crate's functions: bytes from elsewhere that are not what they should be.

use std::fmt;

/// What can go wrong.
#[derive(Debug)]
pub enum Error {
    /// Bytes could not be written or read as a profile or model.
    Encoding(String),
}

impl Error {
    pub(crate) fn encoding(error: serde_json::Error) -> Self {
        Self::Encoding(error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding(detail) => {
                write!(out, "not a profile or model of this plugin: {detail}")
            }
        }
    }
}

impl std::error::Error for Error {}
