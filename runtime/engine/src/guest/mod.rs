//! Plugin functions inside DataFusion plans.
//!
//! ```text
//! map      MapProvider     ── scan ──> MapExec      one instance per partition
//! stream   StreamProvider  ── scan ──> StreamExec   one instance per partition, inputs one after the other
//! source   SourceProvider ── scan ──> SourceExec   pieces dealt out to one instance per partition
//! plan     expand          ──> SQL and calls of the plugin's own functions
//!
//! in SQL   register        ──> GuestScalar, GuestAggregate, TableFunctions ──> ExpandExec
//! ```
//!
//! A provider narrows its inputs to the columns that the guest asked for before they are read, so that
//! nothing else is even decoded.

mod aggregate;
mod budget;
mod drive;
mod expand;
mod functions;
mod http;
mod map;
mod pieces;
mod scalar;
mod source;
mod stream;
mod table;
mod timing;
mod weight;

use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryPool;
use parking_lot::Mutex;
use tenon_host::{Kind, Limits, LogLine, Plugin};

use crate::error::PluginError;

pub(crate) use drive::{CancelOnDrop, Cancellation};
pub(crate) use expand::{bound, expand, plan_sql};
pub(crate) use functions::{register, sql_name};
pub(crate) use http::GrantedHttp;
pub(crate) use map::MapProvider;
pub(crate) use stream::StreamProvider;
pub(crate) use table::{LateralCalls, TableCallPlanner};

/// A plugin at a node of a job: who is called, under which limits, and where its log goes.
#[derive(Debug, Clone)]
pub(crate) struct GuestNode {
    /// The node's name, for errors.
    pub(crate) node: Arc<str>,
    /// `name@version`, for errors.
    pub(crate) reference: Arc<str>,
    pub(crate) plugin: Plugin,
    pub(crate) limits: Limits,
    pub(crate) log: RunLog,
    /// The run's memory.
    pub(crate) pool: Arc<dyn MemoryPool>,
    /// Says when nobody wants the run any more.
    pub(crate) cancellation: Cancellation,
}

impl GuestNode {
    pub(crate) fn error(&self, function: &str, source: tenon_host::Error) -> PluginError {
        PluginError {
            node: self.node.to_string(),
            plugin: self.reference.to_string(),
            function: function.to_owned(),
            source,
        }
    }

    /// The function that a job names, or the only one that there is to name.
    pub(crate) async fn function(
        &self,
        name: Option<&str>,
    ) -> Result<tenon_host::Function, PluginError> {
        let fail =
            |text: String| self.error(name.unwrap_or("?"), tenon_host::Error::NoSuchFunction(text));
        let functions = self
            .plugin
            .functions(&self.limits)
            .await
            .map_err(|e| self.error("describe", e))?;
        let listed = || {
            functions
                .iter()
                .map(|f| format!("{} ({})", f.name, f.kind))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let chosen = match name {
            Some(name) => functions.iter().find(|f| f.name == name),
            None if functions.len() == 1 => functions.first(),
            None => sole(&functions, Kind::Plan),
        };
        chosen.cloned().ok_or_else(|| match name {
            Some(name) => fail(format!(
                "there is no function {name:?}; the plugin has {}",
                listed()
            )),
            None => fail(format!("name one of its functions: {}", listed())),
        })
    }
}

fn sole(functions: &[tenon_host::Function], kind: Kind) -> Option<&tenon_host::Function> {
    let mut matching = functions.iter().filter(|f| f.kind == kind);
    matching.next().filter(|_| matching.next().is_none())
}

/// Most bytes of log lines that a run keeps. An instance has a limit of its own, and a run any number of instances.
const MAX_LOG_BYTES: usize = 10 << 20;

/// Bytes that a line costs beside its text, so that empty lines are not for free.
const LINE_BYTES: usize = 64;

/// What plugins logged during a run, with the node that said it.
#[derive(Debug, Clone, Default)]
pub struct RunLog(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    lines: Vec<NodeLine>,
    bytes: usize,
    is_full: bool,
}

impl Kept {
    fn push(&mut self, node: &Arc<str>, line: LogLine) {
        if self.is_full {
            return;
        }
        self.bytes += line.message.len() + LINE_BYTES;
        self.is_full = self.bytes > MAX_LOG_BYTES;
        let line = match self.is_full {
            false => line,
            true => LogLine {
                level: "warn",
                message: format!(
                    "the run's log is full at {MAX_LOG_BYTES} bytes: what follows is dropped"
                ),
            },
        };
        self.lines.push((Arc::clone(node), line));
    }
}

/// A node and what its plugin said.
type NodeLine = (Arc<str>, LogLine);

impl RunLog {
    pub(crate) fn append(&self, node: &Arc<str>, lines: Vec<LogLine>) {
        if !lines.is_empty() {
            let mut kept = self.0.lock();
            lines.into_iter().for_each(|line| kept.push(node, line));
        }
    }

    /// The lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<(Arc<str>, LogLine)> {
        self.lines_after(0)
    }

    /// The lines so far, without so many that came first.
    #[must_use]
    pub fn lines_after(&self, seen: usize) -> Vec<(Arc<str>, LogLine)> {
        let kept = self.0.lock();
        kept.lines.get(seen..).unwrap_or_default().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_keeps_so_many_lines_whoever_says_them() {
        let (log, node) = (RunLog::default(), Arc::from("n"));
        for _ in 0..1_000 {
            let line = || LogLine {
                level: "info",
                message: "x".repeat(100),
            };
            log.append(&node, (0..1_000).map(|_| line()).collect());
        }
        let lines = log.lines();
        assert_eq!(lines.len(), MAX_LOG_BYTES / 164 + 1);
        let (_, last) = lines.last().unwrap();
        assert_eq!(
            last.message,
            "the run's log is full at 10485760 bytes: what follows is dropped"
        );
    }
}
