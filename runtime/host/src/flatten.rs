//! Host to guest: Arrow arrays to nodes and borrowed buffers.
//!
//! Buffers are shared, not copied, wherever Arrow's layout already is the contract's; the one
//! copy is wasmtime's, into guest memory. Slices are cut to what they refer to, offsets rebased to
//! zero and bitmaps realigned, so that a slice of eight rows never drags its parent along.

use arrow::array::{Array, ArrayData, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait};
use arrow::buffer::{BooleanBuffer, Buffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;

use crate::bindings::tenon::plugin::types::{BatchParam, Node};
use crate::error::{Error, Result};
use crate::schema::wire_type;

/// A batch in the contract's form, sharing the buffers of its arrays.
#[derive(Debug, Default)]
pub(crate) struct Flat {
    rows: u32,
    nodes: Vec<Node>,
    buffers: Vec<Buffer>,
}

impl Flat {
    /// The columns of `batch` at `projection`, at most `u32::MAX` rows.
    ///
    /// # Errors
    /// A column's type has no form in the contract, or it has too many rows.
    pub(crate) fn of(batch: &RecordBatch, projection: &[usize]) -> Result<Self> {
        let mut flat = Self {
            rows: count(batch.num_rows())?,
            ..Self::default()
        };
        for &i in projection {
            flat.push_column(batch.column(i), batch.schema_ref().field(i).name())?;
        }
        Ok(flat)
    }

    /// Bytes that cross the boundary.
    pub(crate) fn bytes(&self) -> usize {
        self.buffers.iter().map(Buffer::len).sum()
    }

    /// The buffers as slices; `param` borrows them.
    pub(crate) fn slices(&self) -> Vec<&[u8]> {
        self.buffers.iter().map(Buffer::as_slice).collect()
    }

    /// The argument of a guest call.
    pub(crate) fn param<'a>(&'a self, slices: &'a [&'a [u8]]) -> BatchParam<'a> {
        BatchParam {
            rows: self.rows,
            nodes: &self.nodes,
            buffers: slices,
        }
    }

    fn push_column(&mut self, array: &ArrayRef, column: &str) -> Result<()> {
        let wire = wire_type(array.data_type());
        if wire == *array.data_type() {
            return self.push_array(array, column);
        }
        let plain = cast(array, &wire)
            .map_err(|e| Error::Unsupported(format!("column {column:?}: {e}")))?;
        self.push_array(&plain, column)
    }

    fn push_array(&mut self, array: &dyn Array, column: &str) -> Result<()> {
        let nulls = if *array.data_type() == DataType::Null {
            array.len()
        } else {
            array.null_count()
        };
        self.nodes.push(Node {
            length: count(array.len())?,
            nulls: count(nulls)?,
        });
        self.push_validity(array);
        match array.data_type() {
            DataType::Null => {}
            DataType::Boolean => self.buffers.push(bits(array.as_boolean().values())),
            DataType::Utf8 | DataType::Binary => self.push_bytes::<i32>(&array.to_data()),
            DataType::LargeUtf8 | DataType::LargeBinary => self.push_bytes::<i64>(&array.to_data()),
            DataType::List(_) => self.push_list(array.as_list::<i32>(), column)?,
            DataType::LargeList(_) => self.push_list(array.as_list::<i64>(), column)?,
            DataType::Map(_, _) => {
                let map = array.as_map();
                let entries = self.push_offsets(map.offsets());
                self.push_array(&map.entries().slice(entries.0, entries.1), column)?;
            }
            DataType::FixedSizeList(_, size) => {
                let list = array.as_fixed_size_list();
                let start = usize::try_from(list.value_offset(0)).unwrap_or(0);
                let length = usize::try_from(*size).unwrap_or(0) * list.len();
                self.push_array(
                    &list
                        .values()
                        .slice(if list.is_empty() { 0 } else { start }, length),
                    column,
                )?;
            }
            DataType::Struct(_) => {
                for child in array.as_struct().columns() {
                    self.push_array(child, column)?;
                }
            }
            other => self.push_fixed_width(&array.to_data(), other, column)?,
        }
        Ok(())
    }

    fn push_validity(&mut self, array: &dyn Array) {
        if *array.data_type() == DataType::Null {
            return;
        }
        let bitmap = match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            Some(nulls) => bits(nulls.inner()),
            None => Buffer::default(),
        };
        self.buffers.push(bitmap);
    }

    fn push_fixed_width(
        &mut self,
        data: &ArrayData,
        data_type: &DataType,
        column: &str,
    ) -> Result<()> {
        let width = match data_type {
            DataType::FixedSizeBinary(n) => usize::try_from(*n).ok(),
            other => other.primitive_width(),
        };
        let Some(width) = width else {
            return Err(Error::Unsupported(format!(
                "column {column:?} has type {data_type}, which plugins cannot take yet"
            )));
        };
        self.buffers
            .push(data.buffers()[0].slice_with_length(data.offset() * width, data.len() * width));
        Ok(())
    }

    fn push_bytes<O: OffsetSizeTrait>(&mut self, data: &ArrayData) {
        if data.is_empty() {
            self.buffers.push(Buffer::from_slice_ref([O::default()]));
            self.buffers.push(Buffer::default());
            return;
        }
        let offsets = OffsetBuffer::<O>::new(arrow::buffer::ScalarBuffer::new(
            data.buffers()[0].clone(),
            data.offset(),
            data.len() + 1,
        ));
        let (start, length) = self.push_offsets(&offsets);
        self.buffers
            .push(data.buffers()[1].slice_with_length(start, length));
    }

    fn push_list<O: OffsetSizeTrait>(
        &mut self,
        list: &GenericListArray<O>,
        column: &str,
    ) -> Result<()> {
        let (start, length) = self.push_offsets(list.offsets());
        self.push_array(&list.values().slice(start, length), column)
    }

    /// Pushes offsets that start at zero; returns start and length of what they referred to.
    fn push_offsets<O: OffsetSizeTrait>(&mut self, offsets: &OffsetBuffer<O>) -> (usize, usize) {
        let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
        if first.as_usize() == 0 {
            self.buffers.push(offsets.inner().inner().clone());
        } else {
            let rebased: Vec<O> = offsets.iter().map(|o| *o - first).collect();
            self.buffers.push(Buffer::from_vec(rebased));
        }
        (first.as_usize(), last.as_usize() - first.as_usize())
    }
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
