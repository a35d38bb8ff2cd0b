//! Built-in transforms: each turns a node of the graph and its inputs' plans into a plan.
//!
//! One file for each kind. Two kinds have to know what is in their input before they are planned: they say what is to
//! be computed first ([`NullColumns`], [`Filling`]), and the engine does it.

mod aggregate;
mod apply_mapping;
mod custom_code;
mod drop_duplicates;
mod drop_null_fields;
mod exact;
mod fields;
mod fill_missing_values;
mod filter;
mod join;
mod merge;
mod moments;
mod query;
mod regression;
mod rename_field;
mod route;
mod spigot;
mod sql;
mod union;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::DFSchema;
use datafusion::error::DataFusionError;
use datafusion::functions::core::expr_ext::FieldAccessor;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use crate::error::{Error, Result};

pub(crate) use aggregate::aggregate;
pub(crate) use apply_mapping::apply_mapping;
pub(crate) use custom_code::{Clashes, Code, CodeNode, check_columns};
pub(crate) use drop_duplicates::drop_duplicates;
pub(crate) use drop_null_fields::{NullColumns, NullDatatypes};
pub(crate) use fields::{drop_fields, select_fields, split_fields};
pub(crate) use fill_missing_values::Filling;
pub(crate) use filter::filter;
pub(crate) use join::join;
pub(crate) use merge::merge;
pub(crate) use query::{is_plain, mentions, passed_over};
pub(crate) use rename_field::rename_field;
pub(crate) use route::route;
pub(crate) use spigot::Sampling;
pub(crate) use sql::{sql, sql_session};
pub(crate) use union::union;

/// The expression of a column, given as a path: a column, then fields of structs.
///
/// # Errors
/// There is no such column or field: names it, says which there are, and which one was probably meant.
pub(crate) fn column(node: &str, schema: &DFSchema, path: &[String]) -> Result<Expr> {
    typed_column(node, schema, path).map(|(expression, _)| expression)
}

/// The same with its type.
pub(crate) fn typed_column(
    node: &str,
    schema: &DFSchema,
    path: &[String],
) -> Result<(Expr, DataType)> {
    let Some((name, fields)) = path.split_first() else {
        return Err(Error::node(node, "a column path is empty"));
    };
    let known = names(schema);
    let Some(position) = known.iter().position(|k| k == name) else {
        return Err(unknown(node, "the input", "column", name, &known));
    };
    let mut expression = Expr::Column(schema.columns()[position].clone());
    let mut data_type = schema.field(position).data_type().clone();
    for (depth, field) in fields.iter().enumerate() {
        let inner = field_of(node, &path[..=depth], &data_type, field)?;
        data_type = inner.data_type().clone();
        expression = expression.field(field.as_str());
    }
    Ok((expression, data_type))
}

/// The names of the columns, in their order.
pub(crate) fn names(schema: &DFSchema) -> Vec<&str> {
    schema.fields().iter().map(|f| f.name().as_str()).collect()
}

/// A field of the struct at `path`.
fn field_of<'a>(
    node: &str,
    path: &[String],
    data_type: &'a DataType,
    name: &str,
) -> Result<&'a Field> {
    let place = path.join(".");
    let DataType::Struct(fields) = data_type else {
        return Err(Error::node(
            node,
            format!("{place:?} is {data_type}, which has no fields; there is no {name:?} in it"),
        ));
    };
    let found = fields.iter().find(|field| field.name() == name);
    found.map(AsRef::as_ref).ok_or_else(|| {
        let known: Vec<&str> = fields.iter().map(|f| f.name().as_str()).collect();
        unknown(node, &format!("{place:?}"), "field", name, &known)
    })
}

fn unknown(node: &str, place: &str, what: &str, name: &str, known: &[&str]) -> Error {
    Error::Node {
        node: node.to_owned(),
        message: format!(
            "there is no {what} {name:?}; {place} has {}",
            known.join(", ")
        ),
        hint: closest(name, known).map(|near| format!("did you mean {near:?}?")),
    }
}

/// A plan that has these columns.
fn projected(node: &str, input: LogicalPlan, columns: Vec<Expr>) -> Result<LogicalPlan> {
    built(node, LogicalPlanBuilder::from(input).project(columns))
}

/// A finished plan, or the node's failure.
fn built(node: &str, builder: Result<LogicalPlanBuilder, DataFusionError>) -> Result<LogicalPlan> {
    let plan = builder.and_then(LogicalPlanBuilder::build);
    plan.map_err(|e| Error::of_datafusion(node, &e))
}

/// The known name that differs least, if it is close.
pub(crate) fn closest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |other: &str| {
        datafusion::common::utils::datafusion_strsim::levenshtein(
            &name.to_lowercase(),
            &other.to_lowercase(),
        )
    };
    let near = known.iter().map(|k| (distance(k), *k)).min()?;
    (near.0 <= 1 + name.len() / 4).then_some(near.1)
}
