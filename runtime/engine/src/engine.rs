//! Running jobs and queries.
//!
//! ```text
//! Job ──plan──> one plan per target ──run──> staged files ──all succeeded──> commit, register
//!                                                          └─ one failed, or cancelled ──> nothing is left
//! ```

mod apply;
mod files;
mod look;
mod plan;
mod plugin_node;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::TableReference;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use tenon_catalog::TenantCatalog;
use tenon_connect::{ListedFile, Place};
use tenon_host::{Host, LimitSettings, Limits, Plugin};
use tenon_registry::{Registry, Resolved};
use tokio::sync::oneshot;

pub use self::look::NodeColumns;
use self::plan::{Planned, physical};
use self::plugin_node::missing_plugin;
use crate::bridge::{Bridge, MAX_PARTITIONS};
use crate::connections::{ConnectionProperties, Connections, Vault};
use crate::error::{Error, Result, plain_text};
use crate::grants::{Grant, origins};
use crate::graph::{Job, Node};
use crate::guest::{GrantedHttp, GuestNode, RunLog};
use crate::headroom::HeadroomPool;
use crate::limits::{Layers, LimitCaps, compose};
use crate::memory::{Held, MeteredPool, within};
use crate::node::Meter;
use crate::report::{NodeReport, PluginReport, RunReport, TargetReport, Usage};
use crate::session::{self, Scope};
use crate::spill::SpillFolder;
use crate::system::{SystemTable, WithSystem};
use crate::target::{Staged, TargetSpec};
use crate::transform::closest;
use crate::usage::{RunUsage, Used, peak_memory_bytes};

/// Settings of an [`Engine`].
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Memory that a run's operators and plugins may hold together, in bytes. Operators that can spill do so
    /// before it is exceeded. Default 4 GiB.
    pub memory_bytes: usize,
    /// Where operators and results that are read twice keep what does not fit into memory. The files have no
    /// names there, so that none is left. Default: the system's folder for temporary files.
    pub spill_folder: PathBuf,
    /// Bytes that a run may keep there. Default 100 GB.
    pub spill_bytes: u64,
    /// How many partitions run at once. Default: the machine's cores.
    pub partitions: usize,
    /// Limits of each plugin instance: the maximum that plugins, jobs and runs may lower.
    pub guest_limits: Limits,
    /// What lowers them for the tenant and for single plugins.
    pub limit_caps: LimitCaps,
    /// What plugins may reach outside. Default: nothing.
    pub grants: Vec<Grant>,
    /// What the plugins of a run are told about it. Default: nothing, the same for every run.
    pub run: tenon_host::Run,
    /// A target with at most this many rows is shown in the run's report. Default 20.
    pub preview_rows: usize,
    /// Whether rows and memory are counted for each node, and what the process uses; without, the report does not have
    /// them and errors at run time do not name their node. For finding out what it costs. Default true.
    pub is_metered: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        let partitions =
            std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Self {
            memory_bytes: 4 << 30,
            spill_folder: std::env::temp_dir(),
            spill_bytes: 100_000_000_000,
            partitions,
            run: tenon_host::Run::default(),
            guest_limits: Limits::default(),
            limit_caps: LimitCaps::default(),
            grants: Vec::new(),
            preview_rows: 20,
            is_metered: true,
        }
    }
}

/// What an engine works with. The catalog may be absent: then no table can be named or registered.
pub struct Engine {
    config: EngineConfig,
    host: Host,
    registry: Registry,
    place: Place,
    /// The catalog too.
    connections: Connections,
    system: Vec<SystemTable>,
    /// Rows that stand for nodes, by their ids.
    given: BTreeMap<String, RecordBatch>,
    loaded: Mutex<BTreeMap<String, Plugin>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// The progress of a run, readable while it runs.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    nodes: Arc<Mutex<Vec<NodeMeter>>>,
    publishing: Arc<AtomicBool>,
    gate: Arc<Mutex<Option<Gate>>>,
    log: Arc<Mutex<RunLog>>,
    usage: Arc<Mutex<Option<RunUsage>>>,
}

