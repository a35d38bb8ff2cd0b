//! [`Scheduler`]: claims waiting runs, gives them to the runner, watches them, and takes up what others left.
//!
//! ```text
//! tick: reports of the runner ── runs under way: stops, deadlines, leases ── chores ── free slots: claim
//! ```
//!
//! All of it is in [`Scheduler::tick`], which waits for nothing but the store and takes the time from the clock, so
//! that tests play a day in milliseconds. [`Scheduler::run`] calls it when the bell rings or something is due.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tenon_store::{Tenant, Tree};

use crate::attempt::{Claim, Claimed, capacity_of, millis_between};
use crate::bookmark::NodeBookmark;
use crate::error::{Error, Result};
use crate::job::{Arguments, BOOKMARK_RANGE, BookmarkUse, Job, bookmark_use};
use crate::jobs::Jobs;
use crate::log::LogTally;
use crate::metrics::RunMetrics;
use crate::port::{
    Mailbox, Outcome, Report, Reporter, RunKey, RunRequest, Runner, Running, Success,
};
use crate::problem::Problem;
use crate::run::RunState;
use crate::stored::{self, Lease, Started, StoredRun};
use crate::time::Timestamp;

/// How often leases of others, old queue entries and old client tokens are looked at.
const CHORES_EVERY: Duration = Duration::from_secs(60);

/// How long a client token starts nothing else.
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long results may take to be made visible.
const PUBLISH_LIMIT: Duration = Duration::from_secs(10 * 60);

/// How long to wait after the store refused.
const AFTER_FAULT: Duration = Duration::from_secs(1);

/// What to try about a run that was cut off.
const AGAIN: &str = "run the job again; with MaxRetries that happens by itself";

/// Characters of a run's id that name what it writes: enough to differ, and names of files stay short.
const OUTPUT_CHARS: usize = 32;

/// Settings of a [`Scheduler`].
#[derive(Debug, Clone)]
pub struct SchedulerConfig {
    /// Runs under way at once, of all tenants. Default: the machine's cores, at least 2.
    pub slots: usize,
    /// How long a run is believed to be worked on without word from its holder; it is renewed after a third of that.
    /// Default 30 s.
    pub lease: Duration,
    /// How long a run that was asked to stop may take before it is ended. Default 800 ms.
    pub stop_grace: Duration,
    /// How long a run may wait. Default 7 days.
    pub queue_limit: Duration,
    /// What this scheduler calls itself in leases.
    pub holder: String,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Self {
            slots: cores.max(2),
            lease: Duration::from_secs(30),
            stop_grace: Duration::from_millis(800),
            queue_limit: Duration::from_secs(7 * 24 * 60 * 60),
            holder: "scheduler".to_owned(),
        }
    }
}

/// Claims runs and sees them through.
pub struct Scheduler {
    jobs: Jobs,
    runner: Arc<dyn Runner>,
    config: SchedulerConfig,
    mailbox: Arc<Mailbox>,
    active: BTreeMap<RunKey, Active>,
    /// Tenants that may have a run that can begin.
    candidates: BTreeSet<Tenant>,
    /// When each tenant was last given a slot, counted in slots.
    served: BTreeMap<Tenant, u64>,
    slots_given: u64,
    chores_due: Timestamp,
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// A run that this scheduler holds.
struct Active {
    running: Box<dyn Running>,
    lease_until: Timestamp,
    deadline: Timestamp,
    timeout_minutes: i32,
    cancelled_at: Option<Timestamp>,
    publishing: bool,
    moves_bookmark: bool,
    metrics: RunMetrics,
    log: LogTally,
}

impl Scheduler {
    /// A scheduler of all tenants' jobs.
    #[must_use]
    pub fn new(jobs: &Jobs, runner: Arc<dyn Runner>, config: SchedulerConfig) -> Self {
        Self {
            mailbox: Arc::new(Mailbox {
                reports: parking_lot::Mutex::default(),
                bell: Arc::clone(&jobs.bell),
            }),
            jobs: jobs.clone(),
            runner,
            config,
            active: BTreeMap::new(),
            candidates: BTreeSet::new(),
            served: BTreeMap::new(),
            slots_given: 0,
            chores_due: Timestamp::default(),
        }
    }

