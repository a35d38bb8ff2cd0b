//! A selection of rows that the batch does not have.

use tenon_sdk::bindings::base::tenon::plugin::types::Batch;
use tenon_sdk::bindings::map::exports::tenon::plugin::map::{Mapped, Selection};

use super::{honest, opens};
use crate::{Evil, binding};

pub(super) const EVIL: Evil = Evil {
    name: "selects-beyond-the-batch",
    bind: binding,
    open: opens,
    apply,
};

fn apply(batch: Batch) -> Mapped {
    let mut answer = honest(&batch);
    let rows = (0..batch.rows).map(|row| row + 1_000_000);
    answer.selection = Some(Selection::Indices(
        rows.flat_map(|row| row.to_le_bytes()).collect(),
    ));
    answer
}
