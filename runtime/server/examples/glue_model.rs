//! Makes all that comes from the service model of Glue.
//!
//! ```text
//! service-2.json ─> src/model/glue.json, src/model/answers.json ─> src/glue/shapes/{requests,answers,parts}.rs
//!                                          compiled in  ─────────> docs/glue-operations.md
//! ```
//!
//! * `cargo run --release -p tenon-server --example glue_model` makes shapes and page of what is committed.
//! * `... --example glue_model -- service-2.json CreateUnicorn` reads a published model and takes operations in
//!   that have no function yet, so that there are shapes to write it with. Once it is written, the command above
//!   makes the page.
//! * `... --example glue_model -- logs service-2.json` makes `src/model/logs.json` of the model of CloudWatch Logs.

#[path = "../src/glue/shapes/generate.rs"]
mod generate;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

/// What the server checks of a shape.
const RULES: &[&str] = &["type", "min", "max", "pattern", "enum", "required"];

fn main() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (requests, answers) = (
        here.join("src/model/glue.json"),
        here.join("src/model/answers.json"),
    );
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some("logs") {
        let source = arguments.next().ok_or("name the service model of logs")?;
        let service: Value = serde_json::from_str(&fs::read_to_string(source)?)?;
        let rules = subset(&service, &tenon_server::supported_logs(), "input", RULES);
        return Ok(fs::write(here.join("src/model/logs.json"), rules)?);
    }
    if let Some(source) = first {
        let service: Value = serde_json::from_str(&fs::read_to_string(source)?)?;
        let mut operations: Vec<_> = tenon_server::supported();
        let added: Vec<_> = arguments.collect();
        operations.extend(added.iter().map(String::as_str));
        fs::write(&requests, subset(&service, &operations, "input", RULES))?;
        fs::write(
            &answers,
            subset(&service, &operations, "output", &["type", "enum"]),
        )?;
    }
    let files = generate::files(
        &fs::read_to_string(requests)?,
        &fs::read_to_string(answers)?,
    )?;
    for (name, text) in files {
        fs::write(here.join("src/glue/shapes").join(name), text)?;
    }
    let page = here.join("../../docs/glue-operations.md");
    Ok(fs::write(page, tenon_server::coverage())?)
}

/// All operations, those that are wanted with the shape of their `side`, and what these consist of. One line for
/// each operation and shape, so that changes are read easily.
fn subset(service: &Value, wanted: &[&str], side: &str, rules: &[&str]) -> String {
    let mut operations = BTreeMap::new();
    let mut shapes = BTreeMap::new();
    for (name, operation) in service["operations"].as_object().into_iter().flatten() {
        let shape = operation[side]["shape"]
            .as_str()
            .filter(|_| wanted.contains(&name.as_str()));
        if let Some(shape) = shape {
            collect(service, shape, rules, &mut shapes);
        }
        operations.insert(name.clone(), json!(shape));
    }
    format!(
        "{{\"operations\": {{\n{}\n}},\n\"shapes\": {{\n{}\n}}}}\n",
        lines(&operations),
        lines(&shapes)
    )
}

fn lines(entries: &BTreeMap<String, Value>) -> String {
    let lines = entries
        .iter()
        .map(|(name, value)| format!("{}: {value}", json!(name)));
    lines.collect::<Vec<_>>().join(",\n")
}

/// A shape's type and constraints, and all shapes it consists of.
fn collect(service: &Value, name: &str, rules: &[&str], shapes: &mut BTreeMap<String, Value>) {
    if shapes.contains_key(name) {
        return;
    }
    let shape = &service["shapes"][name];
    let mut kept = Map::new();
    for rule in rules {
        if let Some(value) = shape.get(rule) {
            kept.insert((*rule).to_owned(), value.clone());
        }
    }
    let mut below = Vec::new();
    if let Some(members) = shape["members"].as_object() {
        let members: Map<_, _> = members
            .iter()
            .map(|(name, member)| (name.clone(), member["shape"].clone()))
            .collect();
        below.extend(members.values().cloned());
        kept.insert("members".to_owned(), Value::Object(members));
    }
    for (from, to) in [("member", "of"), ("value", "of"), ("key", "key")] {
        if let Some(part) = shape.get(from) {
            kept.insert(to.to_owned(), part["shape"].clone());
            below.push(part["shape"].clone());
        }
    }
    shapes.insert(name.to_owned(), Value::Object(kept));
    // A shape stands in the map before those below it, so that one which holds itself comes to an end.
    below
        .iter()
        .filter_map(Value::as_str)
        .for_each(|name| collect(service, name, rules, shapes));
}
