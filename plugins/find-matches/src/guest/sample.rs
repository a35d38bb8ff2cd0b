//! `sample`: how records compare that have nothing to do with each other.
//!
//! Inputs: the profile (broadcast); `source` and `blob` of all records, in order of `rid`. Output: `pattern`, `n`.

use tenon_sdk::arrow_array::types::UInt8Type;
use tenon_sdk::prelude::*;

use super::{blob, counts_batch, counts_schema, too_early};
use crate::{Comparer, Profile, Sampler};

#[derive(Default)]
pub(super) struct Sample {
    profile: Option<Profile>,
    sampler: Sampler,
}

impl Stream for Sample {
    const NAME: &'static str = "sample";
    const DOCS: &'static str =
        "Compares random pairs of records, to learn what agreement by chance looks like.";

    fn bind(_config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        let mut records = Input::columns(&inputs[1], &["source", "blob"], Distribution::Single)?;
        records.ordering = vec![(tenon_sdk::column(&inputs[1], "rid")?, false, false)];
        let inputs = vec![
            Input::columns(&inputs[0], &["profile"], Distribution::Broadcast)?,
            records,
        ];
        Ok(StreamBinding {
            inputs,
            output: counts_schema(),
            deterministic: true,
        })
    }

    fn open(_config: &Config, _inputs: &[SchemaRef]) -> Result<Self> {
        Ok(Self::default())
    }

    fn push(&mut self, input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        if input == 0 {
            self.profile = Some(Profile::from_bytes(&blob(&batch)?)?);
            return Ok(Vec::new());
        }
        let (sources, blobs) = (
            batch.column(0).as_primitive::<UInt8Type>(),
            batch.column(1).as_binary::<i32>(),
        );
        for row in 0..batch.num_rows() {
            self.sampler
                .observe(usize::from(sources.value(row)), blobs.value(row));
        }
        Ok(Vec::new())
    }

    fn finish(&mut self, input: usize) -> Result<Vec<RecordBatch>> {
        if input == 0 {
            return Ok(Vec::new());
        }
        let profile = self
            .profile
            .take()
            .ok_or_else(|| too_early("the profile"))?;
        let counts = std::mem::take(&mut self.sampler).finish(&Comparer::new(&profile));
        Ok(vec![counts_batch(&counts)?])
    }
}
