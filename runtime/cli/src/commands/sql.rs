//! `tenon sql`: one query over the catalog, and over the runs of jobs: see `system_tables`.

use std::sync::Arc;

use tenon_catalog::Catalog;
use tenon_store::{SledStore, SystemClock, Tenant};

use super::prices::PriceArgs;
use super::setup::{self, Resources};
use super::{rows, system_tables};
use crate::error::Failure;
use crate::exit::Exit;
use crate::shell::Shell;

/// Arguments of `tenon sql`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The query; tables are database.table, runs of jobs are system.runs and system.nodes.
    #[arg(value_name = "QUERY")]
    query: String,
    /// Print at most this many rows.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    limit: usize,
    /// Whose tables and runs, twelve digits; as it is, those of a server without accounts.
    #[arg(long, value_name = "ID", env = "TENON_ACCOUNT")]
    account: Option<String>,
    #[command(flatten)]
    prices: PriceArgs,
    #[command(flatten)]
    resources: Resources,
}

/// Runs the query.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let store = setup::store(shell)?;
    let tenant = tenant(shell, args, &store)?;
    let catalog = Catalog::open(Arc::clone(&store) as _, Arc::new(SystemClock)).tenant(tenant);
    let system = system_tables::tables(&store, tenant, args.prices.prices());
    let engine = setup::engine(shell, Some(catalog), &args.resources)?.with_system(system);
    let (batches, more) = setup::block_on(async {
        let _progress = shell.progress("query");
        let stream = engine.sql(&args.query).await.map_err(setup::failure)?;
        tenon_engine::first_rows(stream, args.limit)
            .await
            .map_err(setup::failure)
    })?;
    shell.print(&rows::report(&batches)?)?;
    if more {
        shell.say(&format!(
            "there are more than {} rows: raise --limit to see them",
            args.limit
        ));
    }
    Ok(())
}

/// The tenant that the account is.
fn tenant(shell: &Shell, args: &Args, store: &Arc<SledStore>) -> Result<Tenant, Failure> {
    let Some(account) = args.account.as_deref().filter(|id| !id.is_empty()) else {
        return Ok(setup::TENANT);
    };
    let identity = setup::identity_over(shell, Arc::clone(store))?;
    if !identity.is_closed() && account == OPEN_ACCOUNT {
        return Ok(setup::TENANT);
    }
    let mut accounts = identity.accounts()?.into_iter();
    let found = accounts.find(|found| found.id == account);
    let found = found.ok_or_else(|| {
        Failure::new(format!("there is no account {account}"))
            .with_exit(Exit::NotFound)
            .with_hint("see what there is: `tenon account ls`")
    })?;
    Ok(Tenant::new(found.tenant))
}

/// That of a server without accounts, unless it was started with another.
const OPEN_ACCOUNT: &str = "000000000000";
