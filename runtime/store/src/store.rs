//! [`Store`]: what the rest of the program sees, and [`SledStore`], which it opens.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use parking_lot::RwLock;

use crate::clock::Clock;
use crate::config::StoreConfig;
use crate::disk::{Disk, SystemDisk};
use crate::engine::Engine;
use crate::engine::sled::SledEngine;
use crate::error::{Error, Result};
use crate::key::{Key, Tenant};
use crate::transaction::{Commit, Transaction};
use crate::tree::{Space, Tree};
use crate::value::{self, Place};
use crate::writer::{Command, LAST_SEQ, Writer};

/// The stored layout this build writes.
const FORMAT: u32 = 1;

/// Names in the meta space.
const FORMAT_NAME: &str = "format";
const CREATED_NAME: &str = "created-unix-millis";

/// A page ends early when it holds this many bytes of payload.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// A stored record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Version of the payload's layout, as given to [`Transaction::put`].
    pub schema: u16,
    /// Object version: rises with every write of this key and is never used twice, also not after the record
    /// was deleted and created again. Only equality means something to callers.
    pub version: u64,
    /// Sequence number of the transaction that wrote the record.
    pub seq: u64,
    /// The payload.
    pub payload: Vec<u8>,
}

/// Some records of a scan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Records in ascending order of their keys.
    pub records: Vec<(Key, Record)>,
    /// Where the next page begins: pass it as `after`. `None` when there is no more.
    pub next: Option<Key>,
}

/// Typed, versioned records with all-or-nothing transactions.
///
/// Every method blocks on the disk; async callers use `spawn_blocking`. One call sees each transaction
/// completely or not at all; two calls may see different states.
pub trait Store: Send + Sync {
    /// Performs the transaction and returns when it is durable: about one disk sync, shared with the
    /// transactions that wait at the same time. An empty transaction checks its preconditions.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a precondition does not hold, [`Error::InvalidTransaction`],
    /// [`Error::TooLarge`], [`Error::DamagedRecord`] when a record it touches is damaged: in all these cases
    /// nothing was written. [`Error::Stopped`] when the outcome is unknown or the store is out of service.
    fn commit(&self, transaction: Transaction) -> Result<Commit>;

    /// The record under `key`.
    ///
    /// # Errors
    /// [`Error::DamagedRecord`] when it fails its check; [`Error::DamagedStore`], [`Error::Io`].
    fn get(&self, tenant: Tenant, tree: Tree, key: &Key) -> Result<Option<Record>>;

    /// At most `limit` records (at least 1) whose keys begin with `prefix`, in order, from the first key after
    /// `after`. A page may end early when its payloads are large; only [`Page::next`] tells whether there is
    /// more.
    ///
    /// # Errors
    /// As [`Store::get`]; the error names the damaged record.
    fn scan(
        &self,
        tenant: Tenant,
        tree: Tree,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page>;
}

/// The store that keeps its records in a directory, with sled. One process at a time.
pub struct SledStore(Database<SledEngine>);

impl SledStore {
    /// Opens the store in `dir`, creating it if need be.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it, [`Error::DamagedStore`], [`Error::DamagedRecord`],
    /// [`Error::NewerFormat`], [`Error::Io`].
    pub fn open(dir: &Path, config: &StoreConfig, clock: &dyn Clock) -> Result<Self> {
        Self::open_with_disk(dir, config, clock, Arc::new(SystemDisk))
    }

    /// As [`SledStore::open`], syncing through `disk`.
    ///
    /// # Errors
    /// As [`SledStore::open`].
    pub fn open_with_disk(
        dir: &Path,
        config: &StoreConfig,
        clock: &dyn Clock,
        disk: Arc<dyn Disk>,
    ) -> Result<Self> {
        let engine = SledEngine::open(dir, config, disk)?;
        Ok(Self(Database::start(dir, engine, config, clock)?))
    }
}

impl Store for SledStore {
    fn commit(&self, transaction: Transaction) -> Result<Commit> {
        self.0.commit(transaction)
    }

    fn get(&self, tenant: Tenant, tree: Tree, key: &Key) -> Result<Option<Record>> {
        self.0.get(tenant, tree, key)
    }

    fn scan(
        &self,
        tenant: Tenant,
        tree: Tree,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page> {
        self.0.scan(tenant, tree, prefix, after, limit)
    }
}

impl std::fmt::Debug for SledStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SledStore").finish_non_exhaustive()
    }
}

