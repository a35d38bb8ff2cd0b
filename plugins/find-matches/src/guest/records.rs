//! The blobs of all records in one instance, as they arrived: found by record number, never copied.

use tenon_sdk::arrow_array::types::UInt32Type;
use tenon_sdk::prelude::*;

/// Blobs by record.
#[derive(Default)]
pub(super) struct Records {
    batches: Vec<BinaryArray>,
    /// Batch and row of each record; the batch counts from 1, 0 is none.
    places: Vec<(u32, u32)>,
}

impl Records {
    /// Keeps the batch's columns `rid` and `blob` at these positions.
    pub(super) fn push(&mut self, batch: &RecordBatch, rid: usize, blob: usize) {
        self.batches
            .push(batch.column(blob).as_binary::<i32>().clone());
        let at = self.batches.len() as u32;
        let rids = batch.column(rid).as_primitive::<UInt32Type>();
        for (row, rid) in (0u32..).zip(rids.values()) {
            let rid = *rid as usize;
            if self.places.len() <= rid {
                self.places.resize(rid + 1, (0, 0));
            }
            self.places[rid] = (at, row);
        }
    }

    /// The blob of a record; empty, as if all were missing, when it never came.
    pub(super) fn blob(&self, rid: u32) -> &[u8] {
        let place = self.places.get(rid as usize).copied().unwrap_or_default();
        let batch = (place.0 as usize)
            .checked_sub(1)
            .and_then(|at| self.batches.get(at));
        batch.map_or(&[], |batch| batch.value(place.1 as usize))
    }
}
