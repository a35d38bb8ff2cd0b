//! `compare`: candidate pairs to patterns of agreement.
//!
//! Inputs: the profile (broadcast); `a`, `b`, `blob_a`, `blob_b`. Output: `a`, `b`, `pattern`.

use std::sync::Arc;

use tenon_sdk::prelude::*;

use super::{blob, schema, too_early};
use crate::{Comparer, Profile};

pub(super) struct Compare(Option<Comparer>);

fn output() -> SchemaRef {
    schema(&[
        ("a", DataType::UInt32),
        ("b", DataType::UInt32),
        ("pattern", DataType::Binary),
    ])
}

impl Stream for Compare {
    const NAME: &'static str = "compare";
    const DOCS: &'static str = "Compares two records column by column and across columns.";

    fn bind(_config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        let inputs = vec![
            Input::columns(&inputs[0], &["profile"], Distribution::Broadcast)?,
            Input::columns(
                &inputs[1],
                &["a", "b", "blob_a", "blob_b"],
                Distribution::Any,
            )?,
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
            self.0 = Some(Comparer::new(&Profile::from_bytes(&blob(&batch)?)?));
            return Ok(Vec::new());
        }
        let comparer = self.0.as_ref().ok_or_else(|| too_early("the profile"))?;
        let (a, b) = (
            batch.column(2).as_binary::<i32>(),
            batch.column(3).as_binary::<i32>(),
        );
        let patterns =
            (0..batch.num_rows()).map(|row| comparer.compare(a.value(row), b.value(row)));
        let patterns: ArrayRef = Arc::new(BinaryArray::from_iter_values(patterns));
        let columns = vec![
            Arc::clone(batch.column(0)),
            Arc::clone(batch.column(1)),
            patterns,
        ];
        Ok(vec![RecordBatch::try_new(output(), columns)?])
    }

    fn finish(&mut self, _input: usize) -> Result<Vec<RecordBatch>> {
        Ok(Vec::new())
    }
}
