//! SelectFields, DropFields and SplitFields: which columns, and which fields of structs, go on. Order stays.
//!
//! ```text
//! id, person {name, age}   SelectFields [[person, age]]   person {age}
//!                          DropFields   [[person, age]]   id, person {name}
//! ```
//!
//! A struct that loses fields stays null where it was null.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::error::DataFusionError;
use datafusion::functions::core::expr_ext::FieldAccessor;
use datafusion::functions::expr_fn::named_struct;
use datafusion::logical_expr::{Expr, LogicalPlan, lit, when};

use super::{column, projected};
use crate::error::{Error, Result};
use crate::graph::{DropFields, SelectFields, SplitFields};

pub(crate) fn select_fields(node: &SelectFields, input: LogicalPlan) -> Result<LogicalPlan> {
    check_known(&node.name, input.schema(), &node.paths)?;
    narrowed(&node.name, input, &|path| selected(&node.paths, path))
}

pub(crate) fn drop_fields(node: &DropFields, input: LogicalPlan) -> Result<LogicalPlan> {
    check_known(&node.name, input.schema(), &node.paths)?;
    without(&node.name, input, &node.paths)
}

/// The plans of both outputs.
pub(crate) fn split_fields(node: &SplitFields, input: LogicalPlan) -> Result<[LogicalPlan; 2]> {
    check_known(&node.name, input.schema(), &node.paths)?;
    let first = narrowed(&node.name, input.clone(), &|path| {
        selected(&node.paths, path)
    })?;
    Ok([first, without(&node.name, input, &node.paths)?])
}

/// The plan without some columns and fields.
pub(super) fn without(
    node: &str,
    input: LogicalPlan,
    paths: &[Vec<String>],
) -> Result<LogicalPlan> {
    narrowed(node, input, &|path| match selected(paths, path) {
        Part::Whole => Part::Nothing,
        Part::Some => Part::Some,
        Part::Nothing => Part::Whole,
    })
}

/// How much of a column or field goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    Some,
    Nothing,
}

/// How much of `path` the selection of `paths` takes.
fn selected(paths: &[Vec<String>], path: &[String]) -> Part {
    if paths.iter().any(|chosen| path.starts_with(chosen)) {
        return Part::Whole;
    }
    match paths.iter().any(|chosen| chosen.starts_with(path)) {
        true => Part::Some,
        false => Part::Nothing,
    }
}

fn check_known(node: &str, schema: &DFSchema, paths: &[Vec<String>]) -> Result<()> {
    let mut paths = paths.iter();
    paths.try_for_each(|path| column(node, schema, path).map(drop))
}

fn narrowed(
    node: &str,
    input: LogicalPlan,
    part: &dyn Fn(&[String]) -> Part,
) -> Result<LogicalPlan> {
    let schema = input.schema();
    let mut columns = Vec::new();
    for (reference, field) in schema.columns().into_iter().zip(schema.fields()) {
        let whole = Expr::Column(reference);
        let mut path = vec![field.name().clone()];
        let kept = kept(&whole, field.data_type(), &mut path, part);
        let kept = kept.map_err(|e| Error::of_datafusion(node, &e))?;
        columns.extend(kept.map(|expression| match part(&path) {
            Part::Whole => expression,
            _ => expression.alias(field.name()),
        }));
    }
    if columns.is_empty() {
        return Err(Error::node(node, "no column is left"));
    }
    projected(node, input, columns)
}

/// What goes on of a value.
fn kept(
    value: &Expr,
    data_type: &DataType,
    path: &mut Vec<String>,
    part: &dyn Fn(&[String]) -> Part,
) -> Result<Option<Expr>, DataFusionError> {
    match (part(path), data_type) {
        (Part::Whole, _) => Ok(Some(value.clone())),
        (Part::Some, DataType::Struct(fields)) => {
            let mut members = Vec::new();
            for field in fields {
                path.push(field.name().clone());
                let inner = value.clone().field(field.name().as_str());
                let inner = kept(&inner, field.data_type(), path, part)?;
                path.pop();
                members.extend(inner.map(|inner| [lit(field.name().as_str()), inner]));
            }
            if members.is_empty() {
                return Ok(None);
            }
            let whole = named_struct(members.into_iter().flatten().collect());
            when(value.clone().is_not_null(), whole).end().map(Some)
        }
        _ => Ok(None),
    }
}
