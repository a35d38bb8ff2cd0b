//! The list.

mod answers_other_schema;
mod bad_utf8;
mod counts_nulls_wrongly;
mod eats_memory;
mod floods_the_log;
mod forgets_a_buffer;
mod keeps_a_column_that_is_not_there;
mod needs_a_column_that_is_not_there;
mod nests_too_deep;
mod offsets_beyond_bytes;
mod panics;
mod reads_wild_memory;
mod recurses;
mod returns_nulls;
mod returns_too_many_rows;
mod returns_too_much;
mod selects_beyond_the_batch;
mod spins;
mod spins_in_bind;
mod spins_in_open;
mod traps;

use tenon_sdk::bindings::base::tenon::plugin::types::{Batch, Encoding, Node};
use tenon_sdk::bindings::map::exports::tenon::plugin::map::Mapped;

use crate::Evil;

/// Every idea.
pub(crate) const ALL: &[Evil] = &[
    answers_other_schema::EVIL,
    bad_utf8::EVIL,
    counts_nulls_wrongly::EVIL,
    eats_memory::EVIL,
    floods_the_log::EVIL,
    forgets_a_buffer::EVIL,
    keeps_a_column_that_is_not_there::EVIL,
    needs_a_column_that_is_not_there::EVIL,
    nests_too_deep::EVIL,
    offsets_beyond_bytes::EVIL,
    panics::EVIL,
    reads_wild_memory::EVIL,
    recurses::EVIL,
    returns_nulls::EVIL,
    returns_too_many_rows::EVIL,
    returns_too_much::EVIL,
    selects_beyond_the_batch::EVIL,
    spins::EVIL,
    spins_in_bind::EVIL,
    spins_in_open::EVIL,
    traps::EVIL,
];

/// Nothing happens on opening.
fn opens() {}

/// An honest answer: the letter x for each row.
fn honest(batch: &Batch) -> Mapped {
    strings(batch.rows, &vec![b"x".as_slice(); batch.rows as usize])
}

/// A column of strings with these bytes.
fn strings(rows: u32, values: &[&[u8]]) -> Mapped {
    let mut offsets = vec![0i32];
    for value in values {
        offsets.push(offsets[offsets.len() - 1] + value.len() as i32);
    }
    let offsets = offsets.iter().flat_map(|o| o.to_le_bytes()).collect();
    answer(
        rows,
        Node {
            length: values.len() as u32,
            nulls: 0,
            encoding: Encoding::Plain,
        },
        vec![Vec::new(), offsets, values.concat()],
    )
}

fn answer(rows: u32, node: Node, buffers: Vec<Vec<u8>>) -> Mapped {
    Mapped {
        columns: Batch {
            rows,
            nodes: vec![node],
            buffers,
        },
        selection: None,
    }
}
