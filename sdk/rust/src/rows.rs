//! What stands behind `#[tenon_sdk::plugin]` on a function of single values: the loop over the rows.
//!
//! The loop has no branch for missing values where there are none, and runs over chunks of a fixed length, so
//! that the compiler makes vector code of simple functions and the sandbox's clock is looked at once for each chunk
//! instead of once for each row.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray, RecordBatch, StringArray};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer};
use arrow_schema::{DataType, SchemaRef};

use crate::error::{Error, Result};

/// Rows between two looks at the clock.
pub const CHUNK: usize = 256;

/// A type that a parameter of a row function may have.
pub trait Value<'a>: Sized {
    /// The array in which its values lie.
    type Column: Array + 'static;
    /// Whether a missing value makes the result missing, without a call.
    const PROPAGATES: bool = true;
    /// Whether a column of this type has such values.
    fn accepts(data_type: &DataType) -> bool;
    /// The value of a row; of one that is not missing, where missing values propagate.
    fn get(column: &'a Self::Column, row: usize) -> Self;
}

impl<'a, T: Value<'a>> Value<'a> for Option<T> {
    type Column = T::Column;
    const PROPAGATES: bool = false;
    fn accepts(data_type: &DataType) -> bool {
        T::accepts(data_type)
    }
    #[inline(always)]
    fn get(column: &'a Self::Column, row: usize) -> Self {
        (!column.is_null(row)).then(|| T::get(column, row))
    }
}

/// A type that a row function may return.
pub trait Output: Sized {
    /// Collects the values.
    type Builder: Build<Self>;
    /// The type of the column.
    const TYPE: DataType;
}

/// Collects the values of a column.
pub trait Build<T> {
    /// With room for so many rows.
    fn new(rows: usize) -> Self;
    /// Adds a value.
    fn push(&mut self, value: T);
    /// Adds several.
    fn extend(&mut self, values: impl ExactSizeIterator<Item = T>) {
        values.for_each(|value| self.push(value));
    }
    /// Adds what stands at a missing value.
    fn skip(&mut self);
    /// The column.
    fn finish(self, nulls: Option<NullBuffer>) -> ArrayRef;
}

macro_rules! primitives {
    ($($native:ty = $arrow:ty),* $(,)?) => {
        $(
            impl<'a> Value<'a> for $native {
                type Column = PrimitiveArray<$arrow>;
                fn accepts(data_type: &DataType) -> bool {
                    *data_type == <$arrow>::DATA_TYPE
                }
                #[inline(always)]
                fn get(column: &'a Self::Column, row: usize) -> Self {
                    column.values()[row]
                }
            }

            impl Output for $native {
                type Builder = Numbers<$arrow>;
                const TYPE: DataType = <$arrow>::DATA_TYPE;
            }
        )*
    };
}

primitives! {
    i8 = Int8Type, i16 = Int16Type, i32 = Int32Type, i64 = Int64Type,
    u8 = UInt8Type, u16 = UInt16Type, u32 = UInt32Type, u64 = UInt64Type,
    f32 = Float32Type, f64 = Float64Type,
}

/// A column of numbers in the making.
#[derive(Debug)]
pub struct Numbers<T: ArrowPrimitiveType>(Vec<T::Native>);

impl<T: ArrowPrimitiveType> Build<T::Native> for Numbers<T> {
    fn new(rows: usize) -> Self {
        Self(Vec::with_capacity(rows))
    }
    #[inline(always)]
    fn push(&mut self, value: T::Native) {
        self.0.push(value);
    }
    #[inline(always)]
    fn extend(&mut self, values: impl ExactSizeIterator<Item = T::Native>) {
        self.0.extend(values);
    }
    fn skip(&mut self) {
        self.0.push(T::Native::default());
    }
    fn finish(self, nulls: Option<NullBuffer>) -> ArrayRef {
        Arc::new(PrimitiveArray::<T>::new(self.0.into(), nulls))
    }
}

impl<'a> Value<'a> for bool {
    type Column = BooleanArray;
    fn accepts(data_type: &DataType) -> bool {
        *data_type == DataType::Boolean
    }
    #[inline(always)]
    fn get(column: &'a BooleanArray, row: usize) -> Self {
        column.values().value(row)
    }
}

impl Output for bool {
    type Builder = Flags;
    const TYPE: DataType = DataType::Boolean;
}

/// A column of booleans in the making.
#[derive(Debug)]
pub struct Flags(BooleanBufferBuilder);

impl Build<bool> for Flags {
    fn new(rows: usize) -> Self {
        Self(BooleanBufferBuilder::new(rows))
    }
    fn push(&mut self, value: bool) {
        self.0.append(value);
    }
    fn skip(&mut self) {
        self.0.append(false);
    }
    fn finish(mut self, nulls: Option<NullBuffer>) -> ArrayRef {
        Arc::new(BooleanArray::new(self.0.finish(), nulls))
    }
}

