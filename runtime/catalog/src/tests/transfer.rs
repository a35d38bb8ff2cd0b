//! Everything in a catalog goes into a file and comes out of it again, except secrets; other files change nothing.

use std::io::Cursor;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::partitions::{events, everything, index, long, partition, values};
use super::*;

/// What a test does to a catalog; what is not possible then does nothing.
#[derive(Debug, Clone)]
enum Step {
    Database { tags: Tags },
    Table { partitioned: bool, versions: u8 },
    TagTable(Tags),
    Partition { region: String, statistics: bool },
    Index,
    EndIndex,
    Statistics(f64),
    Function { tags: Tags },
    Connection { tags: Tags },
    Policy,
    Settings,
    Security,
    Describe { tags: Tags },
    Drop,
}

/// A step with the catalog and the names it is about.
type Action = (Option<usize>, String, String, Step);

const CATALOGS: [&str; 2] = ["lake", "Other Lake"];

fn steps() -> impl Strategy<Value = Vec<Action>> {
    let tags = || proptest::collection::btree_map("[a-zß\"\\\\]{1,4}", "[ -~ü]{0,8}", 0..3);
    let step = prop_oneof![
        4 => tags().prop_map(|tags| Step::Database { tags }),
        6 => (any::<bool>(), 0..4_u8)
            .prop_map(|(partitioned, versions)| Step::Table { partitioned, versions }),
        2 => tags().prop_map(Step::TagTable),
        8 => ("[a-c/=%]{1,2}", any::<bool>())
            .prop_map(|(region, statistics)| Step::Partition { region, statistics }),
        3 => Just(Step::Index),
        1 => Just(Step::EndIndex),
        // Numbers that every reader and writer of JSON keeps as they are.
        2 => (-1000..1000_i32).prop_map(|quarters| Step::Statistics(f64::from(quarters) / 4.0)),
        2 => tags().prop_map(|tags| Step::Function { tags }),
        2 => tags().prop_map(|tags| Step::Connection { tags }),
        1 => Just(Step::Policy),
        1 => Just(Step::Settings),
        1 => Just(Step::Security),
        1 => tags().prop_map(|tags| Step::Describe { tags }),
        1 => Just(Step::Drop),
    ];
    let name = || "[aB%/ß]{1}";
    vec(
        (prop::option::of(0..CATALOGS.len()), name(), name(), step),
        0..60,
    )
}

