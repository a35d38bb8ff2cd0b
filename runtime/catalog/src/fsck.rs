//! Checks that databases and what lies below them have what they belong to, can be read, and agree with their indexes. Tags,
//! connections and policies are not looked at.
//!
//! ```text
//! database <── table <── version, partition <── statistics of the partition
//!          │         │                      <── entry of an index
//!          │         └── marker, statistics, definitions of indexes, shared descriptors
//!          └── marker, function
//! ```
//!
//! Records are read in pages, parents one by one; memory does not grow with the catalog. It runs beside
//! other work: what looks wrong is read again before it is reported, and every repair is a transaction of its own
//! that asks for what it is based on. What cannot be read is reported and never touched.

use std::collections::BTreeMap;
use std::fmt;

use tenon_store::{Expected, Key, Record, Tree};

use crate::catalog::TenantCatalog;
use crate::error::{Error, Result};
use crate::function::UserDefinedFunction;
use crate::index::{IndexDefinition, IndexStatus, Indexes};
use crate::model::{Database, Partition, StorageDescriptor, Table};
use crate::partition::{LAYOUT, descriptor_key, read_compact};
use crate::scope::Transaction;
use crate::statistics::Columns;
use crate::stored;

/// Records read at once.
const BATCH: usize = 1000;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FsckReport {
    /// Records that were looked at, by kind.
    pub checked: BTreeMap<&'static str, u64>,
    /// What is wrong, in the order it was found.
    pub findings: Vec<Finding>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Tree of the record.
    pub tree: &'static str,
    /// The record.
    pub key: Key,
    /// What is wrong.
    pub problem: String,
    /// What would mend it.
    pub remedy: Remedy,
    /// Whether it was mended.
    pub mended: bool,
}

/// What mends a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Delete the record: nothing leads to it.
    Delete,
    /// Write the record that is missing.
    Write,
    /// Nothing that can be done here: restore it from a backup.
    Restore,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remedy = match (self.mended, self.remedy) {
            (true, _) => "mended",
            (_, Remedy::Delete) => "mending deletes it",
            (_, Remedy::Write) => "mending writes it",
            (_, Remedy::Restore) => "restore it from a backup",
        };
        write!(f, "{} {}: {}; {remedy}", self.tree, self.key, self.problem)
    }
}

impl TenantCatalog {
    /// Checks this catalog; mends what can be mended when `mend` says so. Nested catalogs are checked by
    /// themselves.
    ///
    /// # Errors
    /// [`Error::Store`] when the store cannot be read at all; damaged records are findings.
    pub fn fsck(&self, mend: bool) -> Result<FsckReport> {
        let mut check = Check {
            catalog: self,
            mend,
            report: FsckReport::default(),
            present: None,
            table: None,
        };
        check.objects()?;
        check.versions()?;
        check.partitions()?;
        check.entries()?;
        Ok(check.report)
    }
}

/// A table whose records are being checked.
struct Known {
    key: Key,
    indexes: Indexes,
}

struct Check<'a> {
    catalog: &'a TenantCatalog,
    mend: bool,
    report: FsckReport,
    /// The parent that was asked for last, and whether it is there.
    present: Option<(Tree, Key, bool)>,
    table: Option<Known>,
}

