//! CSV records to record batches ([`CsvReader`]).
//!
//! Only the projected columns are parsed; every record's field count is checked all the same.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, RecordBatch,
    RecordBatchOptions, StringBuilder, TimestampMicrosecondBuilder, TimestampNanosecondBuilder,
};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};

use crate::csv::CsvOptions;
use crate::csv::infer::{fields, read_names};
use crate::csv::records::{Record, Records};
use crate::csv::types::{self, Kind, UTC};
use crate::error::{Error, Result};
use crate::locate::SourceFile;
use crate::scan::{BatchIterator, FileReader, ScanRequest};

/// Keeps a batch of wide records small, and its text offsets far from overflow.
const MAX_BATCH_BYTES: u64 = 16 << 20;

/// Opens CSV files of one table.
#[derive(Debug)]
pub(super) struct CsvReader {
    pub(super) options: CsvOptions,
    pub(super) schema: SchemaRef,
}

impl FileReader for CsvReader {
    fn open(&self, file: &SourceFile, request: &ScanRequest) -> Result<BatchIterator> {
        let mut records = Records::new(file.open()?, file.name(), &self.options);
        let mut record = Record::default();
        let names = read_names(&mut records, &mut record, &self.options)?.unwrap_or_default();
        let has_pending = !self.options.with_header && !names.is_empty();
        let columns = if names.is_empty() {
            Vec::new()
        } else {
            self.columns(&names, file, request)?
        };
        Ok(Box::new(CsvBatches {
            records,
            record,
            names,
            columns,
            schema: Arc::clone(&request.schema),
            batch_rows: request.batch_rows,
            has_pending,
            done: false,
        }))
    }
}

impl CsvReader {
    /// Where each projected column stands in this file.
    fn columns(
        &self,
        names: &[String],
        file: &SourceFile,
        request: &ScanRequest,
    ) -> Result<Vec<Column>> {
        let mut columns = Vec::with_capacity(request.projection.len());
        for index in &request.projection {
            let field = self.schema.field(*index);
            let position = names
                .iter()
                .position(|name| name == field.name())
                .ok_or_else(|| {
                    Error::Invalid(format!(
                        "{}: column {:?} has gone since the file was first read",
                        file.name(),
                        field.name()
                    ))
                })?;
            columns.push(Column {
                position,
                builder: Builder::new(field.data_type(), request.batch_rows)?,
            });
        }
        Ok(columns)
    }
}

struct CsvBatches {
    records: Records<File>,
    record: Record,
    names: Vec<String>,
    columns: Vec<Column>,
    schema: SchemaRef,
    batch_rows: usize,
    /// `record` holds a row that has not been appended: the first of a file without header.
    has_pending: bool,
    done: bool,
}

struct Column {
    position: usize,
    builder: Builder,
}

