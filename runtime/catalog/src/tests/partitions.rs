//! Partitions, their indexes, statistics and functions on a real store.

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};
use std::thread;

use tenon_store::{Key, Store, Transaction, Tree};

use super::{Fixture, TENANT, database, fixture, table};
use crate::*;

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn one_of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len())]
    }
}

pub(super) fn keys(keys: &[(&str, &str)]) -> Vec<Column> {
    let key = |(name, r#type): &(&str, &str)| Column {
        name: (*name).to_owned(),
        r#type: Some((*r#type).to_owned()),
        ..Column::default()
    };
    keys.iter().map(key).collect()
}

pub(super) fn events(name: &str) -> TableInput {
    TableInput {
        partition_keys: keys(&[("region", "string"), ("day", "int"), ("at", "date")]),
        storage_descriptor: Some(descriptor("s3://b/events")),
        ..table(name, "")
    }
}

fn descriptor(location: &str) -> StorageDescriptor {
    StorageDescriptor {
        columns: keys(&[("id", "bigint"), ("note", "string")]),
        location: Some(location.to_owned()),
        ..StorageDescriptor::default()
    }
}

pub(super) fn partition(values: &[&str]) -> PartitionInput {
    PartitionInput {
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        storage_descriptor: Some(descriptor(&values.join("/"))),
        ..PartitionInput::default()
    }
}

