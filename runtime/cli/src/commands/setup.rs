//! What commands that run things share: the rooms put together over `<data>`, a runtime, Ctrl-C, progress.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, UNIX_EPOCH};

use tenon_catalog::{Catalog, Clock, Tenant, TenantCatalog};
use tenon_connect::{Connections, Place};
use tenon_engine::{Engine, EngineConfig, Error, GrantsFile, LimitsFile, Progress, Vault};
use tenon_host::{Host, HostConfig, LimitSettings, Meter, Run};
use tenon_registry::Registry;
use tenon_server::{Identity, IdentityConfig};
use tenon_store::{SledStore, StoreConfig, SystemClock};
use tokio::signal::unix::{SignalKind, signal};

use crate::commands::compile_worker;
use crate::error::Failure;
use crate::exit::Exit;
use crate::shell::Shell;

/// The one tenant of the command line.
pub(crate) const TENANT: Tenant = Tenant::new(TENANT_NUMBER);
const TENANT_NUMBER: u32 = 1;
/// How often progress is redrawn.
const REDRAW: Duration = Duration::from_millis(200);

/// Opens the catalog in `<data>/store`, making it when it is missing.
///
/// # Errors
/// Another process has it open, it is damaged, or the folder cannot be used.
pub(crate) fn catalog(shell: &Shell) -> Result<TenantCatalog, Failure> {
    Ok(Catalog::open(store(shell)?, Arc::new(SystemClock)).tenant(TENANT))
}

/// Opens the secrets of the tenant's connections with the master key in `<data>/master.key`, which is read when the
/// first one is needed.
struct Secrets {
    store: Arc<SledStore>,
    data: PathBuf,
    identity: OnceLock<Identity>,
}

impl Vault for Secrets {
    fn open(&self, connection: &str, place: &str, sealed: &str) -> Result<Option<String>, String> {
        let identity = match self.identity.get() {
            Some(identity) => identity,
            None => {
                let config = IdentityConfig::new(&self.data);
                let (store, clock) = (Arc::clone(&self.store), Arc::new(SystemClock));
                let opened = Identity::open(store, clock, config).map_err(|e| e.to_string())?;
                self.identity.get_or_init(|| opened)
            }
        };
        let secret = identity.open_connection(TENANT, connection, place, sealed);
        let secret = secret.map_err(|e| e.to_string())?;
        Ok(secret.map(|secret| secret.reveal().to_owned()))
    }
}

/// Accounts, keys and the audit log in the same store, with the master key in `<data>/master.key`.
///
/// # Errors
/// As [`catalog`]; the master key is missing or cannot be used.
pub(crate) fn identity(shell: &Shell) -> Result<Identity, Failure> {
    identity_over(shell, store(shell)?)
}

/// The same over a store that is open.
///
/// # Errors
/// As [`identity`].
pub(crate) fn identity_over(shell: &Shell, store: Arc<SledStore>) -> Result<Identity, Failure> {
    let config = IdentityConfig::new(&shell.data()?);
    let identity = Identity::open(store, Arc::new(SystemClock), config);
    identity.map_err(|error| Failure::from(error).with_exit(Exit::Failed))
}

/// The store in `<data>/store`.
///
/// # Errors
/// As [`catalog`].
pub(crate) fn store(shell: &Shell) -> Result<Arc<SledStore>, Failure> {
    let store = SledStore::open(
        &shell.data()?.join("store"),
        &StoreConfig::default(),
        &SystemClock,
    );
    let store = store.map_err(|error| {
        let exit = if matches!(error, tenon_store::Error::Locked { .. }) {
            Exit::Conflict
        } else {
            Exit::Failed
        };
        Failure::from(error).with_exit(exit)
    })?;
    Ok(Arc::new(store))
}

/// The sandbox, with its cache in `<data>/compiled`. What is not there yet is compiled in a process of its own.
///
/// # Errors
/// The folder cannot be used.
pub(crate) fn host(shell: &Shell) -> Result<Host, Failure> {
    host_with(shell, Meter::Time)
}

fn host_with(shell: &Shell, meter: Meter) -> Result<Host, Failure> {
    Ok(Host::new(&HostConfig {
        meter,
        cache_dir: Some(shell.data()?.join("compiled")),
        compiler: compile_worker::compiler()?,
        ..HostConfig::default()
    })?)
}

