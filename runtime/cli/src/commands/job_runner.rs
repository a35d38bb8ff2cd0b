//! [`ProcessRunner`]: runs jobs of a server in [`run_worker`] processes, below the folders that the operator granted.
//!
//! ```text
//! scheduler ── RunRequest ── thread of the run: Order ── worker process, one that was idle
//!           <── Report ────────────────────────── Said ──
//! ```
//!
//! A process that has loaded what every run needs waits for each next run. What a process that ends without a result
//! died of is the run's one sentence; nobody else notices.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ExitStatus};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;
use tempfile::TempDir;
use tenon_catalog::{Catalog, PublishedTable, Table, TenantCatalog};
use tenon_connect::Place;
use tenon_engine::{
    ConnectionProperties, Engine, Job, MAX_PARTITIONS, Node, Vault, connection_properties,
};
use tenon_host::Host;
use tenon_jobs::{
    Capacity, JobDefinition, Nodes, Outcome, Planner, Problem, Report, Reporter, RunRequest,
    Runner, Running, Success, TaskWork, is_given,
};
use tenon_server::Identity;
use tenon_store::Tenant;

use super::child;
use super::data_root::{DataRoots, OneRoot};
use super::ml_task;
use super::run_worker::{self, Order, OrderedTable, Said, Word};
use super::scratch::Scratch;
use super::setup::{self, Resources};
use crate::error::{Explain, Failure};
use crate::shell::Shell;

/// Processes that wait for a run.
const IDLE: usize = 1;

/// What is kept of what a process says on stderr: its end.
const STDERR_BYTES: usize = 4 << 10;

/// The folder in `<data>` in which each process has one of its own.
const FOLDERS: &str = "run-workers";

/// Plans and runs jobs of all tenants. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ProcessRunner(Arc<Inner>);

/// What runs may use of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunLimits {
    /// Memory that operators and plugins of one run may hold, however many workers it asks for.
    pub(crate) memory_bytes: u64,
    /// Partitions of a run that are worked on at once.
    pub(crate) cores: usize,
    /// Networks, beside public ones, that connections of jobs may lead to.
    pub(crate) reachable: Vec<String>,
}

struct Inner {
    program: PathBuf,
    data: PathBuf,
    shell: Shell,
    roots: DataRoots,
    scratch: Scratch,
    host: Host,
    identity: Identity,
    catalog: Catalog,
    /// The account of a server without accounts.
    open_account: String,
    limits: RunLimits,
    idle: Mutex<Vec<Worker>>,
}

/// A process, and the folders that it has for itself.
struct Worker {
    child: Child,
    /// For what it knows, and for what does not fit into memory.
    _folders: [TempDir; 2],
}

