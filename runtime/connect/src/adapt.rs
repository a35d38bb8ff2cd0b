//! Self-describing files of one table: their schemas brought to our types ([`plain`]) and merged
//! ([`merge`]), their batches adapted to what a scan wants ([`Adapter`]).
//!
//! ```text
//! schema of a file ─plain─▶ no views, dictionaries, runs, unions ─merge─▶ schema of the table
//! batch of a file ─Adapter─▶ the table's columns: cast where the encoding differs, null where missing
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};

use crate::error::{Error, Result};
use crate::limits::ReadLimits;
use crate::piece::ScanRequest;

/// The columns that all files together have; a column that a file lacks becomes nullable.
///
/// # Errors
/// [`Error::Invalid`] naming both files if a column has two types, or one file if it names a column twice.
pub(crate) fn merge<'a>(files: impl IntoIterator<Item = (String, &'a Schema)>) -> Result<Schema> {
    let mut merged: Vec<(Field, String, usize)> = Vec::new();
    let mut positions: HashMap<String, usize> = HashMap::new();
    let mut count = 0;
    for (name, schema) in files {
        count += 1;
        for field in schema.fields() {
            let field = field.as_ref().clone().with_metadata(HashMap::new());
            let Some(position) = positions.get(field.name()) else {
                positions.insert(field.name().clone(), merged.len());
                merged.push((field, name.clone(), count));
                continue;
            };
            let (known, first, seen) = &mut merged[*position];
            if *seen == count && *first == name {
                return Err(Error::Invalid(format!(
                    "{name}: names the column {:?} twice; rename one",
                    field.name()
                )));
            }
            known.try_merge(&field).map_err(|_| {
                Error::Invalid(format!(
                    "{first} and {name} have different types for column {:?}: {} and {}; read them as two tables, or cast one",
                    field.name(),
                    known.data_type(),
                    field.data_type()
                ))
            })?;
            *seen += 1;
        }
    }
    Ok(Schema::new(
        merged
            .into_iter()
            .map(|(field, ..)| field)
            .collect::<Vec<_>>(),
    ))
}

/// The schema as our tables have it: values without the encoding that a file chose, all columns nullable.
///
/// # Errors
/// [`Error::Unsupported`] for a union, [`Error::Limit`] for too many or too deep columns.
pub(crate) fn plain(schema: &Schema, file: &str, limits: &ReadLimits) -> Result<Schema> {
    let mut walk = Walk {
        file,
        limits,
        columns: 0,
    };
    let fields = schema
        .fields()
        .iter()
        .map(|field| Ok(walk.field(field, 1)?.with_nullable(true)));
    Ok(Schema::new(fields.collect::<Result<Vec<_>>>()?))
}

struct Walk<'a> {
    file: &'a str,
    limits: &'a ReadLimits,
    columns: u64,
}

impl Walk<'_> {
    fn field(&mut self, field: &Field, depth: u64) -> Result<Field> {
        self.columns += 1;
        self.limits.check_columns(self.file, self.columns)?;
        self.limits.check_depth(self.file, depth)?;
        let data_type = self.data_type(field, field.data_type(), depth)?;
        Ok(Field::new(field.name(), data_type, field.is_nullable()))
    }

    fn child(&mut self, field: &FieldRef, depth: u64) -> Result<FieldRef> {
        self.field(field, depth + 1).map(Arc::new)
    }

    fn data_type(&mut self, field: &Field, data_type: &DataType, depth: u64) -> Result<DataType> {
        if !is_possible(data_type) {
            return Err(Error::Corrupt {
                file: self.file.to_owned(),
                message: format!("column {:?} is {data_type}, which cannot be", field.name()),
            });
        }
        Ok(match data_type {
            DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
            DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
            DataType::Dictionary(_, values) => self.data_type(field, values, depth)?,
            DataType::RunEndEncoded(_, values) => {
                self.data_type(field, values.data_type(), depth)?
            }
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item) => DataType::List(self.child(item, depth)?),
            DataType::FixedSizeList(item, length) => {
                DataType::FixedSizeList(self.child(item, depth)?, *length)
            }
            DataType::Map(entries, sorted) => DataType::Map(self.child(entries, depth)?, *sorted),
            DataType::Struct(fields) => {
                let fields = fields.iter().map(|field| self.child(field, depth));
                DataType::Struct(fields.collect::<Result<Fields>>()?)
            }
            DataType::Union(..) => {
                return Err(Error::Unsupported(format!(
                    "{}: column {:?} is a union of several types, for which tables have no column; \
                     write it as a record with one field for each",
                    self.file,
                    field.name()
                )));
            }
            other => other.clone(),
        })
    }
}

