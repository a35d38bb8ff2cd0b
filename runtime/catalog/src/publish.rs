//! Tables in a transaction that somebody else commits: what a run wrote is registered together with its success, or
//! neither happens.

use std::collections::BTreeMap;

use tenon_store::{Expected, Tree};

use crate::catalog::TenantCatalog;
use crate::error::{Error, Result};
use crate::model::{Database, DatabaseInput, Table, TableInput};
use crate::name::fold;
use crate::scope::Transaction;
use crate::stored;
use crate::table::{check, full_name};

impl TenantCatalog {
    /// Adds tables, each with its database, to a transaction on this tenant's records: one that is there is replaced as
    /// by [`TenantCatalog::update_table`], one that is not is created, with its database if need be. When committing
    /// says that someone was faster, begin again with a fresh transaction.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a bad definition or a table that is there twice, [`Error::Store`].
    pub fn with_tables(
        &self,
        transaction: tenon_store::Transaction,
        tables: &[(String, TableInput)],
    ) -> Result<tenon_store::Transaction> {
        let mut by_database: BTreeMap<String, BTreeMap<String, TableInput>> = BTreeMap::new();
        for (database, input) in tables {
            check(input)?;
            let (database, name) = (fold("database", database)?, fold("table", &input.name)?);
            let of_database = by_database.entry(database.clone()).or_default();
            if of_database.insert(name.clone(), input.clone()).is_some() {
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
        tables: BTreeMap<String, TableInput>,
    ) -> Result<Transaction> {
        let mut transaction = self.with_database(transaction, database)?;
        let mut creates = false;
        for (name, input) in tables {
            let key = stored::table(database, &name);
            if let Some(old) = self.read::<Table>(Tree::Object, &key)? {
                let replaced = self.with_table_replaced(transaction, database, &old, input, false);
                transaction = replaced?.0;
                continue;
            }
            creates = true;
            let table = Table {
                create_time: self.now(),
                update_time: self.now(),
                version_id: Some("0".to_owned()),
                ..self.table_of(database, &name, input)
            };
            transaction = transaction
                .expect(Tree::Object, key.clone(), Expected::Absent)
                .put(Tree::Object, key, stored::SCHEMA, stored::encode(&table)?);
        }
        if creates {
            let marker = stored::tables_created(database);
            transaction = transaction.put(Tree::Object, marker, stored::SCHEMA, Vec::new());
        }
        Ok(transaction)
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

    #[test]
    fn tables_appear_with_the_transaction_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(SystemTime::UNIX_EPOCH);
        let store = Arc::new(SledStore::open(dir.path(), &StoreConfig::default(), &clock).unwrap());
        let tenant = Tenant::new(1);
        let catalog = Catalog::open(Arc::clone(&store) as _, Arc::new(clock)).tenant(tenant);
        let place = tenon_store::Key::new().with_u8(99);
        let begun = |expected| {
            tenon_store::Transaction::new(tenant).expect(Tree::Run, place.clone(), expected)
        };
        let tables = ["A", "b"].map(|name| ("New".to_owned(), input(name, "first")));

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
            ("new".to_owned(), input("a", "second")),
            ("new".to_owned(), input("c", "first")),
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

        let twice = ["x", "X"].map(|name| ("new".to_owned(), input(name, "")));
        let refused = catalog
            .with_tables(begun(Expected::Any), &twice)
            .unwrap_err();
        assert_eq!(refused.to_string(), "table new.x would be registered twice");
    }
}
