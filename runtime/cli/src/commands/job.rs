//! `tenon job`: jobs of a running server and their runs, over its REST interface. What is done with jobs in files is in
//! `job_file.rs` and `job_definition.rs`.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use clap::Subcommand;
use serde::Deserialize;
use serde_json::{Value, json};
use tenon_jobs::{LogLine, NodeMetrics, RunMetrics};

use super::job_definition::{self, Settings};
use super::{job_bookmark, job_compare};
use crate::error::Failure;
use crate::exit::Exit;
use crate::remote::{Remote, ServerArgs, escaped};
use crate::report::{Cell, Report, bytes, cell, cell_as, cost, millis, time};
use crate::shell::Shell;

/// How often a run that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// States after which nothing happens to a run.
const ENDS: &[&str] = &[
    "STOPPED",
    "SUCCEEDED",
    "FAILED",
    "TIMEOUT",
    "ERROR",
    "EXPIRED",
];

/// Arguments of `tenon job`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
    /// Whose jobs, twelve digits; as it is, those of a server without accounts.
    #[arg(
        long,
        global = true,
        value_name = "ID",
        env = "TENON_ACCOUNT",
        default_value = "000000000000"
    )]
    account: String,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(flatten)]
    File(super::job_file::Verb),
    /// List jobs.
    #[command(visible_alias = "list")]
    Ls,
    /// Create a job from a file, or replace what it is.
    Put {
        /// A job: .toml, or .json as Glue exports it. Relative paths are those of its folder.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        settings: Settings,
    },
    /// Start a run.
    Submit {
        /// The job's name; or a file as for `put`, which is put first.
        job: String,
        /// An argument of the run, such as --arg=--day=2026-01-01; may be repeated.
        #[arg(long = "arg", value_name = "NAME=VALUE", value_parser = pair)]
        arguments: Vec<(String, String)>,
        /// Wait for its end, which is the command's.
        #[arg(long)]
        wait: bool,
    },
    /// List the newest runs of a job.
    Runs {
        /// The job's name.
        job: String,
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u64,
    },
    /// Show a run with what each of its nodes did.
    Show {
        /// The job's name.
        job: String,
        /// The run's id.
        run: String,
    },
    /// Print what the plugins of a run said, once it has ended.
    Logs {
        /// The job's name.
        job: String,
        /// The run's id.
        run: String,
    },
    /// Delete a job with its runs and its bookmark; what it wrote stays.
    Rm {
        /// The job's name.
        job: String,
    },
    /// Compare two runs: what their nodes did, and what they ran.
    Compare {
        /// The first run's id.
        run_a: String,
        /// The second run's id.
        run_b: String,
    },
    /// Which files jobs have read, and setting that back.
    #[command(subcommand)]
    Bookmark(job_bookmark::Verb),
    /// Ask a run to stop.
    Stop {
        /// The job's name.
        job: String,
        /// The run's id.
        run: String,
    },
}

pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[derive(Deserialize)]
struct Names {
    jobs: Vec<String>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Runs {
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Log {
    lines: Vec<LogLine>,
}

/// Which job a run is of.
#[derive(Deserialize)]
struct JobOfRun {
    job: String,
}

#[derive(Deserialize)]
struct Run {
    id: String,
    attempt: u32,
    state: String,
    started_unix_millis: u64,
    completed_unix_millis: Option<u64>,
    execution_seconds: u64,
    dpu_seconds: Option<f64>,
    error: Option<String>,
    problem: Option<String>,
    hint: Option<String>,
    rows_written: Option<u64>,
    cpu_micros: Option<u64>,
    metrics: Option<RunMetrics>,
}

/// Does what the verb says.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let of_file = match &args.verb {
        Verb::File(verb) => verb.of_run().is_none().then_some(verb),
        _ => None,
    };
    if let Some(verb) = of_file {
        return super::job_file::run(shell, verb);
    }
    let remote = args.server.remote(shell)?.ok_or_else(|| {
        Failure::new("jobs run in a server")
            .with_exit(Exit::Usage)
            .with_hint("name it: --server URL, or TENON_SERVER; `tenon run` runs a job from a file")
    })?;
    let jobs = format!("/v1/accounts/{}/jobs", escaped(&args.account));
    let of = |job: &str| format!("{jobs}/{}/runs", escaped(job));
    match &args.verb {
        Verb::File(verb) => match verb.of_run() {
            Some((run, format)) => {
                let found = format!(
                    "/v1/accounts/{}/runs/{}",
                    escaped(&args.account),
                    escaped(run)
                );
                let found: JobOfRun = remote.get(&found)?;
                let path = format!("{}/{}/graph", of(&found.job), escaped(run));
                let word = format.word(shell);
                shell.print_text(&remote.get_text(&format!("{path}?format={word}"))?)
            }
            None => super::job_file::run(shell, verb),
        },
        Verb::Ls => list(shell, &remote, &jobs),
        Verb::Submit {
            job,
            arguments,
            wait,
        } => {
            let name = match job_definition::is_file(job) {
                true => put(&remote, &jobs, Path::new(job), &Settings::default())?,
                false => job.clone(),
            };
            submit(shell, &remote, &of(&name), arguments, *wait)
        }
        Verb::Put { file, settings } => {
            let name = put(&remote, &jobs, file, settings)?;
            shell.print(&Report::record().field("job", cell(name)))
        }
        Verb::Rm { job } => remote.delete(&format!("{jobs}/{}", escaped(job))),
        Verb::Runs { job, limit } => {
            let page: Runs = remote.get(&format!("{}?limit={limit}", of(job)))?;
            runs(shell, page.runs)
        }
        Verb::Show { job, run } => {
            show(shell, remote.get(&format!("{}/{}", of(job), escaped(run)))?)
        }
        Verb::Logs { job, run } => {
            let path = format!("{}/{}/log", of(job), escaped(run));
            let log: Log = remote.get(&path)?;
            let mut report = Report::list(&["node", "level", "message"])
                .when_empty("no lines: no plugin of the run said anything");
            for line in log.lines {
                report.row([cell(line.node), cell(line.level), cell(line.message)]);
            }
            shell.print(&report)
        }
        Verb::Compare { run_a, run_b } => {
            let runs = format!("/v1/accounts/{}/runs", escaped(&args.account));
            job_compare::run(shell, &remote, &runs, [run_a, run_b])
        }
        Verb::Bookmark(verb) => {
            job_bookmark::run(shell, &remote, &jobs, || names(&remote, &jobs), verb)
        }
        Verb::Stop { job, run } => {
            let path = format!("{}/{}/stop", of(job), escaped(run));
            let run: Run = remote.send("POST", &path, &Value::Null)?;
            print(shell, &run)
        }
    }
}

/// Sends the job in a file; answers what it is called there.
fn put(remote: &Remote, jobs: &str, file: &Path, settings: &Settings) -> Result<String, Failure> {
    let (name, definition) = job_definition::read(file, settings)?;
    let path = format!("{jobs}/{}", escaped(&name));
    remote.send::<Value>("PUT", &path, &definition)?;
    Ok(name)
}

fn list(shell: &Shell, remote: &Remote, jobs: &str) -> Result<(), Failure> {
    let mut report = Report::list(&["job"])
        .when_empty("no jobs: `tenon job put FILE` makes one, and so does CreateJob of Glue");
    for job in names(remote, jobs)? {
        report.row([cell(job)]);
    }
    shell.print(&report)
}

/// The names of all jobs.
fn names(remote: &Remote, jobs: &str) -> Result<Vec<String>, Failure> {
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let page: Names = remote.get(&format!("{jobs}?limit=1000&after={}", escaped(&after)))?;
        names.extend(page.jobs);
        match page.next {
            Some(next) => after = next,
            None => return Ok(names),
        }
    }
}

fn submit(
    shell: &Shell,
    remote: &Remote,
    runs: &str,
    arguments: &[(String, String)],
    wait: bool,
) -> Result<(), Failure> {
    let arguments: Value = arguments
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let mut run: Run = remote.send("POST", runs, &json!({"arguments": arguments}))?;
    while wait && !ENDS.contains(&run.state.as_str()) {
        sleep(LOOK_EVERY);
        run = remote.get(&format!("{runs}/{}", escaped(&run.id)))?;
    }
    let problem = run
        .problem
        .clone()
        .or(run.error.clone())
        .unwrap_or_default();
    print(shell, &run)?;
    match run.state.as_str() {
        state if wait && state != "SUCCEEDED" => {
            let failure = Failure::new(format!("the run is {state}: {problem}"));
            Err(match &run.hint {
                Some(hint) => failure.with_hint(hint.clone()),
                None => failure,
            })
        }
        _ => Ok(()),
    }
}

