//! Keys and payloads of the catalog's records. Payloads are the model's JSON; golden files under `test-data/`
//! keep every released layout readable.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tenon_store::{Key, Record, Tree};

use crate::error::{Error, Result};

/// Layout of payloads this build writes.
pub(crate) const SCHEMA: u16 = 1;

const DATABASE: u8 = 1;
pub(crate) const TABLE: u8 = 2;
const TABLES_CREATED: u8 = 3;
const PARTITIONS_CREATED: u8 = 4;
pub(crate) const FUNCTION: u8 = 5;
pub(crate) const TABLE_STATISTICS: u8 = 6;
const PARTITION_STATISTICS: u8 = 7;
pub(crate) const PARTITION_INDEXES: u8 = 8;
pub(crate) const DESCRIPTOR: u8 = 9;
const CONNECTION: u8 = 16;
const TAGS: u8 = 17;
const RESOURCE_POLICY: u8 = 18;
const ENCRYPTION_SETTINGS: u8 = 19;
const SECURITY_CONFIGURATION: u8 = 20;
const CATALOG: u8 = 21;
const CATALOG_NUMBER: u8 = 22;
const CATALOG_REMAINS: u8 = 23;
const DEFAULT_CATALOG: u8 = 24;
pub(crate) const STATISTICS_RUNS_OF_TABLE: u8 = 25;
const STATISTICS_RUN: u8 = 26;
const STATISTICS_RUN_UNDER_WAY: u8 = 27;
pub(crate) const STATISTICS_SETTINGS: u8 = 28;
const STATISTICS_SCHEDULE: u8 = 29;
const NESTED: u8 = 255;

/// Kinds of records that lie in a database.
pub(crate) const OF_DATABASES: [u8; 3] = [TABLE, TABLES_CREATED, FUNCTION];

/// Kinds of records in the tree of objects that lie in a table.
pub(crate) const OF_TABLES: [u8; 6] = [
    PARTITIONS_CREATED,
    TABLE_STATISTICS,
    PARTITION_INDEXES,
    DESCRIPTOR,
    STATISTICS_RUNS_OF_TABLE,
    STATISTICS_SETTINGS,
];

/// Below which all databases lie.
pub(crate) fn databases() -> Key {
    Key::new().with_u8(DATABASE)
}

pub(crate) fn database(name: &str) -> Key {
    databases().with_part(name)
}

/// Below which all tables of all databases lie.
pub(crate) fn all_tables() -> Key {
    Key::new().with_u8(TABLE)
}

/// Below which all tables of a database lie, and in the tree of versions all their versions.
pub(crate) fn tables(database: &str) -> Key {
    all_tables().with_part(database)
}

/// A table, and in the tree of versions what all its versions lie below.
pub(crate) fn table(database: &str, name: &str) -> Key {
    tables(database).with_part(name)
}

/// A version of a table; the newest comes first.
pub(crate) fn version(database: &str, table_name: &str, number: u64) -> Key {
    table(database, table_name).with_u64(u64::MAX - number)
}

/// The record that changes whenever a table is created in the database.
pub(crate) fn tables_created(database: &str) -> Key {
    Key::new().with_u8(TABLES_CREATED).with_part(database)
}

/// Below which all partitions of a table lie, in the tree of partitions.
pub(crate) fn partitions(database: &str, table_name: &str) -> Key {
    table(database, table_name)
}

pub(crate) fn partition(database: &str, table_name: &str, values: &[String]) -> Key {
    values
        .iter()
        .fold(partitions(database, table_name), Key::with_part)
}

/// The record that changes whenever a partition or an index entry is written in the table with this key.
pub(crate) fn partitions_created_of(table: &Key) -> Key {
    of_kind(PARTITIONS_CREATED, table)
}

/// Below which all functions of all databases lie.
pub(crate) fn all_functions() -> Key {
    Key::new().with_u8(FUNCTION)
}

/// Below which all functions of a database lie.
pub(crate) fn functions(database: &str) -> Key {
    all_functions().with_part(database)
}

