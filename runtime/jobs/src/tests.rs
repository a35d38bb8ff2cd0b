//! The room as a whole: a real store, a clock that stands still and a runner that does what the test says.

mod fast;
mod lifecycle;
mod matching;
mod properties;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use serde_json::json;
use tempfile::TempDir;
use tenon_store::{ManualClock, SledStore, Store, Tenant};

use crate::port::RunKey;
use crate::*;

const ONE: Tenant = Tenant::new(1);
const TWO: Tenant = Tenant::new(2);

/// Refuses graphs with a node called `bad`.
struct Choosy;

impl Planner for Choosy {
    fn check(&self, _: Tenant, _: &str, definition: &JobDefinition) -> Result<(), String> {
        match definition.nodes().and_then(|nodes| nodes.get("bad")) {
            Some(_) => Err("node \"bad\": cannot run".to_owned()),
            None => Ok(()),
        }
    }
}

/// A run that the scripted runner was given.
#[derive(Clone)]
struct Given {
    request: RunRequest,
    reporter: Reporter,
    said: Arc<Mutex<Said>>,
}

/// What the scheduler asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Said {
    cancelled: bool,
    published: bool,
    dropped: bool,
}

impl Given {
    fn said(&self) -> Said {
        *self.said.lock()
    }

    fn report(&self, report: Report) {
        self.reporter.report(report);
    }

    fn key(&self) -> RunKey {
        self.reporter.key
    }

    fn succeed(&self) {
        self.report(Report::Ended(Outcome::Succeeded(Success::default())));
    }

    fn fail(&self, why: &str) {
        self.report(Report::Ended(Outcome::Failed(crate::Problem::new(
            why,
            "what helps",
        ))));
    }
}

/// Remembers what it was given, and does nothing by itself.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Vec<Given>>>);

struct Handle(Arc<Mutex<Said>>);

impl Runner for Script {
    fn start(&self, request: RunRequest, reporter: Reporter) -> Box<dyn Running> {
        let said = Arc::new(Mutex::new(Said::default()));
        self.0.lock().push(Given {
            request,
            reporter,
            said: Arc::clone(&said),
        });
        Box::new(Handle(said))
    }
}

impl Running for Handle {
    fn cancel(&mut self) {
        self.0.lock().cancelled = true;
    }

    fn publish(&mut self) {
        self.0.lock().published = true;
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().dropped = true;
    }
}

/// Everything a test needs.
struct Bench {
    clock: ManualClock,
    store: Arc<SledStore>,
    jobs: Jobs,
    script: Script,
    _dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_764_000_000));
        let store = fast::open(dir.path(), &clock);
        let jobs = open_jobs(&store, &clock);
        Self {
            clock,
            store,
            jobs,
            script: Script::default(),
            _dir: dir,
        }
    }

    fn scheduler(&self, slots: usize) -> Scheduler {
        self.scheduler_of(&self.jobs, slots, "one")
    }

    fn scheduler_of(&self, jobs: &Jobs, slots: usize, holder: &str) -> Scheduler {
        let config = SchedulerConfig {
            slots,
            holder: holder.to_owned(),
            ..SchedulerConfig::default()
        };
        Scheduler::new(jobs, Arc::new(self.script.clone()), config)
    }

    fn one(&self) -> TenantJobs {
        self.jobs.tenant(ONE)
    }

    /// What the runner was given last.
    fn last(&self) -> Given {
        self.script.0.lock().last().cloned().unwrap()
    }

    fn given(&self) -> usize {
        self.script.0.lock().len()
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Records in a tenant's tree.
    fn count(&self, tenant: Tenant, tree: tenon_store::Tree) -> usize {
        let all = self
            .store
            .scan(tenant, tree, &tenon_store::Key::new(), None, 100_000);
        all.unwrap().records.len()
    }
}

fn open_jobs(store: &Arc<SledStore>, clock: &ManualClock) -> Jobs {
    let store: Arc<dyn Store> = Arc::clone(store) as _;
    Jobs::open(store, Arc::new(clock.clone()), Arc::new(Choosy))
}

/// A job with one node that runs `at_once` times and is tried again `retries` times.
fn definition(at_once: i32, retries: i32) -> JobDefinition {
    let node = json!({"S3CsvSource": {"Name": "in", "Paths": ["in.csv"]}});
    JobDefinition {
        role: Some("role".to_owned()),
        execution_property: Some(ExecutionProperty {
            max_concurrent_runs: at_once,
        }),
        max_retries: Some(retries),
        code_gen_configuration_nodes: Some([("node-1".to_owned(), node)].into_iter().collect()),
        ..JobDefinition::default()
    }
}

fn arguments(pairs: &[(&str, &str)]) -> Arguments {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn bookmarks(node: &str, path: &str) -> BTreeMap<String, NodeBookmark> {
    let mut bookmark = NodeBookmark::default();
    let file = SeenFile {
        size: 1,
        etag: None,
        modified_millis: 1,
    };
    bookmark.add(path.to_owned(), file);
    [(node.to_owned(), bookmark)].into_iter().collect()
}
