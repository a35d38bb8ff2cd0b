//! The plugin's [`Manifest`], from its Cargo.toml and from what its component exports.
//!
//! ```toml
//! [package.metadata.tenon]          # optional
//! functions = ["find-matches"]      # those that people see; default: all that the component describes
//! examples = [{ title = "shout", text = "select shout(name) from people" }]
//!
//! [package.metadata.tenon.limits]   # optional: what a user should hold it to at most
//! memory_bytes = "64 MiB"
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;
use tenon_host::{LIMITS, LimitSettings};
use tenon_registry::{Example, Function, LimitValue, Manifest, PluginName};

use super::component::Exports;
use super::package::Package;
use super::registry;
use crate::error::{Explain, Failure};

/// `[package.metadata.tenon]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    functions: Vec<String>,
    #[serde(default)]
    examples: Vec<Example>,
    #[serde(default)]
    limits: LimitSettings,
}

/// What the plugin in `package` says about itself.
///
/// # Errors
/// When the component is no plugin, or Cargo.toml breaks a rule of manifests.
pub(crate) fn manifest(
    package: &Package,
    exports: &Exports,
    described: Vec<Function>,
) -> Result<Manifest, Failure> {
    let (Some(contract), false) = (&exports.contract, exports.kinds.is_empty()) else {
        return Err(not_a_plugin(package));
    };
    let name = PluginName::new(package.plugin_name()).map_err(registry::failure)?;
    let table = table(package)?;
    let functions = public(described, &table.functions, package)?;
    let manifest = Manifest {
        name,
        version: package
            .version
            .parse()
            .what(|| "cannot read the package's version")?,
        description: package.description.clone().unwrap_or_default(),
        authors: package.authors.clone(),
        license: package.license.clone().ok_or_else(|| no_license(package))?,
        contract: contract
            .parse()
            .what(|| "cannot read the version of the contract")?,
        functions,
        capabilities: exports.capabilities.clone(),
        examples: table.examples,
        limits: limits(&table.limits),
    };
    manifest.validate().map_err(registry::failure)?;
    Ok(manifest)
}

fn limits(settings: &LimitSettings) -> BTreeMap<String, LimitValue> {
    let said = LIMITS.iter().filter_map(|limit| {
        let text = limit.show(settings.get(limit)?);
        Some((limit.name.to_owned(), LimitValue::Text(text)))
    });
    said.collect()
}

fn table(package: &Package) -> Result<Table, Failure> {
    match package.metadata.get("tenon") {
        None => Ok(Table::default()),
        Some(value) => Ok(serde_json::from_value(value.clone()).what({
            let path = package.manifest_path.display().to_string();
            move || format!("cannot read [package.metadata.tenon] in {path}")
        })?),
    }
}

/// The functions that people see: those listed, or all.
fn public(
    described: Vec<Function>,
    listed: &[String],
    package: &Package,
) -> Result<Vec<Function>, Failure> {
    let Some(unknown) = listed
        .iter()
        .find(|name| described.iter().all(|f| f.name != **name))
    else {
        let is_public = |f: &Function| listed.is_empty() || listed.contains(&f.name);
        return Ok(described.into_iter().filter(is_public).collect());
    };
    let there: Vec<&str> = described.iter().map(|f| f.name.as_str()).collect();
    let path = package.manifest_path.display();
    Err(Failure::new(format!(
        "{path} lists the function {unknown:?}; the component has {}",
        there.join(", ")
    )))
}

fn not_a_plugin(package: &Package) -> Failure {
    Failure::new(format!(
        "{} is not a plugin: it exports none of tenon:plugin/map, /stream and /plan",
        package.name
    ))
    .with_hint("put #[tenon_sdk::plugin] on a function in src/lib.rs")
}

fn no_license(package: &Package) -> Failure {
    Failure::new(format!(
        "{} states no license",
        package.manifest_path.display()
    ))
    .with_hint("add one to [package], such as: license = \"Apache-2.0\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tenon_registry::FunctionKind;

    fn package(metadata: &serde_json::Value) -> Package {
        serde_json::from_value(json!({
            "id": "trim", "name": "tenon-trim", "version": "0.1.0", "description": "trims",
            "license": "Apache-2.0", "manifest_path": "/w/trim/Cargo.toml",
            "metadata": metadata, "targets": [{"kind": ["lib"]}],
        }))
        .unwrap()
    }

    fn exports(kinds: &[FunctionKind]) -> Exports {
        Exports {
            kinds: kinds.to_vec(),
            contract: Some("0.2.0".to_owned()),
            capabilities: Vec::new(),
        }
    }

    fn described() -> Vec<Function> {
        let function = |name: &str| Function {
            name: name.to_owned(),
            kind: FunctionKind::Map,
            description: String::new(),
        };
        vec![function("cut"), function("paste")]
    }

    #[test]
    fn functions_are_those_described_or_the_listed_ones() {
        let names_of = |metadata| {
            let manifest = manifest(
                &package(&metadata),
                &exports(&[FunctionKind::Map]),
                described(),
            )
            .unwrap();
            manifest
                .functions
                .into_iter()
                .map(|f| f.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names_of(json!(null)), ["cut", "paste"]);
        assert_eq!(
            names_of(json!({"tenon": {"functions": ["paste"]}})),
            ["paste"]
        );
    }

    #[test]
    fn limits_are_checked_and_carried() {
        let metadata = json!({"tenon": {"limits": {"memory_bytes": "64MiB", "call_time": 2}}});
        let exports = exports(&[FunctionKind::Map]);
        let limited = manifest(&package(&metadata), &exports, described()).unwrap();
        let shown: Vec<String> = limited
            .limits
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        assert_eq!(shown, ["call_time 2 s", "memory_bytes 64 MiB"]);
        let metadata = json!({"tenon": {"limits": {"memory": "64MiB"}}});
        let refused = manifest(&package(&metadata), &exports, described()).unwrap_err();
        assert!(refused.to_string().contains("there is no limit \"memory\""));
    }

    #[test]
    fn typing_errors_are_named() {
        let refused = |metadata| {
            manifest(
                &package(&metadata),
                &exports(&[FunctionKind::Map]),
                described(),
            )
            .unwrap_err()
        };
        assert!(
            refused(json!({"tenon": {"function": []}})).lines()[1]
                .1
                .contains("unknown field `function`")
        );
        assert!(
            refused(json!({"tenon": {"functions": ["cutt"]}})).lines()[0]
                .1
                .contains("the component has cut, paste")
        );
    }

    #[test]
    fn a_component_of_something_else_is_no_plugin() {
        let failure =
            manifest(&package(&json!(null)), &Exports::default(), described()).unwrap_err();
        assert!(failure.lines()[0].1.contains("is not a plugin"));
    }
}