/// What a command that runs something may use of the machine.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Resources {
    /// Memory that operators and plugins may hold together, such as 2GiB; what does not fit is kept on disk
    /// where that is possible [default: 4GiB].
    #[arg(long, value_name = "SIZE", value_parser = tenon_host::parse_bytes)]
    memory: Option<u64>,

    /// Give equal bytes and use equal fuel for equal input: one partition, calls measured by fuel instead of time, one
    /// pattern for all NaNs, the same seed and time of start for every run.
    #[arg(long)]
    deterministic: bool,

    /// None: the machine's cores, or one where the run is deterministic.
    #[arg(skip)]
    partitions: Option<usize>,

    /// None: the engine's default.
    #[arg(skip)]
    preview_rows: Option<usize>,
}

impl Resources {
    /// One partition: rows come out in the same order each time.
    pub(crate) fn in_order() -> Self {
        Self {
            partitions: Some(1),
            ..Self::default()
        }
    }

    /// The same where a target with at most so many rows is shown in the run's report.
    pub(crate) fn with_preview(mut self, rows: usize) -> Self {
        self.preview_rows = Some(rows);
        self
    }
}

/// What a run holds its plugins to.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct RunLimits {
    /// Lower a limit of the plugins, such as memory_bytes=64MiB or call_time=5s; may be repeated.
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    limits: Vec<LimitSettings>,
}

impl RunLimits {
    /// All of them; the last word counts.
    pub(crate) fn settings(&self) -> LimitSettings {
        let mut all = LimitSettings::default();
        self.limits.iter().for_each(|settings| all.extend(settings));
        all
    }
}

/// The engine's settings: those of the command line over `<data>/limits.toml` over the defaults, and what
/// `<data>/grants.toml` grants.
///
/// # Errors
/// The file says something that is no limit.
pub(crate) fn config(shell: &Shell, resources: &Resources) -> Result<EngineConfig, Failure> {
    config_of(shell, resources, TENANT_NUMBER)
}

/// The same for a tenant of a server.
///
/// # Errors
/// As [`config`].
pub(crate) fn config_of(
    shell: &Shell,
    resources: &Resources,
    tenant: u32,
) -> Result<EngineConfig, Failure> {
    let file = LimitsFile::read(&shell.data()?.join("limits.toml")).map_err(failure)?;
    let (guest_limits, limit_caps) = file.of_tenant(tenant).map_err(failure)?;
    let grants = GrantsFile::read(&shell.data()?.join("grants.toml")).map_err(failure)?;
    let defaults = EngineConfig::default();
    let memory = resources.memory.map(usize::try_from);
    Ok(EngineConfig {
        memory_bytes: memory.map_or(defaults.memory_bytes, |bytes| bytes.unwrap_or(usize::MAX)),
        partitions: match resources.partitions {
            Some(partitions) => partitions,
            None if resources.deterministic => 1,
            None => defaults.partitions,
        },
        run: if resources.deterministic {
            Run::default()
        } else {
            this_run()
        },
        guest_limits,
        limit_caps,
        grants: grants.of_tenant(tenant),
        preview_rows: resources.preview_rows.unwrap_or(defaults.preview_rows),
        ..defaults
    })
}

/// An engine over `<data>`.
///
/// # Errors
/// A part of it cannot be opened.
pub(crate) fn engine(
    shell: &Shell,
    catalog: Option<TenantCatalog>,
    resources: &Resources,
) -> Result<Engine, Failure> {
    let registry = crate::plugin::open_registry(shell)?;
    engine_over(shell, registry, catalog, resources)
}

/// An engine over `<data>` with its catalog, whose connections can be used.
///
/// # Errors
/// As for [`catalog`] and [`engine`].
pub(crate) fn engine_with_catalog(shell: &Shell, resources: &Resources) -> Result<Engine, Failure> {
    let store = store(shell)?;
    let catalog = Catalog::open(Arc::clone(&store) as _, Arc::new(SystemClock)).tenant(TENANT);
    let secrets = Secrets {
        store,
        data: shell.data()?,
        identity: OnceLock::new(),
    };
    Ok(engine(shell, Some(catalog), resources)?.with_vault(Arc::new(secrets)))
}

