//! `tenon plugin ls`: what is installed.

use serde_json::Value;
use tenon_registry::{Manifest, Record};

use super::registry;
use crate::error::Failure;
use crate::report::{Cell, Report, bytes, cell, cell_as, digest};
use crate::shell::Shell;

/// Arguments of `tenon plugin ls`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print at most this many.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// Lists by name, then from the oldest version to the newest.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let records = registry::open(shell)?.list().map_err(registry::failure)?;
    let mut report = Report::list(&[
        "name",
        "version",
        "kinds",
        "size_bytes",
        "digest",
        "description",
    ])
    .when_empty(
        "no plugins yet: `tenon plugin new NAME` makes one, `tenon plugin install` adds one",
    );
    for record in records.iter().take(args.limit.unwrap_or(usize::MAX)) {
        add(&mut report, record);
    }
    shell.print(&report)
}

fn add(report: &mut Report, record: &Record) {
    let manifest = &record.manifest;
    report.row([
        cell(manifest.name.as_str()),
        version(record),
        cell(kinds(manifest)),
        bytes(record.size_bytes),
        digest(&record.digest.to_string()),
        cell(manifest.description.as_str()),
    ]);
}

/// A yanked version says so to people; programs see only the version.
fn version(record: &Record) -> Cell {
    let version = record.manifest.version.to_string();
    match record.yanked {
        true => cell_as(version.clone(), format!("{version} (yanked)")),
        false => cell(version),
    }
}

/// The kinds of a plugin's functions, each once.
fn kinds(manifest: &Manifest) -> Value {
    let mut kinds: Vec<String> = Vec::new();
    for function in &manifest.functions {
        let kind = function.kind.to_string();
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds.into()
}
