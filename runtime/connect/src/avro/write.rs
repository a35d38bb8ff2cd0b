//! Record batches to Avro container files ([`writer`]).
//!
//! Types that Avro lacks are widened to the next that it has ([`writable`]); what would lose something is
//! refused with the column's name.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{
    DataType, Field, FieldRef, Fields, IntervalUnit, Schema, SchemaRef, TimeUnit,
};
use arrow_avro::compression::CompressionCodec;
use arrow_avro::writer::format::AvroOcfFormat;
use arrow_avro::writer::{Writer, WriterBuilder};

use crate::adapt::cast_columns;
use crate::avro::{AvroCompression, AvroOptions};
use crate::error::{Error, Result};
use crate::format::BatchWriter;
use crate::input::Output;

const UTC: &str = "+00:00";

pub(super) fn writer(
    options: &AvroOptions,
    file: Output,
    schema: &SchemaRef,
) -> Result<Box<dyn BatchWriter>> {
    let fields = schema.fields().iter().map(writable);
    let schema = Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?));
    let codec = match options.compression {
        AvroCompression::Zstd => Some(CompressionCodec::ZStandard),
        AvroCompression::Deflate => Some(CompressionCodec::Deflate),
        AvroCompression::Snappy => Some(CompressionCodec::Snappy),
        AvroCompression::Uncompressed => None,
    };
    let writer = WriterBuilder::new(schema.as_ref().clone())
        .with_compression(codec)
        .build::<_, AvroOcfFormat>(BufWriter::new(file))
        .map_err(|e| query(e.into()))?;
    Ok(Box::new(AvroWriter { writer, schema }))
}

/// The field as Avro can hold it.
fn writable(field: &FieldRef) -> Result<FieldRef> {
    let name = field.name();
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty();
    if !is_name {
        return Err(Error::Unsupported(format!(
            "column {name:?}: a name in Avro has ASCII letters, digits and `_` only; rename it"
        )));
    }
    let data_type = data_type(field, field.data_type())?;
    Ok(Arc::new(Field::new(name, data_type, field.is_nullable())))
}

fn data_type(field: &Field, data_type: &DataType) -> Result<DataType> {
    use DataType::*;
    Ok(match data_type {
        Int8 | Int16 | UInt8 | UInt16 => Int32,
        UInt32 => Int64,
        UInt64 => Decimal128(20, 0),
        Float16 => Float32,
        Utf8 | LargeUtf8 | Utf8View => Utf8,
        Binary | LargeBinary | BinaryView => Binary,
        Date64 => Timestamp(TimeUnit::Millisecond, None),
        Time32(_) => Time32(TimeUnit::Millisecond),
        Timestamp(unit, zone) => {
            let unit = match unit {
                TimeUnit::Second => TimeUnit::Millisecond,
                unit => *unit,
            };
            Timestamp(unit, zone.as_ref().map(|_| UTC.into()))
        }
        Decimal32(precision, scale) | Decimal64(precision, scale) => Decimal128(*precision, *scale),
        Dictionary(_, values) => self::data_type(field, values)?,
        RunEndEncoded(_, values) => self::data_type(field, values.data_type())?,
        List(item) | LargeList(item) | FixedSizeList(item, _) => List(item_of(item)?),
        Struct(fields) => Struct(fields.iter().map(writable).collect::<Result<Fields>>()?),
        Map(entries, false) => Map(item_of(entries)?, false),
        Null
        | Boolean
        | Int32
        | Int64
        | Float32
        | Float64
        | Date32
        | FixedSizeBinary(_)
        | Decimal128(..)
        | Decimal256(..)
        | Time64(TimeUnit::Microsecond)
        | Interval(IntervalUnit::MonthDayNano) => data_type.clone(),
        other => {
            return Err(Error::Unsupported(format!(
                "column {:?} is {other}, which Avro cannot hold; write parquet, or cast it",
                field.name()
            )));
        }
    })
}

/// The field inside a list or map; its name is no name of the data.
fn item_of(item: &FieldRef) -> Result<FieldRef> {
    let data_type = data_type(item, item.data_type())?;
    Ok(Arc::new(item.as_ref().clone().with_data_type(data_type)))
}

struct AvroWriter {
    writer: Writer<BufWriter<Output>, AvroOcfFormat>,
    schema: SchemaRef,
}

impl BatchWriter for AvroWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        // A block without records is no use to a reader.
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = cast_columns(batch, &self.schema)?;
        self.writer.write(&batch).map_err(|e| query(e.into()))
    }

    fn finish(mut self: Box<Self>) -> Result<Output> {
        self.writer.finish().map_err(|e| query(e.into()))?;
        let mut buffer = self.writer.into_inner();
        buffer
            .flush()
            .map_err(|e| Error::io("write", "avro output", e))?;
        buffer
            .into_inner()
            .map_err(|e| Error::io("write", "avro output", e.into_error()))
    }
}

fn query(error: arrow::error::ArrowError) -> Error {
    Error::Query(error.into())
}
