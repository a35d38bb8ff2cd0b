//! Union: rows of two inputs, one after the other.
//!
//! Columns go by position, as in the script that Glue makes of the node (`select * from source1 union all select * from
//! source2`): the first input names them. Types become the one that holds both, and none is that would round.

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::type_coercion::binary::type_union_coercion;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};

use super::exact::rounds;
use super::{built, names, projected};
use crate::error::{Error, Result};
use crate::graph::{Union, UnionType};

pub(crate) fn union(node: &Union, first: LogicalPlan, second: LogicalPlan) -> Result<LogicalPlan> {
    check_order(node, &names(first.schema()), &names(second.schema()))?;
    let positions: Vec<usize> = (0..second.schema().fields().len()).collect();
    let all = stacked(&node.name, first, second, &positions)?;
    match node.union_type {
        UnionType::All => Ok(all),
        UnionType::Distinct => built(&node.name, LogicalPlanBuilder::from(all).distinct()),
    }
}

/// By position, the same columns in another order would be mixed up without a word.
fn check_order(node: &Union, first: &[&str], second: &[&str]) -> Result<()> {
    if first.len() != second.len() {
        return Err(Error::node(
            &node.name,
            format!(
                "the first input has {} columns ({}), the second {} ({}); drop what only one of them has",
                first.len(),
                first.join(", "),
                second.len(),
                second.join(", ")
            ),
        ));
    }
    let sorted = |names: &[&str]| {
        let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
        names.sort_unstable();
        names
    };
    if first != second && sorted(first) == sorted(second) {
        return Err(Error::Node {
            node: node.name.clone(),
            message: format!(
                "the inputs have the same columns in another order ({}; {}), and columns go by position",
                first.join(", "),
                second.join(", ")
            ),
            hint: Some("put an ApplyMapping node behind one of them".to_owned()),
        });
    }
    Ok(())
}

/// The rows of `first` and then those of `second`, whose columns are taken in the order of `positions`.
pub(super) fn stacked(
    node: &str,
    first: LogicalPlan,
    second: LogicalPlan,
    positions: &[usize],
) -> Result<LogicalPlan> {
    let (left, right) = (first.schema().clone(), second.schema().clone());
    let (mut above, mut below) = (Vec::new(), Vec::new());
    for (i, &j) in positions.iter().enumerate() {
        let name = left.field(i).name();
        let types = (left.field(i).data_type(), right.field(j).data_type());
        let unified = match rounds(types.0, types.1) {
            true => None,
            false => type_union_coercion(types.0, types.1),
        };
        let unified = unified.ok_or_else(|| {
            Error::node(
                node,
                format!(
                    "column {name:?} is {} in the first input and {} in the second; cast one of them in an ApplyMapping node",
                    types.0, types.1
                ),
            )
        })?;
        let column = |of: &datafusion::common::DFSchema, k: usize, found: &DataType| {
            let column = Expr::Column(of.columns()[k].clone());
            match *found == unified {
                true => column.alias(name),
                false => cast(column, unified.clone()).alias(name),
            }
        };
        above.push(column(&left, i, types.0));
        below.push(column(&right, j, types.1));
    }
    let first = projected(node, first, above)?;
    let second = projected(node, second, below)?;
    built(node, LogicalPlanBuilder::from(first).union(second))
}
