//! Catalogs. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-catalogs.html>
//!
//! The account's own catalog, `<account>`, is always there. Beside it there may be others, `<account>:<name>`,
//! whose databases, tables and connections every operation reaches by its `CatalogId`. Names are folded to
//! lower case. Catalogs that stand for something elsewhere (federated ones, those of Redshift) are refused.

use serde::Deserialize;
use serde_json::{Value, json};
use tenon_catalog::{NestedCatalog, NestedCatalogInput, Tags};

use super::{Context, fill, page_size};
use crate::fault::Fault;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    name: String,
    catalog_input: Given,
    #[serde(default)]
    tags: Tags,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    #[serde(flatten)]
    input: NestedCatalogInput,
    federated_catalog: Option<Value>,
    target_redshift_catalog: Option<Value>,
}

impl Given {
    fn served(self) -> Result<NestedCatalogInput, Fault> {
        if self.federated_catalog.is_some() || self.target_redshift_catalog.is_some() {
            return Err(Fault::invalid(
                "FederatedCatalog and TargetRedshiftCatalog are not served here: a catalog holds its own databases",
            ));
        }
        Ok(self.input)
    }
}

pub(super) fn create(context: &Context, input: Create) -> Result<Value, Fault> {
    let given = input.catalog_input.served()?;
    context
        .catalog
        .create_catalog(&input.name, given, &input.tags)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    catalog_id: String,
}

pub(super) fn get(context: &Context, input: Named) -> Result<Value, Fault> {
    let name = context.nested_name(&input.catalog_id)?;
    let found = context.catalog.get_catalog(name)?;
    Ok(json!({"Catalog": show(context, &found)?}))
}

pub(super) fn delete(context: &Context, input: Named) -> Result<Value, Fault> {
    let Some(name) = context.nested_name(&input.catalog_id)? else {
        return Err(Fault::invalid(
            "the account's own catalog cannot be deleted",
        ));
    };
    context.catalog.delete_catalog(name)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Update {
    catalog_id: String,
    catalog_input: Given,
}

pub(super) fn update(context: &Context, input: Update) -> Result<Value, Fault> {
    let given = input.catalog_input.served()?;
    let name = context.nested_name(&input.catalog_id)?;
    context.catalog.update_catalog(name, given)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    parent_catalog_id: Option<String>,
    next_token: Option<String>,
    max_results: Option<i32>,
    include_root: Option<bool>,
    has_databases: Option<bool>,
}

/// Catalogs below the account's own; nested ones have none below them. The account's own comes first when
/// `IncludeRoot` asks for it.
pub(super) fn list(context: &Context, input: List) -> Result<Value, Fault> {
    let parent = input.parent_catalog_id.as_deref();
    let nested_parent = parent
        .map(|id| context.nested_name(id))
        .transpose()?
        .flatten();
    if let Some(name) = nested_parent {
        context.catalog.get_catalog(Some(name))?;
        if input.include_root.is_some() {
            return Err(Fault::invalid(
                "IncludeRoot is about the account's own catalog and ParentCatalogId names another",
            ));
        }
        return Ok(json!({"CatalogList": []}));
    }
    let with_root = input.include_root.unwrap_or(false);
    let only_with = input.has_databases.unwrap_or(false);
    let scope = [
        "GetCatalogs",
        if with_root { "root" } else { "" },
        if only_with { "databases" } else { "" },
    ];
    // Catalogs have names, the account's own comes before all of them.
    let cursor = context.cursor(&scope, input.next_token.as_deref())?;
    let is_first = cursor.is_none();
    let cursor = cursor.filter(|name| !name.is_empty());
    let root = (with_root && is_first && (!only_with || has_databases(context, None)))
        .then(|| context.catalog.get_catalog(None))
        .transpose()?;
    let limit = page_size(input.max_results, 100);
    let mut list: Vec<_> = root
        .iter()
        .map(|root| show(context, root))
        .collect::<Result<_, _>>()?;
    let room = limit - list.len();
    let mut page = fill(
        room.max(1),
        cursor,
        |cursor, limit| Ok(context.catalog.list_catalogs(cursor, limit)?),
        |catalog: &NestedCatalog| !only_with || has_databases(context, Some(&catalog.name)),
        |catalog| catalog.name.clone(),
    )?;
    if room == 0 && !page.items.is_empty() {
        // The page is full with the account's own.
        page.items.clear();
        page.next = Some(String::new());
    }
    for nested in &page.items {
        list.push(show(context, nested)?);
    }
    Ok(context.with_next(json!({"CatalogList": list}), &scope, page.next))
}

fn has_databases(context: &Context, name: Option<&str>) -> bool {
    let catalog = match name {
        None => Ok(context.catalog.clone()),
        Some(name) => context.catalog.nested(name),
    };
    catalog
        .and_then(|catalog| catalog.list_databases(None, 1))
        .is_ok_and(|page| !page.items.is_empty())
}

/// A catalog as callers see it: with its identifier and its ARN. The account's own is named like the account.
fn show(context: &Context, catalog: &NestedCatalog) -> Result<Value, Fault> {
    let (account, region, name) = (&context.account, &context.region, &catalog.name);
    let mut shown = context.show(catalog)?;
    let arn = format!("arn:aws:glue:{region}:{account}:catalog");
    (shown["CatalogId"], shown["ResourceArn"], shown["Name"]) = match name.as_str() {
        "" => (json!(account), json!(arn), json!(account)),
        name => (
            json!(format!("{account}:{name}")),
            json!(format!("{arn}/{name}")),
            json!(name),
        ),
    };
    Ok(shown)
}
