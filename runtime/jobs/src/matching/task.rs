//! [`MlTask`]: what a task run does for a transform; starting, listing and cancelling task runs.
//! <https://docs.aws.amazon.com/glue/latest/webapi/API_TaskRun.html>
//!
//! A task run is a [`JobRun`] whose job is made when it begins: `graph` says of which nodes.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tenon_store::{Expected, Transaction, Tree};

use super::transform::{KeptModel, MlTransform, StoredTransform, without_model};
use super::{Learned, TaskWork};
use crate::error::{Error, Kind, Result};
use crate::job::DEFAULT_PRIORITY;
use crate::jobs::{MAX_PAGE, Stored, TenantJobs};
use crate::metrics::RunMetrics;
use crate::run::{JobRun, RunState};
use crate::start::{LOG_GROUP, hex};
use crate::stored::{self, Place, SCHEMA, Started, StoredRun, Tally};

/// Task runs of one transform that have not ended.
const MAX_TASKS: u64 = 10;

/// Bytes of a model, which is one record.
const MAX_MODEL_BYTES: usize = 15 << 20;

/// Minutes a task run may take unless its transform says so.
const DEFAULT_TIMEOUT: i32 = 2880;

/// What a task run does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MlTask {
    /// Judges the transform by its labels.
    Evaluation,
    /// Writes records that are worth a label.
    LabelingSetGeneration {
        /// A CSV file, or a folder for one.
        output: String,
    },
    /// Reads labels.
    ImportLabels {
        /// A CSV file, or a folder of them.
        input: String,
        /// Whether those that were there are forgotten.
        replace: bool,
    },
    /// Writes all labels.
    ExportLabels {
        /// A CSV file, or a folder for one.
        output: String,
    },
}

impl MlTask {
    /// As on the wire.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Evaluation => "EVALUATION",
            Self::LabelingSetGeneration { .. } => "LABELING_SET_GENERATION",
            Self::ImportLabels { .. } => "IMPORT_LABELS",
            Self::ExportLabels { .. } => "EXPORT_LABELS",
        }
    }

    /// What is done instead of writing what targets say.
    pub(super) fn work(&self, transform: &MlTransform) -> Result<Option<TaskWork>> {
        Ok(match self {
            Self::Evaluation => Some(TaskWork::Evaluate),
            Self::ImportLabels { .. } => Some(TaskWork::ReadLabels {
                id: super::graph::id(transform)?.to_owned(),
            }),
            Self::LabelingSetGeneration { .. } | Self::ExportLabels { .. } => None,
        })
    }
}

/// What a task run found of its transform when it began. What it finds out is about that, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TaskBasis {
    /// The column that identifies a record.
    key: String,
    /// Of the labels.
    generation: u64,
}

impl TaskBasis {
    /// What the transform is now.
    ///
    /// # Errors
    /// [`Error::NotReady`] without a primary key.
    pub(crate) fn of(stored: &StoredTransform) -> Result<Self> {
        Ok(Self {
            key: super::graph::id(&stored.transform)?.to_owned(),
            generation: stored.labels.generation,
        })
    }

    /// That the transform still is what it was when the run began.
    fn check(run: &StoredRun, stored: &StoredTransform) -> Result<()> {
        let now = Self::of(stored)?;
        match &run.basis {
            Some(then) if *then == now => Ok(()),
            Some(then) if then.key != now.key => Err(Error::invalid(format!(
                "the primary key of ML transform {} became {:?} while the task run was under way, which began with {:?}; \
                 start it again",
                stored.transform.transform_id, now.key, then.key
            ))),
            _ => Err(Error::invalid(format!(
                "the labels of ML transform {} changed while the task run was under way; start it again",
                stored.transform.transform_id
            ))),
        }
    }
}

/// A task run.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRun {
    /// What it does.
    pub task: MlTask,
    /// The run; `job_name` is the id of the transform.
    pub run: JobRun,
    /// Counted from 1 in the order of their starts, all attempts.
    pub number: u64,
}

impl TaskRun {
    /// As on the wire: task runs have fewer states than runs of jobs.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        match self.run.job_run_state {
            RunState::Waiting | RunState::Starting => "STARTING",
            RunState::Running => "RUNNING",
            RunState::Stopping => "STOPPING",
            RunState::Stopped => "STOPPED",
            RunState::Succeeded => "SUCCEEDED",
            RunState::Timeout => "TIMEOUT",
            RunState::Failed | RunState::Error | RunState::Expired => "FAILED",
        }
    }
}

impl TenantJobs {
    /// Puts a task run in the queue and returns its id. `client_token` is the same for all repetitions of one request,
    /// which start one task run.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NotReady`] for an evaluation without labels, and without a primary key;
    /// [`Error::TooManyTasks`]; [`Error::TokenReused`], [`Error::Conflict`], [`Error::Store`].
    pub fn start_task(
        &self,
        transform: &str,
        task: &MlTask,
        client_token: Option<&str>,
    ) -> Result<String> {
        let id = self.retry(Kind::MlTransform, transform, || {
            self.start_task_once(transform, task, client_token)
        })?;
        self.jobs.bell.ring_for(self.tenant);
        Ok(id)
    }

