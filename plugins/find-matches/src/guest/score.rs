//! `score`: patterns to probabilities.
//!
//! Inputs: the model (broadcast); `a`, `b`, `pattern`. Output: `a`, `b`, `probability`, `is_match`.

use std::sync::Arc;

use tenon_sdk::prelude::*;

use super::{blob, pattern, schema, too_early};
use crate::{Model, Scorer};

pub(super) struct Score(Option<(Scorer, f64)>);

fn output() -> SchemaRef {
    schema(&[
        ("a", DataType::UInt32),
        ("b", DataType::UInt32),
        ("probability", DataType::Float64),
        ("is_match", DataType::Boolean),
    ])
}

impl Stream for Score {
    const NAME: &'static str = "score";
    const DOCS: &'static str = "Tells how probable it is that two records mean the same thing.";

    fn bind(_config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        let inputs = vec![
            Input::columns(&inputs[0], &["model"], Distribution::Broadcast)?,
            Input::columns(&inputs[1], &["a", "b", "pattern"], Distribution::Any)?,
        ];
        Ok(StreamBinding {
            inputs,
            output: output(),
            deterministic: true,
        })
    }

    fn open(_config: &Config, _inputs: &[SchemaRef]) -> Result<Self> {
        Ok(Self(None))
    }

    fn push(&mut self, input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        if input == 0 {
            let model = Model::from_bytes(&blob(&batch)?)?;
            self.0 = Some((Scorer::new(&model), model.threshold));
            return Ok(Vec::new());
        }
        let (scorer, threshold) = self.0.as_ref().ok_or_else(|| too_early("the model"))?;
        let patterns = batch.column(2).as_binary::<i32>();
        let scores = patterns
            .iter()
            .flatten()
            .map(|bytes| Ok(scorer.probability(&pattern(bytes)?)));
        let scores = scores.collect::<Result<Vec<f64>>>()?;
        let matches: ArrayRef = Arc::new(BooleanArray::from_iter(
            scores.iter().map(|p| Some(p >= threshold)),
        ));
        let scores: ArrayRef = Arc::new(Float64Array::from(scores));
        let columns = vec![
            Arc::clone(batch.column(0)),
            Arc::clone(batch.column(1)),
            scores,
            matches,
        ];
        Ok(vec![RecordBatch::try_new(output(), columns)?])
    }

    fn finish(&mut self, _input: usize) -> Result<Vec<RecordBatch>> {
        Ok(Vec::new())
    }
}