impl Worker {
    /// Ends it.
    fn kill(&mut self) {
        // One that has ended is no process any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl ProcessRunner {
    /// A runner with idle processes.
    ///
    /// # Errors
    /// The program does not find itself, or a part of the data folder cannot be used.
    pub(crate) fn new(
        shell: &Shell,
        (roots, scratch): (DataRoots, Scratch),
        (identity, catalog): (Identity, Catalog),
        open_account: &str,
        limits: RunLimits,
    ) -> Result<Self, Failure> {
        let data = std::path::absolute(shell.data()?)?;
        // What processes left that could not clean up; whoever has the data folder is alone.
        let folders = data.join(FOLDERS);
        let _ = std::fs::remove_dir_all(&folders);
        std::fs::create_dir_all(&folders)
            .what(|| format!("cannot make the folder {}", folders.display()))?;
        let runner = Self(Arc::new(Inner {
            program: child::this_program()?,
            data,
            shell: shell.clone(),
            roots,
            scratch,
            host: setup::host(shell)?,
            identity,
            catalog,
            open_account: open_account.to_owned(),
            limits,
            idle: Mutex::default(),
        }));
        runner
            .0
            .warm_up()
            .what(|| "cannot start a worker process")?;
        Ok(runner)
    }
}

impl Planner for ProcessRunner {
    fn check(&self, tenant: Tenant, job: &str, definition: &JobDefinition) -> Result<(), String> {
        let inner = &self.0;
        let account = inner.account(tenant)?;
        let mut root = inner.roots.one_of(&account);
        let connections = definition.connection_names();
        let none = Nodes::new();
        let nodes = definition.nodes().unwrap_or(&none);
        let parsed = parsed(job, nodes, None)?;
        let job = located(&mut root, parsed, connections)?;
        let catalog = inner.catalog.tenant(tenant);
        for name in job.connection_names() {
            catalog
                .get_connection(name)
                .map_err(|error| format!("connection {name:?} of the job: {error}"))?;
        }
        let engine = inner.engine(tenant).map_err(|error| error.to_string())?;
        let engine = engine.with_given(ml_task::standing(nodes));
        let for_new = definition.reads_what_is_new();
        engine
            .check(&job, for_new)
            .map_err(|error| error.to_string())
    }
}

impl Runner for ProcessRunner {
    fn start(&self, request: RunRequest, reporter: Reporter) -> Box<dyn Running> {
        let handle = Handle(Arc::default());
        let (inner, state) = (Arc::clone(&self.0), Arc::clone(&handle.0));
        let told = reporter.clone();
        let work = move || told.report(Report::Ended(inner.run(&request, &told, &state)));
        if let Err(error) = thread::Builder::new()
            .name("job-run".to_owned())
            .spawn(work)
        {
            let problem = Problem::new(
                format!("no thread can be started for the run: {error}"),
                BUSY,
            );
            reporter.report(Report::Ended(Outcome::Failed(problem)));
        }
        Box::new(handle)
    }
}

/// What a run's thread and its handle share.
#[derive(Default)]
struct State {
    worker: Option<Worker>,
    stdin: Option<ChildStdin>,
    /// Nobody wants the run any more.
    given_up: bool,
}

/// A run that is under way. Dropping it kills its process.
struct Handle(Arc<Mutex<State>>);

impl Running for Handle {
    fn cancel(&mut self) {
        tell(&self.0, Word::Cancel);
    }

    fn publish(&mut self) {
        tell(&self.0, Word::Publish);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.given_up = true;
        if let Some(worker) = &mut state.worker {
            // The run's thread waits for it.
            let _ = worker.child.kill();
        }
    }
}

/// A process that ended does not listen.
fn tell(state: &Mutex<State>, word: Word) {
    if let Some(stdin) = &mut state.lock().stdin {
        let _ = write_line(stdin, &word);
    }
}

fn write_line(stdin: &mut ChildStdin, line: &impl serde::Serialize) -> std::io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    stdin.write_all(&bytes)?;
    stdin.flush()
}

