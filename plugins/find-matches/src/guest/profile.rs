//! `profile`: one instance sees every value of every column and tells what they are.
//!
//! Inputs: one or two tables of text columns. Config: `{"tables": [["given_name", …], …]}`, the names of
//! those columns. Output: one row, the profile as bytes.

use tenon_sdk::prelude::*;

use super::{one_blob, schema};
use crate::Profiler;

pub(super) struct ProfileColumns(Option<Profiler>, usize);

#[derive(serde::Deserialize)]
#[serde(crate = "tenon_sdk::serde")]
struct Settings {
    tables: Vec<Vec<String>>,
}

impl Stream for ProfileColumns {
    const NAME: &'static str = "profile";
    const DOCS: &'static str = "Tells what each column holds: names, dates, numbers, codes, text; and how rare its values are.";

    fn bind(_config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        let all = |input: &SchemaRef| Input {
            needs: (0..input.fields().len()).collect(),
            distribution: Distribution::Single,
            ordering: Vec::new(),
        };
        Ok(StreamBinding {
            inputs: inputs.iter().map(all).collect(),
            output: schema(&[("profile", DataType::Binary)]),
            deterministic: true,
        })
    }

    fn open(config: &Config, inputs: &[SchemaRef]) -> Result<Self> {
        let settings: Settings = config.parse()?;
        Ok(Self(Some(Profiler::new(&settings.tables)), inputs.len()))
    }

    fn push(&mut self, input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        let Some(profiler) = &mut self.0 else {
            return Ok(Vec::new());
        };
        for (position, column) in batch.columns().iter().enumerate() {
            profiler.observe(input, position, column.as_string::<i32>().iter());
        }
        Ok(Vec::new())
    }

    fn finish(&mut self, input: usize) -> Result<Vec<RecordBatch>> {
        match self.0.take_if(|_| input + 1 == self.1) {
            Some(profiler) => Ok(vec![one_blob("profile", &profiler.finish().to_bytes()?)?]),
            None => Ok(Vec::new()),
        }
    }
}
