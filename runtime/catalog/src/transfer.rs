//! Export and import of a catalog as one file.
//!
//! ```text
//! {"Format": "tenon-catalog", "Version": 1, "Account": ...}
//! {"Database": {...}}
//! {"Function": {...}}
//! {"Table": {...}}  {"TableVersion": {...}}...  {"PartitionIndexes": {...}}  {"ColumnStatistics": {...}}
//! {"Partition": {...}}...  {"ColumnStatistics": {"Values": [...], ...}}...
//! {"Sha256": of every byte before this line, "Objects": as written}
//! ```
//!
//! One JSON object in a line, in Glue's own words, so that the file outlives any stored layout. An import reads the
//! file twice: first the checksum and the counts must hold, then objects are created. A table comes with its old
//! versions, the definitions of its indexes and its statistics in one transaction; partitions come in batches.
//! What exists is left as it is, so an import that was interrupted can be run again.
//!
//! An export is no snapshot: what is written meanwhile may be in it or not, each object as a whole. Tags, connections,
//! policies and nested catalogs are not in it; a backup of the store has everything.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tenon_store::{Expected, Tree};

use crate::catalog::TenantCatalog;
use crate::error::{Error, Kind};
use crate::function::UserDefinedFunction;
use crate::index::PartitionIndex;
use crate::model::{Database, Partition, Table};
use crate::name::fold;
use crate::partition::ListPartitions;
use crate::statistics::{ColumnStatistics, Columns, StatisticsOf};
use crate::stored;
use crate::table::full_name;

const FORMAT: &str = "tenon-catalog";
const VERSION: u32 = 1;

/// Items read at once.
const PAGE: usize = 1000;

/// Partitions created in one transaction.
const BATCH: usize = 100;

/// Longest line, in bytes.
const MAX_LINE_BYTES: u64 = 64 * 1024 * 1024;

/// Failures that are told one by one.
const MAX_SHOWN: usize = 100;

