//! What lies beside databases: connections, tags, nested catalogs, policies.

use super::partitions::everything;
use super::*;

pub(super) fn connection(properties: serde_json::Value) -> (ConnectionDefinition, ConnectionWrite) {
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
    assert_eq!(everything(&*store), 0, "secrets and tags are gone too");
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
    assert_eq!(everything(&*store), 0);
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
    let before = everything(&*store);
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
        everything(&*store),
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