    /// Ends every run that is under way by the records, and queues a new attempt of it where its retries allow. For
    /// the start of a process that has the store alone: whoever held those runs is gone.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn recover(&mut self) -> Result<usize> {
        self.take_up(
            true,
            &Problem::new("the server ended while the run was under way", AGAIN),
        )
    }

    /// Ticks until `stop` is set, then gives up what is under way. Call [`Jobs::wake`] after setting it.
    pub fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Acquire) {
            let wait = self.tick().unwrap_or_else(|error| {
                tracing::error!(%error, "runs of jobs cannot be scheduled");
                AFTER_FAULT
            });
            self.jobs.bell.wait(wait);
        }
        self.give_up(&Problem::new(
            "the server was stopped while the run was under way",
            AGAIN,
        ));
    }

    /// Does what is to be done now, and says after how long it wants to be called again without a bell.
    ///
    /// # Errors
    /// [`Error::Store`]; nothing is lost, call it again.
    pub fn tick(&mut self) -> Result<Duration> {
        self.read_reports()?;
        self.watch()?;
        self.chores()?;
        self.fill_slots()?;
        Ok(self.until_due())
    }

    fn now(&self) -> Timestamp {
        self.jobs.clock.now().into()
    }

    fn read_reports(&mut self) -> Result<()> {
        let mut reports = std::mem::take(&mut *self.mailbox.reports.lock()).into_iter();
        while let Some((key, report)) = reports.next() {
            if let Err(error) = self.hear(key, report) {
                // What comes after it is heard next time; of this run the lease tells.
                let mut waiting: Vec<_> = reports.collect();
                let mut mailbox = self.mailbox.reports.lock();
                waiting.append(&mut mailbox);
                *mailbox = waiting;
                return Err(error);
            }
        }
        Ok(())
    }

    fn hear(&mut self, key: RunKey, report: Report) -> Result<()> {
        let jobs = self.jobs.tenant(key.tenant);
        let now = self.now();
        let Some(active) = self.active.get_mut(&key) else {
            return Ok(());
        };
        match report {
            Report::Started => {
                let begun = jobs.begin(key);
                active.deadline = after(now, minutes(active.timeout_minutes));
                self.drop_if_lost(key, begun)?;
            }
            Report::Progress(metrics) => {
                self.jobs.live.set(key, &metrics);
                active.metrics = metrics;
            }
            Report::Log(lines) => {
                let kept = jobs.keep_log(key, lines, &mut active.log);
                self.drop_if_lost(key, kept)?;
            }
            Report::Ready => {
                let may = jobs.may_publish(key);
                match may {
                    Ok(true) => {
                        active.publishing = true;
                        active.deadline = after(now, PUBLISH_LIMIT);
                        active.running.publish();
                    }
                    Ok(false) => active.running.cancel(),
                    Err(error) => self.drop_if_lost::<()>(key, Err(error))?,
                }
            }
            Report::Ended(outcome) => self.end(key, outcome)?,
        }
        Ok(())
    }

    fn end(&mut self, key: RunKey, outcome: Outcome) -> Result<()> {
        let jobs = self.jobs.tenant(key.tenant);
        let Some(active) = self.active.get(&key) else {
            return Ok(());
        };
        let metrics = &active.metrics;
        let ended = match &outcome {
            Outcome::Succeeded(success) => succeed(&jobs, key, success, active.moves_bookmark),
            Outcome::Failed(problem) => jobs.fail(key, problem, metrics),
            Outcome::Cancelled => {
                let problem = Problem::new("the run was cancelled by its worker", AGAIN);
                jobs.fail(key, &problem, metrics)
            }
        };
        let ended = self.drop_if_lost(key, ended);
        self.forget(key);
        ended
    }

    /// Runs under way: those that are to stop, are out of time, or need their lease renewed.
    fn watch(&mut self) -> Result<()> {
        let keys: Vec<_> = self.active.keys().copied().collect();
        for key in keys {
            self.watch_one(key)?;
        }
        Ok(())
    }

    fn watch_one(&mut self, key: RunKey) -> Result<()> {
        let jobs = self.jobs.tenant(key.tenant);
        let now = self.now();
        let run = match jobs.held_run(key) {
            Ok(run) => run,
            Err(error) => return self.drop_if_lost::<()>(key, Err(error)),
        };
        let lease = self.config.lease;
        let Some(active) = self.active.get_mut(&key) else {
            return Ok(());
        };
        if run.run.job_run_state == RunState::Stopping && !active.publishing {
            let since = *active.cancelled_at.get_or_insert_with(|| {
                active.running.cancel();
                now
            });
            if after(since, self.config.stop_grace) <= now {
                return self.end(key, Outcome::Cancelled);
            }
        }
        if active.deadline <= now {
            return self.out_of_time(key);
        }
        if millis_between(now, active.lease_until) * 3 <= millis(lease) * 2 {
            let until = after(now, lease);
            active.lease_until = until;
            let renewed = jobs.renew(key, until, &active.metrics);
            return self.drop_if_lost(key, renewed);
        }
        Ok(())
    }

    fn out_of_time(&mut self, key: RunKey) -> Result<()> {
        let jobs = self.jobs.tenant(key.tenant);
        let Some(active) = self.active.get(&key) else {
            return Ok(());
        };
        let ended = if active.publishing {
            let limit = PUBLISH_LIMIT.as_secs() / 60;
            let problem = Problem::new(
                format!("the run took longer than {limit} minutes"),
                "look whether the disk that the results lie on is slow or full, and run the job again",
            );
            jobs.fail(key, &problem, &active.metrics)
        } else {
            let limit = active.timeout_minutes;
            let problem = Problem::new(
                format!("the run took longer than its Timeout of {limit} minutes"),
                "raise Timeout, or ask for more workers; `tenon job show` says which node took the time",
            );
            jobs.time_out(key, &problem, &active.metrics)
        };
        let ended = self.drop_if_lost(key, ended);
        self.forget(key);
        ended
    }

    /// What is looked at from time to time, and at the first tick.
    fn chores(&mut self) -> Result<()> {
        let now = self.now();
        if now < self.chores_due {
            return Ok(());
        }
        self.take_up(
            false,
            &Problem::new("the worker of the run was not heard of any more", AGAIN),
        )?;
        for tenant in self.jobs.tenants()? {
            self.expire_waiting(tenant)?;
            self.forget_tokens(tenant)?;
            self.jobs.tenant(tenant).remove_all_remains()?;
            self.candidates.insert(tenant);
        }
        self.chores_due = after(now, CHORES_EVERY);
        Ok(())
    }

    /// Ends runs that nobody works on; returns how many.
    fn take_up(&mut self, all: bool, problem: &Problem) -> Result<usize> {
        let mut taken = 0;
        for tenant in self.jobs.tenants()? {
            let jobs = self.jobs.tenant(tenant);
            let mut next = None;
            loop {
                let (keys, more) = jobs.keys(Tree::Due, &stored::all_active(), next.as_ref())?;
                for place in keys.iter().filter_map(stored::of_active) {
                    taken += usize::from(jobs.take_from_holder(place, all, problem)?);
                }
                next = more;
                if next.is_none() {
                    break;
                }
            }
            self.candidates.insert(tenant);
        }
        Ok(taken)
    }

    fn expire_waiting(&self, tenant: Tenant) -> Result<()> {
        let jobs = self.jobs.tenant(tenant);
        let (now, limit) = (self.now(), self.config.queue_limit);
        let hours = limit.as_secs() / 3600;
        let problem = Problem::new(
            format!("the run waited longer than {hours} hours for its turn"),
            "let more runs be under way: MaxConcurrentRuns of the job, --runs of the server",
        );
        let mut next = None;
        loop {
            let (keys, more) = jobs.keys(Tree::Due, &stored::queue(), next.as_ref())?;
            let waiting = keys.iter().filter_map(stored::of_waiting);
            for (place, since) in waiting {
                if after(since, limit) <= now {
                    jobs.expire(place, &problem)?;
                }
            }
            next = more;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    fn forget_tokens(&self, tenant: Tenant) -> Result<()> {
        let jobs = self.jobs.tenant(tenant);
        let now = self.now();
        let mut next = None;
        loop {
            let (found, more) = jobs.list::<Started>(
                Tree::Idempotency,
                &stored::all_tokens(),
                next.as_ref(),
                1000,
            )?;
            let old = found
                .into_iter()
                .filter(|(_, started)| after(started.at, TOKEN_LIFE) <= now);
            let transaction = old.fold(jobs.transaction(), |transaction, (key, _)| {
                transaction.delete(Tree::Idempotency, key)
            });
            if !transaction.is_empty() {
                jobs.commit(transaction)?;
            }
            next = more;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    /// Gives free slots away: to the tenant with the fewest runs under way, among equals to whom was served longest
    /// ago.
    fn fill_slots(&mut self) -> Result<()> {
        self.candidates.append(&mut self.jobs.bell.take_tenants());
        while self.active.len() < self.config.slots {
            let mut under_way: BTreeMap<Tenant, usize> = BTreeMap::new();
            for key in self.active.keys() {
                *under_way.entry(key.tenant).or_default() += 1;
            }
            let turn = |tenant: &&Tenant| {
                let running = under_way.get(*tenant).copied().unwrap_or(0);
                (running, self.served.get(*tenant).copied().unwrap_or(0))
            };
            let Some(tenant) = self.candidates.iter().min_by_key(turn).copied() else {
                break;
            };
            match self.claim_for(tenant)? {
                Some(claimed) => {
                    self.slots_given += 1;
                    self.served.insert(tenant, self.slots_given);
                    self.start(tenant, *claimed)?;
                }
                // Until it rings for the tenant again.
                None => {
                    self.candidates.remove(&tenant);
                }
            }
        }
        Ok(())
    }

    /// The tenant's first waiting run whose job has room.
    fn claim_for(&self, tenant: Tenant) -> Result<Option<Box<Claimed>>> {
        let jobs = self.jobs.tenant(tenant);
        let mut full = HashSet::new();
        let mut next = None;
        loop {
            let (keys, more) = jobs.keys(Tree::Due, &stored::queue(), next.as_ref())?;
            for (place, _) in keys.iter().filter_map(stored::of_waiting) {
                if full.contains(&place.job) {
                    continue;
                }
                let lease = Lease {
                    holder: self.config.holder.clone(),
                    until: after(self.now(), self.config.lease),
                };
                match jobs.claim(place, &lease)? {
                    Claim::Claimed(claimed) => return Ok(Some(claimed)),
                    Claim::Full => {
                        full.insert(place.job);
                    }
                    Claim::Gone => {}
                }
            }
            next = more;
            if next.is_none() {
                return Ok(None);
            }
        }
    }

    fn start(&mut self, tenant: Tenant, claimed: Claimed) -> Result<()> {
        let Claimed {
            run,
            mut job,
            arguments,
        } = claimed;
        let key = RunKey {
            tenant,
            place: run.place,
            fence: run.fence,
        };
        // What is none was refused when the run was started; the job may have changed since.
        let bookmark_use = bookmark_use(&arguments).unwrap_or(BookmarkUse::None);
        let bookmarks = match bookmark_use {
            BookmarkUse::None => None,
            _ => match self.to_read(tenant, &run, &job, &arguments) {
                Ok(bookmarks) => Some(bookmarks),
                Err(Error::Store(error)) => return Err(Error::Store(error)),
                // What the arguments name is not known: that is the run's failure.
                Err(error) => {
                    let problem =
                        Problem::new(error.to_string(), "name other runs, or leave the range out");
                    return self
                        .jobs
                        .tenant(tenant)
                        .fail(key, &problem, &RunMetrics::default());
                }
            },
        };
        let nodes = job.definition.code_gen_configuration_nodes.take();
        let nodes = nodes.unwrap_or_default();
        let task = run.task.as_ref().map(|task| (job.name.as_str(), task));
        let prepared = match self.jobs.tenant(tenant).prepared(nodes, task) {
            Ok(prepared) => prepared,
            Err(Error::Store(error)) => return Err(Error::Store(error)),
            // A transform that was there when the run was started is not, or not ready any more.
            Err(error) => {
                let hint = "mend the ML transform, or name another one in transform_id of the node";
                let problem = Problem::new(error.to_string(), hint);
                return self
                    .jobs
                    .tenant(tenant)
                    .fail(key, &problem, &RunMetrics::default());
            }
        };
        let request = RunRequest {
            tenant,
            job: job.name,
            output: output_of(&run.run.id),
            capacity: capacity_of(&run.run),
            run: run.run.id,
            attempt: run.run.attempt,
            connections: job.definition.connection_names(),
            nodes: prepared.nodes,
            given: prepared.given,
            work: prepared.work,
            arguments,
            bookmarks,
        };
        let reporter = Reporter {
            mailbox: Arc::clone(&self.mailbox),
            key,
        };
        let now = self.now();
        let active = Active {
            running: self.runner.start(request, reporter),
            lease_until: run.lease.map_or(now, |lease| lease.until),
            deadline: after(now, minutes(run.run.timeout)),
            timeout_minutes: run.run.timeout,
            cancelled_at: None,
            publishing: false,
            moves_bookmark: bookmark_use == BookmarkUse::Moves,
            metrics: RunMetrics::default(),
            log: LogTally::default(),
        };
        self.active.insert(key, active);
        Ok(())
    }

    /// What each source has read, or is to read when the arguments name a range of runs.
    fn to_read(
        &self,
        tenant: Tenant,
        run: &StoredRun,
        job: &Job,
        arguments: &Arguments,
    ) -> Result<BTreeMap<String, NodeBookmark>> {
        let jobs = self.jobs.tenant(tenant);
        let [from, to] = BOOKMARK_RANGE.map(|name| arguments.get(name).map(String::as_str));
        if from.is_none() && to.is_none() {
            return jobs.bookmarks(run.place.job);
        }
        let nodes = job.definition.nodes().cloned().unwrap_or_default();
        jobs.read_between((&job.name, run.place.job), &nodes, from, to)
    }

    /// Ends what is under way, as [`Scheduler::recover`] would after a kill.
    fn give_up(&mut self, problem: &Problem) {
        for (key, active) in std::mem::take(&mut self.active) {
            drop(active.running);
            let jobs = self.jobs.tenant(key.tenant);
            if let Err(error) = jobs.fail(key, problem, &active.metrics) {
                tracing::warn!(%error, "a run is taken up at the next start");
            }
        }
    }

    /// A run that is somebody else's by now is dropped, and with it whoever works on it here.
    fn drop_if_lost<T>(&mut self, key: RunKey, outcome: Result<T>) -> Result<()> {
        match outcome {
            Ok(_) => Ok(()),
            Err(Error::Lost { .. }) => {
                self.forget(key);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn forget(&mut self, key: RunKey) {
        self.active.remove(&key);
        self.jobs.live.remove(key);
        self.candidates.insert(key.tenant);
    }

    /// Until the next deadline, lease or chore.
    fn until_due(&self) -> Duration {
        let now = self.now();
        let third = millis(self.config.lease) / 3;
        let due = self.active.values().flat_map(|active| {
            let renewal = millis_between(now, active.lease_until).saturating_sub(2 * third);
            let grace = active
                .cancelled_at
                .map(|at| millis_between(now, after(at, self.config.stop_grace)));
            [
                Some(renewal),
                Some(millis_between(now, active.deadline)),
                grace,
            ]
        });
        let chores = millis_between(now, self.chores_due);
        let next = due.flatten().fold(chores, u64::min);
        Duration::from_millis(next.max(1))
    }
}

/// Records a success. What cannot be registered makes it a failure.
fn succeed(
    jobs: &crate::jobs::TenantJobs,
    key: RunKey,
    success: &Success,
    moves_bookmark: bool,
) -> Result<()> {
    match jobs.succeed(key, success, moves_bookmark) {
        Err(Error::InvalidInput { reason }) => {
            let problem = match success.learned {
                None => Problem::new(
                    format!("the results cannot be registered: {reason}"),
                    "mend the table in the catalog, or give the target another one, and run the job again",
                ),
                Some(_) => Problem::new(
                    format!("what the task run found out cannot be kept: {reason}"),
                    "start it again, if need be with fewer labels, other ones, or all of them (ReplaceAllLabels)",
                ),
            };
            jobs.fail(key, &problem, &success.metrics)
        }
        outcome => outcome,
    }
}

/// What all attempts of a run write under.
fn output_of(run: &str) -> String {
    let first = run.split("_attempt_").next().unwrap_or(run);
    let digits = ["jr_", "tsk-"]
        .iter()
        .find_map(|prefix| first.strip_prefix(prefix));
    let digits = digits.unwrap_or(first);
    digits.chars().take(OUTPUT_CHARS).collect()
}

fn after(time: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_unix_millis(time.unix_millis().saturating_add(millis(by)))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn minutes(minutes: i32) -> Duration {
    Duration::from_secs(60 * u64::try_from(minutes).unwrap_or(1))
}
