//! A job's graph: Glue's own visual graph, node for node.
//!
//! A [`Job`] is a name and the map that Glue calls `CodeGenConfigurationNodes`: node id to one node
//! kind with its members, in Glue's words and spelling (shape `CodeGenConfigurationNode` of the Glue API).
//! The same map is read from JSON, as Glue exports it, and from TOML, for people who write by hand:
//!
//! ```toml
//! name = "adults"
//!
//! [nodes.people.S3CsvSource]
//! Name = "people"
//! Paths = ["people.csv"]
//!
//! [nodes.adults.SparkSQL]
//! Name = "adults"
//! Inputs = ["people"]
//! SqlQuery = "select * from people where age >= 18"
//! SqlAliases = [{ From = "people", Alias = "people" }]
//! ```
//!
//! Relative paths are relative to the file that the job was read from. Members that Glue has and this
//! version does not act on are refused rather than ignored, so that a job never does less than it says.

mod files;
mod outputs;
mod refused;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tenon_host::LimitSettings;

pub use files::*;

use crate::error::{Error, Result};
use refused::Kinds;

/// A job as its author wrote it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// What the job is called.
    pub name: String,
    /// What it does, for a person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Node id to node.
    #[serde(alias = "CodeGenConfigurationNodes")]
    pub nodes: BTreeMap<String, Node>,
    /// What the job's plugins are held to, below what the operator allows. Not a member of Glue's.
    #[serde(default, skip_serializing_if = "LimitSettings::is_empty")]
    pub limits: LimitSettings,
    /// What this run's plugins are held to, below what the job says.
    #[serde(skip)]
    pub run_limits: LimitSettings,
    /// What relative paths are relative to.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// One node: exactly one kind, as in Glue's `CodeGenConfigurationNode`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the kinds are Glue's; their members are documented on their types"
)]
pub enum Node {
    S3CsvSource(CsvSource),
    S3JsonSource(JsonSource),
    S3ParquetSource(ParquetSource),
    S3ExcelSource(ExcelSource),
    S3DirectSource(DirectSource),
    CatalogSource(CatalogSource),
    S3CatalogSource(CatalogSource),
    ApplyMapping(ApplyMapping),
    Filter(Filter),
    SparkSQL(SparkSql),
    DropDuplicates(DropDuplicates),
    DynamicTransform(DynamicTransform),
    SelectFromCollection(SelectFromCollection),
    S3GlueParquetTarget(ParquetTarget),
    S3DirectTarget(DirectTarget),
    CatalogTarget(CatalogTarget),
    S3CatalogTarget(CatalogTarget),
}

/// Renames, casts, reorders and drops columns: what is not mapped is dropped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ApplyMapping {
    /// The node's name.
    pub name: String,
    /// One node.
    pub inputs: Vec<String>,
    /// In output order.
    pub mapping: Vec<Mapping>,
}

/// One column of an [`ApplyMapping`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Mapping {
    /// The column's name afterwards.
    pub to_key: String,
    /// Where it is: a column, then fields of structs.
    pub from_path: Vec<String>,
    /// Its type before, for information; what the input really has counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_type: Option<String>,
    /// Its type afterwards, in Glue's words. Default: unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_type: Option<String>,
    /// Whether it is left out.
    #[serde(default)]
    pub dropped: bool,
}

/// Keeps rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Filter {
    /// The node's name.
    pub name: String,
    /// One node.
    pub inputs: Vec<String>,
    /// Whether all filters must hold, or one.
    pub logical_operator: LogicalOperator,
    /// At least one.
    pub filters: Vec<FilterExpression>,
}

/// How filters combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LogicalOperator {
    /// All must hold.
    And,
    /// One must hold.
    Or,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct FilterExpression {
    /// The comparison.
    pub operation: Operation,
    /// Whether it must not hold.
    #[serde(default)]
    pub negated: bool,
    /// A column, and for all but `ISNULL` something to compare it with.
    pub values: Vec<FilterValue>,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "Glue's words, which say it all")]
pub enum Operation {
    Eq,
    Lt,
    Gt,
    Lte,
    Gte,
    Regex,
    IsNull,
}

/// An operand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct FilterValue {
    /// What it is.
    pub r#type: FilterValueType,
    /// The path of a column, or one constant as text.
    pub value: Vec<String>,
}

