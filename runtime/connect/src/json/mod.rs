//! The JSON connector: [`JsonOptions`] and the wiring of its parts.
//!
//! ```text
//! bytes ─encoding─▶ UTF-8 ─records─▶ where an object begins, line ─infer──▶ schema       (serde_json)
//!          ▲                                                      ─decode─▶ RecordBatch  (parse.rs)
//!          └─split─ where a part of a large file begins
//! RecordBatch ─write─▶ one object per line
//! ```

mod decode;
mod infer;
mod parse;
mod path;
mod read;
mod records;
mod split;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;

use crate::compress::TextCompression;
use crate::encoding::TextEncoding;
use crate::error::Result;
use crate::format::{BatchWriter, Connector};
use crate::input::Output;
use crate::locate::SourceFile;
use crate::reject::BadRows;
use crate::scan::FileTable;

pub use path::JsonPath;

/// How JSON is read. Records are objects: one after the other (usually one per line), or the elements
/// of one array; which of the two a file holds is seen from its first character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonOptions {
    /// Where in each document the records are. Default: none, a document is a record or an array of them. With a path
    /// a file is read by one task, whatever its size.
    pub rows: Option<JsonPath>,
    /// Default: UTF-8, or what a byte order mark says.
    pub encoding: TextEncoding,
    /// What happens to a record that cannot be read: one that is no JSON, or has a value or a name that does not fit.
    /// Default: it ends the run. Inside of an array, or on a path, what is no JSON always does.
    pub bad_rows: BadRows,
    /// How much of each file decides the types, in bytes. Default: 8 MiB. A larger file is looked at at its start
    /// and in several places behind it. More is slower to start; a value or name that was not looked at and
    /// does not fit is an error, never left out.
    pub infer_bytes: u64,
    /// Writing only: how the file is compressed. Default: not at all.
    pub compression: TextCompression,
}

impl Default for JsonOptions {
    fn default() -> Self {
        Self {
            rows: None,
            encoding: TextEncoding::UTF8,
            bad_rows: BadRows::Fail,
            infer_bytes: 8 << 20,
            compression: TextCompression::None,
        }
    }
}

#[async_trait]
impl Connector for JsonOptions {
    async fn table(&self, files: Vec<SourceFile>) -> Result<Arc<dyn TableProvider>> {
        let inferred = infer::infer(&files, self).await?;
        let reader = read::JsonReader {
            options: self.clone(),
            schema: Arc::clone(&inferred.schema),
        };
        let table = FileTable::new("json", inferred.schema, files, Arc::new(reader));
        Ok(Arc::new(table.with_evidence(inferred.evidence)))
    }

    fn writer(&self, file: Output, schema: &SchemaRef) -> Result<Box<dyn BatchWriter>> {
        write::writer(file, schema, self.compression)
    }
}
