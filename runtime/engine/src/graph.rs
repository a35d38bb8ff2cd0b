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
//! Sources, queries and targets may also be written as SQL, see [`Job::from_sql`].
//!
//! Relative paths are relative to the file that the job was read from. Members that Glue has and this
//! version does not act on are refused rather than ignored, so that a job never does less than it says.

mod check;
mod files;
mod node;
mod outputs;
mod refused;
mod sql;
mod transforms;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tenon_host::LimitSettings;

pub(crate) use check::MAX_TOPK;
pub use files::*;
pub use node::Node;
pub use transforms::*;

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
    /// Names of connections of the catalog: a node whose paths are URLs and that names none has the first that is for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connections: Vec<String>,
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

impl Job {
    /// Reads a job from a `.toml`, `.json` or `.sql` file.
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
        let suffix = path.extension().unwrap_or_default();
        let parsed = match suffix.to_ascii_lowercase().to_str() {
            Some("json") => Self::from_json(&text),
            Some("sql") => Self::from_sql(&text),
            _ => Self::from_toml(&text),
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

    /// The job as TOML.
    ///
    /// # Errors
    /// [`Error::Definition`]: a value that TOML has no form for.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).map_err(|e| Error::Definition(e.to_string()))
    }

    /// A job of Glue's nodes, each in its JSON.
    ///
    /// # Errors
    /// [`Error::Definition`], naming the node and the member or kind that is none here.
    pub fn from_nodes(
        name: &str,
        nodes: impl IntoIterator<Item = (String, serde_json::Value)>,
    ) -> Result<Self> {
        Self::parsed(name, nodes)?.validated()
    }

    /// The same for a graph that is looked at, see [`Engine::collect`](crate::Engine::collect): it may write nothing.
    ///
    /// # Errors
    /// As [`Job::from_nodes`].
    pub fn without_target(
        name: &str,
        nodes: impl IntoIterator<Item = (String, serde_json::Value)>,
    ) -> Result<Self> {
        Self::parsed(name, nodes)?.wired()
    }

