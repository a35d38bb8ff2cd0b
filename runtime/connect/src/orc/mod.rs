//! The ORC connector: [`OrcOptions`] and the wiring of its parts.
//!
//! ```text
//! file ─check─▶ ranges inside the file, chunks below the limits ─read──▶ orc-rust ─adapt─▶ RecordBatch
//! RecordBatch ─write─▶ bytes
//! ```
//!
//! Only the columns that are wanted are read, a stripe at a time. orc-rust unpacks what it is given, so
//! what it asks for goes through [`check::CheckedFile`] first.

mod check;
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

/// How chunks are compressed when written; any of them, and LZO, can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrcCompression {
    /// Small files at good speed.
    Zstd,
    /// Every reader knows it. The default.
    #[default]
    Zlib,
    /// Larger files, fastest.
    Snappy,
    /// None.
    Uncompressed,
}

/// How ORC is read and written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrcOptions {
    /// Writing only. Default: zlib.
    pub compression: OrcCompression,
    /// Timestamps are read with microseconds instead of nanoseconds: what is finer is cut off, in turn the
    /// years 1 to 9999 fit instead of 1677 to 2262. Default: false; a timestamp that does not fit is an error.
    pub microseconds: bool,
    /// What a file may ask for.
    pub limits: ReadLimits,
}

#[async_trait]
impl Connector for OrcOptions {
    async fn table(&self, files: Vec<SourceFile>) -> Result<Arc<dyn TableProvider>> {
        let schema = read::infer(&files, self).await?;
        let reader = read::OrcReader {
            options: self.clone(),
        };
        Ok(Arc::new(FileTable::new(
            "orc",
            schema,
            files,
            Arc::new(reader),
        )))
    }

    fn writer(&self, file: Output, schema: &SchemaRef) -> Result<Box<dyn BatchWriter>> {
        write::writer(self, file, schema)
    }
}
