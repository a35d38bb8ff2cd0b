//! Changes of one run: every one of them goes through [`TenantJobs::change_run`], which keeps the state machine, the
//! queue, the leases and the job's tally together in one transaction.

use tenon_store::{Expected, Transaction, Tree};

use crate::capacity::Capacity;
use crate::error::{Error, Kind, Result};
use crate::job::{Arguments, Job, reads_what_is_new};
use crate::jobs::TenantJobs;
use crate::matching::{self, TaskBasis};
use crate::metrics::RunMetrics;
use crate::port::{RunKey, Success};
use crate::problem::Problem;
use crate::ran;
use crate::run::{JobRun, Phase, RunState};
use crate::stored::{self, Lease, Place, SCHEMA, StoredRun, Tally};
use crate::time::Timestamp;

/// Changes what else is in a record.
type Edit<'a> = Box<dyn Fn(&mut StoredRun) + 'a>;

/// Adds what else is in a transaction.
type Add<'a> = Box<dyn Fn(Transaction) -> Result<Transaction> + 'a>;

/// What is to become of a run.
#[derive(Default)]
pub(crate) struct Change<'a> {
    /// The state it goes to; `None` when it stays.
    to: Option<RunState>,
    /// Whether being in that state already is no fault.
    lenient: bool,
    /// Why it did not succeed.
    problem: Option<Problem>,
    /// Whether it is tried again, if its retries allow.
    retry: bool,
    /// How many runs of its job may be under way with it.
    limit: Option<u64>,
    /// What else changes in the record.
    edit: Option<Edit<'a>>,
    /// What else is in the transaction.
    also: Option<Add<'a>>,
}

impl<'a> Change<'a> {
    pub(crate) fn to(state: RunState) -> Self {
        Self {
            to: Some(state),
            ..Self::default()
        }
    }

    fn edit(edit: impl Fn(&mut StoredRun) + 'a) -> Self {
        Self::default().and(edit)
    }

    pub(crate) fn unless_already(self) -> Self {
        Self {
            lenient: true,
            ..self
        }
    }

    pub(crate) fn because(self, problem: Problem) -> Self {
        Self {
            problem: Some(problem),
            ..self
        }
    }

    fn and(self, edit: impl Fn(&mut StoredRun) + 'a) -> Self {
        Self {
            edit: Some(Box::new(edit)),
            ..self
        }
    }
}

/// A run that a scheduler has claimed, with the definition it runs.
pub(crate) struct Claimed {
    pub(crate) run: StoredRun,
    pub(crate) job: Job,
    pub(crate) arguments: Arguments,
}

/// What came of trying to claim a waiting run.
pub(crate) enum Claim {
    Claimed(Box<Claimed>),
    /// As many runs of its job are under way as may be.
    Full,
    /// It does not wait any more.
    Gone,
}

