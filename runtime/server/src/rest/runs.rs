//! `/v1/accounts/{account}/jobs`: jobs and their runs, with what each node of a run did, which Glue has no word for.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenon_jobs::{Jobs, Prices, StartRun, TenantJobs, WholeRun};
use utoipa::ToSchema;

use super::asked::{Asked, Caller, fault, perform};
use super::problem::Problem;
use crate::audit::{self, AuditEntry, AuditLog};
use crate::fault::Fault;
use crate::identity::{Identity, IdentityError};
use crate::model::Model;

/// What these paths ask.
#[derive(Clone)]
pub(crate) struct Runs {
    pub(crate) identity: Identity,
    pub(crate) jobs: Jobs,
    /// The account of a server without accounts.
    pub(crate) open_account: String,
    /// The rules of Glue.
    pub(crate) model: Arc<Model>,
    /// What runs cost.
    pub(crate) prices: Prices,
}

/// Names of jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobNames {
    /// In their order.
    jobs: Vec<String>,
    /// Pass it as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// One attempt of a run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Run {
    id: String,
    job: String,
    /// 0 for the first.
    attempt: u32,
    /// The attempt before, or the run that this one repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
    /// As in Glue: `WAITING`, `STARTING`, `RUNNING`, `STOPPING`, `STOPPED`, `SUCCEEDED`, `FAILED`, `TIMEOUT`, `ERROR`,
    /// `EXPIRED`.
    #[schema(example = "SUCCEEDED")]
    state: String,
    /// When it was accepted, in milliseconds since 1970.
    started_unix_millis: u64,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_unix_millis: Option<u64>,
    /// How long it was under way, not waiting.
    execution_seconds: u64,
    /// DPUs of its workers times that.
    #[serde(skip_serializing_if = "Option::is_none")]
    dpu_seconds: Option<f64>,
    /// Why it did not succeed, and what to try, in one text.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Why it did not succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// What to try.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Its own arguments, without the job's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    arguments: BTreeMap<String, String>,
    /// Bytes that its sources read.
    bytes_read: u64,
    /// Rows that its targets wrote.
    rows_written: u64,
    /// Bytes that they wrote.
    bytes_written: u64,
    /// CPU time of its worker, all threads together, in microseconds.
    cpu_micros: u64,
    /// Memory of its worker: bytes, each times the seconds for which it was held.
    memory_byte_seconds: f64,
    /// Bytes that it kept on disk because memory was short.
    spilled_bytes: u64,
    /// What it cost by the operator's prices of CPU time and memory; absent where none is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    /// What each node did: `nodes`, each with rows, bytes, CPU time, memory, bytes on disk and what its plugin used, and
    /// `peak_memory_bytes`; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    metrics: Option<Value>,
    /// Whether nothing more happens to it.
    #[serde(skip)]
    is_final: bool,
}

/// A page of runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunPage {
    /// The newest first.
    runs: Vec<Run>,
    /// Pass it as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What a run ran.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Definition {
    /// Whether it is known: not of a run that did not begin.
    is_known: bool,
    /// Glue's `CodeGenConfigurationNodes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    nodes: Option<Value>,
    /// Its arguments, those of its job included.
    arguments: BTreeMap<String, String>,
}

/// What plugins of a run said.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunLog {
    /// In the order in which it came; nothing before the run has ended.
    lines: Vec<Line>,
}

/// A line of a log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Line {
    /// The node whose plugin said it.
    node: String,
    /// `debug`, `info`, `warn` or `error`.
    #[schema(example = "info")]
    level: String,
    /// What it said.
    message: String,
}

/// What a run is started with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRun {
    /// Over the arguments that the job has by default.
    #[serde(default)]
    arguments: BTreeMap<String, String>,
    /// The same for all repetitions of one request: they start one run.
    client_token: Option<String>,
}

impl Run {
    pub(crate) const fn has_ended(&self) -> bool {
        self.is_final
    }

    /// A run with what each node did.
    fn with_nodes(run: WholeRun) -> Result<Self, Fault> {
        let nodes = serde_json::to_value(&run.metrics);
        Ok(Self {
            metrics: Some(nodes.map_err(|error| Fault::internal(&error.to_string()))?),
            ..Self::of(run)
        })
    }

    fn of(whole: WholeRun) -> Self {
        let WholeRun {
            run,
            metrics,
            problem,
        } = whole;
        let (problem, hint) = problem.map(|why| (why.problem, why.hint)).unzip();
        Self {
            bytes_read: metrics.bytes_read(),
            rows_written: metrics.rows_written(),
            bytes_written: metrics.bytes_written(),
            cpu_micros: metrics.cpu_micros,
            memory_byte_seconds: metrics.memory_byte_seconds,
            spilled_bytes: metrics.spilled_bytes,
            cost: metrics.cost,
            id: run.id,
            job: run.job_name,
            attempt: run.attempt,
            previous: run.previous_run_id,
            state: run.job_run_state.to_string(),
            started_unix_millis: run.started_on.unix_millis(),
            completed_unix_millis: run.completed_on.map(|time| time.unix_millis()),
            execution_seconds: run.execution_time,
            dpu_seconds: run.dpu_seconds,
            error: run.error_message,
            problem,
            hint,
            arguments: run.arguments.unwrap_or_default(),
            is_final: run.job_run_state.is_final(),
            metrics: None,
        }
    }
}

