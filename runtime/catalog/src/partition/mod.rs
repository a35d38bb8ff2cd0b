//! Partitions of tables: create, get, update, delete; `list` lists them, `record` is how they are stored.
//!
//! A partition's key is its values in the order of the table's keys, so those that begin with the same values lie
//! side by side. Its index entries and statistics change with it, in the same transaction.

mod list;
mod record;
mod spelling;

use std::cell::Cell;
use std::collections::BTreeSet;

use tenon_store::{Expected, Key, Record, Tree};

pub use list::{ListPartitions, Segment};
pub(crate) use record::{LAYOUT, descriptor_key, read_compact};
use record::{Packer, Unpacker};

use crate::catalog::{Stored, TenantCatalog};
use crate::error::{Error, Kind, Result};
use crate::index::Indexes;
use crate::model::{Partition, PartitionInput, Table, Timestamp};
use crate::name::fold;
use crate::scope::Transaction;
use crate::stored;
use crate::table::full_name;

/// Bytes of a key that an index over it or the catalog it lies in may need.
const KEY_RESERVE: usize = 16;

/// A table whose partitions are written, as it was found.
struct Target {
    table: Stored<Table>,
    key: Key,
    indexes: Indexes,
}

/// An update of a partition that can be done.
struct Replacement<'a> {
    /// Whether the partition is as it was read.
    unchanged: Expected,
    creation_time: Option<Timestamp>,
    old_values: &'a [String],
    new_values: &'a [String],
    /// Those of the old values, when the new ones differ.
    statistics: Option<Record>,
}

impl TenantCatalog {
    /// Creates a partition.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table, [`Error::AlreadyExists`], [`Error::InvalidInput`] when the values are not
    /// as many as the table has keys, [`Error::Store`].
    pub fn create_partition(
        &self,
        database: &str,
        table: &str,
        input: PartitionInput,
    ) -> Result<()> {
        let outcomes = self.create_partitions(database, table, vec![input])?;
        outcomes.into_iter().collect()
    }

    /// Creates several partitions in one transaction; those that cannot be created have their error in the answer,
    /// at the place they have in `inputs`.
    ///
    /// # Errors
    /// As [`TenantCatalog::create_partition`], for the table and the store.
    pub fn create_partitions(
        &self,
        database: &str,
        table: &str,
        inputs: Vec<PartitionInput>,
    ) -> Result<Vec<Result<()>>> {
        let now = self.now();
        let partition = |input| Partition {
            creation_time: now,
            ..partition_of(input)
        };
        let partitions = inputs.into_iter().map(partition).collect();
        self.add_partitions(database, table, partitions)
    }

    /// As [`TenantCatalog::create_partitions`], with the times of creation given.
    pub(crate) fn add_partitions(
        &self,
        database: &str,
        table: &str,
        partitions: Vec<Partition>,
    ) -> Result<Vec<Result<()>>> {
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        // Whether one is taken is asked of the transaction, and only when that fails of each of them.
        let tried = Cell::new(false);
        self.retry(Kind::Table, &full_name(&database, &table), || {
            let look = tried.replace(true);
            let target = self.target(&database, &table)?;
            let (mut taken, mut packer) = (BTreeSet::new(), Packer::default());
            let mut transaction = self.with_marker(&target);
            let mut outcomes = Vec::with_capacity(partitions.len());
            for partition in &partitions {
                let outcome = self.check_new(&target, &partition.values, look, &mut taken);
                if let Ok(key) = &outcome {
                    let payload = packer.pack(partition.clone())?;
                    transaction = transaction
                        .expect(Tree::Partition, key.clone(), Expected::Absent)
                        .put(Tree::Partition, key.clone(), LAYOUT, payload);
                    transaction = target.indexes.enter(transaction, &partition.values)?;
                }
                outcomes.push(outcome.map(drop));
            }
            if !taken.is_empty() {
                let transaction = self.with_descriptors(transaction, &target.key, &packer)?;
                self.commit(transaction)?;
            }
            Ok(outcomes)
        })
    }

