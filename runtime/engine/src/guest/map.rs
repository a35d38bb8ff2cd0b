//! `map` functions: [`MapProvider`] and its operator [`MapExec`].
//!
//! Input batches are joined to about 8192 rows before they cross and cut where they exceed the guest's
//! share of bytes. Columns that the guest did not ask for stay where they are; the guest's
//! selection is applied to them by the host.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::compute::{BatchCoalescer, filter};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, Gauge, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use futures::{StreamExt, TryStreamExt};
use tenon_host::{MapBinding, MapInstance, Mapped, NodeColumn, Selection, full_bytes};

use super::GuestNode;
use super::budget::PoolBudget;
use super::pieces::{Pieces, Source};
use super::timing::timed;
use crate::node::narrowed;

/// Rows that are gathered before a batch crosses.
const ROWS_PER_CALL: usize = 8192;

/// A `map` function over a plan, as a table.
#[derive(Debug)]
pub(crate) struct MapProvider {
    guest: GuestNode,
    binding: MapBinding,
    input: LogicalPlan,
    input_schema: SchemaRef,
    schema: SchemaRef,
}

impl MapProvider {
    pub(crate) fn new(guest: GuestNode, binding: MapBinding, input: LogicalPlan) -> Self {
        let input_schema: SchemaRef = Arc::new(input.schema().as_arrow().clone());
        let schema = binding.node_schema(&input_schema);
        Self {
            guest,
            binding,
            input,
            input_schema,
            schema,
        }
    }
}

#[async_trait]
impl TableProvider for MapProvider {
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
        let columns = self.binding.node_columns(&self.input_schema);
        let columns: Vec<NodeColumn> = match projection {
            Some(projection) => projection.iter().map(|&i| columns[i]).collect(),
            None => columns,
        };
        let wanted = wanted_inputs(&self.binding, &columns);
        let input = state
            .create_physical_plan(&narrowed(&self.input, Some(&wanted), None)?)
            .await?;
        let position = |i: usize| wanted.iter().position(|w| *w == i).unwrap_or(0);
        let columns = columns.iter().map(|c| match c {
            NodeColumn::Input(i) => NodeColumn::Input(position(*i)),
            NodeColumn::Output(o) => NodeColumn::Output(*o),
        });
        let binding = self
            .binding
            .reading(self.binding.needs.iter().map(|&i| position(i)).collect());
        Ok(Arc::new(MapExec::new(
            self.guest.clone(),
            binding,
            columns.collect(),
            input,
        )))
    }
}

/// The input columns that are read at all: those that the guest needs and those carried over.
fn wanted_inputs(binding: &MapBinding, columns: &[NodeColumn]) -> Vec<usize> {
    let mut wanted = binding.needs.clone();
    for column in columns {
        match column {
            NodeColumn::Input(i) if !wanted.contains(i) => wanted.push(*i),
            _ => {}
        }
    }
    wanted
}

