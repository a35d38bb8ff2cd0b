//! What this crate's functions refuse: bytes, tables and labels that are not what they should be.

use std::fmt;

/// What can go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Bytes could not be written or read as a profile or model.
    Encoding(String),
    /// More records than can be told apart.
    TooMany(u32),
    /// A model of another version of this plugin: the version found, and the one that is read.
    Version(u32, u32),
    /// The table lacks columns that the model was made with, named here; then those that it has.
    Columns(Vec<String>, Vec<String>),
    /// A match id so large that there is no room for others above it.
    Ids(i64),
    /// Labels that cannot be used; a sentence.
    Labels(String),
}

impl Error {
    pub(crate) fn encoding(error: impl fmt::Display) -> Self {
        Self::Encoding(error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding(detail) => {
                write!(out, "not a model of this plugin ({detail}); make it again")
            }
            Self::TooMany(limit) => write!(out, "more than {limit} records; match them in parts"),
            Self::Version(found, read) => write!(
                out,
                "the model has format {found}, this version of the plugin reads format {read}; make it again"
            ),
            Self::Columns(lacking, columns) => write!(
                out,
                "the model was made with {}, which the table lacks; it has {}",
                lacking.join(", "),
                columns.join(", ")
            ),
            Self::Ids(top) => write!(
                out,
                "the earlier result has the match id {top}; fresh ids go above the largest, where there is no room"
            ),
            Self::Labels(sentence) => out.write_str(sentence),
        }
    }
}

impl std::error::Error for Error {}
