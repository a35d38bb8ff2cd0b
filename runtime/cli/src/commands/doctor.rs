//! `tenon doctor`: does this machine have what tenon needs, and what to do where it does not.
//!
//! Adding a check: a function that returns a [`Finding`], and one line in [`checks`]. Only `--fix` changes
//! anything; without it the data folder is looked at by the nearest folder that exists.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tenon_registry::Registry;

use crate::error::Failure;
use crate::exit::Exit;
use crate::plugin::rust::{Release, Rust, version_line};
use crate::plugin::toolchain::{REMEDY, Toolchain};
use crate::process::capture;
use crate::report::{Report, cell, human_bytes};
use crate::shell::Shell;

/// Arguments of `tenon doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Repair what can be repaired: the wasm target, the data folder.
    #[arg(long)]
    fix: bool,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ok,
    Warn,
    Fail,
}

/// What one check found.
#[derive(Debug)]
struct Finding {
    check: &'static str,
    state: State,
    found: String,
    remedy: Option<String>,
}

/// Checks everything, reports, and fails if anything fails.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let findings = checks(shell, args.fix)?;
    let mut report = Report::list(&["check", "state", "found", "remedy"]);
    for finding in &findings {
        report.row([
            cell(finding.check),
            cell(finding.state.word()),
            cell(finding.found.as_str()),
            cell(finding.remedy.clone()),
        ]);
    }
    shell.print(&report)?;
    verdict(&findings)
}

fn checks(shell: &Shell, fix: bool) -> Result<Vec<Finding>, Failure> {
    let here = Path::new(".");
    let rust = Rust::find(here);
    let data = shell.data()?;
    Ok(vec![
        compiler(&rust),
        cargo(&rust),
        linker(),
        target(shell, &rust, here, fix),
        data_folder(&data, fix),
        registry(&data),
        matcher(&data),
        disk(&data),
        processor(),
    ])
}

fn compiler(rust: &Result<Rust, Failure>) -> Finding {
    match rust {
        Ok(rust) => release("rustc", &rust.rustc),
        Err(_) => no_rust("rustc"),
    }
}

fn cargo(rust: &Result<Rust, Failure>) -> Finding {
    match rust {
        Ok(rust) => release("cargo", &rust.cargo),
        Err(_) => no_rust("cargo"),
    }
}

fn release(check: &'static str, program: &Path) -> Finding {
    let line = match version_line(program) {
        Ok(line) => line,
        Err(failure) => {
            let said = failure.to_string();
            return Finding::fail(check, said, "reinstall the toolchain with rustup");
        }
    };
    let minimum = Release::minimum();
    match Release::parse(&line) {
        Some(release) if release >= minimum => Finding::ok(check, line),
        _ => Finding::fail(
            check,
            line,
            format!("{minimum} or newer is needed: `rustup toolchain install stable`"),
        ),
    }
}

fn no_rust(check: &'static str) -> Finding {
    let remedy = "install Rust with rustup: https://rustup.rs";
    Finding::warn(check, "not found: plugins cannot be built here", remedy)
}

fn linker() -> Finding {
    let compiler = ["cc", "gcc", "clang"]
        .into_iter()
        .find_map(|name| first_line(Command::new(name).arg("--version")));
    match compiler {
        Some(line) => Finding::ok("C compiler", line),
        None => Finding::fail("C compiler", "not found", "install gcc or clang"),
    }
}

fn target(shell: &Shell, rust: &Result<Rust, Failure>, here: &Path, fix: bool) -> Finding {
    let check = "wasm target";
    let toolchain = match rust {
        Err(_) => return Finding::warn(check, "not checked: no Rust compiler", REMEDY),
        Ok(_) if fix => Toolchain::find_or_make(shell, here).map_err(|failure| failure.to_string()),
        Ok(rust) => Toolchain::find(rust).map_err(|reasons| reasons.join("; ")),
    };
    match toolchain {
        Ok(toolchain) => Finding::ok(check, toolchain.describe()),
        Err(found) if fix => Finding::fail(check, found, REMEDY),
        Err(found) => Finding::fail(check, found, format!("`tenon doctor --fix`, or {REMEDY}")),
    }
}

fn data_folder(data: &Path, fix: bool) -> Finding {
    let check = "data folder";
    if fix && let Err(error) = fs::create_dir_all(data) {
        return unwritable(data, &error);
    }
    match tempfile::tempfile_in(nearest(data)) {
        Ok(_) if data.is_dir() => Finding::ok(check, data.display().to_string()),
        Ok(_) => Finding::ok(check, format!("{} (made when needed)", data.display())),
        Err(error) => unwritable(data, &error),
    }
}

fn unwritable(data: &Path, error: &std::io::Error) -> Finding {
    Finding::fail(
        "data folder",
        format!("{}: {error}", data.display()),
        "choose a folder you can write to with --data or TENON_DATA",
    )
}

fn registry(data: &Path) -> Finding {
    let check = "registry";
    match installed(data) {
        Ok(plugins) => Finding::ok(check, format!("{} plugin versions", plugins.len())),
        Err(reason) => Finding::fail(check, reason, "remove the named file and install it again"),
    }
}

