//! What commands that run things share: the rooms put together over `<data>`, a runtime, Ctrl-C, progress.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tenon_catalog::{Catalog, Clock, Tenant, TenantCatalog};
use tenon_connect::Place;
use tenon_engine::{Engine, EngineConfig, Error, Progress};
use tenon_host::{Host, HostConfig};
use tenon_registry::Registry;
use tenon_store::{SledStore, StoreConfig, SystemClock};

use crate::commands::compile_worker;
use crate::error::Failure;
use crate::exit::Exit;
use crate::shell::Shell;

/// The one tenant of the command line.
const TENANT: Tenant = Tenant::new(1);
/// How often progress is redrawn.
const REDRAW: Duration = Duration::from_millis(200);

/// Opens the catalog in `<data>/store`, making it when it is missing.
///
/// # Errors
/// Another process has it open, it is damaged, or the folder cannot be used.
pub(crate) fn catalog(shell: &Shell) -> Result<TenantCatalog, Failure> {
    let clock = Arc::new(SystemClock);
    let store = SledStore::open(
        &shell.data()?.join("store"),
        &StoreConfig::default(),
        clock.as_ref(),
    );
    let store = store.map_err(|error| {
        let exit = if matches!(error, tenon_store::Error::Locked { .. }) {
            Exit::Conflict
        } else {
            Exit::Failed
        };
        Failure::from(error).with_exit(exit)
    })?;
    Ok(Catalog::open(Arc::new(store), clock).tenant(TENANT))
}

/// The sandbox, with its cache in `<data>/compiled`. What is not there yet is compiled in a process of its own.
///
/// # Errors
/// The folder cannot be used.
pub(crate) fn host(shell: &Shell) -> Result<Host, Failure> {
    Ok(Host::new(&HostConfig {
        cache_dir: Some(shell.data()?.join("compiled")),
        compiler: compile_worker::compiler()?,
        ..HostConfig::default()
    })?)
}

/// An engine over `<data>`.
///
/// # Errors
/// A part of it cannot be opened.
pub(crate) fn engine(shell: &Shell, catalog: Option<TenantCatalog>) -> Result<Engine, Failure> {
    let registry = crate::plugin::open_registry(shell)?;
    Ok(engine_with(registry, host(shell)?, catalog))
}

fn engine_with(registry: Registry, host: Host, catalog: Option<TenantCatalog>) -> Engine {
    Engine::new(
        EngineConfig::default(),
        host,
        registry,
        catalog,
        Place::ambient(),
    )
}

/// Runs `work` to its end, or until Ctrl-C.
///
/// # Errors
/// The work's own, or [`Exit::Interrupted`]; whatever the work staged is removed then.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = work => outcome,
            _ = tokio::signal::ctrl_c() => Err(Failure::new("interrupted; nothing was written").with_exit(Exit::Interrupted)),
        }
    });
    // A staged file is removed by the task that writes it, at the latest after the batch in hand.
    runtime.shutdown_timeout(Duration::from_secs(10));
    outcome
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
        Error::NotFound(_) => Exit::NotFound,
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
