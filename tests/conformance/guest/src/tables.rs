//! The `table-function`s.

use std::sync::Arc;

use tenon_sdk::arrow_array::types::Int64Type;
use tenon_sdk::prelude::*;

/// Batches of a table function.
type Rows = Box<dyn Iterator<Item = Result<RecordBatch>>>;

/// Numbers from 0.
pub(crate) struct Series;

fn series_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("i", DataType::Int64, false)]))
}

impl TableFunction for Series {
    const NAME: &'static str = "series";
    const DOCS: &'static str = "The numbers from 0 to n - 1.";

    fn bind(_config: &Config, arguments: &Schema) -> Result<SchemaRef> {
        match arguments.fields().as_ref() {
            [n] if *n.data_type() == DataType::Int64 => Ok(series_schema()),
            _ => Err(Error::Unsupported("it takes one int64".to_owned())),
        }
    }

    fn open(_config: &Config, _arguments: &SchemaRef) -> Result<Self> {
        Ok(Self)
    }

    fn expand(&mut self, arguments: &RecordBatch, row: usize) -> Result<Rows> {
        let n = arguments.column(0).as_primitive::<Int64Type>();
        let end = if n.is_null(row) {
            0
        } else {
            n.value(row).max(0)
        };
        Ok(Box::new((0..end).step_by(4096).map(move |start| {
            let numbers = Int64Array::from_iter_values(start..end.min(start + 4096));
            Ok(RecordBatch::try_new(
                series_schema(),
                vec![Arc::new(numbers)],
            )?)
        })))
    }
}

/// The words of a text.
pub(crate) struct Words;

fn words_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("word", DataType::Utf8, false),
        Field::new("position", DataType::Int64, false),
    ]))
}

impl TableFunction for Words {
    const NAME: &'static str = "words";
    const DOCS: &'static str = "The words of a text, with their positions.";

    fn bind(_config: &Config, arguments: &Schema) -> Result<SchemaRef> {
        match arguments.fields().as_ref() {
            [text] if *text.data_type() == DataType::Utf8 => Ok(words_schema()),
            _ => Err(Error::Unsupported("it takes one string".to_owned())),
        }
    }

    fn open(_config: &Config, _arguments: &SchemaRef) -> Result<Self> {
        Ok(Self)
    }

    fn expand(&mut self, arguments: &RecordBatch, row: usize) -> Result<Rows> {
        let texts = arguments.column(0).as_string::<i32>();
        if texts.is_null(row) {
            return Ok(Box::new(std::iter::empty()));
        }
        let words: Vec<&str> = texts.value(row).split_whitespace().collect();
        let positions = Int64Array::from_iter_values(0..words.len() as i64);
        let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(words)), Arc::new(positions)];
        let batch = RecordBatch::try_new(words_schema(), columns)?;
        Ok(Box::new(std::iter::once(Ok(batch))))
    }
}
