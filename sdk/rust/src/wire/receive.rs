//! Batches that the host sent.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, make_array};
use arrow_buffer::{Buffer, MutableBuffer, bit_util};
use arrow_data::{ArrayData, ArrayDataBuilder};
use arrow_schema::{ArrowError, DataType, SchemaRef, UnionMode};

use super::schema::{children, field_count};
use crate::bindings::base::tenon::plugin::types as wit;
use crate::error::{Error, Result};

/// What arrives in one place, always of one schema, and what is remembered of it.
#[derive(Debug)]
pub(crate) struct Receiver {
    schema: SchemaRef,
    /// Values of dictionaries, by the place of their field in pre-order.
    dictionaries: Vec<(usize, u32, ArrayData)>,
    /// Constant columns, by position: the one value, and what it was repeated to.
    constants: Vec<(usize, ArrayData, ArrayRef)>,
}

impl Receiver {
    pub(crate) fn new(schema: SchemaRef) -> Self {
        Self {
            schema,
            dictionaries: Vec::new(),
            constants: Vec::new(),
        }
    }

    pub(crate) fn batch(&mut self, wire: wit::Batch) -> Result<RecordBatch> {
        let schema = Arc::clone(&self.schema);
        let mut parts = Parts {
            nodes: wire.nodes.into_iter(),
            buffers: wire.buffers.into_iter(),
            field: 0,
            dictionaries: &mut self.dictionaries,
        };
        let mut columns = Vec::with_capacity(schema.fields().len());
        for (position, field) in schema.fields().iter().enumerate() {
            let node = parts.node()?;
            let column = match node.encoding {
                wit::Encoding::Constant => {
                    let one = parts.constant(field.data_type(), node)?;
                    repeated(&mut self.constants, position, one, wire.rows as usize)?
                }
                _ => make_array(parts.array(field.data_type(), node)?),
            };
            columns.push(column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(wire.rows as usize));
        Ok(RecordBatch::try_new_with_options(
            schema, columns, &options,
        )?)
    }
}

struct Parts<'a> {
    nodes: std::vec::IntoIter<wit::Node>,
    buffers: std::vec::IntoIter<Vec<u8>>,
    field: usize,
    dictionaries: &'a mut Vec<(usize, u32, ArrayData)>,
}

