//! [`Catalog`] and [`TenantCatalog`]: who may ask, and what all operations share.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use tenon_store::{Clock, Expected, Key, Note, Page as Records, Record, Store, Tenant, Tree};

use crate::error::{Error, Kind, Result};
use crate::index::IndexWork;
use crate::model::Timestamp;
use crate::name::fold;
use crate::scope::{Scope, Transaction};
use crate::stored;

/// How often an operation starts again when others change what it is about.
const ATTEMPTS: usize = 16;

/// The same for deleting, which whoever writes below stands in the way of.
pub(crate) const DELETE_ATTEMPTS: usize = 1000;

/// Items of a page, at most.
pub(crate) const MAX_PAGE: usize = 1000;

/// All databases and tables of all tenants.
#[derive(Clone)]
pub struct Catalog {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    index_work: Arc<IndexWork>,
}

impl Catalog {
    /// The catalog kept in `store`.
    #[must_use]
    pub fn open(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            index_work: Arc::default(),
        }
    }

    /// The part of the catalog that belongs to `tenant`.
    #[must_use]
    pub fn tenant(&self, tenant: Tenant) -> TenantCatalog {
        TenantCatalog {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            index_work: Arc::clone(&self.index_work),
            tenant,
            scope: Scope::default(),
            note: None,
        }
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").finish_non_exhaustive()
    }
}

/// One of a tenant's catalogs, the default one unless [`TenantCatalog::nested`] gave it. Cheap to clone; every
/// method blocks on the store.
#[derive(Clone)]
pub struct TenantCatalog {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    index_work: Arc<IndexWork>,
    tenant: Tenant,
    scope: Scope,
    note: Option<Arc<Note>>,
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

