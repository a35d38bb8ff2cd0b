//! Nodes that read and write files, and tables of the catalog that are made of files.
//!
//! Members are Glue's, in its spelling. Those that Glue does not have say so; they are written in the same way, and
//! for people who write by hand also in small letters (`partition_by`, `bad_rows`, `connection`). What Glue has and
//! this version does not act on is refused by [`unserved`] with its reason.

use serde::{Deserialize, Serialize};

/// A kind of node that reads files: what all of them have, and what is its own.
macro_rules! file_sources {
    ($($(#[$about:meta])* $kind:ident { $($(#[$of_member:meta])* $member:ident: $type:ty,)* })*) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "PascalCase", deny_unknown_fields)]
        pub struct $kind {
            /// The node's name.
            pub name: String,
            /// Files, folders or globs.
            pub paths: Vec<String>,
            $(
                $(#[$of_member])*
                #[serde(default, skip_serializing_if = "is_default")]
                pub $member: $type,
            )*
            /// How the files are compressed, for information: what they hold counts.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub compression_type: Option<String>,
            /// Patterns of files that are not read, each one or a JSON list of several. Default: none.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub exclusions: Vec<String>,
            /// Whether folders are read to the bottom. Default: true.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub recurse: Option<bool>,
            /// Whether small files are read together, for information: they always are.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub group_files: Option<String>,
            /// How many bytes of them, for information.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub group_size: Option<String>,
            /// Refused: it bounds what a bookmark takes.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub max_band: Option<i64>,
            /// Refused: it bounds what a bookmark takes.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub max_files_in_band: Option<i64>,
            /// Bounds are refused: nobody would come for the rest.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub additional_options: Option<SourceBounds>,
            /// The columns, for information: what the files have counts.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub output_schemas: Vec<OutputSchema>,
            /// The connection of the catalog that its paths are reached by. Not a member of Glue's. Default: that of
            /// the environment.
            #[serde(default, alias = "connection", skip_serializing_if = "Option::is_none")]
            pub connection: Option<String>,
        }

        impl $kind {
            fn shared(&self) -> FileMembers<'_> {
                FileMembers {
                    compression_type: self.compression_type.as_deref(),
                    exclusions: &self.exclusions,
                    recurse: self.recurse,
                    group_files: self.group_files.as_deref(),
                    group_size: self.group_size.as_deref(),
                    max_band: self.max_band,
                    max_files_in_band: self.max_files_in_band,
                    additional_options: self.additional_options.as_ref(),
                    connection: self.connection.as_deref(),
                }
            }
        }
    )*};
}

file_sources! {
    /// Delimited text files.
    CsvSource {
        /// `comma`, `ctrla`, `pipe`, `semicolon`, `tab` or one character. Default: comma.
        separator: Option<String>,
        /// `quote`, `single_quote` or `disabled`. Default: quote.
        quote_char: Option<String>,
        /// One character that takes the next one literally. Default: none.
        escaper: Option<String>,
        /// Whether a quoted field may hold line ends. Default: true.
        multiline: Option<bool>,
        /// Whether the first record holds the names. Default: true.
        with_header: Option<bool>,
        /// Whether a header is written, which a source does not. For information.
        write_header: Option<bool>,
        /// Whether the first record that is no header is left out. Default: false.
        skip_first: Option<bool>,
        /// Whether a faster reader is used, for information: there is one.
        optimize_performance: Option<bool>,
        /// Whether every column is text as it stands, nothing inferred. Not a member of Glue's. Default: false.
        #[serde(alias = "all_text")]
        all_text: bool,
        /// Whether separator, quote, comments and header are found out from the first file. Not a member of Glue's.
        /// Default: false.
        #[serde(alias = "detect")]
        detect: bool,
        /// One character: lines that begin with it are skipped. Not a member of Glue's. Default: none.
        #[serde(alias = "comment")]
        comment: Option<String>,
        /// `utf-8`, `utf-16le`, `windows-1252`, ..., or `guess`. Not a member of Glue's. Default: utf-8.
        #[serde(alias = "encoding")]
        encoding: Option<String>,
        /// What happens to rows that cannot be read. Not a member of Glue's. Default: fail.
        #[serde(alias = "bad_rows")]
        bad_rows: BadRowsMode,
        /// A file or folder for the rows in quarantine. Not a member of Glue's.
        #[serde(alias = "quarantine")]
        quarantine: Option<String>,
    }

    /// JSON records.
    JsonSource {
        /// Where in each document the rows are, as in `$.orders[*]`. Default: a document is a row, or a list of them.
        json_path: Option<String>,
        /// Whether a record may have several lines, for information: it may.
        multiline: Option<bool>,
        /// As for [`CsvSource`]. Not a member of Glue's.
        #[serde(alias = "encoding")]
        encoding: Option<String>,
        /// As for [`CsvSource`]. Not a member of Glue's.
        #[serde(alias = "bad_rows")]
        bad_rows: BadRowsMode,
        /// As for [`CsvSource`]. Not a member of Glue's.
        #[serde(alias = "quarantine")]
        quarantine: Option<String>,
    }

    /// Parquet files.
    ParquetSource {}

    /// Workbooks, of each one sheet.
    ExcelSource {
        /// Rows of data of each file, at most. Default: all.
        number_rows: Option<u64>,
        /// Rows at the end of each file that are no data. Default: 0.
        skip_footer: u64,
        /// The sheet. Not a member of Glue's. Default: the first one.
        #[serde(alias = "sheet")]
        sheet: Option<String>,
        /// Whether the first row holds the names. Not a member of Glue's. Default: true.
        #[serde(alias = "with_header")]
        with_header: Option<bool>,
        /// As for [`CsvSource`]. Not a member of Glue's.
        #[serde(alias = "all_text")]
        all_text: bool,
    }

    /// Files of a format that Glue has no node for; not a kind of Glue's.
    DirectSource {
        /// `avro`, `orc`, `arrow`, `xml`, `grok` or `fixed-width`.
        #[serde(alias = "format")]
        format: String,
        /// Of XML: the name of the elements that are rows. Default: row.
        #[serde(alias = "row_tag")]
        row_tag: Option<String>,
        /// Of grok: the pattern of a line. Default: that of Apache's combined log.
        #[serde(alias = "grok_pattern")]
        grok_pattern: Option<String>,
        /// Of grok: more patterns, one a line.
        #[serde(alias = "custom_patterns")]
        custom_patterns: Option<String>,
        /// Of fixed width: the columns.
        #[serde(alias = "columns")]
        columns: Vec<FixedWidthColumn>,
        /// Of XML, grok and fixed width: whether every column is text. Default: false.
        #[serde(alias = "all_text")]
        all_text: bool,
        /// Of grok: `fail` or `drop`. Default: fail.
        #[serde(alias = "bad_rows")]
        bad_rows: BadRowsMode,
    }
}

/// One column of fixed width text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct FixedWidthColumn {
    /// What it is called.
    #[serde(alias = "name")]
    pub name: String,
    /// Characters before it.
    #[serde(alias = "start")]
    pub start: usize,
    /// Characters in it.
    #[serde(alias = "width")]
    pub width: usize,
}

