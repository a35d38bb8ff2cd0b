//! Targets: where a job's results go, staged first and published together.
//!
//! ```text
//! plan ──arranged──▶ tasks, sorted by the columns that are partitioned by ──▶ FileSink or PartitionedSink ──▶ Staged
//! Staged ──sync, commit──▶ files ──register──▶ table, and a partition for each folder that got rows
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use futures::StreamExt;
use parking_lot::Mutex;
use tenon_catalog::{PublishedTable, Table, TableChange, TableFormat, TenantCatalog};
use tenon_connect::{
    CommittedOutput, Error as ConnectError, FileSink, Format, PartitionedOutput, PartitionedSink,
    Place, Quarantine, StagedOutput, Target, WriteMode, WrittenPartition,
};

use crate::error::{Error, Result, full_disk_hint};
use crate::formats;
use crate::graph::{Job, Node, PartitionKey, SchemaChangePolicy, TargetMode, UpdateBehavior};
use crate::register::{Fit, Registration, UnknownColumns, Written};
use crate::report::TargetReport;

/// A target node, checked.
#[derive(Debug)]
pub(crate) struct TargetSpec {
    name: String,
    path: PathBuf,
    format: Format,
    mode: WriteMode,
    /// Columns whose values name folders; none for one folder or file.
    partition_by: Vec<String>,
    /// How many tasks write.
    tasks: Option<usize>,
    table: Option<Registration>,
    /// Where the table is, in its own words, where it is one of the catalog.
    location: Option<String>,
    /// The table of the catalog that the output has to fit.
    fit: Option<Fit>,
    is_quarantine: bool,
}

/// Finds what is wrong with a target node alone.
pub(crate) fn check(node: &Node) -> Result<()> {
    match node {
        Node::CatalogTarget(target) | Node::S3CatalogTarget(target) => {
            columns(node, &target.partition_keys)?;
            let policy = target.schema_change_policy.as_ref();
            match policy.is_some_and(|policy| policy.table.is_some() || policy.database.is_some()) {
                false => Ok(()),
                true => Err(Error::node(
                    node.name(),
                    "SchemaChangePolicy: the table is the node's; remove Database and Table there",
                )),
            }
        }
        _ => TargetSpec::of_files(node, &Job::default()).map(drop),
    }
}

impl TargetSpec {
    /// The target that a node is, if it is one of files.
    pub(crate) fn of_files(node: &Node, job: &Job) -> Result<Option<Self>> {
        let fail = |e: String| Error::node(node.name(), e);
        let (path, format, keys, tasks, policy, mode) = match node {
            Node::S3GlueParquetTarget(n) => (
                &n.path,
                formats::parquet(n.compression.as_deref().or(Some("snappy"))),
                &n.partition_keys,
                &n.number_target_partitions,
                &n.schema_change_policy,
                n.mode,
            ),
            Node::S3DirectTarget(n) => (
                &n.path,
                formats::written(&n.format, n.compression.as_deref()),
                &n.partition_keys,
                &n.number_target_partitions,
                &n.schema_change_policy,
                n.mode,
            ),
            _ => return Ok(None),
        };
        let format = format.map_err(fail)?;
        let (partition_by, mode) = (columns(node, keys)?, write_mode(mode));
        let stays = !partition_by.is_empty() || mode == WriteMode::Append;
        let table = policy
            .as_ref()
            .map(|policy| registration(node, policy, stays));
        let table = table.transpose()?.flatten();
        if table.is_some() && formats::in_catalog(&format).is_none() {
            return Err(fail(NO_TABLE.to_owned()));
        }
        Ok(Some(Self {
            name: node.name().to_owned(),
            path: job.path(path),
            format,
            mode,
            partition_by,
            tasks: tasks
                .as_deref()
                .map(|text| number(node, text))
                .transpose()?,
            table,
            location: None,
            fit: None,
            is_quarantine: false,
        }))
    }

    /// Results stand beside those of earlier runs.
    pub(crate) fn append(&mut self) {
        self.mode = WriteMode::Append;
        let change = self.table.as_mut().map(|table| &mut table.change);
        if let Some(change @ TableChange::Replace) = change {
            *change = TableChange::AddColumns;
        }
    }

    /// The table of the catalog that its files are registered as, if they are.
    pub(crate) fn registration(&self) -> Option<&Registration> {
        self.table.as_ref()
    }

