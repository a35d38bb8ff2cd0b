//! Whether two partitions do twice the work of one: rows a second of a plan with a plugin, and of the same plan with
//! the native function, on a pool of two threads.
//!
//! Cost model: an instance for each partition, nothing shared between them but the component's code and the epoch
//! counter, which is read and never written by them. What is left is what the cores share: memory bandwidth and the
//! allocator. The native plan shows what the machine has to give while it is measured; a busy one cannot give two cores.
//! The CPU time of a row does not depend on that: where it is the same with two partitions as with one, nothing is
//! waited for or done twice, and two idle cores give twice the rows.

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
        "| kernel | plugin, 1 partition | plugin, 2 partitions | plugin 2 / 1 | native 2 / 1 | plugin, CPU of a row, 2 / 1 |"
    );
    println!("|---|---|---|---|---|---|");
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
        let mut round = Vec::with_capacity(lanes.len());
        for lane in &lanes {
            let before = cpu_nanos();
            let run = lane.run().await;
            let cpu = (cpu_nanos() - before) / run.rows as f64;
            // Millions of rows a second, and nanoseconds.
            round.push((1e3 / run.nanos_per_row(), cpu));
        }
        rounds.push(round);
    }
    // The first warms up.
    rounds.remove(0);
    let of = |lane: usize| median(rounds.iter().map(|round| round[lane].0));
    let ratio = |two: usize, one: usize| median(rounds.iter().map(|r| r[two].0 / r[one].0));
    let cpu = median(rounds.iter().map(|r| r[2].1 / r[0].1));
    println!(
        "| {kernel} | {:.1} M rows/s | {:.1} M rows/s | {:.2}x | {:.2}x | {cpu:.2}x |",
        of(0),
        of(2),
        ratio(2, 0),
        ratio(3, 1)
    );
}

/// CPU time of all threads of this process, in nanoseconds.
fn cpu_nanos() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let nanos = tasks.map(|task| {
        let schedstat = std::fs::read_to_string(task.unwrap().path().join("schedstat"));
        let schedstat = schedstat.unwrap_or_default();
        let nanos = schedstat.split(' ').next().map(str::parse::<f64>);
        nanos.and_then(Result::ok).unwrap_or(0.0)
    });
    nanos.sum()
}
