//! `stream` functions: [`StreamProvider`] and its operator [`StreamExec`].
//!
//! The plan gives each input the distribution and order that the guest declared; repartitioning,
//! sorting and spilling are DataFusion's. A broadcast input is computed once and read by every
//! instance.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements, PhysicalExpr,
    PhysicalSortExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, Partitioning, PlanProperties, execute_stream,
};
use futures::{StreamExt, TryStreamExt};
use tenon_host::{Distribution as Wanted, InputBinding, Step, StreamBinding, StreamInstance};
use tokio::sync::OnceCell;

use super::GuestNode;
use super::budget::PoolBudget;
use super::map::{GuestMetrics, cut};
use super::timing::timed;
use crate::node::narrowed;

/// A `stream` function over plans, as a table.
#[derive(Debug)]
pub(crate) struct StreamProvider {
    guest: GuestNode,
    binding: StreamBinding,
    inputs: Vec<LogicalPlan>,
}

impl StreamProvider {
    pub(crate) fn new(guest: GuestNode, binding: StreamBinding, inputs: Vec<LogicalPlan>) -> Self {
        Self {
            guest,
            binding,
            inputs,
        }
    }
}

#[async_trait]
impl TableProvider for StreamProvider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.binding.output)
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
        let mut inputs = Vec::with_capacity(self.inputs.len());
        for (input, binding) in self.inputs.iter().zip(&self.binding.inputs) {
            inputs.push(
                state
                    .create_physical_plan(&narrowed(input, Some(&binding.columns()), None)?)
                    .await?,
            );
        }
        let narrowed: Vec<InputBinding> = self
            .binding
            .inputs
            .iter()
            .map(InputBinding::narrowed)
            .collect();
        let binding = Arc::new(StreamBinding {
            inputs: narrowed,
            ..self.binding.clone()
        });
        let projection = projection.map(|p| Arc::from(p.as_slice()));
        Ok(Arc::new(StreamExec::new(
            self.guest.clone(),
            binding,
            inputs,
            projection,
        )?))
    }
}

/// What a broadcast input gave, once somebody asked, or why it gave nothing: a plan runs once.
type Broadcast = OnceCell<Result<Vec<RecordBatch>, Arc<DataFusionError>>>;

/// Runs a `stream` function: one instance for each partition of its main inputs, inputs one after the
/// other.
#[derive(Debug)]
pub(super) struct StreamExec {
    guest: GuestNode,
    binding: Arc<StreamBinding>,
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    /// For each input: what a broadcast one gave, once somebody asked.
    broadcast: Arc<[Broadcast]>,
    projection: Option<Arc<[usize]>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl StreamExec {
    fn new(
        guest: GuestNode,
        binding: Arc<StreamBinding>,
        inputs: Vec<Arc<dyn ExecutionPlan>>,
        projection: Option<Arc<[usize]>>,
    ) -> Result<Self> {
        let schema = match &projection {
            Some(projection) => Arc::new(binding.output.project(projection)?),
            None => Arc::clone(&binding.output),
        };
        let partitions = partitions(&binding, &inputs);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let broadcast = inputs.iter().map(|_| OnceCell::new()).collect();
        Ok(Self {
            guest,
            binding,
            inputs,
            broadcast,
            projection,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }
}

/// How many instances there are: the partitions of the spread input, or one.
fn partitions(binding: &StreamBinding, inputs: &[Arc<dyn ExecutionPlan>]) -> usize {
    let spread = main_inputs(binding).map(|i| inputs[i].output_partitioning().partition_count());
    if needs_single(binding) {
        1
    } else {
        spread.max().unwrap_or(1)
    }
}

/// The inputs that are not broadcast.
fn main_inputs(binding: &StreamBinding) -> impl Iterator<Item = usize> + '_ {
    (0..binding.inputs.len()).filter(|&i| binding.inputs[i].distribution != Wanted::Broadcast)
}

/// Whether one instance must see everything: somebody said so, or two inputs are spread in ways that
/// have nothing to do with each other.
fn needs_single(binding: &StreamBinding) -> bool {
    let mains: Vec<&Wanted> = main_inputs(binding)
        .map(|i| &binding.inputs[i].distribution)
        .collect();
    let single = mains.iter().any(|d| **d == Wanted::Single);
    let all_hashed = mains.iter().all(|d| matches!(d, Wanted::Hash(_)));
    single || mains.is_empty() || (mains.len() > 1 && !all_hashed)
}

impl DisplayAs for StreamExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spread: Vec<String> = self
            .binding
            .inputs
            .iter()
            .map(|i| format!("{:?}", i.distribution).to_lowercase())
            .collect();
        write!(
            f,
            "StreamExec: plugin={}, function={}, inputs=[{}]",
            self.guest.reference,
            self.binding.function,
            spread.join(", ")
        )
    }
}

