//! `tenon store`, `tenon backup`, `tenon restore`: the files under the catalog, while no server has them; a backup also of
//! one that runs.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;
use tenon_store::{BackupReport, SystemClock, Touched};

use crate::error::{Explain, Failure};
use crate::exit::Exit;
use crate::remote::{Remote, ServerArgs, hint_in_use};
use crate::report::{Report, bytes, cell, cell_as, time};
use crate::shell::Shell;

/// Arguments of `tenon store`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Read everything and compare it with its checksums; changes nothing.
    Verify,
    /// Rebuild from the newest sound checkpoint and the journal.
    Repair {
        /// Give up what was written after this number, where the journal is damaged: nothing brings it back.
        #[arg(long, value_name = "N")]
        to_seq: Option<u64>,
    },
    /// Bring an older layout to this version's.
    Migrate,
    /// List the transactions in the journal, which tells up to where to repair.
    Log {
        /// Only those after this number.
        #[arg(long, value_name = "N", default_value_t = 0)]
        after: u64,
        /// Print at most this many.
        #[arg(long, value_name = "N", default_value_t = 1_000)]
        limit: usize,
    },
}

/// Arguments of `tenon backup`.
#[derive(Debug, clap::Args)]
pub(crate) struct BackupArgs {
    /// The file to write.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
}

/// Arguments of `tenon restore`.
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    /// What `tenon backup` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Does what the verb says.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let dir = dir(shell)?;
    let done = match &args.verb {
        Verb::Verify => {
            let _progress = shell.progress("verifying");
            tenon_store::verify(&dir)
        }
        Verb::Repair { to_seq } => {
            let _progress = shell.progress("repairing");
            tenon_store::repair(&dir, *to_seq, &SystemClock)
        }
        Verb::Migrate => {
            let _progress = shell.progress("migrating");
            tenon_store::migrate(&dir, &SystemClock)
        }
        Verb::Log { after, limit } => return log(shell, &dir, *after, *limit),
    };
    let report = done.map_err(failure)?;
    shell.print(&record(&report))?;
    if report.problems.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the store in {} has problems: {}",
        dir.display(),
        report.problems.join("; ")
    ))
    .with_hint("the next start rebuilds what can be rebuilt; `tenon store repair` does it now"))
}

fn log(shell: &Shell, dir: &Path, after: u64, limit: usize) -> Result<(), Failure> {
    let found = tenon_store::log(dir, after, limit).map_err(failure)?;
    let mut report = Report::list(&["seq", "time", "tenant", "actor", "records"])
        .when_empty("the journal has no such transaction");
    for change in &found.changes {
        let records: Vec<String> = change
            .records
            .iter()
            .map(|(tree, key, touched)| match touched {
                Touched::Put => format!("put {tree} {key}"),
                Touched::Deleted => format!("delete {tree} {key}"),
            })
            .collect();
        report.row([
            cell(change.seq),
            time(change.unix_millis),
            cell(change.tenant.number()),
            cell(change.actor.as_str()),
            cell_as(json!(records), records.join("\n")),
        ]);
    }
    shell.print(&report)?;
    match found.problem {
        None => Ok(()),
        Some(problem) => Err(Failure::new(problem)
            .with_hint("`tenon store repair --to-seq N` gives up what comes after N")),
    }
}

/// Writes the newest checkpoint and the journal since into one file.
pub(crate) fn backup(shell: &Shell, args: &BackupArgs) -> Result<(), Failure> {
    let remote = args.server.remote(shell)?;
    let progress = shell.progress("backing up");
    let report = match remote {
        Some(remote) => fetch(&remote, &args.file)?,
        None => {
            let done = tenon_store::backup(&dir(shell)?, &args.file);
            done.map_err(|error| hint_in_use(failure(error)))?
        }
    };
    drop(progress);
    let report = Report::record()
        .field("file", cell(args.file.display().to_string()))
        .field("size_bytes", bytes(report.bytes))
        .field("last_seq", cell(report.last_seq))
        .field("digest", cell(report.digest));
    shell.print(&report)
}

/// Has a server write its backup into a file, which appears only when it is whole.
fn fetch(remote: &Remote, file: &Path) -> Result<BackupReport, Failure> {
    let shown = file.display().to_string();
    if file.exists() {
        return Err(Failure::new(format!("{shown} exists"))
            .with_exit(Exit::Conflict)
            .with_hint("choose another name"));
    }
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let beside = tempfile::Builder::new()
        .prefix(".backup-")
        .tempfile_in(folder.unwrap_or(Path::new(".")));
    let mut beside = beside.what(|| format!("cannot write {shown}"))?;
    remote.download("/v1/backup", beside.as_file_mut())?;
    let synced = beside.as_file().sync_all();
    synced.what(|| format!("cannot write {shown}"))?;
    let report = tenon_store::check_backup(beside.path()).map_err(failure)?;
    let named = beside.persist_noclobber(file).map_err(|error| error.error);
    named.what(|| format!("cannot write {shown}"))?;
    Ok(report)
}

/// Makes a store of such a file in a data folder that has none.
pub(crate) fn restore(shell: &Shell, args: &RestoreArgs) -> Result<(), Failure> {
    let progress = shell.progress("restoring");
    let report = tenon_store::restore(&args.file, &dir(shell)?, &SystemClock).map_err(failure)?;
    drop(progress);
    shell.print(&record(&report))
}

fn dir(shell: &Shell) -> Result<PathBuf, Failure> {
    Ok(shell.data()?.join("store"))
}

fn record(report: &tenon_store::Report) -> Report {
    let entries: Vec<String> = report
        .entries
        .iter()
        .map(|(tree, count)| format!("{tree} {count}"))
        .collect();
    let checkpoints: Vec<String> = report
        .checkpoints
        .iter()
        .map(|c| format!("{} {}", c.seq, if c.sound { "sound" } else { "damaged" }))
        .collect();
    let lines = |lines: &[String]| match lines.is_empty() {
        true => "-".to_owned(),
        false => lines.join("\n"),
    };
    Report::record()
        .field("store", cell(report.dir.display().to_string()))
        .field("last_seq", cell(report.last_seq))
        .field("digest", cell(report.digest.as_str()))
        .field("entries", cell_as(json!(report.entries), lines(&entries)))
        .field(
            "checkpoints",
            cell_as(json!(report.checkpoints), lines(&checkpoints)),
        )
        .field("done", cell_as(report.done.clone(), lines(&report.done)))
        .field(
            "problems",
            cell_as(report.problems.clone(), lines(&report.problems)),
        )
}

fn failure(error: tenon_store::Error) -> Failure {
    let exit = match &error {
        tenon_store::Error::Locked { .. } => Exit::Conflict,
        _ => Exit::Failed,
    };
    Failure::from(error).with_exit(exit)
}
