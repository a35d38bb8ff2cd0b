//! The CSV connector: [`CsvOptions`] and the wiring of its parts.
//!
//! ```text
//! bytes ─records─▶ Record (fields, line) ─infer─▶ schema        one classification, used twice,
//!                                        ─read──▶ RecordBatch   so what was inferred reads back
//! RecordBatch ─write─▶ bytes
//! ```

mod infer;
mod read;
mod records;
mod types;
mod write;

use std::fs::File;
use std::str::FromStr;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;

use crate::error::{Error, Result};
use crate::format::{BatchWriter, Connector};
use crate::locate::SourceFile;
use crate::scan::FileTable;

/// The byte between two fields; Glue's `Separator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Separator(u8);

impl Separator {
    /// `,`
    pub const COMMA: Self = Self(b',');
    /// The control character 1, Hive's default.
    pub const CTRL_A: Self = Self(1);
    /// `|`
    pub const PIPE: Self = Self(b'|');
    /// `;`
    pub const SEMICOLON: Self = Self(b';');
    /// The tabulator.
    pub const TAB: Self = Self(b'\t');
}

impl FromStr for Separator {
    type Err = Error;

    /// Glue's words (`comma`, `ctrla`, `pipe`, `semicolon`, `tab`) or one ASCII character that
    /// cannot be part of a number, a date or a line end.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "comma" => return Ok(Self::COMMA),
            "ctrla" => return Ok(Self::CTRL_A),
            "pipe" => return Ok(Self::PIPE),
            "semicolon" => return Ok(Self::SEMICOLON),
            "tab" | "\\t" => return Ok(Self::TAB),
            _ => {}
        }
        match text.as_bytes() {
            [byte]
                if byte.is_ascii()
                    && !byte.is_ascii_alphanumeric()
                    && !b"\r\n\"'-+.".contains(byte) =>
            {
                Ok(Self(*byte))
            }
            _ => Err(Error::Unsupported(format!(
                "separator {text:?}: use comma, ctrla, pipe, semicolon, tab or one ASCII character \
                 that is no letter, digit, sign, dot, quote or line end"
            ))),
        }
    }
}

/// The byte around a field that holds separators or line ends; Glue's `QuoteChar`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuoteChar(Option<u8>);

impl QuoteChar {
    /// `"`
    pub const DOUBLE: Self = Self(Some(b'"'));
    /// `'`
    pub const SINGLE: Self = Self(Some(b'\''));
    /// No quoting: every quote is text.
    pub const DISABLED: Self = Self(None);
}

impl FromStr for QuoteChar {
    type Err = Error;

    /// Glue's words (`quote`, `single_quote`, `disabled`) or the quote itself.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "quote" | "\"" => Ok(Self::DOUBLE),
            "single_quote" | "'" => Ok(Self::SINGLE),
            "disabled" => Ok(Self::DISABLED),
            _ => Err(Error::Unsupported(format!(
                "quote {text:?}: use quote, single_quote or disabled"
            ))),
        }
    }
}

/// How CSV text is read and written, after Glue's `S3CsvSource`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// Between two fields. Default: comma (tab for `.tsv`).
    pub separator: Separator,
    /// Around fields. Default: `"`, doubled inside a quoted field.
    pub quote_char: QuoteChar,
    /// Inside a quoted field, takes the next byte literally. Default: none. Reading only.
    pub escaper: Option<u8>,
    /// The first record holds the names. Default: true. Without, columns are `col0`, `col1`, ... as in Glue.
    pub with_header: bool,
    /// A quoted field may hold line ends. Default: true; false finds a forgotten quote on its own line.
    pub multiline: bool,
    /// Every column is text, nothing is inferred. Default: false. Recommended for matching.
    pub all_text: bool,
    /// How much of each file decides the types, in bytes. Default: 64 MiB. More is slower to start; a
    /// value beyond it that does not fit is an error, never a null.
    pub infer_bytes: u64,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            separator: Separator::COMMA,
            quote_char: QuoteChar::DOUBLE,
            escaper: None,
            with_header: true,
            multiline: true,
            all_text: false,
            infer_bytes: 64 << 20,
        }
    }
}

impl CsvOptions {
    /// The defaults with tabs between the fields.
    pub fn tab_separated() -> Self {
        Self {
            separator: Separator::TAB,
            ..Self::default()
        }
    }
}

#[async_trait]
impl Connector for CsvOptions {
    async fn table(&self, files: Vec<SourceFile>) -> Result<Arc<dyn TableProvider>> {
        let schema = infer::infer(&files, self).await?;
        let reader = read::CsvReader {
            options: self.clone(),
            schema: Arc::clone(&schema),
        };
        Ok(Arc::new(FileTable::new(
            "csv",
            schema,
            files,
            Arc::new(reader),
        )))
    }

    fn writer(&self, file: File, schema: &SchemaRef) -> Result<Box<dyn BatchWriter>> {
        write::writer(self, file, schema)
    }
}
