//! `encode`: records to compact blobs and blocking keys.
//!
//! Inputs: the profile (broadcast); `rid` and text columns of one table. Config: `{"table": 0}`. Output: `rid`,
//! `blob`, `keys`, one row for each record.

use std::sync::Arc;

use tenon_sdk::arrow_array::builder::{BinaryBuilder, ListBuilder, UInt64Builder};
use tenon_sdk::prelude::*;

use super::{blob, too_early};
use crate::{Encoder, Profile};

pub(super) struct Encode {
    table: usize,
    profile: Option<Profile>,
}

#[derive(serde::Deserialize)]
#[serde(crate = "tenon_sdk::serde")]
struct Settings {
    table: usize,
}

fn output() -> SchemaRef {
    let key = Field::new("item", DataType::UInt64, true);
    Arc::new(Schema::new(vec![
        Field::new("rid", DataType::UInt32, false),
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
            table: config.parse::<Settings>()?.table,
            profile: None,
        })
    }

    fn push(&mut self, input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        if input == 0 {
            self.profile = Some(Profile::from_bytes(&blob(&batch)?)?);
            return Ok(Vec::new());
        }
        let profile = self
            .profile
            .as_ref()
            .ok_or_else(|| too_early("the profile"))?;
        Ok(vec![encode(profile, self.table, &batch)?])
    }

    fn finish(&mut self, _input: usize) -> Result<Vec<RecordBatch>> {
        Ok(Vec::new())
    }
}

fn encode(profile: &Profile, table: usize, batch: &RecordBatch) -> Result<RecordBatch> {
    let columns: Vec<&StringArray> = batch.columns()[1..]
        .iter()
        .map(|c| c.as_string::<i32>())
        .collect();
    let mut encoder = Encoder::new(profile);
    let (mut blobs, mut keys) = (BinaryBuilder::new(), ListBuilder::new(UInt64Builder::new()));
    let (mut bytes, mut row_keys) = (Vec::new(), Vec::new());
    for row in 0..batch.num_rows() {
        let values: Vec<Option<&str>> = columns
            .iter()
            .map(|c| c.is_valid(row).then(|| c.value(row)))
            .collect();
        bytes.clear();
        row_keys.clear();
        encoder.encode(table, &values, &mut bytes, &mut row_keys);
        blobs.append_value(&bytes);
        keys.values().append_slice(&row_keys);
        keys.append(true);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::clone(batch.column(0)),
        Arc::new(blobs.finish()),
        Arc::new(keys.finish()),
    ];
    Ok(RecordBatch::try_new(output(), columns)?)
}
