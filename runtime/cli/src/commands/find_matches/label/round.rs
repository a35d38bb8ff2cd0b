//! A round: the next questions, and how good the matcher is with the labels so far.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Args;
use super::book::Book;
use super::session::Question;
use crate::commands::find_matches::graph::{Call, FewRows, Graph};
use crate::commands::find_matches::quality::Quality;
use crate::error::Failure;
use crate::shell::Shell;

/// What one run gave.
pub(super) struct Round {
    /// The most telling first.
    pub(super) questions: Vec<Question>,
    /// None while there are not labels of both kinds.
    pub(super) quality: Option<Quality>,
}

impl Round {
    /// Asks the matcher.
    ///
    /// # Errors
    /// What the run says.
    pub(super) fn run(shell: &Shell, args: &Args, book: &Book) -> Result<Self, Failure> {
        let mut graph = Graph::new()?;
        let call = reads(
            args,
            book,
            &mut graph,
            Call::new("questions", "find-questions"),
        )?;
        let call = graph.model(call, args.model.as_deref())?;
        graph.call(call.int("questions", args.questions));
        graph.output("asked", "questions", 1);
        graph.read_back("asked")?;
        let is_measured = is_measurable(book);
        if is_measured {
            add_quality(args, book, &mut graph)?;
        }
        let ran = graph.run(shell, &args.limits, &args.resources)?;
        let quality = match is_measured {
            true => Some(Quality::read(&ran.one("quality")?)?),
            false => None,
        };
        Ok(Self {
            questions: questions(ran.few("asked")?)?,
            quality,
        })
    }
}

/// How good the matcher is with the labels so far, where they are of both kinds.
///
/// # Errors
/// What the run says.
pub(super) fn measure(shell: &Shell, args: &Args, book: &Book) -> Result<Option<Quality>, Failure> {
    if !is_measurable(book) {
        return Ok(None);
    }
    let mut graph = Graph::new()?;
    add_quality(args, book, &mut graph)?;
    let ran = graph.run(shell, &args.limits, &args.resources)?;
    Quality::read(&ran.one("quality")?).map(Some)
}

fn is_measurable(book: &Book) -> bool {
    book.same() > 0 && book.different() > 0
}

fn add_quality(args: &Args, book: &Book, graph: &mut Graph) -> Result<(), Failure> {
    let call = reads(args, book, graph, Call::new("matches", "find-matches"))?;
    graph.call(call);
    graph.output("quality", "matches", 4);
    graph.read_back("quality")
}

/// The call over the records and the labels that there are.
fn reads(args: &Args, book: &Book, graph: &mut Graph, call: Call) -> Result<Call, Failure> {
    let call = graph.records(call, &args.file, args.file2.as_deref())?;
    let has_labels = book.same() + book.different() > 0;
    let labels = has_labels.then_some(args.labels.as_path());
    let call = graph.labels(call, labels)?;
    Ok(call.text("id", args.id.as_str()))
}

/// What stands in front of a record's own columns.
const LEADING: [&str; 3] = ["question", "side", "probability"];

/// Two rows are a question.
fn questions(asked: FewRows) -> Result<Vec<Question>, Failure> {
    let own = asked.columns.into_iter().skip(LEADING.len());
    let columns: Arc<[String]> = own.collect();
    let number = |row: &Map<String, Value>, name: &str| row.get(name).and_then(Value::as_i64);
    let mut rows = asked.rows;
    rows.sort_by_key(|row| (number(row, "question"), number(row, "side")));
    let mut questions = Vec::with_capacity(rows.len() / 2);
    let mut rows = rows.into_iter();
    while let Some(a) = rows.next() {
        let b = rows
            .next()
            .filter(|b| number(b, "question") == number(&a, "question"));
        let b = b.ok_or_else(|| Failure::new("a question of the matcher has one record only"))?;
        let probability = a.get("probability").and_then(Value::as_f64);
        let record = |row: Map<String, Value>| row.into_iter().skip(LEADING.len()).collect();
        questions.push(Question {
            columns: Arc::clone(&columns),
            probability: probability.unwrap_or_default(),
            sides: [record(a), record(b)],
        });
    }
    Ok(questions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked(rows: &[Value]) -> FewRows {
        FewRows {
            columns: ["question", "side", "probability", "id", "name"]
                .map(str::to_owned)
                .to_vec(),
            rows: rows.iter().filter_map(Value::as_object).cloned().collect(),
        }
    }

    fn row(question: u32, side: u32, id: &str) -> Value {
        json!({"question": question, "side": side, "probability": 0.4, "id": id, "name": null})
    }

    #[test]
    fn two_rows_are_a_question_in_whatever_order_they_come() {
        let rows = [
            row(2, 2, "d"),
            row(1, 1, "a"),
            row(2, 1, "c"),
            row(1, 2, "b"),
        ];
        let questions = questions(asked(&rows)).unwrap();
        let ids: Vec<_> = questions
            .iter()
            .flat_map(|q| &q.sides)
            .map(|side| side["id"].clone())
            .collect();
        assert_eq!(ids, ["a", "b", "c", "d"]);
        assert_eq!(&*questions[0].columns, ["id", "name"]);
        assert_eq!(questions[0].sides[0].len(), 2);
    }

    #[test]
    fn half_a_question_is_an_error() {
        assert!(questions(asked(&[row(1, 1, "a"), row(2, 1, "c")])).is_err());
    }
}
