//! The memory account that guests are charged to.
//!
//! The engine implements [`Budget`] over its query's memory pool, so that a guest's linear memory
//! competes with sorts and joins for the same bytes. The host knows nothing of that pool.

use parking_lot::Mutex;

/// An account of bytes. Called whenever a guest's linear memory grows (rarely: WebAssembly
/// memory grows in pages of 64 KiB and never shrinks) and once when its instance ends.
/// Must not block.
pub trait Budget: Send + Sync {
    /// Asks for `bytes` more.
    ///
    /// # Errors
    /// A sentence for the user when the account is exhausted: its limit and what is in use.
    fn grow(&self, bytes: usize) -> Result<(), String>;

    /// Gives `bytes` back.
    fn shrink(&self, bytes: usize);
}

/// An account with a fixed limit, for use without an engine.
#[derive(Debug)]
pub struct FixedBudget {
    limit: usize,
    used: Mutex<usize>,
}

impl FixedBudget {
    /// An account of `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            used: Mutex::new(0),
        }
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> usize {
        *self.used.lock()
    }
}

impl Budget for FixedBudget {
    fn grow(&self, bytes: usize) -> Result<(), String> {
        let mut used = self.used.lock();
        match used.checked_add(bytes).filter(|sum| *sum <= self.limit) {
            Some(sum) => {
                *used = sum;
                Ok(())
            }
            None => Err(format!(
                "the budget is {} bytes, of which {used} are in use",
                self.limit
            )),
        }
    }

    fn shrink(&self, bytes: usize) {
        *self.used.lock() -= bytes;
    }
}
