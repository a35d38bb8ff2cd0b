//! `tenon audit`: who changed what, and when.

use chrono::DateTime;
use serde_json::json;
use tenon_server::{AuditEntry, AuditQuery};

use super::administration::Administration;
use crate::error::Failure;
use crate::exit::Exit;
use crate::remote::ServerArgs;
use crate::report::{Cell, Report, cell, cell_as, time};
use crate::shell::Shell;

/// Entries that are asked for at once.
const PAGE: usize = 1_000;

/// Arguments of `tenon audit`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The account; without it the server's own log, of accounts, keys and tokens. As long as there is no
    /// account, any twelve digits show what was changed.
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Not before: 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Not after.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only this principal: the ARN of a caller.
    #[arg(long, value_name = "ARN")]
    principal: Option<String>,
    /// Only this operation: glue:CreateTable.
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// Print at most this many, the newest.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    server: ServerArgs,
}

/// Lists, the newest first.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let office = Administration::open(shell, &args.server)?;
    let mut query = AuditQuery {
        from_unix_millis: args.from.as_deref().map(millis).transpose()?,
        until_unix_millis: args.until.as_deref().map(millis).transpose()?,
        principal: args.principal.clone(),
        operation: args.operation.clone(),
        limit: args.limit.clamp(1, PAGE),
        ..AuditQuery::default()
    };
    let mut report = Report::list(&[
        "time",
        "principal",
        "operation",
        "resource",
        "outcome",
        "request_id",
    ])
    .when_empty("nothing was changed");
    while report.len() < args.limit {
        let page = office.audit(args.account.as_deref(), &query)?;
        for entry in page.entries {
            report.row(row(entry));
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    report.truncate(args.limit);
    shell.print(&report)
}

fn row(entry: AuditEntry) -> [Cell; 6] {
    let names: Vec<String> = entry
        .resource
        .iter()
        .map(|(member, name)| format!("{member}={name}"))
        .collect();
    [
        time(entry.time_unix_millis),
        cell(entry.principal),
        cell(entry.operation),
        cell_as(json!(entry.resource), names.join(" ")),
        cell(entry.outcome),
        cell(entry.request_id),
    ]
}

fn millis(text: &str) -> Result<u64, Failure> {
    let time = DateTime::parse_from_rfc3339(text);
    let millis = time
        .ok()
        .and_then(|time| u64::try_from(time.timestamp_millis()).ok());
    millis.ok_or_else(|| {
        Failure::new(format!("{text:?} is not a time"))
            .with_exit(Exit::Usage)
            .with_hint("write it like 2026-01-31T12:00:00Z")
    })
}