/// Where a run waits, its results complete and invisible, until it may make them visible.
#[derive(Debug)]
struct Gate {
    ready: oneshot::Sender<()>,
    go: oneshot::Receiver<()>,
}

/// The other side of a run that waits before it publishes, see [`Progress::gated`].
#[derive(Debug)]
pub struct Publication {
    /// Resolves when the results are complete.
    pub ready: oneshot::Receiver<()>,
    /// Lets them become visible; dropped, it cancels the run.
    pub go: oneshot::Sender<()>,
}

/// A node's id and its counter.
type NodeMeter = (String, Arc<Meter>);

impl Progress {
    /// For a run that asks before it makes its results visible.
    #[must_use]
    pub fn gated() -> (Self, Publication) {
        let ((ready, is_ready), (go, may_go)) = (oneshot::channel(), oneshot::channel());
        let gate = Gate { ready, go: may_go };
        let progress = Self {
            gate: Arc::new(Mutex::new(Some(gate))),
            ..Self::default()
        };
        let publication = Publication {
            ready: is_ready,
            go,
        };
        (progress, publication)
    }

    /// Waits at the gate, where there is one.
    async fn pass_gate(&self) -> Result<()> {
        let gate = self.gate.lock().take();
        let Some(gate) = gate else {
            return Ok(());
        };
        // Whoever does not listen any more does not let it go on either.
        let _ = gate.ready.send(());
        gate.go.await.map_err(|_| Error::Cancelled)
    }

    /// Rows that left each node so far, in the order in which the nodes were planned.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, u64)> {
        self.nodes
            .lock()
            .iter()
            .map(|(id, meter)| (id.clone(), meter.rows()))
            .collect()
    }

    /// What the run used so far of the process it runs in. It is there also when the run fails.
    #[must_use]
    pub fn used(&self) -> Used {
        let usage = self.usage.lock();
        usage.as_ref().map(RunUsage::so_far).unwrap_or_default()
    }

    /// What plugins have logged so far: node, level, message. It is there also when the run fails.
    #[must_use]
    pub fn log(&self) -> Vec<(String, &'static str, String)> {
        self.log_after(0)
    }

    /// The same without so many lines that came first.
    #[must_use]
    pub fn log_after(&self, seen: usize) -> Vec<(String, &'static str, String)> {
        let lines = self.log.lock().lines_after(seen).into_iter();
        lines
            .map(|(node, line)| (node.to_string(), line.level, line.message))
            .collect()
    }

    /// Whether the run is past the point where it can be cancelled: its results are being made visible.
    #[must_use]
    pub fn is_publishing(&self) -> bool {
        self.publishing.load(Ordering::SeqCst)
    }
}

/// Whether a source, named by its node's id, is to read a file.
pub type IsNew = Arc<dyn Fn(&str, &ListedFile) -> bool + Send + Sync>;

/// What a query may write in front of a database.
const CATALOG: &str = "tenon";

/// The database of tables that are named without one.
const DATABASE: &str = "default";

impl Engine {
    /// Puts an engine together. `place` is where relative paths and locations of tables are looked up.
    #[must_use]
    pub fn new(
        config: EngineConfig,
        host: Host,
        registry: Registry,
        catalog: Option<TenantCatalog>,
        place: Place,
    ) -> Self {
        Self {
            config,
            host,
            registry,
            connections: Connections {
                catalog,
                ..Connections::default()
            },
            place,
            system: Vec::new(),
            given: BTreeMap::new(),
            loaded: Mutex::default(),
        }
    }

    /// The same with what opens the secrets of the catalog's connections; without, none that has a secret can be used.
    #[must_use]
    pub fn with_vault(mut self, vault: Arc<dyn Vault>) -> Self {
        self.connections.vault = Some(vault);
        self
    }

    /// The same with connections by name, which are not looked up in the catalog.
    #[must_use]
    pub fn with_connections(mut self, given: BTreeMap<String, ConnectionProperties>) -> Self {
        self.connections.given = Arc::new(given);
        self
    }

