//! [`Transaction`]: preconditions and changes that hold and happen together.

use std::collections::HashSet;
use std::fmt;

use crate::error::{Error, Result};
use crate::key::{Key, Tenant};
use crate::tree::Tree;
use crate::value::MAX_PAYLOAD_BYTES;

/// Changes and preconditions of one transaction, at most.
const MAX_STEPS: usize = 100_000;

/// Bytes of payload in one transaction, at most.
const MAX_TRANSACTION_BYTES: usize = 64 * 1024 * 1024;

/// Bytes in the name of an actor, at most.
pub const MAX_ACTOR_BYTES: usize = 256;

/// A precondition on one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// There is no record.
    Absent,
    /// There is a record with this object version.
    Version(u64),
    /// There is a record with any object version.
    Present,
    /// Nothing is asked.
    Any,
}

impl Expected {
    /// Whether a record at version `found`, or absent, is as expected.
    pub(crate) fn accepts(self, found: Option<u64>) -> bool {
        match self {
            Self::Absent => found.is_none(),
            Self::Version(version) => found == Some(version),
            Self::Present => found.is_some(),
            Self::Any => true,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Version(version) => write!(f, "at version {version}"),
            Self::Present => f.write_str("present"),
            Self::Any => f.write_str("anything"),
        }
    }
}

/// Preconditions and changes in one tenant's records. All preconditions hold and all changes happen, or
/// nothing does; preconditions see the state before the changes.
///
/// ```
/// use tenon_store::{Expected, Key, Tenant, Transaction, Tree};
/// let (old, new) = (Key::new().with_part("old"), Key::new().with_part("new"));
/// let rename = Transaction::new(Tenant::new(1))
///     .expect(Tree::Object, old.clone(), Expected::Version(7))
///     .expect(Tree::Object, new.clone(), Expected::Absent)
///     .delete(Tree::Object, old)
///     .put(Tree::Object, new, 1, b"payload".to_vec());
/// ```
#[derive(Debug, Clone)]
pub struct Transaction {
    pub(crate) tenant: Tenant,
    pub(crate) actor: String,
    pub(crate) preconditions: Vec<(Tree, Key, Expected)>,
    pub(crate) changes: Vec<(Tree, Key, Change)>,
}

#[derive(Debug, Clone)]
pub(crate) enum Change {
    Put { schema: u16, payload: Vec<u8> },
    Delete,
}

impl Transaction {
    /// An empty transaction on the records of `tenant`.
    #[must_use]
    pub fn new(tenant: Tenant) -> Self {
        Self {
            tenant,
            actor: String::new(),
            preconditions: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Says on whose behalf it happens, for the journal: at most [`MAX_ACTOR_BYTES`], such as the id of an access key.
    #[must_use]
    pub fn by(mut self, actor: impl Into<String>) -> Self {
        self.actor = actor.into();
        self
    }

    /// Adds a precondition.
    #[must_use]
    pub fn expect(mut self, tree: Tree, key: Key, expected: Expected) -> Self {
        self.preconditions.push((tree, key, expected));
        self
    }

    /// Writes a record, new or in place of another. `schema` is the version of the payload's layout, for its
    /// reader; the store does not look inside.
    #[must_use]
    pub fn put(mut self, tree: Tree, key: Key, schema: u16, payload: Vec<u8>) -> Self {
        self.changes
            .push((tree, key, Change::Put { schema, payload }));
        self
    }

    /// Removes a record. Removing what is absent is no fault; add [`Expected::Present`] if it should be.
    #[must_use]
    pub fn delete(mut self, tree: Tree, key: Key) -> Self {
        self.changes.push((tree, key, Change::Delete));
        self
    }

    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Bytes of payload.
    pub(crate) fn payload_bytes(&self) -> usize {
        let payload = |change: &Change| match change {
            Change::Put { payload, .. } => payload.len(),
            Change::Delete => 0,
        };
        self.changes
            .iter()
            .map(|(_, _, change)| payload(change))
            .sum()
    }

    /// Checks what can be checked without the store.
    pub(crate) fn validate(&self) -> Result<()> {
        let steps = self.preconditions.len() + self.changes.len();
        if steps > MAX_STEPS {
            let reason =
                format!("it has {steps} preconditions and changes, the limit is {MAX_STEPS}");
            return Err(Error::InvalidTransaction { reason });
        }
        check_size(
            || "the name of an actor".to_owned(),
            self.actor.len(),
            MAX_ACTOR_BYTES,
        )?;
        for (_, key, _) in &self.preconditions {
            key.check_length()?;
        }
        let mut seen = HashSet::new();
        for (tree, key, change) in &self.changes {
            key.check_length()?;
            if !seen.insert((tree, key)) {
                let reason = format!("it changes {tree} record {key} twice");
                return Err(Error::InvalidTransaction { reason });
            }
            if let Change::Put { payload, .. } = change {
                check_size(
                    || format!("the payload of {tree} record {key}"),
                    payload.len(),
                    MAX_PAYLOAD_BYTES,
                )?;
            }
        }
        check_size(
            || "a transaction".to_owned(),
            self.payload_bytes(),
            MAX_TRANSACTION_BYTES,
        )
    }
}

fn check_size(what: impl Fn() -> String, size: usize, limit: usize) -> Result<()> {
    if size > limit {
        return Err(Error::TooLarge {
            what: what(),
            size,
            limit,
        });
    }
    Ok(())
}

/// A transaction that happened and is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its place in the order of all transactions of the store, from 1. For a transaction without changes, the
    /// place of the last one before it.
    pub seq: u64,
    /// The new object versions, one for each `put`, in their order.
    pub versions: Vec<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, size: usize) -> Transaction {
        Transaction::new(Tenant::new(1)).put(
            Tree::Object,
            Key::new().with_part(key),
            1,
            vec![0; size],
        )
    }

    #[test]
    fn what_contradicts_itself_or_is_too_large_is_refused() {
        let twice = put("a", 1).delete(Tree::Object, Key::new().with_part("a"));
        assert_eq!(
            twice.validate().unwrap_err().to_string(),
            "invalid transaction: it changes obj record a/ twice"
        );
        let elsewhere = put("a", 1).delete(Tree::Version, Key::new().with_part("a"));
        elsewhere.validate().unwrap();
        assert_eq!(
            put("a", MAX_PAYLOAD_BYTES + 1)
                .validate()
                .unwrap_err()
                .to_string(),
            "the payload of obj record a/ has 16777217 bytes, the limit is 16777216 bytes"
        );
        assert_eq!(
            put(&"k".repeat(2047), 1)
                .validate()
                .unwrap_err()
                .to_string(),
            "a key has 2049 bytes, the limit is 2048 bytes"
        );
        let mut large = put("0", MAX_PAYLOAD_BYTES);
        for key in ["1", "2", "3", "4"] {
            large.changes.extend(put(key, MAX_PAYLOAD_BYTES).changes);
        }
        assert!(matches!(large.validate(), Err(Error::TooLarge { .. })));
    }
}
