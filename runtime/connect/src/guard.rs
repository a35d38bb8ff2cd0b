//! Turns panics below a scan into errors that name the file: [`guarded`], [`GuardExec`].
//!
//! Parquet decoding panics on some damaged files. The unwinding stops here, at the stream of one file,
//! so that neighbours in the process live on. An allocation that aborts is not caught: that is what the
//! worker process is for.

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use datafusion::common::Statistics;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildStats, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    SortOrderPushdownResult, StatisticsArgs,
};
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};

use crate::error::Error;
use crate::remote::client::cause;

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked")
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Runs `work` on `file`; a panic becomes [`Error::Corrupt`].
pub(crate) fn guard<T>(file: &str, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(file, panic.as_ref())))
}

/// Like [`guard`], for a future.
pub(crate) async fn guard_future<T>(
    file: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| Err(panicked(file, panic.as_ref())))
}

/// The stream of `file`, whose panics and decoding errors become errors that name the file.
fn guarded(file: String, stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = stream.schema();
    Box::pin(RecordBatchStreamAdapter::new(schema, named(file, stream)))
}

fn named<T>(
    file: String,
    stream: impl Stream<Item = DataFusionResult<T>>,
) -> impl Stream<Item = DataFusionResult<T>> {
    AssertUnwindSafe(stream)
        .catch_unwind()
        .map(move |item| match item {
            Ok(Ok(batch)) => Ok(batch),
            Ok(Err(error)) => Err(in_file(&file, error)),
            Err(panic) => Err(panicked(&file, panic.as_ref()).into()),
        })
}

fn panicked(file: &str, panic: &(dyn Any + Send)) -> Error {
    Error::Corrupt {
        file: file.to_owned(),
        message: format!("its decoder panicked: {}", panic_text(panic)),
    }
}

/// Adds the file's name to an error, and tells damage from everything else.
pub(crate) fn in_file(file: &str, error: DataFusionError) -> DataFusionError {
    if let Some(error) = cause::<Error>(&error).and_then(Error::of_place) {
        return error.into();
    }
    match error.find_root() {
        DataFusionError::ParquetError(_)
        | DataFusionError::ArrowError(..)
        | DataFusionError::External(_) => {
            let message = without_prefixes(&error.strip_backtrace());
            Error::Corrupt {
                file: file.to_owned(),
                message,
            }
            .into()
        }
        _ => error.context(format!("reading {file}")),
    }
}

/// Each layer of an error names itself: only what the innermost says is of use.
fn without_prefixes(text: &str) -> String {
    const LAYERS: &[&str] = &[
        "Arrow error: ",
        "External error: ",
        "External: ",
        "Parquet argument error: ",
        "Parquet error: ",
    ];
    let mut text = text;
    while let Some(rest) = LAYERS.iter().find_map(|layer| text.strip_prefix(layer)) {
        text = rest;
    }
    text.to_owned()
}

/// Partitions keep their own files instead of taking each other's, so that errors name the right one.
fn without_work_stealing(context: &TaskContext) -> Arc<TaskContext> {
    let mut config = context.session_config().clone();
    config
        .options_mut()
        .execution
        .enable_file_stream_work_stealing = false;
    Arc::new(TaskContext::new(
        context.task_id(),
        context.session_id(),
        config,
        context.scalar_functions().clone(),
        context.higher_order_functions().clone(),
        context.aggregate_functions().clone(),
        context.window_functions().clone(),
        context.runtime_env(),
    ))
}

/// Guards every partition of its input, a scan of `files`. A location's first part is the number of its file.
///
/// Many partitions can be packed: ten thousand files with a partition each are read by as many tasks as the session
/// wants, one file after the other, and errors still name the right one.
#[derive(Clone, Debug)]
pub(crate) struct GuardExec {
    input: Arc<dyn ExecutionPlan>,
    files: Arc<[String]>,
    /// The input's partitions of each of ours; None if they are the same.
    packs: Option<Arc<[Range<usize>]>>,
    properties: Arc<PlanProperties>,
}

impl GuardExec {
    /// `weights` are those of the input's partitions, which are packed if there are more than `target`.
    pub(crate) fn new(
        input: Arc<dyn ExecutionPlan>,
        files: Arc<[String]>,
        weights: &[u64],
        target: usize,
    ) -> Self {
        let packs = (weights.len() > target.max(1)).then(|| packed(weights, target.max(1)));
        Self::with_packs(input, files, packs.map(Into::into))
    }

    fn with_packs(
        input: Arc<dyn ExecutionPlan>,
        files: Arc<[String]>,
        packs: Option<Arc<[Range<usize>]>>,
    ) -> Self {
        let properties = match &packs {
            None => Arc::clone(input.properties()),
            Some(packs) => {
                let properties = input.properties().as_ref().clone();
                // Files one after the other keep no order.
                Arc::new(
                    properties
                        .with_partitioning(Partitioning::UnknownPartitioning(packs.len()))
                        .with_eq_properties(EquivalenceProperties::new(input.schema())),
                )
            }
        };
        Self {
            input,
            files,
            packs,
            properties,
        }
    }