    /// The same with tables about the system, which queries find as `system.<name>`.
    #[must_use]
    pub fn with_system(self, system: Vec<SystemTable>) -> Self {
        Self { system, ..self }
    }

    /// The same with rows that stand for nodes of its jobs, by the nodes' ids: what these nodes say is not looked at.
    #[must_use]
    pub fn with_given(self, given: BTreeMap<String, RecordBatch>) -> Self {
        Self { given, ..self }
    }

    /// Runs a job to its end. `run` names the run: letters, digits, `-` and `_`.
    ///
    /// When the future is dropped, whatever was staged is removed; that is how a run is cancelled. Do not drop
    /// it once [`Progress::is_publishing`]: some targets would be published and others not.
    ///
    /// # Errors
    /// The first thing that went wrong, naming its node. Nothing is written or registered then.
    pub async fn run(&self, job: &Job, run: &str, progress: &Progress) -> Result<RunReport> {
        self.run_or_add(job, run, progress, None).await
    }

    /// The same for what is new: sources of files read those that `is_new` says, and targets get the results beside what
    /// earlier runs wrote. The report says which files were read. A run that was cut off while it published is repeated
    /// under the same name: its files take the place of those that it left.
    ///
    /// # Errors
    /// As for [`Self::run`]; a job for which [`Self::check`] says that it cannot run so.
    pub async fn run_new(
        &self,
        job: &Job,
        run: &str,
        progress: &Progress,
        is_new: IsNew,
    ) -> Result<RunReport> {
        self.run_or_add(job, run, progress, Some(is_new)).await
    }

    async fn run_or_add(
        &self,
        job: &Job,
        run: &str,
        progress: &Progress,
        is_new: Option<IsNew>,
    ) -> Result<RunReport> {
        if !self.config.is_metered {
            return self.run_measured(job, run, progress, is_new).await;
        }
        let usage = RunUsage::begin();
        *progress.usage.lock() = Some(usage.clone());
        usage
            .during(self.run_measured(job, run, progress, is_new))
            .await
    }

    async fn run_measured(
        &self,
        job: &Job,
        run: &str,
        progress: &Progress,
        is_new: Option<IsNew>,
    ) -> Result<RunReport> {
        let started = Instant::now();
        if is_new.is_some() {
            self.check(job, true)?;
        }
        let planned = self.plan(job, progress, is_new).await?;
        let mut usage = Usage::default();
        planned.add_usage(&mut usage);
        let nothing_new = planned.has_nothing_new();
        let (mut targets, mut staged) = (Vec::new(), Vec::with_capacity(planned.targets.len()));
        for (id, spec, plan) in &planned.targets {
            if nothing_new && !spec.makes_table() {
                targets.push(self.untouched(&planned, id, spec, run)?);
                continue;
            }
            let (output, physical) = self.stage(&planned, id, spec, plan, run).await?;
            usage.add(id, &physical);
            staged.push(output);
        }
        for sample in planned.samples.iter().filter(|_| !nothing_new) {
            staged.push(self.stage_sample(&planned, sample, run).await?);
        }
        staged.extend(self.stage_quarantines(&planned.places, run).await?);
        targets.extend(self.publish(staged, progress).await?);
        Ok(RunReport {
            job: job.name.clone(),
            run: run.to_owned(),
            nodes: node_reports(job, &planned, &usage, &targets)?,
            targets,
            read: planned.read,
            elapsed: started.elapsed(),
            peak_memory_bytes: peak_memory_bytes(),
            used: progress.used(),
            log: progress.log(),
        })
    }

    /// The physical plans of a job's targets, as text.
    ///
    /// # Errors
    /// As for [`Self::run`], as far as they show before anything runs.
    pub async fn explain(&self, job: &Job) -> Result<String> {
        let planned = self.plan(job, &Progress::default(), None).await?;
        let mut text = String::new();
        for (id, _, plan) in &planned.targets {
            let physical = physical(&planned.context, id, plan).await?;
            text += &format!(
                "{id}\n{}",
                datafusion::physical_plan::displayable(physical.as_ref()).indent(false)
            );
        }
        Ok(text)
    }