/// Why a file could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The file is not whole, or not one of this format. Nothing was imported.
    #[error("the file cannot be imported: line {line}: {reason}")]
    Damaged {
        /// Line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },

    /// The file could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),

    /// The catalog refused.
    #[error(transparent)]
    Catalog(#[from] Error),
}

/// Objects by kind.
pub type Counts = BTreeMap<String, u64>;

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Objects that were created.
    pub created: Counts,
    /// Objects that were there and were left as they are.
    pub existing: Counts,
    /// Objects that could not be created.
    pub failed: Counts,
    /// The first of those, each with its reason.
    pub reasons: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Header {
    format: String,
    version: u32,
    #[serde(default)]
    account: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Footer {
    sha256: String,
    objects: Counts,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Object {
    Database(Database),
    Function(UserDefinedFunction),
    Table(Table),
    TableVersion(Table),
    PartitionIndexes(IndexesOfTable),
    ColumnStatistics(StatisticsList),
    Partition(Partition),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IndexesOfTable {
    database_name: String,
    table_name: String,
    indexes: Vec<PartitionIndex>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StatisticsList {
    database_name: String,
    table_name: String,
    /// Of a partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    values: Option<Vec<String>>,
    columns: Vec<ColumnStatistics>,
}

impl Object {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Database(_) => "Database",
            Self::Function(_) => "Function",
            Self::Table(_) => "Table",
            Self::TableVersion(_) => "TableVersion",
            Self::PartitionIndexes(_) => "PartitionIndexes",
            Self::ColumnStatistics(_) => "ColumnStatistics",
            Self::Partition(_) => "Partition",
        }
    }
}

impl TenantCatalog {
    /// Writes every database, table and what belongs to them; returns how many of each.
    ///
    /// # Errors
    /// [`TransferError::Io`], [`TransferError::Catalog`].
    pub fn export(&self, writer: &mut dyn Write) -> Result<Counts, TransferError> {
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            account: self.catalog_id(),
        };
        let mut export = Export {
            catalog: self,
            writer,
            hash: Sha256::new(),
            written: Counts::new(),
        };
        export.line(&header)?;
        export.databases()?;
        export.finish()
    }

    /// Creates what a file of [`TenantCatalog::export`] holds, after its checksum was found right. What is there
    /// already is left as it is.
    ///
    /// # Errors
    /// [`TransferError::Damaged`] and nothing was done; [`TransferError::Io`], and [`TransferError::Catalog`] when
    /// the store fails. What one object's definition has against it is in the report.
    pub fn import(&self, reader: &mut (impl Read + Seek)) -> Result<ImportReport, TransferError> {
        let start = reader.stream_position()?;
        verify(reader)?;
        reader.seek(io::SeekFrom::Start(start))?;
        let mut import = Import {
            catalog: self,
            report: ImportReport::default(),
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
}

struct Export<'a> {
    catalog: &'a TenantCatalog,
    writer: &'a mut dyn Write,
    hash: Sha256,
    written: Counts,
}

impl Export<'_> {
    fn line(&mut self, value: &impl Serialize) -> Result<(), TransferError> {
        let mut line = stored::encode(value)?;
        line.push(b'\n');
        self.hash.update(&line);
        Ok(self.writer.write_all(&line)?)
    }

    fn object(&mut self, object: &Object) -> Result<(), TransferError> {
        *self.written.entry(object.kind().to_owned()).or_default() += 1;
        self.line(object)
    }

    fn databases(&mut self) -> Result<(), TransferError> {
        let mut token = None::<String>;
        loop {
            let page = self.catalog.list_databases(token.as_deref(), PAGE)?;
            for database in page.items {
                let name = database.name.clone();
                self.object(&Object::Database(database))?;
                gone_is_fine(self.functions(&name))?;
                gone_is_fine(self.tables(&name))?;
            }
            token = page.next;
            if token.is_none() {
                return Ok(());
            }
        }
    }

    fn functions(&mut self, database: &str) -> Result<(), TransferError> {
        let mut token = None::<String>;
        loop {
            let page = self
                .catalog
                .list_functions(database, token.as_deref(), PAGE)?;
            for function in page.items {
                self.object(&Object::Function(function))?;
            }
            token = page.next;
            if token.is_none() {
                return Ok(());
            }
        }
    }

    fn tables(&mut self, database: &str) -> Result<(), TransferError> {
        let mut token = None::<String>;
        loop {
            // Definitions may be large.
            let page = self.catalog.list_tables(database, token.as_deref(), 100)?;
            for table in page.items {
                let name = table.name.clone();
                self.object(&Object::Table(table))?;
                gone_is_fine(self.table(database, &name))?;
            }
            token = page.next;
            if token.is_none() {
                return Ok(());
            }
        }
    }

    fn table(&mut self, database: &str, table: &str) -> Result<(), TransferError> {
        let mut token = None::<String>;
        loop {
            let page = self
                .catalog
                .get_table_versions(database, table, token.as_deref(), 100)?;
            // The first is the current one.
            let old = page.items.into_iter().skip(usize::from(token.is_none()));
            for version in old.filter_map(|version| version.table) {
                self.object(&Object::TableVersion(version))?;
            }
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        let indexes = self.catalog.get_partition_indexes(database, table)?;
        if !indexes.is_empty() {
            let index = |index: crate::index::PartitionIndexDescriptor| PartitionIndex {
                index_name: index.index_name,
                keys: index.keys.into_iter().map(|key| key.name).collect(),
            };
            self.object(&Object::PartitionIndexes(IndexesOfTable {
                database_name: database.to_owned(),
                table_name: table.to_owned(),
                indexes: indexes.into_iter().map(index).collect(),
            }))?;
        }
        let of = StatisticsOf {
            database,
            table,
            partition: None,
        };
        let columns = self.catalog.all_statistics(of)?;
        self.statistics(of, columns)?;
        self.partitions(database, table)?;
        self.partition_statistics(database, table)
    }

    fn statistics(
        &mut self,
        of: StatisticsOf<'_>,
        columns: Vec<ColumnStatistics>,
    ) -> Result<(), TransferError> {
        if columns.is_empty() {
            return Ok(());
        }
        self.object(&Object::ColumnStatistics(StatisticsList {
            database_name: of.database.to_owned(),
            table_name: of.table.to_owned(),
            values: of.partition.map(<[String]>::to_vec),
            columns,
        }))
    }

    fn partitions(&mut self, database: &str, table: &str) -> Result<(), TransferError> {
        let mut token = None::<String>;
        loop {
            let options = ListPartitions {
                token: token.as_deref(),
                limit: PAGE,
                ..ListPartitions::default()
            };
            let page = self.catalog.list_partitions(database, table, &options)?;
            for partition in page.items {
                self.object(&Object::Partition(partition))?;
            }
            token = page.next;
            if token.is_none() {
                return Ok(());
            }
        }
    }

    fn partition_statistics(&mut self, database: &str, table: &str) -> Result<(), TransferError> {
        let below = stored::partition_statistics_of(&stored::table(database, table));
        let mut after = None;
        loop {
            let page = self
                .catalog
                .scan(Tree::Partition, &below, after.as_ref(), PAGE)?;
            for (key, record) in &page.records {
                let values = stored::partition_values(key).unwrap_or_default();
                let columns: Columns = stored::decode(Tree::Partition, key, record)?;
                let of = StatisticsOf {
                    database,
                    table,
                    partition: Some(&values),
                };
                self.statistics(of, columns.into_values().collect())?;
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    fn finish(self) -> Result<Counts, TransferError> {
        let footer = Footer {
            sha256: hex(&self.hash.finalize()),
            objects: self.written.clone(),
        };
        let mut line = stored::encode(&footer)?;
        line.push(b'\n');
        self.writer.write_all(&line)?;
        self.writer.flush()?;
        Ok(self.written)
    }
}

/// What was deleted meanwhile is left out.
fn gone_is_fine(outcome: Result<(), TransferError>) -> Result<(), TransferError> {
    match outcome {
        Err(TransferError::Catalog(Error::NotFound { .. })) => Ok(()),
        outcome => outcome,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lines with their number, none longer than allowed.
struct Lines<R> {
    reader: BufReader<R>,
    number: u64,
}

impl<R: Read> Lines<R> {
    fn new(reader: R) -> Self {
        Self {
            reader: BufReader::new(reader),
            number: 0,
        }
    }

    /// The next line with its end; `None` after the last.
    fn next(&mut self) -> Result<Option<Vec<u8>>, TransferError> {
        let mut line = Vec::new();
        let mut limited = (&mut self.reader).take(MAX_LINE_BYTES);
        limited.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        match line.last() {
            Some(b'\n') => Ok(Some(line)),
            _ => Err(self.damaged("it does not end, or is too long")),
        }
    }

    fn damaged(&self, reason: impl ToString) -> TransferError {
        TransferError::Damaged {
            line: self.number,
            reason: reason.to_string(),
        }
    }
}

/// Whether the file is whole and every line can be read.
fn verify(reader: &mut impl Read) -> Result<(), TransferError> {
    let mut lines = Lines::new(reader);
    let Some(first) = lines.next()? else {
        return Err(lines.damaged("the file is empty"));
    };
    let header: Header = serde_json::from_slice(&first).map_err(|error| lines.damaged(error))?;
    if header.format != FORMAT || header.version > VERSION {
        return Err(lines.damaged(format!(
            "it is {} version {}, this build reads {FORMAT} up to version {VERSION}",
            header.format, header.version
        )));
    }
    let (mut hash, mut counts) = (Sha256::new(), Counts::new());
    hash.update(&first);
    let mut footer: Option<Footer> = None;
    while let Some(line) = lines.next()? {
        if footer.is_some() {
            return Err(lines.damaged("something comes after the end"));
        }
        if line.starts_with(b"{\"Sha256\"") {
            footer = Some(serde_json::from_slice(&line).map_err(|error| lines.damaged(error))?);
            continue;
        }
        let object: Object = serde_json::from_slice(&line).map_err(|error| lines.damaged(error))?;
        *counts.entry(object.kind().to_owned()).or_default() += 1;
        hash.update(&line);
    }
    let footer = footer.ok_or_else(|| lines.damaged("the end of the file is missing"))?;
    let found = hex(&hash.finalize());
    if footer.sha256 != found {
        let wanted = &footer.sha256;
        return Err(lines.damaged(format!("the sha256 is {found} and should be {wanted}")));
    }
    if footer.objects != counts {
        let wanted = &footer.objects;
        return Err(lines.damaged(format!("there are {counts:?} and should be {wanted:?}")));
    }
    Ok(())
}

/// A table with what is created together with it.
struct WholeTable {
    table: Table,
    versions: Vec<Table>,
    indexes: Vec<PartitionIndex>,
    statistics: Vec<ColumnStatistics>,
}

struct Import<'a> {
    catalog: &'a TenantCatalog,
    report: ImportReport,
    table: Option<WholeTable>,
    /// Partitions of one table that wait for their transaction.
    partitions: Vec<Partition>,
}

impl Import<'_> {
    /// Statistics of a partition that has none yet.
    fn import_statistics(
        &self,
        of: StatisticsOf<'_>,
        name: &str,
        columns: &[ColumnStatistics],
    ) -> Result<(), Error> {
        if !self.catalog.all_statistics(of)?.is_empty() {
            return Err(Error::AlreadyExists {
                kind: Kind::ColumnStatistics,
                name: name.to_owned(),
            });
        }
        let outcomes = self.catalog.update_statistics(of, columns)?;
        outcomes.into_iter().collect()
    }

    fn take(&mut self, object: Object) -> Result<(), TransferError> {
        match object {
            Object::TableVersion(version) if self.is_of(&version.database_name, &version.name) => {
                if let Some(whole) = &mut self.table {
                    whole.versions.push(version);
                }
            }
            Object::PartitionIndexes(found)
                if self.is_of(&Some(found.database_name.clone()), &found.table_name) =>
            {
                if let Some(whole) = &mut self.table {
                    whole.indexes = found.indexes;
                }
            }
            Object::ColumnStatistics(found)
                if found.values.is_none()
                    && self.is_of(&Some(found.database_name.clone()), &found.table_name) =>
            {
                if let Some(whole) = &mut self.table {
                    whole.statistics = found.columns;
                }
            }
            Object::Partition(partition) => self.partition(partition)?,
            other => {
                self.flush()?;
                self.alone(other)?;
            }
        }
        Ok(())
    }

    /// Whether something belongs to the table that waits.
    fn is_of(&self, database: &Option<String>, name: &str) -> bool {
        self.table
            .as_ref()
            .is_some_and(|whole| whole.table.database_name == *database && whole.table.name == name)
    }

    fn alone(&mut self, object: Object) -> Result<(), TransferError> {
        let kind = object.kind();
        match object {
            Object::Table(table) => {
                self.table = Some(WholeTable {
                    table,
                    versions: Vec::new(),
                    indexes: Vec::new(),
                    statistics: Vec::new(),
                });
                Ok(())
            }
            Object::Database(database) => {
                let name = database.name.clone();
                let outcome = self.catalog.import_database(database);
                self.note(kind, 1, &name, outcome)
            }
            Object::Function(function) => {
                let name = function.function_name.clone();
                let outcome = self.catalog.import_function(function);
                self.note(kind, 1, &name, outcome)
            }
            Object::ColumnStatistics(found) => {
                let name = full_name(&found.database_name, &found.table_name);
                let of = StatisticsOf {
                    database: &found.database_name,
                    table: &found.table_name,
                    partition: found.values.as_deref(),
                };
                let outcome = self.import_statistics(of, &name, &found.columns);
                self.note(kind, 1, &name, outcome)
            }
            Object::TableVersion(Table { name, .. })
            | Object::PartitionIndexes(IndexesOfTable {
                table_name: name, ..
            }) => self.note(
                kind,
                1,
                &name,
                Err(Error::invalid("its table does not stand before it")),
            ),
            Object::Partition(_) => Ok(()),
        }
    }

    fn partition(&mut self, partition: Partition) -> Result<(), TransferError> {
        self.flush_table()?;
        let same = |other: &Partition| {
            other.database_name == partition.database_name
                && other.table_name == partition.table_name
        };
        if self.partitions.len() == BATCH || !self.partitions.iter().all(same) {
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
        let versions = whole.versions.len() as u64;
        let statistics = u64::from(!whole.statistics.is_empty());
        let indexes = u64::from(!whole.indexes.is_empty());
        let outcome = self.catalog.import_table(whole);
        for (kind, count) in [
            ("TableVersion", versions),
            ("ColumnStatistics", statistics),
            ("PartitionIndexes", indexes),
        ] {
            self.note(kind, count, &name, outcome.clone())?;
        }
        self.note("Table", 1, &name, outcome)
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
        match self.catalog.add_partitions(&database, &table, partitions) {
            Ok(outcomes) => outcomes
                .into_iter()
                .try_for_each(|outcome| self.note("Partition", 1, &name, outcome)),
            Err(error) => self.note("Partition", count, &name, Err(error)),
        }
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

impl TenantCatalog {
    fn import_database(&self, database: Database) -> Result<(), Error> {
        let name = fold("database", &database.name)?;
        let key = stored::database(&name);
        let payload = stored::encode(&Database {
            name: name.clone(),
            catalog_id: self.catalog_id(),
            ..database
        })?;
        let transaction = self
            .transaction()
            .expect(Tree::Object, key.clone(), Expected::Absent)
            .put(Tree::Object, key, stored::SCHEMA, payload);
        match self.commit(transaction) {
            Err(error) if error.is_store_conflict() => Err(Error::AlreadyExists {
                kind: Kind::Database,
                name,
            }),
            outcome => outcome,
        }
    }

    fn import_function(&self, function: UserDefinedFunction) -> Result<(), Error> {
        let database = fold(
            "database",
            function.database_name.as_deref().unwrap_or_default(),
        )?;
        let function = UserDefinedFunction {
            function_name: fold("function", &function.function_name)?,
            database_name: Some(database.clone()),
            catalog_id: self.catalog_id(),
            ..function
        };
        self.put_new_function(&database, &function)
    }

    fn import_table(&self, whole: WholeTable) -> Result<(), Error> {
        let own = |table: Table| -> Result<Table, Error> {
            Ok(Table {
                name: fold("table", &table.name)?,
                database_name: table.database_name.map(|name| name.to_lowercase()),
                catalog_id: self.catalog_id(),
                ..table
            })
        };
        let table = own(whole.table)?;
        let database = fold(
            "database",
            table.database_name.as_deref().unwrap_or_default(),
        )?;
        let key = stored::table(&database, &table.name);
        let mut transaction = self
            .new_table(self.transaction(), &database, &table)?
            .expect(Tree::Object, stored::database(&database), Expected::Present);
        transaction = self.new_indexes(transaction, &table, &key, &whole.indexes)?;
        for version in whole.versions {
            let version = own(version)?;
            let number = version.version_id.as_deref().unwrap_or_default();
            let number = crate::table::parse_version(number)?;
            let key = stored::version(&database, &table.name, number);
            let payload = stored::encode(&version)?;
            transaction = transaction.put(Tree::Version, key, stored::SCHEMA, payload);
        }
        if !whole.statistics.is_empty() {
            let named = |column: ColumnStatistics| (column.column_name.to_lowercase(), column);
            let columns: Columns = whole.statistics.into_iter().map(named).collect();
            let key = stored::table_statistics_of(&key);
            let payload = stored::encode(&columns)?;
            transaction = transaction.put(Tree::Object, key, stored::SCHEMA, payload);
        }
        match self.commit(transaction) {
            Err(error) if error.is_store_conflict() => {
                self.read_database(&database)?;
                Err(Error::AlreadyExists {
                    kind: Kind::Table,
                    name: full_name(&database, &table.name),
                })
            }
            outcome => outcome,
        }
    }
}
