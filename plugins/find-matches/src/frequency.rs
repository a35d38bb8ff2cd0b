//! Frequencies of values and tokens in bounded memory.
//!
//! [`Counter`] counts 32-bit ids exactly until it is full, then forgets the rarest (lossy counting): frequent ids keep
//! nearly exact counts, forgotten ones are known to be rare. [`Frequencies`] is the frozen, sorted form that a profile
//! carries.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// Counts ids; at most `capacity` of them at a time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Counter {
    counts: FxHashMap<u32, u32>,
    capacity: usize,
    forgotten: u32,
}

impl Counter {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            counts: FxHashMap::default(),
            capacity,
            forgotten: 0,
        }
    }

    pub(crate) fn add(&mut self, id: u32) {
        *self.counts.entry(id).or_insert(0) += 1;
        if self.counts.len() > self.capacity {
            self.forget();
        }
    }

    /// Adds what another has counted.
    pub(crate) fn merge(&mut self, other: Self) {
        self.forgotten = self.forgotten.max(other.forgotten);
        for (id, count) in other.counts {
            *self.counts.entry(id).or_insert(0) += count;
        }
        if self.counts.len() > self.capacity {
            self.forget();
        }
    }

    fn forget(&mut self) {
        while self.counts.len() > self.capacity / 2 {
            self.forgotten += 1;
            let floor = self.forgotten;
            self.counts.retain(|_, count| *count > floor);
        }
    }

    /// Number of ids held: the exact distinct count while nothing was forgotten.
    pub(crate) fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether every id is still held with its exact count.
    pub(crate) fn is_exact(&self) -> bool {
        self.forgotten == 0
    }

    /// Freezes the `limit` most frequent ids seen at least twice.
    pub(crate) fn freeze(self, limit: usize) -> Frequencies {
        let exact = self.is_exact();
        let mut entries: Vec<(u32, u32)> = self
            .counts
            .into_iter()
            .filter(|(_, count)| *count > 1)
            .collect();
        entries.sort_unstable_by_key(|(id, count)| (u32::MAX - count, *id));
        let cut = entries.len() > limit;
        entries.truncate(limit);
        let absent = match entries.last() {
            Some((_, count)) if cut => *count / 2,
            _ => self.forgotten / 2,
        };
        entries.sort_unstable();
        Frequencies {
            entries,
            absent: absent.max(1),
            exact: exact && !cut,
        }
    }
}

/// Frozen counts, sorted by id.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Frequencies {
    entries: Vec<(u32, u32)>,
    absent: u32,
    exact: bool,
}

impl Frequencies {
    /// Occurrences of `id`; for an id not held, the typical count of such ids (1 when counts are exact).
    pub(crate) fn count(&self, id: u32) -> u32 {
        match self.entries.binary_search_by_key(&id, |entry| entry.0) {
            Ok(at) => self.entries.get(at).map_or(self.absent, |entry| entry.1),
            Err(_) => self.absent,
        }
    }

    /// Whether an id that is not held is known to occur once only.
    pub(crate) fn is_exact(&self) -> bool {
        self.exact
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_ids_survive_forgetting() {
        let mut counter = Counter::new(100);
        for n in 0..10_000u32 {
            counter.add(n + 1_000);
            counter.add(n % 5);
        }
        assert!(!counter.is_exact());
        assert!(counter.len() <= 100);
        let frozen = counter.freeze(50);
        for id in 0..5 {
            assert!(frozen.count(id) > 1_900, "{}", frozen.count(id));
        }
        assert!(frozen.count(999_999) < 300);
    }

    #[test]
    fn small_sets_are_exact() {
        let mut counter = Counter::new(100);
        for id in [7, 7, 8] {
            counter.add(id);
        }
        let frozen = counter.freeze(50);
        assert!(frozen.is_exact());
        assert_eq!((frozen.count(7), frozen.count(8)), (2, 1));
    }
}
