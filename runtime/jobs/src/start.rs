//! Starting runs: arguments, client tokens, the place in the queue.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tenon_store::{Expected, Tree};

use crate::error::{Error, Kind, Result};
use crate::job::{self, Arguments};
use crate::jobs::TenantJobs;
use crate::metrics::RunMetrics;
use crate::run::{JobRun, RunState};
use crate::stored::{self, Place, SCHEMA, Started, StoredJob, StoredRun, Tally};

/// Runs of one job that may wait.
const MAX_WAITING: u64 = 10_000;

/// Where logs of runs are, in CloudWatch's words, unless [`LOG_GROUP_ARGUMENT`] says otherwise.
pub(crate) const LOG_GROUP: &str = "/aws-glue/jobs";

/// Glue's argument that names another log group.
const LOG_GROUP_ARGUMENT: &str = "--custom-logGroup-prefix";

/// Characters of its name, at most: CloudWatch has 512, and one of two words comes behind.
const MAX_LOG_GROUP: usize = 500;

/// What a caller asks for. What is left out is as the job says.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct StartRun {
    /// Arguments over the job's defaults.
    pub arguments: Option<Arguments>,
    /// A run that this one repeats: its arguments are taken unless there are others.
    pub previous: Option<String>,
    /// Whether to wait when as many runs are under way as may be.
    pub queuing: Option<bool>,
    /// Minutes it may take.
    pub timeout: Option<i32>,
    /// Which kind of worker.
    pub worker_type: Option<String>,
    /// How many of them.
    pub number_of_workers: Option<i32>,
    /// Kept and shown.
    pub allocated_capacity: Option<i32>,
    /// Kept and shown.
    pub max_capacity: Option<f64>,
    /// Kept and shown.
    pub security_configuration: Option<String>,
    /// Kept and shown.
    pub notification_property: Option<Value>,
    /// Kept and shown.
    pub execution_class: Option<String>,
    /// The same for all repetitions of one request: they start one run. Kept for a day.
    #[serde(skip)]
    pub client_token: Option<String>,
}

impl TenantJobs {
    /// Puts a run of the job in the queue and returns its id. It begins when there is room for it.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the job or the previous run, [`Error::InvalidInput`], [`Error::TooManyRuns`],
    /// [`Error::LimitExceeded`], [`Error::TokenReused`], [`Error::Conflict`], [`Error::Store`].
    pub fn start_run(&self, job: &str, start: &StartRun) -> Result<String> {
        job::check_timeout(start.timeout)?;
        let id = self.retry(Kind::Job, job, || self.start_once(job, start))?;
        self.jobs.bell.ring_for(self.tenant);
        Ok(id)
    }

    fn start_once(&self, name: &str, start: &StartRun) -> Result<String> {
        let job = self.stored_job(name)?;
        if let Some(id) = self.started_before(&job.value, start)? {
            return Ok(id);
        }
        let number = job.value.number;
        // What it names may have gone since the job was accepted.
        self.with_transforms(&job.value.job.definition)?;
        let (tally, unchanged) =
            self.read_or_default::<Tally>(Tree::Run, &stored::tally(number))?;
        room_for_one(&job.value, start, tally)?;
        let run = self.new_run(&job.value, start, tally.newest + 1)?;
        let tally = Tally {
            newest: tally.newest + 1,
            waiting: tally.waiting + 1,
            ..tally
        };
        let id = run.run.id.clone();
        let transaction = self
            .transaction()
            .expect(Tree::Object, stored::job(name), job.unchanged())
            .expect(Tree::Run, stored::tally(number), unchanged)
            .put(
                Tree::Run,
                stored::tally(number),
                SCHEMA,
                stored::encode(&tally)?,
            );
        let transaction = stored::queued(transaction, &run)?;
        let transaction = match &start.client_token {
            None => transaction,
            Some(token) => {
                let key = stored::token(number, token);
                let started = Started {
                    run_id: id.clone(),
                    digest: digest(start)?,
                    at: self.now(),
                };
                transaction
                    .expect(Tree::Idempotency, key.clone(), Expected::Absent)
                    .put(Tree::Idempotency, key, SCHEMA, stored::encode(&started)?)
            }
        };
        self.commit(transaction)?;
        Ok(id)
    }

    /// The run that the same request started.
    fn started_before(&self, job: &StoredJob, start: &StartRun) -> Result<Option<String>> {
        let Some(token) = &start.client_token else {
            return Ok(None);
        };
        let key = stored::token(job.number, token);
        let Some(found) = self.read::<Started>(Tree::Idempotency, &key)? else {
            return Ok(None);
        };
        if found.value.digest != digest(start)? {
            return Err(Error::TokenReused {
                job: job.job.name.clone(),
                token: token.clone(),
            });
        }
        Ok(Some(found.value.run_id))
    }

