//! `tenon run-worker`: the process that runs one job for a server. The server starts it, see `job_runner`; people never
//! do, so it is not in the help.
//!
//! ```text
//! stdin   one line: Order      then `publish` or `cancel`; its end means that the server is gone
//! stdout  lines: Said
//! ```
//!
//! **Chosen: a process of its own.** What tenants keep in files is parsed by code that may panic, abort or ask for all
//! memory there is: that ends this process and no other. It opens files below one folder only, which the kernel sees to
//! where it can (`wall`), has no environment, and ends with the server. It never sees the server's
//! store: the tables that the job reads come with the order, and those that it writes go back with the result.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Resource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tenon_catalog::{
    Catalog, DatabaseInput, Partition, PartitionInput, PublishedTable, Table, TenantCatalog,
};
use tenon_connect::{ListedFile, Place, Reach};
use tenon_engine::{
    ConnectionProperties, Engine, EngineConfig, IsNew, Job, NodeReport, Progress, Publication,
    RunReport,
};
use tenon_jobs::{
    Given, Learned, LogLine, NodeBookmark, NodeMetrics, PluginMetrics, Problem, RunMetrics,
    SeenFile, TaskWork,
};
use tenon_store::{Clock, SledStore, StoreConfig, SystemClock, Tenant};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::child;
use super::ml_task;
use super::setup::{self, Resources};
use super::wall::Wall;
use crate::error::{Explain, Failure};
use crate::shell::Shell;

/// How the command is called.
pub(crate) const NAME: &str = "run-worker";

/// The folder of a job that has no files of this machine, in that of the process.
const EMPTY: &str = "empty";

/// How often the server is told how far the run is.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// How long files of a cancelled run may take to be removed.
const CLEAN_UP: Duration = Duration::from_millis(400);

/// Memory beside what operators may hold: the program, its threads, files that are read.
const SPARE_BYTES: u64 = 4 << 30;

/// Partitions that are created in one transaction of the run's own catalog.
const PARTITIONS_AT_ONCE: usize = 100;

/// What each source has read, by its node's id.
type Bookmarks = BTreeMap<String, NodeBookmark>;

/// What is to be run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Names files that are written.
    pub(crate) output: String,
    /// Whose limits hold.
    pub(crate) tenant: u32,
    /// The graph, with paths below the root.
    pub(crate) job: Job,
    /// The folder below which all files of this machine lie, if any do.
    pub(crate) root: Option<PathBuf>,
    /// Tables that it reads and writes to.
    pub(crate) tables: Vec<OrderedTable>,
    /// What its connections say, by name.
    pub(crate) connections: BTreeMap<String, ConnectionProperties>,
    /// Networks, beside public ones, that those may lead to.
    pub(crate) reachable: Vec<String>,
    /// What its sources have read, when it reads only what is new.
    pub(crate) bookmarks: Option<Bookmarks>,
    /// Memory that operators and plugins may hold.
    pub(crate) memory_bytes: u64,
    /// What may be kept on disk because memory is short.
    pub(crate) spill_bytes: u64,
    /// Partitions that are worked on at once.
    pub(crate) partitions: usize,
    /// Rows that stand for nodes.
    pub(crate) given: BTreeMap<String, Given>,
    /// What is done instead of writing what targets say.
    pub(crate) work: Option<TaskWork>,
}

/// A table with locations below the root.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OrderedTable {
    pub(crate) database: String,
    pub(crate) table: Table,
    /// All of them, where it has partition keys and is read.
    pub(crate) partitions: Vec<Partition>,
}

/// What happens.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    /// It runs.
    Started,
    /// How far it is.
    Progress(RunMetrics),
    /// Results are complete and invisible.
    Ready,
    /// They are visible.
    Succeeded {
        /// What each node did.
        metrics: RunMetrics,
        /// Tables that are to be registered, with their partitions.
        tables: Vec<PublishedTable>,
        /// What was read, of a run that reads only what is new.
        read: Bookmarks,
        /// What a task run found out.
        learned: Option<Box<Learned>>,
    },
    /// What plugins said since the last time.
    Log(Vec<LogLine>),
    /// Nothing was published.
    Failed(Problem),
    /// Nothing was published, as was asked.
    Cancelled,
}