/// What happens to a row that cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BadRowsMode {
    /// It ends the run.
    #[default]
    Fail,
    /// It is left out and counted.
    Drop,
    /// It is left out, counted, and written to the node's `Quarantine` with its file, line and reason.
    Quarantine,
}

/// How much one run reads, in Glue's words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct SourceBounds {
    /// Refused: bytes of one run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounded_size: Option<i64>,
    /// Refused: files of one run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounded_files: Option<i64>,
    /// Whether `SamplePath` stands for the files while a job is drawn, for information.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_sample_path: Option<bool>,
    /// For information.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_path: Option<String>,
}

/// The columns that Glue Studio shows behind a node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct OutputSchema {
    /// The columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<OutputColumn>,
}

/// One of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct OutputColumn {
    /// What it is called.
    pub name: String,
    /// Its type in Hive's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// Its type in Glue Studio's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glue_studio_type: Option<String>,
}

/// A table of the catalog.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct CatalogSource {
    /// The node's name.
    pub name: String,
    /// Its database.
    pub database: String,
    /// The table.
    pub table: String,
    /// Which partitions are read, in the words of `GetPartitions`: `year = '2026' and month > 6`. Default: all.
    #[serde(
        default,
        alias = "partition_predicate",
        skip_serializing_if = "Option::is_none"
    )]
    pub partition_predicate: Option<String>,
    /// Bounds are refused: nobody would come for the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additional_options: Option<SourceBounds>,
    /// The columns, for information.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output_schemas: Vec<OutputSchema>,
    /// As for [`CsvSource`]. Not a member of Glue's.
    #[serde(default, alias = "connection", skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
}

