//! [`ProcessRunner`]: runs jobs of a server in [`worker`] processes, below the folders that the operator granted.
//!
//! ```text
//! scheduler ── RunRequest ── thread of the run: Order ── worker process, one that was idle
//!           <── Report ────────────────────────── Said ──
//! ```
//!
//! A process that has loaded what every run needs waits for each next run. What a process that ends without a result
//! died of is the run's one sentence; nobody else notices.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;
use tenon_catalog::{Catalog, TableInput};
use tenon_connect::Place;
use tenon_engine::{Engine, Job, Node};
use tenon_host::Host;
use tenon_jobs::{
    Arguments, NodeProgress, Nodes, Outcome, Planner, Report, Reporter, RunRequest, Runner,
    Running, Success,
};
use tenon_registry::Registry;
use tenon_server::Identity;
use tenon_store::Tenant;

use super::compile_worker::this_program;
use super::data_root::DataRoots;
use super::setup::{self, Resources};
use super::worker::{self, Order, Said, Word};
use crate::error::Failure;
use crate::shell::Shell;

/// Memory that operators and plugins of one run may hold.
const MEMORY_BYTES: u64 = 2 << 30;

/// Processes that wait for a run.
const IDLE: usize = 1;

/// Plans and runs jobs of all tenants. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ProcessRunner(Arc<Inner>);

struct Inner {
    program: PathBuf,
    data: PathBuf,
    shell: Shell,
    roots: DataRoots,
    host: Host,
    identity: Identity,
    catalog: Catalog,
    /// The account of a server without accounts.
    open_account: String,
    idle: Mutex<Vec<Child>>,
}

impl ProcessRunner {
    /// A runner with idle processes.
    ///
    /// # Errors
    /// The program does not find itself, or a part of the data folder cannot be used.
    pub(crate) fn new(
        shell: &Shell,
        roots: DataRoots,
        identity: Identity,
        catalog: Catalog,
        open_account: &str,
    ) -> Result<Self, Failure> {
        let runner = Self(Arc::new(Inner {
            program: this_program()?,
            data: std::path::absolute(shell.data()?)?,
            shell: shell.clone(),
            roots,
            host: setup::host(shell)?,
            identity,
            catalog,
            open_account: open_account.to_owned(),
            idle: Mutex::default(),
        }));
        runner.0.warm_up()?;
        Ok(runner)
    }
}

impl Planner for ProcessRunner {
    fn check(
        &self,
        tenant: Tenant,
        job: &str,
        nodes: &Nodes,
        arguments: &Arguments,
    ) -> Result<(), String> {
        let inner = &self.0;
        if arguments
            .get("--job-bookmark-option")
            .is_some_and(|option| option == "job-bookmark-enable")
        {
            return Err("the argument --job-bookmark-option is job-bookmark-enable, and sources do not go by bookmarks yet".to_owned());
        }
        let (job, _) = inner.located(tenant, job, nodes)?;
        let engine = inner.engine(tenant).map_err(|error| error.to_string())?;
        engine.check(&job).map_err(|error| error.to_string())
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
            let why = format!("no thread can be started for the run: {error}");
            reporter.report(Report::Ended(Outcome::Failed(why)));
        }
        Box::new(handle)
    }
}

