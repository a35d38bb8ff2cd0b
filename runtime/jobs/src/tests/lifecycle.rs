//! One thing after another: what happens to jobs and runs.

use tenon_store::{Key, Transaction, Tree};

use super::*;

/// Why a run did not succeed, without what to try.
fn problem_of(run: JobRun) -> String {
    let message = run.error_message.unwrap();
    let (problem, hint) = message.split_once("; try: ").unwrap();
    assert!(!hint.is_empty());
    problem.to_owned()
}

fn start(jobs: &TenantJobs, job: &str) -> String {
    jobs.start_run(job, &StartRun::default()).unwrap()
}

fn state(jobs: &TenantJobs, job: &str, id: &str) -> RunState {
    jobs.get_run(job, id).unwrap().job_run_state
}

#[test]
fn a_job_is_kept_as_it_was_given_with_the_defaults() {
    let bench = Bench::new();
    let jobs = bench.one();
    let given = JobDefinition {
        glue_version: Some("4.0".to_owned()),
        execution_property: None,
        max_retries: None,
        ..definition(1, 0)
    };
    let tags: Tags = [("team".to_owned(), "a".to_owned())].into_iter().collect();
    jobs.create_job("J", given, tags.clone()).unwrap();
    let job = jobs.get_job("J").unwrap();
    let expected = json!({
        "Name": "J", "CreatedOn": 1_764_000_000.0, "LastModifiedOn": 1_764_000_000.0, "Role": "role",
        "ExecutionProperty": {"MaxConcurrentRuns": 1}, "MaxRetries": 0, "Timeout": 2880, "GlueVersion": "4.0",
        "CodeGenConfigurationNodes": {"node-1": {"S3CsvSource": {"Name": "in", "Paths": ["in.csv"]}}},
    });
    assert_eq!(serde_json::to_value(&job).unwrap(), expected);
    assert_eq!(jobs.job_tags("J").unwrap(), tags);
    jobs.get_job("j").unwrap_err();
    bench.jobs.tenant(TWO).get_job("J").unwrap_err();

    bench.advance(5);
    jobs.update_job("J", definition(3, 1)).unwrap();
    let job = jobs.get_job("J").unwrap();
    assert_eq!(
        job.definition.glue_version, None,
        "what is left out is gone"
    );
    assert!(job.created_on < job.last_modified_on);
    assert_eq!(
        jobs.job_tags("J").unwrap(),
        tags,
        "tags are no part of the definition"
    );
}

