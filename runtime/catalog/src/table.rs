//! Tables and their versions: create, get, update, delete, list.

use std::collections::BTreeSet;

use tenon_store::{Expected, Key, Tree};

use crate::catalog::{DELETE_ATTEMPTS, MAX_PAGE, Page, Stored, TenantCatalog};
use crate::error::{Error, Kind, Result};
use crate::index::PartitionIndex;
use crate::model::{Column, Table, TableInput, TableVersion};
use crate::name::fold;
use crate::scope::Transaction;
use crate::stored;

/// Records deleted in one transaction.
const DELETED_AT_ONCE: usize = 10_000;

/// How to update a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdateTable {
    /// The `VersionId` the table must have; `None` for any.
    pub expected_version: Option<String>,
    /// Whether not to keep the old definition. The version number rises all the same.
    pub skip_archive: bool,
}

impl TenantCatalog {
    /// Creates a table in `database`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the database, [`Error::AlreadyExists`], [`Error::InvalidInput`], [`Error::Store`].
    pub fn create_table(&self, database: &str, input: TableInput) -> Result<Table> {
        self.create_table_with_indexes(database, input, &[])
    }

    /// Creates a table with partition indexes, which are in use at once.
    ///
    /// # Errors
    /// As [`TenantCatalog::create_table`] and [`TenantCatalog::create_partition_index`].
    pub fn create_table_with_indexes(
        &self,
        database: &str,
        input: TableInput,
        indexes: &[PartitionIndex],
    ) -> Result<Table> {
        let database = fold("database", database)?;
        let name = fold("table", &input.name)?;
        check(&input)?;
        let full_name = full_name(&database, &name);
        let now = self.now();
        let table = self.table_of(&database, &name, input);
        let table = Table {
            create_time: now,
            update_time: now,
            version_id: Some("0".to_owned()),
            ..table
        };
        let key = stored::table(&database, &name);
        self.retry(Kind::Table, &full_name, || {
            self.read_database(&database)?;
            if self.object_version(Tree::Object, &key)?.is_some() {
                return Err(Error::AlreadyExists {
                    kind: Kind::Table,
                    name: full_name.clone(),
                });
            }
            let transaction = self.new_indexes(self.transaction(), &table, &key, indexes)?;
            let transaction =
                transaction.expect(Tree::Object, stored::database(&database), Expected::Present);
            let transaction = self.new_table(transaction, &database, &table)?;
            self.commit(transaction)
        })?;
        Ok(table)
    }

    /// The table `name` of `database`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the database or the table, [`Error::InvalidInput`] for a bad name,
    /// [`Error::Store`].
    pub fn get_table(&self, database: &str, name: &str) -> Result<Table> {
        Ok(self
            .read_table(&fold("database", database)?, &fold("table", name)?)?
            .value)
    }

    /// Replaces the definition of the table the input names. Time of creation and creator stay; the version
    /// number rises by one, and the old definition is kept unless `options` say otherwise.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when the version is not the expected one or the table is changed
    /// all the time; [`Error::InvalidInput`], [`Error::Store`].
    pub fn update_table(
        &self,
        database: &str,
        input: TableInput,
        options: &UpdateTable,
    ) -> Result<Table> {
        let database = fold("database", database)?;
        let name = fold("table", &input.name)?;
        check(&input)?;
        self.retry(Kind::Table, &full_name(&database, &name), || {
            let old = self.read_table(&database, &name)?;
            check_version(&database, &old.value, options.expected_version.as_deref())?;
            let (transaction, table) = self.with_table_replaced(
                self.transaction(),
                &database,
                &old,
                input.clone(),
                options.skip_archive,
            )?;
            self.commit(transaction).map(|()| table)
        })
    }

    /// Adds the definition that takes the place of `old`.
    pub(crate) fn with_table_replaced(
        &self,
        transaction: Transaction,
        database: &str,
        old: &Stored<Table>,
        input: TableInput,
        skip_archive: bool,
    ) -> Result<(Transaction, Table)> {
        let (name, number) = (&old.value.name, version_number(&old.value)?);
        let keys = input.partition_keys.clone();
        let table = Table {
            create_time: old.value.create_time,
            update_time: self.now(),
            created_by: old.value.created_by.clone(),
            version_id: Some((number + 1).to_string()),
            ..self.table_of(database, name, input)
        };
        let key = stored::table(database, name);
        let transaction = transaction.expect(Tree::Object, key.clone(), old.unchanged());
        let mut transaction = self.with_same_keys(transaction, &key, &old.value, &keys)?;
        if !skip_archive {
            let version_key = stored::version(database, name, number);
            let payload = stored::encode(&old.value)?;
            transaction = transaction.put(Tree::Version, version_key, stored::SCHEMA, payload);
        }
        let payload = stored::encode(&table)?;
        Ok((
            transaction.put(Tree::Object, key, stored::SCHEMA, payload),
            table,
        ))
    }

