//! The same kernels in what else runs user code beside a query engine: arrow-udf's wasm runtime and pandas UDFs of PySpark.
//!
//! Cost model: arrow-udf encodes a batch as an Arrow IPC file, copies it into the guest, decodes and encodes there,
//! and decodes on the host, a cost for each byte and some microseconds for each call; it checks no clock, so that its loops are
//! faster. PySpark turns rows into Arrow, writes them through a pipe to a Python process, makes pandas columns of
//! them, and all of it back. tenon copies buffers once each way.
//!
//! One core each, one batch after the other. Against arrow-udf, an instance is called by hand, since that runtime has no
//! plan: batches of the given size, tenon's not joined. Against PySpark, tenon's figure is of a whole plan with 8192
//! rows a batch, as Spark's is of a whole query. The peers are processes of their own that print lines of JSON;
//! `make bench` builds them and says where they are. One that cannot be built is absent from the table, and is no error.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot go on should stop"
)]

mod support;

use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use support::{GUEST, Lane, input, machine, median, one_thread, table};
use tenon_host::{FixedBudget, Limits, MapInstance, Plugin};
use tenon_tests::{World, component, root};

const KERNELS: [&str; 6] = [
    "gcd",
    "add-one",
    "substring",
    "upper",
    "regex-match",
    "haversine",
];
const SIZES: [usize; 3] = [1024, 8192, 65_536];
const CHECKED: usize = 8192;
const ROUNDS: usize = 11;
/// At least this long is a round.
const ROUND: Duration = Duration::from_millis(20);

/// What one peer did with one kernel.
struct Line {
    peer: String,
    how: String,
    kernel: String,
    rows: usize,
    nanos_per_row: f64,
    sum: f64,
}

fn summary(ratios: Vec<f64>) -> String {
    if ratios.is_empty() {
        return "absent".to_owned();
    }
    let least = ratios.iter().copied().fold(f64::MAX, f64::min);
    format!("median {:.1}x, least {least:.1}x", median(ratios))
}

fn main() {
    println!("{}", machine());
    let runtime = one_thread();
    let world = World::with_plugins(&[GUEST]);
    let plugin = world.host.load(&component(GUEST)).unwrap();

    let arrow_udf = arrow_udf();
    println!(
        "| kernel | rows a batch | tenon M rows/s | arrow-udf `#[function]` | tenon is | arrow-udf `batch_fn`, the same kernel | tenon is |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut ratios = Vec::new();
    for kernel in KERNELS {
        for rows in SIZES {
            let (ours, sum) = runtime.block_on(called(&plugin, kernel, rows));
            let [function, batch] = ["#[function]", "batch_fn"].map(|how| {
                let of = |l: &&Line| l.kernel == kernel && l.rows == rows && l.how == how;
                peer(arrow_udf.iter().find(of), ours, sum)
            });
            ratios.push((rows, function.1, batch.1));
            println!(
                "| {kernel} | {rows} | {:.1} | {} | {} |",
                1e3 / ours,
                function.0,
                batch.0
            );
        }
    }
    for rows in SIZES {
        let of_size = || ratios.iter().filter(|ratio| ratio.0 == rows);
        println!(
            "{rows} rows: `#[function]` {}; `batch_fn` {}",
            summary(of_size().filter_map(|ratio| ratio.1).collect()),
            summary(of_size().filter_map(|ratio| ratio.2).collect())
        );
    }

    let pyspark = pyspark();
    println!("\n| kernel | tenon M rows/s | pandas UDF M rows/s | tenon is |");
    println!("|---|---|---|---|");
    for kernel in KERNELS {
        let ours = runtime.block_on(planned(&world, kernel));
        let (_, sum) = runtime.block_on(called(&plugin, kernel, CHECKED));
        let (cell, _) = peer(pyspark.iter().find(|l| l.kernel == kernel), ours, sum);
        println!("| {kernel} | {:.1} | {cell} |", 1e3 / ours);
    }
}

/// A peer's cells, and by what tenon is faster.
fn peer(line: Option<&Line>, ours: f64, sum: f64) -> (String, Option<f64>) {
    let Some(line) = line else {
        return ("absent | ".to_owned(), None);
    };
    let (theirs, ratio) = (1e3 / line.nanos_per_row, line.nanos_per_row / ours);
    if (line.sum - sum).abs() > sum.abs() * 1e-9 {
        let wrong = format!("{} computes {} and not {sum}", line.peer, line.sum);
        return (format!("{wrong} | "), None);
    }
    (format!("{theirs:.1} | {ratio:.1}x"), Some(ratio))
}

/// Nanoseconds a row of an instance that is called by hand, and the sum of its results for the first rows.
async fn called(plugin: &Plugin, kernel: &str, rows: usize) -> (f64, f64) {
    let batch = input(kernel, 0, rows);
    let mut instance = open(plugin, kernel, &batch).await;
    let (start, mut calls) = (Instant::now(), 0_u32);
    while start.elapsed() < ROUND {
        black_box(instance.apply(&batch).await.unwrap());
        calls += 1;
    }
    let mut nanos = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..calls {
            black_box(instance.apply(&batch).await.unwrap());
        }
        nanos.push(start.elapsed().as_nanos() as f64 / f64::from(calls) / rows as f64);
    }
    let first = instance.apply(&input(kernel, 0, CHECKED)).await.unwrap();
    (median(nanos), sum(first.columns.column(0)))
}

