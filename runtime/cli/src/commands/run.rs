//! `tenon run`: runs a job from a file and says what it did.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tenon_engine::{Job, NodeReport, PluginReport, Progress, RunReport, TargetReport};
use tenon_host::LIMITS;
use tenon_jobs::Prices;

use super::prices::PriceArgs;
use super::rows;
use super::setup::{self, Resources, RunLimits};
use crate::error::Failure;
use crate::report::{Report, bytes, cell, cell_as, cost, digest, human_bytes, human_time, millis};
use crate::shell::Shell;

/// Arguments of `tenon run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A job: .toml, .sql, or .json as Glue exports it.
    #[arg(value_name = "JOB")]
    job: PathBuf,
    /// Print the plan instead of running it.
    #[arg(long)]
    explain: bool,
    /// Print what each plugin of the job is held to, and by whom, instead of running it.
    #[arg(long, conflicts_with = "explain")]
    explain_limits: bool,
    #[command(flatten)]
    limits: RunLimits,
    #[command(flatten)]
    resources: Resources,
    #[command(flatten)]
    prices: PriceArgs,
}

/// Runs the job.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let mut job = Job::read(&args.job).map_err(setup::failure)?;
    job.run_limits = args.limits.settings();
    let engine = setup::engine_with_catalog(shell, &args.resources)?;
    if args.explain_limits {
        let limits = engine.limits(&job).map_err(setup::failure)?;
        return shell.print(&limit_table(&limits));
    }
    if args.explain {
        let plan = setup::block_on(async { engine.explain(&job).await.map_err(setup::failure) })?;
        return shell.print_text(&plan);
    }
    let (progress, run) = (Progress::default(), setup::run_id());
    let report = setup::block_on_run(shell, &progress, async {
        let running = engine.run(&job, &run, &progress);
        setup::with_progress(shell, &job.name, &progress, running)
            .await
            .map_err(setup::failure)
    })?;
    print(shell, &report, &args.prices.prices())
}

/// Prints what a run did, and what it cost where prices are known.
fn print(shell: &Shell, report: &RunReport, prices: &Prices) -> Result<(), Failure> {
    for (node, level, message) in &report.log {
        shell.detail(&format!("{node}: {level}: {message}"));
    }
    if shell.is_json() {
        return shell.print(&as_record(report, prices));
    }
    shell.print(&node_table(&report.nodes, prices))?;
    let plugins = plugin_table(&report.nodes);
    if plugins.len() > 0 {
        shell.print_text("\n")?;
        shell.print(&plugins)?;
    }
    for target in &report.targets {
        shell.print_text(&target_text(target)?)?;
    }
    shell.print_text(&summary(report, prices))
}