fn matcher(data: &Path) -> Finding {
    let check = "find-matches";
    let plugins = installed(data).unwrap_or_default();
    let newest = plugins.iter().rev().find(|(name, _)| name == check);
    match newest {
        Some((_, version)) => Finding::ok(check, format!("version {version}")),
        None => Finding::warn(
            check,
            "not installed",
            "in a checkout: `tenon plugin install plugins/find-matches`",
        ),
    }
}

/// Names and versions; looking does not make the folder.
fn installed(data: &Path) -> Result<Vec<(String, String)>, String> {
    let root = data.join("registry");
    if !root.exists() {
        return Ok(Vec::new());
    }
    let records = Registry::open(root).and_then(|registry| registry.list());
    let records = records.map_err(|error| error.to_string())?;
    let pairs = records.into_iter().map(|record| {
        let manifest = record.manifest;
        (manifest.name.to_string(), manifest.version.to_string())
    });
    Ok(pairs.collect())
}

/// Less than this and a build or a job is likely to fail.
const LITTLE_SPACE: u64 = 1_000_000_000;

/// Enough for the host's build, about 6 GB, and some data.
const ENOUGH_SPACE: u64 = 10_000_000_000;

fn disk(data: &Path) -> Finding {
    let check = "disk space";
    let mut df = Command::new("df");
    df.env("LC_ALL", "C").arg("-Pk").arg(nearest(data));
    let said = capture(&mut df, SHORT).ok();
    let free = said.as_ref().and_then(|said| free_bytes(said.output()?));
    let Some(free) = free else {
        return Finding::warn(check, "unknown: df did not say", "check it by hand");
    };
    let found = format!("{} free", human_bytes(free));
    if free < LITTLE_SPACE {
        let remedy = "make room, or choose another disk with --data";
        return Finding::fail(check, found, remedy);
    }
    if free < ENOUGH_SPACE {
        return Finding::warn(check, found, "10 GB let everything be built");
    }
    Finding::ok(check, found)
}

/// The fourth column of df's second line, in KiB.
fn free_bytes(df: &str) -> Option<u64> {
    let line = df.lines().nth(1)?;
    let kibibytes: u64 = line.split_whitespace().nth(3)?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// What the wall's compiler makes use of; without SSE4.1 SIMD code of plugins is slow.
#[cfg(target_arch = "x86_64")]
fn processor() -> Finding {
    let features = [
        ("sse4.1", std::is_x86_feature_detected!("sse4.1")),
        ("avx", std::is_x86_feature_detected!("avx")),
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("bmi2", std::is_x86_feature_detected!("bmi2")),
        ("avx512f", std::is_x86_feature_detected!("avx512f")),
    ];
    let has: Vec<&str> = features
        .iter()
        .filter(|(_, has)| *has)
        .map(|(name, _)| *name)
        .collect();
    let found = format!("x86-64 {}", has.join(" "));
    if has.contains(&"sse4.1") {
        return Finding::ok("processor", found);
    }
    Finding::warn("processor", found, "SIMD code of plugins will be slow here")
}

/// Other processors have what is needed in their base.
#[cfg(not(target_arch = "x86_64"))]
fn processor() -> Finding {
    Finding::ok("processor", std::env::consts::ARCH)
}

/// How long a program may take to say who it is.
const SHORT: Duration = Duration::from_secs(10);

fn first_line(command: &mut Command) -> Option<String> {
    let said = capture(command, SHORT).ok()?;
    said.output()?.lines().next().map(str::to_owned)
}

/// The folder itself, or the nearest one above that exists.
fn nearest(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let existing = path.ancestors().find(|folder| folder.is_dir());
    existing.unwrap_or(Path::new("/")).to_owned()
}

fn verdict(findings: &[Finding]) -> Result<(), Failure> {
    let failed: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.state == State::Fail)
        .map(|finding| finding.check)
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("not ready: {}", failed.join(", "))).with_exit(Exit::Failed))
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Ok,
            found: found.into(),
            remedy: None,
        }
    }

    fn warn(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Warn,
            found: found.into(),
            remedy: Some(remedy.into()),
        }
    }

    fn fail(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Fail,
            ..Self::warn(check, found, remedy)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_read_from_df() {
        let df =
            "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/x 100 40 60 40% /\n";
        assert_eq!(free_bytes(df), Some(60 * 1024));
        assert_eq!(free_bytes("df: no such file"), None);
    }

    #[test]
    fn only_failures_fail() {
        let fine = [Finding::ok("a", "x"), Finding::warn("b", "y", "z")];
        verdict(&fine).unwrap();
        let failure = verdict(&[Finding::fail("c", "y", "z")]).unwrap_err();
        assert_eq!(failure.exit(), Exit::Failed);
        assert_eq!(failure.to_string(), "not ready: c");
    }

    #[test]
    fn looking_makes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        assert_eq!(data_folder(&data, false).state, State::Ok);
        assert_eq!(registry(&data).state, State::Ok);
        assert!(!data.exists());
        assert_eq!(data_folder(&data, true).state, State::Ok);
        assert!(data.exists());
    }
}
