//! [`Tasks`]: executes runs that find out statistics, a few at a time, and starts those that are due.
//!
//! ```text
//! request, schedule ── start ──▶ waiting ── work: one of an account at a time ──▶ Analyst ──▶ succeed, fail
//! request ── stop ──▶ the future is dropped
//! ```
//!
//! States are the catalog's (see `tenon_catalog::StatisticsRun`); here is only what this process is doing about them. So
//! whatever happens first, the end of a run, a stop, or the end of the process, is what the run says: what an earlier
//! process left under way has failed when this one takes over.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tenon_catalog::{
    Catalog, Clock, ColumnStatistics, DueStatistics, Error, ExecutionAttempt, StatisticsRun,
    StatisticsRunInput, Tenant, TenantCatalog, Timestamp,
};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{interval, sleep, timeout};

use crate::analyst::{Analysis, AnalysisError, Analyst};
use crate::fault::Fault;
use crate::identity::{Identity, IdentityError, lock, random};

/// How often schedules are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How often old runs are forgotten: every so many looks.
const LOOKS_BETWEEN_PRUNING: u32 = 60;

/// How long runs are remembered; of one table the catalog keeps a number besides.
const RETENTION: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Partitions of a table that is read, at most.
const MAX_PARTITIONS: usize = 10_000;

/// How long to wait before an end is written again that could not be.
const WRITE_AGAIN: Duration = Duration::from_secs(5);

/// How many runs that find out statistics there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskLimits {
    /// Executed at once. Default 2: each takes what memory and cores its analyst gives it.
    pub running: usize,
    /// Executed at once for one account. Default 1.
    pub running_per_account: usize,
    /// Of one account, waiting and executed. Default 50.
    pub under_way_per_account: usize,
    /// How long one may take. Default an hour.
    pub time: Duration,
}

impl Default for TaskLimits {
    fn default() -> Self {
        Self {
            running: 2,
            running_per_account: 1,
            under_way_per_account: 50,
            time: Duration::from_secs(60 * 60),
        }
    }
}

/// The runs of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tasks(Arc<Inner>);

struct Inner {
    identity: Identity,
    catalog: Catalog,
    clock: Arc<dyn Clock>,
    /// The account of a server without accounts.
    account: String,
    analyst: Option<Arc<dyn Analyst>>,
    limits: TaskLimits,
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Order>,
    running: HashMap<Id, (Order, AbortHandle)>,
}

/// A run that is to be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Order {
    tenant: Tenant,
    account: String,
    run: String,
}

impl Queue {
    /// The first that waits and may be executed.
    fn take(&mut self, limits: &TaskLimits) -> Option<Order> {
        if self.running.len() >= limits.running {
            return None;
        }
        let running_of = |order: &Order| {
            let orders = self.running.values().map(|(order, _)| order);
            orders.filter(|other| other.tenant == order.tenant).count()
        };
        let at = self
            .waiting
            .iter()
            .position(|order| running_of(order) < limits.running_per_account)?;
        self.waiting.remove(at)
    }

    fn cancel(&mut self, run: &str) {
        self.waiting.retain(|order| order.run != run);
        let running = self.running.values();
        for (_, handle) in running.filter(|(order, _)| order.run == run) {
            handle.abort();
        }
    }
}

