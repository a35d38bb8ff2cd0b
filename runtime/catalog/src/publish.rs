//! [`PublishedTable`]: a table that somebody wrote files of, registered with its partitions in one transaction.
//!
//! ```text
//! files are written ──> PublishedTable ──with_tables──> a transaction that somebody else commits: the success of a run
//!                                       └─publish────> a transaction of its own
//! ```
//!
//! The table and its partitions are there together or not at all, and with [`TenantCatalog::with_tables`] together with
//! whatever else the transaction says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenon_store::{Expected, Key, Tree};

use crate::catalog::{Stored, TenantCatalog};
use crate::error::{Error, Kind, Result};
use crate::hive::HiveType;
use crate::model::{
    Column, Database, DatabaseInput, PartitionInput, StorageDescriptor, Table, TableInput,
};
use crate::name::fold;
use crate::scope::Transaction;
use crate::stored;
use crate::table::{check, full_name};

/// A table as it is after somebody wrote files of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishedTable {
    /// Its database; made when it is missing.
    pub database: String,
    /// What the files are. A table that is not there becomes this.
    pub input: TableInput,
    /// What becomes of a table that is there.
    pub change: TableChange,
    /// The partitions that got files: added, or given the definition that their files have now.
    pub partitions: Vec<PublishedPartition>,
}

/// A partition that got files. The rest of its definition is the table's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPartition {
    /// In the order of the table's keys.
    pub values: Vec<String>,
    /// Its folder, below the location of [`PublishedTable::input`].
    pub folder: String,
}

/// What becomes of the definition of a table that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableChange {
    /// It is replaced.
    Replace,
    /// Columns that it does not have are added behind its own; the location becomes that of the files.
    AddColumns,
    /// Nothing.
    Keep,
}

impl TenantCatalog {
    /// Registers tables and their partitions, all of them in one transaction.
    ///
    /// # Errors
    /// As for [`Self::with_tables`]; [`Error::Conflict`] when something is changed all the time.
    pub fn publish(&self, tables: &[PublishedTable]) -> Result<()> {
        let name = tables.first().map_or("", |table| &table.input.name);
        self.retry(Kind::Table, name, || {
            let transaction = tenon_store::Transaction::new(self.tenant());
            let transaction = self.with_tables(transaction, tables)?;
            self.commit(self.over(transaction))
        })
    }

    /// Adds tables with their partitions to a transaction on this tenant's records. When committing says that someone
    /// was faster, begin again with a fresh transaction.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a bad definition, a table that is there twice, or one that does not fit what the
    /// catalog has: a column of another type, other partition keys. [`Error::Store`].
    pub fn with_tables(
        &self,
        transaction: tenon_store::Transaction,
        tables: &[PublishedTable],
    ) -> Result<tenon_store::Transaction> {
        let mut by_database: BTreeMap<String, BTreeMap<String, &PublishedTable>> = BTreeMap::new();
        for published in tables {
            check(&published.input)?;
            let database = fold("database", &published.database)?;
            let name = fold("table", &published.input.name)?;
            let of_database = by_database.entry(database.clone()).or_default();
            if of_database.insert(name.clone(), published).is_some() {
                let table = full_name(&database, &name);
                return Err(Error::invalid(format!(
                    "table {table} would be registered twice"
                )));
            }
        }
        let mut transaction = self.over(transaction);
        for (database, tables) in by_database {
            transaction = self.with_tables_of(transaction, &database, tables)?;
        }
        Ok(transaction.into_store())
    }

    fn with_tables_of(
        &self,
        transaction: Transaction,
        database: &str,
        tables: BTreeMap<String, &PublishedTable>,
    ) -> Result<Transaction> {
        let mut transaction = self.with_database(transaction, database)?;
        let mut creates = false;
        for (name, published) in tables {
            let key = stored::table(database, &name);
            let old = self.read::<Table>(Tree::Object, &key)?;
            creates |= old.is_none();
            let (with_table, table) = match old {
                Some(old) => self.with_known(transaction, database, old, published)?,
                None => self.with_new(transaction, database, &name, published)?,
            };
            let partitions = partitions_of(&table.value, published);
            transaction = match partitions.is_empty() {
                true => with_table,
                false => self.with_partitions(with_table, table, key, partitions)?,
            };
        }
        if creates {
            let marker = stored::tables_created(database);
            transaction = transaction.put(Tree::Object, marker, stored::SCHEMA, Vec::new());
        }
        Ok(transaction)
    }

