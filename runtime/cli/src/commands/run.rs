//! `tenon run`: runs a job from a file and says what it did.

use std::path::PathBuf;

use serde_json::json;
use tenon_engine::{Job, NodeReport, Progress, RunReport, TargetReport};

use super::rows;
use super::setup;
use crate::error::Failure;
use crate::report::{Report, bytes, cell, cell_as, human_bytes, human_time, millis};
use crate::shell::Shell;

/// Arguments of `tenon run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A job: .toml, or .json as Glue exports it.
    #[arg(value_name = "JOB")]
    job: PathBuf,
    /// Print the plan instead of running it.
    #[arg(long)]
    explain: bool,
}

/// Runs the job.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let job = Job::read(&args.job).map_err(setup::failure)?;
    let engine = setup::engine(shell, Some(setup::catalog(shell)?))?;
    if args.explain {
        let plan = setup::block_on(async { engine.explain(&job).await.map_err(setup::failure) })?;
        return shell.print_text(&plan);
    }
    let (progress, run) = (Progress::default(), setup::run_id());
    let report = setup::block_on(async {
        let running = engine.run(&job, &run, &progress);
        setup::with_progress(shell, &job.name, &progress, running)
            .await
            .map_err(setup::failure)
    })?;
    print(shell, &report)
}

/// Prints what a run did.
pub(crate) fn print(shell: &Shell, report: &RunReport) -> Result<(), Failure> {
    for (node, level, message) in &report.log {
        shell.detail(&format!("{node}: {level}: {message}"));
    }
    if shell.is_json() {
        return shell.print(&as_record(report));
    }
    shell.print(&node_table(&report.nodes))?;
    for target in &report.targets {
        shell.print_text(&target_text(target)?)?;
    }
    shell.print_text(&summary(report))
}

fn node_table(nodes: &[NodeReport]) -> Report {
    let mut table = Report::list(&[
        "node",
        "kind",
        "rows_in",
        "rows_out",
        "cpu_millis",
        "in_plugin_millis",
        "plugin_memory_bytes",
    ]);
    for node in nodes {
        let guest = node.guest;
        let missing = || cell(serde_json::Value::Null);
        table.row([
            cell(node.id.as_str()),
            cell(node.kind),
            cell(node.rows_in),
            cell(node.rows_out),
            millis(node.cpu),
            guest.map_or_else(missing, |guest| millis(guest.cpu)),
            guest.map_or_else(missing, |guest| bytes(guest.memory_bytes)),
        ]);
    }
    table
}

fn target_text(target: &TargetReport) -> Result<String, Failure> {
    let path = target.path.display();
    let mut text = format!(
        "\n{}: {} rows in {} files, {}, in {path}",
        target.id,
        target.rows,
        target.files,
        human_bytes(target.bytes)
    );
    if let Some(table) = &target.table {
        text += &format!("; table {table}");
    }
    text.push('\n');
    if let Some(preview) = &target.preview {
        text += &rows::to_table(std::slice::from_ref(preview))?;
    }
    Ok(text)
}

fn summary(report: &RunReport) -> String {
    let memory = report.peak_memory_bytes.map_or_else(String::new, |peak| {
        format!(", peak memory {}", human_bytes(peak))
    });
    let mut text = format!(
        "\n{} took {}{memory}\n",
        report.job,
        human_time(report.elapsed)
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

fn as_record(report: &RunReport) -> Report {
    let nodes = report.nodes.iter().map(node_json).collect::<Vec<_>>();
    let targets = report.targets.iter().map(target_json).collect::<Vec<_>>();
    Report::record()
        .field("job", cell(report.job.as_str()))
        .field("run", cell(report.run.as_str()))
        .field("elapsed_millis", millis(report.elapsed))
        .field(
            "peak_memory_bytes",
            report
                .peak_memory_bytes
                .map_or_else(|| cell(serde_json::Value::Null), bytes),
        )
        .field("nodes", cell_as(nodes, ""))
        .field("targets", cell_as(targets, ""))
}

fn node_json(node: &NodeReport) -> serde_json::Value {
    let guest = node.guest.map(|guest| {
        json!({
            "cpu_micros": u64::try_from(guest.cpu.as_micros()).unwrap_or(u64::MAX),
            "calls": guest.calls,
            "sent_bytes": guest.bytes_sent,
            "received_bytes": guest.bytes_received,
            "memory_bytes": guest.memory_bytes,
        })
    });
    json!({
        "id": node.id,
        "kind": node.kind,
        "rows_in": node.rows_in,
        "rows_out": node.rows_out,
        "cpu_micros": u64::try_from(node.cpu.as_micros()).unwrap_or(u64::MAX),
        "plugin": guest,
    })
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
        "table": target.table,
        "preview": preview.and_then(Result::ok),
    })
}
