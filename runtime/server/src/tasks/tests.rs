//! Runs with an analyst that does what the table's parameter `script` says, on a real store and a clock that stands.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use tenon_catalog::{
    Column, ColumnStatisticsData, DatabaseInput, RangeStatistics, StatisticsOf,
    StatisticsRunStatus, StatisticsSettingsInput, StorageDescriptor, Table, TableInput, Tags,
};
use tenon_store::{ManualClock, SledStore, StoreConfig};

use super::*;
use crate::identity::IdentityConfig;

/// How long something may take that happens by itself.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Scripted {
    now: AtomicUsize,
    most: AtomicUsize,
    dropped: Arc<AtomicUsize>,
}

/// Counts when it is dropped.
struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn script(table: &Table) -> &str {
    table.parameters.get("script").map_or("", String::as_str)
}

#[async_trait]
impl Analyst for Scripted {
    fn admit(&self, account: &str, table: &Table) -> Result<(), AnalysisError> {
        match script(table) {
            "refuse" => Err(AnalysisError(format!("account {account} may read nothing"))),
            _ => Ok(()),
        }
    }

    async fn analyze(&self, analysis: Analysis) -> Result<Vec<ColumnStatistics>, AnalysisError> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let _dropped = OnDrop(Arc::clone(&self.dropped));
        match script(&analysis.table) {
            "wait" => std::future::pending().await,
            "fail" => return Err(AnalysisError("t.csv:3:2: expected a number".to_owned())),
            "panic" => panic!("as the script says"),
            // Long enough for others to come.
            _ => sleep(Duration::from_millis(20)).await,
        }
        self.now.fetch_sub(1, Ordering::SeqCst);
        Ok(vec![ColumnStatistics {
            column_name: "n".to_owned(),
            column_type: "bigint".to_owned(),
            analyzed_time: analysis.analyzed_time,
            statistics_data: ColumnStatisticsData {
                r#type: "LONG".to_owned(),
                long_column_statistics_data: Some(RangeStatistics {
                    number_of_nulls: analysis.sample_percent as i64,
                    ..RangeStatistics::default()
                }),
                ..ColumnStatisticsData::default()
            },
        }])
    }
}

struct Fixture {
    _dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    identity: Identity,
    analyst: Arc<Scripted>,
    tasks: Tasks,
    catalog: TenantCatalog,
}

const ACCOUNT: &str = "111111111111";

fn fixture(limits: TaskLimits) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_000)));
    let config = StoreConfig {
        segment_bytes: 1 << 20,
        ..StoreConfig::default()
    };
    let store = SledStore::open(&dir.path().join("store"), &config, clock.as_ref()).unwrap();
    let config = IdentityConfig::new(dir.path());
    let identity = Identity::open(Arc::new(store), clock.clone(), config).unwrap();
    let analyst = Arc::new(Scripted::default());
    let known: Option<Arc<dyn Analyst>> = Some(analyst.clone());
    let tasks = Tasks::new(identity.clone(), ACCOUNT.to_owned(), known, limits);
    let (tenant, _) = identity.tenants(ACCOUNT).unwrap().remove(0);
    Fixture {
        catalog: identity.catalog().tenant(tenant),
        _dir: dir,
        clock,
        identity,
        analyst,
        tasks,
    }
}

/// Table `name` of database `d`.
fn create(catalog: &TenantCatalog, name: &str, script: &str) {
    let _ = catalog.create_database(DatabaseInput {
        name: "d".to_owned(),
        ..Default::default()
    });
    let column = Column {
        name: "n".to_owned(),
        r#type: Some("bigint".to_owned()),
        ..Column::default()
    };
    let input = TableInput {
        name: name.to_owned(),
        parameters: [("script".to_owned(), script.to_owned())].into(),
        storage_descriptor: Some(StorageDescriptor {
            columns: vec![column],
            ..Default::default()
        }),
        ..Default::default()
    };
    catalog.create_table("d", input).unwrap();
}

