//! The two ports: what can run, and what runs it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tenon_store::{Tenant, Transaction};

use crate::bookmark::NodeBookmark;
use crate::capacity::Capacity;
use crate::job::{Arguments, JobDefinition, Nodes};
use crate::jobs::Bell;
use crate::log::LogLine;
use crate::matching::{Given, Learned, TaskWork};
use crate::metrics::RunMetrics;
use crate::problem::Problem;
use crate::stored::Place;

/// Says whether a definition can run. Called once for each job that is created or changed; may block.
pub trait Planner: Send + Sync {
    /// Checks the graph of a job, with its connections and the arguments it has by default.
    ///
    /// # Errors
    /// The node that cannot run and why, as a sentence for the caller.
    fn check(&self, tenant: Tenant, job: &str, definition: &JobDefinition) -> Result<(), String>;
}

/// Runs requests. Called by the scheduler's thread once for each claimed run; must not block.
pub trait Runner: Send + Sync {
    /// Begins to run `request`, and says how that goes through `reporter` from any thread. What cannot even begin is
    /// reported as [`Outcome::Failed`].
    fn start(&self, request: RunRequest, reporter: Reporter) -> Box<dyn Running>;
}

/// A run that a [`Runner`] began. Dropping it ends whatever still works on it, at once.
pub trait Running: Send {
    /// Asks it to end soon, with nothing written. It reports its end all the same.
    fn cancel(&mut self);

    /// Answers [`Report::Ready`]: the results may be made visible.
    fn publish(&mut self);
}

/// What is to be run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRequest {
    /// Whose run it is.
    pub tenant: Tenant,
    /// Name of the job.
    pub job: String,
    /// Id of this attempt.
    pub run: String,
    /// Names what the run writes: the same for all of its attempts, letters and digits.
    pub output: String,
    /// 0 for the first.
    pub attempt: u32,
    /// The graph.
    pub nodes: Nodes,
    /// Names of connections that its nodes may use.
    pub connections: Vec<String>,
    /// Those of the run over the job's.
    pub arguments: Arguments,
    /// What its workers are together.
    pub capacity: Capacity,
    /// What each source has read, when the run reads only what is new.
    pub bookmarks: Option<BTreeMap<String, NodeBookmark>>,
    /// Rows that stand for nodes: what these say themselves is not looked at.
    pub given: BTreeMap<String, Given>,
    /// What it does instead of writing what targets say.
    pub work: Option<TaskWork>,
}

/// What happens to a run, in this order: `Started`, any number of `Progress` and `Log`, among them at most one `Ready`,
/// `Ended`.
#[derive(Debug)]
pub enum Report {
    /// A worker has it.
    Started,
    /// How far it is.
    Progress(RunMetrics),
    /// What plugins said since the last time.
    Log(Vec<LogLine>),
    /// Results are complete and invisible: [`Running::publish`] follows, or the run is cancelled.
    Ready,
    /// It has ended.
    Ended(Outcome),
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// Its results are where they belong.
    Succeeded(Success),
    /// Nothing was published.
    Failed(Problem),
    /// It was cancelled; nothing was published.
    Cancelled,
}

/// What is written together with a run's success.
#[derive(Default)]
pub struct Success {
    /// What each node did, at the end.
    pub metrics: RunMetrics,
    /// Tables to register and the like.
    pub also: Option<Also>,
    /// What each source has read in this run; it is added to the job's bookmark if the run moves that.
    pub bookmarks: BTreeMap<String, NodeBookmark>,
    /// What a task run found out.
    pub learned: Option<Box<Learned>>,
}

/// Adds to the transaction of a run's success, in the records of its tenant. Called again with a fresh transaction
/// when someone else was faster; says why when it cannot.
pub type Also = Arc<dyn Fn(Transaction) -> Result<Transaction, String> + Send + Sync>;

impl fmt::Debug for Success {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Success")
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}

/// Takes the reports about one attempt to the scheduler that began it. Cheap to clone; does not block.
#[derive(Clone)]
pub struct Reporter {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) key: RunKey,
}

impl Reporter {
    /// Says what happened. What is said of an attempt that the scheduler has given up is not heard.
    pub fn report(&self, report: Report) {
        self.mailbox.reports.lock().push((self.key, report));
        self.mailbox.bell.ring();
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reporter").field(&self.key).finish()
    }
}

/// An attempt, among all tenants' and with its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RunKey {
    pub(crate) tenant: Tenant,
    pub(crate) place: Place,
    pub(crate) fence: u64,
}

/// Reports that the scheduler has not read.
pub(crate) struct Mailbox {
    pub(crate) reports: Mutex<Vec<(RunKey, Report)>>,
    pub(crate) bell: Arc<Bell>,
}
