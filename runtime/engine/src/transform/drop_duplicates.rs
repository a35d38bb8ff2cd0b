//! DropDuplicates: one row of those that agree in some columns, or in all.

use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use super::{built, column};
use crate::error::Result;
use crate::graph::DropDuplicates;

pub(crate) fn drop_duplicates(node: &DropDuplicates, input: LogicalPlan) -> Result<LogicalPlan> {
    if node.columns.is_empty() {
        return built(&node.name, LogicalPlanBuilder::from(input).distinct());
    }
    let paths = node.columns.iter();
    let on = paths.map(|path| column(&node.name, input.schema(), path));
    let on = on.collect::<Result<Vec<_>>>()?;
    let all = input.schema().columns().into_iter().map(Expr::Column);
    let all = all.collect();
    let distinct = LogicalPlanBuilder::from(input).distinct_on(on, all, None);
    built(&node.name, distinct)
}
