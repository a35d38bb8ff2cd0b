//! `cluster`: scored pairs to groups.
//!
//! Inputs: the archive (broadcast); labels (see `label_rows`) that the result must respect, if any; `rid`, `match_id` of an
//! earlier result, if any; `rid`, `source` of every record; `a`, `b`, `probability`, `repeats` of every candidate. Config:
//! `{"link": false, "labels": false, "previous": "none" | "names" | "stands"}`: an earlier result may give its ids only,
//! or be the groups to start from. Output, one row for each record: `rid`, `match_id`, `match_confidence` (null where
//! nothing of a standing group was scored); on the first record of a group of several also `weakest_a`, `weakest_b`,
//! `weakest`, the weakest link of the group.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use tenon_sdk::arrow_array::types::{Float64Type, Int64Type, UInt8Type, UInt32Type};
use tenon_sdk::prelude::*;

use super::{archive, broadcast, label_rows, single, too_early};
use crate::{
    Edge, Known, LabelRow, Labels, Membership, cluster, follow, stable_ids, standing, weakest_links,
};

pub(super) struct Cluster {
    settings: Settings,
    roles: Vec<Role>,
    threshold: Option<f64>,
    labels: Vec<LabelRow>,
    previous: FxHashMap<u32, i64>,
    sources: Vec<u8>,
    edges: Vec<Edge>,
    repeats: Vec<Edge>,
}

#[derive(serde::Deserialize)]
#[serde(crate = "tenon_sdk::serde")]
struct Settings {
    link: bool,
    labels: bool,
    previous: Previous,
}

#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(crate = "tenon_sdk::serde", rename_all = "lowercase")]
enum Previous {
    None,
    Names,
    Stands,
}

/// What an input is.
#[derive(Clone, Copy)]
enum Role {
    Archive,
    Labels,
    Previous,
    Records,
    Scored,
}

fn roles(settings: &Settings) -> Vec<Role> {
    let mut roles = vec![Role::Archive];
    roles.extend(settings.labels.then_some(Role::Labels));
    roles.extend((settings.previous != Previous::None).then_some(Role::Previous));
    roles.extend([Role::Records, Role::Scored]);
    roles
}

fn output() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("rid", DataType::UInt32, false),
        Field::new("match_id", DataType::Int64, false),
        Field::new("match_confidence", DataType::Float64, true),
        Field::new("weakest_a", DataType::UInt32, true),
        Field::new("weakest_b", DataType::UInt32, true),
        Field::new("weakest", DataType::Float64, true),
    ]))
}

impl Stream for Cluster {
    const NAME: &'static str = "cluster";
    const DOCS: &'static str = "Groups records; a weak bridge does not weld two groups.";

    fn bind(config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        let roles = roles(&config.parse()?);
        let bound = roles.iter().zip(inputs).map(|(role, input)| match role {
            Role::Archive => broadcast(input, &["archive"]),
            Role::Labels => label_rows::input(input),
            Role::Previous => single(input, &["rid", "match_id"]),
            Role::Records => single(input, &["rid", "source"]),
            Role::Scored => single(input, &["a", "b", "probability", "repeats"]),
        });
        Ok(StreamBinding {
            inputs: bound.collect::<Result<_>>()?,
            output: output(),
            deterministic: true,
        })
    }

    fn open(config: &Config, _inputs: &[SchemaRef]) -> Result<Self> {
        let settings: Settings = config.parse()?;
        Ok(Self {
            roles: roles(&settings),
            settings,
            threshold: None,
            labels: Vec::new(),
            previous: FxHashMap::default(),
            sources: Vec::new(),
            edges: Vec::new(),
            repeats: Vec::new(),
        })
    }

    fn push(&mut self, input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        match self.roles.get(input) {
            Some(Role::Archive) => self.threshold = Some(archive(&batch)?.model()?.threshold),
            Some(Role::Labels) => label_rows::read(&batch, &mut self.labels),
            Some(Role::Previous) => self.add_previous(&batch)?,
            Some(Role::Records) => self.add_records(&batch),
            Some(Role::Scored) => self.add_pairs(&batch),
            None => {}
        }
        Ok(Vec::new())
    }

    fn finish(&mut self, input: usize) -> Result<Vec<RecordBatch>> {
        match self.roles.get(input) {
            Some(Role::Scored) => Ok(vec![self.group()?]),
            _ => Ok(Vec::new()),
        }
    }
}