impl<'a> Value<'a> for &'a str {
    type Column = StringArray;
    fn accepts(data_type: &DataType) -> bool {
        *data_type == DataType::Utf8
    }
    #[inline(always)]
    fn get(column: &'a StringArray, row: usize) -> Self {
        column.value(row)
    }
}

/// Strings in the making: one buffer for all of them.
#[derive(Debug)]
pub struct Strings {
    offsets: Vec<i32>,
    bytes: String,
}

impl<S: AsRef<str>> Build<S> for Strings {
    fn new(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self {
            offsets,
            bytes: String::with_capacity(16 * rows),
        }
    }
    #[inline(always)]
    fn push(&mut self, value: S) {
        self.bytes.push_str(value.as_ref());
        Build::<S>::skip(self);
    }
    #[inline(always)]
    fn skip(&mut self) {
        // A guest has at most 4 GiB, of which strings of a call are a small part; the host checks all the same.
        self.offsets.push(self.bytes.len() as i32);
    }
    fn finish(self, nulls: Option<NullBuffer>) -> ArrayRef {
        let bytes = arrow_buffer::Buffer::from_vec(self.bytes.into_bytes());
        let offsets = arrow_buffer::OffsetBuffer::new(self.offsets.into());
        Arc::new(StringArray::new(offsets, bytes, nulls))
    }
}

impl Output for String {
    type Builder = Strings;
    const TYPE: DataType = DataType::Utf8;
}

impl Output for &str {
    type Builder = Strings;
    const TYPE: DataType = DataType::Utf8;
}

/// What a row function may return: a value, a value that may be missing, or either in a `Result`.
pub trait Return {
    /// The value.
    type Output: Output;
    /// Whether there is always a value.
    const ALWAYS: bool = false;
    /// The value of a row, or why there is none.
    ///
    /// # Errors
    /// The function's own.
    fn value(self) -> Result<Option<Self::Output>>;
}

impl<T: Output> Return for T {
    type Output = T;
    const ALWAYS: bool = true;
    #[inline(always)]
    fn value(self) -> Result<Option<T>> {
        Ok(Some(self))
    }
}

impl<T: Output> Return for Option<T> {
    type Output = T;
    #[inline(always)]
    fn value(self) -> Result<Option<T>> {
        Ok(self)
    }
}

impl<R: Return> Return for Result<R> {
    type Output = R::Output;
    #[inline(always)]
    fn value(self) -> Result<Option<R::Output>> {
        self.and_then(Return::value)
    }
}

/// The result type of a row function.
#[doc(hidden)]
#[must_use]
pub fn output_type<R: Return>() -> DataType {
    R::Output::TYPE
}

/// The rows that are not called: those with a missing value among the arguments that propagate.
#[doc(hidden)]
#[must_use]
pub fn missing(columns: &[(&dyn Array, bool)]) -> Option<NullBuffer> {
    columns
        .iter()
        .filter(|(_, propagates)| *propagates)
        .fold(None, |nulls, (column, _)| {
            NullBuffer::union(nulls.as_ref(), column.nulls())
        })
        .filter(|nulls| nulls.null_count() > 0)
}

/// Calls a row function for each row that is not missing.
///
/// # Errors
/// The function's own, with the row.
#[doc(hidden)]
#[inline(always)]
pub fn map<R: Return>(
    rows: usize,
    missing: Option<NullBuffer>,
    call: impl Fn(usize) -> R,
) -> Result<ArrayRef> {
    let mut column = <R::Output as Output>::Builder::new(rows);
    if R::ALWAYS && missing.is_none() {
        for start in (0..rows).step_by(CHUNK) {
            let chunk = start..rows.min(start + CHUNK);
            column.extend(chunk.map(|row| match call(row).value() {
                Ok(Some(value)) => value,
                _ => unreachable!("`ALWAYS` says that there is a value"),
            }));
        }
        return Ok(column.finish(None));
    }
    let mut present = BooleanBufferBuilder::new(rows);
    for row in 0..rows {
        let value = match &missing {
            Some(missing) if missing.is_null(row) => None,
            _ => call(row).value().map_err(|e| e.at_row(row))?,
        };
        present.append(value.is_some());
        match value {
            Some(value) => column.push(value),
            None => column.skip(),
        }
    }
    let nulls = NullBuffer::new(present.finish());
    Ok(column.finish(Some(nulls).filter(|nulls| nulls.null_count() > 0)))
}

/// The column of a parameter.
///
/// # Errors
/// It has another type than the one that was bound.
#[doc(hidden)]
pub fn argument<'a, T: Value<'a>>(
    batch: &'a RecordBatch,
    position: usize,
) -> Result<&'a T::Column> {
    let array = batch.column(position);
    array
        .as_any()
        .downcast_ref()
        .ok_or_else(|| Error::Internal(format!("column {position} is {}", array.data_type())))
}

/// A batch of one column.
///
/// # Errors
/// Arrow's word.
#[doc(hidden)]
pub fn one_column(column: ArrayRef, output: &SchemaRef) -> Result<crate::Mapped> {
    Ok(RecordBatch::try_new(Arc::clone(output), vec![column])?.into())
}
