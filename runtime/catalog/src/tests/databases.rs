//! Databases and lists.

use std::collections::BTreeSet;

use super::*;

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
