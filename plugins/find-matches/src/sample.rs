//! How records compare that have nothing to do with each other: random pairs of a sample.

use rustc_hash::FxHashMap;

use crate::compare::{Comparer, Pattern};

/// Records kept of each table.
const KEPT: usize = 4_096;
/// Random pairs compared.
const PAIRS: usize = 400_000;

/// Keeps a sample of the records of one table or two. Equal input in equal order gives an equal sample.
#[derive(Debug)]
pub struct Sampler {
    kept: [Vec<Vec<u8>>; 2],
    seen: [u64; 2],
    random: Random,
}

/// A small generator whose sequence never changes.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound.max(1)
    }
}

impl Default for Sampler {
    fn default() -> Self {
        Self {
            kept: [Vec::new(), Vec::new()],
            seen: [0, 0],
            random: Random(42),
        }
    }
}

impl Sampler {
    /// Sees the blob of one record of table 0 or 1. Every record has the same chance to stay (algorithm R).
    pub fn observe(&mut self, table: usize, blob: &[u8]) {
        let table = table.min(1);
        self.seen[table] += 1;
        let kept = &mut self.kept[table];
        if kept.len() < KEPT {
            kept.push(blob.to_vec());
            return;
        }
        let place = self
            .random
            .below(usize::try_from(self.seen[table]).unwrap_or(usize::MAX));
        if let Some(old) = kept.get_mut(place) {
            *old = blob.to_vec();
        }
    }

    /// Compares random pairs, across the tables when there are two, and counts their patterns, in pattern order.
    pub fn finish(mut self, comparer: &Comparer) -> Vec<(Pattern, u64)> {
        let [first, second] = std::mem::take(&mut self.kept);
        let one_table = second.is_empty();
        let other = if one_table { &first } else { &second };
        let mut counts: FxHashMap<Pattern, u64> = FxHashMap::default();
        for _ in 0..PAIRS.min(first.len() * other.len()) {
            let (a, b) = (
                self.random.below(first.len()),
                self.random.below(other.len()),
            );
            if !(one_table && a == b) {
                *counts
                    .entry(comparer.compare(&first[a], &other[b]))
                    .or_default() += 1;
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

    #[test]
    fn every_record_has_the_same_chance() {
        let mut sampler = Sampler::default();
        for i in 0..40_960u32 {
            sampler.observe(0, &i.to_le_bytes());
        }
        let late = sampler.kept[0]
            .iter()
            .filter(|blob| u32::from_le_bytes(blob[..4].try_into().unwrap()) >= 20_480)
            .count();
        assert_eq!(sampler.kept[0].len(), KEPT);
        assert!(
            (1_800..2_300).contains(&late),
            "{late} of {KEPT} are from the second half"
        );
    }
}
