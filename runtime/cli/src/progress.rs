//! [`Progress`]: what is going on, for people who wait.
//!
//! Drawn on stderr, only when that is a terminal, and only after a second: quick work stays silent. A
//! counter's [`Progress::add_rows`] is one atomic addition and may be called from any thread, once for each
//! batch. The line disappears when the value is dropped, before anything else is printed.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long work may take before it is shown.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// A line that shows what is going on. Cheap when it is not shown.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Dropped with the value, which tells the thread that waits to draw that there is nothing to draw.
    _finished: Sender<()>,
}

impl Progress {
    /// A message and the time so far.
    pub(crate) fn spinner(message: String, visible: bool) -> Self {
        Self::start("{spinner} {msg}  {elapsed}", message, visible)
    }

    /// A message, rows so far and rows per second.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for the commands that run jobs")
    )]
    pub(crate) fn rows(message: String, visible: bool) -> Self {
        let template = "{spinner} {msg}  {human_pos} rows  {per_sec}  {elapsed}";
        Self::start(template, message, visible)
    }

    /// Says what is being done now.
    pub(crate) fn message(&self, message: impl Into<String>) {
        self.bar.set_message(message.into());
    }

    /// Counts rows.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for the commands that run jobs")
    )]
    pub(crate) fn add_rows(&self, rows: u64) {
        self.bar.inc(rows);
    }

    fn start(template: &str, message: String, visible: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(message);
        let (finished, wait) = mpsc::channel();
        if visible {
            let late = bar.clone();
            thread::spawn(move || {
                if wait.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                    late.set_draw_target(ProgressDrawTarget::stderr());
                    late.enable_steady_tick(TICK);
                }
            });
        }
        Self {
            bar,
            _finished: finished,
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_also_when_nothing_is_drawn() {
        let progress = Progress::rows("reading".to_owned(), false);
        progress.add_rows(8192);
        progress.add_rows(8);
        assert_eq!(progress.bar.position(), 8200);
        assert!(progress.bar.is_hidden());
    }
}
