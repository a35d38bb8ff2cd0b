//! `tenon key`: access keys, with which clients sign their requests.

use clap::Subcommand;
use tenon_server::AccessKey;

use super::account::with_key;
use super::administration::Administration;
use crate::error::Failure;
use crate::remote::ServerArgs;
use crate::report::{Report, cell, time};
use crate::shell::Shell;

/// Arguments of `tenon key`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create a key; its secret is shown this once.
    Create {
        /// The account.
        account: String,
        /// Who uses it; `root` is the account itself.
        #[arg(long, value_name = "NAME", default_value = "root")]
        user: String,
    },
    /// List the keys of an account.
    #[command(visible_alias = "list")]
    Ls {
        /// The account.
        account: String,
    },
    /// Let a key be used again.
    Enable {
        /// The key: AKIA...
        id: String,
    },
    /// Refuse what is signed with a key.
    Disable {
        /// The key: AKIA...
        id: String,
    },
    /// Delete a key, and with it every session that was begun with it.
    Rm {
        /// The key: AKIA...
        id: String,
    },
}

/// Does what the verb says.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let office = Administration::open(shell, &args.server)?;
    match &args.verb {
        Verb::Create { account, user } => {
            let key = office.create_key(account, user)?;
            shell.print(&with_key(Report::record(), &key))
        }
        Verb::Ls { account } => list(shell, &office, account),
        Verb::Enable { id } => enable(shell, &office, id, true),
        Verb::Disable { id } => enable(shell, &office, id, false),
        Verb::Rm { id } => {
            office.delete_key(id)?;
            shell.print(&Report::record().field("deleted", cell(id.as_str())))
        }
    }
}

fn enable(shell: &Shell, office: &Administration, id: &str, enabled: bool) -> Result<(), Failure> {
    office.enable_key(id, enabled)?;
    let report = Report::record()
        .field("access_key_id", cell(id))
        .field("enabled", cell(enabled));
    shell.print(&report)
}

fn list(shell: &Shell, office: &Administration, account: &str) -> Result<(), Failure> {
    let mut report = Report::list(&["access_key_id", "user", "enabled", "created"])
        .when_empty("no keys: `tenon key create ACCOUNT` makes one");
    for key in office.keys(account)? {
        let AccessKey {
            id,
            user,
            enabled,
            created_unix_millis,
            ..
        } = key;
        report.row([
            cell(id),
            cell(user),
            cell(enabled),
            time(created_unix_millis),
        ]);
    }
    shell.print(&report)
}
