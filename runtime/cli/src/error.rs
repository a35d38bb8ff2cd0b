//! [`Failure`]: one line what, one line why for each cause, one line what to do, and the exit code.
//!
//! Any `std::error::Error` becomes a `Failure` by `?`; [`Explain`] adds what the place knows:
//!
//! ```text
//! fs::read(&path).what(|| format!("cannot read {}", path.display()))?      // error: ..., because: ...
//! registry.resolve(name).exit(Exit::NotFound).hint("see `tenon plugin ls`")?
//! ```

use std::fmt::{self, Display};
use std::io;

use serde_json::json;

use crate::exit::Exit;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    error: anyhow::Error,
    exit: Exit,
    hint: Option<String>,
}

impl Failure {
    /// A failure that starts here, with [`Exit::Failed`].
    pub(crate) fn new(what: impl Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self::from(anyhow::Error::msg(what))
    }

    /// What clap refused: its first line without the prefix, and the rest as the reason.
    pub(crate) fn usage(refusal: &clap::Error) -> Self {
        let text = refusal.to_string();
        let first = text.lines().next().unwrap_or_default();
        Self::new(first.trim_start_matches("error: ").to_owned())
            .with_exit(Exit::Usage)
            .with_hint("see `tenon --help`")
    }

    /// The same with another exit code.
    pub(crate) fn with_exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// The same with another line on what to do.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with what was being done in front; exit code and hint stay.
    pub(crate) fn with_what(mut self, what: impl Display + Send + Sync + 'static) -> Self {
        self.error = self.error.context(what);
        self
    }

    /// The code to end with.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether the reader of our output left (`tenon ... | head`): not an error.
    pub(crate) fn is_closed_output(&self) -> bool {
        self.error.is::<ClosedOutput>()
    }

    /// The error as lines for people: `error`, `because` for each cause, `hint`.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![("error", self.error.to_string())];
        lines.extend(self.causes().map(|cause| ("  because", cause)));
        lines.extend(self.hint.clone().map(|hint| ("  hint", hint)));
        lines
    }

    /// The error as one object for programs.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        json!({
            "error": self.error.to_string(),
            "because": self.causes().collect::<Vec<_>>(),
            "hint": self.hint,
            "exit_code": self.exit.code(),
        })
    }

    /// The source chain, without a cause that its parent's text says already.
    fn causes(&self) -> impl Iterator<Item = String> {
        let mut said = self.error.to_string();
        self.error.chain().skip(1).filter_map(move |cause| {
            let cause = cause.to_string();
            let is_news = !said.contains(&cause);
            said.clone_from(&cause);
            is_news.then_some(cause)
        })
    }
}

/// What went wrong and why, in one line; without the hint.
impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)?;
        self.causes()
            .try_for_each(|cause| write!(f, ": {}", cause.replace('\n', "; ")))
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let exit = exit_of(&error);
        Self {
            error,
            exit,
            hint: None,
        }
    }
}

/// The operating system's refusals have codes of their own.
fn exit_of(error: &anyhow::Error) -> Exit {
    let io = error.chain().find_map(|e| e.downcast_ref::<io::Error>());
    match io.map(io::Error::kind) {
        Some(io::ErrorKind::NotFound) => Exit::NotFound,
        Some(io::ErrorKind::PermissionDenied) => Exit::NotAllowed,
        Some(io::ErrorKind::Interrupted) => Exit::Interrupted,
        Some(io::ErrorKind::ConnectionRefused | io::ErrorKind::TimedOut) => Exit::Unreachable,
        _ => Exit::Failed,
    }
}

/// Adds to an error what the place knows.
pub(crate) trait Explain<T> {
    /// Says what was being done; what there was becomes the reason.
    fn what<D: Display + Send + Sync + 'static>(
        self,
        what: impl FnOnce() -> D,
    ) -> Result<T, Failure>;

    /// Says what to do.
    fn hint(self, hint: impl Into<String>) -> Result<T, Failure>;
}

impl<T, E: Into<Failure>> Explain<T> for Result<T, E> {
    fn what<D: Display + Send + Sync + 'static>(
        self,
        what: impl FnOnce() -> D,
    ) -> Result<T, Failure> {
        self.map_err(|error| error.into().with_what(what()))
    }

    fn hint(self, hint: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|error| error.into().with_hint(hint))
    }
}

/// Our standard output was closed by its reader.
#[derive(Debug)]
pub(crate) struct ClosedOutput;

impl Display for ClosedOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the output was closed")
    }
}

impl std::error::Error for ClosedOutput {}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing() -> io::Error {
        io::Error::new(io::ErrorKind::NotFound, "no such file")
    }

    #[test]
    fn lines_say_what_why_and_what_to_do() {
        let failed: Result<(), _> = Err(missing())
            .what(|| "cannot read job.toml")
            .hint("check the path");
        let failure = failed.unwrap_err();
        assert_eq!(
            failure.lines(),
            [
                ("error", "cannot read job.toml".to_owned()),
                ("  because", "no such file".to_owned()),
                ("  hint", "check the path".to_owned()),
            ]
        );
        assert_eq!(failure.exit(), Exit::NotFound);
        assert_eq!(failure.to_json()["exit_code"], 3);
    }

    #[test]
    fn a_cause_that_was_said_is_not_repeated() {
        let failure = Failure::from(missing()).with_what("cannot open x: no such file");
        assert_eq!(failure.lines().len(), 1);
    }

    #[test]
    fn a_closed_output_is_recognised() {
        assert!(Failure::from(ClosedOutput).is_closed_output());
        assert!(!Failure::new("other").is_closed_output());
    }
}
