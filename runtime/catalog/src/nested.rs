//! Catalogs inside a tenant's own: create, get, update, delete, list, and the way into one.
//!
//! ```text
//! obj 21|name    number and NestedCatalog
//! obj 22|number  empty; there as long as the catalog is, which every transaction inside asks for
//! obj 22         the number the next catalog gets
//! obj 23|number  empty; the catalog is deleted and not yet swept
//! ```
//!
//! Deleting a catalog is one transaction, after which nobody finds it or writes into it. What was inside is
//! swept afterwards, in steps; what a crash leaves of it goes when the next catalog is created or deleted.
//! <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-catalogs.html>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenon_store::{Expected, Key, Tree};

use crate::catalog::{MAX_PAGE, Page, Stored, TenantCatalog};
use crate::error::{Error, Kind, Result};
use crate::model::{PrincipalPermissions, Timestamp};
use crate::name::fold;
use crate::scope::Scope;
use crate::stored;
use crate::tag::Tags;

/// Records swept in one transaction.
const SWEPT_AT_ONCE: usize = 5_000;

/// A catalog inside a tenant's own, or the tenant's own with an empty name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NestedCatalog {
    /// Name, in lower case.
    pub name: String,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_time: Option<Timestamp>,
    /// When its definition last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_time: Option<Timestamp>,
    /// What the caller said about it.
    #[serde(flatten)]
    pub input: NestedCatalogInput,
}

/// What a caller says about a catalog.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NestedCatalogInput {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Free key-value pairs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// How it is accessed and kept in order, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog_properties: Option<Value>,
    /// Permissions new tables start with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_table_default_permissions: Option<Vec<PrincipalPermissions>>,
    /// Permissions new databases start with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_database_default_permissions: Option<Vec<PrincipalPermissions>>,
    /// `True` or `False`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_full_table_external_data_access: Option<String>,
}

/// A nested catalog's record.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Numbered {
    pub(crate) number: u32,
    pub(crate) catalog: NestedCatalog,
}

impl TenantCatalog {
    /// The nested catalog called `name`, for every operation on databases and what is in them.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::InvalidInput`] for a bad name, [`Error::Store`].
    pub fn nested(&self, name: &str) -> Result<Self> {
        let name = fold("catalog", name)?;
        let number = self.read_catalog(&name)?.value.number;
        Ok(self.in_scope(Scope::nested(&name, number)))
    }

    /// Creates a catalog.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::InvalidInput`] for a bad name or tag, [`Error::Conflict`],
    /// [`Error::Store`].
    pub fn create_catalog(
        &self,
        name: &str,
        input: NestedCatalogInput,
        tags: &Tags,
    ) -> Result<NestedCatalog> {
        let catalog = NestedCatalog {
            name: fold("catalog", name)?,
            create_time: self.now(),
            update_time: self.now(),
            input,
        };
        self.put_new_catalog(catalog.clone(), tags)?;
        Ok(catalog)
    }

    /// Stores a catalog that is not there yet.
    pub(crate) fn put_new_catalog(&self, catalog: NestedCatalog, tags: &Tags) -> Result<()> {
        let root = self.root();
        let name = fold("catalog", &catalog.name)?;
        root.sweep_remains()?;
        let catalog = NestedCatalog {
            name: name.clone(),
            ..catalog
        };
        let key = stored::catalog(&name);
        root.retry(Kind::Catalog, &name, || {
            if root.object_version(Tree::Object, &key)?.is_some() {
                return Err(Error::AlreadyExists {
                    kind: Kind::Catalog,
                    name: name.clone(),
                });
            }
            let next = root.read::<u32>(Tree::Object, &stored::catalog_numbers())?;
            let unchanged = next.as_ref().map_or(Expected::Absent, Stored::unchanged);
            let number = next.map_or(1, |next| next.value);
            let record = Numbered {
                number,
                catalog: catalog.clone(),
            };
            let transaction = root
                .transaction()
                .expect(Tree::Object, key.clone(), Expected::Absent)
                .expect(Tree::Object, stored::catalog_numbers(), unchanged)
                .put_tags(&key, tags)?;
            root.commit(
                transaction
                    .put(
                        Tree::Object,
                        stored::catalog_numbers(),
                        stored::SCHEMA,
                        stored::encode(&(number + 1))?,
                    )
                    .put(
                        Tree::Object,
                        stored::catalog_number(number),
                        stored::SCHEMA,
                        Vec::new(),
                    )
                    .put(
                        Tree::Object,
                        key.clone(),
                        stored::SCHEMA,
                        stored::encode(&record)?,
                    ),
            )
        })
    }

    /// The catalog called `name`; the default one without a name.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::InvalidInput`] for a bad name, [`Error::Store`].
    pub fn get_catalog(&self, name: Option<&str>) -> Result<NestedCatalog> {
        let root = self.root();
        let Some(name) = name else {
            let found = root.read(Tree::Object, &stored::default_catalog())?;
            return Ok(found.map(|found| found.value).unwrap_or_default());
        };
        Ok(root.read_catalog(&fold("catalog", name)?)?.value.catalog)
    }