pub(super) fn values(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

pub(super) fn index(name: &str, keys: &[&str]) -> PartitionIndex {
    PartitionIndex {
        index_name: name.to_owned(),
        keys: values(keys),
    }
}

fn list(catalog: &TenantCatalog, expression: &str, limit: usize) -> Vec<Vec<String>> {
    let (mut found, mut token) = (Vec::new(), None);
    loop {
        let options = ListPartitions {
            expression,
            token: token.as_deref(),
            limit,
            ..ListPartitions::default()
        };
        let page = catalog.list_partitions("db", "t", &options).unwrap();
        assert!(page.items.len() <= limit);
        found.extend(page.items.into_iter().map(|item| item.values));
        token = page.next;
        if token.is_none() {
            return found;
        }
    }
}

pub(super) fn in_tree(store: &dyn Store, tree: Tree) -> usize {
    store
        .scan(TENANT, tree, &Key::new(), None, 1_000_000)
        .unwrap()
        .records
        .len()
}

pub(super) fn everything(store: &dyn Store) -> usize {
    Tree::ALL.into_iter().map(|tree| in_tree(store, tree)).sum()
}

const FILTERS: [&str; 20] = [
    "region = 'eu'",
    "region = 'e'",
    "region in ('us', 'eu', 'zz')",
    "region = 'eu' and day = 7",
    "region = 'eu' and day in (7, 10, 0, -3)",
    "region = 'eu' or region = 'us' and day = 1",
    "day = 7",
    "day in (7, -3) and at = '2020-02-03'",
    "day between 5 and 10",
    "day > 7 and day < 11 and region like 'e%'",
    "region >= 'eu' and region < 'us'",
    "region > 'eu' and day = 10",
    "region like 'e%' and region <> 'eu'",
    "at = '2020-2-3'",
    "at >= '2020-02-03' and region = 'us'",
    "region = 'eu' and day = 7 and at = '2020-02-03'",
    "not region = 'eu' and not day = 7",
    "region = 'none'",
    "region is null",
    "day = 7 and day = 8",
];

/// What a filter must find, by looking at every partition.
fn slowly(all: &[Vec<String>], expression: &str) -> BTreeSet<Vec<String>> {
    let keys = events("t").partition_keys;
    let expression = crate::expression::Expression::parse(expression, &keys).unwrap();
    let passes = |values: &&Vec<String>| {
        let conjuncts = expression.conjuncts();
        conjuncts
            .iter()
            .all(|one| expression.holds(one, values).unwrap())
    };
    all.iter().filter(passes).cloned().collect()
}

#[test]
fn every_path_finds_what_a_look_at_everything_finds() {
    let Fixture {
        dir: _dir, catalog, ..
    } = fixture();
    catalog.create_database(database("db")).unwrap();
    catalog.create_table("db", events("t")).unwrap();
    let mut numbers = Numbers(1);
    let mut all = BTreeSet::new();
    for _ in 0..400 {
        let region = numbers.one_of(&["eu", "us", "e", "eu2", "", "e\u{0}u", "é", "zz"]);
        let day = numbers.one_of(&[
            "7", "07", " 7", "+7", "7 ", "10", "0", "-0", "-3", "-03", "1", "70", "8",
        ]);
        let at = numbers.one_of(&[
            "2020-02-03",
            "2020-2-3",
            " 2020-02-3",
            "2020-02-04",
            "2021-10-11",
        ]);
        if all.insert(values(&[region, day, at])) {
            catalog
                .create_partition("db", "t", partition(&[region, day, at]))
                .unwrap();
        }
    }
    let all: Vec<_> = all.into_iter().collect();
    let check = |with: &str| {
        assert_eq!(list(&catalog, "", 7), all, "{with}");
        for filter in FILTERS {
            let expected = slowly(&all, filter);
            for limit in [1, 3, 1000] {
                let found = list(&catalog, filter, limit);
                let unique: BTreeSet<_> = found.iter().cloned().collect();
                assert_eq!(found.len(), unique.len(), "{filter} {limit} {with}");
                assert_eq!(unique, expected, "{filter} {limit} {with}");
            }
        }
    };
    check("without an index");
    for (name, keys) in [
        ("a", vec!["day"]),
        ("b", vec!["at", "day"]),
        ("c", vec!["day", "region", "at"]),
    ] {
        catalog
            .create_partition_index("db", "t", &index(name, &keys))
            .unwrap();
        assert!(
            catalog
                .finish_partition_index("db", "t", name, None)
                .unwrap()
        );
        check(name);
    }
    let mut parts = Vec::new();
    for number in 0..4 {
        let options = ListPartitions {
            expression: "day = 7",
            segment: Some(Segment { number, total: 4 }),
            limit: 1000,
            ..ListPartitions::default()
        };
        let page = catalog.list_partitions("db", "t", &options).unwrap();
        parts.extend(page.items.into_iter().map(|item| item.values));
    }
    let unique: BTreeSet<_> = parts.iter().cloned().collect();
    assert_eq!(
        (parts.len(), unique),
        (slowly(&all, "day = 7").len(), slowly(&all, "day = 7"))
    );
    assert_eq!(catalog.fsck(false).unwrap().findings, []);
}

#[test]
fn pages_go_on_whatever_comes_and_goes() {
    let Fixture {
        dir: _dir, catalog, ..
    } = fixture();
    catalog.create_database(database("db")).unwrap();
    catalog
        .create_table_with_indexes("db", events("t"), &[index("by_day", &["day"])])
        .unwrap();
    for day in ["1", "2", "3", "4", "5"] {
        catalog
            .create_partition("db", "t", partition(&["eu", day, "2020-01-01"]))
            .unwrap();
    }
    fn options(token: Option<&str>) -> ListPartitions<'_> {
        ListPartitions {
            expression: "day in (1, 2, 3, 4, 5, 6)",
            token,
            limit: 2,
            ..ListPartitions::default()
        }
    }
    let first = catalog.list_partitions("db", "t", &options(None)).unwrap();
    // The last of the page goes, one comes before and one behind it.
    catalog
        .delete_partition("db", "t", &values(&["eu", "2", "2020-01-01"]))
        .unwrap();
    catalog
        .create_partition("db", "t", partition(&["aa", "1", "2020-01-01"]))
        .unwrap();
    catalog
        .create_partition("db", "t", partition(&["eu", "6", "2020-01-01"]))
        .unwrap();
    let (mut days, mut token) = (Vec::new(), first.next.clone());
    while let Some(cursor) = token {
        let page = catalog
            .list_partitions("db", "t", &options(Some(&cursor)))
            .unwrap();
        days.extend(page.items.into_iter().map(|item| item.values[1].clone()));
        token = page.next;
    }
    assert_eq!(days, ["3", "4", "5", "6"]);
    catalog.delete_partition_index("db", "t", "BY_DAY").unwrap();
    let error = catalog
        .list_partitions("db", "t", &options(first.next.as_deref()))
        .unwrap_err();
    assert!(
        error.to_string().contains("was deleted; list again"),
        "{error}"
    );
}

