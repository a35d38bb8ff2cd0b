//! The catalog on a real store: what a caller does and what is answered.

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tenon_store::{Key, ManualClock, SledStore, Store, StoreConfig, Tree};

use super::*;

mod integrity;
mod partitions;

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

#[test]
fn databases_are_created_found_replaced_and_deleted() {
    let Fixture {
        dir: _dir,
        clock,
        catalog,
        ..
    } = fixture();
    let input = DatabaseInput {
        name: "Sales".to_owned(),
        description: Some("d".to_owned()),
        location_uri: Some("s3://b".to_owned()),
        parameters: [("k".to_owned(), "v".to_owned())].into(),
        ..Default::default()
    };
    let created = catalog.create_database(input).unwrap();
    assert_eq!(created.name, "sales", "names are folded");
    assert_eq!(
        created.create_time,
        Some(Timestamp::from_unix_millis(1_000_000))
    );
    assert_eq!(created.catalog_id.as_deref(), Some("000000000123"));
    assert_eq!(catalog.get_database("SALES").unwrap(), created);
    assert_eq!(
        catalog
            .create_database(database("saleS"))
            .unwrap_err()
            .to_string(),
        "database sales already exists"
    );

    clock.advance(Duration::from_secs(5));
    let updated = catalog.update_database("sales", database("SALES")).unwrap();
    assert_eq!(updated.create_time, created.create_time);
    assert_eq!(
        (updated.description, updated.parameters.len()),
        (None, 0),
        "what is left out is gone"
    );
    let renamed = catalog
        .update_database("sales", database("other"))
        .unwrap_err();
    assert_eq!(
        renamed.to_string(),
        "database sales cannot be renamed to other"
    );

    catalog.delete_database("Sales").unwrap();
    for error in [
        catalog.get_database("sales").map(drop),
        catalog
            .update_database("sales", database("sales"))
            .map(drop),
        catalog.delete_database("sales"),
        catalog.create_table("sales", table("t", "")).map(drop),
        catalog.get_table("sales", "t").map(drop),
        catalog.list_tables("sales", None, 1).map(drop),
    ] {
        assert_eq!(
            error.unwrap_err().to_string(),
            "database sales does not exist"
        );
    }
}

