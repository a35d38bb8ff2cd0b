//! Nothing is left behind, everything can be checked, and a catalog can be carried in one file.

use std::io::Cursor;
use std::sync::{Arc, Barrier};
use std::thread;

use tenon_store::{Key, Transaction, Tree};

use super::partitions::{events, everything, index, long, partition, values};
use super::{Fixture, TENANT, database, fixture, table};
use crate::*;

fn filled(catalog: &TenantCatalog) {
    catalog.create_database(database("db")).unwrap();
    catalog
        .create_table_with_indexes("db", events("t"), &[index("by_day", &["day"])])
        .unwrap();
    catalog
        .update_table("db", events("t"), &UpdateTable::default())
        .unwrap();
    catalog
        .create_table("db", table("plain", "a text"))
        .unwrap();
    let inputs = (0..250).map(|number| partition(&["eu", &number.to_string(), "2020-01-01"]));
    for outcome in catalog
        .create_partitions("db", "t", inputs.collect())
        .unwrap()
    {
        outcome.unwrap();
    }
    let of = |partition| StatisticsOf {
        database: "db",
        table: "t",
        partition,
    };
    catalog
        .update_statistics(of(None), &[long("id", 1)])
        .unwrap();
    catalog
        .update_statistics(
            of(Some(&values(&["eu", "7", "2020-01-01"]))),
            &[long("id", 2)],
        )
        .unwrap();
    let function = UserDefinedFunctionInput {
        function_name: Some("f".to_owned()),
        ..UserDefinedFunctionInput::default()
    };
    catalog.create_function("db", function).unwrap();
}

#[test]
fn what_is_planted_is_found_and_mended() {
    let Fixture {
        dir: _dir,
        store,
        catalog,
        ..
    } = fixture();
    filled(&catalog);
    let whole = everything(&*store);
    assert_eq!(
        catalog.fsck(true).unwrap().findings,
        [],
        "nothing is wrong with it"
    );

    let entries = store
        .scan(TENANT, Tree::Index, &Key::new(), None, 1)
        .unwrap();
    let lost = Key::new().with_u8(2).with_part("db").with_part("gone");
    let version = lost.clone().with_u64(1);
    let surplus = Key::new()
        .with_u8(2)
        .with_part("db")
        .with_part("t")
        .with_u32(9)
        .with_part("x");
    let unreadable = Key::new()
        .with_u8(2)
        .with_part("db")
        .with_part("plain")
        .with_part("x");
    let plant = Transaction::new(TENANT)
        .delete(Tree::Index, entries.records[0].0.clone())
        .put(Tree::Index, surplus, 1, Vec::new())
        .put(
            Tree::Object,
            Key::new().with_u8(5).with_part("none").with_part("f"),
            1,
            b"{\"FunctionName\":\"f\"}".to_vec(),
        )
        .put(Tree::Version, version, 1, b"{\"Name\":\"gone\"}".to_vec())
        .put(
            Tree::Partition,
            lost.clone().with_part("x"),
            2,
            b"{}".to_vec(),
        )
        .put(
            Tree::Partition,
            Key::new()
                .with_u8(7)
                .with_part("db")
                .with_part("t")
                .with_part("x"),
            1,
            b"{}".to_vec(),
        )
        .put(Tree::Partition, unreadable.clone(), 2, b"no json".to_vec());
    store.commit(plant).unwrap();
    let report = catalog.fsck(false).unwrap();
    let remedies = |remedy| {
        report
            .findings
            .iter()
            .filter(|one| one.remedy == remedy)
            .count()
    };
    assert_eq!(
        (
            remedies(Remedy::Delete),
            remedies(Remedy::Write),
            remedies(Remedy::Restore)
        ),
        (5, 1, 1),
        "{:#?}",
        report.findings
    );
    assert_eq!(report.checked["partition"], 252);
    assert_eq!(everything(&*store), whole + 5, "looking changes nothing");

    assert!(
        catalog
            .fsck(true)
            .unwrap()
            .findings
            .iter()
            .filter(|one| one.mended)
            .count()
            == 6
    );
    let left = catalog.fsck(true).unwrap().findings;
    assert_eq!(left.len(), 1, "{left:#?}");
    assert_eq!((left[0].tree, &left[0].key), ("part", &unreadable));
    assert!(
        left[0].to_string().ends_with("restore it from a backup"),
        "{}",
        left[0]
    );
    assert_eq!(everything(&*store), whole + 1);
}