#[test]
fn an_index_is_built_kept_and_removed() {
    let Fixture {
        dir: _dir,
        store,
        catalog,
        ..
    } = fixture();
    catalog.create_database(database("db")).unwrap();
    catalog.create_table("db", events("t")).unwrap();
    for number in 0..2500 {
        let day = (number % 50).to_string();
        let inputs = vec![partition(&[&number.to_string(), &day, "2020-01-01"])];
        catalog.create_partitions("db", "t", inputs).unwrap();
        if number == 20 {
            break;
        }
    }
    let many = |from: usize| -> Vec<_> {
        (from..from + 100)
            .map(|number| {
                partition(&[
                    &number.to_string(),
                    &(number % 50).to_string(),
                    "2020-01-01",
                ])
            })
            .collect()
    };
    (100..2100)
        .step_by(100)
        .for_each(|from| drop(catalog.create_partitions("db", "t", many(from)).unwrap()));
    let status = || catalog.get_partition_indexes("db", "t").unwrap()[0].index_status;
    catalog
        .create_partition_index("db", "t", &index("by_day", &["DAY"]))
        .unwrap();
    assert_eq!(status(), IndexStatus::Creating);
    assert!(
        !catalog
            .finish_partition_index("db", "t", "by_day", Some(1))
            .unwrap()
    );
    assert_eq!(status(), IndexStatus::Creating, "some are still missing");
    // One that is half done does not answer, and misses nothing that is written meanwhile.
    catalog
        .create_partition("db", "t", partition(&["0000", "7", "2020-01-01"]))
        .unwrap();
    assert_eq!(list(&catalog, "day = 7", 1000).len(), 42);
    assert!(
        catalog
            .finish_partition_index("db", "t", "by_day", None)
            .unwrap()
    );
    assert_eq!(status(), IndexStatus::Active);
    assert_eq!(list(&catalog, "day = 7", 1000).len(), 42);
    assert_eq!(in_tree(&*store, Tree::Index), 2022);

    let rename = partition(&["0000", "8", "2020-01-01"]);
    catalog
        .update_partition("db", "t", &values(&["0000", "7", "2020-01-01"]), rename)
        .unwrap();
    assert_eq!(
        (
            list(&catalog, "day = 7", 9).len(),
            list(&catalog, "day = 8", 9).len()
        ),
        (41, 42)
    );
    catalog
        .delete_partition("db", "t", &values(&["0000", "8", "2020-01-01"]))
        .unwrap();
    assert_eq!(list(&catalog, "day = 8", 1000).len(), 41);
    assert_eq!(catalog.fsck(false).unwrap().findings, []);

    let refused = |wanted: PartitionIndex| {
        catalog
            .create_partition_index("db", "t", &wanted)
            .unwrap_err()
    };
    assert_eq!(
        refused(index("By_Day", &["at"])).to_string(),
        "partition index db.t By_Day already exists"
    );
    assert_eq!(
        refused(index("x", &["id"])).to_string(),
        "id is not a partition key"
    );
    assert_eq!(
        refused(index("x", &["at", "At"])).to_string(),
        "key At occurs twice"
    );
    for name in ["x", "y"] {
        catalog
            .create_partition_index("db", "t", &index(name, &["at"]))
            .unwrap();
    }
    assert!(matches!(
        refused(index("z", &["at"])),
        Error::LimitExceeded { .. }
    ));
    let fewer = TableInput {
        partition_keys: keys(&[("region", "string")]),
        ..table("t", "")
    };
    let error = catalog
        .update_table("db", fewer, &UpdateTable::default())
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("cannot change while it has partition indexes"),
        "{error}"
    );

    for name in ["by_day", "x", "y"] {
        catalog.delete_partition_index("db", "t", name).unwrap();
        assert!(
            catalog
                .finish_partition_index("db", "t", name, None)
                .unwrap()
        );
    }
    assert!(catalog.get_partition_indexes("db", "t").unwrap().is_empty());
    assert_eq!(in_tree(&*store, Tree::Index), 0);
    assert!(matches!(
        catalog.delete_partition_index("db", "t", "x"),
        Err(Error::NotFound { .. })
    ));
    catalog.delete_database("db").unwrap();
    assert_eq!(everything(&*store), 0);
}

