//! ML transforms: what is kept of them, their task runs, and jobs that name them.

use tenon_store::Tree;

use super::*;
use crate::matching::Given;

const PLUGIN: &str = "tenon:find-matches@0";

fn schema(columns: &[&str]) -> Vec<SchemaColumn> {
    let column = |name: &&str| SchemaColumn {
        name: Some((*name).to_owned()),
        data_type: Some("string".to_owned()),
    };
    columns.iter().map(column).collect()
}

/// A transform of the table `d.people`, whose records `key` identifies.
fn people(name: &str, key: Option<&str>) -> TransformDefinition {
    TransformDefinition {
        name: name.to_owned(),
        input_record_tables: vec![InputTable {
            database_name: "d".to_owned(),
            table_name: "people".to_owned(),
            ..InputTable::default()
        }],
        parameters: TransformParameters {
            transform_type: "FIND_MATCHES".to_owned(),
            find_matches_parameters: Some(FindMatchesParameters {
                primary_key_column_name: key.map(str::to_owned),
                precision_recall_tradeoff: Some(0.9),
                enforce_provided_labels: Some(true),
                ..FindMatchesParameters::default()
            }),
        },
        role: "role".to_owned(),
        ..TransformDefinition::default()
    }
}

fn create(jobs: &TenantJobs, name: &str, key: Option<&str>) -> String {
    let made = jobs.create_transform(people(name, key), schema(&["id", "name"]), Tags::new());
    made.unwrap().transform_id
}

fn start(jobs: &TenantJobs, transform: &str, task: &MlTask) -> String {
    jobs.start_task(transform, task, None).unwrap()
}

fn import(replace: bool) -> MlTask {
    MlTask::ImportLabels {
        input: "/lake/labels.csv".to_owned(),
        replace,
    }
}

fn labels(rows: &[[&str; 3]]) -> LabelTable {
    let row = |[set, label, id]: &[&str; 3]| LabelRow {
        set: (*set).to_owned(),
        label: (*label).to_owned(),
        values: vec![Some((*id).to_owned()), None],
    };
    LabelTable {
        columns: ["id", "name"].map(str::to_owned).to_vec(),
        rows: rows.iter().map(row).collect(),
    }
}

fn metrics() -> EvaluationMetrics {
    EvaluationMetrics::of_quality(r#"{"estimated": null, "columns": []}"#).unwrap()
}

/// Starts a task run, and ends it with what it is said to have found out.
fn learn(
    bench: &Bench,
    scheduler: &mut Scheduler,
    transform: &str,
    task: &MlTask,
    learned: Learned,
) -> String {
    let id = start(&bench.one(), transform, task);
    scheduler.tick().unwrap();
    let given = bench.last();
    assert_eq!(given.request.run, id);
    given.report(Report::Started);
    given.report(Report::Ended(Outcome::Succeeded(Success {
        learned: Some(Box::new(learned)),
        ..Success::default()
    })));
    scheduler.tick().unwrap();
    id
}

fn status(jobs: &TenantJobs, transform: &str, id: &str) -> &'static str {
    jobs.get_task(transform, id).unwrap().status()
}

/// A job with one node of the plugin.
fn matching(function: &str, parameters: &[(&str, &str)]) -> JobDefinition {
    let parameters: Vec<_> = parameters
        .iter()
        .map(|(name, value)| json!({"Name": name, "Type": "str", "Value": [value]}))
        .collect();
    let node = json!({"DynamicTransform": {
        "Name": "m", "TransformName": "m", "Inputs": ["node-1"], "Parameters": parameters, "FunctionName": function,
        "Path": PLUGIN,
    }});
    let mut definition = definition(1, 0);
    let nodes = definition.code_gen_configuration_nodes.as_mut().unwrap();
    nodes.insert("m".to_owned(), node);
    definition
}

