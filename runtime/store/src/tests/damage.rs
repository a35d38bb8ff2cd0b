//! Damaged, locked and foreign directories are refused with a sentence that says what to do; nothing wrong is
//! ever read back.

use std::fs;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::engine::sled::SledEngine;
use crate::engine::{Engine, Op};
use crate::store::Database;
use crate::tree::Space;
use crate::value::put_meta;

fn try_open(dir: &Path) -> Result<SledStore> {
    SledStore::open(dir, &StoreConfig::default(), &clock())
}

fn database(dir: &Path) -> Database<SledEngine> {
    let config = StoreConfig::default();
    let engine = SledEngine::open(dir, &config, Arc::new(SystemDisk)).unwrap();
    Database::start(dir, engine, &config, &clock()).unwrap()
}

#[test]
fn a_directory_in_use_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
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
    let dir = tempfile::tempdir().unwrap();
    let store = database(dir.path());
    store.engine().apply(&[put_meta("format", 0, 2)]).unwrap();
    store.engine().sync().unwrap();
    drop(store);
    let text = try_open(dir.path()).unwrap_err().to_string();
    assert!(
        text.ends_with("has format 2, this build reads up to 1; use a newer tenon"),
        "{text}"
    );
}

#[test]
fn a_path_that_is_no_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    let text = try_open(&file).unwrap_err().to_string();
    assert!(text.contains(&file.display().to_string()), "{text}");
}

#[test]
fn a_damaged_value_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = database(dir.path());
    store.commit(put("good", b"x")).unwrap();
    store.commit(put("bad", b"x")).unwrap();
    let stored_key = key("bad").stored(TENANT);
    let space = Space::Records(Tree::Object);
    let mut value = store.engine().get(space, &stored_key).unwrap().unwrap();
    *value.last_mut().unwrap() ^= 1;
    store
        .engine()
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
    let dir = tempfile::tempdir().unwrap();
    let store = database(dir.path());
    store.commit(put("a", &[1; 10_000])).unwrap();
    let mut chunks = Vec::new();
    let collect = &mut |key: &[u8], value: &[u8]| {
        chunks.push((key.to_vec(), value.to_vec()));
        Ok(true)
    };
    store
        .engine()
        .range(Space::Chunks, &[], None, collect)
        .unwrap();
    assert_eq!(chunks.len(), 3);
    let error = |ops: &[Op]| {
        store.engine().apply(ops).unwrap();
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
        "obj record a/ is damaged: chunk 1 of 3 is missing; restore the store from a backup"
    );
    let swapped = error(&[op(1, Some(&chunks[2].1))]);
    assert!(swapped.starts_with("chunk record "), "{swapped}");
}

#[test]
fn flipped_bits_in_the_files_are_never_read_back_as_something_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_sled(dir.path());
    for number in 0..200_u32 {
        store
            .commit(put(
                &(number % 60).to_string(),
                &number.to_be_bytes().repeat(20),
            ))
            .unwrap();
    }
    let expected = store
        .scan(TENANT, Tree::Object, &Key::new(), None, 1000)
        .unwrap();
    drop(store);
    // sled lets go of its files a moment after the handle is gone; opening waits for that.
    drop(open_sled(dir.path()));

    let whole = fs::read(dir.path().join("sled/db")).unwrap();
    let used = whole.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let mut random = StdRng::seed_from_u64(6);
    let (mut refused, mut intact) = (0, 0);
    for trial in 0..40 {
        let damaged = tempfile::tempdir().unwrap();
        copy(&dir.path().join("sled"), &damaged.path().join("sled"));
        let mut bytes = whole.clone();
        let bit = random.random_range(0..used * 8);
        // The first trial is the control: nothing is damaged.
        if trial > 0 {
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        fs::write(damaged.path().join("sled/db"), &bytes).unwrap();

        let scan = |store: SledStore| store.scan(TENANT, Tree::Object, &Key::new(), None, 1000);
        match try_open(damaged.path()).and_then(scan) {
            Err(error) => {
                assert!(
                    trial > 0 && error.to_string().contains("damaged"),
                    "{error}"
                );
                refused += 1;
            }
            Ok(page) => {
                for (record, expected) in page.records.iter().zip(&expected.records) {
                    assert!(record == expected, "bit {bit}: {:?} was changed", record.0);
                }
                assert!(page == expected, "bit {bit}: records are missing");
                intact += 1;
            }
        }
    }
    assert!(
        refused > 0 && intact > 0,
        "{refused} refused, {intact} intact: nothing was tested"
    );
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            fs::copy(&entry, &target).unwrap();
        }
    }
}
