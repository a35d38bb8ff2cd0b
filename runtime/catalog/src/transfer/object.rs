//! [`Object`]: what a line of the file can hold, and [`Order`], in which they stand.

use serde::{Deserialize, Serialize};

use crate::connection::Connection;
use crate::function::UserDefinedFunction;
use crate::index::PartitionIndex;
use crate::model::{Database, Partition, Table};
use crate::nested::NestedCatalog;
use crate::policy::ResourcePolicy;
use crate::settings::{EncryptionSettings, SecurityConfiguration};
use crate::statistics::ColumnStatistics;
use crate::tag::Tags;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Object {
    /// Of the object in the next line.
    Tags(Tags),
    /// `None` when only its tags are known.
    DefaultCatalog(Option<NestedCatalog>),
    /// What follows lies in it.
    Catalog(NestedCatalog),
    EncryptionSettings(EncryptionSettings),
    ResourcePolicy(ResourcePolicy),
    SecurityConfiguration(SecurityConfiguration),
    Connection(Connection),
    Database(Database),
    Function(UserDefinedFunction),
    Table(Table),
    TableVersion(Table),
    PartitionIndexes(IndexesOfTable),
    ColumnStatistics(StatisticsList),
    Partition(Partition),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct IndexesOfTable {
    pub(super) database_name: String,
    pub(super) table_name: String,
    pub(super) indexes: Vec<PartitionIndex>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StatisticsList {
    pub(super) database_name: String,
    pub(super) table_name: String,
    /// Of a partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) values: Option<Vec<String>>,
    pub(super) columns: Vec<ColumnStatistics>,
}

impl Object {
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Tags(_) => "Tags",
            Self::DefaultCatalog(_) => "DefaultCatalog",
            Self::Catalog(_) => "Catalog",
            Self::EncryptionSettings(_) => "EncryptionSettings",
            Self::ResourcePolicy(_) => "ResourcePolicy",
            Self::SecurityConfiguration(_) => "SecurityConfiguration",
            Self::Connection(_) => "Connection",
            Self::Database(_) => "Database",
            Self::Function(_) => "Function",
            Self::Table(_) => "Table",
            Self::TableVersion(_) => "TableVersion",
            Self::PartitionIndexes(_) => "PartitionIndexes",
            Self::ColumnStatistics(_) => "ColumnStatistics",
            Self::Partition(_) => "Partition",
        }
    }

    const fn can_have_tags(&self) -> bool {
        matches!(
            self,
            Self::DefaultCatalog(_)
                | Self::Catalog(_)
                | Self::Connection(_)
                | Self::Database(_)
                | Self::Function(_)
                | Self::Table(_)
        )
    }

    /// The database it lies in, for what lies in one directly.
    fn database(&self) -> Option<&str> {
        match self {
            Self::Function(function) => function.database_name.as_deref(),
            Self::Table(table) => table.database_name.as_deref(),
            _ => None,
        }
    }

    /// The database and the table it belongs to, for what belongs to one.
    fn table(&self) -> Option<(&str, &str)> {
        match self {
            Self::TableVersion(table) => Some((table.database_name.as_deref()?, &table.name)),
            Self::PartitionIndexes(indexes) => Some((&indexes.database_name, &indexes.table_name)),
            Self::ColumnStatistics(found) => Some((&found.database_name, &found.table_name)),
            Self::Partition(found) => Some((
                found.database_name.as_deref()?,
                found.table_name.as_deref()?,
            )),
            _ => None,
        }
    }
}

/// What the lines so far allow the next one to be: whatever lies in something comes after it and before the next.
#[derive(Debug, Default)]
pub(super) struct Order {
    database: Option<String>,
    table: Option<String>,
    /// The line before has tags.
    tags: bool,
}

impl Order {
    /// Whether `object` can come next. The error says why not.
    pub(super) fn take(&mut self, object: &Object) -> Result<(), String> {
        let kind = object.kind();
        if self.tags && !object.can_have_tags() {
            return Err(format!("there are tags before an object of kind {kind}"));
        }
        self.tags = matches!(object, Object::Tags(_));
        match object {
            Object::Tags(_) => Ok(()),
            Object::Database(database) => {
                self.database = Some(database.name.clone());
                self.table = None;
                Ok(())
            }
            Object::Function(_) | Object::Table(_) => {
                if self.database.is_none() || object.database() != self.database.as_deref() {
                    return Err(format!("a {kind} does not stand below its database"));
                }
                if let Object::Table(table) = object {
                    self.table = Some(table.name.clone());
                }
                Ok(())
            }
            Object::TableVersion(_)
            | Object::PartitionIndexes(_)
            | Object::ColumnStatistics(_)
            | Object::Partition(_) => {
                let current = self.database.as_deref().zip(self.table.as_deref());
                if current.is_none() || object.table() != current {
                    return Err(format!("a {kind} does not stand below its table"));
                }
                Ok(())
            }
            Object::Catalog(_)
            | Object::DefaultCatalog(_)
            | Object::EncryptionSettings(_)
            | Object::ResourcePolicy(_)
            | Object::SecurityConfiguration(_)
            | Object::Connection(_) => {
                *self = Self::default();
                Ok(())
            }
        }
    }

    /// Whether the file can end here.
    pub(super) fn finish(&self) -> Result<(), String> {
        match self.tags {
            true => Err("there are tags of nothing".to_owned()),
            false => Ok(()),
        }
    }
}