    /// The table as it is to be, created.
    fn with_new(
        &self,
        transaction: Transaction,
        database: &str,
        name: &str,
        published: &PublishedTable,
    ) -> Result<(Transaction, Stored<Table>)> {
        let key: Key = stored::table(database, name);
        let table = Table {
            create_time: self.now(),
            update_time: self.now(),
            version_id: Some("0".to_owned()),
            ..self.table_of(database, name, published.input.clone())
        };
        let payload = stored::encode(&table)?;
        let transaction = transaction
            .expect(Tree::Object, key.clone(), Expected::Absent)
            .put(Tree::Object, key, stored::SCHEMA, payload);
        let table = Stored {
            value: table,
            object_version: 0,
        };
        Ok((transaction, table))
    }

    /// The table as it is to be, in place of what it is.
    fn with_known(
        &self,
        transaction: Transaction,
        database: &str,
        old: Stored<Table>,
        published: &PublishedTable,
    ) -> Result<(Transaction, Stored<Table>)> {
        check_keys(&old.value, &published.input)?;
        let input = match published.change {
            TableChange::Replace => Some(published.input.clone()),
            TableChange::AddColumns => with_columns(&old.value, &published.input)?,
            TableChange::Keep => None,
        };
        let Some(input) = input else {
            let key = stored::table(database, &old.value.name);
            let transaction = transaction.expect(Tree::Object, key, old.unchanged());
            return Ok((transaction, old));
        };
        let replaced = self.with_table_replaced(transaction, database, &old, input, false);
        let (transaction, value) = replaced?;
        Ok((transaction, Stored { value, ..old }))
    }

    /// The database is there, or is created with the transaction.
    fn with_database(&self, transaction: Transaction, name: &str) -> Result<Transaction> {
        let key = stored::database(name);
        if self.object_version(Tree::Object, &key)?.is_some() {
            return Ok(transaction.expect(Tree::Object, key, Expected::Present));
        }
        let input = DatabaseInput {
            name: name.to_owned(),
            ..DatabaseInput::default()
        };
        let database = Database {
            create_time: self.now(),
            ..self.database_of(name, input)
        };
        let payload = stored::encode(&database)?;
        Ok(transaction
            .expect(Tree::Object, key.clone(), Expected::Absent)
            .put(Tree::Object, key, stored::SCHEMA, payload))
    }
}

/// The partitions as they are registered: they have the definition that their table has now.
fn partitions_of(table: &Table, published: &PublishedTable) -> Vec<PartitionInput> {
    let location = location_of(&published.input).map_or("", String::as_str);
    let descriptor = table.storage_descriptor.clone().unwrap_or_default();
    let partitions = published.partitions.iter().map(|partition| {
        let location = format!("{}/{}", location.trim_end_matches('/'), partition.folder);
        PartitionInput {
            values: partition.values.clone(),
            storage_descriptor: Some(StorageDescriptor {
                location: Some(location),
                ..descriptor.clone()
            }),
            ..PartitionInput::default()
        }
    });
    partitions.collect()
}

fn location_of(input: &TableInput) -> Option<&String> {
    let descriptor = input.storage_descriptor.as_ref()?;
    descriptor.location.as_ref()
}

/// Partitions of a table have a value for each of its keys, those that are there and those that come.
fn check_keys(table: &Table, input: &TableInput) -> Result<()> {
    let names = |keys: &[Column]| -> Vec<String> {
        keys.iter().map(|key| key.name.to_lowercase()).collect()
    };
    let (had, has) = (names(&table.partition_keys), names(&input.partition_keys));
    if had == has {
        return Ok(());
    }
    let database = table.database_name.as_deref().unwrap_or_default();
    Err(Error::invalid(format!(
        "table {} has the partition keys {had:?} and what was written has {has:?}",
        full_name(database, &table.name)
    )))
}

/// The table with the columns that it does not have yet behind its own; `None` when nothing is to be changed.
fn with_columns(table: &Table, input: &TableInput) -> Result<Option<TableInput>> {
    let old = table.storage_descriptor.clone().unwrap_or_default();
    let mut columns = old.columns.clone();
    for column in input.storage_descriptor.iter().flat_map(|d| &d.columns) {
        let is_same = |known: &&Column| known.name.eq_ignore_ascii_case(&column.name);
        match columns.iter().find(is_same) {
            Some(known) if !is_alike(known, column) => {
                return Err(other_type(table, known, column));
            }
            Some(_) => {}
            None => columns.push(column.clone()),
        }
    }
    let location = location_of(input).or(old.location.as_ref()).cloned();
    if columns == old.columns && location == old.location {
        return Ok(None);
    }
    let descriptor = StorageDescriptor {
        columns,
        location,
        ..old
    };
    Ok(Some(TableInput {
        storage_descriptor: Some(descriptor),
        ..input_of(table.clone())
    }))
}

