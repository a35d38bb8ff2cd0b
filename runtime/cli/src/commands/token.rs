//! `tenon token`: bearer tokens for the REST interface.

use std::time::Duration;

use clap::Subcommand;
use serde_json::Value;
use tenon_server::{Identity, TokenScope};

use super::account::{BY, failure};
use super::setup;
use crate::error::Failure;
use crate::report::{Cell, Report, cell, cell_as, time};
use crate::shell::Shell;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Arguments of `tenon token`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
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
    let identity = setup::identity(shell)?;
    match &args.verb {
        Verb::Create {
            name,
            account,
            days,
        } => create(shell, &identity, name, account.clone(), *days),
        Verb::Ls => list(shell, &identity),
        Verb::Revoke { id } => {
            identity.revoke_token(BY, id).map_err(failure)?;
            shell.print(&Report::record().field("revoked", cell(id.as_str())))
        }
    }
}

fn create(
    shell: &Shell,
    identity: &Identity,
    name: &str,
    account: Option<String>,
    days: u32,
) -> Result<(), Failure> {
    let scope = account.map_or(TokenScope::Admin, TokenScope::Account);
    let lifetime = (days > 0).then(|| DAY * days);
    let new = identity
        .create_token(BY, name, scope, lifetime)
        .map_err(failure)?;
    let report = Report::record()
        .field("id", cell(new.token.id.as_str()))
        .field("scope", scope_of(&new.token.scope))
        .field("expires", expires(new.token.expires_unix_millis))
        .field("token", cell(new.text.reveal()));
    shell.print(&report)
}

fn list(shell: &Shell, identity: &Identity) -> Result<(), Failure> {
    let mut report = Report::list(&["id", "name", "scope", "created", "expires"])
        .when_empty("no tokens: `tenon token create NAME` makes one");
    for token in identity.tokens().map_err(failure)? {
        report.row([
            cell(token.id),
            cell(token.name),
            scope_of(&token.scope),
            time(token.created_unix_millis),
            expires(token.expires_unix_millis),
        ]);
    }
    shell.print(&report)
}

fn scope_of(scope: &TokenScope) -> Cell {
    match scope {
        TokenScope::Admin => cell("admin"),
        TokenScope::Account(id) => cell(id.as_str()),
    }
}

fn expires(at: Option<u64>) -> Cell {
    at.map_or_else(|| cell_as(Value::Null, "when revoked"), time)
}
