//! Versions of tables. <https://docs.aws.amazon.com/glue/latest/webapi/API_GetTableVersions.html>

use super::shapes::{
    BatchDeleteTableVersionRequest, BatchDeleteTableVersionResponse, DeleteTableVersionRequest,
    DeleteTableVersionResponse, GetTableVersionRequest, GetTableVersionResponse,
    GetTableVersionsRequest, GetTableVersionsResponse, TableVersionError,
};
use super::shown::{detail, some_errors};
use super::{Context, page_size};
use crate::fault::Fault;

pub(super) fn get(
    context: &Context,
    input: GetTableVersionRequest,
) -> Result<GetTableVersionResponse, Fault> {
    let version_id = input.version_id.as_deref();
    let version =
        context
            .catalog
            .get_table_version(&input.database_name, &input.table_name, version_id)?;
    Ok(GetTableVersionResponse {
        table_version: Some(context.owner().table_version(version)),
    })
}

pub(super) fn delete(
    context: &Context,
    input: DeleteTableVersionRequest,
) -> Result<DeleteTableVersionResponse, Fault> {
    context.catalog.delete_table_version(
        &input.database_name,
        &input.table_name,
        &input.version_id,
    )?;
    Ok(DeleteTableVersionResponse {})
}

pub(super) fn batch_delete(
    context: &Context,
    input: BatchDeleteTableVersionRequest,
) -> Result<BatchDeleteTableVersionResponse, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    let ids = input.version_ids;
    let outcomes = context
        .catalog
        .delete_table_versions(database, table, &ids)?;
    let mut errors = Vec::new();
    for (id, outcome) in ids.into_iter().zip(outcomes) {
        if let Err(error) = outcome {
            errors.push(TableVersionError {
                table_name: Some(table.clone()),
                version_id: Some(id),
                error_detail: Some(detail(error)),
            });
        }
    }
    Ok(BatchDeleteTableVersionResponse {
        errors: some_errors(errors),
    })
}

pub(super) fn list(
    context: &Context,
    input: GetTableVersionsRequest,
) -> Result<GetTableVersionsResponse, Fault> {
    let (database, table) = (
        input.database_name.to_lowercase(),
        input.table_name.to_lowercase(),
    );
    let scope = ["GetTableVersions", &database, &table];
    let cursor = context.cursor(&scope, input.next_token.as_deref())?;
    let limit = page_size(input.max_results, 100);
    let page = context
        .catalog
        .get_table_versions(&database, &table, cursor.as_deref(), limit)?;
    let list = page.items.into_iter();
    Ok(GetTableVersionsResponse {
        table_versions: Some(
            list.map(|version| context.owner().table_version(version))
                .collect(),
        ),
        next_token: context.next_token(&scope, page.next),
    })
}
