//! Record batches to JSON ([`writer`]): one object per line, nulls written out.
//!
//! A float that JSON cannot hold (NaN, infinity) is an error, since it would come back as null.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, SchemaRef};
use arrow::json::writer::LineDelimited;
use arrow::json::{Writer, WriterBuilder};

use crate::compress::{Encoder, TextCompression};
use crate::error::{Error, Result};
use crate::format::BatchWriter;
use crate::input::Output;

pub(super) fn writer(
    file: Output,
    _schema: &SchemaRef,
    compression: TextCompression,
) -> Result<Box<dyn BatchWriter>> {
    let output =
        Encoder::new(compression, file).map_err(|e| Error::io("write", "json output", e))?;
    let builder = WriterBuilder::new().with_explicit_nulls(true);
    Ok(Box::new(JsonWriter {
        writer: builder.build::<_, LineDelimited>(output),
    }))
}

struct JsonWriter {
    writer: Writer<Encoder<Output>, LineDelimited>,
}

impl BatchWriter for JsonWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            if !is_finite(column) {
                return Err(Error::Unsupported(format!(
                    "column {:?} holds NaN or an infinity, which JSON cannot hold; write parquet or csv, or turn them into null",
                    field.name()
                )));
            }
        }
        self.writer.write(batch).map_err(|e| Error::Query(e.into()))
    }

    fn finish(mut self: Box<Self>) -> Result<Output> {
        self.writer.finish().map_err(|e| Error::Query(e.into()))?;
        let output = self.writer.into_inner();
        output
            .finish()
            .map_err(|e| Error::io("write", "json output", e))
    }
}

fn is_finite(column: &Arc<dyn Array>) -> bool {
    match column.data_type() {
        DataType::Float64 => column
            .as_primitive::<Float64Type>()
            .iter()
            .flatten()
            .all(f64::is_finite),
        DataType::Float32 => column
            .as_primitive::<Float32Type>()
            .iter()
            .flatten()
            .all(f32::is_finite),
        DataType::Struct(_) => column.as_struct().columns().iter().all(is_finite),
        DataType::List(_) => is_finite(column.as_list::<i32>().values()),
        _ => true,
    }
}
