//! `system`: tables about tenon itself, which whoever puts an engine together gives it.
//!
//! ```text
//! system.runs ──scan──> SystemTable.load (on a thread that may block) ──> one batch in memory ──> DataFusion
//! ```
//!
//! Chosen: the rows come from outside. This room knows neither jobs nor runs; it knows that there are tables which are not
//! in the catalog, under one name that no database can take from them. A database called `system` stays readable but for
//! the tables of these names.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{CatalogProvider, MemTable, SchemaProvider, Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

/// The database of the system's tables.
const SYSTEM: &str = "system";

/// Gives all rows of a table, in its schema; says why when it cannot. Called once for each scan; may block.
pub type LoadRows = Arc<dyn Fn() -> std::result::Result<RecordBatch, String> + Send + Sync>;

/// A table about the system.
#[derive(Clone)]
pub struct SystemTable {
    name: &'static str,
    schema: SchemaRef,
    load: LoadRows,
}

impl SystemTable {
    /// The table `system.<name>`, whose rows `load` gives in `schema`.
    #[must_use]
    pub fn new(name: &'static str, schema: SchemaRef, load: LoadRows) -> Self {
        Self { name, schema, load }
    }
}

impl fmt::Debug for SystemTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SystemTable").field(&self.name).finish()
    }
}

#[async_trait]
impl TableProvider for SystemTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let load = Arc::clone(&self.load);
        let loaded = tokio::task::spawn_blocking(move || load()).await;
        let loaded = loaded.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let rows = loaded.map_err(|why| {
            DataFusionError::Execution(format!("table {SYSTEM}.{}: {why}", self.name))
        })?;
        let table = MemTable::try_new(self.schema(), vec![vec![rows]])?;
        table.scan(state, projection, filters, limit).await
    }
}

/// A catalog with the system's tables beside its own.
#[derive(Debug)]
pub(crate) struct WithSystem {
    /// The catalog's own databases, if there is a catalog.
    pub(crate) databases: Option<Arc<dyn CatalogProvider>>,
    pub(crate) tables: Vec<SystemTable>,
}

impl CatalogProvider for WithSystem {
    fn schema_names(&self) -> Vec<String> {
        let own = self
            .databases
            .as_ref()
            .map(|catalog| catalog.schema_names());
        let mut names = own.unwrap_or_default();
        if !names.iter().any(|name| name == SYSTEM) {
            names.push(SYSTEM.to_owned());
        }
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let databases = self.databases.as_ref();
        let database = databases.and_then(|catalog| catalog.schema(name));
        if name != SYSTEM {
            return database;
        }
        Some(Arc::new(SystemSchema {
            database,
            tables: self.tables.clone(),
        }))
    }
}

/// The system's tables, before those of a database of the same name.
#[derive(Debug)]
struct SystemSchema {
    database: Option<Arc<dyn SchemaProvider>>,
    tables: Vec<SystemTable>,
}

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.tables.iter().map(|t| t.name.to_owned()).collect();
        let others = self.database.iter().flat_map(|other| other.table_names());
        let others: Vec<String> = others.filter(|name| !names.contains(name)).collect();
        names.extend(others);
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(found) = self.tables.iter().find(|table| table.name == name) {
            return Ok(Some(Arc::new(found.clone())));
        }
        match &self.database {
            Some(database) => database.table(name).await,
            None => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.iter().any(|table| table.name == name)
            || self
                .database
                .as_ref()
                .is_some_and(|other| other.table_exist(name))
    }
}
