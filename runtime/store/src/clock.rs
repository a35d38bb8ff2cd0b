//! [`Clock`]: time is passed in, so that everything that depends on it can be tested without waiting.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

/// Tells the time of day. Called once for each thing that carries a time stamp; must not block.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> SystemTime;
}

/// The system's time of day.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the clock that is passed in")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock for tests: it stands still until told to move. Clones show the same time.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<SystemTime>>);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: SystemTime) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        *self.0.lock() += by;
    }

    /// Sets the clock, also backward.
    pub fn set(&self, now: SystemTime) {
        *self.0.lock() = now;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        *self.0.lock()
    }
}

/// Milliseconds since 1970; 0 before that.
pub(crate) fn unix_millis(clock: &dyn Clock) -> u64 {
    let age = clock.now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(age.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
