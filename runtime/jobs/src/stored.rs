//! Keys and payloads of this room's records. Payloads are JSON; golden files under `test-data/` keep every released
//! layout readable.
//!
//! ```text
//! obj  32|name                                  StoredJob
//! obj  33                                       the number that the next job gets
//! obj  34|job                                   empty; runs of a deleted job that are still to be removed
//! run  1|job|MAX - number                       StoredRun; newest first
//! run  2|job|run id                             its number
//! run  3|job                                    Tally
//! run  5|job|digest                             RanDefinition, a graph that runs ran
//! run  6|run id                                 Place, where it is
//! run  4|job|number[|piece]                     LogLine, those of a run that came together
//! due  1|9 - priority|millis|job|number         empty; a waiting run, in the order in which they begin
//! due  2|job|number                             empty; a run that is under way
//! mark 1|job                                    BookmarkHead
//! mark 2|job|node                               NodeBookmark
//! mark 3|job                                    History, which runs moved the bookmark
//! mark 4|job|number|node                        Step, what a run added to a node's bookmark
//! idem 1|job|client token                       Started
//! obj  32|tenant   of the system                empty; a tenant that has, or had, jobs
//! obj  40|transform id                          StoredTransform; its number is from the counter of jobs
//! obj  41|name of a transform                   its id
//! run  16|transform|piece                       LabelPiece
//! run  17|transform|digest                      a model, as the plugin wrote it
//! ```

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tenon_store::{Expected, Key, Record, Tenant, Transaction, Tree};

use crate::error::Result;
use crate::job::{Arguments, Job, Tags};
use crate::matching::{MlTask, TaskBasis};
use crate::metrics::RunMetrics;
use crate::problem::Problem;
use crate::run::JobRun;
use crate::time::Timestamp;

/// Layout of payloads this build writes.
pub(crate) const SCHEMA: u16 = 1;

const JOB: u8 = 32;
const NEXT_JOB: u8 = 33;
const REMAINS: u8 = 34;
const TRANSFORM: u8 = 40;
const TRANSFORM_NAME: u8 = 41;
const WAITING: u8 = 1;
const ACTIVE: u8 = 2;

/// A job as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredJob {
    pub(crate) number: u64,
    pub(crate) job: Job,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(crate) tags: Tags,
}

/// An attempt as it is kept: what everybody sees, and what the queue needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredRun {
    pub(crate) run: JobRun,
    pub(crate) place: Place,
    pub(crate) priority: u8,
    /// How often it may be tried again.
    pub(crate) max_retries: u32,
    /// Rises with every claim. Whoever names an older one is too late.
    #[serde(default)]
    pub(crate) fence: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lease: Option<Lease>,
    /// When it began to work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) running_since: Option<Timestamp>,
    /// Its results are being made visible: it can neither be stopped nor run out of time.
    #[serde(default)]
    pub(crate) publishing: bool,
    /// What it did.
    #[serde(default, skip_serializing_if = "RunMetrics::is_empty")]
    pub(crate) metrics: RunMetrics,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<Problem>,
    /// Digest of the graph that it runs, once it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) definition: Option<String>,
    /// The arguments that it runs with, those of its job included, once it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ran_arguments: Option<Arguments>,
    /// What it does for an ML transform, of a task run: its job is none, `job_name` is the id of the transform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) task: Option<MlTask>,
    /// What a task run found of its transform, once it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) basis: Option<TaskBasis>,
}

/// Which run, among the tenant's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Number of the job.
    pub(crate) job: u64,
    /// Number of the run, from 1, attempts counted.
    pub(crate) number: u64,
}

/// Who works on a run, and until when that is believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) holder: String,
    pub(crate) until: Timestamp,
}

/// How many runs a job has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// The number of the newest run.
    pub(crate) newest: u64,
    pub(crate) waiting: u64,
    pub(crate) active: u64,
}