async fn open(plugin: &Plugin, kernel: &str, batch: &RecordBatch) -> MapInstance {
    let (limits, budget) = (Limits::default(), Arc::new(FixedBudget::new(1 << 30)));
    let schema = batch.schema();
    let binding = plugin.bind_map(kernel, "{}", &schema, &limits, Arc::clone(&budget) as _);
    let binding = binding.await.unwrap();
    plugin.open_map(&binding, &limits, budget).await.unwrap()
}

/// Nanoseconds a row of a whole plan.
async fn planned(world: &World, kernel: &str) -> f64 {
    let lane = Lane::plugin(world, kernel, table(kernel, 8192, 1 << 21, 1), 8192).await;
    lane.run().await;
    let mut nanos = Vec::new();
    for _ in 0..5 {
        nanos.push(lane.run().await.nanos_per_row());
    }
    median(nanos)
}

fn arrow_udf() -> Vec<Line> {
    let Some(folder) = std::env::var_os("TENON_PEER_ARROW_UDF") else {
        println!("arrow-udf: absent (`make bench` builds it)\n");
        return Vec::new();
    };
    let folder = std::path::PathBuf::from(folder);
    let mut command = Command::new(folder.join("host/tenon-peer-arrow-udf"));
    command.arg(folder.join("guest.wasm"));
    lines("arrow-udf", command)
}

fn pyspark() -> Vec<Line> {
    let Some(python) = std::env::var_os("TENON_PEER_PYTHON") else {
        println!("\nPySpark: absent (`make bench` installs it)");
        return Vec::new();
    };
    let mut command = Command::new(&python);
    command
        .arg(root().join("tests/peers/pyspark/bench.py"))
        .env("PYSPARK_PYTHON", &python);
    lines("PySpark", command)
}

/// What a peer prints, or nothing, with the reason, when it cannot run.
fn lines(peer: &str, mut command: Command) -> Vec<Line> {
    let output = match command.output() {
        Ok(output) if output.status.success() => output.stdout,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            println!(
                "{peer}: absent: {}\n",
                said.lines().last().unwrap_or_default()
            );
            return Vec::new();
        }
        Err(error) => {
            println!("{peer}: absent: {error}\n");
            return Vec::new();
        }
    };
    let text = String::from_utf8_lossy(&output);
    text.lines().filter_map(line).collect()
}

fn line(text: &str) -> Option<Line> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let word = |key: &str| value[key].as_str().map(str::to_owned);
    Some(Line {
        peer: word("peer")?,
        how: word("how")?,
        kernel: word("kernel")?,
        rows: usize::try_from(value["rows"].as_u64()?).ok()?,
        nanos_per_row: value["nanos_per_row"].as_f64()?,
        sum: value["sum"].as_f64()?,
    })
}

/// The sum of a column: numbers, bytes of text, true values.
fn sum(column: &ArrayRef) -> f64 {
    let long = |values: &mut dyn Iterator<Item = f64>| values.sum();
    match column.data_type() {
        DataType::Int32 => long(
            &mut column
                .as_primitive::<Int32Type>()
                .values()
                .iter()
                .map(|v| f64::from(*v)),
        ),
        DataType::Int64 => long(
            &mut column
                .as_primitive::<Int64Type>()
                .values()
                .iter()
                .map(|v| *v as f64),
        ),
        DataType::Float64 => column.as_primitive::<Float64Type>().values().iter().sum(),
        DataType::Boolean => column.as_boolean().true_count() as f64,
        _ => long(
            &mut column
                .as_string::<i32>()
                .value_data()
                .iter()
                .map(|b| f64::from(*b)),
        ),
    }
}
