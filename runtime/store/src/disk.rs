//! [`Disk`]: the one operation durability rests on, as a seam for tests that let it fail or watch it.

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes files survive a power cut.
pub trait Disk: Send + Sync {
    /// Blocks until the content of the file at `path`, or the names in the folder at `path`, are on stable
    /// storage. Called by the writer thread, about once for each group of commits.
    ///
    /// # Errors
    /// Whatever the system says. The store then stops accepting writes for good.
    fn sync(&self, path: &Path) -> io::Result<()>;
}

/// The machine's disk: `fsync`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn sync(&self, path: &Path) -> io::Result<()> {
        // A handle opened for reading is enough: fsync concerns the file, not the handle.
        File::open(path)?.sync_all()
    }
}
