//! `tenon job validate`, `graph`, `preview` and `convert`: looking at a job in a file, without running it.

use std::path::{Path, PathBuf};

use arrow::datatypes::{Field, SchemaRef};
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use tenon_catalog::HiveType;
use tenon_engine::{Job, NodeColumns, Progress};
use tenon_jobs::{Graph, Nodes};

use super::rows;
use super::setup::{self, Resources};
use crate::error::Failure;
use crate::report::{Report, cell, cell_as};
use crate::shell::Shell;

/// What can be done with a job in a file.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Say what is wrong with a job in a file, or which columns each of its nodes has.
    Validate {
        /// A job: .toml, .sql, or .json as Glue exports it.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        resources: Resources,
    },
    /// Draw the graph of a job in a file, or of a run on a server, with what each of its nodes did.
    Graph {
        /// A job: .toml, .sql, or .json as Glue exports it.
        #[arg(value_name = "FILE", required_unless_present = "run")]
        file: Option<PathBuf>,
        /// A run of a server, by its id.
        #[arg(long, value_name = "RUN", conflicts_with = "file")]
        run: Option<String>,
        /// A tree, a list of nodes, or a picture.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Print a job in a file in another form.
    Convert {
        /// A job: .toml, .sql, or .json as Glue exports it.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// What it becomes.
        #[arg(long, value_enum)]
        to: Form,
    },
    /// Print the first rows behind a node of a job in a file; nothing is written.
    Preview {
        /// A job: .toml, .sql, or .json as Glue exports it.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The node, by its id or name; of a target what it would write.
        #[arg(value_name = "NODE")]
        node: String,
        /// Print at most this many rows.
        #[arg(long, value_name = "N", default_value_t = 10)]
        limit: usize,
        #[command(flatten)]
        resources: Resources,
    },
}

/// How a graph is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A tree below each target.
    Text,
    /// Nodes with their inputs.
    Json,
    /// A picture for a browser.
    Svg,
}

/// How a job is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// As Glue has it.
    Json,
    /// For people who write by hand.
    Toml,
    /// Views and COPY statements; of files, tables, queries and targets only.
    Sql,
}

impl Verb {
    /// The run of a server that it is about, and how it is shown.
    pub(crate) fn of_run(&self) -> Option<(&str, Format)> {
        match self {
            Self::Graph { run, format, .. } => Some((run.as_deref()?, *format)),
            _ => None,
        }
    }
}

impl Format {
    /// As a server is asked for it.
    pub(crate) fn word(self, shell: &Shell) -> &'static str {
        match self {
            Self::Text if !shell.is_json() => "text",
            Self::Svg => "svg",
            Self::Text | Self::Json => "json",
        }
    }
}

/// Does what the verb says.
pub(crate) fn run(shell: &Shell, verb: &Verb) -> Result<(), Failure> {
    match verb {
        Verb::Validate { file, resources } => validate(shell, &read(file)?, resources),
        Verb::Graph { file, format, .. } => graph(
            shell,
            &read(file.as_deref().unwrap_or(Path::new("")))?,
            *format,
        ),
        Verb::Convert { file, to } => convert(shell, &read(file)?, *to),
        Verb::Preview {
            file,
            node,
            limit,
            resources,
        } => preview(shell, &read(file)?, node, *limit, resources),
    }
}

fn read(file: &Path) -> Result<Job, Failure> {
    Job::read(file).map_err(setup::failure)
}

fn validate(shell: &Shell, job: &Job, resources: &Resources) -> Result<(), Failure> {
    let engine = setup::engine_with_catalog(shell, resources)?;
    let columns = setup::block_on(async {
        let _progress = shell.progress(format!("looking at {}", job.name));
        engine.columns(job).await.map_err(setup::failure)
    })?;
    let mut table = Report::list(&["node", "kind", "inputs", "outputs"]);
    for NodeColumns { id, outputs } in columns {
        let node = &job.nodes[&id];
        table.row([
            cell(id),
            cell(node.kind()),
            cell(json!(node.inputs())),
            cell_as(
                outputs.iter().map(columns_json).collect::<Vec<_>>(),
                outputs_text(&outputs),
            ),
        ]);
    }
    shell.print(&table)
}

fn columns_json(output: &SchemaRef) -> Value {
    let fields = output.fields().iter();
    fields
        .map(|field| json!({"name": field.name(), "type": type_word(field)}))
        .collect()
}

/// A type in the catalog's words, or Arrow's where that has none.
fn type_word(field: &Field) -> String {
    let word = HiveType::from_arrow(field.name(), field.data_type());
    word.map_or_else(|_| field.data_type().to_string(), |word| word.to_string())
}

/// The columns; of several outputs each with its number.
fn outputs_text(outputs: &[SchemaRef]) -> String {
    let text = |output: &SchemaRef| {
        let fields = output.fields().iter();
        let columns = fields.map(|field| format!("{} {}", field.name(), type_word(field)));
        columns.collect::<Vec<_>>().join(", ")
    };
    match outputs {
        [one] => text(one),
        several => {
            let numbered = several.iter().enumerate();
            let numbered = numbered.map(|(i, output)| format!("{i}: {}", text(output)));
            numbered.collect::<Vec<_>>().join("; ")
        }
    }
}

fn graph(shell: &Shell, job: &Job, format: Format) -> Result<(), Failure> {
    let nodes = json!(job.nodes);
    let none = Nodes::new();
    let graph = Graph::of(&job.name, nodes.as_object().unwrap_or(&none));
    shell.print_text(&match format.word(shell) {
        "text" => graph.text(),
        "svg" => graph.svg(),
        _ => format!("{:#}\n", graph.json()),
    })
}

fn convert(shell: &Shell, job: &Job, to: Form) -> Result<(), Failure> {
    let text = match to {
        Form::Json => format!("{:#}\n", json!(job)),
        Form::Toml => job.to_toml().map_err(setup::failure)?,
        Form::Sql => job.to_sql().map_err(setup::failure)?,
    };
    shell.print_text(&text)
}

fn preview(
    shell: &Shell,
    job: &Job,
    node: &str,
    limit: usize,
    resources: &Resources,
) -> Result<(), Failure> {
    let engine = setup::engine_with_catalog(shell, resources)?;
    let progress = Progress::default();
    let (batches, more) = setup::block_on(async {
        let looking = engine.preview(job, node, limit, &progress);
        setup::with_progress(shell, node, &progress, looking)
            .await
            .map_err(setup::failure)
    })?;
    for (node, level, message) in progress.log() {
        shell.detail(&format!("{node}: {level}: {message}"));
    }
    shell.print(&rows::report(&batches)?)?;
    if more {
        shell.say(&format!(
            "there are more than {limit} rows: raise --limit to see them"
        ));
    }
    Ok(())
}
