//! The families of evils that `tests/hostile` tells apart by configuration, what stops each of them, and all evils
//! together: one process lives through every one of them, twice, works afterwards and keeps nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use tenon_host::{Column, Emit, Error, FixedBudget, Host, HostConfig, Limits, Plugin};
use tenon_tests::component;

use super::compile::run_alone;

/// Enough for honest work, little enough for tests.
fn limits() -> Limits {
    Limits {
        memory_bytes: 64 << 20,
        call_time: Duration::from_millis(100),
        ..Limits::default()
    }
}

const TIME: &str = "limit call_time reached: allowed 100ms";
const UNPACKED: &str = "limit unpacked_bytes reached: allowed 536870912 bytes in one batch";
const IDLE: &str = "limit steps_without_rows reached: allowed 1000000 calls in a row";

/// What is evil, and the words of the error that ends it; none where the host puts up with it.
type Expected = (&'static str, &'static str);

const LIES: &[Expected] = &[
    ("honest", ""),
    (
        "constant-from-a-guest",
        "written as a constant, which is not allowed there",
    ),
    (
        "defines-what-is-no-dictionary",
        "written as a new dictionary, which is not allowed",
    ),
    (
        "reuses-what-was-never-defined",
        "reuses the dictionary 7, which is not remembered",
    ),
    (
        "reuses-another-column-s-dictionary",
        "reuses the dictionary 1, which is not remembered",
    ),
    ("keys-beyond-the-dictionary", "column \"out\""),
    ("negative-keys", "column \"out\""),
    ("keys-into-an-empty-dictionary", "column \"out\""),
    ("runs-that-decrease", "column \"out\""),
    ("runs-of-no-rows", "column \"out\""),
    ("runs-that-end-too-early", "column \"out\""),
    ("negative-runs", "column \"out\""),
    ("no-runs-at-all", "column \"out\""),
    (
        "runs-that-are-missing",
        "column \"out.run_ends\" is not nullable",
    ),
    ("unknown-type-ids", "column \"out\""),
    ("negative-type-ids", "column \"out\""),
    ("dense-offsets-out-of-range", "column \"out\""),
    ("negative-dense-offsets", "column \"out\""),
    (
        "sparse-union-of-short-children",
        "has 1 values where 100 belong",
    ),
    ("list-views-out-of-range", "column \"out\""),
    ("negative-list-views", "column \"out\""),
    ("views-of-another-buffer", "column \"out\""),
    ("views-beyond-the-bytes", "column \"out\""),
    ("views-of-four-billion-bytes", "column \"out\""),
    ("views-with-another-prefix", "column \"out\""),
    ("views-of-no-text", "column \"out\""),
    ("lists-that-decrease", "column \"out\""),
    ("lists-beyond-their-values", "column \"out\""),
    ("a-child-claims-nulls", "column \"out.item\""),
    (
        "a-child-hides-nulls",
        "column \"out.item\" claims 0 missing values and has 8",
    ),
    (
        "missing-values-in-a-struct",
        "column \"out.inner\" is not nullable",
    ),
    (
        "four-billion-nothings-in-a-list",
        "has 4294967295 values; 268435456 are allowed",
    ),
    (
        "four-billion-values-without-width",
        "has 4294967295 values; 268435456 are allowed",
    ),
    (
        "four-billion-rows",
        "returned 4294967295 rows and selected 100",
    ),
    ("unaligned-decimals", ""),
    ("a-dictionary-of-one-long-value", UNPACKED),
    ("a-run-of-one-long-value", UNPACKED),
    ("views-of-one-long-value", UNPACKED),
    ("list-views-of-one-long-list", UNPACKED),
    ("a-union-of-one-long-value", UNPACKED),
    ("too-many-columns", "more than 4096 columns"),
    (
        "a-name-of-a-megabyte",
        "a field name has 1048576 bytes; 255 are allowed",
    ),
    ("a-format-of-a-megabyte", "… (1048576 bytes in all)"),
    ("a-time-zone-of-a-megabyte", "… (1048580 bytes in all)"),
    ("a-hundred-thousand-notes", "in 100000 entries"),
    ("a-note-of-a-megabyte", "has 1048577 bytes of metadata"),
    ("two-columns-of-one-name", "two columns named \"out\""),
    (
        "a-column-of-two-hundred-thousand-fields",
        "has 200001 fields; 131072 are allowed",
    ),
    (
        "announces-four-billion-children",
        "ends before the children that it announces",
    ),
    ("a-list-of-two-children", "which means no type"),
    ("a-dictionary-of-dictionaries", "which means no type"),
    ("a-union-of-one-id-twice", "which means no type"),
    ("a-union-of-negative-ids", "which means no type"),
    ("a-decimal-of-no-digits", "which means no type"),
    ("a-fixed-size-of-two-billion", "which means no type"),
    ("a-negative-fixed-size", "which means no type"),
    ("no-format-at-all", "which means no type"),
    (
        "a-selection-that-is-too-short",
        "selection has 12 bytes for 100 rows",
    ),
    ("a-selection-of-five-bytes", "not a multiple of 4"),
    ("a-list-of-two-gigabytes", "out of bounds"),
    (
        "a-million-empty-buffers",
        "1000000 buffers more than its schema has",
    ),
    ("a-million-nodes", "1000000 nodes and 0 buffers more"),
    ("ten-million-empty-lines", TIME),
    ("lines-of-a-megabyte", TIME),
    ("asks-the-time-ten-million-times", TIME),
    ("asks-for-the-seed-ten-million-times", TIME),
    ("panics-by-mouth-ten-million-times", TIME),
    (
        "panics-with-ten-megabytes",
        "panic: panicked at tests/hostile/src/lies.rs",
    ),
    (
        "calls-a-function-of-another-type",
        "indirect call type mismatch",
    ),
    (
        "calls-a-function-that-is-not-there",
        "undefined element: out of bounds table access",
    ),
    ("writes-wild-memory", "out of bounds memory access"),
    ("exits", "the plugin crashed"),
    ("aborts", "wasm `unreachable` instruction executed"),
    ("fills-its-memory-for-ever", TIME),
];