#[test]
fn a_partition_without_a_value_fails_an_index() {
    let Fixture {
        dir: _dir, catalog, ..
    } = fixture();
    catalog.create_database(database("db")).unwrap();
    let one_key = TableInput {
        partition_keys: keys(&[("region", "string")]),
        ..table("t", "")
    };
    catalog.create_table("db", one_key).unwrap();
    catalog
        .create_partition("db", "t", partition(&["eu"]))
        .unwrap();
    catalog
        .update_table("db", events("t"), &UpdateTable::default())
        .unwrap();
    catalog
        .create_partition_index("db", "t", &index("i", &["day"]))
        .unwrap();
    assert!(
        catalog
            .finish_partition_index("db", "t", "i", None)
            .unwrap()
    );
    let found = catalog.get_partition_indexes("db", "t").unwrap().remove(0);
    assert_eq!(found.index_status, IndexStatus::Failed);
    assert_eq!(
        found.backfill_errors[0].code,
        "MISSING_PARTITION_VALUE_ERROR"
    );
    assert_eq!(found.backfill_errors[0].partitions[0].values, ["eu"]);
}

#[test]
fn an_index_built_among_racing_writers_misses_nothing() {
    let Fixture {
        dir: _dir, catalog, ..
    } = fixture();
    catalog.create_database(database("db")).unwrap();
    catalog.create_table("db", events("t")).unwrap();
    let barrier = Arc::new(Barrier::new(4));
    let writers: Vec<_> = (0..3)
        .map(|writer: usize| {
            let (catalog, barrier) = (catalog.clone(), Arc::clone(&barrier));
            thread::spawn(move || {
                barrier.wait();
                for number in 0..40 {
                    let name = format!("{writer}-{number}");
                    let of = |day: &str| partition(&[&name, day, "2020-01-01"]);
                    let at = |day: &str| values(&[&name, day, "2020-01-01"]);
                    catalog.create_partition("db", "t", of("1")).unwrap();
                    match number % 3 {
                        0 => catalog
                            .update_partition("db", "t", &at("1"), of("2"))
                            .unwrap(),
                        1 => catalog.delete_partition("db", "t", &at("1")).unwrap(),
                        _ => {}
                    }
                }
            })
        })
        .collect();
    barrier.wait();
    for name in ["a", "b"] {
        catalog
            .create_partition_index("db", "t", &index(name, &["day"]))
            .unwrap();
        catalog
            .finish_partition_index("db", "t", name, None)
            .unwrap();
    }
    writers
        .into_iter()
        .for_each(|writer| writer.join().unwrap());
    assert_eq!(catalog.fsck(false).unwrap().findings, []);
    assert_eq!(list(&catalog, "day = 2", 7).len(), 42);
}

pub(super) fn long(column: &str, nulls: i64) -> ColumnStatistics {
    ColumnStatistics {
        column_name: column.to_owned(),
        column_type: "bigint".to_owned(),
        analyzed_time: Timestamp::from_unix_millis(5),
        statistics_data: ColumnStatisticsData {
            r#type: "LONG".to_owned(),
            long_column_statistics_data: Some(RangeStatistics {
                minimum_value: Some(-1),
                maximum_value: None,
                number_of_nulls: nulls,
                number_of_distinct_values: 3,
            }),
            ..ColumnStatisticsData::default()
        },
    }
}

