//! Databases. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-databases.html>

use tenon_catalog::Database;

use super::shapes::{
    self, CreateDatabaseRequest, CreateDatabaseResponse, DeleteDatabaseRequest,
    DeleteDatabaseResponse, GetDatabaseRequest, GetDatabaseResponse, GetDatabasesRequest,
    GetDatabasesResponse, UpdateDatabaseRequest, UpdateDatabaseResponse,
};
use super::{Attributes, Context, fill, is_shared, page_size};
use crate::fault::Fault;

pub(super) fn create(
    context: &Context,
    input: CreateDatabaseRequest,
) -> Result<CreateDatabaseResponse, Fault> {
    let tags = input.tags.unwrap_or_default();
    context
        .catalog
        .create_database_with_tags(input.database_input, &tags)?;
    Ok(CreateDatabaseResponse {})
}

pub(super) fn get(
    context: &Context,
    input: GetDatabaseRequest,
) -> Result<GetDatabaseResponse, Fault> {
    let database = context.catalog.get_database(&input.name)?;
    Ok(GetDatabaseResponse {
        database: Some(context.owner().database(database)),
    })
}

pub(super) fn delete(
    context: &Context,
    input: DeleteDatabaseRequest,
) -> Result<DeleteDatabaseResponse, Fault> {
    context.catalog.delete_database(&input.name)?;
    Ok(DeleteDatabaseResponse {})
}

pub(super) fn update(
    context: &Context,
    input: UpdateDatabaseRequest,
) -> Result<UpdateDatabaseResponse, Fault> {
    context
        .catalog
        .update_database(&input.name, input.database_input)?;
    Ok(UpdateDatabaseResponse {})
}

pub(super) fn list(
    context: &Context,
    input: GetDatabasesRequest,
) -> Result<GetDatabasesResponse, Fault> {
    let share = input.resource_share_type.as_deref();
    let attributes = Attributes::read(input.attributes_to_get)?;
    let scope = ["GetDatabases", share.unwrap_or_default()];
    let page = fill(
        page_size(input.max_results, 100),
        context.cursor(&scope, input.next_token.as_deref())?,
        |cursor, limit| Ok(context.catalog.list_databases(cursor, limit)?),
        |database: &Database| is_shared(share, database.federated_database.is_some()),
        |database| database.name.clone(),
    )?;
    let list = page.items.into_iter();
    Ok(GetDatabasesResponse {
        database_list: Some(list.map(|item| shown(context, item, &attributes)).collect()),
        next_token: context.next_token(&scope, page.next),
    })
}

fn shown(context: &Context, database: Database, attributes: &Attributes) -> shapes::Database {
    if attributes.are_all() {
        return context.owner().database(database);
    }
    let has_target = attributes.contain("TARGET_DATABASE");
    shapes::Database {
        name: Some(database.name),
        target_database: database.target_database.filter(|_| has_target),
        ..shapes::Database::default()
    }
}
