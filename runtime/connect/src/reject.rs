//! Rows that cannot be read: [`BadRows`] says what happens to them, [`Quarantine`] keeps them.

use std::fmt::Display;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};

use crate::error::{Error, Result};
use crate::piece::RejectedRows;

/// What happens to a row that cannot be read: one with too few or too many fields, with broken quotes, of
/// another encoding, or with a value that is not of its column's type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BadRows {
    /// The first one ends the run, with its file, line and column.
    #[default]
    Fail,
    /// They are left out, and counted in the scan's metrics.
    Drop,
    /// They are left out, counted, and kept with the reason.
    Quarantine(Quarantine),
}

/// One row that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantinedRow {
    /// The file as it was named.
    pub file: String,
    /// The line on which the row begins, from 1.
    pub line: u64,
    /// The column, if it is the matter of one.
    pub column: Option<String>,
    /// What is wrong.
    pub reason: String,
    /// The row as it stands in the file; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// Keeps the rows that a scan left out. Cheap to clone: all clones keep the same rows. Every execution of a
/// scan adds its own.
#[derive(Clone, Debug)]
pub struct Quarantine {
    kept: Arc<Mutex<Kept>>,
    max_rows: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Kept {
    rows: Vec<QuarantinedRow>,
    bytes: usize,
}

impl Default for Quarantine {
    /// At most 10 000 rows and 64 MiB.
    fn default() -> Self {
        Self::new(10_000, 64 << 20)
    }
}

/// The same quarantine, not one with the same rows.
impl PartialEq for Quarantine {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.kept, &other.kept)
    }
}

impl Eq for Quarantine {}

impl Quarantine {
    /// An empty one. More than `max_rows` rows or `max_bytes` bytes of text end the run: something else
    /// is wrong then.
    pub fn new(max_rows: usize, max_bytes: usize) -> Self {
        Self {
            kept: Arc::default(),
            max_rows,
            max_bytes,
        }
    }

    /// The rows so far, by file and line.
    pub fn rows(&self) -> Vec<QuarantinedRow> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rows = kept.rows.clone();
        rows.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        rows
    }

    /// The rows so far as a batch with the columns `file`, `line`, `column`, `reason` and `text`, for a side table.
    ///
    /// # Errors
    /// [`Error::Query`] if they do not fit into one batch.
    pub fn batch(&self) -> Result<RecordBatch> {
        let rows = self.rows();
        let schema = Schema::new(vec![
            Field::new("file", DataType::Utf8, false),
            Field::new("line", DataType::UInt64, false),
            Field::new("column", DataType::Utf8, true),
            Field::new("reason", DataType::Utf8, false),
            Field::new("text", DataType::Utf8, false),
        ]);
        let text = |of: fn(&QuarantinedRow) -> &str| -> Arc<StringArray> {
            Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
        };
        let columns = rows.iter().map(|row| row.column.as_deref());
        let lines = rows.iter().map(|row| row.line);
        RecordBatch::try_new(
            Arc::new(schema),
            vec![
                text(|row| &row.file),
                Arc::new(UInt64Array::from_iter_values(lines)),
                Arc::new(columns.collect::<StringArray>()),
                text(|row| &row.reason),
                text(|row| &row.text),
            ],
        )
        .map_err(|e| Error::Query(e.into()))
    }

    fn keep(&self, row: QuarantinedRow) -> Result<()> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += row.text.len() + row.reason.len();
        if kept.rows.len() >= self.max_rows || kept.bytes > self.max_bytes {
            return Err(Error::Invalid(format!(
                "{}:{}: {}; more than {} rows or {} bytes are in quarantine already: is the format right?",
                row.file, row.line, row.reason, self.max_rows, self.max_bytes
            )));
        }
        kept.rows.push(row);
        Ok(())
    }
}

/// One bad row, as its reader met it.
pub(crate) struct BadRow<'a> {
    pub(crate) file: &'a str,
    pub(crate) line: u64,
    pub(crate) column: Option<&'a str>,
    pub(crate) reason: &'a dyn Display,
    pub(crate) raw: &'a [u8],
}

impl BadRows {
    pub(crate) fn is_fail(&self) -> bool {
        *self == BadRows::Fail
    }

    /// Leaves the row out and counts it, or fails.
    pub(crate) fn take(&self, row: &BadRow<'_>, counts: &RejectedRows) -> Result<()> {
        match self {
            BadRows::Fail => Err(Error::Invalid(row.message())),
            BadRows::Drop => {
                counts.dropped.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            BadRows::Quarantine(quarantine) => {
                counts.quarantined.fetch_add(1, Ordering::Relaxed);
                quarantine.keep(QuarantinedRow {
                    file: row.file.to_owned(),
                    line: row.line,
                    column: row.column.map(str::to_owned),
                    reason: row.reason.to_string(),
                    text: String::from_utf8_lossy(row.raw).into_owned(),
                })
            }
        }
    }
}

impl BadRow<'_> {
    fn message(&self) -> String {
        match self.column {
            Some(column) => format!(
                "{}:{}: column {column:?}: {}",
                self.file, self.line, self.reason
            ),
            None => format!("{}:{}: {}", self.file, self.line, self.reason),
        }
    }
}
