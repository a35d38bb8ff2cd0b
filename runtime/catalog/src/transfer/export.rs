//! A catalog becomes lines. Everything is read in pages, so memory does not grow with the catalog.

use std::io::Write;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tenon_store::{Key, Tree};

use super::file::{Footer, Header};
use super::object::{IndexesOfTable, Object, StatisticsList};
use super::{Counts, TransferError};
use crate::catalog::{Page, TenantCatalog};
use crate::error::{Error, Result};
use crate::index::{IndexStatus, PartitionIndex, PartitionIndexDescriptor};
use crate::model::{Database, Partition, Table};
use crate::partition::ListPartitions;
use crate::statistics::{ColumnStatistics, Columns, StatisticsOf};
use crate::stored;
use crate::tag::Resource;

/// Items read at once.
const PAGE: usize = 1000;

/// Definitions of tables read at once: they may be large.
const TABLES: usize = 100;

pub(super) fn export(
    catalog: &TenantCatalog,
    writer: &mut dyn Write,
) -> Result<Counts, TransferError> {
    let mut export = Export {
        catalog: catalog.clone(),
        writer,
        hash: Sha256::new(),
        written: Counts::new(),
    };
    export.line(&Header::new(catalog.catalog_id()))?;
    if catalog.is_default() {
        export.default_catalog()?;
        export.contents()?;
        export.nested_catalogs()?;
    } else {
        export.contents()?;
    }
    export.finish()
}

struct Export<'a> {
    /// The one that is being written.
    catalog: TenantCatalog,
    writer: &'a mut dyn Write,
    hash: Sha256,
    written: Counts,
}

