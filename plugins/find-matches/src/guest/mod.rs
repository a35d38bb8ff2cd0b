//! The plugin: the matcher's parts as functions of the contract, and the plans that join them.
//!
//! ```text
//! input ─ numbered ─┬─ text ─┬─ [profile] ─ profiled        or, from a kept model, [open-model]
//!                   │        └─ [encode] ─ encoded: blob and keys of each record
//!                   │                        └─ [nominate] ─ nominated: pairs worth comparing
//!                   │     encoded, nominated, labels ─ [learn] ─ learned ─ [score] ─ scored ─ [cluster] ─ grouped
//!                   └─ result = numbered joined with grouped;   pairs = scored joined with ids
//! ```
//!
//! Numbering, joining, grouping and sorting are the host's SQL (`plan`). What runs here instead of there was measured:
//! `nominate` replaces a self-join, a sum and a window; `score` looks blobs up instead of joining them to every pair.
//! What later steps need of earlier ones travels as an [`Archive`] in a table of one row.

mod ask;
mod cluster;
mod count_columns;
mod encode;
mod explain;
mod label_rows;
mod learn;
mod nominate;
mod open_model;
mod plan;
mod profile;
mod records;
mod score;

use std::sync::Arc;

use tenon_sdk::prelude::*;

use crate::Archive;
use crate::error;

tenon_sdk::export! {
    stream: [
        count_columns::CountColumns,
        profile::ProfileColumns,
        open_model::OpenModel,
        encode::Encode,
        nominate::Nominate,
        learn::Learn,
        score::Score,
        cluster::Cluster,
        ask::Ask,
        explain::Explain,
    ],
    plan: [
        plan::FindMatches,
        plan::FindIncrementalMatches,
        plan::FindQuestions,
        plan::ExplainMatch,
        plan::GoldenRecords,
    ]
}

impl From<error::Error> for Error {
    fn from(error: error::Error) -> Self {
        match error {
            error::Error::Encoding(_) => Self::Internal(error.to_string()),
            refused => Self::Unsupported(refused.to_string()),
        }
    }
}

/// A schema of not nullable columns.
fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
    let fields = columns
        .iter()
        .map(|(name, data_type)| Field::new(*name, data_type.clone(), false));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// An input that every instance gets whole.
fn broadcast(input: &SchemaRef, columns: &[&str]) -> Result<Input> {
    Input::columns(input, columns, Distribution::Broadcast)
}

/// An input that one instance gets whole.
fn single(input: &SchemaRef, columns: &[&str]) -> Result<Input> {
    Input::columns(input, columns, Distribution::Single)
}

/// The archive of a table of one row and one binary column.
fn archive(batch: &RecordBatch) -> Result<Archive> {
    let column = batch.column(0).as_binary::<i32>();
    match column.len() {
        1 => Ok(Archive::from_bytes(column.value(0))?),
        rows => Err(Error::Internal(format!("one row was expected, not {rows}"))),
    }
}

fn archive_schema() -> SchemaRef {
    schema(&[("archive", DataType::Binary)])
}

/// An archive as a table of one row.
fn one_archive(archive: &Archive) -> Result<RecordBatch> {
    let column: ArrayRef = Arc::new(BinaryArray::from_vec(vec![&archive.to_bytes()?]));
    Ok(RecordBatch::try_new(archive_schema(), vec![column])?)
}

/// What a function says when an input comes before the one that it depends on.
fn too_early(what: &str) -> Error {
    Error::Internal(format!("{what} has not arrived"))
}

/// The columns of a batch as text, row by row.
fn texts(batch: &RecordBatch, first: usize) -> Vec<&StringArray> {
    let columns = batch.columns().iter().skip(first);
    columns.map(|column| column.as_string::<i32>()).collect()
}

/// A row of such columns.
fn text_row<'a>(columns: &[&'a StringArray], row: usize) -> Vec<Option<&'a str>> {
    let value = |column: &&'a StringArray| column.is_valid(row).then(|| column.value(row));
    columns.iter().map(value).collect()
}
