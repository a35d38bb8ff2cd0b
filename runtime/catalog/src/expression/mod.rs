//! [`Expression`]: filters over partitions, in the grammar of Glue's `GetPartitions`.
//!
//! ```text
//! or        = and (OR and)*
//! and       = not (AND not)*
//! not       = NOT not | "(" or ")" | predicate
//! predicate = column (= | <> | != | < | <= | > | >=) literal  |  literal comparison column
//!           | column [NOT] IN "(" literal, ... ")"  |  column [NOT] BETWEEN literal AND literal
//!           | column [NOT] LIKE literal             |  column IS [NOT] NULL
//! column    = name | `name` | "name" | "(" column ")"
//! literal   = 'text' | "text" | number | DATE 'text' | TIMESTAMP 'text'
//! ```
//!
//! Values compare by the key's type, quoted or not. No stored value is null. A value that cannot be read as its
//! key's type is the request's fault when it stands in the filter, and the catalog's when it is stored.
//!
//! Rules: <https://docs.aws.amazon.com/glue/latest/webapi/API_GetPartitions.html>

mod conjunct;
mod like;
mod parse;
mod value;

#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use crate::error::{Error, Result};
use crate::model::Column;

pub(crate) use conjunct::Conjunct;
use like::{Wild, is_like};
use value::type_name;
pub(crate) use value::{Kind, Value, is_text, kind, value};

/// A filter, resolved against the keys of a table.
#[derive(Debug)]
pub(crate) struct Expression<'a> {
    keys: &'a [Column],
    /// `None` lets everything pass.
    root: Option<Node>,
}

#[derive(Debug)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Constant(bool),
    Compare(usize, Op, Value),
    In(usize, Vec<Value>),
    Between(usize, Value, Value),
    Like(usize, Vec<Wild>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Op {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterEqual => order.is_ge(),
        }
    }

    /// What holds when the sides change places.
    const fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
            same => same,
        }
    }
}

impl<'a> Expression<'a> {
    /// Reads `text` for a table with these partition keys.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when it breaks the grammar, names another column, or compares a value that is not
    /// of the column's type.
    pub(crate) fn parse(text: &str, keys: &'a [Column]) -> Result<Self> {
        let root = parse::parse(text, keys)?;
        Ok(Self { keys, root })
    }

    /// What must all hold for a partition to pass.
    pub(crate) fn conjuncts(&self) -> Vec<Conjunct<'_>> {
        self.root.as_ref().map(conjunct::of).unwrap_or_default()
    }

    /// Whether one of [`Expression::conjuncts`] holds.
    ///
    /// # Errors
    /// [`Error::InvalidState`] when a value it looks at is not of its column's type.
    pub(crate) fn holds(&self, conjunct: &Conjunct<'_>, values: &[String]) -> Result<bool> {
        self.node(conjunct.node, values)
    }

    fn node(&self, node: &Node, values: &[String]) -> Result<bool> {
        Ok(match node {
            Node::Constant(holds) => *holds,
            Node::Not(inner) => !self.node(inner, values)?,
            Node::All(nodes) => {
                for node in nodes {
                    if !self.node(node, values)? {
                        return Ok(false);
                    }
                }
                true
            }
            Node::Any(nodes) => {
                for node in nodes {
                    if self.node(node, values)? {
                        return Ok(true);
                    }
                }
                false
            }
            Node::Compare(column, op, value) => op.holds(self.stored(*column, values)?.cmp(value)),
            Node::In(column, list) => list.contains(&self.stored(*column, values)?),
            Node::Between(column, low, high) => {
                let found = self.stored(*column, values)?;
                *low <= found && found <= *high
            }
            Node::Like(column, pattern) => {
                let text: Vec<char> = values
                    .get(*column)
                    .map(String::as_str)
                    .unwrap_or_default()
                    .chars()
                    .collect();
                is_like(&text, pattern)
            }
        })
    }

    fn stored(&self, column: usize, values: &[String]) -> Result<Value> {
        let text = values.get(column).map(String::as_str).unwrap_or_default();
        let key = &self.keys[column];
        value(key, text).ok_or_else(|| Error::InvalidState {
            reason: format!(
                "the stored value {text:?} of partition key {} is not of type {}",
                key.name,
                type_name(key)
            ),
        })
    }
}
