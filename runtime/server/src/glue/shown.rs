//! Things of the catalog as callers see them: moved into their shapes, not copied.
//!
//! `CatalogId` is the account that asks, whatever it was when the thing was stored. Elsewhere it is the caller's own
//! word, as in `TargetTable`. Lists and maps that the service leaves out when they are empty are left out.

use std::collections::BTreeMap;

use tenon_catalog as catalog;

use super::Context;
use super::shapes::{
    Database, ErrorDetail, Partition, StorageDescriptor, Table, TableVersion, UserDefinedFunction,
};
use crate::fault::Fault;

impl Context {
    /// Whose things the caller sees.
    pub(super) fn owner(&self) -> Owner<'_> {
        Owner(&self.catalog_id)
    }
}

/// The catalog whose things are shown, as callers call it.
pub(super) struct Owner<'a>(&'a str);

impl Owner<'_> {
    pub(super) fn database(&self, database: catalog::Database) -> Database {
        let catalog::Database {
            name,
            description,
            location_uri,
            parameters,
            create_time,
            create_table_default_permissions,
            target_database,
            catalog_id,
            federated_database,
        } = database;
        Database {
            name: Some(name),
            description,
            location_uri,
            parameters: some_parameters(parameters),
            create_time,
            create_table_default_permissions,
            target_database,
            catalog_id: self.id(catalog_id),
            federated_database,
        }
    }

    pub(super) fn table(&self, table: catalog::Table) -> Table {
        let catalog::Table {
            name,
            database_name,
            description,
            owner,
            create_time,
            update_time,
            last_access_time,
            last_analyzed_time,
            retention,
            storage_descriptor,
            partition_keys,
            view_original_text,
            view_expanded_text,
            table_type,
            parameters,
            created_by,
            is_registered_with_lake_formation,
            target_table,
            catalog_id,
            version_id,
            federated_table,
            view_definition,
        } = table;
        Table {
            name: Some(name),
            database_name,
            description,
            owner,
            create_time,
            update_time,
            last_access_time,
            last_analyzed_time,
            retention: Some(retention),
            storage_descriptor: storage_descriptor.map(descriptor),
            partition_keys: Some(partition_keys),
            view_original_text,
            view_expanded_text,
            table_type,
            parameters: some_parameters(parameters),
            created_by,
            is_registered_with_lake_formation: Some(is_registered_with_lake_formation),
            target_table,
            catalog_id: self.id(catalog_id),
            version_id,
            federated_table,
            view_definition,
            // What only AWS fills.
            is_multi_dialect_view: None,
            is_materialized_view: None,
            iceberg_table_metadata: None,
            status: None,
            rls_properties: None,
        }
    }

    pub(super) fn table_version(&self, version: catalog::TableVersion) -> TableVersion {
        TableVersion {
            table: version.table.map(|table| self.table(table)),
            version_id: version.version_id,
        }
    }

    pub(super) fn partition(&self, partition: catalog::Partition) -> Partition {
        let catalog::Partition {
            values,
            database_name,
            table_name,
            creation_time,
            last_access_time,
            storage_descriptor,
            parameters,
            last_analyzed_time,
            catalog_id,
        } = partition;
        Partition {
            values: Some(values),
            database_name,
            table_name,
            creation_time,
            last_access_time,
            storage_descriptor: storage_descriptor.map(descriptor),
            parameters: some_parameters(parameters),
            last_analyzed_time,
            catalog_id: self.id(catalog_id),
        }
    }

    pub(super) fn function(&self, function: catalog::UserDefinedFunction) -> UserDefinedFunction {
        let catalog::UserDefinedFunction {
            function_name,
            database_name,
            class_name,
            owner_name,
            function_type,
            owner_type,
            create_time,
            resource_uris,
            artifact_location,
            governance_mode,
            catalog_id,
        } = function;
        UserDefinedFunction {
            function_name: Some(function_name),
            database_name,
            class_name,
            owner_name,
            function_type,
            owner_type,
            create_time,
            resource_uris,
            artifact_location,
            governance_mode,
            catalog_id: self.id(catalog_id),
        }
    }

    /// In the place of the one that was stored.
    fn id(&self, stored: Option<String>) -> Option<String> {
        stored.map(|mut id| {
            self.0.clone_into(&mut id);
            id
        })
    }
}

fn descriptor(descriptor: catalog::StorageDescriptor) -> StorageDescriptor {
    let catalog::StorageDescriptor {
        columns,
        location,
        additional_locations,
        input_format,
        output_format,
        compressed,
        number_of_buckets,
        serde_info,
        bucket_columns,
        sort_columns,
        parameters,
        skewed_info,
        stored_as_sub_directories,
        schema_reference,
    } = descriptor;
    StorageDescriptor {
        columns: Some(columns),
        location,
        additional_locations,
        input_format,
        output_format,
        compressed: Some(compressed),
        number_of_buckets: Some(number_of_buckets),
        serde_info,
        bucket_columns,
        sort_columns,
        parameters: some_parameters(parameters),
        skewed_info,
        stored_as_sub_directories: Some(stored_as_sub_directories),
        schema_reference,
    }
}

