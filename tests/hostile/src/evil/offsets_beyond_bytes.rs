//! Offsets that point behind the end of the bytes.

use tenon_sdk::bindings::base::tenon::plugin::types::Batch;
use tenon_sdk::bindings::map::exports::tenon::plugin::map::Mapped;

use super::{honest, opens};
use crate::{Evil, binding};

pub(super) const EVIL: Evil = Evil {
    name: "offsets-beyond-bytes",
    bind: binding,
    open: opens,
    apply,
};

fn apply(batch: Batch) -> Mapped {
    let mut answer = honest(&batch);
    answer.columns.buffers[2].clear();
    answer
}