    /// Deletes the table `name` of `database` with its versions, partitions, statistics and indexes, in one
    /// transaction. A table with more than 10,000 of them loses some first, in transactions of their own.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::InvalidInput`] for a bad name, [`Error::Conflict`] when it is changed all
    /// the time, [`Error::Store`].
    pub fn delete_table(&self, database: &str, name: &str) -> Result<()> {
        let database = fold("database", database)?;
        let name = fold("table", name)?;
        let full_name = full_name(&database, &name);
        while !self.retry_often(DELETE_ATTEMPTS, Kind::Table, &full_name, || {
            self.delete_table_step(&database, &name, DELETED_AT_ONCE)
        })? {}
        Ok(())
    }

    /// Deletes at most `limit` records; returns whether the table is gone.
    pub(crate) fn delete_table_step(
        &self,
        database: &str,
        name: &str,
        limit: usize,
    ) -> Result<bool> {
        let table = self.read_table(database, name)?;
        let key = stored::table(database, name);
        let (transaction, gone) = self.with_table_deleted(
            self.transaction(),
            key,
            table.unchanged(),
            &mut limit.clone(),
        )?;
        self.commit(transaction).map(|()| gone)
    }

    /// Adds a table that is not there yet, so that whoever deletes its database notices.
    pub(crate) fn new_table(
        &self,
        transaction: Transaction,
        database: &str,
        table: &Table,
    ) -> Result<Transaction> {
        let key = stored::table(database, &table.name);
        Ok(transaction
            .expect(Tree::Object, key.clone(), Expected::Absent)
            .put(Tree::Object, key, stored::SCHEMA, stored::encode(table)?)
            .put(
                Tree::Object,
                stored::tables_created(database),
                stored::SCHEMA,
                Vec::new(),
            ))
    }

    /// Adds the deletion of a table and of all that lies below it, as far as `budget` records go. Returns whether
    /// that is everything; else the table stays, with some of what it has.
    pub(crate) fn with_table_deleted(
        &self,
        transaction: Transaction,
        table: Key,
        unchanged: Expected,
        budget: &mut usize,
    ) -> Result<(Transaction, bool)> {
        // A table that changes in between would leave a version that was not seen.
        let mut transaction = transaction.expect(Tree::Object, table.clone(), unchanged);
        // Read before what lies below: whoever adds to that changes the marker, and the transaction fails.
        let (marker, created) = self.marker(&table)?;
        let (partitions, more) = self.below(Tree::Partition, &table, budget)?;
        for key in partitions {
            transaction = transaction
                .delete(Tree::Partition, stored::partition_statistics_of(&key))
                .delete(Tree::Partition, key);
        }
        if more {
            return Ok((transaction, false));
        }
        // What partitions need goes after all of them.
        for (tree, prefix) in [
            (Tree::Index, table.clone()),
            (Tree::Object, stored::descriptors_of(&table)),
            (Tree::Version, table.clone()),
        ] {
            let (keys, more) = self.below(tree, &prefix, budget)?;
            for key in keys {
                transaction = transaction.delete(tree, key);
            }
            if more {
                return Ok((transaction.expect(Tree::Object, marker, created), false));
            }
        }
        let transaction = transaction
            .expect(Tree::Object, marker.clone(), created)
            .delete(Tree::Object, marker)
            .delete(Tree::Object, stored::table_statistics_of(&table))
            .delete(Tree::Object, stored::partition_indexes_of(&table))
            .delete(Tree::Object, stored::statistics_runs_of(&table))
            .delete_tagged(stored::statistics_settings_of(&table))
            .delete_tagged(table);
        Ok((transaction, true))
    }

    /// Keys below `prefix` as far as the budget goes, which they use up, and whether there are more.
    pub(crate) fn below(
        &self,
        tree: Tree,
        prefix: &Key,
        budget: &mut usize,
    ) -> Result<(Vec<Key>, bool)> {
        let (keys, more) = self.keys(tree, prefix, *budget)?;
        *budget -= keys.len();
        Ok((keys.into_iter().map(|(key, _)| key).collect(), more))
    }