impl Inner {
    fn run(&self, request: &RunRequest, reporter: &Reporter, state: &Mutex<State>) -> Outcome {
        let (order, locations) = match self.order(request) {
            Ok(order) => order,
            Err(why) => {
                let hint = "mend the job: its paths lie below one --data-root of the account, its tables are in the catalog";
                return Outcome::Failed(Problem::new(why, hint));
            }
        };
        match self.work(request, (&order, &locations), reporter, state) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed(Problem::new(
                format!("a worker process cannot be started: {error}"),
                BUSY,
            )),
        }
    }

    fn work(
        &self,
        request: &RunRequest,
        (order, locations): (&Order, &Locations),
        reporter: &Reporter,
        state: &Mutex<State>,
    ) -> std::io::Result<Outcome> {
        let mut worker = self.take()?;
        let (stdin, stdout) = (worker.child.stdin.take(), worker.child.stdout.take());
        let stderr = worker.child.stderr.take();
        let stderr = thread::spawn(move || stderr.map(last_words).unwrap_or_default());
        {
            let mut state = state.lock();
            if state.given_up {
                let _ = worker.child.kill();
            }
            state.worker = Some(worker);
        }
        // Not under the lock: whoever gives the run up must not wait for a process that does not read.
        if let Some(mut stdin) = stdin {
            // One that ended early tells why with its status.
            let _ = write_line(&mut stdin, order);
            state.lock().stdin = Some(stdin);
        }
        // The next run does not wait for its process.
        if let Err(error) = self.warm_up() {
            tracing::warn!(%error, "the next run waits for its worker process");
        }
        let mut outcome = None;
        for line in stdout
            .into_iter()
            .flat_map(|stdout| BufReader::new(stdout).lines())
        {
            let said = line.ok().and_then(|line| serde_json::from_str(&line).ok());
            match said {
                Some(Said::Started) => reporter.report(Report::Started),
                Some(Said::Progress(metrics)) => reporter.report(Report::Progress(metrics)),
                Some(Said::Ready) => reporter.report(Report::Ready),
                Some(Said::Log(lines)) => reporter.report(Report::Log(lines)),
                Some(Said::Succeeded {
                    metrics,
                    tables,
                    read,
                    learned,
                }) => {
                    let catalog = self.catalog.tenant(request.tenant);
                    outcome = Some(Outcome::Succeeded(Success {
                        metrics,
                        also: Some(also(catalog, tables, locations)),
                        bookmarks: read,
                        learned,
                    }));
                }
                Some(Said::Failed(why)) => outcome = Some(Outcome::Failed(why)),
                Some(Said::Cancelled) => outcome = Some(Outcome::Cancelled),
                None => {}
            }
        }
        let ended = state.lock().worker.take();
        let status = ended.map(|mut worker| worker.child.wait()).transpose()?;
        let words = stderr.join().unwrap_or_default();
        if !words.trim().is_empty() {
            tracing::warn!(run = request.run, "a worker said: {:?}", words.trim_end());
        }
        Ok(outcome.unwrap_or_else(|| Outcome::Failed(death(status, &words, order.memory_bytes))))
    }

    /// What a process is told, and where the tables lie that it writes to.
    fn order(&self, request: &RunRequest) -> Result<(Order, Locations), String> {
        let account = self.account(request.tenant)?;
        let mut root = self.roots.one_of(&account);
        let connections = request.connections.clone();
        let parsed = parsed(&request.job, &request.nodes, request.work.as_ref())?;
        let job = located(&mut root, parsed, connections)?;
        let catalog = self.catalog.tenant(request.tenant);
        let mut tables = Tables {
            catalog: &catalog,
            root: &mut root,
            found: Vec::new(),
            locations: Locations::new(),
        };
        tables.add_read(&job, |id| !request.nodes.get(id).is_some_and(is_given))?;
        tables.add_written(&job)?;
        let (tables, locations) = (tables.found, tables.locations);
        let connections = self.connections(request.tenant, &catalog, &job)?;
        let Capacity {
            cores,
            memory_bytes,
            disk_bytes,
            ..
        } = request.capacity;
        let order = Order {
            output: request.output.clone(),
            tenant: request.tenant.number(),
            job,
            root: root.root().map(Path::to_path_buf),
            tables,
            connections,
            reachable: self.limits.reachable.clone(),
            bookmarks: request.bookmarks.clone(),
            memory_bytes: memory_bytes.min(self.limits.memory_bytes),
            spill_bytes: disk_bytes,
            partitions: match request.work {
                // Rows of a file in their order.
                Some(TaskWork::ReadLabels { .. }) => 1,
                _ => self.limits.cores.min(cores as usize).max(1),
            },
            given: request.given.clone(),
            work: request.work.clone(),
        };
        Ok((order, locations))
    }

    /// What the job's connections say: the process that runs it has neither the catalog nor the key of its secrets.
    fn connections(
        &self,
        tenant: Tenant,
        catalog: &TenantCatalog,
        job: &Job,
    ) -> Result<BTreeMap<String, ConnectionProperties>, String> {
        let vault = AccountVault {
            identity: &self.identity,
            tenant,
        };
        let mut opened = BTreeMap::new();
        for name in job.connection_names() {
            let properties = connection_properties(catalog, Some(&vault), name);
            let properties = properties.map_err(|error| error.to_string())?;
            // The password of a database is nothing that the process could use.
            if properties.is_place(name) {
                opened.insert(name.to_owned(), properties);
            }
        }
        Ok(opened)
    }

    fn account(&self, tenant: Tenant) -> Result<String, String> {
        if !self.identity.is_closed() {
            return Ok(self.open_account.clone());
        }
        let accounts = self
            .identity
            .accounts()
            .map_err(|error| error.to_string())?;
        let mut accounts = accounts
            .into_iter()
            .filter(|account| account.tenant == tenant.number());
        accounts
            .next()
            .map(|account| account.id)
            .ok_or_else(|| "the account is gone".to_owned())
    }

    /// An engine that checks and never runs.
    fn engine(&self, tenant: Tenant) -> Result<Engine, Failure> {
        let config = setup::config_of(&self.shell, &Resources::default(), tenant.number())?;
        let registry = crate::plugin::open_registry(&self.shell)?;
        let (host, place) = (self.host.clone(), Place::ambient());
        Ok(Engine::new(config, host, registry, None, place))
    }

    /// A process that waits, or a new one.
    fn take(&self) -> std::io::Result<Worker> {
        loop {
            let Some(mut worker) = self.idle.lock().pop() else {
                return self.spawn();
            };
            match worker.child.try_wait() {
                Ok(None) => return Ok(worker),
                // It ended while nobody needed it.
                _ => worker.kill(),
            }
        }
    }

    fn warm_up(&self) -> std::io::Result<()> {
        let missing = IDLE.saturating_sub(self.idle.lock().len());
        for _ in 0..missing {
            let worker = self.spawn()?;
            self.idle.lock().push(worker);
        }
        Ok(())
    }

    fn spawn(&self) -> std::io::Result<Worker> {
        let folder = TempDir::new_in(self.data.join(FOLDERS))?;
        let scratch = self.scratch.folder()?;
        let child = child::command(&self.program, run_worker::NAME, scratch.path())
            .arg("--data")
            .arg(&self.data)
            .arg(folder.path())
            .spawn()?;
        Ok(Worker {
            child,
            _folders: [folder, scratch],
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.idle.lock().iter_mut().for_each(Worker::kill);
    }
}

/// Opens secrets of one account's connections.
struct AccountVault<'a> {
    identity: &'a Identity,
    tenant: Tenant,
}

