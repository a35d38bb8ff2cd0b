//! Jobs as data: every folder of `tests/cases` is run as its `case.toml` says, and what comes of it is its
//! `expected.txt`: what each node did, what was written, what the catalog has, or the error.
//!
//! ```text
//! cases/<name>/case.toml      what it shows, the jobs in their order, queries asked afterwards
//!              job.toml, ...  the graphs; .json as Glue exports them
//!              in/            what they read
//!              expected.txt   what comes of it
//!              duckdb.sql     of some: what another engine makes of the inputs, see `engines.rs`
//! ```
//!
//! `TENON_UPDATE_CASES=1` writes what comes out instead of comparing it; look at the difference before it is committed.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::util::pretty::pretty_format_batches;
use serde::Deserialize;
use tenon_catalog::ListPartitions;
use tenon_engine::{EngineConfig, Error, IsNew, Job, Progress, RunReport, first_rows};
use tenon_tests::World;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What it shows.
    what: String,
    /// Run one after the other.
    #[serde(default = "one_job")]
    pub(crate) jobs: Vec<String>,
    /// Folders of plugins that it uses.
    #[serde(default)]
    plugins: Vec<String>,
    /// Whether each reads only files that those before have not read.
    #[serde(default)]
    only_new: bool,
    /// Whether what runs say in their log is shown.
    #[serde(default)]
    log: bool,
    /// Asked when they have run.
    #[serde(default)]
    sql: Vec<String>,
    /// Tables whose columns and partitions are shown.
    #[serde(default)]
    tables: Vec<String>,
}