#[test]
fn what_cannot_run_is_refused_at_once() {
    let bench = Bench::new();
    let jobs = bench.one();
    let refused = |definition: JobDefinition| {
        let refused = jobs.create_job("j", definition, Tags::new());
        refused.unwrap_err().to_string()
    };
    let bad = json!({"bad": {}}).as_object().cloned();
    let with = |change: &dyn Fn(&mut JobDefinition)| {
        let mut changed = definition(1, 0);
        change(&mut changed);
        changed
    };
    type Spoil<'a> = &'a dyn Fn(&mut JobDefinition);
    let cases: [(Spoil<'_>, &str); 6] = [
        (
            &|d| d.code_gen_configuration_nodes.clone_from(&bad),
            "node \"bad\": cannot run",
        ),
        (
            &|d| d.code_gen_configuration_nodes = None,
            "the job has no CodeGenConfigurationNodes",
        ),
        (
            &|d| d.max_retries = Some(11),
            "MaxRetries is 11, it must be 0 to 10",
        ),
        (
            &|d| d.timeout = Some(10_081),
            "Timeout is 10081, it must be 1 to 10080",
        ),
        (
            &|d| {
                d.execution_property = Some(ExecutionProperty {
                    max_concurrent_runs: 0,
                })
            },
            "MaxConcurrentRuns is 0, it must be 1 to 1000",
        ),
        (
            &|d| d.default_arguments = Some(arguments(&[("--tenon-priority", "10")])),
            "the argument --tenon-priority is \"10\", it must be 0 to 9",
        ),
    ];
    for (change, message) in cases {
        let text = refused(with(change));
        assert!(text.starts_with(message), "{text}");
    }
    jobs.create_job("j", definition(1, 0), Tags::new()).unwrap();
    assert_eq!(refused(definition(1, 0)), "job j already exists");
    let worse = with(&|d| d.code_gen_configuration_nodes.clone_from(&bad));
    jobs.update_job("j", worse).unwrap_err();
    assert!(
        jobs.get_job("j")
            .unwrap()
            .definition
            .nodes()
            .unwrap()
            .contains_key("node-1")
    );
}

#[test]
fn a_run_goes_from_the_queue_to_its_success() {
    let bench = Bench::new();
    let jobs = bench.one();
    let by_bookmark = ("--job-bookmark-option", "job-bookmark-enable");
    let given = JobDefinition {
        default_arguments: Some(arguments(&[
            ("--a", "job"),
            ("--b", "job"),
            ("--c", "job"),
            by_bookmark,
        ])),
        non_overridable_arguments: Some(arguments(&[("--c", "fixed")])),
        ..definition(1, 0)
    };
    jobs.create_job("j", given, Tags::new()).unwrap();
    let own = StartRun {
        arguments: Some(arguments(&[("--b", "run"), ("--c", "run")])),
        ..StartRun::default()
    };
    let id = jobs.start_run("j", &own).unwrap();
    assert_eq!(state(&jobs, "j", &id), RunState::Waiting);
    let mut scheduler = bench.scheduler(2);
    scheduler.tick().unwrap();
    assert_eq!(state(&jobs, "j", &id), RunState::Starting);
    let given = bench.last();
    let effective = arguments(&[
        ("--a", "job"),
        ("--b", "run"),
        ("--c", "fixed"),
        by_bookmark,
    ]);
    assert_eq!(given.request.arguments, effective);
    assert_eq!(
        (given.request.run.as_str(), given.request.bookmarks.as_ref()),
        (id.as_str(), Some(&BTreeMap::new()))
    );

    given.report(Report::Started);
    scheduler.tick().unwrap();
    assert_eq!(state(&jobs, "j", &id), RunState::Running);
    let progress = |rows_out| RunMetrics {
        nodes: vec![NodeMetrics {
            node: "node-1".to_owned(),
            rows_out,
            ..NodeMetrics::default()
        }],
        peak_memory_bytes: None,
        ..RunMetrics::default()
    };
    given.report(Report::Progress(progress(7)));
    bench.advance(11);
    scheduler.tick().unwrap();
    let run = jobs.get_run("j", &id).unwrap();
    assert_eq!(
        run.state_detail.as_deref(),
        Some("node-1: 7 rows"),
        "with the lease"
    );
    given.report(Report::Ready);
    scheduler.tick().unwrap();
    assert!(given.said().published);

    let place = Key::new().with_u8(99);
    let (also_place, metrics) = (place.clone(), progress(9));
    given.report(Report::Ended(Outcome::Succeeded(Success {
        metrics,
        also: Some(Arc::new(move |transaction: Transaction| {
            Ok(transaction.put(Tree::Object, also_place.clone(), 1, b"table".to_vec()))
        })),
        bookmarks: bookmarks("node-1", "in.csv"),
        learned: None,
    })));
    jobs.get_bookmark("j", None).unwrap_err();
    scheduler.tick().unwrap();
    let run = jobs.get_run("j", &id).unwrap();
    assert_eq!(
        (run.job_run_state, run.execution_time),
        (RunState::Succeeded, 11)
    );
    assert_eq!(run.state_detail.as_deref(), Some("node-1: 9 rows"));
    let also = bench.store.get(ONE, Tree::Object, &place).unwrap().unwrap();
    let seq = |tree, key: &Key| bench.store.get(ONE, tree, key).unwrap().unwrap().seq;
    let written = [
        seq(Tree::Run, &stored::run(given.key().place)),
        seq(Tree::Run, &stored::tally(1)),
        seq(Tree::Bookmark, &stored::bookmark(1)),
    ];
    assert_eq!(
        written, [also.seq; 3],
        "run, tally, table and bookmark in one transaction"
    );
    let entry = jobs.get_bookmark("j", Some(&id)).unwrap();
    assert_eq!((entry.version, entry.run, entry.attempt), (1, 1, 0));
    assert_eq!(bench.count(ONE, Tree::Due), 0);
    assert!(given.said().dropped);
}

#[test]
fn a_failure_is_tried_again_as_often_as_the_job_says() {
    let bench = Bench::new();
    let jobs = bench.one();
    jobs.create_job("j", definition(1, 2), Tags::new()).unwrap();
    let id = start(&jobs, "j");
    let mut scheduler = bench.scheduler(1);
    for attempt in 0..3 {
        scheduler.tick().unwrap();
        assert_eq!(bench.last().request.attempt, attempt);
        bench.last().report(Report::Started);
        bench.last().fail("no such file: in.csv");
        scheduler.tick().unwrap();
    }
    scheduler.tick().unwrap();
    assert_eq!(bench.given(), 3);
    let runs = jobs.list_runs("j", None, 10).unwrap().items;
    let ids: Vec<_> = runs.iter().map(|run| run.id.clone()).collect();
    assert_eq!(
        ids,
        [
            format!("{id}_attempt_2"),
            format!("{id}_attempt_1"),
            id.clone()
        ]
    );
    assert_eq!(runs[0].previous_run_id, Some(format!("{id}_attempt_1")));
    for run in &runs {
        assert_eq!(run.job_run_state, RunState::Failed);
        let message = run.error_message.as_deref();
        assert_eq!(message, Some("no such file: in.csv; try: what helps"));
    }
    let pages = jobs.list_runs("j", None, 2).unwrap();
    assert_eq!(pages.items.len(), 2);
    let rest = jobs.list_runs("j", pages.next.as_deref(), 2).unwrap();
    assert_eq!((rest.items[0].id.as_str(), rest.next), (id.as_str(), None));
}

#[test]
fn runs_stop_whether_they_wait_work_or_do_not_listen() {
    let bench = Bench::new();
    let jobs = bench.one();
    jobs.create_job("j", definition(2, 3), Tags::new()).unwrap();
    let ids = [start(&jobs, "j"), start(&jobs, "j"), start(&jobs, "j")];
    let mut scheduler = bench.scheduler(2);
    scheduler.tick().unwrap();
    let given: Vec<_> = bench.script.0.lock().clone();
    given[0].report(Report::Started);
    scheduler.tick().unwrap();
    for id in &ids {
        jobs.stop_run("j", id).unwrap();
        jobs.stop_run("j", ids[0].as_str()).unwrap();
    }
    assert_eq!(state(&jobs, "j", &ids[0]), RunState::Stopping);
    assert_eq!(
        state(&jobs, "j", &ids[2]),
        RunState::Stopped,
        "it was waiting"
    );
    scheduler.tick().unwrap();
    assert!(
        given
            .iter()
            .all(|given| given.said().cancelled && !given.said().dropped)
    );
    given[0].report(Report::Ended(Outcome::Cancelled));
    scheduler.tick().unwrap();
    assert_eq!(state(&jobs, "j", &ids[0]), RunState::Stopped);
    // The other one spins.
    assert_eq!(state(&jobs, "j", &ids[1]), RunState::Stopping);
    bench.clock.advance(Duration::from_millis(800));
    scheduler.tick().unwrap();
    assert_eq!(state(&jobs, "j", &ids[1]), RunState::Stopped);
    assert!(given[1].said().dropped, "its worker is ended");
    let error = jobs.stop_run("j", &ids[0]).unwrap_err();
    assert!(
        error.to_string().ends_with("has ended: it is STOPPED"),
        "{error}"
    );
    assert_eq!(
        jobs.list_runs("j", None, 10).unwrap().items.len(),
        3,
        "nothing is tried again"
    );
}

#[test]
fn results_that_are_being_published_are_neither_stopped_nor_out_of_time() {
    let bench = Bench::new();
    let jobs = bench.one();
    let quick = JobDefinition {
        timeout: Some(1),
        ..definition(1, 0)
    };
    jobs.create_job("j", quick, Tags::new()).unwrap();
    let id = start(&jobs, "j");
    let mut scheduler = bench.scheduler(1);
    scheduler.tick().unwrap();
    let given = bench.last();
    given.report(Report::Started);
    given.report(Report::Ready);
    scheduler.tick().unwrap();
    assert!(given.said().published);
    jobs.stop_run("j", &id).unwrap();
    bench.advance(90);
    scheduler.tick().unwrap();
    assert!(!given.said().cancelled && !given.said().dropped);
    given.succeed();
    scheduler.tick().unwrap();
    assert_eq!(state(&jobs, "j", &id), RunState::Succeeded);
}

#[test]
fn a_stop_before_publishing_wins() {
    let bench = Bench::new();
    let jobs = bench.one();
    jobs.create_job("j", definition(1, 0), Tags::new()).unwrap();
    let id = start(&jobs, "j");
    let mut scheduler = bench.scheduler(1);
    scheduler.tick().unwrap();
    let given = bench.last();
    given.report(Report::Started);
    scheduler.tick().unwrap();
    jobs.stop_run("j", &id).unwrap();
    given.report(Report::Ready);
    scheduler.tick().unwrap();
    assert!(!given.said().published && given.said().cancelled);
}

#[test]
fn a_run_out_of_time_is_ended_and_its_late_success_is_nothing() {
    let bench = Bench::new();
    let jobs = bench.one();
    let quick = JobDefinition {
        timeout: Some(1),
        ..definition(1, 5)
    };
    jobs.create_job("j", quick, Tags::new()).unwrap();
    let id = start(&jobs, "j");
    let mut scheduler = bench.scheduler(1);
    scheduler.tick().unwrap();
    bench.last().report(Report::Started);
    scheduler.tick().unwrap();
    bench.advance(60);
    scheduler.tick().unwrap();
    let run = jobs.get_run("j", &id).unwrap();
    assert_eq!(run.job_run_state, RunState::Timeout);
    let message = problem_of(run);
    assert_eq!(message, "the run took longer than its Timeout of 1 minutes");
    bench.last().succeed();
    scheduler.tick().unwrap();
    assert_eq!(state(&jobs, "j", &id), RunState::Timeout);
    assert_eq!(bench.given(), 1, "not tried again");
}

#[test]
fn a_restart_takes_up_what_was_under_way() {
    let bench = Bench::new();
    let jobs = bench.one();
    jobs.create_job("again", definition(1, 1), Tags::new())
        .unwrap();
    jobs.create_job("once", definition(1, 0), Tags::new())
        .unwrap();
    let (again, once) = (start(&jobs, "again"), start(&jobs, "once"));
    let waiting = start(&jobs, "once");
    let mut scheduler = bench.scheduler(4);
    scheduler.tick().unwrap();
    let late = bench.script.0.lock().clone();
    late.iter().for_each(|given| given.report(Report::Started));
    scheduler.tick().unwrap();
    drop(scheduler);

    let mut next = bench.scheduler(4);
    assert_eq!(next.recover().unwrap(), 2);
    let run = jobs.get_run("once", &once).unwrap();
    assert_eq!(run.job_run_state, RunState::Failed);
    let message = problem_of(run);
    assert_eq!(message, "the server ended while the run was under way");
    assert_eq!(
        state(&jobs, "once", &waiting),
        RunState::Waiting,
        "it is where it was"
    );
    next.tick().unwrap();
    assert_eq!(
        state(&jobs, "again", &format!("{again}_attempt_1")),
        RunState::Starting
    );
    assert_eq!(state(&jobs, "once", &waiting), RunState::Starting);
    // What the old workers say reaches nobody, and nothing under their tokens is accepted.
    for given in &late {
        let job = jobs.clone();
        job.succeed(given.key(), &Success::default(), false)
            .unwrap_err();
        job.begin(given.key()).unwrap_err();
    }
}

#[test]
fn a_lease_that_nobody_renews_ends() {
    let bench = Bench::new();
    let jobs = bench.one();
    jobs.create_job("j", definition(1, 1), Tags::new()).unwrap();
    let id = start(&jobs, "j");
    let mut frozen = bench.scheduler(1);
    frozen.tick().unwrap();
    let late = bench.last();
    late.report(Report::Started);
    frozen.tick().unwrap();
    let elsewhere = open_jobs(&bench.store, &bench.clock);
    let mut other = bench.scheduler_of(&elsewhere, 1, "two");
    other.tick().unwrap();
    assert_eq!(bench.given(), 1, "the lease holds");
    bench.advance(61);
    other.tick().unwrap();
    assert_eq!(state(&jobs, "j", &id), RunState::Failed);
    assert_eq!(bench.last().request.attempt, 1);
    late.succeed();
    frozen.tick().unwrap();
    assert_eq!(state(&jobs, "j", &id), RunState::Failed, "too late");
    assert!(late.said().dropped);
}

#[test]
fn at_most_so_many_runs_of_a_job_are_under_way() {
    let bench = Bench::new();
    let jobs = bench.one();
    let impatient = JobDefinition {
        job_run_queuing_enabled: Some(false),
        ..definition(2, 0)
    };
    jobs.create_job("j", impatient, Tags::new()).unwrap();
    jobs.create_job("patient", definition(2, 0), Tags::new())
        .unwrap();
    for _ in 0..2 {
        start(&jobs, "j");
    }
    for _ in 0..5 {
        start(&jobs, "patient");
    }
    let refused = jobs.start_run("j", &StartRun::default()).unwrap_err();
    assert!(matches!(
        refused,
        Error::TooManyRuns {
            active: 2,
            limit: 2,
            ..
        }
    ));
    let waits = StartRun {
        queuing: Some(true),
        ..StartRun::default()
    };
    jobs.start_run("j", &waits).unwrap();
    let mut scheduler = bench.scheduler(10);
    scheduler.tick().unwrap();
    assert_eq!(bench.given(), 4);
    let wider = JobDefinition {
        job_run_queuing_enabled: Some(false),
        ..definition(3, 0)
    };
    jobs.update_job("j", wider).unwrap();
    scheduler.tick().unwrap();
    assert_eq!(bench.given(), 5);
}

#[test]
fn one_request_starts_one_run() {
    let bench = Bench::new();
    let jobs = bench.one();
    jobs.create_job("j", definition(1, 0), Tags::new()).unwrap();
    let request = StartRun {
        client_token: Some("t".to_owned()),
        ..StartRun::default()
    };
    let id = jobs.start_run("j", &request).unwrap();
    assert_eq!(jobs.start_run("j", &request).unwrap(), id);
    let other = StartRun {
        timeout: Some(5),
        ..request.clone()
    };
    let refused = jobs.start_run("j", &other).unwrap_err();
    assert!(matches!(refused, Error::TokenReused { .. }));
    assert_eq!(jobs.list_runs("j", None, 10).unwrap().items.len(), 1);
    let mut scheduler = bench.scheduler(1);
    bench.advance(24 * 60 * 60);
    scheduler.tick().unwrap();
    assert_ne!(
        jobs.start_run("j", &request).unwrap(),
        id,
        "a day later it is another one"
    );
}

#[test]
fn slots_go_round_between_tenants_and_priorities_order_within_one() {
    let bench = Bench::new();
    let two = bench.jobs.tenant(TWO);
    for jobs in [&bench.one(), &two] {
        jobs.create_job("j", definition(1000, 0), Tags::new())
            .unwrap();
    }
    for _ in 0..20 {
        start(&bench.one(), "j");
    }
    bench.advance(1);
    let low = start(&two, "j");
    let urgent = StartRun {
        arguments: Some(arguments(&[("--tenon-priority", "9")])),
        ..StartRun::default()
    };
    bench.advance(1);
    let high = two.start_run("j", &urgent).unwrap();
    let mut scheduler = bench.scheduler(2);
    let mut order = Vec::new();
    for _ in 0..4 {
        scheduler.tick().unwrap();
        let given = bench.script.0.lock().split_off(0);
        for run in given {
            order.push((run.request.tenant, run.request.run.clone()));
            run.report(Report::Started);
            run.succeed();
        }
    }
    let tenants: Vec<_> = order.iter().map(|(tenant, _)| tenant.number()).collect();
    assert_eq!(tenants[..4], [1, 2, 1, 2]);
    let of_two = order.iter().filter(|(tenant, _)| *tenant == TWO);
    let of_two: Vec<_> = of_two.map(|(_, id)| id.clone()).collect();
    assert_eq!(of_two, [high, low]);
}

#[test]
fn who_waits_too_long_expires_and_a_deleted_job_takes_everything_along() {
    let bench = Bench::new();
    let jobs = bench.one();
    jobs.create_job("j", definition(1, 3), Tags::new()).unwrap();
    let (first, second) = (start(&jobs, "j"), start(&jobs, "j"));
    let mut scheduler = bench.scheduler(1);
    scheduler.tick().unwrap();
    bench.last().report(Report::Started);
    for _ in 0..(7 * 24 * 60) {
        bench.advance(60);
        // Half a minute would do; the lease is 30 s.
        scheduler.tick().unwrap();
        if jobs.get_run("j", &second).unwrap().job_run_state.is_final() {
            break;
        }
    }
    assert_eq!(state(&jobs, "j", &first), RunState::Timeout);
    jobs.delete_job("j").unwrap();
    jobs.delete_job("j").unwrap();
    jobs.list_runs("j", None, 1).unwrap_err();
    scheduler.tick().unwrap();
    for tree in [Tree::Run, Tree::Due, Tree::Bookmark, Tree::Idempotency] {
        assert_eq!(bench.count(ONE, tree), 0, "{tree}");
    }
    jobs.create_job("j", definition(1, 0), Tags::new()).unwrap();
    assert_eq!(jobs.list_runs("j", None, 10).unwrap().items, []);
}

#[test]
fn deleting_a_job_stops_its_worker() {
    let bench = Bench::new();
    let jobs = bench.one();
    jobs.create_job("j", definition(1, 3), Tags::new()).unwrap();
    start(&jobs, "j");
    let mut scheduler = bench.scheduler(1);
    scheduler.tick().unwrap();
    let given = bench.last();
    given.report(Report::Started);
    scheduler.tick().unwrap();
    jobs.delete_job("j").unwrap();
    scheduler.tick().unwrap();
    assert!(given.said().dropped);
    given.succeed();
    scheduler.tick().unwrap();
    assert_eq!(bench.count(ONE, Tree::Run) + bench.count(ONE, Tree::Due), 0);
}

#[test]
fn a_run_waits_in_the_queue_past_its_limit_and_expires() {
    let bench = Bench::new();
    let jobs = bench.one();
    jobs.create_job("j", definition(1, 0), Tags::new()).unwrap();
    let id = start(&jobs, "j");
    let mut scheduler = bench.scheduler(0);
    scheduler.tick().unwrap();
    bench.advance(7 * 24 * 60 * 60);
    scheduler.tick().unwrap();
    let run = jobs.get_run("j", &id).unwrap();
    assert_eq!(run.job_run_state, RunState::Expired);
    assert_eq!(
        problem_of(run),
        "the run waited longer than 168 hours for its turn"
    );
}

#[test]
fn what_cannot_be_registered_is_a_failure_that_says_so() {
    let bench = Bench::new();
    let jobs = bench.one();
    jobs.create_job("j", definition(1, 0), Tags::new()).unwrap();
    let id = start(&jobs, "j");
    let mut scheduler = bench.scheduler(1);
    scheduler.tick().unwrap();
    bench.last().report(Report::Started);
    bench
        .last()
        .report(Report::Ended(Outcome::Succeeded(Success {
            also: Some(Arc::new(|_| Err("the name is too long".to_owned()))),
            bookmarks: bookmarks("node-1", "in.csv"),
            ..Success::default()
        })));
    scheduler.tick().unwrap();
    let run = jobs.get_run("j", &id).unwrap();
    assert_eq!(run.job_run_state, RunState::Failed);
    let message = problem_of(run);
    assert!(
        message.ends_with("cannot be registered: the name is too long"),
        "{message}"
    );
    jobs.get_bookmark("j", None).unwrap_err();
}

#[test]
fn a_bookmark_is_given_to_runs_that_ask_for_it_until_it_is_reset() {
    let bench = Bench::new();
    let jobs = bench.one();
    let incremental = JobDefinition {
        default_arguments: Some(arguments(&[(
            "--job-bookmark-option",
            "job-bookmark-enable",
        )])),
        ..definition(1, 0)
    };
    jobs.create_job("j", incremental, Tags::new()).unwrap();
    let mut scheduler = bench.scheduler(1);
    let mut run_once = |bookmarks| {
        start(&jobs, "j");
        scheduler.tick().unwrap();
        let given = bench.last();
        given.report(Report::Started);
        given.report(Report::Ended(Outcome::Succeeded(Success {
            bookmarks,
            ..Success::default()
        })));
        scheduler.tick().unwrap();
        given.request.bookmarks.unwrap()
    };
    assert!(run_once(bookmarks("n", "a.csv")).is_empty());
    assert_eq!(run_once(BTreeMap::new()), bookmarks("n", "a.csv"));
    let entry = jobs.get_bookmark("j", None).unwrap();
    let text = "{\"n\":{\"files\":1,\"newest_modified_millis\":1}}";
    assert_eq!((entry.run, entry.job_bookmark.as_str()), (1, text));
    assert_eq!(jobs.reset_bookmark("j").unwrap().version, 2);
    assert!(run_once(BTreeMap::new()).is_empty());
}

#[test]
fn a_run_that_was_cut_off_while_it_published_is_repeated_first() {
    let bench = Bench::new();
    let jobs = bench.one();
    jobs.create_job("j", definition(1, 0), Tags::new()).unwrap();
    let id = start(&jobs, "j");
    let waiting = start(&jobs, "j");
    let mut run = id.clone();
    for attempt in 1..=3 {
        let mut scheduler = bench.scheduler(1);
        scheduler.tick().unwrap();
        let given = bench.last();
        assert_eq!(given.request.run, run, "before the run that waits");
        assert_eq!(given.request.output, id[3..35], "all attempts write alike");
        given.report(Report::Started);
        given.report(Report::Ready);
        scheduler.tick().unwrap();
        assert!(given.said().published);
        // Nobody wants it any more, and it is repeated all the same.
        jobs.stop_run("j", &run).unwrap();
        drop(scheduler);
        assert_eq!(bench.scheduler(1).recover().unwrap(), 1);
        let ended = jobs.get_run("j", &run).unwrap();
        assert_eq!(ended.job_run_state, RunState::Failed);
        let message = problem_of(ended);
        assert!(
            message.ends_with("made visible; it is repeated"),
            "{message}"
        );
        run = format!("{id}_attempt_{attempt}");
    }
    let mut scheduler = bench.scheduler(1);
    scheduler.tick().unwrap();
    let given = bench.last();
    given.report(Report::Started);
    given.report(Report::Ready);
    scheduler.tick().unwrap();
    bench.scheduler(1).recover().unwrap();
    let message = problem_of(jobs.get_run("j", &run).unwrap());
    assert!(
        message.ends_with("of which a part may be there"),
        "{message}"
    );
    // One that was cut off before is not repeated: its job has no retries.
    let mut next = bench.scheduler(1);
    next.tick().unwrap();
    assert_eq!(bench.last().request.run, waiting);
    bench.last().report(Report::Started);
    next.tick().unwrap();
    bench.scheduler(1).recover().unwrap();
    assert_eq!(state(&jobs, "j", &waiting), RunState::Failed);
    assert_eq!(jobs.list_runs("j", None, 10).unwrap().items.len(), 5);
}

#[test]
fn runs_by_bookmark_come_one_at_a_time_and_add_what_they_read() {
    let bench = Bench::new();
    let jobs = bench.one();
    let with = |option: &str| JobDefinition {
        default_arguments: Some(arguments(&[("--job-bookmark-option", option)])),
        ..definition(5, 0)
    };
    let refused = jobs.create_job("x", with("yes"), Tags::new()).unwrap_err();
    assert!(refused.to_string().contains("is \"yes\""), "{refused}");
    let enable = with("job-bookmark-enable");
    jobs.create_job("j", enable, Tags::new()).unwrap();
    let range = StartRun {
        arguments: Some(arguments(&[("--job-bookmark-from", "jr_1")])),
        ..StartRun::default()
    };
    jobs.start_run("j", &range).unwrap_err();
    let (first, second) = (start(&jobs, "j"), start(&jobs, "j"));
    let mut scheduler = bench.scheduler(4);
    scheduler.tick().unwrap();
    assert_eq!(state(&jobs, "j", &first), RunState::Starting);
    assert_eq!(state(&jobs, "j", &second), RunState::Waiting);
    let finish = |scheduler: &mut Scheduler, path: &str| {
        let given = bench.last();
        given.report(Report::Started);
        given.report(Report::Ended(Outcome::Succeeded(Success {
            bookmarks: bookmarks("n", path),
            ..Success::default()
        })));
        scheduler.tick().unwrap();
        given.request.bookmarks
    };
    assert_eq!(finish(&mut scheduler, "a"), Some(BTreeMap::new()));
    assert_eq!(state(&jobs, "j", &second), RunState::Starting);
    assert_eq!(finish(&mut scheduler, "b"), Some(bookmarks("n", "a")));
    let files = |jobs: &TenantJobs| jobs.get_bookmark("j", None).unwrap().job_bookmark;
    assert!(files(&jobs).contains("\"files\":2"), "{}", files(&jobs));
    // One that pauses reads what is new and does not move it.
    let pause = StartRun {
        arguments: Some(arguments(&[(
            "--job-bookmark-option",
            "job-bookmark-pause",
        )])),
        ..StartRun::default()
    };
    jobs.start_run("j", &pause).unwrap();
    scheduler.tick().unwrap();
    assert_eq!(finish(&mut scheduler, "c").unwrap()["n"].len(), 2);
    assert!(files(&jobs).contains("\"files\":2"), "{}", files(&jobs));
    // What a run read before a reset is read, and nothing else.
    start(&jobs, "j");
    scheduler.tick().unwrap();
    jobs.reset_bookmark("j").unwrap();
    finish(&mut scheduler, "d");
    assert!(files(&jobs).contains("\"files\":1"), "{}", files(&jobs));
}

/// Runs a job by its bookmark to its success; what it was given to go by, and its id.
fn run_by_bookmark(
    bench: &Bench,
    scheduler: &mut Scheduler,
    own: &[(&str, &str)],
    read: BTreeMap<String, NodeBookmark>,
) -> (String, Option<BTreeMap<String, NodeBookmark>>) {
    let jobs = bench.one();
    let start = StartRun {
        arguments: Some(arguments(own)),
        ..StartRun::default()
    };
    let id = jobs.start_run("j", &start).unwrap();
    scheduler.tick().unwrap();
    if state(&jobs, "j", &id) == RunState::Failed {
        return (id, None);
    }
    let given = bench.last();
    given.report(Report::Started);
    given.report(Report::Ended(Outcome::Succeeded(Success {
        bookmarks: read,
        ..Success::default()
    })));
    scheduler.tick().unwrap();
    (id, given.request.bookmarks)
}

#[test]
fn a_bookmark_goes_back_to_runs_that_are_known_and_to_no_others() {
    let bench = Bench::new();
    let jobs = bench.one();
    let option = "--job-bookmark-option";
    let by_bookmark = JobDefinition {
        default_arguments: Some(arguments(&[(option, "job-bookmark-enable")])),
        ..definition(1, 0)
    };
    jobs.create_job("j", by_bookmark, Tags::new()).unwrap();
    let mut scheduler = bench.scheduler(1);
    let mut run = |own: &[(&str, &str)], read: &str| {
        let read = match read {
            "" => BTreeMap::new(),
            path => bookmarks("n", path),
        };
        run_by_bookmark(&bench, &mut scheduler, own, read)
    };
    let (first, _) = run(&[], "a");
    let (idle, _) = run(&[], "");
    let (second, _) = run(&[], "b");
    let entry = jobs.rewind_bookmark("j", &idle).unwrap();
    // The last run that moved it, up to the one that is named.
    assert_eq!((entry.run_id.as_deref(), entry.version), (Some(&*first), 3));
    let (third, given) = run(&[], "b");
    assert_eq!(given, Some(bookmarks("n", "a")), "b is read again");
    let known = |jobs: &TenantJobs| jobs.bookmark_state("j").unwrap().runs;
    assert_eq!(known(&jobs), [(first.clone(), 1), (third.clone(), 1)]);

    let pause = (option, "job-bookmark-pause");
    let range = [pause, ("--job-bookmark-from", first.as_str())];
    let (_, given) = run(&range, "");
    let given = given.unwrap();
    let file = SeenFile {
        size: 1,
        etag: None,
        modified_millis: 1,
    };
    let is_read = |path: &str| given["n"].is_new(path, &file);
    assert!(is_read("b") && !is_read("a") && !is_read("c"));
    let moved = StartRun {
        arguments: Some(arguments(&range[1..])),
        ..StartRun::default()
    };
    let refused = jobs.start_run("j", &moved).unwrap_err().to_string();
    assert!(
        refused.contains("needs --job-bookmark-option job-bookmark-pause"),
        "{refused}"
    );

    jobs.reset_bookmark("j").unwrap();
    for run in [&first, &second, &third] {
        let refused = jobs.rewind_bookmark("j", run).unwrap_err().to_string();
        assert!(refused.contains("is not known any more"), "{refused}");
    }
    let (failed, _) = run(&range, "");
    let whole = jobs.get_whole_run("j", &failed).unwrap();
    assert_eq!(whole.run.job_run_state, RunState::Failed);
    let problem = whole.problem.unwrap();
    assert!(
        problem.problem.contains("is not known any more"),
        "{problem}"
    );
    jobs.rewind_bookmark("j", "jr_none").unwrap_err();
    jobs.delete_job("j").unwrap();
    let left = bench
        .store
        .scan(ONE, Tree::Bookmark, &tenon_store::Key::new(), None, 100);
    assert!(left.unwrap().records.is_empty(), "nothing is left of it");
}

/// A job whose runs go by its bookmark.
fn create_by_bookmark(jobs: &TenantJobs) {
    let enable = ("--job-bookmark-option", "job-bookmark-enable");
    let by_bookmark = JobDefinition {
        default_arguments: Some(arguments(&[enable])),
        ..definition(1, 0)
    };
    jobs.create_job("j", by_bookmark, Tags::new()).unwrap();
}

fn start_with(jobs: &TenantJobs, own: &[(&str, &str)]) -> String {
    let start = StartRun {
        arguments: Some(arguments(own)),
        ..StartRun::default()
    };
    jobs.start_run("j", &start).unwrap()
}

/// Ends the run that was given last: it has read a file, or nothing.
fn succeed_with(bench: &Bench, scheduler: &mut Scheduler, read: Option<&str>) {
    let given = bench.last();
    given.report(Report::Started);
    given.report(Report::Ended(Outcome::Succeeded(Success {
        bookmarks: read.map_or_else(BTreeMap::new, |path| bookmarks("n", path)),
        ..Success::default()
    })));
    scheduler.tick().unwrap();
    bench.advance(1);
}

/// The runs that the bookmark of the job is known to have been moved by.
fn moved(jobs: &TenantJobs) -> Vec<String> {
    let runs = jobs.bookmark_state("j").unwrap().runs.into_iter();
    runs.map(|(run, _)| run).collect()
}

#[test]
fn a_bookmark_goes_back_in_the_order_in_which_runs_moved_it() {
    let bench = Bench::new();
    let jobs = bench.one();
    create_by_bookmark(&jobs);
    let mut scheduler = bench.scheduler(1);
    let idle = start(&jobs, "j");
    let (second, third) = (start(&jobs, "j"), start(&jobs, "j"));
    let urgent = start_with(&jobs, &[("--tenon-priority", "9")]);
    scheduler.tick().unwrap();
    assert_eq!(bench.last().request.run, urgent);
    for read in [Some("urgent"), None, Some("second"), Some("third")] {
        succeed_with(&bench, &mut scheduler, read);
    }
    assert_eq!(
        moved(&jobs),
        [urgent.clone(), second.clone(), third.clone()]
    );

    let pause = ("--job-bookmark-option", "job-bookmark-pause");
    let mut between = |from: &str, to: &str| {
        let range = [
            pause,
            ("--job-bookmark-from", from),
            ("--job-bookmark-to", to),
        ];
        let (run, given) = run_by_bookmark(&bench, &mut scheduler, &range, BTreeMap::new());
        bench.advance(1);
        match given {
            Some(given) => Ok(given["n"].files.keys().cloned().collect::<Vec<_>>()),
            None => Err(problem_of(jobs.get_run("j", &run).unwrap())),
        }
    };
    assert_eq!(between(&urgent, &second).unwrap(), ["second"]);
    assert_eq!(between(&second, &third).unwrap(), ["third"]);
    assert_eq!(between(&idle, &third).unwrap(), ["second", "third"]);
    let refused = between(&third, &urgent).unwrap_err();
    assert!(refused.contains("exchange them"), "{refused}");
    // Nothing was read between them, and they are the wrong way round.
    let refused = between(&idle, &urgent).unwrap_err();
    assert!(refused.contains("exchange them"), "{refused}");

    // One that moved nothing stands for the one that ended before it, whatever their numbers.
    let entry = jobs.rewind_bookmark("j", &idle).unwrap();
    assert_eq!(entry.run_id.as_ref(), Some(&urgent));
    assert_eq!(moved(&jobs), [urgent]);
    let (_, given) = run_by_bookmark(&bench, &mut scheduler, &[], BTreeMap::new());
    assert_eq!(given, Some(bookmarks("n", "urgent")));
}

#[test]
fn a_run_that_waited_during_a_reset_can_be_gone_back_to() {
    let bench = Bench::new();
    let jobs = bench.one();
    create_by_bookmark(&jobs);
    let mut scheduler = bench.scheduler(1);
    let before = start(&jobs, "j");
    scheduler.tick().unwrap();
    succeed_with(&bench, &mut scheduler, Some("before"));
    let under_way = start(&jobs, "j");
    let (waiting, idle) = (start(&jobs, "j"), start(&jobs, "j"));
    scheduler.tick().unwrap();
    jobs.reset_bookmark("j").unwrap();
    let refused = jobs.rewind_bookmark("j", &waiting).unwrap_err().to_string();
    assert!(refused.contains("has not ended"), "{refused}");
    for read in [Some("a"), Some("b"), None] {
        succeed_with(&bench, &mut scheduler, read);
    }
    assert_eq!(moved(&jobs), [under_way.clone(), waiting.clone()]);
    let back_to = |run: &str| jobs.rewind_bookmark("j", run).map(|entry| entry.run_id);
    assert_eq!(back_to(&idle).unwrap(), Some(waiting.clone()));
    assert_eq!(back_to(&waiting).unwrap(), Some(waiting));
    assert_eq!(back_to(&under_way).unwrap(), Some(under_way));
    let refused = back_to(&before).unwrap_err().to_string();
    assert!(refused.contains("is not known any more"), "{refused}");
}

#[test]
fn the_end_of_a_range_must_be_known() {
    let bench = Bench::new();
    let jobs = bench.one();
    create_by_bookmark(&jobs);
    let mut scheduler = bench.scheduler(1);
    let (before, _) = run_by_bookmark(&bench, &mut scheduler, &[], bookmarks("n", "a"));
    bench.advance(1);
    jobs.reset_bookmark("j").unwrap();
    bench.advance(1);
    let (after, _) = run_by_bookmark(&bench, &mut scheduler, &[], bookmarks("n", "b"));
    let range = [
        ("--job-bookmark-option", "job-bookmark-pause"),
        ("--job-bookmark-from", after.as_str()),
        ("--job-bookmark-to", before.as_str()),
    ];
    let (run, given) = run_by_bookmark(&bench, &mut scheduler, &range, BTreeMap::new());
    assert_eq!(given, None);
    let problem = problem_of(jobs.get_run("j", &run).unwrap());
    assert!(problem.contains("is not known any more"), "{problem}");
}

#[test]
fn a_graph_is_kept_once_whatever_the_arguments_of_its_runs() {
    let bench = Bench::new();
    let jobs = bench.one();
    jobs.create_job("j", definition(1, 0), Tags::new()).unwrap();
    let mut scheduler = bench.scheduler(1);
    let graphs = || {
        let all = bench
            .store
            .scan(ONE, Tree::Run, &stored::definitions(1), None, 100);
        all.unwrap().records
    };
    let mut run =
        |day: &str| run_by_bookmark(&bench, &mut scheduler, &[("--ds", day)], BTreeMap::new()).0;
    let first = run("2026-01-01");
    let kept = graphs();
    let second = run("2026-01-02");
    assert_eq!((kept.len(), graphs().len()), (1, 1));
    assert_eq!(graphs()[0].1.seq, kept[0].1.seq, "it is not written again");
    let day = |run: &str| jobs.ran("j", run).unwrap().unwrap().arguments["--ds"].clone();
    assert_eq!(
        (day(&first), day(&second)),
        ("2026-01-01".to_owned(), "2026-01-02".to_owned())
    );
}

#[test]
fn what_a_run_ran_is_kept_when_its_job_changes() {
    let bench = Bench::new();
    let jobs = bench.one();
    jobs.create_job("j", definition(1, 0), Tags::new()).unwrap();
    let mut scheduler = bench.scheduler(1);
    let (first, _) = run_by_bookmark(&bench, &mut scheduler, &[("--day", "1")], BTreeMap::new());
    let changed = JobDefinition {
        default_arguments: Some(arguments(&[("--more", "2")])),
        ..definition(1, 0)
    };
    jobs.update_job("j", changed).unwrap();
    let (second, _) = run_by_bookmark(&bench, &mut scheduler, &[("--day", "1")], BTreeMap::new());
    let ran = |run: &str| jobs.ran("j", run).unwrap().unwrap();
    assert_eq!(ran(&first).arguments, arguments(&[("--day", "1")]));
    assert_eq!(
        ran(&second).arguments,
        arguments(&[("--day", "1"), ("--more", "2")])
    );
    assert_eq!(ran(&first).nodes, ran(&second).nodes);
    assert_eq!(jobs.job_of_run(&first).unwrap(), "j");
    jobs.job_of_run("jr_none").unwrap_err();
    let waiting = start(&jobs, "j");
    assert_eq!(jobs.ran("j", &waiting).unwrap(), None);
}

#[test]
fn a_run_is_found_by_its_id_alone() {
    let bench = Bench::new();
    let jobs = bench.one();
    for name in ["a", "j"] {
        jobs.create_job(name, definition(1, 1), Tags::new())
            .unwrap();
    }
    let id = start(&jobs, "j");
    let mut scheduler = bench.scheduler(1);
    scheduler.tick().unwrap();
    bench.last().fail("it broke");
    scheduler.tick().unwrap();
    let number = jobs.stored_job("j").unwrap().value.number;
    let forget = |key| {
        let transaction = jobs.transaction().delete(Tree::Run, key);
        jobs.commit(transaction).unwrap();
    };
    for id in [id.clone(), format!("{id}_attempt_1")] {
        // It is not looked for among the runs of each job; one of an earlier release is.
        let (among, alone) = (stored::run_id(number, &id), stored::place_of(&id));
        let kept = bench.store.get(ONE, Tree::Run, &among).unwrap().unwrap();
        forget(among.clone());
        assert_eq!(jobs.job_of_run(&id).unwrap(), "j");
        let (_, stream) = jobs.stream(&id).unwrap().unwrap();
        assert_eq!(stream.run, id);
        let back = jobs.transaction();
        jobs.commit(back.put(Tree::Run, among, stored::SCHEMA, kept.payload))
            .unwrap();
        forget(alone);
        assert_eq!(jobs.job_of_run(&id).unwrap(), "j");
    }
    let other = start(&jobs, "j");
    jobs.delete_job("j").unwrap();
    jobs.job_of_run(&other).unwrap_err();
    assert_eq!(jobs.stream(&other).unwrap(), None);
}

#[test]
fn every_end_without_success_has_a_sentence_and_a_hint() {
    let bench = Bench::new();
    let jobs = bench.one();
    jobs.create_job("j", definition(1, 0), Tags::new()).unwrap();
    let mut scheduler = bench.scheduler(1);
    let id = start(&jobs, "j");
    scheduler.tick().unwrap();
    bench.last().report(Report::Started);
    scheduler.tick().unwrap();
    bench.advance(480 * 60 + 1);
    scheduler.tick().unwrap();
    let whole = jobs.get_whole_run("j", &id).unwrap();
    let problem = whole.problem.unwrap();
    assert_eq!(whole.run.job_run_state, RunState::Timeout);
    assert!(problem.hint.starts_with("raise Timeout"), "{problem}");
    assert_eq!(whole.run.error_message, Some(problem.to_string()));
    let told = jobs.told(&id, Channel::Error).unwrap().unwrap();
    let said: Vec<_> = told
        .lines
        .iter()
        .map(|line| line.message.as_str())
        .collect();
    assert_eq!(
        said,
        [problem.problem.as_str(), &format!("try: {}", problem.hint)]
    );
}

#[test]
fn how_far_a_run_is_and_what_it_logged_are_there() {
    let bench = Bench::new();
    let jobs = bench.one();
    jobs.create_job("j", definition(1, 0), Tags::new()).unwrap();
    let id = start(&jobs, "j");
    let mut scheduler = bench.scheduler(1);
    scheduler.tick().unwrap();
    let given = bench.last();
    let metrics = |rows_out| RunMetrics {
        nodes: vec![NodeMetrics {
            node: "n".to_owned(),
            rows_out,
            ..NodeMetrics::default()
        }],
        peak_memory_bytes: None,
        ..RunMetrics::default()
    };
    given.report(Report::Started);
    given.report(Report::Progress(metrics(3)));
    scheduler.tick().unwrap();
    let found = || jobs.get_whole_run("j", &id).unwrap().metrics;
    assert_eq!(found(), metrics(3), "before the lease is renewed");
    let line = LogLine {
        time_unix_millis: 0,
        node: "n".to_owned(),
        level: "info".to_owned(),
        message: "hello".to_owned(),
    };
    given.report(Report::Log(vec![line.clone()]));
    given.fail("it broke");
    scheduler.tick().unwrap();
    assert_eq!(found(), metrics(3), "also of a run that failed");
    assert_eq!(jobs.run_log("j", &id).unwrap(), [line]);
    jobs.delete_job("j").unwrap();
    assert_eq!(bench.count(ONE, Tree::Run), 0);
}

/// Records written by this release's first version are read by every later one.
#[test]
fn golden_records_are_read() {
    let golden = |name: &str| {
        let path = format!("{}/test-data/{name}-v1.json", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    };
    let run: stored::StoredRun = serde_json::from_str(&golden("run")).unwrap();
    assert_eq!((run.fence, run.run.job_run_state), (3, RunState::Running));
    assert_eq!(
        serde_json::to_string(&run).unwrap(),
        golden("run").trim_end()
    );
    let job: stored::StoredJob = serde_json::from_str(&golden("job")).unwrap();
    assert_eq!((job.number, job.tags.len()), (7, 1));
    assert_eq!(
        serde_json::to_string(&job).unwrap(),
        golden("job").trim_end()
    );
    let node: NodeBookmark = serde_json::from_str(&golden("bookmark")).unwrap();
    assert_eq!(node.len(), 1);
    assert_eq!(
        serde_json::to_string(&node).unwrap(),
        golden("bookmark").trim_end()
    );
}
