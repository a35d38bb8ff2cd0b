//! The XML connector: [`XmlOptions`] and the wiring of its parts.
//!
//! ```text
//! bytes ─records─▶ the element of a row ─infer─▶ schema        types by the rules of CSV text
//!                                        ─read──▶ RecordBatch
//! ```
//!
//! | in a row's element | in the table |
//! |---|---|
//! | an attribute `a` | column `_a` |
//! | an element with text only | a value |
//! | an element with attributes or elements | a struct; its own text is `_VALUE` |
//! | an element that comes more than once | a list |
//! | an empty element, `xsi:nil` or not | null |
//!
//! Only the five entities of XML itself and character references are resolved: a document that declares
//! others is read, one that uses them is refused, so that none can multiply itself.

mod infer;
mod read;
mod records;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;

use crate::error::{Error, Result};
use crate::format::{BatchWriter, Connector};
use crate::input::Output;
use crate::limits::ReadLimits;
use crate::locate::SourceFile;
use crate::scan::FileTable;

/// The column, or the field of a struct, for text beside attributes or elements.
const VALUE: &str = "_VALUE";

/// How XML is read, after Glue's XML classifiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XmlOptions {
    /// The name of the elements that are rows, with its prefix if it has one; Glue's `RowTag`. Default:
    /// `row`. Rows are not looked for inside of rows.
    pub row_tag: String,
    /// Before the name of an attribute's column. Default: `_`.
    pub attribute_prefix: String,
    /// Every value is text, nothing is inferred but the structure. Default: false.
    pub all_text: bool,
    /// How much of each file decides names and types, in bytes. Default: 64 MiB. A name or value behind it
    /// that does not fit is an error, never left out.
    pub infer_bytes: u64,
    /// What a file may ask for.
    pub limits: ReadLimits,
}

impl Default for XmlOptions {
    fn default() -> Self {
        Self {
            row_tag: "row".into(),
            attribute_prefix: "_".into(),
            all_text: false,
            infer_bytes: 64 << 20,
            limits: ReadLimits::default(),
        }
    }
}

#[async_trait]
impl Connector for XmlOptions {
    async fn table(&self, files: Vec<SourceFile>) -> Result<Arc<dyn TableProvider>> {
        let schema = infer::infer(&files, self).await?;
        let reader = read::XmlReader {
            options: self.clone(),
            schema: Arc::clone(&schema),
        };
        Ok(Arc::new(FileTable::new(
            "xml",
            schema,
            files,
            Arc::new(reader),
        )))
    }

    fn writer(&self, _: Output, _: &SchemaRef) -> Result<Box<dyn BatchWriter>> {
        Err(Error::Unsupported(
            "xml is only read; write json, csv or parquet".into(),
        ))
    }
}
