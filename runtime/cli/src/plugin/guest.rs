//! Cargo's part of a build: package to core module.
//!
//! The profile is given from outside, so that a plugin's Cargo.toml needs none and all plugins are built
//! alike: optimised as a whole, panics abort, SIMD on. The crate needs no `crate-type` either; the way in
//! which it is built here says it. Guests have a target folder of their own, because another compiler than
//! the host's may build them and the standard library should be built once for all of them.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use serde::Deserialize;

use super::package::Package;
use super::toolchain::Toolchain;
use crate::error::{Explain, Failure};
use crate::folders;
use crate::progress::Progress;
use crate::shell::Shell;

/// Flags for the compiler, on top of the profile.
const SIMD: &str = "-Ctarget-feature=+simd128";

/// Settings of cargo's release profile. Names of functions stay in: they make a trap's backtrace readable
/// and are taken out of the component unless asked for.
const PROFILE: [(&str, &str); 8] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_RELEASE_LTO", "true"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
    ("CARGO_PROFILE_RELEASE_STRIP", "debuginfo"),
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", "false"),
    ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "false"),
];

/// Variables of the caller that would change the code or make two builds differ.
const UNWANTED: [&str; 3] = ["RUSTFLAGS", "CARGO_INCREMENTAL", "CARGO_BUILD_TARGET"];

/// A core module that cargo made.
#[derive(Debug)]
pub(crate) struct CoreModule {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Whether cargo found nothing to do.
    pub(crate) is_fresh: bool,
}

/// Builds `package` into `target`.
///
/// # Errors
/// When it does not compile: what the compiler said is on stderr by then.
pub(crate) fn build(
    shell: &Shell,
    toolchain: &Toolchain,
    package: &Package,
    target: &Path,
) -> Result<CoreModule, Failure> {
    let mut cargo = command(shell, toolchain, package, target);
    shell.detail(&format!("running {cargo:?}"));
    let progress = shell.progress(format!("building {}", package.plugin_name()));
    let mut child = cargo.spawn().what(|| "cannot run cargo")?;
    let talk = listen(shell, &mut child, progress);
    let module = read_messages(child.stdout.take(), &package.id);
    let status = child.wait().what(|| "cannot wait for cargo")?;
    let said = talk.join().unwrap_or_default();
    if !status.success() {
        shell.show(&said);
        return Err(Failure::new(format!("{} does not compile", package.name))
            .with_hint("see the compiler's messages above"));
    }
    module
        .ok_or_else(|| Failure::new(format!("cargo made no wasm module of {}", package.name)))
        .hint("see what cargo does: `tenon plugin build --verbose`")
}

fn command(shell: &Shell, toolchain: &Toolchain, package: &Package, target: &Path) -> Command {
    let mut cargo = toolchain.cargo("rustc");
    cargo
        .args(["--release", "--lib", "--crate-type", "cdylib"])
        .arg("--message-format=json-render-diagnostics")
        .arg("--manifest-path")
        .arg(&package.manifest_path)
        .env("CARGO_TARGET_DIR", target)
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            rustflags(folders::cargo_home().as_deref()),
        )
        .env(
            "CARGO_TERM_COLOR",
            if shell.has_color() { "always" } else { "never" },
        )
        .envs(PROFILE)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    if let Some(dir) = package.manifest_path.parent() {
        // Cargo's configuration is looked up from here.
        cargo.current_dir(dir);
    }
    for variable in UNWANTED {
        cargo.env_remove(variable);
    }
    cargo.stderr(if shell.is_verbose() {
        Stdio::inherit()
    } else {
        Stdio::piped()
    });
    cargo
}

/// The flags in cargo's encoded form. Panic messages name source files: those of dependencies begin with
/// `/cargo` instead of the builder's home folder, so that builders do not leak it into the component.
fn rustflags(cargo_home: Option<&Path>) -> OsString {
    let mut flags = OsString::from(SIMD);
    if let Some(home) = cargo_home {
        flags.push("\x1f--remap-path-prefix=");
        flags.push(home);
        flags.push("=/cargo");
    }
    flags
}

/// Shows what cargo does while it works, and keeps what else it says.
fn listen(shell: &Shell, child: &mut Child, progress: Progress) -> thread::JoinHandle<String> {
    debug_assert_eq!(child.stderr.is_none(), shell.is_verbose());
    let pipe = child.stderr.take();
    thread::spawn(move || {
        let mut said = String::new();
        let Some(pipe) = pipe else { return said };
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            let plain = without_color(&line);
            if let Some(doing) = doing(&plain) {
                progress.message(doing);
                continue;
            }
            said.push_str(&line);
            said.push('\n');
        }
        said
    })
}

/// The line if it says what cargo is doing, as `Compiling arrow v59.3.2` does.
fn doing(line: &str) -> Option<String> {
    let words = [
        "Compiling",
        "Downloading",
        "Downloaded",
        "Updating",
        "Locking",
        "Blocking",
    ];
    let line = line.trim();
    let first = line.split_whitespace().next()?;
    let path = line.find(" (").unwrap_or(line.len());
    words.contains(&first).then(|| line[..path].to_owned())
}

/// `text` without the colours that cargo gave it.
fn without_color(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut parts = text.split("\x1b[");
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        plain.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
    plain
}

/// One of cargo's messages; the fields that other kinds of message lack are empty then.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    package_id: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    #[serde(default)]
    fresh: bool,
}

/// Finds the module of `package_id` among cargo's messages, reading them all.
fn read_messages(pipe: Option<impl Read>, package_id: &str) -> Option<CoreModule> {
    let mut module = None;
    for line in BufReader::new(pipe?).lines().map_while(Result::ok) {
        module = read_message(&line, package_id).or(module);
    }
    module
}

fn read_message(line: &str, package_id: &str) -> Option<CoreModule> {
    let message: Message = serde_json::from_str(line).ok()?;
    if message.package_id != package_id {
        return None;
    }
    let is_wasm = |path: &PathBuf| path.extension() == Some(OsStr::new("wasm"));
    Some(CoreModule {
        path: message.filenames.into_iter().find(is_wasm)?,
        is_fresh: message.fresh,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packages_own_module_is_found() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","package_id":"dep","filenames":["/t/libdep.rlib"],"fresh":true}"#,
            "\nnot json\n",
            r#"{"reason":"compiler-artifact","package_id":"trim","filenames":["/t/trim.wasm"],"fresh":true}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
            "\n",
        );
        let module = read_messages(Some(messages.as_bytes()), "trim").unwrap();
        assert_eq!(module.path, Path::new("/t/trim.wasm"));
        assert!(module.is_fresh);
        assert!(read_messages(Some(messages.as_bytes()), "dep").is_none());
    }

    #[test]
    fn the_builders_home_stays_out_of_the_component() {
        let flags = rustflags(Some(Path::new("/home/ada smith/.cargo")));
        let flags: Vec<&str> = flags.to_str().unwrap().split('\x1f').collect();
        let remap = "--remap-path-prefix=/home/ada smith/.cargo=/cargo";
        assert_eq!(flags, [SIMD, remap]);
    }

    #[test]
    fn progress_shows_what_cargo_does_without_paths_and_colours() {
        let line = "\x1b[1m\x1b[32m   Compiling\x1b[0m trim v0.1.0 (/w/trim)";
        let plain = without_color(line);
        assert_eq!(doing(&plain), Some("Compiling trim v0.1.0".to_owned()));
        assert_eq!(doing("warning: unused"), None);
    }
}
