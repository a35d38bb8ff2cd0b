//! What decodes a guest's SQL, as a function from bytes, for fuzzing and for tests that mutate a corpus.

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use std::sync::Arc;

/// Takes the bytes for the query of a plan's step over a table `input0` of a number `n` and a text `s`: weighs and plans
/// it, and holds it to what such a query may be.
///
/// # Errors
/// What a plugin that says this is told.
pub async fn plan_sql(bytes: &[u8]) -> Result<(), String> {
    let fields = vec![
        Field::new("n", DataType::Int64, true),
        Field::new("s", DataType::Utf8, true),
    ];
    let input = RecordBatch::new_empty(Arc::new(Schema::new(fields)));
    crate::guest::plan_sql(&String::from_utf8_lossy(bytes), input).await
}
