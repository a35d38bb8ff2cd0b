//! `open-model`: a kept model, checked against the table that it is to be used on.
//!
//! Input: `model`. Config: `{"tables": [["given_name", …], …], "link": false}`, the columns that there are, and whether
//! two tables are linked. Output: `archive`, one row.

use tenon_sdk::prelude::*;

use super::{archive_schema, one_archive, single};
use crate::{Archive, Encoder};

pub(super) struct OpenModel {
    settings: Settings,
    found: Option<Archive>,
}

#[derive(serde::Deserialize)]
#[serde(crate = "tenon_sdk::serde")]
struct Settings {
    tables: Vec<Vec<String>>,
    link: bool,
}

impl Stream for OpenModel {
    const NAME: &'static str = "open-model";
    const DOCS: &'static str =
        "Opens a model that was kept, and checks that it fits the table it is to be used on.";

    fn bind(_config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        let column = inputs[0].field(tenon_sdk::column(&inputs[0], "model")?);
        if !matches!(column.data_type(), DataType::Binary) {
            return Err(Error::Unsupported(format!(
                "the column \"model\" holds {}, not a model: keep output 3 of find-matches in a Parquet file",
                column.data_type()
            )));
        }
        Ok(StreamBinding {
            inputs: vec![single(&inputs[0], &["model"])?],
            output: archive_schema(),
            deterministic: true,
        })
    }

    fn open(config: &Config, _inputs: &[SchemaRef]) -> Result<Self> {
        Ok(Self {
            settings: config.parse()?,
            found: None,
        })
    }

    fn push(&mut self, _input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        let column = batch.column(0).as_binary::<i32>();
        for row in 0..column.len() {
            if self.found.is_some() || column.is_null(row) {
                return Err(wrong_count());
            }
            let archive = Archive::from_bytes(column.value(row));
            self.found = Some(archive.map_err(|wrong| Error::Unsupported(wrong.to_string()))?);
        }
        Ok(Vec::new())
    }

    fn finish(&mut self, _input: usize) -> Result<Vec<RecordBatch>> {
        let archive = self.found.take().ok_or_else(wrong_count)?;
        let model = archive.model();
        model.map_err(|wrong| Error::Unsupported(wrong.to_string()))?;
        let link = self.settings.link;
        if archive.profile.link != link {
            let made = |link: bool| {
                if link {
                    "two linked tables"
                } else {
                    "one table"
                }
            };
            return Err(Error::Unsupported(format!(
                "the model was made for {}, not for {}",
                made(!link),
                made(link)
            )));
        }
        for (table, names) in self.settings.tables.iter().enumerate() {
            Encoder::new(&archive.profile, if link { table } else { 0 }, names)?;
        }
        Ok(vec![one_archive(&archive)?])
    }
}

fn wrong_count() -> Error {
    Error::Unsupported("the model input holds one row with one model".to_owned())
}
