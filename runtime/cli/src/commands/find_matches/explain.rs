//! `tenon match explain`: why two records match, or do not, as a waterfall of weights.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::graph::{Call, Graph, Ran};
use crate::commands::setup::{Resources, RunLimits};
use crate::error::{Explain, Failure};
use crate::report::{Report, cell};
use crate::shell::Shell;
use crate::waterfall::{Step, Waterfall};

/// Arguments of `tenon match explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Records: .csv, .tsv, .json, .jsonl or .parquet.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The id of a record.
    #[arg(value_name = "A")]
    a: String,
    /// The id of another one.
    #[arg(value_name = "B")]
    b: String,
    /// The file of the other record, where records of two are linked.
    #[arg(long, value_name = "FILE2")]
    with: Option<PathBuf>,
    /// The column that identifies a record.
    #[arg(long, value_name = "COLUMN")]
    id: String,
    /// What an earlier run has learned; without, it is learned from the files first.
    #[arg(long, value_name = "PARQUET")]
    model: Option<PathBuf>,
    /// Draw it too.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    limits: RunLimits,
    #[command(flatten)]
    resources: Resources,
}

/// Explains.
pub(super) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let ran = graph(args)?.run(shell, &args.limits, &args.resources)?;
    let weights = ran.few("weights")?.rows;
    let verdict = Verdict::read(&ran)?;
    let waterfall = verdict.waterfall(args, &weights);
    if let Some(path) = &args.svg {
        std::fs::write(path, waterfall.svg())
            .what(|| format!("cannot write {}", path.display()))?;
    }
    if shell.is_json() {
        return shell.print(&verdict.record(args, weights));
    }
    shell.print_text(&waterfall.text())
}

fn graph(args: &Args) -> Result<Graph, Failure> {
    let mut graph = Graph::new()?;
    let call = Call::new("weights", "explain-match");
    let call = graph.records(call, &args.file, args.with.as_deref())?;
    let call = graph.model(call, args.model.as_deref())?;
    let call = call.text("id", args.id.as_str());
    graph.call(call.text("a", args.a.as_str()).text("b", args.b.as_str()));
    graph.output("verdict", "weights", 1);
    graph.read_back("weights")?;
    graph.read_back("verdict")?;
    Ok(graph)
}

/// What the matcher thinks of the pair.
struct Verdict {
    probability: f64,
    threshold: f64,
    score_bits: f64,
    is_match: bool,
    was_compared: bool,
    reason: String,
}

impl Verdict {
    fn read(ran: &Ran) -> Result<Self, Failure> {
        let row = ran.one("verdict")?;
        let number = |name: &str| row.get(name).and_then(Value::as_f64).unwrap_or_default();
        let is = |name: &str| row.get(name).and_then(Value::as_bool).unwrap_or_default();
        Ok(Self {
            probability: number("probability"),
            threshold: number("threshold"),
            score_bits: number("score"),
            is_match: is("is_match"),
            was_compared: is("compared"),
            reason: text(&row, "reason"),
        })
    }

    /// In words: what was decided, and whether the pair was looked at in the first place.
    fn title(&self, args: &Args) -> String {
        let is = if self.is_match {
            "match"
        } else {
            "do not match"
        };
        format!(
            "{} and {} {is}: probability {:.4}, threshold {:.2}",
            args.a, args.b, self.probability, self.threshold
        )
    }

    fn waterfall(&self, args: &Args, weights: &[Map<String, Value>]) -> Waterfall {
        Waterfall {
            title: self.title(args),
            note: self.reason.clone(),
            sides: [args.a.clone(), args.b.clone()],
            steps: weights.iter().map(step).collect(),
        }
    }

    fn record(&self, args: &Args, weights: Vec<Map<String, Value>>) -> Report {
        let weights: Vec<Value> = weights.into_iter().map(Value::Object).collect();
        Report::record()
            .field("a", cell(args.a.as_str()))
            .field("b", cell(args.b.as_str()))
            .field("is_match", cell(self.is_match))
            .field("probability", cell(self.probability))
            .field("threshold", cell(self.threshold))
            .field("score_bits", cell(self.score_bits))
            .field("compared", cell(self.was_compared))
            .field("reason", cell(self.reason.as_str()))
            .field("weights", cell(weights))
    }
}

/// A row of the output `weights`.
fn step(row: &Map<String, Value>) -> Step {
    Step {
        feature: text(row, "feature"),
        values: [text(row, "value_a"), text(row, "value_b")],
        agreement: text(row, "agreement"),
        bits: row
            .get("weight")
            .and_then(Value::as_f64)
            .unwrap_or_default(),
    }
}

/// A text; what is missing is empty.
fn text(row: &Map<String, Value>, name: &str) -> String {
    let value = row.get(name).and_then(Value::as_str);
    value.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::{call, parsed};
    use super::*;

    #[test]
    fn both_ids_and_the_model_are_given() {
        let args: Args = parsed("left.csv p1 p2 --with right.csv --id key --model m.parquet");
        let (function, inputs, parameters) = call(&graph(&args).unwrap(), "weights");
        assert_eq!(function, "explain-match");
        assert_eq!(inputs, ["records", "records2", "learned"]);
        assert_eq!(parameters, ["model=2", "id=key", "a=p1", "b=p2"]);
    }
}
