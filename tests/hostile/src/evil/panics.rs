//! A panic with a message.

use tenon_sdk::bindings::base::tenon::plugin::types::Batch;
use tenon_sdk::bindings::map::exports::tenon::plugin::map::Mapped;

use super::opens;
use crate::{Evil, binding};

pub(super) const EVIL: Evil = Evil {
    name: "panics",
    bind: binding,
    open: opens,
    apply,
};

fn apply(batch: Batch) -> Mapped {
    panic!("no rows like these: {}", batch.rows)
}