/// Runs a `map` function: one instance for each partition of its input.
///
/// Output: `columns`, each carried over from the input or made by the guest; the rows that the guest
/// selected, in its order.
#[derive(Debug)]
pub(super) struct MapExec {
    guest: GuestNode,
    binding: Arc<MapBinding>,
    columns: Arc<[NodeColumn]>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl MapExec {
    fn new(
        guest: GuestNode,
        binding: MapBinding,
        columns: Vec<NodeColumn>,
        input: Arc<dyn ExecutionPlan>,
    ) -> Self {
        Self::over(guest, Arc::new(binding), columns.into(), input)
    }

    fn over(
        guest: GuestNode,
        binding: Arc<MapBinding>,
        columns: Arc<[NodeColumn]>,
        input: Arc<dyn ExecutionPlan>,
    ) -> Self {
        let input_schema = input.schema();
        let fields = columns.iter().map(|c| match c {
            NodeColumn::Input(i) => Arc::clone(&input_schema.fields()[*i]),
            NodeColumn::Output(o) => Arc::clone(&binding.output.fields()[*o]),
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let partitions = input.output_partitioning().partition_count();
        let partitioning = datafusion::physical_plan::Partitioning::UnknownPartitioning(partitions);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            partitioning,
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            guest,
            binding,
            columns,
            input,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl DisplayAs for MapExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let input = self.input.schema();
        let sent: Vec<&str> = self
            .binding
            .needs
            .iter()
            .map(|&i| input.field(i).name().as_str())
            .collect();
        write!(
            f,
            "MapExec: plugin={}, function={}, sends=[{}]",
            self.guest.reference,
            self.binding.function,
            sent.join(", ")
        )
    }
}

impl ExecutionPlan for MapExec {
    fn name(&self) -> &'static str {
        "MapExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![true]
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
        let input = children.swap_remove(0);
        Ok(Arc::new(Self::over(
            self.guest.clone(),
            Arc::clone(&self.binding),
            Arc::clone(&self.columns),
            input,
        )))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = coalesced(self.input.execute(partition, Arc::clone(&context))?);
        let mapper = Mapper {
            guest: self.guest.clone(),
            binding: Arc::clone(&self.binding),
            columns: Arc::clone(&self.columns),
            schema: self.schema(),
            instance: None,
            output: Output::Nothing,
            metrics: GuestMetrics::new(&self.metrics, partition),
            context,
        };
        let mapped = futures::stream::try_unfold(
            (mapper, input, Vec::new()),
            |(mut mapper, mut input, mut parts)| async move {
                loop {
                    if let Some(batch) = mapper.next_piece().await? {
                        return Ok(Some((batch, (mapper, input, parts))));
                    }
                    if let Some(part) = parts.pop() {
                        mapper.map(&part).await?;
                        continue;
                    }
                    match input.try_next().await? {
                        Some(batch) => {
                            parts = cut(
                                batch,
                                &mapper.binding.needs,
                                mapper.guest.limits.batch_bytes(),
                            )
                        }
                        None => return Ok(None),
                    }
                }
            },
        );
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            mapped.boxed(),
        )))
    }
}

/// Counts of one partition.
pub(super) struct GuestMetrics {
    pub(super) baseline: BaselineMetrics,
    calls: Count,
    sent: Count,
    received: Count,
    memory: Gauge,
    fuel: Count,
}

impl GuestMetrics {
    pub(super) fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        Self {
            baseline: BaselineMetrics::new(metrics, partition),
            calls: MetricBuilder::new(metrics).counter("guest_calls", partition),
            sent: MetricBuilder::new(metrics).counter("bytes_sent", partition),
            received: MetricBuilder::new(metrics).counter("bytes_received", partition),
            memory: MetricBuilder::new(metrics).gauge("guest_memory", partition),
            fuel: MetricBuilder::new(metrics).counter("guest_fuel", partition),
        }
    }

    /// Records a call after which the instance's totals are these.
    pub(super) fn record(&self, bytes: tenon_host::Bytes, memory: usize, fuel: u64) {
        self.calls.add(1);
        self.sent.add(bytes.sent - self.sent.value());
        self.received.add(bytes.received - self.received.value());
        self.memory.set_max(memory);
        let fuel = usize::try_from(fuel).unwrap_or(usize::MAX);
        self.fuel.add(fuel - self.fuel.value());
    }
}

/// The work of one partition.
struct Mapper {
    guest: GuestNode,
    binding: Arc<MapBinding>,
    columns: Arc<[NodeColumn]>,
    schema: SchemaRef,
    instance: Option<MapInstance>,
    output: Output,
    metrics: GuestMetrics,
    context: Arc<TaskContext>,
}

/// What is left of the last call's output.
enum Output {
    Nothing,
    Whole(RecordBatch),
    Pieces(Pieces),
}

impl Output {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        match std::mem::replace(self, Self::Nothing) {
            Self::Nothing => Ok(None),
            Self::Whole(batch) => Ok(Some(batch)),
            Self::Pieces(mut pieces) => {
                let piece = pieces.next()?;
                if !pieces.is_over() {
                    *self = Self::Pieces(pieces);
                }
                Ok(piece)
            }
        }
    }
}

impl Mapper {
    /// More of the last call's output, while there is any.
    async fn next_piece(&mut self) -> Result<Option<RecordBatch>> {
        if matches!(self.output, Output::Pieces(_)) {
            // There may be a million of them: the run can be cancelled in between.
            tokio::task::yield_now().await;
        }
        let time = self.metrics.baseline.elapsed_compute().clone();
        let _timer = time.timer();
        let piece = self.output.next()?.filter(|batch| batch.num_rows() > 0);
        if let Some(batch) = &piece {
            self.metrics.baseline.record_output(batch.num_rows());
        }
        Ok(piece)
    }

