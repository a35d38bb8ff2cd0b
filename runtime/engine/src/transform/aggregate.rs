//! Aggregate: one row for each group, or one for all rows.
//!
//! The columns of the result are the groups and then `sum(amount)`, `count(DISTINCT city)`, as Spark names what Glue's
//! script computes. Nulls are a group; functions pass over null values, except `first` and `last`, which take whatever
//! row comes first or last. Where one value is too few (`stddev_samp`, `var_samp`) or all are equal (`skewness`,
//! `kurtosis`) the result is null.

use datafusion::arrow::datatypes::DataType;
use datafusion::functions_aggregate::expr_fn::{
    avg, count, count_distinct, first_value, last_value, max, min, stddev, stddev_pop, sum,
    sum_distinct, var_pop, var_sample,
};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use super::moments::{kurtosis, skewness};
use super::{built, column, projected, typed_column};
use crate::error::{Error, Result};
use crate::graph::{AggFunction, Aggregate, AggregateOperation};

pub(crate) fn aggregate(node: &Aggregate, input: LogicalPlan) -> Result<LogicalPlan> {
    let mut names: Vec<String> = Vec::new();
    let mut groups = Vec::with_capacity(node.groups.len());
    for path in &node.groups {
        groups.push(column(&node.name, input.schema(), path)?);
        names.extend(path.last().cloned());
    }
    let mut values = Vec::with_capacity(node.aggs.len());
    for operation in &node.aggs {
        values.push(value(node, &input, operation)?);
        names.push(name(operation));
    }
    check_unique(node, &names)?;
    let aggregated = LogicalPlanBuilder::from(input).aggregate(groups, values);
    let aggregated = built(&node.name, aggregated)?;
    let columns = aggregated.schema().columns().into_iter().zip(names);
    let columns = columns.map(|(column, name)| Expr::Column(column).alias(name));
    let columns = columns.collect();
    projected(&node.name, aggregated, columns)
}

fn value(node: &Aggregate, input: &LogicalPlan, operation: &AggregateOperation) -> Result<Expr> {
    let (column, data_type) = typed_column(&node.name, input.schema(), &operation.column)?;
    if takes_numbers(operation.agg_func) && !is_number(&data_type) {
        return Err(Error::node(
            &node.name,
            format!(
                "{} takes numbers, and column {:?} is {data_type}; cast it in an ApplyMapping node",
                word(operation.agg_func),
                operation.column.join(".")
            ),
        ));
    }
    Ok(match operation.agg_func {
        AggFunction::Avg => avg(column),
        AggFunction::CountDistinct => count_distinct(column),
        AggFunction::Count => count(column),
        AggFunction::First => first_value(column, Vec::new()),
        AggFunction::Last => last_value(column, Vec::new()),
        AggFunction::Kurtosis => kurtosis().call(vec![column]),
        AggFunction::Max => max(column),
        AggFunction::Min => min(column),
        AggFunction::Skewness => skewness().call(vec![column]),
        AggFunction::StddevSamp => stddev(column),
        AggFunction::StddevPop => stddev_pop(column),
        AggFunction::Sum => sum(column),
        AggFunction::SumDistinct => sum_distinct(column),
        AggFunction::VarSamp => var_sample(column),
        AggFunction::VarPop => var_pop(column),
    })
}

fn takes_numbers(function: AggFunction) -> bool {
    !matches!(
        function,
        AggFunction::CountDistinct
            | AggFunction::Count
            | AggFunction::First
            | AggFunction::Last
            | AggFunction::Max
            | AggFunction::Min
    )
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() || data_type.is_null()
}

/// The column's name: `sum(amount)`.
fn name(operation: &AggregateOperation) -> String {
    let column = operation.column.join(".");
    match operation.agg_func {
        AggFunction::CountDistinct => format!("count(DISTINCT {column})"),
        AggFunction::SumDistinct => format!("sum(DISTINCT {column})"),
        function => format!("{}({column})", word(function)),
    }
}

fn word(function: AggFunction) -> &'static str {
    match function {
        AggFunction::Avg => "avg",
        AggFunction::CountDistinct => "countDistinct",
        AggFunction::Count => "count",
        AggFunction::First => "first",
        AggFunction::Last => "last",
        AggFunction::Kurtosis => "kurtosis",
        AggFunction::Max => "max",
        AggFunction::Min => "min",
        AggFunction::Skewness => "skewness",
        AggFunction::StddevSamp => "stddev_samp",
        AggFunction::StddevPop => "stddev_pop",
        AggFunction::Sum => "sum",
        AggFunction::SumDistinct => "sumDistinct",
        AggFunction::VarSamp => "var_samp",
        AggFunction::VarPop => "var_pop",
    }
}

fn check_unique(node: &Aggregate, names: &[String]) -> Result<()> {
    let twice = |(i, name): &(usize, &String)| names[..*i].contains(name);
    match names.iter().enumerate().find(twice) {
        None => Ok(()),
        Some((_, name)) => Err(Error::node(
            &node.name,
            format!("{name:?} would be there twice; leave one of them out of Groups and Aggs"),
        )),
    }
}
