//! A node that claims fewer missing values than its bitmap has.

use tenon_sdk::bindings::base::tenon::plugin::types::Batch;
use tenon_sdk::bindings::map::exports::tenon::plugin::map::{Binding, Mapped};

use super::{honest, opens};
use crate::{Evil, binding, field};

pub(super) const EVIL: Evil = Evil {
    name: "counts-nulls-wrongly",
    bind,
    open: opens,
    apply,
};

fn bind() -> Binding {
    let mut out = field("out", "u");
    out.nullable = true;
    Binding {
        output: vec![out],
        ..binding()
    }
}

fn apply(batch: Batch) -> Mapped {
    let mut answer = honest(&batch);
    answer.columns.nodes[0].nulls = 1;
    answer.columns.buffers[0] = vec![0; batch.rows.div_ceil(8) as usize];
    answer
}
