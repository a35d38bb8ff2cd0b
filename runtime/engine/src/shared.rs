//! A result that is read more than once and computed once.
//!
//! The first reader computes every partition, in parallel, and keeps the batches; all readers then
//! stream what is kept.
//!
//! ```text
//! partition:  batch batch batch │ batch batch ...
//!             in memory         │ in a spill file, from the first batch that the pool has no room for
//! ```
//!
//! Memory is charged to the run's pool. Kept results leave half of the pool to the operators and plugins that
//! read them; what they cannot hold goes to disk.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use datafusion::execution::{SendableRecordBatchStream, SpillFile, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet, SpillMetrics};
use datafusion::physical_plan::spill::SpillManager;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties,
};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use crate::memory::within;

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
                metrics: ExecutionPlanMetricsSet::new(),
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
    metrics: ExecutionPlanMetricsSet,
}

#[derive(Debug)]
struct Kept {
    partitions: Vec<KeptPartition>,
    _memory: Arc<MemoryReservation>,
}

/// The batches of one partition: those in memory come first.
struct KeptPartition {
    batches: Vec<RecordBatch>,
    spilled: Option<Arc<dyn SpillFile>>,
    spills: SpillManager,
}

impl fmt::Debug for KeptPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptPartition")
            .field("batches", &self.batches.len())
            .field("is_spilled", &self.spilled.is_some())
            .finish()
    }
}

impl KeptPartition {
    fn stream(&self) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let batches = self.batches.clone().into_iter().map(Ok);
        let in_memory = futures::stream::iter(batches);
        match &self.spilled {
            None => Ok(in_memory.boxed()),
            Some(file) => {
                let on_disk = self.spills.read_spill_as_stream(Arc::clone(file), None)?;
                Ok(in_memory.chain(on_disk).boxed())
            }
        }
    }
}

impl Shared {
    async fn kept(&self, context: &Arc<TaskContext>) -> Result<&Kept> {
        let compute = || async { self.compute(context).await.map_err(Arc::new) };
        let kept = self.kept.get_or_init(compute).await.as_ref();
        kept.map_err(|error| DataFusionError::Shared(Arc::clone(error)))
    }

    async fn compute(&self, context: &Arc<TaskContext>) -> Result<Kept> {
        let consumer = MemoryConsumer::new(format!("kept result {}", self.name));
        let memory = within(&self.name, || consumer.register(context.memory_pool()));
        let memory = Arc::new(memory);
        let mut tasks = JoinSet::new();
        let count = self.plan.output_partitioning().partition_count();
        for partition in 0..count {
            let stream = self.plan.execute(partition, Arc::clone(context))?;
            let keeper = Keeper {
                pool: Arc::clone(context.memory_pool()),
                memory: Arc::clone(&memory),
                batches: Vec::new(),
                spills: SpillManager::new(
                    context.runtime_env(),
                    SpillMetrics::new(&self.metrics, partition),
                    self.plan.schema(),
                ),
            };
            tasks.spawn(async move { (partition, keeper.keep(stream).await) });
        }
        let mut partitions: Vec<Option<KeptPartition>> = (0..count).map(|_| None).collect();
        while let Some(done) = tasks.join_next().await {
            let (partition, kept) = done.map_err(|e| DataFusionError::External(Box::new(e)))?;
            partitions[partition] = Some(kept?);
        }
        Ok(Kept {
            partitions: partitions.into_iter().flatten().collect(),
            _memory: memory,
        })
    }
}

/// Keeps the batches of one partition.
struct Keeper {
    pool: Arc<dyn MemoryPool>,
    memory: Arc<MemoryReservation>,
    batches: Vec<RecordBatch>,
    spills: SpillManager,
}

impl Keeper {
    async fn keep(mut self, mut stream: SendableRecordBatchStream) -> Result<KeptPartition> {
        // The file, once the pool had no room.
        let mut spilling = None;
        while let Some(batch) = stream.try_next().await? {
            let size = size_of_rows(&batch);
            // A batch without columns is nothing but a number of rows.
            if spilling.is_none() && (size == 0 || self.has_room(size)) {
                self.batches.push(batch);
                continue;
            }
            let mut file = match spilling.take() {
                Some(file) => file,
                None => self.spills.create_in_progress_file("a kept result")?,
            };
            let appended = blocking(move || {
                file.append_batch(&batch)?;
                Ok(file)
            });
            spilling = Some(appended.await?);
        }
        let spilled = match spilling {
            Some(mut file) => blocking(move || file.finish()).await?,
            None => None,
        };
        Ok(KeptPartition {
            batches: self.batches,
            spilled,
            spills: self.spills,
        })
    }

