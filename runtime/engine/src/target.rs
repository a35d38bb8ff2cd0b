//! Targets: where a job's results go, staged first and published together.

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use parking_lot::Mutex;
use tenon_catalog::{
    DatabaseInput, Error as CatalogError, TableFormat, TenantCatalog, UpdateTable,
    table_from_schema,
};
use tenon_connect::{
    Error as ConnectError, FileSink, Format, ParquetCompression, ParquetOptions, Place,
    StagedOutput, Target, WriteMode,
};

use crate::engine::default_format;
use crate::error::{Error, Result, full_disk_hint};
use crate::graph::{Job, Node, SchemaChangePolicy};
use crate::report::TargetReport;

/// A target node, checked.
#[derive(Debug)]
pub(crate) struct TargetSpec {
    name: String,
    path: PathBuf,
    format: Format,
    /// Database and table.
    table: Option<(String, String)>,
}

impl TargetSpec {
    /// The target that a node is, if it is one.
    pub(crate) fn of(node: &Node, job: &Job) -> Result<Option<Self>> {
        let (path, format, policy) = match node {
            Node::S3GlueParquetTarget(target) => (
                &target.path,
                parquet(node, target.compression.as_deref())?,
                &target.schema_change_policy,
            ),
            Node::S3DirectTarget(target) => {
                let format = default_format(&target.format).ok_or_else(|| {
                    Error::node(
                        node.name(),
                        format!(
                            "Format {:?} cannot be written yet; parquet, csv, json, avro and orc can",
                            target.format
                        ),
                    )
                })?;
                (&target.path, format, &target.schema_change_policy)
            }
            _ => return Ok(None),
        };
        let table = policy
            .as_ref()
            .and_then(|policy| table_of(node, policy).transpose())
            .transpose()?;
        if table.is_some() && table_format(&format).is_none() {
            return Err(Error::node(node.name(), NO_TABLE));
        }
        Ok(Some(Self {
            name: node.name().to_owned(),
            path: job.path(path),
            format,
            table,
        }))
    }

    /// Whether results of several runs can stand beside each other there.
    pub(crate) fn check_for_new(&self) -> Result<()> {
        let path = self.path.to_string_lossy();
        if path.ends_with('/') || Format::from_path(&self.path).is_err() {
            return Ok(());
        }
        Err(Error::node(
            &self.name,
            format!(
                "Path {path} is a file, and a run that reads only what is new writes beside what earlier runs wrote: \
                 give a folder"
            ),
        ))
    }

    /// Runs the partitions into staged files, invisible until [`Staged::commit`].
    pub(crate) async fn stage(
        &self,
        id: &str,
        (place, mode): (&Place, WriteMode),
        run: &str,
        schema: SchemaRef,
        partitions: Vec<SendableRecordBatchStream>,
        preview_rows: usize,
    ) -> Result<Staged> {
        let target = Target::from_path(place, &self.path);
        let sink =
            FileSink::open(place, &target, &self.format, mode, run).map_err(|e| self.fail(&e))?;
        let preview = Arc::new(Mutex::new(Preview {
            rows: preview_rows,
            batches: Vec::new(),
            over: false,
        }));
        let watched = partitions
            .into_iter()
            .map(|partition| watch(partition, &preview))
            .collect();
        let output = sink
            .write(Arc::clone(&schema), watched)
            .await
            .map_err(|e| self.fail(&e))?;
        let preview = preview.lock().take(&schema);
        Ok(Staged {
            id: id.to_owned(),
            name: self.name.clone(),
            path: self.path.clone(),
            format: self.format.clone(),
            table: self.table.clone(),
            schema,
            output,
            preview,
        })
    }

    fn fail(&self, error: &ConnectError) -> Error {
        match error {
            ConnectError::Query(inner) => Error::of_datafusion(&self.name, inner),
            other => written(&self.name, other),
        }
    }
}

/// A failure of a target's own files.
fn written(node: &str, error: &ConnectError) -> Error {
    let hint = match error {
        ConnectError::Io { source, .. } => {
            full_disk_hint(source, "there, or give the target another Path")
        }
        _ => None,
    };
    Error::node(node, error).or_hint(hint)
}

fn parquet(node: &Node, compression: Option<&str>) -> Result<Format> {
    let compression = match compression {
        None | Some("snappy") => ParquetCompression::Snappy,
        Some("zstd") => ParquetCompression::Zstd,
        Some("gzip") => ParquetCompression::Gzip,
        Some("brotli") => ParquetCompression::Brotli,
        Some("lz4") => ParquetCompression::Lz4,
        Some("uncompressed" | "none") => ParquetCompression::Uncompressed,
        Some(other) => {
            return Err(Error::node(
                node.name(),
                format!(
                    "Compression {other:?} cannot be written; snappy, zstd, gzip, brotli, lz4 and uncompressed can"
                ),
            ));
        }
    };
    Ok(Format::Parquet(ParquetOptions {
        compression,
        ..ParquetOptions::default()
    }))
}

fn table_of(node: &Node, policy: &SchemaChangePolicy) -> Result<Option<(String, String)>> {
    if !policy.enable_update_catalog {
        return Ok(None);
    }
    match (&policy.database, &policy.table) {
        (Some(database), Some(table)) => Ok(Some((database.clone(), table.clone()))),
        _ => Err(Error::node(
            node.name(),
            "SchemaChangePolicy: EnableUpdateCatalog needs Database and Table",
        )),
    }
}

