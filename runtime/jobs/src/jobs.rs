//! [`Jobs`] and [`TenantJobs`]: who may ask, and what all operations share.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use serde::de::DeserializeOwned;
use tenon_store::{Clock, Expected, Key, Note, Store, Tenant, Transaction, Tree};

use crate::error::{Error, Kind, Result};
use crate::live::Live;
use crate::port::Planner;
use crate::stored::{self, SCHEMA};
use crate::time::Timestamp;

/// How often an operation starts again when others change what it is about.
const ATTEMPTS: usize = 64;

/// Items of a page, at most.
pub(crate) const MAX_PAGE: usize = 1000;

/// The jobs of all tenants. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    planner: Arc<dyn Planner>,
    pub(crate) bell: Arc<Bell>,
    pub(crate) live: Arc<Live>,
    /// Tenants whose mark in the store is known to be there.
    marked: Arc<Mutex<BTreeSet<Tenant>>>,
}

impl Jobs {
    /// The jobs kept in `store`. What cannot run by the word of `planner` is not accepted.
    #[must_use]
    pub fn open(store: Arc<dyn Store>, clock: Arc<dyn Clock>, planner: Arc<dyn Planner>) -> Self {
        Self {
            store,
            clock,
            planner,
            bell: Arc::default(),
            live: Arc::default(),
            marked: Arc::default(),
        }
    }

    /// The part that belongs to `tenant`.
    #[must_use]
    pub fn tenant(&self, tenant: Tenant) -> TenantJobs {
        TenantJobs {
            jobs: self.clone(),
            tenant,
            note: None,
        }
    }

    /// Makes the scheduler look what there is to do.
    pub fn wake(&self) {
        self.bell.ring();
    }

    /// Tenants that have, or had, jobs.
    pub(crate) fn tenants(&self) -> Result<Vec<Tenant>> {
        let (mut tenants, mut after) = (Vec::new(), None);
        loop {
            let below = stored::tenants();
            let page = self.store.scan(
                Tenant::SYSTEM,
                Tree::Object,
                &below,
                after.as_ref(),
                MAX_PAGE,
            )?;
            for (key, _) in &page.records {
                let mut reader = key.reader();
                if let (Ok(_), Ok(number)) = (reader.u8(), reader.u32()) {
                    tenants.push(Tenant::new(number));
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(tenants);
            }
        }
    }

    /// Makes sure that [`Jobs::tenants`] names the tenant. A mark of a tenant without jobs does no harm.
    fn mark(&self, tenant: Tenant) -> Result<()> {
        if self.marked.lock().contains(&tenant) {
            return Ok(());
        }
        let key = stored::tenant(tenant);
        let transaction =
            Transaction::new(Tenant::SYSTEM).put(Tree::Object, key, SCHEMA, Vec::new());
        self.store.commit(transaction)?;
        self.marked.lock().insert(tenant);
        Ok(())
    }
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}

/// Wakes the scheduler: something happened, and for whom there may be work.
#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<Rung>,
    rung: Condvar,
}

#[derive(Default)]
struct Rung {
    is_rung: bool,
    tenants: BTreeSet<Tenant>,
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.state.lock().is_rung = true;
        self.rung.notify_all();
    }

    /// Says that a run of the tenant may be able to begin.
    pub(crate) fn ring_for(&self, tenant: Tenant) {
        self.state.lock().tenants.insert(tenant);
        self.ring();
    }

    /// Tenants for whom it rang since the last time.
    pub(crate) fn take_tenants(&self) -> BTreeSet<Tenant> {
        std::mem::take(&mut self.state.lock().tenants)
    }

    /// Waits until it rings, or for `limit`.
    pub(crate) fn wait(&self, limit: Duration) {
        let mut state = self.state.lock();
        if !state.is_rung {
            self.rung.wait_for(&mut state, limit);
        }
        state.is_rung = false;
    }
}

