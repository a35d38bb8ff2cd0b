//! [`Graph`]: a job's graph as something to look at, alone or with what each node of a run did.
//!
//! ```text
//! Nodes ──of──> Graph ──with_run──> the same with figures
//!                 ├──text──> a tree of what each target is made of
//!                 ├──svg───> a picture: Layers put each node right of what it reads
//!                 └──json──> its nodes as a list
//! ```
//!
//! It knows of a node what every kind has in Glue, so that also those are drawn that this version cannot run.

mod figures;
mod layers;
mod svg;
mod text;

pub use svg::{escaped, shortened};

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::job::Nodes;
use crate::metrics::{NodeMetrics, RunMetrics};
use crate::run::RunState;

/// A graph to look at.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    name: String,
    nodes: BTreeMap<String, GraphNode>,
    run: Option<DrawnRun>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Default)]
struct GraphNode {
    name: String,
    kind: String,
    /// Ids of nodes that are there.
    inputs: Vec<String>,
    /// Which output of its input it takes, where that is what it does.
    output: Option<u64>,
    /// What it did in the run.
    metrics: Option<NodeMetrics>,
}

/// The run whose figures are drawn.
#[derive(Debug, Clone, PartialEq)]
struct DrawnRun {
    id: String,
    state: String,
    /// The node that took most time.
    slowest: Option<String>,
    /// CPU time of all nodes.
    cpu_micros: u64,
    peak_memory_bytes: Option<u64>,
}

impl Graph {
    /// The graph of a job of this name. Inputs that are no nodes of it are left out.
    #[must_use]
    pub fn of(name: &str, nodes: &Nodes) -> Self {
        let known: BTreeSet<&String> = nodes.keys().collect();
        let drawn = nodes.iter().map(|(id, node)| {
            let mut node = GraphNode::of(id, node);
            node.inputs.retain(|input| known.contains(input));
            (id.clone(), node)
        });
        Self {
            name: name.to_owned(),
            nodes: drawn.collect(),
            run: None,
        }
    }

    /// The same with what its nodes did in a run of it, as far as that is known.
    #[must_use]
    pub fn with_run(mut self, id: &str, state: RunState, did: &RunMetrics) -> Self {
        for metrics in &did.nodes {
            if let Some(node) = self.nodes.get_mut(&metrics.node) {
                node.metrics = Some(metrics.clone());
            }
        }
        let known = self.nodes.iter();
        let times = known.filter_map(|(id, node)| Some((node.metrics.as_ref()?.cpu_micros, id)));
        let slowest = times.clone().filter(|(micros, _)| *micros > 0).max();
        self.run = Some(DrawnRun {
            id: id.to_owned(),
            state: state.to_string(),
            slowest: slowest.map(|(_, id)| id.clone()),
            cpu_micros: times.map(|(micros, _)| micros).sum(),
            peak_memory_bytes: did.peak_memory_bytes,
        });
        self
    }

    /// Below each target, and each node that nobody reads, what it reads: a line for each node.
    #[must_use]
    pub fn text(&self) -> String {
        text::text(self)
    }

    /// A picture for a browser, whole, with its style inside.
    #[must_use]
    pub fn svg(&self) -> String {
        svg::svg(self)
    }

    /// Its nodes as a list: `id`, `name`, `kind`, `inputs`, and of a run `metrics` and `is_slowest`.
    #[must_use]
    pub fn json(&self) -> Value {
        let nodes = self.nodes.iter().map(|(id, node)| {
            let mut shown =
                json!({"id": id, "name": node.name, "kind": node.kind, "inputs": node.inputs});
            if self.run.is_some() {
                shown["metrics"] = json!(node.metrics);
                shown["is_slowest"] = json!(self.is_slowest(id));
            }
            shown
        });
        let mut graph = json!({"name": self.name, "nodes": nodes.collect::<Vec<_>>()});
        if let Some(run) = &self.run {
            graph["run"] = json!(run.id);
            graph["state"] = json!(run.state);
            graph["cpu_micros"] = json!(run.cpu_micros);
            graph["peak_memory_bytes"] = json!(run.peak_memory_bytes);
        }
        graph
    }

    fn is_slowest(&self, id: &str) -> bool {
        let run = self.run.as_ref();
        run.is_some_and(|run| run.slowest.as_deref() == Some(id))
    }

    /// Which part of the time of all nodes one took, in percent.
    fn percent(&self, node: &GraphNode) -> u64 {
        let whole = self.run.as_ref().map_or(0, |run| run.cpu_micros);
        let own = node.metrics.as_ref().map_or(0, |done| done.cpu_micros);
        (own * 100 + whole / 2).checked_div(whole).unwrap_or(0)
    }

