//! Reading runs, and asking them to stop.

use tenon_store::Tree;

use crate::attempt::Change;
use crate::error::{Error, Kind, Result};
use crate::jobs::{Page, Stored, TenantJobs};
use crate::metrics::RunMetrics;
use crate::problem::Problem;
use crate::run::{JobRun, Phase, RunState};
use crate::stored::{self, Place, StoredRun};

/// A run with all that is kept of it but its log.
#[derive(Debug, Clone, PartialEq)]
pub struct WholeRun {
    /// The run.
    pub run: JobRun,
    /// What it did; of a run under way as it reported last.
    pub metrics: RunMetrics,
    /// Why it did not succeed, and what to try.
    pub problem: Option<Problem>,
}

impl TenantJobs {
    /// The run with this id.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the job or the run, [`Error::Store`].
    pub fn get_run(&self, job: &str, id: &str) -> Result<JobRun> {
        let number = self.stored_job(job)?.value.number;
        Ok(self.stored_run(number, job, id)?.value.run)
    }

    /// The same with what it did, node by node, and why it did not succeed; of a run under way as it reported last.
    ///
    /// # Errors
    /// As [`TenantJobs::get_run`].
    pub fn get_whole_run(&self, job: &str, id: &str) -> Result<WholeRun> {
        let number = self.stored_job(job)?.value.number;
        let stored = self.stored_run(number, job, id)?.value;
        Ok(self.whole(stored))
    }

    fn whole(&self, stored: StoredRun) -> WholeRun {
        let live = self.jobs.live.get(self.tenant, stored.place);
        WholeRun {
            metrics: live.unwrap_or(stored.metrics),
            problem: stored.problem,
            run: stored.run,
        }
    }

    /// Runs of a job, newest first, at most `limit`, after `after`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the job, [`Error::InvalidInput`] for an `after` that no page gave, [`Error::Store`].
    pub fn list_runs(&self, job: &str, after: Option<&str>, limit: usize) -> Result<Page<JobRun>> {
        let page = self.list_whole_runs(job, after, limit)?;
        Ok(Page {
            items: page.items.into_iter().map(|whole| whole.run).collect(),
            next: page.next,
        })
    }

    /// The same with what each run did so far.
    ///
    /// # Errors
    /// As [`TenantJobs::list_runs`].
    pub fn list_whole_runs(
        &self,
        job: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<WholeRun>> {
        let number = self.stored_job(job)?.value.number;
        let newest = after.map(str::parse).transpose();
        let newest = newest.map_err(|_| Error::invalid("the page is not one of this list"))?;
        let place = |newest| {
            stored::run(Place {
                job: number,
                number: newest,
            })
        };
        let after = newest.map(place);
        let (found, next) =
            self.list::<StoredRun>(Tree::Run, &stored::runs(number), after.as_ref(), limit)?;
        let last = found.last().map(|(_, run)| run.place.number.to_string());
        Ok(Page {
            items: found
                .into_iter()
                .map(|(_, stored)| self.whole(stored))
                .collect(),
            next: next.and(last),
        })
    }

    /// Asks a run to stop. One that waits is stopped at once; one that is under way is STOPPING until its worker is
    /// gone. Asking twice is no fault.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::InvalidInput`] for a run that has ended; [`Error::Store`].
    pub fn stop_run(&self, job: &str, id: &str) -> Result<()> {
        let number = self.stored_job(job)?.value.number;
        let place = self.stored_run(number, job, id)?.value.place;
        self.stop_at(place)
    }

    /// The same for a run at its place, also of a task.
    pub(crate) fn stop_at(&self, place: Place) -> Result<()> {
        self.change_run(place, |run| {
            let (state, id) = (run.run.job_run_state, &run.run.id);
            let next = match state.phase() {
                Phase::Waiting => RunState::Stopped,
                Phase::Active => RunState::Stopping,
                Phase::Ended => {
                    return Err(Error::invalid(format!(
                        "job run {id} has ended: it is {state}"
                    )));
                }
            };
            Ok(Change::to(next).unless_already())
        })?;
        self.jobs.bell.ring_for(self.tenant);
        Ok(())
    }

    /// The stored run with this id of the job with this number.
    pub(crate) fn stored_run(&self, job: u64, name: &str, id: &str) -> Result<Stored<StoredRun>> {
        let absent = || Error::not_found(Kind::JobRun, format!("{id} of job {name}"));
        let number = self.read::<u64>(Tree::Run, &stored::run_id(job, id))?;
        let number = number.ok_or_else(absent)?.value;
        let place = Place { job, number };
        self.read(Tree::Run, &stored::run(place))?
            .ok_or_else(absent)
    }
}
