//! A result that is read more than once and computed once.
//!
//! The first reader computes every partition, in parallel, and keeps the batches; all readers then
//! stream from memory. The memory is charged to the run's pool, so that a result that does
//! not fit is a clear error of its node rather than the end of the process.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties,
};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

/// A plan's output as a table that may be scanned any number of times.
#[derive(Debug)]
pub(crate) struct SharedProvider {
    name: Arc<str>,
    plan: LogicalPlan,
    schema: SchemaRef,
    shared: OnceCell<Arc<Shared>>,
}

impl SharedProvider {
    pub(crate) fn new(name: &str, plan: LogicalPlan) -> Self {
        let schema = Arc::new(plan.schema().as_arrow().clone());
        Self {
            name: name.into(),
            plan,
            schema,
            shared: OnceCell::new(),
        }
    }
}

#[async_trait]
impl TableProvider for SharedProvider {
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
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = || async {
            Ok::<_, DataFusionError>(Arc::new(Shared {
                name: Arc::clone(&self.name),
                plan: state.create_physical_plan(&self.plan).await?,
                kept: OnceCell::new(),
            }))
        };
        let shared = self.shared.get_or_try_init(plan).await?;
        SharedExec::new(Arc::clone(shared), projection.cloned()).map(|exec| Arc::new(exec) as _)
    }
}

/// The computation and, once somebody asked, its result.
#[derive(Debug)]
struct Shared {
    name: Arc<str>,
    plan: Arc<dyn ExecutionPlan>,
    /// The result, or why there is none: a plan runs once, so that a failure is final.
    kept: OnceCell<Result<Kept, Arc<DataFusionError>>>,
}

#[derive(Debug)]
struct Kept {
    partitions: Vec<Vec<RecordBatch>>,
    _memory: Arc<MemoryReservation>,
}

impl Shared {
    async fn kept(&self, context: &Arc<TaskContext>) -> Result<&Kept> {
        let compute = || async { self.compute(context).await.map_err(Arc::new) };
        let kept = self.kept.get_or_init(compute).await.as_ref();
        kept.map_err(|error| DataFusionError::Shared(Arc::clone(error)))
    }

    async fn compute(&self, context: &Arc<TaskContext>) -> Result<Kept> {
        let consumer = MemoryConsumer::new(format!("kept result {}", self.name));
        let memory = Arc::new(consumer.register(context.memory_pool()));
        let mut tasks = JoinSet::new();
        let count = self.plan.output_partitioning().partition_count();
        for partition in 0..count {
            let stream = self.plan.execute(partition, Arc::clone(context))?;
            tasks.spawn(collect(partition, stream, Arc::clone(&memory)));
        }
        let mut partitions = vec![Vec::new(); count];
        while let Some(done) = tasks.join_next().await {
            let (partition, batches) =
                done.map_err(|e| DataFusionError::External(Box::new(e)))??;
            partitions[partition] = batches;
        }
        Ok(Kept {
            partitions,
            _memory: memory,
        })
    }
}

async fn collect(
    partition: usize,
    mut stream: SendableRecordBatchStream,
    memory: Arc<MemoryReservation>,
) -> Result<(usize, Vec<RecordBatch>)> {
    let mut batches = Vec::new();
    while let Some(batch) = stream.try_next().await? {
        memory.try_grow(size_of_rows(&batch))?;
        batches.push(batch);
    }
    Ok((partition, batches))
}

/// Bytes that the rows of a batch take. Batches are often slices of shared buffers, which would be counted once for
/// each of them.
fn size_of_rows(batch: &RecordBatch) -> usize {
    let size = |column: &ArrayRef| column.to_data().get_slice_memory_size().unwrap_or(0);
    batch.columns().iter().map(size).sum()
}

/// Reads a shared result. A leaf for the optimiser: the plan inside was optimised by itself.
#[derive(Debug)]
pub(crate) struct SharedExec {
    shared: Arc<Shared>,
    projection: Option<Vec<usize>>,
    properties: Arc<PlanProperties>,
}

impl SharedExec {
    fn new(shared: Arc<Shared>, projection: Option<Vec<usize>>) -> Result<Self> {
        let schema = match &projection {
            Some(projection) => Arc::new(shared.plan.schema().project(projection)?),
            None => shared.plan.schema(),
        };
        let count = shared.plan.output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(count),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self {
            shared,
            projection,
            properties: Arc::new(properties),
        })
    }

    /// The plan that is computed once.
    pub(crate) fn inner(&self) -> &Arc<dyn ExecutionPlan> {
        &self.shared.plan
    }
}

impl DisplayAs for SharedExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedExec: {}", self.shared.name)
    }
}

impl ExecutionPlan for SharedExec {
    fn name(&self) -> &'static str {
        "SharedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
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

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let (shared, projection) = (Arc::clone(&self.shared), self.projection.clone());
        let batches = async move {
            let batches = shared.kept(&context).await?.partitions[partition].clone();
            let projected = batches.into_iter().map(move |batch| match &projection {
                Some(projection) => Ok(batch.project(projection)?),
                None => Ok(batch),
            });
            Ok::<_, DataFusionError>(futures::stream::iter(projected))
        };
        let stream = futures::stream::once(batches).try_flatten().boxed();
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            stream,
        )))
    }
}
