//! How records compare that have nothing to do with each other: random pairs of a sample.

use rustc_hash::FxHashMap;

use crate::compare::{Comparer, Pattern};
use crate::hash;

/// Records kept of each table.
const KEPT: usize = 4_096;
/// Random pairs compared.
const PAIRS: usize = 400_000;

/// Keeps a sample of the records of one table or two: which ones depends on their numbers alone, not on their order.
#[derive(Debug, Default)]
pub(crate) struct Sampler([Kept; 2]);

/// Records with the smallest hashes.
#[derive(Debug)]
struct Kept {
    records: Vec<(u64, Vec<u8>)>,
    /// Hashes above this are not among the smallest.
    ceiling: u64,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            ceiling: u64::MAX,
        }
    }
}

impl Kept {
    fn observe(&mut self, hash: u64, blob: &[u8]) {
        if hash > self.ceiling {
            return;
        }
        self.records.push((hash, blob.to_vec()));
        if self.records.len() >= 2 * KEPT {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.records.sort_unstable();
        self.records.truncate(KEPT);
        if let Some(last) = self.records.get(KEPT - 1) {
            self.ceiling = last.0;
        }
    }

    fn finish(mut self) -> Vec<(u64, Vec<u8>)> {
        self.cut();
        self.records
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
        self.0[table.min(1)].observe(hash::mix(41, u64::from(record)), blob);
    }

    /// Compares random pairs, across the tables when there are two, and counts their patterns, in pattern order.
    pub(crate) fn finish(self, comparer: &Comparer) -> Vec<(Pattern, u64)> {
        let [first, second] = self.0.map(Kept::finish);
        let one_table = second.is_empty();
        let other = if one_table { &first } else { &second };
        let mut random = Random(42);
        let mut counts: FxHashMap<Pattern, u64> = FxHashMap::default();
        for _ in 0..PAIRS.min(first.len() * other.len()) {
            let (a, b) = (random.below(first.len()), random.below(other.len()));
            if !(one_table && a == b) {
                let pattern = comparer.compare(&first[a].1, &other[b].1);
                *counts.entry(pattern).or_default() += 1;
            }
        }
        let mut counts: Vec<(Pattern, u64)> = counts.into_iter().collect();
        counts.sort_unstable();
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(records: impl Iterator<Item = u32>) -> Vec<(u64, Vec<u8>)> {
        let mut sampler = Sampler::default();
        records.for_each(|record| sampler.observe(0, record, &record.to_le_bytes()));
        let [first, _] = sampler.0.map(Kept::finish);
        first
    }

    #[test]
    fn the_sample_does_not_depend_on_the_order() {
        let forwards = sampled(0..40_960);
        assert_eq!(forwards, sampled((0..40_960).rev()));
        let late = forwards
            .iter()
            .filter(|(_, blob)| u32::from_le_bytes(blob[..4].try_into().unwrap()) >= 20_480)
            .count();
        assert_eq!(forwards.len(), KEPT);
        assert!(
            (1_800..2_300).contains(&late),
            "{late} of {KEPT} are from the second half"
        );
    }
}
