//! Partitions of tables: create, get, update, delete, list.
//!
//! A partition's key is its values in the order of the table's keys, so those that begin with the same values lie
//! side by side.

use std::collections::BTreeSet;

use tenon_store::{Expected, Key, Transaction, Tree};

use crate::catalog::{MAX_PAGE, Page, Stored, TenantCatalog};
use crate::error::{Error, Kind, Result};
use crate::expression::Expression;
use crate::model::{Partition, PartitionInput, Table};
use crate::name::fold;
use crate::stored;
use crate::table::full_name;

/// One of several disjoint parts of a table's partitions, which together are all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// From 0.
    pub number: u32,
    /// How many there are.
    pub total: u32,
}

/// Which partitions to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListPartitions<'a> {
    /// A filter; all when blank.
    pub expression: &'a str,
    /// Only this part.
    pub segment: Option<Segment>,
    /// A page's `next`.
    pub token: Option<&'a str>,
    /// Partitions in the page, 1 to 1000.
    pub limit: usize,
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
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        self.retry(Kind::Table, &full_name(&database, &table), || {
            let found = self.read_table(&database, &table)?;
            let (mut outcomes, mut writes, mut taken) = (Vec::new(), Vec::new(), BTreeSet::new());
            for input in &inputs {
                let made = self.new_partition(&found.value, input, &mut taken);
                outcomes.push(made.map(|(key, payload)| writes.push((key, payload))));
            }
            if !writes.is_empty() {
                let begin = self.with_marker(&database, &table, &found);
                self.commit(
                    writes
                        .into_iter()
                        .fold(begin, |transaction, (key, payload)| {
                            transaction
                                .expect(Tree::Partition, key.clone(), Expected::Absent)
                                .put(Tree::Partition, key, stored::SCHEMA, payload)
                        }),
                )?;
            }
            Ok(outcomes)
        })
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
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        let found = self.read_table(&database, &table)?;
        check_values(&found.value, values)?;
        Ok(self.read_partition(&database, &table, values)?.value)
    }

    /// Replaces the definition of the partition with `values`, which the input may change; its time of creation
    /// stays.
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
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        let input = match input.values.is_empty() {
            true => PartitionInput {
                values: values.to_vec(),
                ..input
            },
            false => input,
        };
        self.retry(
            Kind::Partition,
            &partition_name(&database, &table, values),
            || {
                let found = self.read_table(&database, &table)?;
                check_values(&found.value, values)?;
                check_values(&found.value, &input.values)?;
                let old = self.read_partition(&database, &table, values)?;
                let old_key = stored::partition(&database, &table, values);
                let new_key = stored::partition(&database, &table, &input.values);
                let mut transaction = self.with_marker(&database, &table, &found).expect(
                    Tree::Partition,
                    old_key.clone(),
                    old.unchanged(),
                );
                if new_key != old_key {
                    self.check_free(&found.value, &input.values, &new_key)?;
                    transaction = transaction
                        .expect(Tree::Partition, new_key.clone(), Expected::Absent)
                        .delete(Tree::Partition, old_key);
                }
                let partition = Partition {
                    creation_time: old.value.creation_time,
                    ..self.partition_of(&found.value, input.clone())
                };
                self.commit(transaction.put(
                    Tree::Partition,
                    new_key,
                    stored::SCHEMA,
                    stored::encode(&partition)?,
                ))
            },
        )
    }

    /// Deletes the partition with these values.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table or the partition, [`Error::InvalidInput`], [`Error::Store`].
    pub fn delete_partition(&self, database: &str, table: &str, values: &[String]) -> Result<()> {
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        check_values(&self.read_table(&database, &table)?.value, values)?;
        let key = stored::partition(&database, &table, values);
        let transaction = self
            .transaction()
            .expect(Tree::Partition, key.clone(), Expected::Present)
            .delete(Tree::Partition, key);
        match self.commit(transaction) {
            Err(error) if error.is_store_conflict() => Err(missing(&database, &table, values)),
            outcome => outcome,
        }
    }

    /// Deletes several partitions in one transaction; those that cannot be deleted have their error in the answer, at
    /// the place they have in `list`.
    ///
    /// # Errors
    /// As [`TenantCatalog::delete_partition`], for the table and the store; [`Error::Conflict`] when the partitions
    /// are changed all the time.
    pub fn delete_partitions(
        &self,
        database: &str,
        table: &str,
        list: &[Vec<String>],
    ) -> Result<Vec<Result<()>>> {
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        self.retry(Kind::Table, &full_name(&database, &table), || {
            let found = self.read_table(&database, &table)?.value;
            let (mut outcomes, mut keys) = (Vec::new(), BTreeSet::new());
            for values in list {
                let key = self.existing(&found, values);
                outcomes.push(key.and_then(|key| match keys.insert(key) {
                    true => Ok(()),
                    false => Err(missing(&database, &table, values)),
                }));
            }
            if !keys.is_empty() {
                self.commit(
                    keys.into_iter()
                        .fold(self.transaction(), |transaction, key| {
                            transaction
                                .expect(Tree::Partition, key.clone(), Expected::Present)
                                .delete(Tree::Partition, key)
                        }),
                )?;
            }
            Ok(outcomes)
        })
    }

    /// Partitions in the order of their values. Equal texts of the first keys choose a range, within which
    /// partitions are read one by one until the page is full.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table, [`Error::InvalidInput`] for the expression, segment or token,
    /// [`Error::InvalidState`] for a stored value that is not of its key's type, [`Error::Store`].
    pub fn list_partitions(
        &self,
        database: &str,
        table: &str,
        options: &ListPartitions<'_>,
    ) -> Result<Page<Partition>> {
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        let keys = self.read_table(&database, &table)?.value.partition_keys;
        let expression = Expression::parse(options.expression, &keys)?;
        check_segment(options.segment)?;
        let below = expression
            .prefix()
            .into_iter()
            .fold(stored::partitions(&database, &table), Key::with_part);
        let mut after = options
            .token
            .map(|token| read_token(&database, &table, token))
            .transpose()?;
        let limit = options.limit.clamp(1, MAX_PAGE);
        let mut items: Vec<Partition> = Vec::new();
        loop {
            let (found, next) =
                self.list::<Partition>(Tree::Partition, &below, after.as_ref(), limit + 1)?;
            for partition in found {
                if !in_segment(options.segment, &partition.values)
                    || !expression.accepts(&partition.values)?
                {
                    continue;
                }
                if items.len() == limit {
                    let next = items.last().map(|last| token(&last.values));
                    return Ok(Page { items, next });
                }
                items.push(partition);
            }
            if next.is_none() {
                return Ok(Page { items, next: None });
            }
            after = next;
        }
    }

    /// A transaction that holds only while the table is as found, and that whoever deletes the table notices.
    fn with_marker(&self, database: &str, table: &str, found: &Stored<Table>) -> Transaction {
        self.transaction()
            .expect(
                Tree::Object,
                stored::table(database, table),
                found.unchanged(),
            )
            .put(
                Tree::Object,
                stored::partitions_created(database, table),
                stored::SCHEMA,
                Vec::new(),
            )
    }

    /// Key and payload of a partition that does not exist, nor in `taken`.
    fn new_partition(
        &self,
        table: &Table,
        input: &PartitionInput,
        taken: &mut BTreeSet<Key>,
    ) -> Result<(Key, Vec<u8>)> {
        check_values(table, &input.values)?;
        let database = table.database_name.as_deref().unwrap_or_default();
        let key = stored::partition(database, &table.name, &input.values);
        key_fits(&key)?;
        self.check_free(table, &input.values, &key)?;
        let partition = Partition {
            creation_time: self.now(),
            ..self.partition_of(table, input.clone())
        };
        let payload = stored::encode(&partition)?;
        if !taken.insert(key.clone()) {
            return Err(taken_already(database, &table.name, &input.values));
        }
        Ok((key, payload))
    }

    /// The key of a partition that exists.
    fn existing(&self, table: &Table, values: &[String]) -> Result<Key> {
        check_values(table, values)?;
        let database = table.database_name.as_deref().unwrap_or_default();
        let key = stored::partition(database, &table.name, values);
        key_fits(&key)?;
        match self.object_version(Tree::Partition, &key)? {
            Some(_) => Ok(key),
            None => Err(missing(database, &table.name, values)),
        }
    }

    fn check_free(&self, table: &Table, values: &[String], key: &Key) -> Result<()> {
        match self.object_version(Tree::Partition, key)? {
            Some(_) => Err(taken_already(
                table.database_name.as_deref().unwrap_or_default(),
                &table.name,
                values,
            )),
            None => Ok(()),
        }
    }

    fn read_partition(
        &self,
        database: &str,
        table: &str,
        values: &[String],
    ) -> Result<Stored<Partition>> {
        let found = self.read(Tree::Partition, &stored::partition(database, table, values))?;
        found.ok_or_else(|| missing(database, table, values))
    }

    fn partition_of(&self, table: &Table, input: PartitionInput) -> Partition {
        Partition {
            values: input.values,
            database_name: table.database_name.clone(),
            table_name: Some(table.name.clone()),
            creation_time: None,
            last_access_time: input.last_access_time,
            storage_descriptor: input.storage_descriptor,
            parameters: input.parameters,
            last_analyzed_time: input.last_analyzed_time,
            catalog_id: self.catalog_id(),
        }
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
    let (bytes, limit) = (key.as_bytes().len(), tenon_store::MAX_KEY_BYTES);
    if bytes <= limit {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the names and values of the partition have {bytes} bytes, the limit is {limit}"
    )))
}