    /// Replaces what was said about the catalog called `name`, or the default one; what is in it stays.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::InvalidInput`] for a bad name, [`Error::Conflict`], [`Error::Store`].
    pub fn update_catalog(&self, name: Option<&str>, input: NestedCatalogInput) -> Result<()> {
        let root = self.root();
        let Some(name) = name else {
            let catalog = NestedCatalog {
                update_time: self.now(),
                input,
                ..NestedCatalog::default()
            };
            let key = stored::default_catalog();
            let payload = stored::encode(&catalog)?;
            let transaction = root
                .transaction()
                .put(Tree::Object, key, stored::SCHEMA, payload);
            return root.commit(transaction);
        };
        let name = fold("catalog", name)?;
        root.retry(Kind::Catalog, &name, || {
            let mut found = root.read_catalog(&name)?;
            found.value.catalog.update_time = self.now();
            found.value.catalog.input = input.clone();
            let key = stored::catalog(&name);
            let payload = stored::encode(&found.value)?;
            let transaction = root
                .transaction()
                .expect(Tree::Object, key.clone(), found.unchanged())
                .put(Tree::Object, key, stored::SCHEMA, payload);
            root.commit(transaction)
        })
    }

    /// Deletes the catalog called `name` with everything in it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::InvalidInput`] for a bad name, [`Error::Conflict`], [`Error::Store`].
    pub fn delete_catalog(&self, name: &str) -> Result<()> {
        let root = self.root();
        let name = fold("catalog", name)?;
        root.retry(Kind::Catalog, &name, || {
            let found = root.read_catalog(&name)?;
            let (key, number) = (stored::catalog(&name), found.value.number);
            let remains = stored::remains_of(number);
            let transaction = root
                .transaction()
                .expect(Tree::Object, key.clone(), found.unchanged())
                .delete_tagged(key)
                .delete(Tree::Object, stored::catalog_number(number))
                .put(Tree::Object, remains, stored::SCHEMA, Vec::new());
            root.commit(transaction)
        })?;
        root.sweep_remains()
    }

    /// At most `limit` nested catalogs (1 to 1000) in the order of their names; `token` is a page's `next`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn list_catalogs(&self, token: Option<&str>, limit: usize) -> Result<Page<NestedCatalog>> {
        let after = token.map(stored::catalog);
        let below = stored::catalogs();
        let (items, next) =
            self.root()
                .list::<Numbered>(Tree::Object, &below, after.as_ref(), limit)?;
        let next = next.and_then(|_| items.last().map(|found| found.catalog.name.clone()));
        let items = items.into_iter().map(|found| found.catalog).collect();
        Ok(Page { items, next })
    }

    /// The default catalog and every nested one.
    pub(crate) fn all_catalogs(&self) -> Result<Vec<Self>> {
        let root = self.root();
        let (mut all, mut after) = (vec![root.clone()], None);
        loop {
            let below = stored::catalogs();
            let (found, next) =
                root.list::<Numbered>(Tree::Object, &below, after.as_ref(), MAX_PAGE)?;
            let scopes = found
                .iter()
                .map(|found| Scope::nested(&found.catalog.name, found.number));
            all.extend(scopes.map(|scope| root.in_scope(scope)));
            after = next;
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    /// The default catalog, which holds the records of the others.
    pub(crate) fn root(&self) -> Self {
        self.in_scope(Scope::default())
    }

    fn read_catalog(&self, name: &str) -> Result<Stored<Numbered>> {
        let found = self.root().read(Tree::Object, &stored::catalog(name))?;
        found.ok_or_else(|| Error::not_found(Kind::Catalog, name))
    }

    /// Removes what was in deleted catalogs.
    pub(crate) fn sweep_remains(&self) -> Result<()> {
        let (remains, _) = self.keys(Tree::Object, &stored::remains(), SWEPT_AT_ONCE)?;
        for (key, _) in remains {
            let mut reader = key.reader();
            if let (Ok(_), Ok(number)) = (reader.u8(), reader.u32()) {
                while !self.sweep(number, &key, SWEPT_AT_ONCE)? {}
            }
        }
        Ok(())
    }

    /// Removes at most `limit` records of each tree; returns whether nothing is left.
    pub(crate) fn sweep(&self, number: u32, remains: &Key, limit: usize) -> Result<bool> {
        let mut transaction = self.transaction();
        let mut more = false;
        for tree in Tree::ALL {
            let (keys, more_keys) = self.keys(tree, &stored::nested(number), limit)?;
            for (key, _) in keys {
                transaction = transaction.delete(tree, key);
            }
            more |= more_keys;
        }
        if !more {
            transaction = transaction.delete(Tree::Object, remains.clone());
        }
        self.commit(transaction).map(|()| !more)
    }
}