#[test]
fn statistics_go_where_their_partition_goes() {
    let Fixture {
        dir: _dir,
        store,
        catalog,
        ..
    } = fixture();
    catalog.create_database(database("db")).unwrap();
    catalog.create_table("db", events("t")).unwrap();
    catalog
        .create_partition("db", "t", partition(&["eu", "1", "2020-01-01"]))
        .unwrap();
    let (old, new) = (
        values(&["eu", "1", "2020-01-01"]),
        values(&["us", "1", "2020-01-01"]),
    );
    let of = |partition| StatisticsOf {
        database: "DB",
        table: "T",
        partition,
    };
    for place in [of(None), of(Some(&old))] {
        let outcomes = catalog
            .update_statistics(place, &[long("ID", 1), long("nope", 1)])
            .unwrap();
        assert!(outcomes[0].is_ok() && outcomes[1].is_err());
        catalog.update_statistics(place, &[long("id", 2)]).unwrap()[0]
            .as_ref()
            .unwrap();
        let found = catalog
            .get_statistics(place, &values(&["Id", "note"]))
            .unwrap();
        assert_eq!(found[0].as_ref().unwrap(), &long("id", 2));
        assert!(matches!(found[1], Err(Error::NotFound { .. })));
    }
    catalog
        .update_partition("db", "t", &old, partition(&["us", "1", "2020-01-01"]))
        .unwrap();
    assert!(
        catalog
            .get_statistics(of(Some(&new)), &values(&["id"]))
            .unwrap()[0]
            .is_ok()
    );
    catalog
        .create_partition("db", "t", partition(&["eu", "1", "2020-01-01"]))
        .unwrap();
    assert!(
        catalog
            .get_statistics(of(Some(&old)), &values(&["id"]))
            .unwrap()[0]
            .is_err(),
        "it has no past"
    );
    catalog.delete_partition("db", "t", &new).unwrap();
    catalog
        .create_partition("db", "t", partition(&["us", "1", "2020-01-01"]))
        .unwrap();
    assert!(
        catalog
            .get_statistics(of(Some(&new)), &values(&["id"]))
            .unwrap()[0]
            .is_err(),
        "nor has this"
    );
    catalog
        .update_statistics(of(Some(&new)), &[long("id", 2), long("day", 0)])
        .unwrap();
    catalog.delete_statistics(of(Some(&new)), "day").unwrap();
    assert!(matches!(
        catalog.delete_statistics(of(Some(&new)), "day"),
        Err(Error::NotFound { .. })
    ));
    catalog.delete_table("db", "t").unwrap();
    catalog.delete_database("db").unwrap();
    assert_eq!(everything(&*store), 0);
}

#[test]
fn functions_lie_in_a_database_and_go_with_it() {
    let Fixture {
        dir: _dir,
        store,
        catalog,
        ..
    } = fixture();
    let input = |name: &str, class: &str| UserDefinedFunctionInput {
        function_name: Some(name.to_owned()),
        class_name: Some(class.to_owned()),
        ..UserDefinedFunctionInput::default()
    };
    assert!(matches!(
        catalog.create_function("db", input("f", "")),
        Err(Error::NotFound {
            kind: Kind::Database,
            ..
        })
    ));
    catalog.create_database(database("db")).unwrap();
    let made = catalog.create_function("db", input("Fun", "a.B")).unwrap();
    assert_eq!(catalog.get_function("DB", "fUN").unwrap(), made);
    assert!(matches!(
        catalog.create_function("db", input("fun", "")),
        Err(Error::AlreadyExists { .. })
    ));
    catalog
        .update_function("db", "fun", input("FUN", "c.D"))
        .unwrap();
    let found = catalog.get_function("db", "fun").unwrap();
    assert_eq!(
        (found.class_name.as_deref(), found.create_time),
        (Some("c.D"), made.create_time)
    );
    let renamed = catalog
        .update_function("db", "fun", input("other", ""))
        .unwrap_err();
    assert_eq!(
        renamed.to_string(),
        "function db.fun cannot be renamed to other"
    );
    catalog.create_function("db", input("gun", "")).unwrap();
    let page = catalog.list_functions("db", None, 1).unwrap();
    assert_eq!(
        (page.items[0].function_name.as_str(), page.next.as_deref()),
        ("fun", Some("fun"))
    );
    catalog.delete_function("db", "gun").unwrap();
    assert!(matches!(
        catalog.delete_function("db", "gun"),
        Err(Error::NotFound { .. })
    ));
    catalog.delete_database("db").unwrap();
    assert_eq!(everything(&*store), 0);
}

