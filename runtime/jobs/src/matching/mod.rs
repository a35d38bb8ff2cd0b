//! ML transforms: what Glue calls FindMatches. <https://docs.aws.amazon.com/glue/latest/dg/machine-learning.html>
//!
//! ```text
//! MlTransform ── labels (imported) ── model, metrics (of the last evaluation)
//!      ├── task runs: runs in the queue of jobs, of a graph that `graph` makes
//!      └── nodes of jobs that name it by `transform_id`: `node` gives them its parameters, labels and model
//! ```
//!
//! | module | what |
//! |---|---|
//! | `transform` | [`MlTransform`]: creating, changing, listing, deleting; its tags |
//! | `labels` | [`LabelTable`]: what a file of labels must be, how labels are added to others, how they are kept |
//! | `metrics` | [`EvaluationMetrics`], as in Glue's JSON |
//! | `task` | [`MlTask`], [`TaskRun`]: starting, listing and cancelling task runs; what a success brings |
//! | `graph` | the graphs of task runs |
//! | `node` | nodes of jobs that name a transform |
//!
//! # Chosen and refused
//!
//! **A task run is a run of a job that nobody sees.** A transform has a number from the same counter as jobs, and its task
//! runs lie below it like runs of jobs: queue, leases, attempts, stopping and recovery are the same code. A scheduler of
//! their own was refused.
//!
//! **One task of a transform at a time**, in the order in which they were started: what was imported is there for the
//! evaluation behind it, and no two imports add to the same labels.
//!
//! **Labels and the model are records**, written in the transaction of their task's success: they are in backups, go with
//! their transform, and are never there by half.
//!
//! **Labels are not needed.** A transform is READY when its primary key is known, for then jobs can use it; only an
//! evaluation has to have labels.

mod graph;
mod labels;
mod metrics;
mod node;
mod task;
mod transform;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use labels::{LabelFile, LabelRow, LabelTable};
pub use metrics::{ColumnImportance, ConfusionMatrix, EvaluationMetrics, FindMatchesMetrics};
pub(crate) use task::TaskBasis;
pub use task::{MlTask, TaskRun};
pub use transform::{
    FindMatchesParameters, InputTable, MlTransform, SchemaColumn, TransformDefinition,
    TransformParameters, TransformUpdate,
};

pub(crate) use graph::job;
#[cfg(test)]
pub(crate) use labels::LabelPiece;
pub use node::is_given;
#[cfg(test)]
pub(crate) use transform::StoredTransform;

/// The plugin that matches.
const PLUGIN: &str = "tenon:find-matches";

/// Rows that stand for a node of a graph: they come with the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Given {
    /// Labels: `labeling_set_id`, `label`, and the columns of the transform's table, all text.
    Labels(#[serde(with = "shared")] Arc<LabelTable>),
    /// One row with one binary column `model`.
    Model(Model),
}

/// Labels that are shared, written as they are: serde does it for itself only with a feature of its own.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::LabelTable;

    pub(super) fn serialize<S: Serializer>(
        labels: &Arc<LabelTable>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        labels.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<LabelTable>, D::Error> {
        LabelTable::deserialize(deserializer).map(Arc::new)
    }
}

/// A trained model, as the plugin wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model(Arc<[u8]>);

impl Model {
    /// The model in these bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Model {
    /// As base64, which is a third of what a list of numbers would be.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::Engine as _;
        let text = base64::prelude::BASE64_STANDARD.encode(&self.0);
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Model {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use base64::Engine as _;
        let text = String::deserialize(deserializer)?;
        let bytes = base64::prelude::BASE64_STANDARD.decode(text);
        let bytes = bytes.map_err(serde::de::Error::custom)?;
        Ok(Self(bytes.into()))
    }
}

/// What a run does instead of writing what its targets say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskWork {
    /// Reads the labels behind the node [`TaskWork::FILE`] and tells them, if every id is one of the node
    /// [`TaskWork::RECORDS`]; the node [`TaskWork::UNKNOWN`] has those of the labels that are none.
    ReadLabels {
        /// The column that identifies a record.
        id: String,
    },
    /// Tells the one row behind the node [`TaskWork::LEARNED`]: columns `model` and `quality`.
    Evaluate,
}

impl TaskWork {
    /// The file of labels.
    pub const FILE: &str = "file";
    /// The transform's table.
    pub const RECORDS: &str = "records";
    /// Labels: given, or read from the file.
    pub const LABELS: &str = "labels";
    /// Ids of labels that are no record's, in a column `id`.
    pub const UNKNOWN: &str = "unknown";
    /// What an evaluation learned.
    pub const LEARNED: &str = "learned";
}

/// What a task run found out, for its transform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Learned {
    /// The labels of a file.
    Labels(LabelTable),
    /// How good the transform is, and the model that was judged.
    Evaluation {
        /// For `GetMLTransform`.
        metrics: EvaluationMetrics,
        /// For later runs.
        model: Model,
    },
}
