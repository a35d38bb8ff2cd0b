//! Tables and their versions.

use std::sync::Barrier;
use std::thread;

use super::*;

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
fn a_whole_definition_is_kept_field_for_field() {
    let Fixture {
        dir: _dir, catalog, ..
    } = fixture();
    catalog.create_database(database("sales")).unwrap();
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../test-data/table-v1.json")).unwrap();
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
