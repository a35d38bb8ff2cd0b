//! The Excel connector: [`ExcelOptions`] and the wiring of its parts. Workbooks are `.xlsx`, `.xlsm` and `.ods`.
//!
//! ```text
//! workbook ─archive─▶ unpacked once, counted ─sheet─▶ cells ─table─▶ schema, RecordBatch
//! ```
//!
//! A sheet is held in memory, as its format has no pieces to read one by one. The older `.xls` is refused:
//! its decoder lays out a sheet as large as its two outermost cells, which a small file may put anywhere.

mod archive;
mod sheet;
mod table;

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

/// How workbooks are read, after Glue's `S3ExcelSource`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExcelOptions {
    /// The sheet that is the table. Default: the first one.
    pub sheet: Option<String>,
    /// The first row that is not empty holds the names. Default: true. Without, columns are `col0`, `col1`, ...
    pub with_header: bool,
    /// Rows of data, at most; Glue's `NumberRows`. Default: all.
    pub number_rows: Option<u64>,
    /// Rows at the end that are no data; Glue's `SkipFooter`. Default: 0.
    pub skip_footer: u64,
    /// Every column is text, as the cell would be written in full. Default: false.
    pub all_text: bool,
    /// What a file may ask for.
    pub limits: ReadLimits,
}

impl Default for ExcelOptions {
    fn default() -> Self {
        Self {
            sheet: None,
            with_header: true,
            number_rows: None,
            skip_footer: 0,
            all_text: false,
            limits: ReadLimits::default(),
        }
    }
}

#[async_trait]
impl Connector for ExcelOptions {
    async fn table(&self, files: Vec<SourceFile>) -> Result<Arc<dyn TableProvider>> {
        let schema = table::infer(&files, self).await?;
        let reader = table::ExcelReader {
            options: self.clone(),
        };
        Ok(Arc::new(FileTable::new(
            "excel",
            schema,
            files,
            Arc::new(reader),
        )))
    }

    fn writer(&self, _: Output, _: &SchemaRef) -> Result<Box<dyn BatchWriter>> {
        Err(Error::Unsupported(
            "excel is only read; write csv, json or parquet".into(),
        ))
    }
}
