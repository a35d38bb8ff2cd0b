//! More bytes than one call may return.

use tenon_sdk::bindings::base::tenon::plugin::types::Batch;
use tenon_sdk::bindings::map::exports::tenon::plugin::map::Mapped;

use super::{opens, strings};
use crate::{Evil, binding};

pub(super) const EVIL: Evil = Evil {
    name: "returns-too-much",
    bind: binding,
    open: opens,
    apply,
};

fn apply(batch: Batch) -> Mapped {
    let long = vec![b"x"[0]; 100 << 20];
    let mut values = vec![b"".as_slice(); batch.rows as usize];
    values[0] = &long;
    strings(batch.rows, &values)
}