fn asked(table: &str) -> StatisticsRunInput {
    StatisticsRunInput {
        database_name: "d".to_owned(),
        table_name: table.to_owned(),
        role: "r".to_owned(),
        ..StatisticsRunInput::default()
    }
}

impl Fixture {
    fn start(&self, table: &str) -> String {
        let run = self.tasks.start(&self.catalog, ACCOUNT, asked(table));
        run.unwrap().column_statistics_task_run_id
    }

    fn refused(&self, table: &str) -> (&'static str, String) {
        let run = self.tasks.start(&self.catalog, ACCOUNT, asked(table));
        let fault = run.unwrap_err();
        (fault.name, fault.message)
    }

    fn run(&self, id: &str) -> StatisticsRun {
        self.catalog.get_statistics_run(id).unwrap()
    }

    /// The run after it ended, or began.
    async fn until(&self, id: &str, is_so: fn(StatisticsRunStatus) -> bool) -> StatisticsRun {
        let wait = async {
            loop {
                let run = self.run(id);
                if is_so(run.status) {
                    return run;
                }
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, wait).await.unwrap()
    }

    async fn ended(&self, id: &str) -> StatisticsRun {
        self.until(id, |status| !status.is_under_way()).await
    }

    async fn begun(&self, id: &str) -> StatisticsRun {
        self.until(id, |status| status == StatisticsRunStatus::Running)
            .await
    }
}

#[tokio::test]
async fn a_run_ends_with_what_was_found_out() {
    let fixture = fixture(TaskLimits::default());
    create(&fixture.catalog, "t", "");
    let input = StatisticsRunInput {
        sample_size: Some(25.0),
        ..asked("t")
    };
    let run = fixture
        .tasks
        .start(&fixture.catalog, ACCOUNT, input)
        .unwrap();
    assert_eq!(run.status, StatisticsRunStatus::Starting);
    let _work = tokio::spawn(fixture.tasks.clone().work());
    let run = fixture.ended(&run.column_statistics_task_run_id).await;
    assert_eq!(run.status, StatisticsRunStatus::Succeeded, "{run:?}");
    let of = StatisticsOf {
        database: "d",
        table: "t",
        partition: None,
    };
    let found = fixture
        .catalog
        .get_statistics(of, &["n".to_owned()])
        .unwrap();
    let data = found[0].clone().unwrap().statistics_data;
    assert_eq!(
        data.long_column_statistics_data.unwrap().number_of_nulls,
        25
    );
}

#[tokio::test]
async fn whatever_goes_wrong_is_how_the_run_ended() {
    let fixture = fixture(TaskLimits {
        time: Duration::from_millis(30),
        ..TaskLimits::default()
    });
    let _work = tokio::spawn(fixture.tasks.clone().work());
    for (script, reason) in [
        ("fail", "t.csv:3:2: expected a number"),
        ("panic", "it ended unexpectedly; the server's log says why"),
        ("wait", "it took longer than 0 seconds, which is the limit"),
    ] {
        create(&fixture.catalog, script, script);
        let run = fixture.ended(&fixture.start(script)).await;
        assert_eq!(run.status, StatisticsRunStatus::Failed);
        assert_eq!(run.error_message.as_deref(), Some(reason));
    }
    create(&fixture.catalog, "gone", "wait");
    let run = fixture.start("gone");
    fixture.catalog.delete_table("d", "gone").unwrap();
    let run = fixture.ended(&run).await;
    assert_eq!(run.status, StatisticsRunStatus::Failed);
}

#[tokio::test]
async fn what_may_not_be_read_is_refused_at_once() {
    let fixture = fixture(TaskLimits {
        under_way_per_account: 1,
        ..TaskLimits::default()
    });
    create(&fixture.catalog, "closed", "refuse");
    let denied = "AccessDeniedException";
    assert_eq!(fixture.refused("none").0, "EntityNotFoundException");
    let reason = format!("account {ACCOUNT} may read nothing");
    assert_eq!(fixture.refused("closed"), (denied, reason));
    create(&fixture.catalog, "t", "");
    create(&fixture.catalog, "u", "");
    fixture.start("t");
    assert_eq!(
        fixture.refused("t").0,
        "ColumnStatisticsTaskRunningException"
    );
    assert_eq!(
        fixture.refused("u").0,
        "ResourceNumberLimitExceededException"
    );
    let (identity, account) = (fixture.identity.clone(), ACCOUNT.to_owned());
    let blind = Tasks::new(identity, account, None, TaskLimits::default());
    let fault = blind
        .start(&fixture.catalog, ACCOUNT, asked("t"))
        .unwrap_err();
    assert_eq!(fault.name, denied);
    assert!(fault.message.starts_with("this server reads no data"));
}

/// Changed between asking and beginning: what was granted then counts for nothing.
#[tokio::test]
async fn what_a_table_became_meanwhile_may_not_be_read_either() {
    let fixture = fixture(TaskLimits::default());
    create(&fixture.catalog, "t", "");
    let run = fixture.start("t");
    let input = TableInput {
        name: "t".to_owned(),
        parameters: [("script".to_owned(), "refuse".to_owned())].into(),
        ..Default::default()
    };
    fixture
        .catalog
        .update_table("d", input, &tenon_catalog::UpdateTable::default())
        .unwrap();
    let _work = tokio::spawn(fixture.tasks.clone().work());
    let run = fixture.ended(&run).await;
    let reason = format!("account {ACCOUNT} may read nothing");
    assert_eq!(run.error_message, Some(reason));
}

#[tokio::test]
async fn stopping_drops_what_is_executed_and_what_waits() {
    let fixture = fixture(TaskLimits {
        running: 1,
        ..TaskLimits::default()
    });
    for table in ["running", "waiting"] {
        create(&fixture.catalog, table, "wait");
    }
    let _work = tokio::spawn(fixture.tasks.clone().work());
    let running = fixture.start("running");
    fixture.begun(&running).await;
    let waiting = fixture.start("waiting");
    let stop = |table: &str| fixture.tasks.stop(&fixture.catalog, "d", table);
    for (table, run) in [("waiting", waiting), ("running", running)] {
        stop(table).unwrap();
        assert_eq!(fixture.run(&run).status, StatisticsRunStatus::Stopped);
        let name = stop(table).unwrap_err().name;
        assert_eq!(name, "ColumnStatisticsTaskNotRunningException");
    }
    let dropped = async {
        while !lock(&fixture.tasks.0.queue).running.is_empty() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, dropped).await.unwrap();
    assert_eq!(stop("none").unwrap_err().name, "EntityNotFoundException");
    // The place is free again.
    create(&fixture.catalog, "next", "");
    fixture.ended(&fixture.start("next")).await;
    // One may have been dropped before it came to its first line.
    assert!(fixture.analyst.dropped.load(Ordering::SeqCst) >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_account_does_not_stand_in_the_way_of_another() {
    let fixture = fixture(TaskLimits::default());
    let other = fixture.identity.catalog().tenant(Tenant::new(2));
    let _work = tokio::spawn(fixture.tasks.clone().work());
    for table in ["a", "b", "c"] {
        create(
            &fixture.catalog,
            table,
            if table == "a" { "wait" } else { "" },
        );
    }
    let runs = ["a", "b", "c"].map(|table| fixture.start(table));
    create(&other, "t", "");
    let of_other = fixture
        .tasks
        .start(&other, "222222222222", asked("t"))
        .unwrap();
    let wait = async {
        let id = &of_other.column_statistics_task_run_id;
        while other.get_statistics_run(id).unwrap().status.is_under_way() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap();
    assert_eq!(fixture.run(&runs[1]).status, StatisticsRunStatus::Starting);
    fixture.tasks.stop(&fixture.catalog, "d", "a").unwrap();
    for run in &runs[1..] {
        let run = fixture.ended(run).await;
        assert_eq!(run.status, StatisticsRunStatus::Succeeded);
    }
    assert!(
        fixture.analyst.most.load(Ordering::SeqCst) <= 3,
        "the stopped one is counted still"
    );
}

#[test]
fn the_first_that_may_is_taken() {
    let order = |tenant: u32, run: &str| Order {
        tenant: Tenant::new(tenant),
        account: String::new(),
        run: run.to_owned(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut queue = Queue::default();
    queue
        .waiting
        .extend([order(1, "a"), order(1, "b"), order(2, "c"), order(3, "d")]);
    let limits = TaskLimits::default();
    for expected in ["a", "c"] {
        let taken = queue.take(&limits).unwrap();
        assert_eq!(taken.run, expected);
        let handle = runtime.spawn(std::future::pending::<()>()).abort_handle();
        queue.running.insert(handle.id(), (taken, handle));
    }
    assert_eq!(queue.take(&limits), None, "two are executed");
    queue.cancel("b");
    queue.running.retain(|_, (order, _)| order.run != "a");
    assert_eq!(queue.take(&limits).unwrap().run, "d");
}

#[tokio::test]
async fn what_was_left_under_way_has_failed() {
    let fixture = fixture(TaskLimits::default());
    for table in ["running", "waiting"] {
        create(&fixture.catalog, table, "wait");
    }
    let work = tokio::spawn(fixture.tasks.clone().work());
    let running = fixture.start("running");
    fixture.begun(&running).await;
    let waiting = fixture.start("waiting");
    work.abort();
    assert!(work.await.unwrap_err().is_cancelled());
    let (identity, account) = (fixture.identity.clone(), ACCOUNT.to_owned());
    let next = Tasks::new(
        identity,
        account,
        Some(fixture.analyst.clone()),
        TaskLimits::default(),
    );
    next.take_over().unwrap();
    for run in [running, waiting] {
        let run = fixture.run(&run);
        assert_eq!(run.status, StatisticsRunStatus::Failed);
        let reason = run.error_message.unwrap();
        assert!(
            reason.starts_with("the server was stopped before the run ended"),
            "{reason}"
        );
    }
    next.start(&fixture.catalog, ACCOUNT, asked("running"))
        .unwrap();
}

#[tokio::test]
async fn what_is_due_is_started_by_itself() {
    let fixture = fixture(TaskLimits::default());
    let catalog = &fixture.catalog;
    let _work = tokio::spawn(fixture.tasks.clone().work());
    for (table, script) in [("t", ""), ("closed", "refuse")] {
        create(catalog, table, script);
        let settings = StatisticsSettingsInput {
            role: Some("r".to_owned()),
            schedule: Some("cron(0 * * * ? *)".to_owned()),
            ..Default::default()
        };
        catalog
            .create_statistics_settings("d", table, &settings, &Tags::new())
            .unwrap();
    }
    fixture.tasks.start_due().unwrap();
    assert_eq!(
        catalog.list_statistics_runs(None, 10).unwrap().items,
        [""; 0]
    );
    fixture.clock.advance(Duration::from_secs(3600));
    fixture.tasks.start_due().unwrap();
    fixture.tasks.start_due().unwrap();
    let runs = catalog.list_statistics_runs(None, 10).unwrap().items;
    assert_eq!(runs.len(), 1);
    let run = fixture.ended(&runs[0]).await;
    assert_eq!(run.status, StatisticsRunStatus::Succeeded);
    let attempt = |table: &str| {
        let settings = catalog.get_statistics_settings("d", table).unwrap();
        settings.last_execution_attempt.unwrap()
    };
    let started = attempt("t");
    assert_eq!(
        (
            started.status.as_str(),
            &started.column_statistics_task_run_id
        ),
        ("STARTED", &Some(runs[0].clone()))
    );
    let failed = attempt("closed");
    assert_eq!(failed.status, "FAILED");
    assert!(failed.error_message.unwrap().contains("may read nothing"));
    // And forgotten after its time.
    fixture.clock.advance(RETENTION + Duration::from_secs(3600));
    fixture.tasks.prune().unwrap();
    assert_eq!(
        catalog.list_statistics_runs(None, 10).unwrap().items,
        [""; 0]
    );
}
