//! [`Graph`]: sources, functions of the plugin and targets, put together as a job and run.
//!
//! ```text
//! records ─┐
//! labels  ─┴─> matches (find-matches) ─┬─ output 0 ──────────────> out            a file that the caller named
//!                                      ├─ output 1 ─ pairs ──────> pairs_out      another one
//!                                      └─ output 4 ─ quality ────> quality_out    a few rows, read back from the report
//! ```
//!
//! A result of a few rows goes to a folder that is removed at the end, and comes back with the run's report.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use serde_json::{Map, Value};
use tempfile::TempDir;
use tenon_engine::{
    DynamicTransform, Job, Node, Parameter, ParameterType, Progress, RunReport,
    SelectFromCollection, SparkSql, SqlAlias,
};

use super::files;
use crate::commands::rows;
use crate::commands::setup::{self, Resources, RunLimits};
use crate::error::{Explain, Failure};
use crate::exit::Exit;
use crate::shell::Shell;

/// The plugin that matches.
const PLUGIN: &str = "tenon:find-matches";

/// Rows that come back with the report, at most: of questions, weights and counts there are fewer.
const FEW_ROWS: usize = 10_000;

/// A job in the making.
pub(super) struct Graph {
    nodes: BTreeMap<String, Node>,
    /// Where small results lie until they are read.
    scratch: TempDir,
}

/// A function of the plugin with its inputs and parameters.
pub(super) struct Call {
    name: String,
    function: String,
    inputs: Vec<String>,
    parameters: Vec<Parameter>,
}

impl Call {
    /// The node `name`, which calls `function`.
    pub(super) fn new(name: &str, function: &str) -> Self {
        Self {
            name: name.to_owned(),
            function: function.to_owned(),
            inputs: Vec::new(),
            parameters: Vec::new(),
        }
    }

    /// Reads a table of records: the node of this name.
    pub(super) fn table(mut self, node: &str) -> Self {
        self.inputs.push(node.to_owned());
        self
    }

    /// Reads a node in a role, such as labels: the plugin finds it by its position.
    pub(super) fn role(self, role: &str, node: &str) -> Self {
        let position = self.inputs.len();
        self.table(node).int(role, position)
    }

    /// A parameter of text.
    pub(super) fn text(self, name: &str, value: impl Into<String>) -> Self {
        self.parameter(name, ParameterType::Str, vec![value.into()])
    }

    /// A whole number.
    pub(super) fn int(self, name: &str, value: impl Display) -> Self {
        self.parameter(name, ParameterType::Int, vec![value.to_string()])
    }

    /// A number, where one is given.
    pub(super) fn float(self, name: &str, value: Option<f64>) -> Self {
        match value {
            Some(value) => self.parameter(name, ParameterType::Float, vec![value.to_string()]),
            None => self,
        }
    }

    /// A switch; left out it is off.
    pub(super) fn switch(self, name: &str, is_on: bool) -> Self {
        match is_on {
            true => self.parameter(name, ParameterType::Bool, vec!["true".to_owned()]),
            false => self,
        }
    }

    /// Several texts, where there are any.
    pub(super) fn list(self, name: &str, values: Vec<String>) -> Self {
        match values.is_empty() {
            true => self,
            false => self.parameter(name, ParameterType::List, values),
        }
    }

    fn parameter(mut self, name: &str, r#type: ParameterType, value: Vec<String>) -> Self {
        self.parameters.push(Parameter {
            name: name.to_owned(),
            r#type,
            value,
        });
        self
    }
}