impl Tasks {
    pub(crate) fn new(
        identity: Identity,
        account: String,
        analyst: Option<Arc<dyn Analyst>>,
        limits: TaskLimits,
    ) -> Self {
        Self(Arc::new(Inner {
            catalog: identity.catalog(),
            clock: Arc::clone(identity.clock()),
            identity,
            account,
            analyst,
            limits,
            queue: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// Fails what an earlier process left under way. Blocks; to be called before anything is started.
    pub(crate) fn take_over(&self) -> Result<(), IdentityError> {
        for (tenant, _) in self.0.identity.tenants(&self.0.account)? {
            let catalog = self.0.catalog.tenant(tenant);
            for run in catalog.statistics_runs_under_way()? {
                let reason = "the server was stopped before the run ended; start another";
                catalog.fail_statistics_run(&run, reason)?;
                tracing::warn!(run, "a run that finds out statistics was left under way");
            }
        }
        Ok(())
    }

    /// Makes a run and lets it wait for its turn. Blocks.
    pub(crate) fn start(
        &self,
        catalog: &TenantCatalog,
        account: &str,
        input: StatisticsRunInput,
    ) -> Result<StatisticsRun, Fault> {
        let table = catalog.get_table(&input.database_name, &input.table_name)?;
        let Some(analyst) = &self.0.analyst else {
            return Err(denied(
                "this server reads no data, so it cannot find out statistics",
            ));
        };
        analyst
            .admit(account, &table)
            .map_err(|error| denied(error.0))?;
        let random = random().map_err(|error| Fault::internal(&error.to_string()))?;
        let limit = self.0.limits.under_way_per_account;
        let run = match catalog.start_statistics_run(random, input, limit) {
            Err(Error::InvalidState { reason }) => {
                return Err(Fault::new("ColumnStatisticsTaskRunningException", reason));
            }
            run => run?,
        };
        lock(&self.0.queue).waiting.push_back(Order {
            tenant: catalog.tenant(),
            account: account.to_owned(),
            run: run.column_statistics_task_run_id.clone(),
        });
        self.0.changed.notify_one();
        Ok(run)
    }

    /// Ends the run of a table that is under way: when this returns it has stopped. Blocks.
    pub(crate) fn stop(
        &self,
        catalog: &TenantCatalog,
        database: &str,
        table: &str,
    ) -> Result<(), Fault> {
        match catalog.stop_statistics_run(database, table) {
            Err(Error::InvalidState { reason }) => Err(Fault::new(
                "ColumnStatisticsTaskNotRunningException",
                reason,
            )),
            run => {
                lock(&self.0.queue).cancel(&run?.column_statistics_task_run_id);
                Ok(())
            }
        }
    }

    /// Executes runs. Dropping the future ends them; they are [taken over](Self::take_over) later.
    pub(crate) async fn work(self) {
        let mut running = JoinSet::new();
        loop {
            self.spawn_waiting(&mut running);
            tokio::select! {
                () = self.0.changed.notified() => {}
                Some(ended) = running.join_next_with_id() => {
                    let id = match &ended {
                        Ok((id, ())) => *id,
                        Err(failed) => failed.id(),
                    };
                    lock(&self.0.queue).running.remove(&id);
                }
            }
        }
    }

    fn spawn_waiting(&self, running: &mut JoinSet<()>) {
        // Held all along, so that whoever cancels finds a run in one of both places.
        let mut queue = lock(&self.0.queue);
        while let Some(order) = queue.take(&self.0.limits) {
            let handle = running.spawn(self.clone().execute(order.clone()));
            queue.running.insert(handle.id(), (order, handle));
        }
    }

    async fn execute(self, order: Order) {
        let begun = self.blocking(&order, Self::begin).await;
        let outcome = match begun {
            // It ended while it waited.
            Ok(None) => return,
            Ok(Some(analysis)) => self.analyze(analysis).await,
            Err(error) => Err(error),
        };
        let outcome = Arc::new(outcome);
        loop {
            let outcome = Arc::clone(&outcome);
            let ended = self.blocking(&order, move |tasks, order| tasks.end(order, &outcome));
            match ended.await {
                Ok(()) => return,
                Err(error) => {
                    let run = &order.run;
                    tracing::error!(run, %error, "how a run ended cannot be written; trying again");
                    sleep(WRITE_AGAIN).await;
                }
            }
        }
    }

    /// Does what asks the store, on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        order: &Order,
        work: impl FnOnce(&Self, &Order) -> Result<T, AnalysisError> + Send + 'static,
    ) -> Result<T, AnalysisError> {
        let (tasks, order) = (self.clone(), order.clone());
        let work = tokio::task::spawn_blocking(move || work(&tasks, &order));
        work.await.unwrap_or_else(|failed| {
            tracing::error!(%failed, "a step of a run failed");
            Err(unexpected())
        })
    }

    /// What is to be found out; `None` when nobody wants it any more.
    fn begin(&self, order: &Order) -> Result<Option<Analysis>, AnalysisError> {
        let catalog = self.0.catalog.tenant(order.tenant);
        let Some(run) = catalog.begin_statistics_run(&order.run).map_err(sentence)? else {
            return Ok(None);
        };
        let found = in_catalog(catalog, run.catalog_name.as_deref()).and_then(|catalog| {
            let table = catalog.get_table(&run.input.database_name, &run.input.table_name)?;
            let partitions = catalog.partitions_of(&table, MAX_PARTITIONS)?;
            Ok((table, partitions))
        });
        let (table, partitions) = found.map_err(sentence)?;
        if let Some(analyst) = &self.0.analyst {
            analyst.admit(&order.account, &table)?;
        }
        Ok(Some(Analysis {
            account: order.account.clone(),
            table,
            partitions,
            columns: run.input.column_name_list,
            sample_percent: run.input.sample_size.unwrap_or(100.0),
            analyzed_time: self.now(),
        }))
    }

    async fn analyze(&self, analysis: Analysis) -> Result<Vec<ColumnStatistics>, AnalysisError> {
        let Some(analyst) = self.0.analyst.clone() else {
            return Err(unexpected());
        };
        // A task of its own, so that a panic is an answer; dropping the set ends it.
        let mut task = JoinSet::new();
        task.spawn(async move { analyst.analyze(analysis).await });
        let limit = self.0.limits.time;
        match timeout(limit, task.join_next()).await {
            Ok(Some(Ok(outcome))) => outcome,
            Ok(_) => Err(unexpected()),
            Err(_) => Err(AnalysisError(format!(
                "it took longer than {} seconds, which is the limit",
                limit.as_secs()
            ))),
        }
    }

    fn end(
        &self,
        order: &Order,
        outcome: &Result<Vec<ColumnStatistics>, AnalysisError>,
    ) -> Result<(), AnalysisError> {
        let catalog = self.0.catalog.tenant(order.tenant);
        let ended = match outcome {
            Ok(statistics) => catalog.succeed_statistics_run(&order.run, statistics),
            Err(error) => catalog.fail_statistics_run(&order.run, &error.0),
        };
        match ended {
            Ok(run) => {
                let (run, status) = (&order.run, run.status);
                tracing::info!(run, ?status, "a run that finds out statistics ended");
                Ok(())
            }
            // The account is gone, and the run with it.
            Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(AnalysisError(error.to_string())),
        }
    }

    /// Starts what is due and forgets what is old, until the future is dropped.
    pub(crate) async fn keep_time(self) {
        let mut ticks = interval(LOOK_EVERY);
        let mut looks = 0u32;
        loop {
            ticks.tick().await;
            let prunes = looks.is_multiple_of(LOOKS_BETWEEN_PRUNING);
            looks = looks.wrapping_add(1);
            let tasks = self.clone();
            let look = tokio::task::spawn_blocking(move || {
                tasks.start_due()?;
                if prunes { tasks.prune() } else { Ok(()) }
            });
            if let Ok(Err(error)) = look.await {
                tracing::error!(%error, "schedules of statistics cannot be looked at");
            }
        }
    }

    /// Starts every run whose time has come. Blocks.
    pub(crate) fn start_due(&self) -> Result<(), IdentityError> {
        for (tenant, account) in self.0.identity.tenants(&self.0.account)? {
            let catalog = self.0.catalog.tenant(tenant);
            for due in catalog.take_due_statistics()? {
                self.start_one_due(&catalog, &account, due)?;
            }
        }
        Ok(())
    }

    fn start_one_due(
        &self,
        catalog: &TenantCatalog,
        account: &str,
        due: DueStatistics,
    ) -> Result<(), IdentityError> {
        let catalog = match in_catalog(catalog.clone(), due.catalog_name.as_deref()) {
            Err(Error::NotFound { .. }) => return Ok(()),
            catalog => catalog?,
        };
        let (database, table) = (
            due.input.database_name.clone(),
            due.input.table_name.clone(),
        );
        let started = self.start(&catalog, account, due.input);
        let attempt = ExecutionAttempt {
            status: if started.is_ok() { "STARTED" } else { "FAILED" }.to_owned(),
            execution_timestamp: self.now(),
            error_message: started.as_ref().err().map(|fault| fault.message.clone()),
            column_statistics_task_run_id: started
                .ok()
                .map(|run| run.column_statistics_task_run_id),
        };
        Ok(catalog.note_statistics_attempt(&database, &table, &attempt)?)
    }

    fn prune(&self) -> Result<(), IdentityError> {
        let oldest = self.0.clock.now().checked_sub(RETENTION);
        let Some(oldest) = oldest.map(Timestamp::from) else {
            return Ok(());
        };
        for (tenant, _) in self.0.identity.tenants(&self.0.account)? {
            self.0
                .catalog
                .tenant(tenant)
                .prune_statistics_runs(oldest)?;
        }
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now().into()
    }
}

fn in_catalog(catalog: TenantCatalog, name: Option<&str>) -> Result<TenantCatalog, Error> {
    match name {
        None => Ok(catalog),
        Some(name) => catalog.nested(name),
    }
}

fn denied(reason: impl Into<String>) -> Fault {
    Fault::new("AccessDeniedException", reason)
}

/// What the catalog refused, as callers may read it.
fn sentence(error: Error) -> AnalysisError {
    AnalysisError(Fault::from(error).message)
}

fn unexpected() -> AnalysisError {
    AnalysisError("it ended unexpectedly; the server's log says why".to_owned())
}

#[cfg(test)]
mod tests;
