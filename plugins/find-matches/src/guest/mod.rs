//! The plugin: the matcher's parts as functions of the contract, and the plan that joins them.
//!
//! ```text
//! input ─ numbered ─┬─ text ─┬─ [profile] ─ profiled, which every function below gets
//!                   │        └─ [encode] ─ rows ─ led ─┬─ encoded ─ keyed ─ candidates ─ facing ─ [compare] ─ compared
//!                   │                                  ├─ [sample] ─ random
//!                   │                                  └─ repeats: equal records beyond a few
//!                   │     random, counted patterns ─ [learn] ─ learned ─ [score] ─ scored ─ [cluster] ─ grouped
//!                   └─ result = numbered joined with grouped;   pairs = scored joined with ids
//! ```
//!
//! `profile`, `encode`, `sample`, `compare`, `learn`, `score` and `cluster` run here; numbering, unnesting,
//! joining, grouping and sorting are the host's SQL.

mod cluster;
mod compare;
mod encode;
mod learn;
mod plan;
mod profile;
mod sample;
mod score;

use std::sync::Arc;

use tenon_sdk::prelude::*;

use crate::error;

pub use plan::{CAP, REPEATS, TOP};

tenon_sdk::export! {
    stream: [
        profile::ProfileColumns,
        encode::Encode,
        sample::Sample,
        compare::Compare,
        learn::Learn,
        score::Score,
        cluster::Cluster,
    ],
    plan: [plan::FindMatches]
}

impl From<error::Error> for Error {
    fn from(error: error::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

/// A schema of not nullable columns.
fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
    let fields = columns
        .iter()
        .map(|(name, data_type)| Field::new(*name, data_type.clone(), false));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The one value of a broadcast table with one row and one binary column.
fn blob(batch: &RecordBatch) -> Result<Vec<u8>> {
    let column = batch.column(0).as_binary::<i32>();
    match column.len() {
        1 => Ok(column.value(0).to_vec()),
        rows => Err(Error::Internal(format!("one row was expected, not {rows}"))),
    }
}

/// A table with one row and one binary column.
fn one_blob(name: &str, bytes: &[u8]) -> Result<RecordBatch> {
    let column: ArrayRef = Arc::new(BinaryArray::from_vec(vec![bytes]));
    Ok(RecordBatch::try_new(
        schema(&[(name, DataType::Binary)]),
        vec![column],
    )?)
}

/// What a function says when an input comes before the one that it depends on.
fn too_early(what: &str) -> Error {
    Error::Internal(format!("{what} has not arrived"))
}

/// Counts of patterns as a table.
fn counts_batch(counts: &[(crate::Pattern, u64)]) -> Result<RecordBatch> {
    let patterns: ArrayRef = Arc::new(BinaryArray::from_iter_values(
        counts.iter().map(|(pattern, _)| pattern),
    ));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(
        counts
            .iter()
            .map(|(_, n)| i64::try_from(*n).unwrap_or(i64::MAX)),
    ));
    Ok(RecordBatch::try_new(
        counts_schema(),
        vec![patterns, numbers],
    )?)
}

fn counts_schema() -> SchemaRef {
    schema(&[("pattern", DataType::Binary), ("n", DataType::Int64)])
}

/// A pattern from its column.
fn pattern(bytes: &[u8]) -> Result<crate::Pattern> {
    bytes
        .try_into()
        .map_err(|_| Error::Internal(format!("a pattern of {} bytes", bytes.len())))
}
