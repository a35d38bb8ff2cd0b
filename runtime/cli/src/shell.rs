//! [`Shell`]: where a command's words go. Data to stdout, talk to stderr, colour only on a terminal.
//!
//! Nothing here panics when a stream is closed: lost talk is lost, lost data ends the command quietly.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use crate::args::{Global, Output};
use crate::error::{ClosedOutput, Explain, Failure};
use crate::folders;
use crate::progress::Progress;
use crate::report::Report;

/// The options every command shares, ready for use.
#[derive(Debug, Clone)]
pub(crate) struct Shell {
    output: Output,
    quiet: bool,
    verbose: bool,
    color: bool,
    data: Option<PathBuf>,
}

impl Shell {
    /// From the global options and the process's environment.
    pub(crate) fn new(global: &Global) -> Self {
        let no_color = global.no_color || env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        Self {
            output: global.output,
            quiet: global.quiet,
            verbose: global.verbose,
            color: !no_color && io::stderr().is_terminal(),
            data: global.data.clone(),
        }
    }

    /// Folder of the catalog and the plugins; it may not exist yet.
    pub(crate) fn data(&self) -> Result<PathBuf, Failure> {
        match &self.data {
            Some(data) => Ok(data.clone()),
            None => folders::data(),
        }
    }

    /// Prints a result.
    pub(crate) fn print(&self, report: &Report) -> Result<(), Failure> {
        match self.output {
            Output::Table => self.print_text(&report.to_table()),
            Output::Json => self.print_text(&report.to_json()),
        }
    }

    /// Prints text that is the result itself, such as a script.
    pub(crate) fn print_text(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        let written = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ClosedOutput.into()),
            other => other.what(|| "cannot write to standard output"),
        }
    }

    /// Tells people what was done.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            talk(text);
        }
    }

    /// Tells those who asked for more.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            talk(text);
        }
    }

    /// Passes on what another program said, as it said it; also when quiet, because something went wrong.
    pub(crate) fn show(&self, said: &str) {
        talk(said.trim_end());
    }

    /// Asks people something; the answer follows on the same line.
    pub(crate) fn ask(&self, question: &str) {
        let mut stderr = io::stderr().lock();
        // Nobody is left to ask when stderr is gone.
        let _ = write!(stderr, "{question}").and_then(|()| stderr.flush());
    }

    /// Whether results are printed as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// Whether more talk was asked for.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Whether what is said may be coloured.
    pub(crate) fn has_color(&self) -> bool {
        self.color
    }

    /// A spinner with a message, drawn only on a terminal and only after a second.
    pub(crate) fn progress(&self, message: impl Into<String>) -> Progress {
        Progress::spinner(message.into(), !self.quiet && !self.verbose)
    }

    /// Says why the command failed.
    pub(crate) fn fail(&self, failure: &Failure) {
        if self.output == Output::Json {
            return fail_as_json(failure);
        }
        for (label, text) in failure.lines() {
            let color = if label == "error" { RED } else { CYAN };
            let text = printable(&text).replace('\n', "\n    ");
            talk(&format!("{}: {text}", self.paint(label, color)));
        }
    }

    fn paint(&self, text: &str, code: &str) -> String {
        if self.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

const RED: &str = "1;31";
const CYAN: &str = "36";

/// The error as one JSON object on stderr.
pub(crate) fn fail_as_json(failure: &Failure) {
    talk(&failure.to_json().to_string());
}

/// A bug's one line.
pub(crate) fn last_words(bug: &str) {
    let bug = bug.replace('\n', " ");
    talk(&format!("error: internal error, please report it: {bug}"));
}

/// `text` without characters that could steer the terminal: names and descriptions come from strangers.
pub(crate) fn printable(text: &str) -> String {
    let is_harmful = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    text.replace(is_harmful, "\u{fffd}")
}

fn talk(text: &str) {
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_codes_do_not_reach_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\n\tc"), "a\u{fffd}[2Jb\n\tc");
    }
}