const STREAMS: &[Expected] = &[
    ("honest", ""),
    (
        "binds-a-column-that-is-not-there",
        "hashes column 9 of an input with 1",
    ),
    ("binds-an-input-that-is-not-there", "binds 2 inputs of 1"),
    ("hashes-a-column-twice", "hashes column 0 twice"),
    ("sorts-a-column-twice", "sorts by column 0 twice"),
    ("answers-another-schema", "column \"out\""),
    ("answers-two-columns", "1 nodes and 2 buffers more"),
    (
        "claims-four-billion-rows",
        "a batch of 4294967295 rows; 16777216 are allowed",
    ),
    ("more-for-ever", IDLE),
    ("more-empty-batches-for-ever", IDLE),
    (
        "panics-in-pull",
        "panic: panicked at tests/hostile/src/streams.rs",
    ),
    ("takes-a-huge-snapshot", "limit"),
    ("spins-in-bind", TIME),
    ("spins-in-open", TIME),
    ("spins-in-push", TIME),
    ("spins-in-pull", TIME),
    ("spins-in-finish", TIME),
    ("spins-in-snapshot", TIME),
    ("spins-in-restore", TIME),
];

const AGGREGATES: &[Expected] = &[
    ("honest", ""),
    (
        "binds-a-column-that-is-not-there",
        "needs column 7 of an input with 1",
    ),
    ("has-no-state", "at least one column of state"),
    ("has-no-output", "at least one column of state"),
    ("states-another-schema", "column \"state\""),
    (
        "states-too-many-groups",
        "it returned 3 groups where 2 belong",
    ),
    (
        "answers-too-few-groups",
        "it returned 1 groups where 2 belong",
    ),
    (
        "answers-too-many-groups",
        "it returned 3 groups where 2 belong",
    ),
    ("answers-four-billion-groups", "a batch of 4294967295 rows"),
    ("spins-in-bind", TIME),
    ("spins-in-open", TIME),
    ("spins-in-update", TIME),
    ("spins-in-merge", TIME),
    ("spins-in-state", TIME),
    ("spins-in-evaluate", TIME),
];

