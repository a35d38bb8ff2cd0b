//! Columns being built: [`Cells`] of a fixed width, [`Text`].
//!
//! Unlike Arrow's builders they can be cut back, which is how a reader takes back a row that turned out to be
//! bad, or not whole yet. Nothing is allocated for a value.

use arrow::array::{NullBufferBuilder, StringArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};

use crate::error::{Error, Result};

/// Values of a fixed width.
pub(crate) struct Cells<T> {
    values: Vec<T>,
    nulls: NullBufferBuilder,
}

impl<T: Copy + Default> Cells<T> {
    pub(crate) fn new(rows: usize) -> Self {
        Self {
            values: Vec::with_capacity(rows),
            nulls: NullBufferBuilder::new(rows),
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, value: T) {
        self.values.push(value);
        self.nulls.append_non_null();
    }

    #[inline]
    pub(crate) fn push_null(&mut self) {
        self.values.push(T::default());
        self.nulls.append_null();
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.nulls.truncate(rows);
    }

    /// What was pushed; the next column is expected to have `rows` rows.
    pub(crate) fn take(&mut self, rows: usize) -> (Vec<T>, Option<NullBuffer>) {
        let taken = std::mem::replace(self, Self::new(rows));
        let mut nulls = taken.nulls;
        (taken.values, nulls.finish())
    }
}

/// Text, one value behind the other. Holds less than 2 GiB: whoever fills it ends a batch long before.
pub(crate) struct Text {
    bytes: Vec<u8>,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Text {
    pub(crate) fn new(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self {
            bytes: Vec::with_capacity(bytes),
            offsets,
            nulls: NullBufferBuilder::new(rows),
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.end_value();
    }

    /// The bytes of a value that is being written; [`Text::end_value`] ends it.
    #[inline]
    pub(crate) fn value(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    #[inline]
    pub(crate) fn end_value(&mut self) {
        self.offsets.push(self.bytes.len() as i32);
        self.nulls.append_non_null();
    }

    #[inline]
    pub(crate) fn push_null(&mut self) {
        self.offsets.push(self.bytes.len() as i32);
        self.nulls.append_null();
    }

    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        let end = self.offsets.last().map_or(0, |end| *end as usize);
        self.bytes.truncate(end);
        self.nulls.truncate(rows);
    }

    /// The array of what was pushed.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub(crate) fn take(&mut self, rows: usize) -> Result<StringArray> {
        let next = Self::new(rows, self.bytes.len() + self.bytes.len() / 8);
        let mut text = std::mem::replace(self, next);
        let offsets = OffsetBuffer::new(text.offsets.into());
        StringArray::try_new(offsets, Buffer::from_vec(text.bytes), text.nulls.finish())
            .map_err(|e| Error::Query(e.into()))
    }
}
