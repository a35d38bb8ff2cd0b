//! Batches that this plugin returns.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowDictionaryKeyType, Int16Type, Int32Type, Int64Type, RunEndIndexType,
};
use arrow_array::{
    Array, ArrayRef, DictionaryArray, GenericListArray, GenericListViewArray, OffsetSizeTrait,
    RecordBatch, RunArray, UnionArray, downcast_dictionary_array,
};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType, UnionMode};

use super::receive::has_validity;
use super::schema::field_count;
use crate::bindings::base::tenon::plugin::types as wit;
use crate::error::{Error, Result};

/// What leaves from one place, always of one schema, and the dictionaries that the host remembers of it.
#[derive(Debug, Default)]
pub(crate) struct Sender {
    /// By the place of their values among the fields in pre-order.
    dictionaries: Vec<(usize, u32, ArrayRef)>,
    generation: u32,
}

impl Sender {
    /// Flattens a batch.
    pub(crate) fn batch(&mut self, batch: RecordBatch) -> Result<wit::Batch> {
        let rows = count(batch.num_rows())?;
        let mut flat = Flatten {
            nodes: Vec::with_capacity(batch.num_columns()),
            buffers: Vec::with_capacity(3 * batch.num_columns()),
            field: 0,
            sender: self,
        };
        let (_, columns, _) = batch.into_parts();
        columns
            .into_iter()
            .try_for_each(|column| flat.push_array(column))?;
        Ok(wit::Batch {
            rows,
            nodes: flat.nodes,
            buffers: flat.buffers,
        })
    }

    fn encoding(&mut self, field: usize, values: &ArrayRef) -> wit::Encoding {
        let known = self.dictionaries.iter_mut().find(|(f, _, _)| *f == field);
        if let Some((_, generation, known)) = &known
            && known.len() == values.len()
            && known.to_data().ptr_eq(&values.to_data())
        {
            return wit::Encoding::Reuse(*generation);
        }
        self.generation = self.generation.wrapping_add(1);
        let entry = (field, self.generation, Arc::clone(values));
        match known {
            Some(known) => *known = entry,
            None => self.dictionaries.push(entry),
        }
        wit::Encoding::Define(self.generation)
    }
}

struct Flatten<'a> {
    nodes: Vec<wit::Node>,
    buffers: Vec<Vec<u8>>,
    field: usize,
    sender: &'a mut Sender,
}

