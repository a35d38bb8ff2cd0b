//! The log of a run: what its plugins said, kept with the run.

use serde::{Deserialize, Serialize};
use tenon_store::Tree;

use crate::error::Result;
use crate::jobs::TenantJobs;
use crate::port::RunKey;
use crate::stored::{self, SCHEMA};

/// Bytes of messages that are kept of a run, about.
const MAX_BYTES: usize = 256 << 10;

/// Bytes that a line costs beside its message.
const LINE_BYTES: usize = 64;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// The node whose plugin said it.
    pub node: String,
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// What it said.
    pub message: String,
}

impl TenantJobs {
    /// What plugins said in a run, in the order in which it came; nothing before the run has ended.
    ///
    /// # Errors
    /// As [`TenantJobs::get_run`].
    pub fn run_log(&self, job: &str, id: &str) -> Result<Vec<LogLine>> {
        let number = self.stored_job(job)?.value.number;
        let place = self.stored_run(number, job, id)?.value.place;
        let found = self.read::<Vec<LogLine>>(Tree::Run, &stored::run_log(place))?;
        Ok(found.map(|found| found.value).unwrap_or_default())
    }

    /// Keeps the log of a run that is held under this token.
    pub(crate) fn keep_log(&self, key: RunKey, lines: Vec<LogLine>) -> Result<()> {
        self.held_run(key)?;
        let lines = bounded(lines);
        let record = stored::run_log(key.place);
        let transaction =
            self.transaction()
                .put(Tree::Run, record, SCHEMA, stored::encode(&lines)?);
        self.commit(transaction)
    }
}

/// The first lines within the limit; the last says that there were more.
fn bounded(mut lines: Vec<LogLine>) -> Vec<LogLine> {
    let mut bytes = 0;
    let fits = |line: &&LogLine| {
        bytes += line.message.len() + line.node.len() + LINE_BYTES;
        bytes <= MAX_BYTES
    };
    let kept = lines.iter().take_while(fits).count();
    let dropped = lines.len() - kept;
    lines.truncate(kept);
    if dropped > 0 {
        lines.push(LogLine {
            node: String::new(),
            level: "warn".to_owned(),
            message: format!("the log is full at {MAX_BYTES} bytes: {dropped} lines are dropped"),
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_has_an_end() {
        let line = |message: &str| LogLine {
            node: "n".to_owned(),
            level: "info".to_owned(),
            message: message.to_owned(),
        };
        let few = vec![line("a"), line("b")];
        assert_eq!(bounded(few.clone()), few);
        let many = bounded(vec![line(&"x".repeat(1000)); 1000]);
        let last = &many.last().unwrap().message;
        assert!(
            last.starts_with("the log is full at 262144 bytes"),
            "{last}"
        );
        assert!(many.len() > 200 && many.len() < 300);
    }
}
