//! Catalogs. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-catalogs.html>
//!
//! The account's own catalog, `<account>`, is always there. Beside it there may be others, `<account>:<name>`,
//! whose databases, tables and connections every operation reaches by its `CatalogId`. Names are folded to
//! lower case. Catalogs that stand for something elsewhere (federated ones, those of Redshift) are refused.

use tenon_catalog::{NestedCatalog, NestedCatalogInput};

use super::shapes::{
    Catalog, CatalogInput, CreateCatalogRequest, CreateCatalogResponse, DeleteCatalogRequest,
    DeleteCatalogResponse, GetCatalogRequest, GetCatalogResponse, GetCatalogsRequest,
    GetCatalogsResponse, UpdateCatalogRequest, UpdateCatalogResponse,
};
use super::shown::some_parameters;
use super::{Context, fill, page_size};
use crate::fault::Fault;

pub(super) fn create(
    context: &Context,
    input: CreateCatalogRequest,
) -> Result<CreateCatalogResponse, Fault> {
    let given = served(input.catalog_input)?;
    let tags = input.tags.unwrap_or_default();
    context.catalog.create_catalog(&input.name, given, &tags)?;
    Ok(CreateCatalogResponse {})
}

pub(super) fn get(
    context: &Context,
    input: GetCatalogRequest,
) -> Result<GetCatalogResponse, Fault> {
    let name = context.nested_name(&input.catalog_id)?;
    let found = context.catalog.get_catalog(name)?;
    Ok(GetCatalogResponse {
        catalog: Some(shown(context, found)),
    })
}

pub(super) fn delete(
    context: &Context,
    input: DeleteCatalogRequest,
) -> Result<DeleteCatalogResponse, Fault> {
    let Some(name) = context.nested_name(&input.catalog_id)? else {
        return Err(Fault::invalid(
            "the account's own catalog cannot be deleted",
        ));
    };
    context.catalog.delete_catalog(name)?;
    Ok(DeleteCatalogResponse {})
}

pub(super) fn update(
    context: &Context,
    input: UpdateCatalogRequest,
) -> Result<UpdateCatalogResponse, Fault> {
    let given = served(input.catalog_input)?;
    let name = context.nested_name(&input.catalog_id)?;
    context.catalog.update_catalog(name, given)?;
    Ok(UpdateCatalogResponse {})
}

/// What the catalog keeps of an input.
fn served(given: CatalogInput) -> Result<NestedCatalogInput, Fault> {
    if given.federated_catalog.is_some() || given.target_redshift_catalog.is_some() {
        return Err(Fault::invalid(
            "FederatedCatalog and TargetRedshiftCatalog are not served here: a catalog holds its own databases",
        ));
    }
    Ok(NestedCatalogInput {
        description: given.description,
        parameters: given.parameters.unwrap_or_default(),
        catalog_properties: given.catalog_properties,
        create_table_default_permissions: given.create_table_default_permissions,
        create_database_default_permissions: given.create_database_default_permissions,
        allow_full_table_external_data_access: given.allow_full_table_external_data_access,
    })
}

/// Catalogs below the account's own; nested ones have none below them. The account's own comes first when
/// `IncludeRoot` asks for it.
pub(super) fn list(
    context: &Context,
    input: GetCatalogsRequest,
) -> Result<GetCatalogsResponse, Fault> {
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
        return Ok(GetCatalogsResponse {
            catalog_list: Some(Vec::new()),
            next_token: None,
        });
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
    let room = limit - usize::from(root.is_some());
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
    let list = root.into_iter().chain(page.items);
    Ok(GetCatalogsResponse {
        catalog_list: Some(list.map(|catalog| shown(context, catalog)).collect()),
        next_token: context.next_token(&scope, page.next),
    })
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
fn shown(context: &Context, catalog: NestedCatalog) -> Catalog {
    let (account, region) = (&context.account, &context.region);
    let arn = format!("arn:aws:glue:{region}:{account}:catalog");
    let (catalog_id, resource_arn, name) = match catalog.name {
        name if name.is_empty() => (account.clone(), arn, account.clone()),
        name => (format!("{account}:{name}"), format!("{arn}/{name}"), name),
    };
    let given = catalog.input;
    Catalog {
        catalog_id: Some(catalog_id),
        name: Some(name),
        resource_arn: Some(resource_arn),
        description: given.description,
        parameters: some_parameters(given.parameters),
        create_time: catalog.create_time,
        update_time: catalog.update_time,
        target_redshift_catalog: None,
        federated_catalog: None,
        catalog_properties: given.catalog_properties,
        create_table_default_permissions: given.create_table_default_permissions,
        create_database_default_permissions: given.create_database_default_permissions,
        allow_full_table_external_data_access: given.allow_full_table_external_data_access,
    }
}