    /// Runs one query over the catalog; tables are `database.table`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a table that is not there, [`Error::Definition`] for text that is no query or a
    /// wrong one. The stream fails when the query does.
    pub async fn sql(&self, query: &str) -> Result<SendableRecordBatchStream> {
        let context = self.session()?;
        let bridge = self
            .connections
            .catalog
            .as_ref()
            .map(|catalog| Arc::new(Bridge::new(catalog.clone(), self.place.clone())));
        let databases = bridge.clone().map(|bridge| bridge as _);
        let tables = self.system.clone();
        context.register_catalog(CATALOG, Arc::new(WithSystem { databases, tables }));
        let scope = Scope::of(&context);
        self.add_functions(&context, query, "query", &scope).await?;
        let options = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(true);
        let frame = context.sql_with_options(query, options).await;
        let frame = frame.map_err(|e| {
            let missing = missing_table(&context, query);
            let missing = missing.zip(bridge.as_ref());
            missing.map_or_else(
                || Error::Definition(plain_text(&e)),
                |(table, bridge)| no_table(&table, bridge),
            )
        })?;
        let stream = frame.execute_stream().await;
        let stream = stream.map_err(|e| Error::Query(plain_text(&e)))?;
        let (schema, cancels) = (stream.schema(), scope.cancellation.guard());
        // The guard lives as long as somebody reads.
        let guarded = stream.inspect(move |_| {
            let _ = &cancels;
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, guarded)))
    }

    /// Resolves and loads a plugin: `tenon:find-matches@1`.
    ///
    /// # Errors
    /// There is no such plugin or version, its file was changed before it was first compiled, or it cannot be loaded.
    pub async fn plugin(&self, reference: &str) -> Result<(Resolved, Plugin)> {
        let resolved = self.registry.resolve(reference).map_err(Error::not_found)?;
        let digest = resolved.digest.hex();
        if let Some(plugin) = self.loaded.lock().get(&digest) {
            return Ok((resolved, plugin.clone()));
        }
        let plugin = self.load(reference, &resolved).await?;
        self.loaded.lock().insert(digest, plugin.clone());
        Ok((resolved, plugin))
    }

    /// Loads a plugin; its bytes are read when it was not compiled before.
    async fn load(&self, reference: &str, resolved: &Resolved) -> Result<Plugin> {
        let fail = |e: tenon_host::Error| Error::Definition(format!("plugin {reference}: {e}"));
        let (host, digest) = (self.host.clone(), resolved.digest.hex());
        let compiled = tokio::task::spawn_blocking(move || host.load_compiled(&digest)).await;
        let compiled = compiled.map_err(|e| Error::Io(e.to_string()))?;
        if let Some(plugin) = compiled.map_err(fail)? {
            return Ok(plugin);
        }
        let bytes = self.registry.load(resolved);
        let bytes = bytes.map_err(|e| Error::Io(e.to_string()))?;
        let host = self.host.clone();
        let loaded = tokio::task::spawn_blocking(move || host.load(&bytes)).await;
        loaded.map_err(|e| Error::Io(e.to_string()))?.map_err(fail)
    }

    fn session(&self) -> Result<SessionContext> {
        session_of(&self.config)
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// A plugin for a node or a query.
    pub(crate) async fn guest(
        &self,
        reference: &str,
        node: &str,
        scope: &Scope,
    ) -> Result<GuestNode> {
        let guest = self.guest_of(reference, node, scope).await?;
        Ok(guest.0)
    }

    /// The same with what the report says about it.
    async fn guest_of(
        &self,
        reference: &str,
        node: &str,
        scope: &Scope,
    ) -> Result<(GuestNode, PluginReport)> {
        let (resolved, plugin) = self.plugin(reference).await?;
        let report = self.plugin_report(&scope.job_limits, &scope.run_limits, &resolved)?;
        let origins = origins(&self.config.grants, &resolved);
        let http = GrantedHttp::new(resolved.name.as_ref(), origins);
        let guest = GuestNode {
            node: node.into(),
            reference: report.reference.as_str().into(),
            plugin: plugin.in_run(self.config.run).with_http(Arc::new(http)),
            limits: report.limits.limits.clone(),
            log: scope.log.clone(),
            pool: Arc::clone(&scope.pool),
            cancellation: scope.cancellation.clone(),
        };
        Ok((guest, report))
    }

    fn plugin_report(
        &self,
        job: &LimitSettings,
        run: &LimitSettings,
        resolved: &Resolved,
    ) -> Result<PluginReport> {
        let caps = &self.config.limit_caps;
        let limits = compose(
            &self.config.guest_limits,
            Layers { caps, job, run },
            resolved,
        )?;
        Ok(PluginReport {
            reference: format!("{}@{}", resolved.name, resolved.version),
            digest: resolved.digest.to_string(),
            limits,
        })
    }

    /// Checks what can be checked of a job without its data: its graph, its targets, its plugins; with `for_new` also
    /// whether it can run by [`Self::run_new`].
    ///
    /// # Errors
    /// The first thing that is wrong, naming its node.
    pub fn check(&self, job: &Job, for_new: bool) -> Result<()> {
        for id in job.order()? {
            let node = &job.nodes[id];
            let target = TargetSpec::of_files(node, job)?;
            if for_new && !self.given.contains_key(id) {
                crate::source::check_for_new(node, job)?;
                target.map_or(Ok(()), |target| target.check_for_new())?;
                if let Node::Spigot(spigot) = node {
                    let path = job.path(&spigot.path);
                    TargetSpec::of_sample(&spigot.name, path).check_for_new()?;
                }
            }
        }
        self.limits(job).map(drop)
    }

    /// What the plugins of a job would be held to, node by node, without running or loading anything.
    ///
    /// # Errors
    /// A plugin is not there, or the job or the run asks for more than it can have.
    pub fn limits(&self, job: &Job) -> Result<Vec<(String, PluginReport)>> {
        let mut limits = Vec::new();
        for id in job.order()? {
            let node = &job.nodes[id];
            let Some(plugin) = node.plugin() else {
                continue;
            };
            let resolved = self.registry.resolve(plugin).map_err(Error::not_found);
            let resolved = resolved.map_err(|e| missing_plugin(e, node.name()))?;
            let report = self.plugin_report(&job.limits, &job.run_limits, &resolved);
            limits.push((id.to_owned(), report.map_err(|e| e.at(node.name()))?));
        }
        Ok(limits)
    }

    /// Makes all targets visible, once all of them are on disk.
    async fn publish(&self, staged: Vec<Staged>, progress: &Progress) -> Result<Vec<TargetReport>> {
        check_partitions(&staged)?;
        let mut durable = Vec::with_capacity(staged.len());
        for output in staged {
            durable.push(output.sync().await?);
        }
        progress.pass_gate().await?;
        progress.publishing.store(true, Ordering::SeqCst);
        let mut targets = Vec::with_capacity(durable.len());
        for output in durable {
            targets.push(output.commit(self.connections.catalog.as_ref()).await?);
        }
        Ok(targets)
    }

    /// What is said of a target that gets nothing, since no source has anything new.
    fn untouched(
        &self,
        planned: &Planned,
        id: &str,
        spec: &TargetSpec,
        run: &str,
    ) -> Result<TargetReport> {
        // Opened all the same: what runs left there that were killed goes.
        drop(spec.open(planned.places.of(id).unwrap_or(&self.place), run)?);
        planned.note(
            spec.name(),
            "writes nothing, since no source has anything new".to_owned(),
        );
        Ok(spec.untouched(id))
    }

    /// Runs the plan of one target into staged files.
    async fn stage(
        &self,
        planned: &Planned,
        id: &str,
        spec: &TargetSpec,
        plan: &LogicalPlan,
        run: &str,
    ) -> Result<(Staged, Arc<dyn ExecutionPlan>)> {
        let physical = physical(&planned.context, id, plan).await?;
        let sink = spec.open(planned.places.of(id).unwrap_or(&self.place), run)?;
        let physical = spec.arranged(&sink, physical)?;
        let task = planned.context.task_ctx();
        let mut partitions = Vec::new();
        for partition in 0..physical.output_partitioning().partition_count() {
            let stream = within(&id.into(), || {
                physical.execute(partition, Arc::clone(&task))
            });
            partitions.push(stream.map_err(|e| Error::of_datafusion(id, &e))?);
        }
        let staged = spec
            .stage(
                id,
                sink,
                physical.schema(),
                partitions,
                self.config.preview_rows,
            )
            .await?;
        Ok((staged, physical))
    }
}

