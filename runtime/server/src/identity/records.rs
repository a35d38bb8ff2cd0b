//! [`Records`]: the records of the server itself, which belong to no tenant. JSON payloads; golden files under
//! `test-data/` keep every released layout readable.
//!
//! ```text
//! obj    1|account                  Account
//! obj    2                          the number the next account's tenant gets
//! obj    3                          fingerprint of the master key
//! secret 1|access key               AccessKey with its sealed secret
//! secret 2|token                    BearerToken with the hash of its secret
//! idx    1|account|access key       empty
//! ```

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tenon_store::{Expected, Key, Record, Store, Tenant, Transaction, Tree};

use super::error::IdentityError;

/// Layout of payloads this build writes.
pub(crate) const SCHEMA: u16 = 1;

/// How often an operation starts again when others change what it is about.
const ATTEMPTS: usize = 16;

pub(super) fn accounts() -> Key {
    Key::new().with_u8(1)
}

pub(super) fn next_tenant() -> Key {
    Key::new().with_u8(2)
}

pub(super) fn fingerprint() -> Key {
    Key::new().with_u8(3)
}

pub(super) fn access_key(id: &str) -> Key {
    Key::new().with_u8(1).with_part(id)
}

pub(super) fn tokens() -> Key {
    Key::new().with_u8(2)
}

/// In the tree of indexes.
pub(super) fn keys_of(account: &str) -> Key {
    Key::new().with_u8(1).with_part(account)
}

/// A record with the object version it had when it was read.
pub(super) struct Stored<T> {
    pub(super) value: T,
    version: u64,
}

impl<T> Stored<T> {
    pub(super) const fn unchanged(&self) -> Expected {
        Expected::Version(self.version)
    }
}

pub(super) struct Records {
    pub(super) store: Arc<dyn Store>,
}

impl Records {
    pub(super) fn transaction() -> Transaction {
        Transaction::new(Tenant::SYSTEM)
    }

    pub(super) fn get<T: DeserializeOwned>(
        &self,
        tree: Tree,
        key: &Key,
    ) -> Result<Option<Stored<T>>, IdentityError> {
        let Some(record) = self.store.get(Tenant::SYSTEM, tree, key)? else {
            return Ok(None);
        };
        let value = decode(&record)?;
        Ok(Some(Stored {
            value,
            version: record.version,
        }))
    }

    /// Everything below a key; these lists are short.
    pub(super) fn all<T: DeserializeOwned>(
        &self,
        tree: Tree,
        below: &Key,
    ) -> Result<Vec<T>, IdentityError> {
        let mut values = Vec::new();
        let mut after = None;
        loop {
            let page = self
                .store
                .scan(Tenant::SYSTEM, tree, below, after.as_ref(), 1000)?;
            for (_, record) in &page.records {
                values.push(decode(record)?);
            }
            after = page.next;
            if after.is_none() {
                return Ok(values);
            }
        }
    }

    /// Keys below a key.
    pub(super) fn keys(&self, tree: Tree, below: &Key) -> Result<Vec<Key>, IdentityError> {
        let mut keys = Vec::new();
        let mut after = None;
        loop {
            let page = self
                .store
                .scan(Tenant::SYSTEM, tree, below, after.as_ref(), 1000)?;
            keys.extend(page.records.into_iter().map(|(key, _)| key));
            after = page.next;
            if after.is_none() {
                return Ok(keys);
            }
        }
    }

    pub(super) fn commit(&self, transaction: Transaction) -> Result<(), IdentityError> {
        self.store.commit(transaction)?;
        Ok(())
    }

    /// Reads, decides and commits; starts again when someone else was faster.
    pub(super) fn retry<T>(
        &self,
        attempt: impl Fn() -> Result<T, IdentityError>,
    ) -> Result<T, IdentityError> {
        for _ in 1..ATTEMPTS {
            match attempt() {
                Err(error) if error.is_conflict() => {}
                outcome => return outcome,
            }
        }
        attempt()
    }
}

pub(crate) fn encode(value: &impl Serialize) -> Result<Vec<u8>, IdentityError> {
    serde_json::to_vec(value).map_err(|error| IdentityError::Unreadable(error.to_string()))
}

pub(crate) fn decode<T: DeserializeOwned>(record: &Record) -> Result<T, IdentityError> {
    if record.schema > SCHEMA {
        let found = record.schema;
        return Err(IdentityError::Unreadable(format!(
            "a record has layout {found}, this build reads up to {SCHEMA}; use a newer tenon"
        )));
    }
    serde_json::from_slice(&record.payload)
        .map_err(|error| IdentityError::Unreadable(format!("a record cannot be read: {error}")))
}
