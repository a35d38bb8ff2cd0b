//! `source` functions in plans.
//!
//! ```text
//! SourceProvider ── scan: splits(columns, limit) ──> SourceExec      splits dealt out to partitions,
//!                                                                    one instance for each, piece after piece
//! ```

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::StreamExt;
use tenon_host::{FixedBudget, SourceBinding, SourceInstance, Split};

use super::GuestNode;
use super::budget::PoolBudget;
use super::map::GuestMetrics;
use super::timing::timed;

/// A `source` function as a table.
#[derive(Debug)]
pub(crate) struct SourceProvider {
    guest: GuestNode,
    binding: Arc<SourceBinding>,
}

impl SourceProvider {
    pub(crate) fn new(guest: GuestNode, binding: SourceBinding) -> Self {
        Self {
            guest,
            binding: Arc::new(binding),
        }
    }
}

#[async_trait]
impl TableProvider for SourceProvider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.binding.output)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.binding.output.fields().len()).collect();
        let columns: Vec<usize> = projection.cloned().unwrap_or_else(all);
        let limits = &self.guest.limits;
        let error = |e| self.guest.error(&self.binding.function, e);
        let budget = Arc::new(FixedBudget::new(limits.memory_bytes));
        let limit = limit.map(|rows| rows as u64);
        let splits = self
            .guest
            .plugin
            .splits(&self.binding, &columns, limit, limits, budget)
            .await
            .map_err(error)?;
        let schema = self.binding.schema_of(&columns).map_err(error)?;
        let partitions = dealt(splits, state.config().target_partitions());
        Ok(Arc::new(SourceExec::new(
            self.guest.clone(),
            Arc::clone(&self.binding),
            columns.into(),
            schema,
            partitions,
        )))
    }
}

/// The pieces in at most `most` partitions, and in one where there are none.
fn dealt(splits: Vec<Split>, most: usize) -> Arc<[Vec<Split>]> {
    let count = splits.len().clamp(1, most.max(1));
    let mut partitions = vec![Vec::new(); count];
    for (at, split) in splits.into_iter().enumerate() {
        partitions[at % count].push(split);
    }
    partitions.into()
}

/// Reads pieces: one instance for each partition. Output: the columns that were asked for, piece after piece.
#[derive(Debug)]
struct SourceExec {
    guest: GuestNode,
    binding: Arc<SourceBinding>,
    columns: Arc<[usize]>,
    partitions: Arc<[Vec<Split>]>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SourceExec {
    fn new(
        guest: GuestNode,
        binding: Arc<SourceBinding>,
        columns: Arc<[usize]>,
        schema: SchemaRef,
        partitions: Arc<[Vec<Split>]>,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            guest,
            binding,
            columns,
            partitions,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl DisplayAs for SourceExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.schema();
        let columns: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        write!(
            f,
            "SourceExec: plugin={}, function={}, columns=[{}], splits={}",
            self.guest.reference,
            self.binding.function,
            columns.join(", "),
            self.partitions.iter().map(Vec::len).sum::<usize>()
        )
    }
}

impl ExecutionPlan for SourceExec {
    fn name(&self) -> &'static str {
        "SourceExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let mut splits = self.partitions[partition].clone();
        splits.reverse();
        let reading = Reading {
            guest: self.guest.clone(),
            binding: Arc::clone(&self.binding),
            columns: Arc::clone(&self.columns),
            splits,
            instance: None,
            is_open: false,
            metrics: GuestMetrics::new(&self.metrics, partition),
            context,
        };
        let batches = futures::stream::try_unfold(reading, |mut reading| async move {
            let batch = reading.next().await?;
            Ok(batch.map(|batch| (batch, reading)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            batches.boxed(),
        )))
    }
}

/// The work of one partition.
struct Reading {
    guest: GuestNode,
    binding: Arc<SourceBinding>,
    columns: Arc<[usize]>,
    /// Pieces that are not begun, the next one last.
    splits: Vec<Split>,
    instance: Option<SourceInstance>,
    /// Whether the instance is in the middle of a piece.
    is_open: bool,
    metrics: GuestMetrics,
    context: Arc<TaskContext>,
}

impl Reading {
    /// The next batch with rows.
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if !self.is_open && self.splits.is_empty() {
                return Ok(None);
            }
            let time = self.metrics.baseline.elapsed_compute().clone();
            let batch = timed(&time, self.step())
                .await
                .map_err(|e| self.guest.error(&self.binding.function, e))?;
            if let Some(batch) = batch.filter(|batch| batch.num_rows() > 0) {
                self.metrics.baseline.record_output(batch.num_rows());
                return Ok(Some(batch));
            }
        }
    }

    /// One call for rows, at the beginning of a piece after one that opens it.
    async fn step(&mut self) -> tenon_host::Result<Option<RecordBatch>> {
        let guest = &self.guest;
        if self.instance.is_none() {
            let budget = PoolBudget::of(self.context.memory_pool(), &guest.reference);
            let opened =
                guest
                    .plugin
                    .open_source(&self.binding, &self.columns, &guest.limits, budget);
            self.instance = Some(opened.await?);
        }
        let Some(instance) = &mut self.instance else {
            return Err(tenon_host::Error::Cancelled);
        };
        let mut outcome = Ok(None);
        if !self.is_open
            && let Some(split) = self.splits.pop()
        {
            outcome = instance.open(&split).await.map(|()| None);
            self.is_open = outcome.is_ok();
        }
        if self.is_open {
            outcome = instance.next().await;
            self.is_open = matches!(outcome, Ok(Some(_)));
        }
        self.metrics
            .record(instance.bytes(), instance.memory_bytes(), instance.fuel());
        guest.log.append(&guest.node, instance.take_log());
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_dealt_out_once() {
        let split = |n: usize| Split {
            name: n.to_string(),
            payload: Vec::new(),
            rows: None,
        };
        for (pieces, most, partitions) in [(0, 4, 1), (3, 4, 3), (9, 4, 4), (2, 0, 1)] {
            let dealt = dealt((0..pieces).map(split).collect(), most);
            assert_eq!(dealt.len(), partitions);
            let mut names: Vec<_> = dealt.iter().flatten().map(|s| s.name.clone()).collect();
            names.sort();
            assert_eq!(
                names,
                (0..pieces).map(|n| n.to_string()).collect::<Vec<_>>()
            );
        }
    }
}