    /// Maps a batch; [`Self::next_piece`] then gives what came out.
    async fn map(&mut self, batch: &RecordBatch) -> Result<()> {
        let time = self.metrics.baseline.elapsed_compute().clone();
        let mapped = timed(&time, self.call(batch))
            .await
            .map_err(|e| self.guest.error(&self.binding.function, e))?;
        let _timer = time.timer();
        self.output = assemble(batch, mapped, &self.columns, &self.schema)?;
        Ok(())
    }

    async fn call(&mut self, batch: &RecordBatch) -> tenon_host::Result<Mapped> {
        if self.instance.is_none() {
            let budget = PoolBudget::of(self.context.memory_pool(), &self.guest.reference);
            self.instance = Some(
                self.guest
                    .plugin
                    .open_map(&self.binding, &self.guest.limits, budget)
                    .await?,
            );
        }
        let Some(instance) = &mut self.instance else {
            return Err(tenon_host::Error::Cancelled);
        };
        let mapped = instance.apply(batch).await;
        self.metrics
            .record(instance.bytes(), instance.memory_bytes(), instance.fuel());
        self.guest.log.append(&self.guest.node, instance.take_log());
        mapped
    }
}

/// Puts carried-over and new columns together: at once where no row can come twice, else in pieces.
fn assemble(
    input: &RecordBatch,
    mapped: Mapped,
    columns: &[NodeColumn],
    schema: &SchemaRef,
) -> Result<Output> {
    let schema = Arc::clone(schema);
    let sources = columns.iter().map(|column| match column {
        NodeColumn::Output(o) => Source::Made(Arc::clone(mapped.columns.column(*o))),
        NodeColumn::Input(i) => Source::Carried(Arc::clone(input.column(*i))),
    });
    let gathered = |source: Source| match (source, &mapped.selection) {
        (Source::Carried(column), Selection::Mask(mask)) => Ok(filter(&column, mask)?),
        (Source::Carried(column) | Source::Made(column), _) => Ok(column),
    };
    if let Selection::Indices(rows) = &mapped.selection {
        let pieces = Pieces::new(schema, sources.collect(), rows.clone(), input.num_rows());
        return Ok(Output::Pieces(pieces));
    }
    let arrays = sources.map(gathered).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(mapped.columns.num_rows()));
    Ok(Output::Whole(RecordBatch::try_new_with_options(
        schema, arrays, &options,
    )?))
}

/// Joins small batches; large ones pass as they are.
fn coalesced(input: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = input.schema();
    if schema.fields().is_empty() {
        return input;
    }
    let coalescer = BatchCoalescer::new(Arc::clone(&schema), ROWS_PER_CALL)
        .with_biggest_coalesce_batch_size(Some(ROWS_PER_CALL / 2));
    let joined = futures::stream::try_unfold(
        (coalescer, input, false),
        |(mut coalescer, mut input, mut ended)| async move {
            loop {
                if let Some(batch) = coalescer.next_completed_batch() {
                    return Ok(Some((batch, (coalescer, input, ended))));
                }
                if ended {
                    return Ok(None);
                }
                match input.try_next().await? {
                    Some(batch) => coalescer.push_batch(batch)?,
                    None => {
                        coalescer.finish_buffered_batch()?;
                        ended = true;
                    }
                }
            }
        },
    );
    Box::pin(RecordBatchStreamAdapter::new(schema, joined.boxed()))
}

/// Cuts a batch into parts whose needed columns have at most `bytes` each, last part first.
pub(super) fn cut(batch: RecordBatch, needs: &[usize], bytes: usize) -> Vec<RecordBatch> {
    let rows = batch.num_rows();
    if rows <= 1 || needed_bytes(&batch, needs, bytes) <= bytes {
        return vec![batch];
    }
    let half = rows / 2;
    let mut parts = cut(batch.slice(half, rows - half), needs, bytes);
    parts.extend(cut(batch.slice(0, half), needs, bytes));
    parts
}

/// Bytes of these columns as a guest gets them that takes nothing but plain values; no more than just too many are
/// counted.
fn needed_bytes(batch: &RecordBatch, needs: &[usize], enough: usize) -> usize {
    let size = |i: &usize| {
        let bytes = full_bytes(batch.column(*i), 0..batch.num_rows(), enough as u64);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    };
    needs.iter().map(size).fold(0, usize::saturating_add)
}