impl Parts<'_> {
    fn array(&mut self, data_type: &DataType, node: wit::Node) -> Result<ArrayData> {
        match node.encoding {
            wit::Encoding::Define(generation) => {
                let at = self.field;
                let values = self.plain(data_type, node)?;
                self.dictionaries.retain(|(field, _, _)| *field != at);
                self.dictionaries.push((at, generation, values.clone()));
                Ok(values)
            }
            wit::Encoding::Reuse(generation) => {
                let at = self.field;
                self.field += field_count(data_type);
                let known = |d: &&(usize, u32, ArrayData)| d.0 == at && d.1 == generation;
                let found = self.dictionaries.iter().find(known);
                found.map(|(_, _, values)| values.clone()).ok_or_else(short)
            }
            wit::Encoding::Plain | wit::Encoding::Constant => self.plain(data_type, node),
        }
    }

    /// The one value of a constant.
    fn constant(&mut self, data_type: &DataType, node: wit::Node) -> Result<ArrayData> {
        let one = wit::Node {
            length: 1,
            nulls: node.nulls.min(1),
            encoding: wit::Encoding::Plain,
        };
        self.plain(data_type, one)
    }

    fn plain(&mut self, data_type: &DataType, node: wit::Node) -> Result<ArrayData> {
        self.field += 1;
        let mut builder = ArrayData::builder(data_type.clone())
            .len(node.length as usize)
            .align_buffers(true);
        if has_validity(data_type) {
            let validity = self.buffer()?;
            if node.nulls > 0 {
                builder = builder.null_bit_buffer(Some(validity));
            }
        }
        for _ in 0..buffer_count(data_type) {
            builder = builder.add_buffer(self.buffer()?);
        }
        for child in children(data_type) {
            let node = self.node()?;
            builder = builder.add_child_data(self.array(child.data_type(), node)?);
        }
        Ok(trusted(builder)?)
    }

    fn node(&mut self) -> Result<wit::Node> {
        self.nodes.next().ok_or_else(short)
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
fn trusted(builder: ArrayDataBuilder) -> Result<ArrayData, ArrowError> {
    // SAFETY: the host made these buffers from arrays that Arrow had validated, and nothing but
    // the canonical ABI's copy lies between. A host that lied could only harm this guest, whose
    // memory it owns anyway.
    unsafe { builder.skip_validation(true) }.build()
}

pub(super) fn has_validity(data_type: &DataType) -> bool {
    !matches!(
        data_type,
        DataType::Null | DataType::Union(_, _) | DataType::RunEndEncoded(_, _)
    )
}

fn buffer_count(data_type: &DataType) -> usize {
    match data_type {
        DataType::Null
        | DataType::Struct(_)
        | DataType::FixedSizeList(_, _)
        | DataType::RunEndEncoded(_, _) => 0,
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::Utf8View
        | DataType::BinaryView
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::Union(_, UnionMode::Dense) => 2,
        _ => 1,
    }
}

/// The value of a constant column for each row. A call's constants are mostly those of the call before.
fn repeated(
    known: &mut Vec<(usize, ArrayData, ArrayRef)>,
    position: usize,
    one: ArrayData,
    rows: usize,
) -> Result<ArrayRef> {
    let found = known.iter().find(|(p, _, _)| *p == position);
    if let Some((_, before, column)) = found
        && *before == one
        && column.len() >= rows
    {
        return Ok(column.slice(0, rows));
    }
    let column = make_array(repeat(&one, rows)?);
    known.retain(|(p, _, _)| *p != position);
    known.push((position, one, Arc::clone(&column)));
    Ok(column)
}

/// The values of an array that is no slice, all of them `times` times over.
fn repeat(data: &ArrayData, times: usize) -> Result<ArrayData> {
    let bytes = |buffer: usize| Buffer::from(data.buffers()[buffer].as_slice().repeat(times));
    let again = |child: &ArrayData| repeat(child, times);
    let children = data.child_data();
    let (buffers, children) = match data.data_type() {
        DataType::Boolean => {
            let bits = &data.buffers()[0];
            (vec![bits_again(bits, data.len(), times)], vec![])
        }
        DataType::Utf8 | DataType::Binary => {
            (vec![offsets_again::<i32>(data, times)?, bytes(1)], vec![])
        }
        DataType::LargeUtf8 | DataType::LargeBinary => {
            (vec![offsets_again::<i64>(data, times)?, bytes(1)], vec![])
        }
        DataType::Utf8View | DataType::BinaryView => {
            (vec![bytes(0), data.buffers()[1].clone()], vec![])
        }
        DataType::List(_) | DataType::Map(_, _) => (
            vec![offsets_again::<i32>(data, times)?],
            vec![again(&children[0])?],
        ),
        DataType::LargeList(_) => (
            vec![offsets_again::<i64>(data, times)?],
            vec![again(&children[0])?],
        ),
        DataType::ListView(_) | DataType::LargeListView(_) => {
            (vec![bytes(0), bytes(1)], children.to_vec())
        }
        DataType::Dictionary(_, _) => (vec![bytes(0)], children.to_vec()),
        DataType::Union(_, UnionMode::Dense) => (vec![bytes(0), bytes(1)], children.to_vec()),
        DataType::Union(_, UnionMode::Sparse) => (
            vec![bytes(0)],
            children.iter().map(again).collect::<Result<_>>()?,
        ),
        DataType::RunEndEncoded(ends, _) => {
            // A constant has one run, which only gets longer.
            let end = i64::try_from(times).unwrap_or(i64::MAX).to_le_bytes();
            let width = ends.data_type().primitive_width().unwrap_or(8);
            let end = ArrayData::builder(ends.data_type().clone())
                .len(1)
                .add_buffer(Buffer::from_slice_ref(&end[..width]));
            (
                vec![],
                vec![trusted(end.align_buffers(true))?, children[1].clone()],
            )
        }
        DataType::Null | DataType::Struct(_) | DataType::FixedSizeList(_, _) => {
            (vec![], children.iter().map(again).collect::<Result<_>>()?)
        }
        _ => (vec![bytes(0)], vec![]),
    };
    let validity = data
        .nulls()
        .map(|nulls| bits_again(nulls.buffer(), data.len(), times));
    let builder = ArrayData::builder(data.data_type().clone())
        .len(data.len() * times)
        .null_bit_buffer(validity)
        .buffers(buffers)
        .child_data(children)
        .align_buffers(true);
    Ok(trusted(builder)?)
}

fn bits_again(bits: &[u8], length: usize, times: usize) -> Buffer {
    let mut again = MutableBuffer::new_null(length * times);
    for at in 0..length * times {
        if bit_util::get_bit(bits, at % length) {
            bit_util::set_bit(again.as_slice_mut(), at);
        }
    }
    again.into()
}

fn offsets_again<O: arrow_array::OffsetSizeTrait>(
    data: &ArrayData,
    times: usize,
) -> Result<Buffer> {
    let offsets = &data.buffers()[0].typed_data::<O>()[..=data.len()];
    let total = offsets[data.len()].as_usize();
    let mut again = Vec::with_capacity(data.len() * times + 1);
    again.push(O::default());
    for round in 0..times {
        for offset in &offsets[1..] {
            let shifted = round * total + offset.as_usize();
            again.push(O::from_usize(shifted).ok_or_else(|| {
                Error::Internal("a constant is too long to be repeated for each row".to_owned())
            })?);
        }
    }
    Ok(Buffer::from_vec(again))
}
