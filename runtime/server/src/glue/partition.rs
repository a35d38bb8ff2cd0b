//! Partitions. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-partitions.html>

use serde::Deserialize;
use serde_json::{Value, json};
use tenon_catalog::{ListPartitions, Page, Partition, PartitionInput, Segment};

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
    let wanted = input.partitions_to_get.into_iter().map(|list| list.values);
    let wanted: Vec<_> = wanted.collect();
    let found = context.catalog.get_partitions(database, table, &wanted)?;
    let found: Vec<_> = found.into_iter().flatten().collect();
    Ok(json!({"Partitions": context.show_all(&found)?}))
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
    let wanted = input.partitions_to_delete.into_iter();
    let wanted: Vec<_> = wanted.map(|list| list.values).collect();
    let outcomes = context
        .catalog
        .delete_partitions(database, table, &wanted)?;
    Ok(errors(wanted.into_iter().zip(outcomes), "PartitionValues"))
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

impl List {
    pub(super) fn database(&self) -> &str {
        &self.database_name
    }

    pub(super) fn table(&self) -> &str {
        &self.table_name
    }
}

pub(super) fn list(context: &Context, input: List) -> Result<Value, Fault> {
    let without_columns = input.exclude_column_schema;
    let (page, scope) = page(context, "GetPartitions", input)?;
    let mut list = context.show_all(&page.items)?;
    if without_columns {
        list.iter_mut().for_each(remove_columns);
    }
    let scope: Vec<_> = scope.iter().map(String::as_str).collect();
    Ok(context.with_next(json!({"Partitions": list}), &scope, page.next))
}

/// A page of partitions, and what its token is good for.
pub(super) fn page(
    context: &Context,
    operation: &str,
    input: List,
) -> Result<(Page<Partition>, [String; 5]), Fault> {
    let segment = input.segment.map(|segment| Segment {
        number: segment.segment_number,
        total: segment.total_segments,
    });
    let scope = [
        operation.to_owned(),
        input.database_name.to_lowercase(),
        input.table_name.to_lowercase(),
        input.expression,
        format!("{segment:?}"),
    ];
    let named: Vec<_> = scope.iter().map(String::as_str).collect();
    let cursor = context.cursor(&named, input.next_token.as_deref())?;
    let options = ListPartitions {
        expression: &scope[3],
        segment,
        token: cursor.as_deref(),
        limit: page_size(input.max_results, 1000),
        without_columns: input.exclude_column_schema,
    };
    let page = context
        .catalog
        .list_partitions(&scope[1], &scope[2], &options)?;
    Ok((page, scope))
}

fn remove_columns(partition: &mut Value) {
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
