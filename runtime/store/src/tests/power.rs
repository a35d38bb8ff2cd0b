//! Power cuts on a simulated disk, at any operation of opening, committing, beginning a file of the journal,
//! writing a checkpoint and closing: nothing acknowledged is lost, nothing is torn.
//!
//! Each transaction changes a counter and a few other records, some of them chunked, as a function of its
//! number. Whatever number the counter shows after a cut, everything else must be exactly as after that
//! transaction. sled's own files are as they were at the cut, or older, or damaged, or gone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::simulated::SimulatedDisk;
use super::*;

/// Runs of a few cuts each; for a long trial, set the variable.
const RUNS_VARIABLE: &str = "TENON_STORE_SIMULATED_RUNS";
const RUNS: u64 = 60;
const CUTS_IN_A_RUN: usize = 4;

/// Every one of these is to meet a cut. Which operation does depends on when threads run, so that there are more
/// runs when one was missed, up to this many times the number asked for.
const MOMENTS: [&str; 8] = [
    "open: ",
    "work: ",
    "write log",
    "sync log",
    "write tmp",
    "sync tmp",
    "rename",
    "sync folder",
];
const MORE_RUNS: u64 = 20;

type Contents = BTreeMap<(Tree, String), Vec<u8>>;

/// The transaction with this number, and what it does to the contents.
fn step(seed: u64, number: u64, contents: &mut Contents) -> Transaction {
    let mut random = StdRng::seed_from_u64(seed ^ (number << 20));
    let mut transaction = Transaction::new(TENANT).by("tester");
    let counter = number.to_be_bytes().to_vec();
    contents.insert((Tree::Run, "counter".to_owned()), counter.clone());
    transaction = transaction.put(Tree::Run, key("counter"), 1, counter);
    let mut touched = BTreeSet::new();
    for _ in 0..random.random_range(1..4) {
        let tree = [Tree::Object, Tree::Version, Tree::Partition][random.random_range(0..3)];
        let name = random.random_range(0..12).to_string();
        if !touched.insert((tree, name.clone())) {
            continue;
        }
        if random.random_bool(0.2) {
            contents.remove(&(tree, name.clone()));
            transaction = transaction.delete(tree, key(&name));
        } else {
            let size = if random.random_bool(0.1) {
                9000
            } else {
                random.random_range(0..700)
            };
            let payload: Vec<u8> = (0..size).map(|_| random.random_range(0..=255)).collect();
            contents.insert((tree, name.clone()), payload.clone());
            transaction = transaction.put(tree, key(&name), 1, payload);
        }
    }
    transaction
}

fn contents_of(store: &dyn Store) -> Contents {
    let mut contents = Contents::new();
    for tree in [Tree::Object, Tree::Version, Tree::Partition, Tree::Run] {
        let page = store.scan(TENANT, tree, &Key::new(), None, 1000).unwrap();
        for (key, record) in page.records {
            let name = String::from_utf8(key.reader().part().unwrap()).unwrap();
            contents.insert((tree, name), record.payload);
        }
    }
    contents
}

fn counter_of(contents: &Contents) -> u64 {
    contents
        .get(&(Tree::Run, "counter".to_owned()))
        .map_or(0, |payload| {
            u64::from_be_bytes(payload.as_slice().try_into().unwrap())
        })
}

/// What happens to sled's files at a cut.
fn damage(sled: &Path, older: &Path, random: &mut StdRng) -> &'static str {
    let db = sled.join("db");
    let Ok(mut bytes) = fs::read(&db) else {
        return "nothing there";
    };
    let used = bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(1, |last| last + 1);
    match random.random_range(0..8) {
        0 => {
            fs::remove_dir_all(sled).unwrap();
            "gone"
        }
        1 => {
            bytes.truncate(random.random_range(0..used));
            fs::write(&db, bytes).unwrap();
            "truncated"
        }
        2 => {
            let start = random.random_range(0..used);
            let end = (start + random.random_range(1..8192)).min(bytes.len());
            bytes[start..end].fill(0);
            fs::write(&db, bytes).unwrap();
            "zeros"
        }
        3 => {
            bytes[random.random_range(0..used)] ^= 0x10;
            fs::write(&db, bytes).unwrap();
            "flipped"
        }
        4 if older.is_dir() => {
            fs::remove_dir_all(sled).unwrap();
            copy(older, sled);
            "older"
        }
        _ => "whole",
    }
}

