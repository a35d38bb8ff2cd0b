//! A schema of lists in lists in lists.

use tenon_sdk::bindings::base::tenon::plugin::types::Batch;
use tenon_sdk::bindings::map::exports::tenon::plugin::map::{Binding, Mapped};

use super::{honest, opens};
use crate::{Evil, binding, field};

pub(super) const EVIL: Evil = Evil {
    name: "nests-too-deep",
    bind,
    open: opens,
    apply,
};

fn bind() -> Binding {
    let mut list = field("deep", "+l");
    list.children = 1;
    let mut output = vec![list; 1_000];
    output.push(field("item", "i"));
    Binding {
        output,
        ..binding()
    }
}

fn apply(batch: Batch) -> Mapped {
    honest(&batch)
}
