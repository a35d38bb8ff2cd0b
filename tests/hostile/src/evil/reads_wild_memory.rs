//! A load from an address outside of its memory.

use tenon_sdk::bindings::base::tenon::plugin::types::Batch;
use tenon_sdk::bindings::map::exports::tenon::plugin::map::Mapped;

use super::{opens, strings};
use crate::{Evil, binding};

pub(super) const EVIL: Evil = Evil {
    name: "reads-wild-memory",
    bind: binding,
    open: opens,
    apply,
};

fn apply(batch: Batch) -> Mapped {
    let wild = std::hint::black_box(usize::MAX - 64) as *const u64;
    // SAFETY: none; the sandbox is to stop it.
    let value = unsafe { std::ptr::read_volatile(wild) };
    strings(
        batch.rows,
        &vec![value.to_le_bytes().as_slice(); batch.rows as usize],
    )
}
