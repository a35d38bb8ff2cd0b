//! Tests through the public API, one file per topic; helpers here.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

mod cases;
mod csv;
mod formats;
mod hostile;
mod json;
mod parquet;
mod partitioned;
mod random;
mod reference;
mod remote;
mod round_trip;
mod sink;
mod values;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::pretty::pretty_format_batches;
use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::{SessionConfig, SessionContext};
use tempfile::TempDir;
use tenon_connect::{Error, FileSink, Format, Place, StagedOutput, Target, WriteMode, table};

/// A folder as a rooted place, so that errors name files as they were given.
struct Folder {
    root: TempDir,
    place: Place,
}

impl Folder {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let place = Place::rooted(root.path()).unwrap();
        Self { root, place }
    }

    fn with(files: &[(&str, &[u8])]) -> Self {
        let folder = Self::new();
        for (name, content) in files {
            folder.write(name, content);
        }
        folder
    }

    fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.root.path().join(name), content).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// All names, hidden ones too.
    fn names(&self, name: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(name)).unwrap();
        let mut names: Vec<_> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    async fn table(
        &self,
        names: &[&str],
        format: &Format,
    ) -> Result<Arc<dyn TableProvider>, Error> {
        let paths: Vec<_> = names.iter().map(PathBuf::from).collect();
        table(&self.place, &paths, format).await
    }

    /// The rows of a file, by SQL over table `t`.
    async fn query(
        &self,
        names: &[&str],
        format: &Format,
        sql: &str,
    ) -> Result<Vec<RecordBatch>, String> {
        let table = self.table(names, format).await.map_err(|e| e.to_string())?;
        let context = SessionContext::new();
        context.register_table("t", table).unwrap();
        let frame = context.sql(sql).await.map_err(|e| e.to_string())?;
        frame
            .collect()
            .await
            .map_err(|e| e.find_root().to_string().replace("External error: ", ""))
    }

    async fn show(&self, names: &[&str], format: &Format, sql: &str) -> String {
        match self.query(names, format, sql).await {
            Ok(batches) => pretty_format_batches(&batches).unwrap().to_string(),
            Err(error) => error,
        }
    }

    fn sink(
        &self,
        target: &str,
        format: &Format,
        mode: WriteMode,
        run: &str,
    ) -> Result<FileSink, Error> {
        let target = Target::from_path(&self.place, Path::new(target));
        FileSink::open(&self.place, &target, format, mode, run)
    }

    async fn stage(
        &self,
        target: &str,
        format: &Format,
        batches: Vec<RecordBatch>,
    ) -> Result<StagedOutput, Error> {
        let schema = batches[0].schema();
        let sink = self.sink(target, format, WriteMode::Replace, "run1")?;
        sink.write(schema, vec![stream(batches)]).await
    }
}

fn stream(batches: Vec<RecordBatch>) -> SendableRecordBatchStream {
    stream_of(batches[0].schema(), batches.into_iter().map(Ok).collect())
}

fn stream_of(
    schema: SchemaRef,
    items: Vec<Result<RecordBatch, DataFusionError>>,
) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(
        schema,
        futures::stream::iter(items),
    ))
}

fn types(table: &Arc<dyn TableProvider>) -> String {
    let schema = table.schema();
    let fields = schema
        .fields()
        .iter()
        .map(|f| format!("{}: {}", f.name(), f.data_type()));
    fields.collect::<Vec<_>>().join(", ")
}

/// A folder of the shared corpora, from `TENON_SHARED` or `../shared` next to the checkout.
fn corpus(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("TENON_SHARED").map_or(beside, PathBuf::from);
    let folder = shared.join("data/corpora").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!(
        "skipped: {name} is not there; set TENON_SHARED to the folder that holds data/corpora"
    );
    None
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// Reads a whole file by ambient path; the row count, or the error.
async fn read_all(path: &Path, format: &Format) -> Result<usize, String> {
    let table = table(&Place::ambient(), &[path.to_path_buf()], format)
        .await
        .map_err(|e| e.to_string())?;
    let frame = SessionContext::new()
        .read_table(table)
        .map_err(|e| e.to_string())?;
    let batches = frame.collect().await.map_err(|e| e.to_string())?;
    Ok(batches.iter().map(RecordBatch::num_rows).sum())
}

/// The rows of a whole file by ambient path, in the order of the file.
async fn read_batches(
    path: &Path,
    format: &Format,
) -> Result<(SchemaRef, Vec<RecordBatch>), String> {
    let table = table(&Place::ambient(), &[path.to_path_buf()], format)
        .await
        .map_err(|e| e.to_string())?;
    let schema = table.schema();
    let config = SessionConfig::new().with_target_partitions(1);
    let frame = SessionContext::new_with_config(config)
        .read_table(table)
        .map_err(|e| e.to_string())?;
    let batches = frame.collect().await.map_err(|e| e.to_string())?;
    Ok((schema, batches))
}