    fn new_run(&self, job: &StoredJob, start: &StartRun, number: u64) -> Result<StoredRun> {
        let definition = &job.job.definition;
        let previous = start.previous.as_deref();
        let previous = previous
            .map(|id| self.stored_run(job.number, &job.job.name, id))
            .transpose()?;
        let repeated = previous.and_then(|previous| previous.value.run.arguments);
        let arguments = start.arguments.clone().or(repeated);
        let effective = definition.arguments(&arguments.clone().unwrap_or_default());
        job::bookmark_use(&effective)?;
        let place = Place {
            job: job.number,
            number,
        };
        let now = self.now();
        let run = JobRun {
            id: self.id_of(&job.job.name, place),
            attempt: 0,
            previous_run_id: start.previous.clone(),
            job_name: job.job.name.clone(),
            job_mode: definition.job_mode.clone(),
            job_run_queuing_enabled: start.queuing.or(definition.job_run_queuing_enabled),
            started_on: now,
            last_modified_on: now,
            completed_on: None,
            job_run_state: RunState::Waiting,
            arguments,
            error_message: None,
            allocated_capacity: start.allocated_capacity.or(definition.allocated_capacity),
            execution_time: 0,
            timeout: start
                .timeout
                .unwrap_or_else(|| definition.timeout_minutes()),
            max_capacity: start.max_capacity.or(definition.max_capacity),
            worker_type: start
                .worker_type
                .clone()
                .or_else(|| definition.worker_type.clone()),
            number_of_workers: start.number_of_workers.or(definition.number_of_workers),
            security_configuration: start
                .security_configuration
                .clone()
                .or_else(|| definition.security_configuration.clone()),
            log_group_name: log_group(&effective)?,
            notification_property: start
                .notification_property
                .clone()
                .or_else(|| definition.notification_property.clone()),
            glue_version: definition.glue_version.clone(),
            execution_class: start
                .execution_class
                .clone()
                .or_else(|| definition.execution_class.clone()),
            dpu_seconds: None,
            state_detail: None,
        };
        Ok(StoredRun {
            run,
            place,
            priority: job::priority_of(&effective)?,
            max_retries: definition.retries(),
            fence: 0,
            lease: None,
            running_since: None,
            publishing: false,
            metrics: RunMetrics::default(),
            problem: None,
            definition: None,
            ran_arguments: None,
            task: None,
            basis: None,
        })
    }

    /// Looks random, as Glue's do, and costs no randomness: numbers of jobs and runs are used once.
    pub(crate) fn id_of(&self, job: &str, place: Place) -> String {
        let mut hash = Sha256::new();
        hash.update(self.tenant.number().to_be_bytes());
        hash.update(place.job.to_be_bytes());
        hash.update(place.number.to_be_bytes());
        hash.update(self.now().unix_millis().to_be_bytes());
        hash.update(job);
        format!("jr_{}", hex(&hash.finalize()))
    }
}

/// The log group that a run's streams are in.
fn log_group(arguments: &Arguments) -> Result<String> {
    let Some(name) = arguments.get(LOG_GROUP_ARGUMENT) else {
        return Ok(LOG_GROUP.to_owned());
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#".contains(&byte);
    if (1..=MAX_LOG_GROUP).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(name.clone());
    }
    Err(Error::invalid(format!(
        "{LOG_GROUP_ARGUMENT}: a log group has 1 to {MAX_LOG_GROUP} letters, digits and characters of .-_/#"
    )))
}

/// Whether one more run may wait.
fn room_for_one(job: &StoredJob, start: &StartRun, tally: Tally) -> Result<()> {
    let (name, definition) = (&job.job.name, &job.job.definition);
    let may_wait = start.queuing.or(definition.job_run_queuing_enabled) != Some(false);
    let (here, limit) = (tally.active + tally.waiting, definition.concurrent_runs());
    if !may_wait && here >= limit {
        return Err(Error::TooManyRuns {
            job: name.clone(),
            active: here,
            limit,
        });
    }
    if tally.waiting >= MAX_WAITING {
        return Err(Error::LimitExceeded {
            reason: format!(
                "{} runs of job {name} wait, the limit is {MAX_WAITING}",
                tally.waiting
            ),
        });
    }
    Ok(())
}

fn digest(start: &StartRun) -> Result<String> {
    Ok(hex(&Sha256::digest(stored::encode(start)?)))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
