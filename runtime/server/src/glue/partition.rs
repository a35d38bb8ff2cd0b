//! Partitions. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-partitions.html>

use serde::Deserialize;
use serde_json::{Value, json};
use tenon_catalog::{ListPartitions, PartitionInput, Segment};

use super::{Context, page_size};
use crate::fault::Fault;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    database_name: String,
    table_name: String,
    partition_input: PartitionInput,
}

pub(super) fn create(context: &Context, input: Create) -> Result<Value, Fault> {
    context.catalog.create_partition(
        &input.database_name,
        &input.table_name,
        input.partition_input,
    )?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchCreate {
    database_name: String,
    table_name: String,
    partition_input_list: Vec<PartitionInput>,
}

pub(super) fn batch_create(context: &Context, input: BatchCreate) -> Result<Value, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    let inputs = input.partition_input_list;
    let values: Vec<_> = inputs.iter().map(|input| input.values.clone()).collect();
    let outcomes = context.catalog.create_partitions(database, table, inputs)?;
    Ok(errors(values.into_iter().zip(outcomes), "PartitionValues"))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    database_name: String,
    table_name: String,
    partition_values: Vec<String>,
}

pub(super) fn get(context: &Context, input: Named) -> Result<Value, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    let partition = context
        .catalog
        .get_partition(database, table, &input.partition_values)?;
    Ok(json!({"Partition": context.show(&partition)?}))
}

pub(super) fn delete(context: &Context, input: Named) -> Result<Value, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    context
        .catalog
        .delete_partition(database, table, &input.partition_values)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ValueList {
    values: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchGet {
    database_name: String,
    table_name: String,
    partitions_to_get: Vec<ValueList>,
}

/// What does not exist is left out, as on AWS; nothing is left unprocessed.
pub(super) fn batch_get(context: &Context, input: BatchGet) -> Result<Value, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    context.catalog.get_table(database, table)?;
    let mut partitions = Vec::new();
    for wanted in &input.partitions_to_get {
        match context
            .catalog
            .get_partition(database, table, &wanted.values)
        {
            Ok(partition) => partitions.push(context.show(&partition)?),
            Err(tenon_catalog::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(json!({"Partitions": partitions}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchDelete {
    database_name: String,
    table_name: String,
    partitions_to_delete: Vec<ValueList>,
}

pub(super) fn batch_delete(context: &Context, input: BatchDelete) -> Result<Value, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    let lists = input.partitions_to_delete.into_iter();
    let lists: Vec<_> = lists.map(|list| list.values).collect();
    let outcomes = context.catalog.delete_partitions(database, table, &lists)?;
    Ok(errors(lists.into_iter().zip(outcomes), "PartitionValues"))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Update {
    database_name: String,
    table_name: String,
    partition_value_list: Vec<String>,
    partition_input: PartitionInput,
}

pub(super) fn update(context: &Context, input: Update) -> Result<Value, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    context.catalog.update_partition(
        database,
        table,
        &input.partition_value_list,
        input.partition_input,
    )?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry {
    partition_value_list: Vec<String>,
    partition_input: PartitionInput,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchUpdate {
    database_name: String,
    table_name: String,
    entries: Vec<Entry>,
}

pub(super) fn batch_update(context: &Context, input: BatchUpdate) -> Result<Value, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    context.catalog.get_table(database, table)?;
    let outcomes = input.entries.into_iter().map(|entry| {
        let values = entry.partition_value_list;
        let outcome =
            context
                .catalog
                .update_partition(database, table, &values, entry.partition_input);
        (values, outcome)
    });
    Ok(errors(outcomes, "PartitionValueList"))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SegmentInput {
    segment_number: u32,
    total_segments: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    database_name: String,
    table_name: String,
    #[serde(default)]
    expression: String,
    next_token: Option<String>,
    segment: Option<SegmentInput>,
    max_results: Option<i32>,
    #[serde(default)]
    exclude_column_schema: bool,
}

pub(super) fn list(context: &Context, input: List) -> Result<Value, Fault> {
    let (database, table) = (
        input.database_name.to_lowercase(),
        input.table_name.to_lowercase(),
    );
    let segment = input.segment.map(|segment| Segment {
        number: segment.segment_number,
        total: segment.total_segments,
    });
    let segment_name = format!("{segment:?}");
    let scope = [
        "GetPartitions",
        &database,
        &table,
        &input.expression,
        &segment_name,
    ];
    let cursor = context.cursor(&scope, input.next_token.as_deref())?;
    let options = ListPartitions {
        expression: &input.expression,
        segment,
        token: cursor.as_deref(),
        limit: page_size(input.max_results, 1000),
    };
    let page = context
        .catalog
        .list_partitions(&database, &table, &options)?;
    let mut list = context.show_all(&page.items)?;
    if input.exclude_column_schema {
        list.iter_mut().for_each(without_columns);
    }
    Ok(context.with_next(json!({"Partitions": list}), &scope, page.next))
}

fn without_columns(partition: &mut Value) {
    if let Some(descriptor) = partition
        .get_mut("StorageDescriptor")
        .and_then(Value::as_object_mut)
    {
        descriptor.remove("Columns");
    }
}

/// A batch's answer: the items that failed, each with its reason.
fn errors<T>(
    outcomes: impl Iterator<Item = (Vec<String>, tenon_catalog::Result<T>)>,
    values: &str,
) -> Value {
    let failed = outcomes.filter_map(|(item, outcome)| {
        let detail = Fault::from(outcome.err()?).detail();
        Some(json!({values: item, "ErrorDetail": detail}))
    });
    let failed: Vec<_> = failed.collect();
    if failed.is_empty() {
        json!({})
    } else {
        json!({"Errors": failed})
    }
}
