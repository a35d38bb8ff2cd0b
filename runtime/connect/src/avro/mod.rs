//! The Avro connector: [`AvroOptions`] and the wiring of its parts. Files are object container files.
//!
//! ```text
//! bytes ─container─▶ blocks, unpacked below the limits ─walk─▶ checked against the schema
//!        ─read──▶ arrow-avro ─adapt─▶ RecordBatch
//! RecordBatch ─write─▶ bytes
//! ```
//!
//! arrow-avro decodes, but believes what a file says: it unpacks without a limit, does not compare sync
//! markers, takes a cut file for its end, and turns in circles when a block holds more bytes than records.
//! So blocks are read, unpacked and walked here first, and it is given blocks that are what they say.

mod container;
mod read;
mod walk;
mod write;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;

use crate::error::Result;
use crate::format::{BatchWriter, Connector};
use crate::input::Output;
use crate::limits::ReadLimits;
use crate::locate::SourceFile;
use crate::scan::FileTable;

/// How blocks are compressed when written; any of them can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AvroCompression {
    /// Small files at good speed.
    Zstd,
    /// Every reader knows it. The default.
    #[default]
    Deflate,
    /// Larger files, fastest.
    Snappy,
    /// None.
    Uncompressed,
}

/// How Avro container files are read and written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AvroOptions {
    /// Writing only. Default: deflate.
    pub compression: AvroCompression,
    /// What a file may ask for.
    pub limits: ReadLimits,
}

#[async_trait]
impl Connector for AvroOptions {
    async fn table(&self, files: Vec<SourceFile>) -> Result<Arc<dyn TableProvider>> {
        let schema = read::infer(&files, &self.limits).await?;
        let reader = read::AvroReader {
            limits: self.limits.clone(),
        };
        Ok(Arc::new(FileTable::new(
            "avro",
            schema,
            files,
            Arc::new(reader),
        )))
    }

    fn writer(&self, file: Output, schema: &SchemaRef) -> Result<Box<dyn BatchWriter>> {
        write::writer(self, file, schema)
    }
}