/// The store over any engine.
pub(crate) struct Database<E> {
    engine: Arc<E>,
    view: Arc<RwLock<()>>,
    /// `None` only while being dropped.
    commands: Option<SyncSender<Command>>,
    writer: Option<JoinHandle<()>>,
}

impl<E: Engine> Database<E> {
    pub(crate) fn start(
        dir: &Path,
        engine: E,
        config: &StoreConfig,
        clock: &dyn Clock,
    ) -> Result<Self> {
        check_format(dir, &engine, clock)?;
        let last_seq = value::read_meta(&engine, LAST_SEQ)?.unwrap_or(0);
        let (engine, view) = (Arc::new(engine), Arc::new(RwLock::new(())));
        let (commands, receiver) = sync_channel(config.queue_limit);
        let writer = Writer {
            engine: Arc::clone(&engine),
            view: Arc::clone(&view),
            commands: receiver,
            group_limit: config.group_limit.max(1),
            last_seq,
            stopped: None,
        };
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run());
        let no_thread = |error| Error::Io {
            action: "start the writer of",
            path: dir.to_owned(),
            reason: format!("{error}"),
        };
        let writer = Some(thread.map_err(no_thread)?);
        Ok(Self {
            engine,
            view,
            commands: Some(commands),
            writer,
        })
    }

    fn read(&self, place: &Place, value: &[u8]) -> Result<Record> {
        value::read_record(&*self.engine, place, value)
    }

    #[cfg(test)]
    pub(crate) fn engine(&self) -> &E {
        &self.engine
    }
}

impl<E: Engine> Store for Database<E> {
    fn commit(&self, transaction: Transaction) -> Result<Commit> {
        transaction.validate()?;
        let ended = || Error::Stopped {
            reason: "the writer has ended".to_owned(),
        };
        let (answer, outcome) = sync_channel(1);
        let commands = self.commands.as_ref().ok_or_else(ended)?;
        commands
            .send(Command {
                transaction,
                answer,
            })
            .map_err(|_| ended())?;
        outcome.recv().unwrap_or_else(|_| Err(ended()))
    }

    fn get(&self, tenant: Tenant, tree: Tree, key: &Key) -> Result<Option<Record>> {
        let place = Place {
            tree,
            stored_key: key.stored(tenant),
        };
        let _view = self.view.read();
        match self.engine.get(Space::Records(tree), &place.stored_key)? {
            None => Ok(None),
            Some(value) => self.read(&place, &value).map(Some),
        }
    }

    fn scan(
        &self,
        tenant: Tenant,
        tree: Tree,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page> {
        let first = prefix.stored(tenant);
        let until = value::after_prefix(&first);
        // The least key after `k` is `k` and a zero.
        let resume = after.map(|after| [after.stored(tenant).as_slice(), &[0]].concat());
        let from = resume.map_or(first.clone(), |resume| resume.max(first));
        let limit = limit.max(1);
        let mut page = Page::default();
        let mut bytes = 0;
        let _view = self.view.read();
        self.engine.range(
            Space::Records(tree),
            &from,
            until.as_deref(),
            &mut |stored_key, value| {
                if page.records.len() == limit || bytes >= PAGE_BYTES {
                    page.next = page.records.last().map(|(key, _)| key.clone());
                    return Ok(false);
                }
                let place = Place {
                    tree,
                    stored_key: stored_key.to_vec(),
                };
                let record = self.read(&place, value)?;
                bytes += record.payload.len();
                page.records.push((Key::of_stored(stored_key), record));
                Ok(true)
            },
        )?;
        Ok(page)
    }
}

impl<E> Drop for Database<E> {
    /// Finishes what is queued; everything acknowledged is durable already.
    fn drop(&mut self) {
        drop(self.commands.take());
        if let Some(writer) = self.writer.take() {
            // A panic of the writer has been reported to those who waited.
            let _ = writer.join();
        }
    }
}

/// Refuses a newer layout and marks a new store with ours.
fn check_format(dir: &Path, engine: &impl Engine, clock: &dyn Clock) -> Result<()> {
    match value::read_meta(engine, FORMAT_NAME)? {
        Some(found) if found > u64::from(FORMAT) => {
            let found = u32::try_from(found).unwrap_or(u32::MAX);
            Err(Error::NewerFormat {
                dir: dir.to_owned(),
                found,
                supported: FORMAT,
            })
        }
        Some(_) => Ok(()),
        None => {
            let age = clock
                .now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default();
            let created = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            let format = value::put_meta(FORMAT_NAME, 0, FORMAT.into());
            engine.apply(&[format, value::put_meta(CREATED_NAME, 0, created)])?;
            engine.sync()
        }
    }
}