    /// Says that the table which its files are registered as is there.
    ///
    /// # Errors
    /// It is of files of another format, or has other partition keys.
    pub(crate) fn found(&mut self, table: Table) -> Result<()> {
        let Some(change) = self.table.as_ref().map(|table| table.change) else {
            return Ok(());
        };
        let keys = table.partition_keys.iter();
        let keys: Vec<String> = keys.map(|key| key.name.clone()).collect();
        if !is_alike(&keys, &self.partition_by) {
            return Err(Error::node(
                &self.name,
                format!(
                    "PartitionKeys are {}, those of table {:?} are {}; make them alike, or register another table",
                    list(&self.partition_by),
                    table.name,
                    list(&keys)
                ),
            ));
        }
        let unknown = match change {
            TableChange::Replace => return Ok(()),
            TableChange::AddColumns => UnknownColumns::Added,
            TableChange::Keep => UnknownColumns::Logged,
        };
        let written = formats::in_catalog(&self.format);
        if TableFormat::of(&table).is_some_and(|format| Some(format) != written) {
            return Err(Error::node(
                &self.name,
                format!(
                    "table {:?} is of files of another format, and those that are there stay: write that format, or register \
                     another table",
                    table.name
                ),
            ));
        }
        self.fit = Some(Fit { table, unknown });
        Ok(())
    }

    /// Whether results stand beside those of earlier runs.
    pub(crate) fn is_added(&self) -> bool {
        self.mode == WriteMode::Append
    }

    /// Whether results of several runs can stand beside each other there.
    pub(crate) fn check_for_new(&self) -> Result<()> {
        if !self.partition_by.is_empty() {
            return Err(Error::node(
                &self.name,
                "PartitionKeys: a run that reads only what is new cannot write folders by columns yet; leave them out, or read \
                 everything",
            ));
        }
        let path = self.path.to_string_lossy();
        if path.ends_with('/') || Format::from_path(&self.path).is_err() {
            return Ok(());
        }
        Err(Error::node(
            &self.name,
            format!(
                "Path {path} is a file, and a run that reads only what is new writes beside what earlier runs wrote: \
                 give a folder"
            ),
        ))
    }

    /// The target that a node is whose table is in the catalog.
    pub(crate) fn of_table(node: &Node, table: Table) -> Result<Self> {
        let (Node::CatalogTarget(target) | Node::S3CatalogTarget(target)) = node else {
            return Err(Error::node(node.name(), "it writes to no table"));
        };
        let fail = |e: String| Error::node(node.name(), e);
        let named = columns(node, &target.partition_keys)?;
        let keys: Vec<String> = table
            .partition_keys
            .iter()
            .map(|k| k.name.clone())
            .collect();
        if !named.is_empty() && !is_alike(&named, &keys) {
            return Err(fail(format!(
                "PartitionKeys are {}, those of table {}.{} are {}; make them alike, or leave them out",
                list(&named),
                target.database,
                target.table,
                list(&keys)
            )));
        }
        let descriptor = table.storage_descriptor.as_ref();
        let location = descriptor.and_then(|descriptor| descriptor.location.as_deref());
        let location = location.ok_or_else(|| {
            fail(format!(
                "table {}.{} has no location",
                target.database, target.table
            ))
        })?;
        let policy = target.schema_change_policy.clone().unwrap_or_default();
        let (change, unknown) = match (policy.enable_update_catalog, policy.update_behavior) {
            (false, _) => (TableChange::Keep, UnknownColumns::Refused),
            (true, Some(UpdateBehavior::Log)) => (TableChange::Keep, UnknownColumns::Logged),
            (true, _) => (TableChange::AddColumns, UnknownColumns::Added),
        };
        Ok(Self {
            name: node.name().to_owned(),
            path: PathBuf::from(location.strip_prefix("file://").unwrap_or(location)),
            format: formats::of_table(&table).map_err(fail)?,
            mode: write_mode(target.mode),
            partition_by: if named.is_empty() { keys } else { named },
            tasks: None,
            table: Some(Registration {
                database: target.database.clone(),
                table: target.table.clone(),
                change,
            }),
            location: Some(location.to_owned()),
            fit: Some(Fit { table, unknown }),
            is_quarantine: false,
        })
    }

    /// Where the rows go that a source puts in quarantine.
    pub(crate) fn of_quarantine(node: &str, path: PathBuf) -> Self {
        Self {
            is_quarantine: true,
            ..Self::of_sample(node, path)
        }
    }

