//! Everything that decodes what a guest wrote, fed with a corpus and with mutations of it: whatever the bytes, it accepts
//! or refuses, and what it accepts is sound. The same functions are the targets of `tests/fuzz`.
//!
//! The corpus of batches is made of random columns of every type by `writes_the_corpus`, an ignored test.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tenon_tests::random::Random;
use tenon_tests::root;

/// How many mutations, for a long trial.
const MUTATIONS_VARIABLE: &str = "TENON_FUZZ_MUTATIONS";
const MUTATIONS: usize = 20_000;

fn mutations() -> usize {
    std::env::var(MUTATIONS_VARIABLE).map_or(MUTATIONS, |count| count.parse().unwrap())
}

fn folder(target: &str) -> PathBuf {
    root().join("tests/fuzz/corpus").join(target)
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder(target)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let files = paths.iter().map(|path| std::fs::read(path).unwrap());
    files.collect()
}

/// A few small changes: bits, bytes, numbers of interest, cuts, pieces of another file.
fn mutated(random: &mut StdRng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus[random.random_range(0..corpus.len())].clone();
    for _ in 0..random.random_range(1..5) {
        if bytes.is_empty() {
            break;
        }
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..7) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = random.random(),
            2 => {
                let numbers = [0, 1, -1, i32::MAX, i32::MIN, 127, 255, 1 << 24];
                let number = numbers[random.random_range(0..numbers.len())];
                let end = bytes.len().min(at + 4);
                bytes[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
            }
            3 => bytes.truncate(at),
            4 => drop(bytes.remove(at)),
            5 => bytes.insert(at, random.random()),
            _ => {
                let other = &corpus[random.random_range(0..corpus.len())];
                let from = random.random_range(0..=other.len());
                let length = random.random_range(0..=(other.len() - from).min(64));
                let end = bytes.len().min(at + length);
                bytes.splice(at..end, other[from..from + length].iter().copied());
            }
        }
    }
    bytes
}

/// Feeds a decoder with the corpus and its mutations.
fn feed(target: &str, mutations: usize, decode: impl Fn(&[u8]) -> Result<(), String>) {
    let corpus = corpus(target);
    assert!(!corpus.is_empty(), "{target} has no corpus");
    let mut random = StdRng::seed_from_u64(7);
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    let inputs = (0..mutations).map(|_| mutated(&mut random, &corpus));
    let inputs: Vec<Vec<u8>> = corpus.iter().cloned().chain(inputs).collect();
    for (number, input) in inputs.iter().enumerate() {
        let outcome = catch_unwind(AssertUnwindSafe(|| decode(input)));
        let Ok(outcome) = outcome else {
            let path = std::env::temp_dir().join(format!("tenon-{target}-{number}"));
            std::fs::write(&path, input).unwrap();
            panic!("{target}: input {number} panics: {}", path.display());
        };
        let said = outcome.err().unwrap_or_default();
        assert!(
            !said.starts_with("NOT "),
            "{target}: input {number}: {said}"
        );
        assert!(
            said.len() < 100_000,
            "{target}: input {number}: {} bytes",
            said.len()
        );
        let kind = if said.is_empty() {
            "accepted"
        } else {
            "refused"
        };
        *outcomes.entry(kind).or_default() += 1;
    }
    println!("{target}: {outcomes:?}");
    assert_eq!(outcomes.len(), 2, "{target}: {outcomes:?}");
}

#[test]
fn batches() {
    feed("batch", mutations(), tenon_host::fuzz::batch);
}

#[test]
fn schemas() {
    feed("batch", mutations(), tenon_host::fuzz::schema);
}

#[test]
fn manifests() {
    feed("manifest", mutations(), |bytes| {
        let read = tenon_registry::read_manifest(bytes);
        read.map(drop).map_err(|e| e.to_string())
    });
}

#[test]
fn plans() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(8 << 20)
        .build()
        .unwrap();
    feed("plan", mutations() / 10, |bytes| {
        runtime.block_on(tenon_engine::fuzz::plan_sql(bytes))
    });
}

#[test]
#[ignore = "writes into the checkout"]
fn writes_the_corpus() {
    let write = |target: &str, name: &str, bytes: &[u8]| {
        std::fs::create_dir_all(folder(target)).unwrap();
        std::fs::write(folder(target).join(name), bytes).unwrap();
    };
    for seed in 0..300 {
        let batch = Random::new(seed).batch();
        let batch = batch.slice(0, batch.num_rows().min(9));
        let bytes = tenon_host::fuzz::encoded(&batch).unwrap();
        if bytes.len() < 2_000 {
            write("batch", &format!("random-{seed}"), &bytes);
        }
    }
    let manifest = r#"{"name": "small", "version": "0.1.0", "description": "d", "license": "MIT", "contract": "0.2.0",
        "functions": [{"name": "f", "kind": "map", "description": "d"}], "limits": {"call_time": "1 s"}}"#;
    let manifest = serde_json::from_str(manifest).unwrap();
    let empty = b"\0asm\x0d\0\x01\0";
    let component = tenon_registry::embed(&manifest, empty).unwrap();
    write("manifest", "small", &component);
    write("manifest", "none", empty);
    let queries = [
        "select * from input0",
        "with a as (select n, count(*) c from input0 group by n) select a.*, b.s from a join input0 b on a.n = b.n",
        "select s, sum(n) over (partition by s order by n) from input0 where s like 'a%' limit 7",
        "select * from input0 union all select n + 1, upper(s) from input0 order by 1",
        "create table stolen as select * from input0",
        "copy input0 to 'file.csv'",
        "select * from 'file.csv'",
        "select case when n > 1 then s else null end, n in (select n from input0) from input0",
    ];
    for (number, query) in queries.iter().enumerate() {
        write("plan", &format!("query-{number}"), query.as_bytes());
    }
}