pub(crate) fn function(database: &str, name: &str) -> Key {
    functions(database).with_part(name)
}

/// Statistics of a table's columns, by the key of the table.
pub(crate) fn table_statistics_of(table: &Key) -> Key {
    of_kind(TABLE_STATISTICS, table)
}

/// Statistics of a partition's columns, by the key of the partition and in the same tree.
pub(crate) fn partition_statistics_of(partition: &Key) -> Key {
    of_kind(PARTITION_STATISTICS, partition)
}

/// The partition whose statistics these are.
pub(crate) fn partition_of_statistics(statistics: &Key) -> Key {
    of_kind(TABLE, statistics)
}

/// The definitions of a table's partition indexes, by the key of the table.
pub(crate) fn partition_indexes_of(table: &Key) -> Key {
    of_kind(PARTITION_INDEXES, table)
}

/// Below which the definitions of all partition indexes lie.
pub(crate) fn all_partition_indexes() -> Key {
    Key::new().with_u8(PARTITION_INDEXES)
}

/// Below which the descriptors lie that partitions of a table share, by the key of the table.
pub(crate) fn descriptors_of(table: &Key) -> Key {
    of_kind(DESCRIPTOR, table)
}

/// Below which the entries of one partition index lie, in the tree of indexes.
pub(crate) fn index_entries(table: &Key, index: u32) -> Key {
    table.clone().with_u32(index)
}

/// Whose record it is: the kind, and the names behind it.
pub(crate) fn kind_and_names(key: &Key) -> Option<(u8, Vec<String>)> {
    let mut reader = key.reader();
    let kind = reader.u8().ok()?;
    let mut names = Vec::new();
    while let Ok(name) = reader.part() {
        names.push(String::from_utf8(name).ok()?);
    }
    reader.is_empty().then_some((kind, names))
}

/// Below which the statistics of all partitions lie.
pub(crate) fn all_partition_statistics() -> Key {
    Key::new().with_u8(PARTITION_STATISTICS)
}

/// The database of a record whose key begins with its name.
pub(crate) fn database_of(key: &Key) -> Option<String> {
    let mut reader = key.reader();
    reader.u8().ok()?;
    String::from_utf8(reader.part().ok()?).ok()
}

/// The table of a record whose key begins with the names of its database and table.
pub(crate) fn table_of(key: &Key) -> Option<(String, String)> {
    let mut reader = key.reader();
    reader.u8().ok()?;
    let database = String::from_utf8(reader.part().ok()?).ok()?;
    let name = String::from_utf8(reader.part().ok()?).ok()?;
    Some((database, name))
}

/// The values in the key of a partition.
pub(crate) fn partition_values(key: &Key) -> Option<Vec<String>> {
    let (_, mut names) = kind_and_names(key)?;
    (names.len() > 2).then(|| names.split_off(2))
}

/// The key with the same names and another kind in front.
fn of_kind(kind: u8, key: &Key) -> Key {
    let names = key.as_bytes().get(1..).unwrap_or_default();
    Key::from_bytes([&[kind], names].concat())
}

/// Below which all connections lie.
pub(crate) fn connections() -> Key {
    Key::new().with_u8(CONNECTION)
}

/// A connection, and in the tree of secrets what is encrypted of it.
pub(crate) fn connection(name: &str) -> Key {
    connections().with_part(name)
}

/// The tags of the object with this key.
pub(crate) fn tags(object: &Key) -> Key {
    Key::from_bytes([&[TAGS], object.as_bytes()].concat())
}

/// Below which all tags lie.
pub(crate) fn all_tags() -> Key {
    Key::new().with_u8(TAGS)
}

/// The object whose tags these are.
pub(crate) fn tagged(tags: &Key) -> Key {
    Key::from_bytes(tags.as_bytes().get(1..).unwrap_or_default().to_vec())
}

/// The policy of the catalog.
pub(crate) fn resource_policy() -> Key {
    Key::new().with_u8(RESOURCE_POLICY)
}