impl TenantJobs {
    /// Reads a run, lets `decide` say what becomes of it, and does that in one transaction. Returns the run after it.
    ///
    /// # Errors
    /// What `decide` says; [`Error::Lost`] when the run is gone; [`Error::InvalidInput`] for a state that may not
    /// follow; [`Error::TooManyRuns`]; [`Error::Conflict`], [`Error::Store`].
    pub(crate) fn change_run<'a>(
        &self,
        place: Place,
        decide: impl Fn(&StoredRun) -> Result<Change<'a>>,
    ) -> Result<StoredRun> {
        let key = stored::run(place);
        self.retry(Kind::JobRun, &place.number.to_string(), || {
            let lost = || Error::Lost {
                run: place.number.to_string(),
            };
            let old = self.read::<StoredRun>(Tree::Run, &key)?.ok_or_else(lost)?;
            let change = decide(&old.value)?;
            if change.lenient && change.to == Some(old.value.run.job_run_state) {
                return Ok(old.value);
            }
            let new = self.changed(&old.value, &change)?;
            let transaction = self
                .transaction()
                .expect(Tree::Run, key.clone(), old.unchanged())
                .put(Tree::Run, key.clone(), SCHEMA, stored::encode(&new)?);
            let transaction = self.moved(transaction, &old.value, &new, &change)?;
            let transaction = match &change.also {
                Some(also) => also(transaction)?,
                None => transaction,
            };
            self.commit(transaction)?;
            Ok(new)
        })
    }

    /// The record after the change.
    fn changed(&self, old: &StoredRun, change: &Change<'_>) -> Result<StoredRun> {
        let now = self.now();
        let mut new = old.clone();
        new.run.last_modified_on = now;
        if let Some(edit) = &change.edit {
            edit(&mut new);
        }
        let Some(next) = change.to else {
            return Ok(new);
        };
        let state = old.run.job_run_state;
        if !state.may_become(next) {
            let id = &old.run.id;
            return Err(Error::invalid(format!(
                "job run {id} is {state} and cannot become {next}"
            )));
        }
        new.run.job_run_state = next;
        let mut problem = change.problem.clone();
        if old.publishing && next == RunState::Failed {
            let then = match is_tried_again(old, change) {
                true => "while its results were made visible; it is repeated",
                false => "while its results were made visible, of which a part may be there",
            };
            problem = problem.map(|problem| problem.and(&format!(", {then}")));
        }
        new.run.error_message = problem.as_ref().map(Problem::to_string);
        new.problem = problem;
        if next.is_final() {
            new.run.completed_on = Some(now);
            let ran = old
                .running_since
                .map_or(0, |since| millis_between(since, now));
            new.run.execution_time = ran.div_ceil(1000);
            let capacity = capacity_of(&new.run);
            new.run.dpu_seconds = Some(capacity.dpus * new.run.execution_time as f64);
            new.lease = None;
            new.publishing = false;
        }
        Ok(new)
    }

    /// Moves a run between the queue, the runs under way and the past, and counts it there.
    fn moved(
        &self,
        transaction: Transaction,
        old: &StoredRun,
        new: &StoredRun,
        change: &Change<'_>,
    ) -> Result<Transaction> {
        let (before, after) = (old.run.job_run_state.phase(), new.run.job_run_state.phase());
        if before == after {
            return Ok(transaction);
        }
        let key = stored::tally(old.place.job);
        let found = self.read::<Tally>(Tree::Run, &key)?;
        // Without a tally the job is gone, and what is left of its runs with it.
        let is_gone = found.is_none();
        let unchanged = found
            .as_ref()
            .map_or(Expected::Absent, crate::jobs::Stored::unchanged);
        let mut tally = found.map(|found| found.value).unwrap_or_default();
        let mut transaction = transaction.expect(Tree::Run, key.clone(), unchanged);
        match before {
            Phase::Waiting => {
                tally.waiting = tally.waiting.saturating_sub(1);
                transaction = transaction.delete(Tree::Due, stored::waiting(old));
            }
            Phase::Active => {
                tally.active = tally.active.saturating_sub(1);
                transaction = transaction.delete(Tree::Due, stored::active(old.place));
            }
            Phase::Ended => {}
        }
        if after == Phase::Active {
            if let Some(limit) = change.limit.filter(|limit| tally.active >= *limit) {
                return Err(Error::TooManyRuns {
                    job: old.run.job_name.clone(),
                    active: tally.active,
                    limit,
                });
            }
            tally.active += 1;
            transaction = transaction.put(Tree::Due, stored::active(old.place), SCHEMA, Vec::new());
        }
        if is_gone {
            return Ok(transaction);
        }
        if is_tried_again(old, change) {
            let next = self.next_attempt(old, tally.newest + 1);
            tally.newest += 1;
            tally.waiting += 1;
            transaction = stored::queued(transaction, &next)?;
        }
        Ok(transaction.put(Tree::Run, key, SCHEMA, stored::encode(&tally)?))
    }

    fn next_attempt(&self, failed: &StoredRun, number: u64) -> StoredRun {
        let (now, attempt) = (self.now(), failed.run.attempt + 1);
        let first = failed.run.id.split("_attempt_").next().unwrap_or_default();
        StoredRun {
            run: JobRun {
                id: format!("{first}_attempt_{attempt}"),
                attempt,
                previous_run_id: Some(failed.run.id.clone()),
                started_on: now,
                last_modified_on: now,
                completed_on: None,
                job_run_state: RunState::Waiting,
                error_message: None,
                execution_time: 0,
                dpu_seconds: None,
                state_detail: None,
                ..failed.run.clone()
            },
            place: Place {
                number,
                ..failed.place
            },
            // Before all that waits, which would read what this one has read.
            priority: if failed.publishing {
                9
            } else {
                failed.priority
            },
            fence: 0,
            lease: None,
            running_since: None,
            publishing: false,
            metrics: RunMetrics::default(),
            problem: None,
            definition: None,
            ran_arguments: None,
            basis: None,
            ..failed.clone()
        }
    }

    /// Takes a waiting run for `holder`, under a new token.
    pub(crate) fn claim(&self, place: Place, lease: &Lease) -> Result<Claim> {
        let Some(run) = self.read::<StoredRun>(Tree::Run, &stored::run(place))? else {
            return Ok(Claim::Gone);
        };
        let (job, basis) = match self.job_to_run(&run.value) {
            Ok(Some(found)) => found,
            Err(Error::Store(error)) => return Err(Error::Store(error)),
            Ok(None) | Err(_) => {
                let change = || {
                    Change::to(RunState::Error).because(match &run.value.task {
                        None => Problem::new(
                            "the job was deleted before the run began",
                            "create the job again and start it",
                        ),
                        Some(_) => Problem::new(
                            "the ML transform was deleted, or its primary key was, before the task run began",
                            "give it a PrimaryKeyColumnName and start the task run again",
                        ),
                    })
                };
                let _ = self.change_run(place, |_| Ok(change()));
                return Ok(Claim::Gone);
            }
        };
        let own = run.value.run.arguments.clone().unwrap_or_default();
        let arguments = job.definition.arguments(&own);
        let limit = match reads_what_is_new(&arguments) {
            true => 1,
            false => job.definition.concurrent_runs(),
        };
        let (digest, graph) = ran::encoded(job.definition.nodes().cloned().unwrap_or_default())?;
        let claimed = self.change_run(place, |run| {
            if run.run.job_run_state != RunState::Waiting {
                return Err(lost(run));
            }
            let edit = |run: &mut StoredRun| {
                run.fence += 1;
                run.lease = Some(lease.clone());
                run.definition = Some(digest.clone());
                run.ran_arguments = Some(arguments.clone());
                run.basis.clone_from(&basis);
            };
            let also =
                |transaction: Transaction| self.with_graph(transaction, place.job, &digest, &graph);
            Ok(Change {
                limit: Some(limit),
                also: Some(Box::new(also)),
                ..Change::to(RunState::Starting).and(edit)
            })
        });
        match claimed {
            Ok(run) => Ok(Claim::Claimed(Box::new(Claimed {
                run,
                job,
                arguments,
            }))),
            Err(Error::TooManyRuns { .. }) => Ok(Claim::Full),
            Err(Error::Lost { .. }) => Ok(Claim::Gone),
            Err(error) => Err(error),
        }
    }

    /// What a run is to run, made of its transform for a task, and what that then was; `None` when the job or the transform
    /// is gone.
    fn job_to_run(&self, run: &StoredRun) -> Result<Option<(Job, Option<TaskBasis>)>> {
        let name = &run.run.job_name;
        let (number, job, basis) = match &run.task {
            None => match self.stored_job(name) {
                Ok(stored) => (stored.value.number, stored.value.job, None),
                Err(Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(error),
            },
            Some(task) => match self.stored_transform(name) {
                Ok(stored) => (
                    stored.value.number,
                    matching::job(&stored.value, task, &run.run.id)?,
                    Some(TaskBasis::of(&stored.value)?),
                ),
                Err(Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(error),
            },
        };
        Ok((number == run.place.job).then_some((job, basis)))
    }

    /// The run works now, unless it was asked to stop meanwhile.
    pub(crate) fn begin(&self, key: RunKey) -> Result<StoredRun> {
        self.change_run(key.place, |run| {
            held(run, key)?;
            let now = self.now();
            let since = move |run: &mut StoredRun| run.running_since = Some(now);
            Ok(match run.run.job_run_state {
                RunState::Starting => Change::to(RunState::Running).and(since),
                _ => Change::edit(since),
            })
        })
    }

    /// Puts the end of the lease off, and says how far the run is.
    pub(crate) fn renew(
        &self,
        key: RunKey,
        until: Timestamp,
        metrics: &RunMetrics,
    ) -> Result<StoredRun> {
        self.change_run(key.place, |run| {
            held(run, key)?;
            Ok(Change::edit(move |run: &mut StoredRun| {
                if let Some(lease) = &mut run.lease {
                    lease.until = until;
                }
                tell(run, metrics);
            }))
        })
    }

    /// Whether the run may make its results visible. From then on it is neither stopped nor out of time.
    pub(crate) fn may_publish(&self, key: RunKey) -> Result<bool> {
        let run = self.change_run(key.place, |run| {
            held(run, key)?;
            let may = run.run.job_run_state == RunState::Running;
            Ok(Change::edit(move |run: &mut StoredRun| {
                run.publishing = may
            }))
        })?;
        Ok(run.publishing)
    }

    /// The run has succeeded: with it, in one transaction, whatever its success brings.
    pub(crate) fn succeed(
        &self,
        key: RunKey,
        success: &Success,
        moves_bookmark: bool,
    ) -> Result<()> {
        self.change_run(key.place, |run| {
            held(run, key)?;
            let (job_run, task_run) = (run.run.clone(), run.clone());
            let also = move |transaction| {
                let transaction = match moves_bookmark {
                    true => {
                        let read = &success.bookmarks;
                        self.with_bookmarks(transaction, key.place, &job_run, read)?
                    }
                    false => transaction,
                };
                let transaction =
                    self.with_learned(transaction, &task_run, success.learned.as_deref())?;
                match &success.also {
                    Some(also) => also(transaction).map_err(Error::invalid),
                    None => Ok(transaction),
                }
            };
            let edit = move |run: &mut StoredRun| tell(run, &success.metrics);
            Ok(Change {
                also: Some(Box::new(also)),
                ..Change::to(RunState::Succeeded).and(edit)
            })
        })
        .map(drop)
    }

    /// The run has failed, and is tried again if its retries allow; one that was asked to stop is stopped.
    pub(crate) fn fail(&self, key: RunKey, problem: &Problem, metrics: &RunMetrics) -> Result<()> {
        self.end_held(key, metrics, |run| failure(run, problem))
    }

    /// The run took too long; one that was asked to stop is stopped.
    pub(crate) fn time_out(
        &self,
        key: RunKey,
        problem: &Problem,
        metrics: &RunMetrics,
    ) -> Result<()> {
        self.end_held(key, metrics, |run| match run.run.job_run_state {
            RunState::Stopping => Change::to(RunState::Stopped),
            _ => Change::to(RunState::Timeout).because(problem.clone()),
        })
    }

    /// Ends a run whose lease has ended; with `all`, whenever it ends: nobody else can hold one.
    pub(crate) fn take_from_holder(
        &self,
        place: Place,
        all: bool,
        problem: &Problem,
    ) -> Result<bool> {
        let now = self.now();
        let taken = self.change_run(place, |run| {
            let is_over = run.lease.as_ref().is_none_or(|lease| lease.until <= now);
            match run.run.job_run_state {
                state if state.phase() != Phase::Active || !(all || is_over) => Err(lost(run)),
                _ => Ok(failure(run, problem)),
            }
        });
        match taken {
            Ok(_) => Ok(true),
            Err(Error::Lost { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A run that waited too long.
    pub(crate) fn expire(&self, place: Place, problem: &Problem) -> Result<()> {
        let expired = self.change_run(place, |run| match run.run.job_run_state {
            RunState::Waiting => Ok(Change::to(RunState::Expired).because(problem.clone())),
            _ => Err(lost(run)),
        });
        match expired {
            Ok(_) | Err(Error::Lost { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn end_held<'a>(
        &self,
        key: RunKey,
        metrics: &'a RunMetrics,
        change: impl Fn(&StoredRun) -> Change<'a>,
    ) -> Result<()> {
        let ended = self.change_run(key.place, |run| {
            held(run, key)?;
            Ok(change(run).and(move |run: &mut StoredRun| tell(run, metrics)))
        });
        ended.map(drop)
    }

    /// The run, if it is still held under this token.
    pub(crate) fn held_run(&self, key: RunKey) -> Result<StoredRun> {
        let run = self.read::<StoredRun>(Tree::Run, &stored::run(key.place))?;
        let run = run.map(|run| run.value);
        let run = run.ok_or_else(|| Error::Lost {
            run: key.place.number.to_string(),
        })?;
        held(&run, key)?;
        Ok(run)
    }
}

/// Attempts beyond the retries of a job, of a run that was cut off while it made its results visible.
const REPEATS: u32 = 3;

/// Whether another attempt follows one that ends so.
fn is_tried_again(run: &StoredRun, change: &Change<'_>) -> bool {
    let repeats = if run.publishing { REPEATS } else { 0 };
    change.retry && run.run.attempt < run.max_retries.saturating_add(repeats)
}

/// What becomes of a run that cannot go on. Results that were being made visible must be completed, even if nobody wants
/// them any more.
fn failure<'a>(run: &StoredRun, problem: &Problem) -> Change<'a> {
    match run.run.job_run_state {
        RunState::Stopping if !run.publishing => Change::to(RunState::Stopped),
        _ => Change {
            retry: true,
            ..Change::to(RunState::Failed).because(problem.clone())
        },
    }
}

/// Writes down how far a run is; what is not known does not change what is.
fn tell(run: &mut StoredRun, metrics: &RunMetrics) {
    if !metrics.is_empty() {
        run.run.state_detail = Some(metrics.line());
        run.metrics = metrics.clone();
    }
}

/// What the workers of a run are together.
pub(crate) fn capacity_of(run: &JobRun) -> Capacity {
    Capacity::of(run.worker_type.as_deref(), run.number_of_workers)
}

/// Whether the run is under way under this token.
fn held(run: &StoredRun, key: RunKey) -> Result<()> {
    if run.fence == key.fence && run.run.job_run_state.phase() == Phase::Active {
        return Ok(());
    }
    Err(lost(run))
}

fn lost(run: &StoredRun) -> Error {
    Error::Lost {
        run: run.run.id.clone(),
    }
}

/// 0 when the clock was set back.
pub(crate) const fn millis_between(from: Timestamp, until: Timestamp) -> u64 {
    until.unix_millis().saturating_sub(from.unix_millis())
}
