//! Lines become objects. What belongs together is gathered until its transaction.

use std::io::Read;

use super::file::Lines;
use super::object::{Object, StatisticsList};
use super::{ImportReport, TransferError};
use crate::catalog::TenantCatalog;
use crate::error::{Error, Kind};
use crate::index::PartitionIndex;
use crate::model::{Partition, Table};
use crate::nested::NestedCatalog;
use crate::statistics::{ColumnStatistics, StatisticsOf};
use crate::table::full_name;
use crate::tag::Tags;

/// Partitions created in one transaction.
const BATCH: usize = 100;

/// Failures that are told one by one.
const MAX_SHOWN: usize = 100;

/// Reads a file that was found whole.
pub(super) fn import(
    catalog: &TenantCatalog,
    reader: &mut impl Read,
) -> Result<ImportReport, TransferError> {
    let mut import = Import {
        outermost: catalog,
        current: Some(catalog.clone()),
        report: ImportReport::default(),
        tags: Tags::new(),
        table: None,
        partitions: Vec::new(),
    };
    let mut lines = Lines::new(reader);
    while let Some(line) = lines.next()? {
        // The first and the last line are no objects.
        if let Ok(object) = serde_json::from_slice::<Object>(&line) {
            import.take(object)?;
        }
    }
    import.flush()?;
    Ok(import.report)
}

/// A table with what is created together with it.
pub(super) struct WholeTable {
    pub(super) table: Table,
    pub(super) tags: Tags,
    pub(super) versions: Vec<Table>,
    pub(super) indexes: Vec<PartitionIndex>,
    pub(super) statistics: Vec<ColumnStatistics>,
}

struct Import<'a> {
    outermost: &'a TenantCatalog,
    /// Where objects go; `None` when that nested catalog could not be created.
    current: Option<TenantCatalog>,
    report: ImportReport,
    /// Of the object that comes next.
    tags: Tags,
    table: Option<WholeTable>,
    /// Partitions of one table that wait for their transaction.
    partitions: Vec<Partition>,
}

