//! Metadata for engines that enforce Lake Formation's filters themselves. There are no filters: every column may
//! be read, and nothing is registered. Also the answer to those who ask whether the catalog was imported.
//!
//! <https://docs.aws.amazon.com/glue/latest/webapi/API_GetUnfilteredTableMetadata.html>

use tenon_catalog::{Partition, Table};

use super::shapes::{
    CatalogImportStatus, GetCatalogImportStatusRequest, GetCatalogImportStatusResponse,
    GetUnfilteredPartitionMetadataRequest, GetUnfilteredPartitionMetadataResponse,
    GetUnfilteredPartitionsMetadataRequest, GetUnfilteredPartitionsMetadataResponse,
    GetUnfilteredTableMetadataRequest, GetUnfilteredTableMetadataResponse, UnfilteredPartition,
};
use super::{Context, partition};
use crate::fault::Fault;

pub(super) fn table(
    context: &Context,
    input: GetUnfilteredTableMetadataRequest,
) -> Result<GetUnfilteredTableMetadataResponse, Fault> {
    let table = context
        .catalog
        .get_table(&input.database_name, &input.name)?;
    let database = table.database_name.as_deref().unwrap_or_default();
    let arn = context.arn("table", &format!("{database}/{}", table.name));
    Ok(GetUnfilteredTableMetadataResponse {
        authorized_columns: Some(columns(&table, None)),
        table: Some(context.owner().table(table)),
        is_registered_with_lake_formation: Some(false),
        cell_filters: Some(Vec::new()),
        is_multi_dialect_view: Some(false),
        is_materialized_view: Some(false),
        is_protected: Some(false),
        resource_arn: Some(arn),
        ..GetUnfilteredTableMetadataResponse::default()
    })
}

pub(super) fn partition(
    context: &Context,
    input: GetUnfilteredPartitionMetadataRequest,
) -> Result<GetUnfilteredPartitionMetadataResponse, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    let found = context
        .catalog
        .get_partition(database, table, &input.partition_values)?;
    let table = context.catalog.get_table(database, table)?;
    Ok(GetUnfilteredPartitionMetadataResponse {
        authorized_columns: Some(columns(&table, Some(&found))),
        partition: Some(context.owner().partition(found)),
        is_registered_with_lake_formation: Some(false),
    })
}

pub(super) fn partitions(
    context: &Context,
    input: GetUnfilteredPartitionsMetadataRequest,
) -> Result<GetUnfilteredPartitionsMetadataResponse, Fault> {
    let table = context
        .catalog
        .get_table(&input.database_name, &input.table_name)?;
    let wanted = partition::Wanted {
        operation: "GetUnfilteredPartitionsMetadata",
        database: input.database_name,
        table: input.table_name,
        expression: input.expression,
        next_token: input.next_token,
        segment: input.segment,
        max_results: input.max_results,
        without_columns: false,
    };
    let (partitions, next_token) = wanted.page(context)?;
    let unfiltered = partitions.into_iter().map(|found| UnfilteredPartition {
        authorized_columns: Some(columns(&table, Some(&found))),
        partition: Some(context.owner().partition(found)),
        is_registered_with_lake_formation: Some(false),
    });
    Ok(GetUnfilteredPartitionsMetadataResponse {
        unfiltered_partitions: Some(unfiltered.collect()),
        next_token,
    })
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

/// There never was another catalog to import from.
pub(super) fn import_status(
    _: &Context,
    _: GetCatalogImportStatusRequest,
) -> Result<GetCatalogImportStatusResponse, Fault> {
    Ok(GetCatalogImportStatusResponse {
        import_status: Some(CatalogImportStatus {
            import_completed: Some(true),
            ..CatalogImportStatus::default()
        }),
    })
}
