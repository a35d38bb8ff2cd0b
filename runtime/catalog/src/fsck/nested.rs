//! Whether nested catalogs, their numbers and what lies below those fit together.
//!
//! A catalog without its number takes no writes; a number without a catalog keeps what nobody reaches; the next
//! number must be one that was never used; and what is marked to be swept must not be in use.

use std::collections::{BTreeMap, BTreeSet};

use tenon_store::{Expected, Key, Record, Tree};

use super::{Check, Remedy};
use crate::catalog::TenantCatalog;
use crate::error::{Error, Result};
use crate::nested::Numbered;
use crate::scope::Scope;
use crate::stored;

impl Check<'_> {
    /// Checks the records of nested catalogs; returns the catalogs.
    pub(super) fn nested_catalogs(&mut self) -> Result<Vec<TenantCatalog>> {
        // Numbers first: one whose catalog is then not found has lost it, or both are gone by now.
        let numbers = self.numbers()?;
        let unreadable = self.unreadable();
        let catalogs = self.catalogs()?;
        // What cannot be read may be the catalog of any number.
        let are_all = self.unreadable() == unreadable;
        for (number, record) in &numbers {
            if are_all && !catalogs.contains_key(number) {
                self.lost_number(*number, record)?;
            }
        }
        self.next_number(catalogs.keys().chain(numbers.keys()).max())?;
        let in_use = catalogs.keys().copied().collect();
        self.remains(&in_use)?;
        for tree in Tree::ALL {
            self.lost_records(tree, &in_use)?;
        }
        if self.mend {
            self.catalog.sweep_remains()?;
        }
        let scopes = catalogs
            .iter()
            .map(|(number, name)| Scope::nested(name, *number));
        Ok(scopes.map(|scope| self.catalog.in_scope(scope)).collect())
    }

    fn unreadable(&self) -> usize {
        let findings = self.report.findings.iter();
        findings
            .filter(|finding| finding.remedy == Remedy::Restore)
            .count()
    }

    fn numbers(&mut self) -> Result<BTreeMap<u32, Record>> {
        let mut numbers = BTreeMap::new();
        self.each(
            Tree::Object,
            &stored::catalog_numbers(),
            "catalog number",
            |check, key, record| {
                match stored::number_of(key) {
                    Some(number) => drop(numbers.insert(number, record.clone())),
                    // The next number.
                    None => check.readable::<u32>(Tree::Object, key, record),
                }
                Ok(())
            },
        )?;
        Ok(numbers)
    }

    /// Names by number.
    fn catalogs(&mut self) -> Result<BTreeMap<u32, String>> {
        let mut catalogs = BTreeMap::new();
        self.each(
            Tree::Object,
            &stored::catalogs(),
            "catalog",
            |check, key, record| {
                let found = match stored::decode::<Numbered>(Tree::Object, key, record) {
                    Ok(found) => found,
                    Err(error) => {
                        check.find(Tree::Object, key, &error.to_string(), Remedy::Restore);
                        return Ok(());
                    }
                };
                let number = found.number;
                catalogs.insert(number, found.catalog.name);
                check.has_number(key, record, number)
            },
        )?;
        Ok(catalogs)
    }

    fn has_number(&mut self, catalog: &Key, record: &Record, number: u32) -> Result<()> {
        let key = stored::catalog_number(number);
        let version = self.catalog.object_version(Tree::Object, catalog)?;
        if version != Some(record.version)
            || self.catalog.object_version(Tree::Object, &key)?.is_some()
        {
            return Ok(());
        }
        let mend = self
            .catalog
            .transaction()
            .expect(
                Tree::Object,
                catalog.clone(),
                Expected::Version(record.version),
            )
            .put(Tree::Object, key.clone(), stored::SCHEMA, Vec::new());
        let problem = format!("catalog {catalog} has no number, nothing can be written into it");
        self.find_and_mend(Tree::Object, &key, &problem, Remedy::Write, mend)
    }

    /// A number whose catalog is not there; what lies below it is marked to be swept.
    fn lost_number(&mut self, number: u32, record: &Record) -> Result<()> {
        let transaction = self.catalog.transaction();
        let mend = transaction.put(
            Tree::Object,
            stored::remains_of(number),
            stored::SCHEMA,
            Vec::new(),
        );
        let key = stored::catalog_number(number);
        self.surplus(
            Tree::Object,
            &key,
            record,
            "its catalog does not exist",
            mend,
        )
    }

    fn next_number(&mut self, last: Option<&u32>) -> Result<()> {
        let key = stored::catalog_numbers();
        let found = match self.catalog.read::<u32>(Tree::Object, &key) {
            // It is reported where it lies.
            Err(_) => return Ok(()),
            Ok(found) => found,
        };
        let (next, unchanged) = match &found {
            None => (1, Expected::Absent),
            Some(found) => (found.value, found.unchanged()),
        };
        let Some(last) = last.filter(|last| **last >= next) else {
            return Ok(());
        };
        let mend = self
            .catalog
            .transaction()
            .expect(Tree::Object, key.clone(), unchanged)
            .put(
                Tree::Object,
                key.clone(),
                stored::SCHEMA,
                stored::encode(&(last + 1))?,
            );
        let problem = format!("the next catalog would get number {next}, and {last} is in use");
        self.find_and_mend(Tree::Object, &key, &problem, Remedy::Write, mend)
    }

    fn remains(&mut self, in_use: &BTreeSet<u32>) -> Result<()> {
        self.each(
            Tree::Object,
            &stored::remains(),
            "deleted catalog",
            |check, key, record| match stored::number_of(key) {
                None => check.strange(Tree::Object, key),
                Some(number) if in_use.contains(&number) => {
                    let mend = check.catalog.transaction().expect(
                        Tree::Object,
                        stored::catalog_number(number),
                        Expected::Present,
                    );
                    let problem = "what it says is deleted is in use";
                    check.surplus(Tree::Object, key, record, problem, mend)
                }
                Some(_) => Ok(()),
            },
        )
    }

    /// Records below a number that no catalog has and that is not marked to be swept.
    fn lost_records(&mut self, tree: Tree, in_use: &BTreeSet<u32>) -> Result<()> {
        let mut after = None;
        loop {
            let Some(key) = self.first_nested(tree, after.as_ref())? else {
                return Ok(());
            };
            let Some(number) = stored::number_of(&key) else {
                self.strange(tree, &key)?;
                after = Some(key);
                continue;
            };
            let remains = stored::remains_of(number);
            let known = |of: &Key| self.catalog.object_version(Tree::Object, of);
            if !in_use.contains(&number)
                && known(&stored::catalog_number(number))?.is_none()
                && known(&remains)?.is_none()
            {
                let problem = format!("nested catalog number {number} does not exist");
                let mend = self
                    .catalog
                    .transaction()
                    .expect(
                        Tree::Object,
                        stored::catalog_number(number),
                        Expected::Absent,
                    )
                    .put(Tree::Object, remains, stored::SCHEMA, Vec::new());
                let below = stored::nested(number);
                self.find_and_mend(tree, &below, &problem, Remedy::Delete, mend)?;
            }
            // No record has a number alone for its key.
            match number.checked_add(1) {
                Some(next) => after = Some(stored::nested(next)),
                None => return Ok(()),
            }
        }
    }

    /// The key of the first record after `after` that lies in any nested catalog, also when it is damaged.
    fn first_nested(&self, tree: Tree, after: Option<&Key>) -> Result<Option<Key>> {
        match self.catalog.scan(tree, &stored::all_nested(), after, 1) {
            Ok(page) => Ok(page.records.into_iter().next().map(|(key, _)| key)),
            Err(Error::Store(tenon_store::Error::DamagedRecord { key, .. })) => Ok(Some(key)),
            Err(error) => Err(error),
        }
    }
}