impl ExecutionPlan for StreamExec {
    fn name(&self) -> &'static str {
        "StreamExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().collect()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let single = needs_single(&self.binding);
        let required = self
            .binding
            .inputs
            .iter()
            .zip(&self.inputs)
            .map(|(binding, input)| match &binding.distribution {
                Wanted::Broadcast => Distribution::UnspecifiedDistribution,
                _ if single => Distribution::SinglePartition,
                Wanted::Hash(columns) => Distribution::KeyPartitioned(
                    columns.iter().map(|&c| column(input, c)).collect(),
                ),
                Wanted::Any | Wanted::Single => Distribution::UnspecifiedDistribution,
            });
        InputDistributionRequirements::new(required.collect())
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let required = self
            .binding
            .inputs
            .iter()
            .zip(&self.inputs)
            .map(|(binding, input)| {
                let keys = binding.ordering.iter().map(|key| {
                    let options = SortOptions {
                        descending: key.descending,
                        nulls_first: key.nulls_first,
                    };
                    PhysicalSortExpr::new(column(input, key.column), options)
                });
                LexOrdering::new(keys).map(OrderingRequirements::from)
            });
        required.collect()
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        let single = needs_single(&self.binding);
        self.binding
            .inputs
            .iter()
            .map(|i| !single && i.distribution == Wanted::Any && i.ordering.is_empty())
            .collect()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(
            self.guest.clone(),
            Arc::clone(&self.binding),
            children,
            self.projection.clone(),
        )?))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let session = Running {
            guest: self.guest.clone(),
            binding: Arc::clone(&self.binding),
            inputs: self.inputs.clone(),
            broadcast: Arc::clone(&self.broadcast),
            projection: self.projection.clone(),
            metrics: GuestMetrics::new(&self.metrics, partition),
            context,
            partition,
            instance: None,
            at: At::Start(0),
        };
        let output = futures::stream::try_unfold(session, |mut session| async move {
            let batch = session.next().await?;
            Ok(batch.map(|batch| (batch, session)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            output.boxed(),
        )))
    }
}

fn column(input: &Arc<dyn ExecutionPlan>, position: usize) -> Arc<dyn PhysicalExpr> {
    Arc::new(Column::new(input.schema().field(position).name(), position))
}

/// Where a session is in its inputs.
enum At {
    /// About to open this input.
    Start(usize),
    /// Reading this input; parts of a batch that was too large wait in the list.
    Reading(usize, SendableRecordBatchStream, Vec<RecordBatch>),
    /// The last call said that there is more; then it goes on there.
    Pulling(Box<At>),
    /// All inputs have ended.
    Over,
}

/// The work of one partition.
struct Running {
    guest: GuestNode,
    binding: Arc<StreamBinding>,
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    broadcast: Arc<[Broadcast]>,
    projection: Option<Arc<[usize]>>,
    metrics: GuestMetrics,
    context: Arc<TaskContext>,
    partition: usize,
    instance: Option<StreamInstance>,
    at: At,
}