/// An engine over `<data>` with plugins from elsewhere.
///
/// # Errors
/// A part of it cannot be opened.
pub(crate) fn engine_over(
    shell: &Shell,
    registry: Registry,
    catalog: Option<TenantCatalog>,
    resources: &Resources,
) -> Result<Engine, Failure> {
    let meter = match resources.deterministic {
        true => Meter::Fuel,
        false => Meter::Time,
    };
    let connections = Connections::from_environment(|name| std::env::var(name).ok());
    let place = Place::ambient().with_connections(connections.map_err(Failure::new)?);
    Ok(Engine::new(
        config(shell, resources)?,
        host_with(shell, meter)?,
        registry,
        catalog,
        place,
    ))
}

/// Runs `work` to its end, or until Ctrl-C or a request to terminate.
///
/// # Errors
/// The work's own, or [`Exit::Interrupted`]; whatever the work staged is removed then.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    block_on_until(work, || false)
}

/// The same for a run of the engine, which is not interrupted while it makes its results visible.
///
/// # Errors
/// As for [`block_on`].
pub(crate) fn block_on_run<T>(
    shell: &Shell,
    progress: &Progress,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    block_on_until(work, || {
        let is_publishing = progress.is_publishing();
        if is_publishing {
            shell.say("the results are being published: finishing that");
        }
        is_publishing
    })
}

/// `is_too_late` is asked when a signal came: whether the work is to be finished all the same.
fn block_on_until<T>(
    work: impl Future<Output = Result<T, Failure>>,
    is_too_late: impl FnOnce() -> bool,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            outcome = &mut work => return outcome,
            asked = asked_to_stop() => asked?,
        }
        if is_too_late() {
            return work.await;
        }
        Err(Failure::new("interrupted; nothing was written").with_exit(Exit::Interrupted))
    });
    // A staged file is removed by the task that writes it, at the latest after the batch in hand.
    runtime.shutdown_timeout(Duration::from_secs(10));
    outcome
}

/// Waits for SIGINT, which is Ctrl-C, or SIGTERM, which is what service managers and `kill` send.
async fn asked_to_stop() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

/// Runs `work` while showing how many rows each node gave.
pub(crate) async fn with_progress<T>(
    shell: &Shell,
    what: &str,
    progress: &Progress,
    work: impl Future<Output = T>,
) -> T {
    let line = shell.progress(what.to_owned());
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            outcome = &mut work => return outcome,
            () = tokio::time::sleep(REDRAW) => {
                let rows: Vec<String> = progress.rows().into_iter().filter(|(_, rows)| *rows > 0).map(|(id, rows)| format!("{id} {rows}")).collect();
                line.message(format!("{what}: {}", rows.join(", ")));
            }
        }
    }
}

/// What the plugins of this process's run are told.
fn this_run() -> Run {
    let now = SystemClock
        .now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Run {
        started_millis: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        // Differs between runs, and is no secret.
        seed: (now.as_nanos() as u64).rotate_left(32) ^ u64::from(std::process::id()),
    }
}

/// A name for a run: its time of start, and the process, so that two at once differ.
pub(crate) fn run_id() -> String {
    let now = SystemClock
        .now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!("r{:x}-{}", now.as_millis(), std::process::id())
}

/// An engine's error with its exit code and hint.
pub(crate) fn failure(error: Error) -> Failure {
    let exit = match &error {
        Error::NotFound { .. } => Exit::NotFound,
        Error::Refused { .. } => Exit::NotAllowed,
        Error::Definition(_) => Exit::Usage,
        Error::Conflict(_) => Exit::Conflict,
        Error::Cancelled => Exit::Interrupted,
        Error::Node { .. } | Error::Query(_) | Error::Io(_) => Exit::Failed,
    };
    let hint = error.hint().map(str::to_owned);
    let failure = Failure::from(error).with_exit(exit);
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// A path as text for the engine, absolute so that it does not depend on a job's folder.
pub(crate) fn absolute(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Work in the middle of which this process is told to stop.
    async fn interrupted_work() -> Result<u32, Failure> {
        // Time for the signal to be listened for.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let this = std::process::id().to_string();
        let kill = std::process::Command::new("sh")
            .args(["-c", &format!("kill -TERM {this}")])
            .status();
        assert!(kill.unwrap().success());
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(7)
    }

    #[test]
    fn work_is_interrupted_unless_it_is_too_late() {
        let failure = block_on_until(interrupted_work(), || false).unwrap_err();
        assert_eq!(failure.exit(), Exit::Interrupted);
        assert_eq!(block_on_until(interrupted_work(), || true).unwrap(), 7);
    }
}
