//! `encode`: records to compact blobs and blocking keys.
//!
//! Inputs: the archive (broadcast); `rid` and text columns of one table. Config: `{"table": 0, "source": 0, "columns":
//! [names]}`: which of the profile's tables it is, what its rows say of where they come from. Output: `rid`, `source`,
//! `digest` (equal for records that are equal in all that is compared), `blob`, `keys`; one row for each record.

use std::sync::Arc;

use tenon_sdk::arrow_array::builder::{BinaryBuilder, ListBuilder, UInt64Builder};
use tenon_sdk::prelude::*;

use super::{archive, text_row, texts, too_early};
use crate::{Archive, Encoder};

pub(super) struct Encode {
    settings: Settings,
    archive: Option<Archive>,
}

#[derive(serde::Deserialize)]
#[serde(crate = "tenon_sdk::serde")]
struct Settings {
    table: usize,
    source: u8,
    columns: Vec<String>,
}

fn output() -> SchemaRef {
    let key = Field::new("item", DataType::UInt64, true);
    Arc::new(Schema::new(vec![
        Field::new("rid", DataType::UInt32, false),
        Field::new("source", DataType::UInt8, false),
        Field::new("digest", DataType::UInt64, false),
        Field::new("blob", DataType::Binary, false),
        Field::new("keys", DataType::List(Arc::new(key)), false),
    ]))
}

impl Stream for Encode {
    const NAME: &'static str = "encode";
    const DOCS: &'static str =
        "Normalises records and makes the keys that records of one thing are likely to share.";

    fn bind(_config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        let all = |input: &SchemaRef, distribution| Input {
            needs: (0..input.fields().len()).collect(),
            distribution,
            ordering: Vec::new(),
        };
        let inputs = vec![
            all(&inputs[0], Distribution::Broadcast),
            all(&inputs[1], Distribution::Any),
        ];
        Ok(StreamBinding {
            inputs,
            output: output(),
            deterministic: true,
        })
    }

    fn open(config: &Config, _inputs: &[SchemaRef]) -> Result<Self> {
        Ok(Self {
            settings: config.parse::<Settings>()?,
            archive: None,
        })
    }

    fn push(&mut self, input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        if input == 0 {
            self.archive = Some(archive(&batch)?);
            return Ok(Vec::new());
        }
        let archive = self.archive.as_ref();
        let archive = archive.ok_or_else(|| too_early("the profile"))?;
        Ok(vec![encode(archive, &self.settings, &batch)?])
    }

    fn finish(&mut self, _input: usize) -> Result<Vec<RecordBatch>> {
        Ok(Vec::new())
    }
}

fn encode(archive: &Archive, settings: &Settings, batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = texts(batch, 1);
    let mut encoder = Encoder::new(&archive.profile, settings.table, &settings.columns)?;
    let (mut blobs, mut keys) = (BinaryBuilder::new(), ListBuilder::new(UInt64Builder::new()));
    let (mut bytes, mut row_keys) = (Vec::new(), Vec::new());
    let mut digests = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        bytes.clear();
        row_keys.clear();
        digests.push(encoder.encode(&text_row(&columns, row), &mut bytes, &mut row_keys));
        blobs.append_value(&bytes);
        keys.values().append_slice(&row_keys);
        keys.append(true);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::clone(batch.column(0)),
        Arc::new(UInt8Array::from(vec![settings.source; batch.num_rows()])),
        Arc::new(UInt64Array::from(digests)),
        Arc::new(blobs.finish()),
        Arc::new(keys.finish()),
    ];
    Ok(RecordBatch::try_new(output(), columns)?)
}
