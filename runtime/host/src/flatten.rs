//! Host to guest: Arrow arrays to nodes and borrowed buffers.
//!
//! Buffers are shared, not copied, wherever Arrow's layout already is the contract's; the one
//! copy is wasmtime's, into guest memory. Slices are cut to what they refer to, offsets rebased to
//! zero and bitmaps realigned, so that a slice of eight rows never drags its parent along. The values of a
//! dictionary go once; [`Sent`] remembers which ones the guest has.

use std::borrow::Cow;
use std::ops::Range;

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, DictionaryArray, GenericListArray, GenericListViewArray,
    OffsetSizeTrait, RunArray, UInt32Array, UnionArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, ScalarBuffer};
use arrow::compute::{cast, take};
use arrow::datatypes::{
    ArrowDictionaryKeyType, ArrowNativeType, DataType, Int16Type, Int32Type, Int64Type,
    RunEndIndexType, SchemaRef, UnionMode,
};
use arrow::downcast_dictionary_array;

use crate::bindings::tenon::plugin::types::{BatchParam, Encoding, Node};
use crate::error::{Error, Result};
use crate::schema::field_count;
use crate::sizes::{MAX_FULL_BYTES, full_bytes};

/// One column of a call.
#[derive(Debug, Clone)]
pub enum Column {
    /// A value for each row.
    Array(ArrayRef),
    /// An array of length 1 whose value stands for every row.
    Constant(ArrayRef),
}

impl Column {
    fn array(&self) -> &ArrayRef {
        match self {
            Self::Array(array) | Self::Constant(array) => array,
        }
    }
}

/// How the columns of one schema cross, and what the guest remembers of them: one for each input of an instance.
#[derive(Debug)]
pub(crate) struct Sender {
    wire: SchemaRef,
    constants: bool,
    sent: Sent,
}

impl Sender {
    /// Columns cross as the types of `wire`; `constants`: whether the guest takes those.
    pub(crate) fn new(wire: SchemaRef, constants: bool) -> Self {
        Self {
            wire,
            constants,
            sent: Sent::default(),
        }
    }

    /// Flattens columns of `rows` rows, one for each field of the wire schema.
    ///
    /// # Errors
    /// A column has too many rows, or its type no form in the contract.
    pub(crate) fn flatten(&mut self, rows: usize, columns: &[Column]) -> Result<Flat> {
        let mut flat = Flatten {
            nodes: Vec::with_capacity(columns.len()),
            buffers: Vec::with_capacity(3 * columns.len()),
            field: 0,
            sent: &mut self.sent,
            column: "",
        };
        for (column, field) in columns.iter().zip(self.wire.fields()) {
            flat.column = field.name();
            flat.push_column(rows, column, field.data_type(), self.constants)?;
        }
        Ok(Flat {
            rows: count(rows)?,
            nodes: flat.nodes,
            buffers: flat.buffers,
        })
    }
}

/// The dictionaries that a guest remembers, by the place of their values among the fields in pre-order.
#[derive(Debug, Default)]
struct Sent {
    values: Vec<(usize, u32, ArrayRef)>,
    generation: u32,
}

impl Sent {
    /// How the values at this place cross: a second time the same ones are only named.
    fn encoding(&mut self, field: usize, values: &ArrayRef) -> Encoding {
        let known = self.values.iter_mut().find(|(f, _, _)| *f == field);
        if let Some((_, generation, known)) = &known
            && is_same(known, values)
        {
            return Encoding::Reuse(*generation);
        }
        self.generation = self.generation.wrapping_add(1);
        let entry = (field, self.generation, ArrayRef::clone(values));
        match known {
            Some(known) => *known = entry,
            None => self.values.push(entry),
        }
        Encoding::Define(self.generation)
    }
}

/// Whether two arrays are the same memory; equal values elsewhere are not worth a comparison.
fn is_same(one: &ArrayRef, other: &ArrayRef) -> bool {
    one.len() == other.len() && one.to_data().ptr_eq(&other.to_data())
}

/// A batch in the contract's form, sharing the buffers of its arrays.
#[derive(Debug, Default)]
pub(crate) struct Flat {
    rows: u32,
    nodes: Vec<Node>,
    buffers: Vec<Buffer>,
}