impl Vault for AccountVault<'_> {
    fn open(&self, connection: &str, place: &str, sealed: &str) -> Result<Option<String>, String> {
        let opened = self
            .identity
            .open_connection(self.tenant, connection, place, sealed);
        let secret = opened.map_err(|error| error.to_string())?;
        Ok(secret.map(|secret| secret.reveal().to_owned()))
    }
}

/// The graph as it was given. One that does something else than write what its targets say has none.
fn parsed(name: &str, nodes: &Nodes, work: Option<&TaskWork>) -> Result<Job, String> {
    let nodes = nodes.iter().map(|(id, node)| (id.clone(), node.clone()));
    let job = match work {
        None => Job::from_nodes(name, nodes),
        Some(_) => Job::without_target(name, nodes),
    };
    job.map_err(|error| error.to_string())
}

/// The graph with paths below the one folder, and URLs where there are connections.
fn located(root: &mut OneRoot<'_>, mut job: Job, connections: Vec<String>) -> Result<Job, String> {
    job.connections = connections;
    let connected: BTreeSet<String> = job
        .nodes
        .keys()
        .filter(|id| job.has_connection(id))
        .cloned()
        .collect();
    for (node, path) in job.paths_mut() {
        let what = format!("the path of node {node:?}");
        *path = root.lead(&what, path, connected.contains(node))?;
    }
    let exclusions = job.nodes.values_mut().flat_map(Node::exclusions_mut);
    exclusions.for_each(|text| *text = led_exclusions(root, text));
    Ok(job)
}