fn check_segment(segment: Option<Segment>) -> Result<()> {
    match segment {
        Some(Segment { number, total }) if number >= total => Err(Error::invalid(format!(
            "segment {number} is not one of {total}"
        ))),
        _ => Ok(()),
    }
}

/// A hash of the values decides, so that a partition stays in its segment whatever comes or goes.
fn in_segment(segment: Option<Segment>, values: &[String]) -> bool {
    segment.is_none_or(|Segment { number, total }| {
        let key = values.iter().fold(Key::new(), Key::with_part);
        // FNV-1a: https://datatracker.ietf.org/doc/html/draft-eastlake-fnv
        let hash = key
            .as_bytes()
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        (hash >> 32) % u64::from(total.max(1)) == u64::from(number)
    })
}

fn token(values: &[String]) -> String {
    serde_json::json!(values).to_string()
}

fn read_token(database: &str, table: &str, token: &str) -> Result<Key> {
    let values: Vec<String> = serde_json::from_str(token)
        .map_err(|_| Error::invalid("the token is not one of a list of partitions"))?;
    Ok(stored::partition(database, table, &values))
}

fn taken_already(database: &str, table: &str, values: &[String]) -> Error {
    Error::AlreadyExists {
        kind: Kind::Partition,
        name: partition_name(database, table, values),
    }
}

fn missing(database: &str, table: &str, values: &[String]) -> Error {
    Error::not_found(Kind::Partition, partition_name(database, table, values))
}

fn partition_name(database: &str, table: &str, values: &[String]) -> String {
    format!("{} {values:?}", full_name(database, table))
}
