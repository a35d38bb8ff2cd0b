//! Hive-partitioned output: [`PartitionedSink`], a layer over [`FileSink`].
//!
//! ```text
//! RecordBatch stream ─rows by their partition columns─▶ year=2026/month=07 ─FileSink─▶ part-00000-…
//!                                                     ▶ year=2026/month=08 ─FileSink─▶ part-00000-…
//! ```
//!
//! At most a few files are open at a time for each stream; the least recently used one is closed for the next,
//! and another file is begun if its partition comes again. So memory does not grow with the number of
//! partitions, whatever the order of the rows. For one file per partition and stream, let the engine sort
//! first, which it does in bounded memory: [`PartitionedSink::sorted`].
//!
//! What is staged is closed once it is written, so that open files do not grow with the number of partitions either; see
//! `sink/held.rs`.
//!
//! [`WriteMode::Replace`] replaces the partitions that are written and leaves the others alone.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::row::{RowConverter, SortField};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::error::{Error, Result};
use crate::format::Format;
use crate::hive;
use crate::locate::local_path;
use crate::place::Place;
use crate::remote::location::Location;
use crate::sink::{
    CommittedOutput, FileSink, HeldRoot, StagedFileInfo, StagedOutput, Target, WriteMode,
};

/// Folders that are made durable and visible at a time.
const FOLDERS_AT_ONCE: usize = 16;
/// Batches that wait for a writer.
const CHANNEL_BATCHES: usize = 1;

/// Writes record batches into folders named after the values of some of their columns, for one run.
#[derive(Clone, Debug)]
pub struct PartitionedSink {
    place: Place,
    folder: PathBuf,
    format: Format,
    mode: WriteMode,
    run: String,
    columns: Vec<String>,
    max_open_files: usize,
    shared: Arc<Shared>,
}

/// What the streams of an output share.
#[derive(Debug, Default)]
struct Shared {
    /// Folders that have a first output, which is the one to replace what is there.
    begun: Mutex<HashSet<String>>,
    /// Of an output on a disk, while there is a file of it that is written or staged.
    root: Mutex<Weak<HeldRoot>>,
}

impl PartitionedSink {
    /// How many files each stream keeps open, unless it is said otherwise. An open Parquet file holds up to a row group
    /// in memory.
    pub const DEFAULT_MAX_OPEN_FILES: usize = 32;

    /// Below `folder`, by the values of `columns`, of which the first names the outermost folders. `run` names this run,
    /// as in [`FileSink::open`]. Opens nothing yet.
    ///
    /// # Errors
    /// [`Error::Unsupported`] without a column.
    pub fn new(
        place: &Place,
        folder: &Path,
        columns: &[String],
        format: &Format,
        mode: WriteMode,
        run: &str,
    ) -> Result<Self> {
        if columns.is_empty() {
            return Err(Error::Unsupported(
                "partitioned output needs at least one column to partition by".into(),
            ));
        }
        Ok(Self {
            place: place.clone(),
            folder: folder.to_path_buf(),
            format: format.clone(),
            mode,
            run: run.to_owned(),
            columns: columns.to_vec(),
            max_open_files: Self::DEFAULT_MAX_OPEN_FILES,
            shared: Arc::default(),
        })
    }

    /// With another number of files open for each stream; at least one.
    #[must_use]
    pub fn with_max_open_files(mut self, files: usize) -> Self {
        self.max_open_files = files.max(1);
        self
    }

    /// `plan` with each of its partitions sorted by the columns that are partitioned by, so that each stream writes one
    /// file per folder, one after the other. The sort spills to disk when its memory is used up.
    ///
    /// # Errors
    /// If a column is not there.
    pub fn sorted(
        &self,
        plan: Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let schema = plan.schema();
        Layout::new(&schema, &self.columns)?;
        let expressions = self
            .columns
            .iter()
            .map(|column| Ok(PhysicalSortExpr::new_default(col(column, &schema)?)));
        let expressions = expressions.collect::<Result<Vec<_>, DataFusionError>>()?;
        let Some(ordering) = LexOrdering::new(expressions) else {
            return Ok(plan);
        };
        Ok(Arc::new(
            SortExec::new(ordering, plan).with_preserve_partitioning(true),
        ))
    }

