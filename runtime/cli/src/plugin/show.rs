//! `tenon plugin show`: what an installed plugin says about itself.

use serde_json::{Value, json};
use tenon_registry::{Function, LimitValue, Manifest};

use super::registry;
use crate::error::Failure;
use crate::report::{Cell, Report, bytes, cell, cell_as};
use crate::shell::Shell;

/// Arguments of `tenon plugin show`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// NAME, NAME@1 for the newest 1.x, NAME@1.2.3, or NAME@sha256:...
    #[arg(value_name = "NAME[@VERSION]")]
    reference: String,
}

/// Shows the newest version that answers to the name.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let registry = registry::open(shell)?;
    let plugin = registry
        .resolve(&args.reference)
        .map_err(registry::failure)?;
    let manifest = &plugin.manifest;
    let report = Report::record()
        .field("name", cell(plugin.name.as_str()))
        .field("version", cell(plugin.version.to_string()))
        .field("description", cell(manifest.description.as_str()))
        .field("functions", functions(manifest))
        .field("authors", cell(manifest.authors.clone()))
        .field("license", cell(manifest.license.as_str()))
        .field("contract", cell(manifest.contract.to_string()))
        .field("capabilities", capabilities(manifest))
        .field("limits", limits(manifest))
        .field("size_bytes", bytes(plugin.size_bytes))
        .field("digest", cell(plugin.digest.to_string()))
        .field("examples", examples(manifest));
    shell.print(&report)
}

/// Objects for programs; a line each for people.
fn functions(manifest: &Manifest) -> Cell {
    let line = |function: &Function| match function.description.as_str() {
        "" => format!("{} ({})", function.name, function.kind),
        text => format!("{} ({}): {text}", function.name, function.kind),
    };
    let object = |function: &Function| {
        json!({
            "name": function.name,
            "kind": function.kind.to_string(),
            "description": function.description,
        })
    };
    let objects: Vec<Value> = manifest.functions.iter().map(object).collect();
    let lines: Vec<String> = manifest.functions.iter().map(line).collect();
    cell_as(objects, lines.join("\n"))
}

/// What it may reach once it is granted.
fn capabilities(manifest: &Manifest) -> Cell {
    match manifest.capabilities.is_empty() {
        true => cell_as(manifest.capabilities.clone(), "-"),
        false => cell(manifest.capabilities.clone()),
    }
}

/// What the plugin should be held to at most, in its own words.
fn limits(manifest: &Manifest) -> Cell {
    let pair = |(name, value): (&String, &LimitValue)| (name.clone(), json!(value.to_string()));
    let object: serde_json::Map<String, Value> = manifest.limits.iter().map(pair).collect();
    let lines: Vec<String> = manifest
        .limits
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    match lines.is_empty() {
        true => cell_as(object, "-"),
        false => cell_as(object, lines.join("\n")),
    }
}

fn examples(manifest: &Manifest) -> Cell {
    let examples = &manifest.examples;
    let objects: Vec<Value> = examples
        .iter()
        .map(|example| json!({"title": example.title, "text": example.text}))
        .collect();
    let lines: Vec<String> = examples
        .iter()
        .map(|example| format!("{}:\n  {}", example.title, example.text))
        .collect();
    match lines.is_empty() {
        true => cell(objects),
        false => cell_as(objects, lines.join("\n")),
    }
}