    /// Entries of indexes are made of the partition keys, which stay as they are while there is an index.
    fn with_same_keys(
        &self,
        transaction: Transaction,
        table: &Key,
        old: &Table,
        new_keys: &[Column],
    ) -> Result<Transaction> {
        let names_and_types = |keys: &[Column]| -> Vec<_> {
            keys.iter()
                .map(|key| (key.name.clone(), key.r#type.clone()))
                .collect()
        };
        if names_and_types(&old.partition_keys) == names_and_types(new_keys) {
            return Ok(transaction);
        }
        let indexes = self.indexes(table)?;
        if indexes.definitions.is_empty() {
            return Ok(indexes.expect(transaction));
        }
        let database = old.database_name.as_deref().unwrap_or_default();
        Err(Error::invalid(format!(
            "the partition keys of table {} cannot change while it has partition indexes",
            full_name(database, &old.name)
        )))
    }

    /// At most `limit` tables of `database` (1 to 1000) in the order of their names; `token` is a page's `next`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the database, [`Error::InvalidInput`] for a bad name, [`Error::Store`].
    pub fn list_tables(
        &self,
        database: &str,
        token: Option<&str>,
        limit: usize,
    ) -> Result<Page<Table>> {
        let database = fold("database", database)?;
        self.read_database(&database)?;
        let after = token.map(|name| stored::table(&database, name));
        let (items, next) = self.list::<Table>(
            Tree::Object,
            &stored::tables(&database),
            after.as_ref(),
            limit,
        )?;
        let next = next.and_then(|_| items.last().map(|table| table.name.clone()));
        Ok(Page { items, next })
    }

    /// A definition the table has or had; the current one without `version_id`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for database, table or version; [`Error::InvalidInput`] when `version_id` is not a
    /// decimal number; [`Error::Store`].
    pub fn get_table_version(
        &self,
        database: &str,
        name: &str,
        version_id: Option<&str>,
    ) -> Result<TableVersion> {
        let (database, name) = (fold("database", database)?, fold("table", name)?);
        let current = self.read_table(&database, &name)?.value;
        let Some(version_id) = version_id else {
            return Ok(version_of(current));
        };
        let number = parse_version(version_id)?;
        if version_number(&current)? == number {
            return Ok(version_of(current));
        }
        let old = self.read::<Table>(Tree::Version, &stored::version(&database, &name, number))?;
        match old {
            Some(old) => Ok(version_of(old.value)),
            None => Err(no_such_version(&database, &name, number)),
        }
    }

    /// At most `limit` definitions the table has or had (1 to 1000), newest first, from the current one;
    /// `token` is a page's `next`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for database or table, [`Error::InvalidInput`] for a bad name or token,
    /// [`Error::Store`].
    pub fn get_table_versions(
        &self,
        database: &str,
        name: &str,
        token: Option<&str>,
        limit: usize,
    ) -> Result<Page<TableVersion>> {
        let (database, name) = (fold("database", database)?, fold("table", name)?);
        let limit = limit.clamp(1, MAX_PAGE);
        let current = self.read_table(&database, &name)?.value;
        let (mut items, after) = match token {
            Some(token) => (Vec::new(), parse_version(token)?),
            None => {
                let number = version_number(&current)?;
                (vec![version_of(current)], number)
            }
        };
        // After the current number, so that a definition archived this moment is not listed twice.
        let after_key = stored::version(&database, &name, after);
        let below = stored::table(&database, &name);
        // One more than fits tells whether there is a next page, also when nothing fits.
        let wanted = limit - items.len() + 1;
        let (old, next) = self.list::<Table>(Tree::Version, &below, Some(&after_key), wanted)?;
        let more = next.is_some() || items.len() + old.len() > limit;
        items.extend(old.into_iter().map(version_of));
        items.truncate(limit);
        let last = items.last().and_then(|version| version.version_id.clone());
        Ok(Page {
            items,
            next: last.filter(|_| more),
        })
    }

    /// Forgets an old definition of a table.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for the current version; [`Error::NotFound`], [`Error::Store`].
    pub fn delete_table_version(&self, database: &str, name: &str, version_id: &str) -> Result<()> {
        let outcomes = self.delete_table_versions(database, name, &[version_id])?;
        outcomes.into_iter().collect()
    }

    /// Forgets several old definitions of a table in one transaction; those that cannot be forgotten have their
    /// error in the answer, at the place they have in `version_ids`.
    ///
    /// # Errors
    /// As [`TenantCatalog::delete_table_version`], for the table and the store.
    pub fn delete_table_versions(
        &self,
        database: &str,
        name: &str,
        version_ids: &[impl AsRef<str>],
    ) -> Result<Vec<Result<()>>> {
        let (database, name) = (fold("database", database)?, fold("table", name)?);
        self.retry(Kind::Table, &full_name(&database, &name), || {
            let current = self.read_table(&database, &name)?.value;
            let mut transaction = self.transaction();
            let (mut outcomes, mut gone) = (Vec::new(), BTreeSet::new());
            for version_id in version_ids {
                let outcome = self.check_old_version(&current, version_id.as_ref(), &gone);
                if let Ok(key) = &outcome {
                    gone.insert(key.clone());
                    transaction = transaction
                        .expect(Tree::Version, key.clone(), Expected::Present)
                        .delete(Tree::Version, key.clone());
                }
                outcomes.push(outcome.map(drop));
            }
            if !gone.is_empty() {
                self.commit(transaction)?;
            }
            Ok(outcomes)
        })
    }

    /// The key of an old definition that is there.
    fn check_old_version(
        &self,
        current: &Table,
        version_id: &str,
        gone: &BTreeSet<Key>,
    ) -> Result<Key> {
        let (database, name) = (
            current.database_name.as_deref().unwrap_or_default(),
            &current.name,
        );
        let number = parse_version(version_id)?;
        if version_number(current)? == number {
            let full_name = full_name(database, name);
            return Err(Error::invalid(format!(
                "version {number} of table {full_name} is the current one"
            )));
        }
        let key = stored::version(database, name, number);
        if gone.contains(&key) || self.object_version(Tree::Version, &key)?.is_none() {
            return Err(no_such_version(database, name, number));
        }
        Ok(key)
    }

    /// The record that tells of created partitions, as it is for the table with this key.
    pub(crate) fn marker(&self, table: &Key) -> Result<(Key, Expected)> {
        let marker = stored::partitions_created_of(table);
        let version = self.object_version(Tree::Object, &marker)?;
        Ok((marker, version.map_or(Expected::Absent, Expected::Version)))
    }

    pub(crate) fn read_table(&self, database: &str, name: &str) -> Result<Stored<Table>> {
        if let Some(table) = self.read(Tree::Object, &stored::table(database, name))? {
            return Ok(table);
        }
        self.read_database(database)?;
        Err(Error::not_found(Kind::Table, full_name(database, name)))
    }

    pub(crate) fn table_of(&self, database: &str, name: &str, input: TableInput) -> Table {
        Table {
            name: name.to_owned(),
            database_name: Some(database.to_owned()),
            description: input.description,
            owner: input.owner,
            create_time: None,
            update_time: None,
            last_access_time: input.last_access_time,
            last_analyzed_time: input.last_analyzed_time,
            retention: input.retention,
            storage_descriptor: input.storage_descriptor,
            partition_keys: input.partition_keys,
            view_original_text: input.view_original_text,
            view_expanded_text: input.view_expanded_text,
            table_type: input.table_type,
            parameters: input.parameters,
            created_by: None,
            is_registered_with_lake_formation: false,
            target_table: input.target_table,
            catalog_id: self.catalog_id(),
            version_id: None,
            federated_table: input.federated_table,
            view_definition: input.view_definition,
        }
    }
}

pub(crate) fn full_name(database: &str, name: &str) -> String {
    format!("{database}.{name}")
}

fn no_such_version(database: &str, name: &str, number: u64) -> Error {
    Error::not_found(
        Kind::TableVersion,
        format!("{} version {number}", full_name(database, name)),
    )
}

pub(crate) fn check(input: &TableInput) -> Result<()> {
    if input.retention < 0 {
        return Err(Error::invalid(format!(
            "retention is {}, it cannot be negative",
            input.retention
        )));
    }
    let columns = input
        .storage_descriptor
        .iter()
        .flat_map(|descriptor| &descriptor.columns);
    match columns
        .chain(&input.partition_keys)
        .find(|column| column.name.is_empty())
    {
        Some(_) => Err(Error::invalid("a column has an empty name")),
        None => Ok(()),
    }
}

fn check_version(database: &str, table: &Table, expected: Option<&str>) -> Result<()> {
    let Some(expected) = expected else {
        return Ok(());
    };
    let (expected, found) = (parse_version(expected)?, version_number(table)?);
    if expected == found {
        return Ok(());
    }
    let reason = format!("version {expected} was expected, it is at version {found}");
    Err(Error::Conflict {
        kind: Kind::Table,
        name: full_name(database, &table.name),
        reason,
    })
}

fn version_of(table: Table) -> TableVersion {
    TableVersion {
        version_id: table.version_id.clone(),
        table: Some(table),
    }
}

fn version_number(table: &Table) -> Result<u64> {
    parse_version(table.version_id.as_deref().unwrap_or("0"))
}

pub(crate) fn parse_version(version_id: &str) -> Result<u64> {
    version_id
        .parse()
        .map_err(|_| Error::invalid(format!("version {version_id:?} is not a decimal number")))
}
