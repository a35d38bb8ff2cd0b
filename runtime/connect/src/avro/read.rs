//! Avro files to record batches: [`infer`] the schema, [`AvroReader`] the rows.

use std::io::{Cursor, Read};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_avro::reader::{Reader, ReaderBuilder};
use futures::{StreamExt, TryStreamExt};

use crate::adapt::{Adapter, merge, plain};
use crate::avro::container::{Container, Failure};
use crate::error::{Error, Result};
use crate::guard::guard;
use crate::limits::ReadLimits;
use crate::locate::SourceFile;
use crate::piece::{BatchIterator, FileReader, ScanRequest, until_over};

const FILES_AT_ONCE: usize = 8;

type Input = Box<dyn Read + Send>;

/// The schema that all `files` share, from their headers.
pub(super) async fn infer(files: &[SourceFile], limits: &ReadLimits) -> Result<SchemaRef> {
    let tasks = files.iter().cloned().map(|file| {
        let limits = limits.clone();
        async move {
            tokio::task::spawn_blocking(move || {
                let schema = file_schema(&file, &limits)?;
                Ok::<_, Error>((file.name(), plain(&schema, &file.name(), &limits)?))
            })
            .await
            .map_err(Error::joined)?
        }
    });
    let schemas: Vec<(String, Schema)> = futures::stream::iter(tasks)
        .buffered(FILES_AT_ONCE)
        .try_collect()
        .await?;
    let schemas = schemas.iter().map(|(name, schema)| (name.clone(), schema));
    merge(schemas).map(Arc::new)
}

/// The columns as the decoder has them.
fn file_schema(file: &SourceFile, limits: &ReadLimits) -> Result<SchemaRef> {
    let name = file.name();
    let container: Container<Input> = Container::open(file.read(limits)?, name.clone(), limits)?;
    guard(&name, || {
        let reader = ReaderBuilder::new()
            .build(Cursor::new(container.header()))
            .map_err(|e| unsupported(&name, &e))?;
        Ok(reader.schema())
    })
}

fn unsupported(file: &str, error: &arrow::error::ArrowError) -> Error {
    Error::Unsupported(format!("{file}: its schema cannot be a table: {error}"))
}

/// Opens Avro files of one table.
#[derive(Debug)]
pub(super) struct AvroReader {
    pub(super) limits: ReadLimits,
}

impl FileReader for AvroReader {
    fn open(&self, file: &SourceFile, request: &ScanRequest) -> Result<BatchIterator> {
        let name = file.name();
        let schema = file_schema(file, &self.limits)?;
        let adapter = Adapter::new(name.clone(), request);
        let columns = adapter.columns(&schema);
        let container: Container<Input> =
            Container::open(file.read(&self.limits)?, name.clone(), &self.limits)?;
        let failure = container.failure();
        let reader = ReaderBuilder::new()
            .with_batch_size(request.batch_rows.max(1))
            .with_projection(columns)
            .build(container)
            // It looks into the first block already.
            .map_err(|e| failure.take().unwrap_or_else(|| unsupported(&name, &e)))?;
        let mut batches = AvroBatches {
            reader,
            adapter,
            failure,
            name,
        };
        Ok(until_over(move || batches.read_batch()))
    }
}

struct AvroBatches {
    reader: Reader<Container<Input>>,
    adapter: Adapter,
    failure: Failure,
    name: String,
}

impl AvroBatches {
    fn read_batch(&mut self) -> Result<Option<RecordBatch>> {
        match self.reader.next() {
            None => Ok(None),
            Some(Ok(batch)) => self.adapter.batch(&batch).map(Some),
            Some(Err(e)) => Err(self.failure.take().unwrap_or_else(|| Error::Corrupt {
                file: self.name.clone(),
                message: e.to_string(),
            })),
        }
    }
}