#[test]
fn lists_are_ordered_and_paged() {
    let Fixture {
        dir: _dir, catalog, ..
    } = fixture();
    let names = ["b", "a", "a b", "aa", "A_1", "zz", "ä"];
    for name in names {
        catalog.create_database(database(name)).unwrap();
    }
    catalog.create_database(database("db")).unwrap();
    for name in names {
        catalog.create_table("db", table(name, "")).unwrap();
    }
    catalog.create_table("a", table("elsewhere", "")).unwrap();
    let expected: Vec<String> = names
        .iter()
        .map(|name| name.to_lowercase())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    for limit in [1, 2, 3, 7, 100] {
        let mut tables = Vec::new();
        let mut token = None;
        loop {
            let page = catalog.list_tables("db", token.as_deref(), limit).unwrap();
            assert!(page.items.len() <= limit);
            tables.extend(page.items.into_iter().map(|table| table.name));
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(tables, expected, "limit {limit}");
    }
    let first = catalog.list_databases(None, 5).unwrap();
    let second = catalog.list_databases(first.next.as_deref(), 5).unwrap();
    let found: Vec<_> = first
        .items
        .iter()
        .chain(&second.items)
        .map(|database| database.name.as_str())
        .collect();
    assert_eq!(found, ["a", "a b", "a_1", "aa", "b", "db", "zz", "ä"]);
    assert_eq!(second.next, None);
}

#[test]
fn tables_have_versions() {
    let Fixture {
        dir,
        clock,
        store,
        catalog,
    } = fixture();
    catalog.create_database(database("db")).unwrap();
    let created = catalog.create_table("DB", table("Orders", "zero")).unwrap();
    assert_eq!(
        (created.name.as_str(), created.database_name.as_deref()),
        ("orders", Some("db"))
    );
    assert_eq!(
        (created.version_id.as_deref(), created.create_time),
        (Some("0"), created.update_time)
    );
    assert_eq!(
        catalog
            .create_table("db", table("ORDERS", ""))
            .unwrap_err()
            .to_string(),
        "table db.orders already exists"
    );

    clock.advance(Duration::from_millis(1500));
    let first = update(&catalog, table("orders", "one"));
    assert_eq!(first.version_id.as_deref(), Some("1"));
    assert_eq!(first.create_time, created.create_time);
    assert_eq!(
        first.update_time,
        Some(Timestamp::from_unix_millis(1_001_500))
    );
    assert_eq!(
        update(&catalog, table("orders", "one"))
            .version_id
            .as_deref(),
        Some("2"),
        "same, but counted"
    );
    let skip = UpdateTable {
        skip_archive: true,
        ..Default::default()
    };
    catalog
        .update_table("db", table("orders", "three"), &skip)
        .unwrap();

    drop((catalog, store));
    let catalog = Catalog::open(open(&dir), clock).tenant(TENANT);
    let read = |version: Option<&str>| {
        let found = catalog.get_table_version("db", "orders", version);
        found.map(|found| {
            (
                found.version_id.unwrap(),
                found.table.unwrap().description.unwrap(),
            )
        })
    };
    let pair = |version: &str, text: &str| (version.to_owned(), text.to_owned());
    assert_eq!(read(None).unwrap(), pair("3", "three"));
    assert_eq!(read(Some("3")).unwrap(), pair("3", "three"));
    assert_eq!(read(Some("1")).unwrap(), pair("1", "one"));
    assert_eq!(read(Some("0")).unwrap(), pair("0", "zero"));
    assert_eq!(
        read(Some("2")).unwrap_err().to_string(),
        "table version db.orders version 2 does not exist",
        "the update to 3 skipped the archive"
    );
    assert_eq!(
        read(Some("x")).unwrap_err().to_string(),
        "version \"x\" is not a decimal number"
    );

    for limit in [1, 2, 3, 100] {
        let mut versions = Vec::new();
        let mut token = None;
        loop {
            let page = catalog
                .get_table_versions("db", "orders", token.as_deref(), limit)
                .unwrap();
            assert!(page.items.len() <= limit);
            versions.extend(
                page.items
                    .into_iter()
                    .map(|version| version.version_id.unwrap()),
            );
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(versions, ["3", "1", "0"], "limit {limit}");
    }

    catalog.delete_table_version("db", "orders", "1").unwrap();
    assert!(matches!(
        catalog.delete_table_version("db", "orders", "1"),
        Err(Error::NotFound { .. })
    ));
    assert_eq!(
        catalog
            .delete_table_version("db", "orders", "3")
            .unwrap_err()
            .to_string(),
        "version 3 of table db.orders is the current one"
    );
}

#[test]
fn an_expected_version_is_compared_and_swapped() {
    let Fixture {
        dir: _dir, catalog, ..
    } = fixture();
    catalog.create_database(database("db")).unwrap();
    catalog.create_table("db", table("t", "")).unwrap();
    let expecting = |version: &str| {
        let options = UpdateTable {
            expected_version: Some(version.to_owned()),
            skip_archive: false,
        };
        catalog.update_table("db", table("t", version), &options)
    };
    expecting("0").unwrap();
    assert_eq!(
        expecting("0").unwrap_err().to_string(),
        "table db.t was changed by someone else: version 0 was expected, it is at version 1"
    );
    assert!(matches!(
        expecting("2"),
        Err(Error::Conflict {
            kind: Kind::Table,
            ..
        })
    ));
    assert!(matches!(expecting("one"), Err(Error::InvalidInput { .. })));
    assert_eq!(expecting("1").unwrap().version_id.as_deref(), Some("2"));
    assert_eq!(
        catalog
            .update_table("db", table("none", ""), &UpdateTable::default())
            .unwrap_err()
            .to_string(),
        "table db.none does not exist"
    );
}

#[test]
fn of_racing_updates_one_wins_each_version_and_plain_ones_all_happen() {
    const WRITERS: usize = 6;
    const ROUNDS: u64 = 10;
    let Fixture {
        dir: _dir, catalog, ..
    } = fixture();
    catalog.create_database(database("db")).unwrap();
    catalog.create_table("db", table("cas", "")).unwrap();
    catalog.create_table("db", table("plain", "")).unwrap();
    let barrier = Arc::new(Barrier::new(WRITERS));
    let threads: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (catalog, barrier) = (catalog.clone(), Arc::clone(&barrier));
            thread::spawn(move || {
                let mut wins = 0;
                for round in 0..ROUNDS {
                    barrier.wait();
                    let options = UpdateTable {
                        expected_version: Some(round.to_string()),
                        skip_archive: false,
                    };
                    match catalog.update_table("db", table("cas", ""), &options) {
                        Ok(_) => wins += 1,
                        Err(Error::Conflict { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                    update(&catalog, table("plain", ""));
                    barrier.wait();
                }
                wins
            })
        })
        .collect();
    let wins: u64 = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert_eq!(wins, ROUNDS);
    let version = |name| catalog.get_table("db", name).unwrap().version_id.unwrap();
    assert_eq!(version("cas"), ROUNDS.to_string());
    assert_eq!(version("plain"), (ROUNDS * WRITERS as u64).to_string());
    let versions = catalog
        .get_table_versions("db", "plain", None, 1000)
        .unwrap();
    assert_eq!(
        versions.items.len() as u64,
        ROUNDS * WRITERS as u64 + 1,
        "none was lost"
    );
}

#[test]
fn what_is_deleted_leaves_nothing_behind() {
    let Fixture {
        dir: _dir,
        store,
        catalog,
        ..
    } = fixture();
    for name in ["db", "db2"] {
        catalog.create_database(database(name)).unwrap();
        for table_name in ["a", "ab", "b"] {
            catalog.create_table(name, table(table_name, "")).unwrap();
        }
    }
    update(&catalog, table("a", "1"));
    update(&catalog, table("a", "2"));
    update(&catalog, table("ab", "1"));
    let all = records(&*store);

    catalog.delete_table("db", "A").unwrap();
    assert_eq!(records(&*store), all - 3, "the table and two versions");
    assert!(matches!(
        catalog.delete_table("db", "a"),
        Err(Error::NotFound {
            kind: Kind::Table,
            ..
        })
    ));
    let again = catalog.create_table("db", table("a", "new")).unwrap();
    assert_eq!(again.version_id.as_deref(), Some("0"));
    assert_eq!(
        catalog
            .get_table_versions("db", "a", None, 10)
            .unwrap()
            .items
            .len(),
        1,
        "no past"
    );

    catalog.delete_database("db").unwrap();
    assert_eq!(catalog.list_tables("db2", None, 10).unwrap().items.len(), 3);
    catalog.delete_database("db2").unwrap();
    assert_eq!(records(&*store), 0);
    catalog.create_database(database("db")).unwrap();
    assert_eq!(catalog.list_tables("db", None, 10).unwrap().items.len(), 0);
}

#[test]
fn large_deletes_go_in_steps_that_each_leave_a_whole_catalog() {
    let Fixture {
        dir: _dir,
        store,
        catalog,
        ..
    } = fixture();
    catalog.create_database(database("db")).unwrap();
    for number in 0..5 {
        catalog
            .create_table("db", table(&number.to_string(), ""))
            .unwrap();
    }
    for _ in 0..5 {
        update(&catalog, table("0", ""));
    }
    let mut steps = 0;
    while !catalog.delete_database_step("db", 2).unwrap() {
        steps += 1;
        let tables = catalog.list_tables("db", None, 10).unwrap().items;
        for table in &tables {
            catalog
                .get_table_versions("db", &table.name, None, 10)
                .unwrap();
        }
    }
    assert!(steps >= 3, "{steps}");
    assert_eq!(records(&*store), 0);

    catalog.create_database(database("db")).unwrap();
    catalog.create_table("db", table("t", "")).unwrap();
    (0..5).for_each(|_| drop(update(&catalog, table("t", ""))));
    assert!(!catalog.delete_table_step("db", "t", 2).unwrap());
    assert!(!catalog.delete_table_step("db", "t", 2).unwrap());
    assert!(catalog.delete_table_step("db", "t", 2).unwrap());
    assert_eq!(catalog.list_tables("db", None, 10).unwrap().items.len(), 0);
}

#[test]
fn tables_created_while_their_database_is_deleted_are_refused_or_deleted() {
    let Fixture {
        dir: _dir,
        store,
        catalog,
        ..
    } = fixture();
    for round in 0..20 {
        catalog.create_database(database("db")).unwrap();
        catalog.create_table("db", table("first", "")).unwrap();
        let barrier = Arc::new(Barrier::new(3));
        let workers: Vec<_> = (0..2)
            .map(|worker| {
                let (catalog, barrier) = (catalog.clone(), Arc::clone(&barrier));
                thread::spawn(move || {
                    barrier.wait();
                    for number in 0..4 {
                        let made =
                            catalog.create_table("db", table(&format!("{worker}-{number}"), ""));
                        let changed =
                            catalog.update_table("db", table("first", ""), &UpdateTable::default());
                        for error in [made.err(), changed.err()].into_iter().flatten() {
                            assert!(matches!(error, Error::NotFound { .. }), "{error}");
                        }
                    }
                })
            })
            .collect();
        barrier.wait();
        catalog.delete_database("db").unwrap();
        workers
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
        assert_eq!(records(&*store), 0, "round {round} left records behind");
    }
}

#[test]
fn tenants_do_not_see_each_other() {
    let Fixture {
        dir: _dir,
        clock,
        store,
        catalog,
        ..
    } = fixture();
    let other = Catalog::open(store, clock).tenant(Tenant::new(124));
    catalog.create_database(database("db")).unwrap();
    catalog.create_table("db", table("t", "mine")).unwrap();
    assert!(matches!(
        other.get_database("db"),
        Err(Error::NotFound { .. })
    ));
    assert_eq!(other.list_databases(None, 10).unwrap().items.len(), 0);
    other.create_database(database("db")).unwrap();
    assert!(matches!(
        other.get_table("db", "t"),
        Err(Error::NotFound { .. })
    ));
    other.delete_database("db").unwrap();
    assert_eq!(
        catalog.get_table("db", "t").unwrap().description.as_deref(),
        Some("mine")
    );
}

#[test]
fn a_whole_definition_is_kept_field_for_field() {
    let Fixture {
        dir: _dir, catalog, ..
    } = fixture();
    catalog.create_database(database("sales")).unwrap();
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../test-data/table-v1.json")).unwrap();
    let input: TableInput = serde_json::from_value(golden.clone()).unwrap();
    catalog.create_table("sales", input).unwrap();
    let mut read = serde_json::to_value(catalog.get_table("sales", "orders").unwrap()).unwrap();
    // What the catalog decides itself.
    for name in [
        "CreateTime",
        "UpdateTime",
        "VersionId",
        "CatalogId",
        "CreatedBy",
    ] {
        read[name] = golden[name].clone();
    }
    assert_eq!(read, golden);
}

#[test]
fn large_definitions_are_kept_and_too_large_ones_refused() {
    let Fixture {
        dir: _dir, catalog, ..
    } = fixture();
    catalog.create_database(database("db")).unwrap();
    let with = |size: usize| {
        let parameters = [("k".to_owned(), "v".repeat(size))].into();
        catalog.create_table(
            "db",
            TableInput {
                parameters,
                ..table(&size.to_string(), "")
            },
        )
    };
    with(500_000).unwrap();
    assert_eq!(
        catalog.get_table("db", "500000").unwrap().parameters["k"].len(),
        500_000
    );
    let text = with(17_000_000).unwrap_err().to_string();
    assert!(text.contains("the limit is 16777216 bytes"), "{text}");
}

#[test]
fn bad_input_is_refused() {
    let Fixture {
        dir: _dir, catalog, ..
    } = fixture();
    catalog.create_database(database("db")).unwrap();
    let error = |input: TableInput| catalog.create_table("db", input).unwrap_err().to_string();
    assert_eq!(error(table("", "")), "the table name is empty");
    assert_eq!(
        error(TableInput {
            retention: -1,
            ..table("t", "")
        }),
        "retention is -1, it cannot be negative"
    );
    let unnamed = vec![Column::default()];
    assert_eq!(
        error(TableInput {
            partition_keys: unnamed,
            ..table("t", "")
        }),
        "a column has an empty name"
    );
    assert_eq!(
        catalog
            .create_database(database("a\0"))
            .unwrap_err()
            .to_string(),
        "the database name \"a\\0\" contains '\\0'"
    );
    assert!(matches!(
        catalog.get_table_versions("db", "t", None, 1),
        Err(Error::NotFound { .. })
    ));
}

fn connection(properties: serde_json::Value) -> (ConnectionDefinition, ConnectionWrite) {
    let input = serde_json::json!({
        "Name": "Pg", "ConnectionType": "JDBC", "ConnectionProperties": properties,
    });
    let input: ConnectionInput = serde_json::from_value(input).unwrap();
    let (definition, secrets) = input.split().unwrap();
    let write = ConnectionWrite {
        secrets,
        ..Default::default()
    };
    (definition, write)
}

/// Every record of the tenant in every tree.
fn all_records(store: &dyn Store) -> usize {
    let count = |tree| {
        let page = store
            .scan(TENANT, tree, &Key::new(), None, 100_000)
            .unwrap();
        page.records.len()
    };
    Tree::ALL.into_iter().map(count).sum()
}

#[test]
fn connections_keep_their_secrets_apart() {
    let Fixture {
        dir: _dir,
        clock,
        store,
        catalog,
    } = fixture();
    let properties = serde_json::json!({"HOST": "h", "PASSWORD": "canary"});
    let (definition, write) = connection(properties);
    let tags = Tags::from([("team".to_owned(), "a".to_owned())]);
    let created = catalog.create_connection(definition.clone(), write.clone(), &tags);
    let created = created.unwrap();
    assert_eq!(
        (created.status.as_str(), created.connection_schema_version),
        ("READY", 1)
    );
    assert_eq!(catalog.get_connection("Pg").unwrap(), created);
    assert_eq!(
        catalog.get_connection("pg").unwrap_err().to_string(),
        "connection pg does not exist",
        "upper and lower case differ"
    );
    assert!(matches!(
        catalog.create_connection(definition, write, &tags),
        Err(Error::AlreadyExists { .. })
    ));
    let sealed = catalog.connection_secrets("Pg").unwrap();
    assert_eq!(sealed["ConnectionProperties/PASSWORD"], "canary");
    let objects = store
        .scan(TENANT, Tree::Object, &Key::new(), None, 100)
        .unwrap();
    let objects: Vec<u8> = objects
        .records
        .into_iter()
        .flat_map(|(_, record)| record.payload)
        .collect();
    assert!(!String::from_utf8(objects).unwrap().contains("canary"));

    clock.advance(Duration::from_secs(5));
    let tried = catalog.connection_validated("Pg").unwrap();
    assert_eq!(
        tried.last_connection_validation_time,
        Some(Timestamp::from_unix_millis(1_005_000))
    );
    let (definition, write) = connection(serde_json::json!({"HOST": "other"}));
    let updated = catalog
        .update_connection("Pg", definition.clone(), &write)
        .unwrap();
    assert_eq!(updated.creation_time, created.creation_time);
    assert_eq!(
        updated.last_connection_validation_time,
        tried.last_connection_validation_time
    );
    assert!(
        catalog.connection_secrets("Pg").unwrap().is_empty(),
        "replaced, not merged"
    );
    assert_eq!(
        catalog
            .update_connection("x", definition, &write)
            .unwrap_err()
            .to_string(),
        "connection x cannot be renamed to Pg"
    );
    assert_eq!(catalog.list_connections(None, 10).unwrap().items, [updated]);
    catalog.delete_connection("Pg").unwrap();
    assert!(matches!(
        catalog.delete_connection("Pg"),
        Err(Error::NotFound { .. })
    ));
    assert_eq!(all_records(&*store), 0, "secrets and tags are gone too");
}

#[test]
fn tags_live_and_die_with_their_object() {
    let Fixture {
        dir: _dir,
        store,
        catalog,
        ..
    } = fixture();
    let tag = |key: &str| Tags::from([(key.to_owned(), "v".to_owned())]);
    let absent = catalog
        .add_tags(Resource::Table("db", "t"), &tag("a"))
        .unwrap_err();
    assert_eq!(absent.to_string(), "table db.t does not exist");
    catalog
        .create_database_with_tags(database("db"), &tag("born"))
        .unwrap();
    catalog.create_table("db", table("t", "")).unwrap();
    let resource = Resource::Table("DB", "T");
    catalog.add_tags(resource, &tag("a")).unwrap();
    catalog
        .add_tags(Resource::Database("db"), &tag("b"))
        .unwrap();
    assert_eq!(catalog.tags(resource).unwrap(), tag("a"));
    assert_eq!(catalog.tags(Resource::Database("db")).unwrap().len(), 2);
    let many: Tags = (0..50).map(|n| (n.to_string(), String::new())).collect();
    assert_eq!(
        catalog.add_tags(resource, &many).unwrap_err().to_string(),
        "there would be 51 tags, the limit is 50"
    );
    assert_eq!(catalog.tags(resource).unwrap(), tag("a"), "none was added");
    let reserved = catalog
        .add_tags(resource, &tag("AWS:x"))
        .unwrap_err()
        .to_string();
    assert_eq!(
        reserved,
        "the tag key \"AWS:x\" begins with aws:, which is reserved"
    );
    catalog
        .remove_tags(resource, &["a".to_owned(), "none".to_owned()])
        .unwrap();
    assert_eq!(catalog.tags(resource).unwrap(), Tags::new());
    catalog.add_tags(resource, &tag("a")).unwrap();
    catalog.delete_table("db", "t").unwrap();
    catalog.create_table("db", table("t", "")).unwrap();
    assert_eq!(catalog.tags(resource).unwrap(), Tags::new(), "no past");
    catalog.add_tags(resource, &tag("a")).unwrap();
    for name in ["f", "g"] {
        let input = UserDefinedFunctionInput {
            function_name: Some(name.to_owned()),
            ..Default::default()
        };
        catalog.create_function("db", input).unwrap();
        let function = Resource::Function("db", name);
        catalog.add_tags(function, &tag("a")).unwrap();
        assert_eq!(catalog.tags(function).unwrap(), tag("a"));
    }
    catalog.delete_function("db", "f").unwrap();
    catalog.delete_database("db").unwrap();
    assert_eq!(all_records(&*store), 0);
    catalog
        .add_tags(Resource::Catalog(None), &tag("a"))
        .unwrap();
    assert_eq!(
        catalog.tags(Resource::Catalog(None)).unwrap(),
        tag("a"),
        "it always exists"
    );
}

#[test]
fn nested_catalogs_hold_their_own_and_take_it_along() {
    let Fixture {
        dir: _dir,
        store,
        catalog,
        ..
    } = fixture();
    catalog.create_database(database("db")).unwrap();
    catalog.create_table("db", table("t", "outer")).unwrap();
    let before = all_records(&*store);
    let input = NestedCatalogInput {
        description: Some("d".to_owned()),
        ..Default::default()
    };
    catalog
        .create_catalog("Lake", input.clone(), &Tags::new())
        .unwrap();
    assert!(matches!(
        catalog.create_catalog("lake", input.clone(), &Tags::new()),
        Err(Error::AlreadyExists { .. })
    ));
    let lake = catalog.nested("LAKE").unwrap();
    assert!(matches!(
        lake.get_table("db", "t"),
        Err(Error::NotFound { .. })
    ));
    let created = lake.create_database(database("db")).unwrap();
    assert_eq!(created.catalog_id.as_deref(), Some("000000000123:lake"));
    lake.create_table("db", table("t", "inner")).unwrap();
    lake.update_table("db", table("t", "inner"), &UpdateTable::default())
        .unwrap();
    for name in ["a", "b", "c"] {
        lake.create_table("db", table(name, "")).unwrap();
    }
    let first = lake.list_tables("db", None, 2).unwrap();
    let rest = lake.list_tables("db", first.next.as_deref(), 10).unwrap();
    let names: Vec<_> = first
        .items
        .iter()
        .chain(&rest.items)
        .map(|table| table.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "c", "t"]);
    assert_eq!(
        lake.get_table_versions("db", "t", None, 10)
            .unwrap()
            .items
            .len(),
        2
    );
    let description = |catalog: &TenantCatalog| catalog.get_table("db", "t").unwrap().description;
    assert_eq!(description(&catalog).as_deref(), Some("outer"));
    assert_eq!(description(&lake).as_deref(), Some("inner"));
    lake.delete_table("db", "a").unwrap();
    assert_eq!(catalog.list_databases(None, 10).unwrap().items.len(), 1);
    assert_eq!(
        catalog.list_catalogs(None, 10).unwrap().items[0].input,
        input
    );

    catalog.delete_catalog("lake").unwrap();
    assert_eq!(
        all_records(&*store),
        before + 1,
        "only the next number is left"
    );
    for error in [
        lake.create_database(database("late")).map(drop),
        lake.add_tags(
            Resource::Catalog(None),
            &Tags::from([("k".to_owned(), String::new())]),
        ),
        catalog.nested("lake").map(drop),
        catalog.delete_catalog("lake"),
    ] {
        assert_eq!(
            error.unwrap_err().to_string(),
            "catalog lake does not exist"
        );
    }
    catalog.create_catalog("lake", input, &Tags::new()).unwrap();
    let again = catalog.nested("lake").unwrap();
    assert!(
        again.list_databases(None, 10).unwrap().items.is_empty(),
        "no past"
    );
    assert!(matches!(
        lake.create_database(database("late")),
        Err(Error::NotFound { .. })
    ));
}

#[test]
fn policies_are_replaced_under_conditions() {
    let Fixture {
        dir: _dir,
        clock,
        catalog,
        ..
    } = fixture();
    let none = PolicyCondition::default();
    let exists = |exists| PolicyCondition {
        exists: Some(exists),
        ..Default::default()
    };
    let hash = |hash: &str| PolicyCondition {
        hash: Some(hash.to_owned()),
        ..Default::default()
    };
    let failed = |condition: &PolicyCondition| {
        let error = catalog
            .put_resource_policy("{}", "h", condition)
            .unwrap_err();
        assert!(matches!(error, Error::ConditionFailed { .. }), "{error}");
        error.to_string()
    };
    assert!(matches!(
        catalog.get_resource_policy(),
        Err(Error::NotFound { .. })
    ));
    assert_eq!(failed(&exists(true)), "a policy must exist, there is none");
    assert_eq!(
        failed(&hash("x")),
        "the hash x was expected, the policy's is none"
    );
    catalog
        .put_resource_policy("{}", "one", &exists(false))
        .unwrap();
    assert_eq!(failed(&exists(false)), "no policy must exist, there is one");
    clock.advance(Duration::from_secs(1));
    let policy = catalog
        .put_resource_policy("{}", "two", &hash("one"))
        .unwrap();
    assert!(policy.create_time < policy.update_time);
    assert_eq!(catalog.get_resource_policy().unwrap(), policy);
    assert!(matches!(
        catalog.delete_resource_policy(&hash("one")),
        Err(Error::ConditionFailed { .. })
    ));
    catalog.delete_resource_policy(&none).unwrap();
    assert!(matches!(
        catalog.delete_resource_policy(&none),
        Err(Error::NotFound { .. })
    ));
}
