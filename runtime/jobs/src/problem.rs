//! [`Problem`]: why a run did not succeed, and what to try: one sentence each, kept with the run.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why, and what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Problem {
    /// What happened.
    pub problem: String,
    /// What to try.
    pub hint: String,
}

impl Problem {
    /// What happened, and what to try.
    #[must_use]
    pub fn new(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            hint: hint.into(),
        }
    }

    /// The same with more of what happened.
    pub(crate) fn and(mut self, more: &str) -> Self {
        self.problem += more;
        self
    }
}

impl fmt::Display for Problem {
    /// As in `ErrorMessage`, which has room for one text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; try: {}", self.problem, self.hint)
    }
}