fn perform(root: &TenantCatalog, (nested, database_name, name, step): &Action) -> Result<()> {
    let catalog = match nested {
        None => root.clone(),
        Some(number) => {
            let name = CATALOGS[*number];
            let input = NestedCatalogInput {
                parameters: [("k".to_owned(), "v".to_owned())].into(),
                ..NestedCatalogInput::default()
            };
            let tags = [("of".to_owned(), name.to_owned())].into();
            drop(root.create_catalog(name, input, &tags));
            root.nested(name).unwrap()
        }
    };
    let of = |partition| StatisticsOf {
        database: database_name,
        table: name,
        partition,
    };
    match step.clone() {
        Step::Database { tags } => {
            catalog.create_database(database(database_name))?;
            catalog.add_tags(Resource::Database(database_name), &tags)
        }
        Step::Table {
            partitioned,
            versions,
        } => {
            let input = match partitioned {
                true => events(name),
                false => table(name, "a \"text\""),
            };
            catalog.create_table(database_name, input.clone())?;
            for version in 0..versions {
                let options = UpdateTable {
                    skip_archive: version == 1,
                    ..UpdateTable::default()
                };
                catalog.update_table(database_name, input.clone(), &options)?;
            }
            Ok(())
        }
        Step::TagTable(tags) => catalog.add_tags(Resource::Table(database_name, name), &tags),
        Step::Partition { region, statistics } => {
            let at = values(&[&region, "7", "2020-01-01"]);
            catalog.create_partition(
                database_name,
                name,
                partition(&[&region, "7", "2020-01-01"]),
            )?;
            if statistics {
                catalog.update_statistics(of(Some(&at)), &[long("id", 3)])?;
            }
            Ok(())
        }
        Step::Index => {
            let wanted = index("By Day", &["day", "region"]);
            catalog.create_partition_index(database_name, name, &wanted)?;
            catalog
                .finish_partition_index(database_name, name, "by day", None)
                .map(drop)
        }
        Step::EndIndex => catalog.delete_partition_index(database_name, name, "By Day"),
        Step::Statistics(average_length) => {
            let data = ColumnStatisticsData {
                r#type: "STRING".to_owned(),
                string_column_statistics_data: Some(LengthStatistics {
                    average_length,
                    ..LengthStatistics::default()
                }),
                ..ColumnStatisticsData::default()
            };
            let column = ColumnStatistics {
                statistics_data: data,
                column_type: "string".to_owned(),
                ..long("note", 0)
            };
            catalog.update_statistics(of(None), &[column]).map(drop)
        }
        Step::Function { tags } => {
            let input = UserDefinedFunctionInput {
                function_name: Some(name.clone()),
                class_name: Some("a.B".to_owned()),
                ..UserDefinedFunctionInput::default()
            };
            catalog.create_function(database_name, input)?;
            catalog.add_tags(Resource::Function(database_name, name), &tags)
        }
        Step::Connection { tags } => {
            let (definition, write) = connection_named(name);
            catalog
                .create_connection(definition, write, &tags)
                .map(drop)
        }
        Step::Policy => catalog
            .put_resource_policy("{\"a\": 1}", "00ff", &PolicyCondition::default())
            .map(drop),
        Step::Settings => {
            let mut settings = EncryptionSettings::default();
            settings.encryption_at_rest.sse_aws_kms_key_id = Some(name.clone());
            catalog.put_encryption_settings(&settings)
        }
        Step::Security => catalog
            .create_security_configuration(name, json!({"S3Encryption": [{"x": 1.5}]}))
            .map(drop),
        Step::Describe { tags } => {
            let input = NestedCatalogInput {
                description: Some(name.clone()),
                ..NestedCatalogInput::default()
            };
            let resource = nested.map(|number| CATALOGS[number]);
            if nested.is_some() || database_name == "a" {
                root.update_catalog(resource, input)?;
            }
            root.add_tags(Resource::Catalog(resource), &tags)
        }
        Step::Drop => catalog.delete_database(database_name),
    }
}

fn connection_named(name: &str) -> (ConnectionDefinition, ConnectionWrite) {
    let input: ConnectionInput = serde_json::from_value(json!({
        "Name": name, "ConnectionType": "JDBC",
        "ConnectionProperties": {"HOST": "h", "PASSWORD": "canary-clear"},
    }))
    .unwrap();
    let (definition, secrets) = input.split().unwrap();
    let sealed = |place| (place, "canary-sealed".to_owned());
    let write = ConnectionWrite {
        secrets: secrets.into_keys().map(sealed).collect(),
        ..ConnectionWrite::default()
    };
    (definition, write)
}

/// An empty catalog of a tenant in a store with a short journal.
fn empty(tenant: Tenant) -> (TempDir, Arc<dyn Store>, TenantCatalog) {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_millis(1_500));
    let config = StoreConfig {
        segment_bytes: 64 * 1024,
        ..StoreConfig::default()
    };
    let store: Arc<dyn Store> = Arc::new(SledStore::open(dir.path(), &config, &clock).unwrap());
    let catalog = Catalog::open(store.clone(), Arc::new(clock)).tenant(tenant);
    (dir, store, catalog)
}

fn exported(catalog: &TenantCatalog) -> (Vec<u8>, Counts) {
    let mut file = Vec::new();
    let counts = catalog.export(&mut file).unwrap();
    (file, counts)
}

/// The lines between the first, which names the account, and the last, which depends on it.
fn objects(file: &[u8]) -> Vec<&str> {
    let text = std::str::from_utf8(file).unwrap();
    let lines: Vec<_> = text.lines().collect();
    lines[1..lines.len() - 1].to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_exported_and_imported_is_exported_again(steps in steps()) {
        let (_dir, _store, catalog) = empty(TENANT);
        for action in &steps {
            match perform(&catalog, action) {
                Ok(()) | Err(
                    Error::NotFound { .. } | Error::AlreadyExists { .. } | Error::InvalidInput { .. }
                    | Error::LimitExceeded { .. },
                ) => {}
                Err(error) => panic!("{action:?}: {error}"),
            }
        }
        prop_assert_eq!(catalog.fsck(false).unwrap().findings, []);
        let (file, counts) = exported(&catalog);
        let text = String::from_utf8(file.clone()).unwrap();
        prop_assert!(!text.contains("canary"), "{}", text);

        for tenant in [TENANT, Tenant::new(999)] {
            let (_dir, _store, other) = empty(tenant);
            let report = other.import(&mut Cursor::new(&file)).unwrap();
            prop_assert_eq!(&report.created, &counts, "{:?}", report);
            prop_assert_eq!(report.existing.len() + report.failed.len(), 0, "{:?}", report);
            prop_assert_eq!(other.fsck(false).unwrap().findings, []);
            let (again, _) = exported(&other);
            prop_assert_eq!(objects(&again), objects(&file));
            if tenant == TENANT {
                prop_assert_eq!(String::from_utf8(again).unwrap(), text.clone());
            }
            let report = other.import(&mut Cursor::new(&file)).unwrap();
            prop_assert_eq!(&report.existing, &counts, "{:?}", report);
        }
    }
}