impl Flat {
    /// Bytes that cross the boundary.
    pub(crate) fn bytes(&self) -> usize {
        self.buffers.iter().map(Buffer::len).sum()
    }

    /// The buffers as slices; `param` borrows them.
    pub(crate) fn slices(&self) -> Vec<&[u8]> {
        self.buffers.iter().map(Buffer::as_slice).collect()
    }

    /// The buffers themselves.
    pub(crate) fn into_buffers(self) -> Vec<Buffer> {
        self.buffers
    }

    /// The argument of a guest call.
    pub(crate) fn param<'a>(&'a self, slices: &'a [&'a [u8]]) -> BatchParam<'a> {
        BatchParam {
            rows: self.rows,
            nodes: &self.nodes,
            buffers: slices,
        }
    }
}

/// The work of flattening one batch.
struct Flatten<'a> {
    nodes: Vec<Node>,
    buffers: Vec<Buffer>,
    /// The field in pre-order that the next node belongs to.
    field: usize,
    sent: &'a mut Sent,
    /// Top-level name, for errors.
    column: &'a str,
}

impl Flatten<'_> {
    fn push_column(
        &mut self,
        rows: usize,
        column: &Column,
        wire: &DataType,
        constants: bool,
    ) -> Result<()> {
        let array = in_type(column.array(), wire, self.column)?;
        match column {
            Column::Array(_) => self.push_array(&array),
            Column::Constant(_) if !constants => {
                let full = repeated(&array, rows, self.column)?;
                self.push_array(&full)
            }
            Column::Constant(_) => {
                let at = self.nodes.len();
                self.push_array(&array)?;
                let node = &mut self.nodes[at];
                node.length = count(rows)?;
                node.nulls *= node.length;
                node.encoding = Encoding::Constant;
                Ok(())
            }
        }
    }

    fn push_array(&mut self, array: &ArrayRef) -> Result<()> {
        self.push_encoded(array, Encoding::Plain)
    }

    fn push_encoded(&mut self, array: &ArrayRef, encoding: Encoding) -> Result<()> {
        self.field += 1;
        let nulls = match array.data_type() {
            DataType::Null => array.len(),
            _ => array.null_count(),
        };
        self.nodes.push(Node {
            length: count(array.len())?,
            nulls: count(nulls)?,
            encoding,
        });
        if has_validity(array.data_type()) {
            self.push_validity(array);
        }
        self.push_values(array)
    }

    fn push_values(&mut self, array: &ArrayRef) -> Result<()> {
        match array.data_type() {
            DataType::Null => {}
            DataType::Boolean => self.buffers.push(bits(array.as_boolean().values())),
            DataType::Utf8 | DataType::Binary => self.push_bytes::<i32>(&array.to_data()),
            DataType::LargeUtf8 | DataType::LargeBinary => self.push_bytes::<i64>(&array.to_data()),
            DataType::Utf8View => self.push_views(&array.as_string_view().gc().to_data()),
            DataType::BinaryView => self.push_views(&array.as_binary_view().gc().to_data()),
            DataType::List(_) => self.push_list(array.as_list::<i32>())?,
            DataType::LargeList(_) => self.push_list(array.as_list::<i64>())?,
            DataType::ListView(_) => self.push_list_view(array.as_list_view::<i32>())?,
            DataType::LargeListView(_) => self.push_list_view(array.as_list_view::<i64>())?,
            DataType::Map(_, _) => {
                let map = array.as_map();
                let entries = self.push_offsets(map.offsets().inner());
                let entries = map.entries().slice(entries.start, entries.len());
                self.push_array(&(std::sync::Arc::new(entries) as ArrayRef))?;
            }
            DataType::FixedSizeList(_, size) => {
                let list = array.as_fixed_size_list();
                let start = match list.is_empty() {
                    true => 0,
                    false => usize::try_from(list.value_offset(0)).unwrap_or(0),
                };
                let length = usize::try_from(*size).unwrap_or(0) * list.len();
                self.push_array(&list.values().slice(start, length))?;
            }
            DataType::Struct(_) => {
                for child in array.as_struct().columns() {
                    self.push_array(child)?;
                }
            }
            DataType::Union(_, _) => self.push_union(array.as_union())?,
            DataType::RunEndEncoded(ends, _) => match ends.data_type() {
                DataType::Int16 => self.push_runs(array.as_run::<Int16Type>())?,
                DataType::Int32 => self.push_runs(array.as_run::<Int32Type>())?,
                _ => self.push_runs(array.as_run::<Int64Type>())?,
            },
            DataType::Dictionary(_, _) => downcast_dictionary_array!(
                array => self.push_dictionary(array)?,
                other => return Err(self.unsupported(other))
            ),
            other => self.push_fixed_width(&array.to_data(), other)?,
        }
        Ok(())
    }

    fn unsupported(&self, data_type: &DataType) -> Error {
        Error::Unsupported(format!(
            "column {:?} has type {data_type}, which plugins cannot take",
            self.column
        ))
    }

    fn push_validity(&mut self, array: &dyn Array) {
        let bitmap = match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            Some(nulls) => bits(nulls.inner()),
            None => Buffer::default(),
        };
        self.buffers.push(bitmap);
    }

    fn push_fixed_width(&mut self, data: &ArrayData, data_type: &DataType) -> Result<()> {
        let width = match data_type {
            DataType::FixedSizeBinary(n) => usize::try_from(*n).ok(),
            other => other.primitive_width(),
        };
        let width = width.ok_or_else(|| self.unsupported(data_type))?;
        let values = &data.buffers()[0];
        self.buffers
            .push(values.slice_with_length(data.offset() * width, data.len() * width));
        Ok(())
    }

    fn push_bytes<O: OffsetSizeTrait>(&mut self, data: &ArrayData) {
        if data.is_empty() {
            self.buffers.push(Buffer::from_slice_ref([O::default()]));
            self.buffers.push(Buffer::default());
            return;
        }
        // Not an `OffsetBuffer`: making one compares every offset, and Arrow has checked these.
        let offsets =
            ScalarBuffer::<O>::new(data.buffers()[0].clone(), data.offset(), data.len() + 1);
        let bytes = self.push_offsets(&offsets);
        self.buffers
            .push(data.buffers()[1].slice_with_length(bytes.start, bytes.len()));
    }

    /// Views of an array that holds its bytes in at most one buffer, as `gc` leaves it.
    fn push_views(&mut self, data: &ArrayData) {
        let views = &data.buffers()[0];
        self.buffers
            .push(views.slice_with_length(data.offset() * 16, data.len() * 16));
        self.buffers
            .push(data.buffers().get(1).cloned().unwrap_or_default());
    }

    fn push_list<O: OffsetSizeTrait>(&mut self, list: &GenericListArray<O>) -> Result<()> {
        let values = self.push_offsets(list.offsets().inner());
        self.push_array(&list.values().slice(values.start, values.len()))
    }

    /// Pushes offsets that start at zero; returns what they referred to.
    fn push_offsets<O: OffsetSizeTrait>(&mut self, offsets: &ScalarBuffer<O>) -> Range<usize> {
        let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
        if first.as_usize() == 0 {
            self.buffers.push(offsets.inner().clone());
        } else {
            let rebased: Vec<O> = offsets.iter().map(|o| *o - first).collect();
            self.buffers.push(Buffer::from_vec(rebased));
        }
        first.as_usize()..last.as_usize()
    }

    fn push_list_view<O: OffsetSizeTrait>(&mut self, list: &GenericListViewArray<O>) -> Result<()> {
        let (offsets, sizes) = (list.offsets(), list.sizes());
        let end = |(offset, size): (&O, &O)| offset.as_usize() + size.as_usize();
        let last = offsets.iter().zip(sizes.iter()).map(end).max().unwrap_or(0);
        let first = offsets.iter().copied().min().unwrap_or_default();
        let rebased: Vec<O> = offsets.iter().map(|o| *o - first).collect();
        self.buffers.push(Buffer::from_vec(rebased));
        self.buffers.push(sizes.inner().clone());
        let values = list.values();
        self.push_array(&values.slice(first.as_usize(), last - first.as_usize()))
    }

    fn push_union(&mut self, union: &UnionArray) -> Result<()> {
        self.buffers.push(union.type_ids().inner().clone());
        let DataType::Union(fields, mode) = union.data_type() else {
            return Err(self.unsupported(union.data_type()));
        };
        if *mode == UnionMode::Sparse {
            // A sliced sparse union has sliced children.
            return fields
                .iter()
                .try_for_each(|(id, _)| self.push_array(union.child(id)));
        }
        let offsets = union.offsets().map_or(&[][..], |offsets| offsets.as_ref());
        let ids = union.type_ids();
        let mut rebased = offsets.to_vec();
        let mut children = Vec::with_capacity(fields.len());
        for (id, _) in fields.iter() {
            let mine = || (0..ids.len()).filter(|&row| ids[row] == id);
            let first = mine().map(|row| offsets[row]).min().unwrap_or(0);
            let end = mine().map(|row| offsets[row] + 1).max().unwrap_or(first);
            mine().for_each(|row| rebased[row] -= first);
            children.push(
                union
                    .child(id)
                    .slice(first.as_usize(), (end - first).as_usize()),
            );
        }
        self.buffers.push(Buffer::from_vec(rebased));
        children.iter().try_for_each(|child| self.push_array(child))
    }

    fn push_runs<R: RunEndIndexType>(&mut self, runs: &RunArray<R>) -> Result<()> {
        let ends: Vec<R::Native> = runs.run_ends().sliced_values().collect();
        self.field += 1;
        self.nodes.push(Node {
            length: count(ends.len())?,
            nulls: 0,
            encoding: Encoding::Plain,
        });
        self.buffers.push(Buffer::default());
        self.buffers.push(Buffer::from_vec(ends));
        self.push_array(&runs.values_slice())
    }

    fn push_dictionary<K: ArrowDictionaryKeyType>(
        &mut self,
        dictionary: &DictionaryArray<K>,
    ) -> Result<()> {
        let keys = dictionary.keys().values();
        self.buffers.push(keys.inner().clone());
        let values = dictionary.values();
        let encoding = self.sent.encoding(self.field, values);
        if matches!(encoding, Encoding::Define(_)) {
            return self.push_encoded(values, encoding);
        }
        self.nodes.push(Node {
            length: count(values.len())?,
            nulls: count(values.null_count())?,
            encoding,
        });
        self.field += field_count(values.data_type());
        Ok(())
    }
}

