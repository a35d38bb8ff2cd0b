//! Which pairs of records are worth comparing: those that share blocking keys, the more telling ones first.
//!
//! ```text
//! keys of each record ─ sorted in buckets ─▶ blocks: records that share a key, 2 to CAP of them
//! each record: its blocks ─ summed weights of the others in them ─▶ its best few ─▶ pairs that either side named
//! ```
//! A key that few records share weighs more than one that many share (as ARCS does, Papadakis et al., "Meta-Blocking",
//! TKDE 2014); keys that more than [`CAP`] share are left to the tighter rules beside them. No pair is ever stored
//! with its weight: a record's neighbours are gathered, summed and cut at once, so that memory holds the keys and the
//! winners, 8 and 4 bytes each. As SQL (a self-join, a sum, a window) the same took five times as long and spilled.

use crate::budget::Budget;
use crate::error::Error;

/// Largest block whose pairs are compared.
pub(crate) const CAP: usize = 60;

/// Keys are told apart by this many bits; more than enough for a stray block not to matter: its pairs compare badly.
const KEY_BITS: u32 = 36;
/// Buckets that keys are spread over by their top bits.
const BUCKET_BITS: u32 = 10;
/// Records that fit beside a key.
const RECORDS: u32 = 1 << (64 - KEY_BITS);
/// Weights are whole numbers, so that their sum does not depend on the order of the terms.
const WEIGHT_UNIT: f64 = 1024.0;

/// A pair that is worth comparing, the smaller record first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// First record, below `b`.
    pub a: u32,
    /// Second record.
    pub b: u32,
    /// How many keys they share; 0 when `b` repeats `a` in every respect.
    pub shared: u8,
}

/// Which pairs count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facing {
    /// All of one table.
    All,
    /// Those between two tables, of which the second starts at this record.
    Across(u32),
    /// Those with a record from this one on: the others were compared before.
    Fresh(u32),
}

impl Facing {
    fn counts(self, a: u32, b: u32) -> bool {
        match self {
            Self::All => a != b,
            Self::Across(split) => (a < split) != (b < split),
            Self::Fresh(fresh) => a != b && a.max(b) >= fresh,
        }
    }

    /// Whether a block from `first` to `last` has any pair that counts.
    fn meets(self, first: u32, last: u32) -> bool {
        match self {
            Self::All => true,
            Self::Across(split) => first < split && last >= split,
            Self::Fresh(fresh) => last >= fresh,
        }
    }
}

/// Equal records beyond this many are represented by the first of them: together they would overflow every block.
pub(crate) const REPEATS: usize = 15;

/// Collects the keys of records and names the pairs. Records may come in any order.
pub struct Nominator {
    /// Low bits of the key, then the record; by the top bits of the key.
    buckets: Vec<Vec<u64>>,
    records: u32,
    /// Digest of each record's blob, and the record.
    digests: Vec<(u64, u32)>,
    budget: Budget,
}

impl Nominator {
    /// A nominator that names as many pairs as the budget allows.
    pub fn new(budget: Budget) -> Self {
        Self {
            buckets: vec![Vec::new(); 1 << BUCKET_BITS],
            records: 0,
            digests: Vec::new(),
            budget,
        }
    }

    /// Sees the distinct keys of one record and a digest of all that is compared of it.
    ///
    /// # Errors
    /// [`Error::TooMany`] beyond 2^28 records.
    pub fn observe(&mut self, record: u32, digest: u64, keys: &[u64]) -> Result<(), Error> {
        if record >= RECORDS {
            return Err(Error::TooMany(RECORDS));
        }
        self.records = self.records.max(record + 1);
        self.digests.push((digest, record));
        for key in keys {
            let bucket = (key >> (64 - BUCKET_BITS)) as usize;
            let low = key << BUCKET_BITS >> (64 - KEY_BITS);
            self.buckets[bucket].push(low << (64 - KEY_BITS) | u64::from(record));
        }
        Ok(())
    }

    /// The candidates that face each other; the same ones in the same order, however records came.
    pub fn finish(self, facing: Facing) -> Vec<Candidate> {
        let (budget, records) = (self.budget, self.records);
        // Equal rows of linked tables, or of old and new ones, do not stand for each other.
        let digests = if facing == Facing::All {
            self.digests
        } else {
            Vec::new()
        };
        let repeats = Repeats::new(digests, records);
        let blocks = Blocks::new(self.buckets, facing, &repeats);
        let members = Members::new(&blocks, records);
        let mut best = Best::new(records as usize, budget);
        let mut gatherer = Gatherer::new(facing, best.floor);
        let mut gathered = Vec::new();
        for record in 0..records {
            gatherer.gather(&blocks, members.of(record), record, &mut gathered);
            best.keep(&mut gathered);
        }
        let mut candidates = best.candidates();
        candidates.extend(repeats.candidates());
        candidates
    }
}