impl Flatten<'_> {
    fn push_array(&mut self, array: ArrayRef) -> Result<()> {
        self.push_encoded(array, wit::Encoding::Plain)
    }

    /// Takes the array, so that a buffer which nobody else holds can be moved out of it.
    fn push_encoded(&mut self, array: ArrayRef, encoding: wit::Encoding) -> Result<()> {
        self.field += 1;
        let nulls = match array.data_type() {
            DataType::Null => array.len(),
            _ => array.null_count(),
        };
        self.nodes.push(wit::Node {
            length: count(array.len())?,
            nulls: count(nulls)?,
            encoding,
        });
        if has_validity(array.data_type()) {
            let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
            let bitmap = nulls.map(|nulls| nulls.inner().sliced());
            self.buffers.push(bitmap.map(bytes).unwrap_or_default());
        }
        self.push_values(array)
    }

    fn push_values(&mut self, array: ArrayRef) -> Result<()> {
        match array.data_type() {
            DataType::Null => {}
            DataType::Boolean => {
                let bits = array.as_boolean().values().sliced();
                drop(array);
                self.buffers.push(bytes(bits));
            }
            DataType::Utf8 | DataType::Binary => self.push_bytes::<i32>(moved(array)),
            DataType::LargeUtf8 | DataType::LargeBinary => self.push_bytes::<i64>(moved(array)),
            DataType::Utf8View => self.push_views(&array.as_string_view().gc().to_data()),
            DataType::BinaryView => self.push_views(&array.as_binary_view().gc().to_data()),
            DataType::List(_) => self.push_list(array.as_list::<i32>())?,
            DataType::LargeList(_) => self.push_list(array.as_list::<i64>())?,
            DataType::ListView(_) => self.push_list_view(array.as_list_view::<i32>())?,
            DataType::LargeListView(_) => self.push_list_view(array.as_list_view::<i64>())?,
            DataType::Map(_, _) => {
                let map = array.as_map();
                let entries = self.push_offsets(map.offsets());
                self.push_array(Arc::new(map.entries().slice(entries.start, entries.len())))?;
            }
            DataType::FixedSizeList(_, size) => {
                let list = array.as_fixed_size_list();
                let start = match list.is_empty() {
                    true => 0,
                    false => usize::try_from(list.value_offset(0)).unwrap_or(0),
                };
                let length = usize::try_from(*size).unwrap_or(0) * list.len();
                self.push_array(list.values().slice(start, length))?;
            }
            DataType::Struct(_) => {
                for child in array.as_struct().columns() {
                    self.push_array(Arc::clone(child))?;
                }
            }
            DataType::Union(_, _) => self.push_union(array.as_union())?,
            DataType::RunEndEncoded(ends, _) => match ends.data_type() {
                DataType::Int16 => self.push_runs(array.as_run::<Int16Type>())?,
                DataType::Int32 => self.push_runs(array.as_run::<Int32Type>())?,
                _ => self.push_runs(array.as_run::<Int64Type>())?,
            },
            DataType::Dictionary(_, _) => {
                let array = &array;
                downcast_dictionary_array!(
                    array => self.push_dictionary(array)?,
                    other => return Err(Error::Unsupported(format!("{other} cannot cross")))
                );
            }
            _ => self.push_fixed_width(moved(array))?,
        }
        Ok(())
    }

    fn push_fixed_width(&mut self, data: ArrayData) -> Result<()> {
        let width = match data.data_type() {
            DataType::FixedSizeBinary(n) => usize::try_from(*n).ok(),
            other => other.primitive_width(),
        };
        let Some(width) = width else {
            return Err(Error::Unsupported(format!(
                "values of type {} cannot cross",
                data.data_type()
            )));
        };
        let (offset, length) = (data.offset() * width, data.len() * width);
        self.buffers
            .push(bytes(window(first_buffer(data), offset, length)));
        Ok(())
    }

    fn push_bytes<O: OffsetSizeTrait>(&mut self, data: ArrayData) {
        if data.is_empty() {
            self.buffers.push(vec![0; size_of::<O>()]);
            self.buffers.push(Vec::new());
            return;
        }
        let (offset, length) = (data.offset(), data.len());
        let (_, _, _, _, buffers, _) = data.into_parts();
        let mut buffers = buffers.into_iter();
        let offsets = buffers.next().unwrap_or_default();
        let values = buffers.next().unwrap_or_default();
        // Not an `OffsetBuffer`: making one compares every offset, and Arrow has checked these.
        let offsets = ScalarBuffer::<O>::new(offsets, offset, length + 1);
        let used = offsets[0].as_usize()..offsets[length].as_usize();
        let offsets = match used.start {
            0 => offsets.into_inner(),
            _ => rebased(&offsets, offsets[0]),
        };
        self.buffers.push(bytes(offsets));
        self.buffers
            .push(bytes(window(values, used.start, used.len())));
    }

    fn push_views(&mut self, data: &ArrayData) {
        let views = &data.buffers()[0];
        let views = views.slice_with_length(data.offset() * 16, data.len() * 16);
        self.buffers.push(bytes(views));
        let values = data.buffers().get(1).cloned().unwrap_or_default();
        self.buffers.push(bytes(values));
    }

    fn push_list<O: OffsetSizeTrait>(&mut self, list: &GenericListArray<O>) -> Result<()> {
        let values = self.push_offsets(list.offsets());
        self.push_array(list.values().slice(values.start, values.len()))
    }

    /// Pushes offsets that start at zero; returns what they referred to.
    fn push_offsets<O: OffsetSizeTrait>(&mut self, offsets: &OffsetBuffer<O>) -> Range<usize> {
        let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
        let from_zero = match first.as_usize() {
            0 => offsets.inner().inner().clone(),
            _ => rebased(offsets, first),
        };
        self.buffers.push(bytes(from_zero));
        first.as_usize()..last.as_usize()
    }

    fn push_list_view<O: OffsetSizeTrait>(&mut self, list: &GenericListViewArray<O>) -> Result<()> {
        let (offsets, sizes) = (list.offsets(), list.sizes());
        let end = |(offset, size): (&O, &O)| offset.as_usize() + size.as_usize();
        let last = offsets.iter().zip(sizes.iter()).map(end).max().unwrap_or(0);
        let first = offsets.iter().copied().min().unwrap_or_default();
        self.buffers.push(bytes(rebased(offsets, first)));
        self.buffers.push(bytes(sizes.inner().clone()));
        let values = list.values();
        self.push_array(values.slice(first.as_usize(), last - first.as_usize()))
    }

    fn push_union(&mut self, union: &UnionArray) -> Result<()> {
        self.buffers.push(bytes(union.type_ids().inner().clone()));
        let DataType::Union(fields, mode) = union.data_type() else {
            return Err(Error::Internal("a union of another type".to_owned()));
        };
        if *mode == UnionMode::Dense {
            let offsets = union.offsets().map(|offsets| offsets.inner().clone());
            self.buffers.push(bytes(offsets.unwrap_or_default()));
        }
        fields
            .iter()
            .try_for_each(|(id, _)| self.push_array(Arc::clone(union.child(id))))
    }

    fn push_runs<R: RunEndIndexType>(&mut self, runs: &RunArray<R>) -> Result<()> {
        let ends: Vec<R::Native> = runs.run_ends().sliced_values().collect();
        self.field += 1;
        self.nodes.push(wit::Node {
            length: count(ends.len())?,
            nulls: 0,
            encoding: wit::Encoding::Plain,
        });
        self.buffers.push(Vec::new());
        self.buffers.push(bytes(Buffer::from_vec(ends)));
        self.push_array(runs.values_slice())
    }

    fn push_dictionary<K: ArrowDictionaryKeyType>(
        &mut self,
        dictionary: &DictionaryArray<K>,
    ) -> Result<()> {
        self.buffers
            .push(bytes(dictionary.keys().values().inner().clone()));
        let values = dictionary.values();
        let encoding = self.sender.encoding(self.field, values);
        if matches!(encoding, wit::Encoding::Define(_)) {
            return self.push_encoded(Arc::clone(values), encoding);
        }
        self.nodes.push(wit::Node {
            length: count(values.len())?,
            nulls: count(values.null_count())?,
            encoding,
        });
        self.field += field_count(values.data_type());
        Ok(())
    }
}

/// The array's parts, with nobody else holding them when nobody else held the array.
fn moved(array: ArrayRef) -> ArrayData {
    let data = array.to_data();
    drop(array);
    data
}

fn first_buffer(data: ArrayData) -> Buffer {
    let (_, _, _, _, buffers, _) = data.into_parts();
    buffers.into_iter().next().unwrap_or_default()
}

/// A part of a buffer; all of it is the buffer itself.
fn window(buffer: Buffer, offset: usize, length: usize) -> Buffer {
    if offset == 0 && length == buffer.len() {
        return buffer;
    }
    buffer.slice_with_length(offset, length)
}

fn rebased<O: OffsetSizeTrait>(offsets: &[O], first: O) -> Buffer {
    Buffer::from_vec(offsets.iter().map(|o| *o - first).collect::<Vec<O>>())
}

/// The buffer's bytes: moved when nobody else holds them, else copied.
fn bytes(buffer: Buffer) -> Vec<u8> {
    crate::memory::into_bytes(buffer)
}

fn count(n: usize) -> Result<u32> {
    u32::try_from(n).map_err(|_| Error::Internal(format!("{n} values in one batch")))
}
