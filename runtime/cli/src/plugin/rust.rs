//! [`Rust`]: the cargo and the compiler in use in a folder, as files, not as rustup's proxies.
//!
//! A proxy may decide to download or to update a toolchain (a `rust-toolchain.toml`, a missing component).
//! That must never be a side effect of building a plugin, so the proxies are asked once where the real
//! programs are, with [`quiet_rustup`], and passed by from then on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::{Explain, Failure};
use crate::exit::Exit;
use crate::process::capture;

/// How long a compiler may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(20);

/// The target that plugins are compiled for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// A cargo and a compiler.
#[derive(Clone, Debug)]
pub(crate) struct Rust {
    /// Cargo itself.
    pub(crate) cargo: PathBuf,
    /// The compiler itself.
    pub(crate) rustc: PathBuf,
    /// The folder both came with.
    pub(crate) sysroot: PathBuf,
    /// Whether rustup manages it, so that targets can be added.
    pub(crate) is_rustup: bool,
}

impl Rust {
    /// The one in use in `dir`.
    ///
    /// # Errors
    /// When there is none: with a hint where to get it.
    pub(crate) fn find(dir: &Path) -> Result<Self, Failure> {
        if let Some(rustc) = ask(rustup(dir).args(["which", "rustc"])) {
            return Self::from_rustup(Path::new(&rustc));
        }
        let sysroot = ask(quiet_rustup(&mut Command::new("rustc"))
            .current_dir(dir)
            .args(["--print", "sysroot"]));
        sysroot
            .map(|sysroot| Self {
                cargo: "cargo".into(),
                rustc: "rustc".into(),
                sysroot: sysroot.into(),
                is_rustup: false,
            })
            .ok_or_else(|| Failure::new("no Rust compiler found").with_exit(Exit::NotFound))
            .hint("install Rust with rustup: https://rustup.rs")
    }

    fn from_rustup(rustc: &Path) -> Result<Self, Failure> {
        let sysroot = rustc.parent().and_then(Path::parent).unwrap_or(rustc);
        let cargo = sysroot.join("bin").join("cargo");
        if !cargo.is_file() {
            return Err(Failure::new(format!("{} is missing", cargo.display()))
                .with_exit(Exit::NotFound)
                .with_hint("repair the toolchain: `rustup component add cargo`"));
        }
        Ok(Self {
            cargo,
            rustc: rustc.to_owned(),
            sysroot: sysroot.to_owned(),
            is_rustup: true,
        })
    }

    /// Whether the target's standard library came with the compiler.
    pub(crate) fn has_target(&self) -> bool {
        let lib = self.sysroot.join("lib/rustlib").join(TARGET).join("lib");
        names(&lib).any(|name| name.starts_with("libstd-") && has_suffix(&name, "rlib"))
    }

    /// Whether the standard library's sources came with the compiler, so that cargo can build it.
    pub(crate) fn has_sources(&self) -> bool {
        has_sources(&self.sysroot)
    }

    /// The linker for wasm that comes with rustup's toolchains.
    pub(crate) fn linker(&self) -> Option<PathBuf> {
        let rustlib = self.sysroot.join("lib/rustlib");
        let per_host = names(&rustlib).map(|host| rustlib.join(host).join("bin/rust-lld"));
        per_host.into_iter().find(|linker| linker.is_file())
    }

    /// `rustup` in `dir`, for this toolchain.
    pub(crate) fn rustup(&self, dir: &Path) -> Command {
        let mut command = rustup(dir);
        if let Some(name) = self.sysroot.file_name() {
            command.env("RUSTUP_TOOLCHAIN", name);
        }
        command
    }
}

/// Whether cargo finds the standard library's sources in `sysroot`.
pub(crate) fn has_sources(sysroot: &Path) -> bool {
    let library = sysroot.join("lib/rustlib/src/rust/library");
    library.join("std/Cargo.toml").is_file() && library.join("Cargo.lock").is_file()
}

