//! `cluster`: scored pairs to groups.
//!
//! Inputs: the model (broadcast); `rid`, `source` of every record; `a`, `b`, `probability` of every candidate; the same of
//! records that repeat another one, `a` being that other. Config: `{"link": true}` when two tables are linked. Output: `rid`, `match_id`, `match_confidence`, one row for each record.

use std::sync::Arc;

use tenon_sdk::arrow_array::types::{Float64Type, UInt8Type, UInt32Type};
use tenon_sdk::prelude::*;

use super::{blob, schema, too_early};
use crate::{Edge, Model, cluster, follow};

pub(super) struct Cluster {
    link: bool,
    threshold: Option<f64>,
    sources: Vec<u8>,
    edges: Vec<Edge>,
    repeats: Vec<Edge>,
}

#[derive(serde::Deserialize)]
#[serde(crate = "tenon_sdk::serde")]
struct Settings {
    link: bool,
}

fn output() -> SchemaRef {
    schema(&[
        ("rid", DataType::UInt32),
        ("match_id", DataType::UInt32),
        ("match_confidence", DataType::Float64),
    ])
}

impl Stream for Cluster {
    const NAME: &'static str = "cluster";
    const DOCS: &'static str = "Groups records; a weak bridge does not weld two groups.";

    fn bind(_config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        let inputs = vec![
            Input::columns(&inputs[0], &["model"], Distribution::Broadcast)?,
            Input::columns(&inputs[1], &["rid", "source"], Distribution::Single)?,
            Input::columns(&inputs[2], &["a", "b", "probability"], Distribution::Single)?,
            Input::columns(&inputs[3], &["a", "b", "probability"], Distribution::Single)?,
        ];
        Ok(StreamBinding {
            inputs,
            output: output(),
            deterministic: true,
        })
    }

    fn open(config: &Config, _inputs: &[SchemaRef]) -> Result<Self> {
        Ok(Self {
            link: config.parse::<Settings>()?.link,
            threshold: None,
            sources: Vec::new(),
            edges: Vec::new(),
            repeats: Vec::new(),
        })
    }

    fn push(&mut self, input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        match input {
            0 => self.threshold = Some(Model::from_bytes(&blob(&batch)?)?.threshold),
            1 => self.add_records(&batch),
            2 => add_edges(&mut self.edges, &batch),
            _ => add_edges(&mut self.repeats, &batch),
        }
        Ok(Vec::new())
    }

    fn finish(&mut self, input: usize) -> Result<Vec<RecordBatch>> {
        if input < 3 {
            return Ok(Vec::new());
        }
        let threshold = self.threshold.ok_or_else(|| too_early("the model"))?;
        // The host's joins give no order; ties are broken by it.
        self.edges.sort_unstable_by_key(|edge| (edge.a, edge.b));
        self.repeats.sort_unstable_by_key(|edge| (edge.a, edge.b));
        let mut groups = cluster(
            self.sources.len(),
            &self.edges,
            self.link.then_some(&self.sources),
            threshold,
        );
        follow(&mut groups, &self.repeats, threshold);
        let rids: ArrayRef = Arc::new(UInt32Array::from_iter_values((0u32..).take(groups.len())));
        let ids: ArrayRef = Arc::new(UInt32Array::from_iter_values(
            groups.iter().map(|g| g.cluster),
        ));
        let confidences: ArrayRef = Arc::new(Float64Array::from_iter_values(
            groups.iter().map(|g| g.confidence),
        ));
        Ok(vec![RecordBatch::try_new(
            output(),
            vec![rids, ids, confidences],
        )?])
    }
}

impl Cluster {
    fn add_records(&mut self, batch: &RecordBatch) {
        let (rids, sources) = (
            batch.column(0).as_primitive::<UInt32Type>(),
            batch.column(1).as_primitive::<UInt8Type>(),
        );
        for (rid, source) in rids.values().iter().zip(sources.values()) {
            let rid = *rid as usize;
            if self.sources.len() <= rid {
                self.sources.resize(rid + 1, 0);
            }
            self.sources[rid] = *source;
        }
    }
}

fn add_edges(edges: &mut Vec<Edge>, batch: &RecordBatch) {
    let (a, b) = (
        batch.column(0).as_primitive::<UInt32Type>(),
        batch.column(1).as_primitive::<UInt32Type>(),
    );
    let probabilities = batch.column(2).as_primitive::<Float64Type>();
    let scored = a
        .values()
        .iter()
        .zip(b.values())
        .zip(probabilities.values());
    edges.extend(scored.map(|((a, b), probability)| Edge {
        a: *a,
        b: *b,
        probability: *probability,
    }));
}
