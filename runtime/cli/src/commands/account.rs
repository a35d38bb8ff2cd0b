//! `tenon account`: who may use this server, and how much.

use clap::Subcommand;
use serde_json::Value;
use tenon_server::Quotas;

use super::administration::{Account, Administration, KeyWithSecret};
use crate::error::Failure;
use crate::remote::ServerArgs;
use crate::report::{Cell, Report, cell, cell_as, time};
use crate::shell::Shell;

/// Arguments of `tenon account`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    server: ServerArgs,
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
        /// Functions in all databases together.
        #[arg(long, value_name = "N")]
        functions: Option<u32>,
        /// Connections.
        #[arg(long, value_name = "N")]
        connections: Option<u32>,
        /// ML transforms.
        #[arg(long, value_name = "N")]
        ml_transforms: Option<u32>,
        /// Partitions in all tables together.
        #[arg(long, value_name = "N")]
        partitions: Option<u32>,
        /// Partitions of one table.
        #[arg(long, value_name = "N")]
        partitions_per_table: Option<u32>,
        /// Versions kept of one table beside its newest.
        #[arg(long, value_name = "N")]
        versions_per_table: Option<u32>,
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
    let office = Administration::open(shell, &args.server)?;
    match &args.verb {
        Verb::Create { name, id } => create(shell, &office, name, id.as_deref()),
        Verb::Ls => list(shell, &office),
        Verb::Limit {
            id,
            requests_per_second,
            burst,
            databases,
            tables,
            functions,
            connections,
            ml_transforms,
            partitions,
            partitions_per_table,
            versions_per_table,
        } => {
            let quotas = Quotas {
                requests_per_second: *requests_per_second,
                burst: *burst,
                databases: *databases,
                tables: *tables,
                functions: *functions,
                connections: *connections,
                ml_transforms: *ml_transforms,
                partitions: *partitions,
                partitions_per_table: *partitions_per_table,
                versions_per_table: *versions_per_table,
            };
            office.set_quotas(id, quotas)?;
            shell.print(&record(&office.account(id)?))
        }
        Verb::Rm { id, yes: _ } => {
            office.delete_account(id)?;
            shell.print(&Report::record().field("deleted", cell(id.as_str())))
        }
    }
}

fn create(
    shell: &Shell,
    office: &Administration,
    name: &str,
    id: Option<&str>,
) -> Result<(), Failure> {
    let (account, key, is_first) = office.create_account(id, name)?;
    shell.print(&with_key(record(&account), &key))?;
    if is_first {
        shell.say("from now on every request must be signed with a key of an account");
    }
    Ok(())
}

fn list(shell: &Shell, office: &Administration) -> Result<(), Failure> {
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
    for account in office.accounts()? {
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
        .field("functions", limit(quotas.functions))
        .field("connections", limit(quotas.connections))
        .field("ml_transforms", limit(quotas.ml_transforms))
        .field("partitions", limit(quotas.partitions))
        .field("partitions_per_table", limit(quotas.partitions_per_table))
        .field("versions_per_table", limit(quotas.versions_per_table))
}

/// The one place where a secret is printed: its owner asked for it just now.
pub(super) fn with_key(report: Report, new: &KeyWithSecret) -> Report {
    report
        .field("access_key_id", cell(new.key.id.as_str()))
        .field("secret_access_key", cell(new.secret.as_str()))
}

fn limit(number: Option<u32>) -> Cell {
    match number {
        Some(number) => cell(number),
        None => cell_as(Value::Null, "no limit"),
    }
}
