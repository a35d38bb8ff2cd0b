//! Record batches to Parquet ([`writer`]), with statistics for every column and page.

use std::fs::File;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::error::{Error, Result};
use crate::format::BatchWriter;
use crate::parquet::{ParquetCompression, ParquetOptions};

pub(super) fn writer(
    options: &ParquetOptions,
    file: File,
    schema: &SchemaRef,
) -> Result<Box<dyn BatchWriter>> {
    let compression = match options.compression {
        ParquetCompression::Zstd => Compression::ZSTD(ZstdLevel::try_new(3).map_err(query)?),
        ParquetCompression::Snappy => Compression::SNAPPY,
        ParquetCompression::Uncompressed => Compression::UNCOMPRESSED,
    };
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_dictionary_enabled(options.dictionary)
        .set_max_row_group_row_count(Some(options.row_group_rows.max(1)))
        .set_max_row_group_bytes(Some(options.row_group_bytes.max(1)))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_created_by(concat!("tenon ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(query)?;
    Ok(Box::new(ParquetWriter { writer }))
}

struct ParquetWriter {
    writer: ArrowWriter<File>,
}

impl BatchWriter for ParquetWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(query)
    }

    fn finish(self: Box<Self>) -> Result<File> {
        self.writer.into_inner().map_err(query)
    }
}

fn query(error: ParquetError) -> Error {
    Error::Query(error.into())
}