    /// Adds partitions of `table`, as it is to be, to a transaction that asks for it: those that are there get the new
    /// definition, as by [`TenantCatalog::update_partition`], the others are created.
    pub(crate) fn with_partitions(
        &self,
        transaction: Transaction,
        table: Stored<Table>,
        key: Key,
        inputs: Vec<PartitionInput>,
    ) -> Result<Transaction> {
        let indexes = self.indexes(&key)?;
        let target = Target {
            table,
            key,
            indexes,
        };
        let (mut taken, mut packer) = (BTreeSet::new(), Packer::default());
        let found = &target.table.value;
        let database = found.database_name.as_deref().unwrap_or_default();
        let mut unpacker = Unpacker::new(self, database, &found.name).without_columns();
        let mut transaction = with_marker_of(transaction, &target);
        for input in inputs {
            let key = self.check_new(&target, &input.values, false, &mut taken)?;
            let known = self.record(Tree::Partition, &key)?;
            let creation_time = match &known {
                Some(record) => {
                    let values = input.values.clone();
                    unpacker.unpack(&key, values, record)?.creation_time
                }
                None => self.now(),
            };
            let unchanged = known
                .as_ref()
                .map_or(Expected::Absent, |record| Expected::Version(record.version));
            if known.is_none() {
                transaction = target.indexes.enter(transaction, &input.values)?;
            }
            let payload = packer.pack(Partition {
                creation_time,
                ..partition_of(input)
            })?;
            transaction = transaction
                .expect(Tree::Partition, key.clone(), unchanged)
                .put(Tree::Partition, key, LAYOUT, payload);
        }
        self.with_descriptors(transaction, &target.key, &packer)
    }

    /// The partition with these values.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table or the partition, [`Error::InvalidInput`], [`Error::Store`].
    pub fn get_partition(
        &self,
        database: &str,
        table: &str,
        values: &[String],
    ) -> Result<Partition> {
        let mut found = self.get_partitions(database, table, std::slice::from_ref(&values))?;
        let missing = || {
            let (database, table) = (database.to_lowercase(), table.to_lowercase());
            Error::not_found(Kind::Partition, partition_name(&database, &table, values))
        };
        found.pop().flatten().ok_or_else(missing)
    }

    /// The partitions with these values, `None` for those that do not exist.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table, [`Error::InvalidInput`], [`Error::Store`].
    pub fn get_partitions<V: AsRef<[String]>>(
        &self,
        database: &str,
        table: &str,
        wanted: &[V],
    ) -> Result<Vec<Option<Partition>>> {
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        let found = self.read_table(&database, &table)?.value;
        let mut unpacker = Unpacker::new(self, &database, &table);
        let mut partitions = Vec::with_capacity(wanted.len());
        for values in wanted {
            let values = values.as_ref();
            check_values(&found, values)?;
            let key = stored::partition(&database, &table, values);
            partitions.push(match self.record(Tree::Partition, &key)? {
                Some(record) => Some(unpacker.unpack(&key, values.to_vec(), &record)?),
                None => None,
            });
        }
        Ok(partitions)
    }

    /// Replaces the definition of the partition with `values`, which the input may change; its time of creation
    /// and its statistics stay.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::AlreadyExists`] when the new values are taken, [`Error::InvalidInput`],
    /// [`Error::Conflict`] when it is changed all the time, [`Error::Store`].
    pub fn update_partition(
        &self,
        database: &str,
        table: &str,
        values: &[String],
        input: PartitionInput,
    ) -> Result<()> {
        let outcomes = self.update_partitions(database, table, &[(values.to_vec(), input)])?;
        outcomes.into_iter().collect()
    }

    /// Replaces the definitions of several partitions, each by its values; those that cannot be replaced have their
    /// error in the answer, at the place they have in `updates`. It is one transaction, unless an update is about
    /// what one before it has written: such a one begins the next.
    ///
    /// # Errors
    /// As [`TenantCatalog::update_partition`], for the table and the store.
    pub fn update_partitions(
        &self,
        database: &str,
        table: &str,
        updates: &[(Vec<String>, PartitionInput)],
    ) -> Result<Vec<Result<()>>> {
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        let name = full_name(&database, &table);
        let mut outcomes = Vec::with_capacity(updates.len());
        while outcomes.len() < updates.len() {
            let rest = &updates[outcomes.len()..];
            outcomes.extend(self.retry(Kind::Table, &name, || {
                self.update_at_once(&database, &table, rest)
            })?);
        }
        Ok(outcomes)
    }