/// Names and values of the parameters of the node `m`, as the runner was given it.
fn parameters_of(nodes: &Nodes) -> Vec<(String, String)> {
    let parameters = nodes["m"]["DynamicTransform"]["Parameters"]
        .as_array()
        .unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut said: Vec<_> = parameters
        .iter()
        .map(|parameter| (text(&parameter["Name"]), text(&parameter["Value"][0])))
        .collect();
    said.sort();
    said
}

#[test]
fn a_transform_is_kept_as_it_was_given_and_is_ready_when_its_key_is_known() {
    let bench = Bench::new();
    let jobs = bench.one();
    let id = create(&jobs, "people", None);
    assert!(id.starts_with("tfm-") && id.len() == 44, "{id}");
    let (transform, count) = jobs.get_transform(&id).unwrap();
    assert!(!transform.is_ready() && count == 0);
    let refused = jobs.start_task(&id, &import(true), None).unwrap_err();
    assert!(
        refused.to_string().contains("has no PrimaryKeyColumnName"),
        "{refused}"
    );

    bench.advance(5);
    let with_key = TransformUpdate {
        parameters: Some(people("", Some("ID")).parameters),
        ..TransformUpdate::default()
    };
    jobs.update_transform(&id, &with_key).unwrap();
    let (changed, _) = jobs.get_transform(&id).unwrap();
    assert!(changed.is_ready() && changed.created_on < changed.last_modified_on);
    assert_eq!(changed.definition.name, "people", "what is left out stays");
    // Another tenant's is absent.
    bench.jobs.tenant(TWO).get_transform(&id).unwrap_err();
    assert!(bench.jobs.tenant(TWO).all_transforms().unwrap().is_empty());
    let other = bench.jobs.tenant(TWO).count_transforms(9).unwrap();
    assert_eq!((jobs.count_transforms(9).unwrap(), other), (1, 0));
}

