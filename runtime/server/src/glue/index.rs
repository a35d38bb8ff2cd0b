//! Partition indexes. <https://docs.aws.amazon.com/glue/latest/dg/partition-indexes.html>
//!
//! Small tables are done with when the answer comes; the rest of a large one is left to a thread. What a stopped
//! server left undone goes on when someone asks for the table's indexes.

use std::thread;

use serde::Deserialize;
use serde_json::{Value, json};
use tenon_catalog::{IndexStatus, PartitionIndex, TenantCatalog};

use super::Context;
use crate::fault::Fault;

/// Transactions before the answer.
const STEPS_AT_ONCE: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    database_name: String,
    table_name: String,
    partition_index: PartitionIndex,
}

pub(super) fn create(context: &Context, input: Create) -> Result<Value, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    let index = &input.partition_index;
    context
        .catalog
        .create_partition_index(database, table, index)?;
    finish(&context.catalog, database, table, &index.index_name)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    database_name: String,
    table_name: String,
    index_name: String,
}

pub(super) fn delete(context: &Context, input: Named) -> Result<Value, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    context
        .catalog
        .delete_partition_index(database, table, &input.index_name)?;
    finish(&context.catalog, database, table, &input.index_name)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    database_name: String,
    table_name: String,
}

pub(super) fn list(context: &Context, input: List) -> Result<Value, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    let indexes = context.catalog.get_partition_indexes(database, table)?;
    for index in &indexes {
        if matches!(
            index.index_status,
            IndexStatus::Creating | IndexStatus::Deleting
        ) {
            go_on(&context.catalog, database, table, &index.index_name);
        }
    }
    Ok(json!({"PartitionIndexDescriptorList": context.show_all(&indexes)?}))
}

fn finish(
    catalog: &TenantCatalog,
    database: &str,
    table: &str,
    index: &str,
) -> Result<Value, Fault> {
    if !catalog.finish_partition_index(database, table, index, Some(STEPS_AT_ONCE))? {
        go_on(catalog, database, table, index);
    }
    Ok(json!({}))
}

/// Works on an index in a thread of its own, unless one does already.
fn go_on(catalog: &TenantCatalog, database: &str, table: &str, index: &str) {
    let catalog = catalog.clone();
    let (database, table, index) = (database.to_owned(), table.to_owned(), index.to_owned());
    let work = move || {
        let outcome = catalog.finish_partition_index(&database, &table, &index, None);
        if let Err(error) = outcome {
            let error = error.to_string();
            tracing::warn!(database, table, index, error, "an index is not finished");
        }
    };
    let thread = thread::Builder::new().name("partition-index".to_owned());
    if let Err(error) = thread.spawn(work) {
        tracing::warn!(%error, "no thread for an index");
    }
}
