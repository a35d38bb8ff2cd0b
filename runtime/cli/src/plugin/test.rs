//! `tenon plugin test`: the production sandbox and engine on a file of sample rows.
//!
//! ```text
//! tests/rows.ndjson             what goes in; not of a source
//! tests/config.json             settings of the function, if it needs any
//! tests/expected.ndjson         what must come out, row by row; --accept writes it
//! tests/query.sql               a query over the table `input`, the sample rows
//! tests/query-expected.ndjson   what must come out of the query of a plugin whose function is called as well
//! ```
//!
//! `map`, `stream` and `plan` functions are called on the rows, `source` functions on nothing. `aggregate` and `table-function` functions have no
//! meaning outside of SQL: the query is their test, and `expected.ndjson` what comes out of it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tenon_engine::{
    DirectTarget, DynamicTransform, Engine, GuestReport, Job, JsonSource, Node, Parameter,
    ParameterType, Progress, SparkSql, SqlAlias,
};
use tenon_registry::{Function, FunctionKind, Manifest, Registry};

use super::{build, registry};
use crate::commands::setup;
use crate::error::{Explain, Failure};
use crate::exit::Exit;
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
    let tests = args.dir.join("tests");
    let rows = sample(&built.manifest, &args.function, &tests)?;
    let cases = cases(&built.manifest, &args.function, &tests, rows.is_some())?;
    let scratch = tempfile::tempdir()?;
    let registry = Registry::open(scratch.path().join("registry")).map_err(registry::failure)?;
    registry.install(&built.bytes).map_err(registry::failure)?;
    let engine = setup::engine_over(shell, registry, None, &setup::Resources::in_order())?;
    let (mut all, mut used, mut compared) = (0, None, true);
    for case in cases {
        let out = scratch.path().join("out.ndjson");
        let (count, guest) = run_case(&engine, case.node, rows.as_deref(), &out)?;
        compared &= check(shell, &case.expected, &out, args.accept)?;
        all += count;
        used = used.or(guest);
    }
    let reference = format!("{}@{}", built.manifest.name, built.manifest.version);
    let mut summary = Report::record()
        .field("plugin", cell(reference))
        .field("rows", cell(all));
    // What an aggregate or a table function used is its query's, which reports no plugin.
    if let Some(guest) = used {
        summary = summary
            .field("in_plugin_millis", millis(guest.cpu))
            .field("memory_bytes", crate::report::bytes(guest.memory_bytes));
    }
    let result = if compared { "as expected" } else { "ran" };
    shell.print(&summary.field("result", cell(result)))
}

/// The sample rows; a source has none.
fn sample(manifest: &Manifest, function: &str, tests: &Path) -> Result<Option<PathBuf>, Failure> {
    let rows = tests.join("rows.ndjson");
    if rows.exists() {
        return Ok(Some(rows));
    }
    let mut tested = manifest
        .functions
        .iter()
        .filter(|f| function.is_empty() || f.name == function);
    if tested.all(|f| f.kind == FunctionKind::Source) {
        return Ok(None);
    }
    let missing = format!("there are no sample rows: {} is missing", rows.display());
    Err(Failure::new(missing).with_hint("write some, one JSON object a line"))
}

/// One run over the sample rows.
struct Case {
    /// Reads the node `rows`, if there is one.
    node: Node,
    /// The file of what must come out.
    expected: PathBuf,
}

/// What there is to run: the function, the query, or both.
fn cases(
    manifest: &Manifest,
    function: &str,
    tests: &Path,
    has_rows: bool,
) -> Result<Vec<Case>, Failure> {
    let query = tests.join("query.sql");
    let is_called = called(manifest, function);
    let mut cases = Vec::new();
    if is_called {
        cases.push(Case {
            node: call(manifest.name.as_str(), function, settings(tests)?, has_rows),
            expected: tests.join("expected.ndjson"),
        });
    }
    if query.exists() {
        let expected = if is_called {
            "query-expected.ndjson"
        } else {
            "expected.ndjson"
        };
        let shown = query.display().to_string();
        let text = fs::read_to_string(&query).what(move || format!("cannot read {shown}"))?;
        cases.push(Case {
            node: asked(text),
            expected: tests.join(expected),
        });
    }
    if cases.is_empty() {
        return Err(no_query(manifest, function, &query));
    }
    Ok(cases)
}

/// Whether the function is one to be called on a table: one whose name is not listed may be a plan's own.
fn called(manifest: &Manifest, function: &str) -> bool {
    let in_sql = |f: &Function| {
        matches!(
            f.kind,
            FunctionKind::Aggregate | FunctionKind::TableFunction
        )
    };
    let mut candidates = manifest.functions.iter();
    if function.is_empty() {
        !candidates.all(in_sql)
    } else {
        !candidates.any(|f| f.name == function && in_sql(f))
    }
}

fn no_query(manifest: &Manifest, function: &str, query: &Path) -> Failure {
    let found = manifest
        .functions
        .iter()
        .find(|f| function.is_empty() || f.name == function);
    let name = found.map_or(function, |f| f.name.as_str());
    let sql = name.replace('-', "_");
    let (what, example) = match found.map(|f| f.kind) {
        Some(FunctionKind::TableFunction) => (
            "a table function",
            format!("select * from input, lateral {sql}(input.a)"),
        ),
        _ => (
            "an aggregate",
            format!("select k, {sql}(v) from input group by k order by k"),
        ),
    };
    Failure::new(format!(
        "{name} is {what}, which only a query calls: {} is missing",
        query.display()
    ))
    .with_exit(Exit::NotFound)
    .with_hint(format!(
        "write one over the table input, the sample rows: {example}"
    ))
}

