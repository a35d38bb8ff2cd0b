//! Partition indexes. <https://docs.aws.amazon.com/glue/latest/dg/partition-indexes.html>
//!
//! Small tables are done with when the answer comes; the rest of a large one is left to a thread. What a stopped
//! server left undone goes on when it starts again; what failed is tried again when someone asks for the table's
//! indexes.

use std::thread;

use tenon_catalog::{IndexStatus, TenantCatalog, UnfinishedIndex};

use super::Context;
use super::shapes::{
    CreatePartitionIndexRequest, CreatePartitionIndexResponse, DeletePartitionIndexRequest,
    DeletePartitionIndexResponse, GetPartitionIndexesRequest, GetPartitionIndexesResponse,
};
use crate::fault::Fault;

/// Transactions before the answer.
const STEPS_AT_ONCE: usize = 10;

pub(super) fn create(
    context: &Context,
    input: CreatePartitionIndexRequest,
) -> Result<CreatePartitionIndexResponse, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    let index = &input.partition_index;
    context
        .catalog
        .create_partition_index(database, table, index)?;
    finish(&context.catalog, database, table, &index.index_name)?;
    Ok(CreatePartitionIndexResponse {})
}

pub(super) fn delete(
    context: &Context,
    input: DeletePartitionIndexRequest,
) -> Result<DeletePartitionIndexResponse, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    context
        .catalog
        .delete_partition_index(database, table, &input.index_name)?;
    finish(&context.catalog, database, table, &input.index_name)?;
    Ok(DeletePartitionIndexResponse {})
}

pub(super) fn list(
    context: &Context,
    input: GetPartitionIndexesRequest,
) -> Result<GetPartitionIndexesResponse, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    let indexes = context.catalog.get_partition_indexes(database, table)?;
    for index in &indexes {
        if matches!(
            index.index_status,
            IndexStatus::Creating | IndexStatus::Deleting
        ) {
            later(&context.catalog, database, table, &index.index_name);
        }
    }
    Ok(GetPartitionIndexesResponse {
        partition_index_descriptor_list: Some(indexes),
        next_token: None,
    })
}

fn finish(catalog: &TenantCatalog, database: &str, table: &str, index: &str) -> Result<(), Fault> {
    if !catalog.finish_partition_index(database, table, index, Some(STEPS_AT_ONCE))? {
        later(catalog, database, table, index);
    }
    Ok(())
}

/// Leaves an index to a thread, unless one is at it already.
fn later(catalog: &TenantCatalog, database: &str, table: &str, index: &str) {
    let unfinished = UnfinishedIndex {
        catalog: catalog.clone(),
        database: database.to_owned(),
        table: table.to_owned(),
        index: index.to_owned(),
    };
    in_a_thread(move || go_on(&unfinished));
}

/// Takes up what was left undone, beside the work.
pub(crate) fn take_up(catalogs: Vec<TenantCatalog>) {
    in_a_thread(move || {
        for catalog in catalogs {
            match catalog.unfinished_partition_indexes() {
                Ok(unfinished) => unfinished.iter().for_each(go_on),
                Err(error) => tracing::warn!(%error, "unfinished indexes cannot be found"),
            }
        }
    });
}

fn go_on(unfinished: &UnfinishedIndex) {
    if let Err(error) = unfinished.finish() {
        let UnfinishedIndex {
            database,
            table,
            index,
            ..
        } = unfinished;
        tracing::warn!(database, table, index, %error, "an index is not finished");
    }
}

/// In a thread of its own, for which the end of the server does not wait.
fn in_a_thread(work: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().name("partition-index".to_owned());
    if let Err(error) = thread.spawn(work) {
        tracing::warn!(%error, "no thread for an index");
    }
}