#[test]
fn names_are_unique_and_bad_members_are_refused() {
    let bench = Bench::new();
    let jobs = bench.one();
    let refused = |definition, columns: &[&str]| {
        let made = jobs.create_transform(definition, schema(columns), Tags::new());
        made.unwrap_err().to_string()
    };
    let id = create(&jobs, "people", Some("id"));
    let other = create(&jobs, "others", Some("id"));
    assert_eq!(
        refused(people("people", None), &["id"]),
        "ML transform people already exists"
    );
    let taken = TransformUpdate {
        name: Some("others".to_owned()),
        ..TransformUpdate::default()
    };
    jobs.update_transform(&id, &taken).unwrap_err();
    jobs.delete_transform(&other).unwrap();
    jobs.update_transform(&id, &taken).unwrap();
    create(&jobs, "people", Some("id"));

    assert!(
        refused(people("x", Some("key")), &["id", "name"])
            .contains("\"key\" is no column of the table, which has id, name")
    );
    assert!(
        refused(people("x", None), &["id", "Label"])
            .contains("\"Label\", which files of labels have for themselves")
    );
    let many: Vec<_> = (0..101).map(|at| format!("c{at}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert!(
        refused(people("x", None), &many).contains("101 columns, a transform takes at most 100")
    );
    let mut two = people("x", None);
    two.input_record_tables.push(InputTable::default());
    assert!(refused(two, &[]).contains("InputRecordTables has 2 tables"));
}

#[test]
fn labels_come_with_a_task_and_stay_with_the_transform() {
    let bench = Bench::new();
    let jobs = bench.one();
    let mut scheduler = bench.scheduler(2);
    let id = create(&jobs, "people", Some("id"));
    let first = labels(&[["s", "A", "1"], ["s", "A", "2"], ["t", "", "3"]]);
    let task = learn(
        &bench,
        &mut scheduler,
        &id,
        &import(true),
        Learned::Labels(first),
    );
    assert_eq!(status(&jobs, &id, &task), "SUCCEEDED");
    let asked = bench.last().request;
    let work = TaskWork::ReadLabels {
        id: "id".to_owned(),
    };
    assert_eq!(asked.work, Some(work));
    assert!(asked.given.is_empty(), "the worker reads them");
    let sql = asked.nodes["unknown"]["SparkSQL"]["SqlQuery"]
        .as_str()
        .unwrap();
    assert!(sql.contains(r#"l."id" = cast(r."id" as varchar)"#), "{sql}");
    assert_eq!(
        jobs.get_transform(&id).unwrap().1,
        2,
        "an empty label is none"
    );

    // More of them, also after a restart.
    let jobs = open_jobs(&bench.store, &bench.clock).tenant(ONE);
    let more = labels(&[["s", "B", "2"], ["u", "A", "4"]]);
    learn(
        &bench,
        &mut scheduler,
        &id,
        &import(false),
        Learned::Labels(more),
    );
    assert_eq!(jobs.get_transform(&id).unwrap().1, 3);
    start(
        &jobs,
        &id,
        &MlTask::ExportLabels {
            output: "/lake/out".to_owned(),
        },
    );
    bench.jobs.wake();
    bench.jobs.bell.ring_for(ONE);
    scheduler.tick().unwrap();
    let asked = bench.last().request;
    let Some(Given::Labels(kept)) = asked.given.get("labels") else {
        panic!("{:?}", asked.given.keys());
    };
    let expected = [
        ["s", "A", "1"],
        ["s", "B", "2"],
        ["t", "", "3"],
        ["u", "A", "4"],
    ];
    assert_eq!(**kept, labels(&expected));
    assert_eq!(
        asked.nodes["out"]["S3DirectTarget"]["Mode"], "append",
        "beside what is there"
    );

    // A file that replaces all.
    bench.last().succeed();
    scheduler.tick().unwrap();
    learn(
        &bench,
        &mut scheduler,
        &id,
        &import(true),
        Learned::Labels(labels(&[["s", "A", "1"]])),
    );
    assert_eq!(jobs.get_transform(&id).unwrap().1, 1);
}

#[test]
fn an_evaluation_needs_labels_and_keeps_metrics_and_model() {
    let bench = Bench::new();
    let jobs = bench.one();
    let mut scheduler = bench.scheduler(2);
    let id = create(&jobs, "people", Some("id"));
    let refused = jobs.start_task(&id, &MlTask::Evaluation, None).unwrap_err();
    assert!(matches!(refused, Error::NotReady { .. }), "{refused}");
    let some = Learned::Labels(labels(&[["s", "A", "1"], ["s", "A", "2"]]));
    learn(&bench, &mut scheduler, &id, &import(true), some.clone());
    let found = Learned::Evaluation {
        metrics: metrics(),
        model: Model::new(vec![7; 100]),
    };
    learn(&bench, &mut scheduler, &id, &MlTask::Evaluation, found);
    let asked = bench.last().request;
    assert_eq!(asked.work, Some(TaskWork::Evaluate));
    assert!(asked.given.contains_key("labels") && !asked.given.contains_key("model"));
    let (transform, _) = jobs.get_transform(&id).unwrap();
    assert_eq!(transform.evaluation_metrics, Some(metrics()));

    // Questions are asked with the model, as long as it knows all labels.
    let questions = MlTask::LabelingSetGeneration {
        output: "/lake/sets.csv".to_owned(),
    };
    let run = start(&jobs, &id, &questions);
    scheduler.tick().unwrap();
    let asked = bench.last();
    let sql = asked.request.nodes["sets"]["SparkSQL"]["SqlQuery"]
        .as_str()
        .unwrap();
    assert!(
        sql.contains(&format!("'{}-' || labeling_set_id", &run[4..12])),
        "{sql}"
    );
    assert_eq!(
        asked.request.given["model"],
        Given::Model(Model::new(vec![7; 100]))
    );
    assert_eq!(
        asked.request.nodes["questions"]["DynamicTransform"]["Inputs"],
        json!(["records", "known", "model"])
    );
    let said = &asked.request.nodes["questions"]["DynamicTransform"]["Parameters"];
    let place = |at: &str| json!([at]);
    assert_eq!(
        (&said[1]["Name"], &said[1]["Value"]),
        (&json!("labels"), &place("1"))
    );
    assert_eq!(
        (&said[2]["Name"], &said[2]["Value"]),
        (&json!("model"), &place("2"))
    );
    assert_eq!(said[2]["Type"], "int");
    assert_eq!(
        asked.request.nodes["out"]["S3DirectTarget"]["Mode"],
        "replace"
    );
    asked.succeed();
    scheduler.tick().unwrap();
    learn(&bench, &mut scheduler, &id, &import(false), some);
    start(&jobs, &id, &questions);
    scheduler.tick().unwrap();
    let asked = bench.last().request;
    assert!(asked.given.contains_key("labels") && !asked.given.contains_key("model"));
}

#[test]
fn what_was_found_out_by_another_key_is_not_kept() {
    let bench = Bench::new();
    let jobs = bench.one();
    let mut scheduler = bench.scheduler(2);
    let id = create(&jobs, "people", Some("id"));
    let some = labels(&[["s", "A", "1"], ["s", "A", "2"]]);
    learn(
        &bench,
        &mut scheduler,
        &id,
        &import(true),
        Learned::Labels(some.clone()),
    );
    let by = |key: &str| TransformUpdate {
        parameters: Some(people("", Some(key)).parameters),
        ..TransformUpdate::default()
    };
    let found = Learned::Evaluation {
        metrics: metrics(),
        model: Model::new(vec![7; 100]),
    };
    for (task, learned) in [
        (MlTask::Evaluation, found.clone()),
        (import(true), Learned::Labels(some)),
    ] {
        jobs.update_transform(&id, &by("id")).unwrap();
        let run = start(&jobs, &id, &task);
        scheduler.tick().unwrap();
        let given = bench.last();
        given.report(Report::Started);
        scheduler.tick().unwrap();
        jobs.update_transform(&id, &by("name")).unwrap();
        given.report(Report::Ended(Outcome::Succeeded(Success {
            learned: Some(Box::new(learned)),
            ..Success::default()
        })));
        scheduler.tick().unwrap();
        let run = jobs.get_task(&id, &run).unwrap();
        assert_eq!(run.status(), "FAILED");
        let said = run.run.error_message.unwrap();
        assert!(
            said.contains(
                "became \"name\" while the task run was under way, which began with \"id\""
            ),
            "{said}"
        );
        let kept = jobs.stored_transform(&id).unwrap().value;
        assert_eq!((&kept.model, kept.labels.generation), (&None, 1));
        assert_eq!(kept.transform.evaluation_metrics, None);
    }

    // The same column in other letters is the same key.
    jobs.update_transform(&id, &by("id")).unwrap();
    let run = start(&jobs, &id, &MlTask::Evaluation);
    scheduler.tick().unwrap();
    jobs.update_transform(&id, &by("ID")).unwrap();
    let given = bench.last();
    given.report(Report::Started);
    given.report(Report::Ended(Outcome::Succeeded(Success {
        learned: Some(Box::new(found)),
        ..Success::default()
    })));
    scheduler.tick().unwrap();
    assert_eq!(status(&jobs, &id, &run), "SUCCEEDED");
}

#[test]
fn labels_that_were_given_by_another_key_are_refused_with_a_sentence_and_still_go_out() {
    let bench = Bench::new();
    let jobs = bench.one();
    let mut scheduler = bench.scheduler(2);
    let id = create(&jobs, "people", Some("id"));
    let some = Learned::Labels(labels(&[["s", "A", "1"], ["s", "A", "2"]]));
    learn(&bench, &mut scheduler, &id, &import(true), some);
    let by_email = TransformUpdate {
        parameters: Some(people("", Some("email")).parameters),
        schema: Some(schema(&["id", "name", "email"])),
        ..TransformUpdate::default()
    };
    jobs.update_transform(&id, &by_email).unwrap();
    let before = bench.given();
    let run = start(&jobs, &id, &MlTask::Evaluation);
    scheduler.tick().unwrap();
    let run = jobs.get_task(&id, &run).unwrap();
    assert_eq!((run.status(), bench.given()), ("FAILED", before));
    let said = run.run.error_message.unwrap();
    assert!(
        said.contains("no label has a value of \"email\", its primary key"),
        "{said}"
    );
    let export = MlTask::ExportLabels {
        output: "/lake/out".to_owned(),
    };
    start(&jobs, &id, &export);
    scheduler.tick().unwrap();
    let Some(Given::Labels(kept)) = bench.last().request.given.get("labels").cloned() else {
        panic!("they are not given");
    };
    assert_eq!(kept.columns, ["id", "name", "email"]);
    assert_eq!(kept.rows[1].values, [Some("2".to_owned()), None, None]);
}

#[test]
fn what_a_task_run_tells_is_read_like_that_of_a_run() {
    let bench = Bench::new();
    let jobs = bench.one();
    let mut scheduler = bench.scheduler(2);
    let id = create(&jobs, "people", Some("id"));
    let some = Learned::Labels(labels(&[["s", "A", "1"]]));
    let task = learn(&bench, &mut scheduler, &id, &import(true), some);
    let told = jobs.told(&task, Channel::Output).unwrap().unwrap();
    assert_eq!(told.run.id, task);
    let last = &told.lines.last().unwrap().message;
    assert!(last.contains("succeeded after"), "{last}");
    assert!(jobs.stream(&task).unwrap().is_some());
    let mut seen = Vec::new();
    jobs.visit_streams(|run, _| seen.push(run.id.clone()))
        .unwrap();
    assert_eq!(seen, std::slice::from_ref(&task));
    assert_eq!(
        bench.jobs.tenant(TWO).told(&task, Channel::Output).unwrap(),
        None
    );
    // It is no run of a job.
    jobs.job_of_run(&task).unwrap_err();
    jobs.delete_transform(&id).unwrap();
    assert_eq!(jobs.told(&task, Channel::Output).unwrap(), None);
}

#[test]
fn what_a_worker_tells_must_be_what_its_task_finds_out() {
    let bench = Bench::new();
    let jobs = bench.one();
    let mut scheduler = bench.scheduler(2);
    let id = create(&jobs, "people", Some("id"));
    let model = Learned::Evaluation {
        metrics: metrics(),
        model: Model::new(vec![1]),
    };
    let task = learn(&bench, &mut scheduler, &id, &import(true), model);
    let run = jobs.get_task(&id, &task).unwrap();
    assert_eq!(run.status(), "FAILED");
    let said = run.run.error_message.unwrap();
    assert!(
        said.starts_with("what the task run found out cannot be kept: "),
        "{said}"
    );
    let mut broken = labels(&[["s", "A", "1"]]);
    broken.rows[0].values.clear();
    let task = learn(
        &bench,
        &mut scheduler,
        &id,
        &import(true),
        Learned::Labels(broken),
    );
    assert_eq!(status(&jobs, &id, &task), "FAILED");
    assert_eq!(jobs.get_transform(&id).unwrap().1, 0, "nothing was kept");
}

#[test]
fn tasks_of_a_transform_come_one_at_a_time_and_can_be_cancelled() {
    let bench = Bench::new();
    let jobs = bench.one();
    let mut scheduler = bench.scheduler(5);
    let id = create(&jobs, "people", Some("id"));
    let tasks: Vec<_> = (0..10).map(|_| start(&jobs, &id, &import(false))).collect();
    let refused = jobs.start_task(&id, &import(false), None).unwrap_err();
    assert!(
        matches!(
            refused,
            Error::TooManyTasks {
                here: 10,
                limit: 10,
                ..
            }
        ),
        "{refused}"
    );
    scheduler.tick().unwrap();
    assert_eq!(bench.given(), 1);
    assert_eq!(
        bench.last().request.run,
        tasks[0],
        "in the order of their starts"
    );
    bench.last().report(Report::Started);
    scheduler.tick().unwrap();
    assert_eq!(status(&jobs, &id, &tasks[0]), "RUNNING");
    assert_eq!(status(&jobs, &id, &tasks[1]), "STARTING", "it waits");
    assert_eq!(
        jobs.cancel_task(&id, &tasks[1]).unwrap().status(),
        "STOPPED"
    );
    assert_eq!(
        jobs.cancel_task(&id, &tasks[0]).unwrap().status(),
        "STOPPING"
    );
    scheduler.tick().unwrap();
    assert!(bench.last().said().cancelled);
    // A worker that does not listen.
    bench.advance(1);
    scheduler.tick().unwrap();
    assert_eq!(status(&jobs, &id, &tasks[0]), "STOPPED");
    assert_eq!(bench.last().request.run, tasks[2]);
    assert_eq!(
        jobs.cancel_task(&id, &tasks[0]).unwrap().status(),
        "STOPPED",
        "again"
    );
    let all = jobs.all_tasks(&id).unwrap();
    assert_eq!(all.len(), 10);
    assert_eq!(all[0].run.id, tasks[9], "newest first");
    jobs.get_task(&id, "tsk-none").unwrap_err();
}

#[test]
fn a_repeated_start_starts_one_task() {
    let bench = Bench::new();
    let jobs = bench.one();
    let id = create(&jobs, "people", Some("id"));
    let first = jobs.start_task(&id, &import(false), Some("token")).unwrap();
    assert_eq!(
        jobs.start_task(&id, &import(false), Some("token")).unwrap(),
        first
    );
    let other = jobs
        .start_task(&id, &import(true), Some("token"))
        .unwrap_err();
    assert!(matches!(other, Error::TokenReused { .. }), "{other}");
}

#[test]
fn a_task_under_way_when_the_server_ends_has_failed_or_is_tried_again() {
    let bench = Bench::new();
    let jobs = bench.one();
    let (once, twice) = (create(&jobs, "once", Some("id")), {
        let mut definition = people("twice", Some("id"));
        definition.max_retries = Some(1);
        let made = jobs.create_transform(definition, schema(&["id"]), Tags::new());
        made.unwrap().transform_id
    });
    let tasks = [&once, &twice].map(|id| start(&jobs, id, &import(false)));
    bench.scheduler(5).tick().unwrap();
    // A new process over the same store.
    let again = open_jobs(&bench.store, &bench.clock);
    let mut scheduler = bench.scheduler_of(&again, 5, "two");
    assert_eq!(scheduler.recover().unwrap(), 2);
    assert_eq!(status(&jobs, &once, &tasks[0]), "FAILED");
    let said = jobs
        .get_task(&once, &tasks[0])
        .unwrap()
        .run
        .error_message
        .unwrap();
    assert!(said.contains("the server ended"), "{said}");
    scheduler.tick().unwrap();
    assert_eq!(bench.last().request.run, format!("{}_attempt_1", tasks[1]));
    assert_eq!(jobs.all_tasks(&twice).unwrap().len(), 2);
}

#[test]
fn a_deleted_transform_leaves_nothing() {
    let bench = Bench::new();
    let jobs = bench.one();
    let mut scheduler = bench.scheduler(2);
    let before =
        [Tree::Object, Tree::Run, Tree::Due, Tree::Idempotency].map(|tree| bench.count(ONE, tree));
    let id = create(&jobs, "people", Some("id"));
    let some = Learned::Labels(labels(&[["s", "A", "1"], ["s", "A", "2"]]));
    learn(&bench, &mut scheduler, &id, &import(true), some);
    let found = Learned::Evaluation {
        metrics: metrics(),
        model: Model::new(vec![7; 100]),
    };
    learn(&bench, &mut scheduler, &id, &MlTask::Evaluation, found);
    jobs.start_task(&id, &import(true), Some("token")).unwrap();
    scheduler.tick().unwrap();
    let under_way = bench.last();
    jobs.delete_transform(&id).unwrap();
    jobs.delete_transform(&id).unwrap_err();
    scheduler.tick().unwrap();
    assert!(under_way.said().dropped);
    let after =
        [Tree::Object, Tree::Run, Tree::Due, Tree::Idempotency].map(|tree| bench.count(ONE, tree));
    // The counter of numbers stays.
    assert_eq!(after[0], before[0] + 1);
    assert_eq!(after[1..], before[1..]);
}

#[test]
fn jobs_that_name_a_transform_get_what_it_says() {
    let bench = Bench::new();
    let jobs = bench.one();
    let mut scheduler = bench.scheduler(2);
    let id = create(&jobs, "people", Some("ID"));
    jobs.create_job(
        "J",
        matching("find-matches", &[("transform_id", &id)]),
        Tags::new(),
    )
    .unwrap();
    jobs.start_run("J", &StartRun::default()).unwrap();
    scheduler.tick().unwrap();
    let asked = bench.last();
    let pairs = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter();
        let pairs = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        pairs.collect::<Vec<_>>()
    };
    // The key as the table has it; without labels none are enforced.
    let own = [("id", "id"), ("precision_recall", "0.9")];
    assert_eq!(parameters_of(&asked.request.nodes), pairs(&own));
    assert!(asked.request.given.is_empty() && asked.request.work.is_none());
    asked.report(Report::Started);
    asked.succeed();
    scheduler.tick().unwrap();

    // With labels; what the node says itself wins.
    learn(
        &bench,
        &mut scheduler,
        &id,
        &import(true),
        Learned::Labels(labels(&[["s", "A", "1"]])),
    );
    let own = [("transform_id", id.as_str()), ("precision_recall", "0.1")];
    jobs.update_job("J", matching("find-matches", &own))
        .unwrap();
    jobs.start_run("J", &StartRun::default()).unwrap();
    scheduler.tick().unwrap();
    let asked = bench.last().request;
    let expected = [
        ("enforce_labels", "true"),
        ("id", "id"),
        ("labels", "1"),
        ("precision_recall", "0.1"),
    ];
    assert_eq!(parameters_of(&asked.nodes), pairs(&expected));
    assert_eq!(
        asked.nodes["m"]["DynamicTransform"]["Inputs"],
        json!(["node-1", "m.labels"])
    );
    assert!(asked.given.contains_key("m.all_labels") && is_given(&asked.nodes["m.all_labels"]));
    let known = &asked.nodes["m.labels"]["SparkSQL"];
    assert_eq!(known["Inputs"], json!(["m.all_labels", "node-1"]));
    assert_eq!(
        known["SqlQuery"],
        r#"select * from labels where "id" in (select cast("id" as varchar) from records0)"#
    );
    let kept = jobs.get_job("J").unwrap().definition;
    assert_eq!(
        kept.nodes(),
        matching("find-matches", &own).nodes(),
        "the job is as it was given"
    );
}

#[test]
fn a_model_that_knows_all_labels_is_not_trained_again_with_those_of_a_few_records() {
    let bench = Bench::new();
    let jobs = bench.one();
    let mut scheduler = bench.scheduler(2);
    let id = create(&jobs, "people", Some("id"));
    let some = Learned::Labels(labels(&[["s", "A", "1"], ["s", "A", "2"]]));
    learn(&bench, &mut scheduler, &id, &import(true), some);
    let found = Learned::Evaluation {
        metrics: metrics(),
        model: Model::new(vec![7; 100]),
    };
    learn(&bench, &mut scheduler, &id, &MlTask::Evaluation, found);
    jobs.create_job("J", definition(1, 0), Tags::new()).unwrap();
    // What the node reads beside its table, and which of the parameters about labels and the model it is given.
    let mut asked = |own: &[(&str, &str)]| {
        let own = [&[("transform_id", id.as_str())], own].concat();
        jobs.update_job("J", matching("find-matches", &own))
            .unwrap();
        jobs.start_run("J", &StartRun::default()).unwrap();
        scheduler.tick().unwrap();
        let asked = bench.last();
        asked.report(Report::Started);
        asked.succeed();
        scheduler.tick().unwrap();
        let nodes = asked.request.nodes;
        let said = parameters_of(&nodes).into_iter();
        let said = said.filter(|(name, _)| {
            ["enforce_labels", "labels", "model", "retrain"].contains(&name.as_str())
        });
        let said: Vec<_> = said
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        (
            nodes["m"]["DynamicTransform"]["Inputs"].clone(),
            said.join(" "),
        )
    };
    // The transform enforces its labels, so they come with the model; nothing is learned from them.
    assert_eq!(
        asked(&[]),
        (
            json!(["node-1", "m.labels", "m.model"]),
            "enforce_labels=true labels=1 model=2 retrain=false".to_owned()
        )
    );
    // Without, the model alone knows what they say.
    assert_eq!(
        asked(&[("enforce_labels", "false")]),
        (
            json!(["node-1", "m.model"]),
            "enforce_labels=false model=1".to_owned()
        )
    );
}

#[test]
fn a_transform_that_a_job_cannot_use_is_refused_with_its_node() {
    let bench = Bench::new();
    let jobs = bench.one();
    let refused = |definition: JobDefinition| {
        let made = jobs.create_job("J", definition, Tags::new());
        made.unwrap_err().to_string()
    };
    let unknown = matching("find-matches", &[("transform_id", "tfm-1")]);
    assert_eq!(
        refused(unknown),
        "node \"m\": ML transform tfm-1 does not exist"
    );
    let theirs = create(&bench.jobs.tenant(TWO), "people", Some("id"));
    assert!(
        refused(matching("find-matches", &[("transform_id", &theirs)])).contains("does not exist")
    );
    let not_ready = create(&jobs, "no key", None);
    assert!(
        refused(matching("find-matches", &[("transform_id", &not_ready)]))
            .contains("node \"m\": ML transform")
    );
    let ready = create(&jobs, "people", Some("id"));
    let named = [("transform_id", ready.as_str())];
    assert!(
        refused(matching("find-incremental-matches", &named))
            .contains("has none yet: evaluate it first")
    );
    assert!(refused(matching("golden-records", &named)).contains("not of \"golden-records\""));

    // One that is gone when a run is started, and one that is gone when it begins.
    jobs.create_job("J", matching("find-matches", &named), Tags::new())
        .unwrap();
    let run = jobs.start_run("J", &StartRun::default()).unwrap();
    jobs.delete_transform(&ready).unwrap();
    jobs.start_run("J", &StartRun::default()).unwrap_err();
    bench.scheduler(1).tick().unwrap();
    let run = jobs.get_run("J", &run).unwrap();
    assert_eq!(run.job_run_state, RunState::Failed);
    assert!(run.error_message.unwrap().contains("node \"m\""));
}

/// Reads a record of a released layout, which must be written as it was.
fn golden<T: serde::de::DeserializeOwned + serde::Serialize>(name: &str) -> T {
    let path = format!("{}/test-data/{name}-v1.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let read: T = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text.trim_end());
    read
}

#[test]
fn golden_records_are_read() {
    let transform: crate::matching::StoredTransform = golden("ml-transform");
    assert_eq!((transform.number, transform.labels.labelled), (3, 7));
    assert!(transform.transform.is_ready() && transform.has_current_model());
    let labels: crate::matching::LabelPiece = golden("labels");
    assert_eq!(labels.rows.len(), 1);
    let run: crate::stored::StoredRun = golden("task-run");
    assert_eq!(run.task.unwrap().kind(), "IMPORT_LABELS");
}

/// What goes to a worker and comes back from it.
#[test]
fn given_rows_and_findings_are_read_as_they_were_written() {
    let given = [
        Given::Labels(Arc::new(labels(&[["s", "A", "1"]]))),
        Given::Model(Model::new(vec![0, 255, 7])),
    ];
    let text = serde_json::to_string(&given).unwrap();
    assert!(text.ends_with(r#"{"Model":"AP8H"}]"#), "{text}");
    let read: Vec<Given> = serde_json::from_str(&text).unwrap();
    assert_eq!(read, given);
    let found = Learned::Evaluation {
        metrics: metrics(),
        model: Model::new(vec![1]),
    };
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Learned>(&text).unwrap(), found);
}
