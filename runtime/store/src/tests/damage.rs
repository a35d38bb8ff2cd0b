//! Damaged, locked and foreign directories are refused with a sentence that says what to do; nothing wrong is
//! ever read back.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::engine::sled::SledEngine;
use crate::engine::{Engine, Op};
use crate::journal::{self, reader};
use crate::store::Database;
use crate::tree::Space;

fn try_open(dir: &Path) -> Result<SledStore> {
    SledStore::open(dir, &config(), &clock())
}

fn database(dir: &Path) -> Database<SledEngine> {
    super::database(dir)
}

#[test]
fn a_directory_in_use_is_named_with_what_to_do() {
    let dir = scratch();
    let _first = try_open(dir.path()).unwrap();
    let error = try_open(dir.path()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the store in {} is in use by another process; stop that process, or choose another directory",
            dir.path().display()
        )
    );
}

#[test]
fn a_newer_format_is_refused() {
    let dir = scratch();
    drop(try_open(dir.path()).unwrap());
    let lines = "tenon-store 3\nrunning somewhere\n";
    let marker = format!("{lines}{:08x}\n", crc32c::crc32c(lines.as_bytes()));
    fs::write(dir.path().join("STATE"), marker).unwrap();
    let text = try_open(dir.path()).unwrap_err().to_string();
    assert!(
        text.ends_with("has format 3, this build reads up to 2; use a newer tenon"),
        "{text}"
    );
}

#[test]
fn a_path_that_is_no_directory_is_named() {
    let dir = scratch();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    let text = try_open(&file).unwrap_err().to_string();
    assert!(text.contains(&file.display().to_string()), "{text}");
}

#[test]
fn a_damaged_value_is_an_error_that_names_it() {
    let dir = scratch();
    let store = database(dir.path());
    store.commit(put("good", b"x")).unwrap();
    store.commit(put("bad", b"x")).unwrap();
    let stored_key = key("bad").stored(TENANT);
    let space = Space::Records(Tree::Object);
    let mut value = store
        .shared()
        .engine
        .get(space, &stored_key)
        .unwrap()
        .unwrap();
    *value.last_mut().unwrap() ^= 1;
    store
        .shared()
        .engine
        .apply(&[Op {
            space,
            key: stored_key,
            value: Some(value),
        }])
        .unwrap();

    let text = store
        .get(TENANT, Tree::Object, &key("bad"))
        .unwrap_err()
        .to_string();
    assert!(
        text.starts_with("obj record bad/ is damaged: its checksum is "),
        "{text}"
    );
    let scanned = store.scan(TENANT, Tree::Object, &Key::new(), None, 10);
    assert!(matches!(scanned, Err(Error::DamagedRecord { .. })));
    assert!(matches!(
        store.commit(put("bad", b"y")),
        Err(Error::DamagedRecord { .. })
    ));
    assert_eq!(payload_of(&store, "good"), Some(b"x".to_vec()));
    store.commit(put("good", b"y")).unwrap();
}

#[test]
fn damaged_chunks_are_noticed() {
    let dir = scratch();
    let store = database(dir.path());
    store.commit(put("a", &[1; 10_000])).unwrap();
    let mut chunks = Vec::new();
    let collect = &mut |key: &[u8], value: &[u8]| {
        chunks.push((key.to_vec(), value.to_vec()));
        Ok(true)
    };
    store
        .shared()
        .engine
        .range(Space::Chunks, &[], None, collect)
        .unwrap();
    assert_eq!(chunks.len(), 3);
    let error = |ops: &[Op]| {
        store.shared().engine.apply(ops).unwrap();
        store
            .get(TENANT, Tree::Object, &key("a"))
            .unwrap_err()
            .to_string()
    };
    let op = |index: usize, value: Option<&Vec<u8>>| Op {
        space: Space::Chunks,
        key: chunks[index].0.clone(),
        value: value.cloned(),
    };
    let missing = error(&[op(1, None)]);
    assert_eq!(
        missing,
        "obj record a/ is damaged: chunk 1 of 3 is missing; restart to rebuild it from checkpoint and journal"
    );
    let swapped = error(&[op(1, Some(&chunks[2].1))]);
    assert!(swapped.starts_with("chunk record "), "{swapped}");
}

/// A store with two checkpoints and a journal of several files after them; returns what it holds.
fn sample(dir: &Path) -> (SledStore, Page) {
    let config = StoreConfig {
        segment_bytes: 16 * 1024,
        ..config()
    };
    let store = SledStore::open(dir, &config, &clock()).unwrap();
    for number in 0..240_u32 {
        let payload = number
            .to_be_bytes()
            .repeat(if number % 40 == 0 { 2000 } else { 20 });
        store
            .commit(put(&(number % 60).to_string(), &payload))
            .unwrap();
        if number == 80 || number == 160 {
            store.checkpoint().unwrap();
        }
    }
    let page = all(&store).unwrap();
    (store, page)
}