/// Whether a type is one at all: what damaged schemas say, operators take at its word.
fn is_possible(data_type: &DataType) -> bool {
    let is_decimal = |precision: u8, scale: i8, most: u8| {
        (1..=most).contains(&precision) && i16::from(scale).abs() <= i16::from(precision)
    };
    match data_type {
        DataType::Map(entries, _) => {
            matches!(entries.data_type(), DataType::Struct(fields) if fields.len() == 2)
        }
        DataType::FixedSizeBinary(length) | DataType::FixedSizeList(_, length) => *length >= 0,
        DataType::Decimal32(precision, scale) => is_decimal(*precision, *scale, 9),
        DataType::Decimal64(precision, scale) => is_decimal(*precision, *scale, 18),
        DataType::Decimal128(precision, scale) => is_decimal(*precision, *scale, 38),
        DataType::Decimal256(precision, scale) => is_decimal(*precision, *scale, 76),
        DataType::Time32(unit) => matches!(unit, TimeUnit::Second | TimeUnit::Millisecond),
        DataType::Time64(unit) => matches!(unit, TimeUnit::Microsecond | TimeUnit::Nanosecond),
        DataType::Dictionary(keys, _) => keys.is_integer(),
        _ => true,
    }
}

/// Turns the batches of one file into what a scan wants.
#[derive(Debug)]
pub(crate) struct Adapter {
    file: String,
    schema: SchemaRef,
}

impl Adapter {
    pub(crate) fn new(file: String, request: &ScanRequest) -> Self {
        Self {
            file,
            schema: Arc::clone(&request.schema),
        }
    }

    /// Which columns of the file must be decoded, in the file's order: at least one, which counts the rows.
    pub(crate) fn columns(&self, file: &Schema) -> Vec<usize> {
        let wanted = |(index, field): (usize, &FieldRef)| {
            self.schema
                .field_with_name(field.name())
                .is_ok()
                .then_some(index)
        };
        let mut columns: Vec<_> = file
            .fields()
            .iter()
            .enumerate()
            .filter_map(wanted)
            .collect();
        if columns.is_empty() && !file.fields().is_empty() {
            columns.push(0);
        }
        columns
    }

    /// The batch with the scan's schema.
    pub(crate) fn batch(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let mut arrays = Vec::with_capacity(self.schema.fields().len());
        for field in self.schema.fields() {
            arrays.push(match batch.schema_ref().index_of(field.name()) {
                Ok(index) => self.column(field, batch.column(index))?,
                Err(_) => new_null_array(field.data_type(), rows),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|e| self.invalid("", &e))
    }

    fn column(&self, field: &Field, array: &ArrayRef) -> Result<ArrayRef> {
        if array.data_type() == field.data_type() {
            return Ok(Arc::clone(array));
        }
        let options = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        cast_with_options(array, field.data_type(), &options)
            .map_err(|e| self.invalid(&format!("column {:?}: ", field.name()), &e))
    }

    fn invalid(&self, place: &str, error: &arrow::error::ArrowError) -> Error {
        Error::Invalid(format!("{}: {place}{error}", self.file))
    }
}

/// `batch` in pieces of at most `rows` rows, without a copy.
pub(crate) fn pieces(batch: &RecordBatch, rows: usize) -> impl Iterator<Item = RecordBatch> {
    let starts = (0..batch.num_rows()).step_by(rows.max(1));
    starts.map(move |start| batch.slice(start, rows.min(batch.num_rows() - start)))
}

/// The batch with its columns cast to `schema`, by position; an error where a value would be lost.
pub(crate) fn cast_columns(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let query = |e: arrow::error::ArrowError| Error::Query(e.into());
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let arrays = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(array, field)| {
            if array.data_type() == field.data_type() {
                return Ok(Arc::clone(array));
            }
            cast_with_options(array, field.data_type(), &options).map_err(query)
        });
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays.collect::<Result<_>>()?, &rows)
        .map_err(query)
}
