//! A trap of the machine, without a message.

use tenon_sdk::bindings::base::tenon::plugin::types::Batch;
use tenon_sdk::bindings::map::exports::tenon::plugin::map::Mapped;

use super::opens;
use crate::{Evil, binding};

pub(super) const EVIL: Evil = Evil {
    name: "traps",
    bind: binding,
    open: opens,
    apply,
};

fn apply(_batch: Batch) -> Mapped {
    std::arch::wasm32::unreachable()
}
