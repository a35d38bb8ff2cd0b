//! Makes `src/model/glue.json` and `docs/glue-operations.md` from a published service model of Glue:
//! `cargo run --release -p tenon-server --example glue_model -- service-2.json`, then once more, since the page
//! is made of the model that was compiled in.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let source = std::env::args()
        .nth(1)
        .ok_or("give the path of the service model")?;
    let service: Value = serde_json::from_str(&fs::read_to_string(source)?)?;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::write(here.join("src/model/glue.json"), subset(&service))?;
    fs::write(
        here.join("../../docs/glue-operations.md"),
        tenon_server::coverage(),
    )?;
    Ok(())
}

/// One line for each operation and shape, so that changes are read easily.
fn subset(service: &Value) -> String {
    let supported = tenon_server::supported();
    let mut operations = BTreeMap::new();
    let mut shapes = BTreeMap::new();
    for (name, operation) in service["operations"].as_object().into_iter().flatten() {
        let input = operation["input"]["shape"]
            .as_str()
            .filter(|_| supported.contains(&name.as_str()));
        if let Some(input) = input {
            collect(service, input, &mut shapes);
        }
        operations.insert(name.clone(), json!(input));
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
fn collect(service: &Value, name: &str, shapes: &mut BTreeMap<String, Value>) {
    if shapes.contains_key(name) {
        return;
    }
    let shape = &service["shapes"][name];
    let mut kept = Map::new();
    for rule in ["type", "min", "max", "pattern", "enum", "required"] {
        if let Some(value) = shape.get(rule) {
            kept.insert(rule.to_owned(), value.clone());
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
    below
        .iter()
        .filter_map(Value::as_str)
        .for_each(|name| collect(service, name, shapes));
}
