//! Real clients from PyPI against a server in this process: every script in `tests/clients`.
//!
//! The clients live in a virtual environment below cargo's target folder. Where pip cannot install them the test
//! says so and passes.

#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tenon_server::{Identity, IdentityConfig, Server, ServerConfig, ServerError};
use tenon_store::{SledStore, StoreConfig, SystemClock};

fn config(listen: &str) -> ServerConfig {
    ServerConfig {
        listen: listen.parse().expect("an address"),
        ..ServerConfig::default()
    }
}

fn identity(dir: &Path) -> Identity {
    let clock = Arc::new(SystemClock);
    let store = SledStore::open(&dir.join("store"), &StoreConfig::default(), clock.as_ref());
    let store = Arc::new(store.expect("a store"));
    Identity::open(store, clock, IdentityConfig::new(dir)).expect("identity")
}

fn runs(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The environment's Python, with boto3.
fn python() -> Option<PathBuf> {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    let python = environment.join("bin/python");
    if runs(
        Command::new(&python)
            .args(["-c", "import boto3"])
            .stderr(Stdio::null()),
    ) {
        return Some(python);
    }
    let made = runs(
        Command::new("python3")
            .args(["-m", "venv"])
            .arg(&environment),
    ) && runs(Command::new(&python).args(["-m", "pip", "install", "--quiet", "boto3"]));
    made.then_some(python)
}

#[test]
fn every_script_passes() {
    let Some(python) = python() else {
        println!("skipped: pip cannot install boto3 here");
        return;
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients");
    let dir = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime
        .block_on(Server::bind(&config("127.0.0.1:0"), identity(dir.path())))
        .expect("a server");
    let endpoint = format!("http://{}", server.address().expect("an address"));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = runtime.spawn(server.run(async {
        let _ = stopped.await;
    }));
    let mut scripts = 0;
    for script in std::fs::read_dir(folder).expect("scripts").flatten() {
        assert!(
            runs(Command::new(&python).arg(script.path()).arg(&endpoint)),
            "{:?} failed",
            script.path()
        );
        scripts += 1;
    }
    assert!(scripts > 0, "there is no script");
    let _ = stop.send(());
    runtime
        .block_on(serving)
        .expect("no panic")
        .expect("an orderly end");
}

#[test]
fn an_address_that_others_reach_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let bound = runtime.block_on(Server::bind(&config("0.0.0.0:0"), identity(dir.path())));
    let error = bound.expect_err("refused");
    assert!(matches!(error, ServerError::OpenToAll(_)), "{error}");
    assert!(
        error
            .to_string()
            .contains("no access keys are set up; listen on 127.0.0.1"),
        "{error}"
    );
}
