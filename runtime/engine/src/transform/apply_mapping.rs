//! ApplyMapping: choose, rename, cast and reorder columns.
//!
//! A cast that a value does not survive fails the run and names the value; nothing becomes null by
//! accident.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::functions::expr_fn::named_struct;
use datafusion::logical_expr::{Expr, LogicalPlan, cast, lit, when};
use tenon_catalog::HiveType;

use super::{projected, typed_column};
use crate::error::{Error, Result};
use crate::graph::{ApplyMapping, Mapping};

pub(crate) fn apply_mapping(node: &ApplyMapping, input: LogicalPlan) -> Result<LogicalPlan> {
    let kept = node.mapping.iter().filter(|mapping| !mapping.dropped);
    let columns = kept
        .map(|mapping| {
            let value = mapped(&node.name, input.schema(), &[], mapping)?;
            Ok(value.alias(&mapping.to_key))
        })
        .collect::<Result<Vec<_>>>()?;
    if columns.is_empty() {
        return Err(Error::node(&node.name, "the mapping keeps no column"));
    }
    projected(&node.name, input, columns)
}

/// The value of a mapping whose path begins at `parent`.
fn mapped(node: &str, schema: &DFSchema, parent: &[String], mapping: &Mapping) -> Result<Expr> {
    let path = [parent, &mapping.from_path].concat();
    let (source, data_type) = typed_column(node, schema, &path)?;
    if !mapping.children.is_empty() {
        return rebuilt(node, schema, &path, mapping, &source, &data_type);
    }
    let Some(to_type) = &mapping.to_type else {
        return Ok(source);
    };
    if to_type.eq_ignore_ascii_case("struct") && data_type.is_nested() {
        return Ok(source);
    }
    let target: HiveType = hive_word(to_type)
        .parse()
        .map_err(|e| Error::node(node, format!("column {:?}: {e}", mapping.to_key)))?;
    Ok(cast(source, target.to_arrow()))
}

/// A struct of the children; null where the struct was null.
fn rebuilt(
    node: &str,
    schema: &DFSchema,
    path: &[String],
    mapping: &Mapping,
    source: &Expr,
    data_type: &DataType,
) -> Result<Expr> {
    let place = path.join(".");
    if !matches!(data_type, DataType::Struct(_)) {
        return Err(Error::node(
            node,
            format!("{place:?} is {data_type}, and Children are fields of a struct"),
        ));
    }
    let mut members = Vec::new();
    for child in mapping.children.iter().filter(|child| !child.dropped) {
        members.push(lit(child.to_key.as_str()));
        members.push(mapped(node, schema, path, child)?);
    }
    if members.is_empty() {
        return Err(Error::node(
            node,
            format!("the Children of {place:?} keep no field; set Dropped on it instead"),
        ));
    }
    let whole = when(source.clone().is_not_null(), named_struct(members)).end();
    whole.map_err(|e| Error::of_datafusion(node, &e))
}

/// Glue's transforms have words of their own for some of the catalog's types.
pub(super) fn hive_word(word: &str) -> &str {
    match word {
        "long" => "bigint",
        "short" => "smallint",
        "byte" => "tinyint",
        "integer" => "int",
        "bool" => "boolean",
        other => other,
    }
}
