//! What lies beside databases: connections and their secrets, tags, policy, settings.

use serde::de::DeserializeOwned;
use tenon_store::{Key, Tree};

use super::Check;
use crate::connection::{Connection, SealedSecrets};
use crate::error::Result;
use crate::nested::NestedCatalog;
use crate::policy::ResourcePolicy;
use crate::settings::{EncryptionSettings, SecurityConfiguration};
use crate::stored;
use crate::tag::Tags;

impl Check<'_> {
    pub(super) fn settings(&mut self) -> Result<()> {
        self.each_readable::<ResourcePolicy>(&stored::resource_policy(), "resource policy")?;
        self.each_readable::<EncryptionSettings>(
            &stored::encryption_settings(),
            "encryption settings",
        )?;
        self.each_readable::<SecurityConfiguration>(
            &stored::security_configurations(),
            "security configuration",
        )?;
        self.each_readable::<NestedCatalog>(&stored::default_catalog(), "default catalog")?;
        self.each_readable::<Connection>(&stored::connections(), "connection")?;
        self.secrets()?;
        self.tags()
    }

    /// Checks records that belong to nothing.
    fn each_readable<T: DeserializeOwned>(
        &mut self,
        below: &Key,
        kind: &'static str,
    ) -> Result<()> {
        self.each(Tree::Object, below, kind, |check, key, record| {
            check.readable::<T>(Tree::Object, key, record);
            Ok(())
        })
    }

    fn secrets(&mut self) -> Result<()> {
        let below = stored::connections();
        self.each(
            Tree::Secret,
            &below,
            "connection secrets",
            |check, key, record| {
                check.readable::<SealedSecrets>(Tree::Secret, key, record);
                check.dangling(Tree::Secret, key, record, Tree::Object, key)
            },
        )
    }

    fn tags(&mut self) -> Result<()> {
        self.each(
            Tree::Object,
            &stored::all_tags(),
            "tags",
            |check, key, record| {
                check.readable::<Tags>(Tree::Object, key, record);
                let object = stored::tagged(key);
                // The default catalog is there without a record.
                if object == stored::default_catalog() {
                    return Ok(());
                }
                check.dangling(Tree::Object, key, record, Tree::Object, &object)
            },
        )
    }
}
