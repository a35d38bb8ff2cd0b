//! What lies in databases: tables, functions, versions, partitions, statistics, indexes.

use tenon_store::{Expected, Key, Record, Tree};

use super::{Check, Known, Remedy};
use crate::error::{Error, Result};
use crate::function::UserDefinedFunction;
use crate::index::{IndexDefinition, IndexStatus, Indexes};
use crate::model::{Database, Partition, StorageDescriptor, Table};
use crate::partition::{LAYOUT, descriptor_key, read_compact};
use crate::statistics::Columns;
use crate::statistics_task::{StatisticsSettings, TableRuns};
use crate::stored;

impl Check<'_> {
    pub(super) fn databases(&mut self) -> Result<()> {
        self.objects()?;
        self.versions()?;
        self.partitions()?;
        self.entries()
    }

    fn objects(&mut self) -> Result<()> {
        self.each(
            Tree::Object,
            &stored::databases(),
            "database",
            |check, key, record| {
                check.readable::<Database>(Tree::Object, key, record);
                Ok(())
            },
        )?;
        for kind in stored::OF_DATABASES {
            self.each(
                Tree::Object,
                &Key::new().with_u8(kind),
                name(kind),
                |check, key, record| {
                    match kind {
                        stored::TABLE => check.readable::<Table>(Tree::Object, key, record),
                        stored::FUNCTION => {
                            check.readable::<UserDefinedFunction>(Tree::Object, key, record);
                        }
                        _ => {}
                    }
                    match stored::database_of(key) {
                        Some(database) => {
                            let parent = stored::database(&database);
                            check.dangling(Tree::Object, key, record, Tree::Object, &parent)
                        }
                        None => check.strange(Tree::Object, key),
                    }
                },
            )?;
        }
        for kind in stored::OF_TABLES {
            self.each(
                Tree::Object,
                &Key::new().with_u8(kind),
                name(kind),
                |check, key, record| {
                    match kind {
                        stored::TABLE_STATISTICS => {
                            check.readable::<Columns>(Tree::Object, key, record)
                        }
                        stored::PARTITION_INDEXES => {
                            check.readable::<Vec<IndexDefinition>>(Tree::Object, key, record);
                        }
                        stored::DESCRIPTOR => {
                            check.readable::<StorageDescriptor>(Tree::Object, key, record);
                        }
                        stored::STATISTICS_RUNS_OF_TABLE => {
                            check.readable::<TableRuns>(Tree::Object, key, record);
                        }
                        stored::STATISTICS_SETTINGS => {
                            check.readable::<StatisticsSettings>(Tree::Object, key, record);
                        }
                        _ => {}
                    }
                    check.of_table(Tree::Object, key, record)
                },
            )?;
        }
        Ok(())
    }

    fn versions(&mut self) -> Result<()> {
        self.each(
            Tree::Version,
            &stored::all_tables(),
            "table version",
            |check, key, record| {
                check.readable::<Table>(Tree::Version, key, record);
                check.of_table(Tree::Version, key, record)
            },
        )
    }

    fn partitions(&mut self) -> Result<()> {
        self.each(
            Tree::Partition,
            &stored::all_tables(),
            "partition",
            |check, key, record| {
                check.of_table(Tree::Partition, key, record)?;
                check.partition(key, record)
            },
        )?;
        let below = stored::all_partition_statistics();
        self.each(
            Tree::Partition,
            &below,
            "partition statistics",
            |check, key, record| {
                check.readable::<Columns>(Tree::Partition, key, record);
                let parent = stored::partition_of_statistics(key);
                check.dangling(Tree::Partition, key, record, Tree::Partition, &parent)
            },
        )
    }

    fn partition(&mut self, key: &Key, record: &Record) -> Result<()> {
        let (Some((database, table)), Some(values)) =
            (stored::table_of(key), stored::partition_values(key))
        else {
            return self.strange(Tree::Partition, key);
        };
        let table = stored::table(&database, &table);
        if record.schema < LAYOUT {
            self.readable::<Partition>(Tree::Partition, key, record);
        } else {
            match read_compact(key, record) {
                Ok(compact) => {
                    if let Some(digest) = compact.shared() {
                        self.has_descriptor(key, &descriptor_key(&table, digest))?;
                    }
                }
                Err(error) => self.find(Tree::Partition, key, &error.to_string(), Remedy::Restore),
            }
        }
        self.has_entries(key, &table, &values)
    }

    fn has_descriptor(&mut self, key: &Key, descriptor: &Key) -> Result<()> {
        if self.is_present(Tree::Object, descriptor)? {
            return Ok(());
        }
        if self.catalog.object_version(Tree::Partition, key)?.is_some() {
            let problem = format!("its descriptor {descriptor} is missing");
            self.find(Tree::Partition, key, &problem, Remedy::Restore);
        }
        Ok(())
    }

    fn has_entries(&mut self, partition: &Key, table: &Key, values: &[String]) -> Result<()> {
        let Some(indexes) = self.indexes(table)? else {
            return Ok(());
        };
        for definition in &indexes.definitions {
            let below = stored::index_entries(table, definition.id);
            let Some(entry) = definition.entry(below, values) else {
                continue;
            };
            if definition.index_status != IndexStatus::Active
                || self.catalog.object_version(Tree::Index, &entry)?.is_some()
                || self
                    .catalog
                    .object_version(Tree::Partition, partition)?
                    .is_none()
            {
                continue;
            }
            let name = &definition.index_name;
            let problem = format!("index {name} has no entry for partition {values:?}");
            let mend = indexes
                .expect(self.catalog.transaction())
                .expect(Tree::Partition, partition.clone(), Expected::Present)
                .put(Tree::Index, entry.clone(), stored::SCHEMA, Vec::new());
            self.find_and_mend(Tree::Index, &entry, &problem, Remedy::Write, mend)?;
        }
        Ok(())
    }

    fn entries(&mut self) -> Result<()> {
        self.each(
            Tree::Index,
            &stored::all_tables(),
            "index entry",
            |check, key, record| {
                let Some((database, name)) = stored::table_of(key) else {
                    return check.strange(Tree::Index, key);
                };
                let table = stored::table(&database, &name);
                let Some(indexes) = check.indexes(&table)? else {
                    return Ok(());
                };
                let partition = indexes.definitions.iter().find_map(|definition| {
                    let below = stored::index_entries(&table, definition.id);
                    if !key.starts_with(&below) {
                        return None;
                    }
                    let (values, _) = definition.values(key, below.as_bytes().len())?;
                    let same = definition.entry(below, &values)? == *key;
                    same.then(|| values.iter().fold(table.clone(), Key::with_part))
                });
                match partition {
                    Some(partition) => {
                        check.dangling(Tree::Index, key, record, Tree::Partition, &partition)
                    }
                    None => {
                        let mend = indexes.expect(check.catalog.transaction());
                        let problem = "it belongs to no index";
                        check.surplus(Tree::Index, key, record, problem, mend)
                    }
                }
            },
        )
    }

    /// The definitions of a table, kept while its records are checked; `None` when they cannot be read.
    fn indexes(&mut self, table: &Key) -> Result<Option<Indexes>> {
        if let Some(known) = self.table.as_ref().filter(|known| known.key == *table) {
            return Ok(Some(known.indexes.clone()));
        }
        let indexes = match self.catalog.indexes(table) {
            // It is reported where it lies.
            Err(Error::Store(tenon_store::Error::DamagedRecord { .. })) => {
                return Ok(None);
            }
            outcome => outcome?,
        };
        self.table = Some(Known {
            key: table.clone(),
            indexes: indexes.clone(),
        });
        Ok(Some(indexes))
    }
}

fn name(kind: u8) -> &'static str {
    match kind {
        stored::TABLE => "table",
        stored::FUNCTION => "function",
        stored::TABLE_STATISTICS => "table statistics",
        stored::PARTITION_INDEXES => "partition indexes",
        stored::DESCRIPTOR => "descriptor",
        stored::STATISTICS_RUNS_OF_TABLE => "statistics runs of a table",
        stored::STATISTICS_SETTINGS => "statistics settings",
        _ => "marker",
    }
}
