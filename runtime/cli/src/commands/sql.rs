//! `tenon sql`: one query over the catalog.

use super::rows;
use super::setup::{self, Resources};
use crate::error::Failure;
use crate::shell::Shell;

/// Arguments of `tenon sql`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The query; tables are database.table.
    #[arg(value_name = "QUERY")]
    query: String,
    /// Print at most this many rows.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    limit: usize,
    #[command(flatten)]
    resources: Resources,
}

/// Runs the query.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let engine = setup::engine(shell, Some(setup::catalog(shell)?), &args.resources)?;
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
