//! Bytes that are no UTF-8 in a column of strings.

use tenon_sdk::bindings::base::tenon::plugin::types::Batch;
use tenon_sdk::bindings::map::exports::tenon::plugin::map::Mapped;

use super::{opens, strings};
use crate::{Evil, binding};

pub(super) const EVIL: Evil = Evil {
    name: "bad-utf8",
    bind: binding,
    open: opens,
    apply,
};

fn apply(batch: Batch) -> Mapped {
    strings(
        batch.rows,
        &vec![[0xff, 0xfe].as_slice(); batch.rows as usize],
    )
}
