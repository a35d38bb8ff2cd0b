//! Tests of the whole store: one suite for every engine, a random model, kills, power cuts, failing disks,
//! damage.

mod conformance;
mod damage;
mod faults;
mod golden;
mod kill;
mod loop_device;
mod maintenance;
mod model;
mod power;
mod simulated;

use std::fs;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use tempfile::TempDir;

use super::*;
use crate::engine::Engine;
use crate::engine::redb::RedbEngine;
use crate::store::Database;

pub(super) const TENANT: Tenant = Tenant::new(7);

/// A way to open a store in a directory; opening again must show what was there.
pub(super) type Open = fn(&Path) -> Box<dyn Store>;

pub(super) fn open_sled(dir: &Path) -> Box<dyn Store> {
    Box::new(SledStore::open(dir, &config(), &clock()).unwrap())
}

pub(super) fn open_redb(dir: &Path) -> Box<dyn Store> {
    Box::new(database::<RedbEngine>(dir))
}

pub(super) fn database<E: Engine>(dir: &Path) -> Database<E> {
    Database::open(dir, &config(), Arc::new(clock()), Arc::new(SystemDisk)).unwrap()
}

/// Short files, so that tests do not wait for zeros to be written.
pub(super) fn config() -> StoreConfig {
    StoreConfig {
        segment_bytes: 256 * 1024,
        ..StoreConfig::default()
    }
}

pub(super) fn clock() -> ManualClock {
    ManualClock::new(SystemTime::UNIX_EPOCH)
}

pub(super) fn key(name: &str) -> Key {
    Key::new().with_part(name)
}

pub(super) fn put(name: &str, payload: &[u8]) -> Transaction {
    Transaction::new(TENANT).put(Tree::Object, key(name), 1, payload.to_vec())
}

pub(super) fn payload_of(store: &dyn Store, name: &str) -> Option<Vec<u8>> {
    store
        .get(TENANT, Tree::Object, &key(name))
        .unwrap()
        .map(|record| record.payload)
}

/// A folder in memory where the system has one: what these tests are about does not depend on the disk, and
/// they would spend their time in its syncs.
pub(super) fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// Copies a folder, also one that is being written to.
pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap().path();
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy(&entry, &target);
        } else if let Err(error) = fs::copy(&entry, &target) {
            // sled replaces its snapshots when it likes.
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
        }
    }
}
