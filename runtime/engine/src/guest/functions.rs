//! A plugin's functions as functions of SQL: `map` functions of one column are scalar functions, `aggregate` functions
//! aggregates, `table-function`s stand in FROM.
//!
//! A function's name in SQL is its own with `_` for `-`. Which plugins are asked is for the caller to say: a plan's own
//! plugin, or those of the registry that a query names.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, FieldRef, Schema};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::prelude::SessionContext;
use tenon_host::{Function, Kind};

use super::GuestNode;
use super::aggregate::GuestAggregate;
use super::budget::PoolBudget;
use super::drive::drive;
use super::scalar::GuestScalar;
use super::table::TableFunctions;

/// A function of a plugin in some session: what is needed to bind and open it.
#[derive(Debug, Clone)]
pub(crate) struct SqlFunction {
    pub(crate) guest: GuestNode,
    /// Its name in the plugin.
    pub(crate) function: Arc<str>,
    /// Its name in SQL.
    pub(crate) name: Arc<str>,
}

impl PartialEq for SqlFunction {
    fn eq(&self, other: &Self) -> bool {
        self.guest.plugin.digest() == other.guest.plugin.digest() && self.function == other.function
    }
}

impl Eq for SqlFunction {}

impl std::hash::Hash for SqlFunction {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.guest.plugin.digest().hash(state);
        self.function.hash(state);
    }
}

impl SqlFunction {
    pub(crate) fn budget(&self) -> Arc<PoolBudget> {
        PoolBudget::of(&self.guest.pool, &self.guest.reference)
    }

    /// Runs a call where DataFusion cannot wait.
    pub(crate) fn drive<T>(
        &self,
        call: impl Future<Output = tenon_host::Result<T>>,
    ) -> Result<T, DataFusionError> {
        drive(&self.guest.cancellation, call).map_err(|e| self.error(e))
    }

    pub(crate) fn error(&self, source: tenon_host::Error) -> DataFusionError {
        self.guest.error(&self.function, source).into()
    }
}

/// Arguments as a schema: SQL has no names for them.
pub(crate) fn arguments(fields: &[FieldRef]) -> Schema {
    let named = fields.iter().enumerate().map(|(i, field)| {
        Field::new(
            format!("arg{i}"),
            field.data_type().clone(),
            field.is_nullable(),
        )
        .with_metadata(field.metadata().clone())
    });
    Schema::new(named.collect::<Vec<_>>())
}

/// The name of a function in SQL.
pub(crate) fn sql_name(function: &str) -> String {
    function.replace('-', "_")
}

/// Makes these functions of a plugin callable in a session. `stream`, `plan`, `source` and `sink` functions are none
/// of SQL's.
pub(crate) fn register(
    context: &SessionContext,
    guest: &GuestNode,
    functions: &[Function],
) -> Result<()> {
    let mut tables = Vec::new();
    for function in functions {
        let callable = SqlFunction {
            guest: guest.clone(),
            function: function.name.as_str().into(),
            name: sql_name(&function.name).into(),
        };
        match function.kind {
            Kind::Map => {
                context.register_udf(ScalarUDF::new_from_impl(GuestScalar::new(callable)));
            }
            Kind::Aggregate => {
                context.register_udaf(AggregateUDF::new_from_impl(GuestAggregate::new(callable)));
            }
            Kind::TableFunction => tables.push(callable),
            Kind::Stream | Kind::Plan | Kind::Source | Kind::Sink => {}
        }
    }
    if !tables.is_empty() {
        let planner = Arc::new(TableFunctions::new(tables));
        context.register_relation_planner(planner)?;
    }
    Ok(())
}
