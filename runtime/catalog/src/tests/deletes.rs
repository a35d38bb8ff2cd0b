//! What is deleted is gone, with all that lay below it.

use std::sync::Barrier;
use std::thread;

use super::*;

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