impl Runs {
    /// The jobs of the account in the path.
    pub(super) fn of(&self, asked: &Asked) -> Result<(Caller, TenantJobs), Fault> {
        let caller = asked.admin_or_owner(&self.identity)?;
        let account = asked.path("account");
        let tenants = self.identity.tenants(&self.open_account).map_err(fault)?;
        let found = tenants.into_iter().find(|(_, id)| id == account);
        let (tenant, _) =
            found.ok_or_else(|| fault(IdentityError::not_found("account", account)))?;
        Ok((caller, self.jobs.tenant(tenant)))
    }

    /// The run in the path, as it is.
    pub(crate) fn look(&self, asked: &Asked) -> Result<Run, Fault> {
        let (_, jobs) = self.of(asked)?;
        let found = jobs.get_whole_run(asked.path("job"), asked.path("run"));
        Run::with_nodes(self.priced(found.map_err(refused)?))
    }

    /// The same with what it cost.
    pub(super) fn priced(&self, run: WholeRun) -> WholeRun {
        WholeRun {
            metrics: run.metrics.priced(&self.prices),
            ..run
        }
    }

    /// Changes something about the job in the path, with an entry of the audit log.
    pub(super) fn change<T>(
        &self,
        asked: &Asked,
        operation: &str,
        change: impl FnOnce(&TenantJobs, &str) -> tenon_jobs::Result<T>,
    ) -> Result<T, Fault> {
        let (caller, jobs) = self.of(asked)?;
        let job = asked.path("job");
        let names = [("JobName", job), ("RunId", asked.path("run"))];
        let names = names.into_iter().filter(|(_, name)| !name.is_empty());
        let entry = AuditEntry {
            time_unix_millis: audit::unix_millis(self.identity.audit_log().clock.now()),
            request_id: asked.id().to_owned(),
            principal: caller.name,
            access_key: None,
            source: None,
            operation: operation.to_owned(),
            resource: names
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            outcome: audit::SUCCESS.to_owned(),
        };
        let note = AuditLog::note(&entry).map_err(fault)?;
        change(&jobs.with_note(Arc::new(note)), job).map_err(refused)
    }
}

/// Errors of jobs with the status of this interface.
pub(super) fn refused(error: tenon_jobs::Error) -> Fault {
    let fault = Fault::from(error);
    let status = match fault.name {
        "EntityNotFoundException" => 404,
        "AlreadyExistsException"
        | "ConcurrentModificationException"
        | "ConcurrentRunsExceededException" => 409,
        _ => fault.status,
    };
    Fault { status, ..fault }
}

/// The jobs of an account.
#[utoipa::path(
    get, path = "/v1/accounts/{account}/jobs", tag = "jobs", operation_id = "listJobs",
    security(("token" = [])),
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("limit" = Option<u64>, Query, description = "Jobs of a page, 1 to 1000; 100 if absent"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of names", body = JobNames),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn jobs(State(runs): State<Runs>, asked: Asked) -> Response {
    perform("ListAccountJobs", StatusCode::OK, asked, move |asked| {
        let (_, jobs) = runs.of(asked)?;
        let page = jobs.list_jobs(asked.query("after"), asked.limit()?);
        let page = page.map_err(refused)?;
        Ok(JobNames {
            jobs: page.items.into_iter().map(|(job, _)| job.name).collect(),
            next: page.next,
        })
    })
    .await
}

/// The runs of a job, the newest first.
#[utoipa::path(
    get, path = "/v1/accounts/{account}/jobs/{job}/runs", tag = "jobs", operation_id = "listRuns",
    security(("token" = [])),
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("job" = String, Path, description = "The job's name"),
        ("limit" = Option<u64>, Query, description = "Runs of a page, 1 to 1000; 100 if absent"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of runs", body = RunPage),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn list(State(runs): State<Runs>, asked: Asked) -> Response {
    perform("ListRuns", StatusCode::OK, asked, move |asked| {
        let (_, jobs) = runs.of(asked)?;
        let (job, after) = (asked.path("job"), asked.query("after"));
        let page = jobs.list_whole_runs(job, after, asked.limit()?);
        let page = page.map_err(refused)?;
        let all = page.items.into_iter();
        Ok(RunPage {
            runs: all.map(|run| Run::of(runs.priced(run))).collect(),
            next: page.next,
        })
    })
    .await
}