/// A word of the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Word {
    /// Results may be made visible.
    Publish,
    /// Nothing is wanted any more.
    Cancel,
}

/// Arguments of `tenon run-worker`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A folder of this process's own. The server removes it.
    folder: PathBuf,
}

/// Runs what the order on standard input says.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    // What every run needs is there before the order comes.
    let registry = crate::plugin::open_registry(shell)?;
    let host = setup::host(shell)?;
    let catalog = own_catalog(&args.folder)?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    if line.is_empty() {
        // The server did not need it.
        return Ok(());
    }
    let order: Order = serde_json::from_str(&line)
        .what(|| "this command is for tenon itself: standard input holds no order")?;
    confine(order.memory_bytes).what(|| "cannot lower the limits of this process")?;
    // Relative locations of tables that are registered begin here.
    let root = match &order.root {
        Some(root) => root.clone(),
        None => args.folder.join(EMPTY),
    };
    if order.root.is_none() {
        std::fs::create_dir(&root)?;
    }
    std::env::set_current_dir(&root)?;
    let config = EngineConfig {
        memory_bytes: usize::try_from(order.memory_bytes).unwrap_or(usize::MAX),
        spill_bytes: order.spill_bytes,
        partitions: order.partitions,
        ..setup::config_of(shell, &Resources::default(), order.tenant)?
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let wall = wall(shell, &order, &config, &[&root, &args.folder])?;
    wall.raise().what(|| "cannot confine this process")?;
    // Its threads are behind the wall: they begin after it.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()?;
    fill(&catalog, &order.tables)?;
    let place = Place::rooted(&root)?.with_reach(reach(&order)?);
    let engine = Engine::new(config, host, registry, Some(catalog.clone()), place.clone())
        .with_connections(order.connections.clone())
        .with_given(ml_task::rows(&order.given)?);
    let words = listen();
    say(&Said::Started)?;
    let (progress, publication) = Progress::gated();
    let heard = Cell::new(0);
    let running = Running {
        engine,
        order: &order,
        progress: &progress,
        heard: &heard,
    };
    let said = runtime.block_on(running.see_through(&place, publication, words));
    runtime.shutdown_timeout(CLEAN_UP);
    tell_log(&progress, &heard)?;
    say(&said)
}

/// Tells what plugins said since the last time.
fn tell_log(progress: &Progress, heard: &Cell<usize>) -> Result<(), Failure> {
    let time_unix_millis = unix_millis(SystemClock.now());
    let log = progress.log_after(heard.get()).into_iter();
    let log = log.map(|(node, level, message)| LogLine {
        node,
        level: level.to_owned(),
        message,
        time_unix_millis,
    });
    let log: Vec<_> = log.collect();
    if log.is_empty() {
        return Ok(());
    }
    heard.set(heard.get() + log.len());
    say(&Said::Log(log))
}

fn unix_millis(time: SystemTime) -> u64 {
    let age = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

/// Where connections may lead. Without one nothing is reached.
fn reach(order: &Order) -> Result<Reach, Failure> {
    if order.connections.is_empty() {
        return Ok(Reach::nowhere());
    }
    let mut networks = order.reachable.iter();
    networks.try_fold(Reach::public(), |reach, network| {
        let network = network.parse().map_err(Failure::new)?;
        Ok(reach.allow(network))
    })
}

/// A run that is under way.
struct Running<'a> {
    engine: Engine,
    order: &'a Order,
    progress: &'a Progress,
    /// Lines of plugins that were told.
    heard: &'a Cell<usize>,
}

