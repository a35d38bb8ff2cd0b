//! Calls the guest's functions in arrow-udf's wasm runtime, for `tests/benches/peers.rs`.
//!
//! The argument is the guest's module. Prints a line of JSON for each function and size of batch: nanoseconds a row, the
//! median of the rounds, and the sum of the results of the first 8192 rows, by which the harness
//! checks that all peers compute the same.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow_schema::DataType;
use arrow_udf_runtime::wasm::Runtime;

const SIZES: [usize; 3] = [1024, 8192, 65_536];
const CHECKED: usize = 8192;
const ROUNDS: usize = 11;
/// At least this long is a round.
const ROUND: Duration = Duration::from_millis(20);

fn main() -> Result<()> {
    let module = std::env::args().nth(1).context("name the guest's module")?;
    let runtime = Runtime::new(&std::fs::read(module)?)?;
    let kernels = [
        ("gcd", "gcd", DataType::Int32),
        ("add-one", "add_one", DataType::Int64),
        ("substring", "substring", DataType::Utf8),
        ("upper", "upper", DataType::Utf8),
        ("regex-match", "regex_match", DataType::Boolean),
        ("haversine", "haversine", DataType::Float64),
    ];
    for (kernel, function, output) in kernels {
        measure(&runtime, kernel, function, "#[function]", &output)?;
        measure(
            &runtime,
            kernel,
            &format!("{function}_batch"),
            "batch_fn",
            &output,
        )?;
    }
    Ok(())
}

fn measure(
    runtime: &Runtime,
    kernel: &str,
    function: &str,
    how: &str,
    output: &DataType,
) -> Result<()> {
    let types: Vec<DataType> = input(kernel, 1)?
        .schema()
        .fields()
        .iter()
        .map(|field| field.data_type().clone())
        .collect();
    let handle = runtime.find_function(function, types, output.clone())?;
    let sum = sum(runtime.call(&handle, &input(kernel, CHECKED)?)?.column(0));
    for rows in SIZES {
        let batch = input(kernel, rows)?;
        // Warms up, and finds how many calls make a round.
        let (start, mut calls) = (Instant::now(), 0_u32);
        while start.elapsed() < ROUND {
            black_box(runtime.call(&handle, &batch)?);
            calls += 1;
        }
        let mut nanos = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let start = Instant::now();
            for _ in 0..calls {
                black_box(runtime.call(&handle, &batch)?);
            }
            nanos.push(start.elapsed().as_nanos() as f64 / f64::from(calls) / rows as f64);
        }
        nanos.sort_by(f64::total_cmp);
        let line = serde_json::json!({
            "peer": "arrow-udf", "how": how, "kernel": kernel, "rows": rows,
            "nanos_per_row": nanos[ROUNDS / 2], "sum": sum,
        });
        println!("{line}");
    }
    Ok(())
}

/// The first rows of a kernel's input, as in `tests/benches/support/mod.rs`.
fn input(kernel: &str, rows: usize) -> Result<RecordBatch> {
    let text = |f: &dyn Fn(usize) -> String| {
        Arc::new(StringArray::from_iter_values((0..rows).map(f))) as ArrayRef
    };
    let degrees = |by: usize, width: usize| {
        let value = |i| (i * by % width) as f64 - width as f64 / 2.0;
        Arc::new(Float64Array::from_iter_values((0..rows).map(value))) as ArrayRef
    };
    let ints = |by: i32| {
        let values = (0..rows).map(|i| i as i32 * by);
        Arc::new(Int32Array::from_iter_values(values)) as ArrayRef
    };
    let longs = || Arc::new(Int64Array::from_iter_values((0..rows).map(|i| i as i64))) as ArrayRef;
    let columns = match kernel {
        "gcd" => vec![("a", ints(1)), ("b", ints(2))],
        "add-one" => vec![("a", longs())],
        "regex-match" => {
            let end = |i| if i % 2 == 0 { "com" } else { "net" };
            vec![("s", text(&|i| format!("user.{i:07}@example.{}", end(i))))]
        }
        "haversine" => vec![
            ("lat1", degrees(1, 160)),
            ("lon1", degrees(7, 340)),
            ("lat2", degrees(13, 160)),
            ("lon2", degrees(29, 340)),
        ],
        _ => vec![("s", text(&|i| format!("Abcdefgh-{i:011}")))],
    };
    Ok(RecordBatch::try_from_iter(columns)?)
}

/// The sum of a column: numbers, bytes of text, true values.
fn sum(column: &ArrayRef) -> f64 {
    match column.data_type() {
        DataType::Int32 => column
            .as_primitive::<Int32Type>()
            .values()
            .iter()
            .map(|v| f64::from(*v))
            .sum(),
        DataType::Int64 => column
            .as_primitive::<Int64Type>()
            .values()
            .iter()
            .map(|v| *v as f64)
            .sum(),
        DataType::Float64 => column.as_primitive::<Float64Type>().values().iter().sum(),
        DataType::Boolean => column.as_boolean().true_count() as f64,
        _ => column
            .as_string::<i32>()
            .value_data()
            .iter()
            .map(|b| f64::from(*b))
            .sum(),
    }
}
