//! A binding that needs a column that the input does not have.

use tenon_sdk::bindings::base::tenon::plugin::types::Batch;
use tenon_sdk::bindings::map::exports::tenon::plugin::map::{Binding, Mapped};

use super::{honest, opens};
use crate::{Evil, binding};

pub(super) const EVIL: Evil = Evil {
    name: "needs-a-column-that-is-not-there",
    bind,
    open: opens,
    apply,
};

fn bind() -> Binding {
    Binding {
        needs: vec![9],
        ..binding()
    }
}

fn apply(batch: Batch) -> Mapped {
    honest(&batch)
}
