//! The Parquet connector: [`ParquetOptions`] and the wiring of its parts.
//!
//! ```text
//! files ─store─▶ ranges of bytes, opened through the place
//!       ─infer─▶ footers: schema, statistics
//!       ─read──▶ GuardExec ▶ DataSourceExec(ParquetSource): DataFusion's scan, with all its pushdown
//! RecordBatch ─write─▶ bytes
//! ```

mod infer;
mod keys;
mod read;
mod store;
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

pub use self::keys::{ParquetKey, ParquetKeys};

/// How pages are compressed when written; any of them, and LZO's deprecated relative of LZ4, can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ParquetCompression {
    /// Small files at good speed; levels 1 to 22, 3 without one. The default.
    #[default]
    Zstd,
    /// Larger files, fastest; what the oldest readers know. No levels.
    Snappy,
    /// Small files, slow; levels 0 to 9, 6 without one.
    Gzip,
    /// Smallest files, slowest; levels 0 to 11, 1 without one.
    Brotli,
    /// As fast as snappy, a little smaller. No levels.
    Lz4,
    /// None.
    Uncompressed,
}

/// One column that rows are sorted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortColumn {
    /// A column that is no struct, list or map.
    pub name: String,
    /// Largest first.
    pub descending: bool,
    /// Nulls before everything else.
    pub nulls_first: bool,
}

/// How Parquet is read and written. Reading needs no options, except the keys of encrypted files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParquetOptions {
    /// Writing only. Default: zstd.
    pub compression: ParquetCompression,
    /// Writing only: higher is smaller and slower. Default: what the compression says.
    pub compression_level: Option<u32>,
    /// Rows in a row group, at most. Default: 1 048 576. Fewer allow finer skipping and more parallel reading.
    pub row_group_rows: usize,
    /// Encoded bytes in a row group, at most; also what the writer holds in memory. Default: 128 MiB.
    pub row_group_bytes: usize,
    /// Repeated values are stored once per row group. Default: true.
    pub dictionary: bool,
    /// Columns for which it is the other way round than `dictionary` says; one inside of others by its path
    /// with dots. Default: none.
    pub dictionary_exceptions: Vec<String>,
    /// Columns with a bloom filter in each row group, so that `=` skips row groups that lack the value; paths
    /// as above. Default: none. Worth its bytes for columns of many values in no order.
    pub bloom_filter_columns: Vec<String>,
    /// Each row group is sorted by these columns, and says so. Default: none. The writer then holds up to
    /// `row_group_rows` rows, or `row_group_bytes` before encoding, in memory. Rows are not moved between
    /// row groups: sort the whole in the query if that is wanted.
    pub sort_columns: Vec<SortColumn>,
    /// Files are decrypted with these when read, and encrypted when written. Default: none.
    pub keys: Option<ParquetKeys>,
    /// What a file may ask for.
    pub limits: ReadLimits,
}

impl Default for ParquetOptions {
    fn default() -> Self {
        Self {
            compression: ParquetCompression::default(),
            compression_level: None,
            row_group_rows: 1 << 20,
            row_group_bytes: 128 << 20,
            dictionary: true,
            dictionary_exceptions: Vec::new(),
            bloom_filter_columns: Vec::new(),
            sort_columns: Vec::new(),
            keys: None,
            limits: ReadLimits::default(),
        }
    }
}

#[async_trait]
impl Connector for ParquetOptions {
    async fn table(&self, files: Vec<SourceFile>) -> Result<Arc<dyn TableProvider>> {
        let inferred = infer::infer(files, self).await?;
        let keys = self
            .keys
            .as_ref()
            .map(ParquetKeys::decryption)
            .transpose()?;
        Ok(Arc::new(read::ParquetTable::new(inferred, keys)))
    }

    fn writer(&self, file: Output, schema: &SchemaRef) -> Result<Box<dyn BatchWriter>> {
        write::writer(self, file, schema)
    }
}
