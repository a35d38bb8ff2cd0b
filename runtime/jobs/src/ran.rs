//! [`RanDefinition`]: what a run ran, so that two runs can be compared after their job was changed.
//!
//! A graph is kept once for all runs of a job that ran it, by its digest; arguments are kept with each run.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tenon_store::{Transaction, Tree};

use crate::error::{Error, Kind, Result};
use crate::job::{Arguments, Nodes};
use crate::jobs::TenantJobs;
use crate::start::hex;
use crate::stored::{self, SCHEMA};

/// A graph and the arguments that a run had, those of its job included.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RanDefinition {
    /// The graph.
    pub nodes: Nodes,
    /// The arguments. Earlier releases kept them beside the graph.
    #[serde(default, skip_serializing_if = "Arguments::is_empty")]
    pub arguments: Arguments,
}

/// The digest of a graph, and its record.
pub(crate) fn encoded(nodes: Nodes) -> Result<(String, Vec<u8>)> {
    let record = stored::encode(&RanDefinition {
        nodes,
        arguments: Arguments::new(),
    })?;
    Ok((hex(&Sha256::digest(&record)), record))
}

impl TenantJobs {
    /// What a run ran; nothing of one that did not begin, or began under an earlier release.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the job and the run, [`Error::Store`].
    pub fn ran(&self, job: &str, run: &str) -> Result<Option<RanDefinition>> {
        let number = self.stored_job(job)?.value.number;
        let stored = self.stored_run(number, job, run)?.value;
        let Some(digest) = stored.definition else {
            return Ok(None);
        };
        let key = stored::definition(number, &digest);
        let Some(found) = self.read::<RanDefinition>(Tree::Run, &key)? else {
            return Ok(None);
        };
        let ran = found.value;
        Ok(Some(RanDefinition {
            arguments: stored.ran_arguments.unwrap_or(ran.arguments),
            nodes: ran.nodes,
        }))
    }

    /// Keeps a graph that a run is about to run, unless it is kept already.
    pub(crate) fn with_graph(
        &self,
        transaction: Transaction,
        job: u64,
        digest: &str,
        record: &[u8],
    ) -> Result<Transaction> {
        let key = stored::definition(job, digest);
        if self.jobs.store.get(self.tenant, Tree::Run, &key)?.is_some() {
            return Ok(transaction);
        }
        Ok(transaction.put(Tree::Run, key, SCHEMA, record.to_vec()))
    }

    /// The name of the job that has a run of this id.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub fn job_of_run(&self, run: &str) -> Result<String> {
        match self.find_run(run)? {
            Some((job, _)) => Ok(job.job.name),
            None => Err(Error::not_found(Kind::JobRun, run)),
        }
    }
}
