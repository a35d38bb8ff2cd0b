//! `tenon match golden`: one record of each group of an earlier result.

use std::path::PathBuf;

use super::graph::{Call, Graph};
use super::rules::{self, Rule};
use crate::commands::setup::{Resources, RunLimits};
use crate::error::Failure;
use crate::report::{Report, cell, millis};
use crate::shell::Shell;

/// Arguments of `tenon match golden`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What was matched: records with their match_id.
    #[arg(value_name = "MATCHED")]
    matched: PathBuf,
    /// One record of each group, with how many records it has.
    #[arg(short, value_name = "OUT")]
    out: PathBuf,
    /// Which value a golden record gets: 'COLUMN: RULE', or RULE for all other columns; may be repeated. Rules:
    /// most_complete (the default), majority, longest, min, max, most_recent(COLUMN), source(COLUMN, FIRST, SECOND).
    #[arg(long = "rule", value_name = "RULE", value_parser = rules::parse)]
    rules: Vec<Rule>,
    /// The column with the groups.
    #[arg(long, value_name = "COLUMN", default_value = "match_id")]
    match_id: String,
    #[command(flatten)]
    limits: RunLimits,
    #[command(flatten)]
    resources: Resources,
}

/// Makes them.
pub(super) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let mut graph = Graph::new()?;
    graph.source("matched", &args.matched)?;
    let call = Call::new("golden", "golden-records")
        .table("matched")
        .text("match_id", args.match_id.as_str());
    graph.call(rules::add(call, &args.rules)?);
    graph.write("golden", &args.out)?;
    let count = "select count(*) as records from matched".to_owned();
    graph.query("counts", &["matched"], count);
    graph.read_back("counts")?;
    let ran = graph.run(shell, &args.limits, &args.resources)?;
    let records = ran.one("counts")?.get("records").cloned();
    let report = Report::record()
        .field("records", cell(records.unwrap_or_default()))
        .field("golden_records", cell(ran.rows("golden")))
        .field("out", cell(args.out.to_string_lossy().into_owned()))
        .field("elapsed_millis", millis(ran.0.elapsed));
    shell.print(&report)
}