impl Cluster {
    fn add_previous(&mut self, batch: &RecordBatch) -> Result<()> {
        let rids = batch.column(0).as_primitive::<UInt32Type>();
        let ids = batch.column(1).as_primitive::<Int64Type>();
        for (rid, id) in rids.values().iter().zip(ids.iter()) {
            let Some(id) = id else { continue };
            if self
                .previous
                .insert(*rid, id)
                .is_some_and(|other| other != id)
            {
                return Err(Error::Unsupported(format!(
                    "the earlier result puts one record into groups {id} and another: ids must name one record"
                )));
            }
        }
        Ok(())
    }

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

    fn add_pairs(&mut self, batch: &RecordBatch) {
        let (a, b) = (
            batch.column(0).as_primitive::<UInt32Type>(),
            batch.column(1).as_primitive::<UInt32Type>(),
        );
        let probabilities = batch.column(2).as_primitive::<Float64Type>();
        let repeats = batch.column(3).as_boolean();
        for row in 0..batch.num_rows() {
            let edge = Edge {
                a: a.value(row),
                b: b.value(row),
                probability: probabilities.value(row),
            };
            let edges = if repeats.value(row) {
                &mut self.repeats
            } else {
                &mut self.edges
            };
            edges.push(edge);
        }
    }

    /// A record that labels are about does not follow the one that it repeats, whatever they say.
    fn free_labelled(&mut self, labels: &Labels) {
        let named: FxHashSet<u32> = labels
            .pairs
            .iter()
            .flat_map(|pair| [pair.a, pair.b])
            .collect();
        let (free, following) = std::mem::take(&mut self.repeats)
            .into_iter()
            .partition(|repeat| named.contains(&repeat.b));
        self.edges.extend::<Vec<Edge>>(free);
        self.edges.sort_unstable_by_key(|edge| (edge.a, edge.b));
        self.repeats = following;
    }

    fn group(&mut self) -> Result<RecordBatch> {
        let threshold = self.threshold.ok_or_else(|| too_early("the model"))?;
        // Partitions come in any order; ties are broken by it.
        self.edges.sort_unstable_by_key(|edge| (edge.a, edge.b));
        self.repeats.sort_unstable_by_key(|edge| (edge.a, edge.b));
        let records = self.sources.len();
        let labels = Labels::new(std::mem::take(&mut self.labels))?;
        self.free_labelled(&labels);
        let stands = self.settings.previous == Previous::Stands;
        let first = stands.then(|| standing(records, &self.previous));
        let known = Known {
            sources: self.settings.link.then_some(&self.sources),
            labels: &labels.pairs,
            standing: first.as_deref(),
        };
        let mut groups = cluster(records, &self.edges, known, threshold);
        follow(&mut groups, &self.repeats, threshold);
        let ids = stable_ids(&groups, &self.previous)?;
        let weakest = weakest_links(&groups, &self.edges);
        // What a label put together is sure; what stood before was not looked at again.
        for group in groups.iter_mut().filter(|_| !stands) {
            group.confidence = group.confidence.or(Some(1.0));
        }
        grouped(&groups, &ids, &weakest)
    }
}

fn grouped(groups: &[Membership], ids: &[i64], weakest: &[Edge]) -> Result<RecordBatch> {
    let mut links: Vec<Option<&Edge>> = vec![None; groups.len()];
    for edge in weakest {
        let first = groups.get(edge.a as usize).map(|group| group.cluster);
        if let Some(slot) = first.and_then(|first| links.get_mut(first as usize)) {
            *slot = Some(edge);
        }
    }
    let ends = |of: fn(&Edge) -> u32| -> ArrayRef {
        Arc::new(
            links
                .iter()
                .map(|link| link.map(of))
                .collect::<UInt32Array>(),
        )
    };
    let probabilities = links.iter().map(|link| link.map(|edge| edge.probability));
    let confidences = groups.iter().map(|group| group.confidence);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from_iter_values((0u32..).take(groups.len()))),
        Arc::new(Int64Array::from(ids.to_vec())),
        Arc::new(confidences.collect::<Float64Array>()),
        ends(|edge| edge.a),
        ends(|edge| edge.b),
        Arc::new(probabilities.collect::<Float64Array>()),
    ];
    Ok(RecordBatch::try_new(output(), columns)?)
}
