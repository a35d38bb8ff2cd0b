//! [`Catalog`] and [`TenantCatalog`]: who may ask, and what all operations share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::de::DeserializeOwned;
use tenon_store::{Clock, Expected, Key, Store, Tenant, Transaction, Tree};

use crate::error::{Error, Kind, Result};
use crate::model::Timestamp;
use crate::stored;

/// How often an operation starts again when others change what it is about.
const ATTEMPTS: usize = 16;

/// Items of a page, at most.
pub(crate) const MAX_PAGE: usize = 1000;

/// All databases and tables of all tenants.
#[derive(Clone)]
pub struct Catalog {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Catalog {
    /// The catalog kept in `store`.
    #[must_use]
    pub fn open(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// The part of the catalog that belongs to `tenant`.
    #[must_use]
    pub fn tenant(&self, tenant: Tenant) -> TenantCatalog {
        TenantCatalog {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            tenant,
            note: None,
        }
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").finish_non_exhaustive()
    }
}

/// One tenant's databases and tables. Cheap to clone; every method blocks on the store.
#[derive(Clone)]
pub struct TenantCatalog {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    tenant: Tenant,
    note: Option<Arc<Note>>,
}

/// A record that is written with every change, in its transaction: what an audit log says of it.
#[derive(Debug)]
pub struct Note {
    tree: Tree,
    key: Key,
    schema: u16,
    payload: Vec<u8>,
    written: AtomicBool,
}

impl Note {
    /// A note among the tenant's records. Its key must be no key of the catalog's.
    #[must_use]
    pub const fn new(tree: Tree, key: Key, schema: u16, payload: Vec<u8>) -> Self {
        Self {
            tree,
            key,
            schema,
            payload,
            written: AtomicBool::new(false),
        }
    }

    /// Whether a change happened, and the note with it.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.written.load(Ordering::Acquire)
    }

    fn add(&self, transaction: Transaction) -> Transaction {
        let (key, payload) = (self.key.clone(), self.payload.clone());
        transaction.put(self.tree, key, self.schema, payload)
    }
}

impl std::fmt::Debug for TenantCatalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TenantCatalog")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

/// Some items of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// Pass it to get the next page; `None` on the last. Opaque to callers.
    pub next: Option<String>,
}

/// A record with the object version it had when it was read.
pub(crate) struct Stored<T> {
    pub(crate) value: T,
    pub(crate) object_version: u64,
}

impl<T> Stored<T> {
    /// The precondition that nobody changed it since.
    pub(crate) const fn unchanged(&self) -> Expected {
        Expected::Version(self.object_version)
    }
}

impl TenantCatalog {
    /// Whose catalog this is.
    #[must_use]
    pub const fn tenant(&self) -> Tenant {
        self.tenant
    }

    /// The same catalog, where every change writes `note` too.
    #[must_use]
    pub fn with_note(self, note: Arc<Note>) -> Self {
        Self {
            note: Some(note),
            ..self
        }
    }

    /// How many databases there are, counted up to `limit`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn count_databases(&self, limit: usize) -> Result<usize> {
        Ok(self
            .keys(Tree::Object, &stored::databases(), limit)?
            .0
            .len())
    }

    /// How many tables there are in all databases, counted up to `limit`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn count_tables(&self, limit: usize) -> Result<usize> {
        Ok(self
            .keys(Tree::Object, &stored::all_tables(), limit)?
            .0
            .len())
    }

    /// The account number Glue's clients see: the tenant's, with the twelve digits of an AWS account.
    pub(crate) fn catalog_id(&self) -> Option<String> {
        Some(format!("{:012}", self.tenant.number()))
    }

    pub(crate) fn now(&self) -> Option<Timestamp> {
        Some(self.clock.now().into())
    }

    pub(crate) fn transaction(&self) -> Transaction {
        Transaction::new(self.tenant)
    }

    pub(crate) fn commit(&self, transaction: Transaction) -> Result<()> {
        let note = self.note.as_ref().filter(|_| !transaction.is_empty());
        let transaction = match note {
            Some(note) => note.add(transaction),
            None => transaction,
        };
        match self.store.commit(transaction) {
            Ok(_) => {
                if let Some(note) = note {
                    note.written.store(true, Ordering::Release);
                }
                Ok(())
            }
            Err(tenon_store::Error::TooLarge { what, size, limit }) => Err(Error::invalid(
                format!("{what} has {size} bytes, the limit is {limit} bytes"),
            )),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        tree: Tree,
        key: &Key,
    ) -> Result<Option<Stored<T>>> {
        let Some(record) = self.store.get(self.tenant, tree, key)? else {
            return Ok(None);
        };
        let value = stored::decode(tree, key, &record)?;
        Ok(Some(Stored {
            value,
            object_version: record.version,
        }))
    }

    /// The object version of a record; `None` when it is absent.
    pub(crate) fn object_version(&self, tree: Tree, key: &Key) -> Result<Option<u64>> {
        Ok(self
            .store
            .get(self.tenant, tree, key)?
            .map(|record| record.version))
    }

    /// Values below `prefix`, with the key to go on after.
    pub(crate) fn list<T: DeserializeOwned>(
        &self,
        tree: Tree,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<(Vec<T>, Option<Key>)> {
        let page = self
            .store
            .scan(self.tenant, tree, prefix, after, limit.clamp(1, MAX_PAGE))?;
        let values = page
            .records
            .iter()
            .map(|(key, record)| stored::decode(tree, key, record));
        Ok((values.collect::<Result<_>>()?, page.next))
    }

    /// Keys and object versions below `prefix`, at most `limit`, and whether there are more.
    pub(crate) fn keys(
        &self,
        tree: Tree,
        prefix: &Key,
        limit: usize,
    ) -> Result<(Vec<(Key, u64)>, bool)> {
        let mut keys = Vec::new();
        let mut after = None;
        while keys.len() < limit {
            let wanted = (limit - keys.len()).min(MAX_PAGE);
            let page = self
                .store
                .scan(self.tenant, tree, prefix, after.as_ref(), wanted)?;
            keys.extend(
                page.records
                    .into_iter()
                    .map(|(key, record)| (key, record.version)),
            );
            after = page.next;
            if after.is_none() {
                return Ok((keys, false));
            }
        }
        Ok((keys, true))
    }

    /// Reads, decides and commits; starts again when someone else was faster.
    pub(crate) fn retry<T>(
        &self,
        kind: Kind,
        name: &str,
        attempt: impl Fn() -> Result<T>,
    ) -> Result<T> {
        for _ in 0..ATTEMPTS {
            match attempt() {
                Err(error) if error.is_store_conflict() => {}
                outcome => return outcome,
            }
        }
        let reason = format!("it changed during each of {ATTEMPTS} attempts");
        Err(Error::Conflict {
            kind,
            name: name.to_owned(),
            reason,
        })
    }
}