pub(crate) fn encryption_settings() -> Key {
    Key::new().with_u8(ENCRYPTION_SETTINGS)
}

/// Below which all security configurations lie.
pub(crate) fn security_configurations() -> Key {
    Key::new().with_u8(SECURITY_CONFIGURATION)
}

pub(crate) fn security_configuration(name: &str) -> Key {
    security_configurations().with_part(name)
}

/// Below which the records of all nested catalogs lie.
pub(crate) fn catalogs() -> Key {
    Key::new().with_u8(CATALOG)
}

pub(crate) fn catalog(name: &str) -> Key {
    catalogs().with_part(name)
}

/// Below which the numbers of all nested catalogs lie.
pub(crate) fn catalog_numbers() -> Key {
    Key::new().with_u8(CATALOG_NUMBER)
}

/// The record that is there as long as the nested catalog with this number is.
pub(crate) fn catalog_number(number: u32) -> Key {
    catalog_numbers().with_u32(number)
}

/// Below which the numbers of catalogs lie that are deleted and not yet swept.
pub(crate) fn remains() -> Key {
    Key::new().with_u8(CATALOG_REMAINS)
}

pub(crate) fn remains_of(number: u32) -> Key {
    remains().with_u32(number)
}

/// What was said about the default catalog.
pub(crate) fn default_catalog() -> Key {
    Key::new().with_u8(DEFAULT_CATALOG)
}

/// Below which everything in all nested catalogs lies.
pub(crate) fn all_nested() -> Key {
    Key::new().with_u8(NESTED)
}

/// The number behind the kind of a record: of nested catalogs and what lies in them.
pub(crate) fn number_of(key: &Key) -> Option<u32> {
    let mut reader = key.reader();
    reader.u8().ok()?;
    reader.u32().ok()
}

/// The runs that find out statistics of a table, by the key of the table.
pub(crate) fn statistics_runs_of(table: &Key) -> Key {
    of_kind(STATISTICS_RUNS_OF_TABLE, table)
}

/// Below which all such runs lie.
pub(crate) fn statistics_runs() -> Key {
    Key::new().with_u8(STATISTICS_RUN)
}

/// Below which those lie that are under way.
pub(crate) fn statistics_runs_under_way() -> Key {
    Key::new().with_u8(STATISTICS_RUN_UNDER_WAY)
}

/// What such runs of a table are to do, by the key of the table.
pub(crate) fn statistics_settings_of(table: &Key) -> Key {
    of_kind(STATISTICS_SETTINGS, table)
}

/// Below which the schedules lie that are in force.
pub(crate) fn statistics_schedules() -> Key {
    Key::new().with_u8(STATISTICS_SCHEDULE)
}

/// The schedule of the table with this key, which is one of all catalogs.
pub(crate) fn statistics_schedule_of(table_of_all: &Key) -> Key {
    Key::from_bytes([&[STATISTICS_SCHEDULE], table_of_all.as_bytes()].concat())
}

/// Below which everything in the nested catalog with this number lies.
pub(crate) fn nested(number: u32) -> Key {
    all_nested().with_u32(number)
}

pub(crate) fn encode(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Error::invalid(format!("the definition cannot be stored: {error}")))
}

pub(crate) fn decode<T: DeserializeOwned>(tree: Tree, key: &Key, record: &Record) -> Result<T> {
    check_layout(tree, key, record, SCHEMA)?;
    serde_json::from_slice(&record.payload)
        .map_err(|error| unreadable(tree, key, error.to_string()))
}

/// Refuses a record that a newer build wrote.
pub(crate) fn check_layout(tree: Tree, key: &Key, record: &Record, newest: u16) -> Result<()> {
    if record.schema <= newest {
        return Ok(());
    }
    let found = record.schema;
    Err(unreadable(
        tree,
        key,
        format!("it has layout {found}, this build reads up to {newest}"),
    ))
}