fn all(store: &SledStore) -> Result<Page> {
    store.scan(TENANT, Tree::Object, &Key::new(), None, 1000)
}

/// Flips a bit of one file, or cuts it, somewhere where there is something.
fn damage(dir: &Path, random: &mut StdRng) -> String {
    let mut files = Vec::new();
    for folder in ["sled", "journal", "checkpoint", ""] {
        let entries = fs::read_dir(dir.join(folder)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> = paths
            .filter(|path| path.is_file() && fs::metadata(path).unwrap().len() > 0)
            .collect();
        paths.sort();
        files.push(paths);
    }
    let group = &files[random.random_range(0..files.len())];
    let file = &group[random.random_range(0..group.len())];
    let mut bytes = fs::read(file).unwrap();
    let used = bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1);
    let name = file.strip_prefix(dir).unwrap().display();
    if random.random_bool(0.3) {
        let length = random.random_range(0..bytes.len());
        bytes.truncate(length);
        fs::write(file, &bytes).unwrap();
        return format!("{name} cut to {length} bytes");
    }
    let bit = random.random_range(0..used.max(1) * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    fs::write(file, &bytes).unwrap();
    format!("{name} with bit {bit} flipped")
}

#[test]
fn flipped_bits_and_cut_files_are_repaired_or_refused_and_never_served() {
    const TRIALS: u32 = 300;
    let dir = scratch();
    let (store, expected) = sample(dir.path());
    let (killed, closed) = (scratch(), scratch());
    copy(dir.path(), killed.path());
    drop(store);
    copy(dir.path(), closed.path());

    let (mut refused, mut rebuilt, mut intact) = (0, 0, 0);
    for trial in 0..TRIALS {
        let mut random = StdRng::seed_from_u64(u64::from(trial));
        let damaged = scratch();
        let base = if trial % 2 == 0 { &killed } else { &closed };
        copy(base.path(), damaged.path());
        // The first two are the control: nothing is damaged.
        let what = if trial < 2 {
            "nothing".to_owned()
        } else {
            damage(damaged.path(), &mut random)
        };
        let strict = StoreConfig {
            verify_on_open: VerifyOnOpen::Always,
            ..config()
        };
        let settings = if trial % 4 < 2 { config() } else { strict };
        let opened = SledStore::open(damaged.path(), &settings, &clock());
        let outcome = opened.and_then(|store| Ok((all(&store)?, store.status())));
        match outcome {
            Err(error) => {
                let text = error.to_string();
                assert!(
                    trial >= 2 && text.contains("damaged"),
                    "trial {trial}, {what}: {text}"
                );
                refused += 1;
            }
            Ok((page, status)) => {
                assert!(
                    page == expected,
                    "trial {trial}, {what}: something else is served"
                );
                match status.rebuilt {
                    Some(_) => rebuilt += 1,
                    None => intact += 1,
                }
            }
        }
    }
    println!("{refused} refused, {rebuilt} rebuilt, {intact} without effect");
    assert!(
        refused > 0 && rebuilt > 20 && intact > 20,
        "{refused} refused, {rebuilt} rebuilt, {intact} intact: nothing was tested"
    );
}

#[test]
fn a_journal_damaged_before_its_end_is_refused_by_the_number_of_the_record() {
    let dir = scratch();
    let (store, _) = sample(dir.path());
    let killed = scratch();
    copy(dir.path(), killed.path());
    drop(store);
    let segments = crate::journal::segments(&SystemDisk, &killed.path().join("journal")).unwrap();
    // Of the files after the last checkpoint.
    let (seq, path) = &segments[segments.len() - 2];
    let mut bytes = fs::read(path).unwrap();
    bytes[64 + 30] ^= 1;
    fs::write(path, &bytes).unwrap();
    let error = try_open(killed.path()).unwrap_err();
    assert!(
        matches!(&error, Error::DamagedJournal { record, .. } if record == seq),
        "{error}"
    );
    let text = error.to_string();
    let advice = format!("`tenon store repair --to-seq {}`", seq - 1);
    assert!(text.ends_with(&advice), "{text}");
}

/// What sled holds is changed behind the store's back, in a way its own checks cannot see.
fn tamper(dir: &Path) -> PathBuf {
    let live = dir.join("live");
    let store = database(&live);
    store.commit(put("a", b"x")).unwrap();
    store.commit(put("b", b"x")).unwrap();
    let delete = Op {
        space: Space::Records(Tree::Object),
        key: key("b").stored(TENANT),
        value: None,
    };
    store.shared().engine.apply(&[delete]).unwrap();
    store.shared().engine.sync().unwrap();
    // As a killed process leaves it.
    let killed = dir.join("killed");
    copy(&live, &killed);
    drop(store);
    killed
}

#[test]
fn a_record_missing_from_the_engine_is_found_before_serving_and_repaired() {
    let dir = scratch();
    let copy = tamper(dir.path());
    let strict = StoreConfig {
        verify_on_open: VerifyOnOpen::Always,
        ..config()
    };
    let store = SledStore::open(&copy, &strict, &clock()).unwrap();
    let status = store.status();
    assert!(
        status
            .rebuilt
            .unwrap()
            .contains("entries are not those that were written")
    );
    assert_eq!(payload_of(&store, "b"), Some(b"x".to_vec()));
    assert!(copy.join("sled.bad.0").is_dir());
}

#[test]
fn a_record_missing_from_the_engine_is_found_beside_the_work_and_stops_the_store() {
    let dir = scratch();
    let copy = tamper(dir.path());
    let store = SledStore::open(&copy, &config(), &clock()).unwrap();
    while store.status().verified == Verified::Pending {
        std::thread::yield_now();
    }
    assert_eq!(store.status().verified, Verified::Damaged);
    let error = store.get(TENANT, Tree::Object, &key("a")).unwrap_err();
    assert!(matches!(error, Error::DamagedStore { .. }), "{error}");
    assert!(matches!(
        store.commit(put("c", b"")),
        Err(Error::Stopped { .. })
    ));
    drop(store);
    // The next start does not trust it and repairs it.
    let store = SledStore::open(&copy, &config(), &clock()).unwrap();
    assert!(store.status().rebuilt.is_some());
    assert_eq!(payload_of(&store, "b"), Some(b"x".to_vec()));
}

/// A crash between two operations of a group leaves the first of them, without the state that would say so.
#[test]
fn a_group_that_the_engine_had_begun_is_finished() {
    let dir = scratch();
    let (live, killed) = (dir.path().join("live"), dir.path().join("killed"));
    let store = database(&live);
    store.commit(put("a", b"old")).unwrap();
    store.commit(put("b", b"old")).unwrap();
    store.shared().engine.sync().unwrap();
    copy(&live, &killed);
    store
        .commit(put("a", b"new").delete(Tree::Object, key("b")).put(
            Tree::Object,
            key("c"),
            1,
            b"new".to_vec(),
        ))
        .unwrap();
    copy(&live.join(journal::FOLDER), &killed.join(journal::FOLDER));
    drop(store);
    let mut group = Vec::new();
    reader::read(
        &SystemDisk,
        &killed.join(journal::FOLDER),
        3,
        &mut |entry| {
            group.extend(entry.ops);
            Ok(())
        },
    )
    .unwrap();
    assert_eq!(group.len(), 3);
    for begun in 0..=group.len() {
        for verify_on_open in [VerifyOnOpen::Always, VerifyOnOpen::AfterPowerCut] {
            let copied = dir.path().join(format!("{begun}-{verify_on_open:?}"));
            copy(&killed, &copied);
            let engine = SledEngine::open(&copied, &config(), Arc::new(SystemDisk)).unwrap();
            engine.apply(&group[..begun]).unwrap();
            engine.sync().unwrap();
            drop(engine);
            let settings = StoreConfig {
                verify_on_open,
                ..config()
            };
            let store = SledStore::open(&copied, &settings, &clock()).unwrap();
            while store.status().verified == Verified::Pending {
                std::thread::yield_now();
            }
            let status = store.status();
            assert_eq!(status.verified, Verified::Verified, "{begun} operations");
            assert_eq!((status.rebuilt, status.replayed), (None, 1));
            let stored = ["a", "b", "c"].map(|name| payload_of(&store, name));
            assert_eq!(stored, [Some(b"new".to_vec()), None, Some(b"new".to_vec())]);
        }
    }
}

/// Changes of every kind while scans are at every place, also between trees: none may look like damage.
#[test]
fn writes_during_a_scan_do_not_look_like_damage() {
    let dir = scratch();
    let store = database(dir.path());
    let writing = AtomicBool::new(true);
    let mut scans = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = StdRng::seed_from_u64(3);
            for number in 0..4000_u32 {
                let tree = Tree::ALL[random.random_range(0..Tree::ALL.len())];
                let name = random.random_range(0..20).to_string();
                let size = if random.random_bool(0.1) { 9000 } else { 10 };
                let transaction = Transaction::new(TENANT);
                let transaction = if random.random_bool(0.3) {
                    transaction.delete(tree, key(&name))
                } else {
                    transaction.put(tree, key(&name), 1, vec![number as u8; size])
                };
                store.commit(transaction).unwrap();
            }
            writing.store(false, Ordering::Relaxed);
        });
        while writing.load(Ordering::Relaxed) {
            store.shared().scan_checked(&mut |_, _, _| Ok(())).unwrap();
            scans += 1;
        }
    });
    assert!(scans > 10, "{scans} scans: nothing was tested");
}
