//! Tests of the whole store: one suite for every engine, a random model, kills, power cuts, damage.

mod conformance;
mod damage;
mod kill;
mod model;
mod power;

use std::path::Path;
use std::time::SystemTime;

use super::*;
use crate::engine::redb::RedbEngine;
use crate::store::Database;

pub(super) const TENANT: Tenant = Tenant::new(7);

/// A way to open a store in a directory; opening again must show what was there.
pub(super) type Open = fn(&Path) -> Box<dyn Store>;

pub(super) fn open_sled(dir: &Path) -> Box<dyn Store> {
    Box::new(SledStore::open(dir, &StoreConfig::default(), &clock()).unwrap())
}

pub(super) fn open_redb(dir: &Path) -> Box<dyn Store> {
    let engine = RedbEngine::open(dir).unwrap();
    Box::new(Database::start(dir, engine, &StoreConfig::default(), &clock()).unwrap())
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
