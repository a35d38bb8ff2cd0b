//! `learn`: counted patterns to a model.
//!
//! Inputs: the profile (broadcast); patterns of random pairs; patterns of candidates, both `pattern`, `n`. Output: one
//! row, the model as bytes.

use tenon_sdk::arrow_array::types::Int64Type;
use tenon_sdk::prelude::*;

use super::{blob, one_blob, pattern, schema, too_early};
use crate::{Comparer, Pattern, Profile, learn};

#[derive(Default)]
pub(super) struct Learn {
    profile: Option<Profile>,
    random: Vec<(Pattern, u64)>,
    candidates: Vec<(Pattern, u64)>,
}

impl Stream for Learn {
    const NAME: &'static str = "learn";
    const DOCS: &'static str =
        "Learns without labels what agreement means, from how often each pattern occurs.";

    fn bind(_config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        let counts =
            |input: &SchemaRef| Input::columns(input, &["pattern", "n"], Distribution::Single);
        let inputs = vec![
            Input::columns(&inputs[0], &["profile"], Distribution::Broadcast)?,
            counts(&inputs[1])?,
            counts(&inputs[2])?,
        ];
        Ok(StreamBinding {
            inputs,
            output: schema(&[("model", DataType::Binary)]),
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
        let (patterns, numbers) = (
            batch.column(0).as_binary::<i32>(),
            batch.column(1).as_primitive::<Int64Type>(),
        );
        let counts = if input == 1 {
            &mut self.random
        } else {
            &mut self.candidates
        };
        for row in 0..batch.num_rows() {
            counts.push((
                pattern(patterns.value(row))?,
                u64::try_from(numbers.value(row)).unwrap_or(0),
            ));
        }
        Ok(Vec::new())
    }

    fn finish(&mut self, input: usize) -> Result<Vec<RecordBatch>> {
        if input < 2 {
            return Ok(Vec::new());
        }
        let profile = self
            .profile
            .take()
            .ok_or_else(|| too_early("the profile"))?;
        // The host's grouping gives no order; learning adds up in one.
        self.candidates.sort_unstable();
        self.random.sort_unstable();
        let model = learn(
            &profile,
            Comparer::new(&profile).features(),
            &self.candidates,
            &self.random,
        );
        Ok(vec![one_blob("model", &model.to_bytes()?)?])
    }
}
