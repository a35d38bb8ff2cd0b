//! [`Job`]: a definition, as in Glue's JSON.
//! <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-job.html>
//!
//! Members that mean something here have types; what is only kept and shown again is kept as it was given.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::time::Timestamp;

/// Names and values that a run is given.
pub type Arguments = BTreeMap<String, String>;

/// Key to value.
pub type Tags = BTreeMap<String, String>;

/// Glue's visual graph: node id to a node of one kind, in the order given.
pub type Nodes = Map<String, Value>;

/// Longest time a run may take: seven days, in minutes.
const MAX_TIMEOUT_MINUTES: i32 = 7 * 24 * 60;

/// Retries, at most.
const MAX_RETRIES: i32 = 10;

/// Bytes of a definition as JSON: pages of them are read at once.
const MAX_JOB_BYTES: usize = 512 << 10;

/// Runs of one job at once, at most.
const MAX_CONCURRENT_RUNS: i32 = 1000;

/// A job.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Job {
    /// Its name; capital and small letters differ.
    pub name: String,
    /// When it was created.
    pub created_on: Timestamp,
    /// When its definition was last replaced.
    pub last_modified_on: Timestamp,
    /// What callers say about it.
    #[serde(flatten)]
    pub definition: JobDefinition,
}

/// What a caller says about a job. An update replaces all of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JobDefinition {
    /// `SCRIPT`, `VISUAL` or `NOTEBOOK`: how it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_mode: Option<String>,
    /// Whether a start beyond [`ExecutionProperty::max_concurrent_runs`] waits. Absent means that it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_run_queuing_enabled: Option<bool>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Kept and shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_uri: Option<String>,
    /// Kept and shown: a run may do what its account may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// How many runs at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_property: Option<ExecutionProperty>,
    /// Kept and shown: what runs is the graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<JobCommand>,
    /// Arguments that a start may replace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_arguments: Option<Arguments>,
    /// Arguments that win over those of a start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub non_overridable_arguments: Option<Arguments>,
    /// `{"Connections": [names]}`: what its nodes may reach buckets through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<Value>,
    /// How often a run that failed is tried again, 0 to 10. Default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<i32>,
    /// Kept and shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocated_capacity: Option<i32>,
    /// Minutes a run may take once it runs, 1 to 10,080. Default 480.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i32>,
    /// Kept and shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_capacity: Option<f64>,
    /// Which kind of worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_type: Option<String>,
    /// How many of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_of_workers: Option<i32>,
    /// Kept and shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_configuration: Option<String>,
    /// Kept and shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification_property: Option<Value>,
    /// Kept and shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub glue_version: Option<String>,
    /// The graph that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_gen_configuration_nodes: Option<Nodes>,
    /// Kept and shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_class: Option<String>,
    /// Kept and shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_control_details: Option<Value>,
    /// Kept and shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_window: Option<String>,
}

/// How many runs of a job may be under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ExecutionProperty {
    /// 1 to 1000. Default 1.
    #[serde(default = "one")]
    pub max_concurrent_runs: i32,
}

const fn one() -> i32 {
    1
}

/// What a job of Glue runs: kept for clients that read it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JobCommand {
    /// `glueetl` and others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where Glue keeps the script it makes of the graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script_location: Option<String>,
    /// Kept and shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub python_version: Option<String>,
    /// Kept and shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
}

impl JobDefinition {
    /// Runs at once.
    pub(crate) fn concurrent_runs(&self) -> u64 {
        let wanted = self.execution_property.map(|p| p.max_concurrent_runs);
        u64::try_from(wanted.unwrap_or(1)).unwrap_or(1)
    }

    pub(crate) fn retries(&self) -> u32 {
        u32::try_from(self.max_retries.unwrap_or(0)).unwrap_or(0)
    }

    pub(crate) fn timeout_minutes(&self) -> i32 {
        self.timeout
            .unwrap_or_else(|| default_timeout(self.glue_version.as_deref()))
    }

    /// The definition with Glue's defaults filled in, as clients expect to read it back; refused when a member is
    /// out of its range or there is no graph.
    pub(crate) fn checked(mut self) -> Result<Self> {
        let runs = self.execution_property.map_or(1, |p| p.max_concurrent_runs);
        in_range("MaxConcurrentRuns", runs, 1, MAX_CONCURRENT_RUNS)?;
        in_range("MaxRetries", self.max_retries.unwrap_or(0), 0, MAX_RETRIES)?;
        check_timeout(self.timeout)?;
        let arguments = self.arguments(&Arguments::new());
        priority_of(&arguments)?;
        bookmark_use(&arguments)?;
        if self.nodes().is_none_or(Map::is_empty) {
            return Err(Error::invalid(
                "the job has no CodeGenConfigurationNodes: what runs here is the visual graph, not a script; \
                 give the graph, as Glue Studio exports it",
            ));
        }
        let bytes = serde_json::to_vec(&self).map_or(usize::MAX, |json| json.len());
        if bytes > MAX_JOB_BYTES {
            return Err(Error::invalid(format!(
                "the definition of the job has {bytes} bytes as JSON, {MAX_JOB_BYTES} are allowed"
            )));
        }
        self.timeout = Some(self.timeout_minutes());
        self.max_retries.get_or_insert(0);
        self.execution_property.get_or_insert(ExecutionProperty {
            max_concurrent_runs: 1,
        });
        Ok(self)
    }

