//! Built-in transforms: each turns a node of the graph and its inputs' plans into a plan.
//!
//! One file for each kind. What they share: [`Inputs`].

mod apply_mapping;
mod drop_duplicates;
mod filter;
mod sql;

use datafusion::common::DFSchema;
use datafusion::logical_expr::Expr;

use crate::error::{Error, Result};

pub(crate) use apply_mapping::apply_mapping;
pub(crate) use drop_duplicates::drop_duplicates;
pub(crate) use filter::filter;
pub(crate) use sql::{sql, sql_session};

/// The expression of a column, given as a path: a column, then fields of structs.
///
/// # Errors
/// There is no such column: names it, says which there are, and which one was probably meant.
pub(crate) fn column(node: &str, schema: &DFSchema, path: &[String]) -> Result<Expr> {
    let Some((name, fields)) = path.split_first() else {
        return Err(Error::node(node, "a column path is empty"));
    };
    let known: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let Some(position) = known.iter().position(|k| k == name) else {
        let hint = closest(name, &known).map(|near| format!("did you mean {near:?}?"));
        return Err(Error::Node {
            node: node.to_owned(),
            message: format!(
                "there is no column {name:?}; the input has {}",
                known.join(", ")
            ),
            hint,
        });
    };
    let mut expression = Expr::Column(schema.columns()[position].clone());
    for field in fields {
        expression =
            datafusion::functions::core::expr_ext::FieldAccessor::field(expression, field.as_str());
    }
    Ok(expression)
}

/// How often a word stands in a query: at least as often as the table of that name is read.
pub(crate) fn mentions(sql: &str, word: &str) -> usize {
    let words = sql.split(|c: char| !c.is_alphanumeric() && c != '_');
    words
        .filter(|w| w.eq_ignore_ascii_case(word))
        .count()
        .max(1)
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
