//! Partition indexes: partitions of a table in the order of other keys than the first.
//!
//! ```text
//! obj  8|database|table       definitions, at most three; absent when there is none
//! idx  2|database|table|...   entries: see `entry`
//!
//! create ──> CREATING ── every partition has its entry ──> ACTIVE
//!               │                                            │
//!               └── a partition has no value for a key ──> FAILED
//! delete ──> DELETING ── every entry is gone ──> (no definition)
//! ```
//!
//! Whoever writes or deletes a partition writes its entries in the same transaction and asks that the definitions
//! are as read: from CREATING on no partition is missed, from DELETING on no entry is added. Backfilling and
//! clearing go in bounded transactions and may be interrupted; [`TenantCatalog::finish_partition_index`] starts
//! them again from the beginning, which repeats what is done and harms nothing.

mod entry;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tenon_store::{Expected, Key, Tree};

pub(crate) use entry::{is_ordered, with_value};

use crate::catalog::{MAX_PAGE, TenantCatalog};
use crate::error::{Error, Kind, Result};
use crate::model::{Column, Table};
use crate::name;
use crate::name::fold;
use crate::scope::Transaction;
use crate::stored;
use crate::table::full_name;

/// Indexes of one table.
const MAX_INDEXES: usize = 3;

/// Partitions in one transaction of a backfill.
const BACKFILLED_AT_ONCE: usize = 1000;

/// Entries deleted in one transaction.
const CLEARED_AT_ONCE: usize = 10_000;

/// Bytes of a key that the catalog it lies in may need.
const KEY_RESERVE: usize = 5;

/// Partitions named in an error of a backfill.
const MAX_SHOWN: usize = 10;

/// What a caller says about an index.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PartitionIndex {
    /// Names of partition keys, in the order of the index.
    pub keys: Vec<String>,
    /// Name; case is kept and ignored.
    pub index_name: String,
}

/// An index as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PartitionIndexDescriptor {
    /// Name, as given.
    pub index_name: String,
    /// The keys with their types.
    pub keys: Vec<KeySchemaElement>,
    /// Whether it is in use.
    pub index_status: IndexStatus,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backfill_errors: Vec<BackfillError>,
}

/// A key of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct KeySchemaElement {
    /// Name of the partition key.
    pub name: String,
    /// Its type.
    pub r#type: String,
}

/// What an index goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum IndexStatus {
    /// Earlier partitions are being entered.
    Creating,
    /// In use.
    Active,
    /// Its entries are being removed.
    Deleting,
    /// It cannot be used; delete it.
    Failed,
}

/// Why partitions could not be entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BackfillError {
    /// `MISSING_PARTITION_VALUE_ERROR` or `INTERNAL_ERROR`: the entry would be too long.
    pub code: String,
    /// Some of the partitions.
    pub partitions: Vec<PartitionValueList>,
}

/// Values of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PartitionValueList {
    /// In the order of the table's keys.
    pub values: Vec<String>,
}

/// A stored definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct IndexDefinition {
    /// Names its entries. Not used again while there are any.
    pub(crate) id: u32,
    pub(crate) index_name: String,
    pub(crate) index_status: IndexStatus,
    pub(crate) keys: Vec<IndexKey>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) backfill_errors: Vec<BackfillError>,
}

/// An index that is between two states.
#[derive(Debug, Clone)]
pub struct UnfinishedIndex {
    /// The catalog its table lies in.
    pub catalog: TenantCatalog,
    /// The database of its table.
    pub database: String,
    /// Its table.
    pub table: String,
    /// Its name.
    pub index: String,
}

/// A key of an index; its type stays while there is an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct IndexKey {
    /// Which of the table's keys.
    pub(crate) position: usize,
    pub(crate) column: Column,
}

/// The definitions of a table, with the precondition that they are as read.
#[derive(Debug, Clone)]
pub(crate) struct Indexes {
    pub(crate) definitions: Vec<IndexDefinition>,
    pub(crate) unchanged: Expected,
    table: Key,
}

