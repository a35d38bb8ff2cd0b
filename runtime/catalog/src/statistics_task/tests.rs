//! Runs and settings on a real store: each way through the states, what stands in the way, and what a table leaves.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use tempfile::TempDir;
use tenon_store::{ManualClock, SledStore, Store, StoreConfig, Tenant, Tree};

use super::*;
use crate::stored;
use crate::{
    Catalog, Column, ColumnStatistics, ColumnStatisticsData, DatabaseInput, Error,
    NestedCatalogInput, RangeStatistics, StatisticsOf, StorageDescriptor, TableInput, Tags,
    TenantCatalog, Timestamp,
};

struct Fixture {
    _dir: TempDir,
    clock: Arc<ManualClock>,
    store: Arc<dyn Store>,
    catalog: TenantCatalog,
}

const TENANT: Tenant = Tenant::new(7);

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000),
    ));
    let config = StoreConfig {
        segment_bytes: 1 << 20,
        ..StoreConfig::default()
    };
    let store = SledStore::open(dir.path(), &config, clock.as_ref()).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let catalog = Catalog::open(Arc::clone(&store), clock.clone()).tenant(TENANT);
    create_table(&catalog, "t");
    Fixture {
        _dir: dir,
        clock,
        store,
        catalog,
    }
}

/// Table `name` of database `d` with a column `n`.
fn create_table(catalog: &TenantCatalog, name: &str) {
    let database = DatabaseInput {
        name: "d".to_owned(),
        ..Default::default()
    };
    let _ = catalog.create_database(database);
    let column = Column {
        name: "N".to_owned(),
        r#type: Some("bigint".to_owned()),
        ..Column::default()
    };
    let input = TableInput {
        name: name.to_owned(),
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
        database_name: "D".to_owned(),
        table_name: table.to_owned(),
        role: "r".to_owned(),
        ..StatisticsRunInput::default()
    }
}

/// Each run has its own byte.
fn start(catalog: &TenantCatalog, table: &str, byte: u8) -> crate::Result<StatisticsRun> {
    catalog.start_statistics_run([byte; 10], asked(table), 10)
}

fn found_out(column: &str, nulls: i64) -> ColumnStatistics {
    ColumnStatistics {
        column_name: column.to_owned(),
        column_type: "bigint".to_owned(),
        analyzed_time: Timestamp::from_unix_millis(5),
        statistics_data: ColumnStatisticsData {
            r#type: "LONG".to_owned(),
            long_column_statistics_data: Some(RangeStatistics {
                number_of_nulls: nulls,
                ..RangeStatistics::default()
            }),
            ..ColumnStatisticsData::default()
        },
    }
}

fn nulls(catalog: &TenantCatalog, table: &str) -> Option<i64> {
    let of = StatisticsOf {
        database: "d",
        table,
        partition: None,
    };
    let found = catalog.get_statistics(of, &["n".to_owned()]).unwrap();
    let data = found[0].clone().ok()?.statistics_data;
    Some(data.long_column_statistics_data.unwrap().number_of_nulls)
}

fn id(run: &StatisticsRun) -> &str {
    &run.column_statistics_task_run_id
}

/// Records of the tenant whose keys begin with this kind.
fn count(fixture: &Fixture, kind: u8) -> usize {
    let below = tenon_store::Key::new().with_u8(kind);
    let page = fixture.store.scan(TENANT, Tree::Object, &below, None, 1000);
    page.unwrap().records.len()
}

#[test]
fn a_run_goes_through_its_states() {
    let fixture = fixture();
    let catalog = &fixture.catalog;
    let run = start(catalog, "T", 1).unwrap();
    assert_eq!(run.status, StatisticsRunStatus::Starting);
    assert_eq!(run.input.table_name, "t");
    assert_eq!(catalog.statistics_runs_under_way().unwrap(), [id(&run)]);

    fixture.clock.advance(Duration::from_secs(1));
    let begun = catalog.begin_statistics_run(id(&run)).unwrap().unwrap();
    assert_eq!(begun.status, StatisticsRunStatus::Running);
    assert_eq!(
        begun.start_time,
        Some(Timestamp::from_unix_millis(1_001_000))
    );
    assert_eq!(
        catalog.begin_statistics_run(id(&run)).unwrap(),
        None,
        "only once"
    );

    fixture.clock.advance(Duration::from_secs(1));
    let ended = catalog.succeed_statistics_run(id(&run), &[found_out("n", 3)]);
    let ended = ended.unwrap();
    assert_eq!(ended.status, StatisticsRunStatus::Succeeded);
    assert_eq!(ended.end_time, Some(Timestamp::from_unix_millis(1_002_000)));
    assert_eq!(nulls(catalog, "t"), Some(3));
    assert_eq!(catalog.get_statistics_run(id(&run)).unwrap(), ended);
    assert!(catalog.statistics_runs_under_way().unwrap().is_empty());

    // What has ended stays as it is.
    let again = catalog.fail_statistics_run(id(&run), "late").unwrap();
    assert_eq!(again, ended);
    let again = catalog.succeed_statistics_run(id(&run), &[found_out("n", 9)]);
    assert_eq!(again.unwrap(), ended);
    assert_eq!(nulls(catalog, "t"), Some(3));
}

