//! Cells to a table: [`infer`] the schema, [`ExcelReader`] the rows.
//!
//! | cells of a column | type |
//! |---|---|
//! | only integers; also fractions | int64; float64 |
//! | only dates; also times of day | date32; timestamp in microseconds |
//! | only booleans | boolean |
//! | anything else, or nothing | text, as the cell would be written in full |

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch,
    RecordBatchOptions, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::adapt::{Adapter, merge, pieces};
use crate::error::{Error, Result};
use crate::excel::ExcelOptions;
use crate::excel::sheet::{Cell, Sheet, written};
use crate::locate::SourceFile;
use crate::piece::{BatchIterator, FileReader, ScanRequest};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The schema that all `files` share; a column that has numbers here and text there is text.
pub(super) async fn infer(files: &[SourceFile], options: &ExcelOptions) -> Result<SchemaRef> {
    let mut schemas: Vec<(String, Schema)> = Vec::new();
    for file in files {
        let (file, options) = (file.clone(), options.clone());
        let name = file.name();
        // One after the other: each is in memory as a whole.
        let schema = tokio::task::spawn_blocking(move || {
            Ok::<_, Error>(Grid::read(&file, &options)?.schema(&options))
        })
        .await
        .map_err(Error::joined)??;
        schemas.push((name, schema));
    }
    widen(&mut schemas);
    merge(schemas.iter().map(|(name, schema)| (name.clone(), schema))).map(Arc::new)
}

/// Gives columns that differ between files the type that holds both.
fn widen(schemas: &mut [(String, Schema)]) {
    let fields: Vec<_> = schemas
        .iter()
        .flat_map(|(_, schema)| schema.fields().iter().cloned())
        .collect();
    for (_, schema) in schemas {
        let widened = schema.fields().iter().map(|field| {
            let types = fields
                .iter()
                .filter(|other| other.name() == field.name())
                .map(|other| other.data_type().clone());
            let data_type = types.reduce(|a, b| wider(&a, &b)).unwrap_or(DataType::Utf8);
            Field::new(field.name(), data_type, true)
        });
        *schema = Schema::new(widened.collect::<Vec<_>>());
    }
}

fn wider(a: &DataType, b: &DataType) -> DataType {
    use DataType::{Date32, Float64, Int64, Timestamp};
    match (a, b) {
        (a, b) if a == b => a.clone(),
        (Int64 | Float64, Int64 | Float64) => Float64,
        (Date32 | Timestamp(..), Date32 | Timestamp(..)) => Timestamp(TimeUnit::Microsecond, None),
        _ => DataType::Utf8,
    }
}

