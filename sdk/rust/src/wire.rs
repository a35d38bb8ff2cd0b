//! Arrow arrays to and from the contract's nodes and buffers, on the guest's side.
//!
//! What comes in was made by the host and is taken as valid; what goes out is checked by the host.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, OffsetSizeTrait, RecordBatch, RecordBatchOptions, make_array};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_data::ArrayData;
use arrow_schema::{
    ArrowError, DataType, Field, FieldRef, Fields, IntervalUnit, Schema, SchemaRef, TimeUnit,
};

use crate::bindings::base::tenon::plugin::types as wit;
use crate::error::{Error, Result};

/// Rebuilds a schema that the host sent.
pub(crate) fn schema_from(flat: &[wit::Field]) -> Result<SchemaRef> {
    let mut rest = flat;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        fields.push(take_field(&mut rest)?);
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn take_field(rest: &mut &[wit::Field]) -> Result<FieldRef> {
    let Some((field, after)) = rest.split_first() else {
        return Err(Error::Internal("the schema ends early".to_owned()));
    };
    *rest = after;
    let children = (0..field.children)
        .map(|_| take_field(rest))
        .collect::<Result<Vec<_>>>()?;
    let data_type = parse_format(&field.format, children).ok_or_else(|| {
        Error::Unsupported(format!(
            "column {:?} has format {:?}, which this SDK does not know",
            field.name, field.format
        ))
    })?;
    Ok(Arc::new(
        Field::new(&field.name, data_type, field.nullable)
            .with_metadata(field.metadata.iter().cloned().collect()),
    ))
}

fn parse_format(format: &str, mut children: Vec<FieldRef>) -> Option<DataType> {
    let simple = match format {
        "n" => DataType::Null,
        "b" => DataType::Boolean,
        "c" => DataType::Int8,
        "C" => DataType::UInt8,
        "s" => DataType::Int16,
        "S" => DataType::UInt16,
        "i" => DataType::Int32,
        "I" => DataType::UInt32,
        "l" => DataType::Int64,
        "L" => DataType::UInt64,
        "e" => DataType::Float16,
        "f" => DataType::Float32,
        "g" => DataType::Float64,
        "z" => DataType::Binary,
        "Z" => DataType::LargeBinary,
        "u" => DataType::Utf8,
        "U" => DataType::LargeUtf8,
        "tdD" => DataType::Date32,
        "tdm" => DataType::Date64,
        "tts" => DataType::Time32(TimeUnit::Second),
        "ttm" => DataType::Time32(TimeUnit::Millisecond),
        "ttu" => DataType::Time64(TimeUnit::Microsecond),
        "ttn" => DataType::Time64(TimeUnit::Nanosecond),
        "tiM" => DataType::Interval(IntervalUnit::YearMonth),
        "tiD" => DataType::Interval(IntervalUnit::DayTime),
        "tin" => DataType::Interval(IntervalUnit::MonthDayNano),
        "+s" => DataType::Struct(Fields::from(children)),
        "+l" => DataType::List(children.pop()?),
        "+L" => DataType::LargeList(children.pop()?),
        "+m" => DataType::Map(children.pop()?, false),
        other => return parse_parametrised(other, children),
    };
    Some(simple)
}

fn parse_parametrised(format: &str, mut children: Vec<FieldRef>) -> Option<DataType> {
    if let Some(size) = format.strip_prefix("+w:") {
        return Some(DataType::FixedSizeList(children.pop()?, size.parse().ok()?));
    }
    if let Some(size) = format.strip_prefix("w:") {
        return Some(DataType::FixedSizeBinary(size.parse().ok()?));
    }
    if let Some(unit) = format.strip_prefix("tD") {
        return Some(DataType::Duration(parse_unit(unit)?));
    }
    if let Some(decimal) = format.strip_prefix("d:") {
        let parts: Vec<&str> = decimal.split(',').collect();
        let (precision, scale) = (parts.first()?.parse().ok()?, parts.get(1)?.parse().ok()?);
        return Some(match parts.get(2).copied().unwrap_or("128") {
            "32" => DataType::Decimal32(precision, scale),
            "64" => DataType::Decimal64(precision, scale),
            "256" => DataType::Decimal256(precision, scale),
            _ => DataType::Decimal128(precision, scale),
        });
    }
    let (unit, zone) = format.strip_prefix("ts")?.split_once(':')?;
    Some(DataType::Timestamp(
        parse_unit(unit)?,
        (!zone.is_empty()).then(|| Arc::from(zone)),
    ))
}

fn parse_unit(letter: &str) -> Option<TimeUnit> {
    match letter {
        "s" => Some(TimeUnit::Second),
        "m" => Some(TimeUnit::Millisecond),
        "u" => Some(TimeUnit::Microsecond),
        "n" => Some(TimeUnit::Nanosecond),
        _ => None,
    }
}

/// Flattens a schema that this plugin answers.
pub(crate) fn schema_to(schema: &Schema) -> Result<Vec<wit::Field>> {
    let mut flat = Vec::new();
    schema
        .fields()
        .iter()
        .try_for_each(|field| push_field(field, &mut flat))?;
    Ok(flat)
}

fn push_field(field: &Field, flat: &mut Vec<wit::Field>) -> Result<()> {
    let children = children(field.data_type());
    flat.push(wit::Field {
        name: field.name().clone(),
        format: format_of(field)?,
        nullable: field.is_nullable(),
        children: u32::try_from(children.len()).unwrap_or(u32::MAX),
        metadata: field
            .metadata()
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
    });
    children
        .into_iter()
        .try_for_each(|child| push_field(child, flat))
}

fn children(data_type: &DataType) -> Vec<&FieldRef> {
    match data_type {
        DataType::List(f)
        | DataType::LargeList(f)
        | DataType::FixedSizeList(f, _)
        | DataType::Map(f, _) => vec![f],
        DataType::Struct(fields) => fields.iter().collect(),
        _ => Vec::new(),
    }
}

fn format_of(field: &Field) -> Result<String> {
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 's',
        TimeUnit::Millisecond => 'm',
        TimeUnit::Microsecond => 'u',
        TimeUnit::Nanosecond => 'n',
    };
    let text = match field.data_type() {
        DataType::Null => "n",
        DataType::Boolean => "b",
        DataType::Int8 => "c",
        DataType::UInt8 => "C",
        DataType::Int16 => "s",
        DataType::UInt16 => "S",
        DataType::Int32 => "i",
        DataType::UInt32 => "I",
        DataType::Int64 => "l",
        DataType::UInt64 => "L",
        DataType::Float16 => "e",
        DataType::Float32 => "f",
        DataType::Float64 => "g",
        DataType::Binary => "z",
        DataType::LargeBinary => "Z",
        DataType::Utf8 => "u",
        DataType::LargeUtf8 => "U",
        DataType::Date32 => "tdD",
        DataType::Date64 => "tdm",
        DataType::Time32(TimeUnit::Second) => "tts",
        DataType::Time32(_) => "ttm",
        DataType::Time64(TimeUnit::Microsecond) => "ttu",
        DataType::Time64(_) => "ttn",
        DataType::Interval(IntervalUnit::YearMonth) => "tiM",
        DataType::Interval(IntervalUnit::DayTime) => "tiD",
        DataType::Interval(IntervalUnit::MonthDayNano) => "tin",
        DataType::List(_) => "+l",
        DataType::LargeList(_) => "+L",
        DataType::Struct(_) => "+s",
        DataType::Map(_, _) => "+m",
        DataType::FixedSizeBinary(n) => return Ok(format!("w:{n}")),
        DataType::FixedSizeList(_, n) => return Ok(format!("+w:{n}")),
        DataType::Decimal32(p, s) => return Ok(format!("d:{p},{s},32")),
        DataType::Decimal64(p, s) => return Ok(format!("d:{p},{s},64")),
        DataType::Decimal128(p, s) => return Ok(format!("d:{p},{s}")),
        DataType::Decimal256(p, s) => return Ok(format!("d:{p},{s},256")),
        DataType::Timestamp(u, zone) => {
            return Ok(format!("ts{}:{}", unit(u), zone.as_deref().unwrap_or("")));
        }
        DataType::Duration(u) => return Ok(format!("tD{}", unit(u))),
        other => {
            return Err(Error::Unsupported(format!(
                "column {:?} has type {other}, which cannot cross",
                field.name()
            )));
        }
    };
    Ok(text.to_owned())
}