#[test]
fn a_power_cut_at_any_moment_loses_and_tears_nothing() {
    let runs = env::var(RUNS_VARIABLE).map_or(RUNS, |runs| runs.parse().unwrap());
    let mut seen = BTreeMap::new();
    let missed = |seen: &BTreeMap<String, u64>| {
        let met = |moment: &&str| seen.keys().any(|key| key.contains(*moment));
        MOMENTS.into_iter().find(|moment| !met(moment))
    };
    for seed in 0..runs * MORE_RUNS {
        if seed >= runs && missed(&seen).is_none() {
            break;
        }
        println!("seed {seed}");
        run(seed, &mut seen);
    }
    println!("{seen:#?}");
    assert_eq!(missed(&seen), None, "no power cut there: {seen:?}");
}

fn run(seed: u64, seen: &mut BTreeMap<String, u64>) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut dir = scratch();
    let older = scratch();
    let older_sled = older.path().join("sled");
    let mut disk = SimulatedDisk::new(dir.path());
    let mut history = vec![Contents::new()];
    let mut acknowledged = 0;
    for life in 0..=CUTS_IN_A_RUN {
        let last_life = life == CUTS_IN_A_RUN;
        if !last_life {
            disk.cut_after(random.random_range(0..140));
        }
        let config = StoreConfig {
            segment_bytes: 16 * 1024,
            checkpoint_interval: Duration::from_millis(random.random_range(1..20)),
            checkpoint_journal_bytes: 24 * 1024,
            verify_on_open: VerifyOnOpen::Always,
            ..StoreConfig::default()
        };
        let opened =
            SledStore::open_with_disk(dir.path(), &config, &clock(), Arc::new(disk.clone()));
        let mut moment = "open";
        let next: PathBuf;
        match opened {
            Err(error) => {
                assert!(disk.cut_in().is_some(), "seed {seed} life {life}: {error}");
            }
            Ok(store) => {
                moment = "work";
                let contents = contents_of(&store);
                let number = counter_of(&contents);
                assert!(
                    number >= acknowledged,
                    "seed {seed} life {life}: {acknowledged} were acknowledged, {number} are there"
                );
                let expected = history.get(number as usize);
                assert!(
                    Some(&contents) == expected,
                    "seed {seed} life {life}: not the state after transaction {number}"
                );
                history.truncate(number as usize + 1);
                for number in number + 1.. {
                    let mut contents = history.last().unwrap().clone();
                    let transaction = step(seed + life as u64 * 1000, number, &mut contents);
                    history.push(contents);
                    match store.commit(transaction) {
                        Ok(commit) => {
                            assert_eq!(commit.seq, number);
                            acknowledged = number;
                        }
                        Err(error) => {
                            assert!(disk.cut_in().is_some(), "seed {seed}: {error}");
                            break;
                        }
                    }
                    if random.random_bool(0.05) && !older_sled.is_dir() {
                        copy(&dir.path().join("sled"), &older_sled);
                    }
                    let closed = random.random_bool(0.01);
                    if closed || (last_life && number > acknowledged + 20) || number > 400 {
                        break;
                    }
                }
                // Either as a killed process leaves sled's files, or as closing does.
                if random.random_bool(0.5) {
                    drop(store);
                } else {
                    next = scratch().keep();
                    copy(&dir.path().join("sled"), &next.join("sled"));
                    drop(store);
                    fs::remove_dir_all(dir.path().join("sled")).unwrap();
                    fs::rename(next.join("sled"), dir.path().join("sled")).unwrap();
                    fs::remove_dir(next).unwrap();
                }
            }
        }
        let after = scratch();
        let sled = after.path().join("sled");
        if dir.path().join("sled").is_dir() {
            copy(&dir.path().join("sled"), &sled);
        }
        let what = damage(&sled, &older_sled, &mut random);
        let cut = disk.cut_in().unwrap_or_else(|| "nothing".to_owned());
        *seen.entry(format!("{moment}: {cut}")).or_default() += 1;
        *seen.entry(format!("sled {what}")).or_default() += 1;
        disk = disk.after_cut(after.path(), &mut random);
        dir = after;
    }
}
