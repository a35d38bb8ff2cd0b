//! Record batches to Arrow IPC files ([`writer`]), also known as Feather 2.
//!
//! Values are written without views, dictionaries and runs, so that any two batches fit in one file.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};

use crate::adapt::{cast_columns, plain};
use crate::error::{Error, Result};
use crate::format::BatchWriter;
use crate::input::Output;
use crate::ipc::{ArrowCompression, ArrowOptions};

pub(super) fn writer(
    options: &ArrowOptions,
    file: Output,
    schema: &SchemaRef,
) -> Result<Box<dyn BatchWriter>> {
    let schema = Arc::new(plain(schema, "the output", &options.limits)?);
    let compression = match options.compression {
        ArrowCompression::Zstd => Some(CompressionType::ZSTD),
        ArrowCompression::Lz4 => Some(CompressionType::LZ4_FRAME),
        ArrowCompression::Uncompressed => None,
    };
    let options = IpcWriteOptions::default()
        .try_with_compression(compression)
        .map_err(query)?;
    let writer =
        FileWriter::try_new_with_options(BufWriter::new(file), &schema, options).map_err(query)?;
    Ok(Box::new(ArrowWriter { writer, schema }))
}

struct ArrowWriter {
    writer: FileWriter<BufWriter<Output>>,
    schema: SchemaRef,
}

impl BatchWriter for ArrowWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = cast_columns(batch, &self.schema)?;
        self.writer.write(&batch).map_err(query)
    }

    fn finish(mut self: Box<Self>) -> Result<Output> {
        self.writer.finish().map_err(query)?;
        let mut buffer = self.writer.into_inner().map_err(query)?;
        buffer
            .flush()
            .map_err(|e| Error::io("write", "arrow output", e))?;
        buffer
            .into_inner()
            .map_err(|e| Error::io("write", "arrow output", e.into_error()))
    }
}

fn query(error: ArrowError) -> Error {
    Error::Query(error.into())
}
