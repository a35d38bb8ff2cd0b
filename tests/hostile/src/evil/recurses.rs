//! Recursion without an end.

use tenon_sdk::bindings::base::tenon::plugin::types::Batch;
use tenon_sdk::bindings::map::exports::tenon::plugin::map::Mapped;

use super::{honest, opens};
use crate::{Evil, binding};

pub(super) const EVIL: Evil = Evil {
    name: "recurses",
    bind: binding,
    open: opens,
    apply,
};

fn apply(batch: Batch) -> Mapped {
    fn down(depth: u64) -> u64 {
        let here = std::hint::black_box([depth; 64]);
        if here[0] == u64::MAX {
            0
        } else {
            down(here[0] + 1) + std::hint::black_box(here[63])
        }
    }
    std::hint::black_box(down(0));
    honest(&batch)
}