impl Import<'_> {
    /// The order of objects is known to be right: what belongs to a table comes behind it.
    fn take(&mut self, object: Object) -> Result<(), TransferError> {
        match object {
            Object::Tags(tags) => {
                self.tags = tags;
                Ok(())
            }
            Object::TableVersion(version) => self.of_table(|whole| whole.versions.push(version)),
            Object::PartitionIndexes(found) => self.of_table(|whole| whole.indexes = found.indexes),
            Object::ColumnStatistics(found) if found.values.is_none() => {
                self.of_table(|whole| whole.statistics = found.columns)
            }
            Object::Partition(partition) => self.partition(partition),
            other => {
                self.flush()?;
                self.alone(other)
            }
        }
    }

    fn of_table(&mut self, add: impl FnOnce(&mut WholeTable)) -> Result<(), TransferError> {
        if let Some(whole) = &mut self.table {
            add(whole);
        }
        Ok(())
    }

    fn alone(&mut self, object: Object) -> Result<(), TransferError> {
        let (kind, tags) = (object.kind(), std::mem::take(&mut self.tags));
        let (name, outcome) = match object {
            Object::Catalog(nested) => return self.nested(nested, &tags),
            Object::Table(table) => {
                self.table = Some(WholeTable {
                    table,
                    tags,
                    versions: Vec::new(),
                    indexes: Vec::new(),
                    statistics: Vec::new(),
                });
                return Ok(());
            }
            Object::DefaultCatalog(said) => (
                String::new(),
                self.within(|catalog| catalog.import_default_catalog(said.as_ref(), &tags)),
            ),
            Object::EncryptionSettings(settings) => (
                String::new(),
                self.within(|catalog| catalog.import_encryption_settings(&settings)),
            ),
            Object::ResourcePolicy(policy) => (
                String::new(),
                self.within(|catalog| catalog.import_resource_policy(&policy)),
            ),
            Object::SecurityConfiguration(configuration) => (
                configuration.name.clone(),
                self.within(|catalog| catalog.import_security_configuration(&configuration)),
            ),
            Object::Connection(connection) => (
                connection.name.clone(),
                self.within(|catalog| catalog.import_connection(&connection, &tags)),
            ),
            Object::Database(database) => (
                database.name.clone(),
                self.within(|catalog| catalog.import_database(database, &tags)),
            ),
            Object::Function(function) => (
                function.function_name.clone(),
                self.within(|catalog| catalog.import_function(function, &tags)),
            ),
            Object::ColumnStatistics(found) => (
                full_name(&found.database_name, &found.table_name),
                self.within(|catalog| import_statistics(catalog, &found)),
            ),
            Object::Tags(_)
            | Object::TableVersion(_)
            | Object::PartitionIndexes(_)
            | Object::Partition(_) => return Ok(()),
        };
        self.note_tagged(kind, &name, &tags, outcome)
    }

    /// Does something in the current catalog.
    fn within<T>(&self, work: impl FnOnce(&TenantCatalog) -> Result<T, Error>) -> Result<T, Error> {
        let missing = || Error::invalid("the catalog it lies in could not be created");
        work(self.current.as_ref().ok_or_else(missing)?)
    }

    fn nested(&mut self, nested: NestedCatalog, tags: &Tags) -> Result<(), TransferError> {
        let name = nested.name.clone();
        let outcome = self.outermost.put_new_catalog(nested, tags);
        self.note_tagged("Catalog", &name, tags, outcome)?;
        // One that was there before takes what it lacks.
        self.current = match self.outermost.nested(&name) {
            Err(error @ Error::Store(_)) => return Err(error.into()),
            outcome => outcome.ok(),
        };
        Ok(())
    }

    fn partition(&mut self, partition: Partition) -> Result<(), TransferError> {
        self.flush_table()?;
        if self.partitions.len() == BATCH {
            self.flush_partitions()?;
        }
        self.partitions.push(partition);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), TransferError> {
        self.flush_table()?;
        self.flush_partitions()
    }

    fn flush_table(&mut self) -> Result<(), TransferError> {
        let Some(whole) = self.table.take() else {
            return Ok(());
        };
        let database = whole.table.database_name.clone().unwrap_or_default();
        let name = full_name(&database, &whole.table.name);
        let counts = [
            ("TableVersion", whole.versions.len() as u64),
            ("ColumnStatistics", u64::from(!whole.statistics.is_empty())),
            ("PartitionIndexes", u64::from(!whole.indexes.is_empty())),
        ];
        let tags = whole.tags.clone();
        let outcome = self.within(|catalog| catalog.import_table(whole));
        for (kind, count) in counts {
            self.note(kind, count, &name, outcome.clone())?;
        }
        self.note_tagged("Table", &name, &tags, outcome)
    }

    fn flush_partitions(&mut self) -> Result<(), TransferError> {
        let partitions = std::mem::take(&mut self.partitions);
        let Some(first) = partitions.first() else {
            return Ok(());
        };
        let database = first.database_name.clone().unwrap_or_default();
        let table = first.table_name.clone().unwrap_or_default();
        let name = full_name(&database, &table);
        let count = partitions.len() as u64;
        match self.within(|catalog| catalog.add_partitions(&database, &table, partitions)) {
            Ok(outcomes) => outcomes
                .into_iter()
                .try_for_each(|outcome| self.note("Partition", 1, &name, outcome)),
            Err(error) => self.note("Partition", count, &name, Err(error)),
        }
    }

    /// Tags share the fate of their object.
    fn note_tagged(
        &mut self,
        kind: &str,
        name: &str,
        tags: &Tags,
        outcome: Result<(), Error>,
    ) -> Result<(), TransferError> {
        let count = u64::from(!tags.is_empty());
        self.note("Tags", count, name, outcome.clone())?;
        self.note(kind, 1, name, outcome)
    }

    fn note(
        &mut self,
        kind: &str,
        count: u64,
        name: &str,
        outcome: Result<(), Error>,
    ) -> Result<(), TransferError> {
        if count == 0 {
            return Ok(());
        }
        let counts = match outcome {
            Ok(()) => &mut self.report.created,
            Err(Error::AlreadyExists { .. }) => &mut self.report.existing,
            Err(error @ Error::Store(_)) => return Err(error.into()),
            Err(error) => {
                if self.report.reasons.len() < MAX_SHOWN {
                    self.report.reasons.push(format!("{kind} {name}: {error}"));
                }
                &mut self.report.failed
            }
        };
        *counts.entry(kind.to_owned()).or_default() += count;
        Ok(())
    }
}

/// Statistics of a partition that has none yet.
fn import_statistics(catalog: &TenantCatalog, found: &StatisticsList) -> Result<(), Error> {
    let of = StatisticsOf {
        database: &found.database_name,
        table: &found.table_name,
        partition: found.values.as_deref(),
    };
    if !catalog.all_statistics(of)?.is_empty() {
        return Err(Error::AlreadyExists {
            kind: Kind::ColumnStatistics,
            name: full_name(of.database, of.table),
        });
    }
    let outcomes = catalog.update_statistics(of, &found.columns)?;
    outcomes.into_iter().collect()
}
