//! What durability costs, and how fast a store comes back.
//!
//! Model: a commit costs one `fdatasync` of some hundred bytes, shared by those that wait together, plus work in
//! memory; so one client is bound by the disk's sync and eight clients approach the engine's speed. Opening
//! costs sled's own recovery; verifying, one pass over the entries; after a kill, what the engine had not written
//! yet; a rebuild, a load of the checkpoint.
//!
//! `cargo bench -p tenon-store` prints a table. `TENON_STORE_BENCH_KEYS` sets the size of the store, a million
//! by default; `TENON_STORE_BENCH_SECONDS` the time for each rate, 5 by default.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that fails should say so at once"
)]

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use tenon_store::{
    Key, SledStore, Store, StoreConfig, SystemClock, Tenant, Transaction, Tree, Verified,
    VerifyOnOpen,
};

const TENANT: Tenant = Tenant::new(1);
const VALUE_BYTES: usize = 200;
const CHILD_VARIABLE: &str = "TENON_STORE_BENCH_CHILD";
/// What the killed process commits before it ends.
const CHILD_TRANSACTIONS: u64 = 20_000;

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn open(dir: &Path, verify_on_open: VerifyOnOpen) -> SledStore {
    let config = StoreConfig {
        verify_on_open,
        ..StoreConfig::default()
    };
    SledStore::open(dir, &config, &SystemClock).expect("the store opens")
}

fn key(number: u64) -> Key {
    Key::new()
        .with_part("database")
        .with_part(format!("partition={number:012}"))
}

/// A transaction of four keys spread over the store.
fn transaction(number: u64, keys: u64) -> Transaction {
    (0..4).fold(Transaction::new(TENANT).by("bench"), |transaction, part| {
        let key = key(number.wrapping_mul(7919).wrapping_add(part * keys / 4) % keys);
        transaction.put(Tree::Partition, key, 1, vec![number as u8; VALUE_BYTES])
    })
}

fn load(store: &SledStore, keys: u64) {
    let mut next = 0;
    while next < keys {
        let end = (next + 1000).min(keys);
        let transaction = (next..end).fold(Transaction::new(TENANT), |transaction, number| {
            transaction.put(Tree::Partition, key(number), 1, vec![1; VALUE_BYTES])
        });
        store.commit(transaction).expect("a commit");
        next = end;
    }
}

/// Durable transactions a second, and the median and 99th percentile of one in microseconds.
fn rate(store: &Arc<SledStore>, clients: u64, keys: u64, time: Duration) -> (f64, u128, u128) {
    let (next, latencies) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut mine = Vec::new();
                while start.elapsed() < time {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let begin = Instant::now();
                    store.commit(transaction(number, keys)).expect("a commit");
                    mine.push(begin.elapsed().as_micros());
                }
                latencies.lock().expect("a lock").extend(mine);
            });
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    let mut latencies = latencies.into_inner().expect("a lock");
    latencies.sort_unstable();
    let at = |part: usize| latencies[(latencies.len() * part / 100).min(latencies.len() - 1)];
    (latencies.len() as f64 / seconds, at(50), at(99))
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// Where a backup goes; keeps when it began to come.
struct Nowhere {
    start: Instant,
    first: Option<Duration>,
}

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.first.get_or_insert_with(|| self.start.elapsed());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Seconds of a backup, seconds until its first byte, and milliseconds of the slowest commit beside it.
fn backup(store: &SledStore, keys: u64) -> (f64, f64, f64) {
    let (over, slowest) = (AtomicBool::new(false), Mutex::new(Duration::ZERO));
    let mut nowhere = Nowhere {
        start: Instant::now(),
        first: None,
    };
    let took = thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !over.load(Ordering::Acquire) {
                let start = Instant::now();
                store.commit(transaction(number, keys)).expect("a commit");
                number += 1;
                let mut slowest = slowest.lock().expect("no panic");
                *slowest = start.elapsed().max(*slowest);
            }
        });
        let took = seconds(|| drop(store.backup_to(&mut nowhere).expect("a backup")));
        over.store(true, Ordering::Release);
        took
    });
    let slowest = slowest.into_inner().expect("no panic");
    let first = nowhere.first.unwrap_or_default();
    (took, first.as_secs_f64(), slowest.as_secs_f64() * 1000.0)
}