/// What an operand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "Glue's words, which say it all")]
pub enum FilterValueType {
    ColumnExtracted,
    Constant,
}

/// One query over its inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct SparkSql {
    /// The node's name.
    pub name: String,
    /// The nodes that it reads.
    pub inputs: Vec<String>,
    /// The query, in DataFusion's SQL.
    pub sql_query: String,
    /// The names by which it knows its inputs.
    pub sql_aliases: Vec<SqlAlias>,
}

/// The name of an input in a query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct SqlAlias {
    /// A node's id.
    pub from: String,
    /// The table's name in the query.
    pub alias: String,
}

/// Keeps one row of those that agree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DropDuplicates {
    /// The node's name.
    pub name: String,
    /// One node.
    pub inputs: Vec<String>,
    /// The columns that must agree. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Vec<String>>,
}

/// A plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DynamicTransform {
    /// The node's name.
    pub name: String,
    /// What people call the transform.
    pub transform_name: String,
    /// The nodes that it reads; none where the plugin is a source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// Its settings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// The plugin's function.
    pub function_name: String,
    /// The plugin: `tenon:find-matches@1`.
    pub path: String,
}

/// One setting of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Parameter {
    /// Its key.
    pub name: String,
    /// What its text means.
    pub r#type: ParameterType,
    /// One text, or several for a list.
    #[serde(default)]
    pub value: Vec<String>,
}

/// What a setting's text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "Glue's words, which say it all")]
pub enum ParameterType {
    Str,
    Int,
    Float,
    Bool,
    List,
    Null,
}

/// One of the outputs of a node that has several, such as a plugin's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct SelectFromCollection {
    /// The node's name.
    pub name: String,
    /// One node.
    pub inputs: Vec<String>,
    /// Which output, from 0.
    pub index: usize,
}

impl Node {
    /// The kind, in Glue's word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::S3CsvSource(_) => "S3CsvSource",
            Self::S3JsonSource(_) => "S3JsonSource",
            Self::S3ParquetSource(_) => "S3ParquetSource",
            Self::S3ExcelSource(_) => "S3ExcelSource",
            Self::S3DirectSource(_) => "S3DirectSource",
            Self::CatalogSource(_) => "CatalogSource",
            Self::S3CatalogSource(_) => "S3CatalogSource",
            Self::ApplyMapping(_) => "ApplyMapping",
            Self::Filter(_) => "Filter",
            Self::SparkSQL(_) => "SparkSQL",
            Self::DropDuplicates(_) => "DropDuplicates",
            Self::DynamicTransform(_) => "DynamicTransform",
            Self::SelectFromCollection(_) => "SelectFromCollection",
            Self::S3GlueParquetTarget(_) => "S3GlueParquetTarget",
            Self::S3DirectTarget(_) => "S3DirectTarget",
            Self::CatalogTarget(_) => "CatalogTarget",
            Self::S3CatalogTarget(_) => "S3CatalogTarget",
        }
    }

    /// The name that its author gave it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::S3CsvSource(n) => &n.name,
            Self::S3JsonSource(n) => &n.name,
            Self::S3ParquetSource(n) => &n.name,
            Self::S3ExcelSource(n) => &n.name,
            Self::S3DirectSource(n) => &n.name,
            Self::CatalogSource(n) | Self::S3CatalogSource(n) => &n.name,
            Self::ApplyMapping(n) => &n.name,
            Self::Filter(n) => &n.name,
            Self::SparkSQL(n) => &n.name,
            Self::DropDuplicates(n) => &n.name,
            Self::DynamicTransform(n) => &n.name,
            Self::SelectFromCollection(n) => &n.name,
            Self::S3GlueParquetTarget(n) => &n.name,
            Self::S3DirectTarget(n) => &n.name,
            Self::CatalogTarget(n) | Self::S3CatalogTarget(n) => &n.name,
        }
    }

    /// The ids of the nodes that it reads.
    #[must_use]
    pub fn inputs(&self) -> &[String] {
        match self {
            Self::S3CsvSource(_)
            | Self::S3JsonSource(_)
            | Self::S3ParquetSource(_)
            | Self::S3ExcelSource(_)
            | Self::S3DirectSource(_)
            | Self::CatalogSource(_)
            | Self::S3CatalogSource(_) => &[],
            Self::ApplyMapping(n) => &n.inputs,
            Self::Filter(n) => &n.inputs,
            Self::SparkSQL(n) => &n.inputs,
            Self::DropDuplicates(n) => &n.inputs,
            Self::DynamicTransform(n) => &n.inputs,
            Self::SelectFromCollection(n) => &n.inputs,
            Self::S3GlueParquetTarget(n) => &n.inputs,
            Self::S3DirectTarget(n) => &n.inputs,
            Self::CatalogTarget(n) | Self::S3CatalogTarget(n) => &n.inputs,
        }
    }

    /// How often it reads that node.
    fn reads(&self, id: &str) -> usize {
        match self {
            Self::SparkSQL(sql) => {
                let aliases = sql.sql_aliases.iter().filter(|alias| alias.from == id);
                aliases
                    .map(|alias| crate::transform::mentions(&sql.sql_query, &alias.alias))
                    .sum()
            }
            other => other.inputs().iter().filter(|input| *input == id).count(),
        }
    }

    /// Whether it writes.
    #[must_use]
    pub fn is_target(&self) -> bool {
        matches!(
            self,
            Self::S3GlueParquetTarget(_)
                | Self::S3DirectTarget(_)
                | Self::CatalogTarget(_)
                | Self::S3CatalogTarget(_)
        )
    }

    /// Refuses what cannot be acted on, as far as the node alone shows it.
    fn check(&self) -> Result<()> {
        if let Some((member, reason)) = files::unserved(self) {
            return Err(Error::node(self.name(), format!("{member}: {reason}")));
        }
        if self.file_members().is_some() {
            crate::source::FileReading::of(self)?;
        }
        match self.is_target() {
            true => crate::target::check(self),
            false => Ok(()),
        }
    }

    /// How many inputs its kind takes.
    fn arity(&self) -> std::ops::RangeInclusive<usize> {
        match self {
            Self::S3CsvSource(_)
            | Self::S3JsonSource(_)
            | Self::S3ParquetSource(_)
            | Self::S3ExcelSource(_)
            | Self::S3DirectSource(_)
            | Self::CatalogSource(_)
            | Self::S3CatalogSource(_) => 0..=0,
            Self::SparkSQL(_) => 1..=64,
            Self::DynamicTransform(_) => 0..=16,
            _ => 1..=1,
        }
    }
}

