//! `tenon worker`: the process that runs one job for a server. The server starts it, see `job_runner`; people never
//! do, so it is not in the help.
//!
//! ```text
//! stdin   one line: Order      then `publish` or `cancel`; its end means that the server is gone
//! stdout  lines: Said
//! ```
//!
//! **Chosen: a process of its own.** What tenants keep in files is parsed by code that may panic, abort or ask for all
//! memory there is: that ends this process and no other. It opens files below one folder only, has no environment, and
//! ends with the server. It never sees the server's store: the tables that the job reads come with the order, and those
//! that it writes go back with the result.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use tenon_catalog::{Catalog, DatabaseInput, Table, TableInput, TenantCatalog};
use tenon_connect::Place;
use tenon_engine::{Engine, EngineConfig, Job, Progress, Publication, RunReport};
use tenon_store::{SledStore, StoreConfig, SystemClock, Tenant};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::setup::{self, Resources};
use crate::error::{Explain, Failure};
use crate::shell::Shell;

/// How the command is called.
pub(crate) const NAME: &str = "worker";

/// How often the server is told how far the run is.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// How long files of a cancelled run may take to be removed.
const CLEAN_UP: Duration = Duration::from_millis(400);

/// Memory beside what operators may hold: the program, its threads, files that are read.
const SPARE_BYTES: u64 = 4 << 30;

/// What is to be run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Names staged files.
    pub(crate) run: String,
    /// Whose limits hold.
    pub(crate) tenant: u32,
    /// The graph, with paths below the root.
    pub(crate) job: Job,
    /// The folder below which everything lies.
    pub(crate) root: PathBuf,
    /// Tables that it reads with their databases; their locations are below the root.
    pub(crate) tables: Vec<(String, Table)>,
    /// Memory that operators and plugins may hold.
    pub(crate) memory_bytes: u64,
}

/// What happens.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    /// It runs.
    Started,
    /// Node, rows that left it, bytes that it wrote.
    Progress(Vec<(String, u64, Option<u64>)>),
    /// Results are complete and invisible.
    Ready,
    /// They are visible; these tables are to be registered, each with its database.
    Succeeded {
        nodes: Vec<(String, u64, Option<u64>)>,
        tables: Vec<(String, TableInput)>,
    },
    /// Nothing was published.
    Failed(String),
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

/// Runs what the order on standard input says.
pub(crate) fn run(shell: &Shell) -> Result<(), Failure> {
    // What every run needs is there before the order comes.
    let registry = crate::plugin::open_registry(shell)?;
    let host = setup::host(shell)?;
    let own = tempfile::tempdir()?;
    let catalog = own_catalog(own.path())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
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
    std::env::set_current_dir(&order.root)?;
    fill(&catalog, &order.tables)?;
    let config = EngineConfig {
        memory_bytes: usize::try_from(order.memory_bytes).unwrap_or(usize::MAX),
        ..setup::config_of(shell, &Resources::default(), order.tenant)?
    };
    let place = Place::rooted(&order.root)?;
    let engine = Engine::new(config, host, registry, Some(catalog.clone()), place);
    let words = listen();
    say(&Said::Started)?;
    let said = runtime.block_on(see_through(&engine, &order, &catalog, words));
    runtime.shutdown_timeout(CLEAN_UP);
    say(&said)
}

/// Runs the job while telling how far it is and doing what the server says.
async fn see_through(
    engine: &Engine,
    order: &Order,
    catalog: &TenantCatalog,
    mut words: UnboundedReceiver<Word>,
) -> Said {
    let (progress, Publication { mut ready, go }) = Progress::gated();
    let (mut go, mut is_ready) = (Some(go), false);
    let mut work = std::pin::pin!(engine.run(&order.job, &order.run, &progress));
    let mut tick = tokio::time::interval(TELL_EVERY);
    loop {
        tokio::select! {
            outcome = &mut work => return match outcome {
                Ok(report) => succeeded(&report, catalog),
                Err(error) => Said::Failed(error.to_string()),
            },
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
                let rows = progress.rows().into_iter().map(|(node, rows)| (node, rows, None));
                let _ = say(&Said::Progress(rows.collect()));
            }
        }
    }
}

fn succeeded(report: &RunReport, catalog: &TenantCatalog) -> Said {
    let written = |id: &str| {
        let mut targets = report.targets.iter().filter(|target| target.id == id);
        targets.next().map(|target| target.bytes)
    };
    let nodes = report
        .nodes
        .iter()
        .map(|node| (node.id.clone(), node.rows_out, written(&node.id)));
    let tables = report
        .targets
        .iter()
        .filter_map(|target| target.table.as_deref());
    let tables: Result<Vec<_>, Failure> = tables.map(|name| registered(catalog, name)).collect();
    match tables {
        Ok(tables) => Said::Succeeded {
            nodes: nodes.collect(),
            tables,
        },
        Err(error) => Said::Failed(format!(
            "the results are written, but their tables are not known: {error}"
        )),
    }
}

/// A table that the run registered in its own catalog, as it is to be registered in the server's.
fn registered(catalog: &TenantCatalog, name: &str) -> Result<(String, TableInput), Failure> {
    let (database, table) = name.split_once('.').unwrap_or(("default", name));
    let table = catalog.get_table(database, table)?;
    Ok((database.to_owned(), input_of(&table)?))
}

/// The definition without what the catalog itself says.
fn input_of(table: &Table) -> Result<TableInput, Failure> {
    Ok(serde_json::from_value(serde_json::to_value(table)?)?)
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

fn fill(catalog: &TenantCatalog, tables: &[(String, Table)]) -> Result<(), Failure> {
    for (database, table) in tables {
        let input = DatabaseInput {
            name: database.clone(),
            ..DatabaseInput::default()
        };
        match catalog.create_database(input) {
            Ok(_) | Err(tenon_catalog::Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        match catalog.create_table(database, input_of(table)?) {
            Ok(_) | Err(tenon_catalog::Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
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

/// For good: a process may lower its limits and not raise them. Address space is not limited, since the sandbox
/// reserves more of it than there is memory.
fn confine(memory_bytes: u64) -> rustix::io::Result<()> {
    lower(Resource::Core, 0)?;
    lower(Resource::Data, memory_bytes.saturating_add(SPARE_BYTES))
}

fn lower(resource: Resource, to: u64) -> rustix::io::Result<()> {
    let hard = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let limit = Some(to.min(hard));
    let limits = Rlimit {
        current: limit,
        maximum: limit,
    };
    setrlimit(resource, limits)
}
