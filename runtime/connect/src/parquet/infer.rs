//! The schema and statistics of Parquet files, from their footers ([`infer`]).
//!
//! Files of one table may lack columns of another: those read as null there. A column that has two
//! types is an error that names both files.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::Statistics;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use futures::{StreamExt, TryStreamExt};
use parquet::file::metadata::ParquetMetaData;

use crate::error::{Error, Result};
use crate::guard::{guard, guard_future, in_file};
use crate::locate::SourceFile;
use crate::parquet::store::PlaceStore;

const FILES_AT_ONCE: usize = 8;

/// What the footers say.
#[derive(Debug)]
pub(super) struct Inferred {
    pub(super) store: PlaceStore,
    pub(super) files: Arc<[SourceFile]>,
    pub(super) schema: SchemaRef,
    pub(super) statistics: Vec<Arc<Statistics>>,
}

struct Footer {
    metadata: Arc<ParquetMetaData>,
    schema: Schema,
}

pub(super) async fn infer(files: Vec<SourceFile>) -> Result<Inferred> {
    let files: Arc<[SourceFile]> = files.into();
    let store = PlaceStore::new(Arc::clone(&files));
    let footers: Vec<Footer> =
        futures::stream::iter((0..files.len()).map(|index| footer(&store, &files, index)))
            .buffered(FILES_AT_ONCE)
            .try_collect()
            .await?;
    let schema = Arc::new(merge(&files, &footers)?);
    let statistics = files.iter().zip(&footers).map(|(file, footer)| {
        guard(&file.name(), || {
            DFParquetMetadata::statistics_from_parquet_metadata(&footer.metadata, &schema)
                .map(Arc::new)
                .map_err(|e| Error::Query(in_file(&file.name(), e)))
        })
    });
    let statistics = statistics.collect::<Result<_>>()?;
    Ok(Inferred {
        store,
        files,
        schema,
        statistics,
    })
}

async fn footer(store: &PlaceStore, files: &[SourceFile], index: usize) -> Result<Footer> {
    let name = files[index].name();
    let meta = store.meta(index);
    let reader = DFParquetMetadata::new(store, &meta);
    let footer = async {
        let metadata = reader.fetch_metadata().await?;
        let schema = reader.fetch_schema().await?;
        Ok(Footer { metadata, schema })
    };
    guard_future(&name, async {
        footer.await.map_err(|e| unwrapped(in_file(&name, e)))
    })
    .await
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

fn merge(files: &[SourceFile], footers: &[Footer]) -> Result<Schema> {
    let mut merged: Vec<(Field, usize)> = Vec::new();
    for (index, footer) in footers.iter().enumerate() {
        for field in footer.schema.fields() {
            let field = field.as_ref().clone().with_metadata(Default::default());
            match merged.iter_mut().find(|(known, _)| known.name() == field.name()) {
                None => merged.push((field, index)),
                Some((known, first)) => known.try_merge(&field).map_err(|_| {
                    Error::Invalid(format!(
                        "{} and {} have different types for column {:?}: {} and {}; read them as two tables, or cast one",
                        files[*first].name(),
                        files[index].name(),
                        field.name(),
                        known.data_type(),
                        field.data_type()
                    ))
                })?,
            }
        }
    }
    let fields = merged.into_iter().map(|(field, _)| {
        let is_everywhere = footers
            .iter()
            .all(|footer| footer.schema.field_with_name(field.name()).is_ok());
        let nullable = field.is_nullable() || !is_everywhere;
        field.with_nullable(nullable)
    });
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}