/// A kind of node that writes files: what all of them have, and what is its own.
macro_rules! file_targets {
    ($($(#[$about:meta])* $kind:ident { $($(#[$of_member:meta])* $member:ident: $type:ty,)* })*) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "PascalCase", deny_unknown_fields)]
        pub struct $kind {
            /// The node's name.
            pub name: String,
            /// One node.
            pub inputs: Vec<String>,
            $($(#[$of_member])* pub $member: $type,)*
            /// The columns that rows are put into folders `column=value` by, the outermost first. Default: none.
            #[serde(default, alias = "partition_by", skip_serializing_if = "Vec::is_empty")]
            pub partition_keys: Vec<PartitionKey>,
            /// Whether and where the table is registered.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub schema_change_policy: Option<SchemaChangePolicy>,
            /// Refused when it is enabled: there are no data quality rules yet.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub auto_data_quality: Option<AutoDataQuality>,
            /// The columns, for information.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub output_schemas: Vec<OutputSchema>,
            /// What happens to what earlier runs wrote. Not a member of Glue's. Default: replace, of a partitioned
            /// target the partitions that get rows.
            #[serde(default, alias = "mode", skip_serializing_if = "is_default")]
            pub mode: TargetMode,
            /// As for [`CsvSource`]. Not a member of Glue's.
            #[serde(default, alias = "connection", skip_serializing_if = "Option::is_none")]
            pub connection: Option<String>,
        }
    )*};
}

file_targets! {
    /// Parquet files, registered in the catalog when the policy says so.
    ParquetTarget {
        /// A folder, or a file with a suffix.
        path: String,
        /// `snappy`, `zstd`, `gzip`, `brotli`, `lz4` or `uncompressed`. Default: snappy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        compression: Option<String>,
        /// How many tasks write, and so how many files a folder gets. Default: as many as run at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number_target_partitions: Option<String>,
    }

    /// Files of a chosen format.
    DirectTarget {
        /// A folder, or a file with a suffix.
        path: String,
        /// `parquet`, `csv`, `tsv`, `json`, `avro`, `orc` or `arrow`.
        format: String,
        /// What the format has. Default: its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        compression: Option<String>,
        /// As for [`ParquetTarget`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number_target_partitions: Option<String>,
    }

    /// The files of a table that is in the catalog: it says where they are, of which format, and by what they are
    /// partitioned.
    CatalogTarget {
        /// Its database.
        database: String,
        /// The table.
        table: String,
    }
}

/// A column to partition by: `"year"`, or in Glue's shape the path `["year"]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PartitionKey {
    /// Its name.
    Name(String),
    /// A path of one name: folders are not named after fields inside of a column.
    Path(Vec<String>),
}

impl PartitionKey {
    /// The column; none if the path leads into one.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Path(path) => match path.as_slice() {
                [name] => Some(name),
                _ => None,
            },
        }
    }
}

impl std::fmt::Display for PartitionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Path(path) => write!(f, "[{}]", path.join(", ")),
        }
    }
}

/// What happens to what earlier runs wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetMode {
    /// The new files take its place.
    #[default]
    Replace,
    /// The new files stand beside it.
    Append,
}

/// Whether and where a target is registered in the catalog.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct SchemaChangePolicy {
    /// Whether the table is created or updated, and its partitions added.
    #[serde(default)]
    pub enable_update_catalog: bool,
    /// What happens to a table that is there. Default: it is updated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_behavior: Option<UpdateBehavior>,
    /// The table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Its database; made when it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
}

/// What happens to the definition of a table that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UpdateBehavior {
    /// It becomes that of what is written.
    UpdateInDatabase,
    /// It stays; partitions are added.
    Log,
}

/// Whether Glue judges the quality of what is written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct AutoDataQuality {
    /// Whether it does.
    #[serde(default)]
    pub is_enabled: bool,
    /// What the result is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation_context: Option<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What all nodes that read files have.
pub(crate) struct FileMembers<'a> {
    compression_type: Option<&'a str>,
    pub(crate) exclusions: &'a [String],
    pub(crate) recurse: Option<bool>,
    group_files: Option<&'a str>,
    group_size: Option<&'a str>,
    max_band: Option<i64>,
    max_files_in_band: Option<i64>,
    additional_options: Option<&'a SourceBounds>,
    pub(crate) connection: Option<&'a str>,
}

