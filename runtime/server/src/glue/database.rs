//! Databases. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-databases.html>

use serde::Deserialize;
use serde_json::{Value, json};
use tenon_catalog::{Database, DatabaseInput, Tags};

use super::{Context, attributes, fill, is_shared, only, page_size};
use crate::fault::Fault;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    database_input: DatabaseInput,
    #[serde(default)]
    tags: Tags,
}

pub(super) fn create(context: &Context, input: Create) -> Result<Value, Fault> {
    context
        .catalog
        .create_database_with_tags(input.database_input, &input.tags)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    name: String,
}

pub(super) fn get(context: &Context, input: Named) -> Result<Value, Fault> {
    let database = context.catalog.get_database(&input.name)?;
    Ok(json!({"Database": context.show(&database)?}))
}

pub(super) fn delete(context: &Context, input: Named) -> Result<Value, Fault> {
    context.catalog.delete_database(&input.name)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Update {
    name: String,
    database_input: DatabaseInput,
}

pub(super) fn update(context: &Context, input: Update) -> Result<Value, Fault> {
    context
        .catalog
        .update_database(&input.name, input.database_input)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    next_token: Option<String>,
    max_results: Option<i32>,
    attributes_to_get: Option<Vec<String>>,
    resource_share_type: Option<String>,
}

const ATTRIBUTES: [(&str, &str); 2] = [("NAME", "Name"), ("TARGET_DATABASE", "TargetDatabase")];

pub(super) fn list(context: &Context, input: List) -> Result<Value, Fault> {
    let share = input.resource_share_type.as_deref();
    let attributes = attributes(input.attributes_to_get.as_deref(), &ATTRIBUTES)?;
    let scope = ["GetDatabases", share.unwrap_or_default()];
    let page = fill(
        page_size(input.max_results, 100),
        context.cursor(&scope, input.next_token.as_deref())?,
        |cursor, limit| Ok(context.catalog.list_databases(cursor, limit)?),
        |database: &Database| is_shared(share, database.federated_database.is_some()),
        |database| database.name.clone(),
    )?;
    let list = context
        .show_all(&page.items)?
        .into_iter()
        .map(|item| only(item, &attributes));
    let answer = json!({"DatabaseList": list.collect::<Vec<_>>()});
    Ok(context.with_next(answer, &scope, page.next))
}
