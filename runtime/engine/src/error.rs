//! Why a job or query failed. Each message names the node, file or plugin and, where there is one, the
//! remedy.

use std::io::ErrorKind;

use datafusion::error::DataFusionError;
use thiserror::Error;

/// Result of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Few kinds, each telling the caller what to do.
#[derive(Debug, Error)]
pub enum Error {
    /// The job's definition is wrong: the user's to mend.
    #[error("{0}")]
    Definition(String),

    /// Something named does not exist.
    #[error("{message}")]
    NotFound {
        /// What was looked for, and where.
        message: String,
        /// What there is that is like it.
        hint: Option<String>,
    },

    /// The operator does not allow what was asked for.
    #[error("{message}")]
    Refused {
        /// What was asked for and what is allowed.
        message: String,
        /// What to ask for instead.
        hint: Option<String>,
    },

    /// A node failed while it was planned or run.
    #[error("node {node:?}: {message}")]
    Node {
        /// Its name.
        node: String,
        /// What happened.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },

    /// A query is wrong or failed.
    #[error("{0}")]
    Query(String),

    /// The run was cancelled; nothing of it is left.
    #[error("cancelled; nothing was written")]
    Cancelled,

    /// Another run or process is in the way.
    #[error("{0}")]
    Conflict(String),

    /// The machine failed us.
    #[error("{0}")]
    Io(String),
}

impl Error {
    pub(crate) fn node(node: &str, message: impl ToString) -> Self {
        Self::Node {
            node: node.to_owned(),
            message: message.to_string(),
            hint: None,
        }
    }

    pub(crate) fn not_found(message: impl ToString) -> Self {
        Self::NotFound {
            message: message.to_string(),
            hint: None,
        }
    }

    /// The same with a line on what to do, where its kind has one and it has none yet.
    pub(crate) fn or_hint(mut self, text: Option<String>) -> Self {
        if let Self::Node { hint, .. } | Self::NotFound { hint, .. } | Self::Refused { hint, .. } =
            &mut self
        {
            *hint = hint.take().or(text);
        }
        self
    }

    /// The same at a node: what does not exist stays what it is, the rest is the node's failure.
    pub(crate) fn at(self, node: &str) -> Self {
        let at = |message: String| format!("node {node:?}: {message}");
        match self {
            Self::NotFound { message, hint } => Self::NotFound {
                message: at(message),
                hint,
            },
            Self::Refused { message, hint } => Self::Refused {
                message: at(message),
                hint,
            },
            Self::Node { .. } => self,
            other => Self::node(node, other),
        }
    }

    /// What the user can do about it, when there is something to say beyond the message.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Node { hint, .. } | Self::NotFound { hint, .. } | Self::Refused { hint, .. } => {
                hint.as_deref()
            }
            _ => None,
        }
    }

    /// What to try about it, always: [`Self::hint`] where there is one, else what helps with its kind.
    #[must_use]
    pub fn remedy(&self) -> String {
        let by_kind = match self {
            Self::Definition(_) => "mend the job's definition: the message says where",
            Self::NotFound { .. } => {
                "check the name, and that what it names is there and may be read"
            }
            Self::Refused { .. } => "ask the operator to allow it, or ask for less",
            Self::Query(_) => "mend the query",
            Self::Node { message, .. } => remedy_at_node(message),
            Self::Cancelled => "run it again",
            Self::Conflict(_) => "wait for the other run to end, and run it again",
            Self::Io(_) => {
                "look whether the machine's disks are there and have room, and run it again"
            }
        };
        self.hint().unwrap_or(by_kind).to_owned()
    }

    /// An error of DataFusion's while `node` was planned or run. Where the node that it passed first, or a
    /// plugin, is known, that one is named.
    pub(crate) fn of_datafusion(node: &str, error: &DataFusionError) -> Self {
        if let Some(plugin) = find::<PluginError>(error) {
            let hint = plugin.source.hint().map(str::to_owned);
            return Self::Node {
                node: plugin.node.clone(),
                message: plugin.to_string(),
                hint,
            };
        }
        let failure = match find::<NodeError>(error) {
            Some(inner) => Self::node(&inner.node, plain_text(&inner.source)),
            None => Self::node(node, plain_text(error)),
        };
        let hint = find::<std::io::Error>(error).and_then(|e| full_disk_hint(e, SPILL_FOLDER));
        failure.or_hint(hint)
    }
}

