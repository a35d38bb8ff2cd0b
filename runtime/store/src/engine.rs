//! [`Engine`]: what the store needs from a database. Sorted byte keys, atomic writes, a sync.
//!
//! One implementation stores with sled. A second, with redb, exists in tests: it runs the same suite and keeps
//! this trait from growing into the shape of one engine.

#[cfg(test)]
pub(crate) mod redb;
pub(crate) mod sled;

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

/// A database under the store. `get` and `range` are called from many threads and may run beside `apply`;
/// `apply` and `sync` are called by the writer thread only. All may block.
pub(crate) trait Engine: Send + Sync + 'static {
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

    /// Performs all operations or none; of several on one key the last counts. Need not be durable.
    fn apply(&self, ops: &[Op]) -> Result<()>;

    /// Makes everything applied so far durable.
    fn sync(&self) -> Result<()>;
}
