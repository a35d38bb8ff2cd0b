//! Record batches to ORC files ([`writer`]).
//!
//! orc-rust writes flat columns of the types below, without statistics; what it cannot write is refused
//! with the column's name before anything is written.

use std::cell::RefCell;
use std::io::{self, BufWriter, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use orc_rust::ArrowWriterBuilder;
use orc_rust::compression::CompressionType;

use crate::adapt::cast_columns;
use crate::error::{Error, Result};
use crate::format::BatchWriter;
use crate::guard::panic_text;
use crate::input::Output;
use crate::orc::{OrcCompression, OrcOptions};

pub(super) fn writer(
    options: &OrcOptions,
    file: Output,
    schema: &SchemaRef,
) -> Result<Box<dyn BatchWriter>> {
    let fields = schema.fields().iter().map(writable);
    let schema = Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?));
    let compression = match options.compression {
        OrcCompression::Zstd => Some(CompressionType::Zstd),
        OrcCompression::Zlib => Some(CompressionType::Zlib),
        OrcCompression::Snappy => Some(CompressionType::Snappy),
        OrcCompression::Uncompressed => None,
    };
    let (batches, received) = sync_channel(1);
    let of_thread = Arc::clone(&schema);
    let thread = std::thread::Builder::new()
        .name("orc writer".into())
        .spawn(move || encode(file, of_thread, compression, received))
        .map_err(|e| Error::io("write", "orc output", e))?;
    Ok(Box::new(OrcWriter {
        batches: Some(batches),
        thread: Some(thread),
        schema,
    }))
}

/// Writes what comes; the file, complete, when no more comes. Runs on a thread of its own.
fn encode(
    file: Output,
    schema: SchemaRef,
    compression: Option<CompressionType>,
    batches: Receiver<RecordBatch>,
) -> Result<Output> {
    let output = Shared(Rc::new(RefCell::new(BufWriter::new(file))));
    let mut builder = ArrowWriterBuilder::new(output.clone(), schema);
    if let Some(compression) = compression {
        builder = builder.with_compression(compression);
    }
    let mut writer = builder.try_build().map_err(query)?;
    for batch in batches {
        writer.write(&batch).map_err(query)?;
    }
    writer.close().map_err(query)?;
    let io = |e| Error::io("write", "orc output", e);
    let output = Rc::into_inner(output.0)
        .ok_or_else(|| io(io::Error::other("the output is still in use")))?;
    output
        .into_inner()
        .into_inner()
        .map_err(|e| io(e.into_error()))
}

/// The field as orc-rust can write it.
fn writable(field: &FieldRef) -> Result<Field> {
    use DataType::*;
    let data_type = match field.data_type() {
        UInt8 => Int16,
        UInt16 => Int32,
        UInt32 => Int64,
        Float16 => Float32,
        LargeUtf8 | Utf8View => Utf8,
        LargeBinary | BinaryView | FixedSizeBinary(_) => Binary,
        Timestamp(unit, Some(_)) => Timestamp(*unit, Some("UTC".into())),
        Dictionary(_, values) => {
            let values = Arc::new(Field::new(
                field.name(),
                values.as_ref().clone(),
                field.is_nullable(),
            ));
            return writable(&values);
        }
        known @ (Boolean
        | Int8
        | Int16
        | Int32
        | Int64
        | Float32
        | Float64
        | Utf8
        | Binary
        | Date32
        | Timestamp(_, None)) => known.clone(),
        other => {
            return Err(Error::Unsupported(format!(
                "column {:?} is {other}, which is not written as orc; write parquet, or cast it",
                field.name()
            )));
        }
    };
    Ok(Field::new(field.name(), data_type, field.is_nullable()))
}

/// orc-rust keeps its output; this is the way back to it.
#[derive(Clone)]
struct Shared(Rc<RefCell<BufWriter<Output>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

/// Hands batches to the thread that encodes: orc-rust's writer cannot move between threads.
struct OrcWriter {
    batches: Option<SyncSender<RecordBatch>>,
    thread: Option<JoinHandle<Result<Output>>>,
    schema: SchemaRef,
}

impl BatchWriter for OrcWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = cast_columns(batch, &self.schema)?;
        let is_sent = self
            .batches
            .as_ref()
            .is_some_and(|batches| batches.send(batch).is_ok());
        if is_sent {
            return Ok(());
        }
        // The thread has stopped: it says why.
        self.join().map(drop)
    }

    fn finish(mut self: Box<Self>) -> Result<Output> {
        self.join()
    }
}

impl OrcWriter {
    fn join(&mut self) -> Result<Output> {
        self.batches = None;
        let stopped = || {
            Error::io(
                "write",
                "orc output",
                io::Error::other("its thread stopped"),
            )
        };
        let thread = self.thread.take().ok_or_else(stopped)?;
        thread.join().unwrap_or_else(|panic| {
            Err(Error::Unsupported(format!(
                "the orc writer panicked: {}",
                panic_text(panic.as_ref())
            )))
        })
    }
}

fn query(error: orc_rust::error::OrcError) -> Error {
    Error::Query(DataFusionError::External(Box::new(error)))
}