    /// One transaction of as many updates as do not meet, at least one; returns their outcomes.
    fn update_at_once(
        &self,
        database: &str,
        table: &str,
        updates: &[(Vec<String>, PartitionInput)],
    ) -> Result<Vec<Result<()>>> {
        let target = self.target(database, table)?;
        let (mut packer, mut unpacker) = (Packer::default(), Unpacker::new(self, database, table));
        let mut transaction = self.with_marker(&target);
        let (mut outcomes, mut touched) = (Vec::new(), BTreeSet::new());
        for (values, input) in updates {
            let new_values = match input.values.is_empty() {
                true => values,
                false => &input.values,
            };
            let keys = [
                target.partition_key(values),
                target.partition_key(new_values),
            ];
            if keys.iter().any(|key| touched.contains(key)) {
                break;
            }
            let replacement = self.replacement(&target, &mut unpacker, values, new_values);
            let outcome = match replacement {
                Err(error) => Err(error),
                Ok(replacement) => {
                    transaction = replacement.add(transaction, &target, input, &mut packer)?;
                    touched.extend(keys);
                    Ok(())
                }
            };
            outcomes.push(outcome);
        }
        if !touched.is_empty() {
            self.commit(self.with_descriptors(transaction, &target.key, &packer)?)?;
        }
        Ok(outcomes)
    }

    /// Deletes the partition with these values.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table or the partition, [`Error::InvalidInput`], [`Error::Conflict`] when the
    /// table's indexes are changed all the time, [`Error::Store`].
    pub fn delete_partition(&self, database: &str, table: &str, values: &[String]) -> Result<()> {
        let outcomes = self.delete_partitions(database, table, &[values])?;
        outcomes.into_iter().collect()
    }

    /// Deletes several partitions in one transaction; those that cannot be deleted have their error in the answer,
    /// at the place they have in `wanted`.
    ///
    /// # Errors
    /// As [`TenantCatalog::delete_partition`], for the table and the store.
    pub fn delete_partitions<V: AsRef<[String]>>(
        &self,
        database: &str,
        table: &str,
        wanted: &[V],
    ) -> Result<Vec<Result<()>>> {
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        self.retry(Kind::Table, &full_name(&database, &table), || {
            let target = self.target(&database, &table)?;
            let mut transaction = target.indexes.expect(self.transaction());
            let (mut outcomes, mut gone) = (Vec::new(), BTreeSet::new());
            for values in wanted {
                let values = values.as_ref();
                let outcome = self.check_present(&target, values, &gone);
                if let Ok(key) = &outcome {
                    gone.insert(key.clone());
                    transaction = target
                        .indexes
                        .remove(transaction, values)
                        .expect(Tree::Partition, key.clone(), Expected::Present)
                        .delete(Tree::Partition, stored::partition_statistics_of(key))
                        .delete(Tree::Partition, key.clone());
                }
                outcomes.push(outcome.map(drop));
            }
            if !gone.is_empty() {
                self.commit(transaction)?;
            }
            Ok(outcomes)
        })
    }

    fn target(&self, database: &str, table: &str) -> Result<Target> {
        let key = stored::table(database, table);
        Ok(Target {
            table: self.read_table(database, table)?,
            indexes: self.indexes(&key)?,
            key,
        })
    }

    /// A transaction that holds only while the table and its indexes are as found, and that whoever deletes the
    /// table notices.
    fn with_marker(&self, target: &Target) -> Transaction {
        let transaction =
            self.transaction()
                .expect(Tree::Object, target.key.clone(), target.table.unchanged());
        with_marker_of(transaction, target)
    }

    /// Adds the shared descriptors that are not there yet. Nobody changes them, and they go with the table only.
    fn with_descriptors(
        &self,
        mut transaction: Transaction,
        table: &Key,
        packer: &Packer,
    ) -> Result<Transaction> {
        for (digest, payload) in packer.descriptors() {
            let key = descriptor_key(table, digest);
            transaction = match self.object_version(Tree::Object, &key)? {
                None => transaction.put(Tree::Object, key, stored::SCHEMA, payload.to_vec()),
                // A deletion of the table that goes in steps may have come to it.
                Some(_) => transaction.expect(Tree::Object, key, Expected::Present),
            };
        }
        Ok(transaction)
    }

