//! `explain`: two records, their score taken apart, and whether they were compared at all.
//!
//! Inputs: the archive (broadcast); `side` (1 or 2) and the text columns of the two records; `named`: one row, how many
//! candidates they are. Config: `{"a": "id", "b": "id", "tables": [0, 0], "columns": [[names], [names]]}`: the profile's
//! table and the columns of either side. Output: one row for the prior and each feature, `place`, `feature`, `value_a`,
//! `value_b`, `agreement`, `weight` in bits; on every row `probability`, `threshold`, `score`, `is_match`, `compared`,
//! `reason`.

use std::sync::Arc;

use tenon_sdk::arrow_array::types::Int64Type;
use tenon_sdk::prelude::*;

use super::{archive, broadcast, single, text_row, texts, too_early};
use crate::{Account, Archive, Side, account};

pub(super) struct Explain {
    settings: Settings,
    archive: Option<Archive>,
    sides: [Option<Vec<Option<String>>>; 2],
}

#[derive(serde::Deserialize)]
#[serde(crate = "tenon_sdk::serde")]
struct Settings {
    a: String,
    b: String,
    tables: [usize; 2],
    columns: [Vec<String>; 2],
}

fn output() -> SchemaRef {
    let field = |name: &str, data_type: DataType, null: bool| Field::new(name, data_type, null);
    Arc::new(Schema::new(vec![
        field("place", DataType::Int64, false),
        field("feature", DataType::Utf8, false),
        field("value_a", DataType::Utf8, true),
        field("value_b", DataType::Utf8, true),
        field("agreement", DataType::Utf8, false),
        field("weight", DataType::Float64, false),
        field("probability", DataType::Float64, false),
        field("threshold", DataType::Float64, false),
        field("score", DataType::Float64, false),
        field("is_match", DataType::Boolean, false),
        field("compared", DataType::Boolean, false),
        field("reason", DataType::Utf8, false),
    ]))
}

impl Stream for Explain {
    const NAME: &'static str = "explain";
    const DOCS: &'static str = "Tells why two records do or do not mean the same thing.";

    fn bind(_config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        let rows = Input {
            needs: (0..inputs[1].fields().len()).collect(),
            distribution: Distribution::Single,
            ordering: Vec::new(),
        };
        Ok(StreamBinding {
            inputs: vec![
                broadcast(&inputs[0], &["archive"])?,
                rows,
                single(&inputs[2], &["named"])?,
            ],
            output: output(),
            deterministic: true,
        })
    }

    fn open(config: &Config, _inputs: &[SchemaRef]) -> Result<Self> {
        Ok(Self {
            settings: config.parse()?,
            archive: None,
            sides: [None, None],
        })
    }

    fn push(&mut self, input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        match input {
            0 => self.archive = Some(archive(&batch)?),
            1 => self.keep(&batch)?,
            _ => {
                let named = batch.column(0).as_primitive::<Int64Type>();
                return Ok(vec![self.explain(named.iter().flatten().sum::<i64>() > 0)?]);
            }
        }
        Ok(Vec::new())
    }

    fn finish(&mut self, input: usize) -> Result<Vec<RecordBatch>> {
        if input == 1 {
            let settings = &self.settings;
            for (side, id) in self.sides.iter().zip([&settings.a, &settings.b]) {
                if side.is_none() {
                    return Err(Error::Unsupported(format!("no record has the id {id:?}")));
                }
            }
        }
        Ok(Vec::new())
    }
}

impl Explain {
    fn keep(&mut self, batch: &RecordBatch) -> Result<()> {
        let sides = batch.column(0).as_primitive::<Int64Type>();
        let columns = texts(batch, 1);
        for row in 0..batch.num_rows() {
            let at = usize::from(sides.value(row) == 2);
            let id = [&self.settings.a, &self.settings.b][at];
            let values = text_row(&columns, row);
            let values = values.into_iter().map(|value| value.map(str::to_owned));
            if self.sides[at].replace(values.collect()).is_some() {
                return Err(Error::Unsupported(format!(
                    "several records have the id {id:?}"
                )));
            }
        }
        Ok(())
    }

    fn explain(&self, named: bool) -> Result<RecordBatch> {
        let archive = self.archive.as_ref();
        let archive = archive.ok_or_else(|| too_early("the model"))?;
        let side = |at: usize| Side {
            table: self.settings.tables[at],
            columns: &self.settings.columns[at],
            values: self.sides[at].as_deref().unwrap_or_default(),
        };
        let account = account(archive, [side(0), side(1)], named)?;
        told(&account)
    }
}

fn told(account: &Account) -> Result<RecordBatch> {
    let lines = &account.lines;
    let text = |of: fn(&crate::Line) -> Option<&str>| -> ArrayRef {
        Arc::new(lines.iter().map(of).collect::<StringArray>())
    };
    let number =
        |value: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![value; lines.len()])) };
    let flag = |value: bool| -> ArrayRef { Arc::new(BooleanArray::from(vec![value; lines.len()])) };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values((0i64..).take(lines.len()))),
        text(|line| Some(&line.feature)),
        text(|line| line.values[0].as_deref()),
        text(|line| line.values[1].as_deref()),
        text(|line| Some(line.agreement)),
        Arc::new(Float64Array::from_iter_values(
            lines.iter().map(|line| line.weight),
        )),
        number(account.probability),
        number(account.threshold),
        number(account.score),
        flag(account.probability >= account.threshold),
        flag(account.compared),
        Arc::new(StringArray::from(vec![
            account.reason.as_str();
            lines.len()
        ])),
    ];
    Ok(RecordBatch::try_new(output(), columns)?)
}
