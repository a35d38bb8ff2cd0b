//! Golden directories: journal and checkpoint as each format wrote them are kept, and must open in every later
//! build. They have no engine, so opening rebuilds one.
//!
//! For a new format, set the variable to a new folder under `test-data`, run the test once, and keep the old.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use super::*;

const WRITE_VARIABLE: &str = "TENON_STORE_WRITE_GOLDEN";

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("test-data/store-v2")
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
        files(written.path()) == files(&golden()),
        "the stored layout must not change without a new format"
    );

    let dir = scratch();
    copy(&golden(), dir.path());
    let store = SledStore::open(dir.path(), &config(), &clock()).unwrap();
    assert_eq!(store.status().last_seq, 5);
    assert!(store.status().rebuilt.is_some());
    assert_eq!(payload_of(&store, "a"), Some(b"two".to_vec()));
    assert_eq!(payload_of(&store, "large"), None);
    let theirs = store.get(Tenant::new(8), Tree::Run, &key("theirs"));
    assert_eq!(theirs.unwrap().unwrap().schema, 3);
    assert_eq!(store.changes(TENANT, 2, 10).unwrap()[0].actor, "ben");
}