    /// Where a sample goes: lines of JSON, unless the path is a file of another format.
    pub(crate) fn of_sample(node: &str, path: PathBuf) -> Self {
        let by_name = Format::from_path(&path);
        Self {
            name: node.to_owned(),
            format: by_name.unwrap_or_else(|_| Format::Json(tenon_connect::JsonOptions::default())),
            path,
            mode: WriteMode::Replace,
            partition_by: Vec::new(),
            tasks: None,
            table: None,
            location: None,
            fit: None,
            is_quarantine: false,
        }
    }

    /// The name of its node.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether its files are registered as a table that is not there yet.
    pub(crate) fn makes_table(&self) -> bool {
        self.table.is_some() && self.fit.is_none()
    }

    /// The report of a run that writes nothing there.
    pub(crate) fn untouched(&self, id: &str) -> TargetReport {
        TargetReport {
            id: id.to_owned(),
            path: self.path.clone(),
            files: 0,
            rows: 0,
            bytes: 0,
            partitions: 0,
            table: self.table.as_ref().map(Registration::name),
            published: None,
            is_quarantine: false,
            preview: None,
        }
    }

    /// Where it is, for who finds the keys to it.
    pub(crate) fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Refuses an output that does not fit the table it is for; says what is said in the log.
    pub(crate) fn check_schema(&self, schema: &Schema) -> Result<Option<String>> {
        let said = self.fit.as_ref().map_or(Ok(None), |fit| fit.check(schema));
        said.map_err(|e| Error::node(&self.name, e))
    }

    /// Opens it for one run.
    pub(crate) fn open(&self, place: &Place, run: &str) -> Result<Sink> {
        let sink = match self.partition_by.is_empty() {
            true => {
                let target = Target::from_path(place, &self.path);
                FileSink::open(place, &target, &self.format, self.mode, run).map(Sink::Files)
            }
            false => PartitionedSink::new(
                place,
                &self.path,
                &self.partition_by,
                &self.format,
                self.mode,
                run,
            )
            .map(|sink| Sink::Folders(sink.with_max_open_files(OPEN_FILES))),
        };
        sink.map_err(|e| self.fail(&e))
    }

    /// A plan whose partitions are what the tasks write.
    pub(crate) fn arranged(
        &self,
        sink: &Sink,
        plan: Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let tasks: Result<Arc<dyn ExecutionPlan>, DataFusionError> = match self.tasks {
            None => Ok(plan),
            Some(1) => Ok(Arc::new(CoalescePartitionsExec::new(plan))),
            Some(tasks) => RepartitionExec::try_new(plan, Partitioning::RoundRobinBatch(tasks))
                .map(|plan| Arc::new(plan) as _),
        };
        let arranged = tasks.and_then(|plan| match sink {
            Sink::Files(_) => Ok(plan),
            Sink::Folders(sink) => sink.sorted(plan),
        });
        arranged.map_err(|e| Error::of_datafusion(&self.name, &e))
    }

    /// Runs the partitions into staged files, invisible until [`Staged::commit`].
    pub(crate) async fn stage(
        &self,
        id: &str,
        sink: Sink,
        schema: SchemaRef,
        partitions: Vec<SendableRecordBatchStream>,
        preview_rows: usize,
    ) -> Result<Staged> {
        let preview = Arc::new(Mutex::new(Preview {
            rows: preview_rows,
            batches: Vec::new(),
            over: false,
        }));
        let watched = partitions
            .into_iter()
            .map(|partition| watch(partition, &preview))
            .collect();
        let output = match sink {
            Sink::Files(sink) => sink
                .write(Arc::clone(&schema), watched)
                .await
                .map(Output::Files),
            Sink::Folders(sink) => sink
                .write(Arc::clone(&schema), watched)
                .await
                .map(Output::Folders),
        };
        let output = output.map_err(|e| self.fail(&e))?;
        let preview = preview.lock().take(&schema);
        Ok(Staged {
            id: id.to_owned(),
            name: self.name.clone(),
            path: self.path.clone(),
            format: self.format.clone(),
            partition_by: self.partition_by.clone(),
            table: self.table.clone(),
            location: self.location.clone(),
            is_quarantine: self.is_quarantine,
            schema,
            output,
            preview,
        })
    }

    /// Stages the rows that are in quarantine by now.
    pub(crate) async fn stage_quarantine(
        &self,
        id: &str,
        sink: Sink,
        quarantine: &Quarantine,
        preview_rows: usize,
    ) -> Result<Staged> {
        let batch = quarantine.batch().map_err(|e| self.fail(&e))?;
        let schema = batch.schema();
        let rows = futures::stream::iter([Ok(batch)]);
        let rows = RecordBatchStreamAdapter::new(Arc::clone(&schema), rows);
        self.stage(id, sink, schema, vec![Box::pin(rows)], preview_rows)
            .await
    }

