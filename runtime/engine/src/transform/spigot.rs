//! Spigot: the sample that is written beside the rows that go on.
//!
//! Which rows are in it depends on their place in the input alone, by a random number that is the same each time. So a run
//! over the same files with as many partitions gives the same sample, as long as what is before the spigot keeps an order.

use datafusion::arrow::array::BooleanArray;
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

use crate::graph::{MAX_TOPK, Spigot};

/// Which rows are in the sample.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sampling {
    /// Rows that may still be taken.
    left: usize,
    probability: f64,
    /// Rows that were looked at.
    seen: u64,
}

impl Sampling {
    pub(crate) fn of(node: &Spigot) -> Self {
        let most = match (node.topk, node.prob) {
            (Some(topk), _) => Some(topk),
            (None, None) => Some(MAX_TOPK),
            (None, Some(_)) => None,
        };
        Self {
            left: most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(0)),
            probability: node.prob.unwrap_or(1.0),
            seen: 0,
        }
    }

    /// The sample of partitions that are read one after the other.
    pub(crate) fn sampled(
        self,
        schema: SchemaRef,
        partitions: Vec<SendableRecordBatchStream>,
    ) -> SendableRecordBatchStream {
        let rows = futures::stream::iter(partitions).flatten();
        let rows = rows.scan(self, |sampling, batch| {
            let sample = (sampling.left > 0).then(|| batch.and_then(|rows| sampling.take(&rows)));
            futures::future::ready(sample)
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let taken: BooleanArray = (0..batch.num_rows())
            .map(|_| Some(self.takes_next()))
            .collect();
        Ok(filter_record_batch(batch, &taken)?)
    }

    fn takes_next(&mut self) -> bool {
        let is_chosen = self.left > 0 && unit(self.seen) < self.probability;
        self.seen += 1;
        self.left -= usize::from(is_chosen);
        is_chosen
    }
}

/// A number from 0 to below 1 for the row at `place`: SplitMix64, whose n-th number needs none of those before.
fn unit(place: u64) -> f64 {
    let mut bits = place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    #[expect(
        clippy::cast_precision_loss,
        reason = "53 bits are what an f64 holds exactly"
    )]
    let mantissa = (bits >> 11) as f64;
    mantissa / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(topk: Option<i64>, prob: Option<f64>, rows: usize) -> usize {
        let node = Spigot {
            name: "s".to_owned(),
            inputs: vec!["a".to_owned()],
            path: "out".to_owned(),
            topk,
            prob,
        };
        let mut sampling = Sampling::of(&node);
        (0..rows).filter(|_| sampling.takes_next()).count()
    }

    #[test]
    fn a_sample_has_so_many_rows_or_so_large_a_share() {
        assert_eq!(taken(Some(3), None, 10), 3);
        assert_eq!(taken(Some(0), None, 10), 0);
        assert_eq!(taken(None, None, 1_000), 100);
        assert_eq!(taken(None, Some(1.0), 1_000), 1_000);
        assert_eq!(taken(None, Some(0.0), 1_000), 0);
        assert_eq!(taken(Some(5), Some(0.5), 1_000), 5);
        let third = taken(None, Some(1.0 / 3.0), 30_000);
        assert!((9_700..10_300).contains(&third), "{third}");
    }
}
