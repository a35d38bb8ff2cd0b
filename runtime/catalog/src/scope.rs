//! [`Scope`]: which of a tenant's catalogs an operation is about, and [`Transaction`], whose keys lie there.
//!
//! ```text
//! default catalog            key
//! nested catalog number n    255|n|key     the same keys, one level down
//! ```
//!
//! Nothing else in this crate knows that there are several catalogs: keys get their prefix on the way to the
//! store and lose it on the way back. Numbers of catalogs are never used twice, and every transaction in a
//! nested catalog asks that its number's record is there, so a deleted catalog takes nothing more, also when one
//! with the same name was created since.

use tenon_store::{Expected, Key, Tenant, Tree};

use crate::error::Result;
use crate::stored;
use crate::tag::{self, Tags};

/// One of a tenant's catalogs; the default one holds the others' records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scope(Option<Nested>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Nested {
    name: String,
    prefix: Key,
    record: Key,
}

impl Scope {
    pub(crate) fn nested(name: &str, number: u32) -> Self {
        Self(Some(Nested {
            name: name.to_owned(),
            prefix: stored::nested(number),
            record: stored::catalog_number(number),
        }))
    }

    /// The name of a nested catalog.
    pub(crate) fn name(&self) -> Option<&str> {
        self.0.as_ref().map(|nested| nested.name.as_str())
    }

    /// The record that is there as long as a nested catalog is, in the default catalog.
    pub(crate) fn record(&self) -> Option<&Key> {
        self.0.as_ref().map(|nested| &nested.record)
    }

    /// The stored key of this catalog's `key`.
    pub(crate) fn key(&self, key: &Key) -> Key {
        match &self.0 {
            None => key.clone(),
            Some(nested) => Key::from_bytes([nested.prefix.as_bytes(), key.as_bytes()].concat()),
        }
    }

    /// The key in this catalog of what is stored under `key`.
    pub(crate) fn own(&self, key: &Key) -> Key {
        let prefix = self.0.as_ref().map(|nested| nested.prefix.as_bytes());
        let own = key.as_bytes().strip_prefix(prefix.unwrap_or_default());
        Key::from_bytes(own.unwrap_or_default().to_vec())
    }
}

/// A transaction of the store on the records of one catalog.
#[derive(Debug, Clone)]
pub(crate) struct Transaction {
    store: tenon_store::Transaction,
    scope: Scope,
}

impl Transaction {
    pub(crate) fn new(tenant: Tenant, scope: Scope) -> Self {
        Self::over(tenon_store::Transaction::new(tenant), scope)
    }

    /// Goes on with a transaction that somebody else began.
    pub(crate) fn over(mut store: tenon_store::Transaction, scope: Scope) -> Self {
        if let Some(record) = scope.record() {
            store = store.expect(Tree::Object, record.clone(), Expected::Present);
        }
        Self { store, scope }
    }

    /// The same transaction, which goes on with records of another of the tenant's catalogs.
    pub(crate) fn within(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    pub(crate) fn expect(self, tree: Tree, key: Key, expected: Expected) -> Self {
        let key = self.scope.key(&key);
        Self {
            store: self.store.expect(tree, key, expected),
            ..self
        }
    }

    pub(crate) fn put(self, tree: Tree, key: Key, schema: u16, payload: Vec<u8>) -> Self {
        let key = self.scope.key(&key);
        Self {
            store: self.store.put(tree, key, schema, payload),
            ..self
        }
    }

    pub(crate) fn delete(self, tree: Tree, key: Key) -> Self {
        let key = self.scope.key(&key);
        Self {
            store: self.store.delete(tree, key),
            ..self
        }
    }

    /// The tags a new object has; none leave no record.
    pub(crate) fn put_tags(self, object: &Key, tags: &Tags) -> Result<Self> {
        tag::check(tags)?;
        if tags.is_empty() {
            return Ok(self);
        }
        let payload = stored::encode(tags)?;
        Ok(self.put(Tree::Object, stored::tags(object), stored::SCHEMA, payload))
    }

    /// Removes an object with its tags.
    pub(crate) fn delete_tagged(self, key: Key) -> Self {
        self.delete(Tree::Object, stored::tags(&key))
            .delete(Tree::Object, key)
    }

    pub(crate) fn into_store(self) -> tenon_store::Transaction {
        self.store
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_get_their_catalog_and_lose_it_again() {
        let key = stored::table("db", "t");
        let (default, first, other) = (
            Scope::default(),
            Scope::nested("a", 1),
            Scope::nested("a", 256),
        );
        assert_eq!(default.key(&key), key, "what was stored before stays found");
        assert!(!first.key(&key).starts_with(&other.key(&Key::new())));
        for scope in [default, first, other] {
            assert_eq!(scope.own(&scope.key(&key)), key);
        }
    }
}
