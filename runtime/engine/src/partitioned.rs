//! Partitioned tables: the rows of every partition, with its values as columns.
//!
//! ```text
//! table (columns, keys) ── partitions of the catalog ── files of each ── columns cast to the table's types,
//!                                                                         values of the keys ── union
//! ```
//!
//! Columns go by their name, in any case; one that a partition's files do not have is null there. The types are those of
//! the table's definition, so that partitions whose files look different make one table.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    EmptyRelation, Expr, LogicalPlan, LogicalPlanBuilder, Union, cast, lit,
};
use tenon_catalog::{Partition, Table, schema_of};
use tenon_connect::Place;

use crate::bridge::open_at;

/// How Hive writes a value that is none.
pub(crate) const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// The table with these partitions, readable.
pub(crate) async fn open(
    place: &Place,
    table: &Table,
    partitions: &[Partition],
) -> Result<Arc<dyn TableProvider>> {
    let schema = schema_of(table)
        .map_err(|error| DataFusionError::Plan(format!("table {:?}: {error}", table.name)))?;
    let mut inputs = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let descriptor = partition.storage_descriptor.as_ref();
        let location = descriptor.and_then(|descriptor| descriptor.location.as_deref());
        let Some(location) = location else {
            return Err(DataFusionError::Plan(format!(
                "partition {:?} of table {:?} has no location",
                partition.values, table.name
            )));
        };
        let files = open_at(place, table, location).await?;
        inputs.push(Arc::new(rows(files, &schema, table, &partition.values)?));
    }
    let plan = match inputs.as_slice() {
        [] => LogicalPlan::EmptyRelation(EmptyRelation {
            produce_one_row: false,
            schema: Arc::new(DFSchema::try_from(schema)?),
        }),
        [one] => one.as_ref().clone(),
        _ => LogicalPlan::Union(Union::try_new(inputs)?),
    };
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// The rows of one partition in the table's schema, whose last fields are the keys.
fn rows(
    files: Arc<dyn TableProvider>,
    schema: &Schema,
    table: &Table,
    values: &[String],
) -> Result<LogicalPlan> {
    let found = files.schema();
    let columns = schema
        .fields()
        .len()
        .saturating_sub(table.partition_keys.len());
    let expressions = schema.fields().iter().enumerate().map(|(at, field)| {
        let value = match at.checked_sub(columns) {
            None => column(&found, field),
            Some(key) => key_value(values.get(key)),
        };
        cast(value, field.data_type().clone()).alias(field.name())
    });
    LogicalPlanBuilder::scan("files", provider_as_source(files), None)?
        .project(expressions.collect::<Vec<_>>())?
        .build()
}

fn column(found: &Schema, field: &Field) -> Expr {
    let same = |other: &&Arc<Field>| other.name().eq_ignore_ascii_case(field.name());
    match found.fields().iter().find(same) {
        Some(found) => Expr::Column(Column::new_unqualified(found.name())),
        None => lit(ScalarValue::Null),
    }
}

fn key_value(value: Option<&String>) -> Expr {
    match value {
        Some(value) if value != NO_VALUE => lit(value.clone()),
        _ => lit(ScalarValue::Null),
    }
}
