//! Tags: words that callers hang on objects. They live and die with their object, in the same transactions.
//!
//! A new kind of object takes part with a variant of [`Resource`], `put_tags` where it is created and
//! `delete_tagged` where it is deleted.
//! <https://docs.aws.amazon.com/glue/latest/dg/monitor-tags.html>

use std::collections::BTreeMap;

use tenon_store::{Expected, Key, Tree};

use crate::catalog::TenantCatalog;
use crate::error::{Error, Kind, Result};
use crate::name;
use crate::stored;
use crate::table::full_name;

/// Key to value.
pub type Tags = BTreeMap<String, String>;

/// Tags of one object, at most.
pub const MAX_TAGS: usize = 50;

const MAX_KEY_CHARS: usize = 128;
const MAX_VALUE_CHARS: usize = 256;

/// Keys that begin so belong to the service.
const RESERVED: &str = "aws:";

/// An object that can have tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// The default catalog, without a name, or a nested one.
    Catalog(Option<&'a str>),
    /// A database.
    Database(&'a str),
    /// A table: its database and its name.
    Table(&'a str, &'a str),
    /// A connection.
    Connection(&'a str),
    /// A function: its database and its name.
    Function(&'a str, &'a str),
}

impl Resource<'_> {
    /// Where it lies among the current objects.
    fn key(&self) -> Result<Key> {
        Ok(match self {
            Self::Catalog(None) => stored::default_catalog(),
            Self::Catalog(Some(name)) => stored::catalog(&name::fold("catalog", name)?),
            Self::Database(name) => stored::database(&name::fold("database", name)?),
            Self::Table(database, name) => stored::table(
                &name::fold("database", database)?,
                &name::fold("table", name)?,
            ),
            Self::Connection(name) => {
                name::check("connection", name)?;
                stored::connection(name)
            }
            Self::Function(database, name) => stored::function(
                &name::fold("database", database)?,
                &name::fold("function", name)?,
            ),
        })
    }

    /// What must be so for it to exist: the default catalog always does.
    const fn exists(&self) -> Expected {
        match self {
            Self::Catalog(None) => Expected::Any,
            _ => Expected::Present,
        }
    }

    fn absent(&self) -> Error {
        let (kind, name) = match self {
            Self::Catalog(name) => (Kind::Catalog, name.unwrap_or_default().to_owned()),
            Self::Database(name) => (Kind::Database, (*name).to_owned()),
            Self::Table(database, name) => (Kind::Table, full_name(database, name)),
            Self::Connection(name) => (Kind::Connection, (*name).to_owned()),
            Self::Function(database, name) => (Kind::Function, full_name(database, name)),
        };
        Error::not_found(kind, name)
    }
}

impl TenantCatalog {
    /// The tags of `resource`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::InvalidInput`] for a bad name, [`Error::Store`].
    pub fn tags(&self, resource: Resource<'_>) -> Result<Tags> {
        let key = self.existing(resource)?;
        let found = self.read(Tree::Object, &stored::tags(&key))?;
        Ok(found.map(|tags| tags.value).unwrap_or_default())
    }

    /// Adds tags to `resource`; one whose key is there gets the value.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::InvalidInput`] for more than [`MAX_TAGS`] in all and for tags that are not
    /// allowed, in which case none is added; [`Error::Conflict`], [`Error::Store`].
    pub fn add_tags(&self, resource: Resource<'_>, added: &Tags) -> Result<()> {
        check(added)?;
        self.change_tags(resource, |tags| tags.extend(added.clone()))
    }

    /// Removes the tags with these keys from `resource`. Keys it does not have are no fault.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::InvalidInput`] for a bad name, [`Error::Conflict`], [`Error::Store`].
    pub fn remove_tags(&self, resource: Resource<'_>, keys: &[String]) -> Result<()> {
        self.change_tags(resource, |tags| tags.retain(|key, _| !keys.contains(key)))
    }

    fn change_tags(&self, resource: Resource<'_>, change: impl Fn(&mut Tags)) -> Result<()> {
        self.retry(Kind::Tags, &format!("{resource:?}"), || {
            let object = self.existing(resource)?;
            let key = stored::tags(&object);
            let found = self.read::<Tags>(Tree::Object, &key)?;
            let (mut tags, unchanged) = match found {
                Some(found) => (found.value.clone(), found.unchanged()),
                None => (Tags::new(), Expected::Absent),
            };
            change(&mut tags);
            let transaction = self
                .transaction()
                .expect(Tree::Object, object.clone(), resource.exists())
                .expect(Tree::Object, key.clone(), unchanged);
            self.commit(match tags.is_empty() {
                true => transaction.delete(Tree::Object, key),
                false => transaction.put_tags(&object, &tags)?,
            })
        })
    }

    /// The key of a resource that is there.
    fn existing(&self, resource: Resource<'_>) -> Result<Key> {
        let key = resource.key()?;
        let found = self.object_version(Tree::Object, &key)?;
        match (found, resource.exists()) {
            (None, Expected::Present) => Err(resource.absent()),
            _ => Ok(key),
        }
    }
}

/// Whether an object may have exactly these tags, also one that is not the catalog's.
///
/// # Errors
/// [`Error::InvalidInput`] for more than [`MAX_TAGS`] and for tags that are not allowed.
pub fn check(tags: &Tags) -> Result<()> {
    if tags.len() > MAX_TAGS {
        let count = tags.len();
        return Err(Error::invalid(format!(
            "there would be {count} tags, the limit is {MAX_TAGS}"
        )));
    }
    for (key, value) in tags {
        let (key_chars, value_chars) = (key.chars().count(), value.chars().count());
        if key_chars == 0 || key_chars > MAX_KEY_CHARS {
            return Err(Error::invalid(format!(
                "the tag key {key:?} has {key_chars} characters, it must have 1 to {MAX_KEY_CHARS}"
            )));
        }
        if value_chars > MAX_VALUE_CHARS {
            return Err(Error::invalid(format!(
                "the value of tag {key:?} has {value_chars} characters, the limit is {MAX_VALUE_CHARS}"
            )));
        }
        if key.to_lowercase().starts_with(RESERVED) {
            return Err(Error::invalid(format!(
                "the tag key {key:?} begins with {RESERVED}, which is reserved"
            )));
        }
    }
    Ok(())
}
