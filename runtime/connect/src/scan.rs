//! Scans of formats that we decode ourselves: [`FileTable`] and its [`FileScanExec`].
//!
//! A partition is a list of pieces: files, or parts of a large one (see `piece.rs`). Each partition is decoded
//! on one thread of the blocking pool and handed over through a short channel, so a slow consumer holds
//! the reader back and a dropped stream stops it at its next batch. Columns that come from folder names
//! (see `hive.rs`) are added to each batch, and filters on them choose the files.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ScalarValue, Statistics, project_schema};
use datafusion::datasource::TableType;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, StatisticsArgs,
};
use tokio::sync::mpsc::Sender;

use crate::busy::timed;
use crate::error::{Error, Result};
use crate::evidence::Evidence;
use crate::guard::guard;
use crate::hive::{Partitions, is_about};
use crate::locate::SourceFile;
use crate::piece::{BatchIterator, FileReader, Piece, RejectedRows, ScanRequest, partitions};

const CHANNEL_BATCHES: usize = 2;
/// Less is not worth a task of its own, whatever the session's settings say.
const MIN_PARTITION_BYTES: u64 = 8 << 20;

/// Files of one format as a table.
#[derive(Debug)]
pub(crate) struct FileTable {
    format: &'static str,
    /// The columns of the files, then those of the folders.
    schema: SchemaRef,
    file_columns: usize,
    partitions: Partitions,
    files: Arc<[SourceFile]>,
    reader: Arc<dyn FileReader>,
    evidence: Vec<Evidence>,
    min_partition_bytes: u64,
}

impl FileTable {
    /// `schema` is that of the files; `reader` knows no other.
    pub(crate) fn new(
        format: &'static str,
        schema: SchemaRef,
        files: Vec<SourceFile>,
        reader: Arc<dyn FileReader>,
    ) -> Self {
        let partitions = Partitions::of(&files);
        let file_columns = schema.fields().len();
        let fields = schema.fields().iter().chain(partitions.fields()).cloned();
        Self {
            format,
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            file_columns,
            partitions,
            files: files.into(),
            reader,
            evidence: Vec::new(),
            min_partition_bytes: MIN_PARTITION_BYTES,
        }
    }

    pub(crate) fn with_evidence(mut self, evidence: Vec<Evidence>) -> Self {
        self.evidence = evidence;
        self
    }

    pub(crate) fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    /// The files that can have rows for which all `filters` hold.
    fn chosen(&self, state: &dyn Session, filters: &[Expr]) -> DataFusionResult<Vec<SourceFile>> {
        let chosen = self.partitions.choose(state, filters)?;
        Ok(match chosen {
            None => self.files.to_vec(),
            Some(chosen) => chosen
                .into_iter()
                .map(|index| self.files[index].clone())
                .collect(),
        })
    }
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| match is_about(&self.partitions, filter) {
                true => TableProviderFilterPushDown::Exact,
                false => TableProviderFilterPushDown::Unsupported,
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let schema = project_schema(&self.schema, projection)?;
        let columns = projection
            .cloned()
            .unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let of_files: Vec<_> = columns
            .iter()
            .copied()
            .filter(|column| *column < self.file_columns)
            .collect();
        let request = ScanRequest {
            schema: project_schema(&self.schema, Some(&of_files))?,
            projection: of_files,
            batch_rows: state.config().batch_size(),
            rejected: Arc::default(),
        };
        let files = self.chosen(state, filters)?;
        let options = state.config_options();
        let target = match options.optimizer.repartition_file_scans {
            true => options.execution.target_partitions,
            false => 1,
        };
        let min_bytes = self
            .min_partition_bytes
            .max(options.optimizer.repartition_file_min_size as u64);
        Ok(Arc::new(FileScanExec::new(Scan {
            format: self.format,
            file_count: files.len(),
            bytes: files.iter().map(|file| file.size).sum(),
            partitions: partitions(&files, self.reader.as_ref(), target, min_bytes),
            reader: Arc::clone(&self.reader),
            columns: columns
                .into_iter()
                .map(|column| match column.checked_sub(self.file_columns) {
                    None => Column::OfFile,
                    Some(index) => Column::OfFolder(index),
                })
                .collect(),
            schema,
            request,
            limit,
        })))
    }
}

/// Where an output column comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    /// The next column of the reader's batch.
    OfFile,
    /// A folder's name.
    OfFolder(usize),
}