    /// How many databases there are in all of the tenant's catalogs, counted up to `limit`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn count_databases(&self, limit: usize) -> Result<usize> {
        self.count_below(Tree::Object, &stored::databases(), limit)
    }

    /// How many tables there are in all databases of all of the tenant's catalogs, counted up to `limit`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn count_tables(&self, limit: usize) -> Result<usize> {
        self.count_below(Tree::Object, &stored::all_tables(), limit)
    }

    /// How many functions there are in all databases of all of the tenant's catalogs, counted up to `limit`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn count_functions(&self, limit: usize) -> Result<usize> {
        self.count_below(Tree::Object, &stored::all_functions(), limit)
    }

    /// How many connections there are in all of the tenant's catalogs, counted up to `limit`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn count_connections(&self, limit: usize) -> Result<usize> {
        self.count_below(Tree::Object, &stored::connections(), limit)
    }

    /// How many partitions there are in all tables of all of the tenant's catalogs, counted up to `limit`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn count_partitions(&self, limit: usize) -> Result<usize> {
        self.count_below(Tree::Partition, &stored::all_tables(), limit)
    }

    /// How many partitions a table of this catalog has, counted up to `limit`; none when it does not exist.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for what is no name, [`Error::Store`].
    pub fn count_partitions_of(&self, database: &str, table: &str, limit: usize) -> Result<usize> {
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        let below = stored::partitions(&database, &table);
        self.count_here(Tree::Partition, &below, limit)
    }

    /// How many versions are kept of a table of this catalog beside its newest, counted up to `limit`.
    ///
    /// # Errors
    /// As [`TenantCatalog::count_partitions_of`].
    pub fn count_versions_of(&self, database: &str, table: &str, limit: usize) -> Result<usize> {
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        let below = stored::table(&database, &table);
        self.count_here(Tree::Version, &below, limit)
    }

    fn count_below(&self, tree: Tree, below: &Key, limit: usize) -> Result<usize> {
        let mut count = 0;
        for catalog in self.all_catalogs()? {
            count += catalog.count_here(tree, below, limit - count)?;
            if count >= limit {
                break;
            }
        }
        Ok(count)
    }

    fn count_here(&self, tree: Tree, below: &Key, limit: usize) -> Result<usize> {
        let (mut count, mut after) = (0, None);
        while count < limit {
            let wanted = (limit - count).min(MAX_PAGE);
            let page = self.scan(tree, below, after.as_ref(), wanted)?;
            count += page.records.len();
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(count)
    }

    /// The account number Glue's clients see: the tenant's, with the twelve digits of an AWS account.
    /// That of a nested catalog has its name behind.
    pub(crate) fn catalog_id(&self) -> Option<String> {
        let account = format!("{:012}", self.tenant.number());
        Some(match self.scope.name() {
            None => account,
            Some(name) => format!("{account}:{name}"),
        })
    }

    pub(crate) fn now(&self) -> Option<Timestamp> {
        Some(self.clock.now().into())
    }

    /// The time, for records that must have one.
    pub(crate) fn timestamp(&self) -> Timestamp {
        self.clock.now().into()
    }

    pub(crate) fn index_work(&self) -> &IndexWork {
        &self.index_work
    }

    /// Its name; the tenant's own catalog, in which the others lie, has none.
    pub(crate) fn name(&self) -> Option<&str> {
        self.scope.name()
    }

    pub(crate) fn is_default(&self) -> bool {
        self.name().is_none()
    }

    /// A key that no other catalog of any tenant has.
    pub(crate) fn own_key(&self, key: &Key) -> Key {
        let tenant = Key::new().with_u32(self.tenant.number());
        let own = self.scope.key(key);
        Key::from_bytes([tenant.as_bytes(), own.as_bytes()].concat())
    }

    /// The key in this catalog of what is stored under `key`.
    pub(crate) fn own(&self, key: &Key) -> Key {
        self.scope.own(key)
    }

    /// The same tenant's catalog of this scope.
    pub(crate) fn in_scope(&self, scope: Scope) -> Self {
        Self {
            scope,
            ..self.clone()
        }
    }

    /// A transaction on this catalog, which holds only while the catalog exists.
    pub(crate) fn transaction(&self) -> Transaction {
        Transaction::new(self.tenant, self.scope.clone())
    }

    /// The same, going on with a transaction of the tenant's that somebody else began.
    pub(crate) fn over(&self, transaction: tenon_store::Transaction) -> Transaction {
        Transaction::over(transaction, self.scope.clone())
    }

    pub(crate) fn commit(&self, transaction: Transaction) -> Result<()> {
        let transaction = transaction.into_store();
        let note = self.note.as_ref().filter(|_| !transaction.is_empty());
        let transaction = match note {
            Some(note) => note.add(transaction),
            None => transaction,
        };
        match self.store.commit(transaction) {
            Ok(_) => {
                if let Some(note) = note {
                    note.set_written();
                }
                Ok(())
            }
            Err(tenon_store::Error::Conflict { .. }) if self.is_gone()? => Err(self.gone()),
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
        let Some(record) = self.store.get(self.tenant, tree, &self.scope.key(key))? else {
            return Ok(None);
        };
        let value = stored::decode(tree, key, &record)?;
        Ok(Some(Stored {
            value,
            object_version: record.version,
        }))
    }

    /// A record as it is stored.
    pub(crate) fn record(&self, tree: Tree, key: &Key) -> Result<Option<Record>> {
        Ok(self.store.get(self.tenant, tree, &self.scope.key(key))?)
    }

    /// The object version of a record; `None` when it is absent.
    pub(crate) fn object_version(&self, tree: Tree, key: &Key) -> Result<Option<u64>> {
        let record = self.store.get(self.tenant, tree, &self.scope.key(key))?;
        Ok(record.map(|record| record.version))
    }

    /// Records below `prefix` of this catalog.
    pub(crate) fn scan(
        &self,
        tree: Tree,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Records> {
        let after = after.map(|key| self.scope.key(key));
        let prefix = self.scope.key(prefix);
        let page = self
            .store
            .scan(self.tenant, tree, &prefix, after.as_ref(), limit)?;
        let own = |(key, record)| (self.scope.own(&key), record);
        Ok(Records {
            records: page.records.into_iter().map(own).collect(),
            next: page.next.map(|key| self.scope.own(&key)),
        })
    }

    /// Whether this is a nested catalog that was deleted.
    fn is_gone(&self) -> Result<bool> {
        let Some(record) = self.scope.record() else {
            return Ok(false);
        };
        Ok(self.store.get(self.tenant, Tree::Object, record)?.is_none())
    }

    fn gone(&self) -> Error {
        Error::not_found(Kind::Catalog, self.scope.name().unwrap_or_default())
    }

    /// Values below `prefix`, with the key to go on after.
    pub(crate) fn list<T: DeserializeOwned>(
        &self,
        tree: Tree,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<(Vec<T>, Option<Key>)> {
        let page = self.scan(tree, prefix, after, limit.clamp(1, MAX_PAGE))?;
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
            let page = self.scan(tree, prefix, after.as_ref(), wanted)?;
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
        self.retry_often(ATTEMPTS, kind, name, attempt)
    }

    /// As [`TenantCatalog::retry`], for what must get through among many writers.
    pub(crate) fn retry_often<T>(
        &self,
        attempts: usize,
        kind: Kind,
        name: &str,
        attempt: impl Fn() -> Result<T>,
    ) -> Result<T> {
        for _ in 0..attempts {
            match attempt() {
                Err(error) if error.is_store_conflict() => {}
                outcome => return outcome,
            }
        }
        let reason = format!("it changed during each of {attempts} attempts");
        Err(Error::Conflict {
            kind,
            name: name.to_owned(),
            reason,
        })
    }
}
