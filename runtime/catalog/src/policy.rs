//! The resource policy of a catalog: kept with a hash, replaced and deleted under conditions.
//!
//! A policy is kept and not enforced: who may do what is decided where requests are authorised.
//! <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-security.html>

use serde::{Deserialize, Serialize};
use tenon_store::{Expected, Tree};

use crate::catalog::{Stored, TenantCatalog};
use crate::error::{Error, Kind, Result};
use crate::model::Timestamp;
use crate::stored;

/// The policy of a catalog.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ResourcePolicy {
    /// Its text, as it was given.
    pub policy_in_json: String,
    /// A hash of the text.
    pub policy_hash: String,
    /// When there was none before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_time: Option<Timestamp>,
    /// When it was last replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_time: Option<Timestamp>,
}

/// What must be so for a policy to be replaced or deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyCondition {
    /// The hash of the policy that is there.
    pub hash: Option<String>,
    /// Whether there is one.
    pub exists: Option<bool>,
}

impl TenantCatalog {
    /// Sets the policy of this catalog. `hash` is of its text.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`], [`Error::NotFound`] for a deleted catalog, [`Error::Conflict`],
    /// [`Error::Store`].
    pub fn put_resource_policy(
        &self,
        text: &str,
        hash: &str,
        condition: &PolicyCondition,
    ) -> Result<ResourcePolicy> {
        self.retry(Kind::ResourcePolicy, "", || {
            let old = self.read_policy()?;
            check(old.as_ref(), condition)?;
            let policy = ResourcePolicy {
                policy_in_json: text.to_owned(),
                policy_hash: hash.to_owned(),
                create_time: old
                    .as_ref()
                    .map_or_else(|| self.now(), |old| old.value.create_time),
                update_time: self.now(),
            };
            let key = stored::resource_policy();
            let transaction = self
                .transaction()
                .expect(Tree::Object, key.clone(), unchanged(old.as_ref()))
                .put(Tree::Object, key, stored::SCHEMA, stored::encode(&policy)?);
            self.commit(transaction).map(|()| policy)
        })
    }

    /// The policy of this catalog.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub fn get_resource_policy(&self) -> Result<ResourcePolicy> {
        let found = self.read_policy()?.map(|found| found.value);
        found.ok_or_else(|| self.no_policy())
    }

    /// Deletes the policy of this catalog.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::ConditionFailed`], [`Error::Conflict`], [`Error::Store`].
    pub fn delete_resource_policy(&self, condition: &PolicyCondition) -> Result<()> {
        self.retry(Kind::ResourcePolicy, "", || {
            let old = self.read_policy()?.ok_or_else(|| self.no_policy())?;
            check(Some(&old), condition)?;
            let key = stored::resource_policy();
            let transaction = self
                .transaction()
                .expect(Tree::Object, key.clone(), old.unchanged())
                .delete(Tree::Object, key);
            self.commit(transaction)
        })
    }

    fn read_policy(&self) -> Result<Option<Stored<ResourcePolicy>>> {
        self.read(Tree::Object, &stored::resource_policy())
    }

    fn no_policy(&self) -> Error {
        Error::not_found(Kind::ResourcePolicy, "of the catalog")
    }
}

fn unchanged(old: Option<&Stored<ResourcePolicy>>) -> Expected {
    old.map_or(Expected::Absent, Stored::unchanged)
}

fn check(old: Option<&Stored<ResourcePolicy>>, condition: &PolicyCondition) -> Result<()> {
    let failed = |reason: String| Err(Error::ConditionFailed { reason });
    match (condition.exists, old) {
        (Some(true), None) => return failed("a policy must exist, there is none".to_owned()),
        (Some(false), Some(_)) => return failed("no policy must exist, there is one".to_owned()),
        _ => {}
    }
    let found = old.map(|old| old.value.policy_hash.as_str());
    match &condition.hash {
        Some(hash) if found != Some(hash) => failed(format!(
            "the hash {hash} was expected, the policy's is {}",
            found.unwrap_or("none")
        )),
        _ => Ok(()),
    }
}