impl Graph {
    /// An empty one.
    ///
    /// # Errors
    /// There is no room for temporary files.
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self {
            nodes: BTreeMap::new(),
            scratch: tempfile::tempdir().what(|| "cannot make a temporary folder")?,
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Its suffix names no format.
    pub(super) fn source(&mut self, name: &str, path: &Path) -> Result<(), Failure> {
        let source = files::source(name, path)?;
        self.nodes.insert(name.to_owned(), source);
        Ok(())
    }

    /// A call over the records of one file, or over those of two that are linked.
    ///
    /// # Errors
    /// A suffix names no format.
    pub(super) fn records(
        &mut self,
        call: Call,
        file: &Path,
        file2: Option<&Path>,
    ) -> Result<Call, Failure> {
        self.source("records", file)?;
        let call = call.table("records");
        let Some(file2) = file2 else {
            return Ok(call);
        };
        self.source("records2", file2)?;
        Ok(call.table("records2"))
    }

    /// The same call with labels, where there are some.
    ///
    /// # Errors
    /// Their file is of another kind.
    pub(super) fn labels(&mut self, call: Call, file: Option<&Path>) -> Result<Call, Failure> {
        let Some(file) = file else {
            return Ok(call);
        };
        files::check_labels(file)?;
        self.source("labels", file)?;
        Ok(call.role("labels", "labels"))
    }

    /// The same call with what an earlier run has learned, where it is given.
    ///
    /// # Errors
    /// Its file is of another kind.
    pub(super) fn model(&mut self, call: Call, file: Option<&Path>) -> Result<Call, Failure> {
        let Some(file) = file else {
            return Ok(call);
        };
        files::check_model(file)?;
        self.source("learned", file)?;
        Ok(call.role("model", "learned"))
    }

    /// Calls a function of the plugin.
    pub(super) fn call(&mut self, call: Call) {
        let node = DynamicTransform {
            name: call.name.clone(),
            transform_name: call.function.clone(),
            inputs: call.inputs,
            parameters: call.parameters,
            function_name: call.function,
            path: PLUGIN.to_owned(),
        };
        self.nodes.insert(call.name, Node::DynamicTransform(node));
    }

    /// Another output of a call than its first, as the node `name`.
    pub(super) fn output(&mut self, name: &str, call: &str, index: usize) {
        let select = SelectFromCollection {
            name: name.to_owned(),
            inputs: vec![call.to_owned()],
            index,
        };
        self.nodes
            .insert(name.to_owned(), Node::SelectFromCollection(select));
    }

    /// A query over nodes.
    pub(super) fn query(&mut self, name: &str, inputs: &[&str], query: String) {
        let alias = |input: &&str| SqlAlias {
            from: (*input).to_owned(),
            alias: (*input).to_owned(),
        };
        let sql = SparkSql {
            name: name.to_owned(),
            inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
            sql_query: query,
            sql_aliases: inputs.iter().map(alias).collect(),
        };
        self.nodes.insert(name.to_owned(), Node::SparkSQL(sql));
    }

    /// Writes what a node gives into a file.
    ///
    /// # Errors
    /// Its suffix names no format.
    pub(super) fn write(&mut self, node: &str, path: &Path) -> Result<(), Failure> {
        let name = target_of(node);
        let target = files::target(&name, node, path)?;
        self.nodes.insert(name, target);
        Ok(())
    }

    /// Gives back what a node gives, which is a few rows.
    ///
    /// # Errors
    /// None in practice: the file's suffix is known.
    pub(super) fn read_back(&mut self, node: &str) -> Result<(), Failure> {
        let path = self.scratch.path().join(format!("{node}.parquet"));
        self.write(node, &path)
    }

    /// The job that it is.
    pub(super) fn job(&self) -> Job {
        Job {
            name: "match".to_owned(),
            nodes: self.nodes.clone(),
            ..Job::default()
        }
    }

    /// Runs it; nothing is written when it fails.
    ///
    /// # Errors
    /// What the run says; that the plugin is missing, with how to install it.
    pub(super) fn run(
        self,
        shell: &Shell,
        limits: &RunLimits,
        resources: &Resources,
    ) -> Result<Ran, Failure> {
        let job = Job {
            run_limits: limits.settings(),
            ..self.job()
        };
        let resources = resources.clone().with_preview(FEW_ROWS);
        let engine = setup::engine(shell, None, &resources)?;
        let (progress, run) = (Progress::default(), setup::run_id());
        let report = setup::block_on_run(shell, &progress, async {
            let running = engine.run(&job, &run, &progress);
            setup::with_progress(shell, "match", &progress, running)
                .await
                .map_err(|error| explain(setup::failure(error)))
        })?;
        for (node, level, message) in &report.log {
            shell.detail(&format!("{node}: {level}: {message}"));
        }
        Ok(Ran(report))
    }
}

/// The target that writes what a node gives.
fn target_of(node: &str) -> String {
    format!("{node}_out")
}

fn explain(failure: Failure) -> Failure {
    let is_missing = failure.exit() == Exit::NotFound && failure.to_string().contains("no plugin");
    if is_missing {
        return failure.with_hint("install it: `tenon plugin install plugins/find-matches`");
    }
    failure
}

/// What a run gave.
pub(super) struct Ran(pub(super) RunReport);

/// A few rows: their columns in order, and values that are text, numbers or null.
#[derive(Debug, Default)]
pub(super) struct FewRows {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Map<String, Value>>,
}

impl Ran {
    /// How many rows of a node were written.
    pub(super) fn rows(&self, node: &str) -> u64 {
        let name = target_of(node);
        let target = self.0.targets.iter().find(|target| target.id == name);
        target.map_or(0, |target| target.rows)
    }