#[test]
fn partitions_share_their_descriptors() {
    let Fixture {
        dir: _dir,
        store,
        catalog,
        ..
    } = fixture();
    catalog.create_database(database("db")).unwrap();
    catalog.create_table("db", events("t")).unwrap();
    let inputs = (0..100).map(|number| partition(&["eu", &number.to_string(), "2020-01-01"]));
    catalog
        .create_partitions("db", "t", inputs.collect())
        .unwrap();
    let page = store
        .scan(TENANT, Tree::Partition, &Key::new(), None, 1000)
        .unwrap();
    let bytes: usize = page
        .records
        .iter()
        .map(|(_, record)| record.payload.len())
        .sum();
    assert!(bytes < 100 * 150, "{bytes}");
    let read = catalog
        .get_partition("db", "t", &values(&["eu", "7", "2020-01-01"]))
        .unwrap();
    assert_eq!(
        read.storage_descriptor,
        partition(&["eu", "7", "2020-01-01"]).storage_descriptor
    );
    assert_eq!(read.catalog_id.as_deref(), Some("000000000123"));
    catalog
        .update_table(
            "db",
            TableInput {
                storage_descriptor: None,
                ..events("t")
            },
            &UpdateTable::default(),
        )
        .unwrap();
    let after = catalog
        .get_partition("db", "t", &values(&["eu", "7", "2020-01-01"]))
        .unwrap();
    assert_eq!(
        after, read,
        "an update of the table does not reach into its partitions"
    );
}

fn of_partition(values: &[String]) -> StatisticsOf<'_> {
    StatisticsOf {
        database: "db",
        table: "t",
        partition: Some(values),
    }
}

/// The number of the last transaction.
fn last_seq(store: &dyn Store) -> u64 {
    store.commit(Transaction::new(TENANT)).unwrap().seq
}

#[test]
fn several_updates_are_one_transaction_and_each_has_its_own_error() {
    let Fixture {
        dir: _dir,
        store,
        catalog,
        ..
    } = fixture();
    catalog.create_database(database("db")).unwrap();
    let by_day = index("by_day", &["day"]);
    catalog
        .create_table_with_indexes("db", events("t"), &[by_day])
        .unwrap();
    let at = |region: &str| values(&[region, "1", "2020-01-01"]);
    let to = |region: &str| partition(&[region, "1", "2020-01-01"]);
    let regions = ["a", "b", "c", "d"];
    catalog
        .create_partitions("db", "t", regions.map(to).to_vec())
        .unwrap();
    catalog
        .update_statistics(of_partition(&at("a")), &[long("id", 5)])
        .unwrap();

    let before = last_seq(&*store);
    let updates = [
        (at("a"), to("x")),
        (at("gone"), to("gone")),
        (at("b"), to("c")),
        (at("c"), PartitionInput::default()),
        (values(&["too few"]), to("y")),
        (at("d"), to("y")),
    ];
    let outcomes = catalog.update_partitions("db", "t", &updates).unwrap();
    assert_eq!(last_seq(&*store), before + 1, "it is one transaction");
    assert!(matches!(
        outcomes[..],
        [
            Ok(()),
            Err(Error::NotFound { .. }),
            Err(Error::AlreadyExists { .. }),
            Ok(()),
            Err(Error::InvalidInput { .. }),
            Ok(()),
        ]
    ));
    assert_eq!(
        list(&catalog, "", 10),
        [at("b"), at("c"), at("x"), at("y")],
        "in the order of their keys"
    );
    let moved = catalog
        .get_statistics(of_partition(&at("x")), &["id".to_owned()])
        .unwrap();
    assert!(moved[0].is_ok());
    assert_eq!(catalog.fsck(false).unwrap().findings, []);

    // Each is about what the one before it wrote.
    let chain = [(at("x"), to("z")), (at("z"), to("b2")), (at("b"), to("x"))];
    let outcomes = catalog.update_partitions("db", "t", &chain).unwrap();
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(last_seq(&*store), before + 1 + 2);
    assert_eq!(
        list(&catalog, "", 10),
        [at("b2"), at("c"), at("x"), at("y")]
    );
    assert_eq!(catalog.fsck(false).unwrap().findings, []);
}

