//! [`Store`]: what the rest of the program sees, and [`SledStore`], which it opens.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;

use crate::backup::{self, BackupReport};
use crate::checkpoint::Info;
use crate::clock::Clock;
use crate::config::StoreConfig;
use crate::disk::{Disk, SystemDisk};
use crate::engine::Engine;
use crate::engine::sled::SledEngine;
use crate::error::{Error, Result};
use crate::folder::{create_folder, lock};
use crate::keeper::{self, Keeper, Status, Upkeep};
use crate::key::{Key, Tenant};
use crate::recovery::{Opened, Opening};
use crate::state::Shared;
use crate::transaction::{Commit, Transaction};
use crate::tree::{Space, Tree};
use crate::value::{self, Place};
use crate::writer::{Command, Writer};

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

    /// Writes a backup to `to` beside everybody's work, in a few pieces of memory: the newest checkpoint and the
    /// journal after it, with every transaction that was acknowledged before the call. [`crate::restore`] makes a
    /// store of it. Nobody waits for `to`, however slow it is: neither writers nor checkpoints.
    ///
    /// # Errors
    /// [`Error::DamagedStore`], [`Error::DamagedJournal`]; [`Error::Io`] when a file cannot be read or `to` cannot be
    /// written. What was written until then is no backup, and [`crate::restore`] refuses it.
    fn backup_to(&self, to: &mut dyn Write) -> Result<BackupReport>;

    /// How the store is. Does not block on the disk.
    fn status(&self) -> Status;
}

/// The store that keeps its records in a directory, with sled. One process at a time.
///
/// Dropping it closes it: what is queued is finished, a checkpoint is written when it is worth it, and the next
/// open is fast.
pub struct SledStore(Database<SledEngine>);

impl SledStore {
    /// Opens the store in `dir`, creating it if need be, recovering it from whatever was left there, and
    /// upgrading it from the format without a journal.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it, [`Error::DamagedJournal`] when acknowledged transactions
    /// cannot be read, [`Error::DamagedStore`] when it can neither be used nor rebuilt,
    /// [`Error::NewerFormat`], [`Error::Io`].
    pub fn open<C>(dir: &Path, config: &StoreConfig, clock: &C) -> Result<Self>
    where
        C: Clock + Clone + 'static,
    {
        Self::open_with_disk(dir, config, clock, Arc::new(SystemDisk))
    }

    /// As [`SledStore::open`], with journal, checkpoints and marker on `disk`.
    ///
    /// # Errors
    /// As [`SledStore::open`].
    pub fn open_with_disk<C>(
        dir: &Path,
        config: &StoreConfig,
        clock: &C,
        disk: Arc<dyn Disk>,
    ) -> Result<Self>
    where
        C: Clock + Clone + 'static,
    {
        let clock = Arc::new(clock.clone());
        Ok(Self(Database::open(dir, config, clock, disk)?))
    }

    /// Writes a checkpoint now, beside the writer: after it a rebuild replays only what comes later.
    ///
    /// # Errors
    /// [`Error::DamagedStore`] when the content is not what was written: the store stops serving.
    /// [`Error::Io`]: nothing is lost, and the older checkpoints are still there.
    pub fn checkpoint(&self) -> Result<()> {
        self.0.checkpoint().map(drop)
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

    fn backup_to(&self, to: &mut dyn Write) -> Result<BackupReport> {
        self.0.backup_to(to)
    }

    fn status(&self) -> Status {
        self.0.status()
    }
}

impl std::fmt::Debug for SledStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SledStore").finish_non_exhaustive()
    }
}

/// The store over any engine.
pub(crate) struct Database<E: Engine> {
    shared: Arc<Shared<E>>,
    upkeep: Arc<Mutex<Upkeep>>,
    /// `None` only while being dropped.
    commands: Option<SyncSender<Command>>,
    writer: Option<JoinHandle<()>>,
    wake_keeper: Option<SyncSender<()>>,
    keeper: Option<JoinHandle<()>>,
    /// Released last.
    _lock: File,
}

