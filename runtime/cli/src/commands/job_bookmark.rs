//! `tenon job bookmark`: which files a job has read, and setting that back, over the server's REST interface.

use std::collections::BTreeMap;

use clap::Subcommand;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Failure;
use crate::remote::{Remote, escaped};
use crate::report::{Report, cell, cell_as, time};
use crate::shell::Shell;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List jobs whose runs moved their bookmark.
    #[command(visible_alias = "list")]
    Ls,
    /// Show what each source of a job has read, and the runs that the bookmark can be set back to.
    Show {
        /// The job's name.
        job: String,
    },
    /// Set the bookmark back to what it was after a run: what later runs read is read again.
    Rewind {
        /// The job's name.
        job: String,
        /// The run's id.
        run: String,
    },
    /// Count files modified before a moment as read, and no others.
    Set {
        /// The job's name.
        job: String,
        /// Such as 2026-01-31T00:00:00Z.
        #[arg(long, value_name = "TIME", value_parser = unix_millis)]
        before: u64,
    },
    /// Forget what the job has read: its next run reads everything.
    Reset {
        /// The job's name.
        job: String,
    },
}

fn unix_millis(text: &str) -> Result<u64, String> {
    let time = chrono::DateTime::parse_from_rfc3339(text).map_err(|error| error.to_string())?;
    u64::try_from(time.timestamp_millis()).map_err(|_| "it is before 1970".to_owned())
}

#[derive(Deserialize)]
struct Bookmark {
    version: u64,
    run: Option<String>,
    nodes: BTreeMap<String, Node>,
    runs: Vec<Moved>,
}

#[derive(Deserialize)]
struct Node {
    files: u64,
    newest_modified_millis: Option<u64>,
}

#[derive(Deserialize)]
struct Moved {
    run: String,
    files: u64,
}

/// Does what the verb says; `names` are those of all jobs below the path `jobs`.
pub(crate) fn run(
    shell: &Shell,
    remote: &Remote,
    jobs: &str,
    names: impl FnOnce() -> Result<Vec<String>, Failure>,
    verb: &Verb,
) -> Result<(), Failure> {
    let of = |job: &str| format!("{jobs}/{}/bookmark", escaped(job));
    let bookmark = match verb {
        Verb::Ls => return list(shell, remote, names()?, of),
        Verb::Show { job } => remote.get(&of(job))?,
        Verb::Rewind { job, run } => remote.send("PUT", &of(job), &json!({"run": run}))?,
        Verb::Set { job, before } => {
            remote.send("PUT", &of(job), &json!({"before_unix_millis": before}))?
        }
        Verb::Reset { job } => remote.send("DELETE", &of(job), &Value::Null)?,
    };
    show(shell, &bookmark)
}

fn list(
    shell: &Shell,
    remote: &Remote,
    names: Vec<String>,
    of: impl Fn(&str) -> String,
) -> Result<(), Failure> {
    let mut report = Report::list(&["job", "version", "run", "files"])
        .when_empty("no bookmarks: runs with --job-bookmark-option=job-bookmark-enable make them");
    for job in names {
        let bookmark: Bookmark = remote.get(&of(&job))?;
        if bookmark.version > 0 {
            let files: u64 = bookmark.nodes.values().map(|node| node.files).sum();
            report.row([
                cell(job),
                cell(bookmark.version),
                bookmark.run.map_or_else(|| cell(Value::Null), cell),
                cell(files),
            ]);
        }
    }
    shell.print(&report)
}

fn show(shell: &Shell, bookmark: &Bookmark) -> Result<(), Failure> {
    let mut nodes = Report::list(&["node", "files", "newest_modified"])
        .when_empty("no source has read anything");
    for (node, read) in &bookmark.nodes {
        let newest = read.newest_modified_millis;
        nodes.row([
            cell(node.as_str()),
            cell(read.files),
            newest.map_or_else(|| cell(Value::Null), time),
        ]);
    }
    let mut runs = Report::list(&["run", "files"]).when_empty("no run that it can be set back to");
    for moved in &bookmark.runs {
        runs.row([cell(moved.run.as_str()), cell(moved.files)]);
    }
    let head = Report::record()
        .field("version", cell(bookmark.version))
        .field(
            "run",
            bookmark
                .run
                .as_deref()
                .map_or_else(|| cell(Value::Null), cell),
        );
    if shell.is_json() {
        let parsed = |report: &Report| -> Result<Value, Failure> {
            Ok(serde_json::from_str(&report.to_json())?)
        };
        let head = head
            .field("nodes", cell_as(parsed(&nodes)?, ""))
            .field("runs", cell_as(parsed(&runs)?, ""));
        return shell.print(&head);
    }
    shell.print(&head)?;
    shell.print_text("\n")?;
    shell.print(&nodes)?;
    shell.print_text("\n")?;
    shell.print(&runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_carries_its_offset() {
        assert_eq!(unix_millis("1970-01-01T01:00:01+01:00"), Ok(1000));
        for bad in ["yesterday", "2026-01-31", "1969-12-31T00:00:00Z"] {
            assert!(unix_millis(bad).is_err(), "{bad}");
        }
    }
}
