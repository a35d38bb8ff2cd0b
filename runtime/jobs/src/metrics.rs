//! [`RunMetrics`]: what a run did, node by node, kept with it for good. Runners report it while a run is under way and at
//! its end; in JSON as REST shows it and as it is stored.

use serde::{Deserialize, Serialize};

/// What a run did so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunMetrics {
    /// Its nodes, each after its inputs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeMetrics>,
    /// Peak resident memory of the worker, where the system tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}

/// What a node did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeMetrics {
    /// Its id.
    pub node: String,
    /// Glue's word for what it is; empty while the run is under way.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Rows that its inputs gave.
    pub rows_in: u64,
    /// Rows that left it, or that it wrote.
    pub rows_out: u64,
    /// Bytes that it wrote, where it is a target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_written: Option<u64>,
    /// CPU time of its operators over all threads, in microseconds.
    pub cpu_micros: u64,
    /// Bytes that its operators kept on disk because memory was short.
    pub spilled_bytes: u64,
    /// What its plugin used, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginMetrics>,
}

/// What a plugin used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PluginMetrics {
    /// `name@version`.
    pub name: String,
    /// Digest of the component.
    pub digest: String,
    /// CPU time inside its calls, in microseconds.
    pub cpu_micros: u64,
    /// Calls into it.
    pub calls: u64,
    /// Bytes that crossed to it.
    pub sent_bytes: u64,
    /// Bytes that came back.
    pub received_bytes: u64,
    /// The largest linear memory of one instance.
    pub memory_bytes: u64,
}

impl RunMetrics {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Rows that left each node, as a line for people.
    pub(crate) fn line(&self) -> String {
        let nodes = self.nodes.iter().map(|node| {
            let bytes = node
                .bytes_written
                .map_or(String::new(), |bytes| format!(", {bytes} bytes"));
            format!("{}: {} rows{bytes}", node.node, node.rows_out)
        });
        nodes.collect::<Vec<_>>().join("; ")
    }
}