/// The data of a sheet below its names.
struct Grid {
    names: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Grid {
    fn read(file: &SourceFile, options: &ExcelOptions) -> Result<Self> {
        let mut rows = Sheet::read(file, options)?.rows.into_iter();
        let header = if options.with_header {
            rows.next()
        } else {
            None
        };
        let mut rows: Vec<_> = rows.map(|(_, cells)| cells).collect();
        let kept = (rows.len() as u64).saturating_sub(options.skip_footer);
        let kept = kept.min(options.number_rows.unwrap_or(u64::MAX));
        rows.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
        let width = rows.iter().map(Vec::len).max().unwrap_or_default();
        let names = match header {
            Some((number, cells)) => {
                named(&cells, width, &format!("{}: row {number}", file.name()))?
            }
            None if options.with_header => {
                return Err(Error::Invalid(format!(
                    "{}: the sheet is empty; a table needs at least a header",
                    file.name()
                )));
            }
            None => (0..width).map(|index| format!("col{index}")).collect(),
        };
        Ok(Self { names, rows })
    }

    fn schema(&self, options: &ExcelOptions) -> Schema {
        let fields = self.names.iter().enumerate().map(|(index, name)| {
            let data_type = if options.all_text {
                DataType::Utf8
            } else {
                column_type(self.column(index))
            };
            Field::new(name, data_type, true)
        });
        Schema::new(fields.collect::<Vec<_>>())
    }

    fn column(&self, index: usize) -> impl Iterator<Item = &Cell> {
        const EMPTY: &Cell = &Cell::Empty;
        self.rows
            .iter()
            .map(move |row| row.get(index).unwrap_or(EMPTY))
    }

    /// The wanted columns, each with the type that the table has for it.
    fn batch(&self, schema: &SchemaRef) -> Result<RecordBatch> {
        let mut fields = Vec::new();
        let mut arrays = Vec::new();
        for field in schema.fields() {
            if let Some(index) = self.names.iter().position(|name| name == field.name()) {
                let array = array(field.data_type(), self.column(index));
                let empty = self.column(index).filter(|cell| **cell == Cell::Empty);
                if array.null_count() != empty.count() {
                    return Err(Error::Invalid(format!(
                        "column {:?} has other values than when the workbook was first read",
                        field.name()
                    )));
                }
                fields.push(Arc::clone(field));
                arrays.push(array);
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows.len()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map_err(|e| Error::Query(e.into()))
    }
}

/// The names in a header of at least `width` columns.
fn named(cells: &[Cell], width: usize, place: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut seen = HashSet::new();
    for index in 0..cells.len().max(width) {
        let name = cells.get(index).and_then(written).unwrap_or_default();
        let name = name.trim().to_owned();
        if name.is_empty() {
            return Err(Error::Invalid(format!(
                "{place}: column {} has values but no name in the header; name it, or read without a header (col0, col1, ...)",
                index + 1
            )));
        }
        if !seen.insert(name.clone()) {
            return Err(Error::Invalid(format!(
                "{place}: the header names {name:?} twice; rename one, or read without a header (col0, col1, ...)"
            )));
        }
        names.push(name);
    }
    Ok(names)
}

fn column_type<'a>(cells: impl Iterator<Item = &'a Cell>) -> DataType {
    let types = cells.filter_map(|cell| {
        Some(match cell {
            Cell::Empty => return None,
            Cell::Boolean(_) => DataType::Boolean,
            Cell::Integer(_) => DataType::Int64,
            Cell::Float(_) => DataType::Float64,
            Cell::DateTime(micros) if micros % MICROS_PER_DAY == 0 => DataType::Date32,
            Cell::DateTime(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
            Cell::Text(_) => DataType::Utf8,
        })
    });
    types.reduce(|a, b| wider(&a, &b)).unwrap_or(DataType::Utf8)
}

/// The cells as an array of a type that holds them all.
fn array<'a>(data_type: &DataType, cells: impl Iterator<Item = &'a Cell>) -> ArrayRef {
    match data_type {
        DataType::Boolean => Arc::new(BooleanArray::from_iter(cells.map(|cell| match cell {
            Cell::Boolean(value) => Some(*value),
            _ => None,
        }))),
        DataType::Int64 => Arc::new(Int64Array::from_iter(cells.map(|cell| match cell {
            Cell::Integer(value) => Some(*value),
            _ => None,
        }))),
        DataType::Float64 => Arc::new(Float64Array::from_iter(cells.map(|cell| match cell {
            Cell::Integer(value) => Some(*value as f64),
            Cell::Float(value) => Some(*value),
            _ => None,
        }))),
        DataType::Date32 => Arc::new(Date32Array::from_iter(cells.map(|cell| match cell {
            Cell::DateTime(micros) => i32::try_from(micros.div_euclid(MICROS_PER_DAY)).ok(),
            _ => None,
        }))),
        DataType::Timestamp(..) => Arc::new(TimestampMicrosecondArray::from_iter(cells.map(
            |cell| match cell {
                Cell::DateTime(micros) => Some(*micros),
                _ => None,
            },
        ))),
        _ => Arc::new(StringArray::from_iter(cells.map(written))),
    }
}

/// Opens workbooks of one table.
#[derive(Debug)]
pub(super) struct ExcelReader {
    pub(super) options: ExcelOptions,
}

impl FileReader for ExcelReader {
    fn open(&self, file: &SourceFile, request: &ScanRequest) -> Result<BatchIterator> {
        let grid = Grid::read(file, &self.options)?;
        let batch = grid.batch(&request.schema)?;
        let adapter = Adapter::new(file.name(), request);
        let pieces: Vec<_> = pieces(&batch, request.batch_rows).collect();
        Ok(Box::new(
            pieces.into_iter().map(move |piece| adapter.batch(&piece)),
        ))
    }
}
