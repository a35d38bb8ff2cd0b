//! A loop without an end.

use tenon_sdk::bindings::base::tenon::plugin::types::Batch;
use tenon_sdk::bindings::map::exports::tenon::plugin::map::Mapped;

use super::opens;
use crate::{Evil, binding};

pub(super) const EVIL: Evil = Evil {
    name: "spins",
    bind: binding,
    open: opens,
    apply,
};

fn apply(batch: Batch) -> Mapped {
    loop {
        std::hint::black_box(&batch);
    }
}
