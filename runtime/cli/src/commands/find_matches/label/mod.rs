//! `tenon match label`: which pairs are the same? One after the other, the most telling ones first.
//!
//! ```text
//! ┌─> round: find-questions ─> pairs ─> screen ─> answer ─> book (the CSV, on disk before the next question)
//! │            find-matches ─> quality with the labels so far
//! └────────────── after as many answers as there were questions
//! ```
//!
//! Answers are lines of standard input, so that a script can give them too.

mod answers;
mod book;
mod round;
mod screen;
mod session;

use std::path::PathBuf;

use self::answers::Answers;
use self::book::Book;
use self::round::Round;
use self::session::{End, Session};
use super::files;
use super::quality::Quality;
use crate::commands::setup::{Resources, RunLimits};
use crate::error::Failure;
use crate::exit::Exit;
use crate::report::{Report, cell};
use crate::shell::Shell;

/// Arguments of `tenon match label`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Records: .csv, .tsv, .json, .jsonl or .parquet.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A second file, where records of two are linked.
    #[arg(value_name = "FILE2")]
    file2: Option<PathBuf>,
    /// The column that identifies a record.
    #[arg(long, value_name = "COLUMN")]
    id: String,
    /// Where answers go, in the form of Glue; those that are there already count.
    #[arg(long, value_name = "CSV")]
    labels: PathBuf,
    /// What an earlier run has learned, for the first questions.
    #[arg(long, value_name = "PARQUET")]
    model: Option<PathBuf>,
    /// Questions of a round; after each, the matcher learns and says how good it is.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    questions: u32,
    #[command(flatten)]
    limits: RunLimits,
    #[command(flatten)]
    resources: Resources,
}

/// Asks until there is nothing to ask, or the answers end.
pub(super) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    files::check_labels(&args.labels)?;
    let book = Book::open(&args.labels, &args.id, args.file2.is_some())?;
    let mut session = Session::new(shell, book);
    let mut answers = Answers::from_stdin();
    let quality = ask(shell, args, &mut session, &mut answers);
    let quality = quality.map_err(|failure| kept(failure, args, session.book()))?;
    shell.print(&outcome(args, &session, quality.as_ref()))
}

/// All rounds; the quality as last measured.
fn ask(
    shell: &Shell,
    args: &Args,
    session: &mut Session<'_>,
    answers: &mut Answers,
) -> Result<Option<Quality>, Failure> {
    loop {
        let round = Round::run(shell, args, session.book())?;
        if let Some(estimated) = round.quality.as_ref().and_then(|q| q.estimated.as_ref()) {
            let book = session.book();
            shell.say(&format!(
                "{} labels: {} the same, {} different; estimated F1 {}",
                book.same() + book.different(),
                book.same(),
                book.different(),
                estimated.f1
            ));
        }
        if session.add(round.questions) == 0 {
            shell.say("there is nothing more to ask");
            return Ok(round.quality);
        }
        let labels_before = session.book().changes();
        if session.answer(answers)? == End::Finished {
            return match session.book().changes() == labels_before {
                true => Ok(round.quality),
                false => round::measure(shell, args, session.book()),
            };
        }
    }
}

/// An interrupted session says where its answers are, if there are any: without, no file stays.
fn kept(failure: Failure, args: &Args, book: &Book) -> Failure {
    if failure.exit() != Exit::Interrupted || book.same() + book.different() == 0 {
        return failure;
    }
    let labels = args.labels.display();
    Failure::new(format!("interrupted; the answers so far are in {labels}"))
        .with_exit(Exit::Interrupted)
        .with_hint("the same command goes on from there")
}

fn outcome(args: &Args, session: &Session<'_>, quality: Option<&Quality>) -> Report {
    let book = session.book();
    let record = Report::record()
        .field("labels", cell(args.labels.to_string_lossy().into_owned()))
        .field("pairs", cell(book.same() + book.different()))
        .field("same", cell(book.same()))
        .field("different", cell(book.different()))
        .field("unsure", cell(session.unsure()));
    match quality.and_then(|quality| quality.estimated.as_ref()) {
        Some(estimated) => estimated.add_to(record),
        None => record,
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::parsed;
    use super::*;

    #[test]
    fn an_interrupted_session_names_its_file_if_it_has_answers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.csv");
        let args = parsed("people.csv --id id --labels labels.csv");
        let said = || {
            let interrupted = Failure::new("interrupted").with_exit(Exit::Interrupted);
            let book = Book::open(&path, "id", false).unwrap();
            kept(interrupted, &args, &book).to_string()
        };
        assert_eq!(said(), "interrupted");
        let labels = "labeling_set_id,label,id\ns,A,1\ns,A,2\n";
        std::fs::write(&path, labels).unwrap();
        assert_eq!(said(), "interrupted; the answers so far are in labels.csv");
    }
}