    /// Names of connections of the catalog, as Glue has them in `Connections`.
    #[must_use]
    pub fn connection_names(&self) -> Vec<String> {
        let names = self
            .connections
            .as_ref()
            .and_then(|c| c["Connections"].as_array());
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        names.map(str::to_owned).collect()
    }

    /// The graph.
    #[must_use]
    pub const fn nodes(&self) -> Option<&Nodes> {
        self.code_gen_configuration_nodes.as_ref()
    }

    /// Whether a run with no arguments of its own reads only what is new.
    #[must_use]
    pub fn reads_what_is_new(&self) -> bool {
        reads_what_is_new(&self.arguments(&Arguments::new()))
    }

    /// What a run gets: its own arguments over the defaults, below what cannot be overridden.
    pub(crate) fn arguments(&self, own: &Arguments) -> Arguments {
        let defaults = self.default_arguments.iter().flatten();
        let fixed = self.non_overridable_arguments.iter().flatten();
        let all = defaults.chain(own).chain(fixed);
        all.map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

/// Glue's: eight hours from version 5.0, two days before.
fn default_timeout(glue_version: Option<&str>) -> i32 {
    let major = glue_version.and_then(|version| version.split('.').next());
    match major.and_then(|major| major.parse::<u32>().ok()) {
        Some(major) if major < 5 => 2880,
        _ => 480,
    }
}

pub(crate) fn check_timeout(minutes: Option<i32>) -> Result<()> {
    in_range("Timeout", minutes.unwrap_or(1), 1, MAX_TIMEOUT_MINUTES)
}

fn in_range(member: &str, value: i32, min: i32, max: i32) -> Result<()> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{member} is {value}, it must be {min} to {max}"
    )))
}

/// The argument that orders waiting runs of an account.
const PRIORITY: &str = "--tenon-priority";

/// 0 to 9, higher ones begin first.
pub(crate) const DEFAULT_PRIORITY: u8 = 5;

/// The argument that says whether a run goes by its job's bookmark.
const BOOKMARK_OPTION: &str = "--job-bookmark-option";

/// Arguments that name the runs between which files were read that are to be read again: after the first, up to and with
/// the second. <https://docs.aws.amazon.com/glue/latest/dg/monitor-continuations.html>
pub(crate) const BOOKMARK_RANGE: [&str; 2] = ["--job-bookmark-from", "--job-bookmark-to"];

/// What a run does with its job's bookmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BookmarkUse {
    /// It reads everything.
    None,
    /// It reads what is new, and the bookmark stays.
    Stands,
    /// It reads what is new, and the bookmark moves.
    Moves,
}

/// What arguments say about the bookmark.
pub(crate) fn bookmark_use(arguments: &Arguments) -> Result<BookmarkUse> {
    let option = arguments.get(BOOKMARK_OPTION).map(String::as_str);
    let range = BOOKMARK_RANGE.iter();
    let named = range
        .into_iter()
        .find(|name| arguments.contains_key(**name));
    if let Some(name) = named
        && option != Some("job-bookmark-pause")
    {
        return Err(Error::invalid(format!(
            "the argument {name} reads again what earlier runs read, and the bookmark stays: it needs \
             {BOOKMARK_OPTION} job-bookmark-pause"
        )));
    }
    match option {
        None | Some("job-bookmark-disable") => Ok(BookmarkUse::None),
        Some("job-bookmark-pause") => Ok(BookmarkUse::Stands),
        Some("job-bookmark-enable") => Ok(BookmarkUse::Moves),
        Some(other) => Err(Error::invalid(format!(
            "the argument {BOOKMARK_OPTION} is {other:?}; it is job-bookmark-enable, job-bookmark-disable or \
             job-bookmark-pause"
        ))),
    }
}

/// Whether a run with these arguments reads only what is new.
pub(crate) fn reads_what_is_new(arguments: &Arguments) -> bool {
    bookmark_use(arguments).is_ok_and(|used| used != BookmarkUse::None)
}

/// The priority that arguments ask for.
pub(crate) fn priority_of(arguments: &Arguments) -> Result<u8> {
    let Some(text) = arguments.get(PRIORITY) else {
        return Ok(DEFAULT_PRIORITY);
    };
    match text.parse() {
        Ok(priority @ 0..=9) => Ok(priority),
        _ => Err(Error::invalid(format!(
            "the argument {PRIORITY} is {text:?}, it must be 0 to 9; higher ones begin first"
        ))),
    }
}