#[test]
fn several_versions_are_forgotten_in_one_transaction() {
    let Fixture {
        dir: _dir,
        store,
        catalog,
        ..
    } = fixture();
    catalog.create_database(database("db")).unwrap();
    catalog.create_table("db", events("t")).unwrap();
    for _ in 0..4 {
        catalog
            .update_table("db", events("t"), &UpdateTable::default())
            .unwrap();
    }
    let before = last_seq(&*store);
    let ids = ["0", "4", "2", "2", "nine", "9"];
    let outcomes = catalog.delete_table_versions("db", "t", &ids).unwrap();
    assert!(matches!(
        outcomes[..],
        [
            Ok(()),
            Err(Error::InvalidInput { .. }),
            Ok(()),
            Err(Error::NotFound { .. }),
            Err(Error::InvalidInput { .. }),
            Err(Error::NotFound { .. }),
        ]
    ));
    assert_eq!(last_seq(&*store), before + 1);
    let left = catalog.get_table_versions("db", "t", None, 10).unwrap();
    let left: Vec<_> = left
        .items
        .iter()
        .map(|one| one.version_id.as_deref())
        .collect();
    assert_eq!(left, [Some("4"), Some("3"), Some("1")]);
    assert!(matches!(
        catalog.delete_table_versions("db", "none", &ids),
        Err(Error::NotFound { .. })
    ));
}

#[test]
fn indexes_that_were_left_between_two_states_are_found_and_finished() {
    let Fixture {
        dir: _dir, catalog, ..
    } = fixture();
    let input = NestedCatalogInput::default();
    catalog.create_catalog("lake", input, &Tags::new()).unwrap();
    let nested = catalog.nested("lake").unwrap();
    for one in [&catalog, &nested] {
        one.create_database(database("db")).unwrap();
        one.create_table_with_indexes("db", events("t"), &[index("old", &["day"])])
            .unwrap();
        one.create_partition("db", "t", partition(&["eu", "1", "2020-01-01"]))
            .unwrap();
        one.create_partition_index("db", "t", &index("new", &["at"]))
            .unwrap();
        one.delete_partition_index("db", "t", "old").unwrap();
    }
    let unfinished = catalog.unfinished_partition_indexes().unwrap();
    let names: Vec<_> = unfinished.iter().map(|one| one.index.as_str()).collect();
    assert_eq!(names, ["old", "new", "old", "new"]);
    for one in &unfinished {
        one.finish().unwrap();
    }
    for one in [&catalog, &nested] {
        let indexes = one.get_partition_indexes("db", "t").unwrap();
        assert_eq!(indexes.len(), 1);
        assert_eq!(indexes[0].index_status, IndexStatus::Active);
    }
    assert_eq!(catalog.unfinished_partition_indexes().unwrap().len(), 0);
    catalog.delete_table("db", "t").unwrap();
    unfinished[0].finish().unwrap();
    assert_eq!(catalog.fsck(false).unwrap().findings, []);
}
