//! What a run did: rows, time and bytes for each node.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;
use tenon_catalog::PublishedTable;
use tenon_connect::ListedFile;

use crate::limits::NodeLimits;
use crate::node::{MeterExec, downcast};
use crate::shared::SharedExec;
use crate::usage::Used;

/// The outcome of a run that succeeded.
#[derive(Debug)]
pub struct RunReport {
    /// The job's name.
    pub job: String,
    /// The run's id.
    pub run: String,
    /// Nodes in an order in which each comes after its inputs.
    pub nodes: Vec<NodeReport>,
    /// What was written.
    pub targets: Vec<TargetReport>,
    /// The files that each source read, of a run that reads what is new; else empty.
    pub read: BTreeMap<String, Vec<ListedFile>>,
    /// From start to commit.
    pub elapsed: Duration,
    /// Peak resident memory of the process, in bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
    /// What the run used as a whole.
    pub used: Used,
    /// Lines that plugins logged: node, level, message.
    pub log: Vec<(String, &'static str, String)>,
}

/// One node of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeReport {
    /// Its id in the job.
    pub id: String,
    /// Glue's word for what it is.
    pub kind: &'static str,
    /// Whether it reads no other node.
    pub is_source: bool,
    /// Rows that its inputs gave; 0 for a source.
    pub rows_in: u64,
    /// Rows that it gave, or wrote.
    pub rows_out: u64,
    /// Bytes that it read from files and received from elsewhere, those that told its columns included; 0 unless it
    /// is a source.
    pub bytes_read: u64,
    /// CPU time of its operators, over all threads, and of encoding what it wrote.
    pub cpu: Duration,
    /// Memory that its operators and plugin held at once, at most, in bytes.
    pub memory_bytes: u64,
    /// That memory, each byte times the seconds for which it was held.
    pub memory_byte_seconds: f64,
    /// Bytes that its operators wrote to disk because memory was short.
    pub spilled_bytes: u64,
    /// Rows that it left out because they could not be read.
    pub rows_dropped: u64,
    /// Rows that it put in quarantine because they could not be read.
    pub rows_quarantined: u64,
    /// How often requests of its place failed in a way that is tried again.
    pub retries: u64,
    /// Which plugin it is, if it is one.
    pub plugin: Option<PluginReport>,
    /// What its plugin used, if it has one.
    pub guest: Option<GuestReport>,
}

/// The plugin of a node, so exactly that the run can be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginReport {
    /// `name@version`.
    pub reference: String,
    /// Digest of the component, `sha256:...`.
    pub digest: String,
    /// What it was held to.
    pub limits: NodeLimits,
}

/// What a plugin node used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GuestReport {
    /// CPU time inside calls of the plugin.
    pub cpu: Duration,
    /// Calls into the plugin.
    pub calls: u64,
    /// Bytes that crossed to it.
    pub bytes_sent: u64,
    /// Bytes that came back.
    pub bytes_received: u64,
    /// The largest linear memory of one instance, in bytes.
    pub memory_bytes: u64,
    /// Fuel that its calls used; 0 where time is the meter.
    pub fuel: u64,
}

/// One target of a run.
#[derive(Debug)]
pub struct TargetReport {
    /// Its node.
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
    /// Files written.
    pub files: usize,
    /// Rows written.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Partitions that got rows; 0 of a target that has none.
    pub partitions: usize,
    /// `database.table`, when it is in the catalog.
    pub table: Option<String>,
    /// What the catalog was told of that table.
    pub published: Option<PublishedTable>,
    /// Whether it is what a source could not read: its node is that source.
    pub is_quarantine: bool,
    /// All of its rows, when there are few.
    pub preview: Option<RecordBatch>,
}

/// CPU time and guest usage for each node, from the metrics of a plan that has run.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    nodes: BTreeMap<String, NodeUsage>,
    seen: HashSet<usize>,
}

/// What one node used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NodeUsage {
    pub(crate) cpu: Duration,
    pub(crate) spilled_bytes: u64,
    pub(crate) rows_dropped: u64,
    pub(crate) rows_quarantined: u64,
    pub(crate) guest: Option<GuestReport>,
}

impl Usage {
    /// Adds the operators of a plan whose last node is `target`.
    pub(crate) fn add(&mut self, target: &str, plan: &Arc<dyn ExecutionPlan>) {
        let node = |plan: &Arc<dyn ExecutionPlan>| {
            downcast::<MeterExec>(plan.as_ref()).map(|meter| meter.id().to_owned())
        };
        let mut owner = node(plan).unwrap_or_else(|| target.to_owned());
        if let Some(shared) = downcast::<SharedExec>(plan.as_ref()) {
            // Read by several, computed once.
            let identity = Arc::as_ptr(shared.inner()).cast::<()>() as usize;
            if !self.seen.insert(identity) {
                return;
            }
            self.add(&owner, shared.inner());
            owner = node(shared.inner()).unwrap_or(owner);
        }
        if let Some(metrics) = plan.metrics() {
            self.record(&owner, plan.as_ref(), &metrics);
        }
        for child in plan.children() {
            self.add(&owner, child);
        }
    }

    fn record(&mut self, owner: &str, plan: &dyn ExecutionPlan, metrics: &MetricsSet) {
        let cpu = cpu_of(metrics);
        let usage = self.nodes.entry(owner.to_owned()).or_default();
        usage.cpu += cpu;
        usage.spilled_bytes += metrics.spilled_bytes().unwrap_or(0) as u64;
        let sum = |name: &str| {
            let value = metrics.sum_by_name(name);
            value.map_or(0, |value| value.as_usize() as u64)
        };
        usage.rows_dropped += sum("rows_dropped");
        usage.rows_quarantined += sum("rows_quarantined");
        if matches!(plan.name(), "MapExec" | "StreamExec" | "ExpandExec") {
            let guest = usage.guest.get_or_insert_default();
            guest.cpu += cpu;
            guest.calls += sum("guest_calls");
            guest.bytes_sent += sum("bytes_sent");
            guest.bytes_received += sum("bytes_received");
            guest.fuel += sum("guest_fuel");
            guest.memory_bytes = guest.memory_bytes.max(largest(metrics, "guest_memory"));
        }
    }

    pub(crate) fn of(&self, node: &str) -> NodeUsage {
        self.nodes.get(node).copied().unwrap_or_default()
    }
}

/// CPU time of an operator. DataFusion's scans of files do not count theirs as such: what they count is the time of their
/// polls, in which they decode and do not wait.
fn cpu_of(metrics: &MetricsSet) -> Duration {
    let polls = metrics.sum_by_name("time_elapsed_processing");
    let nanos = metrics.elapsed_compute().unwrap_or(0) + polls.map_or(0, |time| time.as_usize());
    Duration::from_nanos(nanos as u64)
}

/// The largest value that a gauge has in any partition.
fn largest(metrics: &MetricsSet, name: &str) -> u64 {
    let values = metrics.iter().map(|metric| metric.value());
    let values = values.filter(|value| value.name() == name);
    values
        .map(|value| value.as_usize() as u64)
        .max()
        .unwrap_or(0)
}
