//! The `stream` functions.

use std::collections::HashMap;
use std::sync::Arc;

use tenon_sdk::arrow_array::types::Int64Type;
use tenon_sdk::prelude::*;

/// The sum of `n` so far, for each `k`.
#[derive(Default)]
pub(crate) struct RunningSum {
    key: Option<String>,
    sum: i64,
}

fn running_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Utf8, true),
        Field::new("n", DataType::Int64, true),
        Field::new("sum", DataType::Int64, false),
    ]))
}

impl Stream for RunningSum {
    const NAME: &'static str = "running-sum";
    const DOCS: &'static str = "The sum of n so far, for each k.";

    fn bind(_config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        let [input] = inputs else {
            return Err(Error::Unsupported("it takes one input".to_owned()));
        };
        let (k, n) = (
            tenon_sdk::column(input, "k")?,
            tenon_sdk::column(input, "n")?,
        );
        let mut bound = Input::columns(input, &["k", "n"], Distribution::Hash(vec![k]))?;
        bound.ordering = vec![(k, false, false), (n, false, false)];
        Ok(StreamBinding {
            inputs: vec![bound],
            output: running_schema(),
            deterministic: true,
        })
    }

    fn open(_config: &Config, _inputs: &[SchemaRef]) -> Result<Self> {
        Ok(Self::default())
    }

    fn push(&mut self, _input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        let keys = batch.column(0).as_string::<i32>();
        let values = batch.column(1).as_primitive::<Int64Type>();
        let mut sums = Vec::with_capacity(batch.num_rows());
        for (key, value) in keys.iter().zip(values) {
            if self.key.as_deref() != key {
                self.key = key.map(str::to_owned);
                self.sum = 0;
            }
            self.sum += value.unwrap_or(0);
            sums.push(self.sum);
        }
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::new(Int64Array::from(sums)));
        Ok(vec![RecordBatch::try_new(running_schema(), columns)?])
    }

    fn finish(&mut self, _input: usize) -> Result<Vec<RecordBatch>> {
        Ok(vec![])
    }

    fn snapshot(&self) -> Result<Vec<u8>> {
        let mut state = self.sum.to_le_bytes().to_vec();
        state.push(u8::from(self.key.is_some()));
        state.extend(self.key.as_deref().unwrap_or_default().as_bytes());
        Ok(state)
    }

    fn restore(_config: &Config, _inputs: &[SchemaRef], snapshot: &[u8]) -> Result<Self> {
        let lost = || Error::Internal("the snapshot is none of this function's".to_owned());
        let (sum, rest) = snapshot.split_first_chunk::<8>().ok_or_else(lost)?;
        let (is_some, key) = rest.split_first().ok_or_else(lost)?;
        let key = String::from_utf8(key.to_vec()).map_err(|_| lost())?;
        Ok(Self {
            key: (*is_some == 1).then_some(key),
            sum: i64::from_le_bytes(*sum),
        })
    }
}

/// How many rows there are.
#[derive(Default)]
pub(crate) struct CountAll(i64);

fn count_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(
        "rows",
        DataType::Int64,
        false,
    )]))
}

impl Stream for CountAll {
    const NAME: &'static str = "count-all";
    const DOCS: &'static str = "How many rows there are.";

    fn bind(_config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        Ok(StreamBinding {
            inputs: vec![Input::columns(&inputs[0], &[], Distribution::Single)?],
            output: count_schema(),
            deterministic: true,
        })
    }

    fn open(_config: &Config, _inputs: &[SchemaRef]) -> Result<Self> {
        Ok(Self::default())
    }

    fn push(&mut self, _input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        self.0 += batch.num_rows() as i64;
        Ok(vec![])
    }

    fn finish(&mut self, _input: usize) -> Result<Vec<RecordBatch>> {
        let rows = Arc::new(Int64Array::from(vec![self.0]));
        Ok(vec![RecordBatch::try_new(count_schema(), vec![rows])?])
    }
}

/// The label of each row.
#[derive(Default)]
pub(crate) struct Labels(HashMap<i64, String>);

fn label_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("label", DataType::Utf8, true),
    ]))
}

impl Stream for Labels {
    const NAME: &'static str = "labels";
    const DOCS: &'static str = "Gives each row of the second input its label of the first.";

    fn bind(_config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        let [labels, rows] = inputs else {
            return Err(Error::Unsupported("it takes labels and rows".to_owned()));
        };
        Ok(StreamBinding {
            inputs: vec![
                Input::columns(labels, &["n", "label"], Distribution::Broadcast)?,
                Input::columns(rows, &["n"], Distribution::Any)?,
            ],
            output: label_schema(),
            deterministic: true,
        })
    }

    fn open(_config: &Config, _inputs: &[SchemaRef]) -> Result<Self> {
        Ok(Self::default())
    }

    fn push(&mut self, input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        let n = batch.column(0).as_primitive::<Int64Type>();
        if input == 0 {
            let labels = batch.column(1).as_string::<i32>();
            let pairs = n
                .iter()
                .zip(labels)
                .filter_map(|(n, label)| Some((n?, label?)));
            self.0.extend(pairs.map(|(n, label)| (n, label.to_owned())));
            return Ok(vec![]);
        }
        let labels: StringArray = n.iter().map(|n| n.and_then(|n| self.0.get(&n))).collect();
        let columns: Vec<ArrayRef> = vec![Arc::clone(batch.column(0)), Arc::new(labels)];
        Ok(vec![RecordBatch::try_new(label_schema(), columns)?])
    }

    fn finish(&mut self, _input: usize) -> Result<Vec<RecordBatch>> {
        Ok(vec![])
    }
}