impl Check<'_> {
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

    fn of_table(&mut self, tree: Tree, key: &Key, record: &Record) -> Result<()> {
        match stored::table_of(key) {
            Some((database, table)) => {
                let parent = stored::table(&database, &table);
                self.dangling(tree, key, record, Tree::Object, &parent)
            }
            None => self.strange(tree, key),
        }
    }

    /// Reports a record whose parent is not there.
    fn dangling(
        &mut self,
        tree: Tree,
        key: &Key,
        record: &Record,
        parent_tree: Tree,
        parent: &Key,
    ) -> Result<()> {
        if self.is_present(parent_tree, parent)? {
            return Ok(());
        }
        let problem = format!("{parent_tree} {parent}, which it belongs to, does not exist");
        let transaction = self.catalog.transaction();
        let mend = transaction.expect(parent_tree, parent.clone(), Expected::Absent);
        self.surplus(tree, key, record, &problem, mend)
    }

    /// Reports a record that is too many, unless it is gone or another by now.
    fn surplus(
        &mut self,
        tree: Tree,
        key: &Key,
        record: &Record,
        problem: &str,
        mend: Transaction,
    ) -> Result<()> {
        if self.catalog.object_version(tree, key)? != Some(record.version) {
            return Ok(());
        }
        let mend = mend
            .expect(tree, key.clone(), Expected::Version(record.version))
            .delete(tree, key.clone());
        self.find_and_mend(tree, key, problem, Remedy::Delete, mend)
    }

    fn is_present(&mut self, tree: Tree, key: &Key) -> Result<bool> {
        if let Some((known_tree, known, present)) = &self.present
            && (*known_tree, known) == (tree, key)
            && *present
        {
            return Ok(true);
        }
        // A damaged parent is there, and reported where it lies.
        let present = match self.catalog.object_version(tree, key) {
            Err(Error::Store(tenon_store::Error::DamagedRecord { .. })) => true,
            outcome => outcome?.is_some(),
        };
        self.present = Some((tree, key.clone(), present));
        Ok(present)
    }

    fn readable<T: serde::de::DeserializeOwned>(&mut self, tree: Tree, key: &Key, record: &Record) {
        if let Err(error) = stored::decode::<T>(tree, key, record) {
            self.find(tree, key, &error.to_string(), Remedy::Restore);
        }
    }

    fn strange(&mut self, tree: Tree, key: &Key) -> Result<()> {
        self.find(tree, key, "its key has another shape", Remedy::Restore);
        Ok(())
    }

    fn find(&mut self, tree: Tree, key: &Key, problem: &str, remedy: Remedy) {
        self.report.findings.push(Finding {
            tree: tree.name(),
            key: key.clone(),
            problem: problem.to_owned(),
            remedy,
            mended: false,
        });
    }

    fn find_and_mend(
        &mut self,
        tree: Tree,
        key: &Key,
        problem: &str,
        remedy: Remedy,
        mend: Transaction,
    ) -> Result<()> {
        self.find(tree, key, problem, remedy);
        if !self.mend {
            return Ok(());
        }
        match self.catalog.commit(mend) {
            Ok(()) => {
                self.present = None;
                if let Some(finding) = self.report.findings.last_mut() {
                    finding.mended = true;
                }
                Ok(())
            }
            // Someone else was at it: the next check will see.
            Err(error) if error.is_store_conflict() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Visits every record below `prefix` that can be read and reports the others.
    fn each(
        &mut self,
        tree: Tree,
        prefix: &Key,
        kind: &'static str,
        mut visit: impl FnMut(&mut Self, &Key, &Record) -> Result<()>,
    ) -> Result<()> {
        let (mut after, mut batch) = (None, BATCH);
        loop {
            match self.catalog.scan(tree, prefix, after.as_ref(), batch) {
                Ok(page) => {
                    for (key, record) in &page.records {
                        *self.report.checked.entry(kind).or_default() += 1;
                        visit(self, key, record)?;
                    }
                    after = page.next;
                    if after.is_none() {
                        return Ok(());
                    }
                }
                // One by one up to the damaged record.
                Err(Error::Store(tenon_store::Error::DamagedRecord { .. })) if batch > 1 => {
                    batch = 1
                }
                Err(Error::Store(tenon_store::Error::DamagedRecord { key, reason, .. })) => {
                    let own = self.catalog.own(&key);
                    self.find(tree, &own, &reason, Remedy::Restore);
                    if !own.starts_with(prefix) || after.as_ref() >= Some(&own) {
                        let problem = "what comes after the damaged record could not be checked";
                        self.find(tree, prefix, problem, Remedy::Restore);
                        return Ok(());
                    }
                    (after, batch) = (Some(own), BATCH);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn name(kind: u8) -> &'static str {
    match kind {
        stored::TABLE => "table",
        stored::FUNCTION => "function",
        stored::TABLE_STATISTICS => "table statistics",
        stored::PARTITION_INDEXES => "partition indexes",
        stored::DESCRIPTOR => "descriptor",
        _ => "marker",
    }
}
