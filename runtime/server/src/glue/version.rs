//! Versions of tables. <https://docs.aws.amazon.com/glue/latest/webapi/API_GetTableVersions.html>

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Context, page_size};
use crate::fault::Fault;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    database_name: String,
    table_name: String,
    version_id: Option<String>,
}

pub(super) fn get(context: &Context, input: Named) -> Result<Value, Fault> {
    let version_id = input.version_id.as_deref();
    let version =
        context
            .catalog
            .get_table_version(&input.database_name, &input.table_name, version_id)?;
    Ok(json!({"TableVersion": context.show(&version)?}))
}

pub(super) fn delete(context: &Context, input: Named) -> Result<Value, Fault> {
    let version_id = input.version_id.unwrap_or_default();
    context
        .catalog
        .delete_table_version(&input.database_name, &input.table_name, &version_id)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchDelete {
    database_name: String,
    table_name: String,
    version_ids: Vec<String>,
}

pub(super) fn batch_delete(context: &Context, input: BatchDelete) -> Result<Value, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    context.catalog.get_table(database, table)?;
    let mut errors = Vec::new();
    for id in input.version_ids {
        if let Err(error) = context.catalog.delete_table_version(database, table, &id) {
            let detail = Fault::from(error).detail();
            errors.push(json!({"TableName": table, "VersionId": id, "ErrorDetail": detail}));
        }
    }
    Ok(if errors.is_empty() {
        json!({})
    } else {
        json!({"Errors": errors})
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    database_name: String,
    table_name: String,
    next_token: Option<String>,
    max_results: Option<i32>,
}

pub(super) fn list(context: &Context, input: List) -> Result<Value, Fault> {
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
    let list = context.show_all(&page.items)?;
    Ok(context.with_next(json!({"TableVersions": list}), &scope, page.next))
}
