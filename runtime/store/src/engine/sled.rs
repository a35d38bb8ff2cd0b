//! The engine that stores with sled.
//!
//! ```text
//! <dir>/LOCK        held while open; who holds it owns the directory
//! <dir>/sled/       sled's files: conf, db, snap.*, blobs/*
//! ```
//!
//! sled 0.34 is handled with care: its `flush` is followed by our own fsync of its files; it may panic on
//! damaged files, so every call is guarded; and it releases its own file lock some time after the handle is
//! dropped, so opening is tried again for a moment while we hold ours.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use sled::Transactional;
use sled::transaction::{ConflictableTransactionError, TransactionError};

use crate::config::StoreConfig;
use crate::disk::Disk;
use crate::engine::{Engine, Op, Visit};
use crate::error::{Error, Result};
use crate::tree::Space;

const LOCK_RETRIES: u32 = 50;
const LOCK_RETRY_PAUSE: Duration = Duration::from_millis(40);

pub(crate) struct SledEngine {
    dir: PathBuf,
    trees: HashMap<Space, sled::Tree>,
    db: sled::Db,
    files: Files,
    // Last, so that it is released after sled has let go.
    _lock: File,
}

impl SledEngine {
    /// Opens or creates the database in `dir`.
    pub(crate) fn open(dir: &Path, config: &StoreConfig, disk: Arc<dyn Disk>) -> Result<Self> {
        create_folder(dir, &*disk)?;
        let lock = lock(dir)?;
        let sled_dir = dir.join("sled");
        create_folder(&sled_dir, &*disk)?;
        let db = open_patiently(dir, &sled_dir, config)?;
        let open_trees = || -> sled::Result<_> {
            Space::all()
                .map(|space| Ok((space, db.open_tree(space.name())?)))
                .collect()
        };
        let trees = guard(dir, open_trees)?;
        let files = Files {
            dir: sled_dir,
            disk,
            seen: Mutex::default(),
        };
        let engine = Self {
            dir: dir.to_owned(),
            trees,
            db,
            files,
            _lock: lock,
        };
        engine.sync()?;
        Ok(engine)
    }

    fn tree(&self, space: Space) -> Result<&sled::Tree> {
        let missing = || damaged(&self.dir, format!("there is no tree {:?}", space.name()));
        self.trees.get(&space).ok_or_else(missing)
    }
}

impl Engine for SledEngine {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let tree = self.tree(space)?;
        guard(&self.dir, || Ok(tree.get(key)?.map(|value| value.to_vec())))
    }

    fn range(
        &self,
        space: Space,
        from: &[u8],
        until: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        let tree = self.tree(space)?;
        let mut entries = match until {
            Some(until) if until <= from => return Ok(()),
            Some(until) => tree.range(from..until),
            None => tree.range(from..),
        };
        while let Some((key, value)) = guard(&self.dir, || entries.next().transpose())? {
            if !visit(&key, &value)? {
                break;
            }
        }
        Ok(())
    }

    fn apply(&self, ops: &[Op]) -> Result<()> {
        let spaces: Vec<Space> = ops
            .iter()
            .map(|op| op.space)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let trees = spaces
            .iter()
            .map(|space| self.tree(*space))
            .collect::<Result<Vec<_>>>()?;
        let mut batches: Vec<_> = spaces.iter().map(|_| sled::Batch::default()).collect();
        for op in ops {
            // Present: the list was made from these operations.
            let Ok(index) = spaces.binary_search(&op.space) else {
                continue;
            };
            match &op.value {
                Some(value) => batches[index].insert(op.key.as_slice(), value.as_slice()),
                None => batches[index].remove(op.key.as_slice()),
            }
        }
        guard(&self.dir, || {
            let applied = trees.as_slice().transaction(|trees| {
                for (tree, batch) in trees.iter().zip(&batches) {
                    tree.apply_batch(batch)?;
                }
                Ok::<(), ConflictableTransactionError<()>>(())
            });
            applied.map_err(|error| match error {
                TransactionError::Storage(error) => error,
                TransactionError::Abort(()) => {
                    sled::Error::ReportableBug("a transaction was aborted".into())
                }
            })
        })
    }

    fn sync(&self) -> Result<()> {
        guard(&self.dir, || self.db.flush().map(drop))?;
        self.files.sync()
    }
}

