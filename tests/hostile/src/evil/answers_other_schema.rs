//! Numbers where strings were declared.

use tenon_sdk::bindings::base::tenon::plugin::types::{Batch, Encoding, Node};
use tenon_sdk::bindings::map::exports::tenon::plugin::map::Mapped;

use super::{answer, opens};
use crate::{Evil, binding};

pub(super) const EVIL: Evil = Evil {
    name: "answers-other-schema",
    bind: binding,
    open: opens,
    apply,
};

fn apply(batch: Batch) -> Mapped {
    let numbers = vec![7u8; batch.rows as usize * 8];
    answer(
        batch.rows,
        Node {
            length: batch.rows,
            nulls: 0,
            encoding: Encoding::Plain,
        },
        vec![Vec::new(), numbers],
    )
}
