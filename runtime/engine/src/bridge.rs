//! The catalog as DataFusion sees it: databases are schemas, tables are read from where they lie.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result};
use tenon_catalog::{Error as CatalogError, Partition, Table, TenantCatalog};
use tenon_connect::Place;

use crate::{formats, partitioned};

/// Partitions of a table that is read, at most: each is opened by itself.
pub const MAX_PARTITIONS: usize = 10_000;

/// A page of names is this long.
const PAGE: usize = 1_000;

/// One tenant's catalog.
#[derive(Clone)]
pub(crate) struct Bridge {
    catalog: TenantCatalog,
    place: Place,
}

impl Bridge {
    pub(crate) fn new(catalog: TenantCatalog, place: Place) -> Self {
        Self { catalog, place }
    }

    /// The names of all tables, `database.table`.
    pub(crate) fn tables(&self) -> Vec<String> {
        let mut tables = Vec::new();
        for database in self.schema_names() {
            let names = self.table_names(&database);
            tables.extend(names.into_iter().map(|name| format!("{database}.{name}")));
        }
        tables
    }

    fn table_names(&self, database: &str) -> Vec<String> {
        all_pages(|token| {
            self.catalog
                .list_tables(database, token, PAGE)
                .map(|page| (page.items.into_iter().map(|t| t.name).collect(), page.next))
        })
    }

    /// The table as it is defined.
    pub(crate) async fn definition(
        &self,
        database: &str,
        name: &str,
    ) -> Result<Table, CatalogError> {
        let (catalog, database, name) =
            (self.catalog.clone(), database.to_owned(), name.to_owned());
        let found = tokio::task::spawn_blocking(move || catalog.get_table(&database, &name));
        let invalid = |e: tokio::task::JoinError| CatalogError::InvalidState {
            reason: e.to_string(),
        };
        found.await.map_err(invalid)?
    }

    /// The table, readable; of one with partition keys the partitions for which `predicate` holds.
    pub(crate) async fn table(
        &self,
        database: &str,
        name: &str,
        predicate: &str,
    ) -> Result<Option<Arc<dyn TableProvider>>> {
        let (catalog, database, name) =
            (self.catalog.clone(), database.to_owned(), name.to_owned());
        let predicate = predicate.to_owned();
        let found = tokio::task::spawn_blocking(move || {
            let table = catalog.get_table(&database, &name)?;
            let partitions = catalog.partitions_where(&table, &predicate, MAX_PARTITIONS)?;
            Ok((table, partitions))
        });
        match found.await.map_err(external)? {
            Ok((table, partitions)) => open(&self.place, &table, &partitions).await.map(Some),
            Err(CatalogError::NotFound { .. }) => Ok(None),
            Err(e) => Err(external(e)),
        }
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge").finish_non_exhaustive()
    }
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// A table, readable; `partitions` are all of one that has partition keys.
pub(crate) async fn open(
    place: &Place,
    table: &Table,
    partitions: &[Partition],
) -> Result<Arc<dyn TableProvider>> {
    if !table.partition_keys.is_empty() {
        return partitioned::open(place, table, partitions).await;
    }
    let location = table
        .storage_descriptor
        .as_ref()
        .and_then(|d| d.location.as_deref());
    let Some(location) = location else {
        return Err(DataFusionError::Plan(format!(
            "table {:?} has no location",
            table.name
        )));
    };
    open_at(place, table, location).await
}

/// Files of a table's format at `location`.
pub(crate) async fn open_at(
    place: &Place,
    table: &Table,
    location: &str,
) -> Result<Arc<dyn TableProvider>> {
    let format = formats::of_table(table).map_err(DataFusionError::Plan)?;
    let path = PathBuf::from(location.strip_prefix("file://").unwrap_or(location));
    tenon_connect::table(place, &[path], &format)
        .await
        .map_err(external)
}

impl CatalogProvider for Bridge {
    fn schema_names(&self) -> Vec<String> {
        all_pages(|token| {
            self.catalog
                .list_databases(token, PAGE)
                .map(|page| (page.items.into_iter().map(|d| d.name).collect(), page.next))
        })
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        self.catalog.get_database(name).ok()?;
        Some(Arc::new(DatabaseBridge {
            bridge: self.clone(),
            database: name.to_owned(),
        }))
    }
}

/// One database.
#[derive(Debug)]
struct DatabaseBridge {
    bridge: Bridge,
    database: String,
}

#[async_trait]
impl SchemaProvider for DatabaseBridge {
    fn table_names(&self) -> Vec<String> {
        self.bridge.table_names(&self.database)
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.bridge.table(&self.database, name, "").await
    }

    fn table_exist(&self, name: &str) -> bool {
        self.bridge.catalog.get_table(&self.database, name).is_ok()
    }
}

/// DataFusion's listings cannot fail: what cannot be listed is not there, and is logged.
fn all_pages(
    mut page: impl FnMut(Option<&str>) -> Result<(Vec<String>, Option<String>), CatalogError>,
) -> Vec<String> {
    let (mut names, mut token) = (Vec::new(), None);
    loop {
        match page(token.as_deref()) {
            Ok((more, next)) => {
                names.extend(more);
                match next {
                    Some(_) => token = next,
                    None => return names,
                }
            }
            Err(e) => {
                tracing::warn!("the catalog cannot be listed: {e}");
                return names;
            }
        }
    }
}
