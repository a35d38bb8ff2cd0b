//! Looking at a job without running it: the columns behind each node, and the first rows of one.

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::physical_plan::execute_stream;

use super::plan::physical;
use super::{Engine, Progress, first_rows};
use crate::error::{Error, Result};
use crate::graph::Job;
use crate::usage::RunUsage;

/// A node as its plan shows it.
#[derive(Debug, Clone)]
pub struct NodeColumns {
    /// Its id in the job.
    pub id: String,
    /// The columns of each of its outputs; of a target those that it writes.
    pub outputs: Vec<SchemaRef>,
}

impl Engine {
    /// Plans every node of a job and says which columns it has. Sources are looked at as far as their columns need it;
    /// nodes that have to know their whole input, such as `DropNullFields`, read it.
    ///
    /// # Errors
    /// What [`Engine::run`] would find before it runs, naming the node.
    pub async fn columns(&self, job: &Job) -> Result<Vec<NodeColumns>> {
        let planned = self.plan(job, &Progress::default(), None).await?;
        let columns = |id: &str| NodeColumns {
            id: id.to_owned(),
            outputs: planned.columns(id),
        };
        Ok(job.order()?.into_iter().map(columns).collect())
    }

    /// All rows behind a node, at most `rows`, and whether there are more: as [`Engine::preview`], of a run whose
    /// progress is watched and whose use of the process is measured.
    ///
    /// # Errors
    /// As [`Engine::preview`].
    pub async fn collect(
        &self,
        job: &Job,
        node: &str,
        rows: usize,
        progress: &Progress,
    ) -> Result<(Vec<RecordBatch>, bool)> {
        let usage = RunUsage::begin();
        *progress.usage.lock() = Some(usage.clone());
        usage.during(self.preview(job, node, rows, progress)).await
    }

    /// The first rows behind a node that is given by its id or name, at most `rows`; of a target those that it would
    /// write. Only what the node needs is run, and nothing is written. Whether there are more rows is said too.
    ///
    /// # Errors
    /// There is no such node, or what is before it fails.
    pub async fn preview(
        &self,
        job: &Job,
        node: &str,
        rows: usize,
        progress: &Progress,
    ) -> Result<(Vec<RecordBatch>, bool)> {
        let (part, id) = job.up_to(node)?;
        let planned = self.plan(&part, progress, None).await?;
        let plan = planned.first_rows(&id, rows.saturating_add(1))?;
        let physical = physical(&planned.context, &id, &plan).await?;
        let stream = execute_stream(physical, planned.context.task_ctx());
        let stream = stream.map_err(|e| Error::of_datafusion(&id, &e))?;
        first_rows(stream, rows)
            .await
            .map_err(|e| e.at(part.nodes[&id].name()))
    }
}
