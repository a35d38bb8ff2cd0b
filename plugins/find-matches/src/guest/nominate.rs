//! `nominate`: the keys of all records to the pairs worth comparing.
//!
//! Input: `rid`, `source`, `digest`, `keys` of every record. Config: `{"facing": "all" | "across" | "fresh", "accuracy":
//! 0.5}`: pairs of one table, pairs between source 0 and source 1, or pairs with a record of source 1. Output: `a`, `b`,
//! `shared`; 0 for a record `b` that repeats `a`.

use std::sync::Arc;

use tenon_sdk::arrow_array::types::{UInt8Type, UInt32Type, UInt64Type};
use tenon_sdk::prelude::*;

use super::{schema, single};
use crate::{Budget, Candidate, Facing, Nominator};

pub(super) struct Nominate {
    facing: FacingName,
    nominator: Option<Nominator>,
    /// The first record of source 1.
    second: u32,
}

#[derive(serde::Deserialize)]
#[serde(crate = "tenon_sdk::serde", rename_all = "lowercase")]
enum FacingName {
    All,
    Across,
    Fresh,
}

#[derive(serde::Deserialize)]
#[serde(crate = "tenon_sdk::serde")]
struct Settings {
    facing: FacingName,
    accuracy: f64,
}

fn output() -> SchemaRef {
    schema(&[
        ("a", DataType::UInt32),
        ("b", DataType::UInt32),
        ("shared", DataType::UInt8),
    ])
}

/// A batch of candidates, taken apart.
pub(super) fn candidates(batch: &RecordBatch) -> impl Iterator<Item = Candidate> + '_ {
    let (a, b) = (
        batch.column(0).as_primitive::<UInt32Type>().values(),
        batch.column(1).as_primitive::<UInt32Type>().values(),
    );
    let shared = batch.column(2).as_primitive::<UInt8Type>().values();
    let pairs = a.iter().zip(b).zip(shared);
    pairs.map(|((a, b), shared)| Candidate {
        a: *a,
        b: *b,
        shared: *shared,
    })
}

impl Stream for Nominate {
    const NAME: &'static str = "nominate";
    const DOCS: &'static str =
        "Names the pairs of records that are worth comparing: those that share telling keys.";

    fn bind(_config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        Ok(StreamBinding {
            inputs: vec![single(&inputs[0], &["rid", "source", "digest", "keys"])?],
            output: output(),
            deterministic: true,
        })
    }

    fn open(config: &Config, _inputs: &[SchemaRef]) -> Result<Self> {
        let settings: Settings = config.parse()?;
        Ok(Self {
            facing: settings.facing,
            nominator: Some(Nominator::new(Budget::of_accuracy(settings.accuracy))),
            second: u32::MAX,
        })
    }

    fn push(&mut self, _input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        let Some(nominator) = &mut self.nominator else {
            return Ok(Vec::new());
        };
        let rids = batch.column(0).as_primitive::<UInt32Type>();
        let sources = batch.column(1).as_primitive::<UInt8Type>();
        let digests = batch.column(2).as_primitive::<UInt64Type>();
        let lists = batch.column(3).as_list::<i32>();
        let keys = lists.values().as_primitive::<UInt64Type>().values();
        for row in 0..batch.num_rows() {
            let own = lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize;
            let rid = rids.value(row);
            nominator.observe(rid, digests.value(row), keys.get(own).unwrap_or_default())?;
            if sources.value(row) == 1 {
                self.second = self.second.min(rid);
            }
        }
        Ok(Vec::new())
    }

    fn finish(&mut self, _input: usize) -> Result<Vec<RecordBatch>> {
        let Some(nominator) = self.nominator.take() else {
            return Ok(Vec::new());
        };
        let facing = match self.facing {
            FacingName::All => Facing::All,
            FacingName::Across => Facing::Across(self.second),
            FacingName::Fresh => Facing::Fresh(self.second),
        };
        let candidates = nominator.finish(facing);
        let column = |of: fn(&Candidate) -> u32| -> ArrayRef {
            Arc::new(UInt32Array::from_iter_values(candidates.iter().map(of)))
        };
        let shared = candidates.iter().map(|candidate| candidate.shared);
        let columns = vec![
            column(|candidate| candidate.a),
            column(|candidate| candidate.b),
            Arc::new(UInt8Array::from_iter_values(shared)),
        ];
        Ok(vec![RecordBatch::try_new(output(), columns)?])
    }
}