/// Indexes that someone in this process is working on.
#[derive(Debug, Default)]
pub(crate) struct IndexWork(Mutex<BTreeSet<Key>>);

impl TenantCatalog {
    /// Defines an index. When there may be partitions it is [`IndexStatus::Creating`] until
    /// [`TenantCatalog::finish_partition_index`] is done.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table, [`Error::AlreadyExists`], [`Error::LimitExceeded`],
    /// [`Error::InvalidInput`] when a key is no partition key or occurs twice, [`Error::Store`].
    pub fn create_partition_index(
        &self,
        database: &str,
        table: &str,
        index: &PartitionIndex,
    ) -> Result<()> {
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        self.retry(Kind::Table, &full_name(&database, &table), || {
            let found = self.read_table(&database, &table)?;
            let key = stored::table(&database, &table);
            let mut indexes = self.indexes(&key)?;
            let used = indexes.definitions.iter().map(|definition| definition.id);
            let id = used.max().map_or(1, |id| id + 1);
            let definition = define(&found.value, &indexes.definitions, index, id)?;
            indexes.definitions.push(definition);
            let transaction = self
                .transaction()
                .expect(Tree::Object, key, found.unchanged());
            self.commit(indexes.write(transaction)?)
        })
    }

    /// The table's indexes, in the order they were defined.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table, [`Error::InvalidInput`], [`Error::Store`].
    pub fn get_partition_indexes(
        &self,
        database: &str,
        table: &str,
    ) -> Result<Vec<PartitionIndexDescriptor>> {
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        self.read_table(&database, &table)?;
        let indexes = self.indexes(&stored::table(&database, &table))?;
        Ok(indexes.definitions.into_iter().map(descriptor).collect())
    }

    /// Takes an index out of use. It is [`IndexStatus::Deleting`] until
    /// [`TenantCatalog::finish_partition_index`] is done.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table or the index, [`Error::InvalidInput`], [`Error::Store`].
    pub fn delete_partition_index(&self, database: &str, table: &str, name: &str) -> Result<()> {
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        self.retry(Kind::Table, &full_name(&database, &table), || {
            self.read_table(&database, &table)?;
            let mut indexes = self.indexes(&stored::table(&database, &table))?;
            let definition = indexes.find(name);
            let definition = definition.ok_or_else(|| unknown(&database, &table, name))?;
            definition.index_status = IndexStatus::Deleting;
            self.commit(indexes.write(self.transaction())?)
        })
    }

    /// Brings an index from CREATING to ACTIVE or FAILED, or from DELETING to its end, in at most `limit`
    /// transactions; returns whether there is nothing left to do. When someone in this process is at it already,
    /// it is left to them.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table, [`Error::Conflict`] when partitions are changed all the time,
    /// [`Error::InvalidInput`], [`Error::Store`].
    pub fn finish_partition_index(
        &self,
        database: &str,
        table: &str,
        name: &str,
        limit: Option<usize>,
    ) -> Result<bool> {
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        let key = stored::table(&database, &table);
        let work = self.own_key(&key.clone().with_part(name.to_lowercase()));
        if !self.index_work().begin(&work) {
            return Ok(false);
        }
        let outcome = self.finish_index(&key, name, limit.unwrap_or(usize::MAX));
        self.index_work().end(&work);
        outcome
    }

