//! ML transforms: what Glue calls FindMatches. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-machine-learning-api.html>
//!
//! **A transform is READY when its primary key is known**: matches are found without labels too, so jobs can use it at once.
//! Only an evaluation has to have labels. One without `PrimaryKeyColumnName` is NOT_READY.

use tenon_catalog as catalog;
use tenon_catalog::{Page, check_tags};
use tenon_jobs::{
    InputTable, MlTransform, SchemaColumn, Tags, Timestamp, TransformDefinition, TransformUpdate,
};

use super::shapes::{
    CreateMLTransformRequest, CreateMLTransformResponse, DeleteMLTransformRequest,
    DeleteMLTransformResponse, GetMLTransformRequest, GetMLTransformResponse,
    GetMLTransformsRequest, GetMLTransformsResponse, ListMLTransformsRequest,
    ListMLTransformsResponse, MLTransform, TransformFilterCriteria, TransformSortCriteria,
    UpdateMLTransformRequest, UpdateMLTransformResponse,
};
use super::{Context, page_size};
use crate::fault::Fault;

/// Transforms of a page unless the request says how many.
const PAGE: usize = 100;

pub(super) fn create(
    context: &Context,
    mut input: CreateMLTransformRequest,
) -> Result<CreateMLTransformResponse, Fault> {
    let tags = input.tags.take().unwrap_or_default();
    check_tags(&tags)?;
    let schema = match input.input_record_tables.as_slice() {
        [table] => schema(context, table)?,
        // Refused with how many there are.
        _ => Vec::new(),
    };
    let definition = TransformDefinition {
        name: input.name,
        description: input.description,
        input_record_tables: input.input_record_tables,
        parameters: input.parameters,
        role: input.role,
        glue_version: input.glue_version,
        max_capacity: input.max_capacity,
        worker_type: input.worker_type,
        number_of_workers: input.number_of_workers,
        timeout: input.timeout,
        max_retries: input.max_retries,
        transform_encryption: input.transform_encryption,
    };
    let created = context.jobs.create_transform(definition, schema, tags)?;
    Ok(CreateMLTransformResponse {
        transform_id: Some(created.transform_id),
    })
}

/// The columns of a transform's table, those that partitions have included.
fn schema(context: &Context, named: &InputTable) -> Result<Vec<SchemaColumn>, Fault> {
    let id = named.catalog_id.as_deref();
    if let Some(nested) = id.map(|id| context.nested_name(id)).transpose()?.flatten() {
        return Err(Fault::invalid(format!(
            "the table is in the nested catalog {nested}; transforms read tables of the account's own"
        )));
    }
    // What is not there is the caller's mistake here, not the operation's object.
    let absent = |error: catalog::Error| match error {
        catalog::Error::NotFound { .. } => Fault::invalid(error.to_string()),
        other => other.into(),
    };
    if let Some(connection) = &named.connection_name {
        context.catalog.get_connection(connection).map_err(absent)?;
    }
    let (database, table) = (&named.database_name, &named.table_name);
    let table = context.catalog.get_table(database, table).map_err(absent)?;
    let columns = table.storage_descriptor.unwrap_or_default().columns;
    let columns = columns.into_iter().chain(table.partition_keys);
    let column = |column: catalog::Column| SchemaColumn {
        name: Some(column.name),
        data_type: column.r#type,
    };
    Ok(columns.map(column).collect())
}

pub(super) fn update(
    context: &Context,
    input: UpdateMLTransformRequest,
) -> Result<UpdateMLTransformResponse, Fault> {
    let id = input.transform_id;
    let (transform, _) = context.jobs.get_transform(&id)?;
    let tables = transform.definition.input_record_tables;
    // A table that is gone does not keep its transform from being changed.
    let schema = tables.first().and_then(|table| schema(context, table).ok());
    let update = TransformUpdate {
        name: input.name,
        description: input.description,
        parameters: input.parameters,
        role: input.role,
        glue_version: input.glue_version,
        max_capacity: input.max_capacity,
        worker_type: input.worker_type,
        number_of_workers: input.number_of_workers,
        timeout: input.timeout,
        max_retries: input.max_retries,
        schema,
    };
    context.jobs.update_transform(&id, &update)?;
    Ok(UpdateMLTransformResponse {
        transform_id: Some(id),
    })
}

pub(super) fn delete(
    context: &Context,
    input: DeleteMLTransformRequest,
) -> Result<DeleteMLTransformResponse, Fault> {
    context.jobs.delete_transform(&input.transform_id)?;
    Ok(DeleteMLTransformResponse {
        transform_id: Some(input.transform_id),
    })
}

