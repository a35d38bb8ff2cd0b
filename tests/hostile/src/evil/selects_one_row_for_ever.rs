//! One row eight million times, in 32 MB: what the host carries with it would be eight million times that row.

use tenon_sdk::bindings::base::tenon::plugin::types::{Batch, Encoding, Node};
use tenon_sdk::bindings::map::exports::tenon::plugin::map::{Binding, Mapped, Selection};

use super::{answer, opens};
use crate::{Evil, binding, field};

const TIMES: u32 = 8_000_000;

pub(super) const EVIL: Evil = Evil {
    name: "selects-one-row-for-ever",
    bind,
    open: opens,
    apply,
};

fn bind() -> Binding {
    let mut nothing = field("out", "n");
    nothing.nullable = true;
    Binding {
        needs: Vec::new(),
        output: vec![nothing],
        ..binding()
    }
}

fn apply(_batch: Batch) -> Mapped {
    let node = Node {
        length: TIMES,
        nulls: TIMES,
        encoding: Encoding::Plain,
    };
    let mut mapped = answer(TIMES, node, Vec::new());
    mapped.selection = Some(Selection::Indices(vec![0; TIMES as usize * 4]));
    mapped
}
