//! [`Exit`]: the exit codes, the part of the command line that scripts rely on.
//!
//! They are listed at the end of `tenon --help` and asserted in `tests/cmd`.

use std::fmt::Write as _;
use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what was asked.
    Done,
    /// It ran and failed: a job failed, a test is red, a check found a fault.
    Failed,
    /// The command line or a name in it could not be understood.
    Usage,
    /// Something named does not exist.
    NotFound,
    /// The system or a policy refused.
    NotAllowed,
    /// A server, or the network, cannot be reached.
    Unreachable,
    /// It exists already with another content, or is running already.
    Conflict,
    /// Ctrl-C, or a request to terminate.
    Interrupted,
}

impl Exit {
    /// Every exit, in the order of the codes.
    const ALL: [Self; 8] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::NotFound,
        Self::NotAllowed,
        Self::Unreachable,
        Self::Conflict,
        Self::Interrupted,
    ];

    /// The number the process ends with.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::NotAllowed => 4,
            Self::Unreachable => 5,
            Self::Conflict => 6,
            Self::Interrupted => 130,
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "it ran and failed",
            Self::Usage => "usage",
            Self::NotFound => "not found",
            Self::NotAllowed => "not allowed",
            Self::Unreachable => "cannot reach the server",
            Self::Conflict => "conflict, or already running",
            Self::Interrupted => "interrupted",
        }
    }

    /// The table at the end of `tenon --help`.
    pub(crate) fn table() -> String {
        let mut table = String::from("Exit codes:\n");
        for exit in Self::ALL {
            // Writing to a String cannot fail.
            let _ = writeln!(table, "  {:>3}  {}", exit.code(), exit.meaning());
        }
        table
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_listed() {
        let mut codes: Vec<u8> = Exit::ALL.into_iter().map(Exit::code).collect();
        codes.dedup();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 130]);
        assert_eq!(Exit::table().lines().count(), codes.len() + 1);
    }
}