pub(super) fn get(
    context: &Context,
    input: GetMLTransformRequest,
) -> Result<GetMLTransformResponse, Fault> {
    let (transform, labels) = context.jobs.get_transform(&input.transform_id)?;
    let MLTransform {
        transform_id,
        name,
        description,
        status,
        created_on,
        last_modified_on,
        input_record_tables,
        parameters,
        evaluation_metrics,
        label_count,
        schema,
        role,
        glue_version,
        max_capacity,
        worker_type,
        number_of_workers,
        timeout,
        max_retries,
        transform_encryption,
    } = shown(transform, labels);
    Ok(GetMLTransformResponse {
        transform_id,
        name,
        description,
        status,
        created_on,
        last_modified_on,
        input_record_tables,
        parameters,
        evaluation_metrics,
        label_count,
        schema,
        role,
        glue_version,
        max_capacity,
        worker_type,
        number_of_workers,
        timeout,
        max_retries,
        transform_encryption,
    })
}

/// A transform as callers see it.
fn shown(transform: MlTransform, labels: u64) -> MLTransform {
    let status = status(&transform);
    let definition = transform.definition;
    MLTransform {
        transform_id: Some(transform.transform_id),
        name: Some(definition.name),
        description: definition.description,
        status: Some(status.to_owned()),
        created_on: Some(time(transform.created_on)),
        last_modified_on: Some(time(transform.last_modified_on)),
        input_record_tables: Some(definition.input_record_tables),
        parameters: Some(definition.parameters),
        evaluation_metrics: transform.evaluation_metrics,
        label_count: Some(i32::try_from(labels).unwrap_or(i32::MAX)),
        schema: Some(transform.schema),
        role: Some(definition.role),
        glue_version: definition.glue_version,
        max_capacity: definition.max_capacity,
        worker_type: definition.worker_type,
        number_of_workers: definition.number_of_workers,
        timeout: definition.timeout,
        max_retries: definition.max_retries,
        transform_encryption: definition.transform_encryption,
    }
}

fn status(transform: &MlTransform) -> &'static str {
    match transform.is_ready() {
        true => "READY",
        false => "NOT_READY",
    }
}

/// A time as the answers have it.
pub(super) fn time(time: Timestamp) -> catalog::Timestamp {
    catalog::Timestamp::from_unix_millis(i64::try_from(time.unix_millis()).unwrap_or(i64::MAX))
}

pub(super) fn get_all(
    context: &Context,
    input: GetMLTransformsRequest,
) -> Result<GetMLTransformsResponse, Fault> {
    let asked = Asked {
        operation: "GetMLTransforms",
        token: input.next_token,
        limit: input.max_results,
        filter: input.filter,
        sort: input.sort,
        tags: Tags::new(),
    };
    let page = page(context, &asked)?;
    let transforms = page.items.into_iter();
    let transforms = transforms.map(|(transform, labels)| shown(transform, labels));
    Ok(GetMLTransformsResponse {
        transforms: Some(transforms.collect()),
        next_token: page.next,
    })
}

pub(super) fn list(
    context: &Context,
    input: ListMLTransformsRequest,
) -> Result<ListMLTransformsResponse, Fault> {
    let asked = Asked {
        operation: "ListMLTransforms",
        token: input.next_token,
        limit: input.max_results,
        filter: input.filter,
        sort: input.sort,
        tags: input.tags.unwrap_or_default(),
    };
    let page = page(context, &asked)?;
    let ids = page.items.into_iter();
    let ids = ids.map(|(transform, _)| transform.transform_id);
    Ok(ListMLTransformsResponse {
        transform_ids: Some(ids.collect()),
        next_token: page.next,
    })
}

/// What both lists are asked.
struct Asked {
    operation: &'static str,
    token: Option<String>,
    limit: Option<i32>,
    filter: Option<TransformFilterCriteria>,
    sort: Option<TransformSortCriteria>,
    tags: Tags,
}

/// A page of transforms with their labels' counts; its `next` is a token.
fn page(context: &Context, asked: &Asked) -> Result<Page<(MlTransform, u64)>, Fault> {
    let (column, descending) = match &asked.sort {
        Some(sort) => (sort.column.as_str(), is_descending(&sort.sort_direction)),
        None => ("CREATED", false),
    };
    let direction = if descending { "down" } else { "up" };
    let scope = [asked.operation, column, direction];
    let cursor = context.cursor(&scope, asked.token.as_deref())?;
    let all = context.jobs.all_transforms()?.into_iter();
    let wanted = all.filter(|(transform, _, tags)| {
        let mut tagged = asked.tags.iter();
        tagged.all(|(key, value)| tags.get(key) == Some(value))
            && asked
                .filter
                .as_ref()
                .is_none_or(|filter| fits(transform, filter))
    });
    let items = wanted.map(|(transform, labels, _)| {
        let key = sort_key(&transform, column);
        ((key, transform.transform_id.clone()), (transform, labels))
    });
    let limit = page_size(asked.limit, PAGE);
    let page = sorted(items.collect(), descending, cursor.as_deref(), limit);
    Ok(Page {
        next: context.next_token(&scope, page.next),
        items: page.items,
    })
}

