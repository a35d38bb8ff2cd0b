//! `tenon match sets`: records to label as Glue writes them: sets of likely twins, with an empty column `label`.
//!
//! Whoever fills it gives equal labels to the records of a set that are the same; `--labels` then reads the file.

use std::path::PathBuf;

use super::files;
use super::graph::{Call, Graph};
use crate::commands::setup::{Resources, RunLimits};
use crate::error::Failure;
use crate::report::{Report, cell, millis};
use crate::shell::Shell;

/// Arguments of `tenon match sets`.
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
    /// The file to fill: labeling_set_id, label, and all columns.
    #[arg(short, value_name = "CSV")]
    out: PathBuf,
    /// How many sets.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    sets: u32,
    /// How many records a set has; Glue takes up to 50.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=50))]
    rows: u32,
    /// Labels that there are: what they say is not asked again.
    #[arg(long, value_name = "CSV")]
    labels: Option<PathBuf>,
    /// What an earlier run has learned.
    #[arg(long, value_name = "PARQUET")]
    model: Option<PathBuf>,
    #[command(flatten)]
    limits: RunLimits,
    #[command(flatten)]
    resources: Resources,
}

/// Writes them.
pub(super) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let ran = graph(args)?.run(shell, &args.limits, &args.resources)?;
    let sets = ran.one("counts")?.get("sets").cloned().unwrap_or_default();
    let report = Report::record()
        .field("sets", cell(sets))
        .field("records", cell(ran.rows("questions")))
        .field("out", cell(args.out.to_string_lossy().into_owned()))
        .field("elapsed_millis", millis(ran.0.elapsed));
    shell.print(&report)?;
    shell.say("give equal labels to the records of a set that are the same, then: tenon match FILE --labels CSV");
    Ok(())
}

fn graph(args: &Args) -> Result<Graph, Failure> {
    files::check_labels(&args.out)?;
    let mut graph = Graph::new()?;
    let call = Call::new("questions", "find-questions");
    let call = graph.records(call, &args.file, args.file2.as_deref())?;
    let call = graph.labels(call, args.labels.as_deref())?;
    let call = graph.model(call, args.model.as_deref())?;
    let call = call.text("id", args.id.as_str());
    graph.call(call.int("sets", args.sets).int("rows", args.rows));
    graph.write("questions", &args.out)?;
    let count = "select count(distinct labeling_set_id) as sets from questions".to_owned();
    graph.query("counts", &["questions"], count);
    graph.read_back("counts")?;
    Ok(graph)
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::{call, parsed};
    use super::*;

    #[test]
    fn sets_are_asked_for_in_their_number_and_size() {
        let args: Args = parsed("people.csv --id key -o sets.csv --sets 3 --rows 7 --labels l.csv");
        let (function, inputs, parameters) = call(&graph(&args).unwrap(), "questions");
        assert_eq!(function, "find-questions");
        assert_eq!(inputs, ["records", "labels"]);
        assert_eq!(parameters, ["labels=1", "id=key", "sets=3", "rows=7"]);
    }
}