    /// Reads and checks what an update needs.
    fn replacement<'a>(
        &self,
        target: &Target,
        unpacker: &mut Unpacker<'_>,
        old_values: &'a [String],
        new_values: &'a [String],
    ) -> Result<Replacement<'a>> {
        let table = &target.table.value;
        check_values(table, old_values)?;
        check_values(table, new_values)?;
        let key = target.partition_key(old_values);
        let absent = || Error::not_found(Kind::Partition, target.partition_name(old_values));
        let record = self.record(Tree::Partition, &key)?.ok_or_else(absent)?;
        let old = unpacker.unpack(&key, old_values.to_vec(), &record)?;
        let statistics = if new_values == old_values {
            None
        } else {
            self.check_new(target, new_values, true, &mut BTreeSet::new())?;
            self.record(Tree::Partition, &stored::partition_statistics_of(&key))?
        };
        Ok(Replacement {
            unchanged: Expected::Version(record.version),
            creation_time: old.creation_time,
            old_values,
            new_values,
            statistics,
        })
    }

    /// The key of a partition that can be created, as far as can be told; `look` for whether it is taken.
    fn check_new(
        &self,
        target: &Target,
        values: &[String],
        look: bool,
        taken: &mut BTreeSet<Key>,
    ) -> Result<Key> {
        let table = &target.table.value;
        check_values(table, values)?;
        let key = target.partition_key(values);
        key_fits(&key)?;
        target.indexes.check(values)?;
        if taken.contains(&key) || (look && self.object_version(Tree::Partition, &key)?.is_some()) {
            return Err(Error::AlreadyExists {
                kind: Kind::Partition,
                name: target.partition_name(values),
            });
        }
        taken.insert(key.clone());
        Ok(key)
    }

    fn check_present(
        &self,
        target: &Target,
        values: &[String],
        gone: &BTreeSet<Key>,
    ) -> Result<Key> {
        check_values(&target.table.value, values)?;
        let key = target.partition_key(values);
        if gone.contains(&key) || self.object_version(Tree::Partition, &key)?.is_none() {
            return Err(Error::not_found(
                Kind::Partition,
                target.partition_name(values),
            ));
        }
        Ok(key)
    }
}

impl Replacement<'_> {
    fn add(
        self,
        transaction: Transaction,
        target: &Target,
        input: &PartitionInput,
        packer: &mut Packer,
    ) -> Result<Transaction> {
        let payload = packer.pack(Partition {
            creation_time: self.creation_time,
            values: self.new_values.to_vec(),
            ..partition_of(input.clone())
        })?;
        let key = target.partition_key(self.new_values);
        let old_key = target.partition_key(self.old_values);
        let mut transaction = transaction.expect(Tree::Partition, old_key.clone(), self.unchanged);
        if key != old_key {
            transaction = target.indexes.remove(transaction, self.old_values);
            transaction = target.indexes.enter(transaction, self.new_values)?;
            transaction = self
                .with_statistics(transaction, &old_key, &key)
                .expect(Tree::Partition, key.clone(), Expected::Absent)
                .delete(Tree::Partition, old_key);
        }
        Ok(transaction.put(Tree::Partition, key, LAYOUT, payload))
    }

    /// Statistics go where their partition goes.
    fn with_statistics(self, transaction: Transaction, old: &Key, new: &Key) -> Transaction {
        let (from, to) = (
            stored::partition_statistics_of(old),
            stored::partition_statistics_of(new),
        );
        match self.statistics {
            None => transaction.expect(Tree::Partition, from, Expected::Absent),
            Some(record) => transaction
                .expect(
                    Tree::Partition,
                    from.clone(),
                    Expected::Version(record.version),
                )
                .delete(Tree::Partition, from)
                .put(Tree::Partition, to, record.schema, record.payload),
        }
    }
}

impl Target {
    fn partition_key(&self, values: &[String]) -> Key {
        values.iter().fold(self.key.clone(), Key::with_part)
    }

    fn partition_name(&self, values: &[String]) -> String {
        let table = &self.table.value;
        let database = table.database_name.as_deref().unwrap_or_default();
        partition_name(database, &table.name, values)
    }
}

/// The same transaction, which holds only while the table's indexes are as found, and which whoever deletes the table
/// notices.
fn with_marker_of(transaction: Transaction, target: &Target) -> Transaction {
    target.indexes.expect(transaction).put(
        Tree::Object,
        stored::partitions_created_of(&target.key),
        stored::SCHEMA,
        Vec::new(),
    )
}

fn partition_of(input: PartitionInput) -> Partition {
    Partition {
        values: input.values,
        last_access_time: input.last_access_time,
        storage_descriptor: input.storage_descriptor,
        parameters: input.parameters,
        last_analyzed_time: input.last_analyzed_time,
        ..Partition::default()
    }
}

fn check_values(table: &Table, values: &[String]) -> Result<()> {
    let (wanted, found) = (table.partition_keys.len(), values.len());
    if wanted == found && found > 0 {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{found} partition values were given, table {} has {wanted} partition keys",
        table.name
    )))
}

fn key_fits(key: &Key) -> Result<()> {
    let (bytes, limit) = (
        key.as_bytes().len(),
        tenon_store::MAX_KEY_BYTES - KEY_RESERVE,
    );
    if bytes <= limit {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the names and values of the partition have {bytes} bytes, the limit is {limit}"
    )))
}

pub(crate) fn partition_name(database: &str, table: &str, values: &[String]) -> String {
    format!("{} {values:?}", full_name(database, table))
}
