//! Each hostile idea of `tests/hostile` and how it is contained: the error that the user sees, within the time and
//! memory that were allowed, with the process alive and an honest neighbour at work afterwards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch};
use tenon_host::{Error, FixedBudget, Host, HostConfig, Limits, Plugin};
use tenon_tests::component;

/// Enough for honest work, little enough for tests.
fn limits() -> Limits {
    Limits {
        memory_bytes: 32 << 20,
        call_time: Duration::from_millis(200),
        ..Limits::default()
    }
}

fn plugin() -> (Host, Plugin) {
    let host = Host::new(&HostConfig::default()).unwrap();
    let plugin = host.load(&component("tests/hostile")).unwrap();
    (host, plugin)
}

fn rows() -> RecordBatch {
    RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from_iter_values(0..100)) as _)])
        .unwrap()
}

/// Binds, opens and applies one function.
async fn strike(
    plugin: &Plugin,
    name: &str,
    budget: Arc<FixedBudget>,
) -> Result<RecordBatch, Error> {
    let (limits, batch) = (limits(), rows());
    let binding = plugin
        .bind_map(
            name,
            "{}",
            &batch.schema(),
            &limits,
            Arc::clone(&budget) as _,
        )
        .await?;
    let mut instance = plugin.open_map(&binding, &limits, budget).await?;
    Ok(instance.apply(&batch).await?.columns)
}

#[tokio::test]
async fn every_evil_is_contained() {
    let (_host, plugin) = plugin();
    let expected = [
        ("answers-other-schema", "column \"out\""),
        ("bad-utf8", "column \"out\""),
        (
            "counts-nulls-wrongly",
            "claims 1 missing values and has 100",
        ),
        (
            "eats-memory",
            "limit memory_bytes reached: allowed 33554432 bytes",
        ),
        ("floods-the-log", ""),
        ("forgets-a-buffer", "column \"out\" lacks a buffer"),
        (
            "keeps-a-column-that-is-not-there",
            "keeps column 4000000 of an input with 1",
        ),
        (
            "needs-a-column-that-is-not-there",
            "needs column 9 of an input with 1",
        ),
        ("nests-too-deep", "nested deeper than 32 levels"),
        ("offsets-beyond-bytes", "column \"out\""),
        (
            "panics",
            "panic: panicked at tests/hostile/src/evil/panics.rs",
        ),
        ("reads-wild-memory", "out of bounds memory access"),
        ("recurses", "out of bounds memory access"),
        ("returns-nulls", "not nullable and has 100 missing values"),
        (
            "returns-too-many-rows",
            "returned 101 rows and selected 100",
        ),
        ("returns-too-much", "limit"),
        ("selects-beyond-the-batch", "names row 1000000 of 100"),
        ("selects-one-row-for-ever", ""),
        ("spins", "limit call_time reached: allowed 200ms"),
        ("spins-in-bind", "limit call_time reached"),
        ("spins-in-open", "limit call_time reached"),
        ("traps", "wasm `unreachable` instruction executed"),
    ];
    let described = plugin.functions(&limits()).await.unwrap();
    let is_one = |f: &&tenon_host::Function| f.kind == tenon_host::Kind::Map && f.name != "lies";
    let maps = described.iter().filter(is_one);
    let names: Vec<&str> = maps.map(|f| f.name.as_str()).collect();
    assert_eq!(
        names,
        expected.map(|(name, _)| name),
        "an evil without an expectation"
    );
    for (name, words) in expected {
        let budget = Arc::new(FixedBudget::new(64 << 20));
        let started = Instant::now();
        let outcome = strike(&plugin, name, Arc::clone(&budget)).await;
        let took = started.elapsed();
        match outcome {
            Ok(_) => assert_eq!(words, "", "{name} went through"),
            Err(e) => assert!(
                !words.is_empty() && e.to_string().contains(words),
                "{name}: {e}"
            ),
        }
        assert!(took < Duration::from_secs(2), "{name} took {took:?}");
        assert_eq!(budget.used(), 0, "{name} kept memory of the budget");
    }
}

#[tokio::test]
async fn a_budget_that_is_used_up_stops_a_guest() {
    let (_host, plugin) = plugin();
    let budget = Arc::new(FixedBudget::new(4 << 20));
    let error = strike(&plugin, "eats-memory", Arc::clone(&budget))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("the budget is 4194304 bytes"),
        "{error}"
    );
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn cancelling_a_spinning_guest_takes_less_than_100_ms() {
    let (_host, plugin) = plugin();
    let limits = Limits {
        call_time: Duration::from_secs(60),
        ..limits()
    };
    let (batch, budget) = (rows(), Arc::new(FixedBudget::new(64 << 20)));
    let binding = plugin
        .bind_map(
            "spins",
            "{}",
            &batch.schema(),
            &limits,
            Arc::clone(&budget) as _,
        )
        .await
        .unwrap();
    let mut instance = plugin
        .open_map(&binding, &limits, Arc::clone(&budget) as _)
        .await
        .unwrap();
    let cancelled = tokio::time::timeout(Duration::from_millis(50), instance.apply(&batch)).await;
    assert!(cancelled.is_err(), "it spins");
    let started = Instant::now();
    let again = instance.apply(&batch).await.unwrap_err();
    assert!(matches!(again, Error::Cancelled), "{again}");
    drop(instance);
    assert_eq!(budget.used(), 0);
    assert!(started.elapsed() < Duration::from_millis(100));
}

