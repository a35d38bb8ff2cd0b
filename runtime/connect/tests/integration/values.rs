//! The values of arrays in the form in which `tests/reference/reference.py` prints them.

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal128Type, Decimal256Type, Float64Type, Int64Type,
    IntervalMonthDayNanoType, Time64NanosecondType, TimeUnit, UInt64Type,
};
use serde_json::{Map, Value};

pub(crate) fn values(array: &dyn Array) -> Vec<Value> {
    (0..array.len()).map(|row| value(array, row)).collect()
}

fn value(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let one = array.slice(row, 1);
    let as_type = |data_type: &DataType| cast(&one, data_type).unwrap();
    match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => one.as_boolean().value(0).into(),
        data_type if data_type.is_signed_integer() => {
            let array = as_type(&DataType::Int64);
            format!("i:{}", array.as_primitive::<Int64Type>().value(0)).into()
        }
        data_type if data_type.is_unsigned_integer() => {
            let array = as_type(&DataType::UInt64);
            format!("i:{}", array.as_primitive::<UInt64Type>().value(0)).into()
        }
        data_type if data_type.is_floating() => {
            let array = as_type(&DataType::Float64);
            float(array.as_primitive::<Float64Type>().value(0)).into()
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let array = as_type(&DataType::Utf8);
            format!("s:{}", array.as_string::<i32>().value(0)).into()
        }
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => {
            let array = as_type(&DataType::Binary);
            let bytes = array.as_binary::<i32>().value(0);
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("b:{hex}").into()
        }
        DataType::Decimal128(_, scale) => {
            let unscaled = one.as_primitive::<Decimal128Type>().value(0).to_string();
            decimal(unscaled, *scale).into()
        }
        DataType::Decimal256(_, scale) => {
            let unscaled = one.as_primitive::<Decimal256Type>().value(0).to_string();
            decimal(unscaled, *scale).into()
        }
        DataType::Date32 => format!("D:{}", one.as_primitive::<Date32Type>().value(0)).into(),
        DataType::Date64 => {
            let millis = one.as_primitive::<Date64Type>().value(0);
            format!("T:{}", i128::from(millis) * 1_000_000).into()
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let array = as_type(&DataType::Time64(TimeUnit::Nanosecond));
            let nanos = array.as_primitive::<Time64NanosecondType>().value(0);
            format!("t:{nanos}").into()
        }
        DataType::Timestamp(unit, _) => {
            let factor = match unit {
                TimeUnit::Second => 1_000_000_000,
                TimeUnit::Millisecond => 1_000_000,
                TimeUnit::Microsecond => 1_000,
                TimeUnit::Nanosecond => 1,
            };
            let array = as_type(&DataType::Int64);
            let raw = array.as_primitive::<Int64Type>().value(0);
            format!("T:{}", i128::from(raw) * factor).into()
        }
        // Avro's twelve bytes of a duration.
        DataType::Interval(_) => {
            let interval = one.as_primitive::<IntervalMonthDayNanoType>().value(0);
            let millis = (interval.nanoseconds / 1_000_000) as u32;
            let parts = [interval.months as u32, interval.days as u32, millis];
            let bytes = parts.map(u32::to_le_bytes).concat();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("b:{hex}").into()
        }
        DataType::List(_) => values(one.as_list::<i32>().value(0).as_ref()).into(),
        DataType::FixedSizeList(..) => values(one.as_fixed_size_list().value(0).as_ref()).into(),
        DataType::Map(..) => {
            let entries = one.as_map().value(0);
            let keys = values(entries.column(0).as_ref());
            let inner = values(entries.column(1).as_ref());
            // An empty map looks like an empty list there.
            if keys.is_empty() {
                return Value::Array(Vec::new());
            }
            let pairs = keys.iter().map(key).zip(inner);
            pairs.collect::<Map<_, _>>().into()
        }
        DataType::Struct(fields) => {
            let columns = one.as_struct().columns().iter();
            let inner = columns.map(|column| value(column.as_ref(), 0));
            let names = fields.iter().map(|field| field.name().clone());
            names.zip(inner).collect::<Map<_, _>>().into()
        }
        DataType::Dictionary(_, inner) => value(as_type(inner).as_ref(), 0),
        other => panic!("no form for {other}"),
    }
}

fn key(value: &Value) -> String {
    match value.as_str().and_then(|text| text.strip_prefix("s:")) {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    }
}

fn float(value: f64) -> String {
    if value.is_nan() {
        return "f:nan".into();
    }
    format!("f:{:016x}", value.to_bits())
}

fn decimal(unscaled: String, scale: i8) -> String {
    let (mut digits, mut scale) = (unscaled, scale);
    while scale > 0 && digits.ends_with('0') && digits != "0" {
        digits.pop();
        scale -= 1;
    }
    if digits == "0" {
        scale = 0;
    }
    format!("d:{digits}/{scale}")
}