    /// The rows that were asked back.
    ///
    /// # Errors
    /// There are more than a few.
    pub(super) fn few(&self, node: &str) -> Result<FewRows, Failure> {
        let name = target_of(node);
        let target = self.0.targets.iter().find(|target| target.id == name);
        let Some(batch) = target.and_then(|target| target.preview.as_ref()) else {
            return match self.rows(node) {
                0 => Ok(FewRows::default()),
                rows => Err(Failure::new(format!(
                    "{node} has {rows} rows, more than are shown"
                ))),
            };
        };
        let schema = batch.schema();
        let objects = rows::to_json(std::slice::from_ref(batch))?;
        let object = |value: Value| match value {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        Ok(FewRows {
            columns: schema
                .fields()
                .iter()
                .map(|field| field.name().clone())
                .collect(),
            rows: objects.into_iter().map(object).collect(),
        })
    }

    /// The only row that was asked back.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn one(&self, node: &str) -> Result<Map<String, Value>, Failure> {
        let row = self.few(node)?.rows.into_iter().next();
        row.ok_or_else(|| Failure::new(format!("the matcher gave no {node}")))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What a call of a graph is given: function, inputs, and parameters as `name=values`.
    pub(in super::super) fn call(graph: &Graph, node: &str) -> (String, Vec<String>, Vec<String>) {
        let job = graph.job();
        job.order().unwrap();
        let Some(Node::DynamicTransform(call)) = job.nodes.get(node) else {
            panic!("{node} is no call");
        };
        let text = |p: &Parameter| format!("{}={}", p.name, p.value.join(","));
        let parameters = call.parameters.iter().map(text).collect();
        (call.function_name.clone(), call.inputs.clone(), parameters)
    }

    /// The arguments of a line, without the program.
    pub(in super::super) fn parsed<T: clap::Args>(line: &str) -> T {
        let command = T::augment_args(clap::Command::new("test").no_binary_name(true));
        let matches = command.try_get_matches_from(line.split(' ')).unwrap();
        T::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn a_call_leaves_out_what_was_not_given() {
        let mut graph = Graph::new().unwrap();
        graph.source("records", Path::new("people.csv")).unwrap();
        let call_of = Call::new("matches", "find-matches").table("records");
        graph.call(
            call_of
                .text("id", "key")
                .float("x", None)
                .switch("y", false)
                .list("z", Vec::new()),
        );
        let (function, inputs, parameters) = call(&graph, "matches");
        assert_eq!(function, "find-matches");
        assert_eq!(
            (inputs, parameters),
            (vec!["records".to_owned()], vec!["id=key".to_owned()])
        );
    }

    #[test]
    fn what_is_read_back_is_written_where_it_is_removed() {
        let mut graph = Graph::new().unwrap();
        graph.source("records", Path::new("people.csv")).unwrap();
        graph.read_back("records").unwrap();
        let Some(Node::S3DirectTarget(target)) = graph.job().nodes.remove("records_out") else {
            panic!("there is no target");
        };
        assert!(Path::new(&target.path).starts_with(graph.scratch.path()));
    }
}