/// Refuses more partitions than one transaction of the catalog takes, which are no more than one query can read.
fn check_partitions(staged: &[Staged]) -> Result<()> {
    let mut partitions = 0;
    for output in staged {
        partitions += output.registered_partitions();
        if partitions > MAX_PARTITIONS {
            return Err(Error::node(
                output.node(),
                format!(
                    "PartitionKeys: the run has rows for more than {MAX_PARTITIONS} partitions of tables; partition by fewer \
                     columns, or by one with fewer values"
                ),
            ));
        }
    }
    Ok(())
}

/// A session in which a run of these settings happens.
pub(crate) fn session_of(settings: &EngineConfig) -> Result<SessionContext> {
    let fail = |e: DataFusionError| Error::Io(plain_text(&e));
    let pool: Arc<dyn MemoryPool> = match settings.is_metered {
        true => Arc::new(MeteredPool::new(settings.memory_bytes)),
        false => Arc::new(HeadroomPool::new(settings.memory_bytes)),
    };
    let folder = SpillFolder::new(settings.spill_folder.clone(), settings.spill_bytes);
    let disk = DiskManagerMode::Custom(Arc::new(folder));
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(pool)
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(disk))
        .build_arc()
        .map_err(fail)?;
    let mut config = SessionConfig::new()
        .with_target_partitions(settings.partitions)
        .with_default_catalog_and_schema(CATALOG, DATABASE)
        .with_information_schema(true);
    let execution = &mut config.options_mut().execution;
    // Each sort of each partition holds this much back from the start; in a small pool that would be all.
    let share = settings.memory_bytes / (8 * settings.partitions.max(1));
    execution.sort_spill_reservation_bytes = execution.sort_spill_reservation_bytes.min(share);
    execution.parquet.schema_force_view_types = false;
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    Ok(session::context(config, runtime))
}

