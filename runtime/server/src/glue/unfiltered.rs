//! Metadata for engines that enforce Lake Formation's filters themselves. There are no filters: every column may
//! be read, and nothing is registered. Also the answer to those who ask whether the catalog was imported.
//!
//! <https://docs.aws.amazon.com/glue/latest/webapi/API_GetUnfilteredTableMetadata.html>

use serde::Deserialize;
use serde_json::{Value, json};
use tenon_catalog::{Partition, Table};

use super::{Context, partition};
use crate::fault::Fault;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfTable {
    database_name: String,
    name: String,
}

pub(super) fn table(context: &Context, input: OfTable) -> Result<Value, Fault> {
    let table = context
        .catalog
        .get_table(&input.database_name, &input.name)?;
    let database = table.database_name.clone().unwrap_or_default();
    Ok(json!({
        "Table": context.show(&table)?,
        "AuthorizedColumns": columns(&table, None),
        "IsRegisteredWithLakeFormation": false,
        "CellFilters": [],
        "IsMultiDialectView": false,
        "IsMaterializedView": false,
        "IsProtected": false,
        "ResourceArn": context.arn("table", &format!("{database}/{}", table.name)),
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfPartition {
    database_name: String,
    table_name: String,
    partition_values: Vec<String>,
}

pub(super) fn partition(context: &Context, input: OfPartition) -> Result<Value, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    let found = context
        .catalog
        .get_partition(database, table, &input.partition_values)?;
    let table = context.catalog.get_table(database, table)?;
    unfiltered(context, &table, &found)
}

pub(super) fn partitions(context: &Context, input: partition::List) -> Result<Value, Fault> {
    let table = context.catalog.get_table(input.database(), input.table())?;
    let (page, scope) = partition::page(context, "GetUnfilteredPartitionsMetadata", input)?;
    let list = page
        .items
        .iter()
        .map(|found| unfiltered(context, &table, found))
        .collect::<Result<Vec<_>, _>>()?;
    let scope: Vec<_> = scope.iter().map(String::as_str).collect();
    Ok(context.with_next(json!({"UnfilteredPartitions": list}), &scope, page.next))
}

fn unfiltered(context: &Context, table: &Table, found: &Partition) -> Result<Value, Fault> {
    Ok(json!({
        "Partition": context.show(found)?,
        "AuthorizedColumns": columns(table, Some(found)),
        "IsRegisteredWithLakeFormation": false,
    }))
}

/// Names of all columns, of the partition where it has its own, and of the partition keys.
fn columns(table: &Table, partition: Option<&Partition>) -> Vec<String> {
    let own = partition.and_then(|partition| partition.storage_descriptor.as_ref());
    let own = own.filter(|descriptor| !descriptor.columns.is_empty());
    let descriptor = own.or(table.storage_descriptor.as_ref());
    descriptor
        .into_iter()
        .flat_map(|descriptor| &descriptor.columns)
        .chain(&table.partition_keys)
        .map(|column| column.name.clone())
        .collect()
}

#[derive(Deserialize)]
pub(super) struct Nothing {}

/// There never was another catalog to import from.
pub(super) fn import_status(_: &Context, _: Nothing) -> Result<Value, Fault> {
    Ok(json!({"ImportStatus": {"ImportCompleted": true}}))
}
