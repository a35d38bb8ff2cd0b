//! `tenon plugin build`: a crate becomes one component file.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tenon_host::{Kind, Limits};
use tenon_registry::{Digest, Function, FunctionKind, Manifest, embed};

use super::package::Package;
use super::toolchain::Toolchain;
use super::{component, guest, manifest, registry};
use crate::commands::setup;
use crate::error::{Explain, Failure};
use crate::folders;
use crate::report::{Report, bytes, cell, millis};
use crate::shell::Shell;

/// Arguments of `tenon plugin build`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the plugin's Cargo.toml.
    #[arg(default_value = ".")]
    dir: PathBuf,

    /// The component to write [default: plugins/NAME-VERSION.wasm in the folder for guests' builds].
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    out: Option<PathBuf>,

    /// Keep the names of functions, for readable backtraces and profiles.
    #[arg(long)]
    debug: bool,
}

/// A component file that was built.
#[derive(Debug)]
pub(crate) struct Built {
    /// What it says about itself.
    pub(crate) manifest: Manifest,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its content.
    pub(crate) bytes: Vec<u8>,
    /// Whether the compiler had nothing to do.
    is_fresh: bool,
    took: Duration,
}

/// Builds and reports.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let built = build(shell, &args.dir, args.out.as_deref(), args.debug)?;
    let report = Report::record()
        .field("name", cell(built.manifest.name.as_str()))
        .field("version", cell(built.manifest.version.to_string()))
        .field("path", cell(built.path.display().to_string()))
        .field("size_bytes", bytes(built.bytes.len() as u64))
        .field("sha256", cell(hex(&built.bytes)))
        .field("fresh", cell(built.is_fresh))
        .field("took_millis", millis(built.took));
    shell.print(&report)
}

/// Builds the plugin in `dir` and writes it to `out`, or to its usual place.
///
/// # Errors
/// When there is no way to compile, or the crate is no plugin; nothing is written then.
pub(crate) fn build(
    shell: &Shell,
    dir: &Path,
    out: Option<&Path>,
    with_names: bool,
) -> Result<Built, Failure> {
    let started = Instant::now();
    let target = folders::guest_target()?;
    let dir = existing(dir)?;
    let toolchain = Toolchain::find_or_make(shell, &dir)?;
    shell.detail(&format!("wasm target: {}", toolchain.describe()));
    let package = Package::read(&toolchain, &dir)?;
    let module = guest::build(shell, &toolchain, &package, &target)?;
    let (manifest, bytes) = assemble(shell, &package, &module.path, with_names)?;
    let path = match out {
        Some(out) => out.to_owned(),
        None => target.join("plugins").join(file_name(&manifest)),
    };
    write(&path, &bytes)?;
    Ok(Built {
        manifest,
        path,
        bytes,
        is_fresh: module.is_fresh,
        took: started.elapsed(),
    })
}

/// Core module to component with its manifest.
fn assemble(
    shell: &Shell,
    package: &Package,
    module: &Path,
    with_names: bool,
) -> Result<(Manifest, Vec<u8>), Failure> {
    let shown = module.display().to_string();
    let core = fs::read(module).what(move || format!("cannot read {shown}"))?;
    let component = component::encode(&core, with_names)?;
    let exports = component::exports(&component)?;
    let described = if exports.kinds.is_empty() {
        Vec::new()
    } else {
        described(shell, &component)?
    };
    let manifest = manifest::manifest(package, &exports, described)?;
    let bytes = embed(&manifest, &component).map_err(registry::failure)?;
    Ok((manifest, bytes))
}

/// What the component says that it offers, asked in the sandbox: a build that succeeds has been loaded once.
fn described(shell: &Shell, component: &[u8]) -> Result<Vec<Function>, Failure> {
    let host = setup::host(shell)?;
    let functions = setup::block_on(async {
        let plugin = host.load(component)?;
        Ok(plugin.functions(&Limits::default()).await?)
    })?;
    let function = |f: tenon_host::Function| Function {
        name: f.name,
        kind: match f.kind {
            Kind::Map => FunctionKind::Map,
            Kind::Stream => FunctionKind::Stream,
            Kind::Aggregate => FunctionKind::Aggregate,
            Kind::TableFunction => FunctionKind::TableFunction,
            Kind::Plan => FunctionKind::Plan,
            Kind::Source => FunctionKind::Source,
            Kind::Sink => FunctionKind::Sink,
        },
        description: f.docs,
    };
    Ok(functions.into_iter().map(function).collect())
}

fn existing(dir: &Path) -> Result<PathBuf, Failure> {
    let shown = dir.display().to_string();
    dir.canonicalize()
        .what(move || format!("cannot open {shown}"))
        .hint("name the folder of a plugin's Cargo.toml")
}

fn file_name(manifest: &Manifest) -> String {
    format!("{}-{}.wasm", manifest.name, manifest.version)
}

/// Writes the file whole or not at all, and leaves one alone that has this content already.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let shown = path.display().to_string();
    replace(path, bytes).what(move || format!("cannot write {shown}"))
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let path = std::path::absolute(path)?;
    let folder = path.parent().unwrap_or(&path);
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new()
        .permissions(readable())
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(&path)?;
    Ok(())
}

/// A temporary file is private unless told otherwise; a component is for whoever may read the folder.
fn readable() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    fs::Permissions::from_mode(0o644)
}

/// The digest without its `sha256:`.
fn hex(bytes: &[u8]) -> String {
    let digest = Digest::of(bytes).to_string();
    match digest.split_once(':') {
        Some((_, hex)) => hex.to_owned(),
        None => digest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_the_same_content_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plugins/a.wasm");
        write(&path, b"one").unwrap();
        let modified = || fs::metadata(&path).unwrap().modified().unwrap();
        let before = modified();
        write(&path, b"one").unwrap();
        assert_eq!(modified(), before);
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
    }

    #[test]
    fn the_digest_is_plain_hex() {
        assert!(hex(b"").starts_with("e3b0c44298fc1c14"));
        assert_eq!(hex(b"").len(), 64);
    }
}
