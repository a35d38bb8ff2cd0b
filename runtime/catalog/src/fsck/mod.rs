//! Checks that everything in a catalog has what it belongs to, can be read, and agrees with its indexes.
//!
//! ```text
//! nested catalog <── number, everything in it
//! database <── table <── version, partition <── statistics of the partition
//!          │         │                      <── entry of an index
//!          │         └── marker, statistics, definitions of indexes, shared descriptors
//!          └── marker, function
//! connection <── secrets        any of these <── tags        policy, settings, security configurations
//! ```
//!
//! Records are read in pages, parents one by one; memory grows with the number of nested catalogs only. It runs
//! beside other work: what looks wrong is read again before it is reported, and every repair is a transaction of its
//! own that asks for what it is based on. What cannot be read is reported and never touched; secrets are not
//! opened.
//!
//! | module | what is checked |
//! |---|---|
//! | `databases` | what lies in databases |
//! | `settings` | connections, tags, policy, settings |
//! | `nested` | that nested catalogs and their numbers fit together |

mod databases;
mod nested;
mod settings;

use std::collections::BTreeMap;
use std::fmt;

use tenon_store::{Expected, Key, Record, Tree};

use crate::catalog::TenantCatalog;
use crate::error::{Error, Result};
use crate::index::Indexes;
use crate::scope::Transaction;
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
    /// The nested catalog it lies in; `None` for the default one.
    pub catalog: Option<String>,
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
        if let Some(catalog) = &self.catalog {
            write!(f, "catalog {catalog}: ")?;
        }
        write!(f, "{} {}: {}; {remedy}", self.tree, self.key, self.problem)
    }
}

impl TenantCatalog {
    /// Checks this catalog, the default one with all nested ones; mends what can be mended when `mend` says so.
    ///
    /// # Errors
    /// [`Error::Store`] when the store cannot be read at all; damaged records are findings.
    pub fn fsck(&self, mend: bool) -> Result<FsckReport> {
        let mut check = Check::new(self, mend, FsckReport::default());
        check.databases()?;
        check.settings()?;
        if !self.is_default() {
            return Ok(check.report);
        }
        let nested = check.nested_catalogs()?;
        let mut report = check.report;
        for catalog in &nested {
            let mut check = Check::new(catalog, mend, report);
            check.databases()?;
            check.settings()?;
            report = check.report;
        }
        Ok(report)
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

impl<'a> Check<'a> {
    const fn new(catalog: &'a TenantCatalog, mend: bool, report: FsckReport) -> Self {
        Self {
            catalog,
            mend,
            report,
            present: None,
            table: None,
        }
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
            catalog: self.catalog.name().map(str::to_owned),
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
