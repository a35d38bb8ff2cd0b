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
    rows: Option<String>,
    more: Option<String>,
    function: Option<String>,
    #[serde(default)]
    config: toml::Table,
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

/// The settings as a job gives them.
fn parameters(config: &toml::Table) -> String {
    let parameters = config.iter().map(|(name, value)| {
        let (kind, text) = match value {
            toml::Value::Integer(number) => ("int", number.to_string()),
            toml::Value::String(text) => ("str", text.clone()),
            other => panic!("{name}: {other} is not yet a setting of a case"),
        };
        format!("{{ Name = {name:?}, Type = {kind:?}, Value = [{text:?}] }}")
    });
    parameters.collect::<Vec<_>>().join(", ")
}

/// The sources of the case's rows, and their names.
fn inputs(case: &Case, folder: &Path) -> (String, Vec<&'static str>) {
    let mut text = String::new();
    let mut names = Vec::new();
    for (name, rows) in [("rows", &case.rows), ("more", &case.more)] {
        let Some(rows) = rows else { continue };
        std::fs::write(folder.join(name).with_extension("json"), rows).unwrap();
        names.push(name);
        text += &format!(
            r#"
            [nodes.{name}.S3JsonSource]
            Name = "{name}"
            Paths = ["{name}.json"]
            "#
        );
    }
    (text, names)
}

fn job(case: &Case, folder: &Path) -> Job {
    let (mut nodes, mut last) = inputs(case, folder);
    if let Some(function) = &case.function {
        let parameters = parameters(&case.config);
        nodes += &format!(
            r#"
            [nodes.call.DynamicTransform]
            Name = "call"
            TransformName = "call"
            Path = "tenon:conformance@0"
            FunctionName = "{function}"
            Inputs = {last:?}
            Parameters = [{parameters}]
            "#
        );
        last = vec!["call"];
    }
    if let Some(query) = &case.query {
        let from = last[0];
        nodes += &format!(
            r#"
            [nodes.ask.SparkSQL]
            Name = "ask"
            Inputs = {last:?}
            SqlQuery = '''{query}'''
            SqlAliases = [{{ From = "{from}", Alias = "input" }}]
            "#
        );
        last = vec!["ask"];
    }
    assert!(
        matches!(last[..], ["call" | "ask"]),
        "a case has a function or a query"
    );
    let text = format!(
        r#"
        name = "case"
        {nodes}
        [nodes.out.S3DirectTarget]
        Name = "out"
        Inputs = {last:?}
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