    /// The file of a partition; more than one only where the optimiser packed pieces of files together.
    fn name_of(&self, partition: usize) -> String {
        let scan = self
            .input
            .downcast_ref::<DataSourceExec>()
            .map(DataSourceExec::data_source);
        let group = scan
            .and_then(|source| source.downcast_ref::<FileScanConfig>())
            .and_then(|config| config.file_groups.get(partition));
        let numbers = group
            .iter()
            .flat_map(|group| group.iter())
            .filter_map(|file| {
                file.path()
                    .parts()
                    .next()
                    .and_then(|part| part.as_ref().parse::<usize>().ok())
            });
        let mut names: Vec<_> = numbers
            .filter_map(|number| self.files.get(number))
            .map(String::as_str)
            .collect();
        names.dedup();
        names.join(" or ")
    }

    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        let has_same = partition_count(&input) == partition_count(&self.input);
        let packs = self.packs.clone().filter(|_| has_same);
        Arc::new(Self::with_packs(input, Arc::clone(&self.files), packs))
    }

    /// The guarded stream of one of the input's partitions.
    fn execute_input(
        &self,
        partition: usize,
        context: &Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        let file = self.name_of(partition);
        let context = Arc::clone(context);
        let stream = catch_unwind(AssertUnwindSafe(|| self.input.execute(partition, context)))
            .unwrap_or_else(|panic| Err(panicked(&file, panic.as_ref()).into()))?;
        Ok(guarded(file, stream))
    }
}

fn partition_count(plan: &Arc<dyn ExecutionPlan>) -> usize {
    plan.properties().output_partitioning().partition_count()
}

/// Neighbours together, about the same weight in each of at most `target` packs.
fn packed(weights: &[u64], target: usize) -> Vec<Range<usize>> {
    let total: u128 = weights.iter().map(|weight| u128::from(*weight) + 1).sum();
    let mut packs = Vec::with_capacity(target);
    let (mut start, mut passed) = (0, 0_u128);
    for (index, weight) in weights.iter().enumerate() {
        passed += u128::from(*weight) + 1;
        let is_full = passed * target as u128 >= total * (packs.len() as u128 + 1);
        if is_full || index + 1 == weights.len() {
            packs.push(start..index + 1);
            start = index + 1;
        }
    }
    packs
}

impl DisplayAs for GuardExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.packs {
            None => write!(f, "GuardExec"),
            Some(packs) => write!(f, "GuardExec: partitions={}", packs.len()),
        }
    }
}

// Transparent to the optimiser: limits, projections, filters and sort orders go through to the scan.
impl ExecutionPlan for GuardExec {
    fn name(&self) -> &'static str {
        "GuardExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![self.packs.is_none()]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(self.over(children.swap_remove(0)))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        let context = without_work_stealing(&context);
        let Some(packs) = &self.packs else {
            return self.execute_input(partition, &context);
        };
        let this = self.clone();
        let pieces = futures::stream::iter(packs[partition].clone())
            .map(move |piece| this.execute_input(piece, &context))
            .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            pieces,
        )))
    }

    fn repartitioned(
        &self,
        target_partitions: usize,
        config: &ConfigOptions,
    ) -> DataFusionResult<Option<Arc<dyn ExecutionPlan>>> {
        if self.packs.is_some() {
            return Ok(None);
        }
        Ok(self
            .input
            .repartitioned(target_partitions, config)?
            .map(|input| self.over(input)))
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition.filter(|_| self.packs.is_none()))]
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> DataFusionResult<Arc<Statistics>> {
        if self.packs.is_some() && args.partition().is_some() {
            return Ok(Arc::new(Statistics::new_unknown(&self.schema())));
        }
        Ok(Arc::clone(&inputs[0]))
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExec,
    ) -> DataFusionResult<Option<Arc<dyn ExecutionPlan>>> {
        Ok(self
            .input
            .try_swapping_with_projection(projection)?
            .map(|input| self.over(input)))
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> DataFusionResult<FilterDescription> {
        FilterDescription::from_children(parent_filters, &self.children())
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        child_pushdown_result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> DataFusionResult<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(child_pushdown_result))
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> DataFusionResult<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        if self.packs.is_some() {
            return Ok(SortOrderPushdownResult::Unsupported);
        }
        Ok(match self.input.try_pushdown_sort(order)? {
            SortOrderPushdownResult::Exact { inner } => SortOrderPushdownResult::Exact {
                inner: self.over(inner),
            },
            SortOrderPushdownResult::Inexact { inner } => SortOrderPushdownResult::Inexact {
                inner: self.over(inner),
            },
            SortOrderPushdownResult::Unsupported => SortOrderPushdownResult::Unsupported,
        })
    }
}
