//! Tables of the catalog that targets write: what the catalog is told of them, with a partition for each folder that got
//! rows, and whether an output fits the table that is there.

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use tenon_catalog::{
    Column, Error as CatalogError, HiveType, PublishedPartition, PublishedTable, Table,
    TableChange, TableFormat, TableInput, table_from_schema,
};
use tenon_connect::WrittenPartition;

use crate::partitioned::NO_VALUE;

/// The table that a target is registered as.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    pub(crate) database: String,
    pub(crate) table: String,
    /// What happens to the definition of a table that is there. One that is not is always made.
    pub(crate) change: TableChange,
}

/// What a target wrote.
pub(crate) struct Written {
    pub(crate) schema: SchemaRef,
    /// The columns that it is partitioned by.
    pub(crate) keys: Vec<String>,
    pub(crate) location: String,
    pub(crate) format: TableFormat,
    pub(crate) partitions: Vec<WrittenPartition>,
}

impl Registration {
    /// `database.table`.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.database, self.table)
    }

    /// What the catalog is told.
    pub(crate) fn published(&self, written: &Written) -> Result<PublishedTable, CatalogError> {
        let partitions = written.partitions.iter().map(|partition| {
            let values = partition.values.iter();
            let values = values.map(|value| value.as_deref().unwrap_or(NO_VALUE).to_owned());
            PublishedPartition {
                values: values.collect(),
                folder: partition.folder.clone(),
            }
        });
        Ok(PublishedTable {
            database: self.database.clone(),
            input: definition(&self.table, written)?,
            change: self.change,
            partitions: partitions.collect(),
        })
    }
}

/// The table that the output is; its keys are no columns of the files.
fn definition(name: &str, written: &Written) -> Result<TableInput, CatalogError> {
    let (location, format) = (written.location.as_str(), written.format);
    let whole = table_from_schema(name, &written.schema, location, format)?;
    if written.keys.is_empty() {
        return Ok(whole);
    }
    let is_key = |name: &str| written.keys.iter().any(|key| key == name);
    let fields = written.schema.fields().iter();
    let rest = fields.filter(|field| !is_key(field.name())).cloned();
    let rest = Schema::new(rest.collect::<Vec<_>>());
    let columns = whole.storage_descriptor.unwrap_or_default().columns;
    let key = |key: &String| columns.iter().find(|column| column.name == *key).cloned();
    Ok(TableInput {
        partition_keys: written.keys.iter().filter_map(key).collect(),
        ..table_from_schema(name, &rest, location, format)?
    })
}

/// The table that is there, and what may be done to it.
#[derive(Debug, Clone)]
pub(crate) struct Fit {
    pub(crate) table: Table,
    pub(crate) unknown: UnknownColumns,
}

/// What becomes of columns that the table does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnknownColumns {
    /// They are refused.
    Refused,
    /// They are said in the log, and the table stays as it is.
    Logged,
    /// They are added to the table.
    Added,
}

impl Fit {
    /// Refuses an output that does not fit the table; says what is said in the log.
    pub(crate) fn check(&self, schema: &Schema) -> Result<Option<String>, String> {
        let columns = self.table.storage_descriptor.iter();
        let columns = columns.flat_map(|descriptor| &descriptor.columns);
        let columns: Vec<&Column> = columns.chain(&self.table.partition_keys).collect();
        let mut unknown = Vec::new();
        for field in schema.fields() {
            let name = field.name();
            let is_same = |column: &&&Column| column.name.eq_ignore_ascii_case(name);
            let Some(column) = columns.iter().find(is_same) else {
                unknown.push(name.as_str());
                continue;
            };
            let found = HiveType::from_arrow(name, field.data_type()).map_err(|e| e.to_string())?;
            self.check_type(column, &found)?;
        }
        self.said(&unknown)
    }

    fn check_type(&self, column: &Column, found: &HiveType) -> Result<(), String> {
        let wanted: Option<HiveType> = column.r#type.as_deref().and_then(|text| text.parse().ok());
        if wanted.is_none_or(|wanted| wanted.to_arrow() == found.to_arrow()) {
            return Ok(());
        }
        Err(format!(
            "column {:?} is {found} here and {} in table {:?}; cast it, as with an ApplyMapping node",
            column.name,
            column.r#type.as_deref().unwrap_or_default(),
            self.table.name
        ))
    }

    fn said(&self, unknown: &[&str]) -> Result<Option<String>, String> {
        let (table, Some(first)) = (&self.table.name, unknown.first()) else {
            return Ok(None);
        };
        let columns = unknown.join(", ");
        match self.unknown {
            UnknownColumns::Refused => Err(format!(
                "table {table:?} has no column {first:?}; leave it out, or let the table be updated: SchemaChangePolicy = \
                 {{ EnableUpdateCatalog = true }}"
            )),
            UnknownColumns::Logged => Ok(Some(format!(
                "table {table:?} stays as it is, without the columns {columns} that are written"
            ))),
            UnknownColumns::Added => Ok(Some(format!(
                "adds the columns {columns} to table {table:?}"
            ))),
        }
    }
}
