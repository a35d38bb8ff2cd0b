//! `tenon serve`: the catalog as a Glue endpoint.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tenon_catalog::Catalog;
use tenon_jobs::SchedulerConfig;
use tenon_server::telemetry::{self, TelemetryConfig};
use tenon_server::{
    Identity, JobWorkers, Limits, Network, Server, ServerConfig, ServerError, TaskLimits, TlsFiles,
    Watchers, Workers,
};
use tenon_store::{SledStore, SystemClock};
use tokio::signal::unix::{SignalKind, signal};

use super::analyst::ProcessAnalyst;
use super::data_root::{DataRoot, DataRoots};
use super::job_runner::{ProcessRunner, RunLimits, memory_of_one};
use super::prices::PriceArgs;
use super::scratch::Scratch;
use super::setup;
use super::wall;
use crate::error::Failure;
use crate::exit::Exit;
use crate::shell::Shell;

/// Arguments of `tenon serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes a free one. What other machines reach needs an account.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The account that clients see as long as there is none, twelve digits.
    #[arg(long, value_name = "ID", default_value = "000000000000")]
    account: String,
    /// The region in names of resources, and the one that requests are signed for.
    #[arg(long, value_name = "NAME", default_value = "us-east-1")]
    region: String,
    /// The certificate, and those that vouch for it, in PEM. It is read again when it changes.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A network, beside public ones, that connections may lead to, such as 10.0.0.0/8; may be repeated.
    #[arg(long, value_name = "NETWORK")]
    reachable: Vec<Network>,
    /// A folder that an account's jobs may read and write, and its tables be read in to find out statistics; may be
    /// repeated. Nothing else is read or written.
    #[arg(long, value_name = "ACCOUNT=DIR")]
    data_root: Vec<DataRoot>,
    /// Runs of jobs at once, of all accounts together; the others wait [default: the machine's cores, at least 2].
    #[arg(long, value_name = "N")]
    runs: Option<NonZeroUsize>,
    /// Memory that operators and plugins of one run may hold, such as 2GiB, if its workers are larger than that [default:
    /// three quarters of the machine's, shared by --runs].
    #[arg(long, value_name = "SIZE", value_parser = tenon_host::parse_bytes)]
    run_memory: Option<u64>,
    /// Who reads /metrics, which is about all accounts together.
    #[arg(long, value_name = "WHO", default_value = "machine")]
    metrics: Who,
    /// Who reads /health/live and /health/ready.
    #[arg(long, value_name = "WHO", default_value = "everyone")]
    health: Who,
    /// Open connections at once.
    #[arg(long, value_name = "N", default_value_t = Limits::default().connections)]
    connections: usize,
    /// Open connections at once of one address; behind a proxy, which is one, as many as in all.
    #[arg(long, value_name = "N", default_value_t = Limits::default().connections_per_address)]
    connections_per_address: usize,
    /// When told to stop: for how long connections are still accepted while /health/ready says no, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    drain_notice: u64,
    /// When told to stop: how long requests under way may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    drain: u64,
    #[command(flatten)]
    prices: PriceArgs,
}

/// Memory that operators of one run may hold that finds out statistics.
const STATISTICS_MEMORY_BYTES: u64 = 1 << 30;

/// Who reaches an address that asks for no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Who {
    /// Whoever reaches the port.
    Everyone,
    /// Connections from this machine.
    Machine,
    /// No one.
    Nobody,
}

impl From<Who> for Watchers {
    fn from(who: Who) -> Self {
        match who {
            Who::Everyone => Self::Everyone,
            Who::Machine => Self::ThisMachine,
            Who::Nobody => Self::Nobody,
        }
    }
}

/// Serves until it is told to stop, then finishes what is under way.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let telemetry = TelemetryConfig::from_env(|name| std::env::var(name).ok());
    let telemetry = telemetry.map_err(|error| Failure::from(error).with_exit(Exit::Usage))?;
    let store = setup::store(shell)?;
    let identity = setup::identity_over(shell, Arc::clone(&store))?;
    let keys = if identity.is_closed() {
        "requests must be signed with a key of an account"
    } else {
        "any access key is accepted until there is an account (`tenon account create NAME`)"
    };
    let config = config(args);
    let workers = workers(shell, args, store, &identity)?;
    // A runtime of its own: Ctrl-C ends a server in order, it does not interrupt it.
    tokio::runtime::Runtime::new()?.block_on(async {
        // Until the last line is written and the last trace is sent.
        let _telemetry = telemetry::init(&telemetry)?;
        let mut terminate = signal(SignalKind::terminate())?;
        let server = Server::bind_with(&config, identity, workers)
            .await
            .map_err(failure)?;
        let url = server.url().map_err(failure)?;
        shell.say(&format!(
            "serving Glue on {url}: set AWS_ENDPOINT_URL_GLUE to it; {keys}"
        ));
        let stop = async move {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        };
        server.run(stop).await;
        Ok(())
    })
}

/// What reads data of accounts: processes of their own.
fn workers(
    shell: &Shell,
    args: &Args,
    store: Arc<SledStore>,
    identity: &Identity,
) -> Result<Workers, Failure> {
    let roots = DataRoots::open(&args.data_root, &shell.data()?)?;
    let scratch = Scratch::open(&shell.data()?)?;
    if !args.data_root.is_empty() && !wall::is_offered() {
        tracing::warn!(
            "the kernel offers no Landlock: what a process of a run opens is held to its folder by tenon alone"
        );
    }
    let analyst = ProcessAnalyst::new(roots.clone(), scratch.clone(), STATISTICS_MEMORY_BYTES)?;
    let mut config = SchedulerConfig::default();
    if let Some(runs) = args.runs {
        config.slots = runs.get();
    }
    let limits = RunLimits {
        memory_bytes: args
            .run_memory
            .unwrap_or_else(|| memory_of_one(config.slots)),
        cores: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        reachable: args.reachable.iter().map(ToString::to_string).collect(),
    };
    let catalog = Catalog::open(store, Arc::new(SystemClock));
    let records = (identity.clone(), catalog);
    let runner = ProcessRunner::new(shell, (roots, scratch), records, &args.account, limits)?;
    Ok(Workers {
        analyst: Some(Arc::new(analyst)),
        jobs: Some(JobWorkers {
            planner: Arc::new(runner.clone()),
            runner: Arc::new(runner),
            config,
        }),
    })
}

fn config(args: &Args) -> ServerConfig {
    let mut limits = Limits::default();
    limits.connections = args.connections;
    limits.connections_per_address = args.connections_per_address;
    limits.drain_notice = Duration::from_secs(args.drain_notice);
    limits.drain_timeout = Duration::from_secs(args.drain);
    let tls = args.tls_cert.clone().zip(args.tls_key.clone());
    ServerConfig {
        listen: args.listen,
        account: args.account.clone(),
        region: args.region.clone(),
        tls: tls.map(|(certificate, key)| TlsFiles::new(certificate, key)),
        limits,
        reachable: args.reachable.clone(),
        health: args.health.into(),
        metrics: args.metrics.into(),
        tasks: TaskLimits::default(),
        prices: args.prices.prices(),
    }
}

fn failure(error: ServerError) -> Failure {
    let exit = match &error {
        ServerError::OpenToAll(_) => Exit::NotAllowed,
        ServerError::Account(_) | ServerError::Tls(_) => Exit::Usage,
        _ => Exit::Failed,
    };
    let failure = Failure::from(error).with_exit(exit);
    match exit {
        Exit::NotAllowed => {
            failure.with_hint("`tenon account create NAME` makes an account and its first key")
        }
        _ => failure,
    }
}
