//! Values as bytes that sort like the values: text as it is, numbers of one width with the greatest byte first.

use std::sync::Arc;

use tenon_sdk::arrow_array::types::{
    Date32Type, Date64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use tenon_sdk::arrow_array::{LargeStringArray, PrimitiveArray};
use tenon_sdk::arrow_schema::TimeUnit;
use tenon_sdk::prelude::*;

/// Evaluates `then` with `Number` being the Arrow type of a number's data type, else `otherwise`.
macro_rules! with_number {
    ($data_type:expr, $then:expr, $otherwise:expr, [$($pattern:pat => $arrow:ty),* $(,)?]) => {
        match $data_type {
            $($pattern => { type Number = $arrow; $then })*
            _ => $otherwise,
        }
    };
    ($data_type:expr, $then:expr, $otherwise:expr) => {
        with_number!($data_type, $then, $otherwise, [
            DataType::Int8 => Int8Type,
            DataType::Int16 => Int16Type,
            DataType::Int32 => Int32Type,
            DataType::Int64 => Int64Type,
            DataType::UInt8 => UInt8Type,
            DataType::UInt16 => UInt16Type,
            DataType::UInt32 => UInt32Type,
            DataType::UInt64 => UInt64Type,
            DataType::Date32 => Date32Type,
            DataType::Date64 => Date64Type,
            DataType::Timestamp(TimeUnit::Second, _) => TimestampSecondType,
            DataType::Timestamp(TimeUnit::Millisecond, _) => TimestampMillisecondType,
            DataType::Timestamp(TimeUnit::Microsecond, _) => TimestampMicrosecondType,
            DataType::Timestamp(TimeUnit::Nanosecond, _) => TimestampNanosecondType,
        ])
    };
}

/// Whether values of this type have such a form.
pub(crate) fn is_supported(data_type: &DataType) -> bool {
    let others = matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Boolean
    );
    #[expect(
        clippy::redundant_closure_call,
        reason = "the type is named, but not used"
    )]
    let number = with_number!(
        data_type,
        (|_: Option<PrimitiveArray<Number>>| true)(None),
        false
    );
    others || number
}

/// Calls `each` with every row that has a value, and the form of the value.
pub(crate) fn encode(column: &ArrayRef, mut each: impl FnMut(usize, &[u8])) -> Result<()> {
    let rows = (0..column.len()).filter(|row| column.is_valid(*row));
    match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            rows.for_each(|row| each(row, texts.value(row).as_bytes()));
        }
        DataType::LargeUtf8 => {
            let texts = column.as_string::<i64>();
            rows.for_each(|row| each(row, texts.value(row).as_bytes()));
        }
        DataType::Boolean => {
            let flags = column.as_boolean();
            rows.for_each(|row| each(row, &[u8::from(flags.value(row))]));
        }
        number => with_number!(
            number,
            {
                let values = column.as_primitive::<Number>().values();
                // One width for all, wider than each: then neither sign nor size is a special case.
                rows.for_each(|row| each(row, &sortable(i128::from(values[row]))));
            },
            return Err(Error::Internal(format!("{number} has no form")))
        ),
    }
    Ok(())
}

fn sortable(number: i128) -> [u8; 16] {
    (number ^ i128::MIN).to_be_bytes()
}

/// The column of values whose forms these are.
pub(crate) fn decode(data_type: &DataType, forms: &[Option<&[u8]>]) -> Result<ArrayRef> {
    let texts = || forms.iter().map(|form| form.map(text).transpose());
    Ok(match data_type {
        DataType::Utf8 => Arc::new(texts().collect::<Result<StringArray>>()?),
        DataType::LargeUtf8 => Arc::new(texts().collect::<Result<LargeStringArray>>()?),
        DataType::Boolean => {
            let flags = forms.iter().map(|form| form.map(|form| form == [1]));
            Arc::new(flags.collect::<BooleanArray>())
        }
        number => with_number!(
            number,
            {
                let values = forms.iter().map(|form| {
                    let value = form.map(of_sortable).transpose()?;
                    value
                        .map(|value| value.try_into().map_err(|_| lost()))
                        .transpose()
                });
                let values = values.collect::<Result<PrimitiveArray<Number>>>()?;
                Arc::new(values.with_data_type(number.clone()))
            },
            return Err(Error::Internal(format!("{number} has no form")))
        ),
    })
}

fn text(form: &[u8]) -> Result<&str> {
    std::str::from_utf8(form).map_err(|_| lost())
}

fn of_sortable(form: &[u8]) -> Result<i128> {
    let bytes = form.try_into().map_err(|_| lost())?;
    Ok(i128::from_be_bytes(bytes) ^ i128::MIN)
}

/// A state comes from outside of the instance.
fn lost() -> Error {
    Error::Internal("the state is none of this function's".to_owned())
}
