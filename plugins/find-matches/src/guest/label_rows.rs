//! Label rows as the host's join of labels and ids gives them.

use tenon_sdk::arrow_array::types::{UInt32Type, UInt64Type};
use tenon_sdk::prelude::*;

use super::single;
use crate::LabelRow;

/// `line`, `labeling_set_id`, `label`, `id` and `rid`, which is null where no record has the id.
pub(super) const COLUMNS: [&str; 5] = ["line", "labeling_set_id", "label", "id", "rid"];

/// What an input is, of a function whose second input are labels: without labels there is one less.
pub(super) fn role(labels: bool, input: usize) -> usize {
    if input > 0 && !labels {
        input + 1
    } else {
        input
    }
}

pub(super) fn input(schema: &SchemaRef) -> Result<Input> {
    single(schema, &COLUMNS)
}

/// Adds the rows of a batch of those columns.
pub(super) fn read(batch: &RecordBatch, rows: &mut Vec<LabelRow>) {
    let lines = batch.column(0).as_primitive::<UInt64Type>();
    let [sets, labels, ids] = [1, 2, 3].map(|at| batch.column(at).as_string::<i32>());
    let records = batch.column(4).as_primitive::<UInt32Type>();
    rows.extend((0..batch.num_rows()).map(|row| LabelRow {
        line: lines.value(row),
        set: sets.value(row).to_owned(),
        label: labels.value(row).to_owned(),
        id: ids.value(row).to_owned(),
        record: records.is_valid(row).then(|| records.value(row)),
    }));
}