#[test]
fn a_catalog_is_the_same_after_a_way_through_a_file() {
    let Fixture {
        dir: _dir,
        catalog,
        store,
        ..
    } = fixture();
    filled(&catalog);
    let mut file = Vec::new();
    let counts = catalog.export(&mut file).unwrap();
    assert_eq!(
        (
            counts["Partition"],
            counts["TableVersion"],
            counts["ColumnStatistics"]
        ),
        (250, 1, 2)
    );

    let Fixture {
        dir: _other_dir,
        catalog: other,
        store: other_store,
        ..
    } = fixture();
    let report = other.import(&mut Cursor::new(&file)).unwrap();
    assert_eq!(
        (&report.created, report.failed.len()),
        (&counts, 0),
        "{:?}",
        report.reasons
    );
    assert_eq!(other.fsck(false).unwrap().findings, []);
    assert_eq!(everything(&*other_store), everything(&*store));
    let mut again = Vec::new();
    other.export(&mut again).unwrap();
    assert_eq!(
        String::from_utf8(again).unwrap(),
        String::from_utf8(file.clone()).unwrap()
    );
    assert_eq!(
        other.get_table("db", "t").unwrap(),
        catalog.get_table("db", "t").unwrap()
    );

    // Once more: everything is there, and what was deleted comes back.
    other
        .delete_partition("db", "t", &values(&["eu", "7", "2020-01-01"]))
        .unwrap();
    let report = other.import(&mut Cursor::new(&file)).unwrap();
    assert_eq!(report.created["Partition"], 1);
    assert_eq!(
        (report.existing["Partition"], report.existing["Table"]),
        (249, 2)
    );
}

#[test]
fn a_file_that_is_not_whole_changes_nothing() {
    let Fixture {
        dir: _dir, catalog, ..
    } = fixture();
    filled(&catalog);
    let mut file = Vec::new();
    catalog.export(&mut file).unwrap();
    let Fixture {
        dir: _other_dir,
        catalog: other,
        store,
        ..
    } = fixture();
    for at in (0..file.len()).step_by(977) {
        let mut flipped = file.clone();
        flipped[at] ^= 1;
        for bad in [&flipped, &file[..at].to_vec()] {
            let error = other.import(&mut Cursor::new(bad)).unwrap_err();
            assert!(
                matches!(error, TransferError::Damaged { .. }),
                "{at}: {error}"
            );
        }
    }
    assert_eq!(everything(&*store), 0);
    let longer = [file.as_slice(), b"{}\n"].concat();
    let error = other
        .import(&mut Cursor::new(longer))
        .unwrap_err()
        .to_string();
    assert!(error.contains("something comes after the end"), "{error}");
}

#[test]
fn partitions_written_while_their_table_is_deleted_leave_nothing() {
    let Fixture {
        dir: _dir,
        store,
        catalog,
        ..
    } = fixture();
    for round in 0..20 {
        catalog.create_database(database("db")).unwrap();
        catalog
            .create_table_with_indexes("db", events("t"), &[index("i", &["day"])])
            .unwrap();
        let barrier = Arc::new(Barrier::new(4));
        let writers: Vec<_> = (0..3)
            .map(|writer: usize| {
                let (catalog, barrier) = (catalog.clone(), Arc::clone(&barrier));
                thread::spawn(move || {
                    barrier.wait();
                    for number in 0..6 {
                        let name = format!("{writer}-{number}");
                        let of = |day: &str| partition(&[&name, day, "2020-01-01"]);
                        let at = values(&[&name, "1", "2020-01-01"]);
                        let place = StatisticsOf {
                            database: "db",
                            table: "t",
                            partition: Some(&at),
                        };
                        let outcomes = [
                            catalog.create_partition("db", "t", of("1")),
                            catalog.update_statistics(place, &[long("id", 1)]).map(drop),
                            catalog.update_partition("db", "t", &at, of("2")),
                            catalog.create_partition("db", "t", of("1")),
                            catalog.delete_partition("db", "t", &at),
                        ];
                        for error in outcomes.into_iter().filter_map(Result::err) {
                            assert!(matches!(error, Error::NotFound { .. }), "{error}");
                        }
                    }
                })
            })
            .collect();
        barrier.wait();
        if round % 2 == 0 {
            catalog.delete_table("db", "t").unwrap();
        } else {
            catalog.delete_database("db").unwrap();
        }
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        assert_eq!(catalog.fsck(false).unwrap().findings, [], "round {round}");
        if round % 2 == 0 {
            catalog.delete_database("db").unwrap();
        }
        assert_eq!(everything(&*store), 0, "round {round} left records behind");
    }
}

