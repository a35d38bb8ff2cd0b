//! The schema and statistics of Parquet files, from their footers ([`infer`]).
//!
//! Files of one table may lack columns of another: those read as null there. A column that has two
//! types is an error that names both files.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef, TimeUnit};
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::datasource::physical_plan::parquet::Int96Coercer;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::Result as DataFusionResult;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::file::metadata::ParquetMetaData;

use crate::adapt::{merge, plain};
use crate::error::{Error, Result};
use crate::guard::{guard, guard_future, in_file};
use crate::limits::ReadLimits;
use crate::locate::SourceFile;
use crate::parquet::store::PlaceStore;
use crate::parquet::{ParquetKeys, ParquetOptions};

const FILES_AT_ONCE: usize = 8;

/// Bytes at a file's end that are read first. Footers of most files are shorter.
const FOOTER_BYTES: usize = 64 << 10;

/// What the footers say.
#[derive(Debug)]
pub(super) struct Inferred {
    pub(super) store: PlaceStore,
    pub(super) files: Arc<[SourceFile]>,
    pub(super) schema: SchemaRef,
    pub(super) statistics: Vec<Arc<Statistics>>,
}

/// What is kept of a footer, which itself takes ten times as much and more: tables have many files.
struct Footer {
    schema: SchemaRef,
    /// By the columns of `schema`.
    statistics: Statistics,
}

pub(super) async fn infer(files: Vec<SourceFile>, options: &ParquetOptions) -> Result<Inferred> {
    for file in &files {
        if file.is_compressed() {
            return Err(Error::Unsupported(format!(
                "{}: parquet is read in pieces, so not from inside another compression; unpack it first",
                file.name()
            )));
        }
    }
    let keys = options
        .keys
        .as_ref()
        .map(ParquetKeys::decryption)
        .transpose()?;
    let files: Arc<[SourceFile]> = files.into();
    let store = PlaceStore::new(Arc::clone(&files));
    let footers: Vec<Footer> = futures::stream::iter((0..files.len()).map(|index| {
        footer(
            &store,
            &files[index],
            store.meta(index),
            keys.clone(),
            &options.limits,
        )
    }))
    .buffered(FILES_AT_ONCE)
    .map_ok(sharing())
    .try_collect()
    .await?;
    let schemas = files.iter().zip(&footers);
    let schemas = schemas.map(|(file, footer)| (file.name(), footer.schema.as_ref()));
    let schema = Arc::new(with_missing_columns(merge(schemas)?, &footers));
    let statistics = footers
        .into_iter()
        .map(|footer| footer.statistics_of(&schema));
    let statistics = statistics.map(Arc::new).collect();
    Ok(Inferred {
        store,
        files,
        schema,
        statistics,
    })
}

/// Lets footers that say the same of their columns have one schema between them.
fn sharing() -> impl FnMut(Footer) -> Footer {
    let mut last: Option<SchemaRef> = None;
    move |mut footer| {
        match &last {
            Some(last) if *last == footer.schema => footer.schema = Arc::clone(last),
            _ => last = Some(Arc::clone(&footer.schema)),
        }
        footer
    }
}

impl Footer {
    /// Statistics by the columns of a table that has these and perhaps others.
    fn statistics_of(self, table: &Schema) -> Statistics {
        if self.schema.fields() == table.fields() {
            return self.statistics;
        }
        let mut of_file = self.statistics.column_statistics;
        let columns = table.fields().iter().map(|field| {
            let position = self.schema.index_of(field.name()).ok();
            position.map_or_else(ColumnStatistics::new_unknown, |position| {
                std::mem::take(&mut of_file[position])
            })
        });
        Statistics {
            column_statistics: columns.collect(),
            ..self.statistics
        }
    }
}

/// The Arrow schema of a file, without its own metadata; the timestamps of Hive and Spark in microseconds.
fn schema(metadata: &ParquetMetaData) -> DataFusionResult<Schema> {
    let file = metadata.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())?;
    let coerced = Int96Coercer::new(file.schema_descr(), &schema, &TimeUnit::Microsecond).coerce();
    Ok(coerced.unwrap_or(schema))
}

async fn footer(
    store: &PlaceStore,
    file: &SourceFile,
    meta: ObjectMeta,
    keys: Option<Arc<FileDecryptionProperties>>,
    limits: &ReadLimits,
) -> Result<Footer> {
    let name = file.name();
    let reader = DFParquetMetadata::new(store, &meta)
        .with_metadata_size_hint(Some(FOOTER_BYTES))
        .with_decryption_properties(keys);
    let footer = async {
        let metadata = reader.fetch_metadata().await?;
        let schema = Arc::new(schema(&metadata)?);
        Ok((metadata, schema))
    };
    let (metadata, schema) = guard_future(&name, async {
        footer.await.map_err(|e| unwrapped(in_file(&name, e)))
    })
    .await?;
    check(&metadata, &schema, &name, limits)?;
    let statistics = guard(&name, || {
        DFParquetMetadata::statistics_from_parquet_metadata(&metadata, &schema)
            .map_err(|e| Error::Query(in_file(&name, e)))
    })?;
    Ok(Footer { schema, statistics })
}

/// Refuses what the footer already says is too much.
fn check(
    metadata: &ParquetMetaData,
    schema: &Schema,
    name: &str,
    limits: &ReadLimits,
) -> Result<()> {
    // Only its checks matter here: DataFusion's scan makes the types plain.
    plain(schema, name, limits)?;
    let rows = metadata.file_metadata().num_rows();
    let groups = metadata.row_groups();
    let of_groups = groups
        .iter()
        .fold(0_i64, |sum, group| sum.saturating_add(group.num_rows()));
    if rows != of_groups {
        return Err(Error::Corrupt {
            file: name.to_owned(),
            message: format!("its footer says {rows} rows, its row groups have {of_groups}"),
        });
    }
    for group in groups {
        for column in group.columns() {
            let bytes = |size: i64| u64::try_from(size).unwrap_or_default();
            limits.check_decompression(
                &format!("{name}: column {}", column.column_path().string()),
                bytes(column.compressed_size()),
                bytes(column.uncompressed_size()),
            )?;
        }
    }
    Ok(())
}

fn unwrapped(error: datafusion::error::DataFusionError) -> Error {
    match error {
        datafusion::error::DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(error) => *error,
            Err(inner) => Error::Query(datafusion::error::DataFusionError::External(inner)),
        },
        error => Error::Query(error),
    }
}

/// A column that a file lacks reads as null there.
fn with_missing_columns(schema: Schema, footers: &[Footer]) -> Schema {
    let fields = schema.fields().iter().map(|field| {
        let is_everywhere = footers
            .iter()
            .all(|footer| footer.schema.field_with_name(field.name()).is_ok());
        let nullable = field.is_nullable() || !is_everywhere;
        field.as_ref().clone().with_nullable(nullable)
    });
    Schema::new(fields.collect::<Vec<_>>())
}
