//! Rows of the input, repeated as often as a guest says, in pieces of bounded size.
//!
//! A guest names a row in four bytes; the row that the host carries for it may have megabytes. What it names sixteen
//! million times is therefore never built at once: a batch goes out, and only then the next one is gathered.

use std::ops::Range;

use datafusion::arrow::array::{ArrayRef, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::Result;
use tenon_host::full_bytes;

/// Rows of a piece, where one batch would be too large.
const PIECE_ROWS: usize = 8192;

/// Bytes that are gathered for a piece: more only when a single row has more.
const PIECE_BYTES: u64 = 16 << 20;

/// A column of the output.
#[derive(Debug)]
pub(super) enum Source {
    /// Of the input, to be gathered.
    Carried(ArrayRef),
    /// Made by the guest, one value for each row of the output.
    Made(ArrayRef),
}

/// Batches of an output that is gathered as it is read.
#[derive(Debug)]
pub(super) struct Pieces {
    schema: SchemaRef,
    columns: Vec<Source>,
    /// The row of the input for each row of the output.
    rows: UInt32Array,
    /// Rows of the output that are out.
    done: usize,
    /// Bytes of each row of the input, as far as they were asked for; absent when one piece will do.
    sizes: Option<Vec<Option<u64>>>,
}

impl Pieces {
    /// `rows` are rows of an input of `input_rows`.
    pub(super) fn new(
        schema: SchemaRef,
        columns: Vec<Source>,
        rows: UInt32Array,
        input_rows: usize,
    ) -> Self {
        let one = is_small(&columns, &rows, input_rows);
        Self {
            schema,
            columns,
            rows,
            done: 0,
            sizes: (!one).then(|| vec![None; input_rows]),
        }
    }

    /// The next piece; `None` after the last one. In the order of the rows, without gaps.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>> {
        let start = self.done;
        if start == self.rows.len() {
            return Ok(None);
        }
        self.done = self.end_of_piece(start);
        self.gather(start..self.done).map(Some)
    }

    /// Whether there is more than the piece that came first.
    pub(super) fn is_over(&self) -> bool {
        self.done == self.rows.len()
    }

    fn end_of_piece(&mut self, start: usize) -> usize {
        let Some(sizes) = &mut self.sizes else {
            return self.rows.len();
        };
        let last = self.rows.len().min(start + PIECE_ROWS);
        let mut bytes = 0;
        for at in start..last {
            let row = self.rows.value(at) as usize;
            bytes += *sizes[row].get_or_insert_with(|| carried_bytes(&self.columns, row..row + 1));
            if bytes > PIECE_BYTES {
                return at.max(start + 1);
            }
        }
        last
    }

    fn gather(&self, range: Range<usize>) -> Result<RecordBatch> {
        let rows = self.rows.slice(range.start, range.len());
        let columns = self.columns.iter().map(|column| match column {
            Source::Carried(array) => Ok(take(array, &rows, None)?),
            Source::Made(array) => Ok(array.slice(range.start, range.len())),
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(range.len()));
        let schema = self.schema.clone();
        Ok(RecordBatch::try_new_with_options(
            schema, columns, &options,
        )?)
    }
}

/// Whether the whole output can be gathered at once, for all that is known without a look at each row.
fn is_small(columns: &[Source], rows: &UInt32Array, input_rows: usize) -> bool {
    let whole = carried_bytes(columns, 0..input_rows);
    let mut times = vec![0_u32; input_rows];
    for row in rows.values() {
        times[*row as usize] += 1;
    }
    let most = times.into_iter().max().unwrap_or(0);
    whole.saturating_mul(u64::from(most)) <= PIECE_BYTES
}

fn carried_bytes(columns: &[Source], rows: Range<usize>) -> u64 {
    let bytes = columns.iter().map(|column| match column {
        Source::Carried(array) => full_bytes(array, rows.clone(), PIECE_BYTES),
        Source::Made(_) => 0,
    });
    bytes.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{AsArray, Int64Array, StringArray};
    use datafusion::arrow::compute::concat_batches;
    use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};

    use super::*;

    fn pieces(values: &[&str], rows: Vec<u32>) -> Pieces {
        let schema = Schema::new(vec![
            Field::new("s", DataType::Utf8, true),
            Field::new("n", DataType::Int64, true),
        ]);
        let made = Int64Array::from_iter_values(0..rows.len() as i64);
        let columns = vec![
            Source::Carried(Arc::new(StringArray::from(values.to_vec())) as ArrayRef),
            Source::Made(Arc::new(made) as ArrayRef),
        ];
        Pieces::new(Arc::new(schema), columns, rows.into(), values.len())
    }

    fn all(mut pieces: Pieces) -> Vec<RecordBatch> {
        std::iter::from_fn(|| pieces.next().unwrap()).collect()
    }

    #[test]
    fn what_is_small_stays_whole() {
        let batches = all(pieces(&["a", "b"], vec![1; 50_000]));
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].num_rows(), 50_000);
        assert!(all(pieces(&["a"], vec![])).is_empty());
    }

    #[test]
    fn long_rows_come_one_after_the_other_in_their_order() {
        let (long, longer) = ("x".repeat(9 << 20), "y".repeat(20 << 20));
        let values = [long.as_str(), "short", longer.as_str()];
        let batches = all(pieces(&values, vec![0, 1, 1, 0, 2, 2, 1]));
        let sizes: Vec<usize> = batches.iter().map(RecordBatch::num_rows).collect();
        assert_eq!(sizes, [3, 1, 1, 1, 1]);
        let whole = concat_batches(&batches[0].schema(), &batches).unwrap();
        let texts = whole.column(0).as_string::<i32>();
        let lengths: Vec<usize> = texts.iter().map(|text| text.unwrap().len()).collect();
        assert_eq!(lengths, [9 << 20, 5, 5, 9 << 20, 20 << 20, 20 << 20, 5]);
        let numbers = whole.column(1).as_primitive::<Int64Type>();
        assert_eq!(numbers.values().to_vec(), (0..7).collect::<Vec<_>>());
    }

    #[test]
    fn one_long_row_sixteen_million_times_is_never_built() {
        let long = "x".repeat(1 << 20);
        let mut pieces = pieces(&[long.as_str()], vec![0; 1 << 24]);
        for _ in 0..20 {
            let piece = pieces.next().unwrap().unwrap();
            assert_eq!(piece.num_rows(), 15);
        }
        assert!(!pieces.is_over());
    }
}
