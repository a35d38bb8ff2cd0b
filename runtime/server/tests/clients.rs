//! Real clients from PyPI against a server in this process: every script in `tests/clients`.
//!
//! The clients live in a virtual environment below cargo's target folder. Where pip cannot install them the test
//! says so and passes.

#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::json;
use tenon_server::{AuditQuery, Identity, IdentityConfig, Server, ServerConfig, ServerError};
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

/// A server that runs until the closure ends.
fn serving(identity: Identity, work: impl FnOnce(&str)) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime
        .block_on(Server::bind(&config("127.0.0.1:0"), identity))
        .expect("a server");
    let endpoint = format!("http://{}", server.address().expect("an address"));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = runtime.spawn(server.run(async {
        let _ = stopped.await;
    }));
    work(&endpoint);
    let _ = stop.send(());
    runtime
        .block_on(serving)
        .expect("no panic")
        .expect("an orderly end");
}

/// Runs every script of a folder below `tests/clients`.
fn run_scripts(python: &Path, folder: &str, endpoint: &str, accounts: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/clients")
        .join(folder);
    let mut scripts = 0;
    for file in std::fs::read_dir(folder).expect("scripts").flatten() {
        let script = file.path();
        if script
            .extension()
            .is_some_and(|extension| extension == "py")
        {
            let mut command = Command::new(python);
            command
                .arg(&script)
                .arg(endpoint)
                .env("TENON_ACCOUNTS", accounts);
            assert!(runs(&mut command), "{script:?} failed");
            scripts += 1;
        }
    }
    assert!(scripts > 0, "there is no script");
}

#[test]
fn every_script_passes() {
    let Some(python) = python() else {
        println!("skipped: pip cannot install boto3 here");
        return;
    };
    let dir = tempfile::tempdir().expect("a folder");
    serving(identity(dir.path()), |endpoint| {
        run_scripts(&python, "", endpoint, "[]");
    });
}

/// Scripts that sign, for two accounts.
#[test]
fn every_signed_script_passes() {
    let Some(python) = python() else {
        println!("skipped: pip cannot install boto3 here");
        return;
    };
    let dir = tempfile::tempdir().expect("a folder");
    let identity = identity(dir.path());
    let account = |id: &str| {
        let (account, key) = identity
            .create_account("test", Some(id), "a test")
            .expect("an account");
        json!({"id": account.id, "key": key.key.id, "secret": key.secret.reveal()})
    };
    let accounts = json!([account("111111111111"), account("222222222222")]).to_string();
    let log = identity.clone();
    serving(identity, |endpoint| {
        run_scripts(&python, "signed", endpoint, &accounts);
    });
    audit_says_who_did_what(&log);
}

fn audit_says_who_did_what(identity: &Identity) {
    let list = |account: &str, operation: &str| {
        let query = AuditQuery {
            operation: Some(operation.to_owned()),
            limit: 1000,
            ..AuditQuery::default()
        };
        let page = identity.audit(Some(account), &query).expect("a log");
        let said =
            |entry: &tenon_server::AuditEntry| (entry.principal.clone(), entry.outcome.clone());
        page.entries.iter().map(said).collect::<Vec<_>>()
    };
    let root = "arn:aws:iam::111111111111:root".to_owned();
    let created = list("111111111111", "glue:CreateDatabase");
    assert_eq!(created, vec![(root.clone(), "Success".to_owned()); 2]);
    let role = "arn:aws:sts::111111111111:assumed-role/r/ab".to_owned();
    let updated = list("111111111111", "glue:UpdateDatabase");
    assert_eq!(updated, [(role, "Success".to_owned())]);
    let assumed = list("111111111111", "sts:AssumeRole");
    let refused = (root.clone(), "AccessDeniedException".to_owned());
    assert_eq!(
        assumed,
        [(root, "Success".to_owned()), refused.clone(), refused]
    );
    assert_eq!(list("222222222222", "sts:AssumeRole"), []);
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
