//! Fifty thousand lines, with control characters that would drive a terminal.

use tenon_sdk::bindings::base::tenon::plugin::types::Batch;
use tenon_sdk::bindings::map::exports::tenon::plugin::map::Mapped;

use super::{honest, opens};
use crate::{Evil, binding};

pub(super) const EVIL: Evil = Evil {
    name: "floods-the-log",
    bind: binding,
    open: opens,
    apply,
};

fn apply(batch: Batch) -> Mapped {
    for _ in 0..50_000 {
        tenon_sdk::log("\u{1b}[2J\r\nERROR forged\0");
    }
    honest(&batch)
}