    /// Writes all streams and returns what was staged, invisible until [`PartitionedOutput::commit`]. Without a row,
    /// nothing is written.
    ///
    /// # Errors
    /// The error of a stream as it came, [`Error::Io`] naming a file, [`Error::Unsupported`] for a column to partition by
    /// that is not there or has no text. Nothing stays behind.
    pub async fn write(
        &self,
        schema: SchemaRef,
        streams: Vec<SendableRecordBatchStream>,
    ) -> Result<PartitionedOutput> {
        let layout = Arc::new(Layout::new(&schema, &self.columns)?);
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for (index, stream) in streams.into_iter().enumerate() {
            let router = Router::new(self.clone(), Arc::clone(&layout), index)?;
            tasks.spawn(router.run(stream, stopped.clone()));
        }
        let mut outputs = Vec::new();
        let mut failure = None;
        while let Some(done) = tasks.join_next().await {
            match done.map_err(Error::joined).flatten() {
                Ok(staged) => outputs.extend(staged),
                Err(error) => {
                    failure.get_or_insert(error);
                    // Asked, not aborted, so that each removes what it staged before this returns.
                    stop.send_replace(true);
                }
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        // In each folder what replaces comes first, then what is put beside it.
        outputs.sort_by_key(|output| (output.folder.clone(), !output.replaces));
        Ok(PartitionedOutput { outputs })
    }
}

/// The values of one partition, in the order of the columns.
type Values = Vec<Option<String>>;

/// Where the columns are.
#[derive(Debug)]
struct Layout {
    names: Vec<String>,
    /// The columns that are partitioned by.
    keys: Vec<usize>,
    /// The others, which the files have.
    rest: Vec<usize>,
    file_schema: SchemaRef,
}

impl Layout {
    fn new(schema: &SchemaRef, names: &[String]) -> Result<Self> {
        let mut keys = Vec::with_capacity(names.len());
        for name in names {
            let index = schema.index_of(name).map_err(|_| {
                let fields = schema.fields().iter();
                let known: Vec<_> = fields.map(|field| field.name().as_str()).collect();
                Error::Unsupported(format!(
                    "the output has no column {name:?} to partition by; it has {}",
                    known.join(", ")
                ))
            })?;
            let data_type = schema.field(index).data_type();
            if data_type.is_nested() || data_type.is_floating() || keys.contains(&index) {
                return Err(Error::Unsupported(format!(
                    "cannot partition by column {name:?} ({data_type}); choose columns of text, integers, dates or booleans, each once"
                )));
            }
            keys.push(index);
        }
        let rest: Vec<_> = (0..schema.fields().len())
            .filter(|index| !keys.contains(index))
            .collect();
        if rest.is_empty() {
            return Err(Error::Unsupported(
                "every column is partitioned by, so that the files would be empty; leave one out"
                    .into(),
            ));
        }
        let file_schema = schema.project(&rest).map_err(query)?;
        Ok(Self {
            names: names.to_vec(),
            keys,
            rest,
            file_schema: Arc::new(file_schema),
        })
    }

    /// What a row has in the columns that are partitioned by, as text.
    fn values(&self, keys: &[Arc<dyn Array>], row: usize) -> Result<Values> {
        let text = |values: &Arc<dyn Array>| {
            let text = cast(&values.slice(row, 1), &DataType::Utf8).map_err(query)?;
            let text = text.as_string::<i32>();
            Ok(text.is_valid(0).then(|| text.value(0).to_owned()))
        };
        keys.iter().map(text).collect()
    }

    /// The folder of such a row, below that of the output.
    fn folder(&self, values: &[Option<String>]) -> String {
        let folders = self.names.iter().zip(values);
        let folders = folders.map(|(name, value)| hive::folder_name(name, value.as_deref()));
        folders.collect::<Vec<_>>().join("/")
    }
}

/// A file being written.
struct OpenFile {
    sender: mpsc::Sender<RecordBatch>,
    task: JoinHandle<Result<StagedOutput>>,
    folder: String,
    values: Values,
    replaces: bool,
    last_used: u64,
}

/// Sends the rows of one stream to the files of their partitions.
struct Router {
    sink: PartitionedSink,
    layout: Arc<Layout>,
    stream: usize,
    converter: RowConverter,
    open: HashMap<String, OpenFile>,
    /// How many files each folder has had.
    files: HashMap<String, usize>,
    uses: u64,
    staged: Vec<FolderOutput>,
}

impl Router {
    fn new(sink: PartitionedSink, layout: Arc<Layout>, stream: usize) -> Result<Self> {
        Ok(Self {
            sink,
            layout,
            stream,
            converter: RowConverter::new(Vec::new()).map_err(query)?,
            open: HashMap::new(),
            files: HashMap::new(),
            uses: 0,
            staged: Vec::new(),
        })
    }

    async fn run(
        mut self,
        stream: SendableRecordBatchStream,
        stopped: watch::Receiver<bool>,
    ) -> Result<Vec<FolderOutput>> {
        let mut result = self.route(stream, stopped).await;
        // Also after an error: what is staged is removed when it is closed and dropped.
        while let Some(folder) = self.open.keys().next().cloned() {
            result = result.and(self.close(&folder).await);
        }
        result.map(|()| self.staged)
    }

    async fn route(
        &mut self,
        mut stream: SendableRecordBatchStream,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<()> {
        let schema = stream.schema();
        let keys = self.layout.keys.iter();
        let fields = keys.map(|key| SortField::new(schema.field(*key).data_type().clone()));
        self.converter = RowConverter::new(fields.collect()).map_err(query)?;
        loop {
            let batch = tokio::select! {
                biased;
                () = until_stopped(&mut stopped) => return Ok(()),
                batch = stream.next() => batch,
            };
            let Some(batch) = batch else { return Ok(()) };
            for (values, rows) in self.divide(&batch?)? {
                self.send(values, rows).await?;
            }
        }
    }

    /// The rows of each partition, without the columns that are partitioned by.
    fn divide(&self, batch: &RecordBatch) -> Result<Vec<(Values, RecordBatch)>> {
        if batch.num_rows() == 0 {
            return Ok(Vec::new());
        }
        let keys = self.layout.keys.iter();
        let keys: Vec<_> = keys.map(|key| Arc::clone(batch.column(*key))).collect();
        let rest = batch.project(&self.layout.rest).map_err(query)?;
        let rows = self.converter.convert_columns(&keys).map_err(query)?;
        let mut groups: Vec<Vec<u32>> = Vec::new();
        let mut index: HashMap<&[u8], usize> = HashMap::new();
        for row in 0..rows.num_rows() {
            let group = *index.entry(rows.row(row).data()).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[group].push(row as u32);
        }
        let mut divided = Vec::with_capacity(groups.len());
        for group in groups {
            let values = self.layout.values(&keys, group[0] as usize)?;
            let is_all = group.len() == rest.num_rows();
            let rows = match is_all {
                true => rest.clone(),
                false => take_record_batch(&rest, &UInt32Array::from(group)).map_err(query)?,
            };
            divided.push((values, rows));
        }
        Ok(divided)
    }

    async fn send(&mut self, values: Values, rows: RecordBatch) -> Result<()> {
        let folder = self.layout.folder(&values);
        if !self.open.contains_key(&folder) {
            self.make_room().await?;
            let file = self.open_file(&folder, values).await?;
            self.open.insert(folder.clone(), file);
        }
        self.uses += 1;
        let Some(file) = self.open.get_mut(&folder) else {
            return Ok(());
        };
        file.last_used = self.uses;
        if file.sender.send(rows).await.is_err() {
            // The writer has stopped, and says why.
            self.close(&folder).await?;
        }
        Ok(())
    }

    async fn make_room(&mut self) -> Result<()> {
        if self.open.len() < self.sink.max_open_files {
            return Ok(());
        }
        let oldest = self.open.values().min_by_key(|file| file.last_used);
        match oldest.map(|file| file.folder.clone()) {
            Some(folder) => self.close(&folder).await,
            None => Ok(()),
        }
    }

    async fn open_file(&mut self, folder: &str, values: Values) -> Result<OpenFile> {
        let file = self.files.entry(folder.to_owned()).or_default();
        let run = format!("{}-{}-{file}", self.sink.run, self.stream);
        *file += 1;
        let replaces = self.sink.mode == WriteMode::Replace && self.sink.begin(folder);
        let mode = match replaces {
            true => WriteMode::Replace,
            false => WriteMode::Append,
        };
        let sink = self.sink.clone();
        let below = folder.to_owned();
        let open = move || sink.open(&below, mode, &run);
        let sink = tokio::task::spawn_blocking(open)
            .await
            .map_err(Error::joined)??;
        let (sender, receiver) = mpsc::channel(CHANNEL_BATCHES);
        let schema = Arc::clone(&self.layout.file_schema);
        let task = tokio::spawn(async move {
            let rows = received(Arc::clone(&schema), receiver);
            sink.write(schema, vec![rows]).await
        });
        Ok(OpenFile {
            sender,
            task,
            folder: folder.to_owned(),
            values,
            replaces,
            last_used: self.uses,
        })
    }

    async fn close(&mut self, folder: &str) -> Result<()> {
        let Some(file) = self.open.remove(folder) else {
            return Ok(());
        };
        drop(file.sender);
        let staged = file.task.await.map_err(Error::joined)??;
        self.staged.push(FolderOutput {
            folder: file.folder,
            values: file.values,
            replaces: file.replaces,
            staged,
        });
        Ok(())
    }
}

impl PartitionedSink {
    /// Opens the folder of a partition. Blocks.
    fn open(&self, folder: &str, mode: WriteMode, run: &str) -> Result<FileSink> {
        if Location::parse(&self.folder)?.is_some() {
            let target = Target::Directory(self.folder.join(folder));
            return FileSink::open(&self.place, &target, &self.format, mode, run);
        }
        let sink = FileSink::open_below(&self.root()?, folder, &self.format, mode, run)?;
        Ok(sink.counted(&self.place))
    }

    fn root(&self) -> Result<Arc<HeldRoot>> {
        let mut root = self
            .shared
            .root
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = root.upgrade() {
            return Ok(root);
        }
        let opened = HeldRoot::open(&self.place, &local_path(&self.folder)?, &self.run)?;
        *root = Arc::downgrade(&opened);
        Ok(opened)
    }

    /// True for the first output of a folder.
    fn begin(&self, folder: &str) -> bool {
        let mut begun = self
            .shared
            .begun
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        begun.insert(folder.to_owned())
    }
}

/// Completes when the flag is up.
async fn until_stopped(stopped: &mut watch::Receiver<bool>) {
    // The value that was seen is of no interest; the borrow must not outlive this line.
    drop(stopped.wait_for(|stop| *stop).await);
}

fn received(schema: SchemaRef, receiver: mpsc::Receiver<RecordBatch>) -> SendableRecordBatchStream {
    let batches = futures::stream::unfold(receiver, |mut receiver| async move {
        let batch = receiver.recv().await?;
        Some((Ok(batch), receiver))
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

/// What was staged in one folder.
#[derive(Debug)]
struct FolderOutput {
    folder: String,
    values: Values,
    replaces: bool,
    staged: StagedOutput,
}

/// Written files that nobody sees yet. Removed when dropped without a commit.
#[derive(Debug)]
#[must_use = "staged output is removed unless it is committed"]
pub struct PartitionedOutput {
    outputs: Vec<FolderOutput>,
}

impl PartitionedOutput {
    /// The staged files, with the names they will have.
    pub fn files(&self) -> Vec<StagedFileInfo> {
        self.outputs
            .iter()
            .flat_map(|output| output.staged.files())
            .collect()
    }

    /// Rows in all files.
    pub fn rows(&self) -> u64 {
        self.outputs.iter().map(|output| output.staged.rows()).sum()
    }

    /// Size of all files.
    pub fn bytes(&self) -> u64 {
        self.outputs
            .iter()
            .map(|output| output.staged.bytes())
            .sum()
    }

    /// The partitions that have rows, in the order of their folders.
    pub fn partitions(&self) -> Vec<WrittenPartition> {
        let partitions = self.outputs.iter().map(|output| WrittenPartition {
            values: output.values.clone(),
            folder: output.folder.clone(),
        });
        let mut partitions: Vec<_> = partitions.collect();
        partitions.dedup();
        partitions
    }

    /// Makes everything durable while it is invisible, as [`StagedOutput::sync`] does.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file; everything that was staged is removed then.
    pub async fn sync(self) -> Result<Self> {
        let outputs = futures::stream::iter(self.outputs)
            .map(async |output| {
                let staged = output.staged.sync().await?;
                Ok::<_, Error>(FolderOutput { staged, ..output })
            })
            .buffered(FOLDERS_AT_ONCE)
            .try_collect()
            .await?;
        Ok(Self { outputs })
    }

    /// Makes everything durable, then visible: a full disk shows before the first is visible. A commit that is cut off is
    /// completed by repeating the run.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file. What is not visible yet is removed; what is stays.
    pub async fn commit(self) -> Result<CommittedOutput> {
        let synced = self.sync().await?;
        let mut committed = CommittedOutput {
            files: Vec::new(),
            rows: 0,
            bytes: 0,
            replaced: 0,
        };
        let folders = by_folder(synced.outputs);
        let mut published = futures::stream::iter(folders)
            .map(publish)
            .buffered(FOLDERS_AT_ONCE);
        while let Some(outputs) = published.try_next().await? {
            for output in outputs {
                committed.files.extend(output.files);
                committed.rows += output.rows;
                committed.bytes += output.bytes;
                committed.replaced += output.replaced;
            }
        }
        Ok(committed)
    }

    /// Removes everything that was staged.
    ///
    /// # Errors
    /// [`Error::Io`] naming a file that could not be removed; the others are.
    pub async fn abort(self) -> Result<()> {
        let mut result = Ok(());
        for output in self.outputs {
            result = result.and(output.staged.abort().await);
        }
        result
    }
}

/// Outputs that are in the order of their folders, those of each folder together.
fn by_folder(outputs: Vec<FolderOutput>) -> Vec<Vec<FolderOutput>> {
    let mut folders: Vec<Vec<FolderOutput>> = Vec::new();
    for output in outputs {
        match folders.last_mut() {
            Some(last) if last[0].folder == output.folder => last.push(output),
            _ => folders.push(vec![output]),
        }
    }
    folders
}

/// Commits the outputs of one folder, one after the other: they share its list of files.
async fn publish(outputs: Vec<FolderOutput>) -> Result<Vec<CommittedOutput>> {
    let mut committed = Vec::with_capacity(outputs.len());
    for output in outputs {
        committed.push(output.staged.commit().await?);
    }
    Ok(committed)
}

/// A partition that an output has rows for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenPartition {
    /// Its values as text, in the order of the columns that are partitioned by.
    pub values: Vec<Option<String>>,
    /// Its folder, below that of the output.
    pub folder: String,
}

fn query(error: arrow::error::ArrowError) -> Error {
    Error::Query(error.into())
}
