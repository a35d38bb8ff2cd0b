//! [`Answers`]: one line of standard input each, read beside whatever else goes on.
//!
//! A thread reads, because reading blocks and Ctrl-C must end the wait: the engine has taken over the signal by then.

use std::io;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::commands::setup;
use crate::error::{Explain, Failure};
use crate::shell::Shell;

const PROMPT: &str = "y same, n different, u unsure, p previous, f finish > ";

/// What a person says about a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Same,
    Different,
    /// Not recorded.
    Unsure,
    /// Takes the answer before back.
    Previous,
    Finish,
}

/// The lines that come.
pub(super) struct Answers(UnboundedReceiver<io::Result<String>>);

impl Answers {
    /// Begins to read.
    pub(super) fn from_stdin() -> Self {
        let (lines, received) = unbounded_channel();
        std::thread::spawn(move || {
            for line in io::stdin().lines() {
                let is_last = line.is_err();
                if lines.send(line).is_err() || is_last {
                    return;
                }
            }
        });
        Self(received)
    }

    /// Waits for the next answer; the end of the input is [`Answer::Finish`].
    ///
    /// # Errors
    /// It cannot be read; Ctrl-C.
    pub(super) fn next(&mut self, shell: &Shell) -> Result<Answer, Failure> {
        loop {
            shell.ask(PROMPT);
            let line = setup::block_on(async { Ok(self.0.recv().await) })?;
            let Some(line) = line else {
                return Ok(Answer::Finish);
            };
            let line = line.what(|| "cannot read the answer")?;
            match read(&line) {
                Some(answer) => return Ok(answer),
                None => shell.show("answer with one of the letters y, n, u, p, f"),
            }
        }
    }
}

fn read(line: &str) -> Option<Answer> {
    match line.trim().to_lowercase().as_str() {
        "y" | "yes" | "same" => Some(Answer::Same),
        "n" | "no" | "different" => Some(Answer::Different),
        "u" | "unsure" => Some(Answer::Unsure),
        "p" | "previous" => Some(Answer::Previous),
        "f" | "finish" => Some(Answer::Finish),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_letters_or_words() {
        assert_eq!(read(" Y "), Some(Answer::Same));
        assert_eq!(read("no"), Some(Answer::Different));
        assert_eq!((read(""), read("yn")), (None, None));
    }
}
