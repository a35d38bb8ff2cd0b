//! `tenon match FILE`: every record with its group.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tenon_jobs::Prices;

use super::graph::{Call, Graph, Ran};
use super::quality::Quality;
use super::rules::{self, Rule};
use super::{files, share};
use crate::commands::run::node_json;
use crate::commands::setup::{Resources, RunLimits};
use crate::error::Failure;
use crate::report::{Report, bytes, cell, human_time, millis};
use crate::shell::Shell;

/// Arguments of `tenon match FILE`, without those of any run: clap can tell whether a group of arguments is there at all only
/// where it has no groups inside.
#[derive(Debug, clap::Args)]
pub(super) struct Find {
    /// Records: .csv, .tsv, .json, .jsonl or .parquet.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A second file: records of the first are linked to those of this one.
    #[arg(value_name = "FILE2")]
    file2: Option<PathBuf>,
    /// The column that identifies a record; it is not compared.
    #[arg(long, value_name = "COLUMN")]
    id: String,
    /// Every record with match_id and match_confidence [default: FILE with -matched before its suffix].
    #[arg(short, value_name = "OUT")]
    out: Option<PathBuf>,
    /// The matching pairs: id1, id2, probability.
    #[arg(long, value_name = "OUT2")]
    pairs: Option<PathBuf>,
    /// The groups: match_id, records, confidence, and the pair that holds least.
    #[arg(long, value_name = "OUT")]
    clusters: Option<PathBuf>,
    /// One record of each group, made by the rules.
    #[arg(long, value_name = "OUT")]
    golden: Option<PathBuf>,
    /// Which value a golden record gets: 'COLUMN: RULE', or RULE for all other columns; may be repeated. Rules:
    /// most_complete (the default), majority, longest, min, max, most_recent(COLUMN), source(COLUMN, FIRST, SECOND).
    #[arg(long = "rule", value_name = "RULE", value_parser = rules::parse, requires = "golden")]
    rules: Vec<Rule>,
    /// Learn from labels, in the form of Glue: labeling_set_id, label and the column of ids.
    #[arg(long, value_name = "CSV")]
    labels: Option<PathBuf>,
    /// Records that one set labels the same are one group, those that it labels different never are.
    #[arg(long, requires = "labels")]
    enforce_labels: bool,
    /// Use what an earlier run has learned.
    #[arg(long, value_name = "PARQUET")]
    model: Option<PathBuf>,
    /// Keep what this run learns, for `--model` and `tenon match add`.
    #[arg(long, value_name = "PARQUET", conflicts_with = "model")]
    save_model: Option<PathBuf>,
    /// An earlier result: groups that are still there keep their match_id.
    #[arg(long, value_name = "MATCHED")]
    previous: Option<PathBuf>,
    /// What to prefer, from 0, finding all, to 1, no wrong match [default: as the data say].
    #[arg(long, value_name = "X", value_parser = share)]
    precision_recall: Option<f64>,
    /// How many pairs to look at, from 0, the fewest, to 1, the most [default: 0.5].
    #[arg(long, value_name = "X", value_parser = share)]
    accuracy_cost: Option<f64>,
}

/// Matches.
pub(super) fn run(
    shell: &Shell,
    args: &Find,
    limits: &RunLimits,
    resources: &Resources,
) -> Result<(), Failure> {
    let out = args.out.clone().unwrap_or_else(|| beside(&args.file));
    let graph = graph(args, &out)?;
    let ran = graph.run(shell, limits, resources)?;
    let quality = Quality::read(&ran.one("quality")?)?;
    shell.print(&outcome(shell, args, &ran, &out, &quality)?)
}

/// `people.csv` becomes `people-matched.csv`.
fn beside(file: &Path) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let suffix = file.extension().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!("{stem}-matched.{suffix}"))
}

fn graph(args: &Find, out: &Path) -> Result<Graph, Failure> {
    let mut graph = Graph::new()?;
    let call = find(args, &mut graph)?;
    graph.call(call);
    graph.write("matches", out)?;
    graph.output("pairs", "matches", 1);
    graph.output("clusters", "matches", 2);
    graph.output("quality", "matches", 4);
    graph.read_back("quality")?;
    count(args, &mut graph)?;
    for (node, path) in [("pairs", &args.pairs), ("clusters", &args.clusters)] {
        if let Some(path) = path {
            graph.write(node, path)?;
        }
    }
    if let Some(path) = &args.save_model {
        files::check_model(path)?;
        graph.output("model", "matches", 3);
        graph.write("model", path)?;
    }
    if let Some(path) = &args.golden {
        let call = Call::new("golden", "golden-records").table("matches");
        graph.call(rules::add(call, &args.rules)?);
        graph.write("golden", path)?;
    }
    Ok(graph)
}

/// The call that matches, and what it reads.
fn find(args: &Find, graph: &mut Graph) -> Result<Call, Failure> {
    let call = Call::new("matches", "find-matches");
    let call = graph.records(call, &args.file, args.file2.as_deref())?;
    let call = graph.labels(call, args.labels.as_deref())?;
    let mut call = graph.model(call, args.model.as_deref())?;
    if let Some(previous) = &args.previous {
        graph.source("previous", previous)?;
        call = call.role("previous", "previous");
    }
    Ok(call
        .text("id", args.id.as_str())
        .float("precision_recall", args.precision_recall)
        .float("accuracy_cost", args.accuracy_cost)
        .switch("enforce_labels", args.enforce_labels))
}

