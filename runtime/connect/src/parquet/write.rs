//! Record batches to Parquet ([`writer`]), with statistics for every column and page.

use arrow::array::RecordBatch;
use arrow::compute::{
    SortColumn as ArrowSortColumn, SortOptions, concat_batches, lexsort_to_indices,
    take_record_batch,
};
use arrow::datatypes::{DataType, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::error::{Error, Result};
use crate::format::BatchWriter;
use crate::input::Output;
use crate::parquet::{ParquetCompression, ParquetOptions, SortColumn};

pub(super) fn writer(
    options: &ParquetOptions,
    file: Output,
    schema: &SchemaRef,
) -> Result<Box<dyn BatchWriter>> {
    let mut properties = WriterProperties::builder()
        .set_compression(compression(options)?)
        .set_dictionary_enabled(options.dictionary)
        .set_max_row_group_row_count(Some(options.row_group_rows.max(1)))
        .set_max_row_group_bytes(Some(options.row_group_bytes.max(1)))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_created_by(concat!("tenon ", env!("CARGO_PKG_VERSION")).to_owned());
    for column in &options.dictionary_exceptions {
        let path = column_path(schema, column)?;
        properties = properties.set_column_dictionary_enabled(path, !options.dictionary);
    }
    for column in &options.bloom_filter_columns {
        let path = column_path(schema, column)?;
        properties = properties.set_column_bloom_filter_enabled(path, true);
    }
    if !options.sort_columns.is_empty() {
        properties = properties.set_sorting_columns(Some(sorting(schema, &options.sort_columns)?));
    }
    if let Some(keys) = &options.keys {
        properties = properties.with_file_encryption_properties(keys.encryption()?);
    }
    let writer =
        ArrowWriter::try_new(file, schema.clone(), Some(properties.build())).map_err(query)?;
    if options.sort_columns.is_empty() {
        return Ok(Box::new(ParquetWriter { writer }));
    }
    Ok(Box::new(SortingWriter {
        writer,
        schema: schema.clone(),
        options: options.clone(),
        held: Vec::new(),
        rows: 0,
        bytes: 0,
    }))
}

fn compression(options: &ParquetOptions) -> Result<Compression> {
    let level = options.compression_level;
    let signed = |level: u32| i32::try_from(level).unwrap_or(i32::MAX);
    Ok(match (options.compression, level) {
        (ParquetCompression::Zstd, level) => {
            Compression::ZSTD(ZstdLevel::try_new(signed(level.unwrap_or(3))).map_err(unsupported)?)
        }
        (ParquetCompression::Gzip, level) => {
            Compression::GZIP(GzipLevel::try_new(level.unwrap_or(6)).map_err(unsupported)?)
        }
        (ParquetCompression::Brotli, level) => {
            Compression::BROTLI(BrotliLevel::try_new(level.unwrap_or(1)).map_err(unsupported)?)
        }
        (ParquetCompression::Snappy, None) => Compression::SNAPPY,
        (ParquetCompression::Lz4, None) => Compression::LZ4_RAW,
        (ParquetCompression::Uncompressed, None) => Compression::UNCOMPRESSED,
        (other, Some(_)) => {
            return Err(Error::Unsupported(format!(
                "parquet compression {other:?} has no levels; leave the level out, or use zstd"
            )));
        }
    })
}

fn unsupported(error: ParquetError) -> Error {
    Error::Unsupported(format!("parquet compression level: {error}"))
}

/// A column by its name, or one inside of others by its path with dots.
fn column_path(schema: &SchemaRef, column: &str) -> Result<ColumnPath> {
    let is_plain = schema
        .field_with_name(column)
        .is_ok_and(|field| !field.data_type().is_nested());
    let parts: Vec<String> = if is_plain {
        vec![column.to_owned()]
    } else {
        column.split('.').map(str::to_owned).collect()
    };
    let is_known = parts
        .first()
        .is_some_and(|first| schema.field_with_name(first).is_ok());
    if is_known {
        Ok(ColumnPath::new(parts))
    } else {
        Err(unknown(schema, column))
    }
}

fn sorting(schema: &SchemaRef, columns: &[SortColumn]) -> Result<Vec<SortingColumn>> {
    let sorting = columns.iter().map(|column| {
        let index = schema
            .index_of(&column.name)
            .map_err(|_| unknown(schema, &column.name))?;
        if schema.field(index).data_type().is_nested() {
            return Err(Error::Unsupported(format!(
                "column {:?} is {}, by which rows cannot be sorted",
                column.name,
                schema.field(index).data_type()
            )));
        }
        // The format counts the columns that hold values, those inside of others too.
        let before = schema.fields()[..index].iter();
        let leaf: usize = before.map(|field| leaves(field.data_type())).sum();
        Ok(SortingColumn {
            column_idx: i32::try_from(leaf).unwrap_or(i32::MAX),
            descending: column.descending,
            nulls_first: column.nulls_first,
        })
    });
    sorting.collect()
}

fn leaves(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(fields) => fields.iter().map(|field| leaves(field.data_type())).sum(),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => leaves(item.data_type()),
        _ => 1,
    }
}

fn unknown(schema: &SchemaRef, column: &str) -> Error {
    let names: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    Error::Unsupported(format!(
        "parquet options name the column {column:?}; the output has {}",
        names.join(", ")
    ))
}

struct ParquetWriter {
    writer: ArrowWriter<Output>,
}

impl BatchWriter for ParquetWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(query)
    }

    fn finish(self: Box<Self>) -> Result<Output> {
        self.writer.into_inner().map_err(query)
    }
}

/// Holds the rows of a row group until they can be sorted.
struct SortingWriter {
    writer: ArrowWriter<Output>,
    schema: SchemaRef,
    options: ParquetOptions,
    held: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl BatchWriter for SortingWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut start = 0;
        while start < batch.num_rows() {
            let room = self.options.row_group_rows.max(1) - self.rows;
            let length = room.min(batch.num_rows() - start);
            let piece = batch.slice(start, length);
            start += length;
            self.rows += length;
            self.bytes += piece.get_array_memory_size() * length / batch.num_rows();
            self.held.push(piece);
            let is_full = self.rows >= self.options.row_group_rows
                || self.bytes >= self.options.row_group_bytes;
            if is_full {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Output> {
        self.flush()?;
        self.writer.into_inner().map_err(query)
    }
}

impl SortingWriter {
    fn flush(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let sorted = self.sorted().map_err(|e| Error::Query(e.into()))?;
        self.held.clear();
        (self.rows, self.bytes) = (0, 0);
        self.writer.write(&sorted).map_err(query)?;
        self.writer.flush().map_err(query)
    }

    fn sorted(&self) -> Result<RecordBatch, arrow::error::ArrowError> {
        let whole = concat_batches(&self.schema, &self.held)?;
        let columns = self.options.sort_columns.iter().map(|column| {
            Ok(ArrowSortColumn {
                values: whole.column(self.schema.index_of(&column.name)?).clone(),
                options: Some(SortOptions {
                    descending: column.descending,
                    nulls_first: column.nulls_first,
                }),
            })
        });
        let columns = columns.collect::<Result<Vec<_>, arrow::error::ArrowError>>()?;
        take_record_batch(&whole, &lexsort_to_indices(&columns, None)?)
    }
}

fn query(error: ParquetError) -> Error {
    Error::Query(error.into())
}
