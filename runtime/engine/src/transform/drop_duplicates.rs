//! DropDuplicates: one row of those that agree in some columns, or in all.

use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};

use super::column;
use crate::error::{Error, Result};
use crate::graph::DropDuplicates;

pub(crate) fn drop_duplicates(node: &DropDuplicates, input: LogicalPlan) -> Result<LogicalPlan> {
    let fail = |e| Error::of_datafusion(&node.name, &e);
    if node.columns.is_empty() {
        return LogicalPlanBuilder::from(input)
            .distinct()
            .and_then(LogicalPlanBuilder::build)
            .map_err(fail);
    }
    let on = node
        .columns
        .iter()
        .map(|path| column(&node.name, input.schema(), path))
        .collect::<Result<Vec<_>>>()?;
    let all = input
        .schema()
        .columns()
        .into_iter()
        .map(datafusion::logical_expr::Expr::Column)
        .collect();
    LogicalPlanBuilder::from(input)
        .distinct_on(on, all, None)
        .and_then(LogicalPlanBuilder::build)
        .map_err(fail)
}