fn sort_key(transform: &MlTransform, column: &str) -> String {
    match column {
        "NAME" => transform.definition.name.clone(),
        "TRANSFORM_TYPE" => transform.definition.parameters.transform_type.clone(),
        "STATUS" => status(transform).to_owned(),
        "LAST_MODIFIED" => time_key(transform.last_modified_on),
        _ => time_key(transform.created_on),
    }
}

/// A time as a text of the same order.
pub(super) fn time_key(time: Timestamp) -> String {
    format!("{:020}", time.unix_millis())
}

pub(super) fn is_descending(direction: &str) -> bool {
    direction == "DESCENDING"
}

/// Between what a sort key says and the id that tells equal ones apart.
const BETWEEN: char = '\u{0}';

/// A page of items that are ordered by a text and an id; its `next` names the last of them.
pub(super) fn sorted<T>(
    mut items: Vec<((String, String), T)>,
    descending: bool,
    cursor: Option<&str>,
    limit: usize,
) -> Page<T> {
    items.sort_by(|(one, _), (other, _)| match descending {
        true => other.cmp(one),
        false => one.cmp(other),
    });
    if let Some((key, id)) = cursor.and_then(|cursor| cursor.split_once(BETWEEN)) {
        let last = (key.to_owned(), id.to_owned());
        items.retain(|(at, _)| if descending { *at < last } else { *at > last });
    }
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| more);
    Page {
        next: last.map(|((key, id), _)| format!("{key}{BETWEEN}{id}")),
        items: items.into_iter().map(|(_, item)| item).collect(),
    }
}

/// Whether a transform is what a filter asks for; what the filter leaves out fits.
fn fits(transform: &MlTransform, filter: &TransformFilterCriteria) -> bool {
    let definition = &transform.definition;
    let is = |wanted: &Option<String>, found: Option<&str>| {
        wanted.as_deref().is_none_or(|wanted| Some(wanted) == found)
    };
    let within = |at: Timestamp,
                  before: Option<catalog::Timestamp>,
                  after: Option<catalog::Timestamp>| {
        before.is_none_or(|before| time(at) < before) && after.is_none_or(|after| time(at) > after)
    };
    is(&filter.name, Some(&definition.name))
        && is(
            &filter.transform_type,
            Some(&definition.parameters.transform_type),
        )
        && is(&filter.status, Some(status(transform)))
        && is(&filter.glue_version, definition.glue_version.as_deref())
        && within(
            transform.created_on,
            filter.created_before,
            filter.created_after,
        )
        && within(
            transform.last_modified_on,
            filter.last_modified_before,
            filter.last_modified_after,
        )
        && filter
            .schema
            .iter()
            .flatten()
            .all(|column| has(transform, column))
}

/// Whether the table has a column of this name and type, as far as these are given.
fn has(transform: &MlTransform, wanted: &SchemaColumn) -> bool {
    let is = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
    let mut columns = transform.schema.iter();
    columns.any(|column| is(&wanted.name, &column.name) && is(&wanted.data_type, &column.data_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_on_where_the_last_one_ended_whatever_is_gone() {
        let item = |key: &str, id: &str| ((key.to_owned(), id.to_owned()), id.to_owned());
        let all = || {
            vec![
                item("b", "1"),
                item("a", "2"),
                item("b", "3"),
                item("c", "4"),
            ]
        };
        let first = sorted(all(), false, None, 2);
        assert_eq!(first.items, ["2", "1"]);
        let mut left = all();
        // The last of the first page.
        left.remove(0);
        let second = sorted(left, false, first.next.as_deref(), 2);
        assert_eq!(second.items, ["3", "4"]);
        assert_eq!(second.next, None);
        let down = sorted(all(), true, None, 3);
        assert_eq!(down.items, ["4", "3", "1"]);
        assert_eq!(sorted(all(), true, down.next.as_deref(), 3).items, ["2"]);
        assert_eq!(sorted(all(), true, None, 4).next, None);
    }
}
