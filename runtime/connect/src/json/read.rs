//! JSON records to record batches ([`JsonReader`]), decoded by arrow-json.
//!
//! Records are decoded a batch at a time. Only when a batch fails are its records decoded one by one,
//! to name the line. A file that was too large to be inferred whole is inferred on while it is read:
//! a name or a type that the table does not have is an error, where arrow-json would leave it out.

use std::fs::File;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use arrow::json::reader::Decoder;

use crate::error::{Error, Result};
use crate::json::infer::{Inferred, Shape, in_record};
use crate::json::records::Records;
use crate::locate::SourceFile;
use crate::scan::{BatchIterator, FileReader, ScanRequest};

const MAX_BATCH_BYTES: usize = 8 << 20;

/// Opens JSON files of one table.
#[derive(Debug)]
pub(super) struct JsonReader {
    pub(super) inferred: Inferred,
}

impl FileReader for JsonReader {
    fn open(&self, file: &SourceFile, request: &ScanRequest) -> Result<BatchIterator> {
        let check = (!self.inferred.is_complete).then(|| self.inferred.shape.clone());
        // arrow-json needs a column to count rows by.
        let counts_only = request.projection.is_empty();
        let schema = if counts_only {
            Arc::clone(&self.inferred.schema)
        } else {
            Arc::clone(&request.schema)
        };
        Ok(Box::new(JsonBatches {
            records: Records::new(file.open()?, file.name()),
            table: Arc::clone(&self.inferred.schema),
            check,
            decoder: decoder(&schema, request.batch_rows)?,
            schema,
            counts_only,
            batch_rows: request.batch_rows,
            text: Vec::new(),
            rows: Vec::new(),
            done: false,
        }))
    }
}

fn decoder(schema: &SchemaRef, rows: usize) -> Result<Decoder> {
    ReaderBuilder::new(Arc::clone(schema))
        .with_batch_size(rows)
        .with_coerce_primitive(true)
        .build_decoder()
        .map_err(|e| Error::Query(e.into()))
}

struct JsonBatches {
    records: Records<File>,
    table: SchemaRef,
    /// What is known of the table, if more may come.
    check: Option<Shape>,
    decoder: Decoder,
    schema: SchemaRef,
    counts_only: bool,
    batch_rows: usize,
    /// The records of the batch, and where each begins: byte and line.
    text: Vec<u8>,
    rows: Vec<(usize, u64)>,
    done: bool,
}

impl Iterator for JsonBatches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let batch = self.read_batch().transpose();
        self.done = !matches!(batch, Some(Ok(_)));
        batch
    }
}

impl JsonBatches {
    fn read_batch(&mut self) -> Result<Option<RecordBatch>> {
        self.text.clear();
        self.rows.clear();
        while self.rows.len() < self.batch_rows && self.text.len() < MAX_BATCH_BYTES {
            let start = self.text.len();
            let Some(line) = self.records.read(&mut self.text)? else {
                break;
            };
            self.rows.push((start, line));
            self.check(start, line)?;
        }
        if self.rows.is_empty() {
            return Ok(None);
        }
        match decode(&mut self.decoder, &self.text) {
            Ok(batch) if batch.num_rows() == self.rows.len() => self.finish(batch).map(Some),
            Ok(batch) => Err(self.locate(&ArrowError::JsonError(format!(
                "{} objects were decoded as {} rows",
                self.rows.len(),
                batch.num_rows()
            )))),
            Err(e) => Err(self.locate(&e)),
        }
    }

    fn finish(&self, batch: RecordBatch) -> Result<RecordBatch> {
        if !self.counts_only {
            return Ok(batch);
        }
        batch.project(&[]).map_err(|e| Error::Query(e.into()))
    }

    fn check(&mut self, start: usize, line: u64) -> Result<()> {
        let Some(shape) = &mut self.check else {
            return Ok(());
        };
        let before = shape.changes;
        shape
            .observe(&self.text[start..])
            .map_err(|e| in_record(self.records.name(), line, &e))?;
        if shape.changes == before {
            return Ok(());
        }
        match difference(&self.table, &shape.schema()) {
            None => Ok(()),
            Some(difference) => Err(Error::Invalid(format!(
                "{}:{line}: {difference}, which the start of the table does not suggest; raise infer_bytes",
                self.records.name()
            ))),
        }
    }

    /// Finds the record that a batch failed on.
    fn locate(&self, error: &ArrowError) -> Error {
        let ends = self
            .rows
            .iter()
            .skip(1)
            .map(|row| row.0)
            .chain([self.text.len()]);
        for ((start, line), end) in self.rows.iter().zip(ends) {
            let found = decoder(&self.schema, 1).and_then(|mut decoder| {
                decode(&mut decoder, &self.text[*start..end]).map_err(|e| {
                    Error::Invalid(format!(
                        "{}:{line}: {}",
                        self.records.name(),
                        arrow_text(&e)
                    ))
                })
            });
            if let Err(found) = found {
                return found;
            }
        }
        let line = self.rows.first().map_or(1, |row| row.1);
        Error::Invalid(format!(
            "{}:{line}: in the records from this line on: {}",
            self.records.name(),
            arrow_text(error)
        ))
    }
}

fn decode(decoder: &mut Decoder, text: &[u8]) -> Result<RecordBatch, ArrowError> {
    let read = decoder.decode(text)?;
    if read != text.len() || decoder.has_partial_record() {
        return Err(ArrowError::JsonError("not one whole object".into()));
    }
    decoder
        .flush()?
        .ok_or_else(|| ArrowError::JsonError("no object".into()))
}

fn arrow_text(error: &ArrowError) -> String {
    let text = error.to_string();
    text.strip_prefix("Json error: ")
        .unwrap_or(&text)
        .to_owned()
}

/// The first column of `after` that `before` does not have like that.
fn difference(before: &Schema, after: &Schema) -> Option<String> {
    for field in after.fields() {
        match before.field_with_name(field.name()) {
            Err(_) => return Some(format!("the name {:?} is new", field.name())),
            Ok(known) if known.data_type() != field.data_type() => {
                return Some(format!(
                    "column {:?} would have to be {}, not {}",
                    field.name(),
                    field.data_type(),
                    known.data_type()
                ));
            }
            Ok(_) => {}
        }
    }
    None
}
