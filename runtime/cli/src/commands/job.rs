//! `tenon job`: jobs of a running server and their runs, over its REST interface. What is done with jobs in files is in
//! `job_file.rs` and `job_definition.rs`.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use clap::Subcommand;
use serde::Deserialize;
use serde_json::{Value, json};
use tenon_jobs::{LogLine, RunMetrics};

use super::job_definition::{self, Settings};
use crate::error::Failure;
use crate::exit::Exit;
use crate::remote::{Remote, ServerArgs, escaped};
use crate::report::{Cell, Report, bytes, cell, cell_as, millis, time};
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
    metrics: Option<RunMetrics>,
}

/// Does what the verb says.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    if let Verb::File(verb) = &args.verb {
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
        Verb::File(verb) => super::job_file::run(shell, verb),
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
    let mut after = String::new();
    loop {
        let page: Names = remote.get(&format!("{jobs}?limit=1000&after={}", escaped(&after)))?;
        for job in page.jobs {
            report.row([cell(job)]);
        }
        match page.next {
            Some(next) => after = next,
            None => return shell.print(&report),
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
    let error = run.error.clone().unwrap_or_default();
    print(shell, &run)?;
    match run.state.as_str() {
        state if wait && state != "SUCCEEDED" => {
            Err(Failure::new(format!("the run is {state}: {error}")))
        }
        _ => Ok(()),
    }
}

fn runs(shell: &Shell, runs: Vec<Run>) -> Result<(), Failure> {
    let mut report = Report::list(&["run", "state", "started", "execution_seconds", "error"])
        .when_empty("no runs: `tenon job submit JOB` starts one");
    for run in runs {
        report.row([
            cell(run.id),
            cell(run.state),
            time(run.started_unix_millis),
            cell(run.execution_seconds),
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
        .field("error", optional(run.error.clone()))
}

fn show(shell: &Shell, run: Run) -> Result<(), Failure> {
    let metrics = run.metrics.clone().unwrap_or_default();
    if shell.is_json() {
        let nodes = cell_as(json!(metrics.nodes), "");
        let peak = metrics.peak_memory_bytes.map_or_else(none, bytes);
        let report = record(&run).field("peak_memory_bytes", peak);
        return shell.print(&report.field("nodes", nodes));
    }
    print(shell, &run)?;
    let mut nodes = Report::list(&[
        "node",
        "kind",
        "rows_in",
        "rows_out",
        "written_bytes",
        "cpu_millis",
        "spilled_bytes",
    ]);
    for node in metrics.nodes {
        nodes.row([
            cell(node.node),
            cell(node.kind),
            cell(node.rows_in),
            cell(node.rows_out),
            node.bytes_written.map_or_else(none, bytes),
            millis(Duration::from_micros(node.cpu_micros)),
            bytes(node.spilled_bytes),
        ]);
    }
    shell.print_text("\n")?;
    shell.print(&nodes)
}

fn optional(text: Option<String>) -> Cell {
    text.map_or_else(none, cell)
}

fn none() -> Cell {
    cell(Value::Null)
}
