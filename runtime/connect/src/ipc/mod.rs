//! The connector of Arrow's own formats: [`ArrowOptions`] and the wiring of its parts.
//!
//! ```text
//! file (Feather 2)  ─ footer ─▶ blocks   ─┐
//! stream            ─────────▶ messages ─┴─messages─▶ checked ─read──▶ arrow-ipc ─adapt─▶ RecordBatch
//! RecordBatch ─write─▶ a file
//! ```
//!
//! Which of the two a file is, its first bytes say. arrow-ipc validates the arrays it makes, but takes
//! lengths as they come: what a message claims is compared here with what is there, and what it would
//! unpack to with the limits, before it is decoded. Panics that are left end at the guard of the scan.

mod messages;
mod read;
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

/// How buffers are compressed when written; any of them can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArrowCompression {
    /// Small files at good speed, level 3.
    Zstd,
    /// Fastest; what Feather writes. The default.
    #[default]
    Lz4,
    /// None: readers may map the file.
    Uncompressed,
}

/// How Arrow IPC files are written. Reading needs no options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArrowOptions {
    /// Writing only. Default: lz4.
    pub compression: ArrowCompression,
    /// What a file may ask for.
    pub limits: ReadLimits,
}

#[async_trait]
impl Connector for ArrowOptions {
    async fn table(&self, files: Vec<SourceFile>) -> Result<Arc<dyn TableProvider>> {
        let schema = read::infer(&files, &self.limits).await?;
        let reader = read::ArrowReader {
            limits: self.limits.clone(),
        };
        Ok(Arc::new(FileTable::new(
            "arrow",
            schema,
            files,
            Arc::new(reader),
        )))
    }

    fn writer(&self, file: Output, schema: &SchemaRef) -> Result<Box<dyn BatchWriter>> {
        write::writer(self, file, schema)
    }
}