/// One of everything, the same each time.
fn one_of_each(catalog: &TenantCatalog) {
    let tags: Tags = [("team".to_owned(), "sales".to_owned())].into();
    let step = |nested: Option<usize>, step: Step| {
        perform(catalog, &(nested, "a".to_owned(), "t".to_owned(), step)).unwrap();
    };
    step(None, Step::Describe { tags: tags.clone() });
    for nested in [None, Some(0)] {
        step(nested, Step::Database { tags: tags.clone() });
        let partitioned = Step::Table {
            partitioned: true,
            versions: 2,
        };
        step(nested, partitioned);
        step(nested, Step::TagTable(tags.clone()));
        step(nested, Step::Index);
        let region = "eu".to_owned();
        let statistics = true;
        step(nested, Step::Partition { region, statistics });
        step(nested, Step::Statistics(2.5));
        step(nested, Step::Function { tags: tags.clone() });
        step(nested, Step::Connection { tags: tags.clone() });
        step(nested, Step::Policy);
        step(nested, Step::Settings);
        step(nested, Step::Security);
    }
}

const V1: &str = include_str!("../../test-data/export-v1.jsonl");
const V2: &str = include_str!("../../test-data/export-v2.jsonl");

/// The bytes of every released version are kept; each must still be imported.
#[test]
fn golden_files_are_imported_and_the_newest_is_what_is_written() {
    let (_dir, _store, catalog) = empty(TENANT);
    one_of_each(&catalog);
    let (file, _) = exported(&catalog);
    if let Some(target) = std::env::var_os("TENON_CATALOG_WRITE_GOLDEN") {
        std::fs::write(Path::new(&target).join("export-v2.jsonl"), &file).unwrap();
    }
    assert_eq!(
        String::from_utf8(file).unwrap(),
        V2,
        "the file must not change without a new version"
    );
    for (golden, tables) in [(V1, 1), (V2, 2)] {
        let (_dir, _store, other) = empty(TENANT);
        let report = other.import(&mut Cursor::new(golden)).unwrap();
        assert_eq!(report.failed.len(), 0, "{:?}", report.reasons);
        assert_eq!(report.created["Table"], tables);
        assert_eq!(other.fsck(false).unwrap().findings, []);
        let versions = other.get_table_versions("a", "t", None, 10).unwrap().items;
        assert_eq!(versions.len(), 2);
        let tables = other.get_partition_indexes("a", "t").unwrap();
        assert_eq!(tables[0].index_name, "By Day");
    }
}