/// Rebuilds a batch that the host sent.
pub(crate) fn batch_from(wire: wit::Batch, schema: &SchemaRef) -> Result<RecordBatch> {
    let mut parts = Parts {
        nodes: wire.nodes.into_iter(),
        buffers: wire.buffers.into_iter(),
    };
    let columns = schema
        .fields()
        .iter()
        .map(|field| parts.array(field.data_type()).map(make_array))
        .collect::<Result<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(wire.rows as usize));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}

struct Parts {
    nodes: std::vec::IntoIter<wit::Node>,
    buffers: std::vec::IntoIter<Vec<u8>>,
}

impl Parts {
    fn array(&mut self, data_type: &DataType) -> Result<ArrayData> {
        let node = self.nodes.next().ok_or_else(short)?;
        let validity = if *data_type == DataType::Null {
            None
        } else {
            Some(self.buffer()?)
        };
        let mut builder = ArrayData::builder(data_type.clone())
            .len(node.length as usize)
            .align_buffers(true);
        if node.nulls > 0 {
            builder = builder.null_bit_buffer(validity);
        }
        for _ in 0..buffer_count(data_type) {
            builder = builder.add_buffer(self.buffer()?);
        }
        for child in children(data_type) {
            builder = builder.add_child_data(self.array(child.data_type())?);
        }
        Ok(trusted(builder)?)
    }

