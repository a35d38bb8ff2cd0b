//! Missing values in a column that was declared not to have any.

use tenon_sdk::bindings::base::tenon::plugin::types::Batch;
use tenon_sdk::bindings::map::exports::tenon::plugin::map::Mapped;

use super::{honest, opens};
use crate::{Evil, binding};

pub(super) const EVIL: Evil = Evil {
    name: "returns-nulls",
    bind: binding,
    open: opens,
    apply,
};

fn apply(batch: Batch) -> Mapped {
    let mut answer = honest(&batch);
    answer.columns.nodes[0].nulls = batch.rows;
    answer.columns.buffers[0] = vec![0; batch.rows.div_ceil(8) as usize];
    answer
}
