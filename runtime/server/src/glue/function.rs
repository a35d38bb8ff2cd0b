//! User-defined functions. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-functions.html>

use serde_json::json;
use tenon_catalog::{Error, Page, UserDefinedFunction};

use super::shapes::{
    CreateUserDefinedFunctionRequest, CreateUserDefinedFunctionResponse,
    DeleteUserDefinedFunctionRequest, DeleteUserDefinedFunctionResponse,
    GetUserDefinedFunctionRequest, GetUserDefinedFunctionResponse, GetUserDefinedFunctionsRequest,
    GetUserDefinedFunctionsResponse, UpdateUserDefinedFunctionRequest,
    UpdateUserDefinedFunctionResponse,
};
use super::table::name_expression;
use super::{Context, fill, page_size};
use crate::fault::Fault;

pub(super) fn create(
    context: &Context,
    input: CreateUserDefinedFunctionRequest,
) -> Result<CreateUserDefinedFunctionResponse, Fault> {
    context
        .catalog
        .create_function(&input.database_name, input.function_input)?;
    Ok(CreateUserDefinedFunctionResponse {})
}

pub(super) fn get(
    context: &Context,
    input: GetUserDefinedFunctionRequest,
) -> Result<GetUserDefinedFunctionResponse, Fault> {
    let function = context
        .catalog
        .get_function(&input.database_name, &input.function_name)?;
    Ok(GetUserDefinedFunctionResponse {
        user_defined_function: Some(context.owner().function(function)),
    })
}

pub(super) fn delete(
    context: &Context,
    input: DeleteUserDefinedFunctionRequest,
) -> Result<DeleteUserDefinedFunctionResponse, Fault> {
    context
        .catalog
        .delete_function(&input.database_name, &input.function_name)?;
    Ok(DeleteUserDefinedFunctionResponse {})
}

pub(super) fn update(
    context: &Context,
    input: UpdateUserDefinedFunctionRequest,
) -> Result<UpdateUserDefinedFunctionResponse, Fault> {
    context.catalog.update_function(
        &input.database_name,
        &input.function_name,
        input.function_input,
    )?;
    Ok(UpdateUserDefinedFunctionResponse {})
}

/// The pattern is a regular expression over whole names; without a database, functions of all of them are found.
pub(super) fn list(
    context: &Context,
    input: GetUserDefinedFunctionsRequest,
) -> Result<GetUserDefinedFunctionsResponse, Fault> {
    let database = input.database_name.map(|name| name.to_lowercase());
    let wanted_type = input.function_type.unwrap_or_default();
    let scope = [
        "GetUserDefinedFunctions",
        database.as_deref().unwrap_or_default(),
        &input.pattern,
        &wanted_type,
    ];
    let expression = name_expression(&input.pattern)?;
    let page = fill(
        page_size(input.max_results, 100),
        context.cursor(&scope, input.next_token.as_deref())?,
        |cursor, limit| match &database {
            Some(database) => Ok(context.catalog.list_functions(database, cursor, limit)?),
            None => everywhere(context, cursor, limit),
        },
        |function: &UserDefinedFunction| {
            let of_type =
                wanted_type.is_empty() || function.function_type.as_ref() == Some(&wanted_type);
            let name = &function.function_name;
            of_type && expression.as_ref().is_none_or(|regex| regex.is_match(name))
        },
        |function| match &database {
            Some(_) => function.function_name.clone(),
            None => place(function),
        },
    )?;
    let list = page.items.into_iter();
    Ok(GetUserDefinedFunctionsResponse {
        user_defined_functions: Some(
            list.map(|function| context.owner().function(function))
                .collect(),
        ),
        next_token: context.next_token(&scope, page.next),
    })
}

/// Functions of the next database that has any, after the place a cursor names.
fn everywhere(
    context: &Context,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<UserDefinedFunction>, Fault> {
    let cursor: Option<(String, String)> =
        cursor.and_then(|cursor| serde_json::from_str(cursor).ok());
    let (mut database, mut after) = cursor.unzip();
    loop {
        if let Some(name) = &database {
            match context
                .catalog
                .list_functions(name, after.as_deref(), limit)
            {
                Ok(page) if !page.items.is_empty() => {
                    let next = page.items.last().map(place);
                    return Ok(Page { next, ..page });
                }
                // There is none, or the database was deleted meanwhile.
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let next = context.catalog.list_databases(database.as_deref(), 1)?;
        match next.items.into_iter().next() {
            Some(found) => (database, after) = (Some(found.name), None),
            None => {
                return Ok(Page {
                    items: Vec::new(),
                    next: None,
                });
            }
        }
    }
}

fn place(function: &UserDefinedFunction) -> String {
    json!([function.database_name, function.function_name]).to_string()
}
