//! Arrow IPC files and streams to record batches: [`infer`] the schema, [`ArrowReader`] the rows.

use std::io::Read;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow_ipc::Block;
use arrow_ipc::reader::{FileDecoder, StreamDecoder};
use futures::{StreamExt, TryStreamExt};

use crate::adapt::{Adapter, merge, pieces, plain};
use crate::compress::ReadSeek;
use crate::error::{Error, Result};
use crate::guard::guard;
use crate::ipc::messages::{END, Footer, MAGIC, Messages, read_block};
use crate::limits::ReadLimits;
use crate::locate::SourceFile;
use crate::piece::{BatchIterator, FileReader, ScanRequest, until_over};

const FILES_AT_ONCE: usize = 8;

/// The schema that all `files` share.
pub(super) async fn infer(files: &[SourceFile], limits: &ReadLimits) -> Result<SchemaRef> {
    let tasks = files.iter().cloned().map(|file| {
        let limits = limits.clone();
        async move {
            tokio::task::spawn_blocking(move || {
                let name = file.name();
                let schema = guard(&name, || file_schema(&file, &limits))?;
                Ok::<_, Error>((plain(&schema, &name, &limits)?, name))
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

/// How a file is laid out.
enum Layout {
    File,
    Stream,
}

fn layout(file: &SourceFile, limits: &ReadLimits) -> Result<Layout> {
    let mut start = Vec::new();
    file.read(limits)?
        .take(MAGIC.len() as u64)
        .read_to_end(&mut start)
        .map_err(|e| Error::io("read", file.name(), e))?;
    match start.as_slice() {
        [] => Err(Error::Corrupt {
            file: file.name(),
            message: "it is empty".into(),
        }),
        start if start == MAGIC => Ok(Layout::File),
        start if start.starts_with(b"FEA1") => Err(Error::Unsupported(format!(
            "{}: the first version of Feather, which is no longer written; write it again as Feather 2",
            file.name()
        ))),
        _ => Ok(Layout::Stream),
    }
}

fn file_schema(file: &SourceFile, limits: &ReadLimits) -> Result<SchemaRef> {
    let name = file.name();
    match layout(file, limits)? {
        Layout::File => {
            let mut input = file.seekable(limits, false)?;
            Ok(Footer::read(input.as_mut(), &name, limits)?.schema)
        }
        Layout::Stream => {
            let (_, schema) = open_stream(
                &mut Messages::new(file.read(limits)?, name.clone(), limits),
                &name,
            )?;
            Ok(schema)
        }
    }
}

/// A decoder that knows its schema, which is the first message.
fn open_stream(messages: &mut Messages, name: &str) -> Result<(StreamDecoder, SchemaRef)> {
    let schema_of = |bytes: Buffer| -> Result<SchemaRef, ArrowError> {
        let mut decoder = StreamDecoder::new();
        decoder.decode(&mut bytes.clone())?;
        // The decoder looks at a message without a body only when more follows.
        decoder.decode(&mut Buffer::from(END.as_slice()))?;
        decoder
            .schema()
            .ok_or_else(|| ArrowError::IpcError("the stream does not begin with a schema".into()))
    };
    let first = messages.next()?.ok_or_else(|| Error::Corrupt {
        file: name.to_owned(),
        message: "a stream without a schema".into(),
    })?;
    let schema = schema_of(first.clone()).map_err(|e| corrupt(name, &e))?;
    let mut decoder = StreamDecoder::new();
    decoder
        .decode(&mut first.clone())
        .map_err(|e| corrupt(name, &e))?;
    Ok((decoder, schema))
}

/// Opens Arrow files and streams of one table.
#[derive(Debug)]
pub(super) struct ArrowReader {
    pub(super) limits: ReadLimits,
}

impl FileReader for ArrowReader {
    fn open(&self, file: &SourceFile, request: &ScanRequest) -> Result<BatchIterator> {
        let name = file.name();
        let adapter = Adapter::new(name.clone(), request);
        let source = match layout(file, &self.limits)? {
            Layout::File => self.open_file(file, &adapter)?,
            Layout::Stream => {
                let mut messages =
                    Messages::new(file.read(&self.limits)?, name.clone(), &self.limits);
                let (decoder, _) = open_stream(&mut messages, &name)?;
                Source::Stream {
                    messages,
                    decoder,
                    rest: Buffer::from(&[]),
                    at_end: false,
                }
            }
        };
        let mut decoded = Decoded {
            source,
            name,
            limits: self.limits.clone(),
        };
        let rows = request.batch_rows;
        let batches = until_over(move || decoded.read());
        Ok(Box::new(batches.flat_map(move |batch| {
            let adapted: Vec<Result<RecordBatch>> = match batch {
                // Cut first: an encoding that is cast may not fit as a whole.
                Ok(batch) => pieces(&batch, rows)
                    .map(|piece| adapter.batch(&piece))
                    .collect(),
                Err(e) => vec![Err(e)],
            };
            adapted
        })))
    }
}

impl ArrowReader {
    fn open_file(&self, file: &SourceFile, adapter: &Adapter) -> Result<Source> {
        let name = file.name();
        let mut input = file.seekable(&self.limits, false)?;
        let footer = Footer::read(input.as_mut(), &name, &self.limits)?;
        let mut decoder = FileDecoder::new(Arc::clone(&footer.schema), footer.version);
        for block in &footer.dictionaries {
            let bytes = read_block(input.as_mut(), block, &name, &self.limits)?;
            decoder
                .read_dictionary(block, &bytes)
                .map_err(|e| corrupt(&name, &e))?;
        }
        Ok(Source::File {
            input,
            decoder: decoder.with_projection(adapter.columns(&footer.schema)),
            blocks: footer.batches.into_iter(),
        })
    }
}

enum Source {
    File {
        input: Box<dyn ReadSeek>,
        decoder: FileDecoder,
        blocks: std::vec::IntoIter<Block>,
    },
    Stream {
        messages: Messages,
        decoder: StreamDecoder,
        /// Bytes that the decoder has not looked at.
        rest: Buffer,
        at_end: bool,
    },
}

/// The batches of one file as they are in it.
struct Decoded {
    source: Source,
    name: String,
    limits: ReadLimits,
}

impl Decoded {
    fn read(&mut self) -> Result<Option<RecordBatch>> {
        match &mut self.source {
            Source::File {
                input,
                decoder,
                blocks,
            } => {
                for block in blocks {
                    let bytes = read_block(input.as_mut(), &block, &self.name, &self.limits)?;
                    let batch = decoder
                        .read_record_batch(&block, &bytes)
                        .map_err(|e| corrupt(&self.name, &e))?;
                    if batch.is_some() {
                        return Ok(batch);
                    }
                }
                Ok(None)
            }
            Source::Stream {
                messages,
                decoder,
                rest,
                at_end,
            } => loop {
                while !rest.is_empty() {
                    let batch = decoder.decode(rest).map_err(|e| corrupt(&self.name, &e))?;
                    if batch.is_some() {
                        return Ok(batch);
                    }
                }
                if *at_end {
                    return Ok(None);
                }
                let next = messages.next()?;
                *at_end = next.is_none();
                *rest = next.unwrap_or_else(|| Buffer::from(END.as_slice()));
            },
        }
    }
}

fn corrupt(name: &str, error: &ArrowError) -> Error {
    Error::Corrupt {
        file: name.to_owned(),
        message: error.to_string(),
    }
}