fn folder_bytes(path: &Path) -> u64 {
    let entries = fs::read_dir(path).expect("a folder").flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

/// The process that ends in the middle of its work.
fn child(dir: &Path, keys: u64) -> ! {
    let store = open(dir, VerifyOnOpen::AfterPowerCut);
    for number in 0..CHILD_TRANSACTIONS {
        store.commit(transaction(number, keys)).expect("a commit");
    }
    std::process::abort();
}

fn main() {
    let keys = setting("TENON_STORE_BENCH_KEYS", 1_000_000);
    let time = Duration::from_secs(setting("TENON_STORE_BENCH_SECONDS", 5));
    if let Some(dir) = env::var_os(CHILD_VARIABLE) {
        child(&PathBuf::from(dir), keys);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let row = |what: &str, value: String| println!("{what:<46} {value}");
    println!("{keys} keys of {VALUE_BYTES} bytes");

    let store = open(dir, VerifyOnOpen::AfterPowerCut);
    let loading = seconds(|| load(&store, keys));
    row("load, keys/s", format!("{:.0}", keys as f64 / loading));
    // Else the one that the load has set off would go on beside what follows.
    let checkpoint = seconds(|| store.checkpoint().expect("a checkpoint"));
    row("checkpoint, s", format!("{checkpoint:.2}"));
    let store = Arc::new(store);
    let measured = |clients| {
        let (rate, median, high) = rate(&store, clients, keys, time);
        format!("{rate:.0} (p50 {median} us, p99 {high} us)")
    };
    row("durable txn/s of 4 keys, 1 client", measured(1));
    row("durable txn/s of 4 keys, 8 clients", measured(8));
    let over = AtomicBool::new(false);
    let beside = thread::scope(|scope| {
        let over = &over;
        let store = &store;
        scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                store.checkpoint().expect("a checkpoint");
            }
        });
        let text = measured(1);
        over.store(true, Ordering::Relaxed);
        text
    });
    row("  1 client beside one checkpoint after the other", beside);
    let (took, first, slowest) = backup(&store, keys);
    let text = format!("{took:.2}, {first:.2} until its first byte");
    row("backup beside a client that commits, s", text);
    row("  slowest commit meanwhile, ms", format!("{slowest:.1}"));
    let closing = seconds(|| drop(store));
    row("close, s", format!("{closing:.2}"));
    row("on disk, MB", format!("{}", folder_bytes(dir) / 1_000_000));

    let opening = seconds(|| drop(open(dir, VerifyOnOpen::AfterPowerCut)));
    row(
        "open and close after a clean close, s",
        format!("{opening:.2}"),
    );
    let mut store = None;
    let opening = seconds(|| store = Some(open(dir, VerifyOnOpen::Always)));
    row("open and verify, s", format!("{opening:.2}"));
    drop(store);

    let status = Command::new(env::current_exe().expect("a program"))
        .env(CHILD_VARIABLE, dir)
        .stderr(std::process::Stdio::null())
        .status()
        .expect("a process");
    assert!(!status.success(), "the child ends by a signal");
    let start = Instant::now();
    let store = open(dir, VerifyOnOpen::AfterPowerCut);
    row(
        "open after a kill, s",
        format!("{:.2}", start.elapsed().as_secs_f64()),
    );
    row(
        "  replayed transactions",
        store.status().replayed.to_string(),
    );
    while store.status().verified == Verified::Pending {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(store.status().verified, Verified::Verified);
    row(
        "  verified in the background after, s",
        format!("{:.2}", start.elapsed().as_secs_f64()),
    );
    drop(store);

    fs::remove_dir_all(dir.join("sled")).expect("sled is removed");
    let start = Instant::now();
    let store = open(dir, VerifyOnOpen::AfterPowerCut);
    row(
        "rebuild, s",
        format!("{:.2}", start.elapsed().as_secs_f64()),
    );
    assert!(store.status().rebuilt.is_some());
}