    fn parsed(
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
        Ok(job)
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
                Node::Spigot(n) => (std::slice::from_mut(&mut n.path), None),
                Node::CatalogSource(_)
                | Node::S3CatalogSource(_)
                | Node::CatalogTarget(_)
                | Node::S3CatalogTarget(_)
                | Node::ApplyMapping(_)
                | Node::SelectFields(_)
                | Node::DropFields(_)
                | Node::RenameField(_)
                | Node::Join(_)
                | Node::SplitFields(_)
                | Node::FillMissingValues(_)
                | Node::Filter(_)
                | Node::SparkSQL(_)
                | Node::CustomCode(_)
                | Node::DropDuplicates(_)
                | Node::DropNullFields(_)
                | Node::Merge(_)
                | Node::Union(_)
                | Node::Aggregate(_)
                | Node::Route(_)
                | Node::DynamicTransform(_)
                | Node::SelectFromCollection(_) => (&mut [], None),
            };
            let paths = paths.iter_mut().chain(quarantine);
            paths.map(|path| (id.as_str(), path))
        })
    }

    /// Whether a node reaches its paths through a connection, its own or one of the job's.
    #[must_use]
    pub fn has_connection(&self, id: &str) -> bool {
        let own = self.nodes.get(id).and_then(Node::connection);
        own.is_some() || !self.connections.is_empty()
    }

    /// All connections that it names, each once.
    #[must_use]
    pub fn connection_names(&self) -> BTreeSet<&str> {
        let own = self.nodes.values().filter_map(Node::connection);
        own.chain(self.connections.iter().map(String::as_str))
            .collect()
    }

    /// Whether its nodes fit together.
    fn wired(self) -> Result<Self> {
        self.order()?;
        self.check_chosen()?;
        self.check_outputs()?;
        Ok(self)
    }

    fn validated(self) -> Result<Self> {
        let job = self.wired()?;
        if !job.nodes.values().any(Node::is_target) {
            return Err(Error::Definition(
                "the job writes nothing: add a target node, such as S3GlueParquetTarget".to_owned(),
            ));
        }
        Ok(job)
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

    /// Refuses readers of outputs that are not there, and readers of several outputs that do not say which.
    fn check_chosen(&self) -> Result<()> {
        for (id, node) in &self.nodes {
            for input in node.inputs() {
                self.check_choice(id, node, input)?;
            }
        }
        Ok(())
    }

    fn check_choice(&self, id: &str, node: &Node, input: &str) -> Result<()> {
        let Some(outputs) = self.nodes.get(input).and_then(Node::outputs) else {
            return Ok(());
        };
        let why = match node {
            _ if outputs == 0 => format!("reads {input:?}, which is a target and has no output"),
            Node::SelectFromCollection(n) if n.index >= outputs => format!(
                "reads output {} of {input:?}, which has {outputs}; they are counted from 0",
                n.index
            ),
            Node::SelectFromCollection(_) => return Ok(()),
            _ if outputs > 1 => format!(
                "reads {input:?}, which has {outputs} outputs; put a SelectFromCollection node between, which says which one"
            ),
            _ => return Ok(()),
        };
        Err(Error::Definition(format!("node {id:?} {why}")))
    }

    /// How often an output of this node is read: a query that names it twice reads it twice, and a node reads its
    /// inputs for each of its own outputs that is read.
    #[must_use]
    pub fn readers(&self, id: &str, output: usize) -> usize {
        let name = self.nodes.get(id).map_or(id, Node::name);
        let reading = self.nodes.iter();
        let reading = reading.filter(|(_, node)| node.chosen_output() == output);
        let times = reading.map(|(reader, node)| match node.reads(id, name) {
            0 => 0,
            times => times * self.outputs_read(reader, node),
        });
        times.sum()
    }

    /// How many outputs of a node somebody reads; 1 where there is one.
    fn outputs_read(&self, id: &str, node: &Node) -> usize {
        if node.outputs().is_none_or(|outputs| outputs < 2) {
            return 1;
        }
        let readers = self.nodes.values();
        let readers = readers.filter(|reader| reader.inputs().iter().any(|input| input == id));
        let outputs: BTreeSet<usize> = readers.map(Node::chosen_output).collect();
        outputs.len()
    }

    /// The part of the job that a node's output is made by: it and the nodes that it reads, directly or not. Of a
    /// target it is what it would write.
    ///
    /// # Errors
    /// [`Error::NotFound`]: no node has that id or, just one, that name.
    pub fn up_to(&self, node: &str) -> Result<(Self, String)> {
        let mut id = self.node_id(node)?;
        if let (true, [input]) = (self.nodes[&id].is_target(), self.nodes[&id].inputs()) {
            id.clone_from(input);
        }
        let (mut nodes, mut waiting) = (BTreeMap::new(), vec![id.clone()]);
        while let Some(next) = waiting.pop() {
            let node = &self.nodes[&next];
            waiting.extend(node.inputs().iter().cloned());
            nodes.insert(next, node.clone());
        }
        let part = Self {
            nodes,
            ..self.clone()
        };
        Ok((part, id))
    }

    /// The id of a node that is given by its id or its name.
    fn node_id(&self, node: &str) -> Result<String> {
        if self.nodes.contains_key(node) {
            return Ok(node.to_owned());
        }
        let mut named = self.nodes.iter().filter(|(_, n)| n.name() == node);
        if let (Some((id, _)), None) = (named.next(), named.next()) {
            return Ok(id.clone());
        }
        let known: Vec<&str> = self.nodes.keys().map(String::as_str).collect();
        let near = crate::transform::closest(node, &known);
        let known = known.join(", ");
        let missing = Error::not_found(format!("there is no node {node:?}; the job has {known}"));
        Err(missing.or_hint(near.map(|near| format!("did you mean {near:?}?"))))
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

    /// A source behind a split whose first output is read twice, and its second once.
    const SPLIT: &str = r#"
        name = "split"
        nodes.a.S3CsvSource = { Name = "The A", Paths = ["a.csv"] }
        nodes.s.SplitFields = { Name = "s", Inputs = ["a"], Paths = [["x"]] }
        nodes.x.SelectFromCollection = { Name = "x", Inputs = ["s"], Index = 0 }
        nodes.x2.SelectFromCollection = { Name = "x2", Inputs = ["s"], Index = 0 }
        nodes.y.SelectFromCollection = { Name = "y", Inputs = ["s"], Index = 1 }
        nodes.u.Union = { Name = "u", Inputs = ["x", "x2"], UnionType = "ALL" }
        nodes.out.S3DirectTarget = { Name = "out", Inputs = ["u"], Path = "out", Format = "csv" }
        nodes.other.S3DirectTarget = { Name = "other", Inputs = ["y"], Path = "other", Format = "csv" }
    "#;

    #[test]
    fn outputs_are_counted_one_by_one_and_inputs_for_each_output_that_is_read() {
        let job = Job::from_toml(SPLIT).unwrap();
        assert_eq!((job.readers("s", 0), job.readers("s", 1)), (2, 1));
        assert_eq!(job.readers("a", 0), 2);
        let one = SPLIT.replace("Index = 1", "Index = 0");
        let job = Job::from_toml(&one).unwrap();
        assert_eq!((job.readers("s", 0), job.readers("s", 1)), (3, 0));
        assert_eq!(job.readers("a", 0), 1);
    }

    #[test]
    fn a_part_of_a_job_is_what_its_last_node_needs() {
        let job = Job::from_toml(SPLIT).unwrap();
        let nodes = |node: &str| {
            let (part, id) = job.up_to(node).unwrap();
            (part.nodes.into_keys().collect::<Vec<_>>().join(" "), id)
        };
        assert_eq!(nodes("y"), ("a s y".to_owned(), "y".to_owned()));
        assert_eq!(nodes("other"), ("a s y".to_owned(), "y".to_owned()));
        assert_eq!(nodes("The A"), ("a".to_owned(), "a".to_owned()));
        let unknown = job.up_to("z").unwrap_err();
        assert!(unknown.to_string().contains("there is no node \"z\""));
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
