//! Glue's data model: the shapes of `aws glue`, with the same names in JSON.
//!
//! Members the service leaves out when absent are options; lists and maps are empty when absent. `null` counts
//! as absent. Members this program does not know are ignored, as SDKs grow faster than servers.
//! Two differences to the wire: `ViewDefinition` is kept as it came, and members only AWS fills
//! (`IcebergTableMetadata`, `Status`, `RLSProperties`, `IsMultiDialectView`, `IsMaterializedView`) do not exist.
//!
//! Reference: <https://docs.aws.amazon.com/glue/latest/webapi/API_Table.html>

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A database.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Database {
    /// Name, in lower case.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where its tables lie unless they say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location_uri: Option<String>,
    /// Free key-value pairs.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub parameters: BTreeMap<String, String>,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_time: Option<Timestamp>,
    /// Permissions new tables start with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_table_default_permissions: Option<Vec<PrincipalPermissions>>,
    /// The database this one is a link to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_database: Option<DatabaseIdentifier>,
    /// The account it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog_id: Option<String>,
    /// The foreign database this one stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub federated_database: Option<FederatedDatabase>,
}

/// What a caller says about a database.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DatabaseInput {
    /// Name; folded to lower case.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where its tables lie unless they say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location_uri: Option<String>,
    /// Free key-value pairs.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub parameters: BTreeMap<String, String>,
    /// Permissions new tables start with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_table_default_permissions: Option<Vec<PrincipalPermissions>>,
    /// The database this one is a link to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_database: Option<DatabaseIdentifier>,
    /// The foreign database this one stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub federated_database: Option<FederatedDatabase>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Table {
    /// Name, in lower case.
    pub name: String,
    /// Name of its database, in lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_name: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_time: Option<Timestamp>,
    /// When its definition last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_time: Option<Timestamp>,
    /// When its data was last read, as far as someone reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_access_time: Option<Timestamp>,
    /// When statistics were last computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_analyzed_time: Option<Timestamp>,
    /// Retention, in days as far as anyone agrees on a unit.
    #[serde(default, deserialize_with = "or_default")]
    pub retention: i32,
    /// Where and how the data is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_descriptor: Option<StorageDescriptor>,
    /// Columns that partition the table; not among the storage descriptor's columns.
    #[serde(default, deserialize_with = "or_default")]
    pub partition_keys: Vec<Column>,
    /// Text of a view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view_original_text: Option<String>,
    /// Text of a view with names resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view_expanded_text: Option<String>,
    /// `EXTERNAL_TABLE`, `VIRTUAL_VIEW`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_type: Option<String>,
    /// Free key-value pairs; `classification` names the format.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub parameters: BTreeMap<String, String>,
    /// Who created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Whether Lake Formation governs it.
    #[serde(default, deserialize_with = "or_default")]
    pub is_registered_with_lake_formation: bool,
    /// The table this one is a link to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_table: Option<TableIdentifier>,
    /// The account it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog_id: Option<String>,
    /// Decimal number of its definition, from `0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// The foreign table this one stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub federated_table: Option<FederatedTable>,
    /// Definition of a multi-dialect view, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view_definition: Option<serde_json::Value>,
}

/// What a caller says about a table.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TableInput {
    /// Name; folded to lower case.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When its data was last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_access_time: Option<Timestamp>,
    /// When statistics were last computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_analyzed_time: Option<Timestamp>,
    /// Retention; not negative.
    #[serde(default, deserialize_with = "or_default")]
    pub retention: i32,
    /// Where and how the data is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_descriptor: Option<StorageDescriptor>,
    /// Columns that partition the table.
    #[serde(default, deserialize_with = "or_default")]
    pub partition_keys: Vec<Column>,
    /// Text of a view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view_original_text: Option<String>,
    /// Text of a view with names resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view_expanded_text: Option<String>,
    /// `EXTERNAL_TABLE`, `VIRTUAL_VIEW`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_type: Option<String>,
    /// Free key-value pairs.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub parameters: BTreeMap<String, String>,
    /// The table this one is a link to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_table: Option<TableIdentifier>,
    /// The foreign table this one stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub federated_table: Option<FederatedTable>,
    /// Definition of a multi-dialect view, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view_definition: Option<serde_json::Value>,
}

