//! Partitions. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-partitions.html>

use tenon_catalog::{ListPartitions, Partition, Segment};

use super::shapes::{
    self, BatchCreatePartitionRequest, BatchCreatePartitionResponse, BatchDeletePartitionRequest,
    BatchDeletePartitionResponse, BatchGetPartitionRequest, BatchGetPartitionResponse,
    BatchUpdatePartitionFailureEntry, BatchUpdatePartitionRequest, BatchUpdatePartitionResponse,
    CreatePartitionRequest, CreatePartitionResponse, DeletePartitionRequest,
    DeletePartitionResponse, GetPartitionRequest, GetPartitionResponse, GetPartitionsRequest,
    GetPartitionsResponse, PartitionError, UpdatePartitionRequest, UpdatePartitionResponse,
};
use super::shown::{detail, some_errors};
use super::{Context, page_size};
use crate::fault::Fault;

pub(super) fn create(
    context: &Context,
    input: CreatePartitionRequest,
) -> Result<CreatePartitionResponse, Fault> {
    context.catalog.create_partition(
        &input.database_name,
        &input.table_name,
        input.partition_input,
    )?;
    Ok(CreatePartitionResponse {})
}

pub(super) fn batch_create(
    context: &Context,
    input: BatchCreatePartitionRequest,
) -> Result<BatchCreatePartitionResponse, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    let inputs = input.partition_input_list;
    let values: Vec<_> = inputs.iter().map(|input| input.values.clone()).collect();
    let outcomes = context.catalog.create_partitions(database, table, inputs)?;
    Ok(BatchCreatePartitionResponse {
        errors: errors(values.into_iter().zip(outcomes)),
    })
}

pub(super) fn get(
    context: &Context,
    input: GetPartitionRequest,
) -> Result<GetPartitionResponse, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    let partition = context
        .catalog
        .get_partition(database, table, &input.partition_values)?;
    Ok(GetPartitionResponse {
        partition: Some(context.owner().partition(partition)),
    })
}

pub(super) fn delete(
    context: &Context,
    input: DeletePartitionRequest,
) -> Result<DeletePartitionResponse, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    context
        .catalog
        .delete_partition(database, table, &input.partition_values)?;
    Ok(DeletePartitionResponse {})
}

/// What does not exist is left out, as on AWS; nothing is left unprocessed.
pub(super) fn batch_get(
    context: &Context,
    input: BatchGetPartitionRequest,
) -> Result<BatchGetPartitionResponse, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    let wanted = input.partitions_to_get.into_iter().map(|list| list.values);
    let wanted: Vec<_> = wanted.collect();
    let found = context.catalog.get_partitions(database, table, &wanted)?;
    let found = found.into_iter().flatten();
    Ok(BatchGetPartitionResponse {
        partitions: Some(
            found
                .map(|partition| context.owner().partition(partition))
                .collect(),
        ),
        unprocessed_keys: None,
    })
}

pub(super) fn batch_delete(
    context: &Context,
    input: BatchDeletePartitionRequest,
) -> Result<BatchDeletePartitionResponse, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    let wanted = input.partitions_to_delete.into_iter();
    let wanted: Vec<_> = wanted.map(|list| list.values).collect();
    let outcomes = context
        .catalog
        .delete_partitions(database, table, &wanted)?;
    Ok(BatchDeletePartitionResponse {
        errors: errors(wanted.into_iter().zip(outcomes)),
    })
}

pub(super) fn update(
    context: &Context,
    input: UpdatePartitionRequest,
) -> Result<UpdatePartitionResponse, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    context.catalog.update_partition(
        database,
        table,
        &input.partition_value_list,
        input.partition_input,
    )?;
    Ok(UpdatePartitionResponse {})
}

pub(super) fn batch_update(
    context: &Context,
    input: BatchUpdatePartitionRequest,
) -> Result<BatchUpdatePartitionResponse, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    let entries = input.entries.into_iter();
    let updates = entries.map(|entry| (entry.partition_value_list, entry.partition_input));
    let updates: Vec<_> = updates.collect();
    let outcomes = context
        .catalog
        .update_partitions(database, table, &updates)?;
    let mut errors = Vec::new();
    for ((values, _), outcome) in updates.into_iter().zip(outcomes) {
        if let Err(error) = outcome {
            errors.push(BatchUpdatePartitionFailureEntry {
                partition_value_list: Some(values),
                error_detail: Some(detail(error)),
            });
        }
    }
    Ok(BatchUpdatePartitionResponse {
        errors: some_errors(errors),
    })
}

pub(super) fn list(
    context: &Context,
    input: GetPartitionsRequest,
) -> Result<GetPartitionsResponse, Fault> {
    let without_columns = input.exclude_column_schema.unwrap_or_default();
    let wanted = Wanted {
        operation: "GetPartitions",
        database: input.database_name,
        table: input.table_name,
        expression: input.expression,
        next_token: input.next_token,
        segment: input.segment,
        max_results: input.max_results,
        without_columns,
    };
    let (partitions, next_token) = wanted.page(context)?;
    let shown = partitions.into_iter().map(|partition| {
        let mut shown = context.owner().partition(partition);
        if let Some(descriptor) = shown
            .storage_descriptor
            .as_mut()
            .filter(|_| without_columns)
        {
            descriptor.columns = None;
        }
        shown
    });
    Ok(GetPartitionsResponse {
        partitions: Some(shown.collect()),
        next_token,
    })
}

/// Which partitions a request asks for.
pub(super) struct Wanted {
    /// Whose tokens are good for it.
    pub(super) operation: &'static str,
    pub(super) database: String,
    pub(super) table: String,
    pub(super) expression: Option<String>,
    pub(super) next_token: Option<String>,
    pub(super) segment: Option<shapes::Segment>,
    pub(super) max_results: Option<i32>,
    pub(super) without_columns: bool,
}

impl Wanted {
    /// A page of them, and the token of the next.
    pub(super) fn page(self, context: &Context) -> Result<(Vec<Partition>, Option<String>), Fault> {
        let (database, table) = (self.database.to_lowercase(), self.table.to_lowercase());
        let expression = self.expression.unwrap_or_default();
        let segment = self.segment.map(segment);
        let segment_text = format!("{segment:?}");
        let scope = [
            self.operation,
            &database,
            &table,
            &expression,
            &segment_text,
        ];
        let cursor = context.cursor(&scope, self.next_token.as_deref())?;
        let options = ListPartitions {
            expression: &expression,
            segment,
            token: cursor.as_deref(),
            limit: page_size(self.max_results, 1000),
            without_columns: self.without_columns,
        };
        let page = context
            .catalog
            .list_partitions(&database, &table, &options)?;
        Ok((page.items, context.next_token(&scope, page.next)))
    }
}

/// The model's rules leave no number below zero.
fn segment(given: shapes::Segment) -> Segment {
    Segment {
        number: given.segment_number.unsigned_abs(),
        total: given.total_segments.unsigned_abs(),
    }
}

/// A batch's items that failed, each with its reason.
fn errors<T>(
    outcomes: impl Iterator<Item = (Vec<String>, tenon_catalog::Result<T>)>,
) -> Option<Vec<PartitionError>> {
    let failed = outcomes.filter_map(|(values, outcome)| {
        Some(PartitionError {
            partition_values: Some(values),
            error_detail: Some(detail(outcome.err()?)),
        })
    });
    some_errors(failed.collect())
}
