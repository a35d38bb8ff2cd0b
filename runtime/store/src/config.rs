//! [`StoreConfig`]: what may be tuned.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of a store. The defaults suit a catalog of a million objects on a small machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Memory for cached pages, in bytes. Default 64 MiB; 256 MiB helps when many tables are listed often.
    pub cache_capacity_bytes: u64,
    /// Transactions that share one fsync, at most. Default 256. Larger groups raise the throughput under load
    /// and the time a single caller waits.
    pub group_limit: usize,
    /// Transactions that may wait for the writer before `commit` blocks. Default 1024.
    pub queue_limit: usize,
    /// Length of a file of the journal, in bytes. Default 16 MiB. It is filled with zeros when it is begun,
    /// which takes some ten milliseconds; smaller files are begun more often.
    pub segment_bytes: u64,
    /// Time between checkpoints while there are writes. Default 60 s. Nothing is written while the journal has
    /// grown by less than a sixteenth of the last checkpoint: replaying that is faster than writing it.
    pub checkpoint_interval: Duration,
    /// Bytes of journal after which a checkpoint is written at once. Default 64 MiB; bounds what a rebuild
    /// replays.
    pub checkpoint_journal_bytes: u64,
    /// When the engine's content is compared with its digest before anything is served. Default
    /// [`VerifyOnOpen::AfterPowerCut`].
    pub verify_on_open: VerifyOnOpen,
}

/// When the engine's content is compared with its digest before anything is served; otherwise it is compared
/// beside the work, and what was found wrong stops the store. It takes about two seconds for a million records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifyOnOpen {
    /// When the store was not closed and the machine was started since, or that is not known.
    AfterPowerCut,
    /// Always.
    Always,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            cache_capacity_bytes: 64 * 1024 * 1024,
            group_limit: 256,
            queue_limit: 1024,
            segment_bytes: 16 * 1024 * 1024,
            checkpoint_interval: Duration::from_secs(60),
            checkpoint_journal_bytes: 64 * 1024 * 1024,
            verify_on_open: VerifyOnOpen::AfterPowerCut,
        }
    }
}
