//! [`Package`]: what cargo knows about the crate in a folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::toolchain::Toolchain;
use crate::error::{Explain, Failure};
use crate::exit::Exit;
use crate::process::capture;

/// How long cargo may take to read manifests.
const PATIENCE: Duration = Duration::from_secs(60);

/// A crate, as `cargo metadata` describes it: values inherited from a workspace are filled in.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    /// Cargo's identity of the package.
    pub(crate) id: String,
    /// `package.name`.
    pub(crate) name: String,
    /// `package.version`.
    pub(crate) version: String,
    /// `package.description`.
    pub(crate) description: Option<String>,
    /// `package.license`.
    pub(crate) license: Option<String>,
    /// `package.authors`.
    #[serde(default)]
    pub(crate) authors: Vec<String>,
    /// The crate's Cargo.toml.
    pub(crate) manifest_path: PathBuf,
    /// `[package.metadata]`.
    #[serde(default)]
    pub(crate) metadata: serde_json::Value,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

impl Package {
    /// Reads the package in `dir`.
    ///
    /// # Errors
    /// When there is no package, no library in it, or cargo cannot read it.
    pub(crate) fn read(toolchain: &Toolchain, dir: &Path) -> Result<Self, Failure> {
        let manifest = manifest_in(dir)?;
        let mut cargo = toolchain.plain_cargo();
        cargo
            .current_dir(dir)
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .arg("--manifest-path")
            .arg(&manifest);
        let said = capture(&mut cargo, PATIENCE).what(|| "cannot run cargo metadata")?;
        let Some(json) = said.output() else {
            return Err(Failure::new(said.reason())
                .with_what(format!("cargo cannot read {}", manifest.display())));
        };
        let package = pick(json, &manifest)?;
        package.check_library()?;
        Ok(package)
    }

    /// Name of the plugin: the crate's without a leading `tenon-`.
    pub(crate) fn plugin_name(&self) -> &str {
        plugin_name(&self.name)
    }

    fn check_library(&self) -> Result<(), Failure> {
        let libraries = ["lib", "rlib", "cdylib"];
        let mut kinds = self.targets.iter().flat_map(|target| &target.kind);
        if kinds.any(|kind| libraries.contains(&kind.as_str())) {
            return Ok(());
        }
        let what = format!("{} has no library to build a plugin from", self.name);
        Err(Failure::new(what).with_hint("put the plugin's functions into src/lib.rs"))
    }
}

/// A crate's name without a leading `tenon-`.
pub(crate) fn plugin_name(package: &str) -> &str {
    match package.strip_prefix("tenon-") {
        Some(rest) if !rest.is_empty() => rest,
        _ => package,
    }
}

/// The Cargo.toml in `dir`, as cargo will name it.
fn manifest_in(dir: &Path) -> Result<PathBuf, Failure> {
    let manifest = dir.join("Cargo.toml");
    manifest
        .canonicalize()
        .what(|| format!("no crate in {}", dir.display()))
        .hint("name the folder of a plugin's Cargo.toml, or make one: `tenon plugin new NAME`")
}

fn pick(json: &str, manifest: &Path) -> Result<Package, Failure> {
    let metadata: Metadata =
        serde_json::from_str(json).what(|| "cannot read what cargo metadata says")?;
    let is_ours = |package: &Package| package.manifest_path == manifest;
    let package = metadata.packages.into_iter().find(is_ours);
    package
        .ok_or_else(|| Failure::new(format!("{} has no package", manifest.display())))
        .map_err(|failure| failure.with_exit(Exit::NotFound))
        .hint("it is a workspace: name the folder of one member")
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"packages": [
        {"id": "a", "name": "tenon-trim", "version": "0.1.0", "description": null, "license": null,
         "authors": [], "manifest_path": "/w/trim/Cargo.toml", "metadata": null,
         "targets": [{"kind": ["cdylib"]}]},
        {"id": "b", "name": "tool", "version": "0.1.0", "description": null, "license": null,
         "authors": [], "manifest_path": "/w/tool/Cargo.toml", "metadata": null,
         "targets": [{"kind": ["bin"]}]}
    ]}"#;

    #[test]
    fn a_member_is_picked_by_its_manifest() {
        let package = pick(JSON, Path::new("/w/trim/Cargo.toml")).unwrap();
        assert_eq!(package.plugin_name(), "trim");
        package.check_library().unwrap();
    }

    #[test]
    fn a_workspace_is_not_a_package() {
        let failure = pick(JSON, Path::new("/w/Cargo.toml")).unwrap_err();
        assert_eq!(failure.exit(), Exit::NotFound);
    }

    #[test]
    fn a_program_is_not_a_plugin() {
        let package = pick(JSON, Path::new("/w/tool/Cargo.toml")).unwrap();
        assert!(package.check_library().is_err());
    }

    #[test]
    fn only_a_prefix_is_taken_off() {
        assert_eq!(plugin_name("tenon-trim"), "trim");
        assert_eq!(plugin_name("trim"), "trim");
        assert_eq!(plugin_name("tenon-"), "tenon-");
    }
}
