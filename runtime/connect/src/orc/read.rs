//! ORC files to record batches: [`infer`] the schema, [`OrcReader`] the rows.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use futures::{StreamExt, TryStreamExt};
use orc_rust::projection::ProjectionMask;
use orc_rust::{ArrowReader, ArrowReaderBuilder, TimestampPrecision};

use crate::adapt::{Adapter, merge, plain};
use crate::error::{Error, Result};
use crate::guard::guard;
use crate::locate::SourceFile;
use crate::orc::OrcOptions;
use crate::orc::check::CheckedFile;
use crate::piece::{BatchIterator, FileReader, ScanRequest, until_over};

const FILES_AT_ONCE: usize = 8;

/// The schema that all `files` share, from their footers.
pub(super) async fn infer(files: &[SourceFile], options: &OrcOptions) -> Result<SchemaRef> {
    let tasks = files.iter().cloned().map(|file| {
        let options = options.clone();
        async move {
            tokio::task::spawn_blocking(move || {
                let name = file.name();
                let schema = guard(&name, || Ok(open(&file, &options)?.schema()))?;
                Ok::<_, Error>((plain(&schema, &name, &options.limits)?, name))
            })
            .await
            .map_err(Error::joined)?
        }
    });
    let schemas: Vec<(Schema, String)> = futures::stream::iter(tasks)
        .buffered(FILES_AT_ONCE)
        .try_collect()
        .await?;
    let schemas = schemas.iter().map(|(schema, name)| (name.clone(), schema));
    merge(schemas).map(Arc::new)
}

/// The file with its tail read.
fn open(file: &SourceFile, options: &OrcOptions) -> Result<ArrowReaderBuilder<CheckedFile>> {
    let name = file.name();
    let input = file.seekable(&options.limits, false)?;
    let checked = CheckedFile::open(input, name.clone(), &options.limits)?;
    let has_chunks = checked.has_chunks();
    let precision = if options.microseconds {
        TimestampPrecision::Microsecond
    } else {
        TimestampPrecision::Nanosecond
    };
    let builder = ArrowReaderBuilder::try_new(checked)
        .map_err(|e| failed(&name, &e))?
        .with_timestamp_precision(precision);
    has_chunks.store(true, Ordering::Relaxed);
    Ok(builder)
}

/// Opens ORC files of one table.
#[derive(Debug)]
pub(super) struct OrcReader {
    pub(super) options: OrcOptions,
}

impl FileReader for OrcReader {
    fn open(&self, file: &SourceFile, request: &ScanRequest) -> Result<BatchIterator> {
        let builder = open(file, &self.options)?;
        let adapter = Adapter::new(file.name(), request);
        let metadata = builder.file_metadata();
        for stripe in metadata.stripe_metadatas() {
            self.options
                .limits
                .check_memory(&file.name(), "a stripe", stripe.data_length())?;
        }
        let children = metadata.root_data_type().children();
        let wanted = adapter.columns(&builder.schema());
        let wanted = wanted
            .into_iter()
            .filter_map(|index| children.get(index))
            .map(|column| column.data_type().column_index());
        let mask = ProjectionMask::roots(metadata.root_data_type(), wanted);
        let reader = builder
            .with_projection(mask)
            .with_batch_size(request.batch_rows.max(1))
            .build();
        let mut batches = OrcBatches {
            reader,
            adapter,
            name: file.name(),
        };
        Ok(until_over(move || batches.read_batch()))
    }
}

struct OrcBatches {
    reader: ArrowReader<CheckedFile>,
    adapter: Adapter,
    name: String,
}

impl OrcBatches {
    fn read_batch(&mut self) -> Result<Option<RecordBatch>> {
        match self.reader.next() {
            None => Ok(None),
            Some(Ok(batch)) => self.adapter.batch(&batch).map(Some),
            Some(Err(ArrowError::ExternalError(e))) => Err(failed(&self.name, e.as_ref())),
            Some(Err(e)) => Err(failed(&self.name, &e)),
        }
    }
}

/// The error of the decoder, or ours below it.
fn failed(name: &str, error: &(dyn std::error::Error + 'static)) -> Error {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        let ours = inner
            .downcast_ref::<std::io::Error>()
            .and_then(|io| io.get_ref())
            .and_then(|inner| inner.downcast_ref::<Error>());
        match ours {
            Some(Error::Limit {
                file,
                limit,
                value,
                asked,
            }) => {
                return Error::Limit {
                    file: file.clone(),
                    limit,
                    value: *value,
                    asked: asked.clone(),
                };
            }
            Some(Error::Corrupt { file, message }) => {
                return Error::Corrupt {
                    file: file.clone(),
                    message: message.clone(),
                };
            }
            _ => cause = inner.source(),
        }
    }
    Error::Corrupt {
        file: name.to_owned(),
        message: error.to_string(),
    }
}