/// The first table that a query names and that is not there, as the query names it.
fn missing_table(context: &SessionContext, query: &str) -> Option<String> {
    let state = context.state();
    let dialect = datafusion::common::config::Dialect::Generic;
    let statement = state.sql_to_statement(query, &dialect).ok()?;
    let named = state.resolve_table_references(&statement).ok()?;
    let exists = |table: &TableReference| {
        let schema = state.schema_for_ref(table.clone());
        schema.is_ok_and(|schema| schema.table_exist(table.table()))
    };
    let missing = named.into_iter().find(|table| !exists(table))?;
    Some(missing.to_string())
}

/// The error of a table that is not there, with the names of those that are nearest.
fn no_table(name: &str, bridge: &Bridge) -> Error {
    let known = bridge.tables();
    let bare = name.strip_prefix(&format!("{CATALOG}.")).unwrap_or(name);
    let hint = match near(bare, &known).as_slice() {
        [] if known.is_empty() => {
            "the catalog is empty: `tenon run JOB` registers what it writes".to_owned()
        }
        [] => "see what there is: `tenon catalog ls`".to_owned(),
        names => format!("did you mean {}?", names.join(" or ")),
    };
    Error::not_found(format!("there is no table {name}")).or_hint(Some(hint))
}

/// Known tables that somebody who wrote `name` may have meant: the same table in another database, else the
/// one that is spelled most like it.
fn near<'a>(name: &str, known: &'a [String]) -> Vec<&'a str> {
    let table_of = |name: &'a str| name.rsplit_once('.').map_or(name, |(_, table)| table);
    let wanted = name.rsplit_once('.').map_or(name, |(_, table)| table);
    let same = known
        .iter()
        .map(String::as_str)
        .filter(|known| table_of(known).eq_ignore_ascii_case(wanted));
    let same: Vec<&str> = same.take(3).collect();
    if !same.is_empty() {
        return same;
    }
    let full: Vec<&str> = known.iter().map(String::as_str).collect();
    if let Some(near) = closest(name, &full) {
        return vec![near];
    }
    let tables: Vec<&str> = full.iter().map(|known| table_of(known)).collect();
    let nearest = closest(wanted, &tables);
    full.into_iter()
        .filter(|known| Some(table_of(known)) == nearest)
        .take(1)
        .collect()
}

