//! `tenon token`: bearer tokens for the REST interface.

use clap::Subcommand;
use serde_json::Value;

use super::administration::Administration;
use crate::error::Failure;
use crate::remote::ServerArgs;
use crate::report::{Cell, Report, cell, cell_as, time};
use crate::shell::Shell;

/// Arguments of `tenon token`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create a token; its text is shown this once.
    Create {
        /// What it is for.
        name: String,
        /// For what concerns this account only [default: for everything].
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// How long it is good for; 0 until it is revoked.
        #[arg(long, value_name = "DAYS", default_value_t = 90)]
        days: u32,
    },
    /// List tokens, also those that have ended.
    #[command(visible_alias = "list")]
    Ls,
    /// End a token.
    Revoke {
        /// Its id.
        id: String,
    },
}

/// Does what the verb says.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let office = Administration::open(shell, &args.server)?;
    match &args.verb {
        Verb::Create {
            name,
            account,
            days,
        } => create(shell, &office, name, account.as_deref(), *days),
        Verb::Ls => list(shell, &office),
        Verb::Revoke { id } => {
            office.revoke_token(id)?;
            shell.print(&Report::record().field("revoked", cell(id.as_str())))
        }
    }
}

fn create(
    shell: &Shell,
    office: &Administration,
    name: &str,
    account: Option<&str>,
    days: u32,
) -> Result<(), Failure> {
    let new = office.create_token(name, account, days)?;
    let report = Report::record()
        .field("id", cell(new.token.id.as_str()))
        .field("scope", scope_of(new.token.account))
        .field("expires", expires(new.token.expires_unix_millis))
        .field("token", cell(new.text));
    shell.print(&report)
}

fn list(shell: &Shell, office: &Administration) -> Result<(), Failure> {
    let mut report = Report::list(&["id", "name", "scope", "created", "expires"])
        .when_empty("no tokens: `tenon token create NAME` makes one");
    for token in office.tokens()? {
        report.row([
            cell(token.id),
            cell(token.name),
            scope_of(token.account),
            time(token.created_unix_millis),
            expires(token.expires_unix_millis),
        ]);
    }
    shell.print(&report)
}

fn scope_of(account: Option<String>) -> Cell {
    account.map_or_else(|| cell("admin"), cell)
}

fn expires(at: Option<u64>) -> Cell {
    at.map_or_else(|| cell_as(Value::Null, "when revoked"), time)
}
