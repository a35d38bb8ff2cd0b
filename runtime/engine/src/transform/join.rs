//! Join: rows of two inputs side by side where their keys agree.
//!
//! Null agrees with nothing, not even with null. A name that both inputs have becomes `.name` on the right side of an
//! `equijoin`, as in Glue's `Join.apply`. The script that Glue makes of the other types joins data frames, in which such
//! a column is ambiguous: there it is refused.

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::type_coercion::binary::{comparison_coercion, string_coercion};
use datafusion::logical_expr::{self as df, Expr, LogicalPlan, LogicalPlanBuilder, cast};

use super::exact::rounds;
use super::{built, names, projected, typed_column};
use crate::error::{Error, Result};
use crate::graph::{Join, JoinColumn, JoinType};

/// `left` and `right` are the inputs in their order, under different names of tables.
pub(crate) fn join(node: &Join, left: LogicalPlan, right: LogicalPlan) -> Result<LogicalPlan> {
    let (left_keys, right_keys) = keys(node, &left, &right)?;
    let columns = columns(node, &left, &right)?;
    let joined = LogicalPlanBuilder::from(left).join_with_expr_keys(
        right,
        join_type(node.join_type),
        (left_keys, right_keys),
        None,
    );
    projected(&node.name, built(&node.name, joined)?, columns)
}

fn join_type(join_type: JoinType) -> df::JoinType {
    match join_type {
        JoinType::Equijoin => df::JoinType::Inner,
        JoinType::Left => df::JoinType::Left,
        JoinType::Right => df::JoinType::Right,
        JoinType::Outer => df::JoinType::Full,
        JoinType::LeftSemi => df::JoinType::LeftSemi,
        JoinType::LeftAnti => df::JoinType::LeftAnti,
    }
}

/// The keys of the left and of the right input, in types that can be compared.
fn keys(node: &Join, left: &LogicalPlan, right: &LogicalPlan) -> Result<(Vec<Expr>, Vec<Expr>)> {
    let (of_left, of_right) = sides(node)?;
    let pairs = of_left.keys.iter().zip(&of_right.keys);
    let compared = pairs.map(|(l, r)| comparable(&node.name, (left, l), (right, r)));
    Ok(compared.collect::<Result<Vec<_>>>()?.into_iter().unzip())
}

/// Which entry of `Columns` is of the left input, and which of the right.
fn sides(node: &Join) -> Result<(&JoinColumn, &JoinColumn)> {
    match (node.columns.as_slice(), node.inputs.first()) {
        ([first, second], Some(left)) if first.from == *left => Ok((first, second)),
        ([first, second], Some(_)) => Ok((second, first)),
        _ => Err(Error::node(
            &node.name,
            "Columns has one entry for each input",
        )),
    }
}

/// A side and the path of a key in it.
type Key<'a> = (&'a LogicalPlan, &'a [String]);

/// Two keys in one type. Text is not compared with numbers: `07` and 7 would agree or not by an accident of casting. Nor are
/// whole numbers with floats, of which different ones would agree.
pub(super) fn comparable(node: &str, left: Key<'_>, right: Key<'_>) -> Result<(Expr, Expr)> {
    let (l, l_type) = typed_column(node, left.0.schema(), left.1)?;
    let (r, r_type) = typed_column(node, right.0.schema(), right.1)?;
    if l_type == r_type {
        return Ok((l, r));
    }
    let is_text = |t: &DataType| string_coercion(t, &DataType::Utf8).is_some();
    let is_alike = is_text(&l_type) == is_text(&r_type) && !rounds(&l_type, &r_type);
    let common = match is_alike {
        true => comparison_coercion(&l_type, &r_type),
        false => None,
    };
    let common = common.ok_or_else(|| {
        Error::node(
            node,
            format!(
                "key {:?} is {l_type} and key {:?} is {r_type}, which are not compared; cast one of them in an \
                 ApplyMapping node",
                left.1.join("."),
                right.1.join(".")
            ),
        )
    })?;
    Ok((cast(l, common.clone()), cast(r, common)))
}

/// The columns of the result: those of the left input, then those of the right.
fn columns(node: &Join, left: &LogicalPlan, right: &LogicalPlan) -> Result<Vec<Expr>> {
    let of = |plan: &LogicalPlan| plan.schema().columns().into_iter().map(Expr::Column);
    let mut columns: Vec<Expr> = of(left).collect();
    if matches!(node.join_type, JoinType::LeftSemi | JoinType::LeftAnti) {
        return Ok(columns);
    }
    let mut taken: Vec<String> = names(left.schema())
        .into_iter()
        .map(str::to_owned)
        .collect();
    let right_names = names(right.schema());
    for (column, name) in of(right).zip(&right_names) {
        if !taken.iter().any(|known| known == name) {
            columns.push(column);
            continue;
        }
        let renamed = format!(".{name}");
        let is_free = !taken.contains(&renamed) && !right_names.contains(&renamed.as_str());
        if node.join_type != JoinType::Equijoin || !is_free {
            return Err(ambiguous(node, name));
        }
        columns.push(column.alias(&renamed));
        taken.push(renamed);
    }
    Ok(columns)
}

fn ambiguous(node: &Join, name: &str) -> Error {
    Error::Node {
        node: node.name.clone(),
        message: format!("both inputs have a column {name:?}, which would be ambiguous"),
        hint: Some(format!(
            "put a RenameField node before one of them, such as {:?} to {:?}",
            name,
            format!("right_{name}")
        )),
    }
}