/// A file of these lines with a right end.
fn sealed(lines: &[String]) -> Vec<u8> {
    let mut counts = Counts::new();
    for line in &lines[1..] {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        let kind = object.as_object().unwrap().keys().next().unwrap().clone();
        *counts.entry(kind).or_default() += 1;
    }
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let hash: String = Sha256::digest(&text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let footer = json!({"Sha256": hash, "Objects": counts});
    format!("{text}{footer}\n").into_bytes()
}

#[test]
fn files_of_something_else_are_refused_with_a_reason_and_change_nothing() {
    let (_dir, store, catalog) = empty(TENANT);
    let refused = |file: &[u8]| {
        let error = catalog.import(&mut Cursor::new(file)).unwrap_err();
        assert!(matches!(error, TransferError::Damaged { .. }), "{error}");
        error.to_string()
    };
    let header = json!({"Format": "tenon-catalog", "Version": 2}).to_string();
    let lines = |objects: &[serde_json::Value]| {
        let objects = objects.iter().map(ToString::to_string);
        sealed(
            &[header.clone()]
                .into_iter()
                .chain(objects)
                .collect::<Vec<_>>(),
        )
    };
    let newer = json!({"Format": "tenon-catalog", "Version": 3}).to_string();
    let golden: Vec<_> = V2.lines().map(str::to_owned).collect();
    let without = |kind: &str| {
        let prefix = format!("{{\"{kind}\"");
        let kept = golden[..golden.len() - 1].iter();
        sealed(
            &kept
                .filter(|line| !line.starts_with(&prefix) && !line.starts_with("{\"Tags\""))
                .cloned()
                .collect::<Vec<_>>(),
        )
    };
    for (file, reason) in [
        (Vec::new(), "the file is empty"),
        (
            b"\x1f\x8b\x08\0\n".to_vec(),
            "line 1: it does not begin as an exported catalog does",
        ),
        (
            b"{\"Database\":{}}\n".to_vec(),
            "it does not begin as an exported catalog does",
        ),
        (
            sealed(&[newer]),
            "it is tenon-catalog version 3, this build reads tenon-catalog up to version 2",
        ),
        (
            lines(&[json!({"Job": {"Name": "j"}})]),
            "line 2: unknown variant `Job`",
        ),
        (
            lines(&[json!({"Tags": {"a": "b"}})]),
            "there are tags of nothing",
        ),
        (
            lines(&[
                json!({"Tags": {"a": "b"}}),
                json!({"EncryptionSettings": {}}),
            ]),
            "line 3: there are tags before an object of kind EncryptionSettings",
        ),
        (
            without("Database"),
            "a Function does not stand below its database",
        ),
        (
            without("Table"),
            "a TableVersion does not stand below its table",
        ),
        (
            V2.as_bytes()[..V2.len() / 2].to_vec(),
            "it does not end, or is too long",
        ),
        (
            golden[..3].join("\n").into_bytes(),
            "it does not end, or is too long",
        ),
        (
            (golden[..3].join("\n") + "\n").into_bytes(),
            "the end of the file is missing",
        ),
    ] {
        let found = refused(&file);
        assert!(found.contains(reason), "{found:?} and not {reason:?}");
    }
    assert_eq!(everything(&*store), 0);

    drop(catalog.create_catalog("lake", NestedCatalogInput::default(), &Tags::new()));
    let nested = catalog.nested("lake").unwrap();
    let before = everything(&*store);
    let error = nested.import(&mut Cursor::new(V2)).unwrap_err().to_string();
    assert!(
        error.contains("which only the default catalog can take"),
        "{error}"
    );
    assert_eq!(everything(&*store), before);
}

#[test]
fn a_nested_catalog_alone_goes_into_any_catalog() {
    let (_dir, _store, catalog) = empty(TENANT);
    one_of_each(&catalog);
    let (file, counts) = exported(&catalog.nested("lake").unwrap());
    assert_eq!((counts.get("Catalog"), counts["Table"]), (None, 1));
    let (_dir, _store, other) = empty(TENANT);
    let input = NestedCatalogInput::default();
    other.create_catalog("pond", input, &Tags::new()).unwrap();
    for target in [other.clone(), other.nested("pond").unwrap()] {
        let report = target.import(&mut Cursor::new(&file)).unwrap();
        assert_eq!(report.created, counts);
        let (again, _) = exported(&target);
        assert_eq!(objects(&again)[..objects(&file).len()], objects(&file));
    }
    assert_eq!(other.fsck(false).unwrap().findings, []);
}

#[test]
fn what_one_definition_has_against_it_is_told_and_the_rest_is_imported() {
    let (_dir, _store, catalog) = empty(TENANT);
    let bad = V2.replacen("\"VersionId\":\"0\"", "\"VersionId\":\"x\"", 1);
    assert_ne!(bad, V2);
    let lines: Vec<_> = bad.lines().map(str::to_owned).collect();
    let file = sealed(&lines[..lines.len() - 1]);
    let report = catalog.import(&mut Cursor::new(file)).unwrap();
    assert_eq!((report.failed["Table"], report.created["Table"]), (1, 1));
    assert!(
        report
            .reasons
            .iter()
            .any(|reason| reason.contains("version \"x\"")),
        "{:?}",
        report.reasons
    );
    assert_eq!(catalog.fsck(false).unwrap().findings, []);
}
