//! The JSON connector: [`JsonOptions`] and the wiring of its parts.
//!
//! ```text
//! bytes ─records─▶ one object's bytes, line ─infer─▶ schema       (serde_json, strict)
//!                                           ─read──▶ RecordBatch  (arrow-json)
//! RecordBatch ─write─▶ one object per line
//! ```

mod infer;
mod read;
mod records;
mod write;

use std::fs::File;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;

use crate::error::Result;
use crate::format::{BatchWriter, Connector};
use crate::locate::SourceFile;
use crate::scan::FileTable;

/// How JSON is read. Records are objects: one after the other (usually one per line), or the elements
/// of one array; which of the two a file holds is seen from its first character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonOptions {
    /// How much of each file decides the types, in bytes. Default: 64 MiB. More is slower to start; a
    /// value or name beyond it that does not fit is an error, never left out.
    pub infer_bytes: u64,
}

impl Default for JsonOptions {
    fn default() -> Self {
        Self {
            infer_bytes: 64 << 20,
        }
    }
}

#[async_trait]
impl Connector for JsonOptions {
    async fn table(&self, files: Vec<SourceFile>) -> Result<Arc<dyn TableProvider>> {
        let inferred = infer::infer(&files, self).await?;
        let schema = Arc::clone(&inferred.schema);
        Ok(Arc::new(FileTable::new(
            "json",
            schema,
            files,
            Arc::new(read::JsonReader { inferred }),
        )))
    }

    fn writer(&self, file: File, schema: &SchemaRef) -> Result<Box<dyn BatchWriter>> {
        Ok(write::writer(file, schema))
    }
}
