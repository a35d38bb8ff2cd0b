//! The CSV connector: [`CsvOptions`] and the wiring of its parts.
//!
//! ```text
//! bytes ─encoding─▶ UTF-8 ─records─▶ Block (spans, lines) ─infer─▶ schema        one classification, used twice,
//!          ▲                                              ─read──▶ RecordBatch   so what was inferred reads back
//!          └─split─ where a part of a large file begins
//! RecordBatch ─write─▶ bytes
//! ```

mod dialect;
mod infer;
mod open;
mod read;
mod records;
mod split;
#[cfg(test)]
mod tests;
mod text;
mod types;
mod write;

pub(crate) use infer::abbreviated;

use std::str::FromStr;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;

use crate::compress::TextCompression;
use crate::encoding::TextEncoding;
use crate::error::{Error, Result};
use crate::format::{BatchWriter, Connector};
use crate::input::Output;
use crate::locate::SourceFile;
use crate::reject::BadRows;
use crate::scan::FileTable;

pub(crate) use self::text::{TextColumn, TextType};

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
    /// Lines that begin with it are skipped. Default: none. Reading only.
    pub comment: Option<u8>,
    /// The first record holds the names. Default: true. Without, columns are `col0`, `col1`, ... as in Glue.
    pub with_header: bool,
    /// The first record that is no header is left out; Glue's `SkipFirst`. Default: false. Reading only.
    pub skip_first: bool,
    /// A quoted field may hold line ends. Default: true; false finds a forgotten quote on its own line.
    pub multiline: bool,
    /// Separator, quote, comment and header are found out from the first file, by the rules of Glue's classifier,
    /// and what is said above is ignored. Default: false. Reading only.
    pub detect: bool,
    /// Default: UTF-8, or what a byte order mark says. Reading only.
    pub encoding: TextEncoding,
    /// What happens to a row that cannot be read. Default: it ends the run. Otherwise files whose quoted fields may
    /// hold line ends are read by one task each.
    pub bad_rows: BadRows,
    /// Every column is text, nothing is inferred. Default: false. Recommended for matching.
    pub all_text: bool,
    /// How much of each file decides the types, in bytes. Default: 8 MiB. A larger file is looked at at its start
    /// and in several places behind it. More is slower to start; a value that was not looked at and does not
    /// fit is an error, never a null.
    pub infer_bytes: u64,
    /// Writing only: how the file is compressed. Default: not at all.
    pub compression: TextCompression,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            separator: Separator::COMMA,
            quote_char: QuoteChar::DOUBLE,
            escaper: None,
            comment: None,
            with_header: true,
            skip_first: false,
            multiline: true,
            detect: false,
            encoding: TextEncoding::UTF8,
            bad_rows: BadRows::Fail,
            all_text: false,
            infer_bytes: 8 << 20,
            compression: TextCompression::None,
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

    /// The defaults, with the dialect found out from the files.
    pub fn detected() -> Self {
        Self {
            detect: true,
            ..Self::default()
        }
    }

    fn dialect(&self) -> Dialect {
        let quote = self.quote_char.0;
        Dialect {
            separator: self.separator.0,
            quote,
            escape: self.escaper.filter(|escape| Some(*escape) != quote),
            comment: self.comment,
            multiline: self.multiline,
        }
    }
}

/// What bytes mean.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Dialect {
    separator: u8,
    quote: Option<u8>,
    escape: Option<u8>,
    comment: Option<u8>,
    multiline: bool,
}

#[async_trait]
impl Connector for CsvOptions {
    async fn table(&self, files: Vec<SourceFile>) -> Result<Arc<dyn TableProvider>> {
        let (options, found) = dialect::detected(&files, self).await?;
        let inferred = infer::infer(&files, &options).await?;
        let schema = Arc::clone(&inferred.schema);
        let evidence = found.into_iter().chain(inferred.evidence);
        let reader = read::CsvReader {
            options,
            schema: Arc::clone(&schema),
            kinds: inferred.kinds,
        };
        let table = FileTable::new("csv", schema, files, Arc::new(reader));
        Ok(Arc::new(table.with_evidence(evidence.collect())))
    }

    fn writer(&self, file: Output, schema: &SchemaRef) -> Result<Box<dyn BatchWriter>> {
        write::writer(self, file, schema)
    }
}

/// Text that an Int64 column gives back as it is.
pub(crate) fn is_plain_integer(text: &str) -> bool {
    types::int64(text.as_bytes()).is_some()
}

/// A day as `YYYY-MM-DD`.
pub(crate) fn is_plain_date(text: &str) -> bool {
    types::date(text.as_bytes(), types::DateStyle::Iso).is_some()
}

/// Integers without a loss; `-0` is not one.
#[inline]
pub(crate) fn exact_int64(text: &[u8]) -> Option<i64> {
    types::int64(text)
}

/// Decimal numbers of few digits, and integers that a float64 holds exactly.
#[inline]
pub(crate) fn exact_float64(text: &[u8]) -> Option<f64> {
    types::float64(text)
}
