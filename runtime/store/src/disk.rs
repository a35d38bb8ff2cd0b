//! [`Disk`]: the file operations durability rests on, as a seam for tests that let them fail, or that cut the
//! power and keep only what was synced.
//!
//! The journal, the checkpoints and the marker go through it completely. The engine's own files do not; they
//! can be rebuilt, and only their syncs pass here.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Names, files and syncs. All methods block; called by the writer thread, the keeper thread and while opening.
///
/// What was written is certain to survive a power cut only after [`DiskFile::sync`]; that a file has its name,
/// only after [`Disk::sync`] of its folder.
pub trait Disk: Send + Sync {
    /// Blocks until the content of the file at `path`, or the names in the folder at `path`, are on stable
    /// storage.
    ///
    /// # Errors
    /// Whatever the system says. In the writer it stops the store for good.
    fn sync(&self, path: &Path) -> io::Result<()>;

    /// Creates a folder whose parent exists; one that exists is no error.
    ///
    /// # Errors
    /// Whatever the system says.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// The names of the files in a folder, in any order.
    ///
    /// # Errors
    /// Whatever the system says; a missing folder is `NotFound`.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Creates an empty file for reading and writing, in place of any other.
    ///
    /// # Errors
    /// Whatever the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// Whatever the system says; a missing file is `NotFound`.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name, in place of any other file of that name, atomically.
    ///
    /// # Errors
    /// Whatever the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Whatever the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// An open file of a [`Disk`].
pub trait DiskFile: Send {
    /// Writes all bytes at `offset`, growing the file if need be.
    ///
    /// # Errors
    /// Whatever the system says; a part of the bytes may then be written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads at most as many bytes as `buffer` has, from `offset`; 0 at the end of the file.
    ///
    /// # Errors
    /// Whatever the system says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Bytes in the file.
    ///
    /// # Errors
    /// Whatever the system says.
    fn length(&self) -> io::Result<u64>;

    /// Blocks until everything written is on stable storage: `fdatasync`.
    ///
    /// # Errors
    /// Whatever the system says. What was written before is then lost or not, and a second sync does not tell.
    fn sync(&self) -> io::Result<()>;
}

/// The machine's disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn sync(&self, path: &Path) -> io::Result<()> {
        // A handle opened for reading is enough: fsync concerns the file, not the handle.
        File::open(path)?.sync_all()
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            outcome => outcome,
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            // What is not text was not named by us.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        Ok(Box::new(SystemFile(options.open(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Box::new(SystemFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

struct SystemFile(File);

impl DiskFile for SystemFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// The whole content of a file.
pub(crate) fn read_all(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let length = usize::try_from(file.length()?).unwrap_or(usize::MAX);
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(filled as u64, &mut bytes[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Writes a file that appears under `path` complete or not at all, and survives a power cut once this returns.
pub(crate) fn write_whole(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let file = disk.create(&temporary)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    publish(disk, &temporary, path)
}

/// Gives a synced file its final name, durably.
pub(crate) fn publish(disk: &dyn Disk, temporary: &Path, path: &Path) -> io::Result<()> {
    disk.rename(temporary, path)?;
    disk.sync(path.parent().unwrap_or(Path::new(".")))
}
