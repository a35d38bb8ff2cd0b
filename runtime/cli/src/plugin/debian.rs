//! Debian 12's `rustc-web` and `rust-web-src`: a newer compiler with the standard library's sources, kept up
//! to date for browsers. Where rustup's servers are out of reach, they can build the target from source.
//!
//! The compiler stands alone with its sources: those of one release do not compile with another, so rustup's
//! compiler cannot use them. Cargo and the wasm linker are rustup's; Debian's cargo is too old for both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::rust::{Release, has_sources, version_line};
use crate::process::capture;
use crate::shell::Shell;

/// The packages.
pub(crate) const PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

const RUSTC: &str = "/usr/bin/rustc";
const SYSROOT: &str = "/usr";

/// How long fetching lists and packages may take: about 100 MB on a slow line.
const PATIENCE: Duration = Duration::from_secs(600);

/// The packaged compiler.
///
/// # Errors
/// Why it cannot be used, in a few words.
pub(crate) fn find() -> Result<PathBuf, String> {
    let rustc = Path::new(RUSTC);
    if !rustc.is_file() {
        return Err(format!("there is no {RUSTC}"));
    }
    if !has_sources(Path::new(SYSROOT)) {
        return Err(format!("{RUSTC} has no sources of the standard library"));
    }
    let line = version_line(rustc).map_err(|failure| failure.to_string())?;
    match Release::parse(&line) {
        Some(release) if release >= Release::minimum() => Ok(rustc.to_owned()),
        _ => Err(format!(
            "{RUSTC} is older than {}: {line}",
            Release::minimum()
        )),
    }
}

/// Installs the packages.
///
/// # Errors
/// Why that did not work, in a few words.
pub(crate) fn install(shell: &Shell) -> Result<(), String> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if !is_debian_12(&release) {
        return Err("this is not Debian 12".to_owned());
    }
    let sudo = privilege()?;
    let _progress = shell.progress(format!("installing {}", PACKAGES.join(" and ")));
    if let Err(reason) = apt(&sudo, &["update"]) {
        // Old lists may still do, and say better what is wrong if they do not.
        shell.detail(&format!("apt-get update: {reason}"));
    }
    let install = ["install", "-y", "--no-install-recommends"];
    apt(&sudo, &[&install[..], &PACKAGES].concat())
}

/// What must stand in front of a command that needs root: nothing for root, `sudo -n` for who may.
fn privilege() -> Result<Vec<&'static str>, String> {
    const SHORT: Duration = Duration::from_secs(5);
    let id = capture(Command::new("id").arg("-u"), SHORT);
    if id.is_ok_and(|id| id.output() == Some("0")) {
        return Ok(Vec::new());
    }
    let sudo = capture(Command::new("sudo").args(["-n", "true"]), SHORT);
    if sudo.is_ok_and(|sudo| sudo.is_success()) {
        return Ok(vec!["sudo", "-n"]);
    }
    Err("this user may not install packages".to_owned())
}

fn apt(sudo: &[&str], arguments: &[&str]) -> Result<(), String> {
    let words = [
        sudo,
        &["apt-get", "-o", "DPkg::Lock::Timeout=120"],
        arguments,
    ]
    .concat();
    let Some((program, rest)) = words.split_first() else {
        return Err("nothing to run".to_owned());
    };
    let mut command = Command::new(program);
    command.args(rest).env("DEBIAN_FRONTEND", "noninteractive");
    match capture(&mut command, PATIENCE) {
        Ok(said) if said.is_success() => Ok(()),
        Ok(said) => Err(said.reason()),
        Err(error) => Err(error.to_string()),
    }
}

fn is_debian_12(os_release: &str) -> bool {
    let value = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key));
        line.map(|value| value.trim_matches('"'))
    };
    value("ID=") == Some("debian") && value("VERSION_ID=") == Some("12")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_debian_12_has_the_packages() {
        let debian = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_ID=\"12\"\nID=debian\n";
        assert!(is_debian_12(debian));
        assert!(!is_debian_12(&debian.replace("12", "13")));
        assert!(!is_debian_12(
            "ID=ubuntu\nVERSION_ID=\"12\"\nID_LIKE=debian\n"
        ));
        assert!(!is_debian_12(""));
    }
}
