//! Golden directories: what each format wrote is kept, and must open in every later build. Of the format with a
//! journal, that is journal and checkpoint, so opening rebuilds the engine.
//!
//! For a new format, set the variable to a new folder under `test-data`, run the test once, and keep the old.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use super::*;

const WRITE_VARIABLE: &str = "TENON_STORE_WRITE_GOLDEN";

fn golden(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("test-data");
    folder.join(name)
}

/// The files that do not depend on the machine, below a store's directory.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for folder in ["journal", "checkpoint"] {
        for entry in fs::read_dir(dir.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read(path).unwrap());
        }
    }
    files
}

/// Writes what the golden directory holds: puts, a chunked payload, a delete, two tenants, a checkpoint in the
/// middle; left as a killed process leaves it, because closing would write another checkpoint.
fn write(dir: &Path, killed: &Path) {
    let small = StoreConfig {
        segment_bytes: 4096,
        ..config()
    };
    let store = SledStore::open(dir, &small, &clock()).unwrap();
    store.commit(put("a", b"one").by("anna")).unwrap();
    store.commit(put("large", &[7; 5000])).unwrap();
    store.checkpoint().unwrap();
    store.commit(put("a", b"two").by("ben")).unwrap();
    let other = Transaction::new(Tenant::new(8)).put(Tree::Run, key("theirs"), 3, b"x".to_vec());
    store.commit(other).unwrap();
    let delete = Transaction::new(TENANT).delete(Tree::Object, key("large"));
    store.commit(delete).unwrap();
    copy(dir, killed);
}

#[test]
fn a_directory_of_this_format_is_written_byte_for_byte_and_opens() {
    let (dir, written) = (scratch(), scratch());
    write(dir.path(), written.path());
    if let Some(target) = env::var_os(WRITE_VARIABLE).map(PathBuf::from) {
        for (name, bytes) in files(written.path()) {
            let path = target.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    assert!(
        files(written.path()) == files(&golden("store-v2")),
        "the stored layout must not change without a new format"
    );

    let dir = scratch();
    copy(&golden("store-v2"), dir.path());
    assert_eq!(log(dir.path(), 2, 1).unwrap().changes[0].actor, "ben");
    let store = SledStore::open(dir.path(), &config(), &clock()).unwrap();
    assert_eq!(store.status().last_seq, 5);
    assert!(store.status().rebuilt.is_some());
    assert_eq!(payload_of(&store, "a"), Some(b"two".to_vec()));
    assert_eq!(payload_of(&store, "large"), None);
    let theirs = store.get(Tenant::new(8), Tree::Run, &key("theirs"));
    assert_eq!(theirs.unwrap().unwrap().schema, 3);
}

/// As the last build without a journal left it: it has sled's files alone.
#[test]
fn a_directory_of_the_format_without_a_journal_opens_and_is_upgraded() {
    let dir = scratch();
    copy(&golden("store-v1"), dir.path());
    let holds = |store: &SledStore| {
        assert_eq!(payload_of(store, "a"), Some(b"two".to_vec()));
        assert_eq!(payload_of(store, "kept"), Some(vec![9; 9000]));
        assert_eq!(payload_of(store, "large"), None);
        let theirs = store.get(Tenant::new(8), Tree::Run, &key("theirs"));
        let theirs = theirs.unwrap().unwrap();
        assert_eq!((theirs.schema, theirs.payload), (3, b"x".to_vec()));
    };
    let store = SledStore::open(dir.path(), &config(), &clock()).unwrap();
    assert_eq!(
        (store.status().last_seq, store.status().upgraded),
        (6, true)
    );
    holds(&store);
    assert_eq!(store.commit(put("b", b"new")).unwrap().seq, 7);
    drop(store);

    fs::remove_dir_all(dir.path().join("sled")).unwrap();
    let store = SledStore::open(dir.path(), &config(), &clock()).unwrap();
    assert!(store.status().rebuilt.is_some());
    holds(&store);
    assert_eq!(payload_of(&store, "b"), Some(b"new".to_vec()));
}
