//! Places and formats: list, infer, read, write.
//!
//! This is the door through which data enters and leaves. Reading gives a DataFusion
//! [`TableProvider`](datafusion::catalog::TableProvider) ([`table`]); writing takes record batch streams and stages files that become
//! visible only at commit ([`FileSink`]).
//!
//! ```text
//! paths as given ──Place──▶ files ──connector (csv, json, parquet)──▶ TableProvider ──▶ RecordBatch stream
//! RecordBatch streams ──connector──▶ hidden staged files ──commit──▶ visible files
//! ```
//!
//! One folder per connector, all of one shape (`mod.rs` options and wiring, `infer.rs`, `read.rs`,
//! `write.rs`), and one line in the list in `format.rs`.
//!
//! Decisions:
//! - **No value is lost or silently turned into null.** A type is chosen only if every value that was
//!   looked at survives it; a value met later that does not fit is an error with file, line and column.
//!   Hence our own CSV record reader and inference (arrow-csv's turn `0812` into 812, and an unclosed
//!   quote into one huge field), checked against the `csv` crate in tests.
//! - **Text is `Utf8` in every format**, also from Parquet: a table's types do not depend on how it
//!   is stored, and batches cross to guests without a copy out of views.
//! - **Parquet is DataFusion's own scan** over [`Place`] rather than `ListingTable`: the same pushdown,
//!   but files are opened through the place (so a rooted one cannot be left), and the metadata
//!   cache is never shared between tenants. Decoding sits below a guard that turns a panic into an error.
//! - **Blocking file work runs on the blocking pool**; a dropped stream stops it at the next batch.

mod csv;
mod error;
mod format;
mod guard;
mod http;
mod json;
mod locate;
mod parquet;
mod place;
mod scan;
mod sink;

pub use csv::{CsvOptions, QuoteChar, Separator};
pub use error::{Error, Result};
pub use format::{Format, table};
pub use http::{HttpClient, HttpError, Origin};
pub use json::JsonOptions;
pub use parquet::{ParquetCompression, ParquetOptions};
pub use place::Place;
pub use sink::{
    CommittedOutput, FileSink, StagedFileInfo, StagedOutput, Target, WriteMode, discard_staged,
};
