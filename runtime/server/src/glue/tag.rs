//! Tags, and which resource an ARN names. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-tags.html>
//!
//! ```text
//! arn:aws:glue:<region>:<account>:catalog                     :catalog/<catalog>
//!                                :database/<database>         :database/<catalog>/<database>
//!                                :table/<database>/<table>    :table/<catalog>/<database>/<table>
//!                                :userDefinedFunction/...     as tables
//!                                :connection/<name>
//!                                :job/<name>
//!                                :mlTransform/<id>
//! ```
//!
//! Another account's resource is as absent as one that never was.

use tenon_catalog::{Resource, TenantCatalog, check_tags};

use super::Context;
use super::shapes::{
    GetTagsRequest, GetTagsResponse, TagResourceRequest, TagResourceResponse, UntagResourceRequest,
    UntagResourceResponse,
};
use crate::fault::Fault;

pub(super) fn add(
    context: &Context,
    input: TagResourceRequest,
) -> Result<TagResourceResponse, Fault> {
    if let Some(job) = job(context, &input.resource_arn) {
        check_tags(&input.tags_to_add)?;
        context.jobs.change_job_tags(job, |tags| {
            tags.extend(input.tags_to_add.clone());
            check_tags(tags).map_err(|error| error.to_string())
        })?;
        return Ok(TagResourceResponse {});
    }
    if let Some(transform) = transform(context, &input.resource_arn) {
        check_tags(&input.tags_to_add)?;
        context.jobs.change_transform_tags(transform, |tags| {
            tags.extend(input.tags_to_add.clone());
            check_tags(tags).map_err(|error| error.to_string())
        })?;
        return Ok(TagResourceResponse {});
    }
    let (catalog, resource) = locate(context, &input.resource_arn)?;
    catalog.add_tags(resource, &input.tags_to_add)?;
    Ok(TagResourceResponse {})
}

pub(super) fn remove(
    context: &Context,
    input: UntagResourceRequest,
) -> Result<UntagResourceResponse, Fault> {
    if let Some(job) = job(context, &input.resource_arn) {
        context.jobs.change_job_tags(job, |tags| {
            tags.retain(|key, _| !input.tags_to_remove.contains(key));
            Ok(())
        })?;
        return Ok(UntagResourceResponse {});
    }
    if let Some(transform) = transform(context, &input.resource_arn) {
        context.jobs.change_transform_tags(transform, |tags| {
            tags.retain(|key, _| !input.tags_to_remove.contains(key));
            Ok(())
        })?;
        return Ok(UntagResourceResponse {});
    }
    let (catalog, resource) = locate(context, &input.resource_arn)?;
    catalog.remove_tags(resource, &input.tags_to_remove)?;
    Ok(UntagResourceResponse {})
}

pub(super) fn get(context: &Context, input: GetTagsRequest) -> Result<GetTagsResponse, Fault> {
    if let Some(job) = job(context, &input.resource_arn) {
        return Ok(GetTagsResponse {
            tags: Some(context.jobs.job_tags(job)?),
        });
    }
    if let Some(transform) = transform(context, &input.resource_arn) {
        return Ok(GetTagsResponse {
            tags: Some(context.jobs.transform_tags(transform)?),
        });
    }
    let (catalog, resource) = locate(context, &input.resource_arn)?;
    Ok(GetTagsResponse {
        tags: Some(catalog.tags(resource)?),
    })
}

/// The job that an ARN names. Jobs lie in no catalog.
fn job<'a>(context: &Context, arn: &'a str) -> Option<&'a str> {
    own_part(context, arn)?.strip_prefix("job/")
}

/// The ML transform that an ARN names, by its id.
fn transform<'a>(context: &Context, arn: &'a str) -> Option<&'a str> {
    own_part(context, arn)?.strip_prefix("mlTransform/")
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