/// Records that repeat an earlier one in every respect, beyond a few.
struct Repeats {
    /// The record that stands for the other, in order of the other.
    leaders: Vec<(u32, u32)>,
    /// One bit per record.
    repeating: Vec<u64>,
}

impl Repeats {
    fn new(mut digests: Vec<(u64, u32)>, records: u32) -> Self {
        digests.sort_unstable();
        let mut leaders = Vec::new();
        let mut repeating = vec![0u64; records as usize / 64 + 1];
        for equal in digests.chunk_by(|x, y| x.0 == y.0) {
            if let [(_, leader), others @ ..] = equal
                && others.len() >= REPEATS
            {
                for (_, other) in others {
                    leaders.push((*leader, *other));
                    repeating[*other as usize / 64] |= 1 << (other % 64);
                }
            }
        }
        Self { leaders, repeating }
    }

    fn has(&self, record: u32) -> bool {
        self.repeating[record as usize / 64] >> (record % 64) & 1 == 1
    }

    fn candidates(&self) -> impl Iterator<Item = Candidate> + '_ {
        let leaders = self.leaders.iter();
        leaders.map(|(a, b)| Candidate {
            a: *a,
            b: *b,
            shared: 0,
        })
    }
}

/// Records that share a key, block after block.
struct Blocks {
    records: Vec<u32>,
    /// Where each block starts; one more for the end.
    starts: Vec<u32>,
}

impl Blocks {
    /// Small blocks come first, so that each record meets the weighty ones first.
    fn new(buckets: Vec<Vec<u64>>, facing: Facing, repeats: &Repeats) -> Self {
        let mut by_size: Vec<Vec<u32>> = vec![Vec::new(); CAP + 1];
        for mut bucket in buckets {
            if !repeats.leaders.is_empty() {
                bucket.retain(|entry| !repeats.has(record(*entry)));
            }
            bucket.sort_unstable();
            for run in bucket.chunk_by(|x, y| x >> (64 - KEY_BITS) == y >> (64 - KEY_BITS)) {
                // Records of a run are in order, so the first and the last tell whether it has pairs that count.
                if let [first, .., last] = run
                    && facing.meets(record(*first), record(*last))
                    && let Some(blocks) = by_size.get_mut(run.len())
                {
                    blocks.extend(run.iter().map(|entry| record(*entry)));
                }
            }
        }
        let mut blocks = Self {
            records: Vec::with_capacity(by_size.iter().map(Vec::len).sum()),
            starts: vec![0],
        };
        for (size, records) in by_size.into_iter().enumerate() {
            let ends = (0..records.len() / size.max(1)).map(|block| (block + 1) * size);
            let start = blocks.records.len();
            blocks.starts.extend(ends.map(|end| (start + end) as u32));
            blocks.records.extend(records);
        }
        blocks
    }

