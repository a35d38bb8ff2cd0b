//! [`Format`]: the list of connectors, and [`table`], which reads files of one format as a table.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;

use crate::avro::AvroOptions;
use crate::compress::{TextCompression, expand, uncompressed_name};
use crate::csv::CsvOptions;
use crate::error::{Error, Result};
use crate::evidence::Evidence;
use crate::excel::ExcelOptions;
use crate::input::Output;
use crate::ipc::ArrowOptions;
use crate::json::JsonOptions;
use crate::lines::{FixedWidthOptions, GrokOptions};
use crate::listing::Listing;
use crate::locate::{SourceFile, locate};
use crate::orc::OrcOptions;
use crate::parquet::ParquetOptions;
use crate::place::Place;
use crate::scan::FileTable;
use crate::select::FileSelection;
use crate::xml::XmlOptions;

/// How a file is encoded, with the options of its encoding.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Format {
    /// Separated text.
    Csv(CsvOptions),
    /// JSON records: one per line, or one array of objects.
    Json(JsonOptions),
    /// Apache Parquet.
    Parquet(ParquetOptions),
    /// Apache Avro object container files.
    Avro(AvroOptions),
    /// Apache ORC.
    Orc(OrcOptions),
    /// Arrow IPC files, which are Feather 2, and streams.
    Arrow(ArrowOptions),
    /// XML, an element for each row. Only read.
    Xml(XmlOptions),
    /// A sheet of a workbook. Only read.
    Excel(ExcelOptions),
    /// Text with its values at the same characters of every line. Only read; no file name says it.
    FixedWidth(FixedWidthOptions),
    /// Log lines that a pattern takes apart. Only read; no file name says it.
    Grok(GrokOptions),
}

/// Which file names mean a format.
struct Suffixes {
    suffixes: &'static [&'static str],
    format: fn() -> Format,
}

/// The list.
const FORMATS: &[Suffixes] = &[
    Suffixes {
        suffixes: &["csv"],
        format: || Format::Csv(CsvOptions::default()),
    },
    Suffixes {
        suffixes: &["tsv"],
        format: || Format::Csv(CsvOptions::tab_separated()),
    },
    Suffixes {
        suffixes: &["jsonl", "ndjson", "json"],
        format: || Format::Json(JsonOptions::default()),
    },
    Suffixes {
        suffixes: &["parquet"],
        format: || Format::Parquet(ParquetOptions::default()),
    },
    Suffixes {
        suffixes: &["avro"],
        format: || Format::Avro(AvroOptions::default()),
    },
    Suffixes {
        suffixes: &["orc"],
        format: || Format::Orc(OrcOptions::default()),
    },
    Suffixes {
        suffixes: &["arrow", "arrows", "feather", "ipc"],
        format: || Format::Arrow(ArrowOptions::default()),
    },
    Suffixes {
        suffixes: &["xml"],
        format: || Format::Xml(XmlOptions::default()),
    },
    Suffixes {
        suffixes: &["xlsx", "xlsm", "ods"],
        format: || Format::Excel(ExcelOptions::default()),
    },
];

/// One file format. Reading and writing may be called from many tasks at once.
#[async_trait]
pub(crate) trait Connector {
    /// Reads enough of `files` (at least one) to know their schema. Called once per table.
    async fn table(&self, files: Vec<SourceFile>) -> Result<Arc<dyn TableProvider>>;

    /// An encoder into an empty `file`. Called once per output file, on a thread that may block.
    fn writer(&self, file: Output, schema: &SchemaRef) -> Result<Box<dyn BatchWriter>>;
}

/// Encodes record batches into one file. All calls block.
pub(crate) trait BatchWriter: Send {
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Writes what is buffered and gives the output back, complete but not yet durable.
    fn finish(self: Box<Self>) -> Result<Output>;
}

impl Format {
    /// The format that the file's suffix names, with default options. `people.csv.gz` is CSV; a writer of
    /// that name compresses, with gzip or zstd.
    ///
    /// # Errors
    /// [`Error::Unsupported`] with the known suffixes.
    ///
    /// ```
    /// use std::path::Path;
    /// use tenon_connect::{CsvOptions, Format};
    ///
    /// assert_eq!(Format::from_path(Path::new("people.csv"))?, Format::Csv(CsvOptions::default()));
    /// assert_eq!(
    ///     Format::from_path(Path::new("people.xls")).unwrap_err().to_string(),
    ///     "people.xls: unknown format .xls; known are .csv .tsv .jsonl .ndjson .json .parquet .avro .orc .arrow \
    ///      .arrows .feather .ipc .xml .xlsx .xlsm .ods, or name the format"
    /// );
    /// # Ok::<(), tenon_connect::Error>(())
    /// ```
    pub fn from_path(path: &Path) -> Result<Self> {
        let outer = suffix_of(path).unwrap_or_default();
        let suffix = suffix_of(&uncompressed_name(path));
        let is_named = |entry: &&Suffixes| {
            suffix
                .as_deref()
                .is_some_and(|suffix| entry.suffixes.contains(&suffix))
        };
        if let Some(entry) = FORMATS.iter().find(is_named) {
            let compression = TextCompression::from_suffix(&outer);
            return Ok((entry.format)().with_compression(compression));
        }
        let what = suffix.map_or_else(
            || "no suffix".to_owned(),
            |suffix| format!("unknown format .{suffix}"),
        );
        let known = FORMATS.iter().flat_map(|entry| entry.suffixes);
        let known: Vec<_> = known.map(|suffix| format!(".{suffix}")).collect();
        Err(Error::Unsupported(format!(
            "{}: {what}; known are {}, or name the format",
            path.display(),
            known.join(" ")
        )))
    }

