//! The boundary around a node of a job: where rows and time are counted.
//!
//! A node's output is a [`NodeProvider`]: a table whose plan ends in a [`MeterExec`]. Projections
//! and limits go through the boundary into the node's own plan; filters stay outside, so that the rows
//! counted at a node are the rows that the node made.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{Stream, StreamExt};

use crate::error::NodeError;
use crate::memory::within;

/// What a node did, counted while it runs.
#[derive(Debug, Default)]
pub struct Meter {
    rows: AtomicU64,
}

impl Meter {
    /// Rows that left the node so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }
}

/// The output of a node as a table.
#[derive(Debug)]
pub(crate) struct NodeProvider {
    id: Arc<str>,
    plan: LogicalPlan,
    schema: SchemaRef,
    /// Nothing is counted without.
    meter: Option<Arc<Meter>>,
}

impl NodeProvider {
    pub(crate) fn new(id: &str, plan: LogicalPlan, meter: Option<Arc<Meter>>) -> Self {
        let schema = Arc::new(plan.schema().as_arrow().clone());
        Self {
            id: id.into(),
            plan,
            schema,
            meter,
        }
    }
}

/// A plan narrowed to what the reader of a boundary wants.
pub(crate) fn narrowed(
    plan: &LogicalPlan,
    projection: Option<&Vec<usize>>,
    limit: Option<usize>,
) -> Result<LogicalPlan> {
    let mut builder = LogicalPlanBuilder::from(plan.clone());
    if let Some(projection) = projection {
        let columns = plan.schema().columns();
        builder = builder.project(projection.iter().map(|&i| Expr::Column(columns[i].clone())))?;
    }
    if limit.is_some() {
        builder = builder.limit(0, limit)?;
    }
    builder.build()
}

#[async_trait]
impl TableProvider for NodeProvider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = narrowed(&self.plan, projection, limit)?;
        let input = state.create_physical_plan(&plan).await?;
        Ok(match &self.meter {
            Some(meter) => Arc::new(MeterExec {
                id: Arc::clone(&self.id),
                input,
                meter: Arc::clone(meter),
            }),
            None => input,
        })
    }
}

/// Counts the rows that leave a node. One child, same schema, order and partitions.
#[derive(Debug)]
pub(crate) struct MeterExec {
    id: Arc<str>,
    input: Arc<dyn ExecutionPlan>,
    meter: Arc<Meter>,
}

impl MeterExec {
    /// The node's id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl DisplayAs for MeterExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MeterExec: node={}", self.id)
    }
}

impl ExecutionPlan for MeterExec {
    fn name(&self) -> &'static str {
        "MeterExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self {
            id: Arc::clone(&self.id),
            input: children.swap_remove(0),
            meter: Arc::clone(&self.meter),
        }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = within(&self.id, || self.input.execute(partition, context))?;
        Ok(Box::pin(MeterStream {
            id: Arc::clone(&self.id),
            input,
            meter: Arc::clone(&self.meter),
        }))
    }
}

struct MeterStream {
    id: Arc<str>,
    input: SendableRecordBatchStream,
    meter: Arc<Meter>,
}

impl Stream for MeterStream {
    type Item = Result<RecordBatch>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = self.get_mut();
        match within(&stream.id, || stream.input.poll_next_unpin(context)) {
            Poll::Ready(Some(Ok(batch))) => {
                stream
                    .meter
                    .rows
                    .fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
                Poll::Ready(Some(Ok(batch)))
            }
            Poll::Ready(Some(Err(error))) => {
                Poll::Ready(Some(Err(NodeError::wrap(&stream.id, error))))
            }
            other => other,
        }
    }
}

impl RecordBatchStream for MeterStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

/// Whether a plan is of a type. (`ExecutionPlan` has `Any` as a supertrait.)
pub(crate) fn downcast<T: ExecutionPlan>(plan: &dyn ExecutionPlan) -> Option<&T> {
    (plan as &dyn Any).downcast_ref()
}