impl Running {
    /// The next batch that the guest gives; drives it until there is one or all is over.
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let step = match std::mem::replace(&mut self.at, At::Over) {
                At::Over => return Ok(None),
                At::Start(input) if input == self.inputs.len() => return Ok(None),
                At::Start(input) => {
                    let stream = self.open_input(input).await?;
                    self.at = At::Reading(input, stream, Vec::new());
                    continue;
                }
                At::Reading(input, stream, parts) => self.read(input, stream, parts).await?,
                At::Pulling(then) => {
                    self.at = *then;
                    self.call(Call::Pull).await?
                }
            };
            if step.more {
                let then = std::mem::replace(&mut self.at, At::Over);
                self.at = At::Pulling(Box::new(then));
            }
            if let Some(batch) = step.output.filter(|batch| batch.num_rows() > 0) {
                self.metrics.baseline.record_output(batch.num_rows());
                return Ok(Some(self.projected(batch)?));
            }
        }
    }

    async fn read(
        &mut self,
        input: usize,
        mut stream: SendableRecordBatchStream,
        mut parts: Vec<RecordBatch>,
    ) -> Result<Step> {
        let next = if parts.is_empty() {
            stream.try_next().await?
        } else {
            None
        };
        if let Some(batch) = next {
            let needs = &self.binding.inputs[input].needs;
            parts = cut(batch, needs, self.guest.limits.batch_bytes());
        }
        match parts.pop() {
            Some(part) => {
                self.at = At::Reading(input, stream, parts);
                self.call(Call::Push(input, &part)).await
            }
            None => {
                self.at = At::Start(input + 1);
                self.call(Call::Finish(input)).await
            }
        }
    }

    async fn open_input(&mut self, input: usize) -> Result<SendableRecordBatchStream> {
        let plan = Arc::clone(&self.inputs[input]);
        if self.binding.inputs[input].distribution != Wanted::Broadcast {
            return plan.execute(self.partition, Arc::clone(&self.context));
        }
        let (broadcast, context) = (Arc::clone(&self.broadcast), Arc::clone(&self.context));
        let collect = || async {
            let stream = execute_stream(Arc::clone(&plan), context).map_err(Arc::new)?;
            stream.try_collect().await.map_err(Arc::new)
        };
        let all = broadcast[input].get_or_init(collect).await.clone();
        let batches = all.map_err(DataFusionError::Shared)?;
        let stream = futures::stream::iter(batches.into_iter().map(Ok));
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            plan.schema(),
            stream,
        )))
    }

    async fn call(&mut self, call: Call<'_>) -> Result<Step> {
        let time = self.metrics.baseline.elapsed_compute().clone();
        let step = timed(&time, self.call_guest(call)).await;
        step.map_err(|e| self.guest.error(&self.binding.function, e).into())
    }

    async fn call_guest(&mut self, call: Call<'_>) -> tenon_host::Result<Step> {
        if self.instance.is_none() {
            let budget = PoolBudget::of(self.context.memory_pool(), &self.guest.reference);
            self.instance = Some(
                self.guest
                    .plugin
                    .open_stream(&self.binding, None, &self.guest.limits, budget)
                    .await?,
            );
        }
        let Some(instance) = &mut self.instance else {
            return Err(tenon_host::Error::Cancelled);
        };
        let step = match call {
            Call::Push(input, batch) => instance.push(input, batch).await,
            Call::Pull => instance.pull().await,
            Call::Finish(input) => instance.finish(input).await,
        };
        self.metrics
            .record(instance.bytes(), instance.memory_bytes(), instance.fuel());
        self.guest.log.append(&self.guest.node, instance.take_log());
        step
    }

    fn projected(&self, batch: RecordBatch) -> Result<RecordBatch> {
        match &self.projection {
            Some(projection) => Ok(batch.project(projection)?),
            None => Ok(batch),
        }
    }
}

/// One call of a stream.
enum Call<'a> {
    Push(usize, &'a RecordBatch),
    Pull,
    Finish(usize),
}