    fn start_task_once(
        &self,
        id: &str,
        task: &MlTask,
        client_token: Option<&str>,
    ) -> Result<String> {
        let found = self.stored_transform(id)?;
        let (stored, number) = (&found.value, found.value.number);
        let digest = hex(&Sha256::digest(stored::encode(task)?));
        if let Some(before) = self.task_started_before(stored, client_token, &digest)? {
            return Ok(before);
        }
        // What it would run is known now: what is missing is told now.
        super::graph::job(stored, task, "")?;
        if *task == MlTask::Evaluation && stored.labels.labelled == 0 {
            return Err(Error::NotReady {
                reason: format!(
                    "ML transform {id} has no labels to be judged by; import some first (StartImportLabelsTaskRun)"
                ),
            });
        }
        let (tally, unchanged) =
            self.read_or_default::<Tally>(Tree::Run, &stored::tally(number))?;
        let here = tally.active + tally.waiting;
        if here >= MAX_TASKS {
            return Err(Error::TooManyTasks {
                transform: id.to_owned(),
                here,
                limit: MAX_TASKS,
            });
        }
        let run = self.new_task(stored, task, tally.newest + 1);
        let tally = Tally {
            newest: tally.newest + 1,
            waiting: tally.waiting + 1,
            ..tally
        };
        let transaction = self
            .transaction()
            .expect(Tree::Object, stored::transform(id), found.unchanged())
            .expect(Tree::Run, stored::tally(number), unchanged)
            .put(
                Tree::Run,
                stored::tally(number),
                SCHEMA,
                stored::encode(&tally)?,
            );
        let mut transaction = stored::queued(transaction, &run)?;
        if let Some(token) = client_token {
            let started = Started {
                run_id: run.run.id.clone(),
                digest,
                at: self.now(),
            };
            let key = stored::token(number, token);
            transaction = transaction
                .expect(Tree::Idempotency, key.clone(), Expected::Absent)
                .put(Tree::Idempotency, key, SCHEMA, stored::encode(&started)?);
        }
        self.commit(transaction)?;
        Ok(run.run.id)
    }

    fn task_started_before(
        &self,
        stored: &StoredTransform,
        client_token: Option<&str>,
        digest: &str,
    ) -> Result<Option<String>> {
        let Some(token) = client_token else {
            return Ok(None);
        };
        let key = stored::token(stored.number, token);
        match self.read::<Started>(Tree::Idempotency, &key)? {
            None => Ok(None),
            Some(found) if found.value.digest == digest => Ok(Some(found.value.run_id)),
            Some(_) => Err(Error::TokenReused {
                job: stored.transform.transform_id.clone(),
                token: token.to_owned(),
            }),
        }
    }

    fn new_task(&self, stored: &StoredTransform, task: &MlTask, number: u64) -> StoredRun {
        let definition = &stored.transform.definition;
        let place = Place {
            job: stored.number,
            number,
        };
        let now = self.now();
        let id = self.id_of(&stored.transform.transform_id, place);
        let run = JobRun {
            id: format!("tsk-{}", id.trim_start_matches("jr_")),
            attempt: 0,
            previous_run_id: None,
            job_name: stored.transform.transform_id.clone(),
            job_mode: None,
            job_run_queuing_enabled: None,
            started_on: now,
            last_modified_on: now,
            completed_on: None,
            job_run_state: RunState::Waiting,
            arguments: None,
            error_message: None,
            allocated_capacity: None,
            execution_time: 0,
            timeout: definition.timeout.unwrap_or(DEFAULT_TIMEOUT),
            max_capacity: definition.max_capacity,
            worker_type: definition.worker_type.clone(),
            number_of_workers: definition.number_of_workers,
            security_configuration: None,
            log_group_name: LOG_GROUP.to_owned(),
            notification_property: None,
            glue_version: definition.glue_version.clone(),
            execution_class: None,
            dpu_seconds: None,
            state_detail: None,
        };
        StoredRun {
            run,
            place,
            priority: DEFAULT_PRIORITY,
            max_retries: u32::try_from(definition.max_retries.unwrap_or(0)).unwrap_or(0),
            fence: 0,
            lease: None,
            running_since: None,
            publishing: false,
            metrics: RunMetrics::default(),
            problem: None,
            definition: None,
            ran_arguments: None,
            task: Some(task.clone()),
            basis: None,
        }
    }

    /// The task run with this id.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the transform or the task run, [`Error::Store`].
    pub fn get_task(&self, transform: &str, id: &str) -> Result<TaskRun> {
        let number = self.stored_transform(transform)?.value.number;
        let stored = self.stored_task(number, transform, id)?;
        Ok(shown(stored).1)
    }

