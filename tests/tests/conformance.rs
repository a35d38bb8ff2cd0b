//! The conformance cases (`tests/conformance/README.md`): what a plugin of any SDK must do, as data.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use tenon_engine::{Error, Job, Progress};
use tenon_registry::Registry;
use tenon_tests::{World, root};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[expect(dead_code, reason = "for whoever reads the case")]
    about: String,
    rows: String,
    more: Option<String>,
    function: Option<String>,
    query: Option<String>,
    #[serde(default)]
    sorted: bool,
    expected: Option<String>,
    error: Option<String>,
}

fn lines(text: &str) -> Vec<Value> {
    let rows = text.lines().filter(|line| !line.trim().is_empty());
    rows.map(|line| without_nulls(serde_json::from_str(line).unwrap()))
        .collect()
}

/// A missing member and one that is null are the same.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_nulls(value)))
            .collect(),
        other => other,
    }
}

fn job(case: &Case, folder: &Path) -> Job {
    std::fs::write(folder.join("rows.json"), &case.rows).unwrap();
    let mut inputs = vec!["rows"];
    let mut sources = r#"
        [nodes.rows.S3JsonSource]
        Name = "rows"
        Paths = ["rows.json"]
    "#
    .to_owned();
    if let Some(more) = &case.more {
        std::fs::write(folder.join("more.json"), more).unwrap();
        inputs.push("more");
        sources += r#"
        [nodes.more.S3JsonSource]
        Name = "more"
        Paths = ["more.json"]
        "#;
    }
    let node = match (&case.function, &case.query) {
        (Some(function), None) => format!(
            r#"
            [nodes.call.DynamicTransform]
            Name = "call"
            TransformName = "call"
            Path = "tenon:conformance@0"
            FunctionName = "{function}"
            Inputs = {inputs:?}
            "#
        ),
        (None, Some(query)) => format!(
            r#"
            [nodes.call.SparkSQL]
            Name = "call"
            Inputs = {inputs:?}
            SqlQuery = '''{query}'''
            SqlAliases = [{{ From = "rows", Alias = "input" }}]
            "#
        ),
        _ => panic!("a case has a function or a query"),
    };
    let text = format!(
        r#"
        name = "case"
        {sources}
        {node}
        [nodes.out.S3DirectTarget]
        Name = "out"
        Inputs = ["call"]
        Path = "out.json"
        Format = "json"
        "#
    );
    let mut job = Job::from_toml(&text).unwrap();
    job.folder = folder.to_path_buf();
    job
}

async fn run(world: &World, case: &Case, folder: &Path) -> Result<Vec<Value>, Error> {
    let out = folder.join("out.json");
    world
        .engine
        .run(&job(case, folder), "case", &Progress::default())
        .await?;
    Ok(lines(&std::fs::read_to_string(out).unwrap_or_default()))
}

/// A world with the plugin to be tested: that of the Rust SDK, or the one that `TENON_CONFORMANCE` names.
fn world() -> World {
    match std::env::var_os("TENON_CONFORMANCE") {
        None => World::with_plugins(&["tests/conformance/guest"]),
        Some(component) => {
            let world = World::with_plugins(&[]);
            let registry = Registry::open(world.folder.path().join("registry")).unwrap();
            registry
                .install(&std::fs::read(component).unwrap())
                .unwrap();
            world
        }
    }
}

fn cases() -> Vec<PathBuf> {
    let folder = root().join("tests/conformance/cases");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut cases: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

fn as_text(rows: &[Value]) -> Vec<String> {
    rows.iter().map(Value::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_holds() {
    let world = world();
    let mut failed = Vec::new();
    let cases = cases();
    assert!(cases.len() > 20, "the cases are missing");
    for path in cases {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let case: Case = toml::from_str(&std::fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let folder = world.folder.path().join(&name);
        std::fs::create_dir(&folder).unwrap();
        let outcome = run(&world, &case, &folder).await;
        let problem = match (outcome, &case.expected, &case.error) {
            (Ok(rows), Some(expected), None) => {
                let (mut rows, mut expected) = (as_text(&rows), as_text(&lines(expected)));
                if case.sorted {
                    rows.sort();
                    expected.sort();
                }
                (rows != expected).then(|| format!("got {rows:#?}, expected {expected:#?}"))
            }
            (Err(e), None, Some(words)) => {
                (!e.to_string().contains(words)).then(|| format!("failed with {e}"))
            }
            (Ok(rows), None, Some(_)) => Some(format!("went through with {:?}", as_text(&rows))),
            (Err(e), Some(_), None) => Some(format!("failed with {e}")),
            _ => Some("a case has what is expected or an error".to_owned()),
        };
        failed.extend(problem.map(|problem| format!("{name}: {problem}")));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
