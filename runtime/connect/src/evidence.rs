//! Why a schema is as it is: [`Evidence`], kept from inference for whoever wants to show it.

use std::fmt;

/// Why one column got its type, or a file its dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The column, or what else was decided.
    pub subject: String,
    /// The decision, and the values that led to it with their files and lines.
    pub because: String,
}

impl Evidence {
    pub(crate) fn new(subject: &str, because: String) -> Self {
        Self {
            subject: subject.to_owned(),
            because,
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.because)
    }
}
