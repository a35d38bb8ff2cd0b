//! Scans of formats that we decode ourselves: [`FileTable`] and its [`FileScanExec`].
//!
//! One partition per file. Each is decoded on the blocking pool and handed over through a short
//! channel, so a slow consumer holds the reader back and a dropped stream stops it at its next batch.
//! A large file is one partition: splitting it needs a [`FileReader`] that can start in the middle,
//! and a byte range in [`ScanRequest`].

use std::fmt::{self, Debug};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::project_schema;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::TableType;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use tokio::sync::mpsc::Sender;

use crate::error::Result;
use crate::guard::guard;
use crate::locate::SourceFile;

const CHANNEL_BATCHES: usize = 2;

/// The batches of one file, each with [`ScanRequest::schema`]; ends after its first error.
pub(crate) type BatchIterator = Box<dyn Iterator<Item = Result<RecordBatch>>>;

/// Decodes one format. Called once per partition and execution, on a thread that may block.
pub(crate) trait FileReader: Debug + Send + Sync {
    fn open(&self, file: &SourceFile, request: &ScanRequest) -> Result<BatchIterator>;
}

/// What a scan wants of a file.
#[derive(Clone, Debug)]
pub(crate) struct ScanRequest {
    /// Indices into the table's columns.
    pub(crate) projection: Vec<usize>,
    /// The projected schema.
    pub(crate) schema: SchemaRef,
    pub(crate) batch_rows: usize,
    /// No more rows than this are wanted from the file.
    limit: Option<usize>,
}

/// Files of one format as a table.
#[derive(Debug)]
pub(crate) struct FileTable {
    format: &'static str,
    schema: SchemaRef,
    files: Arc<[SourceFile]>,
    reader: Arc<dyn FileReader>,
}

impl FileTable {
    pub(crate) fn new(
        format: &'static str,
        schema: SchemaRef,
        files: Vec<SourceFile>,
        reader: Arc<dyn FileReader>,
    ) -> Self {
        Self {
            format,
            schema,
            files: files.into(),
            reader,
        }
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

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let schema = project_schema(&self.schema, projection)?;
        let projection = projection
            .cloned()
            .unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let batch_rows = state.config().batch_size();
        let request = ScanRequest {
            projection,
            schema,
            batch_rows,
            limit,
        };
        Ok(Arc::new(FileScanExec::new(
            self.format,
            Arc::clone(&self.files),
            Arc::clone(&self.reader),
            request,
        )))
    }
}

/// Reads one file per partition.
#[derive(Debug)]
pub(crate) struct FileScanExec {
    format: &'static str,
    files: Arc<[SourceFile]>,
    reader: Arc<dyn FileReader>,
    request: ScanRequest,
    properties: Arc<PlanProperties>,
}

impl FileScanExec {
    fn new(
        format: &'static str,
        files: Arc<[SourceFile]>,
        reader: Arc<dyn FileReader>,
        request: ScanRequest,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&request.schema)),
            Partitioning::UnknownPartitioning(files.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            format,
            files,
            reader,
            request,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for FileScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<_> = self
            .request
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        write!(
            f,
            "FileScanExec: format={}, files={}, columns=[{}]",
            self.format,
            self.files.len(),
            columns.join(", ")
        )?;
        match self.request.limit {
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
        let file = self.files[partition].clone();
        let (reader, request) = (Arc::clone(&self.reader), self.request.clone());
        let mut stream =
            RecordBatchReceiverStream::builder(Arc::clone(&request.schema), CHANNEL_BATCHES);
        let sender = stream.tx();
        stream.spawn_blocking(move || {
            guard(&file.name(), || {
                send_batches(reader.open(&file, &request)?, &request, &sender)
            })?;
            Ok(())
        });
        Ok(stream.build())
    }
}

fn send_batches(
    batches: BatchIterator,
    request: &ScanRequest,
    sender: &Sender<DataFusionResult<RecordBatch>>,
) -> Result<()> {
    let mut left = request.limit.unwrap_or(usize::MAX);
    for batch in batches {
        let batch = batch?;
        let batch = batch.slice(0, left.min(batch.num_rows()));
        left -= batch.num_rows();
        let is_abandoned = sender.blocking_send(Ok(batch)).is_err();
        if is_abandoned || left == 0 {
            break;
        }
    }
    Ok(())
}
