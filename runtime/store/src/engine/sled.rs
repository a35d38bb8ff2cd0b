//! The engine that stores with sled.
//!
//! ```text
//! <dir>/sled/       sled's files: conf, db, snap.*, blobs/*
//! ```
//!
//! sled 0.34 is handled with care: its `flush` is followed by our own fsync of its files; it may panic on
//! damaged files, so every call is guarded; and it releases its own file lock some time after the handle is
//! dropped, so opening is tried again for a moment.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::config::StoreConfig;
use crate::disk::Disk;
use crate::engine::{Engine, Op, Visit};
use crate::error::{Error, Result};
use crate::folder::create_folder;
use crate::tree::Space;

const LOCK_RETRIES: u32 = 50;
const LOCK_RETRY_PAUSE: Duration = Duration::from_millis(40);

pub(crate) struct SledEngine {
    dir: PathBuf,
    trees: HashMap<Space, sled::Tree>,
    db: sled::Db,
    files: Files,
}

impl SledEngine {
    fn tree(&self, space: Space) -> Result<&sled::Tree> {
        let missing = || damaged(&self.dir, format!("there is no tree {:?}", space.name()));
        self.trees.get(&space).ok_or_else(missing)
    }
}

impl Engine for SledEngine {
    const FOLDER: &'static str = "sled";

    fn open(dir: &Path, config: &StoreConfig, disk: Arc<dyn Disk>) -> Result<Self> {
        let sled_dir = dir.join(Self::FOLDER);
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
        Ok(Self {
            dir: dir.to_owned(),
            trees,
            db,
            files,
        })
    }

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

    /// One by one: sled keeps their order in its log. Its own transactions would hold back the log, so that each begins and
    /// ends with a small write to the disk that everybody waits for.
    fn apply(&self, ops: &[Op]) -> Result<()> {
        for op in ops {
            let tree = self.tree(op.space)?;
            guard(&self.dir, || match &op.value {
                Some(value) => tree.insert(op.key.as_slice(), value.as_slice()),
                None => tree.remove(op.key.as_slice()),
            })?;
        }
        Ok(())
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
            let failed = |error: io::Error| Error::io("list", &folder, &error);
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
            outcome => outcome.map_err(|error| Error::io("sync", path, &error)),
        }
    }

    fn sync_path(&self, path: &Path) -> Result<()> {
        self.disk
            .sync(path)
            .map_err(|error| Error::io("sync", path, &error))
    }
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
            Ok(Err(sled::Error::Io(error))) => return Err(Error::io("open", sled_dir, &error)),
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

/// Runs sled code; errors and panics become our errors.
fn guard<T>(dir: &Path, work: impl FnOnce() -> sled::Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(error))) => Err(Error::io("use", dir, &error)),
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
