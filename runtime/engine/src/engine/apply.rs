//! A plugin's function over tables, as a table: for whoever has a plan of their own and wants a plugin in it.
//!
//! ```text
//! TableProvider ──apply("tenon:clean@1", "trim")──> TableProvider ──scan──> MapExec or StreamExec
//! ```
//!
//! The table is the same as the one behind a job's node, without the node's meter. It runs in the session of whoever
//! scans it: partitions and the memory pool are that session's, the guests' limits are the engine's.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use tenon_host::Kind;

use super::Engine;
use super::plan::scan;
use crate::error::{Error, Result};
use crate::guest::bound;
use crate::session::Scope;

impl Engine {
    /// The table that a `map` or `stream` function of a plugin makes of `inputs`. `config` is a JSON object. Nothing
    /// runs before the table is scanned; what the guest logs is dropped.
    ///
    /// # Errors
    /// There is no such plugin or function, it is a `plan` function, or it refuses the inputs.
    pub async fn apply(
        &self,
        plugin: &str,
        function: &str,
        config: &str,
        inputs: &[Arc<dyn TableProvider>],
    ) -> Result<Arc<dyn TableProvider>> {
        let scope = Scope::of(&self.session()?);
        let guest = self.guest(plugin, function, &scope).await?;
        let fail = |e: DataFusionError| Error::of_datafusion(function, &e);
        let found = guest.function(Some(function)).await;
        let kind = found.map_err(|e| fail(e.into()))?.kind;
        let refuse = |why: &str| Error::Definition(format!("{plugin} {function}: {why}"));
        if kind == Kind::Plan {
            return Err(refuse("a plan function is a job's node, not a table"));
        }
        let plans = inputs
            .iter()
            .enumerate()
            .map(|(i, input)| scan(&format!("input{i}"), Some(input)))
            .collect::<Result<Vec<_>>>()?;
        let table = bound(&guest, function, kind, config, plans).await;
        table
            .map_err(|e| fail(guest.error(function, e).into()))?
            .ok_or_else(|| refuse("a map function takes one input"))
    }
}
