//! `learn`: what agreement means, from candidates, random pairs and labels.
//!
//! Inputs: the archive (broadcast); labels (see `label_rows`), if there are any; `a`, `b`, `shared` of the candidates;
//! `rid`, `source`, `blob` of every record. Config: `{"labels": true, "precision_recall": 0.5 or null}`. Output: `archive` and
//! `quality`, one row: profile and model, and how good the result is likely to be (JSON, see `quality`). An archive that comes with a model keeps it; labels are learned on top.

use std::sync::Arc;

use tenon_sdk::arrow_array::types::{UInt8Type, UInt32Type};
use tenon_sdk::prelude::*;

use super::nominate::candidates;
use super::{archive, broadcast, label_rows, schema, single, too_early};
use crate::{Archive, LabelRow, Labels, Lessons, Wishes};

pub(super) struct Learn {
    settings: Settings,
    lessons: Option<Lessons>,
    labels: Vec<LabelRow>,
}

#[derive(serde::Deserialize)]
#[serde(crate = "tenon_sdk::serde")]
struct Settings {
    labels: bool,
    precision_recall: Option<f64>,
}

fn output() -> SchemaRef {
    schema(&[("archive", DataType::Binary), ("quality", DataType::Utf8)])
}

fn learned(archive: &Archive) -> Result<RecordBatch> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(BinaryArray::from_vec(vec![&archive.to_bytes()?])),
        Arc::new(StringArray::from(vec![archive.model()?.quality.as_str()])),
    ];
    Ok(RecordBatch::try_new(output(), columns)?)
}

impl Stream for Learn {
    const NAME: &'static str = "learn";
    const DOCS: &'static str = "Learns what agreement means: without labels, from how records agree; with labels, from them too.";

    fn bind(config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        let settings: Settings = config.parse()?;
        let inputs = inputs.iter().enumerate();
        let inputs = inputs.map(|(at, input)| match label_rows::role(settings.labels, at) {
            0 => broadcast(input, &["archive"]),
            1 => label_rows::input(input),
            2 => single(input, &["a", "b", "shared"]),
            _ => single(input, &["rid", "source", "blob"]),
        });
        Ok(StreamBinding {
            inputs: inputs.collect::<Result<_>>()?,
            output: output(),
            deterministic: true,
        })
    }

    fn open(config: &Config, _inputs: &[SchemaRef]) -> Result<Self> {
        Ok(Self {
            settings: config.parse()?,
            lessons: None,
            labels: Vec::new(),
        })
    }

    fn push(&mut self, input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        let role = label_rows::role(self.settings.labels, input);
        if role == 0 {
            let wishes = Wishes {
                precision_recall: self.settings.precision_recall,
            };
            self.lessons = Some(Lessons::new(archive(&batch)?, wishes));
            return Ok(Vec::new());
        }
        let lessons = self.lessons.as_mut();
        let lessons = lessons.ok_or_else(|| too_early("the profile"))?;
        match role {
            1 => label_rows::read(&batch, &mut self.labels),
            2 => candidates(&batch).for_each(|candidate| lessons.candidate(candidate)),
            _ => add_records(lessons, &batch),
        }
        Ok(Vec::new())
    }

    fn finish(&mut self, input: usize) -> Result<Vec<RecordBatch>> {
        let lessons = self.lessons.as_mut();
        let lessons = lessons.ok_or_else(|| too_early("the profile"))?;
        match label_rows::role(self.settings.labels, input) {
            0 => {}
            1 => lessons.teach(Labels::new(std::mem::take(&mut self.labels))?),
            2 => lessons.close(),
            _ => {
                let lessons = self.lessons.take();
                let lessons = lessons.ok_or_else(|| too_early("the profile"))?;
                return Ok(vec![learned(&lessons.finish()?)?]);
            }
        }
        Ok(Vec::new())
    }
}

fn add_records(lessons: &mut Lessons, batch: &RecordBatch) {
    let rids = batch.column(0).as_primitive::<UInt32Type>();
    let sources = batch.column(1).as_primitive::<UInt8Type>();
    let blobs = batch.column(2).as_binary::<i32>();
    for row in 0..batch.num_rows() {
        let table = usize::from(sources.value(row));
        lessons.record(table, rids.value(row), blobs.value(row));
    }
}
