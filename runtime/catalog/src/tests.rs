//! The catalog on a real store: what a caller does and what is answered.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tenon_store::{Key, ManualClock, SledStore, Store, StoreConfig, Tree};

use super::*;

mod databases;
mod deletes;
mod integrity;
mod partitions;
mod settings;
mod tables;
mod transfer;

struct Fixture {
    dir: TempDir,
    clock: Arc<ManualClock>,
    store: Arc<dyn Store>,
    catalog: TenantCatalog,
}

const TENANT: Tenant = Tenant::new(123);

fn open(dir: &TempDir) -> Arc<dyn Store> {
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH);
    Arc::new(SledStore::open(dir.path(), &StoreConfig::default(), &clock).unwrap())
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(
        SystemTime::UNIX_EPOCH + Duration::from_secs(1000),
    ));
    let store = open(&dir);
    let catalog = Catalog::open(store.clone(), clock.clone()).tenant(TENANT);
    Fixture {
        dir,
        clock,
        store,
        catalog,
    }
}

fn database(name: &str) -> DatabaseInput {
    DatabaseInput {
        name: name.to_owned(),
        ..Default::default()
    }
}

fn table(name: &str, description: &str) -> TableInput {
    TableInput {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        ..Default::default()
    }
}

fn update(catalog: &TenantCatalog, input: TableInput) -> Table {
    catalog
        .update_table("db", input, &UpdateTable::default())
        .unwrap()
}

/// Every record of the tenant, to see that nothing is left behind.
fn records(store: &dyn Store) -> usize {
    let count = |tree| {
        store
            .scan(TENANT, tree, &Key::new(), None, 100_000)
            .unwrap()
            .records
            .len()
    };
    count(Tree::Object) + count(Tree::Version)
}
