//! The transaction that creates an object of a file, for each kind. Times and versions are those of the file; what
//! exists already is left as it is.

use serde::Serialize;
use tenon_store::{Expected, Key, Tree};

use super::import::WholeTable;
use crate::catalog::TenantCatalog;
use crate::connection::Connection;
use crate::error::{Error, Kind, Result};
use crate::function::UserDefinedFunction;
use crate::model::{Database, Table};
use crate::name::{self, fold};
use crate::nested::NestedCatalog;
use crate::policy::ResourcePolicy;
use crate::settings::{EncryptionSettings, SecurityConfiguration};
use crate::statistics::{ColumnStatistics, Columns};
use crate::stored;
use crate::table::{full_name, parse_version};
use crate::tag::Tags;

impl TenantCatalog {
    /// What was said about the default catalog, and its tags, when neither is known here.
    pub(super) fn import_default_catalog(
        &self,
        said: Option<&NestedCatalog>,
        tags: &Tags,
    ) -> Result<()> {
        let key = stored::default_catalog();
        let mut transaction = self
            .transaction()
            .expect(Tree::Object, key.clone(), Expected::Absent)
            .expect(Tree::Object, stored::tags(&key), Expected::Absent)
            .put_tags(&key, tags)?;
        if let Some(said) = said {
            let payload = stored::encode(said)?;
            transaction = transaction.put(Tree::Object, key, stored::SCHEMA, payload);
        }
        exists_on_conflict(self.commit(transaction), Kind::Catalog, "of the account")
    }

    pub(super) fn import_encryption_settings(&self, settings: &EncryptionSettings) -> Result<()> {
        let key = stored::encryption_settings();
        self.put_absent(Kind::EncryptionSettings, "", key, settings, &Tags::new())
    }

    pub(super) fn import_resource_policy(&self, policy: &ResourcePolicy) -> Result<()> {
        let key = stored::resource_policy();
        self.put_absent(Kind::ResourcePolicy, "", key, policy, &Tags::new())
    }

    pub(super) fn import_security_configuration(
        &self,
        configuration: &SecurityConfiguration,
    ) -> Result<()> {
        let name = &configuration.name;
        name::check("security configuration", name)?;
        let key = stored::security_configuration(name);
        let kind = Kind::SecurityConfiguration;
        self.put_absent(kind, name, key, configuration, &Tags::new())
    }

    /// The connection has no secrets then.
    pub(super) fn import_connection(&self, connection: &Connection, tags: &Tags) -> Result<()> {
        let name = &connection.name;
        name::check("connection", name)?;
        let key = stored::connection(name);
        self.put_absent(Kind::Connection, name, key, connection, tags)
    }

    pub(super) fn import_database(&self, database: Database, tags: &Tags) -> Result<()> {
        let name = fold("database", &database.name)?;
        let key = stored::database(&name);
        let database = Database {
            name: name.clone(),
            catalog_id: self.catalog_id(),
            ..database
        };
        self.put_absent(Kind::Database, &name, key, &database, tags)
    }

    pub(super) fn import_function(&self, function: UserDefinedFunction, tags: &Tags) -> Result<()> {
        let database = function.database_name.as_deref().unwrap_or_default();
        let database = fold("database", database)?;
        let function = UserDefinedFunction {
            function_name: fold("function", &function.function_name)?,
            database_name: Some(database.clone()),
            catalog_id: self.catalog_id(),
            ..function
        };
        self.put_new_function(&database, &function, tags)
    }

    pub(super) fn import_table(&self, whole: WholeTable) -> Result<()> {
        let table = self.own_table(whole.table)?;
        let database = table.database_name.as_deref().unwrap_or_default();
        let database = fold("database", database)?;
        let key = stored::table(&database, &table.name);
        let mut transaction = self
            .new_table(self.transaction(), &database, &table)?
            .expect(Tree::Object, stored::database(&database), Expected::Present)
            .put_tags(&key, &whole.tags)?;
        transaction = self.new_indexes(transaction, &table, &key, &whole.indexes)?;
        for version in whole.versions {
            let version = self.own_table(version)?;
            let number = parse_version(version.version_id.as_deref().unwrap_or_default())?;
            let key = stored::version(&database, &table.name, number);
            let payload = stored::encode(&version)?;
            transaction = transaction.put(Tree::Version, key, stored::SCHEMA, payload);
        }
        if !whole.statistics.is_empty() {
            let named = |column: ColumnStatistics| (column.column_name.to_lowercase(), column);
            let columns: Columns = whole.statistics.into_iter().map(named).collect();
            let key = stored::table_statistics_of(&key);
            let payload = stored::encode(&columns)?;
            transaction = transaction.put(Tree::Object, key, stored::SCHEMA, payload);
        }
        match self.commit(transaction) {
            Err(error) if error.is_store_conflict() => {
                self.read_database(&database)?;
                Err(Error::AlreadyExists {
                    kind: Kind::Table,
                    name: full_name(&database, &table.name),
                })
            }
            outcome => outcome,
        }
    }

    /// A definition as one of this catalog.
    fn own_table(&self, table: Table) -> Result<Table> {
        Ok(Table {
            name: fold("table", &table.name)?,
            database_name: table.database_name.map(|name| name.to_lowercase()),
            catalog_id: self.catalog_id(),
            ..table
        })
    }

    /// Creates a record with its tags, when there is none.
    fn put_absent(
        &self,
        kind: Kind,
        name: &str,
        key: Key,
        value: &impl Serialize,
        tags: &Tags,
    ) -> Result<()> {
        let payload = stored::encode(value)?;
        let transaction = self
            .transaction()
            .expect(Tree::Object, key.clone(), Expected::Absent)
            .put_tags(&key, tags)?
            .put(Tree::Object, key, stored::SCHEMA, payload);
        exists_on_conflict(self.commit(transaction), kind, name)
    }
}

fn exists_on_conflict(outcome: Result<()>, kind: Kind, name: &str) -> Result<()> {
    match outcome {
        Err(error) if error.is_store_conflict() => Err(Error::AlreadyExists {
            kind,
            name: name.to_owned(),
        }),
        outcome => outcome,
    }
}