const TABLES: &[Expected] = &[
    ("origins-beyond-the-arguments", "come from row 1000 of 100"),
    (
        "origins-that-decrease",
        "go back from row 5 of the arguments to row 4",
    ),
    (
        "origins-that-decrease-in-pull",
        "go back from row 6 of the arguments to row 2",
    ),
    ("too-few-origins", "returned 3 rows and 2 origins"),
    ("origins-of-three-bytes", "not a multiple of 4"),
    ("more-for-ever", IDLE),
    ("more-empty-rows-for-ever", IDLE),
    ("spins-in-bind", TIME),
    ("spins-in-open", TIME),
    ("spins-in-expand", TIME),
    ("spins-in-pull", TIME),
];

fn numbers() -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(0..100))
}

fn rows() -> RecordBatch {
    RecordBatch::try_from_iter([("n", numbers())]).unwrap()
}

fn config(evil: &str) -> String {
    format!(r#"{{"evil": "{evil}"}}"#)
}

async fn lie(plugin: &Plugin, evil: &str, budget: Arc<FixedBudget>) -> Result<(), Error> {
    let (limits, batch) = (limits(), rows());
    let (schema, config) = (batch.schema(), config(evil));
    let budget = || Arc::clone(&budget) as _;
    let binding = plugin.bind_map("lies", &config, &schema, &limits, budget());
    let binding = binding.await?;
    let mut instance = plugin.open_map(&binding, &limits, budget()).await?;
    let outcome = instance.apply(&batch).await;
    let kept: usize = instance.take_log().iter().map(|l| l.message.len()).sum();
    assert!(
        kept <= limits.log_bytes + 100,
        "{evil}: {kept} bytes of log"
    );
    outcome.map(|_| ())
}

async fn stream(plugin: &Plugin, evil: &str, budget: Arc<FixedBudget>) -> Result<(), Error> {
    let limits = Limits {
        memory_bytes: 256 << 20,
        ..limits()
    };
    let (batch, config) = (rows(), config(evil));
    let inputs = [batch.schema()];
    let budget = || Arc::clone(&budget) as _;
    let binding = plugin.bind_stream("streams", &config, &inputs, &limits, budget());
    let binding = binding.await?;
    let mut session = plugin
        .open_stream(&binding, None, &limits, budget())
        .await?;
    let mut more = session.push(0, &batch).await?.more;
    while more {
        more = session.pull().await?.more;
    }
    let snapshot = session.snapshot().await?;
    session.finish(0).await?;
    let again = plugin.open_stream(&binding, Some(&snapshot), &limits, budget());
    again.await.map(|_| ())
}

async fn aggregate(plugin: &Plugin, evil: &str, budget: Arc<FixedBudget>) -> Result<(), Error> {
    let (limits, schema, config) = (limits(), rows().schema(), config(evil));
    let budget = || Arc::clone(&budget) as _;
    let binding = plugin.bind_aggregate("aggregates", &config, &schema, &limits, budget());
    let binding = binding.await?;
    let open = || plugin.open_aggregate(&binding, &limits, budget());
    let mut groups = open().await?;
    let numbers_of_groups: Vec<u32> = (0..100).map(|n| n % 2).collect();
    groups.update(&[numbers()], &numbers_of_groups, 2).await?;
    let states = groups.state(Emit::All, 2).await?;
    let mut merged = open().await?;
    merged.merge(states.columns(), &[0, 1], 2).await?;
    merged.evaluate(Emit::First(2), 2).await.map(|_| ())
}

async fn table(plugin: &Plugin, evil: &str, budget: Arc<FixedBudget>) -> Result<(), Error> {
    let (limits, schema, config) = (limits(), rows().schema(), config(evil));
    let budget = || Arc::clone(&budget) as _;
    let binding = plugin.bind_table_function("tables", &config, &schema, &limits, budget());
    let binding = binding.await?;
    let mut expander = plugin
        .open_table_function(&binding, &limits, budget())
        .await?;
    let mut more = expander
        .expand(100, &[Column::Array(numbers())])
        .await?
        .more;
    while more {
        more = expander.pull().await?.more;
    }
    Ok(())
}

/// Strikes with each of a family, and holds what becomes of it against what is expected.
async fn contained<F>(
    family: &str,
    expected: &[Expected],
    strike: impl Fn(&'static str, Arc<FixedBudget>) -> F,
) where
    F: Future<Output = Result<(), Error>>,
{
    let mut wrong = Vec::new();
    for &(evil, words) in expected {
        let budget = Arc::new(FixedBudget::new(1 << 30));
        let started = Instant::now();
        let outcome = strike(evil, Arc::clone(&budget)).await;
        let took = started.elapsed();
        let said = outcome.map_or_else(|e| e.to_string(), |()| String::new());
        let is_expected = match words {
            "" => said.is_empty(),
            words => said.contains(words),
        };
        if !is_expected {
            wrong.push(format!("{family} {evil}: {said:.300?}"));
        }
        if said.len() > 11_000 {
            wrong.push(format!("{family} {evil}: an error of {} bytes", said.len()));
        }
        if took > Duration::from_secs(10) {
            wrong.push(format!("{family} {evil} took {took:?}"));
        }
        if budget.used() > 0 {
            wrong.push(format!("{family} {evil} keeps {} bytes", budget.used()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn plugin() -> (Host, Plugin) {
    let host = Host::new(&HostConfig::default()).unwrap();
    let plugin = host.load(&component("tests/hostile")).unwrap();
    (host, plugin)
}

#[tokio::test]
async fn lies_are_refused() {
    let (_host, plugin) = plugin();
    contained("map", LIES, |evil, budget| lie(&plugin, evil, budget)).await;
}

#[tokio::test]
async fn streams_are_contained() {
    let (_host, plugin) = plugin();
    contained("stream", STREAMS, |evil, budget| {
        stream(&plugin, evil, budget)
    })
    .await;
}

#[tokio::test]
async fn aggregates_are_contained() {
    let (_host, plugin) = plugin();
    contained("aggregate", AGGREGATES, |evil, budget| {
        aggregate(&plugin, evil, budget)
    })
    .await;
}

#[tokio::test]
async fn table_functions_are_contained() {
    let (_host, plugin) = plugin();
    contained("table function", TABLES, |evil, budget| {
        table(&plugin, evil, budget)
    })
    .await;
}

#[test]
fn all_evils_leave_nothing_behind() {
    run_alone("evils::all_of_them_in_a_process_of_their_own");
}

#[test]
#[ignore = "started by another test, in a process of its own"]
fn all_of_them_in_a_process_of_their_own() {
    let (host, plugin) = plugin();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let round = || {
        runtime.block_on(async {
            contained("map", LIES, |evil, budget| lie(&plugin, evil, budget)).await;
            contained("stream", STREAMS, |evil, budget| {
                stream(&plugin, evil, budget)
            })
            .await;
            contained("aggregate", AGGREGATES, |evil, budget| {
                aggregate(&plugin, evil, budget)
            })
            .await;
            contained("table function", TABLES, |evil, budget| {
                table(&plugin, evil, budget)
            })
            .await;
            let honest = Arc::new(FixedBudget::new(64 << 20));
            lie(&plugin, "honest", Arc::clone(&honest)).await.unwrap();
            assert_eq!(honest.used(), 0);
        });
        super::handmade::refuse_all(&host);
        Left::now()
    };
    // The allocator and the pool of slots keep what the first round needed.
    let warm = round();
    let (first, second) = (round(), round());
    println!("warm {warm:?}, after one round {first:?}, after two {second:?}");
    assert_eq!(first.threads, second.threads, "threads");
    assert_eq!(first.files, second.files, "open files");
    let most = first.memory + first.memory / 20 + (8 << 20);
    assert!(second.memory <= most, "memory: {first:?}, {second:?}");
}

/// What a process has of the machine.
#[derive(Debug)]
struct Left {
    memory: usize,
    threads: usize,
    files: usize,
}

impl Left {
    fn now() -> Self {
        let count = |folder: &str| std::fs::read_dir(folder).unwrap().count();
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        let resident = pages.split_whitespace().nth(1).unwrap();
        Self {
            memory: resident.parse::<usize>().unwrap() * 4096,
            threads: count("/proc/self/task"),
            files: count("/proc/self/fd"),
        }
    }
}