    /// Whether the pool gives memory for a batch, and has half of it left for others then.
    fn has_room(&self, bytes: usize) -> bool {
        let leaves_half = match self.pool.memory_limit() {
            MemoryLimit::Finite(limit) => self.pool.reserved().saturating_add(bytes) <= limit / 2,
            MemoryLimit::Infinite | MemoryLimit::Unknown => true,
        };
        leaves_half && self.memory.try_grow(bytes).is_ok()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| DataFusionError::External(Box::new(e)))?
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

    /// Of the computation, whoever reads it.
    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.shared.metrics.clone_inner())
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
            let kept = shared.kept(&context).await?.partitions[partition].stream()?;
            let projected = kept.map(move |batch| match &projection {
                Some(projection) => Ok(batch?.project(projection)?),
                None => batch,
            });
            Ok::<_, DataFusionError>(projected)
        };
        let stream = futures::stream::once(batches).try_flatten().boxed();
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            stream,
        )))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int64Array, StringArray};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::datasource::{MemTable, provider_as_source};
    use datafusion::execution::memory_pool::FairSpillPool;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::logical_expr::LogicalPlanBuilder;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;
    use crate::spill::SpillFolder;

    const ROWS: i64 = 200_000;

    /// A table of about ten megabytes in two partitions.
    fn table() -> Arc<dyn TableProvider> {
        let schema = Arc::new(Schema::new(vec![
            Field::new("i", DataType::Int64, false),
            Field::new("text", DataType::Utf8, false),
        ]));
        let batch = |start: i64| {
            let numbers = start..start + 10_000;
            let texts = numbers.clone().map(|i| format!("{i:>40}"));
            let columns: Vec<ArrayRef> = vec![
                Arc::new(Int64Array::from_iter_values(numbers)),
                Arc::new(StringArray::from_iter_values(texts)),
            ];
            RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
        };
        let half = |from: i64| {
            let starts = (from..from + ROWS / 2).step_by(10_000);
            starts.map(batch).collect()
        };
        let partitions = vec![half(0), half(ROWS / 2)];
        Arc::new(MemTable::try_new(Arc::clone(&schema), partitions).unwrap())
    }

    /// Reads a shared table twice in one query; returns its rows and how many bytes went to disk.
    async fn read_twice(pool_bytes: usize, query: &str) -> (Vec<RecordBatch>, usize) {
        let folder = Arc::new(SpillFolder::new(std::env::temp_dir(), 1 << 30));
        let disk = datafusion::execution::disk_manager::DiskManagerBuilder::default()
            .with_mode(datafusion::execution::disk_manager::DiskManagerMode::Custom(folder));
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(pool_bytes)))
            .with_disk_manager_builder(disk)
            .build_arc()
            .unwrap();
        let config = SessionConfig::new()
            .with_target_partitions(2)
            .with_sort_spill_reservation_bytes(64 << 10);
        let context = SessionContext::new_with_config_rt(config, runtime);
        let plan = LogicalPlanBuilder::scan("t", provider_as_source(table()), None)
            .and_then(LogicalPlanBuilder::build)
            .unwrap();
        let shared = Arc::new(SharedProvider::new("t", plan));
        context
            .register_table("t", Arc::clone(&shared) as _)
            .unwrap();
        let rows = context.sql(query).await.unwrap().collect().await.unwrap();
        let metrics = shared.shared.get().unwrap().metrics.clone_inner();
        (rows, metrics.spilled_bytes().unwrap_or(0))
    }

    const QUERY: &str = "select count(*), sum(a.i), min(b.text), max(b.text), sum(length(b.text)) \
                         from t a join t b using (i)";

    #[tokio::test(flavor = "multi_thread")]
    async fn a_result_that_does_not_fit_is_read_from_disk() {
        let (all, spilled) = read_twice(1 << 30, QUERY).await;
        assert_eq!(spilled, 0);
        // The join needs some memory of its own.
        let (same, spilled) = read_twice(12 << 20, QUERY).await;
        assert!(spilled > 2 << 20, "{spilled} bytes on disk");
        assert_eq!(all, same);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn order_and_columns_are_the_same_from_disk() {
        let query = "select text from t where i % 1000 = 7 order by i";
        let (all, _) = read_twice(1 << 30, query).await;
        let (same, spilled) = read_twice(4 << 20, query).await;
        assert!(spilled > 0);
        assert_eq!(all, same);
        let (count, _) = read_twice(4 << 20, "select count(*) from t").await;
        let count = count[0].column(0).to_data();
        assert_eq!(Int64Array::from(count).value(0), ROWS);
    }
}