impl Export<'_> {
    fn default_catalog(&mut self) -> Result<(), TransferError> {
        let said = self.read(&stored::default_catalog())?;
        let tags = self.catalog.tags(Resource::Catalog(None))?;
        if said.is_none() && tags.is_empty() {
            return Ok(());
        }
        self.tagged(Resource::Catalog(None), &Object::DefaultCatalog(said))
    }

    fn nested_catalogs(&mut self) -> Result<(), TransferError> {
        let default = self.catalog.clone();
        let list = |token: Option<&str>| default.list_catalogs(token, PAGE);
        for_each(list, |nested| {
            let name = nested.name.clone();
            self.tagged(Resource::Catalog(Some(&name)), &Object::Catalog(nested))?;
            // Deleted since: it is in the file without anything in it.
            gone_is_fine(
                default
                    .nested(&name)
                    .map_err(Into::into)
                    .and_then(|nested| {
                        self.catalog = nested;
                        self.contents()
                    }),
            )?;
            self.catalog = default.clone();
            Ok(())
        })
    }

    /// What is in one catalog.
    fn contents(&mut self) -> Result<(), TransferError> {
        if let Some(settings) = self.read(&stored::encryption_settings())? {
            self.object(&Object::EncryptionSettings(settings))?;
        }
        if let Some(policy) = self.read(&stored::resource_policy())? {
            self.object(&Object::ResourcePolicy(policy))?;
        }
        let catalog = self.catalog.clone();
        let list = |token: Option<&str>| catalog.list_security_configurations(token, PAGE);
        for_each(list, |configuration| {
            self.object(&Object::SecurityConfiguration(configuration))
        })?;
        let list = |token: Option<&str>| catalog.list_connections(token, PAGE);
        for_each(list, |connection| {
            let name = connection.name.clone();
            self.tagged(Resource::Connection(&name), &Object::Connection(connection))
        })?;
        let list = |token: Option<&str>| catalog.list_databases(token, PAGE);
        for_each(list, |database| self.database(database))
    }

    fn database(&mut self, database: Database) -> Result<(), TransferError> {
        let name = database.name.clone();
        let database = Database {
            catalog_id: None,
            ..database
        };
        self.tagged(Resource::Database(&name), &Object::Database(database))?;
        gone_is_fine(self.functions(&name))?;
        gone_is_fine(self.tables(&name))
    }

    fn functions(&mut self, database: &str) -> Result<(), TransferError> {
        let catalog = self.catalog.clone();
        let list = |token: Option<&str>| catalog.list_functions(database, token, PAGE);
        for_each(list, |mut function| {
            let name = function.function_name.clone();
            function.catalog_id = None;
            let resource = Resource::Function(database, &name);
            self.tagged(resource, &Object::Function(function))
        })
    }

    fn tables(&mut self, database: &str) -> Result<(), TransferError> {
        let catalog = self.catalog.clone();
        let list = |token: Option<&str>| catalog.list_tables(database, token, TABLES);
        for_each(list, |table| {
            let name = table.name.clone();
            let object = Object::Table(anywhere(table));
            self.tagged(Resource::Table(database, &name), &object)?;
            gone_is_fine(self.table(database, &name))
        })
    }

    fn table(&mut self, database: &str, table: &str) -> Result<(), TransferError> {
        let catalog = self.catalog.clone();
        let mut is_current = true;
        let list = |token: Option<&str>| catalog.get_table_versions(database, table, token, TABLES);
        for_each(list, |version| {
            match version.table {
                Some(version) if !is_current => {
                    self.object(&Object::TableVersion(anywhere(version)))?;
                }
                _ => {}
            }
            is_current = false;
            Ok(())
        })?;
        self.indexes(database, table)?;
        let of = StatisticsOf {
            database,
            table,
            partition: None,
        };
        let columns = self.catalog.all_statistics(of)?;
        self.statistics(of, columns)?;
        self.partitions(database, table)?;
        self.partition_statistics(database, table)
    }

    fn indexes(&mut self, database: &str, table: &str) -> Result<(), TransferError> {
        let found = self.catalog.get_partition_indexes(database, table)?;
        let is_kept = |index: &PartitionIndexDescriptor| {
            matches!(
                index.index_status,
                IndexStatus::Active | IndexStatus::Creating
            )
        };
        let definition = |index: PartitionIndexDescriptor| PartitionIndex {
            index_name: index.index_name,
            keys: index.keys.into_iter().map(|key| key.name).collect(),
        };
        let indexes: Vec<_> = found.into_iter().filter(is_kept).map(definition).collect();
        if indexes.is_empty() {
            return Ok(());
        }
        self.object(&Object::PartitionIndexes(IndexesOfTable {
            database_name: database.to_owned(),
            table_name: table.to_owned(),
            indexes,
        }))
    }

    fn statistics(
        &mut self,
        of: StatisticsOf<'_>,
        columns: Vec<ColumnStatistics>,
    ) -> Result<(), TransferError> {
        if columns.is_empty() {
            return Ok(());
        }
        self.object(&Object::ColumnStatistics(StatisticsList {
            database_name: of.database.to_owned(),
            table_name: of.table.to_owned(),
            values: of.partition.map(<[String]>::to_vec),
            columns,
        }))
    }

    fn partitions(&mut self, database: &str, table: &str) -> Result<(), TransferError> {
        let catalog = self.catalog.clone();
        let list = |token: Option<&str>| {
            let options = ListPartitions {
                token,
                limit: PAGE,
                ..ListPartitions::default()
            };
            catalog.list_partitions(database, table, &options)
        };
        for_each(list, |partition| {
            self.object(&Object::Partition(Partition {
                catalog_id: None,
                ..partition
            }))
        })
    }

    fn partition_statistics(&mut self, database: &str, table: &str) -> Result<(), TransferError> {
        let below = stored::partition_statistics_of(&stored::table(database, table));
        let mut after = None;
        loop {
            let page = self
                .catalog
                .scan(Tree::Partition, &below, after.as_ref(), PAGE)?;
            for (key, record) in &page.records {
                let values = stored::partition_values(key).unwrap_or_default();
                let columns: Columns = stored::decode(Tree::Partition, key, record)?;
                let of = StatisticsOf {
                    database,
                    table,
                    partition: Some(&values),
                };
                self.statistics(of, columns.into_values().collect())?;
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    fn read<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>> {
        let found = self.catalog.read(Tree::Object, key)?;
        Ok(found.map(|found| found.value))
    }

    /// An object with its tags before it.
    fn tagged(&mut self, resource: Resource<'_>, object: &Object) -> Result<(), TransferError> {
        let tags = match self.catalog.tags(resource) {
            Err(Error::NotFound { .. }) => return Ok(()),
            outcome => outcome?,
        };
        if !tags.is_empty() {
            self.object(&Object::Tags(tags))?;
        }
        self.object(object)
    }

    fn object(&mut self, object: &Object) -> Result<(), TransferError> {
        *self.written.entry(object.kind().to_owned()).or_default() += 1;
        self.line(object)
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), TransferError> {
        let mut line = stored::encode(value)?;
        line.push(b'\n');
        self.hash.update(&line);
        Ok(self.writer.write_all(&line)?)
    }

    fn finish(self) -> Result<Counts, TransferError> {
        let footer = Footer::new(self.hash, self.written.clone());
        let mut line = stored::encode(&footer)?;
        line.push(b'\n');
        self.writer.write_all(&line)?;
        self.writer.flush()?;
        Ok(self.written)
    }
}

/// Visits the items of all pages of a list.
fn for_each<T>(
    list: impl Fn(Option<&str>) -> Result<Page<T>>,
    mut visit: impl FnMut(T) -> Result<(), TransferError>,
) -> Result<(), TransferError> {
    let mut token = None::<String>;
    loop {
        let page = list(token.as_deref())?;
        page.items.into_iter().try_for_each(&mut visit)?;
        token = page.next;
        if token.is_none() {
            return Ok(());
        }
    }
}

/// A definition without the account it lies in: whoever imports it has another.
fn anywhere(table: Table) -> Table {
    Table {
        catalog_id: None,
        ..table
    }
}

/// What was deleted meanwhile is left out.
fn gone_is_fine(outcome: Result<(), TransferError>) -> Result<(), TransferError> {
    match outcome {
        Err(TransferError::Catalog(Error::NotFound { .. })) => Ok(()),
        outcome => outcome,
    }
}
