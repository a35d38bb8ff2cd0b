//! Route: an output for each group of conditions, and the default one last.
//!
//! A row goes to every group whose conditions hold, and to the default output when none does. A condition on a null holds
//! for no group.

use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};

use super::built;
use super::filter::combined;
use crate::error::Result;
use crate::graph::Route;

/// The plans of the outputs.
pub(crate) fn route(node: &Route, input: &LogicalPlan) -> Result<Vec<LogicalPlan>> {
    let conditions = node
        .group_filters_list
        .iter()
        .map(|group| {
            let schema = input.schema();
            combined(&node.name, schema, group.logical_operator, &group.filters)
        })
        .collect::<Result<Vec<_>>>()?;
    let none = conditions
        .iter()
        .map(|condition| condition.clone().is_not_true());
    let none = none.reduce(datafusion::logical_expr::Expr::and);
    let outputs = conditions.into_iter().chain(none);
    let output = |condition| {
        let filtered = LogicalPlanBuilder::from(input.clone()).filter(condition);
        built(&node.name, filtered)
    };
    outputs.map(output).collect()
}
