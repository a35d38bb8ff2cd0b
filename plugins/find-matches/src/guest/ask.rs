//! `ask`: what a person should judge next.
//!
//! Inputs: the archive (broadcast); labels (see `label_rows`), if any; `a`, `b`, `shared` of the candidates; `rid`, `blob`
//! of every record. Config: `{"labels": false, "sets": 10, "rows": 10, "questions": 20}`. Output: `kind` (`question` or
//! `set`), `number` and `place` from 1, `rid`, `probability` (of the question's two; of rows of sets 0).

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use tenon_sdk::arrow_array::types::UInt32Type;
use tenon_sdk::prelude::*;

use super::nominate::candidates;
use super::{archive, broadcast, label_rows, schema, single, too_early};
use crate::{Drawn, Judge, LabelRow, Labels, Question, label_sets, questions};

pub(super) struct Ask {
    settings: Settings,
    judge: Option<Judge>,
    labels: Vec<LabelRow>,
    drawn: Drawn,
    pairs: Vec<(u32, u32)>,
    /// Blobs of the records in the pairs.
    blobs: FxHashMap<u32, Vec<u8>>,
}

#[derive(serde::Deserialize)]
#[serde(crate = "tenon_sdk::serde")]
struct Settings {
    labels: bool,
    sets: usize,
    rows: usize,
    questions: usize,
}

fn output() -> SchemaRef {
    schema(&[
        ("kind", DataType::Utf8),
        ("number", DataType::Int64),
        ("place", DataType::Int64),
        ("rid", DataType::UInt32),
        ("probability", DataType::Float64),
    ])
}

impl Stream for Ask {
    const NAME: &'static str = "ask";
    const DOCS: &'static str =
        "Chooses the pairs and sets of records that a person should judge next.";

    fn bind(config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        let settings: Settings = config.parse()?;
        let bound = inputs.iter().enumerate();
        let bound = bound.map(|(at, input)| match label_rows::role(settings.labels, at) {
            0 => broadcast(input, &["archive"]),
            1 => label_rows::input(input),
            2 => single(input, &["a", "b", "shared"]),
            _ => single(input, &["rid", "blob"]),
        });
        Ok(StreamBinding {
            inputs: bound.collect::<Result<_>>()?,
            output: output(),
            deterministic: true,
        })
    }

    fn open(config: &Config, _inputs: &[SchemaRef]) -> Result<Self> {
        Ok(Self {
            settings: config.parse()?,
            judge: None,
            labels: Vec::new(),
            drawn: Drawn::default(),
            pairs: Vec::new(),
            blobs: FxHashMap::default(),
        })
    }

    fn push(&mut self, input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        match label_rows::role(self.settings.labels, input) {
            0 => self.judge = Some(Judge::new(&archive(&batch)?)?),
            1 => label_rows::read(&batch, &mut self.labels),
            2 => candidates(&batch)
                .filter(|candidate| candidate.shared > 0)
                .for_each(|candidate| self.drawn.observe(candidate.a, candidate.b)),
            _ => self.keep_blobs(&batch),
        }
        Ok(Vec::new())
    }

    fn finish(&mut self, input: usize) -> Result<Vec<RecordBatch>> {
        match label_rows::role(self.settings.labels, input) {
            2 => {
                self.pairs = std::mem::take(&mut self.drawn).pairs();
                let named = self.pairs.iter().flat_map(|(a, b)| [*a, *b]);
                self.blobs = named.map(|rid| (rid, Vec::new())).collect();
                Ok(Vec::new())
            }
            3 => Ok(vec![self.ask()?]),
            _ => Ok(Vec::new()),
        }
    }
}

impl Ask {
    fn keep_blobs(&mut self, batch: &RecordBatch) {
        let rids = batch.column(0).as_primitive::<UInt32Type>();
        let blobs = batch.column(1).as_binary::<i32>();
        for (row, rid) in rids.values().iter().enumerate() {
            if let Some(blob) = self.blobs.get_mut(rid) {
                blob.extend_from_slice(blobs.value(row));
            }
        }
    }

    fn ask(&mut self) -> Result<RecordBatch> {
        let labels = Labels::new(std::mem::take(&mut self.labels))?;
        let judged: FxHashSet<(u32, u32)> = labels.pairs.iter().map(|p| (p.a, p.b)).collect();
        let judge = self.judge.as_mut();
        let judge = judge.ok_or_else(|| too_early("the model"))?;
        let blobs = &self.blobs;
        let candidates: Vec<Question> = self
            .pairs
            .iter()
            .filter_map(|(a, b)| {
                let pattern = judge.pattern(blobs.get(a)?, blobs.get(b)?);
                Some(Question {
                    a: *a,
                    b: *b,
                    probability: judge.of_pattern(&pattern),
                    pattern,
                })
            })
            .collect();
        let linked: Vec<(u32, u32, f64)> = candidates
            .iter()
            .map(|question| (question.a, question.b, question.probability))
            .collect();
        let settings = &self.settings;
        let wanted = settings.questions.max(4 * settings.sets);
        let asked = questions(candidates, judge.threshold(), &judged, wanted);
        let sets = label_sets(&asked, &linked, settings.sets, settings.rows);
        let mut rows = Rows::default();
        for (number, question) in (1..).zip(asked.iter().take(settings.questions)) {
            rows.add("question", number, 1, question.a, question.probability);
            rows.add("question", number, 2, question.b, question.probability);
        }
        for (number, set) in (1..).zip(&sets) {
            for (place, rid) in (1..).zip(set) {
                rows.add("set", number, place, *rid, 0.0);
            }
        }
        rows.batch()
    }
}

#[derive(Default)]
struct Rows {
    kinds: Vec<&'static str>,
    numbers: Vec<i64>,
    places: Vec<i64>,
    rids: Vec<u32>,
    probabilities: Vec<f64>,
}

impl Rows {
    fn add(&mut self, kind: &'static str, number: i64, place: i64, rid: u32, probability: f64) {
        self.kinds.push(kind);
        self.numbers.push(number);
        self.places.push(place);
        self.rids.push(rid);
        self.probabilities.push(probability);
    }

    fn batch(self) -> Result<RecordBatch> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(self.kinds)),
            Arc::new(Int64Array::from(self.numbers)),
            Arc::new(Int64Array::from(self.places)),
            Arc::new(UInt32Array::from(self.rids)),
            Arc::new(Float64Array::from(self.probabilities)),
        ];
        Ok(RecordBatch::try_new(output(), columns)?)
    }
}