fn one_job() -> Vec<String> {
    vec!["job.toml".to_owned()]
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_do_what_their_cases_say() {
    let mut differences = Vec::new();
    for folder in folders(&tenon_tests::root().join("tests/cases")) {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(folder.join("case.toml")).unwrap();
        let case: Case = toml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let found = outcome(&folder, &case).await;
        let expected = folder.join("expected.txt");
        if std::env::var_os("TENON_UPDATE_CASES").is_some() {
            std::fs::write(expected, found).unwrap();
        } else if std::fs::read_to_string(expected).unwrap_or_default() != found {
            differences.push(format!("{name} ({}) gives\n{found}", case.what));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

pub(crate) fn folders(cases: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(cases).unwrap();
    let mut folders: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

async fn outcome(case_folder: &Path, case: &Case) -> String {
    // One partition: the same rows in the same files each time.
    let config = EngineConfig {
        partitions: 1,
        ..EngineConfig::default()
    };
    let plugins: Vec<&str> = case.plugins.iter().map(String::as_str).collect();
    let world = World::with_config(&plugins, config);
    let work = world.folder.path().join("work");
    copy(case_folder, &work);
    let mut text = String::new();
    let mut read = BTreeSet::new();
    for (number, job) in case.jobs.iter().enumerate() {
        let known = case.only_new.then(|| read.clone());
        let shown = match run(&world, &work.join(job), number, known).await {
            Ok(report) => {
                for (node, files) in &report.read {
                    read.extend(files.iter().map(|file| (node.clone(), file.path.clone())));
                }
                let mut text = shown(&report);
                if case.log {
                    text += &log_text(&report);
                }
                text
            }
            Err(error) => format!("error: {error}{}\n", hint(&error)),
        };
        writeln!(text, "{job}\n{shown}").unwrap();
    }
    written(&work, &work, &mut text);
    for table in &case.tables {
        text += &table_text(&world, table);
    }
    for query in &case.sql {
        let stream = world.engine.sql(query).await.unwrap();
        let (batches, _) = first_rows(stream, 100).await.unwrap();
        let rows = pretty_format_batches(&batches).unwrap();
        writeln!(text, "\n{query}\n{rows}").unwrap();
    }
    let text = text.replace(&*work.to_string_lossy(), "FOLDER");
    text.lines()
        .fold(String::new(), |shown, line| shown + &cut(line) + "\n")
}

/// Characters of a line that are compared: tables of bytes are wider than anybody reads.
const LINE: usize = 600;
/// Hexadecimal digits from which on it is there, not what it is, that a case shows: a model.
const BYTES: usize = 200;

fn cut(line: &str) -> String {
    let is_bytes =
        |word: &str| word.len() >= BYTES && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words = line
        .split(' ')
        .map(|word| if is_bytes(word) { "BYTES" } else { word });
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LINE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Nodes and the files that they have read.
pub(crate) type Read = BTreeSet<(String, String)>;

pub(crate) async fn run(
    world: &World,
    job: &Path,
    number: usize,
    known: Option<Read>,
) -> Result<RunReport, Error> {
    let job = Job::read(job)?;
    let (run, progress) = (format!("run{number}"), Progress::default());
    let Some(known) = known else {
        return world.engine.run(&job, &run, &progress).await;
    };
    let is_new: IsNew =
        Arc::new(move |node, file| !known.contains(&(node.to_owned(), file.path.clone())));
    world.engine.run_new(&job, &run, &progress, is_new).await
}

fn hint(error: &Error) -> String {
    error
        .hint()
        .map(|hint| format!("\nhint: {hint}"))
        .unwrap_or_default()
}

/// What each node did, and what was written.
fn shown(report: &RunReport) -> String {
    let mut text = String::new();
    for node in &report.nodes {
        let seldom = [
            ("dropped", node.rows_dropped),
            ("in quarantine", node.rows_quarantined),
            ("retries", node.retries),
        ];
        let (id, kind, rows_in, rows_out) = (&node.id, node.kind, node.rows_in, node.rows_out);
        write!(text, "  {id} {kind}: {rows_in} -> {rows_out}").unwrap();
        for (what, count) in seldom.iter().filter(|(_, count)| *count > 0) {
            write!(text, ", {count} {what}").unwrap();
        }
        text.push('\n');
    }
    for target in &report.targets {
        let what = if target.is_quarantine {
            " quarantine"
        } else {
            ""
        };
        let (id, rows, files) = (&target.id, target.rows, target.files);
        writeln!(
            text,
            "  {id}{what}: {rows} rows, {files} files, {} partitions, table {:?}",
            target.partitions, target.table
        )
        .unwrap();
        // What is in quarantine has paths in it: its own file shows it.
        if let Some(preview) = target.preview.as_ref().filter(|_| !target.is_quarantine) {
            writeln!(
                text,
                "{}",
                pretty_format_batches(std::slice::from_ref(preview)).unwrap()
            )
            .unwrap();
        }
    }
    text
}

fn log_text(report: &RunReport) -> String {
    let lines = report.log.iter();
    let lines = lines.map(|(node, level, message)| format!("  log: {node} {level}: {message}\n"));
    lines.collect()
}

/// The files that a user would see, and what text files hold.
fn written(root: &Path, folder: &Path, text: &mut String) {
    for path in folders(folder) {
        let below = path.strip_prefix(root).unwrap();
        let name = below.to_string_lossy();
        let is_given = below.components().count() == 1
            && (name == "in"
                || name.ends_with(".txt")
                || name.ends_with(".sql")
                || name.ends_with(".toml")
                || name.ends_with(".json"));
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(['.', '_']));
        if is_given || is_hidden {
            continue;
        }
        if path.is_dir() {
            written(root, &path, text);
        } else {
            writeln!(text, "{name}").unwrap();
            let is_text = [".csv", ".tsv", ".jsonl"]
                .iter()
                .any(|suffix| name.ends_with(suffix));
            if is_text {
                for line in std::fs::read_to_string(&path).unwrap().lines() {
                    writeln!(text, "  {line}").unwrap();
                }
            }
        }
    }
}

fn table_text(world: &World, name: &str) -> String {
    let (database, table) = name.split_once('.').unwrap();
    let Ok(found) = world.catalog.get_table(database, table) else {
        return format!("\nno table {name}\n");
    };
    let column = |c: &tenon_catalog::Column| {
        format!("{} {}", c.name, c.r#type.as_deref().unwrap_or_default())
    };
    let descriptor = found.storage_descriptor.unwrap();
    let columns: Vec<_> = descriptor.columns.iter().map(column).collect();
    let keys: Vec<_> = found.partition_keys.iter().map(column).collect();
    let mut text = format!(
        "\ntable {name}: {}; keys: {}; {}\n",
        columns.join(", "),
        keys.join(", "),
        found.parameters["classification"]
    );
    let options = ListPartitions {
        limit: 100,
        ..ListPartitions::default()
    };
    if !keys.is_empty() {
        let page = world
            .catalog
            .list_partitions(database, table, &options)
            .unwrap();
        for partition in page.items {
            let location = partition.storage_descriptor.unwrap().location.unwrap();
            writeln!(text, "  {:?} {location}", partition.values).unwrap();
        }
    }
    text
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for path in folders(from) {
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(std::fs::copy(&path, &target).unwrap()),
        }
    }
}
