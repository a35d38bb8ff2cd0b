//! `open-model`: a kept model, checked against the table that it is to be used on.
//!
//! Input: `model`. Config: `{"tables": [["given_name", …], …]}`, the columns that there are. Output: `archive`, one row.

use tenon_sdk::prelude::*;

use super::{archive_schema, one_archive, single};
use crate::{Archive, Encoder};

pub(super) struct OpenModel {
    tables: Vec<Vec<String>>,
    found: Option<Archive>,
}

#[derive(serde::Deserialize)]
#[serde(crate = "tenon_sdk::serde")]
struct Settings {
    tables: Vec<Vec<String>>,
}

impl Stream for OpenModel {
    const NAME: &'static str = "open-model";
    const DOCS: &'static str =
        "Opens a model that was kept, and checks that it fits the table it is to be used on.";

    fn bind(_config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        Ok(StreamBinding {
            inputs: vec![single(&inputs[0], &["model"])?],
            output: archive_schema(),
            deterministic: true,
        })
    }

    fn open(config: &Config, _inputs: &[SchemaRef]) -> Result<Self> {
        Ok(Self {
            tables: config.parse::<Settings>()?.tables,
            found: None,
        })
    }

    fn push(&mut self, _input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        let column = batch.column(0).as_binary::<i32>();
        for row in 0..column.len() {
            if self.found.is_some() || column.is_null(row) {
                return Err(wrong_count());
            }
            self.found = Some(Archive::from_bytes(column.value(row))?);
        }
        Ok(Vec::new())
    }

    fn finish(&mut self, _input: usize) -> Result<Vec<RecordBatch>> {
        let archive = self.found.take().ok_or_else(wrong_count)?;
        archive.model()?;
        for (table, names) in self.tables.iter().enumerate() {
            let table = if archive.profile.link { table } else { 0 };
            Encoder::new(&archive.profile, table, names)?;
        }
        Ok(vec![one_archive(&archive)?])
    }
}

fn wrong_count() -> Error {
    Error::Unsupported("the model input holds one row with one model".to_owned())
}
