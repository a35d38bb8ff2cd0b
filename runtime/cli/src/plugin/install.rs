//! `tenon plugin install`: a component, or what a crate builds, goes into the registry.

use std::fs;
use std::path::{Path, PathBuf};

use super::{build, registry};
use crate::error::{Explain, Failure};
use crate::report::{Report, bytes, cell};
use crate::shell::Shell;

/// Arguments of `tenon plugin install`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A component file, or the folder of a plugin's Cargo.toml, which is built first.
    #[arg(value_name = "FILE|DIR")]
    source: PathBuf,
}

/// Installs and reports.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let component = component(shell, &args.source)?;
    let registry = registry::open(shell)?;
    let installed = registry.install(&component).map_err(registry::failure)?;
    let report = Report::record()
        .field("name", cell(installed.name.as_str()))
        .field("version", cell(installed.version.to_string()))
        .field("size_bytes", bytes(component.len() as u64))
        .field("digest", cell(installed.digest.to_string()))
        .field("registry", cell(registry.root().display().to_string()));
    shell.print(&report)
}

fn component(shell: &Shell, source: &Path) -> Result<Vec<u8>, Failure> {
    if source.is_dir() {
        return Ok(build::build(shell, source, None, false)?.bytes);
    }
    let shown = source.display().to_string();
    fs::read(source)
        .what(move || format!("cannot read {shown}"))
        .hint("name a component file, or the folder of a plugin crate")
}