/// What a client token started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Started {
    pub(crate) run_id: String,
    /// Of the request, to tell a repetition from another one.
    pub(crate) digest: String,
    pub(crate) at: Timestamp,
}

pub(crate) fn jobs() -> Key {
    Key::new().with_u8(JOB)
}

pub(crate) fn job(name: &str) -> Key {
    jobs().with_part(name)
}

pub(crate) fn next_job() -> Key {
    Key::new().with_u8(NEXT_JOB)
}

pub(crate) fn all_remains() -> Key {
    Key::new().with_u8(REMAINS)
}

pub(crate) fn remains(job: u64) -> Key {
    all_remains().with_u64(job)
}

/// Below which the system's records of tenants with jobs lie.
pub(crate) fn tenants() -> Key {
    Key::new().with_u8(JOB)
}

pub(crate) fn tenant(tenant: Tenant) -> Key {
    tenants().with_u32(tenant.number())
}

/// Below which all runs of a job lie.
pub(crate) fn runs(job: u64) -> Key {
    Key::new().with_u8(1).with_u64(job)
}

pub(crate) fn run(place: Place) -> Key {
    runs(place.job).with_u64(u64::MAX - place.number)
}

/// Below which a job's runs are found by their ids.
pub(crate) fn run_ids(job: u64) -> Key {
    Key::new().with_u8(2).with_u64(job)
}

pub(crate) fn run_id(job: u64, id: &str) -> Key {
    run_ids(job).with_part(id)
}

/// Where a run is, by its id alone.
pub(crate) fn place_of(id: &str) -> Key {
    Key::new().with_u8(6).with_part(id)
}

pub(crate) fn tally(job: u64) -> Key {
    Key::new().with_u8(3).with_u64(job)
}

/// Below which the logs of all runs of a job lie.
pub(crate) fn logs(job: u64) -> Key {
    Key::new().with_u8(4).with_u64(job)
}

/// Below which the log of a run lies; earlier releases kept all of it there.
pub(crate) fn run_log(place: Place) -> Key {
    logs(place.job).with_u64(place.number)
}

/// Below which the graphs lie that runs of a job ran.
pub(crate) fn definitions(job: u64) -> Key {
    Key::new().with_u8(5).with_u64(job)
}

pub(crate) fn definition(job: u64, digest: &str) -> Key {
    definitions(job).with_part(digest)
}

pub(crate) fn log_piece(place: Place, piece: u64) -> Key {
    run_log(place).with_u64(piece)
}

pub(crate) fn transforms() -> Key {
    Key::new().with_u8(TRANSFORM)
}

pub(crate) fn transform(id: &str) -> Key {
    transforms().with_part(id)
}

pub(crate) fn transform_name(name: &str) -> Key {
    Key::new().with_u8(TRANSFORM_NAME).with_part(name)
}

/// Below which the labels of a transform lie.
pub(crate) fn label_pieces(transform: u64) -> Key {
    Key::new().with_u8(16).with_u64(transform)
}

pub(crate) fn label_piece(transform: u64, piece: u64) -> Key {
    label_pieces(transform).with_u64(piece)
}

/// Below which the model of a transform lies.
pub(crate) fn models(transform: u64) -> Key {
    Key::new().with_u8(17).with_u64(transform)
}

pub(crate) fn model(transform: u64, digest: &str) -> Key {
    models(transform).with_part(digest)
}

/// Below which all waiting runs lie.
pub(crate) fn queue() -> Key {
    Key::new().with_u8(WAITING)
}

pub(crate) fn waiting(run: &StoredRun) -> Key {
    queue()
        .with_u8(9_u8.saturating_sub(run.priority))
        .with_u64(run.run.started_on.unix_millis())
        .with_u64(run.place.job)
        .with_u64(run.place.number)
}