#[tokio::test]
async fn a_spinning_guest_does_not_starve_its_neighbour() {
    let (_host, plugin) = plugin();
    // One thread: the neighbour runs only because the guest yields.
    let turns = std::cell::Cell::new(0);
    let neighbour = async {
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            turns.set(turns.get() + 1);
        }
    };
    tokio::select! {
        outcome = strike(&plugin, "spins", Arc::new(FixedBudget::new(64 << 20))) => assert!(outcome.is_err()),
        () = neighbour => {}
    }
    assert!(
        turns.get() >= 3,
        "the neighbour had {} turns while the guest was spinning",
        turns.get()
    );
}

#[tokio::test]
async fn a_log_is_bounded_and_escaped() {
    let (_host, plugin) = plugin();
    let (limits, batch, budget) = (limits(), rows(), Arc::new(FixedBudget::new(64 << 20)));
    let binding = plugin
        .bind_map(
            "floods-the-log",
            "{}",
            &batch.schema(),
            &limits,
            Arc::clone(&budget) as _,
        )
        .await
        .unwrap();
    let mut instance = plugin.open_map(&binding, &limits, budget).await.unwrap();
    instance.apply(&batch).await.unwrap();
    let lines = instance.take_log();
    let bytes: usize = lines.iter().map(|l| l.message.len()).sum();
    assert!(bytes < 2 * limits.log_bytes, "{bytes}");
    assert_eq!(lines[0].message, r"\u{1b}[2J\r\nERROR forged\u{0}");
    assert!(
        lines
            .last()
            .unwrap()
            .message
            .ends_with("lines dropped: the log is full")
    );
}

#[tokio::test]
async fn what_is_no_plugin_is_refused() {
    let host = Host::new(&HostConfig::default()).unwrap();
    let refused = |bytes: &[u8]| host.load(bytes).unwrap_err().to_string();
    assert!(refused(b"hello").contains("not a WebAssembly component"));
    assert!(refused(b"\0asm\x01\0\0\0").contains("not a WebAssembly component"));
    assert!(refused(b"\0asm\x0d\0\x01\0").contains("does not export tenon:plugin/meta"));
    let mut cut = component("tests/hostile");
    cut.truncate(cut.len() / 2);
    assert!(refused(&cut).starts_with("not a plugin: "));
}

#[test]
fn a_cache_that_was_tampered_with_is_not_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::new(&HostConfig {
        cache_dir: Some(folder.path().to_path_buf()),
        ..HostConfig::default()
    })
    .unwrap();
    let wasm = component("tests/hostile");
    host.load(&wasm).unwrap();
    let cached = || {
        std::fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().path())
            .find(|p| p.extension().is_some_and(|e| e == "aot"))
            .unwrap()
    };
    let good = std::fs::read(cached()).unwrap();
    for position in [0, 31, 32, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[position] ^= 1;
        std::fs::write(cached(), &bad).unwrap();
        host.load(&wasm).unwrap();
        assert_eq!(
            std::fs::read(cached()).unwrap(),
            good,
            "byte {position} was changed, and the file is compiled anew"
        );
    }
    std::fs::write(cached(), b"").unwrap();
    host.load(&wasm).unwrap();
}

#[test]
fn what_was_compiled_before_is_loaded_by_its_digest_alone() {
    let folder = tempfile::tempdir().unwrap();
    let host = || {
        Host::new(&HostConfig {
            cache_dir: Some(folder.path().to_path_buf()),
            ..HostConfig::default()
        })
        .unwrap()
    };
    let (wasm, first) = (component("tests/hostile"), host());
    let digest = first.load(&wasm).unwrap().digest().to_owned();
    let again = host().load_compiled(&digest).unwrap().unwrap();
    assert_eq!(again.digest(), digest);
    assert!(host().load_compiled(&"0".repeat(64)).unwrap().is_none());
    let entry = std::fs::read_dir(folder.path()).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        path.extension().is_some_and(|e| e == "aot").then_some(path)
    });
    let mut bad = std::fs::read(entry.as_ref().unwrap()).unwrap();
    bad[1000] ^= 1;
    std::fs::write(entry.unwrap(), bad).unwrap();
    assert!(host().load_compiled(&digest).unwrap().is_none());
}