#[derive(Clone, Debug)]
struct Scan {
    format: &'static str,
    file_count: usize,
    bytes: u64,
    partitions: Vec<Vec<Piece>>,
    reader: Arc<dyn FileReader>,
    columns: Vec<Column>,
    schema: SchemaRef,
    request: ScanRequest,
    /// No more rows than this are wanted from a partition.
    limit: Option<usize>,
}

/// Reads a list of pieces per partition.
#[derive(Debug)]
pub(crate) struct FileScanExec {
    scan: Arc<Scan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl FileScanExec {
    fn new(scan: Scan) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&scan.schema)),
            Partitioning::UnknownPartitioning(scan.partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            scan: Arc::new(scan),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl DisplayAs for FileScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scan = &self.scan;
        let fields = scan.schema.fields().iter();
        let columns: Vec<_> = fields.map(|field| field.name().as_str()).collect();
        write!(
            f,
            "FileScanExec: format={}, files={}, partitions={}, columns=[{}]",
            scan.format,
            scan.file_count,
            scan.partitions.len(),
            columns.join(", ")
        )?;
        match scan.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for FileScanExec {
    fn name(&self) -> &'static str {
        "FileScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        _: Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        let mut stream =
            RecordBatchReceiverStream::builder(Arc::clone(&self.scan.schema), CHANNEL_BATCHES);
        let mut pieces = Pieces {
            scan: Arc::clone(&self.scan),
            rejected: Arc::default(),
            left: self.scan.limit.unwrap_or(usize::MAX),
            sender: stream.tx(),
        };
        let builder = || MetricBuilder::new(&self.metrics);
        let dropped = builder().counter("rows_dropped", partition);
        let quarantined = builder().counter("rows_quarantined", partition);
        let cpu = builder().elapsed_compute(partition);
        stream.spawn_blocking(move || {
            // Decoding stays on this thread; what it waits for a slow reader is no CPU time.
            let (read, took) = timed(|| pieces.read(partition));
            cpu.add_duration(took);
            dropped.add(pieces.rejected.dropped.load(Ordering::Relaxed) as usize);
            quarantined.add(pieces.rejected.quarantined.load(Ordering::Relaxed) as usize);
            Ok(read?)
        });
        Ok(stream.build())
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> DataFusionResult<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.scan.schema);
        if args.partition().is_none() {
            // What text takes in memory is near what it takes in a file, which is all that planning asks.
            statistics.total_byte_size = Precision::Inexact(self.scan.bytes as usize);
        }
        Ok(Arc::new(statistics))
    }
}

/// One execution of one partition.
struct Pieces {
    scan: Arc<Scan>,
    rejected: Arc<RejectedRows>,
    /// How many more rows are wanted.
    left: usize,
    sender: Sender<DataFusionResult<RecordBatch>>,
}

impl Pieces {
    fn read(&mut self, partition: usize) -> Result<()> {
        let scan = Arc::clone(&self.scan);
        let request = ScanRequest {
            rejected: Arc::clone(&self.rejected),
            ..scan.request.clone()
        };
        for piece in &scan.partitions[partition] {
            let is_wanted = guard(&piece.file.name(), || {
                let batches = match &piece.part {
                    None => scan.reader.open(&piece.file, &request),
                    Some(part) => scan.reader.open_part(&piece.file, part, &request),
                };
                self.send(batches?, piece.file.partition_values())
            })?;
            if !is_wanted {
                break;
            }
        }
        Ok(())
    }

    /// False when nothing more is wanted.
    fn send(&mut self, batches: BatchIterator, folder: &[ScalarValue]) -> Result<bool> {
        for batch in batches {
            let batch = batch?;
            let batch = batch.slice(0, self.left.min(batch.num_rows()));
            self.left -= batch.num_rows();
            let batch = self.scan.with_folder_columns(&batch, folder)?;
            let is_abandoned = self.sender.blocking_send(Ok(batch)).is_err();
            if is_abandoned || self.left == 0 {
                return Ok(false);
            }
        }
        Ok(self.left > 0)
    }
}

impl Scan {
    fn with_folder_columns(
        &self,
        batch: &RecordBatch,
        folder: &[ScalarValue],
    ) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let mut of_file = batch.columns().iter();
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            columns.push(match column {
                Column::OfFile => of_file.next().cloned(),
                Column::OfFolder(index) => match folder.get(*index) {
                    Some(value) => Some(value.to_array_of_size(rows)?),
                    None => None,
                },
            });
        }
        let columns: Option<Vec<_>> = columns.into_iter().collect();
        let columns = columns.ok_or_else(|| {
            Error::Unsupported("a reader gave fewer columns than were asked for".into())
        })?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|e| Error::Query(e.into()))
    }
}
