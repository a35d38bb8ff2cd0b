//! `tenon key`: access keys, with which clients sign their requests.

use clap::Subcommand;
use tenon_server::{AccessKey, Identity};

use super::account::{BY, failure, with_key};
use super::setup;
use crate::error::Failure;
use crate::report::{Report, cell, time};
use crate::shell::Shell;

/// Arguments of `tenon key`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
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
    let identity = setup::identity(shell)?;
    match &args.verb {
        Verb::Create { account, user } => {
            let key = identity.create_key(BY, account, user).map_err(failure)?;
            shell.print(&with_key(Report::record(), &key))
        }
        Verb::Ls { account } => list(shell, &identity, account),
        Verb::Enable { id } => enable(shell, &identity, id, true),
        Verb::Disable { id } => enable(shell, &identity, id, false),
        Verb::Rm { id } => {
            identity.delete_key(BY, id).map_err(failure)?;
            shell.print(&Report::record().field("deleted", cell(id.as_str())))
        }
    }
}

fn enable(shell: &Shell, identity: &Identity, id: &str, enabled: bool) -> Result<(), Failure> {
    identity.enable_key(BY, id, enabled).map_err(failure)?;
    let report = Report::record()
        .field("access_key_id", cell(id))
        .field("enabled", cell(enabled));
    shell.print(&report)
}

fn list(shell: &Shell, identity: &Identity, account: &str) -> Result<(), Failure> {
    let mut report = Report::list(&["access_key_id", "user", "enabled", "created"])
        .when_empty("no keys: `tenon key create ACCOUNT` makes one");
    for key in identity.keys(account).map_err(failure)? {
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
