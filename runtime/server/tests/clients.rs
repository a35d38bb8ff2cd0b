//! Real clients from PyPI against servers in this process: every script in `tests/clients`, all at once, each with
//! a server and a store of its own.
//!
//! The clients live in a virtual environment below cargo's target folder, named by the hash of their
//! `requirements.txt`, so it is made once for each set of versions. Where pip cannot install them the test says
//! so and passes.

#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

mod support;

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::Running;
use tenon_server::{Server, ServerConfig, ServerError};

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients")
}

fn runs(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The environment's Python. A mark in the folder says that everything was installed, also when a test was killed
/// half-way.
fn python() -> Option<PathBuf> {
    let requirements = scripts().join("requirements.txt");
    let mut hasher = DefaultHasher::new();
    fs::read(&requirements)
        .expect("requirements")
        .hash(&mut hasher);
    let name = format!("clients-{:016x}", hasher.finish());
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let (python, mark) = (
        environment.join("bin/python"),
        environment.join("installed"),
    );
    if !mark.exists() {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(&environment);
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--no-compile", "-r"])
            .arg(&requirements);
        if !(runs(&mut venv) && runs(&mut pip)) {
            return None;
        }
        fs::write(&mark, "").expect("a mark");
    }
    Some(python)
}

/// Runs one script against a server of its own; what it said when it failed.
fn run(python: &Path, script: &Path) -> Result<(), String> {
    let server = Running::start();
    let started = std::time::Instant::now();
    let output = Command::new(python)
        .arg(script)
        .arg(format!("http://{}", server.address))
        .stdin(Stdio::null())
        .output()
        .expect("python");
    server.stop();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (name, said) = (script.display(), text(&output.stdout));
    println!("{name} in {:.1?}\n{said}", started.elapsed());
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{name} failed:\n{said}{}", text(&output.stderr)))
    }
}

#[test]
fn every_script_passes() {
    let Some(python) = python() else {
        println!("skipped: pip cannot install tests/clients/requirements.txt here");
        return;
    };
    let files = fs::read_dir(scripts()).expect("scripts").flatten();
    let files: Vec<_> = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .collect();
    assert!(!files.is_empty(), "there is no script");
    let failures: Vec<String> = std::thread::scope(|scope| {
        let python = &python;
        let threads: Vec<_> = files
            .iter()
            .map(|script| scope.spawn(move || run(python, script).err()))
            .collect();
        let ended = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"));
        ended.flatten().collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn an_address_that_others_reach_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config = ServerConfig {
        listen: "0.0.0.0:0".parse().expect("an address"),
        ..ServerConfig::default()
    };
    let bound = runtime.block_on(Server::bind(&config, support::catalog(dir.path())));
    let error = bound.expect_err("refused");
    assert!(matches!(error, ServerError::OpenToAll(_)), "{error}");
    assert!(
        error
            .to_string()
            .contains("no access keys are set up; listen on 127.0.0.1"),
        "{error}"
    );
}