    /// How many nodes are before each one, on the longest way. In a circle, which nobody can run, that ends somewhere.
    fn depths(&self) -> BTreeMap<&str, usize> {
        let mut depths: BTreeMap<&str, usize> = BTreeMap::new();
        loop {
            let known = depths.len();
            for (id, node) in &self.nodes {
                let before = node.inputs.iter().map(|input| depths.get(input.as_str()));
                let before: Option<Vec<usize>> = before.map(Option::<&usize>::copied).collect();
                if let (Some(before), false) = (before, depths.contains_key(id.as_str())) {
                    let depth = before.into_iter().max().map_or(0, |deepest| deepest + 1);
                    depths.insert(id, depth);
                }
            }
            if depths.len() == known {
                break;
            }
        }
        for id in self.nodes.keys() {
            depths.entry(id).or_default();
        }
        depths
    }
}

impl GraphNode {
    /// A node as Glue writes it: a member that is called as its kind.
    fn of(id: &str, node: &Value) -> Self {
        let members = node.as_object().into_iter().flatten();
        let Some((kind, members)) = members.into_iter().find(|(_, value)| value.is_object()) else {
            return Self {
                name: id.to_owned(),
                ..Self::default()
            };
        };
        let inputs = members["Inputs"].as_array().into_iter().flatten();
        let inputs = inputs.filter_map(Value::as_str).map(str::to_owned);
        let is_choice = kind == "SelectFromCollection";
        Self {
            name: members["Name"].as_str().unwrap_or(id).to_owned(),
            kind: kind.clone(),
            inputs: inputs.collect(),
            output: is_choice.then(|| members["Index"].as_u64().unwrap_or(0)),
            metrics: None,
        }
    }

    fn is_target(&self) -> bool {
        self.kind.ends_with("Target")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// a and b are joined; c is made of a and put to the join's rows.
    pub(super) fn graph() -> Graph {
        let file = |name: &str| json!({"S3CsvSource": {"Name": name, "Paths": [name]}});
        let one = |kind: &str, name: &str, inputs: &[&str]| json!({kind: {"Name": name, "Inputs": inputs}});
        let nodes = json!({
            "a": file("people & <more>"),
            "b": file("b"),
            "c": one("DropDuplicates", "c", &["a"]),
            "d": one("DropDuplicates", "d", &["c"]),
            "u": one("Union", "u", &["d", "b"]),
            "out": one("S3DirectTarget", "out", &["u"]),
        });
        Graph::of("j", nodes.as_object().unwrap())
    }

    /// The same with a run in which `u` took most time.
    pub(super) fn graph_of_run() -> Graph {
        let node = |id: &str, rows_in: u64, rows_out: u64, cpu_micros: u64| NodeMetrics {
            node: id.to_owned(),
            rows_in,
            rows_out,
            cpu_micros,
            ..NodeMetrics::default()
        };
        let mut nodes = vec![
            node("a", 0, 1_234, 500),
            node("u", 1_234, 7, 2_500),
            node("out", 7, 7, 1_000),
        ];
        nodes[0].bytes_read = Some(20_480);
        nodes[1].memory_bytes = 3_000_000;
        nodes[1].spilled_bytes = 5_000_000_000;
        nodes[2].bytes_written = Some(99);
        let did = RunMetrics {
            nodes,
            ..RunMetrics::default()
        };
        graph().with_run("jr_1", RunState::Succeeded, &did)
    }

    #[test]
    fn the_node_that_took_most_time_is_marked() {
        let shown = graph_of_run().json();
        assert_eq!(
            (&shown["run"], &shown["state"], &shown["cpu_micros"]),
            (&json!("jr_1"), &json!("SUCCEEDED"), &json!(4_000))
        );
        let nodes = shown["nodes"].as_array().unwrap();
        let marked = nodes.iter().filter(|node| node["is_slowest"] == true);
        let marked: Vec<_> = marked.map(|node| &node["id"]).collect();
        assert_eq!(marked, ["u"]);
        let of = |id: &str| nodes.iter().find(|node| node["id"] == id).unwrap();
        assert_eq!(of("u")["metrics"]["rows_out"], 7);
        assert!(of("b")["metrics"].is_null());
        // Without a run there are no figures.
        assert!(graph().json()["nodes"][0].get("metrics").is_none());
    }

    #[test]
    fn what_is_no_graph_is_drawn_all_the_same() {
        let nodes = json!({
            "a": {"Union": {"Name": "a", "Inputs": ["b", "nowhere"]}},
            "b": {"Union": {"Name": "b", "Inputs": ["a"]}},
            "c": {"Join": null},
            "d": 7,
        });
        let graph = Graph::of("j", nodes.as_object().unwrap());
        assert_eq!(graph.svg().matches("<rect").count(), 4);
        assert_eq!(graph.json()["nodes"][0]["inputs"], json!(["b"]));
        assert!(graph.text().contains("d"));
    }
}
