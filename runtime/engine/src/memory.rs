//! Memory by node: [`MeteredPool`] is the run's pool, and keeps for each node how much it held and for how long.
//!
//! DataFusion's consumers do not say which node of a job they work for. They are registered while their operator is
//! executed or polled, always below the node's [`MeterExec`](crate::node::MeterExec), which says on that thread whose
//! turn it is ([`within`]). What is registered outside of all nodes counts for none.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use datafusion::error::Result;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use parking_lot::Mutex;

use crate::headroom::HeadroomPool;

thread_local! {
    /// The node that is worked on.
    static NODE: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// Does `work` for a node: memory that is asked for meanwhile is the node's.
pub(crate) fn within<T>(node: &Arc<str>, work: impl FnOnce() -> T) -> T {
    let _turn = Turn {
        before: NODE.replace(Some(Arc::clone(node))),
    };
    work()
}

/// Gives the turn back when it is dropped, also when the work panics.
struct Turn {
    before: Option<Arc<str>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        NODE.set(self.before.take());
    }
}

/// What a node held of the pool.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Held {
    /// Bytes at once, at most.
    pub(crate) peak_bytes: u64,
    /// Bytes, each times the seconds for which it was held.
    pub(crate) byte_seconds: f64,
}

/// A [`HeadroomPool`] that remembers who held what.
#[derive(Debug)]
pub(crate) struct MeteredPool {
    pool: HeadroomPool,
    ledger: Mutex<Ledger>,
}

#[derive(Debug, Default)]
struct Ledger {
    /// Whose consumer is whose, by its id.
    owners: HashMap<usize, Arc<str>>,
    accounts: BTreeMap<Arc<str>, Account>,
}

/// One node's memory.
#[derive(Debug)]
struct Account {
    bytes: u64,
    since: Instant,
    held: Held,
}

impl Account {
    fn change(&mut self, bytes: u64, now: Instant) {
        let lasted = now.saturating_duration_since(self.since).as_secs_f64();
        self.held.byte_seconds += self.bytes as f64 * lasted;
        self.held.peak_bytes = self.held.peak_bytes.max(bytes);
        (self.bytes, self.since) = (bytes, now);
    }
}

impl MeteredPool {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            pool: HeadroomPool::new(bytes),
            ledger: Mutex::default(),
        }
    }

    /// What each node held so far.
    pub(crate) fn held(&self) -> BTreeMap<String, Held> {
        let now = Instant::now();
        let mut ledger = self.ledger.lock();
        let accounts = ledger.accounts.iter_mut().map(|(node, account)| {
            account.change(account.bytes, now);
            (node.to_string(), account.held)
        });
        accounts.collect()
    }

    fn change(&self, reservation: &MemoryReservation, to: impl FnOnce(u64) -> u64) {
        let mut ledger = self.ledger.lock();
        let ledger = &mut *ledger;
        let Some(owner) = ledger.owners.get(&reservation.consumer().id()) else {
            return;
        };
        let now = Instant::now();
        let fresh = || Account {
            bytes: 0,
            since: now,
            held: Held::default(),
        };
        let account = ledger
            .accounts
            .entry(Arc::clone(owner))
            .or_insert_with(fresh);
        account.change(to(account.bytes), now);
    }
}

impl fmt::Display for MeteredPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.pool, f)
    }
}

impl MemoryPool for MeteredPool {
    fn name(&self) -> &str {
        self.pool.name()
    }

    fn register(&self, consumer: &MemoryConsumer) {
        if let Some(node) = NODE.with_borrow(Clone::clone) {
            self.ledger.lock().owners.insert(consumer.id(), node);
        }
        self.pool.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.ledger.lock().owners.remove(&consumer.id());
        self.pool.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.pool.grow(reservation, additional);
        self.change(reservation, |bytes| bytes.saturating_add(additional as u64));
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.pool.shrink(reservation, shrink);
        self.change(reservation, |bytes| bytes.saturating_sub(shrink as u64));
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.pool.try_grow(reservation, additional)?;
        self.change(reservation, |bytes| bytes.saturating_add(additional as u64));
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.pool.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.pool.memory_limit()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn memory_is_the_nodes_whose_turn_it_is() {
        let metered = Arc::new(MeteredPool::new(1000));
        let pool: Arc<dyn MemoryPool> = Arc::clone(&metered) as _;
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let register = |name: &str| MemoryConsumer::new(name).register(&pool);
        let nobodys = register("nobody's");
        let (of_a, of_b) = within(&a, || {
            let of_b = within(&b, || register("inner"));
            (register("outer"), of_b)
        });
        nobodys.grow(500);
        of_a.grow(100);
        of_b.try_grow(60).unwrap();
        of_a.shrink(70);
        of_b.try_grow(1000).unwrap_err();
        std::thread::sleep(Duration::from_millis(50));
        let held = metered.held();
        assert_eq!((held["a"].peak_bytes, held["b"].peak_bytes), (100, 60));
        assert_eq!(held.len(), 2);
        // 30 and 60 bytes for 50 ms and what the machine adds.
        let (a, b) = (held["a"].byte_seconds, held["b"].byte_seconds);
        assert!(a >= 1.5 && b >= 3.0 && b > 1.9 * a, "{held:?}");
        drop((of_a, of_b));
        let later = metered.held();
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(metered.held(), later, "what is given back costs nothing");
    }
}
