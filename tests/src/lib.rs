//! What whole-system tests share: where the binary is, components built on demand, data that may be absent.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot be set up should stop and say what is missing"
)]

pub mod people;
pub mod random;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use tenon_catalog::{Catalog, Tenant, TenantCatalog};
use tenon_connect::Place;
use tenon_engine::{Engine, EngineConfig};
use tenon_host::{Compiler, Host, HostConfig};
use tenon_registry::Registry;
use tenon_store::{SledStore, StoreConfig, SystemClock};

/// The root of the checkout. Asked when it runs: several checkouts may share one target folder.
#[must_use]
pub fn root() -> PathBuf {
    let package =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package)
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default()
}

/// Data sets and corpora that are not part of the project: `TENON_SHARED`, or `../shared` next to the
/// checkout. A test whose data is absent says so and is skipped.
#[must_use]
pub fn shared(path: &str) -> Option<PathBuf> {
    let folder =
        std::env::var_os("TENON_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let path = folder.join(path);
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// The `tenon` binary of this build, which `cargo test --workspace` makes before any test runs.
///
/// # Panics
/// It is not there.
#[must_use]
pub fn tenon() -> PathBuf {
    let exe = std::env::current_exe().expect("the test's own path");
    let release = exe.ancestors().nth(2).expect("target/release/deps/test");
    let tenon = release.join("tenon");
    assert!(
        tenon.exists(),
        "{} is missing: run `make test`",
        tenon.display()
    );
    tenon
}

/// The compiler that the binary of this build brings: a process for each component.
///
/// # Panics
/// The binary is not there.
#[must_use]
pub fn compiler() -> Compiler {
    Compiler::Child {
        program: tenon(),
        args: vec!["compile-worker".into()],
    }
}

/// The component of the plugin in this folder of the checkout, built by `tenon plugin build`. Built once for each
/// test process.
///
/// # Panics
/// It cannot be built: shows what `tenon plugin build` said.
#[must_use]
pub fn component(folder: &str) -> Vec<u8> {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let path = built
        .entry(folder.to_owned())
        .or_insert_with(|| build(folder));
    std::fs::read(path).expect("the component that was built")
}

fn build(folder: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!(
        "tenon-test-{}-{}.wasm",
        std::process::id(),
        folder.replace('/', "-")
    ));
    let output = Command::new(tenon())
        .args(["plugin", "build", folder, "-o"])
        .arg(&path)
        .current_dir(root())
        .output()
        .expect("tenon");
    assert!(
        output.status.success(),
        "tenon plugin build {folder}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    path
}

/// A fresh world in a folder: catalog, registry with these plugins, engine.
pub struct World {
    /// Where everything lies; removed at the end.
    pub folder: tempfile::TempDir,
    /// The engine.
    pub engine: Engine,
    /// The catalog of its one tenant.
    pub catalog: TenantCatalog,
    /// The sandbox.
    pub host: Host,
}

impl World {
    /// Makes one with the plugins of these folders installed.
    ///
    /// # Panics
    /// Something cannot be made.
    #[must_use]
    pub fn with_plugins(folders: &[&str]) -> Self {
        Self::with_config(folders, EngineConfig::default())
    }

    /// Makes one with settings.
    ///
    /// # Panics
    /// Something cannot be made.
    #[must_use]
    pub fn with_config(folders: &[&str], config: EngineConfig) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let registry = Registry::open(folder.path().join("registry")).expect("a registry");
        for plugin in folders {
            registry
                .install(&component(plugin))
                .expect("an installed plugin");
        }
        // One cache for all tests: compiling is the slow part.
        let cache_dir = Some(std::env::temp_dir().join("tenon-test-cache"));
        let config_of_host = HostConfig {
            cache_dir,
            compiler: compiler(),
            ..HostConfig::default()
        };
        let host = Host::new(&config_of_host).expect("a host");
        let clock = Arc::new(SystemClock);
        let store = SledStore::open(
            &folder.path().join("store"),
            &StoreConfig::default(),
            clock.as_ref(),
        )
        .expect("a store");
        let catalog = Catalog::open(Arc::new(store), clock).tenant(Tenant::new(1));
        let engine = Engine::new(
            config,
            host.clone(),
            registry,
            Some(catalog.clone()),
            Place::ambient(),
        );
        Self {
            folder,
            engine,
            catalog,
            host,
        }
    }
}
