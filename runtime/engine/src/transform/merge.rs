//! Merge: a source whose rows are replaced by those of a staging input with the same primary keys.
//!
//! ```text
//! source rows whose keys no staging row has  ∪  all staging rows
//! ```
//!
//! Glue's `mergeDynamicFrame` does the same: duplicates stay on both sides, and rows of the staging input alone are
//! added. Null agrees with nothing, so that a row without its key is never replaced.

use datafusion::logical_expr::{JoinType, LogicalPlan, LogicalPlanBuilder};

use super::join::comparable;
use super::union::stacked;
use super::{built, names};
use crate::error::{Error, Result};
use crate::graph::Merge;

/// `source` and `staging` are under different names of tables.
pub(crate) fn merge(
    node: &Merge,
    source: LogicalPlan,
    staging: LogicalPlan,
) -> Result<LogicalPlan> {
    let positions = positions(node, &source, &staging)?;
    let keys = node
        .primary_keys
        .iter()
        .map(|path| comparable(&node.name, (&source, path), (&staging, path)));
    let keys = keys.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let staying = LogicalPlanBuilder::from(source).join_with_expr_keys(
        staging.clone(),
        JoinType::LeftAnti,
        keys,
        None,
    );
    stacked(&node.name, built(&node.name, staying)?, staging, &positions)
}

/// Where the source's columns are in the staging input, which has the same ones in any order.
fn positions(node: &Merge, source: &LogicalPlan, staging: &LogicalPlan) -> Result<Vec<usize>> {
    let (of_source, of_staging) = (names(source.schema()), names(staging.schema()));
    let alone = |of: &[&str], other: &[&str]| {
        let found = of.iter().find(|name| !other.contains(name));
        found.map(ToString::to_string)
    };
    for (name, which, other) in [
        (alone(&of_source, &of_staging), "source", "staging input"),
        (alone(&of_staging, &of_source), "staging input", "source"),
    ] {
        if let Some(name) = name {
            return Err(Error::node(
                &node.name,
                format!(
                    "the {which} has a column {name:?} and the {other} has none; both have the same columns"
                ),
            ));
        }
    }
    let position = |name: &&str| of_staging.iter().position(|other| other == name);
    Ok(of_source.iter().filter_map(position).collect())
}