/// A definition a table has or had.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TableVersion {
    /// The definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Table>,
    /// Its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
}

/// A partition of a table.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Partition {
    /// Values of the table's partition keys, in their order.
    #[serde(default, deserialize_with = "or_default")]
    pub values: Vec<String>,
    /// Name of its database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_name: Option<String>,
    /// Name of its table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_name: Option<String>,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_time: Option<Timestamp>,
    /// When its data was last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_access_time: Option<Timestamp>,
    /// Where and how the data is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_descriptor: Option<StorageDescriptor>,
    /// Free key-value pairs.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub parameters: BTreeMap<String, String>,
    /// When statistics were last computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_analyzed_time: Option<Timestamp>,
    /// The account it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog_id: Option<String>,
}

/// What a caller says about a partition.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PartitionInput {
    /// Values of the table's partition keys, in their order.
    #[serde(default, deserialize_with = "or_default")]
    pub values: Vec<String>,
    /// When its data was last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_access_time: Option<Timestamp>,
    /// Where and how the data is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_descriptor: Option<StorageDescriptor>,
    /// Free key-value pairs.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub parameters: BTreeMap<String, String>,
    /// When statistics were last computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_analyzed_time: Option<Timestamp>,
}

/// Where and how data is stored.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StorageDescriptor {
    /// Columns, without the partition keys.
    #[serde(default, deserialize_with = "or_default")]
    pub columns: Vec<Column>,
    /// Folder of the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// More folders (Delta Lake).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additional_locations: Option<Vec<String>>,
    /// Java class that reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_format: Option<String>,
    /// Java class that writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_format: Option<String>,
    /// Whether the data is compressed.
    #[serde(default, deserialize_with = "or_default")]
    pub compressed: bool,
    /// Number of buckets.
    #[serde(default, deserialize_with = "or_default")]
    pub number_of_buckets: i32,
    /// Java class that makes rows of bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serde_info: Option<SerDeInfo>,
    /// Columns the data is bucketed by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket_columns: Option<Vec<String>>,
    /// Columns each bucket is sorted by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_columns: Option<Vec<Order>>,
    /// Free key-value pairs.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub parameters: BTreeMap<String, String>,
    /// Values that occur very often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skewed_info: Option<SkewedInfo>,
    /// Whether skewed values lie in folders of their own.
    #[serde(default, deserialize_with = "or_default")]
    pub stored_as_sub_directories: bool,
    /// Where the schema is registered, in place of `columns`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_reference: Option<SchemaReference>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Column {
    /// Name, as given.
    pub name: String,
    /// Type, in Hive's words: see [`HiveType`](crate::HiveType).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Free key-value pairs.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub parameters: BTreeMap<String, String>,
}

/// A serialiser: the Java class that makes rows of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SerDeInfo {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serialization_library: Option<String>,
    /// Its settings.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub parameters: BTreeMap<String, String>,
}

/// A column to sort by.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Order {
    /// Name of the column.
    pub column: String,
    /// 1 ascending, 0 descending.
    pub sort_order: i32,
}

/// Values that occur very often.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SkewedInfo {
    /// Columns that contain such values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skewed_column_names: Option<Vec<String>>,
    /// The values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skewed_column_values: Option<Vec<String>>,
    /// Value to folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skewed_column_value_location_maps: Option<BTreeMap<String, String>>,
}

/// A schema in a schema registry.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SchemaReference {
    /// Which schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_id: Option<SchemaId>,
    /// Which version, by identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version_id: Option<String>,
    /// Which version, by number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version_number: Option<i64>,
}

/// Names a schema in a schema registry.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SchemaId {
    /// By resource name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_arn: Option<String>,
    /// By name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_name: Option<String>,
    /// In which registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_name: Option<String>,
}