/// Runs one node; answers its rows and what the plugin used.
fn run_case(
    engine: &Engine,
    node: Node,
    rows: Option<&Path>,
    out: &Path,
) -> Result<(u64, Option<GuestReport>), Failure> {
    let job = job(node, rows, out);
    let report = setup::block_on(async {
        engine
            .run(&job, "test", &Progress::default())
            .await
            .map_err(setup::failure)
    })?;
    let count = report.targets.first().map_or(0, |target| target.rows);
    Ok((count, report.nodes.iter().find_map(|node| node.guest)))
}

/// Compares, or keeps, or shows what came out; answers whether it was compared.
fn check(shell: &Shell, expected: &Path, out: &Path, accept: bool) -> Result<bool, Failure> {
    if accept {
        fs::copy(out, expected)?;
        shell.say(&format!("accepted into {}", expected.display()));
        return Ok(false);
    }
    if expected.exists() {
        compare(&read(expected)?, &read(out)?)?;
        return Ok(true);
    }
    shell.print_text(&fs::read_to_string(out)?)?;
    let name = expected.display();
    shell.say(&format!(
        "nothing is expected yet: --accept keeps this as {name}"
    ));
    Ok(false)
}

/// The function's settings, as a job would give them.
fn settings(tests: &Path) -> Result<Vec<Parameter>, Failure> {
    let path = tests.join("config.json");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let shown = || path.display().to_string();
    let text = fs::read_to_string(&path).what(|| format!("cannot read {}", shown()))?;
    let object: serde_json::Map<String, Value> = serde_json::from_str(&text).what(shown)?;
    object
        .into_iter()
        .map(|(name, value)| {
            let wrong = format!("{}: {name}: a setting is a text, a number, a boolean, null or a list of texts, not {value}", shown());
            parameter(name, value).ok_or_else(|| Failure::new(wrong))
        })
        .collect()
}

fn parameter(name: String, value: Value) -> Option<Parameter> {
    let (r#type, value) = match value {
        Value::Null => (ParameterType::Null, vec![]),
        Value::Bool(flag) => (ParameterType::Bool, vec![flag.to_string()]),
        Value::Number(number) if number.is_i64() => (ParameterType::Int, vec![number.to_string()]),
        Value::Number(number) => (ParameterType::Float, vec![number.to_string()]),
        Value::String(text) => (ParameterType::Str, vec![text]),
        Value::Array(texts) => {
            let texts = texts.iter().map(|text| text.as_str().map(str::to_owned));
            (ParameterType::List, texts.collect::<Option<_>>()?)
        }
        Value::Object(_) => return None,
    };
    Some(Parameter {
        name,
        r#type,
        value,
    })
}

fn call(plugin: &str, function: &str, parameters: Vec<Parameter>, has_rows: bool) -> Node {
    Node::DynamicTransform(DynamicTransform {
        name: plugin.to_owned(),
        transform_name: plugin.to_owned(),
        inputs: has_rows.then(|| "rows".to_owned()).into_iter().collect(),
        parameters,
        function_name: function.to_owned(),
        path: plugin.to_owned(),
    })
}

fn asked(query: String) -> Node {
    Node::SparkSQL(SparkSql {
        name: "query".to_owned(),
        inputs: vec!["rows".to_owned()],
        sql_query: query,
        sql_aliases: vec![SqlAlias {
            from: "rows".to_owned(),
            alias: "input".to_owned(),
        }],
    })
}

fn job(node: Node, rows: Option<&Path>, out: &Path) -> Job {
    let source = rows.map(|rows| JsonSource {
        name: "rows".to_owned(),
        paths: vec![setup::absolute(rows)],
        ..JsonSource::default()
    });
    let target = DirectTarget {
        name: "out".to_owned(),
        inputs: vec!["plugin".to_owned()],
        path: setup::absolute(out),
        format: "json".to_owned(),
        ..DirectTarget::default()
    };
    let nodes = [("plugin", node), ("out", Node::S3DirectTarget(target))];
    let nodes = source
        .map(|source| ("rows", Node::S3JsonSource(source)))
        .into_iter()
        .chain(nodes)
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
    #[test]
    fn settings_become_parameters() {
        let tests = tempfile::tempdir().unwrap();
        assert!(settings(tests.path()).unwrap().is_empty());
        let config = tests.path().join("config.json");
        fs::write(&config, r#"{"a": "x", "b": 2, "c": ["y"], "d": true}"#).unwrap();
        let types: Vec<ParameterType> = settings(tests.path())
            .unwrap()
            .iter()
            .map(|p| p.r#type)
            .collect();
        use ParameterType as P;
        assert_eq!(types, [P::Str, P::Int, P::List, P::Bool]);
        fs::write(&config, r#"{"a": {"b": 1}}"#).unwrap();
        let failure = settings(tests.path()).unwrap_err();
        assert!(
            failure.lines()[0].1.contains("a: a setting is a text"),
            "{failure:?}"
        );
    }
}
