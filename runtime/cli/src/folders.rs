//! Where things live: the user's data and cache folders, by the XDG rules.

use std::env;
use std::path::PathBuf;

use crate::error::Failure;
use crate::exit::Exit;

/// `$XDG_DATA_HOME/tenon`, else `~/.local/share/tenon`.
pub(crate) fn data() -> Result<PathBuf, Failure> {
    under("XDG_DATA_HOME", ".local/share")
        .ok_or_else(|| homeless("data").with_hint("give the folder with --data or TENON_DATA"))
}

/// Cargo's target folder for guests, apart from the one for the host: they are made by another compiler.
/// `$CARGO_TARGET_DIR/guests`, else `guests` in tenon's cache folder.
pub(crate) fn guest_target() -> Result<PathBuf, Failure> {
    if let Some(target) = absolute("CARGO_TARGET_DIR") {
        return Ok(target.join("guests"));
    }
    under("XDG_CACHE_HOME", ".cache")
        .map(|cache| cache.join("guests"))
        .ok_or_else(|| homeless("cache").with_hint("give a folder with CARGO_TARGET_DIR"))
}

/// Where cargo keeps the sources of dependencies: `$CARGO_HOME`, else `~/.cargo`.
pub(crate) fn cargo_home() -> Option<PathBuf> {
    absolute("CARGO_HOME").or_else(|| Some(env::home_dir()?.join(".cargo")))
}

fn under(variable: &str, in_home: &str) -> Option<PathBuf> {
    let base = absolute(variable).or_else(|| Some(env::home_dir()?.join(in_home)));
    Some(base?.join("tenon"))
}

/// The variable's path, made absolute; XDG says that a relative one is to be ignored, cargo takes it.
fn absolute(variable: &str) -> Option<PathBuf> {
    let value = env::var_os(variable).filter(|value| !value.is_empty())?;
    std::path::absolute(value).ok()
}

fn homeless(what: &str) -> Failure {
    Failure::new(format!("no {what} folder: this user has no home folder")).with_exit(Exit::Usage)
}