/// A program's version as it says it: `rustc 1.95.0 (...)`.
pub(crate) fn version_line(program: &Path) -> Result<String, Failure> {
    let mut command = Command::new(program);
    let said = capture(quiet_rustup(command.arg("--version")), PATIENCE)
        .what(|| format!("cannot run {}", program.display()))?;
    match said.output() {
        Some(line) => Ok(line.to_owned()),
        None => Err(Failure::new(said.reason())),
    }
}

/// A release as numbers that compare. Only the first three count: `1.96.0-nightly (abc)` is 1.96.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Release(u32, u32, u32);

impl Release {
    /// The oldest compiler that builds plugins.
    pub(crate) fn minimum() -> Self {
        Self::parse(env!("CARGO_PKG_RUST_VERSION")).unwrap_or(Self(1, 95, 0))
    }

    /// From `1.95`, `1.95.0` or a version line.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let word = text
            .split_whitespace()
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        let release = word.split('-').next().unwrap_or(word);
        let mut numbers = release.split('.').map(str::parse);
        let major = numbers.next()?.ok()?;
        let minor = numbers.next()?.ok()?;
        let patch = numbers.next().and_then(Result::ok).unwrap_or(0);
        Some(Self(major, minor, patch))
    }
}

impl std::fmt::Display for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Keeps a rustup proxy from downloading anything on its own.
pub(crate) fn quiet_rustup(command: &mut Command) -> &mut Command {
    command.env("RUSTUP_AUTO_INSTALL", "0")
}

fn rustup(dir: &Path) -> Command {
    let mut command = Command::new("rustup");
    quiet_rustup(&mut command).current_dir(dir);
    command
}

/// What a program answers, if it is there and answers well.
fn ask(command: &mut Command) -> Option<String> {
    let said = capture(command, PATIENCE).ok()?;
    said.output().map(str::to_owned)
}

fn names(folder: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

fn has_suffix(name: &str, suffix: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|found| found == suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    fn rust_in(sysroot: &Path) -> Rust {
        Rust {
            cargo: "cargo".into(),
            rustc: "rustc".into(),
            sysroot: sysroot.to_owned(),
            is_rustup: true,
        }
    }

    #[test]
    fn a_target_needs_its_standard_library() {
        let sysroot = tempfile::tempdir().unwrap();
        let rust = rust_in(sysroot.path());
        assert!(!rust.has_target());
        let lib = sysroot.path().join("lib/rustlib").join(TARGET).join("lib");
        touch(&lib.join("libcore-1.rlib"));
        touch(&lib.join("libstd-1.rmeta"));
        assert!(!rust.has_target());
        touch(&lib.join("libstd-1.rlib"));
        assert!(rust.has_target());
    }

    #[test]
    fn sources_and_linker_are_found_in_the_sysroot() {
        let sysroot = tempfile::tempdir().unwrap();
        let rust = rust_in(sysroot.path());
        assert!(!rust.has_sources() && rust.linker().is_none());
        let rustlib = sysroot.path().join("lib/rustlib");
        touch(&rustlib.join("src/rust/library/std/Cargo.toml"));
        touch(&rustlib.join("src/rust/library/Cargo.lock"));
        let linker = rustlib.join("x86_64-unknown-linux-gnu/bin/rust-lld");
        touch(&linker);
        assert!(rust.has_sources());
        assert_eq!(rust.linker(), Some(linker));
    }

    #[test]
    fn releases_compare_by_number() {
        let release = |text| Release::parse(text).unwrap();
        assert!(release("1.100.0") > release("1.95"));
        assert_eq!(
            release("rustc 1.96.0-nightly (ac68 2026-05-25)"),
            release("1.96")
        );
        assert!(Release::parse("rustc unknown").is_none());
        assert_eq!(Release::minimum(), release("1.95.0"));
    }
}