#[test]
fn of_32_writers_one_wins_each_of_100_rounds() {
    const WRITERS: usize = 32;
    const ROUNDS: u64 = 100;
    let Fixture {
        dir: _dir, catalog, ..
    } = fixture();
    catalog.create_database(database("db")).unwrap();
    catalog.create_table("db", table("t", "")).unwrap();
    let barrier = Arc::new(Barrier::new(WRITERS));
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (catalog, barrier) = (catalog.clone(), Arc::clone(&barrier));
            thread::spawn(move || {
                let mut won = Vec::new();
                for round in 0..ROUNDS {
                    barrier.wait();
                    let options = UpdateTable {
                        expected_version: Some(round.to_string()),
                        skip_archive: round % 2 == 0,
                    };
                    match catalog.update_table("db", table("t", ""), &options) {
                        Ok(_) => won.push(round),
                        Err(Error::Conflict { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                won
            })
        })
        .collect();
    let mut won: Vec<u64> = writers
        .into_iter()
        .flat_map(|writer| writer.join().unwrap())
        .collect();
    won.sort_unstable();
    assert_eq!(won, (0..ROUNDS).collect::<Vec<_>>());
}

/// Every kind of record beside databases, in the default catalog and in a nested one.
fn with_settings(catalog: &TenantCatalog) -> TenantCatalog {
    let tags: Tags = [("team".to_owned(), "sales".to_owned())].into();
    catalog
        .create_catalog("lake", NestedCatalogInput::default(), &tags)
        .unwrap();
    catalog.add_tags(Resource::Catalog(None), &tags).unwrap();
    let nested = catalog.nested("lake").unwrap();
    for one in [catalog, &nested] {
        one.create_database(database("db")).unwrap();
        one.add_tags(Resource::Database("db"), &tags).unwrap();
        let (definition, write) = super::settings::connection(serde_json::json!({"PASSWORD": "x"}));
        one.create_connection(definition, write, &tags).unwrap();
        one.put_resource_policy("{}", "00", &PolicyCondition::default())
            .unwrap();
        one.put_encryption_settings(&EncryptionSettings::default())
            .unwrap();
        one.create_security_configuration("strict", serde_json::json!({}))
            .unwrap();
    }
    nested
}

#[test]
fn what_is_wrong_beside_databases_and_with_nested_catalogs_is_found_and_mended() {
    let Fixture {
        dir: _dir,
        store,
        catalog,
        ..
    } = fixture();
    let nested = with_settings(&catalog);
    let found = catalog.fsck(true).unwrap();
    assert_eq!(found.findings, []);
    for (kind, count) in [
        ("connection", 2),
        ("connection secrets", 2),
        ("tags", 6),
        ("resource policy", 2),
        ("encryption settings", 2),
        ("security configuration", 2),
        ("catalog", 1),
    ] {
        assert_eq!(found.checked.get(kind), Some(&count), "{kind}");
    }
    let whole = everything(&*store);

    // In the layout of the first nested catalog: 255 and its number before the key.
    let inside = |key: &Key| {
        let key = [&[255, 0, 0, 0, 1], key.as_bytes()].concat();
        Key::from_bytes(key)
    };
    let lost = Key::new().with_u8(16).with_part("gone");
    let tags_of = |key: &Key| Key::from_bytes([&[17], key.as_bytes()].concat());
    let policy = Key::new().with_u8(18);
    let number = |kind: u8, number: u32| Key::new().with_u8(kind).with_u32(number);
    let below_nothing = Key::new()
        .with_u8(255)
        .with_u32(7)
        .with_u8(1)
        .with_part("d");
    let plant = Transaction::new(TENANT)
        .put(Tree::Secret, lost.clone(), 1, b"{}".to_vec())
        .put(Tree::Object, tags_of(&lost), 1, b"{}".to_vec())
        .put(Tree::Object, inside(&tags_of(&lost)), 1, b"{}".to_vec())
        .put(Tree::Object, inside(&policy), 1, b"no json".to_vec())
        // The number of the catalog is lost and another one is there.
        .delete(Tree::Object, number(22, 1))
        .put(Tree::Object, number(22, 5), 1, Vec::new())
        .put(Tree::Object, Key::new().with_u8(22), 1, b"1".to_vec())
        .put(Tree::Object, number(23, 1), 1, Vec::new())
        .put(Tree::Object, below_nothing.clone(), 1, b"{}".to_vec())
        .put(Tree::Partition, below_nothing, 1, b"{}".to_vec());
    store.commit(plant).unwrap();

    let found = catalog.fsck(false).unwrap().findings;
    let has = |catalog: Option<&str>, tree: &str, problem: &str| {
        let found = found.iter().filter(|one| {
            one.catalog.as_deref() == catalog && one.tree == tree && one.problem.contains(problem)
        });
        found.count()
    };
    for (catalog, tree, problem) in [
        (None, "secret", "does not exist"),
        (None, "obj", "which it belongs to, does not exist"),
        (Some("lake"), "obj", "which it belongs to, does not exist"),
        (Some("lake"), "obj", "expected"),
        (None, "obj", "has no number"),
        (None, "obj", "its catalog does not exist"),
        (None, "obj", "would get number 1, and 5 is in use"),
        (None, "obj", "what it says is deleted is in use"),
        (None, "obj", "nested catalog number 7 does not exist"),
        (None, "part", "nested catalog number 7 does not exist"),
    ] {
        assert_eq!(has(catalog, tree, problem), 1, "{problem}: {found:#?}");
    }
    assert_eq!(found.len(), 10, "{found:#?}");

    catalog.fsck(true).unwrap();
    let left = catalog.fsck(true).unwrap().findings;
    assert_eq!(left.len(), 1, "{left:#?}");
    let text = left[0].to_string();
    assert!(
        text.starts_with("catalog lake: obj") && text.ends_with("restore it from a backup"),
        "{text}"
    );
    assert_eq!(everything(&*store), whole);
    nested.create_database(database("another")).unwrap();
    assert_eq!(nested.fsck(false).unwrap().findings.len(), 1);
    let input = NestedCatalogInput::default();
    catalog.create_catalog("next", input, &Tags::new()).unwrap();
    catalog.delete_catalog("lake").unwrap();
    assert_eq!(catalog.fsck(false).unwrap().findings, []);
}
