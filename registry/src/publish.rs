//! Files that appear whole or not at all, also across a power cut: written beside their place under a temporary
//! name, synced, moved into place, directory synced.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// Prefix of files that are being written; a killed process may leave one behind.
pub(crate) const TEMPORARY_PREFIX: &str = ".tmp-";

/// Writes `path`, replacing what is there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let (temporary, folder) = write_beside(path, bytes)?;
    temporary
        .persist(path)
        .map_err(|error| Error::io("write", path)(error.error))?;
    sync_folder(folder)
}

/// Writes `path` unless something is there; returns whether it was written. Of several callers one wins.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<bool> {
    let (temporary, folder) = write_beside(path, bytes)?;
    let created = match temporary.persist_noclobber(path) {
        Ok(_) => true,
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(Error::io("write", path)(error.error)),
    };
    // Also when another caller won: it may not have come to its own sync yet.
    sync_folder(folder)?;
    Ok(created)
}

fn write_beside<'a>(path: &'a Path, bytes: &[u8]) -> Result<(NamedTempFile, &'a Path)> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut temporary = tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .tempfile_in(folder)
        .map_err(Error::io("create a file in", folder))?;
    temporary
        .write_all(bytes)
        .map_err(Error::io("write", path))?;
    make_readable(temporary.as_file()).map_err(Error::io("write", path))?;
    temporary
        .as_file()
        .sync_all()
        .map_err(Error::io("sync", path))?;
    Ok((temporary, folder))
}

/// Temporary files are private to their owner; a registry may be shared by a group.
#[cfg(unix)]
fn make_readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Creates `folder` and its parents so that they survive a power cut.
pub(crate) fn create_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_folder(parent)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::io("create", folder)(error))
        }
        _ => sync_folder(parent.unwrap_or(Path::new("."))),
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|handle| handle.sync_all())
        .map_err(Error::io("sync", folder))
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> Result<()> {
    Ok(())
}
