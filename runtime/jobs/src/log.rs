//! The log of a run: what its plugins said, kept with the run piece by piece as it comes.

use serde::{Deserialize, Serialize};
use tenon_store::Tree;

use crate::error::Result;
use crate::jobs::{MAX_PAGE, TenantJobs};
use crate::port::RunKey;
use crate::stored::{self, Place, SCHEMA};

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
    /// When it was heard, in milliseconds since 1970; 0 where that is not known.
    #[serde(default)]
    pub time_unix_millis: u64,
}

/// How much of a run's log is kept so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LogTally {
    pieces: u64,
    bytes: usize,
    is_full: bool,
}

impl TenantJobs {
    /// What plugins said in a run, in the order in which it came; of a run under way, so far.
    ///
    /// # Errors
    /// As [`TenantJobs::get_run`].
    pub fn run_log(&self, job: &str, id: &str) -> Result<Vec<LogLine>> {
        let number = self.stored_job(job)?.value.number;
        let place = self.stored_run(number, job, id)?.value.place;
        self.log_of(place)
    }

    pub(crate) fn log_of(&self, place: Place) -> Result<Vec<LogLine>> {
        let (mut lines, mut after) = (Vec::new(), None);
        loop {
            let below = stored::run_log(place);
            let (found, next) =
                self.list::<Vec<LogLine>>(Tree::Run, &below, after.as_ref(), MAX_PAGE)?;
            lines.extend(found.into_iter().flat_map(|(_, piece)| piece));
            after = next;
            if after.is_none() {
                return Ok(lines);
            }
        }
    }

    /// Keeps more of the log of a run that is held under this token, after what `tally` counts.
    pub(crate) fn keep_log(
        &self,
        key: RunKey,
        lines: Vec<LogLine>,
        tally: &mut LogTally,
    ) -> Result<()> {
        self.held_run(key)?;
        let lines = tally.fitting(lines);
        if lines.is_empty() {
            return Ok(());
        }
        tally.pieces += 1;
        let record = stored::log_piece(key.place, tally.pieces);
        let transaction =
            self.transaction()
                .put(Tree::Run, record, SCHEMA, stored::encode(&lines)?);
        self.commit(transaction)
    }
}

impl LogTally {
    /// The first lines within what is left of the limit; the last says that there were more.
    fn fitting(&mut self, mut lines: Vec<LogLine>) -> Vec<LogLine> {
        if self.is_full {
            return Vec::new();
        }
        let mut bytes = self.bytes;
        let fits = |line: &&LogLine| {
            bytes += line.message.len() + line.node.len() + LINE_BYTES;
            bytes <= MAX_BYTES
        };
        let kept = lines.iter().take_while(fits).count();
        self.bytes = bytes;
        if kept < lines.len() {
            self.is_full = true;
            let time_unix_millis = lines[kept].time_unix_millis;
            lines.truncate(kept);
            lines.push(LogLine {
                node: String::new(),
                level: "warn".to_owned(),
                message: format!("the log is full at {MAX_BYTES} bytes: what follows is dropped"),
                time_unix_millis,
            });
        }
        lines
    }
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
            time_unix_millis: 7,
        };
        let mut tally = LogTally::default();
        let few = vec![line("a"), line("b")];
        assert_eq!(tally.fitting(few.clone()), few);
        let many = tally.fitting(vec![line(&"x".repeat(1000)); 1000]);
        let last = &many.last().unwrap().message;
        assert!(
            last.starts_with("the log is full at 262144 bytes"),
            "{last}"
        );
        assert!(many.len() > 200 && many.len() < 300);
        assert_eq!(tally.fitting(few), [], "it says so once");
    }

    #[test]
    fn lines_of_earlier_releases_have_no_time() {
        let old = r#"{"node":"n","level":"info","message":"m"}"#;
        let line: LogLine = serde_json::from_str(old).unwrap();
        assert_eq!(line.time_unix_millis, 0);
    }
}