/// What helps with a node that failed, by what it says; what says nothing of these is about its rows or its settings.
fn remedy_at_node(message: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["spill_bytes"]) {
        return "let it keep more on disk: more workers, or less to sort, join and group at once";
    }
    if says(&[
        "Failed to allocate",
        "memory_bytes",
        "memory pool",
        "at once, the limit is",
    ]) {
        return "give it more memory: a larger WorkerType, more NumberOfWorkers, --run-memory of the server or --memory of \
                `tenon run`";
    }
    if message.starts_with("plugin ") {
        return "look at what the plugin said (`tenon job logs`), tell its author, or name another version in Path";
    }
    if says(&[
        "no files",
        "does not exist",
        "No such file",
        "no file matches",
        "the folder holds no data",
    ]) {
        return "check the path, and that the files are there";
    }
    "look at the rows or the file that it names and mend them; BadRows = \"drop\" or \"quarantine\" leaves out rows that \
     cannot be read"
}

/// Where operators keep what does not fit into memory.
const SPILL_FOLDER: &str = "in the folder for temporary files, or set TMPDIR to one that has room";

/// What to do about a disk, a quota or a file that cannot grow. `place` says where, and what else can be done.
pub(crate) fn full_disk_hint(error: &std::io::Error, place: &str) -> Option<String> {
    match error.kind() {
        ErrorKind::StorageFull => Some(format!("free some space {place}; nothing was written")),
        ErrorKind::QuotaExceeded => Some(format!(
            "free some of your quota {place}; nothing was written"
        )),
        ErrorKind::FileTooLarge => Some(
            "files may not grow that large here: see `ulimit -f` and the file system's own limit; \
             nothing was written"
                .to_owned(),
        ),
        _ => None,
    }
}

/// DataFusion's message without the prefixes and backtraces that mean nothing to the user.
pub(crate) fn plain_text(error: &DataFusionError) -> String {
    let text = error.find_root().strip_backtrace();
    let prefixes = [
        "Error during planning: ",
        "Execution error: ",
        "External error: ",
        "Schema error: ",
        "Arrow error: ",
        "Cast error: ",
        "Parser error: ",
        "Resources exhausted: ",
        "This feature is not implemented: ",
    ];
    let mut text = text.as_str();
    while let Some(rest) = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest;
    }
    text.to_owned()
}

/// A plugin's failure, on its way through DataFusion.
#[derive(Debug, Error)]
#[error("plugin {plugin}, function {function}: {source}")]
pub(crate) struct PluginError {
    pub(crate) node: String,
    pub(crate) plugin: String,
    pub(crate) function: String,
    #[source]
    pub(crate) source: tenon_host::Error,
}

impl From<PluginError> for DataFusionError {
    fn from(error: PluginError) -> Self {
        Self::External(Box::new(error))
    }
}

/// A failure that left a node, on its way through DataFusion.
#[derive(Debug, Error)]
#[error("{source}")]
pub(crate) struct NodeError {
    node: String,
    #[source]
    source: DataFusionError,
}

impl NodeError {
    /// Marks an error with the node that it leaves, unless an earlier one did.
    pub(crate) fn wrap(node: &str, source: DataFusionError) -> DataFusionError {
        if find::<Self>(&source).is_some() {
            return source;
        }
        DataFusionError::External(Box::new(Self {
            node: node.to_owned(),
            source,
        }))
    }
}

fn find<T: std::error::Error + 'static>(error: &DataFusionError) -> Option<&T> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        source = match error.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Shared(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Context(_, inner)) => Some(inner.as_ref()),
            _ => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_a_remedy_that_fits() {
        let at = |message: &str| Error::node("n", message).remedy();
        assert!(at("limit spill_bytes reached: allowed 1000 bytes").contains("on disk"));
        assert!(at("Failed to allocate additional 1 MB for sort").contains("--run-memory"));
        assert!(at("plugin a@1.0.0, function f: it trapped").contains("tenon job logs"));
        assert!(at("in: the folder holds no data files").contains("check the path"));
        assert!(at("a.csv:3:2: expected a number").contains("BadRows"));
        let with_hint = Error::node("n", "x").or_hint(Some("own".to_owned()));
        assert_eq!(with_hint.remedy(), "own");
        for error in [
            Error::Cancelled,
            Error::Io("x".to_owned()),
            Error::not_found("x"),
        ] {
            assert!(!error.remedy().is_empty());
        }
    }
}
