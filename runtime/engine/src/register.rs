//! Tables of the catalog that targets write: their definitions, and a partition for each folder that got rows.

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use tenon_catalog::{
    Column, DatabaseInput, Error as CatalogError, HiveType, PartitionInput, StorageDescriptor,
    Table, TableFormat, TableInput, TenantCatalog, UpdateTable, table_from_schema,
};
use tenon_connect::WrittenPartition;

use crate::partitioned::NO_VALUE;

/// Partitions that one transaction of the catalog writes.
const AT_ONCE: usize = 500;

/// The table that a target is registered as.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    pub(crate) database: String,
    pub(crate) table: String,
    pub(crate) definition: Definition,
}

/// What happens to the definition of a table that is there. One that is not is always made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Definition {
    /// It becomes that of the output.
    New,
    /// Its columns become those of the output, the rest stays.
    NewColumns,
    /// It stays.
    Kept,
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

    /// Creates or updates the table, and its database when that is missing; then adds the partitions. Blocks.
    pub(crate) fn register(
        &self,
        catalog: &TenantCatalog,
        written: &Written,
    ) -> Result<(), CatalogError> {
        let made = catalog.create_database(DatabaseInput {
            name: self.database.clone(),
            ..DatabaseInput::default()
        });
        match made {
            Ok(_) | Err(CatalogError::AlreadyExists { .. }) => {}
            Err(e) => return Err(e),
        }
        let input = definition(&self.table, written)?;
        match catalog.create_table(&self.database, input.clone()) {
            Err(CatalogError::AlreadyExists { .. }) => self.update(catalog, input)?,
            made => drop(made?),
        }
        self.add_partitions(catalog, written)
    }

    fn update(&self, catalog: &TenantCatalog, input: TableInput) -> Result<(), CatalogError> {
        let input = match self.definition {
            Definition::Kept => return Ok(()),
            Definition::New => input,
            Definition::NewColumns => {
                let table = catalog.get_table(&self.database, &self.table)?;
                with_columns_of(table, input)
            }
        };
        let updated = catalog.update_table(&self.database, input, &UpdateTable::default());
        updated.map(drop)
    }

    /// Adds the partitions that are not there; those that are get the definition that their files have now.
    fn add_partitions(
        &self,
        catalog: &TenantCatalog,
        written: &Written,
    ) -> Result<(), CatalogError> {
        if written.partitions.is_empty() {
            return Ok(());
        }
        let table = catalog.get_table(&self.database, &self.table)?;
        let descriptor = table.storage_descriptor.unwrap_or_default();
        for partitions in written.partitions.chunks(AT_ONCE) {
            let inputs = partitions
                .iter()
                .map(|partition| input_of(partition, &descriptor, &written.location));
            let inputs: Vec<PartitionInput> = inputs.collect();
            let outcomes =
                catalog.create_partitions(&self.database, &self.table, inputs.clone())?;
            let mut known = Vec::new();
            for (outcome, input) in outcomes.into_iter().zip(inputs) {
                match outcome {
                    Ok(()) => {}
                    Err(CatalogError::AlreadyExists { .. }) => {
                        known.push((input.values.clone(), input));
                    }
                    Err(e) => return Err(e),
                }
            }
            let updated = catalog.update_partitions(&self.database, &self.table, &known)?;
            updated.into_iter().collect::<Result<(), _>>()?;
        }
        Ok(())
    }
}

fn input_of(
    partition: &WrittenPartition,
    descriptor: &StorageDescriptor,
    location: &str,
) -> PartitionInput {
    let values = partition.values.iter();
    let values = values.map(|value| value.as_deref().unwrap_or(NO_VALUE).to_owned());
    let location = format!("{}/{}", location.trim_end_matches('/'), partition.folder);
    PartitionInput {
        values: values.collect(),
        storage_descriptor: Some(StorageDescriptor {
            location: Some(location),
            ..descriptor.clone()
        }),
        ..PartitionInput::default()
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

/// A table as it is, with other columns.
fn with_columns_of(table: Table, input: TableInput) -> TableInput {
    let columns = input.storage_descriptor.unwrap_or_default().columns;
    let descriptor = table
        .storage_descriptor
        .map(|descriptor| StorageDescriptor {
            columns,
            ..descriptor
        });
    TableInput {
        name: table.name,
        description: table.description,
        owner: table.owner,
        retention: table.retention,
        partition_keys: table.partition_keys,
        table_type: table.table_type,
        parameters: table.parameters,
        storage_descriptor: descriptor,
        ..TableInput::default()
    }
}

/// Refuses an output with a column that the table does not have, or has of another type.
pub(crate) fn check_fits(table: &Table, schema: &Schema) -> Result<(), String> {
    let columns = table.storage_descriptor.iter().flat_map(|d| &d.columns);
    let columns: Vec<&Column> = columns.chain(&table.partition_keys).collect();
    for field in schema.fields() {
        let name = field.name();
        let column = columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(name));
        let Some(column) = column else {
            return Err(format!(
                "table {:?} has no column {name:?}; leave it out, or let the table be updated: SchemaChangePolicy = \
                 {{ EnableUpdateCatalog = true }}",
                table.name
            ));
        };
        let found = HiveType::from_arrow(name, field.data_type()).map_err(|e| e.to_string())?;
        let wanted: Option<HiveType> = column.r#type.as_deref().and_then(|text| text.parse().ok());
        if wanted.is_some_and(|wanted| wanted.to_arrow() != found.to_arrow()) {
            return Err(format!(
                "column {name:?} is {found} here and {} in table {:?}; cast it, as with an ApplyMapping node",
                column.r#type.as_deref().unwrap_or_default(),
                table.name
            ));
        }
    }
    Ok(())
}
