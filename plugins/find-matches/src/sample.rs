//! How records compare that have nothing to do with each other: random pairs of a sample.

use rustc_hash::FxHashMap;

use crate::compare::{Comparer, Pattern};
use crate::hash;
use crate::smallest::Smallest;

/// Records kept of each table.
const KEPT: usize = 4_096;
/// Random pairs compared.
const PAIRS: usize = 400_000;

/// Keeps a sample of the records of one table or two: which ones depends on their numbers alone, not on their order.
#[derive(Debug)]
pub(crate) struct Sampler([Smallest<Vec<u8>>; 2]);

impl Default for Sampler {
    fn default() -> Self {
        Self([0, 1].map(|_| Smallest::new(KEPT)))
    }
}

/// A small generator whose sequence never changes.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`, or 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound.max(1)
    }
}

impl Sampler {
    /// Sees the blob of one record of table 0 or 1.
    pub(crate) fn observe(&mut self, table: usize, record: u32, blob: &[u8]) {
        self.0[table.min(1)].observe(hash::mix(41, u64::from(record)), || blob.to_vec());
    }

    /// Compares random pairs, across the tables when there are two, and counts their patterns, in pattern order.
    pub(crate) fn finish(self, comparer: &Comparer) -> Vec<(Pattern, u64)> {
        let [first, second] = self.0.map(|kept| kept.finish().collect::<Vec<_>>());
        let one_table = second.is_empty();
        let other = if one_table { &first } else { &second };
        let mut random = Random(42);
        let mut counts: FxHashMap<Pattern, u64> = FxHashMap::default();
        for _ in 0..PAIRS.min(first.len() * other.len()) {
            let (a, b) = (random.below(first.len()), random.below(other.len()));
            if !(one_table && a == b) {
                let pattern = comparer.compare(&first[a], &other[b]);
                *counts.entry(pattern).or_default() += 1;
            }
        }
        let mut counts: Vec<(Pattern, u64)> = counts.into_iter().collect();
        counts.sort_unstable();
        counts
    }
}
