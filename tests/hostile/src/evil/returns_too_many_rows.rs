//! One row more than it selected.

use tenon_sdk::bindings::base::tenon::plugin::types::Batch;
use tenon_sdk::bindings::map::exports::tenon::plugin::map::Mapped;

use super::{opens, strings};
use crate::{Evil, binding};

pub(super) const EVIL: Evil = Evil {
    name: "returns-too-many-rows",
    bind: binding,
    open: opens,
    apply,
};

fn apply(batch: Batch) -> Mapped {
    let rows = batch.rows + 1;
    strings(rows, &vec![b"x".as_slice(); rows as usize])
}
