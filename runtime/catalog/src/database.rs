//! Databases: create, get, update, delete, list.

use tenon_store::{Expected, Tree};

use crate::catalog::{DELETE_ATTEMPTS, Page, Stored, TenantCatalog};
use crate::error::{Error, Kind, Result};
use crate::model::{Database, DatabaseInput};
use crate::name::fold;
use crate::stored;
use crate::tag::Tags;

/// Records deleted in one transaction.
const DELETED_AT_ONCE: usize = 10_000;

impl TenantCatalog {
    /// Creates a database.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::InvalidInput`] for a bad name, [`Error::Store`].
    pub fn create_database(&self, input: DatabaseInput) -> Result<Database> {
        self.create_database_with_tags(input, &Tags::new())
    }

    /// Creates a database with tags.
    ///
    /// # Errors
    /// As [`TenantCatalog::create_database`], also [`Error::InvalidInput`] for the tags.
    pub fn create_database_with_tags(&self, input: DatabaseInput, tags: &Tags) -> Result<Database> {
        let name = fold("database", &input.name)?;
        let database = Database {
            create_time: self.now(),
            ..self.database_of(&name, input)
        };
        let key = stored::database(&name);
        let transaction = self
            .transaction()
            .expect(Tree::Object, key.clone(), Expected::Absent)
            .put_tags(&key, tags)?
            .put(
                Tree::Object,
                key,
                stored::SCHEMA,
                stored::encode(&database)?,
            );
        match self.commit(transaction) {
            Ok(()) => Ok(database),
            Err(error) if error.is_store_conflict() => Err(Error::AlreadyExists {
                kind: Kind::Database,
                name,
            }),
            Err(error) => Err(error),
        }
    }

    /// The database called `name`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::InvalidInput`] for a bad name, [`Error::Store`].
    pub fn get_database(&self, name: &str) -> Result<Database> {
        Ok(self.read_database(&fold("database", name)?)?.value)
    }

    /// Replaces the definition of the database called `name`; its tables stay. A database cannot be renamed:
    /// the input's name must be `name`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::InvalidInput`], [`Error::Conflict`] when it is changed all the time,
    /// [`Error::Store`].
    pub fn update_database(&self, name: &str, input: DatabaseInput) -> Result<Database> {
        let name = fold("database", name)?;
        if fold("database", &input.name)? != name {
            let new = &input.name;
            return Err(Error::invalid(format!(
                "database {name} cannot be renamed to {new}"
            )));
        }
        self.retry(Kind::Database, &name, || {
            let old = self.read_database(&name)?;
            let create_time = old.value.create_time;
            let database = Database {
                create_time,
                ..self.database_of(&name, input.clone())
            };
            let key = stored::database(&name);
            let transaction = self
                .transaction()
                .expect(Tree::Object, key.clone(), old.unchanged())
                .put(
                    Tree::Object,
                    key,
                    stored::SCHEMA,
                    stored::encode(&database)?,
                );
            self.commit(transaction).map(|()| database)
        })
    }

    /// Deletes the database called `name` with its functions and its tables and all that these have.
    ///
    /// With up to 10,000 records it is one transaction. A larger database is emptied step by step,
    /// each of them a transaction that takes whole tables or some of what one has, and the last one takes the database:
    /// if the process dies in between, the database is there with what is left, and deleting it again goes on.
    /// A table that someone creates meanwhile is deleted too; one created after the last step is refused.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::InvalidInput`] for a bad name, [`Error::Conflict`] when tables are created
    /// or changed all the time, [`Error::Store`].
    pub fn delete_database(&self, name: &str) -> Result<()> {
        let name = fold("database", name)?;
        while !self.retry_often(DELETE_ATTEMPTS, Kind::Database, &name, || {
            self.delete_database_step(&name, DELETED_AT_ONCE)
        })? {}
        Ok(())
    }

    /// Deletes at most `limit` records and about as many tables; returns whether the database is gone.
    pub(crate) fn delete_database_step(&self, name: &str, limit: usize) -> Result<bool> {
        let key = stored::database(name);
        let database = self.read_database(name)?;
        // Read before the tables: whoever creates one later changes it, and the transaction fails.
        let created_key = stored::tables_created(name);
        let created = self
            .object_version(Tree::Object, &created_key)?
            .map_or(Expected::Absent, Expected::Version);

        let mut transaction =
            self.transaction()
                .expect(Tree::Object, key.clone(), database.unchanged());
        let mut budget = limit;
        let (functions, more_functions) =
            self.below(Tree::Object, &stored::functions(name), &mut budget)?;
        for function in functions {
            transaction = transaction.delete_tagged(function);
        }
        let (tables, more_tables) = self.keys(Tree::Object, &stored::tables(name), budget)?;
        for (table, object_version) in tables {
            let unchanged = Expected::Version(object_version);
            let (next, gone) =
                self.with_table_deleted(transaction, table, unchanged, &mut budget)?;
            transaction = next;
            if !gone {
                self.commit(transaction)?;
                return Ok(false);
            }
        }
        let more_tables = more_tables || more_functions;
        if !more_tables {
            transaction = transaction
                .expect(Tree::Object, created_key.clone(), created)
                .delete(Tree::Object, created_key)
                .delete_tagged(key);
        }
        self.commit(transaction).map(|()| !more_tables)
    }

    /// At most `limit` databases (1 to 1000) in the order of their names; `token` is a page's `next`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn list_databases(&self, token: Option<&str>, limit: usize) -> Result<Page<Database>> {
        let after = token.map(stored::database);
        let (items, next) =
            self.list::<Database>(Tree::Object, &stored::databases(), after.as_ref(), limit)?;
        let next = next.and_then(|_| items.last().map(|database| database.name.clone()));
        Ok(Page { items, next })
    }

    /// The database with the folded name `name`.
    pub(crate) fn read_database(&self, name: &str) -> Result<Stored<Database>> {
        let found = self.read(Tree::Object, &stored::database(name))?;
        found.ok_or_else(|| Error::not_found(Kind::Database, name))
    }

    pub(crate) fn database_of(&self, name: &str, input: DatabaseInput) -> Database {
        Database {
            name: name.to_owned(),
            description: input.description,
            location_uri: input.location_uri,
            parameters: input.parameters,
            create_time: None,
            create_table_default_permissions: input.create_table_default_permissions,
            target_database: input.target_database,
            catalog_id: self.catalog_id(),
            federated_database: input.federated_database,
        }
    }
}