/// One text of `Exclusions`: a pattern, or a JSON list of several.
fn led_exclusions(root: &OneRoot<'_>, text: &str) -> String {
    let Ok(patterns) = serde_json::from_str::<Vec<String>>(text) else {
        return root.lead_pattern(text);
    };
    let led = patterns.iter().map(|pattern| root.lead_pattern(pattern));
    serde_json::Value::from_iter(led).to_string()
}

/// Where tables that are written to lie, by database and name in small letters: the run knows them by another path.
type Locations = BTreeMap<(String, String), String>;

/// The tables that a job reads and writes to, with locations below the one folder.
struct Tables<'a, 'r> {
    catalog: &'a TenantCatalog,
    root: &'a mut OneRoot<'r>,
    found: Vec<OrderedTable>,
    locations: Locations,
}

impl Tables<'_, '_> {
    /// Those that are read, with their partitions. Nodes that are not `is_read` stand for something else.
    fn add_read(&mut self, job: &Job, is_read: impl Fn(&str) -> bool) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for (id, node) in job.nodes.iter().filter(|(id, _)| is_read(id)) {
            let (Node::CatalogSource(source) | Node::S3CatalogSource(source)) = node else {
                continue;
            };
            let at = |error: tenon_catalog::Error| format!("node {id:?}: {error}");
            let (database, name) = (&source.database, &source.table);
            let connected = job.has_connection(id);
            if !seen.insert((database.to_lowercase(), name.to_lowercase(), connected)) {
                continue;
            }
            let mut table = self.catalog.get_table(database, name).map_err(at)?;
            let partitions = self.catalog.partitions_of(&table, MAX_PARTITIONS);
            let mut partitions = partitions.map_err(at)?;
            let what = format!("table {database}.{name} of node {id:?}");
            self.root
                .lead_to_table(&what, &mut table, &mut partitions, connected)?;
            self.found.push(OrderedTable {
                database: database.clone(),
                table,
                partitions,
            });
        }
        Ok(())
    }

    /// Those that are written to or registered, as they are now.
    fn add_written(&mut self, job: &Job) -> Result<(), String> {
        for (id, node) in &job.nodes {
            let Some((database, name)) = node.written_table() else {
                continue;
            };
            let mut table = match self.catalog.get_table(database, name) {
                Ok(table) => table,
                // The run makes one that it registers, and says that one is missing which it needs.
                Err(tenon_catalog::Error::NotFound { .. }) => continue,
                Err(error) => return Err(format!("node {id:?}: {error}")),
            };
            let descriptor = table.storage_descriptor.as_mut();
            let is_place = matches!(node, Node::CatalogTarget(_) | Node::S3CatalogTarget(_));
            if is_place {
                let what = format!("table {database}.{name} of node {id:?}");
                let location = descriptor.as_ref().and_then(|d| d.location.clone());
                self.root
                    .lead_to(&what, descriptor, job.has_connection(id))?;
                let key = (database.to_lowercase(), name.to_lowercase());
                self.locations.insert(key, location.unwrap_or_default());
            } else if let Some(descriptor) = descriptor {
                // Its files go where the node says.
                descriptor.location = None;
            }
            self.add(database, table, is_place);
        }
        Ok(())
    }

    /// One that is written to. Where it is read too, its partitions are there; `is_place` when its own location counts.
    fn add(&mut self, database: &str, table: Table, is_place: bool) {
        let is_same = |found: &&mut OrderedTable| {
            found.database.eq_ignore_ascii_case(database) && found.table.name == table.name
        };
        match self.found.iter_mut().find(is_same) {
            Some(found) if is_place => found.table = table,
            Some(_) => {}
            None => self.found.push(OrderedTable {
                database: database.to_owned(),
                table,
                partitions: Vec::new(),
            }),
        }
    }
}