/// Names a table, maybe elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TableIdentifier {
    /// Account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog_id: Option<String>,
    /// Database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_name: Option<String>,
    /// Table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// Names a database, maybe elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DatabaseIdentifier {
    /// Account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog_id: Option<String>,
    /// Database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_name: Option<String>,
    /// Region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// What someone may do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PrincipalPermissions {
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<Principal>,
    /// What: `ALL`, `SELECT`, ...
    #[serde(default, deserialize_with = "or_default")]
    pub permissions: Vec<String>,
}

/// Someone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Principal {
    /// Identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_lake_principal_identifier: Option<String>,
}

/// A foreign database.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct FederatedDatabase {
    /// Its name there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
    /// Connection to reach it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_name: Option<String>,
    /// Kind of that connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_type: Option<String>,
}

/// A foreign table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct FederatedTable {
    /// Its name there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
    /// Its database there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_identifier: Option<String>,
    /// Connection to reach it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_name: Option<String>,
    /// Kind of that connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_type: Option<String>,
}

/// A point in time, to the millisecond. In JSON a number of seconds since 1970-01-01 UTC, as on Glue's wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    unix_millis: i64,
}

/// 0001-01-02 and 9999-12-31, both at midnight UTC: a day inside of what Python and SQL call a time, so that they are times
/// in every zone.
const EARLIEST_MILLIS: i64 = -62_135_510_400_000;
const LATEST_MILLIS: i64 = 253_402_214_400_000;

impl Timestamp {
    /// The time `unix_millis` milliseconds after 1970-01-01 UTC.
    #[must_use]
    pub const fn from_unix_millis(unix_millis: i64) -> Self {
        Self { unix_millis }
    }

    /// Milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn unix_millis(self) -> i64 {
        self.unix_millis
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let unix_millis = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => millis(after),
            Err(before) => -millis(before.duration()),
        };
        Self { unix_millis }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.unix_millis % 1000 {
            0 => serializer.serialize_i64(self.unix_millis / 1000),
            _ => serializer.serialize_f64(self.unix_millis as f64 / 1000.0),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        // A time that clients cannot show would make them fail on everything listed beside it.
        let unix_millis = (seconds * 1000.0).round() as i64;
        Ok(Self {
            unix_millis: unix_millis.clamp(EARLIEST_MILLIS, LATEST_MILLIS),
        })
    }
}

/// `null` is the default.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn timestamps_are_seconds_on_the_wire() {
        let wire = |millis| serde_json::to_string(&Timestamp::from_unix_millis(millis)).unwrap();
        assert_eq!(wire(1_700_000_000_000), "1700000000");
        assert_eq!(wire(1_700_000_000_123), "1700000000.123");
        assert_eq!(wire(-500), "-0.5");
        for millis in [0, 1, -1, 1_700_000_000_123, 253_402_214_400_000] {
            let read: Timestamp = serde_json::from_str(&wire(millis)).unwrap();
            assert_eq!(read.unix_millis(), millis);
        }
        for (far, nearest) in [("1e300", LATEST_MILLIS), ("-1e300", EARLIEST_MILLIS)] {
            let read: Timestamp = serde_json::from_str(far).unwrap();
            assert_eq!(read.unix_millis(), nearest);
        }
    }

    #[test]
    fn null_is_absent_and_unknown_members_are_ignored() {
        let input: TableInput = serde_json::from_value(json!({
            "Name": "t", "PartitionKeys": null, "Parameters": null, "Owner": null, "Retention": null,
            "FromTheFuture": {"x": 1},
            "StorageDescriptor": {"Columns": null, "Compressed": null, "SerdeInfo": {"Parameters": null}},
        }))
        .unwrap();
        let storage_descriptor = StorageDescriptor {
            serde_info: Some(SerDeInfo::default()),
            ..Default::default()
        };
        let expected = TableInput {
            name: "t".to_owned(),
            storage_descriptor: Some(storage_descriptor),
            ..Default::default()
        };
        assert_eq!(input, expected);
    }

    #[test]
    fn what_is_absent_is_left_out() {
        let table = Table {
            name: "t".to_owned(),
            ..Default::default()
        };
        let expected = json!({
            "Name": "t", "Retention": 0, "PartitionKeys": [], "IsRegisteredWithLakeFormation": false,
        });
        assert_eq!(serde_json::to_value(table).unwrap(), expected);
    }
}
