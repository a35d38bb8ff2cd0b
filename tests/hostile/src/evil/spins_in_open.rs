//! A loop without an end when a partition is opened.

use tenon_sdk::bindings::base::tenon::plugin::types::Batch;
use tenon_sdk::bindings::map::exports::tenon::plugin::map::Mapped;

use super::honest;
use crate::{Evil, binding};

pub(super) const EVIL: Evil = Evil {
    name: "spins-in-open",
    bind: binding,
    open,
    apply,
};

fn open() {
    while std::hint::black_box(true) {}
}

fn apply(batch: Batch) -> Mapped {
    honest(&batch)
}
