//! The `source`s.

use std::sync::Arc;

use tenon_sdk::prelude::*;
use tenon_sdk::serde::Deserialize;

/// Rows of a batch.
const ROWS_PER_BATCH: i64 = 3;

#[derive(Deserialize)]
#[serde(crate = "tenon_sdk::serde", deny_unknown_fields)]
struct Settings {
    /// The first number that is not there.
    to: i64,
    /// In how many pieces they come.
    #[serde(default = "one")]
    pieces: i64,
    /// A number that cannot be read.
    bad: Option<i64>,
}

fn one() -> i64 {
    1
}

/// Numbers from 0, with their squares and names.
pub(crate) struct Numbers {
    output: SchemaRef,
    next: i64,
    end: i64,
    bad: Option<i64>,
}

impl Numbers {
    fn column(name: &str, numbers: &[i64]) -> Result<ArrayRef> {
        Ok(match name {
            "i" => Arc::new(Int64Array::from(numbers.to_vec())),
            "square" => Arc::new(Int64Array::from_iter_values(numbers.iter().map(|i| i * i))),
            "name" => Arc::new(StringArray::from_iter_values(
                numbers.iter().map(|i| format!("no {i}")),
            )),
            other => return Err(Error::Internal(format!("there is no column {other}"))),
        })
    }
}

impl Source for Numbers {
    const NAME: &'static str = "numbers";
    const DOCS: &'static str = "The numbers from 0 to `to` - 1, with squares and names.";

    fn bind(config: &Config) -> Result<SchemaRef> {
        let _: Settings = config.parse()?;
        Ok(Arc::new(Schema::new(vec![
            Field::new("i", DataType::Int64, false),
            Field::new("square", DataType::Int64, false),
            Field::new("name", DataType::Utf8, false),
        ])))
    }

    fn splits(config: &Config, _output: &SchemaRef, limit: Option<u64>) -> Result<Vec<Split>> {
        let settings: Settings = config.parse()?;
        let pieces = settings.pieces.max(0);
        let bound = |piece: i64| settings.to * piece / pieces;
        let splits = (0..pieces).map(|piece| Split {
            name: format!("piece {piece}"),
            payload: format!("{} {}", bound(piece), bound(piece + 1)).into_bytes(),
            rows: Some((bound(piece + 1) - bound(piece)) as u64),
        });
        let mut rows = 0;
        let wanted = splits.take_while(|split| {
            let enough = limit.is_some_and(|limit| rows >= limit);
            rows += split.rows.unwrap_or(0);
            !enough
        });
        Ok(wanted.collect())
    }

    fn open(config: &Config, output: &SchemaRef, payload: &[u8]) -> Result<Self> {
        let settings: Settings = config.parse()?;
        let text = String::from_utf8_lossy(payload);
        let bounds = text
            .split_once(' ')
            .and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
        let (next, end) =
            bounds.ok_or_else(|| Error::Internal(format!("{text:?} is no piece of numbers")))?;
        Ok(Self {
            output: Arc::clone(output),
            next,
            end,
            bad: settings.bad,
        })
    }

    fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.next == self.end {
            return Ok(None);
        }
        let end = self.end.min(self.next + ROWS_PER_BATCH);
        let numbers: Vec<i64> = (self.next..end).collect();
        if let Some(bad) = self.bad.filter(|bad| numbers.contains(bad)) {
            return Err(Error::user("bad-number", format!("{bad} cannot be read")));
        }
        self.next = end;
        let columns = self
            .output
            .fields()
            .iter()
            .map(|field| Self::column(field.name(), &numbers))
            .collect::<Result<Vec<_>>>()?;
        let options =
            tenon_sdk::arrow_array::RecordBatchOptions::new().with_row_count(Some(numbers.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.output), columns, &options)?;
        Ok(Some(batch))
    }
}
