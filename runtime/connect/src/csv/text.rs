//! Typed columns from text, for formats other than CSV: [`TextType`] and [`TextColumn`].
//!
//! The same rules and the same parse functions as for CSV, so `0812` is text in every format. What is known of a column is
//! its type alone, so that dates are read in one style, `2026-07-31`; in others they are text.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder, TimestampNanosecondBuilder,
};
use arrow::datatypes::{DataType, TimeUnit};

use crate::csv::types::{self, Candidates, DateStyle, Kind, UTC};
use crate::error::{Error, Result};

/// The types that every text so far survives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextType(Candidates);

impl TextType {
    pub(crate) fn new() -> Self {
        Self(Candidates::new())
    }

    /// Takes one more value into account; empty means null and fits everything.
    pub(crate) fn observe(&mut self, value: &str) {
        self.0.observe(value.as_bytes());
    }

    /// What is left when both must fit.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0.and(other.0))
    }

    /// The most specific type left; text without any value.
    pub(crate) fn data_type(self) -> DataType {
        match self.0.kind() {
            Kind::Date(style) if style != DateStyle::Iso => DataType::Utf8,
            kind => kind.data_type(),
        }
    }
}

/// One column being filled from text.
pub(crate) enum TextColumn {
    Boolean(BooleanBuilder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Date(Date32Builder),
    /// True for values with an offset.
    Micros(TimestampMicrosecondBuilder, bool),
    Nanos(TimestampNanosecondBuilder, bool),
    Text(StringBuilder),
}

impl TextColumn {
    pub(crate) fn new(data_type: &DataType) -> Result<Self> {
        let micros = TimestampMicrosecondBuilder::new;
        let nanos = TimestampNanosecondBuilder::new;
        Ok(match data_type {
            DataType::Boolean => TextColumn::Boolean(BooleanBuilder::new()),
            DataType::Int64 => TextColumn::Int64(Int64Builder::new()),
            DataType::Float64 => TextColumn::Float64(Float64Builder::new()),
            DataType::Date32 => TextColumn::Date(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, None) => TextColumn::Micros(micros(), false),
            DataType::Timestamp(TimeUnit::Nanosecond, None) => TextColumn::Nanos(nanos(), false),
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if **zone == *UTC => {
                TextColumn::Micros(micros().with_timezone(UTC), true)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, Some(zone)) if **zone == *UTC => {
                TextColumn::Nanos(nanos().with_timezone(UTC), true)
            }
            DataType::Utf8 => TextColumn::Text(StringBuilder::new()),
            other => {
                return Err(Error::Unsupported(format!(
                    "text cannot be read as {other}; read it as text and cast"
                )));
            }
        })
    }

    /// Appends a value, null if empty; false if it is not of the column's type.
    pub(crate) fn append(&mut self, value: &str) -> bool {
        if value.is_empty() {
            self.append_null();
            return true;
        }
        macro_rules! append {
            ($builder:expr, $parsed:expr) => {{
                let parsed = $parsed;
                $builder.append_option(parsed);
                parsed.is_some()
            }};
        }
        let (micros, nanos) = (TimeUnit::Microsecond, TimeUnit::Nanosecond);
        let text = value.as_bytes();
        match self {
            TextColumn::Boolean(b) => append!(b, types::boolean(text)),
            TextColumn::Int64(b) => append!(b, types::int64(text)),
            TextColumn::Float64(b) => append!(b, types::float64(text)),
            TextColumn::Date(b) => append!(b, types::date(text, DateStyle::Iso)),
            TextColumn::Micros(b, false) => append!(b, types::timestamp(text, micros)),
            TextColumn::Micros(b, true) => append!(b, types::timestamp_utc(text, micros)),
            TextColumn::Nanos(b, false) => append!(b, types::timestamp(text, nanos)),
            TextColumn::Nanos(b, true) => append!(b, types::timestamp_utc(text, nanos)),
            TextColumn::Text(b) => append!(b, Some(value)),
        }
    }

    pub(crate) fn append_null(&mut self) {
        match self {
            TextColumn::Boolean(b) => b.append_null(),
            TextColumn::Int64(b) => b.append_null(),
            TextColumn::Float64(b) => b.append_null(),
            TextColumn::Date(b) => b.append_null(),
            TextColumn::Micros(b, _) => b.append_null(),
            TextColumn::Nanos(b, _) => b.append_null(),
            TextColumn::Text(b) => b.append_null(),
        }
    }

    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            TextColumn::Boolean(_) => "a boolean",
            TextColumn::Int64(_) => "an int64",
            TextColumn::Float64(_) => "a float64",
            TextColumn::Date(_) => "a date",
            TextColumn::Micros(_, false) | TextColumn::Nanos(_, false) => "a timestamp",
            TextColumn::Micros(_, true) | TextColumn::Nanos(_, true) => {
                "a timestamp with an offset"
            }
            TextColumn::Text(_) => "text",
        }
    }

    pub(crate) fn finish(&mut self) -> ArrayRef {
        match self {
            TextColumn::Boolean(b) => Arc::new(b.finish()),
            TextColumn::Int64(b) => Arc::new(b.finish()),
            TextColumn::Float64(b) => Arc::new(b.finish()),
            TextColumn::Date(b) => Arc::new(b.finish()),
            TextColumn::Micros(b, _) => Arc::new(b.finish()),
            TextColumn::Nanos(b, _) => Arc::new(b.finish()),
            TextColumn::Text(b) => Arc::new(b.finish()),
        }
    }
}
