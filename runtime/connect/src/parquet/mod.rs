//! The Parquet connector: [`ParquetOptions`] and the wiring of its parts.
//!
//! ```text
//! files ─store─▶ ranges of bytes, opened through the place
//!       ─infer─▶ footers: schema, statistics
//!       ─read──▶ GuardExec ▶ DataSourceExec(ParquetSource): DataFusion's scan, with all its pushdown
//! RecordBatch ─write─▶ bytes
//! ```

mod infer;
mod read;
mod store;
mod write;

use std::fs::File;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;

use crate::error::Result;
use crate::format::{BatchWriter, Connector};
use crate::locate::SourceFile;

/// How pages are compressed when written; any that this build knows can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ParquetCompression {
    /// Small files at good speed, level 3. The default.
    #[default]
    Zstd,
    /// Larger files, fastest; what the oldest readers know.
    Snappy,
    /// None.
    Uncompressed,
}

/// How Parquet is written. Reading needs no options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParquetOptions {
    /// Default: zstd.
    pub compression: ParquetCompression,
    /// Rows in a row group, at most. Default: 1 048 576. Fewer allow finer skipping and more parallel reading.
    pub row_group_rows: usize,
    /// Encoded bytes in a row group, at most; also what the writer holds in memory. Default: 128 MiB.
    pub row_group_bytes: usize,
    /// Repeated values are stored once per row group. Default: true.
    pub dictionary: bool,
}

impl Default for ParquetOptions {
    fn default() -> Self {
        Self {
            compression: ParquetCompression::default(),
            row_group_rows: 1 << 20,
            row_group_bytes: 128 << 20,
            dictionary: true,
        }
    }
}

#[async_trait]
impl Connector for ParquetOptions {
    async fn table(&self, files: Vec<SourceFile>) -> Result<Arc<dyn TableProvider>> {
        let inferred = infer::infer(files).await?;
        Ok(Arc::new(read::ParquetTable::new(inferred)))
    }

    fn writer(&self, file: File, schema: &SchemaRef) -> Result<Box<dyn BatchWriter>> {
        write::writer(self, file, schema)
    }
}