/// One tenant's jobs, which can reach nothing else. Cheap to clone; every method blocks on the store.
#[derive(Clone)]
pub struct TenantJobs {
    pub(crate) jobs: Jobs,
    pub(crate) tenant: Tenant,
    note: Option<Arc<Note>>,
}

impl std::fmt::Debug for TenantJobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TenantJobs")
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

/// Values with their keys, and where to go on.
pub(crate) type Listed<T> = (Vec<(Key, T)>, Option<Key>);

/// A record with the object version it had when it was read.
pub(crate) struct Stored<T> {
    pub(crate) value: T,
    version: u64,
}

impl<T> Stored<T> {
    /// The precondition that nobody changed it since.
    pub(crate) const fn unchanged(&self) -> Expected {
        Expected::Version(self.version)
    }
}

impl TenantJobs {
    /// The same jobs, where every change that a caller asks for writes `note` too.
    #[must_use]
    pub fn with_note(self, note: Arc<Note>) -> Self {
        Self {
            note: Some(note),
            ..self
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.jobs.clock.now().into()
    }

    pub(crate) fn transaction(&self) -> Transaction {
        Transaction::new(self.tenant)
    }

    /// Asks the planner, and makes the tenant known to the scheduler.
    pub(crate) fn plan(&self, name: &str, definition: &crate::job::JobDefinition) -> Result<()> {
        let definition = &self.with_transforms(definition)?;
        let planned = self.jobs.planner.check(self.tenant, name, definition);
        planned.map_err(Error::invalid)?;
        self.mark()
    }

    /// Makes the tenant known to the scheduler.
    pub(crate) fn mark(&self) -> Result<()> {
        self.jobs.mark(self.tenant)
    }

    pub(crate) fn commit(&self, transaction: Transaction) -> Result<()> {
        let note = self.note.as_ref().filter(|_| !transaction.is_empty());
        let transaction = match note {
            Some(note) => note.add(transaction),
            None => transaction,
        };
        self.jobs.store.commit(transaction)?;
        if let Some(note) = note {
            note.set_written();
        }
        Ok(())
    }

    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        tree: Tree,
        key: &Key,
    ) -> Result<Option<Stored<T>>> {
        let Some(record) = self.jobs.store.get(self.tenant, tree, key)? else {
            return Ok(None);
        };
        Ok(Some(Stored {
            value: stored::decode(tree, key, &record)?,
            version: record.version,
        }))
    }

    /// A record, or what stands for one that is not there, and the precondition that it stays so.
    pub(crate) fn read_or_default<T: DeserializeOwned + Default>(
        &self,
        tree: Tree,
        key: &Key,
    ) -> Result<(T, Expected)> {
        Ok(match self.read::<T>(tree, key)? {
            Some(found) => {
                let unchanged = found.unchanged();
                (found.value, unchanged)
            }
            None => (T::default(), Expected::Absent),
        })
    }

    /// Keys below `prefix`, at most [`MAX_PAGE`], after `after`; and where to go on.
    pub(crate) fn keys(
        &self,
        tree: Tree,
        prefix: &Key,
        after: Option<&Key>,
    ) -> Result<(Vec<Key>, Option<Key>)> {
        let page = self
            .jobs
            .store
            .scan(self.tenant, tree, prefix, after, MAX_PAGE)?;
        let keys = page.records.into_iter().map(|(key, _)| key).collect();
        Ok((keys, page.next))
    }

    /// Values below `prefix` with their keys, and where to go on.
    pub(crate) fn list<T: DeserializeOwned>(
        &self,
        tree: Tree,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Listed<T>> {
        let limit = limit.clamp(1, MAX_PAGE);
        let page = self
            .jobs
            .store
            .scan(self.tenant, tree, prefix, after, limit)?;
        let mut values = Vec::with_capacity(page.records.len());
        for (key, record) in page.records {
            let value = stored::decode(tree, &key, &record)?;
            values.push((key, value));
        }
        Ok((values, page.next))
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
        Err(Error::Conflict {
            kind,
            name: name.to_owned(),
            attempts: ATTEMPTS,
        })
    }
}