    fn of(&self, block: u32) -> &[u32] {
        let at = block as usize;
        &self.records[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}

fn record(entry: u64) -> u32 {
    entry as u32 & (RECORDS - 1)
}

/// The blocks of each record.
struct Members {
    blocks: Vec<u32>,
    /// Where each record's blocks end, once filled.
    ends: Vec<u32>,
}

impl Members {
    fn new(blocks: &Blocks, records: u32) -> Self {
        let mut ends = vec![0u32; records as usize];
        for record in &blocks.records {
            ends[*record as usize] += 1;
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += std::mem::replace(end, sum);
        }
        let mut members = Self {
            blocks: vec![0; blocks.records.len()],
            ends,
        };
        for block in 0..blocks.starts.len() as u32 - 1 {
            for record in blocks.of(block) {
                let end = &mut members.ends[*record as usize];
                members.blocks[*end as usize] = block;
                *end += 1;
            }
        }
        members
    }

    fn of(&self, record: u32) -> &[u32] {
        let at = record as usize;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.blocks[start as usize..self.ends[at] as usize]
    }
}

/// Another record, and the weight of the keys that are shared with it, above their number (see [`COUNT_BITS`]).
type Neighbour = (u32, u32);

/// Low bits of a neighbour's sum that count keys; the weight is above them.
const COUNT_BITS: u32 = 8;
/// Slots for the neighbours of one record: more than its keys times [`CAP`].
const SLOTS: usize = 1 << 13;
/// No record has this number.
const NOBODY: u32 = u32::MAX;

/// Sums the weights of one record's neighbours.
struct Gatherer {
    facing: Facing,
    floor: f64,
    /// What one key of a block of each size adds.
    weights: Vec<u32>,
    slots: Vec<Neighbour>,
    used: Vec<u16>,
}

impl Gatherer {
    fn new(facing: Facing, floor: f64) -> Self {
        Self {
            facing,
            floor,
            weights: (0..=CAP).map(weight).collect(),
            slots: vec![(NOBODY, 0); SLOTS],
            used: Vec::with_capacity(SLOTS),
        }
    }

    /// The neighbours of `record`, by number, with their sums. Blocks come from small to large: once those that are left
    /// together weigh less than the floor, none of them brings anybody new, and most of the work is spared.
    fn gather(&mut self, blocks: &Blocks, own: &[u32], record: u32, out: &mut Vec<Neighbour>) {
        let weight_of = |block: &u32| self.weights[blocks.of(*block).len()];
        let mut left: u32 = own.iter().map(weight_of).sum();
        let mut top = 0;
        for block in own {
            if f64::from(left >> COUNT_BITS) < f64::from(top >> COUNT_BITS) * self.floor {
                break;
            }
            let others = blocks.of(*block);
            let weight = self.weights[others.len()];
            left -= weight;
            for other in others {
                if self.facing.counts(record, *other) {
                    top = top.max(self.add(*other, weight));
                }
            }
        }
        out.clear();
        for slot in self.used.drain(..) {
            out.push(std::mem::replace(
                &mut self.slots[usize::from(slot)],
                (NOBODY, 0),
            ));
        }
        out.sort_unstable();
    }

    fn add(&mut self, other: u32, weight: u32) -> u32 {
        let mut at = (other.wrapping_mul(0x9E37_79B1) >> 19) as usize % SLOTS;
        loop {
            let slot = &mut self.slots[at];
            if slot.0 == other {
                slot.1 += weight;
                return slot.1;
            }
            if slot.0 == NOBODY {
                *slot = (other, weight);
                self.used.push(at as u16);
                return weight;
            }
            at = (at + 1) % SLOTS;
        }
    }
}

/// What one key of a block of this size adds to a neighbour's sum.
fn weight(members: usize) -> u32 {
    let weight = (1.0 + CAP as f64 / members.max(1) as f64).ln() * WEIGHT_UNIT;
    (weight as u32) << COUNT_BITS | 1
}

/// The best neighbours of each record.
struct Best {
    per_record: usize,
    floor: f64,
    others: Vec<u32>,
    /// Number of shared keys, beside `others`.
    shared: Vec<u8>,
    ends: Vec<u32>,
}

impl Best {
    fn new(records: usize, budget: Budget) -> Self {
        Self {
            per_record: budget.best.max(1),
            floor: budget.floor_of(records),
            others: Vec::new(),
            shared: Vec::new(),
            ends: Vec::with_capacity(records),
        }
    }

    /// Keeps the heaviest of `neighbours` for the next record; of equal weight the smaller ones.
    fn keep(&mut self, neighbours: &mut Vec<Neighbour>) {
        let weight = |neighbour: &Neighbour| neighbour.1 >> COUNT_BITS;
        let best = self.per_record;
        if neighbours.len() > best {
            let heavier =
                |x: &Neighbour, y: &Neighbour| weight(y).cmp(&weight(x)).then(x.0.cmp(&y.0));
            neighbours.select_nth_unstable_by(best - 1, heavier);
            neighbours.truncate(best);
            neighbours.sort_unstable();
        }
        let top = neighbours.iter().map(weight).max().unwrap_or(0);
        let floor = f64::from(top) * self.floor;
        for neighbour in neighbours.iter().filter(|n| f64::from(weight(n)) >= floor) {
            self.others.push(neighbour.0);
            self.shared.push(neighbour.1 as u8);
        }
        self.ends.push(self.others.len() as u32);
    }

    fn range(&self, record: u32) -> std::ops::Range<usize> {
        let at = record as usize;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        start as usize..self.ends[at] as usize
    }

    fn names(&self, record: u32, other: u32) -> bool {
        self.others[self.range(record)]
            .binary_search(&other)
            .is_ok()
    }

    /// Pairs that either side named, each once.
    fn candidates(&self) -> Vec<Candidate> {
        let mut candidates = Vec::with_capacity(self.others.len());
        for record in 0..self.ends.len() as u32 {
            for at in self.range(record) {
                let (other, shared) = (self.others[at], self.shared[at]);
                if other > record || !self.names(other, record) {
                    candidates.push(Candidate {
                        a: record.min(other),
                        b: record.max(other),
                        shared,
                    });
                }
            }
        }
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nominated(keys: &[Vec<u64>], facing: Facing, best: usize) -> Vec<(u32, u32)> {
        let mut nominator = Nominator::new(Budget { best, floor: 0.0 });
        for (record, keys) in (0..).zip(keys) {
            nominator.observe(record, u64::from(record), keys).unwrap();
        }
        let candidates = nominator.finish(facing).into_iter();
        let mut pairs: Vec<(u32, u32)> = candidates.map(|c| (c.a, c.b)).collect();
        pairs.sort_unstable();
        pairs
    }

    /// A key whose bits differ everywhere.
    fn key(n: u64) -> u64 {
        n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    #[test]
    fn rare_keys_win_over_frequent_ones() {
        // All share one key; the first two share a rare one too.
        let mut keys: Vec<Vec<u64>> = (0..10).map(|_| vec![key(1)]).collect();
        keys[0].push(key(2));
        keys[7].push(key(2));
        let pairs = nominated(&keys, Facing::All, 1);
        let of_seven: Vec<_> = pairs.iter().filter(|(a, b)| *a == 7 || *b == 7).collect();
        assert_eq!(of_seven, [&(0, 7)]);
    }

    #[test]
    fn crowded_keys_name_nobody() {
        let keys: Vec<Vec<u64>> = (0..=CAP).map(|_| vec![key(1)]).collect();
        assert!(nominated(&keys, Facing::All, 10).is_empty());
        assert!(!nominated(&keys[1..], Facing::All, 10).is_empty());
    }

    #[test]
    fn many_equal_records_are_one() {
        let mut nominator = Nominator::new(Budget::default());
        for record in 0..100 {
            nominator.observe(record, 5, &[key(1), key(2)]).unwrap();
        }
        nominator.observe(100, 6, &[key(2)]).unwrap();
        let candidates = nominator.finish(Facing::All);
        let repeats = candidates.iter().filter(|c| c.shared == 0);
        assert!(repeats.clone().all(|c| c.a == 0));
        assert_eq!(repeats.count(), 99);
        let met: Vec<_> = candidates.iter().filter(|c| c.shared > 0).collect();
        assert_eq!(
            met,
            [&Candidate {
                a: 0,
                b: 100,
                shared: 1
            }]
        );
    }

    /// Some of 40 keys for each of up to 40 records.
    fn numbers() -> impl Strategy<Value = Vec<std::collections::BTreeSet<u64>>> {
        let of_one = proptest::collection::btree_set(0u64..40, 0..5);
        proptest::collection::vec(of_one, 2..40)
    }

    fn facing() -> impl Strategy<Value = Facing> {
        prop_oneof![
            Just(Facing::All),
            (0u32..40).prop_map(Facing::Across),
            (0u32..40).prop_map(Facing::Fresh),
        ]
    }

    proptest! {
        #[test]
        fn every_pair_that_shares_a_key_is_named_once(numbers in numbers(), facing in facing()) {
            let keys: Vec<Vec<u64>> = numbers.iter().map(|set| set.iter().map(|n| key(*n)).collect()).collect();
            let mut expected = Vec::new();
            for a in 0..keys.len() {
                for b in a + 1..keys.len() {
                    let shares = numbers[a].intersection(&numbers[b]).next().is_some();
                    if shares && facing.counts(a as u32, b as u32) {
                        expected.push((a as u32, b as u32));
                    }
                }
            }
            prop_assert_eq!(nominated(&keys, facing, 100), expected);
        }

        #[test]
        fn the_order_of_records_does_not_matter(numbers in numbers(), facing in facing()) {
            let keys: Vec<Vec<u64>> = numbers.iter().map(|set| set.iter().map(|n| key(*n)).collect()).collect();
            let mut backwards = Nominator::new(Budget { best: 3, floor: 0.3 });
            let mut forwards = Nominator::new(Budget { best: 3, floor: 0.3 });
            for record in 0..keys.len() {
                let last = keys.len() - 1 - record;
                forwards.observe(record as u32, record as u64 / 20, &keys[record]).unwrap();
                backwards.observe(last as u32, last as u64 / 20, &keys[last]).unwrap();
            }
            prop_assert_eq!(forwards.finish(facing), backwards.finish(facing));
        }
    }
}