    fn buffer(&mut self) -> Result<Buffer> {
        self.buffers.next().map(Buffer::from_vec).ok_or_else(short)
    }
}

fn short() -> Error {
    Error::Internal("the host sent fewer parts than the schema has".to_owned())
}

/// Builds without looking at every value again.
#[expect(
    unsafe_code,
    reason = "validating the host's own arrays would double the cost of strings"
)]
fn trusted(builder: arrow_data::ArrayDataBuilder) -> Result<ArrayData, ArrowError> {
    // SAFETY: the host made these buffers from arrays that Arrow had validated, and nothing but
    // the canonical ABI's copy lies between. A host that lied could only harm this guest, whose
    // memory it owns anyway.
    unsafe { builder.skip_validation(true) }.build()
}

fn buffer_count(data_type: &DataType) -> usize {
    match data_type {
        DataType::Null | DataType::Struct(_) | DataType::FixedSizeList(_, _) => 0,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => 2,
        _ => 1,
    }
}

/// Flattens a batch that this plugin returns.
pub(crate) fn batch_to(batch: &RecordBatch) -> Result<wit::Batch> {
    let mut flat = wit::Batch {
        rows: count(batch.num_rows())?,
        nodes: Vec::new(),
        buffers: Vec::new(),
    };
    batch
        .columns()
        .iter()
        .try_for_each(|column| push_array(column, &mut flat))?;
    Ok(flat)
}