/// Puts a new run in the queue, where it is found by its place and by its id.
pub(crate) fn queued(transaction: Transaction, new: &StoredRun) -> Result<Transaction> {
    let (place, id) = (new.place, &new.run.id);
    Ok(transaction
        .expect(Tree::Run, run(place), Expected::Absent)
        .put(Tree::Run, run(place), SCHEMA, encode(new)?)
        .put(
            Tree::Run,
            run_id(place.job, id),
            SCHEMA,
            encode(&place.number)?,
        )
        .put(Tree::Run, place_of(id), SCHEMA, encode(&place)?)
        .put(Tree::Due, waiting(new), SCHEMA, Vec::new()))
}

/// Which run an entry of the queue is for, and since when it waits.
pub(crate) fn of_waiting(key: &Key) -> Option<(Place, Timestamp)> {
    let mut reader = key.reader();
    let (_, _) = (reader.u8().ok()?, reader.u8().ok()?);
    let since = Timestamp::from_unix_millis(reader.u64().ok()?);
    let (job, number) = (reader.u64().ok()?, reader.u64().ok()?);
    Some((Place { job, number }, since))
}

/// Below which all runs that are under way lie.
pub(crate) fn all_active() -> Key {
    Key::new().with_u8(ACTIVE)
}

pub(crate) fn active(place: Place) -> Key {
    all_active().with_u64(place.job).with_u64(place.number)
}

pub(crate) fn of_active(key: &Key) -> Option<Place> {
    let mut reader = key.reader();
    reader.u8().ok()?;
    let (job, number) = (reader.u64().ok()?, reader.u64().ok()?);
    Some(Place { job, number })
}

pub(crate) fn bookmark(job: u64) -> Key {
    Key::new().with_u8(1).with_u64(job)
}

/// Below which the bookmarks of a job's nodes lie.
pub(crate) fn node_bookmarks(job: u64) -> Key {
    Key::new().with_u8(2).with_u64(job)
}

pub(crate) fn node_bookmark(job: u64, node: &str) -> Key {
    node_bookmarks(job).with_part(node)
}

/// Whose bookmark is under a key.
pub(crate) fn bookmarked_node(key: &Key) -> String {
    last_part(key, |reader| {
        let _ = (reader.u8(), reader.u64());
    })
}

/// Which runs moved the bookmark.
pub(crate) fn history(job: u64) -> Key {
    Key::new().with_u8(3).with_u64(job)
}

/// Below which everything lies that runs added to bookmarks of the job.
pub(crate) fn all_steps(job: u64) -> Key {
    Key::new().with_u8(4).with_u64(job)
}

pub(crate) fn step(place: Place, node: &str) -> Key {
    all_steps(place.job).with_u64(place.number).with_part(node)
}

/// Below which all client tokens lie.
pub(crate) fn all_tokens() -> Key {
    Key::new().with_u8(1)
}

pub(crate) fn tokens(job: u64) -> Key {
    all_tokens().with_u64(job)
}

pub(crate) fn token(job: u64, token: &str) -> Key {
    tokens(job).with_part(token)
}

/// The last component of a key that is text.
pub(crate) fn last_part(key: &Key, numbers: impl Fn(&mut tenon_store::KeyReader<'_>)) -> String {
    let mut reader = key.reader();
    numbers(&mut reader);
    let part = reader.part().unwrap_or_default();
    String::from_utf8_lossy(&part).into_owned()
}

pub(crate) fn encode(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| {
        tenon_store::Error::InvalidTransaction {
            reason: format!("a record cannot be written as JSON: {error}"),
        }
        .into()
    })
}

pub(crate) fn decode<T: DeserializeOwned>(tree: Tree, key: &Key, record: &Record) -> Result<T> {
    let damaged = |reason: String| tenon_store::Error::DamagedRecord {
        tree: tree.name(),
        key: key.clone(),
        reason,
    };
    if record.schema != SCHEMA {
        return Err(damaged(format!(
            "it has layout {}, this build reads {SCHEMA}",
            record.schema
        ))
        .into());
    }
    Ok(serde_json::from_slice(&record.payload).map_err(|error| damaged(error.to_string()))?)
}
