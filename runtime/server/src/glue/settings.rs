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

use serde::Deserialize;
use serde_json::{Value, json};
use tenon_catalog::{ConnectionPasswordEncryption, EncryptionAtRest, EncryptionSettings};

use super::{Context, page_size};
use crate::fault::Fault;

#[derive(Deserialize)]
pub(super) struct Nothing {}

pub(super) fn get_encryption(context: &Context, _: Nothing) -> Result<Value, Fault> {
    let settings = context.show(&context.catalog.encryption_settings()?)?;
    Ok(json!({"DataCatalogEncryptionSettings": settings}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutEncryption {
    data_catalog_encryption_settings: GivenEncryption,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GivenEncryption {
    encryption_at_rest: Option<EncryptionAtRest>,
    connection_password_encryption: Option<ConnectionPasswordEncryption>,
}

/// A part that is left out stays as it is.
pub(super) fn put_encryption(context: &Context, input: PutEncryption) -> Result<Value, Fault> {
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
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    name: String,
    encryption_configuration: Value,
}

pub(super) fn create_security(context: &Context, input: Create) -> Result<Value, Fault> {
    let encryption = known_parts(&input.encryption_configuration)?;
    let created = context
        .catalog
        .create_security_configuration(&input.name, encryption)?;
    Ok(json!({"Name": created.name, "CreatedTimestamp": created.created_time_stamp}))
}

/// Parts of an encryption configuration, and the member that says how.
const PARTS: [(&str, &str); 4] = [
    ("S3Encryption", "S3EncryptionMode"),
    ("CloudWatchEncryption", "CloudWatchEncryptionMode"),
    ("JobBookmarksEncryption", "JobBookmarksEncryptionMode"),
    ("DataQualityEncryption", "DataQualityEncryptionMode"),
];

/// The configuration without members nobody knows; each use of KMS names its key.
fn known_parts(given: &Value) -> Result<Value, Fault> {
    let mut kept = json!({});
    for (part, mode) in PARTS {
        let Some(value) = given.get(part) else {
            continue;
        };
        let known = |item: &Value| known_part(part, mode, item);
        kept[part] = match value {
            Value::Array(items) => items.iter().map(known).collect::<Result<_, _>>()?,
            item => known(item)?,
        };
    }
    Ok(kept)
}

fn known_part(part: &str, mode_name: &str, item: &Value) -> Result<Value, Fault> {
    let mut kept = json!({});
    for member in [mode_name, "KmsKeyArn"] {
        if let Some(value) = item.get(member) {
            kept[member] = value.clone();
        }
    }
    let mode = item
        .get(mode_name)
        .and_then(Value::as_str)
        .unwrap_or_default();
    let key = item
        .get("KmsKeyArn")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if mode.ends_with("KMS") && key.is_empty() {
        return Err(Fault::invalid(format!(
            "{part} is {mode} and names no KmsKeyArn"
        )));
    }
    Ok(kept)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    name: String,
}

pub(super) fn get_security(context: &Context, input: Named) -> Result<Value, Fault> {
    let found = context.catalog.get_security_configuration(&input.name)?;
    Ok(json!({"SecurityConfiguration": context.show(&found)?}))
}

pub(super) fn delete_security(context: &Context, input: Named) -> Result<Value, Fault> {
    context.catalog.delete_security_configuration(&input.name)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    next_token: Option<String>,
    max_results: Option<i32>,
}

pub(super) fn list_security(context: &Context, input: List) -> Result<Value, Fault> {
    let scope = ["GetSecurityConfigurations"];
    let cursor = context.cursor(&scope, input.next_token.as_deref())?;
    let limit = page_size(input.max_results, 100);
    let page = context
        .catalog
        .list_security_configurations(cursor.as_deref(), limit)?;
    let list = context.show_all(&page.items)?;
    Ok(context.with_next(json!({"SecurityConfigurations": list}), &scope, page.next))
}
