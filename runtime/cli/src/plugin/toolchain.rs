//! [`Toolchain`]: a way to compile for `wasm32-unknown-unknown`, found or made.
//!
//! ```text
//! find   1 the target is installed in the toolchain in use
//!        2 the toolchain in use has the standard library's sources (rust-src): cargo builds it
//!        3 Debian's rustc-web and rust-web-src are installed: the same, with that compiler
//! make   4 rustup target add            -> 1     (given up after half a minute)
//!        5 apt-get install              -> 3     (Debian 12, root or sudo)
//! ```
//!
//! Everything that is there already comes before anything that needs the network: a machine whose rustup
//! servers are out of reach must not wait for them on every build. Finding costs one call of rustup (10 ms),
//! so the answer is not cached. Whoever makes something says so.
//!
//! **Refused: `rustup toolchain install` or any other change to a compiler.** Adding a target adds files;
//! an update under a running build breaks it, and the user chose the version.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::debian;
use super::rust::{Rust, TARGET, quiet_rustup};
use crate::error::Failure;
use crate::exit::Exit;
use crate::process::capture;
use crate::shell::Shell;

/// How long rustup may take to download the target, about 25 MB.
const RUSTUP_PATIENCE: Duration = Duration::from_secs(30);

/// A way to compile for the wasm target.
#[derive(Debug)]
pub(crate) struct Toolchain {
    rust: Rust,
    route: Route,
}

/// Where the target's standard library comes from.
#[derive(Debug, PartialEq, Eq)]
enum Route {
    /// It came with the toolchain in use.
    Installed,
    /// Cargo builds it from the sources of the toolchain in use.
    Sources,
    /// Cargo builds it from the sources of Debian's compiler, with that compiler.
    Debian { rustc: PathBuf, linker: PathBuf },
}

impl Toolchain {
    /// What is there in `dir` already.
    ///
    /// # Errors
    /// A reason for each way that is not there.
    pub(crate) fn find(rust: &Rust) -> Result<Self, Vec<String>> {
        let route = if rust.has_target() {
            Route::Installed
        } else if rust.has_sources() {
            Route::Sources
        } else {
            debian_route(rust).map_err(|reason| vec![installed_reason(rust), reason])?
        };
        Ok(Self {
            rust: rust.clone(),
            route,
        })
    }

    /// What is there, else what can be made.
    ///
    /// # Errors
    /// When there is no way, with the reason for each and what to install.
    pub(crate) fn find_or_make(shell: &Shell, dir: &Path) -> Result<Self, Failure> {
        let rust = Rust::find(dir)?;
        let mut reasons = match Self::find(&rust) {
            Ok(toolchain) => return Ok(toolchain),
            Err(reasons) => reasons,
        };
        for make in [add_target, install_packages] {
            match make(shell, &rust, dir) {
                Ok(did) => shell.say(&did),
                Err(reason) => {
                    reasons.push(reason);
                    continue;
                }
            }
            match Self::find(&rust) {
                Ok(toolchain) => return Ok(toolchain),
                Err(news) => reasons.extend(news),
            }
        }
        Err(no_way(reasons))
    }

    /// In one line, what it is.
    pub(crate) fn describe(&self) -> String {
        let sysroot = self.rust.sysroot.display();
        match &self.route {
            Route::Installed => format!("installed in {sysroot}"),
            Route::Sources => format!("built from the sources in {sysroot}"),
            Route::Debian { rustc, .. } => {
                format!("built from Debian's rust-web-src with {}", rustc.display())
            }
        }
    }

    /// Cargo, ready to be told what to build for the target.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.rust.cargo);
        quiet_rustup(&mut command)
            .arg(subcommand)
            .args(["--target", TARGET])
            .env("RUSTC", &self.rust.rustc);
        if self.route != Route::Installed {
            // The flag is unstable; this is how the compiler's own build lifts that on a release.
            command
                .arg("-Zbuild-std=std,panic_abort")
                .env("RUSTC_BOOTSTRAP", "1");
        }
        if let Route::Debian { rustc, linker } = &self.route {
            command
                .env("RUSTC", rustc)
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        command
    }

    /// Cargo for questions that do not compile.
    pub(crate) fn plain_cargo(&self) -> Command {
        let mut command = Command::new(&self.rust.cargo);
        quiet_rustup(&mut command).env("RUSTC", &self.rust.rustc);
        command
    }
}

