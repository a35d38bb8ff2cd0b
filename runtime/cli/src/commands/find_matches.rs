//! `tenon match`: the matcher straight from the command line.
//!
//! It builds the same graph that a job would have, source, `find-matches`, target, and runs it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tenon_engine::{
    CsvSource, DirectTarget, DynamicTransform, Job, JsonSource, Node, Parameter, ParameterType,
    ParquetSource, Progress, RunReport, SelectFromCollection,
};

use super::setup::{self, Resources, RunLimits};
use crate::error::Failure;
use crate::exit::Exit;
use crate::report::{Report, cell, human_time, millis};
use crate::shell::Shell;

/// The plugin that matches.
const PLUGIN: &str = "tenon:find-matches";

/// Arguments of `tenon match`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
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
    #[command(flatten)]
    limits: RunLimits,
    #[command(flatten)]
    resources: Resources,
}

/// Matches.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let out = args.out.clone().unwrap_or_else(|| beside(&args.file));
    let job = job(args, &out)?;
    let engine = setup::engine(shell, None, &args.resources)?;
    let (progress, run) = (Progress::default(), setup::run_id());
    let report = setup::block_on_run(shell, &progress, async {
        let running = engine.run(&job, &run, &progress);
        setup::with_progress(shell, "match", &progress, running)
            .await
            .map_err(|error| explain(setup::failure(error)))
    })?;
    shell.print(&outcome(&report, &out, args.pairs.as_deref()))
}

/// `people.csv` becomes `people-matched.csv`.
fn beside(file: &Path) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let suffix = file.extension().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!("{stem}-matched.{suffix}"))
}

fn explain(failure: Failure) -> Failure {
    let is_missing = failure.exit() == Exit::NotFound && failure.to_string().contains("no plugin");
    if is_missing {
        return failure.with_hint("install it: `tenon plugin install plugins/find-matches`");
    }
    failure
}

fn job(args: &Args, out: &Path) -> Result<Job, Failure> {
    let mut nodes = BTreeMap::from([("records".to_owned(), source("records", &args.file)?)]);
    let mut inputs = vec!["records".to_owned()];
    if let Some(file2) = &args.file2 {
        nodes.insert("records2".to_owned(), source("records2", file2)?);
        inputs.push("records2".to_owned());
    }
    let matches = DynamicTransform {
        name: "matches".to_owned(),
        transform_name: "find-matches".to_owned(),
        inputs,
        parameters: vec![Parameter {
            name: "id".to_owned(),
            r#type: ParameterType::Str,
            value: vec![args.id.clone()],
        }],
        function_name: "find-matches".to_owned(),
        path: PLUGIN.to_owned(),
    };
    nodes.insert("matches".to_owned(), Node::DynamicTransform(matches));
    nodes.insert("out".to_owned(), target("out", "matches", out)?);
    if let Some(pairs) = &args.pairs {
        let select = SelectFromCollection {
            name: "pairs".to_owned(),
            inputs: vec!["matches".to_owned()],
            index: 1,
        };
        nodes.insert("pairs".to_owned(), Node::SelectFromCollection(select));
        nodes.insert("pairs_out".to_owned(), target("pairs_out", "pairs", pairs)?);
    }
    Ok(Job {
        name: "match".to_owned(),
        nodes,
        run_limits: args.limits.settings(),
        ..Job::default()
    })
}

fn suffix(path: &Path) -> String {
    path.extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase()
}

fn source(name: &str, path: &Path) -> Result<Node, Failure> {
    let (named, paths) = (name.to_owned(), vec![setup::absolute(path)]);
    match suffix(path).as_str() {
        "csv" => Ok(Node::S3CsvSource(csv(name, path, "comma"))),
        "tsv" => Ok(Node::S3CsvSource(csv(name, path, "tab"))),
        "json" | "jsonl" | "ndjson" => Ok(Node::S3JsonSource(JsonSource {
            name: named,
            paths,
            ..JsonSource::default()
        })),
        "parquet" => Ok(Node::S3ParquetSource(ParquetSource {
            name: named,
            paths,
            ..ParquetSource::default()
        })),
        other => Err(unknown_suffix(path, other)),
    }
}

fn csv(name: &str, path: &Path, separator: &str) -> CsvSource {
    CsvSource {
        name: name.to_owned(),
        paths: vec![setup::absolute(path)],
        separator: Some(separator.to_owned()),
        all_text: true,
        ..CsvSource::default()
    }
}

fn target(name: &str, input: &str, path: &Path) -> Result<Node, Failure> {
    let format = match suffix(path).as_str() {
        known @ ("csv" | "tsv" | "json" | "jsonl" | "ndjson" | "parquet") => known.to_owned(),
        other => return Err(unknown_suffix(path, other)),
    };
    let target = DirectTarget {
        name: name.to_owned(),
        inputs: vec![input.to_owned()],
        path: setup::absolute(path),
        format,
        ..DirectTarget::default()
    };
    Ok(Node::S3DirectTarget(target))
}

fn unknown_suffix(path: &Path, suffix: &str) -> Failure {
    Failure::new(format!(
        "{}: the suffix {suffix:?} names no format",
        path.display()
    ))
    .with_exit(Exit::Usage)
    .with_hint("use .csv, .tsv, .json, .jsonl or .parquet")
}

fn outcome(report: &RunReport, out: &Path, pairs: Option<&Path>) -> Report {
    let rows = |id: &str| {
        report
            .targets
            .iter()
            .find(|t| t.id == id)
            .map_or(0, |t| t.rows)
    };
    let mut record = Report::record()
        .field("records", cell(rows("out")))
        .field("out", cell(out.to_string_lossy().into_owned()));
    if let Some(pairs) = pairs {
        record = record
            .field("pairs", cell(rows("pairs_out")))
            .field("pairs_out", cell(pairs.to_string_lossy().into_owned()));
    }
    record
        .field("elapsed_millis", millis(report.elapsed))
        .field(
            "summary",
            cell(format!("matched in {}", human_time(report.elapsed))),
        )
}