/// A column, and what it counts of a node.
type Seldom = (&'static str, fn(&NodeReport) -> u64);

/// What seldom happens to a node: a column of it is shown where it happened to one of them.
const SELDOM: [Seldom; 3] = [
    ("rows_dropped", |node| node.rows_dropped),
    ("rows_quarantined", |node| node.rows_quarantined),
    ("retries", |node| node.retries),
];

fn node_table(nodes: &[NodeReport], prices: &Prices) -> Report {
    let mut columns = vec!["node", "kind", "rows_in", "rows_out", "cpu_millis"];
    let happened = SELDOM.into_iter();
    let happened = happened.filter(|(_, count)| nodes.iter().any(|node| count(node) > 0));
    let happened: Vec<_> = happened.collect();
    columns.extend(happened.iter().map(|(column, _)| *column));
    if !prices.are_unknown() {
        columns.push("cost");
    }
    let mut table = Report::list(&columns);
    for node in nodes {
        let mut row = vec![
            cell(node.id.as_str()),
            cell(node.kind),
            cell(node.rows_in),
            cell(node.rows_out),
            millis(node.cpu),
        ];
        row.extend(happened.iter().map(|(_, count)| cell(count(node))));
        row.extend(node_cost(node, prices).map(cost));
        table.cells(row);
    }
    table
}

/// What the plugins of the nodes used.
fn plugin_table(nodes: &[NodeReport]) -> Report {
    let mut table = Report::list(&[
        "node",
        "plugin",
        "digest",
        "cpu_millis",
        "calls",
        "sent_bytes",
        "received_bytes",
        "memory_bytes",
    ]);
    for node in nodes {
        let Some(plugin) = &node.plugin else { continue };
        let used = node.guest.unwrap_or_default();
        table.row([
            cell(node.id.as_str()),
            cell(plugin.reference.as_str()),
            digest(&plugin.digest),
            millis(used.cpu),
            cell(used.calls),
            bytes(used.bytes_sent),
            bytes(used.bytes_received),
            bytes(used.memory_bytes),
        ]);
    }
    table
}

fn limit_table(plugins: &[(String, PluginReport)]) -> Report {
    let mut table = Report::list(&["node", "plugin", "limit", "value", "set_by"])
        .when_empty("the job has no plugins");
    for (node, plugin) in plugins {
        for limit in LIMITS {
            let value = limit.of(&plugin.limits.limits);
            table.row([
                cell(node.as_str()),
                cell(plugin.reference.as_str()),
                cell(limit.name),
                cell_as(value, limit.show(value)),
                cell(plugin.limits.source(limit).name()),
            ]);
        }
    }
    table
}

fn target_text(target: &TargetReport) -> Result<String, Failure> {
    let path = target.path.display();
    let what = match target.is_quarantine {
        true => "rows in quarantine",
        false => "rows",
    };
    let mut text = format!(
        "\n{}: {} {what} in {} files, {}, in {path}",
        target.id,
        target.rows,
        target.files,
        human_bytes(target.bytes)
    );
    if target.partitions > 0 {
        text += &format!("; {} partitions", target.partitions);
    }
    if let Some(table) = &target.table {
        text += &format!("; table {table}");
    }
    text.push('\n');
    if let Some(preview) = &target.preview {
        text += &rows::to_table(std::slice::from_ref(preview))?;
    }
    Ok(text)
}

fn node_cost(node: &NodeReport, prices: &Prices) -> Option<f64> {
    prices.cost(micros(node.cpu), node.memory_byte_seconds)
}

fn run_cost(report: &RunReport, prices: &Prices) -> Option<f64> {
    let used = &report.used;
    prices.cost(micros(used.cpu), used.memory_byte_seconds)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn summary(report: &RunReport, prices: &Prices) -> String {
    let memory = report.peak_memory_bytes.map_or_else(String::new, |peak| {
        format!(", peak memory {}", human_bytes(peak))
    });
    let spilled: u64 = report.nodes.iter().map(|node| node.spilled_bytes).sum();
    let spilled = match spilled {
        0 => String::new(),
        bytes => format!(", {} on disk because memory was short", human_bytes(bytes)),
    };
    let cost = run_cost(report, prices);
    let cost = cost.map_or_else(String::new, |cost| format!(", cost {cost:.6}"));
    let mut text = format!(
        "\n{} took {}, CPU {}{memory}{spilled}{cost}\n",
        report.job,
        human_time(report.elapsed),
        human_time(report.used.cpu)
    );
    if let Some(table) = report
        .targets
        .iter()
        .find_map(|target| target.table.as_ref())
    {
        text += &format!(
            "try: tenon sql \"select * from {table} limit 10\"\n     tenon catalog show {table}\n"
        );
    }
    text
}

fn as_record(report: &RunReport, prices: &Prices) -> Report {
    let nodes = report
        .nodes
        .iter()
        .map(|node| node_json(node, prices))
        .collect::<Vec<_>>();
    let targets = report.targets.iter().map(target_json).collect::<Vec<_>>();
    let mut record = Report::record()
        .field("job", cell(report.job.as_str()))
        .field("run", cell(report.run.as_str()))
        .field("elapsed_millis", millis(report.elapsed))
        .field(
            "peak_memory_bytes",
            report
                .peak_memory_bytes
                .map_or_else(|| cell(serde_json::Value::Null), bytes),
        )
        .field("cpu_millis", millis(report.used.cpu))
        .field("memory_byte_seconds", cell(report.used.memory_byte_seconds))
        .field("nodes", cell_as(nodes, ""))
        .field("targets", cell_as(targets, ""));
    if let Some(spent) = run_cost(report, prices) {
        record = record.field("cost", cost(spent));
    }
    record
}

/// A node of a run for programs.
pub(crate) fn node_json(node: &NodeReport, prices: &Prices) -> serde_json::Value {
    let plugin = node.plugin.as_ref().map(|plugin| {
        let guest = node.guest.unwrap_or_default();
        json!({
            "name": plugin.reference,
            "digest": plugin.digest,
            "cpu_micros": micros(guest.cpu),
            "calls": guest.calls,
            "sent_bytes": guest.bytes_sent,
            "received_bytes": guest.bytes_received,
            "memory_bytes": guest.memory_bytes,
            "fuel": guest.fuel,
        })
    });
    let mut shown = json!({
        "id": node.id,
        "kind": node.kind,
        "rows_in": node.rows_in,
        "rows_out": node.rows_out,
        "bytes_read": node.is_source.then_some(node.bytes_read),
        "cpu_micros": micros(node.cpu),
        "memory_bytes": node.memory_bytes,
        "memory_byte_seconds": node.memory_byte_seconds,
        "spilled_bytes": node.spilled_bytes,
        "rows_dropped": node.rows_dropped,
        "rows_quarantined": node.rows_quarantined,
        "retries": node.retries,
        "plugin": plugin,
    });
    if let Some(spent) = node_cost(node, prices) {
        shown["cost"] = spent.into();
    }
    shown
}

fn target_json(target: &TargetReport) -> serde_json::Value {
    let preview = target
        .preview
        .as_ref()
        .map(|batch| rows::to_json(std::slice::from_ref(batch)));
    json!({
        "id": target.id,
        "path": target.path,
        "files": target.files,
        "rows": target.rows,
        "bytes": target.bytes,
        "partitions": target.partitions,
        "table": target.table,
        "is_quarantine": target.is_quarantine,
        "preview": preview.and_then(Result::ok),
    })
}