impl Iterator for CsvBatches {
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

impl CsvBatches {
    fn read_batch(&mut self) -> Result<Option<RecordBatch>> {
        let start = self.records.consumed();
        let mut rows = 0;
        while rows < self.batch_rows && self.records.consumed() - start < MAX_BATCH_BYTES {
            if !std::mem::take(&mut self.has_pending) && !self.records.read(&mut self.record)? {
                break;
            }
            self.append()?;
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        let arrays = self
            .columns
            .iter_mut()
            .map(|column| column.builder.finish())
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map(Some)
            .map_err(|e| Error::Query(e.into()))
    }

    fn append(&mut self) -> Result<()> {
        let fields = fields(&self.records, &self.record, &self.names)?;
        for column in &mut self.columns {
            let value = fields.get(column.position);
            if !column.builder.append(value) {
                let expected = column.builder.type_name();
                return Err(Error::Invalid(format!(
                    "{}:{}: column {:?}: {:?} is not {expected}, the type that the start of the table suggests; \
                     raise infer_bytes, or read with all_text",
                    self.records.name(),
                    self.record.line,
                    self.names[column.position],
                    abbreviated(value),
                )));
            }
        }
        Ok(())
    }
}

/// Enough of a value to find it.
fn abbreviated(value: &str) -> String {
    match value.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value.to_owned(),
    }
}

enum Builder {
    Boolean(BooleanBuilder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Date(Date32Builder),
    Micros(TimestampMicrosecondBuilder, bool),
    Nanos(TimestampNanosecondBuilder, bool),
    Text(StringBuilder),
}

impl Builder {
    fn new(data_type: &DataType, rows: usize) -> Result<Self> {
        let kind = Kind::of(data_type).ok_or_else(|| {
            Error::Unsupported(format!(
                "csv cannot be read as {data_type}; read it as text and cast"
            ))
        })?;
        let micros = || TimestampMicrosecondBuilder::with_capacity(rows);
        let nanos = || TimestampNanosecondBuilder::with_capacity(rows);
        Ok(match kind {
            Kind::Boolean => Builder::Boolean(BooleanBuilder::with_capacity(rows)),
            Kind::Int64 => Builder::Int64(Int64Builder::with_capacity(rows)),
            Kind::Float64 => Builder::Float64(Float64Builder::with_capacity(rows)),
            Kind::Date => Builder::Date(Date32Builder::with_capacity(rows)),
            Kind::Timestamp(TimeUnit::Nanosecond) => Builder::Nanos(nanos(), false),
            Kind::Timestamp(_) => Builder::Micros(micros(), false),
            Kind::TimestampUtc(TimeUnit::Nanosecond) => {
                Builder::Nanos(nanos().with_timezone(UTC), true)
            }
            Kind::TimestampUtc(_) => Builder::Micros(micros().with_timezone(UTC), true),
            Kind::Text => Builder::Text(StringBuilder::with_capacity(rows, rows * 16)),
        })
    }

    /// Appends a value, null if empty; false if it is not of this type.
    fn append(&mut self, value: &str) -> bool {
        macro_rules! append {
            ($builder:expr, $parsed:expr) => {{
                let parsed = if value.is_empty() { None } else { $parsed };
                $builder.append_option(parsed);
                parsed.is_some() || value.is_empty()
            }};
        }
        match self {
            Builder::Boolean(b) => append!(b, types::boolean(value)),
            Builder::Int64(b) => append!(b, types::int64(value)),
            Builder::Float64(b) => append!(b, types::float64(value)),
            Builder::Date(b) => append!(b, types::date(value)),
            Builder::Micros(b, false) => append!(b, types::timestamp(value, TimeUnit::Microsecond)),
            Builder::Micros(b, true) => {
                append!(b, types::timestamp_utc(value, TimeUnit::Microsecond))
            }
            Builder::Nanos(b, false) => append!(b, types::timestamp(value, TimeUnit::Nanosecond)),
            Builder::Nanos(b, true) => {
                append!(b, types::timestamp_utc(value, TimeUnit::Nanosecond))
            }
            Builder::Text(b) => append!(b, Some(value)),
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Builder::Boolean(_) => "a boolean",
            Builder::Int64(_) => "an int64",
            Builder::Float64(_) => "a float64",
            Builder::Date(_) => "a date",
            Builder::Micros(_, false) | Builder::Nanos(_, false) => "a timestamp",
            Builder::Micros(_, true) | Builder::Nanos(_, true) => "a timestamp with an offset",
            Builder::Text(_) => "text",
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Boolean(b) => Arc::new(b.finish()),
            Builder::Int64(b) => Arc::new(b.finish()),
            Builder::Float64(b) => Arc::new(b.finish()),
            Builder::Date(b) => Arc::new(b.finish()),
            Builder::Micros(b, _) => Arc::new(b.finish()),
            Builder::Nanos(b, _) => Arc::new(b.finish()),
            Builder::Text(b) => Arc::new(b.finish()),
        }
    }
}
