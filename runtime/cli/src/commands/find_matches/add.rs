//! `tenon match add NEW --to MATCHED`: new records join the groups of an earlier result.
//!
//! The model that the earlier run saved decides; nothing is learned, and groups that are there keep their ids.

use std::path::PathBuf;

use super::graph::{Call, Graph, Ran};
use crate::commands::setup::{Resources, RunLimits};
use crate::error::Failure;
use crate::report::{Report, cell, human_time, millis};
use crate::shell::Shell;

/// Arguments of `tenon match add`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The new records: .csv, .tsv, .json, .jsonl or .parquet.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// What was matched before: records with their match_id.
    #[arg(long, value_name = "MATCHED")]
    to: PathBuf,
    /// What the earlier run has learned: its `--save-model`.
    #[arg(long, value_name = "PARQUET")]
    model: PathBuf,
    /// The column that identifies a record, in both files.
    #[arg(long, value_name = "COLUMN")]
    id: String,
    /// The column of MATCHED with the groups.
    #[arg(long, value_name = "COLUMN", default_value = "match_id")]
    match_id: String,
    /// All records, old and new, with match_id and match_confidence.
    #[arg(short, value_name = "OUT")]
    out: PathBuf,
    /// The matching pairs: id1, id2, probability.
    #[arg(long, value_name = "OUT2")]
    pairs: Option<PathBuf>,
    /// The groups: match_id, records, confidence, and the pair that holds least.
    #[arg(long, value_name = "OUT")]
    clusters: Option<PathBuf>,
    /// Groups that new records made one: previous_id, match_id.
    #[arg(long, value_name = "OUT")]
    merged: Option<PathBuf>,
    #[command(flatten)]
    limits: RunLimits,
    #[command(flatten)]
    resources: Resources,
}

/// Matches the new records.
pub(super) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let ran = graph(args)?.run(shell, &args.limits, &args.resources)?;
    shell.print(&outcome(args, &ran)?)
}

fn graph(args: &Args) -> Result<Graph, Failure> {
    let mut graph = Graph::new()?;
    graph.source("existing", &args.to)?;
    graph.source("added", &args.new)?;
    let call = Call::new("matches", "find-incremental-matches");
    let call = call.table("existing").table("added");
    let call = graph.model(call, Some(&args.model))?;
    let call = call.text("id", args.id.as_str());
    let call = call.text("match_id", args.match_id.as_str());
    graph.call(call);
    graph.write("matches", &args.out)?;
    graph.output("clusters", "matches", 2);
    graph.output("merged", "matches", 3);
    if let Some(path) = &args.pairs {
        graph.output("pairs", "matches", 1);
        graph.write("pairs", path)?;
    }
    for (node, path) in [("clusters", &args.clusters), ("merged", &args.merged)] {
        if let Some(path) = path {
            graph.write(node, path)?;
        }
    }
    graph.query(
        "counts",
        &["existing", "added", "clusters", "merged"],
        "select (select count(*) from existing) as existing, (select count(*) from added) as added, \
         (select count(*) from clusters) as clusters, (select count(*) from merged) as merged"
            .to_owned(),
    );
    graph.read_back("counts")?;
    Ok(graph)
}

fn outcome(args: &Args, ran: &Ran) -> Result<Report, Failure> {
    let counts = ran.one("counts")?;
    let count = |name: &str| cell(counts.get(name).cloned().unwrap_or_default());
    let record = Report::record()
        .field("records", cell(ran.rows("matches")))
        .field("records_before", count("existing"))
        .field("records_added", count("added"))
        .field("groups", count("clusters"))
        .field("groups_changed", count("merged"));
    let elapsed = ran.0.elapsed;
    let summary = format!("matched in {}", human_time(elapsed));
    Ok(add_files(record, args)
        .field("elapsed_millis", millis(elapsed))
        .field("summary", cell(summary)))
}

/// What was written where.
fn add_files(record: Report, args: &Args) -> Report {
    let files = [
        ("out", Some(args.out.as_path())),
        ("pairs_out", args.pairs.as_deref()),
        ("clusters_out", args.clusters.as_deref()),
        ("merged_out", args.merged.as_deref()),
    ];
    let written = files
        .into_iter()
        .filter_map(|(key, path)| Some((key, path?)));
    written.fold(record, |record, (key, path)| {
        record.field(key, cell(path.to_string_lossy().into_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::{call, parsed};
    use super::*;

    #[test]
    fn what_was_matched_comes_before_what_is_new() {
        let args: Args = parsed(
            "new.csv --to old.csv --model m.parquet --id key -o all.csv --merged merged.csv",
        );
        let graph = graph(&args).unwrap();
        let (function, inputs, parameters) = call(&graph, "matches");
        assert_eq!(function, "find-incremental-matches");
        assert_eq!(inputs, ["existing", "added", "learned"]);
        assert_eq!(parameters, ["model=2", "id=key", "match_id=match_id"]);
        let job = graph.job();
        assert!(job.nodes.contains_key("merged_out") && !job.nodes.contains_key("pairs_out"));
    }
}
