//! What the sandbox costs inside a plan: six kernels as native functions of DataFusion and as a plugin, the same source and
//! the same plan, at three sizes of batch.
//!
//! Cost model: a call into the guest costs about a microsecond and the buffers are copied once each way at the speed of
//! memory; what comes back is checked (UTF-8 above all). In the guest, loops check the clock once for each turn, and there
//! are no wider vectors than 16 bytes. So kernels that do little for each byte (add-one, upper) cost two to four
//! times as much, and those that work (gcd, regex, haversine) cost what their code costs.
//!
//! The plugin's operator joins batches to 8192 rows before they cross, so that at 1024 rows eight batches are copied
//! into one first; larger ones cross as they are. The table says how many rows crossed at once.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark that cannot go on should stop"
)]

mod support;

use support::{GUEST, Lane, alternating, assert_same, machine, median, one_thread, table};
use tenon_bench_guest::kernels;
use tenon_tests::World;

const KERNELS: [&str; 6] = [
    "gcd",
    "add-one",
    "substring",
    "upper",
    "regex-match",
    "haversine",
];
const SIZES: [usize; 3] = [1024, 8192, 65_536];
const ROWS: usize = 1 << 21;
const ROUNDS: usize = 11;

fn main() {
    println!("{}", machine());
    let only: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let runtime = one_thread();
    let world = World::with_plugins(&[GUEST]);
    println!(
        "| kernel | rows a batch | rows a call | DataFusion's own ns/row | native ns/row | plugin ns/row | plugin / native |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut at_8192 = Vec::new();
    for kernel in KERNELS {
        if !only.is_empty() && !only.iter().any(|name| name == kernel) {
            continue;
        }
        for rows in SIZES {
            let ratio = runtime.block_on(compare(&world, kernel, rows));
            if rows == 8192 {
                at_8192.push(ratio);
            }
        }
    }
    println!(
        "\nat 8192 rows: median {:.2}x, worst {:.2}x",
        median(at_8192.iter().copied()),
        at_8192.iter().copied().fold(0.0, f64::max)
    );
}

async fn compare(world: &World, kernel: &str, rows: usize) -> f64 {
    let table = table(kernel, rows, ROWS, 1);
    let native = Lane::native(kernel, table.clone(), rows).await;
    let plugin = Lane::plugin(world, kernel, table.clone(), rows).await;
    assert_same(&native, &plugin).await;
    let built_in = match built_in(kernel) {
        Some(expression) => measured(&Lane::built_in(&expression, table, rows).await).await,
        None => "".to_owned(),
    };
    let pairs = alternating(&native, &plugin, ROUNDS).await;
    let ratio = median(
        pairs
            .iter()
            .map(|[n, p]| p.nanos_per_row() / n.nanos_per_row()),
    );
    println!(
        "| {kernel} | {rows} | {} | {built_in} | {:.2} | {:.2} | {ratio:.2}x |",
        pairs[0][1].rows / pairs[0][1].calls.max(1),
        median(pairs.iter().map(|[n, _]| n.nanos_per_row())),
        median(pairs.iter().map(|[_, p]| p.nanos_per_row())),
    );
    ratio
}

/// What DataFusion itself has for this, where it has the same: for comparison, not part of any ratio.
fn built_in(kernel: &str) -> Option<String> {
    match kernel {
        "substring" => Some("substr(s, 3, 8)".to_owned()),
        "upper" => Some("upper(s)".to_owned()),
        "regex-match" => Some(format!("regexp_like(s, '{}')", kernels::ADDRESS)),
        _ => None,
    }
}

async fn measured(lane: &Lane) -> String {
    lane.run().await;
    let mut nanos = Vec::new();
    for _ in 0..5 {
        nanos.push(lane.run().await.nanos_per_row());
    }
    format!("{:.2}", median(nanos))
}
