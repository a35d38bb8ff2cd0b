//! What stands in requests and in answers.
//!
//! Made of the service model, not by hand; to make it again:
//! `cargo run --release -p tenon-server --example glue_model`

use serde_json::Value;
use tenon_catalog as catalog;

parts! {
    /// Part of `GetDataCatalogEncryptionSettingsResponse` and `PutDataCatalogEncryptionSettingsRequest`.
    DataCatalogEncryptionSettings {
        encryption_at_rest: Option<catalog::EncryptionAtRest>,
        connection_password_encryption: Option<catalog::ConnectionPasswordEncryption>,
    }

    /// Part of `Catalog` and `CatalogInput`.
    FederatedCatalog {
        identifier: Option<String>,
        connection_name: Option<String>,
        connection_type: Option<String>,
    }

    /// Part of `IcebergPartitionSpec`.
    IcebergPartitionField {
        source_id: Option<i32>,
        transform: Option<String>,
        name: Option<String>,
        field_id: Option<i32>,
    }

    /// Part of `CreateIcebergTableInput`, `IcebergTableMetadata` and others.
    IcebergPartitionSpec {
        fields: Option<Vec<IcebergPartitionField>>,
        spec_id: Option<i32>,
    }

    /// Part of `CreateIcebergTableInput`, `IcebergTableMetadata` and others.
    IcebergSchema {
        schema_id: Option<i32>,
        identifier_field_ids: Option<Vec<i32>>,
        r#type: Option<String>,
        fields: Option<Vec<IcebergStructField>>,
    }

    /// Part of `IcebergSortOrder`.
    IcebergSortField {
        source_id: Option<i32>,
        transform: Option<String>,
        direction: Option<String>,
        null_order: Option<String>,
    }

    /// Part of `CreateIcebergTableInput`, `IcebergTableMetadata` and others.
    IcebergSortOrder {
        order_id: Option<i32>,
        fields: Option<Vec<IcebergSortField>>,
    }

    /// Part of `IcebergSchema`.
    IcebergStructField {
        id: Option<i32>,
        name: Option<String>,
        r#type: Option<Value>,
        required: Option<bool>,
        doc: Option<String>,
        initial_default: Option<Value>,
        write_default: Option<Value>,
    }

    /// Part of `Catalog` and `CatalogInput`.
    TargetRedshiftCatalog {
        catalog_arn: Option<String>,
    }
}