#[test]
fn a_table_has_one_run_under_way_and_a_tenant_a_few() {
    let Fixture { catalog, .. } = &fixture();
    let run = start(catalog, "t", 1).unwrap();
    let error = start(catalog, "t", 2).unwrap_err();
    assert!(matches!(&error, Error::InvalidState { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        format!("table d.t has a run under way: {}", id(&run))
    );
    create_table(catalog, "u");
    let error = catalog
        .start_statistics_run([3; 10], asked("u"), 1)
        .unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { .. }), "{error}");
    catalog.stop_statistics_run("d", "t").unwrap();
    catalog
        .start_statistics_run([3; 10], asked("u"), 1)
        .unwrap();
}

#[test]
fn what_cannot_be_found_out_is_refused_at_once() {
    let Fixture { catalog, .. } = &fixture();
    let said = |input: StatisticsRunInput| {
        let refused = catalog.start_statistics_run([1; 10], input, 10);
        refused.unwrap_err().to_string()
    };
    assert_eq!(said(asked("none")), "table d.none does not exist");
    let column = StatisticsRunInput {
        column_name_list: vec!["n".to_owned(), "x".to_owned()],
        ..asked("t")
    };
    assert_eq!(said(column), "table d.t has no column x");
    for sample in [0.0, -1.0, 100.5, f64::NAN] {
        let input = StatisticsRunInput {
            sample_size: Some(sample),
            ..asked("t")
        };
        assert!(said(input).contains("give a number above 0 and at most 100"));
    }
    let missing = catalog.get_statistics_run("nonsense").unwrap_err();
    assert!(matches!(missing, Error::NotFound { .. }));
}

#[test]
fn a_stopped_run_keeps_nothing() {
    let Fixture { catalog, .. } = &fixture();
    let none = catalog.stop_statistics_run("d", "t").unwrap_err();
    assert_eq!(none.to_string(), "no run of table d.t is under way");
    let waiting = start(catalog, "t", 1).unwrap();
    let stopped = catalog.stop_statistics_run("d", "T").unwrap();
    assert_eq!(
        (id(&stopped), stopped.status),
        (id(&waiting), StatisticsRunStatus::Stopped)
    );
    assert_eq!(catalog.begin_statistics_run(id(&waiting)).unwrap(), None);
    let running = start(catalog, "t", 2).unwrap();
    catalog.begin_statistics_run(id(&running)).unwrap();
    catalog.stop_statistics_run("d", "t").unwrap();
    let late = catalog.succeed_statistics_run(id(&running), &[found_out("n", 1)]);
    assert_eq!(late.unwrap().status, StatisticsRunStatus::Stopped);
    assert_eq!(nulls(catalog, "t"), None);
    let missing = catalog.stop_statistics_run("d", "none").unwrap_err();
    assert!(matches!(missing, Error::NotFound { .. }));
}

#[test]
fn what_does_not_fit_the_table_any_more_fails() {
    let Fixture { catalog, .. } = &fixture();
    let run = start(catalog, "t", 1).unwrap();
    let ended = catalog
        .succeed_statistics_run(id(&run), &[found_out("n", 1), found_out("gone", 1)])
        .unwrap();
    assert_eq!(ended.status, StatisticsRunStatus::Failed);
    let reason = ended.error_message.unwrap();
    assert!(reason.contains("has no column gone"), "{reason}");
    assert_eq!(nulls(catalog, "t"), None, "all or nothing");
    start(catalog, "t", 2).unwrap();
}

