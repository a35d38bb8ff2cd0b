//! What crossing costs: two small kernels native in a DataFusion plan, as a plugin in the same plan, and as a plugin that gets
//! Arrow IPC bytes in one `list<u8>`; then the host's part alone.
//!
//! Cost model: a batch that crosses pays a fixed part for each call (about half a microsecond), a part for each buffer
//! (about 0.1 us), one copy each way at the speed of memory, and on the way back the check of its values (UTF-8
//! above all). IPC pays the same copies, and encoding and decoding on both sides.
//!
//! The plan's operator joins rows, so that a batch as one value cannot go through it: the IPC way reads the same source
//! and calls the instance by hand, without an operator's cost. Of the host's part, the copies into and out of guest memory
//! are what both ways pay and nobody can save; the host's own work is what is left: flatten and rebuild
//! with full validation, against encode and decode with full validation.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot go on should stop"
)]

mod support;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use support::{
    GUEST, Lane, Run, assert_same, machine, median, nanos_per_call, one_thread, table, wrapped,
};
use tenon_bench_guest::{from_ipc, to_ipc};
use tenon_host::{FixedBudget, Limits, MapInstance};
use tenon_tests::{World, component};

const BATCH: usize = 8192;
const ROWS: usize = 1 << 21;
const ROUNDS: usize = 11;
const KERNELS: [(&str, &str); 2] = [
    ("a * 1.1 + b * 0.5, f64", "blend"),
    ("upper(trim(s)), 20 bytes", "shout"),
];

fn main() {
    println!("{}", machine());
    let runtime = one_thread();
    let world = World::with_plugins(&[GUEST]);
    println!(
        "| kernel, {BATCH} rows a batch | native ns/row | plugin ns/row | over IPC ns/row | plugin / native | IPC / plugin |"
    );
    println!("|---|---|---|---|---|---|");
    for (title, kernel) in KERNELS {
        runtime.block_on(compare(&world, title, kernel));
    }
    println!();
    println!(
        "| host side alone | copies ns/row | buffers: own work ns/row | IPC: copies ns/row | IPC: own work ns/row | own work, IPC / buffers | all, IPC / buffers |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (title, kernel) in [
        ("2 columns f64", "blend"),
        ("1 column of strings, 20 bytes", "shout"),
    ] {
        host_side(title, &support::input(kernel, 0, BATCH));
    }
}

async fn compare(world: &World, title: &str, kernel: &str) {
    let table = table(kernel, BATCH, ROWS, 1);
    let native = Lane::native(kernel, table.clone(), BATCH).await;
    let plugin = Lane::plugin(world, kernel, table.clone(), BATCH).await;
    let source = Lane::source(table, BATCH).await;
    assert_same(&native, &plugin).await;
    let mut ipc = over_ipc(world, kernel).await;
    let mut rounds = Vec::new();
    for _ in 0..=ROUNDS {
        rounds.push([
            native.run().await,
            plugin.run().await,
            run_over_ipc(&source, &mut ipc).await,
        ]);
    }
    // The first warms up.
    rounds.remove(0);
    let of = |way: usize| median(rounds.iter().map(|round| round[way].nanos_per_row()));
    let ratio = |a: usize, b: usize| {
        median(
            rounds
                .iter()
                .map(|round| round[a].nanos_per_row() / round[b].nanos_per_row()),
        )
    };
    println!(
        "| {title} | {:.2} | {:.2} | {:.2} | {:.2}x | {:.2}x |",
        of(0),
        of(1),
        of(2),
        ratio(1, 0),
        ratio(2, 1)
    );
}

async fn over_ipc(world: &World, kernel: &str) -> MapInstance {
    let plugin = world.host.load(&component(GUEST)).unwrap();
    let (limits, budget) = (Limits::default(), Arc::new(FixedBudget::new(1 << 30)));
    let schema = wrapped(&support::input(kernel, 0, 1)).schema();
    let function = format!("{kernel}-ipc");
    let binding = plugin.bind_map(&function, "{}", &schema, &limits, Arc::clone(&budget) as _);
    let binding = binding.await.unwrap();
    plugin.open_map(&binding, &limits, budget).await.unwrap()
}

async fn run_over_ipc(source: &Lane, instance: &mut MapInstance) -> Run {
    let plan: Arc<dyn ExecutionPlan> = source.physical().await;
    let context = SessionContext::new_with_config(
        datafusion::prelude::SessionConfig::new().with_batch_size(BATCH),
    );
    let start = Instant::now();
    let mut stream = plan.execute(0, context.task_ctx()).unwrap();
    let mut run = Run::default();
    while let Some(batch) = stream.try_next().await.unwrap() {
        let answer = instance.apply(&wrapped(&batch)).await.unwrap();
        let output = from_ipc(answer.columns.column(0).as_binary::<i32>().value(0)).unwrap();
        run.rows += black_box(checked(&output)).num_rows();
        run.calls += 1;
    }
    run.elapsed = start.elapsed();
    run
}

/// Text comes as bytes over either way, and is checked by the host.
fn checked(output: &RecordBatch) -> RecordBatch {
    let column = output.column(0);
    if *column.data_type() != DataType::Binary {
        return output.clone();
    }
    let binary = column.as_binary::<i32>();
    let (offsets, bytes, nulls) = (binary.offsets(), binary.values(), binary.nulls());
    let text = StringArray::try_new(offsets.clone(), bytes.clone(), nulls.cloned()).unwrap();
    RecordBatch::try_from_iter([("out", Arc::new(text) as _)]).unwrap()
}

/// What the host does to a batch before and after the guest; the copies of the canonical ABI, one each way, apart.
fn host_side(title: &str, batch: &RecordBatch) {
    let (rounds, calls) = (31, 200);
    let per_row = |nanos: f64| nanos / batch.num_rows() as f64;
    let buffers: Vec<Vec<u8>> = batch
        .columns()
        .iter()
        .flat_map(|column| column.to_data().buffers().to_vec())
        .map(|buffer| buffer.to_vec())
        .collect();
    let copies = per_row(nanos_per_call(rounds, calls, || {
        for buffer in &buffers {
            black_box(black_box(buffer.as_slice().to_vec()).as_slice().to_vec());
        }
    }));
    let own = per_row(nanos_per_call(rounds, calls, || {
        black_box(tenon_host::round_trip(batch, false).unwrap());
    }));
    let all = per_row(nanos_per_call(rounds, calls, || {
        black_box(tenon_host::round_trip(batch, true).unwrap());
    }));
    let encoded = to_ipc(batch).unwrap();
    let ipc_copies = per_row(nanos_per_call(rounds, calls, || {
        black_box(black_box(encoded.as_slice().to_vec()).as_slice().to_vec());
    }));
    let ipc_own = per_row(nanos_per_call(rounds, calls, || {
        black_box(from_ipc(&to_ipc(batch).unwrap()).unwrap());
    }));
    let ipc = per_row(nanos_per_call(rounds, calls, || {
        let bytes = to_ipc(batch).unwrap();
        let crossed = black_box(bytes.as_slice().to_vec()).as_slice().to_vec();
        black_box(from_ipc(&crossed).unwrap());
    }));
    println!(
        "| {title} | {copies:.2} | {own:.2} | {ipc_copies:.2} | {ipc_own:.2} | {:.1}x | {:.2}x |",
        ipc_own / own,
        ipc / all
    );
}
