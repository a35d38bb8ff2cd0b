//! Tags, and which resource an ARN names. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-tags.html>
//!
//! ```text
//! arn:aws:glue:<region>:<account>:catalog                     :catalog/<catalog>
//!                                :database/<database>         :database/<catalog>/<database>
//!                                :table/<database>/<table>    :table/<catalog>/<database>/<table>
//!                                :userDefinedFunction/...     as tables
//!                                :connection/<name>
//!                                :job/<name>
//! ```
//!
//! Another account's resource is as absent as one that never was.

use serde::Deserialize;
use serde_json::{Value, json};
use tenon_catalog::{Resource, Tags, TenantCatalog, check_tags};

use super::Context;
use crate::fault::Fault;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Add {
    resource_arn: String,
    tags_to_add: Tags,
}

pub(super) fn add(context: &Context, input: Add) -> Result<Value, Fault> {
    if let Some(job) = job(context, &input.resource_arn) {
        check_tags(&input.tags_to_add)?;
        context.jobs.change_job_tags(job, |tags| {
            tags.extend(input.tags_to_add.clone());
            check_tags(tags).map_err(|error| error.to_string())
        })?;
        return Ok(json!({}));
    }
    let (catalog, resource) = locate(context, &input.resource_arn)?;
    catalog.add_tags(resource, &input.tags_to_add)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Remove {
    resource_arn: String,
    tags_to_remove: Vec<String>,
}

pub(super) fn remove(context: &Context, input: Remove) -> Result<Value, Fault> {
    if let Some(job) = job(context, &input.resource_arn) {
        context.jobs.change_job_tags(job, |tags| {
            tags.retain(|key, _| !input.tags_to_remove.contains(key));
            Ok(())
        })?;
        return Ok(json!({}));
    }
    let (catalog, resource) = locate(context, &input.resource_arn)?;
    catalog.remove_tags(resource, &input.tags_to_remove)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Get {
    resource_arn: String,
}

pub(super) fn get(context: &Context, input: Get) -> Result<Value, Fault> {
    if let Some(job) = job(context, &input.resource_arn) {
        return Ok(json!({"Tags": context.jobs.job_tags(job)?}));
    }
    let (catalog, resource) = locate(context, &input.resource_arn)?;
    Ok(json!({"Tags": catalog.tags(resource)?}))
}

/// The job that an ARN names. Jobs lie in no catalog.
fn job<'a>(context: &Context, arn: &'a str) -> Option<&'a str> {
    own_part(context, arn)?.strip_prefix("job/")
}

/// The resource an ARN names and the catalog it lies in. Whether it exists is for the catalog to say.
pub(super) fn locate<'a>(
    context: &Context,
    arn: &'a str,
) -> Result<(TenantCatalog, Resource<'a>), Fault> {
    let unknown = || Fault::not_found(format!("resource {arn} does not exist"));
    let name = own_part(context, arn).ok_or_else(unknown)?;
    let (kind, path) = name.split_once('/').unwrap_or((name, ""));
    let parts: Vec<_> = path.split('/').collect();
    let default = || context.catalog.clone();
    Ok(match (kind, parts.as_slice()) {
        ("catalog", [""]) => (default(), Resource::Catalog(None)),
        ("catalog", [name]) => (default(), Resource::Catalog(Some(name))),
        ("database", [name]) => (default(), Resource::Database(name)),
        ("database", [catalog, name]) => {
            (context.catalog.nested(catalog)?, Resource::Database(name))
        }
        ("table", [database, name]) => (default(), Resource::Table(database, name)),
        ("table", [catalog, database, name]) => (
            context.catalog.nested(catalog)?,
            Resource::Table(database, name),
        ),
        ("userDefinedFunction", [database, name]) => {
            (default(), Resource::Function(database, name))
        }
        ("userDefinedFunction", [catalog, database, name]) => (
            context.catalog.nested(catalog)?,
            Resource::Function(database, name),
        ),
        ("connection", _) => (default(), Resource::Connection(path)),
        _ => return Err(unknown()),
    })
}

/// What is behind the account, when account and region are the caller's.
fn own_part<'a>(context: &Context, arn: &'a str) -> Option<&'a str> {
    let mut parts = arn.splitn(6, ':');
    let mut next_is = |wanted: &str| parts.next().is_some_and(|part| part == wanted);
    let is_own = next_is("arn")
        && next_is("aws")
        && next_is("glue")
        && next_is(&context.region)
        && next_is(&context.account);
    parts.next().filter(|_| is_own)
}