    fn fail(&self, error: &ConnectError) -> Error {
        match error {
            ConnectError::Query(inner) => Error::of_datafusion(&self.name, inner),
            other => written(&self.name, other),
        }
    }
}

/// Files that one task of a partitioned target keeps open: its rows come folder by folder.
const OPEN_FILES: usize = 2;

/// An opened target.
pub(crate) enum Sink {
    Files(FileSink),
    Folders(PartitionedSink),
}

/// What was staged.
#[derive(Debug)]
enum Output {
    Files(StagedOutput),
    Folders(PartitionedOutput),
}

impl Output {
    async fn sync(self) -> Result<Self, ConnectError> {
        Ok(match self {
            Output::Files(output) => Output::Files(output.sync().await?),
            Output::Folders(output) => Output::Folders(output.sync().await?),
        })
    }

    fn partitions(&self) -> Vec<WrittenPartition> {
        match self {
            Output::Files(_) => Vec::new(),
            Output::Folders(output) => output.partitions(),
        }
    }

    async fn commit(self) -> Result<CommittedOutput, ConnectError> {
        match self {
            Output::Files(output) => output.commit().await,
            Output::Folders(output) => output.commit().await,
        }
    }
}

fn write_mode(mode: TargetMode) -> WriteMode {
    match mode {
        TargetMode::Replace => WriteMode::Replace,
        TargetMode::Append => WriteMode::Append,
    }
}

/// The columns that a target is partitioned by.
fn columns(node: &Node, keys: &[PartitionKey]) -> Result<Vec<String>> {
    let names = keys.iter().map(|key| {
        key.column().map(str::to_owned).ok_or_else(|| {
            let why = format!("PartitionKeys: {key} is no column; rows are put into folders by columns, not by fields inside of them");
            Error::node(node.name(), why)
        })
    });
    names.collect()
}

fn number(node: &Node, text: &str) -> Result<usize> {
    let number = text
        .parse()
        .ok()
        .filter(|tasks| (1..=MAX_TASKS).contains(tasks));
    number.ok_or_else(|| {
        let why = format!("NumberTargetPartitions: {text:?} is no number from 1 to {MAX_TASKS}");
        Error::node(node.name(), why)
    })
}

/// Tasks that write one target, at most.
const MAX_TASKS: usize = 1000;

/// Whether these are the same columns in the same order.
fn is_alike(some: &[String], others: &[String]) -> bool {
    let mut pairs = some.iter().zip(others);
    some.len() == others.len() && pairs.all(|(a, b)| a.eq_ignore_ascii_case(b))
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

/// A failure of a target's own files.
fn written(node: &str, error: &ConnectError) -> Error {
    let hint = match error {
        ConnectError::Io { source, .. } => {
            full_disk_hint(source, "there, or give the target another Path")
        }
        _ => None,
    };
    Error::node(node, error).or_hint(hint)
}

/// The table that a target of files is registered as; `stays` when files of earlier runs are still of it.
fn registration(
    node: &Node,
    policy: &SchemaChangePolicy,
    stays: bool,
) -> Result<Option<Registration>> {
    if !policy.enable_update_catalog {
        return Ok(None);
    }
    let (Some(database), Some(table)) = (&policy.database, &policy.table) else {
        return Err(Error::node(
            node.name(),
            "SchemaChangePolicy: EnableUpdateCatalog needs Database and Table",
        ));
    };
    let change = match (policy.update_behavior, stays) {
        (Some(UpdateBehavior::Log), _) => TableChange::Keep,
        (_, true) => TableChange::AddColumns,
        (_, false) => TableChange::Replace,
    };
    Ok(Some(Registration {
        database: database.clone(),
        table: table.clone(),
        change,
    }))
}

/// The rows of a target while they are few.
struct Preview {
    rows: usize,
    batches: Vec<RecordBatch>,
    over: bool,
}

impl Preview {
    fn add(&mut self, batch: &RecordBatch) {
        let rows: usize = self.batches.iter().map(RecordBatch::num_rows).sum();
        self.over |= rows + batch.num_rows() > self.rows;
        if self.over {
            self.batches.clear();
        } else {
            self.batches.push(batch.clone());
        }
    }

    fn take(&mut self, schema: &SchemaRef) -> Option<RecordBatch> {
        if self.over {
            return None;
        }
        concat_batches(schema, &self.batches).ok()
    }
}

fn watch(
    partition: SendableRecordBatchStream,
    preview: &Arc<Mutex<Preview>>,
) -> SendableRecordBatchStream {
    let (schema, preview) = (partition.schema(), Arc::clone(preview));
    let watched = partition.inspect(move |batch| {
        if let Ok(batch) = batch {
            preview.lock().add(batch);
        }
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, watched))
}

/// A target whose files are written and not yet visible. Dropped, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Staged {
    id: String,
    name: String,
    path: PathBuf,
    format: Format,
    partition_by: Vec<String>,
    table: Option<Registration>,
    location: Option<String>,
    is_quarantine: bool,
    schema: SchemaRef,
    output: Output,
    preview: Option<RecordBatch>,
}

