//! Places and formats: list, infer, read, write.
//!
//! This is the door through which data enters and leaves. Reading gives a DataFusion
//! [`TableProvider`](datafusion::catalog::TableProvider) ([`table`]); writing takes record batch streams and stages files that become
//! visible only at commit ([`FileSink`]).
//!
//! ```text
//! paths as given ──Place──▶ files ──compress──▶ connector (csv, json, ...) ──▶ TableProvider ──▶ RecordBatch stream
//! RecordBatch streams ──connector──▶ hidden staged files ──commit──▶ visible files
//! ```
//!
//! A place is a disk, or a bucket or web address behind a network (`remote`): formats see bytes, and never know which.
//!
//! One folder per connector, all of one shape (`mod.rs` options and wiring, `infer.rs`, `read.rs`,
//! `write.rs`), and one line in the list in `format.rs`.
//!
//! Decisions:
//! - **No value is lost or silently turned into null.** A type is chosen only if every value that was
//!   looked at survives it; a value met later that does not fit is an error with file, line and column.
//!   Hence our own CSV and JSON readers and inference (arrow-csv's turn `0812` into 812, and an unclosed quote
//!   into one huge field; arrow-json leaves out names that it does not know), checked against the `csv` crate
//!   and serde_json in tests.
//! - **A large text file is read by several tasks**, from cuts at which a record is proven to begin
//!   (`csv/split.rs`, `json/split.rs`) rather than by a pass over the file before.
//! - **Text is `Utf8` in every format**, also from Parquet: a table's types do not depend on how it
//!   is stored, and batches cross to guests without a copy out of views.
//! - **Parquet is DataFusion's own scan** over [`Place`] rather than `ListingTable`: the same pushdown,
//!   but files are opened through the place (so a rooted one cannot be left), and the metadata
//!   cache is never shared between tenants. Decoding sits below a guard that turns a panic into an error.
//! - **Blocking file work runs on the blocking pool**; a dropped stream stops it at the next batch.

mod adapt;
mod avro;
mod busy;
mod cells;
mod compress;
mod csv;
mod encoding;
mod error;
mod evidence;
mod excel;
mod format;
mod guard;
mod hive;
mod http;
mod input;
mod ipc;
mod json;
mod limits;
mod lines;
mod listing;
mod locate;
mod orc;
mod parquet;
mod partitioned;
mod piece;
mod place;
mod reject;
mod remote;
mod scan;
mod select;
mod sink;
mod xml;

pub use avro::{AvroCompression, AvroOptions};
pub use compress::TextCompression;
pub use csv::{CsvOptions, QuoteChar, Separator};
pub use encoding::TextEncoding;
pub use error::{Error, Result};
pub use evidence::Evidence;
pub use excel::ExcelOptions;
pub use format::{Format, evidence, table};
pub use http::{HttpClient, HttpError, Origin};
pub use ipc::{ArrowCompression, ArrowOptions};
pub use json::{JsonOptions, JsonPath};
pub use limits::ReadLimits;
pub use lines::{FixedColumn, FixedWidthOptions, GrokOptions, Unmatched};
pub use listing::{ListedFile, Listing};
pub use orc::{OrcCompression, OrcOptions};
pub use parquet::{ParquetCompression, ParquetKey, ParquetKeys, ParquetOptions, SortColumn};
pub use partitioned::{PartitionedOutput, PartitionedSink, WrittenPartition};
pub use place::Place;
pub use reject::{BadRows, Quarantine, QuarantinedRow};
pub use remote::RemoteOptions;
pub use remote::connection::{Connection, Connections};
pub use remote::reach::{Network, Reach, Resolver};
pub use remote::secret::Secret;
pub use remote::traffic::Traffic;
pub use select::{Exclusion, FileSelection};
pub use sink::{
    CommittedOutput, FileSink, StagedFileInfo, StagedOutput, Target, WriteMode, discard_staged,
};
pub use xml::XmlOptions;