impl Job {
    /// Reads a job from a `.toml` or `.json` file.
    ///
    /// # Errors
    /// The file is missing or unreadable, or what it says is no job: names file, place and member.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                Error::not_found(format!("there is no job file {}", path.display()))
            }
            _ => Error::Io(format!("cannot read {}: {e}", path.display())),
        })?;
        let json = path
            .extension()
            .is_some_and(|suffix| suffix.eq_ignore_ascii_case("json"));
        let parsed = if json {
            Self::from_json(&text)
        } else {
            Self::from_toml(&text)
        };
        let mut job = parsed.map_err(|e| Error::Definition(format!("{}: {e}", path.display())))?;
        job.folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Ok(job)
    }

    /// Reads a job from TOML.
    ///
    /// # Errors
    /// [`Error::Definition`] with line, column and member.
    pub fn from_toml(text: &str) -> Result<Self> {
        // What is no job at all is told by the whole parser, which knows the line.
        toml::from_str(text).map_or(Ok(()), |kinds: Kinds| kinds.check())?;
        let job: Self = toml::from_str(text)
            .map_err(|e| Error::Definition(e.to_string().trim_end().to_owned()))?;
        job.validated()
    }

    /// Reads a job from JSON: `{"name": …, "nodes": …}`, or Glue's `CreateJob` members.
    ///
    /// # Errors
    /// [`Error::Definition`] with line, column and member.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_or(Ok(()), |kinds: Kinds| kinds.check())?;
        let job: Self = serde_json::from_str(text).map_err(|e| Error::Definition(e.to_string()))?;
        job.validated()
    }

    /// A job of Glue's nodes, each in its JSON.
    ///
    /// # Errors
    /// [`Error::Definition`], naming the node and the member or kind that is none here.
    pub fn from_nodes(
        name: &str,
        nodes: impl IntoIterator<Item = (String, serde_json::Value)>,
    ) -> Result<Self> {
        let mut job = Self {
            name: name.to_owned(),
            ..Self::default()
        };
        for (id, node) in nodes {
            if job.nodes.len() == MAX_NODES || id.len() > MAX_ID_BYTES {
                return Err(Error::Definition(format!(
                    "a job has at most {MAX_NODES} nodes, with ids of at most {MAX_ID_BYTES} bytes"
                )));
            }
            let (kind, name) = kind_and_name(&node).unwrap_or_default();
            refused::check(&kind, &name)?;
            let node = serde_json::from_value(node).map_err(|e| {
                Error::Definition(format!("node {id:?} ({name}) cannot run here: {e}"))
            })?;
            job.nodes.insert(id, node);
        }
        job.validated()
    }

    /// The paths that its sources read, that bad rows go to and that its targets write.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = (&str, &mut String)> {
        self.nodes.iter_mut().flat_map(|(id, node)| {
            let (paths, quarantine): (&mut [String], _) = match node {
                Node::S3CsvSource(n) => (&mut n.paths, n.quarantine.as_mut()),
                Node::S3JsonSource(n) => (&mut n.paths, n.quarantine.as_mut()),
                Node::S3ParquetSource(n) => (&mut n.paths, None),
                Node::S3ExcelSource(n) => (&mut n.paths, None),
                Node::S3DirectSource(n) => (&mut n.paths, None),
                Node::S3GlueParquetTarget(n) => (std::slice::from_mut(&mut n.path), None),
                Node::S3DirectTarget(n) => (std::slice::from_mut(&mut n.path), None),
                Node::CatalogSource(_)
                | Node::S3CatalogSource(_)
                | Node::CatalogTarget(_)
                | Node::S3CatalogTarget(_)
                | Node::ApplyMapping(_)
                | Node::Filter(_)
                | Node::SparkSQL(_)
                | Node::DropDuplicates(_)
                | Node::DynamicTransform(_)
                | Node::SelectFromCollection(_) => (&mut [], None),
            };
            let paths = paths.iter_mut().chain(quarantine);
            paths.map(|path| (id.as_str(), path))
        })
    }

    fn validated(self) -> Result<Self> {
        self.order()?;
        self.check_outputs()?;
        if !self.nodes.values().any(Node::is_target) {
            return Err(Error::Definition(
                "the job writes nothing: add a target node, such as S3GlueParquetTarget".to_owned(),
            ));
        }
        Ok(self)
    }

    /// Node ids so that each comes after its inputs.
    ///
    /// # Errors
    /// A node has too many or too few inputs, names one that does not exist, or is its own ancestor.
    pub fn order(&self) -> Result<Vec<&str>> {
        for (id, node) in &self.nodes {
            self.check_inputs(id, node)?;
            let checked = node.check();
            checked.map_err(|e| Error::Definition(e.to_string()))?;
        }
        let mut order: Vec<&str> = Vec::with_capacity(self.nodes.len());
        let mut placed: BTreeSet<&str> = BTreeSet::new();
        while order.len() < self.nodes.len() {
            let ready = |(id, node): &(&String, &Node)| {
                !placed.contains(id.as_str())
                    && node.inputs().iter().all(|i| placed.contains(i.as_str()))
            };
            let Some((id, _)) = self.nodes.iter().find(ready) else {
                let stuck: Vec<&str> = self
                    .nodes
                    .keys()
                    .map(String::as_str)
                    .filter(|id| !placed.contains(id))
                    .collect();
                return Err(Error::Definition(format!(
                    "nodes {} read each other in a circle",
                    stuck.join(", ")
                )));
            };
            placed.insert(id);
            order.push(id);
        }
        Ok(order)
    }

    fn check_inputs(&self, id: &str, node: &Node) -> Result<()> {
        let (count, arity) = (node.inputs().len(), node.arity());
        if !arity.contains(&count) {
            let (least, most) = (arity.start(), arity.end());
            let wanted = if least == most {
                least.to_string()
            } else {
                format!("{least} to {most}")
            };
            return Err(Error::Definition(format!(
                "node {id:?} ({}) takes {wanted} inputs and has {count}",
                node.kind()
            )));
        }
        match node
            .inputs()
            .iter()
            .find(|input| !self.nodes.contains_key(*input))
        {
            Some(unknown) => {
                let known: Vec<&str> = self.nodes.keys().map(String::as_str).collect();
                Err(Error::Definition(format!(
                    "node {id:?} reads {unknown:?}, which is no node; the job has {}",
                    known.join(", ")
                )))
            }
            None => Ok(()),
        }
    }

    /// How often this node is read: a query that names it twice reads it twice.
    #[must_use]
    pub fn readers(&self, id: &str) -> usize {
        self.nodes.values().map(|node| node.reads(id)).sum()
    }

    /// A path of the job's as a path of the machine; a URL of a bucket or of the web stays one.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        let local = path.strip_prefix("file://").unwrap_or(path);
        if local.contains("://") {
            return PathBuf::from(local);
        }
        self.folder.join(local)
    }
}