fn push_array(array: &dyn Array, flat: &mut wit::Batch) -> Result<()> {
    let nulls = if *array.data_type() == DataType::Null {
        array.len()
    } else {
        array.null_count()
    };
    flat.nodes.push(wit::Node {
        length: count(array.len())?,
        nulls: count(nulls)?,
    });
    push_validity(array, flat);
    match array.data_type() {
        DataType::Null => {}
        DataType::Boolean => flat
            .buffers
            .push(bytes(array.as_boolean().values().sliced())),
        DataType::Utf8 | DataType::Binary => push_bytes::<i32>(&array.to_data(), flat),
        DataType::LargeUtf8 | DataType::LargeBinary => push_bytes::<i64>(&array.to_data(), flat),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (start, length) = push_offsets(list.offsets(), flat);
            push_array(&list.values().slice(start, length), flat)?;
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let (start, length) = push_offsets(list.offsets(), flat);
            push_array(&list.values().slice(start, length), flat)?;
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let (start, length) = push_offsets(map.offsets(), flat);
            push_array(&map.entries().slice(start, length), flat)?;
        }
        DataType::FixedSizeList(_, size) => {
            let list = array.as_fixed_size_list();
            let size = usize::try_from(*size).unwrap_or(0);
            let start = if list.is_empty() {
                0
            } else {
                usize::try_from(list.value_offset(0)).unwrap_or(0)
            };
            push_array(&list.values().slice(start, size * list.len()), flat)?;
        }
        DataType::Struct(_) => array
            .as_struct()
            .columns()
            .iter()
            .try_for_each(|child| push_array(child, flat))?,
        other => push_fixed_width(&array.to_data(), other, flat)?,
    }
    Ok(())
}

fn push_validity(array: &dyn Array, flat: &mut wit::Batch) {
    if *array.data_type() == DataType::Null {
        return;
    }
    let bitmap = array
        .nulls()
        .filter(|nulls| nulls.null_count() > 0)
        .map(|nulls| nulls.inner().sliced());
    flat.buffers.push(bitmap.map(bytes).unwrap_or_default());
}

fn push_fixed_width(data: &ArrayData, data_type: &DataType, flat: &mut wit::Batch) -> Result<()> {
    let width = match data_type {
        DataType::FixedSizeBinary(n) => usize::try_from(*n).ok(),
        other => other.primitive_width(),
    };
    let Some(width) = width else {
        return Err(Error::Unsupported(format!(
            "values of type {data_type} cannot cross"
        )));
    };
    flat.buffers.push(bytes(
        data.buffers()[0].slice_with_length(data.offset() * width, data.len() * width),
    ));
    Ok(())
}

fn push_bytes<O: OffsetSizeTrait>(data: &ArrayData, flat: &mut wit::Batch) {
    if data.is_empty() {
        flat.buffers.push(vec![0; size_of::<O>()]);
        flat.buffers.push(Vec::new());
        return;
    }
    let offsets = OffsetBuffer::<O>::new(ScalarBuffer::new(
        data.buffers()[0].clone(),
        data.offset(),
        data.len() + 1,
    ));
    let (start, length) = push_offsets(&offsets, flat);
    flat.buffers
        .push(bytes(data.buffers()[1].slice_with_length(start, length)));
}

/// Pushes offsets that start at zero; returns start and length of what they referred to.
fn push_offsets<O: OffsetSizeTrait>(
    offsets: &OffsetBuffer<O>,
    flat: &mut wit::Batch,
) -> (usize, usize) {
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    let rebased = if first.as_usize() == 0 {
        offsets.inner().inner().clone()
    } else {
        Buffer::from_vec(offsets.iter().map(|o| *o - first).collect::<Vec<O>>())
    };
    flat.buffers.push(bytes(rebased));
    (first.as_usize(), last.as_usize() - first.as_usize())
}

/// The buffer's bytes: moved when it is a plain vector of bytes, else copied.
fn bytes(buffer: Buffer) -> Vec<u8> {
    buffer
        .into_vec::<u8>()
        .unwrap_or_else(|buffer| buffer.as_slice().to_vec())
}

fn count(n: usize) -> Result<u32> {
    u32::try_from(n).map_err(|_| Error::Internal(format!("{n} values in one batch")))
}
