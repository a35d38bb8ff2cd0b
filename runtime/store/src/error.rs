//! [`Error`]: few kinds, each telling the caller what to do; values are in the message.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::key::Key;
use crate::transaction::Expected;
use crate::tree::Tree;

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a store operation failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A precondition does not hold. Nothing was written: read again and decide again.
    #[error("{tree} record {key} was expected to be {expected} and is {}", Found(*found))]
    Conflict {
        /// Tree of the record.
        tree: Tree,
        /// Key of the record.
        key: Key,
        /// What the transaction asked for.
        expected: Expected,
        /// The object version found; `None` when the record is absent.
        found: Option<u64>,
    },

    /// The transaction contradicts itself. A fault of the calling code.
    #[error("invalid transaction: {reason}")]
    InvalidTransaction {
        /// What is wrong with it.
        reason: String,
    },

    /// A size limit was exceeded.
    #[error("{what} has {size} bytes, the limit is {limit} bytes")]
    TooLarge {
        /// What was measured.
        what: String,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },

    /// One stored value fails its check. The rest of the store is usable.
    #[error(
        "{tree} record {key} is damaged: {reason}; restart to rebuild it from checkpoint and journal"
    )]
    DamagedRecord {
        /// Tree of the record.
        tree: &'static str,
        /// Its key, after the tenant.
        key: Key,
        /// Which check failed.
        reason: String,
    },

    /// The store cannot be read. Opening it again rebuilds it from checkpoint and journal; when opening says
    /// this, neither is enough for that.
    #[error(
        "the store in {} is damaged: {reason}; restart to rebuild it, or restore it from a backup",
        dir.display()
    )]
    DamagedStore {
        /// Directory of the store.
        dir: PathBuf,
        /// What the engine said.
        reason: String,
    },

    /// The journal is damaged before its end: acknowledged transactions may be in what cannot be read, so the
    /// store is not opened.
    #[error(
        "record {record} of the journal in {} is damaged: {reason}; restore a backup, or give up that record \
         and all after it with `tenon store repair --to-seq {}`",
        file.display(), record.saturating_sub(1)
    )]
    DamagedJournal {
        /// The file, or the folder when no file has the record.
        file: PathBuf,
        /// Sequence number of the record.
        record: u64,
        /// What is wrong with it.
        reason: String,
    },

    /// A checkpoint cannot be read. The store uses an older one where it can.
    #[error("the checkpoint {} is damaged: {reason}; restore a backup", file.display())]
    DamagedCheckpoint {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A backup cannot be made or used.
    #[error("the backup {} is not usable: {reason}", file.display())]
    Backup {
        /// The file.
        file: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },

    /// Another process has the directory open.
    #[error(
        "the store in {} is in use by another process; stop that process, or choose another directory",
        dir.display()
    )]
    Locked {
        /// Directory of the store.
        dir: PathBuf,
    },

    /// The directory was written by a newer version of this program.
    #[error(
        "the store in {} has format {found}, this build reads up to {supported}; use a newer tenon",
        dir.display()
    )]
    NewerFormat {
        /// Directory of the store.
        dir: PathBuf,
        /// Format found.
        found: u32,
        /// Newest format this build reads.
        supported: u32,
    },

    /// The store accepts no more writes. Whether the transaction that first met this happened is known only
    /// after a restart.
    #[error("the store has stopped accepting writes: {reason}; restart to see what was stored")]
    Stopped {
        /// What happened.
        reason: String,
    },

    /// The file system or the engine refused.
    #[error("cannot {action} {}: {reason}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        reason: String,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            reason: error.to_string(),
        }
    }
}

/// Displays the version that was found.
struct Found(Option<u64>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("absent"),
            Some(version) => write!(f, "at version {version}"),
        }
    }
}