fn installed_reason(rust: &Rust) -> String {
    format!(
        "{TARGET} is not installed in {}, nor are rust-src's sources",
        rust.sysroot.display()
    )
}

fn debian_route(rust: &Rust) -> Result<Route, String> {
    let rustc = debian::find()?;
    let linker = rust
        .linker()
        .ok_or_else(|| format!("{} has no rust-lld", rust.sysroot.display()))?;
    Ok(Route::Debian { rustc, linker })
}

fn add_target(shell: &Shell, rust: &Rust, dir: &Path) -> Result<String, String> {
    if !rust.is_rustup {
        return Err("the compiler is not rustup's: no target can be added".to_owned());
    }
    let _progress = shell.progress(format!("rustup target add {TARGET}"));
    let mut rustup = rust.rustup(dir);
    match capture(rustup.args(["target", "add", TARGET]), RUSTUP_PATIENCE) {
        Ok(said) if said.is_success() => Ok(format!("added {TARGET} with rustup")),
        Ok(said) => Err(format!("rustup target add: {}", said.reason())),
        Err(error) => Err(format!("rustup target add: {error}")),
    }
}

fn install_packages(shell: &Shell, _: &Rust, _: &Path) -> Result<String, String> {
    let packages = debian::PACKAGES.join(" and ");
    match debian::install(shell) {
        Ok(()) => Ok(format!("installed Debian's {packages}")),
        Err(reason) => Err(format!("apt-get install {packages}: {reason}")),
    }
}

/// What to do when there is no way.
pub(crate) const REMEDY: &str = "run `rustup target add wasm32-unknown-unknown`; \
    or on Debian 12, as root, `apt-get install rustc-web rust-web-src`";

fn no_way(reasons: Vec<String>) -> Failure {
    let failure = reasons
        .into_iter()
        .rev()
        .reduce(|rest, reason| format!("{reason}\n{rest}"));
    Failure::new(failure.unwrap_or_default())
        .with_what(format!("no way to compile for {TARGET}"))
        .with_exit(Exit::NotFound)
        .with_hint(REMEDY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn toolchain(route: Route) -> Toolchain {
        let rust = Rust {
            cargo: "/t/bin/cargo".into(),
            rustc: "/t/bin/rustc".into(),
            sysroot: "/t".into(),
            is_rustup: true,
        };
        Toolchain { rust, route }
    }

    fn env<'a>(command: &'a Command, key: &str) -> Option<&'a OsStr> {
        let pair = command.get_envs().find(|(name, _)| *name == key);
        pair.and_then(|(_, value)| value)
    }

    fn builds_std(command: &Command) -> bool {
        command
            .get_args()
            .any(|arg| arg == "-Zbuild-std=std,panic_abort")
    }

    #[test]
    fn an_installed_target_needs_nothing_unstable() {
        let cargo = toolchain(Route::Installed).cargo("rustc");
        assert!(!builds_std(&cargo));
        assert_eq!(env(&cargo, "RUSTC_BOOTSTRAP"), None);
        assert_eq!(env(&cargo, "RUSTC"), Some(OsStr::new("/t/bin/rustc")));
    }

    #[test]
    fn debians_compiler_is_used_with_rustups_cargo_and_linker() {
        let route = Route::Debian {
            rustc: "/usr/bin/rustc".into(),
            linker: "/t/rust-lld".into(),
        };
        let cargo = toolchain(route).cargo("rustc");
        assert_eq!(cargo.get_program(), "/t/bin/cargo");
        assert!(builds_std(&cargo));
        assert_eq!(env(&cargo, "RUSTC"), Some(OsStr::new("/usr/bin/rustc")));
        assert_eq!(
            env(&cargo, "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER"),
            Some(OsStr::new("/t/rust-lld"))
        );
    }

    #[test]
    fn no_program_of_ours_may_make_rustup_download() {
        for route in [Route::Installed, Route::Sources] {
            let toolchain = toolchain(route);
            for command in [toolchain.cargo("rustc"), toolchain.plain_cargo()] {
                assert_eq!(env(&command, "RUSTUP_AUTO_INSTALL"), Some(OsStr::new("0")));
            }
        }
    }

    #[test]
    fn every_way_that_failed_is_named() {
        let failure = no_way(vec!["not installed".to_owned(), "no network".to_owned()]);
        let lines = failure.lines();
        assert_eq!(lines[1].1, "not installed\nno network");
        assert_eq!(lines[2].1, REMEDY);
    }
}
