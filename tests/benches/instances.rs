//! What an instance costs: making one, making ten thousand, and keeping a thousand.
//!
//! Cost model: a component is compiled and linked once. An instance is a store, the tables and the linear memory of its core
//! module, whose initial pages are shared with all others until they are written, one call that runs
//! its initialisers, and one that opens the function. Idle, it holds the pages that it wrote: its stack, its data and the
//! start of its heap.
//!
//! Resident memory is that of the process (`VmRSS`), before and after.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot go on should stop"
)]

mod support;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use support::{GUEST, machine, median, one_thread};
use tenon_host::{FixedBudget, Host, HostConfig, Limits, MapBinding, MapInstance, Plugin};
use tenon_tests::component;

const MADE: usize = 10_000;
const KEPT: usize = 1_000;

fn main() {
    println!("{}", machine());
    let runtime = one_thread();
    let host = Host::new(&HostConfig::default()).unwrap();
    println!(
        "| plugin | instance, median | fastest | 99 of 100 | {MADE} made and dropped: growth | {KEPT} kept: each | after they called once: each |"
    );
    println!("|---|---|---|---|---|---|---|");
    let plugin = host.load(&component(GUEST)).unwrap();
    runtime.block_on(measure(&plugin, "upper"));
}

async fn measure(plugin: &Plugin, function: &str) {
    let batch = support::input(function, 0, 1024);
    let limits = Limits::default();
    let budget = Arc::new(FixedBudget::new(1 << 40));
    let (schema, bind_budget) = (batch.schema(), Arc::clone(&budget));
    let binding = plugin.bind_map(function, "{}", &schema, &limits, bind_budget);
    let binding = binding.await.unwrap();
    let open = || open(plugin, &binding, &limits, &budget);

    for _ in 0..MADE / 10 {
        black_box(open().await);
    }
    let before = resident();
    let mut micros = Vec::with_capacity(MADE);
    for _ in 0..MADE {
        let start = Instant::now();
        let instance = open().await;
        micros.push(start.elapsed().as_nanos() as f64 / 1e3);
        drop(black_box(instance));
    }
    let growth = resident() - before - (MADE * size_of::<f64>()) as f64;
    micros.sort_by(f64::total_cmp);

    let before = resident();
    let mut kept = Vec::with_capacity(KEPT);
    for _ in 0..KEPT {
        kept.push(open().await);
    }
    let idle = (resident() - before) / KEPT as f64;
    for instance in &mut kept {
        black_box(instance.apply(&batch).await.unwrap());
    }
    let called = (resident() - before) / KEPT as f64;
    drop(kept);

    println!(
        "| tenon-bench-guest, {function} | {:.1} us | {:.1} us | {:.1} us | {:.2} MB | {:.0} kB | {:.0} kB |",
        median(micros.iter().copied()),
        micros[0],
        micros[MADE / 100 * 99],
        growth / 1e6,
        idle / 1e3,
        called / 1e3,
    );
}

async fn open(
    plugin: &Plugin,
    binding: &MapBinding,
    limits: &Limits,
    budget: &Arc<FixedBudget>,
) -> MapInstance {
    let budget = Arc::clone(budget) as _;
    plugin.open_map(binding, limits, budget).await.unwrap()
}

/// Resident memory of this process, in bytes.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<f64>().unwrap() * 1024.0
}