fn node_reports(
    job: &Job,
    planned: &Planned,
    usage: &Usage,
    targets: &[TargetReport],
) -> Result<Vec<NodeReport>> {
    let written = |id: &str| {
        targets
            .iter()
            .find(|target| target.id == id && !target.is_quarantine)
            .map_or(0, |target| target.rows)
    };
    let rows = |id: &str| {
        planned
            .meters
            .get(id)
            .map_or_else(|| written(id), |meter| meter.rows())
    };
    let rows_in = |id: &str, node: &Node| match node {
        // Of several outputs it reads one, and passes it on.
        Node::SelectFromCollection(_) => rows(id),
        _ => node.inputs().iter().map(|input| rows(input)).sum(),
    };
    let held = held(&planned.context);
    let report = |id: &str| {
        let node = &job.nodes[id];
        let used = usage.of(id);
        let traffic = planned
            .places
            .of(id)
            .map(Place::traffic)
            .unwrap_or_default();
        let memory = held.get(id).copied().unwrap_or_default();
        NodeReport {
            id: id.to_owned(),
            kind: node.kind(),
            is_source: node.inputs().is_empty(),
            rows_in: rows_in(id, node),
            rows_out: rows(id),
            bytes_read: match node.inputs().is_empty() {
                true => traffic.read_bytes + traffic.received_bytes,
                false => 0,
            },
            cpu: used.cpu + traffic.encoding,
            memory_bytes: memory.peak_bytes,
            memory_byte_seconds: memory.byte_seconds,
            spilled_bytes: used.spilled_bytes,
            rows_dropped: used.rows_dropped,
            rows_quarantined: used.rows_quarantined,
            retries: traffic.retries,
            plugin: planned.plugins.get(id).cloned(),
            guest: used.guest,
        }
    };
    Ok(job.order()?.into_iter().map(report).collect())
}

/// What each node held of the session's memory.
fn held(context: &SessionContext) -> BTreeMap<String, Held> {
    let runtime = context.runtime_env();
    let pool = runtime.memory_pool.downcast_ref::<MeteredPool>();
    pool.map(MeteredPool::held).unwrap_or_default()
}

/// The first rows of a stream, and whether there are more.
///
/// # Errors
/// The query fails.
pub async fn first_rows(
    mut stream: SendableRecordBatchStream,
    limit: usize,
) -> Result<(Vec<RecordBatch>, bool)> {
    let (mut batches, mut rows) = (vec![RecordBatch::new_empty(stream.schema())], 0);
    while let Some(batch) = stream
        .try_next()
        .await
        .map_err(|e| Error::Query(plain_text(&e)))?
    {
        let wanted = batch.num_rows().min(limit - rows);
        rows += wanted;
        batches.push(batch.slice(0, wanted));
        if wanted < batch.num_rows() {
            return Ok((batches, true));
        }
    }
    Ok((batches, false))
}
