//! Guests' memory, charged to the query's memory pool.

use std::sync::Arc;

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use tenon_host::Budget;

/// One reservation of the pool for one instance.
#[derive(Debug)]
pub(crate) struct PoolBudget(MemoryReservation);

impl PoolBudget {
    pub(crate) fn of(pool: &Arc<dyn MemoryPool>, plugin: &str) -> Arc<Self> {
        let consumer = MemoryConsumer::new(format!("plugin {plugin}"));
        Arc::new(Self(consumer.register(pool)))
    }
}

impl Budget for PoolBudget {
    fn grow(&self, bytes: usize) -> Result<(), String> {
        self.0.try_grow(bytes).map_err(|e| e.strip_backtrace())
    }

    fn shrink(&self, bytes: usize) {
        self.0.shrink(bytes);
    }
}