impl Staged {
    /// Partitions that are registered.
    pub(crate) fn registered_partitions(&self) -> usize {
        match self.table {
            Some(_) => self.output.partitions().len(),
            None => 0,
        }
    }

    /// The name of its node.
    pub(crate) fn node(&self) -> &str {
        &self.name
    }

    /// Makes the files durable while nobody sees them.
    pub(crate) async fn sync(self) -> Result<Self> {
        let output = self.output.sync().await;
        let output = output.map_err(|e| written(&self.name, &e))?;
        Ok(Self { output, ..self })
    }

    /// Publishes the files, then registers the table.
    pub(crate) async fn commit(self, catalog: Option<&TenantCatalog>) -> Result<TargetReport> {
        let partitions = self.output.partitions();
        let committed = self
            .output
            .commit()
            .await
            .map_err(|e| written(&self.name, &e))?;
        let mut report = TargetReport {
            id: self.id,
            path: self.path.clone(),
            files: committed.files.len(),
            rows: committed.rows,
            bytes: committed.bytes,
            partitions: partitions.len(),
            table: None,
            published: None,
            is_quarantine: self.is_quarantine,
            preview: self.preview,
        };
        let Some(table) = self.table else {
            return Ok(report);
        };
        let Some(catalog) = catalog.cloned() else {
            return Err(Error::node(
                &self.name,
                "there is no catalog to register its table in",
            ));
        };
        let what = Written {
            schema: self.schema,
            keys: self.partition_by,
            location: self.location.unwrap_or_else(|| location_of(&self.path)),
            format: formats::in_catalog(&self.format)
                .ok_or_else(|| Error::node(&self.name, NO_TABLE))?,
            partitions,
        };
        report.table = Some(table.name());
        let fail = |e: tenon_catalog::Error| {
            let why = format!("the files are written, the table is not registered: {e}");
            Error::node(&self.name, why)
        };
        let published = table.published(&what).map_err(fail)?;
        report.published = Some(published.clone());
        register(catalog, published).await?.map_err(fail)?;
        Ok(report)
    }
}

/// Where files are, as the catalog says it.
fn location_of(path: &Path) -> String {
    if path.to_string_lossy().contains("://") {
        return path.to_string_lossy().into_owned();
    }
    let absolute = std::path::absolute(path);
    let absolute = absolute.as_deref().unwrap_or(path);
    absolute.to_string_lossy().into_owned()
}

async fn register(
    catalog: TenantCatalog,
    table: PublishedTable,
) -> Result<tenon_catalog::Result<()>> {
    let registered = tokio::task::spawn_blocking(move || catalog.publish(&[table])).await;
    registered.map_err(|e| Error::Io(e.to_string()))
}

const NO_TABLE: &str = "a table of files of this Format cannot be registered yet; of parquet, csv, json, avro and orc files it can";

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: i32) -> String {
        let source = std::io::Error::from_raw_os_error(code);
        let error = ConnectError::Io {
            action: "write",
            path: "out/part-00000-r.parquet".to_owned(),
            source,
        };
        let error = written("out", &error);
        format!("{error}\n{}", error.hint().unwrap_or("no hint"))
    }

    #[test]
    fn what_to_do_about_a_full_disk_is_said() {
        let cases = [
            (
                28,
                "No space left on device",
                "free some space there, or give the target another Path",
            ),
            (122, "quota exceeded", "free some of your quota there"),
            (27, "File too large", "files may not grow that large here"),
            (5, "error 5", "no hint"),
        ];
        for (code, what, remedy) in cases {
            let text = refused(code);
            let start = "node \"out\": cannot write out/part-00000-r.parquet: ";
            assert!(text.starts_with(start), "{text}");
            assert!(text.contains(what) && text.contains(remedy), "{text}");
        }
    }
}
