//! Statistics of columns of tables and partitions.
//! <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-column-statistics.html>

use serde::Deserialize;
use serde_json::{Value, json};
use tenon_catalog::{ColumnStatistics, StatisticsOf};

use super::Context;
use crate::fault::Fault;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Get {
    database_name: String,
    table_name: String,
    /// Only requests about partitions have it.
    partition_values: Option<Vec<String>>,
    column_names: Vec<String>,
}

pub(super) fn get(context: &Context, input: Get) -> Result<Value, Fault> {
    let of = StatisticsOf {
        database: &input.database_name,
        table: &input.table_name,
        partition: input.partition_values.as_deref(),
    };
    let outcomes = context.catalog.get_statistics(of, &input.column_names)?;
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for (name, outcome) in input.column_names.iter().zip(outcomes) {
        match outcome {
            Ok(statistics) => found.push(context.show(&statistics)?),
            Err(error) => {
                errors.push(json!({"ColumnName": name, "Error": Fault::from(error).detail()}));
            }
        }
    }
    Ok(json!({"ColumnStatisticsList": found, "Errors": errors}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Update {
    database_name: String,
    table_name: String,
    partition_values: Option<Vec<String>>,
    column_statistics_list: Vec<ColumnStatistics>,
}

pub(super) fn update(context: &Context, input: Update) -> Result<Value, Fault> {
    let of = StatisticsOf {
        database: &input.database_name,
        table: &input.table_name,
        partition: input.partition_values.as_deref(),
    };
    let list = &input.column_statistics_list;
    let outcomes = context.catalog.update_statistics(of, list)?;
    let mut errors = Vec::new();
    for (statistics, outcome) in list.iter().zip(outcomes) {
        if let Err(error) = outcome {
            let error = Fault::from(error).detail();
            errors.push(json!({"ColumnStatistics": context.show(statistics)?, "Error": error}));
        }
    }
    Ok(json!({"Errors": errors}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Delete {
    database_name: String,
    table_name: String,
    partition_values: Option<Vec<String>>,
    column_name: String,
}

pub(super) fn delete(context: &Context, input: Delete) -> Result<Value, Fault> {
    let of = StatisticsOf {
        database: &input.database_name,
        table: &input.table_name,
        partition: input.partition_values.as_deref(),
    };
    context.catalog.delete_statistics(of, &input.column_name)?;
    Ok(json!({}))
}