pub(super) fn some_parameters(
    parameters: BTreeMap<String, String>,
) -> Option<BTreeMap<String, String>> {
    Some(parameters).filter(|parameters| !parameters.is_empty())
}

/// Items of a batch that failed; a batch without any has no such member.
pub(super) fn some_errors<T>(errors: Vec<T>) -> Option<Vec<T>> {
    Some(errors).filter(|errors| !errors.is_empty())
}

/// Why an item of a batch failed.
pub(super) fn detail(error: impl Into<Fault>) -> ErrorDetail {
    let fault = error.into();
    ErrorDetail {
        error_code: Some(fault.name.to_owned()),
        error_message: Some(fault.message),
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    const OWNER: Owner<'_> = Owner("111122223333");

    fn shown<T: DeserializeOwned, S: Serialize>(stored: &Value, show: fn(T) -> S) -> Value {
        let stored = serde_json::from_value(stored.clone()).unwrap();
        serde_json::to_value(show(stored)).unwrap()
    }

    /// `CatalogId` of an owned thing, also in another, is the owner's; that of a target is the caller's own word.
    #[test]
    fn things_show_their_owner_and_all_that_is_stored_of_them() {
        let columns =
            json!([{"Name": "c", "Type": "int", "Comment": "c", "Parameters": {"k": "v"}}]);
        let descriptor = json!({
            "Columns": columns, "Location": "s3://b/t/", "AdditionalLocations": ["s3://b/u/"], "InputFormat": "i",
            "OutputFormat": "o", "Compressed": true, "NumberOfBuckets": 3, "SerdeInfo": {"Name": "s"},
            "BucketColumns": ["c"], "SortColumns": [{"Column": "c", "SortOrder": 1}], "Parameters": {"k": "v"},
            "SkewedInfo": {"SkewedColumnNames": ["c"]}, "StoredAsSubDirectories": true,
            "SchemaReference": {"SchemaVersionNumber": 1},
        });
        let target = json!({"CatalogId": "000000000001", "DatabaseName": "e", "Name": "u"});
        let table = |id: &str| {
            json!({
                "Name": "t", "DatabaseName": "d", "Description": "x", "Owner": "o", "CreateTime": 1, "UpdateTime": 2.5,
                "LastAccessTime": 3, "LastAnalyzedTime": 4, "Retention": 5, "StorageDescriptor": descriptor,
                "PartitionKeys": columns, "ViewOriginalText": "v", "ViewExpandedText": "w", "TableType": "X",
                "Parameters": {"CatalogId": "1"}, "CreatedBy": "me", "IsRegisteredWithLakeFormation": true,
                "TargetTable": target, "CatalogId": id, "VersionId": "6", "FederatedTable": {"Identifier": "f"},
                "ViewDefinition": {"IsProtected": true},
            })
        };
        let database = |id: &str| {
            json!({
                "Name": "d", "Description": "x", "LocationUri": "s3://b/", "Parameters": {"k": "v"}, "CreateTime": 1,
                "CreateTableDefaultPermissions": [], "TargetDatabase": {"CatalogId": "000000000001"}, "CatalogId": id,
                "FederatedDatabase": {"Identifier": "f"},
            })
        };
        let partition = |id: &str| {
            json!({
                "Values": ["a"], "DatabaseName": "d", "TableName": "t", "CreationTime": 1, "LastAccessTime": 2,
                "StorageDescriptor": descriptor, "Parameters": {"k": "v"}, "LastAnalyzedTime": 3, "CatalogId": id,
            })
        };
        let function = |id: &str| {
            json!({
                "FunctionName": "f", "DatabaseName": "d", "ClassName": "c", "OwnerName": "o", "FunctionType": "t",
                "OwnerType": "USER", "CreateTime": 1, "ResourceUris": [{"Uri": "s3://b/j"}], "ArtifactLocation": "a",
                "GovernanceMode": "g", "CatalogId": id,
            })
        };
        let version = |id: &str| json!({"Table": table(id), "VersionId": "6"});
        let (then, now) = ("000000000001", OWNER.0);
        assert_eq!(shown(&table(then), |t| OWNER.table(t)), table(now));
        assert_eq!(shown(&database(then), |d| OWNER.database(d)), database(now));
        assert_eq!(
            shown(&partition(then), |p| OWNER.partition(p)),
            partition(now)
        );
        assert_eq!(shown(&function(then), |f| OWNER.function(f)), function(now));
        assert_eq!(
            shown(&version(then), |v| OWNER.table_version(v)),
            version(now)
        );
    }

    #[test]
    fn what_was_not_said_is_left_out_or_empty_as_in_the_service() {
        assert_eq!(
            shown(&json!({"Name": "t"}), |t| OWNER.table(t)),
            json!({"Name": "t", "Retention": 0, "PartitionKeys": [], "IsRegisteredWithLakeFormation": false})
        );
        assert_eq!(
            shown(&json!({"StorageDescriptor": {}}), |p| OWNER.partition(p)),
            json!({"Values": [], "StorageDescriptor": {
                "Columns": [], "Compressed": false, "NumberOfBuckets": 0, "StoredAsSubDirectories": false}})
        );
    }
}