fn runs(shell: &Shell, runs: Vec<Run>) -> Result<(), Failure> {
    let mut report = Report::list(&[
        "run",
        "state",
        "started",
        "execution_seconds",
        "rows_written",
        "cpu_millis",
        "error",
    ])
    .when_empty("no runs: `tenon job submit JOB` starts one");
    for run in runs {
        report.row([
            cell(run.id),
            cell(run.state),
            time(run.started_unix_millis),
            cell(run.execution_seconds),
            run.rows_written.map_or_else(none, cell),
            run.cpu_micros.map_or_else(none, micros),
            optional(run.error),
        ]);
    }
    shell.print(&report)
}

fn print(shell: &Shell, run: &Run) -> Result<(), Failure> {
    shell.print(&record(run))
}

fn record(run: &Run) -> Report {
    Report::record()
        .field("run", cell(run.id.as_str()))
        .field("state", cell(run.state.as_str()))
        .field("attempt", cell(run.attempt))
        .field("started", time(run.started_unix_millis))
        .field(
            "completed",
            run.completed_unix_millis.map_or_else(none, time),
        )
        .field("execution_seconds", cell(run.execution_seconds))
        .field("dpu_seconds", run.dpu_seconds.map_or_else(none, cell))
        .field(
            "problem",
            optional(run.problem.clone().or(run.error.clone())),
        )
        .field("hint", optional(run.hint.clone()))
}

fn show(shell: &Shell, run: Run) -> Result<(), Failure> {
    let metrics = run.metrics.clone().unwrap_or_default();
    let spent = record(&run)
        .field("cpu_millis", micros(metrics.cpu_micros))
        .field(
            "memory_byte_seconds",
            memory_seconds(metrics.memory_byte_seconds),
        )
        .field(
            "peak_memory_bytes",
            metrics.peak_memory_bytes.map_or_else(none, bytes),
        )
        .field("spilled_bytes", bytes(metrics.spilled_bytes));
    let spent = match metrics.cost {
        Some(spent_money) => spent.field("cost", cost(spent_money)),
        None => spent,
    };
    if shell.is_json() {
        return shell.print(&spent.field("nodes", cell_as(json!(metrics.nodes), "")));
    }
    shell.print(&spent)?;
    shell.print_text("\n")?;
    shell.print(&node_table(&metrics.nodes))
}

/// A column, and what it counts of a node.
type Seldom = (&'static str, fn(&NodeMetrics) -> u64);

/// What seldom happens to a node: a column of it is shown where it happened to one of them.
const SELDOM: [Seldom; 4] = [
    ("spilled_bytes", |node| node.spilled_bytes),
    ("rows_dropped", |node| node.rows_dropped),
    ("rows_quarantined", |node| node.rows_quarantined),
    ("retries", |node| node.retries),
];

fn node_table(nodes: &[NodeMetrics]) -> Report {
    let mut columns = vec![
        "node",
        "kind",
        "rows_in",
        "rows_out",
        "read_bytes",
        "written_bytes",
        "cpu_millis",
        "memory_bytes",
        "plugin",
        "plugin_cpu_millis",
    ];
    let happened = SELDOM.into_iter();
    let happened = happened.filter(|(_, count)| nodes.iter().any(|node| count(node) > 0));
    let happened: Vec<_> = happened.collect();
    columns.extend(happened.iter().map(|(column, _)| *column));
    let has_cost = nodes.iter().any(|node| node.cost.is_some());
    if has_cost {
        columns.push("cost");
    }
    let mut table = Report::list(&columns);
    for node in nodes {
        let plugin = node.plugin.as_ref();
        let mut row = vec![
            cell(node.node.as_str()),
            cell(node.kind.as_str()),
            cell(node.rows_in),
            cell(node.rows_out),
            node.bytes_read.map_or_else(none, bytes),
            node.bytes_written.map_or_else(none, bytes),
            micros(node.cpu_micros),
            bytes(node.memory_bytes),
            plugin.map_or_else(none, |plugin| cell(plugin.name.as_str())),
            plugin.map_or_else(none, |plugin| micros(plugin.cpu_micros)),
        ];
        let counted = happened.iter().map(|(column, count)| match *column {
            "spilled_bytes" => bytes(count(node)),
            _ => cell(count(node)),
        });
        row.extend(counted);
        if has_cost {
            row.push(node.cost.map_or_else(none, cost));
        }
        table.cells(row);
    }
    table
}

fn micros(micros: u64) -> Cell {
    millis(Duration::from_micros(micros))
}

/// Bytes times seconds; people see gigabytes.
fn memory_seconds(byte_seconds: f64) -> Cell {
    cell_as(byte_seconds, format!("{:.3} GB s", byte_seconds / 1e9))
}

fn optional(text: Option<String>) -> Cell {
    text.map_or_else(none, cell)
}

fn none() -> Cell {
    cell(Value::Null)
}