/// Nodes of one job that comes over the wire.
const MAX_NODES: usize = 1000;

/// Bytes of the id of a node.
const MAX_ID_BYTES: usize = 255;

/// Kind and name of a node in Glue's JSON, also of a kind that is not here.
fn kind_and_name(node: &serde_json::Value) -> Option<(String, String)> {
    let (kind, members) = node.as_object()?.iter().next()?;
    let name = members.get("Name").and_then(serde_json::Value::as_str);
    Some((kind.clone(), name.unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = r#"
        name = "adults"

        [nodes.people.S3CsvSource]
        Name = "people"
        Paths = ["people.csv"]

        [nodes.out.S3GlueParquetTarget]
        Name = "out"
        Inputs = ["people"]
        Path = "out"
    "#;

    #[test]
    fn paths_are_of_the_job_s_folder_unless_they_are_urls() {
        let mut job = Job::from_toml(JOB).unwrap();
        job.folder = PathBuf::from("/jobs");
        let path = |path| job.path(path).to_string_lossy().into_owned();
        assert_eq!(path("in/x.csv"), "/jobs/in/x.csv");
        assert_eq!(path("file:///data/x.csv"), "/data/x.csv");
        for url in ["s3://b/x.csv", "https://h/x.csv?a=b", "memory://b/x"] {
            assert_eq!(path(url), url);
        }
    }

    fn refused(toml: &str) -> String {
        Job::from_toml(toml).unwrap_err().to_string()
    }

    #[test]
    fn toml_and_json_are_the_same_graph() {
        let job = Job::from_toml(JOB).unwrap();
        let json = serde_json::to_string(&job).unwrap();
        assert_eq!(Job::from_json(&json).unwrap(), job);
        let glue = json.replace("\"nodes\"", "\"CodeGenConfigurationNodes\"");
        assert_eq!(Job::from_json(&glue).unwrap(), job);
        assert_eq!(job.order().unwrap(), ["people", "out"]);
    }

    #[test]
    fn a_job_may_hold_its_plugins_to_less() {
        let limited = format!("{JOB}\n[limits]\nmemory_bytes = \"64 MiB\"\ncall_time = 0.5\n");
        let job = Job::from_toml(&limited).unwrap();
        let json = serde_json::to_value(&job).unwrap();
        assert_eq!(
            json["limits"],
            serde_json::json!({"memory_bytes": "64 MiB", "call_time": "500 ms"})
        );
        assert_eq!(Job::from_json(&json.to_string()).unwrap(), job);
        assert!(
            refused(&limited.replace("call_time", "calltime"))
                .contains("there is no limit \"calltime\"")
        );
    }

    #[test]
    fn wrong_graphs_are_refused_by_name() {
        assert!(
            refused(&JOB.replace(r#"Inputs = ["people"]"#, r#"Inputs = ["poeple"]"#))
                .contains("reads \"poeple\", which is no node; the job has out, people")
        );
        assert!(
            refused(&JOB.replace(r#"Inputs = ["people"]"#, "Inputs = []"))
                .contains("takes 1 inputs and has 0")
        );
        assert!(refused(&JOB.replace("Paths", "Pahts")).contains("Pahts"));
        assert!(
            refused(&JOB.replace("S3GlueParquetTarget", "S3GlueTarget")).contains("S3GlueTarget")
        );
        let circle = r#"
            [nodes.a.DropDuplicates]
            Name = "a"
            Inputs = ["b"]

            [nodes.b.DropDuplicates]
            Name = "b"
            Inputs = ["a"]
        "#;
        assert!(
            refused(&format!("{JOB}{circle}")).contains("nodes a, b read each other in a circle")
        );
        assert!(
            refused("name = 'x'\n[nodes.people.S3CsvSource]\nName = 'p'\nPaths = ['p']")
                .contains("writes nothing")
        );
    }
}