    fn stored_task(&self, number: u64, transform: &str, id: &str) -> Result<StoredRun> {
        let found = self.stored_run(number, transform, id);
        let found = found.map_err(|error| match error {
            Error::NotFound { .. } => {
                Error::not_found(Kind::MlTaskRun, format!("{id} of ML transform {transform}"))
            }
            other => other,
        });
        Ok(found?.value)
    }

    /// Where the task run with this id is; nothing once its transform was deleted.
    pub(crate) fn find_task(&self, id: &str) -> Result<Option<Place>> {
        let Some(place) = self.read::<Place>(Tree::Run, &stored::place_of(id))? else {
            return Ok(None);
        };
        let run = self.read::<StoredRun>(Tree::Run, &stored::run(place.value))?;
        let Some(run) = run.filter(|run| run.value.task.is_some()) else {
            return Ok(None);
        };
        match self.stored_transform(&run.value.run.job_name) {
            Ok(found) if found.value.number == place.value.job => Ok(Some(place.value)),
            Ok(_) | Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All task runs of a transform, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub fn all_tasks(&self, transform: &str) -> Result<Vec<TaskRun>> {
        let number = self.stored_transform(transform)?.value.number;
        let below = stored::runs(number);
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let (found, next) =
                self.list::<StoredRun>(Tree::Run, &below, after.as_ref(), MAX_PAGE)?;
            all.extend(found.into_iter().map(|(_, stored)| shown(stored).1));
            after = next;
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    /// Asks a task run to stop, and says how it is then. One that waits is stopped at once; one that has ended stays what
    /// it is.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], [`Error::Store`].
    pub fn cancel_task(&self, transform: &str, id: &str) -> Result<TaskRun> {
        let number = self.stored_transform(transform)?.value.number;
        let (place, task) = shown(self.stored_task(number, transform, id)?);
        if task.run.job_run_state.is_final() {
            return Ok(task);
        }
        match self.stop_at(place) {
            // It may have ended meanwhile.
            Ok(()) | Err(Error::InvalidInput { .. }) => self.get_task(transform, id),
            Err(error) => Err(error),
        }
    }

    /// Adds what a task run found out to its transform, in the transaction of its success.
    pub(crate) fn with_learned(
        &self,
        transaction: Transaction,
        run: &StoredRun,
        learned: Option<&Learned>,
    ) -> Result<Transaction> {
        let (Some(task), Some(learned)) = (&run.task, learned) else {
            return Ok(transaction);
        };
        let added = self.add_learned(transaction, run, (task, learned));
        added.map_err(|error| match error {
            // The transform was deleted under it.
            Error::NotFound { .. } => Error::Lost {
                run: run.run.id.clone(),
            },
            Error::NotReady { reason } => Error::invalid(reason),
            other => other,
        })
    }

    fn add_learned(
        &self,
        transaction: Transaction,
        run: &StoredRun,
        (task, learned): (&MlTask, &Learned),
    ) -> Result<Transaction> {
        let id = &run.run.job_name;
        let mut found: Stored<StoredTransform> = self.stored_transform(id)?;
        let unchanged = found.unchanged();
        let stored = &mut found.value;
        TaskBasis::check(run, stored)?;
        let transaction = match (learned, task) {
            (Learned::Evaluation { model, .. }, _) if model.bytes().len() > MAX_MODEL_BYTES => {
                return Err(Error::invalid(format!(
                    "the model has {} bytes, at most {MAX_MODEL_BYTES} are kept",
                    model.bytes().len()
                )));
            }
            (Learned::Labels(labels), MlTask::ImportLabels { replace, .. }) => {
                labels.check().map_err(Error::invalid)?;
                let key = super::graph::id(&stored.transform)?;
                let labels = match replace {
                    true => labels.clone(),
                    false => self
                        .kept_labels(stored.number, &labels.columns)?
                        .and(labels, key)?,
                };
                let (transaction, kept) =
                    self.with_labels(transaction, stored.number, stored.labels, &labels)?;
                stored.labels = kept;
                transaction
            }
            (Learned::Evaluation { metrics, model }, MlTask::Evaluation) => {
                let transaction = without_model(transaction, stored);
                let digest = hex(&Sha256::digest(model.bytes()));
                let key = stored::model(stored.number, &digest);
                stored.transform.evaluation_metrics = Some(metrics.clone().bounded());
                stored.model = Some(KeptModel {
                    digest,
                    generation: stored.labels.generation,
                });
                transaction.put(Tree::Run, key, SCHEMA, model.bytes().to_vec())
            }
            _ => {
                return Err(Error::invalid(
                    "the worker tells what its task does not find out",
                ));
            }
        };
        let key = stored::transform(id);
        Ok(transaction
            .expect(Tree::Object, key.clone(), unchanged)
            .put(Tree::Object, key, SCHEMA, stored::encode(stored)?))
    }
}

fn shown(stored: StoredRun) -> (Place, TaskRun) {
    let task = TaskRun {
        // A run without one is none of a transform, and no list of a transform has it.
        task: stored.task.unwrap_or(MlTask::Evaluation),
        run: stored.run,
        number: stored.place.number,
    };
    (stored.place, task)
}
