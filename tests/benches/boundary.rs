//! What the sandbox costs: the same kernels native in a DataFusion plan, as a plugin over Arrow buffers, and as
//! a plugin over Arrow IPC bytes in one `list<u8>`.
//!
//! Cost model: a batch that crosses pays a fixed part for each call (about half a microsecond), a part for each buffer
//! (about 0.1 us), one copy each way at the speed of memory, and on the way back the check of its values (UTF-8
//! above all). IPC pays the same copies, and encoding and decoding on both sides.
//!
//! Prints one table. Each figure is the median of its rounds, the rounds of the three ways alternating.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot go on should stop"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, BinaryArray, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::Float64Type;
use tenon_bench_guest::{blend, from_ipc, shout, to_ipc};
use tenon_host::{FixedBudget, Host, HostConfig, Limits, MapInstance, Plugin};
use tenon_tests::component;

const ROWS: usize = 8192;
const ROUNDS: usize = 15;
const CALLS: usize = 40;

fn numbers() -> RecordBatch {
    let column = |by: f64| {
        Arc::new(Float64Array::from_iter_values(
            (0..ROWS).map(|i| i as f64 * by),
        )) as ArrayRef
    };
    RecordBatch::try_from_iter([("a", column(1.5)), ("b", column(0.25))]).unwrap()
}

/// Strings of 20 bytes, padded on both sides.
fn text() -> RecordBatch {
    let strings = StringArray::from_iter_values((0..ROWS).map(|i| format!("  abcdefgh {i:07}  ")));
    RecordBatch::try_from_iter([("s", Arc::new(strings) as ArrayRef)]).unwrap()
}

fn wrapped(batch: &RecordBatch) -> RecordBatch {
    let bytes = to_ipc(batch).unwrap();
    RecordBatch::try_from_iter([(
        "ipc",
        Arc::new(BinaryArray::from_vec(vec![bytes.as_slice()])) as ArrayRef,
    )])
    .unwrap()
}

async fn open(plugin: &Plugin, function: &str, batch: &RecordBatch) -> MapInstance {
    let (limits, budget) = (Limits::default(), Arc::new(FixedBudget::new(1 << 30)));
    let binding = plugin
        .bind_map(
            function,
            "{}",
            &batch.schema(),
            &limits,
            Arc::clone(&budget) as _,
        )
        .await
        .unwrap();
    plugin.open_map(&binding, &limits, budget).await.unwrap()
}

/// Nanoseconds for each row, as the median of rounds that alternate between the ways.
struct Ways {
    native: Vec<Duration>,
    buffers: Vec<Duration>,
    ipc: Vec<Duration>,
}

fn per_row(rounds: &mut [Duration]) -> f64 {
    rounds.sort_unstable();
    rounds[rounds.len() / 2].as_nanos() as f64 / (ROWS * CALLS) as f64
}

async fn measure(
    plugin: &Plugin,
    function: &str,
    batch: &RecordBatch,
    native: impl Fn(&RecordBatch) -> ArrayRef,
) -> Ways {
    let mut ways = Ways {
        native: Vec::new(),
        buffers: Vec::new(),
        ipc: Vec::new(),
    };
    let mut buffers = open(plugin, function, batch).await;
    let mut ipc = open(plugin, &format!("{function}-ipc"), &wrapped(batch)).await;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        (0..CALLS).for_each(|_| drop(black_box(native(batch))));
        ways.native.push(start.elapsed());
        let start = Instant::now();
        for _ in 0..CALLS {
            black_box(buffers.apply(batch).await.unwrap());
        }
        ways.buffers.push(start.elapsed());
        let start = Instant::now();
        for _ in 0..CALLS {
            let answer = ipc.apply(&wrapped(batch)).await.unwrap();
            black_box(from_ipc(answer.columns.column(0).as_binary::<i32>().value(0)).unwrap());
        }
        ways.ipc.push(start.elapsed());
    }
    ways
}

/// The host's part alone: what it does to a batch before and after the guest, copies included.
fn host_side(batch: &RecordBatch) -> (f64, f64) {
    let (mut ours, mut ipc) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..CALLS {
            black_box(tenon_host::round_trip(batch, true).unwrap());
        }
        ours.push(start.elapsed());
        let start = Instant::now();
        for _ in 0..CALLS {
            // Encoding, the two copies of the canonical ABI, decoding.
            let bytes = to_ipc(batch).unwrap();
            let crossed = black_box(bytes.as_slice().to_vec()).as_slice().to_vec();
            black_box(from_ipc(&crossed).unwrap());
        }
        ipc.push(start.elapsed());
    }
    (per_row(&mut ours), per_row(&mut ipc))
}

fn instance_creation(plugin: &Plugin, runtime: &tokio::runtime::Runtime) -> Duration {
    let (limits, budget, batch) = (
        Limits::default(),
        Arc::new(FixedBudget::new(1 << 30)),
        numbers(),
    );
    runtime.block_on(async {
        let binding = plugin
            .bind_map(
                "blend",
                "{}",
                &batch.schema(),
                &limits,
                Arc::clone(&budget) as _,
            )
            .await
            .unwrap();
        let mut times = Vec::new();
        for _ in 0..200 {
            let start = Instant::now();
            black_box(
                plugin
                    .open_map(&binding, &limits, Arc::clone(&budget) as _)
                    .await
                    .unwrap(),
            );
            times.push(start.elapsed());
        }
        times.sort_unstable();
        times[times.len() / 2]
    })
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let host = Host::new(&HostConfig::default()).unwrap();
    let plugin = host.load(&component("tests/bench-guest")).unwrap();
    let (numbers, text) = (numbers(), text());
    println!(
        "| kernel, {ROWS} rows a batch | native ns/row | plugin ns/row | over IPC ns/row | plugin / native | IPC / plugin |"
    );
    println!("|---|---|---|---|---|---|");
    let report = |name: &str, mut ways: Ways| {
        let (native, ours, ipc) = (
            per_row(&mut ways.native),
            per_row(&mut ways.buffers),
            per_row(&mut ways.ipc),
        );
        println!(
            "| {name} | {native:.2} | {ours:.2} | {ipc:.2} | {:.2}x | {:.2}x |",
            ours / native,
            ipc / ours
        );
    };
    let kernel = |batch: &RecordBatch| {
        Arc::new(blend(
            batch.column(0).as_primitive::<Float64Type>(),
            batch.column(1).as_primitive::<Float64Type>(),
        )) as ArrayRef
    };
    report(
        "a * 1.1 + b * 0.5, f64",
        runtime.block_on(measure(&plugin, "blend", &numbers, kernel)),
    );
    report(
        "upper(trim(s)), 20 bytes",
        runtime.block_on(measure(&plugin, "shout", &text, |batch| {
            Arc::new(shout(batch.column(0).as_string::<i32>())) as ArrayRef
        })),
    );
    println!();
    println!("| host side alone | buffers ns/row | IPC ns/row | IPC / buffers |");
    println!("|---|---|---|---|");
    for (name, batch) in [
        ("2 columns f64", &numbers),
        ("1 column of strings, 20 bytes", &text),
    ] {
        let (ours, ipc) = host_side(batch);
        println!("| {name} | {ours:.2} | {ipc:.2} | {:.2}x |", ipc / ours);
    }
    println!(
        "\nan instance is made and opened in {:?}",
        instance_creation(&plugin, &runtime)
    );
}
