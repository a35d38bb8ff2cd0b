//! [`Format`]: the list of connectors, and [`table`], which reads files of one format as a table.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;

use crate::csv::CsvOptions;
use crate::error::{Error, Result};
use crate::json::JsonOptions;
use crate::locate::{SourceFile, locate};
use crate::parquet::ParquetOptions;
use crate::place::Place;

/// How a file is encoded, with the options of its encoding.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Separated text.
    Csv(CsvOptions),
    /// JSON records: one per line, or one array of objects.
    Json(JsonOptions),
    /// Apache Parquet.
    Parquet(ParquetOptions),
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
];

/// One file format. Reading and writing may be called from many tasks at once.
#[async_trait]
pub(crate) trait Connector {
    /// Reads enough of `files` (at least one) to know their schema. Called once per table.
    async fn table(&self, files: Vec<SourceFile>) -> Result<Arc<dyn TableProvider>>;

    /// An encoder into an empty `file`. Called once per output file, on a thread that may block.
    fn writer(&self, file: File, schema: &SchemaRef) -> Result<Box<dyn BatchWriter>>;
}

/// Encodes record batches into one file. All calls block.
pub(crate) trait BatchWriter: Send {
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Writes what is buffered and gives the file back, complete but not yet synced to disk.
    fn finish(self: Box<Self>) -> Result<File>;
}

impl Format {
    /// The format that the file's suffix names, with default options.
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
    ///     "people.xls: unknown format .xls; known are .csv .tsv .jsonl .ndjson .json .parquet, or name the format"
    /// );
    /// # Ok::<(), tenon_connect::Error>(())
    /// ```
    pub fn from_path(path: &Path) -> Result<Self> {
        let suffix = path.extension().map(|s| s.to_string_lossy().to_lowercase());
        let is_named = |entry: &&Suffixes| {
            suffix
                .as_deref()
                .is_some_and(|suffix| entry.suffixes.contains(&suffix))
        };
        if let Some(entry) = FORMATS.iter().find(is_named) {
            return Ok((entry.format)());
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
        let mut formats = files
            .iter()
            .map(|file| Ok((file.name(), Self::from_path(&file.path)?)));
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

    /// The suffix of files that are written, without the dot.
    pub(crate) fn suffix(&self) -> &'static str {
        match self {
            Format::Csv(options) if *options == CsvOptions::tab_separated() => "tsv",
            Format::Csv(_) => "csv",
            Format::Json(_) => "jsonl",
            Format::Parquet(_) => "parquet",
        }
    }

    pub(crate) fn connector(&self) -> &(dyn Connector + Send + Sync) {
        match self {
            Format::Csv(options) => options,
            Format::Json(options) => options,
            Format::Parquet(options) => options,
        }
    }
}

/// The files at `paths` as one table.
///
/// A path is a file, a folder (everything below it, except names that begin with `.` or `_`), a glob, or
/// a `file://` URL. The files are read once now, to find their schema, and again by each scan, one
/// partition per file. All columns are nullable; text is `Utf8`.
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
    let files = located(place, paths).await?;
    format.connector().table(files).await
}

async fn located(place: &Place, paths: &[PathBuf]) -> Result<Vec<SourceFile>> {
    let (place, paths) = (place.clone(), paths.to_vec());
    tokio::task::spawn_blocking(move || locate(&place, &paths))
        .await
        .map_err(Error::joined)?
}
