//! [`HeldRoot`]: the folder of an output of many folders, and the lock of its run.
//!
//! A staged file is locked by being open, which ten thousand cannot be at a time. Of an output of many folders the run
//! has one lock instead, `.<run>.running` in the root, for as long as its files are staged; they are closed once they
//! are written, and everything is done through the handle of the root. Who opens one of the folders leaves the staged
//! files of a run that holds its lock alone, and removes those of runs that were killed. An output of one folder knows
//! nothing of these files and leaves them alone.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cap_std::fs::Dir;

use crate::error::{Error, Result};
use crate::place::Place;
use crate::sink::staged::create_locked;

/// See the module. The lock goes when it is dropped.
#[derive(Debug)]
pub(crate) struct HeldRoot {
    pub(super) dir: Arc<Dir>,
    pub(super) path: PathBuf,
    lock_name: String,
    _lock: File,
    /// Staged by this run, as opposed to an earlier attempt of it.
    staged: Mutex<HashSet<PathBuf>>,
}

impl HeldRoot {
    /// Makes the folder if it is missing, and takes the lock of `run`. Blocks.
    pub(crate) fn open(place: &Place, path: &Path, run: &str) -> Result<Arc<Self>> {
        place.check(path)?;
        let dir = place
            .writable_dir(path, true)
            .map_err(|e| Error::io("open", path, e))?;
        let lock_name = lock_name(run);
        let lock = create_locked(&dir, Path::new(&lock_name))
            .map_err(|e| Error::io("write", path.join(&lock_name), e))?;
        Ok(Arc::new(Self {
            dir: Arc::new(dir),
            path: path.to_path_buf(),
            lock_name,
            _lock: lock,
            staged: Mutex::default(),
        }))
    }

    /// Notes a file that is about to be staged.
    pub(super) fn stage(&self, staged: &Path) {
        let mut all = self.staged.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(staged.to_path_buf());
    }

    /// Whether the run that staged a file still needs it. `part` is the run as the file's name has it: that of the
    /// output, and two numbers.
    pub(super) fn is_needed(&self, staged: &Path, part: &str) -> bool {
        let Some(run) = part.rsplitn(3, '-').nth(2) else {
            return false;
        };
        let name = lock_name(run);
        if name == self.lock_name {
            let all = self.staged.lock().unwrap_or_else(PoisonError::into_inner);
            return all.contains(staged);
        }
        let Ok(file) = self.dir.open(&name) else {
            return false;
        };
        matches!(file.into_std().try_lock(), Err(TryLockError::WouldBlock))
    }
}

impl Drop for HeldRoot {
    fn drop(&mut self) {
        // What cannot be removed is without a lock, and stands for nothing.
        let _ = self.dir.remove_file(&self.lock_name);
    }
}

fn lock_name(run: &str) -> String {
    format!(".{run}.running")
}