/// Starts a run; it waits for its turn.
#[utoipa::path(
    post, path = "/v1/accounts/{account}/jobs/{job}/runs", tag = "jobs", operation_id = "startRun",
    security(("token" = [])), request_body = NewRun,
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("job" = String, Path, description = "The job's name"),
    ),
    responses(
        (status = 201, description = "The run", body = Run),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 404, response = Problem),
        (status = 409, response = Problem),
    ),
)]
pub(crate) async fn start(State(runs): State<Runs>, asked: Asked) -> Response {
    perform("StartRun", StatusCode::CREATED, asked, move |asked| {
        let new: NewRun = asked.body()?;
        let start = StartRun {
            arguments: Some(new.arguments),
            client_token: new.client_token,
            ..StartRun::default()
        };
        let run = runs.change(asked, "rest:StartRun", |jobs, job| {
            let id = jobs.start_run(job, &start)?;
            jobs.get_whole_run(job, &id)
        })?;
        Ok(Run::of(runs.priced(run)))
    })
    .await
}

/// A run, with what each node did so far.
#[utoipa::path(
    get, path = "/v1/accounts/{account}/jobs/{job}/runs/{run}", tag = "jobs", operation_id = "getRun",
    security(("token" = [])),
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("job" = String, Path, description = "The job's name"),
        ("run" = String, Path, description = "The run's id"),
    ),
    responses(
        (status = 200, description = "The run", body = Run),
        (status = 401, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn get(State(runs): State<Runs>, asked: Asked) -> Response {
    perform("GetRun", StatusCode::OK, asked, move |asked| {
        runs.look(asked)
    })
    .await
}

/// A run by its id alone, with what each node did so far.
#[utoipa::path(
    get, path = "/v1/accounts/{account}/runs/{run}", tag = "jobs", operation_id = "getRunById",
    security(("token" = [])),
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("run" = String, Path, description = "The run's id"),
    ),
    responses(
        (status = 200, description = "The run", body = Run),
        (status = 401, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn get_by_id(State(runs): State<Runs>, asked: Asked) -> Response {
    perform("GetRunById", StatusCode::OK, asked, move |asked| {
        let (_, jobs) = runs.of(asked)?;
        let id = asked.path("run");
        let found = jobs.job_of_run(id);
        let found = found.and_then(|job| jobs.get_whole_run(&job, id));
        Run::with_nodes(runs.priced(found.map_err(refused)?))
    })
    .await
}

/// What a run ran: the graph and the arguments that its job had when it began.
#[utoipa::path(
    get, path = "/v1/accounts/{account}/runs/{run}/definition", tag = "jobs", operation_id = "getRunDefinition",
    security(("token" = [])),
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("run" = String, Path, description = "The run's id"),
    ),
    responses(
        (status = 200, description = "What it ran", body = Definition),
        (status = 401, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn definition(State(runs): State<Runs>, asked: Asked) -> Response {
    perform("GetRunDefinition", StatusCode::OK, asked, move |asked| {
        let (_, jobs) = runs.of(asked)?;
        let id = asked.path("run");
        let found = jobs.job_of_run(id).and_then(|job| jobs.ran(&job, id));
        let ran = found.map_err(refused)?;
        Ok(Definition {
            is_known: ran.is_some(),
            nodes: ran.as_ref().map(|ran| Value::Object(ran.nodes.clone())),
            arguments: ran.map(|ran| ran.arguments).unwrap_or_default(),
        })
    })
    .await
}

/// What the plugins of a run said.
#[utoipa::path(
    get, path = "/v1/accounts/{account}/jobs/{job}/runs/{run}/log", tag = "jobs", operation_id = "getRunLog",
    security(("token" = [])),
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("job" = String, Path, description = "The job's name"),
        ("run" = String, Path, description = "The run's id"),
    ),
    responses(
        (status = 200, description = "The log", body = RunLog),
        (status = 401, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn log(State(runs): State<Runs>, asked: Asked) -> Response {
    perform("GetRunLog", StatusCode::OK, asked, move |asked| {
        let (_, jobs) = runs.of(asked)?;
        let lines = jobs.run_log(asked.path("job"), asked.path("run"));
        let lines = lines.map_err(refused)?.into_iter();
        Ok(RunLog {
            lines: lines
                .map(|line| Line {
                    node: line.node,
                    level: line.level,
                    message: line.message,
                })
                .collect(),
        })
    })
    .await
}

/// Asks a run to stop; it has within a second, unless its results are being made visible.
#[utoipa::path(
    post, path = "/v1/accounts/{account}/jobs/{job}/runs/{run}/stop", tag = "jobs", operation_id = "stopRun",
    security(("token" = [])),
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("job" = String, Path, description = "The job's name"),
        ("run" = String, Path, description = "The run's id"),
    ),
    responses(
        (status = 202, description = "The run, which stops", body = Run),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn stop(State(runs): State<Runs>, asked: Asked) -> Response {
    perform("StopRun", StatusCode::ACCEPTED, asked, move |asked| {
        let id = asked.path("run").to_owned();
        let run = runs.change(asked, "rest:StopRun", |jobs, job| {
            jobs.stop_run(job, &id)?;
            jobs.get_whole_run(job, &id)
        })?;
        Run::with_nodes(runs.priced(run))
    })
    .await
}