pub(crate) fn unreadable(tree: Tree, key: &Key, reason: impl Into<String>) -> Error {
    tenon_store::Error::DamagedRecord {
        tree: tree.name(),
        key: key.clone(),
        reason: reason.into(),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Database, Table};
    use crate::nested::Numbered;
    use crate::{
        Connection, EncryptionSettings, NestedCatalog, ResourcePolicy, SealedSecrets,
        SecurityConfiguration, Tags,
    };

    /// Stored bytes of every released layout must still load, to the same meaning.
    #[track_caller]
    fn golden<T: Serialize + DeserializeOwned>(payload: &str) -> T {
        let record = Record {
            schema: 1,
            version: 1,
            seq: 1,
            payload: payload.trim_end().into(),
        };
        let decoded: T = decode(Tree::Object, &Key::new(), &record).unwrap();
        assert_eq!(
            String::from_utf8(encode(&decoded).unwrap()),
            String::from_utf8(record.payload)
        );
        decoded
    }

    #[test]
    fn golden_records_load_and_are_what_is_written() {
        let table: Table = golden(include_str!("../test-data/table-v1.json"));
        assert_eq!(table.version_id.as_deref(), Some("3"));
        let database: Database = golden(include_str!("../test-data/database-v1.json"));
        assert_eq!(database.name, "sales");
        let connection: Connection = golden(include_str!("../test-data/connection-v1.json"));
        assert_eq!(connection.connection_schema_version, 2);
        let secrets: SealedSecrets =
            golden(include_str!("../test-data/connection-secrets-v1.json"));
        assert_eq!(secrets["ConnectionProperties/PASSWORD"], "0011223344");
        let tags: Tags = golden(include_str!("../test-data/tags-v1.json"));
        assert_eq!(tags["team"], "sales");
        let policy: ResourcePolicy = golden(include_str!("../test-data/resource-policy-v1.json"));
        assert_eq!(policy.policy_hash, "00ff");
        let settings: EncryptionSettings =
            golden(include_str!("../test-data/encryption-settings-v1.json"));
        assert!(
            settings
                .connection_password_encryption
                .return_connection_password_encrypted
        );
        let security: SecurityConfiguration =
            golden(include_str!("../test-data/security-configuration-v1.json"));
        assert_eq!(security.name, "strict");
        let catalog: Numbered = golden(include_str!("../test-data/catalog-v1.json"));
        assert_eq!((catalog.number, catalog.catalog.name.as_str()), (7, "lake"));
        let default: NestedCatalog = golden(include_str!("../test-data/default-catalog-v1.json"));
        assert!(default.input.parameters.is_empty());
    }

    #[test]
    fn golden_records_beside_tables_load_and_are_what_is_written() {
        fn same<T: DeserializeOwned + Serialize>(golden: &str) {
            let record = Record {
                schema: 1,
                version: 1,
                seq: 1,
                payload: golden.trim_end().into(),
            };
            let decoded: T = decode(Tree::Object, &Key::new(), &record).unwrap();
            assert_eq!(
                String::from_utf8(encode(&decoded).unwrap()).unwrap(),
                golden.trim_end()
            );
        }
        same::<crate::UserDefinedFunction>(include_str!("../test-data/function-v1.json"));
        same::<crate::statistics::Columns>(include_str!("../test-data/statistics-v1.json"));
        same::<Vec<crate::index::IndexDefinition>>(include_str!(
            "../test-data/partition-indexes-v1.json"
        ));
    }

    #[test]
    fn a_newer_layout_is_refused() {
        let record = Record {
            schema: 2,
            version: 1,
            seq: 1,
            payload: b"{}".to_vec(),
        };
        let error = decode::<Table>(Tree::Object, &table("d", "t"), &record)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("it has layout 2, this build reads up to 1"),
            "{error}"
        );
    }

    #[test]
    fn newer_versions_come_first() {
        assert!(version("d", "t", 10) < version("d", "t", 9));
        assert!(version("d", "t", 0).starts_with(&table("d", "t")));
        assert!(!version("d", "t2", 0).starts_with(&table("d", "t")));
    }
}
