//! `tenon plugin test`: the production sandbox and engine on a file of sample rows.
//!
//! ```text
//! tests/rows.ndjson       what goes in
//! tests/expected.ndjson   what must come out, row by row; --accept writes it
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tenon_engine::{DirectTarget, DynamicTransform, FileSource, Job, Node, Progress};
use tenon_registry::Registry;

use super::{build, registry};
use crate::commands::setup;
use crate::error::{Explain, Failure};
use crate::report::{Report, cell, millis};
use crate::shell::Shell;

/// Arguments of `tenon plugin test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the plugin's Cargo.toml.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The function to call [default: the only one, or the only plan].
    #[arg(long, value_name = "NAME", default_value = "")]
    function: String,
    /// Write what came out as what is expected.
    #[arg(long)]
    accept: bool,
}

/// Builds, runs and compares.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let built = build::build(shell, &args.dir, None, false)?;
    let rows = args.dir.join("tests/rows.ndjson");
    if !rows.exists() {
        return Err(Failure::new(format!(
            "there are no sample rows: {} is missing",
            rows.display()
        ))
        .with_hint("write some, one JSON object a line"));
    }
    let scratch = tempfile::tempdir()?;
    let registry = Registry::open(scratch.path().join("registry")).map_err(registry::failure)?;
    registry.install(&built.bytes).map_err(registry::failure)?;
    let engine = setup::engine_over(shell, registry, None, &setup::Resources::default())?;
    let out = scratch.path().join("out.ndjson");
    let job = job(built.manifest.name.as_str(), &args.function, &rows, &out);
    let report = setup::block_on(async {
        engine
            .run(&job, "test", &Progress::default())
            .await
            .map_err(setup::failure)
    })?;
    let expected = args.dir.join("tests/expected.ndjson");
    if args.accept {
        fs::copy(&out, &expected)?;
        shell.say(&format!("accepted into {}", expected.display()));
    } else if expected.exists() {
        compare(&read(&expected)?, &read(&out)?)?;
    } else {
        shell.print_text(&fs::read_to_string(&out)?)?;
        shell.say("nothing is expected yet: --accept keeps this as expected");
    }
    let guest = report
        .nodes
        .iter()
        .find_map(|node| node.guest)
        .unwrap_or_default();
    let summary = Report::record()
        .field(
            "plugin",
            cell(format!(
                "{}@{}",
                built.manifest.name, built.manifest.version
            )),
        )
        .field(
            "rows",
            cell(report.targets.first().map_or(0, |target| target.rows)),
        )
        .field("in_plugin_millis", millis(guest.cpu))
        .field("memory_bytes", crate::report::bytes(guest.memory_bytes))
        .field(
            "result",
            cell(if args.accept || !expected.exists() {
                "ran"
            } else {
                "as expected"
            }),
        );
    shell.print(&summary)
}

fn job(plugin: &str, function: &str, rows: &Path, out: &Path) -> Job {
    let source = FileSource {
        name: "rows".to_owned(),
        paths: vec![setup::absolute(rows)],
    };
    let transform = DynamicTransform {
        name: plugin.to_owned(),
        transform_name: plugin.to_owned(),
        inputs: vec!["rows".to_owned()],
        parameters: Vec::new(),
        function_name: function.to_owned(),
        path: plugin.to_owned(),
    };
    let target = DirectTarget {
        name: "out".to_owned(),
        inputs: vec!["plugin".to_owned()],
        path: setup::absolute(out),
        format: "json".to_owned(),
        schema_change_policy: None,
    };
    let nodes = [
        ("rows", Node::S3JsonSource(source)),
        ("plugin", Node::DynamicTransform(transform)),
        ("out", Node::S3DirectTarget(target)),
    ];
    let nodes = nodes
        .into_iter()
        .map(|(id, node)| (id.to_owned(), node))
        .collect();
    Job {
        name: "test".to_owned(),
        nodes,
        ..Job::default()
    }
}

/// The objects of a file, a missing member and one that is null being the same.
fn read(path: &Path) -> Result<Vec<Value>, Failure> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path).what(move || format!("cannot read {shown}"))?;
    let mut rows = Vec::new();
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let shown = path.display().to_string();
        let mut row: Value =
            serde_json::from_str(line).what(move || format!("{shown}:{}", number + 1))?;
        if let Some(object) = row.as_object_mut() {
            object.retain(|_, value| !value.is_null());
        }
        rows.push(row);
    }
    Ok(rows)
}

fn compare(expected: &[Value], found: &[Value]) -> Result<(), Failure> {
    let differs = expected
        .iter()
        .zip(found)
        .position(|(expected, found)| expected != found);
    if let Some(row) = differs {
        let text = format!(
            "row {} differs: expected {}, got {}",
            row + 1,
            expected[row],
            found[row]
        );
        return Err(
            Failure::new(text).with_hint("if the plugin is right, keep its answer with --accept")
        );
    }
    if expected.len() != found.len() {
        return Err(Failure::new(format!(
            "{} rows were expected and {} came out",
            expected.len(),
            found.len()
        ))
        .with_hint("if the plugin is right, keep its answer with --accept"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_row_that_differs_is_named() {
        let failure = compare(&[json!(1), json!(2)], &[json!(1), json!(3)]).unwrap_err();
        assert_eq!(failure.lines()[0].1, "row 2 differs: expected 2, got 3");
        assert!(
            compare(&[json!(1)], &[]).unwrap_err().lines()[0]
                .1
                .contains("1 rows were expected and 0 came out")
        );
        assert!(compare(&[json!({"a": 1})], &[json!({"a": 1})]).is_ok());
    }
}