/// Whether values of one column can be read as those of the other: their types are the same, however they are written.
fn is_alike(known: &Column, column: &Column) -> bool {
    let parsed = |column: &Column| -> Option<HiveType> { column.r#type.as_deref()?.parse().ok() };
    match (parsed(known), parsed(column)) {
        (Some(known), Some(column)) => known.to_arrow() == column.to_arrow(),
        // What nobody understands is not compared.
        _ => true,
    }
}

fn other_type(table: &Table, known: &Column, column: &Column) -> Error {
    let database = table.database_name.as_deref().unwrap_or_default();
    Error::invalid(format!(
        "column {:?} of table {} is {} and {} in what was written",
        known.name,
        full_name(database, &table.name),
        known.r#type.as_deref().unwrap_or("of no type"),
        column.r#type.as_deref().unwrap_or("of no type")
    ))
}

/// A table as somebody would define it.
fn input_of(table: Table) -> TableInput {
    TableInput {
        name: table.name,
        description: table.description,
        owner: table.owner,
        last_access_time: table.last_access_time,
        last_analyzed_time: table.last_analyzed_time,
        retention: table.retention,
        storage_descriptor: table.storage_descriptor,
        partition_keys: table.partition_keys,
        view_original_text: table.view_original_text,
        view_expanded_text: table.view_expanded_text,
        table_type: table.table_type,
        parameters: table.parameters,
        target_table: table.target_table,
        federated_table: table.federated_table,
        view_definition: table.view_definition,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use tenon_store::{ManualClock, SledStore, Store, StoreConfig, Tenant};

    use super::*;
    use crate::catalog::Catalog;

    fn input(name: &str, description: &str) -> TableInput {
        TableInput {
            name: name.to_owned(),
            description: Some(description.to_owned()),
            ..TableInput::default()
        }
    }

    fn published(database: &str, input: TableInput) -> PublishedTable {
        PublishedTable {
            database: database.to_owned(),
            input,
            change: TableChange::Replace,
            partitions: Vec::new(),
        }
    }

    /// What was written by years: a table of these columns, and the years that got rows.
    fn by_year(columns: &[(&str, &str)], location: &str, years: &[&str]) -> PublishedTable {
        let column = |(name, kind): &(&str, &str)| Column {
            name: (*name).to_owned(),
            r#type: Some((*kind).to_owned()),
            ..Column::default()
        };
        let input = TableInput {
            partition_keys: vec![column(&("year", "int"))],
            storage_descriptor: Some(StorageDescriptor {
                columns: columns.iter().map(column).collect(),
                location: Some(location.to_owned()),
                ..StorageDescriptor::default()
            }),
            ..input("t", "")
        };
        let partition = |year: &&str| PublishedPartition {
            values: vec![(*year).to_owned()],
            folder: format!("year={year}"),
        };
        PublishedTable {
            change: TableChange::AddColumns,
            partitions: years.iter().map(partition).collect(),
            ..published("d", input)
        }
    }

    fn opened(dir: &std::path::Path) -> (Arc<SledStore>, TenantCatalog) {
        let clock = ManualClock::new(SystemTime::UNIX_EPOCH);
        let store = Arc::new(SledStore::open(dir, &StoreConfig::default(), &clock).unwrap());
        let catalog = Catalog::open(Arc::clone(&store) as _, Arc::new(clock));
        (store, catalog.tenant(Tenant::new(1)))
    }

    fn location(catalog: &TenantCatalog, year: &str) -> Option<String> {
        let partition = catalog.get_partition("d", "t", &[year.to_owned()]).unwrap();
        partition.storage_descriptor.unwrap().location
    }

    #[test]
    fn a_table_gets_columns_and_partitions_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (_, catalog) = opened(dir.path());
        let first = by_year(&[("id", "bigint")], "/lake/t", &["2024", "2025"]);
        catalog.publish(std::slice::from_ref(&first)).unwrap();
        let indexed = crate::index::PartitionIndex {
            keys: vec!["year".to_owned()],
            index_name: "i".to_owned(),
        };
        catalog.create_partition_index("d", "t", &indexed).unwrap();
        catalog.finish_partition_index("d", "t", "i", None).unwrap();
        assert_eq!(
            location(&catalog, "2024").as_deref(),
            Some("/lake/t/year=2024")
        );

        // The same again changes nothing of the table.
        catalog.publish(&[first]).unwrap();
        let version = || catalog.get_table("d", "t").unwrap().version_id;
        assert_eq!(version().as_deref(), Some("0"));

        let more = by_year(
            &[("name", "string"), ("ID", "long")],
            "/lake/t2/",
            &["2025", "2026"],
        );
        catalog.publish(&[more]).unwrap();
        let descriptor = catalog
            .get_table("d", "t")
            .unwrap()
            .storage_descriptor
            .unwrap();
        let names: Vec<_> = descriptor
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        assert_eq!(names, ["id", "name"]);
        assert_eq!(descriptor.location.as_deref(), Some("/lake/t2/"));
        assert_eq!(version().as_deref(), Some("1"));
        let places = ["2024", "2025", "2026"].map(|year| location(&catalog, year).unwrap());
        assert_eq!(
            places,
            [
                "/lake/t/year=2024",
                "/lake/t2/year=2025",
                "/lake/t2/year=2026"
            ]
        );
        // Its index knows the new one too.
        let options = crate::partition::ListPartitions {
            expression: "year = 2026",
            limit: 10,
            ..crate::partition::ListPartitions::default()
        };
        assert_eq!(
            catalog
                .list_partitions("d", "t", &options)
                .unwrap()
                .items
                .len(),
            1
        );

        // One partition that is wrong, and nothing of the rest is there.
        let mut wrong = by_year(&[("id", "bigint"), ("new", "int")], "/lake/t", &["2027"]);
        wrong.partitions.push(PublishedPartition {
            values: vec!["a".to_owned(), "b".to_owned()],
            folder: String::new(),
        });
        catalog.publish(&[wrong]).unwrap_err();
        assert_eq!(version().as_deref(), Some("1"));
        catalog
            .get_partition("d", "t", &["2027".to_owned()])
            .unwrap_err();
    }

    #[test]
    fn what_does_not_fit_the_table_is_refused_and_what_is_kept_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (_, catalog) = opened(dir.path());
        let columns = [("id", "bigint")];
        catalog
            .publish(&[by_year(&columns, "/lake/t", &[])])
            .unwrap();
        let before = catalog.get_table("d", "t").unwrap();
        let other = by_year(&[("id", "string")], "/lake/t", &["2024"]);
        let said = catalog
            .publish(std::slice::from_ref(&other))
            .unwrap_err()
            .to_string();
        assert!(
            said.contains("column \"id\" of table d.t is bigint and string in what was written"),
            "{said}"
        );
        let mut flat = by_year(&columns, "/lake/t", &[]);
        flat.input.partition_keys.clear();
        let said = catalog.publish(&[flat]).unwrap_err().to_string();
        assert!(said.contains("has the partition keys [\"year\"]"), "{said}");

        let kept = PublishedTable {
            change: TableChange::Keep,
            ..other
        };
        catalog.publish(&[kept]).unwrap();
        assert_eq!(catalog.get_table("d", "t").unwrap(), before);
        assert_eq!(
            location(&catalog, "2024").as_deref(),
            Some("/lake/t/year=2024")
        );
    }

    #[test]
    fn tables_appear_with_the_transaction_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let (store, catalog) = opened(dir.path());
        let tenant = catalog.tenant();
        let place = tenon_store::Key::new().with_u8(99);
        let begun = |expected| {
            tenon_store::Transaction::new(tenant).expect(Tree::Run, place.clone(), expected)
        };
        let tables = ["A", "b"].map(|name| published("New", input(name, "first")));

        let doomed = catalog
            .with_tables(begun(Expected::Present), &tables)
            .unwrap();
        store.commit(doomed).unwrap_err();
        catalog.get_database("new").unwrap_err();

        let good = catalog
            .with_tables(begun(Expected::Absent), &tables)
            .unwrap();
        store.commit(good).unwrap();
        assert_eq!(
            catalog.get_table("new", "a").unwrap().version_id.as_deref(),
            Some("0")
        );
        let tables = [
            published("new", input("a", "second")),
            published("new", input("c", "first")),
        ];
        let good = catalog
            .with_tables(begun(Expected::Absent), &tables)
            .unwrap();
        store.commit(good).unwrap();
        let table = catalog.get_table("new", "a").unwrap();
        assert_eq!(
            (table.version_id.as_deref(), table.description.as_deref()),
            (Some("1"), Some("second"))
        );
        assert_eq!(catalog.list_tables("new", None, 10).unwrap().items.len(), 3);
        let old = catalog.get_table_version("new", "a", Some("0")).unwrap();
        assert_eq!(old.table.unwrap().description.as_deref(), Some("first"));

        let twice = ["x", "X"].map(|name| published("new", input(name, "")));
        let refused = catalog
            .with_tables(begun(Expected::Any), &twice)
            .unwrap_err();
        assert_eq!(refused.to_string(), "table new.x would be registered twice");
    }
}
