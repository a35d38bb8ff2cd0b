//! A binding that keeps a column that the input does not have.

use tenon_sdk::bindings::base::tenon::plugin::types::Batch;
use tenon_sdk::bindings::map::exports::tenon::plugin::map::{Binding, Keep, Mapped};

use super::{honest, opens};
use crate::{Evil, binding};

pub(super) const EVIL: Evil = Evil {
    name: "keeps-a-column-that-is-not-there",
    bind,
    open: opens,
    apply,
};

fn bind() -> Binding {
    Binding {
        keep: Keep::Columns(vec![0, 4_000_000]),
        ..binding()
    }
}

fn apply(batch: Batch) -> Mapped {
    honest(&batch)
}
