//! Whether two partitions do twice the work of one: rows a second of a plan with a plugin, and of the same plan with
//! the native function, on a pool of two threads.
//!
//! Cost model: an instance for each partition, nothing shared between them but the component's code and the epoch
//! counter, which is read and never written by them. What is left is what the cores share: memory bandwidth and the
//! allocator. The native plan shows what the machine has to give while it is measured; a busy one cannot give two cores.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot go on should stop"
)]

mod support;

use support::{GUEST, Lane, machine, median, table};
use tenon_tests::World;

const BATCH: usize = 8192;
const ROWS: usize = 1 << 22;
const ROUNDS: usize = 11;

fn main() {
    println!("{}", machine());
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    let world = World::with_plugins(&[GUEST]);
    println!(
        "| kernel | plugin, 1 partition | plugin, 2 partitions | plugin 2 / 1 | native 2 / 1 |"
    );
    println!("|---|---|---|---|---|");
    for kernel in ["gcd", "add-one", "upper", "haversine"] {
        runtime.block_on(compare(&world, kernel));
    }
}

async fn compare(world: &World, kernel: &str) {
    let mut lanes = Vec::new();
    for partitions in [1, 2] {
        let table = table(kernel, BATCH, ROWS, partitions);
        lanes.push(Lane::plugin(world, kernel, table.clone(), BATCH).await);
        lanes.push(Lane::native(kernel, table, BATCH).await);
    }
    let mut rounds = Vec::new();
    for _ in 0..=ROUNDS {
        let mut speeds = Vec::with_capacity(lanes.len());
        for lane in &lanes {
            // Millions of rows a second.
            speeds.push(1e3 / lane.run().await.nanos_per_row());
        }
        rounds.push(speeds);
    }
    // The first warms up.
    rounds.remove(0);
    let of = |lane: usize| median(rounds.iter().map(|round| round[lane]));
    let ratio = |two: usize, one: usize| median(rounds.iter().map(|r| r[two] / r[one]));
    println!(
        "| {kernel} | {:.1} M rows/s | {:.1} M rows/s | {:.2}x | {:.2}x |",
        of(0),
        of(2),
        ratio(2, 0),
        ratio(3, 1)
    );
}
