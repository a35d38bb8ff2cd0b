//! A job in a file as a definition on a server: what `tenon job put` sends.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tenon_engine::Job;

use super::setup;
use crate::error::Failure;
use crate::exit::Exit;

/// What a server's job has beside its graph.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Settings {
    /// What the job is called there [default: the name in the file].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// An argument that runs have unless they are started with another; may be repeated.
    #[arg(long = "default-arg", value_name = "NAME=VALUE", value_parser = super::job::pair)]
    arguments: Vec<(String, String)>,
    /// How often a run that failed is tried again.
    #[arg(long, value_name = "N")]
    max_retries: Option<u32>,
    /// How long a run may take, in minutes.
    #[arg(long, value_name = "MINUTES")]
    timeout: Option<u32>,
    /// Runs of the job at once; others wait.
    #[arg(long, value_name = "N")]
    max_concurrent_runs: Option<u32>,
    /// Which kind of worker, such as G.1X.
    #[arg(long, value_name = "TYPE")]
    worker_type: Option<String>,
    /// How many of them.
    #[arg(long, value_name = "N")]
    workers: Option<u32>,
}

/// Whether a command's word names a file and not a job.
pub(crate) fn is_file(word: &str) -> bool {
    let suffix = Path::new(word).extension().and_then(|s| s.to_str());
    matches!(suffix, Some("toml" | "json" | "sql"))
}

/// Name and definition, in Glue's words, of the job in a file.
pub(crate) fn read(file: &Path, settings: &Settings) -> Result<(String, Value), Failure> {
    let mut job = Job::read(file).map_err(setup::failure)?;
    if !job.limits.is_empty() {
        let why = "limits of plugins in a file are for `tenon run`; a server has its own";
        return Err(Failure::new(why)
            .with_exit(Exit::Usage)
            .with_hint("take `limits` out of the job"));
    }
    make_paths_absolute(&mut job)?;
    let mut definition = Map::new();
    let mut member = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            definition.insert(name.to_owned(), value);
        }
    };
    let arguments: Map<_, _> = settings
        .arguments
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let runs = settings.max_concurrent_runs;
    member("CodeGenConfigurationNodes", Some(json!(job.nodes)));
    member(
        "Description",
        (!job.description.is_empty()).then(|| json!(job.description)),
    );
    member(
        "DefaultArguments",
        (!arguments.is_empty()).then(|| arguments.into()),
    );
    member("MaxRetries", settings.max_retries.map(Into::into));
    member("Timeout", settings.timeout.map(Into::into));
    member(
        "ExecutionProperty",
        runs.map(|runs| json!({"MaxConcurrentRuns": runs})),
    );
    member(
        "WorkerType",
        settings.worker_type.as_deref().map(Into::into),
    );
    member("NumberOfWorkers", settings.workers.map(Into::into));
    let name = settings.name.clone().unwrap_or(job.name);
    Ok((name, definition.into()))
}

/// A server does not know which folder the file was in.
fn make_paths_absolute(job: &mut Job) -> Result<(), Failure> {
    let folder = std::path::absolute(&job.folder)
        .map_err(|e| Failure::new(format!("{}: {e}", job.folder.display())))?;
    let anchor = Job {
        folder,
        ..Job::default()
    };
    for (node, path) in job.paths_mut() {
        let absolute: PathBuf = anchor.path(path);
        *path = absolute.into_os_string().into_string().map_err(|path| {
            let path = Path::new(&path).display();
            Failure::new(format!("node {node:?}: the path {path} is no text"))
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = r#"
        name = "adults"
        description = "who is one"
        [nodes.people.S3CsvSource]
        Name = "people"
        Paths = ["in/people.csv", "s3://bucket/x.csv"]
        [nodes.out.S3GlueParquetTarget]
        Name = "out"
        Inputs = ["people"]
        Path = "/lake/out"
    "#;

    #[test]
    fn a_file_becomes_a_definition_that_a_server_understands() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("job.toml");
        std::fs::write(&file, JOB).unwrap();
        let settings = Settings {
            arguments: vec![("--day".to_owned(), "1".to_owned())],
            max_retries: Some(2),
            max_concurrent_runs: Some(3),
            ..Settings::default()
        };
        let (name, found) = read(&file, &settings).unwrap();
        assert_eq!(name, "adults");
        let nodes = &found["CodeGenConfigurationNodes"];
        let input = folder.path().join("in/people.csv").display().to_string();
        assert_eq!(
            nodes["people"]["S3CsvSource"]["Paths"],
            json!([input, "s3://bucket/x.csv"])
        );
        assert_eq!(nodes["out"]["S3GlueParquetTarget"]["Path"], "/lake/out");
        assert_eq!(found["Description"], "who is one");
        assert_eq!(found["DefaultArguments"], json!({"--day": "1"}));
        assert_eq!(found["MaxRetries"], 2);
        assert_eq!(found["ExecutionProperty"], json!({"MaxConcurrentRuns": 3}));
        assert!(found.get("Timeout").is_none(), "{found}");

        std::fs::write(&file, format!("{JOB}\n[limits]\ncall_time = 0.5\n")).unwrap();
        let refused = read(&file, &settings).unwrap_err();
        assert!(refused.to_string().contains("limits of plugins"));
    }

    #[test]
    fn words_with_the_suffix_of_a_job_are_files() {
        assert!(is_file("a/job.toml") && is_file("job.json") && is_file("job.sql"));
        assert!(!is_file("job") && !is_file("toml") && !is_file("v1.2"));
    }
}