/// Counts what no file is written of.
fn count(args: &Find, graph: &mut Graph) -> Result<(), Failure> {
    let mut counted = vec!["clusters"];
    if args.pairs.is_none() {
        counted.push("pairs");
    }
    if args.previous.is_some() {
        graph.output("merged", "matches", 5);
        counted.push("merged");
    }
    let counts = counted
        .iter()
        .map(|node| format!("(select count(*) from {node}) as {node}"));
    let query = format!(
        "select {}, (select count(*) from clusters where records > 1) as shared",
        counts.collect::<Vec<_>>().join(", ")
    );
    graph.query("counts", &counted, query);
    graph.read_back("counts")
}

fn outcome(
    shell: &Shell,
    args: &Find,
    ran: &Ran,
    out: &Path,
    quality: &Quality,
) -> Result<Report, Failure> {
    let counts = ran.one("counts")?;
    let count = |name: &str| cell(counts.get(name).cloned().unwrap_or_default());
    let pairs = match args.pairs {
        Some(_) => cell(ran.rows("pairs")),
        None => count("pairs"),
    };
    let mut record = Report::record()
        .field("records", cell(ran.rows("matches")))
        .field("groups", count("clusters"))
        .field("groups_of_several", count("shared"))
        .field("pairs", pairs);
    if args.previous.is_some() {
        record = record.field("groups_changed", count("merged"));
    }
    record = quality.add_to(record).field("columns", quality.columns());
    record = add_files(record, args, out);
    if shell.is_json() {
        record = add_usage(record, ran);
    }
    let elapsed = ran.0.elapsed;
    let summary = format!("matched in {}", human_time(elapsed));
    Ok(record
        .field("elapsed_millis", millis(elapsed))
        .field("summary", cell(summary)))
}

/// What was written where.
fn add_files(record: Report, args: &Find, out: &Path) -> Report {
    let files = [
        ("out", Some(out)),
        ("pairs_out", args.pairs.as_deref()),
        ("clusters_out", args.clusters.as_deref()),
        ("golden_out", args.golden.as_deref()),
        ("model_out", args.save_model.as_deref()),
    ];
    let written = files
        .into_iter()
        .filter_map(|(key, path)| Some((key, path?)));
    written.fold(record, |record, (key, path)| {
        record.field(key, cell(path.to_string_lossy().into_owned()))
    })
}

/// What programs want to know beside: the time and memory of each node.
fn add_usage(record: Report, ran: &Ran) -> Report {
    let prices = Prices::default();
    let nodes = ran.0.nodes.iter().map(|node| node_json(node, &prices));
    let peak = ran.0.peak_memory_bytes;
    record
        .field("nodes", cell(nodes.collect::<Vec<Value>>()))
        .field(
            "peak_memory_bytes",
            peak.map_or_else(|| cell(Value::Null), bytes),
        )
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::{call, parsed};
    use super::*;

    fn of(line: &str) -> Graph {
        graph(&parsed::<Find>(line), Path::new("out.csv")).unwrap()
    }

    fn owned<const N: usize>(texts: [&str; N]) -> Vec<String> {
        texts.map(str::to_owned).to_vec()
    }

    #[test]
    fn one_file_is_matched_by_its_id_alone() {
        let graph = of("people.csv --id key");
        let expected = (
            "find-matches".to_owned(),
            owned(["records"]),
            owned(["id=key"]),
        );
        assert_eq!(call(&graph, "matches"), expected);
        let job = graph.job();
        assert!(job.nodes.contains_key("matches_out") && !job.nodes.contains_key("pairs_out"));
    }

    #[test]
    fn roles_are_places_of_inputs_behind_the_tables() {
        let graph = of(
            "a.csv b.csv --id key --labels l.csv --enforce-labels --model m.parquet --previous p.parquet \
             --precision-recall 0.75 --accuracy-cost 1",
        );
        let (_, inputs, parameters) = call(&graph, "matches");
        assert_eq!(
            inputs,
            owned(["records", "records2", "labels", "learned", "previous"])
        );
        let expected = [
            "labels=2",
            "model=3",
            "previous=4",
            "id=key",
            "precision_recall=0.75",
            "accuracy_cost=1",
            "enforce_labels=true",
        ];
        assert_eq!(parameters, owned(expected));
    }

    #[test]
    fn golden_records_are_made_of_the_same_run() {
        let graph =
            of("people.csv --id key --golden g.csv --rule min --rule a:max --rule b:longest");
        let (function, inputs, parameters) = call(&graph, "golden");
        assert_eq!(
            (function.as_str(), inputs),
            ("golden-records", owned(["matches"]))
        );
        assert_eq!(parameters, owned(["rule=min", "rules=a: max,b: longest"]));
    }

    #[test]
    fn what_is_written_is_not_counted_twice() {
        let counts = |line: &str| match of(line).job().nodes.remove("counts") {
            Some(tenon_engine::Node::SparkSQL(sql)) => sql.inputs,
            _ => Vec::new(),
        };
        assert_eq!(counts("people.csv --id key"), owned(["clusters", "pairs"]));
        assert_eq!(
            counts("people.csv --id key --pairs p.csv --previous old.csv"),
            owned(["clusters", "merged"])
        );
    }

    #[test]
    fn the_result_is_beside_the_file() {
        assert_eq!(
            beside(Path::new("in/people.csv")),
            Path::new("in/people-matched.csv")
        );
    }
}
