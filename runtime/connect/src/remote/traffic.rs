//! [`Traffic`]: what a place read, sent and received, how often it had to ask again, and what writing cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counted since the place was made, or since [`Place::for_run`](crate::Place::for_run) or
/// [`Place::for_part`](crate::Place::for_part).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests, those that were repeated included.
    pub requests: u64,
    /// Failures that are tried again: an answer 5xx, 429 or 408, no answer, an answer that was cut off. The last one of a
    /// request that was given up is among them.
    pub retries: u64,
    /// Bytes of bodies that were received.
    pub received_bytes: u64,
    /// Bytes of bodies that were sent.
    pub sent_bytes: u64,
    /// Bytes of files on disks that were read, those that were only looked at to find out columns included.
    pub read_bytes: u64,
    /// CPU time that it took to encode what was written.
    pub encoding: Duration,
}

/// The counters behind [`Traffic`], and the retries that are left.
#[derive(Debug)]
pub(crate) struct Counters {
    requests: AtomicU64,
    retries: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    read: AtomicU64,
    encoding_nanos: AtomicU64,
    budget: u64,
    /// Whose budget it is, where that is not our own: what is counted here counts there too.
    whole: Option<Arc<Counters>>,
}

impl Counters {
    pub(crate) fn new(budget: u64) -> Self {
        Self {
            requests: AtomicU64::default(),
            retries: AtomicU64::default(),
            received: AtomicU64::default(),
            sent: AtomicU64::default(),
            read: AtomicU64::default(),
            encoding_nanos: AtomicU64::default(),
            budget,
            whole: None,
        }
    }

    /// Counters of a part of what `whole` counts, with no budget of its own.
    pub(crate) fn part_of(whole: &Arc<Self>) -> Self {
        Self {
            whole: Some(Arc::clone(whole)),
            ..Self::new(whole.budget)
        }
    }

    pub(crate) fn budget(&self) -> u64 {
        self.budget
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        if let Some(whole) = &self.whole {
            whole.sent(bytes);
        }
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
        if let Some(whole) = &self.whole {
            whole.received(bytes);
        }
    }

    pub(crate) fn read(&self, bytes: usize) {
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
        if let Some(whole) = &self.whole {
            whole.read(bytes);
        }
    }

    pub(crate) fn encoded(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.encoding_nanos.fetch_add(nanos, Ordering::Relaxed);
        if let Some(whole) = &self.whole {
            whole.encoded(took);
        }
    }

    /// Counts a failure that is tried again; false if the budget does not allow it.
    pub(crate) fn spend_retry(&self) -> bool {
        let before = self.retries.fetch_add(1, Ordering::Relaxed);
        match &self.whole {
            None => before < self.budget,
            Some(whole) => whole.spend_retry(),
        }
    }

    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.requests.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            received_bytes: self.received.load(Ordering::Relaxed),
            sent_bytes: self.sent.load(Ordering::Relaxed),
            read_bytes: self.read.load(Ordering::Relaxed),
            encoding: Duration::from_nanos(self.encoding_nanos.load(Ordering::Relaxed)),
        }
    }
}