#[test]
fn a_table_created_again_never_meets_its_past() {
    let fixture = fixture();
    let catalog = &fixture.catalog;
    let old = start(catalog, "t", 1).unwrap();
    let settings = StatisticsSettingsInput {
        schedule: Some("cron(* * * * ? *)".to_owned()),
        ..Default::default()
    };
    let tags = Tags::from([("a".to_owned(), "b".to_owned())]);
    catalog
        .create_statistics_settings("d", "t", &settings, &tags)
        .unwrap();
    catalog.delete_table("d", "t").unwrap();
    for kind in [
        stored::STATISTICS_RUNS_OF_TABLE,
        stored::STATISTICS_SETTINGS,
        17,
    ] {
        assert_eq!(count(&fixture, kind), 0, "{kind}");
    }
    create_table(catalog, "t");
    let listed = catalog.list_statistics_runs_of_table("d", "t", None, 10);
    assert!(listed.unwrap().items.is_empty());
    let new = start(catalog, "t", 2).unwrap();
    let ended = catalog.succeed_statistics_run(id(&old), &[found_out("n", 1)]);
    assert_eq!(
        ended.unwrap().error_message.as_deref(),
        Some("table d.t was deleted meanwhile")
    );
    assert_eq!(nulls(catalog, "t"), None);
    assert_eq!(catalog.statistics_runs_under_way().unwrap(), [id(&new)]);
    // The schedule of the table that was is forgotten when it is due.
    fixture.clock.advance(Duration::from_secs(120));
    assert_eq!(catalog.take_due_statistics().unwrap(), []);
    assert_eq!(count(&fixture, 29), 0);
    assert_eq!(catalog.fsck(false).unwrap().findings, []);
}

#[test]
fn runs_of_nested_catalogs_are_found_by_their_id() {
    let fixture = fixture();
    let root = &fixture.catalog;
    root.create_catalog("lake", NestedCatalogInput::default(), &Tags::new())
        .unwrap();
    let lake = root.nested("lake").unwrap();
    create_table(&lake, "t");
    let of_root = start(root, "t", 1).unwrap();
    let of_lake = start(&lake, "t", 2).unwrap();
    assert_eq!(of_lake.catalog_name.as_deref(), Some("lake"));
    assert_eq!(root.get_statistics_run(id(&of_lake)).unwrap(), of_lake);
    root.succeed_statistics_run(id(&of_lake), &[found_out("n", 4)])
        .unwrap();
    assert_eq!((nulls(&lake, "t"), nulls(root, "t")), (Some(4), None));
    assert_eq!(root.statistics_runs_under_way().unwrap(), [id(&of_root)]);

    let of_lake = start(&lake, "t", 3).unwrap();
    root.delete_catalog("lake").unwrap();
    let ended = root.succeed_statistics_run(id(&of_lake), &[found_out("n", 4)]);
    assert_eq!(
        ended.unwrap().error_message.as_deref(),
        Some("catalog lake does not exist")
    );
}

