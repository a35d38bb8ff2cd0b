//! `tenon account`: who may use this server, and how much.

use clap::Subcommand;
use serde_json::Value;
use tenon_server::{Account, Identity, IdentityError, NewKey, Quotas};

use super::setup;
use crate::error::Failure;
use crate::exit::Exit;
use crate::report::{Cell, Report, cell, cell_as, time};
use crate::shell::Shell;

/// Who the audit log says did what is done here.
pub(super) const BY: &str = "tenon command line";

/// Arguments of `tenon account`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create an account and its first access key; the secret is shown this once. The first account takes over
    /// what was stored before there was one, and from then on every request must be signed.
    Create {
        /// What people call it.
        name: String,
        /// Twelve digits [default: drawn].
        #[arg(long, value_name = "ID")]
        id: Option<String>,
    },
    /// List accounts.
    #[command(visible_alias = "list")]
    Ls,
    /// Set what an account may use. A limit that is not given is lifted.
    Limit {
        /// The account.
        id: String,
        /// Requests in a second, on average; more are answered with ThrottlingException.
        #[arg(long, value_name = "N")]
        requests_per_second: Option<u32>,
        /// Requests at once [default: twice the average].
        #[arg(long, value_name = "N", requires = "requests_per_second")]
        burst: Option<u32>,
        /// Databases.
        #[arg(long, value_name = "N")]
        databases: Option<u32>,
        /// Tables in all databases together.
        #[arg(long, value_name = "N")]
        tables: Option<u32>,
    },
    /// Delete an account with its keys and everything that is stored for it, its audit log included.
    Rm {
        /// The account.
        id: String,
        /// Do it: nothing brings it back.
        #[arg(long, required = true)]
        yes: bool,
    },
}

/// Does what the verb says.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let identity = setup::identity(shell)?;
    match &args.verb {
        Verb::Create { name, id } => create(shell, &identity, name, id.as_deref()),
        Verb::Ls => list(shell, &identity),
        Verb::Limit {
            id,
            requests_per_second,
            burst,
            databases,
            tables,
        } => {
            let quotas = Quotas {
                requests_per_second: *requests_per_second,
                burst: *burst,
                databases: *databases,
                tables: *tables,
            };
            identity.set_quotas(BY, id, quotas).map_err(failure)?;
            shell.print(&record(&identity.account(id).map_err(failure)?))
        }
        Verb::Rm { id, yes: _ } => {
            identity.delete_account(BY, id).map_err(failure)?;
            shell.print(&Report::record().field("deleted", cell(id.as_str())))
        }
    }
}

fn create(shell: &Shell, identity: &Identity, name: &str, id: Option<&str>) -> Result<(), Failure> {
    let is_first = !identity.is_closed();
    let (account, key) = identity.create_account(BY, id, name).map_err(failure)?;
    shell.print(&with_key(record(&account), &key))?;
    if is_first {
        shell.say("from now on every request must be signed with a key of an account");
    }
    Ok(())
}

fn list(shell: &Shell, identity: &Identity) -> Result<(), Failure> {
    let mut report = Report::list(&[
        "id",
        "name",
        "created",
        "requests_per_second",
        "databases",
        "tables",
    ])
    .when_empty(
        "no accounts: `tenon serve` accepts any key; `tenon account create NAME` makes one",
    );
    for account in identity.accounts().map_err(failure)? {
        let quotas = account.quotas;
        report.row([
            cell(account.id.as_str()),
            cell(account.name.as_str()),
            time(account.created_unix_millis),
            limit(quotas.requests_per_second),
            limit(quotas.databases),
            limit(quotas.tables),
        ]);
    }
    shell.print(&report)
}

fn record(account: &Account) -> Report {
    let quotas = account.quotas;
    Report::record()
        .field("id", cell(account.id.as_str()))
        .field("name", cell(account.name.as_str()))
        .field("created", time(account.created_unix_millis))
        .field("requests_per_second", limit(quotas.requests_per_second))
        .field("burst", limit(quotas.burst))
        .field("databases", limit(quotas.databases))
        .field("tables", limit(quotas.tables))
}

/// The one place where a secret is printed: its owner asked for it just now.
pub(super) fn with_key(report: Report, key: &NewKey) -> Report {
    report
        .field("access_key_id", cell(key.key.id.as_str()))
        .field("secret_access_key", cell(key.secret.reveal()))
}

fn limit(number: Option<u32>) -> Cell {
    match number {
        Some(number) => cell(number),
        None => cell_as(Value::Null, "no limit"),
    }
}

pub(super) fn failure(error: IdentityError) -> Failure {
    let exit = match &error {
        IdentityError::NotFound { .. } => Exit::NotFound,
        IdentityError::AlreadyExists { .. } => Exit::Conflict,
        IdentityError::Invalid(_) => Exit::Usage,
        IdentityError::MasterKey { .. } => Exit::NotAllowed,
        _ => Exit::Failed,
    };
    Failure::from(error).with_exit(exit)
}
