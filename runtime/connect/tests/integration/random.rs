//! Record batches of every type that a writer takes, from a seed.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryBuilder,
    Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int32Builder, Int64Array,
    ListBuilder, MapBuilder, RecordBatch, StringArray, StringBuilder, StructArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, UInt8Array, UInt16Array, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Fields};

/// Which types a writer takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kinds {
    All,
    Avro,
    Orc,
}

/// A generator that is the same everywhere (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Null one time in four.
    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (!self.next().is_multiple_of(4)).then(|| value(self))
    }

    fn text(&mut self) -> String {
        const PARTS: &[&str] = &[
            "a",
            "\u{e9}",
            "\u{1f600}",
            ",",
            "\"",
            "\n",
            " ",
            "0",
            "\\",
            "\0",
        ];
        let length = self.next() % 12;
        (0..length)
            .map(|_| PARTS[(self.next() % PARTS.len() as u64) as usize])
            .collect()
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.next() % 40;
        (0..length).map(|_| self.next() as u8).collect()
    }

    fn float(&mut self) -> f64 {
        match self.next() % 8 {
            0 => f64::INFINITY,
            1 => -0.0,
            2 => f64::MIN_POSITIVE,
            _ => self.next() as i64 as f64 / 1024.0,
        }
    }

    /// Within the years that every unit can hold.
    fn seconds(&mut self) -> i64 {
        (self.next() % 8_000_000_000) as i64 - 4_000_000_000
    }
}

pub(crate) fn random_batch(kinds: Kinds, rows: usize, seed: u64) -> RecordBatch {
    let mut random = Random(seed);
    let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
    macro_rules! column {
        ($name:literal, $array:ty, $value:expr) => {{
            let values = (0..rows).map(|_| random.maybe(|random| ($value)(random)));
            let array = <$array>::from_iter(values.collect::<Vec<_>>());
            columns.push(($name, Arc::new(array)));
        }};
    }
    column!("bool", BooleanArray, |r: &mut Random| r
        .next()
        .is_multiple_of(2));
    column!("i8", Int8Array, |r: &mut Random| r.next() as i8);
    column!("i16", Int16Array, |r: &mut Random| r.next() as i16);
    column!("i32", Int32Array, |r: &mut Random| r.next() as i32);
    column!("i64", Int64Array, |r: &mut Random| r.next() as i64);
    column!("u8", UInt8Array, |r: &mut Random| r.next() as u8);
    column!("u16", UInt16Array, |r: &mut Random| r.next() as u16);
    column!("u32", UInt32Array, |r: &mut Random| r.next() as u32);
    column!("f32", Float32Array, |r: &mut Random| r.float() as f32);
    column!("f64", Float64Array, |r: &mut Random| r.float());
    column!("text", StringArray, |r: &mut Random| r.text());
    column!("bytes", BinaryArray, |r: &mut Random| r.bytes());
    column!("date", Date32Array, |r: &mut Random| (r.seconds() / 86_400)
        as i32);
    column!("micros", TimestampMicrosecondArray, |r: &mut Random| r
        .seconds()
        * 1_000_000
        + 123_456);
    column!("millis", TimestampMillisecondArray, |r: &mut Random| r
        .seconds()
        * 1_000
        + 7);
    let instants = (0..rows).map(|_| random.maybe(|r| r.seconds() * 1_000_000 + 1));
    let instants = TimestampMicrosecondArray::from_iter(instants.collect::<Vec<_>>());
    columns.push(("instant", Arc::new(instants.with_timezone("+00:00"))));
    if kinds != Kinds::Avro {
        column!("nanos", TimestampNanosecondArray, |r: &mut Random| r
            .seconds()
            * 1_000_000_000
            + 9);
    }
    if kinds != Kinds::Orc {
        column!(
            "time",
            Time64MicrosecondArray,
            |r: &mut Random| (r.next() % 86_400_000_000) as i64
        );
        let decimals = (0..rows).map(|_| random.maybe(|r| i128::from(r.next() as i64)));
        let decimals = Decimal128Array::from_iter(decimals.collect::<Vec<_>>());
        let decimals = decimals.with_precision_and_scale(25, 4).unwrap();
        columns.push(("decimal", Arc::new(decimals)));
        columns.extend(nested(&mut random, rows));
    }
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap()
}

fn nested(random: &mut Random, rows: usize) -> Vec<(&'static str, ArrayRef)> {
    let mut fixed = FixedSizeBinaryBuilder::new(4);
    let mut lists = ListBuilder::new(Int32Builder::new());
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for _ in 0..rows {
        match random.maybe(|r| (r.next() as u32).to_le_bytes()) {
            Some(bytes) => fixed.append_value(bytes).unwrap(),
            None => fixed.append_null(),
        }
        let length = random.next() % 4;
        for index in 0..length {
            lists
                .values()
                .append_option(random.maybe(|r| r.next() as i32));
            maps.keys().append_value(format!("k{index}"));
            maps.values()
                .append_option(random.maybe(|r| r.next() as i32));
        }
        let is_there = !random.next().is_multiple_of(4) || length > 0;
        lists.append(is_there);
        maps.append(is_there).unwrap();
    }
    let fields = Fields::from(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Utf8, true),
    ]);
    let a: Int64Array = (0..rows)
        .map(|_| random.maybe(|r| r.next() as i64))
        .collect();
    let b: StringArray = (0..rows).map(|_| random.maybe(Random::text)).collect();
    let valid: Vec<bool> = (0..rows)
        .map(|_| !random.next().is_multiple_of(4))
        .collect();
    let structs = StructArray::new(fields, vec![Arc::new(a), Arc::new(b)], Some(valid.into()));
    vec![
        ("fixed", Arc::new(fixed.finish())),
        ("list", Arc::new(lists.finish())),
        ("map", Arc::new(maps.finish())),
        ("struct", Arc::new(structs)),
    ]
}
