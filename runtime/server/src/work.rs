//! [`Workers`]: who does what the server itself does not, and the thread that gives them runs of jobs.
//!
//! The server parses no data of tenants. What jobs may run, what runs them and what finds out statistics is handed in by
//! whoever starts it; one that is started without answers everything about jobs but accepts none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use tenon_jobs::{JobDefinition, Jobs, Planner, Runner, Scheduler, SchedulerConfig};
use tenon_store::Tenant;

use crate::analyst::Analyst;
use crate::identity::Identity;

/// Who does what the server does not. The default is nobody.
#[derive(Clone, Default)]
pub struct Workers {
    /// Finds out statistics.
    pub analyst: Option<Arc<dyn Analyst>>,
    /// Runs jobs.
    pub jobs: Option<JobWorkers>,
}

/// What jobs need.
#[derive(Clone)]
pub struct JobWorkers {
    /// Says which graphs can run.
    pub planner: Arc<dyn Planner>,
    /// Runs them.
    pub runner: Arc<dyn Runner>,
    /// How many at once, and how long things may take.
    pub config: SchedulerConfig,
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let jobs = self.jobs.as_ref().map(|jobs| &jobs.config);
        f.debug_struct("Workers")
            .field("analyst", &self.analyst.is_some())
            .field("jobs", &jobs)
            .finish()
    }
}

/// Accepts nothing.
struct Nobody;

impl Planner for Nobody {
    fn check(&self, _: Tenant, _: &str, _: &JobDefinition) -> Result<(), String> {
        Err("this server was started without anything that runs jobs".to_owned())
    }
}

/// The jobs of all tenants, and what is to run them.
pub(crate) struct Work {
    pub(crate) jobs: Jobs,
    workers: Option<JobWorkers>,
}

impl Work {
    pub(crate) fn new(identity: &Identity, workers: Option<JobWorkers>) -> Self {
        let planner = workers.as_ref().map(|jobs| Arc::clone(&jobs.planner));
        let planner = planner.unwrap_or_else(|| Arc::new(Nobody));
        Self {
            jobs: identity.jobs(planner),
            workers,
        }
    }

    /// Takes up what an earlier server left under way, then gives runs to workers until [`Working::stop`].
    pub(crate) fn begin(self) -> Option<Working> {
        let workers = self.workers?;
        let (stop, jobs) = (Arc::new(AtomicBool::new(false)), self.jobs);
        let mut scheduler = Scheduler::new(&jobs, workers.runner, workers.config);
        let told = Arc::clone(&stop);
        let work = move || {
            match scheduler.recover() {
                Ok(0) => {}
                Ok(runs) => tracing::warn!(
                    runs,
                    "runs of jobs that were under way when the server ended"
                ),
                // Their leases end by themselves.
                Err(error) => tracing::error!(%error, "runs of jobs cannot be taken up"),
            }
            scheduler.run(&told);
        };
        match thread::Builder::new()
            .name("scheduler".to_owned())
            .spawn(work)
        {
            Ok(thread) => Some(Working { stop, jobs, thread }),
            Err(error) => {
                tracing::error!(%error, "no runs of jobs can be started");
                None
            }
        }
    }
}

/// The scheduler's thread.
pub(crate) struct Working {
    stop: Arc<AtomicBool>,
    jobs: Jobs,
    thread: JoinHandle<()>,
}

impl Working {
    /// Ends what is under way: runs whose retries allow are queued again. Blocks until that is done.
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Release);
        self.jobs.wake();
        if self.thread.join().is_err() {
            tracing::error!("the scheduler of jobs panicked");
        }
    }
}