/// The rows of a target while they are few.
struct Preview {
    rows: usize,
    batches: Vec<RecordBatch>,
    over: bool,
}

impl Preview {
    fn add(&mut self, batch: &RecordBatch) {
        let rows: usize = self.batches.iter().map(RecordBatch::num_rows).sum();
        self.over |= rows + batch.num_rows() > self.rows;
        if self.over {
            self.batches.clear();
        } else {
            self.batches.push(batch.clone());
        }
    }

    fn take(&mut self, schema: &SchemaRef) -> Option<RecordBatch> {
        if self.over {
            return None;
        }
        concat_batches(schema, &self.batches).ok()
    }
}

fn watch(
    partition: SendableRecordBatchStream,
    preview: &Arc<Mutex<Preview>>,
) -> SendableRecordBatchStream {
    let (schema, preview) = (partition.schema(), Arc::clone(preview));
    let watched = partition.inspect(move |batch| {
        if let Ok(batch) = batch {
            preview.lock().add(batch);
        }
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, watched))
}

/// A target whose files are written and not yet visible. Dropped, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Staged {
    id: String,
    name: String,
    path: PathBuf,
    format: Format,
    table: Option<(String, String)>,
    schema: SchemaRef,
    output: StagedOutput,
    preview: Option<RecordBatch>,
}

impl Staged {
    /// Makes the files durable while nobody sees them.
    pub(crate) async fn sync(self) -> Result<Self> {
        let output = self.output.sync().await;
        let output = output.map_err(|e| written(&self.name, &e))?;
        Ok(Self { output, ..self })
    }

    /// Publishes the files, then registers the table.
    pub(crate) async fn commit(self, catalog: Option<&TenantCatalog>) -> Result<TargetReport> {
        let committed = self
            .output
            .commit()
            .await
            .map_err(|e| written(&self.name, &e))?;
        let mut table = None;
        if let Some((database, name)) = &self.table {
            let Some(catalog) = catalog.cloned() else {
                return Err(Error::node(
                    &self.name,
                    "there is no catalog to register its table in",
                ));
            };
            let is_url = self.path.to_string_lossy().contains("://");
            let location = match is_url {
                true => self.path.clone(),
                false => std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone()),
            };
            let (database, name, schema, format) = (
                database.clone(),
                name.clone(),
                Arc::clone(&self.schema),
                table_format(&self.format).ok_or_else(|| Error::node(&self.name, NO_TABLE))?,
            );
            table = Some(format!("{database}.{name}"));
            let location = location.to_string_lossy().into_owned();
            let registered = tokio::task::spawn_blocking(move || {
                register(&catalog, &database, &name, &schema, &location, format)
            })
            .await;
            registered
                .map_err(|e| Error::Io(e.to_string()))?
                .map_err(|e| {
                    Error::node(
                        &self.name,
                        format!("the files are written, the table is not registered: {e}"),
                    )
                })?;
        }
        Ok(TargetReport {
            id: self.id,
            path: self.path,
            files: committed.files.len(),
            rows: committed.rows,
            bytes: committed.bytes,
            table,
            preview: self.preview,
        })
    }
}

const NO_TABLE: &str = "a table of files of this Format cannot be registered yet; of parquet, csv and json files it can";

/// The format of the table that these files are, if the catalog knows it.
fn table_format(format: &Format) -> Option<TableFormat> {
    match format {
        Format::Csv(_) => Some(TableFormat::Csv),
        Format::Json(_) => Some(TableFormat::Json),
        Format::Parquet(_) => Some(TableFormat::Parquet),
        _ => None,
    }
}

/// Creates or updates the table, and its database when that is missing.
fn register(
    catalog: &TenantCatalog,
    database: &str,
    name: &str,
    schema: &SchemaRef,
    location: &str,
    format: TableFormat,
) -> Result<(), CatalogError> {
    let input = table_from_schema(name, schema, location, format)?;
    match catalog.create_database(DatabaseInput {
        name: database.to_owned(),
        ..DatabaseInput::default()
    }) {
        Ok(_) | Err(CatalogError::AlreadyExists { .. }) => {}
        Err(e) => return Err(e),
    }
    match catalog.create_table(database, input.clone()) {
        Err(CatalogError::AlreadyExists { .. }) => catalog
            .update_table(database, input, &UpdateTable::default())
            .map(|_| ()),
        other => other.map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: i32) -> String {
        let source = std::io::Error::from_raw_os_error(code);
        let error = ConnectError::Io {
            action: "write",
            path: "out/part-00000-r.parquet".to_owned(),
            source,
        };
        let error = written("out", &error);
        format!("{error}\n{}", error.hint().unwrap_or("no hint"))
    }

    #[test]
    fn what_to_do_about_a_full_disk_is_said() {
        let cases = [
            (
                28,
                "No space left on device",
                "free some space there, or give the target another Path",
            ),
            (122, "quota exceeded", "free some of your quota there"),
            (27, "File too large", "files may not grow that large here"),
            (5, "error 5", "no hint"),
        ];
        for (code, what, remedy) in cases {
            let text = refused(code);
            let start = "node \"out\": cannot write out/part-00000-r.parquet: ";
            assert!(text.starts_with(start), "{text}");
            assert!(text.contains(what) && text.contains(remedy), "{text}");
        }
    }
}
