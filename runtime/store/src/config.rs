//! [`StoreConfig`]: what may be tuned.

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
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            cache_capacity_bytes: 64 * 1024 * 1024,
            group_limit: 256,
            queue_limit: 1024,
        }
    }
}
