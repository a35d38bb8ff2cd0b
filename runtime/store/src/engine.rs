//! [`Engine`]: what the store needs from a database. Sorted byte keys, writes kept in order, a sync.
//!
//! One implementation stores with sled. A second, with redb, exists in tests: it runs the same suite and keeps
//! this trait from growing into the shape of one engine.

#[cfg(test)]
pub(crate) mod redb;
pub(crate) mod sled;

use std::path::Path;
use std::sync::Arc;

use crate::config::StoreConfig;
use crate::disk::Disk;
use crate::error::Result;
use crate::tree::Space;

/// One entry to write, or to remove when `value` is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Op {
    pub(crate) space: Space,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

/// Called for each entry of a range with key and value; returns whether to go on.
pub(crate) type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<bool> + 'a;

/// A database under the store, in a folder of its own that can be thrown away and rebuilt. `get` and `range` are
/// called from many threads and may run beside `apply` and `sync`; `apply` is called by one thread at a time.
/// All may block.
pub(crate) trait Engine: Send + Sync + Sized + 'static {
    /// Name of the folder, in the store's directory.
    const FOLDER: &'static str;

    /// Opens or creates the database in the store's directory, which the caller has locked.
    fn open(dir: &Path, config: &StoreConfig, disk: Arc<dyn Disk>) -> Result<Self>;

    /// The value stored under `key`.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Visits entries with `from <= key` and `key < until` in ascending order; `None` has no end.
    fn range(
        &self,
        space: Space,
        from: &[u8],
        until: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<()>;

    /// Performs operations in order; of several on one key the last counts. Need not be durable: what a crash leaves is
    /// all operations up to some point, which may lie within one call.
    fn apply(&self, ops: &[Op]) -> Result<()>;

    /// Makes everything applied so far durable, so that little must be replayed. Nothing rests on it: what was
    /// acknowledged is in the journal.
    fn sync(&self) -> Result<()>;
}
