//! [`Conjunct`]: what a filter says of single keys, so that only some partitions need be read.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::like::Wild;
use super::{Node, Op, Value};

/// One of the parts of a filter that must all hold.
#[derive(Debug)]
pub(crate) struct Conjunct<'e> {
    pub(super) node: &'e Node,
    /// Positions of the keys it looks at.
    pub(crate) columns: BTreeSet<usize>,
}

impl<'e> Conjunct<'e> {
    fn new(node: &'e Node) -> Self {
        let mut columns = BTreeSet::new();
        columns_of(node, &mut columns);
        Self { node, columns }
    }

    /// The values of which the key at `column` must have one, when it says so.
    pub(crate) fn points(&self, column: usize) -> Option<BTreeSet<Value>> {
        points(self.node, column)
    }

    /// Between what the key at `column` must lie, as far as it says so.
    pub(crate) fn range(&self, column: usize) -> (Bound<Value>, Bound<Value>) {
        use Bound::{Excluded, Included, Unbounded};
        match self.node {
            Node::Compare(at, op, value) if *at == column => {
                let value = value.clone();
                match op {
                    Op::Less => (Unbounded, Excluded(value)),
                    Op::LessEqual => (Unbounded, Included(value)),
                    Op::Greater => (Excluded(value), Unbounded),
                    Op::GreaterEqual => (Included(value), Unbounded),
                    Op::Equal => (Included(value.clone()), Included(value)),
                    Op::NotEqual => (Unbounded, Unbounded),
                }
            }
            Node::Between(at, low, high) if *at == column => {
                (Included(low.clone()), Included(high.clone()))
            }
            Node::Like(at, pattern) if *at == column => beginning(pattern),
            _ => (Unbounded, Unbounded),
        }
    }
}

/// The parts of a filter.
pub(super) fn of(root: &Node) -> Vec<Conjunct<'_>> {
    let mut nodes = Vec::new();
    flatten(root, &mut nodes);
    nodes.into_iter().map(Conjunct::new).collect()
}

fn points(node: &Node, column: usize) -> Option<BTreeSet<Value>> {
    match node {
        Node::Compare(at, Op::Equal, value) if *at == column => Some([value.clone()].into()),
        Node::In(at, list) if *at == column => Some(list.iter().cloned().collect()),
        Node::Any(nodes) => {
            let mut all = BTreeSet::new();
            for node in nodes {
                all.extend(points(node, column)?);
            }
            Some(all)
        }
        Node::All(nodes) => nodes.iter().find_map(|node| points(node, column)),
        _ => None,
    }
}

/// The texts that begin as the pattern does before its first wildcard.
fn beginning(pattern: &[Wild]) -> (Bound<Value>, Bound<Value>) {
    let fixed = pattern.iter().map_while(|wild| match wild {
        Wild::Char(c) => Some(*c),
        _ => None,
    });
    let mut chars: Vec<char> = fixed.collect();
    if chars.is_empty() {
        return (Bound::Unbounded, Bound::Unbounded);
    }
    let low = Bound::Included(Value::Text(chars.iter().collect()));
    // The least text that is greater than all of them.
    while let Some(last) = chars.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return (
                low,
                Bound::Excluded(Value::Text(chars.into_iter().collect())),
            );
        }
    }
    (low, Bound::Unbounded)
}

fn columns_of(node: &Node, into: &mut BTreeSet<usize>) {
    match node {
        Node::All(nodes) | Node::Any(nodes) => {
            nodes.iter().for_each(|node| columns_of(node, into));
        }
        Node::Not(inner) => columns_of(inner, into),
        Node::Constant(_) => {}
        Node::Compare(column, ..)
        | Node::In(column, _)
        | Node::Between(column, ..)
        | Node::Like(column, _) => {
            into.insert(*column);
        }
    }
}

fn flatten<'n>(node: &'n Node, into: &mut Vec<&'n Node>) {
    match node {
        Node::All(nodes) => nodes.iter().for_each(|node| flatten(node, into)),
        other => into.push(other),
    }
}
