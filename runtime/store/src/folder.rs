//! The store's directory: who owns it, and folders that survive a power cut.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::disk::Disk;
use crate::error::{Error, Result};

const LOCK_FILE: &str = "LOCK";
const LOCK_RETRIES: u32 = 20;
const LOCK_RETRY_PAUSE: Duration = Duration::from_millis(20);

/// Takes the directory for this process, until the file is dropped.
pub(crate) fn lock(dir: &Path) -> Result<File> {
    let path = dir.join(LOCK_FILE);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = file.map_err(|error| Error::io("open", &path, &error))?;
    // A process that is just being started by its owner holds the file, too, until it runs its own program.
    for _ in 0..LOCK_RETRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_RETRY_PAUSE),
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path, &error)),
        }
    }
    Err(Error::Locked {
        dir: dir.to_owned(),
    })
}

/// Creates `dir` so that it survives a power cut.
pub(crate) fn create_folder(dir: &Path, disk: &dyn Disk) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, &error))?;
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    disk.sync(parent)
        .map_err(|error| Error::io("sync", parent, &error))
}
