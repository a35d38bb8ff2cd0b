//! Settings of a catalog, and security configurations, which jobs and crawlers name.
//!
//! <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-security.html>

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenon_store::{Expected, Tree};

use crate::catalog::{Page, TenantCatalog};
use crate::error::{Error, Kind, Result};
use crate::model::Timestamp;
use crate::name;
use crate::stored;

/// How a catalog is encrypted. The default is what a catalog has that was told nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EncryptionSettings {
    /// Whether the catalog is encrypted with a key of the caller's.
    #[serde(default)]
    pub encryption_at_rest: EncryptionAtRest,
    /// Whether passwords leave encrypted.
    #[serde(default)]
    pub connection_password_encryption: ConnectionPasswordEncryption,
}

/// Whether the catalog is encrypted with a key of the caller's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EncryptionAtRest {
    /// `DISABLED`, `SSE-KMS`, `SSE-KMS-WITH-SERVICE-ROLE`.
    pub catalog_encryption_mode: String,
    /// With which key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sse_aws_kms_key_id: Option<String>,
    /// In which role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog_encryption_service_role: Option<String>,
}

impl Default for EncryptionAtRest {
    fn default() -> Self {
        Self {
            catalog_encryption_mode: "DISABLED".to_owned(),
            sse_aws_kms_key_id: None,
            catalog_encryption_service_role: None,
        }
    }
}

/// Whether passwords leave encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ConnectionPasswordEncryption {
    /// Whether they do.
    pub return_connection_password_encrypted: bool,
    /// With which key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_kms_key_id: Option<String>,
}

/// How jobs encrypt what they write, under a name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SecurityConfiguration {
    /// Name, as it was given.
    pub name: String,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_time_stamp: Option<Timestamp>,
    /// For S3, logs, bookmarks and data quality, as it came.
    #[serde(default)]
    pub encryption_configuration: Value,
}

impl TenantCatalog {
    /// The settings of this catalog.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn encryption_settings(&self) -> Result<EncryptionSettings> {
        let found = self.read(Tree::Object, &stored::encryption_settings())?;
        Ok(found.map(|found| found.value).unwrap_or_default())
    }

    /// Replaces the settings of this catalog.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a deleted catalog, [`Error::Store`].
    pub fn put_encryption_settings(&self, settings: &EncryptionSettings) -> Result<()> {
        let payload = stored::encode(settings)?;
        let transaction = self.transaction().put(
            Tree::Object,
            stored::encryption_settings(),
            stored::SCHEMA,
            payload,
        );
        self.commit(transaction)
    }

    /// Creates a security configuration.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::InvalidInput`] for a bad name, [`Error::Store`].
    pub fn create_security_configuration(
        &self,
        name: &str,
        encryption_configuration: Value,
    ) -> Result<SecurityConfiguration> {
        name::check("security configuration", name)?;
        let configuration = SecurityConfiguration {
            name: name.to_owned(),
            created_time_stamp: self.now(),
            encryption_configuration,
        };
        let key = stored::security_configuration(name);
        let payload = stored::encode(&configuration)?;
        let transaction = self
            .transaction()
            .expect(Tree::Object, key.clone(), Expected::Absent)
            .put(Tree::Object, key, stored::SCHEMA, payload);
        match self.commit(transaction) {
            Ok(()) => Ok(configuration),
            Err(error) if error.is_store_conflict() => Err(Error::AlreadyExists {
                kind: Kind::SecurityConfiguration,
                name: name.to_owned(),
            }),
            Err(error) => Err(error),
        }
    }

    /// The security configuration called `name`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::InvalidInput`] for a bad name, [`Error::Store`].
    pub fn get_security_configuration(&self, name: &str) -> Result<SecurityConfiguration> {
        name::check("security configuration", name)?;
        let found = self.read(Tree::Object, &stored::security_configuration(name))?;
        let found = found.map(|found| found.value);
        found.ok_or_else(|| Error::not_found(Kind::SecurityConfiguration, name))
    }

    /// Deletes the security configuration called `name`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub fn delete_security_configuration(&self, name: &str) -> Result<()> {
        let key = stored::security_configuration(name);
        let transaction = self
            .transaction()
            .expect(Tree::Object, key.clone(), Expected::Present)
            .delete(Tree::Object, key);
        match self.commit(transaction) {
            Err(error) if error.is_store_conflict() => {
                Err(Error::not_found(Kind::SecurityConfiguration, name))
            }
            outcome => outcome,
        }
    }

    /// At most `limit` security configurations (1 to 1000) in the order of their names; `token` is a page's
    /// `next`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn list_security_configurations(
        &self,
        token: Option<&str>,
        limit: usize,
    ) -> Result<Page<SecurityConfiguration>> {
        let after = token.map(stored::security_configuration);
        let below = stored::security_configurations();
        let (items, next) =
            self.list::<SecurityConfiguration>(Tree::Object, &below, after.as_ref(), limit)?;
        let next = next.and_then(|_| items.last().map(|found| found.name.clone()));
        Ok(Page { items, next })
    }
}
