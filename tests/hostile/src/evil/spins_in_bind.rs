//! A loop without an end before there is any data.

use tenon_sdk::bindings::base::tenon::plugin::types::Batch;
use tenon_sdk::bindings::map::exports::tenon::plugin::map::{Binding, Mapped};

use super::{honest, opens};
use crate::{Evil, binding};

pub(super) const EVIL: Evil = Evil {
    name: "spins-in-bind",
    bind,
    open: opens,
    apply,
};

fn bind() -> Binding {
    while std::hint::black_box(true) {}
    binding()
}

fn apply(batch: Batch) -> Mapped {
    honest(&batch)
}
