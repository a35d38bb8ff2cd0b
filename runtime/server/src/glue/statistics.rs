//! Statistics of columns of tables and partitions.
//! <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-column-statistics.html>

use tenon_catalog::{ColumnStatistics, StatisticsOf};

use super::Context;
use super::shapes::{
    ColumnError, ColumnStatisticsError, DeleteColumnStatisticsForPartitionRequest,
    DeleteColumnStatisticsForPartitionResponse, DeleteColumnStatisticsForTableRequest,
    DeleteColumnStatisticsForTableResponse, GetColumnStatisticsForPartitionRequest,
    GetColumnStatisticsForPartitionResponse, GetColumnStatisticsForTableRequest,
    GetColumnStatisticsForTableResponse, UpdateColumnStatisticsForPartitionRequest,
    UpdateColumnStatisticsForPartitionResponse, UpdateColumnStatisticsForTableRequest,
    UpdateColumnStatisticsForTableResponse,
};
use super::shown::detail;
use crate::fault::Fault;

pub(super) fn get_of_table(
    context: &Context,
    input: GetColumnStatisticsForTableRequest,
) -> Result<GetColumnStatisticsForTableResponse, Fault> {
    let of = of_table(&input.database_name, &input.table_name);
    let (found, errors) = get(context, of, input.column_names)?;
    Ok(GetColumnStatisticsForTableResponse {
        column_statistics_list: Some(found),
        errors: Some(errors),
    })
}

pub(super) fn get_of_partition(
    context: &Context,
    input: GetColumnStatisticsForPartitionRequest,
) -> Result<GetColumnStatisticsForPartitionResponse, Fault> {
    let of = StatisticsOf {
        partition: Some(&input.partition_values),
        ..of_table(&input.database_name, &input.table_name)
    };
    let (found, errors) = get(context, of, input.column_names)?;
    Ok(GetColumnStatisticsForPartitionResponse {
        column_statistics_list: Some(found),
        errors: Some(errors),
    })
}

pub(super) fn update_of_table(
    context: &Context,
    input: UpdateColumnStatisticsForTableRequest,
) -> Result<UpdateColumnStatisticsForTableResponse, Fault> {
    let of = of_table(&input.database_name, &input.table_name);
    let errors = update(context, of, input.column_statistics_list)?;
    Ok(UpdateColumnStatisticsForTableResponse {
        errors: Some(errors),
    })
}

pub(super) fn update_of_partition(
    context: &Context,
    input: UpdateColumnStatisticsForPartitionRequest,
) -> Result<UpdateColumnStatisticsForPartitionResponse, Fault> {
    let of = StatisticsOf {
        partition: Some(&input.partition_values),
        ..of_table(&input.database_name, &input.table_name)
    };
    let errors = update(context, of, input.column_statistics_list)?;
    Ok(UpdateColumnStatisticsForPartitionResponse {
        errors: Some(errors),
    })
}

pub(super) fn delete_of_table(
    context: &Context,
    input: DeleteColumnStatisticsForTableRequest,
) -> Result<DeleteColumnStatisticsForTableResponse, Fault> {
    let of = of_table(&input.database_name, &input.table_name);
    context.catalog.delete_statistics(of, &input.column_name)?;
    Ok(DeleteColumnStatisticsForTableResponse {})
}

pub(super) fn delete_of_partition(
    context: &Context,
    input: DeleteColumnStatisticsForPartitionRequest,
) -> Result<DeleteColumnStatisticsForPartitionResponse, Fault> {
    let of = StatisticsOf {
        partition: Some(&input.partition_values),
        ..of_table(&input.database_name, &input.table_name)
    };
    context.catalog.delete_statistics(of, &input.column_name)?;
    Ok(DeleteColumnStatisticsForPartitionResponse {})
}

fn of_table<'a>(database: &'a str, table: &'a str) -> StatisticsOf<'a> {
    StatisticsOf {
        database,
        table,
        partition: None,
    }
}

fn get(
    context: &Context,
    of: StatisticsOf<'_>,
    names: Vec<String>,
) -> Result<(Vec<ColumnStatistics>, Vec<ColumnError>), Fault> {
    let outcomes = context.catalog.get_statistics(of, &names)?;
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for (name, outcome) in names.into_iter().zip(outcomes) {
        match outcome {
            Ok(statistics) => found.push(statistics),
            Err(error) => errors.push(ColumnError {
                column_name: Some(name),
                error: Some(detail(error)),
            }),
        }
    }
    Ok((found, errors))
}

fn update(
    context: &Context,
    of: StatisticsOf<'_>,
    list: Vec<ColumnStatistics>,
) -> Result<Vec<ColumnStatisticsError>, Fault> {
    let outcomes = context.catalog.update_statistics(of, &list)?;
    let failed = list
        .into_iter()
        .zip(outcomes)
        .filter_map(|(item, outcome)| {
            Some(ColumnStatisticsError {
                column_statistics: Some(item),
                error: Some(detail(outcome.err()?)),
            })
        });
    Ok(failed.collect())
}