/// What a run's thread and its handle share.
#[derive(Default)]
struct State {
    child: Option<Child>,
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
        if let Some(child) = &mut state.child {
            // One that has ended is no process any more.
            let _ = child.kill();
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
        let order = match self.order(request) {
            Ok(order) => order,
            Err(why) => return Outcome::Failed(why),
        };
        match self.work(request, &order, reporter, state) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed(format!("a worker process cannot be started: {error}")),
        }
    }

    fn work(
        &self,
        request: &RunRequest,
        order: &Order,
        reporter: &Reporter,
        state: &Mutex<State>,
    ) -> std::io::Result<Outcome> {
        let idle = self.idle.lock().pop();
        let mut child = match idle {
            Some(child) => child,
            None => self.spawn()?,
        };
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        {
            let mut state = state.lock();
            if state.given_up {
                let _ = child.kill();
            }
            state.stdin = stdin;
            state.child = Some(child);
            if let Some(stdin) = &mut state.stdin {
                // One that ended early tells why with its status.
                let _ = write_line(stdin, order);
            }
        }
        let mut outcome = None;
        for line in stdout
            .into_iter()
            .flat_map(|stdout| BufReader::new(stdout).lines())
        {
            let said = line.ok().and_then(|line| serde_json::from_str(&line).ok());
            match said {
                Some(Said::Started) => reporter.report(Report::Started),
                Some(Said::Progress(nodes)) => reporter.report(Report::Progress(progress(nodes))),
                Some(Said::Ready) => reporter.report(Report::Ready),
                Some(Said::Succeeded { nodes, tables }) => {
                    outcome = Some(Outcome::Succeeded(self.success(
                        request.tenant,
                        nodes,
                        tables,
                    )));
                }
                Some(Said::Failed(why)) => outcome = Some(Outcome::Failed(why)),
                Some(Said::Cancelled) => outcome = Some(Outcome::Cancelled),
                None => {}
            }
        }
        let ended = state.lock().child.take();
        let status = ended.map(|mut child| child.wait()).transpose()?;
        // The next run does not wait for its process; this one is over anyway.
        let _ = self.warm_up();
        Ok(outcome.unwrap_or_else(|| Outcome::Failed(death(status))))
    }

    /// The graph with paths below one granted folder, which is the other part.
    fn located(&self, tenant: Tenant, name: &str, nodes: &Nodes) -> Result<(Job, PathBuf), String> {
        let account = self.account(tenant)?;
        let nodes = nodes.iter().map(|(id, node)| (id.clone(), node.clone()));
        let mut job = Job::from_nodes(name, nodes).map_err(|error| error.to_string())?;
        let mut root: Option<PathBuf> = None;
        for (node, path) in job.paths_mut() {
            let (found, below) = self
                .roots
                .locate(&account, path)
                .map_err(|why| format!("node {node:?}: {why}"))?;
            if root.get_or_insert_with(|| found.to_path_buf()) != found {
                return Err(format!(
                    "node {node:?}: {path} is in another granted folder than the rest of the job"
                ));
            }
            *path = below.to_string_lossy().into_owned();
        }
        let root = match root {
            Some(root) => root,
            None => self.roots.locate(&account, ".")?.0.to_path_buf(),
        };
        Ok((job, root))
    }

    fn order(&self, request: &RunRequest) -> Result<Order, String> {
        let (job, root) = self.located(request.tenant, &request.job, &request.nodes)?;
        let account = self.account(request.tenant)?;
        let catalog = self.catalog.tenant(request.tenant);
        let mut tables = Vec::new();
        for (id, node) in &job.nodes {
            let Node::CatalogSource(source) = node else {
                continue;
            };
            let at = |why: String| format!("node {id:?}: {why}");
            let mut table = catalog
                .get_table(&source.database, &source.table)
                .map_err(|error| at(error.to_string()))?;
            let descriptor = table.storage_descriptor.as_mut();
            let location = descriptor.and_then(|descriptor| descriptor.location.as_mut());
            let location = location.ok_or_else(|| at("the table has no location".to_owned()))?;
            let (found, below) = self.roots.locate(&account, location).map_err(at)?;
            if found != root {
                return Err(at(format!(
                    "{location} is in another granted folder than the rest of the job"
                )));
            }
            *location = below.to_string_lossy().into_owned();
            tables.push((source.database.clone(), table));
        }
        Ok(Order {
            run: request.run.clone(),
            tenant: request.tenant.number(),
            job,
            root,
            tables,
            memory_bytes: MEMORY_BYTES,
        })
    }

    fn success(
        &self,
        tenant: Tenant,
        nodes: Vec<(String, u64, Option<u64>)>,
        tables: Vec<(String, TableInput)>,
    ) -> Success {
        let catalog = self.catalog.tenant(tenant);
        Success {
            nodes: progress(nodes),
            also: Some(Arc::new(move |transaction| {
                let added = catalog.with_tables(transaction, &tables);
                added.map_err(|error| error.to_string())
            })),
            ..Success::default()
        }
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
        let registry: Registry = crate::plugin::open_registry(&self.shell)?;
        Ok(Engine::new(
            config,
            self.host.clone(),
            registry,
            None,
            Place::ambient(),
        ))
    }

    fn warm_up(&self) -> std::io::Result<()> {
        let missing = IDLE.saturating_sub(self.idle.lock().len());
        for _ in 0..missing {
            let child = self.spawn()?;
            self.idle.lock().push(child);
        }
        Ok(())
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let mut command = Command::new(&self.program);
        command
            .arg("--data")
            .arg(&self.data)
            .arg(worker::NAME)
            .env_clear()
            .current_dir("/")
            // Ctrl-C is for the server, which ends its workers itself.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // Where operators keep what does not fit into memory.
        if let Some(folder) = std::env::var_os("TMPDIR") {
            command.env("TMPDIR", folder);
        }
        command.spawn()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for mut child in self.idle.lock().drain(..) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn progress(nodes: Vec<(String, u64, Option<u64>)>) -> Vec<NodeProgress> {
    let nodes = nodes.into_iter();
    nodes
        .map(|(node, rows, bytes)| NodeProgress { node, rows, bytes })
        .collect()
}

/// What a process without a result died of.
fn death(status: Option<ExitStatus>) -> String {
    let how = match status.and_then(|status| status.signal()) {
        Some(6) => "aborted (signal 6)".to_owned(),
        Some(9) => "was killed (signal 9), as the system does when memory is short".to_owned(),
        Some(signal) => format!("was ended by signal {signal}"),
        None => match status.and_then(|status| status.code()) {
            Some(code) => format!("ended with code {code} and no result"),
            None => "ended without a result".to_owned(),
        },
    };
    format!(
        "the worker process of the run {how}: a file that it read may be damaged, or the run needs more memory than there is"
    )
}