#[test]
fn lists_have_pages_and_the_newest_first() {
    let fixture = fixture();
    let catalog = &fixture.catalog;
    let mut ids = Vec::new();
    for byte in 0..7 {
        fixture.clock.advance(Duration::from_millis(1));
        let run = start(catalog, "t", byte).unwrap();
        catalog.fail_statistics_run(id(&run), "no").unwrap();
        ids.insert(0, id(&run).to_owned());
    }
    let (mut all, mut of_table, mut token) = (Vec::new(), Vec::new(), None);
    loop {
        let page = catalog.list_statistics_runs(token.as_deref(), 3).unwrap();
        all.extend(page.items);
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    loop {
        let page = catalog
            .list_statistics_runs_of_table("d", "t", token.as_deref(), 3)
            .unwrap();
        of_table.extend(page.items.iter().map(|run| id(run).to_owned()));
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(all, ids);
    assert_eq!(of_table, ids);
}

#[test]
fn old_runs_are_forgotten() {
    let fixture = fixture();
    let catalog = &fixture.catalog;
    for number in 0..103u8 {
        fixture.clock.advance(Duration::from_millis(1));
        let run = start(catalog, "t", number).unwrap();
        catalog.fail_statistics_run(id(&run), "no").unwrap();
    }
    assert_eq!(count(&fixture, 26), 100, "of one table");
    let last = start(catalog, "t", 200).unwrap();
    fixture.clock.advance(Duration::from_secs(60));
    let now = Timestamp::from_unix_millis(1_060_000);
    catalog.prune_statistics_runs(now).unwrap();
    let left = catalog.list_statistics_runs(None, 1000).unwrap();
    assert_eq!(left.items, [id(&last)], "what is under way stays");
    let of_table = catalog.list_statistics_runs_of_table("d", "t", None, 1000);
    assert_eq!(of_table.unwrap().items, [last]);
}

#[test]
fn settings_are_kept_changed_and_deleted() {
    let fixture = fixture();
    let catalog = &fixture.catalog;
    let input = StatisticsSettingsInput {
        role: Some("r".to_owned()),
        schedule: Some("cron(0 1 * * ? *)".to_owned()),
        sample_size: Some(10.0),
        ..Default::default()
    };
    let create = |input: &StatisticsSettingsInput| {
        catalog.create_statistics_settings("D", "T", input, &Tags::new())
    };
    let missing = catalog.get_statistics_settings("d", "t").unwrap_err();
    assert!(matches!(missing, Error::NotFound { .. }));
    create(&input).unwrap();
    assert!(matches!(create(&input), Err(Error::AlreadyExists { .. })));
    let change =
        |input: StatisticsSettingsInput| catalog.update_statistics_settings("d", "t", &input);
    change(StatisticsSettingsInput {
        column_name_list: Some(vec!["N".to_owned()]),
        ..Default::default()
    })
    .unwrap();
    let found = catalog.get_statistics_settings("d", "t").unwrap();
    assert_eq!(
        (found.input.role.as_str(), found.input.sample_size),
        ("r", Some(10.0))
    );
    assert_eq!(found.input.column_name_list, ["N"]);
    let schedule = found.schedule.unwrap();
    assert_eq!(schedule.state, ScheduleState::Scheduled);
    for (bad, reason) in [
        (
            StatisticsSettingsInput {
                schedule: Some("daily".to_owned()),
                ..Default::default()
            },
            "is no schedule",
        ),
        (
            StatisticsSettingsInput {
                schedule: Some("cron(0 0 1 1 ? 1970)".to_owned()),
                ..Default::default()
            },
            "has no time left",
        ),
        (
            StatisticsSettingsInput {
                column_name_list: Some(vec!["x".to_owned()]),
                ..Default::default()
            },
            "no column x",
        ),
        (
            StatisticsSettingsInput {
                sample_size: Some(0.0),
                ..Default::default()
            },
            "above 0",
        ),
    ] {
        let error = change(bad).unwrap_err();
        assert!(
            matches!(&error, Error::InvalidInput { reason: said } if said.contains(reason)),
            "{error}"
        );
    }
    change(StatisticsSettingsInput {
        schedule: Some(String::new()),
        ..Default::default()
    })
    .unwrap();
    assert_eq!(count(&fixture, 29), 0, "nothing is due");
    let none = catalog.set_statistics_schedule("d", "t", ScheduleState::Scheduled);
    assert!(matches!(none, Err(Error::InvalidInput { .. })));
    catalog.delete_statistics_settings("d", "t").unwrap();
    let missing = catalog.delete_statistics_settings("d", "t").unwrap_err();
    assert!(matches!(missing, Error::NotFound { .. }));
}

#[test]
fn a_schedule_is_due_once_and_only_in_force() {
    let fixture = fixture();
    let catalog = &fixture.catalog;
    let input = StatisticsSettingsInput {
        role: Some("r".to_owned()),
        // At 01:00; the clock shows 00:16:40.
        schedule: Some("cron(0 1 * * ? *)".to_owned()),
        ..Default::default()
    };
    catalog
        .create_statistics_settings("d", "t", &input, &Tags::new())
        .unwrap();
    let due = || catalog.take_due_statistics().unwrap();
    assert_eq!(due(), []);
    fixture.clock.advance(Duration::from_secs(3600));
    let found = due();
    assert_eq!((found.len(), found[0].input.role.as_str()), (1, "r"));
    assert_eq!(due(), [], "once");
    // Days that passed while nobody asked are made up for once.
    fixture.clock.advance(Duration::from_secs(5 * 86_400));
    assert_eq!((due().len(), due().len()), (1, 0));
    catalog
        .set_statistics_schedule("d", "t", ScheduleState::NotScheduled)
        .unwrap();
    fixture.clock.advance(Duration::from_secs(86_400));
    assert_eq!(due(), []);
    catalog
        .set_statistics_schedule("d", "t", ScheduleState::Scheduled)
        .unwrap();
    assert_eq!(due(), [], "from now on");
    fixture.clock.advance(Duration::from_secs(86_400));
    assert_eq!(due().len(), 1);

    let attempt = ExecutionAttempt {
        status: "FAILED".to_owned(),
        column_statistics_task_run_id: None,
        execution_timestamp: Timestamp::from_unix_millis(1),
        error_message: Some("no".to_owned()),
    };
    catalog.note_statistics_attempt("d", "t", &attempt).unwrap();
    let found = catalog.get_statistics_settings("d", "t").unwrap();
    assert_eq!(found.last_execution_attempt, Some(attempt.clone()));
    catalog.delete_statistics_settings("d", "t").unwrap();
    catalog.note_statistics_attempt("d", "t", &attempt).unwrap();
    assert_eq!(count(&fixture, 29), 0);
}

/// A step of a run's life.
#[derive(Debug, Clone, Copy)]
enum Step {
    Start(u8),
    Begin(u8),
    Succeed(u8),
    Fail(u8),
    Stop,
    DeleteTable,
    CreateTable,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6u8).prop_map(Step::Start),
        3 => (0..6u8).prop_map(Step::Begin),
        3 => (0..6u8).prop_map(Step::Succeed),
        2 => (0..6u8).prop_map(Step::Fail),
        2 => Just(Step::Stop),
        1 => Just(Step::DeleteTable),
        2 => Just(Step::CreateTable),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever happens in whatever order: what ended never changes, the table has at most one run under way, and both
    /// indexes agree with the runs.
    #[test]
    fn states_only_go_forward(steps in proptest::collection::vec(step(), 1..40)) {
        let fixture = fixture();
        let catalog = &fixture.catalog;
        let at = Timestamp::from_unix_millis(1_000_000);
        let id = |byte: u8| StatisticsRunId::new(at, [byte; 10]).to_string();
        let mut ended = std::collections::BTreeMap::new();
        for step in steps {
            match step {
                Step::Start(byte) if catalog.get_statistics_run(&id(byte)).is_err() => drop(start(catalog, "t", byte)),
                Step::Start(_) => {}
                Step::Begin(byte) => drop(catalog.begin_statistics_run(&id(byte))),
                Step::Succeed(byte) => drop(catalog.succeed_statistics_run(&id(byte), &[found_out("n", 1)])),
                Step::Fail(byte) => drop(catalog.fail_statistics_run(&id(byte), "no")),
                Step::Stop => drop(catalog.stop_statistics_run("d", "t")),
                Step::DeleteTable => drop(catalog.delete_table("d", "t")),
                Step::CreateTable => {
                    if catalog.get_table("d", "t").is_err() {
                        create_table(catalog, "t");
                    }
                }
            }
            let mut under_way = Vec::new();
            for byte in 0..6 {
                let Ok(run) = catalog.get_statistics_run(&id(byte)) else { continue };
                if run.status.is_under_way() {
                    under_way.push(id(byte));
                    prop_assert!(!ended.contains_key(&byte));
                } else {
                    let before = ended.entry(byte).or_insert_with(|| run.clone());
                    prop_assert_eq!(&*before, &run);
                    prop_assert!(run.end_time.is_some());
                }
            }
            let mut indexed = catalog.statistics_runs_under_way().unwrap();
            indexed.sort();
            under_way.sort();
            prop_assert_eq!(&indexed, &under_way);
            if let Ok(page) = catalog.list_statistics_runs_of_table("d", "t", None, 100) {
                let of_table = page.items.iter().filter(|run| run.status.is_under_way()).count();
                prop_assert!(of_table <= 1);
            }
        }
    }
}

/// Stored bytes must still load, to the same meaning.
#[test]
fn golden_records_load_and_are_what_is_written() {
    fn same<T: serde::Serialize + serde::de::DeserializeOwned>(golden: &str) {
        let golden = golden.trim_end();
        let decoded: T = serde_json::from_str(golden).unwrap();
        assert_eq!(
            String::from_utf8(stored::encode(&decoded).unwrap()).unwrap(),
            golden
        );
    }
    same::<StatisticsRun>(include_str!("../../test-data/statistics-run-v1.json"));
    same::<TableRuns>(include_str!(
        "../../test-data/statistics-runs-of-table-v1.json"
    ));
    same::<StatisticsSettings>(include_str!("../../test-data/statistics-settings-v1.json"));
    same::<super::settings::Scheduled>(include_str!("../../test-data/statistics-schedule-v1.json"));
}
