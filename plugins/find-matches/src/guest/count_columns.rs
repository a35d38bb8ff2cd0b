//! `count-columns`: what some columns hold, all of their rows seen by one instance.
//!
//! Inputs: text columns of one table or two. Config: `{"tables": [["given_name", …], …], "columns": [[0, 2, …], …]}`: all
//! columns, and which of each table come. Output: `part`, one row, for `profile`.

use std::sync::Arc;

use tenon_sdk::prelude::*;

use super::schema;
use crate::Profiler;

pub(super) struct CountColumns {
    settings: Settings,
    profiler: Profiler,
    inputs: usize,
}

#[derive(serde::Deserialize)]
#[serde(crate = "tenon_sdk::serde")]
struct Settings {
    tables: Vec<Vec<String>>,
    columns: Vec<Vec<usize>>,
}

fn output() -> SchemaRef {
    schema(&[("part", DataType::Binary)])
}

impl Stream for CountColumns {
    const NAME: &'static str = "count-columns";
    const DOCS: &'static str =
        "Counts the values of columns: how rare each is, and what they look like.";

    fn bind(_config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        let all = |input: &SchemaRef| Input {
            needs: (0..input.fields().len()).collect(),
            distribution: Distribution::Single,
            ordering: Vec::new(),
        };
        Ok(StreamBinding {
            inputs: inputs.iter().map(all).collect(),
            output: output(),
            deterministic: true,
        })
    }

    fn open(config: &Config, inputs: &[SchemaRef]) -> Result<Self> {
        let settings: Settings = config.parse()?;
        Ok(Self {
            profiler: Profiler::new(&settings.tables),
            settings,
            inputs: inputs.len(),
        })
    }

    fn push(&mut self, input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        let columns = self
            .settings
            .columns
            .get(input)
            .map_or(&[][..], Vec::as_slice);
        for (column, values) in columns.iter().zip(batch.columns()) {
            self.profiler
                .observe(input, *column, values.as_string::<i32>().iter());
        }
        Ok(Vec::new())
    }

    fn finish(&mut self, input: usize) -> Result<Vec<RecordBatch>> {
        if input + 1 < self.inputs {
            return Ok(Vec::new());
        }
        let part: ArrayRef = Arc::new(BinaryArray::from_vec(vec![&self.profiler.to_bytes()?]));
        Ok(vec![RecordBatch::try_new(output(), vec![part])?])
    }
}
