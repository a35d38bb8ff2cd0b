//! [`RunMetrics`]: what a run did, node by node, kept with it for good. Runners report it while a run is under way and at
//! its end; in JSON as REST shows it and as it is stored.

use serde::{Deserialize, Serialize};

/// What a run did so far.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunMetrics {
    /// Its nodes, each after its inputs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeMetrics>,
    /// Peak resident memory of the worker, where the system tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// CPU time of the worker from the run's begin on, all threads together, in microseconds.
    pub cpu_micros: u64,
    /// Resident bytes of the worker, each times the seconds for which it was.
    pub memory_byte_seconds: f64,
    /// Bytes that were kept on disk because memory was short, all nodes together.
    pub spilled_bytes: u64,
    /// What it cost, where prices are known; shown, not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
}

/// What a node did.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
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
    /// Rows that it left out because they could not be read.
    pub rows_dropped: u64,
    /// Rows that it put in quarantine because they could not be read.
    pub rows_quarantined: u64,
    /// How often requests of its place failed in a way that is tried again.
    pub retries: u64,
    /// Bytes that it read, where it is a source; those that told its columns included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_read: Option<u64>,
    /// Bytes that it wrote, where it is a target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_written: Option<u64>,
    /// CPU time of its operators over all threads, and of encoding what it wrote, in microseconds.
    pub cpu_micros: u64,
    /// Memory that its operators and plugin held at once, at most.
    pub memory_bytes: u64,
    /// That memory, each byte times the seconds for which it was held.
    pub memory_byte_seconds: f64,
    /// Bytes that its operators kept on disk because memory was short.
    pub spilled_bytes: u64,
    /// What it cost, where prices are known; shown, not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
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

    /// Rows that its targets wrote.
    #[must_use]
    pub fn rows_written(&self) -> u64 {
        let targets = self
            .nodes
            .iter()
            .filter(|node| node.bytes_written.is_some());
        targets.map(|node| node.rows_out).sum()
    }

    /// Bytes that its targets wrote.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.nodes
            .iter()
            .filter_map(|node| node.bytes_written)
            .sum()
    }

    /// Bytes that its sources read.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.nodes.iter().filter_map(|node| node.bytes_read).sum()
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