/// Registers what a run wrote in the transaction of its success.
fn also(
    catalog: TenantCatalog,
    mut tables: Vec<PublishedTable>,
    locations: &Locations,
) -> tenon_jobs::Also {
    for table in &mut tables {
        let key = (
            table.database.to_lowercase(),
            table.input.name.to_lowercase(),
        );
        let descriptor = table.input.storage_descriptor.as_mut();
        if let (Some(descriptor), Some(location)) = (descriptor, locations.get(&key)) {
            descriptor.location = Some(location.clone());
        }
    }
    Arc::new(move |transaction| {
        let added = catalog.with_tables(transaction, &tables);
        added.map_err(|error| error.to_string())
    })
}

/// The end of what a process says, which is read to the end so that it never waits.
fn last_words(mut stderr: impl Read) -> String {
    let (mut kept, mut some) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stderr.read(&mut some) {
        kept.extend_from_slice(&some[..read]);
        let surplus = kept.len().saturating_sub(STDERR_BYTES);
        kept.drain(..surplus);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// What to try when the machine gives no process or thread.
const BUSY: &str = "look what else runs on the server's machine, and run the job again";

/// What a process without a result died of.
fn death(status: Option<ExitStatus>, words: &str, memory_bytes: u64) -> Problem {
    // What Rust says before it aborts because there is no memory.
    if words.contains("memory allocation of") {
        let gib = memory_bytes as f64 / f64::from(1 << 30);
        return Problem::new(
            format!(
                "the worker process of the run ran out of memory, beyond the {gib:.1} GiB that its operators may hold"
            ),
            "look for a damaged file or a very large value among what it read, or ask for more or larger workers",
        );
    }
    let how = match status.and_then(|status| status.signal()) {
        Some(6) => "aborted (signal 6)".to_owned(),
        Some(9) => "was killed (signal 9), as the system does when memory is short".to_owned(),
        Some(signal) => format!("was ended by signal {signal}"),
        None => match status.and_then(|status| status.code()) {
            Some(code) => format!("ended with code {code} and no result"),
            None => "ended without a result".to_owned(),
        },
    };
    Problem::new(
        format!("the worker process of the run {how}"),
        "look for a damaged file among what it read, or give the run more memory than there is: fewer --runs at once, \
         more or larger workers",
    )
}

/// Memory that one of so many runs may hold: three quarters of the machine's are shared.
pub(crate) fn memory_of_one(runs: usize) -> u64 {
    let text = std::fs::read_to_string(Path::new("/proc/meminfo")).unwrap_or_default();
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|kib| kib.trim().parse::<u64>().ok());
    let total = total.map_or(MACHINE_BYTES, |kib| kib * 1024);
    (total / 4 * 3 / runs.max(1) as u64).max(LEAST_BYTES)
}

/// A machine that does not say how much memory it has.
const MACHINE_BYTES: u64 = 8 << 30;

/// Below this a run is of little use.
const LEAST_BYTES: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_is_told_in_a_sentence() {
        let said = |status: i32, words: &str| {
            death(Some(ExitStatus::from_raw(status)), words, 1 << 30).problem
        };
        assert!(said(9, "").contains("was killed (signal 9)"));
        assert!(said(6, "").contains("aborted (signal 6)"));
        assert!(said(101 << 8, "").contains("ended with code 101"));
        let memory = said(6, "memory allocation of 99 bytes failed\n");
        assert!(
            memory.contains("ran out of memory, beyond the 1.0 GiB"),
            "{memory}"
        );
    }

    #[test]
    fn the_end_of_what_is_said_is_kept() {
        let text = format!("{}end", "x".repeat(3 * STDERR_BYTES));
        let kept = last_words(text.as_bytes());
        assert!(kept.len() == STDERR_BYTES && kept.ends_with("xend"));
    }

    #[test]
    fn runs_share_the_machine() {
        assert!(memory_of_one(1) >= memory_of_one(2));
        assert_eq!(memory_of_one(usize::MAX), LEAST_BYTES);
    }
}
