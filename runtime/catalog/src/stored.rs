//! Keys and payloads of the catalog's records. Payloads are the model's JSON; golden files under `test-data/`
//! keep every released layout readable.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tenon_store::{Key, Record, Tree};

use crate::error::{Error, Result};

/// Layout of payloads this build writes.
pub(crate) const SCHEMA: u16 = 1;

const DATABASE: u8 = 1;
const TABLE: u8 = 2;
const TABLES_CREATED: u8 = 3;
const PARTITIONS_CREATED: u8 = 4;

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

/// The record that changes whenever a partition is created or renamed in the table.
pub(crate) fn partitions_created(database: &str, table_name: &str) -> Key {
    Key::new()
        .with_u8(PARTITIONS_CREATED)
        .with_part(database)
        .with_part(table_name)
}

/// What [`partitions_created`] is for the table whose key this is.
pub(crate) fn partitions_created_of(table: &Key) -> Key {
    let names = table.as_bytes().get(1..).unwrap_or_default();
    Key::from_bytes([&[PARTITIONS_CREATED], names].concat())
}

pub(crate) fn encode(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Error::invalid(format!("the definition cannot be stored: {error}")))
}

pub(crate) fn decode<T: DeserializeOwned>(tree: Tree, key: &Key, record: &Record) -> Result<T> {
    let unreadable = |reason: String| tenon_store::Error::DamagedRecord {
        tree: tree.name(),
        key: key.clone(),
        reason,
    };
    if record.schema > SCHEMA {
        let found = record.schema;
        return Err(unreadable(format!(
            "it has layout {found}, this build reads up to {SCHEMA}"
        ))
        .into());
    }
    serde_json::from_slice(&record.payload).map_err(|error| unreadable(error.to_string()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Database, Table};

    /// Stored bytes of every released layout must still load, to the same meaning.
    #[test]
    fn golden_records_load_and_are_what_is_written() {
        let load = |payload: &str| Record {
            schema: 1,
            version: 1,
            seq: 1,
            payload: payload.trim_end().into(),
        };
        let table = load(include_str!("../test-data/table-v1.json"));
        let decoded: Table = decode(Tree::Object, &Key::new(), &table).unwrap();
        assert_eq!(decoded.version_id.as_deref(), Some("3"));
        assert_eq!(
            String::from_utf8(encode(&decoded).unwrap()),
            String::from_utf8(table.payload)
        );

        let database = load(include_str!("../test-data/database-v1.json"));
        let decoded: Database = decode(Tree::Object, &Key::new(), &database).unwrap();
        assert_eq!(decoded.name, "sales");
        assert_eq!(
            String::from_utf8(encode(&decoded).unwrap()),
            String::from_utf8(database.payload)
        );
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
