//! Encryption settings of the catalog, and security configurations.
//! <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-security.html>
//!
//! **A setting that would not be kept is refused.** There is no AWS KMS behind this server, so `SSE-KMS` and the
//! keys of the encryption settings are an `InvalidInputException`: whoever sets them counts on an encryption that
//! would not happen. `DISABLED` is accepted and the default. `ReturnConnectionPasswordEncrypted` is accepted
//! either way, since no password is returned at all (see `connection`).
//!
//! **A security configuration is a definition** that jobs name. It is kept as it was given; whether it can be
//! honoured is decided where the job runs.

use serde_json::{Map, Value};
use tenon_catalog::EncryptionSettings;

use super::shapes::{
    CreateSecurityConfigurationRequest, CreateSecurityConfigurationResponse,
    DataCatalogEncryptionSettings, DeleteSecurityConfigurationRequest,
    DeleteSecurityConfigurationResponse, EncryptionConfiguration,
    GetDataCatalogEncryptionSettingsRequest, GetDataCatalogEncryptionSettingsResponse,
    GetSecurityConfigurationRequest, GetSecurityConfigurationResponse,
    GetSecurityConfigurationsRequest, GetSecurityConfigurationsResponse,
    PutDataCatalogEncryptionSettingsRequest, PutDataCatalogEncryptionSettingsResponse,
};
use super::{Context, page_size};
use crate::fault::Fault;

pub(super) fn get_encryption(
    context: &Context,
    _: GetDataCatalogEncryptionSettingsRequest,
) -> Result<GetDataCatalogEncryptionSettingsResponse, Fault> {
    let settings = context.catalog.encryption_settings()?;
    Ok(GetDataCatalogEncryptionSettingsResponse {
        data_catalog_encryption_settings: Some(DataCatalogEncryptionSettings {
            encryption_at_rest: Some(settings.encryption_at_rest),
            connection_password_encryption: Some(settings.connection_password_encryption),
        }),
    })
}

/// A part that is left out stays as it is.
pub(super) fn put_encryption(
    context: &Context,
    input: PutDataCatalogEncryptionSettingsRequest,
) -> Result<PutDataCatalogEncryptionSettingsResponse, Fault> {
    let given = input.data_catalog_encryption_settings;
    let old = context.catalog.encryption_settings()?;
    let settings = EncryptionSettings {
        encryption_at_rest: given.encryption_at_rest.unwrap_or(old.encryption_at_rest),
        connection_password_encryption: given
            .connection_password_encryption
            .unwrap_or(old.connection_password_encryption),
    };
    let mode = &settings.encryption_at_rest.catalog_encryption_mode;
    let key = settings.encryption_at_rest.sse_aws_kms_key_id.is_some()
        || settings
            .connection_password_encryption
            .aws_kms_key_id
            .is_some();
    if mode != "DISABLED" || key {
        return Err(Fault::invalid(
            "there is no AWS KMS here: CatalogEncryptionMode must be DISABLED and no key given; secrets of connections \
             are always encrypted with the server's own key",
        ));
    }
    context.catalog.put_encryption_settings(&settings)?;
    Ok(PutDataCatalogEncryptionSettingsResponse {})
}

pub(super) fn create_security(
    context: &Context,
    input: CreateSecurityConfigurationRequest,
) -> Result<CreateSecurityConfigurationResponse, Fault> {
    let encryption = stored(input.encryption_configuration)?;
    let created = context
        .catalog
        .create_security_configuration(&input.name, encryption)?;
    Ok(CreateSecurityConfigurationResponse {
        name: Some(created.name),
        created_timestamp: created.created_time_stamp,
    })
}

/// A configuration as it is stored: in Glue's JSON.
fn stored(given: EncryptionConfiguration) -> Result<Value, Fault> {
    let mut parts = Map::new();
    if let Some(list) = given.s3_encryption {
        let list = list
            .into_iter()
            .map(|item| part("S3Encryption", item.s3_encryption_mode, item.kms_key_arn));
        let list = list.collect::<Result<Vec<_>, _>>()?;
        parts.insert("S3Encryption".to_owned(), Value::Array(list));
    }
    let single = [
        given.cloud_watch_encryption.map(|item| {
            let mode = item.cloud_watch_encryption_mode;
            ("CloudWatchEncryption", mode, item.kms_key_arn)
        }),
        given.job_bookmarks_encryption.map(|item| {
            let mode = item.job_bookmarks_encryption_mode;
            ("JobBookmarksEncryption", mode, item.kms_key_arn)
        }),
        given.data_quality_encryption.map(|item| {
            let mode = item.data_quality_encryption_mode;
            ("DataQualityEncryption", mode, item.kms_key_arn)
        }),
    ];
    for (name, mode, key) in single.into_iter().flatten() {
        parts.insert(name.to_owned(), part(name, mode, key)?);
    }
    Ok(Value::Object(parts))
}

/// A part of a configuration; a mode that is KMS's names its key.
fn part(name: &str, mode: Option<String>, key: Option<String>) -> Result<Value, Fault> {
    if let Some(mode) = mode.as_deref().filter(|mode| mode.ends_with("KMS"))
        && key.as_deref().unwrap_or_default().is_empty()
    {
        return Err(Fault::invalid(format!(
            "{name} is {mode} and names no KmsKeyArn"
        )));
    }
    let members = [(format!("{name}Mode"), mode), ("KmsKeyArn".to_owned(), key)];
    let given = members
        .into_iter()
        .filter_map(|(member, value)| Some((member, Value::String(value?))));
    Ok(Value::Object(given.collect()))
}

pub(super) fn get_security(
    context: &Context,
    input: GetSecurityConfigurationRequest,
) -> Result<GetSecurityConfigurationResponse, Fault> {
    let found = context.catalog.get_security_configuration(&input.name)?;
    Ok(GetSecurityConfigurationResponse {
        security_configuration: Some(found),
    })
}

pub(super) fn delete_security(
    context: &Context,
    input: DeleteSecurityConfigurationRequest,
) -> Result<DeleteSecurityConfigurationResponse, Fault> {
    context.catalog.delete_security_configuration(&input.name)?;
    Ok(DeleteSecurityConfigurationResponse {})
}

pub(super) fn list_security(
    context: &Context,
    input: GetSecurityConfigurationsRequest,
) -> Result<GetSecurityConfigurationsResponse, Fault> {
    let scope = ["GetSecurityConfigurations"];
    let cursor = context.cursor(&scope, input.next_token.as_deref())?;
    let limit = page_size(input.max_results, 100);
    let page = context
        .catalog
        .list_security_configurations(cursor.as_deref(), limit)?;
    Ok(GetSecurityConfigurationsResponse {
        security_configurations: Some(page.items),
        next_token: context.next_token(&scope, page.next),
    })
}
