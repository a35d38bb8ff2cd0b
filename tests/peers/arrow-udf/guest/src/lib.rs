//! The kernels as functions of arrow-udf, in the two ways that it has.
//!
//! The plain ones are what its documentation shows: a function of values, called for each row by what `#[function]`
//! generates, which vectorises pure ones of up to two numbers by itself. Those that end in `_batch` use its `batch_fn`: a function of
//! columns, which here is the very kernel that tenon's plugin runs.

#[path = "../../../../bench-guest/src/kernels.rs"]
mod kernels;

use std::fmt::Write;
use std::sync::LazyLock;

use arrow_array::{Array, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_udf::function;
use kernels::Strings;
use regex::bytes::Regex;

static ADDRESS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(kernels::ADDRESS).ok());

#[function("gcd(int32, int32) -> int32")]
fn gcd(a: i32, b: i32) -> i32 {
    kernels::gcd_of(a, b)
}

#[function("add_one(int64) -> int64")]
fn add_one(a: i64) -> i64 {
    a.wrapping_add(1)
}

#[function("substring(string) -> string")]
fn substring(s: &str, writer: &mut impl Write) {
    let part = if s.is_ascii() {
        s.get(2.min(s.len())..10.min(s.len())).unwrap_or_default()
    } else {
        let at = |n: usize| s.char_indices().nth(n).map_or(s.len(), |(at, _)| at);
        &s[at(2)..at(10)]
    };
    // Writing to a string cannot fail.
    let _ = writer.write_str(part);
}

#[function("upper(string) -> string")]
fn upper(s: &str) -> String {
    s.to_uppercase()
}

#[function("regex_match(string) -> boolean")]
fn regex_match(s: &str) -> bool {
    ADDRESS
        .as_ref()
        .is_some_and(|regex| regex.is_match(s.as_bytes()))
}

#[function("haversine(float64, float64, float64, float64) -> float64")]
fn haversine(lat1: f64, lon1: f64, lat2: f64, lon2: f64) -> f64 {
    kernels::haversine_of(lat1, lon1, lat2, lon2)
}

// `batch_fn` wants a function of values beside the one of columns, for its types.
macro_rules! batch {
    ($($signature:literal, $calls:literal, $name:ident($($argument:ident: $type:ty),*) -> $output:ty;)*) => {$(
        #[function($signature, batch_fn = $calls)]
        #[allow(dead_code, unused_variables)]
        fn $name($($argument: $type),*) -> $output {
            Default::default()
        }
    )*};
}

batch! {
    "gcd_batch(int32, int32) -> int32", "gcd_columns", gcd_batch(a: i32, b: i32) -> i32;
    "add_one_batch(int64) -> int64", "add_one_columns", add_one_batch(a: i64) -> i64;
    "substring_batch(string) -> string", "substring_columns", substring_batch(s: &str) -> String;
    "upper_batch(string) -> string", "upper_columns", upper_batch(s: &str) -> String;
    "regex_match_batch(string) -> boolean", "regex_match_columns", regex_match_batch(s: &str) -> bool;
    "haversine_batch(float64, float64, float64, float64) -> float64", "haversine_columns",
        haversine_batch(lat1: f64, lon1: f64, lat2: f64, lon2: f64) -> f64;
}

fn gcd_columns(a: &Int32Array, b: &Int32Array) -> Int32Array {
    let nulls = NullBuffer::union(a.nulls(), b.nulls());
    Int32Array::new(kernels::gcd(a.values(), b.values()).into(), nulls)
}

fn add_one_columns(a: &Int64Array) -> Int64Array {
    Int64Array::new(kernels::add_one(a.values()).into(), a.nulls().cloned())
}

fn substring_columns(s: &StringArray) -> StringArray {
    text(
        s,
        kernels::substring(s.value_offsets(), s.value_data(), 2, 8),
    )
}

fn upper_columns(s: &StringArray) -> StringArray {
    text(s, kernels::upper(s.value_offsets(), s.value_data()))
}

fn regex_match_columns(s: &StringArray) -> BooleanArray {
    let found = |regex| kernels::matches(regex, s.value_offsets(), s.value_data());
    let bitmap = ADDRESS.as_ref().map(found).unwrap_or_default();
    let values = BooleanBuffer::new(Buffer::from_vec(bitmap), 0, s.len());
    BooleanArray::new(values, s.nulls().cloned())
}

fn haversine_columns(
    lat1: &Float64Array,
    lon1: &Float64Array,
    lat2: &Float64Array,
    lon2: &Float64Array,
) -> Float64Array {
    let km = kernels::haversine(
        [lat1.values(), lon1.values()],
        [lat2.values(), lon2.values()],
    );
    let nulls = [lon1, lat2, lon2]
        .iter()
        .fold(lat1.nulls().cloned(), |nulls, column| {
            NullBuffer::union(nulls.as_ref(), column.nulls())
        });
    Float64Array::new(km.into(), nulls)
}

fn text(input: &StringArray, strings: Strings) -> StringArray {
    let offsets = OffsetBuffer::new(ScalarBuffer::from(strings.offsets));
    StringArray::new(offsets, strings.bytes.into(), input.nulls().cloned())
}