impl<E: Engine> Database<E> {
    pub(crate) fn open(
        dir: &Path,
        config: &StoreConfig,
        clock: Arc<dyn Clock>,
        disk: Arc<dyn Disk>,
    ) -> Result<Self> {
        create_folder(dir, &*disk)?;
        let lock = lock(dir)?;
        let opening = Opening {
            dir,
            config,
            clock,
            disk,
        };
        let opened = opening.open::<E>()?;
        Self::start(opened, config, lock)
    }

    fn start(opened: Opened<E>, config: &StoreConfig, lock: File) -> Result<Self> {
        let Opened {
            shared,
            journal,
            recovery,
            newest_checkpoint,
        } = opened;
        let shared = Arc::new(shared);
        let upkeep = Arc::new(Mutex::new(Upkeep::new(recovery, newest_checkpoint)));
        let (commands, receiver) = sync_channel(config.queue_limit);
        let (wake_keeper, wake) = sync_channel(1);
        let writer = Writer {
            shared: Arc::clone(&shared),
            journal,
            commands: receiver,
            group_limit: config.group_limit.max(1),
            checkpoint_journal_bytes: config.checkpoint_journal_bytes,
            wake_keeper: wake_keeper.clone(),
        };
        let keeper = Keeper::new(Arc::clone(&shared), Arc::clone(&upkeep), wake, config);
        let mut database = Self {
            shared,
            upkeep,
            commands: Some(commands),
            writer: None,
            wake_keeper: Some(wake_keeper),
            keeper: None,
            _lock: lock,
        };
        database.keeper = Some(database.spawn("store-keeper", move || keeper.run())?);
        database.writer = Some(database.spawn("store-writer", move || writer.run())?);
        Ok(database)
    }

    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
            .map_err(|error| Error::io("start the threads of", &self.shared.dir, &error))
    }

    pub(crate) fn checkpoint(&self) -> Result<Info> {
        keeper::checkpoint(&self.shared, &self.upkeep)
    }

    pub(crate) fn upkeep(&self) -> &Mutex<Upkeep> {
        &self.upkeep
    }

    pub(crate) fn shared(&self) -> &Shared<E> {
        &self.shared
    }

    fn read(&self, place: &Place, value: &[u8]) -> Result<Record> {
        value::read_record(&self.shared.engine, place, value)
    }

    fn get_checked(&self, tenant: Tenant, tree: Tree, key: &Key) -> Result<Option<Record>> {
        let place = Place {
            tree,
            stored_key: key.stored(tenant),
        };
        let engine = &self.shared.engine;
        let _view = self.shared.view.read();
        match engine.get(Space::Records(tree), &place.stored_key)? {
            None => Ok(None),
            Some(value) => self.read(&place, &value).map(Some),
        }
    }

    fn scan_checked(
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
        let _view = self.shared.view.read();
        self.shared.engine.range(
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
        self.shared.check()?;
        self.shared.watch(self.get_checked(tenant, tree, key))
    }

    fn scan(
        &self,
        tenant: Tenant,
        tree: Tree,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page> {
        self.shared.check()?;
        self.shared
            .watch(self.scan_checked(tenant, tree, prefix, after, limit))
    }

    fn backup_to(&self, to: &mut dyn Write) -> Result<BackupReport> {
        backup::backup_open(self, to)
    }

    fn status(&self) -> Status {
        self.upkeep.lock().status(&self.shared)
    }
}

impl<E: Engine> Drop for Database<E> {
    /// Finishes what is queued and closes the directory; everything acknowledged is durable already.
    fn drop(&mut self) {
        drop(self.commands.take());
        drop(self.wake_keeper.take());
        // A panic of the writer has been reported to those who waited.
        let writer = self
            .writer
            .take()
            .is_some_and(|writer| writer.join().is_ok());
        self.shared.closing.store(true, Ordering::Release);
        let keeper = self
            .keeper
            .take()
            .is_some_and(|keeper| keeper.join().is_ok());
        if writer && keeper {
            keeper::close(&self.shared, &self.upkeep);
        }
    }
}
