//! `score`: candidates to probabilities.
//!
//! Inputs: the archive (broadcast); `rid`, `blob` of every record (broadcast); `a`, `b`, `shared` of the candidates.
//! Output: `a`, `b`, `probability`, `is_match`, `repeats` (whether `b` repeats `a`).

use std::sync::Arc;

use tenon_sdk::prelude::*;

use super::nominate::candidates;
use super::records::Records;
use super::{archive, broadcast, schema, too_early};
use crate::Judge;

#[derive(Default)]
pub(super) struct Score {
    judge: Option<Judge>,
    records: Records,
}

fn output() -> SchemaRef {
    schema(&[
        ("a", DataType::UInt32),
        ("b", DataType::UInt32),
        ("probability", DataType::Float64),
        ("is_match", DataType::Boolean),
        ("repeats", DataType::Boolean),
    ])
}

impl Stream for Score {
    const NAME: &'static str = "score";
    const DOCS: &'static str = "Compares two records column by column and tells how probable it is that they mean the same thing.";

    fn bind(_config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        let pairs = Input::columns(&inputs[2], &["a", "b", "shared"], Distribution::Any)?;
        Ok(StreamBinding {
            inputs: vec![
                broadcast(&inputs[0], &["archive"])?,
                broadcast(&inputs[1], &["rid", "blob"])?,
                pairs,
            ],
            output: output(),
            deterministic: true,
        })
    }

    fn open(_config: &Config, _inputs: &[SchemaRef]) -> Result<Self> {
        Ok(Self::default())
    }

    fn push(&mut self, input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        match input {
            0 => self.judge = Some(Judge::new(&archive(&batch)?)?),
            1 => self.records.push(&batch, 0, 1),
            _ => return Ok(vec![self.score(&batch)?]),
        }
        Ok(Vec::new())
    }

    fn finish(&mut self, _input: usize) -> Result<Vec<RecordBatch>> {
        Ok(Vec::new())
    }
}

impl Score {
    fn score(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let judge = self.judge.as_mut();
        let judge = judge.ok_or_else(|| too_early("the model"))?;
        let records = &self.records;
        let scores: Vec<f64> = candidates(batch)
            .map(|pair| judge.probability(records.blob(pair.a), records.blob(pair.b)))
            .collect();
        let threshold = judge.threshold();
        let matches: BooleanArray = scores.iter().map(|p| Some(*p >= threshold)).collect();
        let repeats: BooleanArray = candidates(batch)
            .map(|pair| Some(pair.shared == 0))
            .collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::clone(batch.column(0)),
            Arc::clone(batch.column(1)),
            Arc::new(Float64Array::from(scores)),
            Arc::new(matches),
            Arc::new(repeats),
        ];
        Ok(RecordBatch::try_new(output(), columns)?)
    }
}