/// The array in the type in which it crosses.
fn in_type<'a>(array: &'a ArrayRef, wire: &DataType, column: &str) -> Result<Cow<'a, ArrayRef>> {
    if array.data_type() == wire {
        return Ok(Cow::Borrowed(array));
    }
    check_unpacked(full_bytes(array, 0..array.len(), MAX_FULL_BYTES), column)?;
    let cast = cast(array, wire);
    cast.map(Cow::Owned)
        .map_err(|e| Error::Unsupported(format!("column {column:?}: {e}")))
}

/// What has to be unpacked for a guest is made in one piece.
fn check_unpacked(bytes: u64, column: &str) -> Result<()> {
    match bytes <= MAX_FULL_BYTES {
        true => Ok(()),
        false => Err(Error::Limit {
            limit: "unpacked_bytes",
            allowed: format!("{MAX_FULL_BYTES} bytes in one batch"),
            asked: format!("more, in column {column:?}"),
        }),
    }
}

/// The one value of an array, `rows` times.
fn repeated(array: &ArrayRef, rows: usize, column: &str) -> Result<ArrayRef> {
    let one = full_bytes(array, 0..array.len(), MAX_FULL_BYTES);
    check_unpacked(one.saturating_mul(rows as u64), column)?;
    let zeros = UInt32Array::from(vec![0; rows]);
    take(array, &zeros, None).map_err(|e| Error::Host(format!("cannot repeat a value: {e}")))
}

/// Whether a type has a validity bitmap of its own.
pub(crate) fn has_validity(data_type: &DataType) -> bool {
    !matches!(
        data_type,
        DataType::Null | DataType::Union(_, _) | DataType::RunEndEncoded(_, _)
    )
}

/// A bitmap that starts at bit 0 of its first byte.
fn bits(bitmap: &BooleanBuffer) -> Buffer {
    bitmap.sliced()
}

fn count(n: usize) -> Result<u32> {
    u32::try_from(n).map_err(|_| {
        Error::Unsupported(format!(
            "{n} values in one batch; at most {} cross at once",
            u32::MAX
        ))
    })
}
