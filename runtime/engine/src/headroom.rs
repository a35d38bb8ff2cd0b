//! [`HeadroomPool`]: the memory of one run, shared by what can spill and what cannot.
//!
//! ```text
//! ├──────────── spillers: each an equal part ────────────┤├── headroom ──┤
//! ├───────────────────────────── total ───────────────────────────────────┤
//!                          ◄── those that cannot spill take what is free ──┤
//! ```
//!
//! DataFusion's own `FairSpillPool` lets spillers have everything. A sort that is to spill must first merge what it holds,
//! and asks for memory to do so when the other sorts have taken the last of it: it fails instead of spilling
//! (apache/datafusion issue 24739). Here a part is out of reach for spillers. A merge needs at most the keys of what it
//! merges, and a sort counts what it holds twice: so a third of the whole is enough for all sorts at once, and a little
//! more is kept for hash tables and plugins.
//!
//! As in that pool each reservation of a spiller may grow to the consumer's part: an operator that merges what it spilled
//! holds a second one meanwhile. The whole is never exceeded.

use std::fmt;

use datafusion::common::human_readable_size;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use parking_lot::Mutex;

/// The part of the whole, in eighths, that only those get who cannot spill.
const HEADROOM_EIGHTHS: usize = 3;

/// See the module.
#[derive(Debug)]
pub(crate) struct HeadroomPool {
    total: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// Consumers that can spill.
    spillers: usize,
    /// Bytes of all of those together.
    spillable: usize,
    /// Bytes of those that cannot.
    unspillable: usize,
}

impl Held {
    /// What a reservation of a spiller may hold of `total`.
    fn part(&self, total: usize) -> usize {
        let headroom = (total / 8 * HEADROOM_EIGHTHS).max(self.unspillable);
        total.saturating_sub(headroom) / self.spillers.max(1)
    }

    fn bytes_mut(&mut self, consumer: &MemoryConsumer) -> &mut usize {
        match consumer.can_spill() {
            true => &mut self.spillable,
            false => &mut self.unspillable,
        }
    }
}

impl HeadroomPool {
    /// For a run that may hold `total` bytes.
    pub(crate) fn new(total: usize) -> Self {
        Self {
            total,
            held: Mutex::default(),
        }
    }

    fn exhausted(&self, consumer: &MemoryConsumer, wanted: usize, left: usize) -> DataFusionError {
        DataFusionError::ResourcesExhausted(format!(
            "{} needs {} more memory, and of the {} that the run may hold it can get {}",
            consumer.name(),
            human_readable_size(wanted),
            human_readable_size(self.total),
            human_readable_size(left),
        ))
    }
}

impl MemoryPool for HeadroomPool {
    fn name(&self) -> &'static str {
        "run"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.held.lock().spillers += 1;
        }
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.held.lock().spillers -= 1;
        }
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        *self.held.lock().bytes_mut(reservation.consumer()) += additional;
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        *self.held.lock().bytes_mut(reservation.consumer()) -= shrink;
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let mut held = self.held.lock();
        let consumer = reservation.consumer();
        let free = self.total.saturating_sub(held.spillable + held.unspillable);
        let left = match consumer.can_spill() {
            true => free.min(held.part(self.total).saturating_sub(reservation.size())),
            false => free,
        };
        if additional > left {
            return Err(self.exhausted(consumer, additional, left));
        }
        *held.bytes_mut(consumer) += additional;
        Ok(())
    }

    fn reserved(&self) -> usize {
        let held = self.held.lock();
        held.spillable + held.unspillable
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.total)
    }
}

impl fmt::Display for HeadroomPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run(total: {})", human_readable_size(self.total))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn pool(total: usize) -> Arc<dyn MemoryPool> {
        Arc::new(HeadroomPool::new(total))
    }

    fn consumer(pool: &Arc<dyn MemoryPool>, can_spill: bool) -> MemoryReservation {
        MemoryConsumer::new("c")
            .with_can_spill(can_spill)
            .register(pool)
    }

    #[test]
    fn spillers_share_what_is_not_headroom() {
        let pool = pool(800);
        let first = consumer(&pool, true);
        assert!(first.try_grow(501).is_err());
        first.try_grow(250).unwrap();
        let second = consumer(&pool, true);
        assert!(first.try_grow(1).is_err(), "its part is half of 500 now");
        second.try_grow(250).unwrap();
        // What cannot spill has the headroom, whatever the others do.
        let merge = consumer(&pool, false);
        assert!(merge.try_grow(301).is_err());
        merge.try_grow(300).unwrap();
        assert_eq!(pool.reserved(), 800);
        merge.free();
        assert!(second.try_grow(1).is_err(), "and others do not take it");
        drop(second);
        first.try_grow(250).unwrap();
    }

    #[test]
    fn a_second_reservation_has_a_part_of_its_own_within_the_whole() {
        let pool = pool(800);
        let table = consumer(&pool, true);
        table.try_grow(500).unwrap();
        let merge = table.new_empty();
        assert!(merge.try_grow(301).is_err());
        merge.try_grow(300).unwrap();
        drop((table, merge));
        assert_eq!(pool.reserved(), 0);
        consumer(&pool, true).try_grow(500).unwrap();
    }

    #[test]
    fn who_cannot_spill_may_take_all_and_spillers_get_the_rest() {
        let pool = pool(800);
        let table = consumer(&pool, false);
        table.try_grow(700).unwrap();
        let sort = consumer(&pool, true);
        assert!(sort.try_grow(101).is_err());
        sort.try_grow(100).unwrap();
        let said = sort.try_grow(50).unwrap_err().to_string();
        assert!(
            said.contains("c needs 50.0 B more memory")
                && said.contains("800.0 B that the run may hold it can get 0.0 B"),
            "{said}"
        );
        table.free();
        sort.try_grow(400).unwrap();
    }

    #[test]
    fn what_may_not_fail_is_counted() {
        let pool = pool(8);
        let sort = consumer(&pool, true);
        sort.grow(100);
        assert_eq!(pool.reserved(), 100);
        assert!(consumer(&pool, false).try_grow(1).is_err());
    }
}
