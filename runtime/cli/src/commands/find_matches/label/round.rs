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
        let is_first = book.same() + book.different() == 0;
        let is_checked = is_first && add_shared(args, &mut graph)?;
        let ran = graph.run(shell, &args.limits, &args.resources)?;
        if is_checked {
            check_shared(args, ran.few(SHARED)?)?;
        }
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

/// The node of ids that both files have.
const SHARED: &str = "shared";

/// Looks for an id that two files share, where there are two: labels could not tell whose record they mean. The plugin
/// refuses such files as soon as there are labels, which is a round of answers too late.
fn add_shared(args: &Args, graph: &mut Graph) -> Result<bool, Failure> {
    if args.file2.is_none() {
        return Ok(false);
    }
    let id = format!("\"{}\"", args.id.replace('"', "\"\""));
    let ids = |table: &str| format!("select cast({id} as varchar) as id from {table}");
    let query = format!(
        "select min(a.id) as id from ({}) a where a.id in ({})",
        ids("records"),
        ids("records2")
    );
    graph.query(SHARED, &["records", "records2"], query);
    graph.read_back(SHARED)?;
    Ok(true)
}

fn check_shared(args: &Args, shared: FewRows) -> Result<(), Failure> {
    let first = shared.rows.into_iter().next();
    let id = first.and_then(|row| Some(row.get("id")?.as_str()?.to_owned()));
    let Some(id) = id else {
        return Ok(());
    };
    let column = &args.id;
    let what = format!(
        "both files have a record whose {column} is {id:?}: labels could not tell which one they mean"
    );
    Err(Failure::new(what).with_hint(format!(
        "make {column} unique over both files, such as with a letter in front for each"
    )))
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
    use crate::commands::find_matches::graph::tests::parsed;
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
    fn ids_of_two_files_are_looked_through_and_one_that_both_have_is_named() {
        let add = |line: &str| {
            let mut graph = Graph::new().unwrap();
            let is_added = add_shared(&parsed(line), &mut graph).unwrap();
            (is_added, graph.job().nodes.remove(SHARED))
        };
        assert!(matches!(
            add("a.csv --id key --labels l.csv"),
            (false, None)
        ));
        let line = "a.csv b.csv --id k\"y --labels l.csv";
        let (true, Some(tenon_engine::Node::SparkSQL(query))) = add(line) else {
            panic!("nothing is looked for");
        };
        assert_eq!(query.inputs, ["records", "records2"]);
        assert!(query.sql_query.contains(r#"cast("k""y" as varchar)"#));
        let found = |id: Value| FewRows {
            columns: vec!["id".to_owned()],
            rows: json!([{"id": id}]).as_array().unwrap()[0]
                .as_object()
                .cloned()
                .into_iter()
                .collect(),
        };
        check_shared(&parsed(line), found(Value::Null)).unwrap();
        let refused = check_shared(&parsed(line), found(json!("17"))).unwrap_err();
        assert!(refused.to_string().contains("is \"17\""), "{refused}");
    }

    #[test]
    fn half_a_question_is_an_error() {
        assert!(questions(asked(&[row(1, 1, "a"), row(2, 1, "c")])).is_err());
    }
}