impl Running<'_> {
    /// Runs the job while telling how far it is and doing what the server says.
    async fn see_through(
        self,
        place: &Place,
        publication: Publication,
        mut words: UnboundedReceiver<Word>,
    ) -> Said {
        let Publication { mut ready, go } = publication;
        let (mut go, mut is_ready) = (Some(go), false);
        let (progress, heard) = (self.progress, self.heard);
        let mut work = std::pin::pin!(self.work(place));
        let mut tick = tokio::time::interval(TELL_EVERY);
        loop {
            tokio::select! {
                said = &mut work => return said,
                _ = &mut ready, if !is_ready => {
                    is_ready = true;
                    let _ = say(&Said::Ready);
                }
                word = words.recv() => match word {
                    Some(Word::Publish) => drop(go.take().map(|go| go.send(()))),
                    Some(Word::Cancel) if !progress.is_publishing() => return Said::Cancelled,
                    // When the server is gone the thread that listens ends the process.
                    Some(Word::Cancel) | None => {}
                },
                _ = tick.tick() => {
                    let _ = say(&Said::Progress(so_far(progress)));
                    let _ = tell_log(progress, heard);
                }
            }
        }
    }

    /// Does what is ordered, and says what came of it.
    async fn work(self, place: &Place) -> Said {
        if let Some(work) = &self.order.work {
            let learned = ml_task::learn(self.engine, &self.order.job, work, place, self.progress);
            return match learned.await {
                Ok(learned) => Said::Succeeded {
                    metrics: so_far(self.progress),
                    tables: Vec::new(),
                    read: Bookmarks::new(),
                    learned: Some(Box::new(learned)),
                },
                Err(problem) => Said::Failed(problem),
            };
        }
        match self.write().await {
            Ok(report) => succeeded(&report),
            Err(error) => Said::Failed(Problem::new(error.to_string(), error.remedy())),
        }
    }

    async fn write(&self) -> tenon_engine::Result<RunReport> {
        let (job, output) = (&self.order.job, &self.order.output);
        let Some(bookmarks) = self.order.bookmarks.clone() else {
            return self.engine.run(job, output, self.progress).await;
        };
        let is_new: IsNew = Arc::new(move |node, file| {
            let (path, seen) = seen(file);
            let bookmark = bookmarks.get(node);
            bookmark.is_none_or(|bookmark| bookmark.is_new(&path, &seen))
        });
        self.engine
            .run_new(job, output, self.progress, is_new)
            .await
    }
}

/// A file as bookmarks know it.
fn seen(file: &ListedFile) -> (String, SeenFile) {
    let seen = SeenFile {
        size: file.size,
        etag: file.etag.clone(),
        modified_millis: unix_millis(file.modified),
    };
    (file.path.clone(), seen)
}

/// Rows that left each node, and what the run used.
fn so_far(progress: &Progress) -> RunMetrics {
    let nodes = progress.rows().into_iter();
    let nodes = nodes.map(|(node, rows_out)| NodeMetrics {
        node,
        rows_out,
        ..NodeMetrics::default()
    });
    let used = progress.used();
    RunMetrics {
        nodes: nodes.collect(),
        cpu_micros: micros(used.cpu),
        memory_byte_seconds: used.memory_byte_seconds,
        ..RunMetrics::default()
    }
}

fn succeeded(report: &RunReport) -> Said {
    let tables = report.targets.iter();
    Said::Succeeded {
        metrics: metrics(report),
        tables: tables
            .filter_map(|target| target.published.clone())
            .collect(),
        read: read(report),
        learned: None,
    }
}

fn metrics(report: &RunReport) -> RunMetrics {
    let written = |id: &str| {
        let mut targets = report
            .targets
            .iter()
            .filter(|target| target.id == id && !target.is_quarantine);
        targets.next().map(|target| target.bytes)
    };
    let nodes = report.nodes.iter();
    let nodes = nodes.map(|node| NodeMetrics {
        bytes_written: written(&node.id),
        ..of_node(node)
    });
    RunMetrics {
        nodes: nodes.collect(),
        peak_memory_bytes: report.peak_memory_bytes,
        cpu_micros: micros(report.used.cpu),
        memory_byte_seconds: report.used.memory_byte_seconds,
        spilled_bytes: report.nodes.iter().map(|node| node.spilled_bytes).sum(),
        cost: None,
    }
}

