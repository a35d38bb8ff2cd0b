//! Filter: Glue's conditions on columns and constants.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, lit,
};

use super::{built, column};
use crate::error::{Error, Result};
use crate::graph::{
    Filter, FilterExpression, FilterValue, FilterValueType, LogicalOperator, Operation,
};

pub(crate) fn filter(node: &Filter, input: LogicalPlan) -> Result<LogicalPlan> {
    let schema = input.schema();
    let condition = combined(&node.name, schema, node.logical_operator, &node.filters)?;
    built(
        &node.name,
        LogicalPlanBuilder::from(input).filter(condition),
    )
}

/// The conditions as one.
pub(super) fn combined(
    node: &str,
    schema: &DFSchema,
    operator: LogicalOperator,
    filters: &[FilterExpression],
) -> Result<Expr> {
    let conditions = filters.iter().map(|f| condition(node, schema, f));
    let conditions = conditions.collect::<Result<Vec<_>>>()?;
    let combined = conditions.into_iter().reduce(|a, b| match operator {
        LogicalOperator::And => a.and(b),
        LogicalOperator::Or => a.or(b),
    });
    combined.ok_or_else(|| Error::node(node, "a filter needs at least one condition"))
}

fn condition(node: &str, schema: &DFSchema, filter: &FilterExpression) -> Result<Expr> {
    let expression = match (filter.operation, filter.values.as_slice()) {
        (Operation::IsNull, [value]) => operand(node, schema, value, None)?.is_null(),
        (operation, [left, right]) => comparison(node, schema, operation, left, right)?,
        (operation, values) => {
            return Err(Error::node(
                node,
                format!("{operation:?} does not take {} values", values.len()),
            ));
        }
    };
    Ok(if filter.negated {
        Expr::Not(Box::new(expression))
    } else {
        expression
    })
}

fn comparison(
    node: &str,
    schema: &DFSchema,
    operation: Operation,
    left: &FilterValue,
    right: &FilterValue,
) -> Result<Expr> {
    let operator = match operation {
        Operation::Eq => Operator::Eq,
        Operation::Lt => Operator::Lt,
        Operation::Gt => Operator::Gt,
        Operation::Lte => Operator::LtEq,
        Operation::Gte => Operator::GtEq,
        Operation::Regex => Operator::RegexMatch,
        Operation::IsNull => return Err(Error::node(node, "ISNULL takes one value")),
    };
    let type_of = |value: &FilterValue| match value.r#type {
        FilterValueType::ColumnExtracted => column(node, schema, &value.value)
            .and_then(|c| {
                c.get_type(schema)
                    .map_err(|e| Error::of_datafusion(node, &e))
            })
            .map(Some),
        FilterValueType::Constant => Ok(None),
    };
    let (left_type, right_type) = (type_of(left)?, type_of(right)?);
    let left = operand(node, schema, left, right_type.as_ref())?;
    let right = operand(node, schema, right, left_type.as_ref())?;
    Ok(Expr::BinaryExpr(BinaryExpr::new(
        Box::new(left),
        operator,
        Box::new(right),
    )))
}

/// A column, or a constant read as the type of the column that it is compared with.
fn operand(
    node: &str,
    schema: &DFSchema,
    value: &FilterValue,
    like: Option<&DataType>,
) -> Result<Expr> {
    if value.r#type == FilterValueType::ColumnExtracted {
        return column(node, schema, &value.value);
    }
    let [text] = value.value.as_slice() else {
        return Err(Error::node(
            node,
            format!("a constant is one value, not {}", value.value.len()),
        ));
    };
    match like {
        None | Some(DataType::Utf8) => Ok(lit(text.as_str())),
        Some(like) => {
            let parsed = ScalarValue::try_from_string(text.clone(), like);
            let parsed = parsed.map_err(|_| {
                Error::node(
                    node,
                    format!(
                        "the constant {text:?} cannot be compared with a column of type {like}"
                    ),
                )
            })?;
            Ok(Expr::Literal(parsed, None))
        }
    }
}