impl super::Node {
    /// What it has in common with the others that read files, if it is one.
    pub(crate) fn file_members(&self) -> Option<FileMembers<'_>> {
        Some(match self {
            Self::S3CsvSource(n) => n.shared(),
            Self::S3JsonSource(n) => n.shared(),
            Self::S3ParquetSource(n) => n.shared(),
            Self::S3ExcelSource(n) => n.shared(),
            Self::S3DirectSource(n) => n.shared(),
            _ => return None,
        })
    }

    /// Where its bad rows go.
    pub(crate) fn quarantine(&self) -> Option<&String> {
        match self {
            Self::S3CsvSource(n) => n.quarantine.as_ref(),
            Self::S3JsonSource(n) => n.quarantine.as_ref(),
            _ => None,
        }
    }

    /// The connection of the catalog that it names.
    pub(crate) fn connection(&self) -> Option<&str> {
        match self {
            Self::CatalogSource(n) | Self::S3CatalogSource(n) => n.connection.as_deref(),
            Self::S3GlueParquetTarget(n) => n.connection.as_deref(),
            Self::S3DirectTarget(n) => n.connection.as_deref(),
            Self::CatalogTarget(n) | Self::S3CatalogTarget(n) => n.connection.as_deref(),
            other => other.file_members()?.connection,
        }
    }
}

const BOOKMARKS: &str =
    "it bounds what a job bookmark takes in one run, which is not done yet; remove it";
const BOUNDS: &str = "what one run leaves would be for later ones, which is not done yet; remove it, or name fewer files";

/// The member of a node that is there and cannot be acted on, and why not.
pub(super) fn unserved(node: &super::Node) -> Option<(&'static str, &'static str)> {
    use super::Node;
    match node {
        Node::CatalogSource(n) | Node::S3CatalogSource(n) => {
            unserved_bounds(n.additional_options.as_ref())
        }
        Node::S3GlueParquetTarget(n) => unserved_quality(n.auto_data_quality.as_ref()),
        Node::S3DirectTarget(n) => unserved_quality(n.auto_data_quality.as_ref()),
        Node::CatalogTarget(n) | Node::S3CatalogTarget(n) => {
            unserved_quality(n.auto_data_quality.as_ref())
        }
        other => unserved_of_files(&other.file_members()?),
    }
}

fn unserved_of_files(members: &FileMembers<'_>) -> Option<(&'static str, &'static str)> {
    if members.max_band.is_some() {
        return Some(("MaxBand", BOOKMARKS));
    }
    if members.max_files_in_band.is_some() {
        return Some(("MaxFilesInBand", BOOKMARKS));
    }
    let known = [
        "gzip",
        "bzip2",
        "snappy",
        "lzo",
        "brotli",
        "lz4",
        "zstd",
        "xz",
        "zip",
        "uncompressed",
        "none",
        "",
    ];
    if members
        .compression_type
        .is_some_and(|name| !known.contains(&name))
    {
        return Some((
            "CompressionType",
            "it is none that can be read; remove it, since files say themselves how they are compressed",
        ));
    }
    if members
        .group_files
        .is_some_and(|how| !["inPartition", "none", ""].contains(&how))
    {
        return Some(("GroupFiles", "it is inPartition or none; remove it"));
    }
    if members
        .group_size
        .is_some_and(|size| !size.is_empty() && size.parse::<u64>().is_err())
    {
        return Some(("GroupSize", "it is a number of bytes; remove it"));
    }
    unserved_bounds(members.additional_options)
}

fn unserved_bounds(bounds: Option<&SourceBounds>) -> Option<(&'static str, &'static str)> {
    let bounds = bounds?;
    if bounds.bounded_size.is_some() {
        return Some(("AdditionalOptions.BoundedSize", BOUNDS));
    }
    if bounds.bounded_files.is_some() {
        return Some(("AdditionalOptions.BoundedFiles", BOUNDS));
    }
    None
}

fn unserved_quality(quality: Option<&AutoDataQuality>) -> Option<(&'static str, &'static str)> {
    quality.filter(|quality| quality.is_enabled)?;
    Some((
        "AutoDataQuality",
        "there are no rules of data quality yet; set IsEnabled to false, or check in a SparkSQL node",
    ))
}