fn of_node(node: &NodeReport) -> NodeMetrics {
    let used = node.guest.unwrap_or_default();
    let plugin = node.plugin.as_ref().map(|plugin| PluginMetrics {
        name: plugin.reference.clone(),
        digest: plugin.digest.clone(),
        cpu_micros: micros(used.cpu),
        calls: used.calls,
        sent_bytes: used.bytes_sent,
        received_bytes: used.bytes_received,
        memory_bytes: used.memory_bytes,
    });
    NodeMetrics {
        node: node.id.clone(),
        kind: node.kind.to_owned(),
        rows_in: node.rows_in,
        rows_out: node.rows_out,
        rows_dropped: node.rows_dropped,
        rows_quarantined: node.rows_quarantined,
        retries: node.retries,
        bytes_read: node.is_source.then_some(node.bytes_read),
        bytes_written: None,
        cpu_micros: micros(node.cpu),
        memory_bytes: node.memory_bytes,
        memory_byte_seconds: node.memory_byte_seconds,
        spilled_bytes: node.spilled_bytes,
        cost: None,
        plugin,
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The files that were read, as bookmarks.
fn read(report: &RunReport) -> Bookmarks {
    let nodes = report.read.iter();
    let nodes = nodes.map(|(node, files)| {
        let mut bookmark = NodeBookmark::default();
        for file in files {
            let (path, seen) = seen(file);
            bookmark.add(path, seen);
        }
        (node.clone(), bookmark)
    });
    nodes.collect()
}

/// A definition without what the catalog itself says of it: both are written with the same members.
fn input_of<I: DeserializeOwned>(stored: &impl Serialize) -> Result<I, Failure> {
    Ok(serde_json::from_value(serde_json::to_value(stored)?)?)
}

/// A catalog for this run alone.
fn own_catalog(folder: &Path) -> Result<TenantCatalog, Failure> {
    let config = StoreConfig {
        segment_bytes: 1 << 20,
        ..StoreConfig::default()
    };
    let store = SledStore::open(&folder.join("store"), &config, &SystemClock)?;
    Ok(Catalog::open(Arc::new(store), Arc::new(SystemClock)).tenant(Tenant::new(1)))
}

fn fill(catalog: &TenantCatalog, tables: &[OrderedTable]) -> Result<(), Failure> {
    for ordered in tables {
        let (database, table) = (&ordered.database, &ordered.table);
        let input = DatabaseInput {
            name: database.clone(),
            ..DatabaseInput::default()
        };
        unless_there(catalog.create_database(input))?;
        // Two nodes may read the same table.
        if !unless_there(catalog.create_table(database, input_of(table)?))? {
            continue;
        }
        for some in ordered.partitions.chunks(PARTITIONS_AT_ONCE) {
            let inputs: Result<Vec<PartitionInput>, Failure> = some.iter().map(input_of).collect();
            let outcomes = catalog.create_partitions(database, &table.name, inputs?)?;
            outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
        }
    }
    Ok(())
}

/// Whether something was created, and not there already.
fn unless_there<T>(created: tenon_catalog::Result<T>) -> Result<bool, Failure> {
    match created {
        Ok(_) => Ok(true),
        Err(tenon_catalog::Error::AlreadyExists { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Reads what the server says. When it says nothing more it is gone, and so is this process.
fn listen() -> UnboundedReceiver<Word> {
    let (words, heard) = unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let word = line.ok().and_then(|line| serde_json::from_str(&line).ok());
            let _ = word.map(|word| words.send(word));
        }
        std::process::exit(1);
    });
    heard
}

fn say(said: &Said) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer(&mut stdout, said)?;
    stdout.write_all(b"\n")?;
    Ok(stdout.flush()?)
}

/// What the process may open: the folders, the scratch folder, and what plugins are made of; the network where something
/// of it was granted.
fn wall(
    shell: &Shell,
    order: &Order,
    config: &EngineConfig,
    folders: &[&Path],
) -> Result<Wall, Failure> {
    let data = std::path::absolute(shell.data()?)?;
    let wall = Wall::new()
        .reads(&data.join("registry"))
        .writes(&data.join("compiled"))
        .writes(&std::env::temp_dir())
        .runs_itself();
    let wall = folders
        .iter()
        .fold(wall, |wall, folder| wall.writes(folder));
    Ok(
        match order.connections.is_empty() && config.grants.is_empty() {
            true => wall,
            false => wall.connects(),
        },
    )
}

/// Address space is not limited, since the sandbox reserves more of it than there is memory.
fn confine(memory_bytes: u64) -> rustix::io::Result<()> {
    child::lower(Resource::Core, 0)?;
    child::lower(Resource::Data, memory_bytes.saturating_add(SPARE_BYTES))
}
