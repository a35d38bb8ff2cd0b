//! `sample`: how records compare that have nothing to do with each other.
//!
//! Inputs: the profile (broadcast); `source` and `blob` of all records. It keeps a sample of the records, compares
//! random pairs of them and counts the patterns. Output: `pattern`, `n`.

use rustc_hash::FxHashMap;
use tenon_sdk::arrow_array::types::UInt8Type;
use tenon_sdk::prelude::*;

use super::{blob, counts_batch, counts_schema, too_early};
use crate::{Comparer, Pattern, Profile};

/// Records kept of each table.
const KEPT: usize = 4_096;
/// Random pairs compared.
const PAIRS: usize = 300_000;

pub(super) struct Sample {
    profile: Option<Profile>,
    /// Of each table.
    kept: [Vec<Vec<u8>>; 2],
    seen: [u64; 2],
    random: Random,
}

/// A small generator whose sequence never changes.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}

impl Stream for Sample {
    const NAME: &'static str = "sample";
    const DOCS: &'static str = "Compares random pairs of records, to learn what agreement by chance looks like.";

    fn bind(_config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        let inputs = vec![Input::columns(&inputs[0], &["profile"], Distribution::Broadcast)?, Input::columns(&inputs[1], &["source", "blob"], Distribution::Single)?];
        Ok(StreamBinding { inputs, output: counts_schema(), deterministic: true })
    }

    fn open(_config: &Config, _inputs: &[SchemaRef]) -> Result<Self> {
        Ok(Self { profile: None, kept: [Vec::new(), Vec::new()], seen: [0, 0], random: Random(42) })
    }

    fn push(&mut self, input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        if input == 0 {
            self.profile = Some(Profile::from_bytes(&blob(&batch)?)?);
            return Ok(Vec::new());
        }
        let (sources, blobs) = (batch.column(0).as_primitive::<UInt8Type>(), batch.column(1).as_binary::<i32>());
        for row in 0..batch.num_rows() {
            self.keep(usize::from(sources.value(row).min(1)), blobs.value(row));
        }
        Ok(Vec::new())
    }

    fn finish(&mut self, input: usize) -> Result<Vec<RecordBatch>> {
        if input == 0 {
            return Ok(Vec::new());
        }
        let profile = self.profile.take().ok_or_else(|| too_early("the profile"))?;
        Ok(vec![counts_batch(&self.compare(&Comparer::new(&profile)))?])
    }
}

impl Sample {
    /// Algorithm R: every record has the same chance to be among those kept.
    fn keep(&mut self, source: usize, record: &[u8]) {
        self.seen[source] += 1;
        let kept = &mut self.kept[source];
        if kept.len() < KEPT {
            kept.push(record.to_vec());
            return;
        }
        let place = usize::try_from(self.random.below(self.seen[source])).unwrap_or(usize::MAX);
        if let Some(old) = kept.get_mut(place) {
            *old = record.to_vec();
        }
    }

    fn compare(&mut self, comparer: &Comparer) -> Vec<(Pattern, u64)> {
        let [first, second] = &self.kept;
        let other = if second.is_empty() { first } else { second };
        let mut counts: FxHashMap<Pattern, u64> = FxHashMap::default();
        let pairs = PAIRS.min(first.len() * other.len());
        for _ in 0..pairs {
            let a = usize::try_from(self.random.below(first.len() as u64)).unwrap_or(0);
            let b = usize::try_from(self.random.below(other.len() as u64)).unwrap_or(0);
            if second.is_empty() && a == b {
                continue;
            }
            *counts.entry(comparer.compare(&first[a], &other[b])).or_default() += 1;
        }
        let mut counts: Vec<(Pattern, u64)> = counts.into_iter().collect();
        counts.sort_unstable();
        counts
    }
}
