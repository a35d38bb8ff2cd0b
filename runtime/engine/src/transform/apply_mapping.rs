//! ApplyMapping: choose, rename, cast and reorder columns.
//!
//! A cast that a value does not survive fails the run and names the value; nothing becomes null by
//! accident.

use datafusion::common::DFSchema;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use tenon_catalog::HiveType;

use super::column;
use crate::error::{Error, Result};
use crate::graph::{ApplyMapping, Mapping};

pub(crate) fn apply_mapping(node: &ApplyMapping, input: LogicalPlan) -> Result<LogicalPlan> {
    let kept = node.mapping.iter().filter(|mapping| !mapping.dropped);
    let columns = kept
        .map(|mapping| mapped(&node.name, input.schema(), mapping))
        .collect::<Result<Vec<_>>>()?;
    if columns.is_empty() {
        return Err(Error::node(&node.name, "the mapping keeps no column"));
    }
    let plan = LogicalPlanBuilder::from(input)
        .project(columns)
        .and_then(LogicalPlanBuilder::build);
    plan.map_err(|e| Error::of_datafusion(&node.name, &e))
}

fn mapped(node: &str, schema: &DFSchema, mapping: &Mapping) -> Result<Expr> {
    let source = column(node, schema, &mapping.from_path)?;
    let Some(to_type) = &mapping.to_type else {
        return Ok(source.alias(&mapping.to_key));
    };
    let target: HiveType = hive_word(to_type)
        .parse()
        .map_err(|e| Error::node(node, format!("column {:?}: {e}", mapping.to_key)))?;
    Ok(cast(source, target.to_arrow()).alias(&mapping.to_key))
}

/// Glue's transforms have words of their own for some of the catalog's types.
fn hive_word(word: &str) -> &str {
    match word {
        "long" => "bigint",
        "short" => "smallint",
        "byte" => "tinyint",
        "integer" => "int",
        "bool" => "boolean",
        other => other,
    }
}