    /// The format of the files that `paths` name, which must all have the same one.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a path without files, [`Error::Unsupported`] for unknown or mixed suffixes.
    pub async fn detect(place: &Place, paths: &[PathBuf]) -> Result<Self> {
        let files = located(place, paths).await?;
        let mut formats = files.iter().map(|file| {
            Ok((
                file.name(),
                Self::from_path(&file.content_path())?.for_reading(),
            ))
        });
        let (first, format) = formats
            .next()
            .unwrap_or_else(|| Err(Error::NotFound("no file was given".into())))?;
        for next in formats {
            let (name, next) = next?;
            if next != format {
                return Err(Error::Unsupported(format!(
                    "{first} and {name} have different formats; read them as two tables, or name the format"
                )));
            }
        }
        Ok(format)
    }

    /// What is the same for all files that read alike.
    fn for_reading(self) -> Self {
        self.with_compression(TextCompression::None)
    }

    /// The format, compressed as a whole when written, where that is possible.
    fn with_compression(mut self, compression: TextCompression) -> Self {
        match &mut self {
            Format::Csv(options) => options.compression = compression,
            Format::Json(options) => options.compression = compression,
            _ => {}
        }
        self
    }

    /// The suffix of files that are written, without the dot.
    pub(crate) fn suffix(&self) -> &'static str {
        let tabs = CsvOptions::tab_separated().separator;
        match self {
            Format::Csv(options) if options.separator == tabs => match options.compression {
                TextCompression::None => "tsv",
                TextCompression::Gzip => "tsv.gz",
                TextCompression::Zstd => "tsv.zst",
            },
            Format::Csv(options) => match options.compression {
                TextCompression::None => "csv",
                TextCompression::Gzip => "csv.gz",
                TextCompression::Zstd => "csv.zst",
            },
            Format::Json(options) => match options.compression {
                TextCompression::None => "jsonl",
                TextCompression::Gzip => "jsonl.gz",
                TextCompression::Zstd => "jsonl.zst",
            },
            Format::Parquet(_) => "parquet",
            Format::Avro(_) => "avro",
            Format::Orc(_) => "orc",
            Format::Arrow(_) => "arrow",
            Format::Xml(_) => "xml",
            Format::Excel(_) => "xlsx",
            Format::FixedWidth(_) => "txt",
            Format::Grok(_) => "log",
        }
    }

    pub(crate) fn connector(&self) -> &(dyn Connector + Send + Sync) {
        match self {
            Format::Csv(options) => options,
            Format::Json(options) => options,
            Format::Parquet(options) => options,
            Format::Avro(options) => options,
            Format::Orc(options) => options,
            Format::Arrow(options) => options,
            Format::Xml(options) => options,
            Format::Excel(options) => options,
            Format::FixedWidth(options) => options,
            Format::Grok(options) => options,
        }
    }
}

fn suffix_of(path: &Path) -> Option<String> {
    path.extension().map(|s| s.to_string_lossy().to_lowercase())
}

/// The files at `paths` as one table.
///
/// A path is a file, a folder (everything below it, except names that begin with `.` or `_`), a glob, or
/// a `file://` URL; compressed files are unpacked, and a `.zip` is read as the files inside. Enough of the files is
/// read now to find their schema; each scan reads them, small ones together and large ones in parts. Folders
/// `key=value` below a folder that was named become columns, behind those of the files. All columns are nullable; text
/// is `Utf8`.
///
/// Safe to cancel. Must be called inside a Tokio runtime: file work runs on its blocking pool.
///
/// # Errors
/// [`Error::NotFound`] names a missing path as given, with the nearest name that exists;
/// [`Error::Invalid`] and [`Error::Corrupt`] name file, line and column of what cannot be read.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use tenon_connect::{Format, Place, table};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("people.csv");
/// std::fs::write(&path, "name,postcode\nAda,0812\n")?;
/// let people = table(&Place::ambient(), &[path.clone()], &Format::from_path(&path)?).await?;
/// assert_eq!(people.schema().field(1).data_type().to_string(), "Utf8");
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub async fn table(
    place: &Place,
    paths: &[PathBuf],
    format: &Format,
) -> Result<Arc<dyn TableProvider>> {
    Listing::of(place, paths, &FileSelection::default())
        .await?
        .table(format)
        .await
}

/// Why a table's columns have their types, and a CSV file its dialect: what [`table`] kept of its inference. Empty for
/// a format whose files say their types, and for tables of others.
pub fn evidence(table: &dyn TableProvider) -> Vec<Evidence> {
    let table = table.downcast_ref::<FileTable>();
    table.map(FileTable::evidence).unwrap_or_default().to_vec()
}

async fn located(place: &Place, paths: &[PathBuf]) -> Result<Vec<SourceFile>> {
    let (place, paths) = (place.clone(), paths.to_vec());
    let locate = move || expand(locate(&place, &paths)?);
    tokio::task::spawn_blocking(locate)
        .await
        .map_err(Error::joined)?
}