    /// The indexes in all of the tenant's catalogs that are between two states: someone is at them, or was when
    /// the process ended.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn unfinished_partition_indexes(&self) -> Result<Vec<UnfinishedIndex>> {
        let mut unfinished = Vec::new();
        for catalog in self.all_catalogs()? {
            let (below, mut after) = (stored::all_partition_indexes(), None);
            loop {
                let page = catalog.scan(Tree::Object, &below, after.as_ref(), MAX_PAGE)?;
                for (key, record) in &page.records {
                    let Some((database, table)) = stored::table_of(key) else {
                        continue;
                    };
                    let found: Vec<IndexDefinition> = stored::decode(Tree::Object, key, record)?;
                    unfinished.extend(found.into_iter().filter(is_between).map(|definition| {
                        UnfinishedIndex {
                            catalog: catalog.clone(),
                            database: database.clone(),
                            table: table.clone(),
                            index: definition.index_name,
                        }
                    }));
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(unfinished)
    }

    fn finish_index(&self, table: &Key, name: &str, limit: usize) -> Result<bool> {
        let mut after = None;
        for _ in 0..limit {
            let step = self.retry(Kind::PartitionIndex, name, || {
                self.index_step(table, name, after.as_ref())
            })?;
            match step {
                None => return Ok(true),
                Some(last) => after = Some(last),
            }
        }
        Ok(false)
    }

    /// One transaction; returns the partition to go on after, `None` at the end.
    fn index_step(&self, table: &Key, name: &str, after: Option<&Key>) -> Result<Option<Key>> {
        let mut indexes = self.indexes(table)?;
        let Some(definition) = indexes.find(name).cloned() else {
            return Ok(None);
        };
        match definition.index_status {
            IndexStatus::Active | IndexStatus::Failed => Ok(None),
            IndexStatus::Deleting => self.clear(indexes, &definition),
            IndexStatus::Creating => self.backfill(indexes, &definition, after),
        }
    }

    fn backfill(
        &self,
        mut indexes: Indexes,
        definition: &IndexDefinition,
        after: Option<&Key>,
    ) -> Result<Option<Key>> {
        let page = self.scan(Tree::Partition, &indexes.table, after, BACKFILLED_AT_ONCE)?;
        let below = stored::index_entries(&indexes.table, definition.id);
        let marker = stored::partitions_created_of(&indexes.table);
        let mut transaction = self
            .transaction()
            .expect(
                Tree::Object,
                stored::partition_indexes_of(&indexes.table),
                indexes.unchanged,
            )
            .put(Tree::Object, marker, stored::SCHEMA, Vec::new());
        let mut failed: Vec<(&str, Vec<String>)> = Vec::new();
        let mut last = None;
        for (key, _) in page.records {
            let values = stored::partition_values(&key).unwrap_or_default();
            match definition.entry(below.clone(), &values) {
                None => failed.push(("MISSING_PARTITION_VALUE_ERROR", values)),
                Some(entry) if !fits(&entry) => failed.push(("INTERNAL_ERROR", values)),
                Some(entry) => {
                    transaction = transaction
                        .expect(Tree::Partition, key.clone(), Expected::Present)
                        .put(Tree::Index, entry, stored::SCHEMA, Vec::new());
                }
            }
            last = Some(key);
        }
        if !failed.is_empty() {
            indexes.fail(definition.id, failed);
            self.commit(indexes.write(self.transaction())?)?;
            return Ok(None);
        }
        if page.next.is_some() {
            self.commit(transaction)?;
            return Ok(last);
        }
        indexes.set(definition.id, IndexStatus::Active);
        self.commit(indexes.write_again(transaction)?)?;
        Ok(None)
    }

    fn clear(&self, mut indexes: Indexes, definition: &IndexDefinition) -> Result<Option<Key>> {
        let below = stored::index_entries(&indexes.table, definition.id);
        let (entries, more) = self.keys(Tree::Index, &below, CLEARED_AT_ONCE)?;
        let transaction = entries
            .into_iter()
            .fold(self.transaction(), |transaction, (entry, _)| {
                transaction.delete(Tree::Index, entry)
            });
        if more {
            self.commit(indexes.expect(transaction))?;
            return Ok(Some(below));
        }
        indexes
            .definitions
            .retain(|found| found.id != definition.id);
        self.commit(indexes.write(transaction)?)?;
        Ok(None)
    }

    /// The definitions of the table with this key.
    pub(crate) fn indexes(&self, table: &Key) -> Result<Indexes> {
        let key = stored::partition_indexes_of(table);
        let found = self.read::<Vec<IndexDefinition>>(Tree::Object, &key)?;
        let unchanged = found
            .as_ref()
            .map_or(Expected::Absent, |found| found.unchanged());
        Ok(Indexes {
            definitions: found.map(|found| found.value).unwrap_or_default(),
            unchanged,
            table: table.clone(),
        })
    }

    /// Definitions for a table that is just being made.
    pub(crate) fn new_indexes(
        &self,
        transaction: Transaction,
        table: &Table,
        key: &Key,
        wanted: &[PartitionIndex],
    ) -> Result<Transaction> {
        if wanted.is_empty() {
            return Ok(transaction);
        }
        let mut definitions = Vec::new();
        for (index, id) in wanted.iter().zip(1..) {
            let definition = define(table, &definitions, index, id)?;
            definitions.push(IndexDefinition {
                index_status: IndexStatus::Active,
                ..definition
            });
        }
        let payload = stored::encode(&definitions)?;
        let key = stored::partition_indexes_of(key);
        Ok(transaction.put(Tree::Object, key, stored::SCHEMA, payload))
    }
}

impl Indexes {
    /// The indexes whose entries are kept.
    fn kept(&self) -> impl Iterator<Item = &IndexDefinition> {
        self.definitions.iter().filter(|definition| {
            matches!(
                definition.index_status,
                IndexStatus::Creating | IndexStatus::Active
            )
        })
    }

    /// Asks that the definitions are as read.
    pub(crate) fn expect(&self, transaction: Transaction) -> Transaction {
        let key = stored::partition_indexes_of(&self.table);
        transaction.expect(Tree::Object, key, self.unchanged)
    }

    /// Adds the entries of a partition that is created.
    pub(crate) fn enter(
        &self,
        mut transaction: Transaction,
        values: &[String],
    ) -> Result<Transaction> {
        for definition in self.kept() {
            let entry = self.entry(definition, values)?;
            transaction = transaction.put(Tree::Index, entry, stored::SCHEMA, Vec::new());
        }
        Ok(transaction)
    }

    /// Checks that every entry of a partition can be stored.
    pub(crate) fn check(&self, values: &[String]) -> Result<()> {
        self.kept()
            .try_for_each(|definition| self.entry(definition, values).map(drop))
    }

    /// Removes the entries of a partition that is deleted.
    pub(crate) fn remove(&self, mut transaction: Transaction, values: &[String]) -> Transaction {
        for definition in self.kept() {
            if let Ok(entry) = self.entry(definition, values) {
                transaction = transaction.delete(Tree::Index, entry);
            }
        }
        transaction
    }

    fn entry(&self, definition: &IndexDefinition, values: &[String]) -> Result<Key> {
        let below = stored::index_entries(&self.table, definition.id);
        let entry = definition.entry(below, values).ok_or_else(|| {
            let name = &definition.index_name;
            Error::invalid(format!("{values:?} has no value for a key of index {name}"))
        })?;
        if fits(&entry) {
            return Ok(entry);
        }
        Err(Error::invalid(format!(
            "the values of the partition are too long for index {}: {} bytes, the limit is {}",
            definition.index_name,
            entry.as_bytes().len(),
            tenon_store::MAX_KEY_BYTES - KEY_RESERVE
        )))
    }

    fn find(&mut self, name: &str) -> Option<&mut IndexDefinition> {
        self.definitions
            .iter_mut()
            .find(|definition| same_name(&definition.index_name, name))
    }

    fn set(&mut self, id: u32, status: IndexStatus) {
        let found = self.definitions.iter_mut().find(|found| found.id == id);
        if let Some(definition) = found {
            definition.index_status = status;
        }
    }

    fn fail(&mut self, id: u32, failed: Vec<(&str, Vec<String>)>) {
        self.set(id, IndexStatus::Failed);
        let errors = failed
            .into_iter()
            .take(MAX_SHOWN)
            .map(|(code, values)| BackfillError {
                code: code.to_owned(),
                partitions: vec![PartitionValueList { values }],
            });
        let found = self.definitions.iter_mut().find(|found| found.id == id);
        if let Some(definition) = found {
            definition.backfill_errors = errors.collect();
        }
    }

    /// Writes the definitions, if they are as read.
    fn write(&self, transaction: Transaction) -> Result<Transaction> {
        self.write_again(self.expect(transaction))
    }

    /// As [`Indexes::write`], in a transaction that asks already.
    fn write_again(&self, transaction: Transaction) -> Result<Transaction> {
        let key = stored::partition_indexes_of(&self.table);
        if self.definitions.is_empty() {
            return Ok(transaction.delete(Tree::Object, key));
        }
        let payload = stored::encode(&self.definitions)?;
        Ok(transaction.put(Tree::Object, key, stored::SCHEMA, payload))
    }
}

impl IndexWork {
    fn begin(&self, work: &Key) -> bool {
        let mut busy = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        busy.insert(work.clone())
    }

    fn end(&self, work: &Key) {
        let mut busy = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        busy.remove(work);
    }
}

impl UnfinishedIndex {
    /// Finishes it, however long that takes; when it is gone there is nothing to do.
    ///
    /// # Errors
    /// As [`TenantCatalog::finish_partition_index`].
    pub fn finish(&self) -> Result<()> {
        let (database, table) = (&self.database, &self.table);
        let outcome = self
            .catalog
            .finish_partition_index(database, table, &self.index, None);
        match outcome {
            Err(Error::NotFound { .. }) => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}

const fn is_between(definition: &IndexDefinition) -> bool {
    matches!(
        definition.index_status,
        IndexStatus::Creating | IndexStatus::Deleting
    )
}

fn define(
    table: &Table,
    existing: &[IndexDefinition],
    index: &PartitionIndex,
    id: u32,
) -> Result<IndexDefinition> {
    let database = table.database_name.as_deref().unwrap_or_default();
    name::check("partition index", &index.index_name)?;
    if existing
        .iter()
        .any(|found| same_name(&found.index_name, &index.index_name))
    {
        return Err(Error::AlreadyExists {
            kind: Kind::PartitionIndex,
            name: index_name(database, &table.name, &index.index_name),
        });
    }
    if existing.len() >= MAX_INDEXES {
        return Err(Error::LimitExceeded {
            reason: format!(
                "table {} has {} partition indexes, the limit is {MAX_INDEXES}",
                full_name(database, &table.name),
                existing.len()
            ),
        });
    }
    let mut keys: Vec<IndexKey> = Vec::new();
    for name in &index.keys {
        let position = table
            .partition_keys
            .iter()
            .position(|key| same_name(&key.name, name))
            .ok_or_else(|| Error::invalid(format!("{name} is not a partition key")))?;
        if keys.iter().any(|key| key.position == position) {
            return Err(Error::invalid(format!("key {name} occurs twice")));
        }
        let column = Column {
            name: table.partition_keys[position].name.clone(),
            r#type: table.partition_keys[position].r#type.clone(),
            ..Column::default()
        };
        keys.push(IndexKey { position, column });
    }
    if keys.is_empty() {
        return Err(Error::invalid("a partition index needs a key"));
    }
    Ok(IndexDefinition {
        id,
        index_name: index.index_name.clone(),
        index_status: IndexStatus::Creating,
        keys,
        backfill_errors: Vec::new(),
    })
}

fn descriptor(definition: IndexDefinition) -> PartitionIndexDescriptor {
    let element = |key: IndexKey| KeySchemaElement {
        name: key.column.name,
        r#type: key.column.r#type.unwrap_or_else(|| "string".to_owned()),
    };
    PartitionIndexDescriptor {
        index_name: definition.index_name,
        keys: definition.keys.into_iter().map(element).collect(),
        index_status: definition.index_status,
        backfill_errors: definition.backfill_errors,
    }
}

/// Keys of nested catalogs have a prefix of a few bytes.
fn fits(entry: &Key) -> bool {
    entry.as_bytes().len() + KEY_RESERVE <= tenon_store::MAX_KEY_BYTES
}

fn same_name(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

fn unknown(database: &str, table: &str, name: &str) -> Error {
    Error::not_found(Kind::PartitionIndex, index_name(database, table, name))
}

fn index_name(database: &str, table: &str, name: &str) -> String {
    format!("{} {name}", full_name(database, table))
}