/// sled's files on disk, and which of them are known to be safe.
struct Files {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    seen: Mutex<Seen>,
}

/// What earlier syncs have covered.
#[derive(Default)]
struct Seen {
    /// Names in the directory and in `blobs`, without the log: those files are written once.
    names: BTreeSet<PathBuf>,
}

impl Files {
    /// Syncs the log always, other files when they are new, and directories when names came or went.
    fn sync(&self) -> Result<()> {
        let mut seen = self.seen.lock();
        let names = self.names()?;
        self.sync_path(&self.dir.join("db"))?;
        for name in names.difference(&seen.names) {
            self.sync_new(name)?;
        }
        if names != seen.names {
            self.sync_path(&self.dir.join("blobs"))?;
            self.sync_path(&self.dir)?;
            seen.names = names;
        }
        Ok(())
    }

    fn names(&self) -> Result<BTreeSet<PathBuf>> {
        let mut names = BTreeSet::new();
        for folder in [self.dir.clone(), self.dir.join("blobs")] {
            let failed = |error: io::Error| io_error("list", &folder, &error);
            for entry in fs::read_dir(&folder).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                if !path.ends_with("db") && !path.ends_with("blobs") {
                    names.insert(path);
                }
            }
        }
        Ok(names)
    }

    /// A new file may be gone again: sled replaces snapshots from a thread of its own.
    fn sync_new(&self, path: &Path) -> Result<()> {
        match self.disk.sync(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome.map_err(|error| io_error("sync", path, &error)),
        }
    }

    fn sync_path(&self, path: &Path) -> Result<()> {
        self.disk
            .sync(path)
            .map_err(|error| io_error("sync", path, &error))
    }
}

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("LOCK");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = file.map_err(|error| io_error("open", &path, &error))?;
    // A process that is just being started by its owner holds the file, too, until it runs its own program.
    for _ in 0..LOCK_RETRIES / 5 {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_RETRY_PAUSE),
            Err(TryLockError::Error(error)) => return Err(io_error("lock", &path, &error)),
        }
    }
    Err(Error::Locked {
        dir: dir.to_owned(),
    })
}

fn open_patiently(dir: &Path, sled_dir: &Path, config: &StoreConfig) -> Result<sled::Db> {
    let sled_config = sled::Config::new()
        .path(sled_dir)
        .cache_capacity(config.cache_capacity_bytes)
        .mode(sled::Mode::HighThroughput)
        .flush_every_ms(None)
        .use_compression(false);
    for _ in 0..LOCK_RETRIES {
        match catch_unwind(AssertUnwindSafe(|| sled_config.open())) {
            Ok(Ok(db)) => return Ok(db),
            Ok(Err(error)) if is_lock_error(&error) => thread::sleep(LOCK_RETRY_PAUSE),
            Ok(Err(sled::Error::Io(error))) => return Err(io_error("open", sled_dir, &error)),
            Ok(Err(error)) => return Err(damaged(dir, sled_text(&error))),
            Err(panic) => return Err(damaged(dir, panic_text(&*panic))),
        }
    }
    Err(Error::Locked {
        dir: dir.to_owned(),
    })
}

/// sled has no kind of its own for this.
fn is_lock_error(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

/// Creates `dir` so that it survives a power cut.
fn create_folder(dir: &Path, disk: &dyn Disk) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(|error| io_error("create", dir, &error))?;
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    disk.sync(parent)
        .map_err(|error| io_error("sync", parent, &error))
}

/// Runs sled code; errors and panics become our errors.
fn guard<T>(dir: &Path, work: impl FnOnce() -> sled::Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(error))) => Err(io_error("use", dir, &error)),
        Ok(Err(error)) => Err(damaged(dir, sled_text(&error))),
        Err(panic) => Err(damaged(dir, panic_text(&*panic))),
    }
}

/// sled's own text for corruption ends in an internal position nobody can use.
fn sled_text(error: &sled::Error) -> String {
    match error {
        sled::Error::Corruption { .. } => "sled found corrupted data in its files".to_owned(),
        error => error.to_string(),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("sled panicked: {}", text.unwrap_or("without a message"))
}

fn damaged(dir: &Path, reason: String) -> Error {
    Error::DamagedStore {
        dir: dir.to_owned(),
        reason,
    }
}

fn io_error(action: &'static str, path: &Path, error: &io::Error) -> Error {
    Error::Io {
        action,
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
