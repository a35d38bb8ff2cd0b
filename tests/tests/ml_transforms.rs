//! FindMatches of Glue's wire, the whole way: `tenon serve` with the plugin, task runs in worker processes, through boto3;
//! and what becomes of task runs when processes are killed.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::environment;
use crate::served::{PATIENCE, Served};

/// States after which nothing happens.
const ENDS: &[&str] = &["SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT"];

/// A server with the plugin that matches.
fn served() -> Served {
    let mut served = Served::new();
    let wasm = served.folder.path().join("find-matches.wasm");
    std::fs::write(&wasm, tenon_tests::component("plugins/find-matches")).unwrap();
    served.kill();
    let install = ["plugin", "install", wasm.to_str().unwrap()];
    let (succeeded, said) = served.command(None, &install);
    assert!(succeeded, "{said}");
    served.start();
    served
}

/// A transform over a table of so many people.
fn people(served: &Served, count: usize) -> String {
    let folder = served.lake("people");
    std::fs::create_dir_all(&folder).unwrap();
    let row = |at: usize| format!("{at},name {},city {}\n", at / 2, at % 7);
    let rows: String = (0..count).map(row).collect();
    std::fs::write(folder.join("a.csv"), format!("id,name,city\n{rows}")).unwrap();
    let column = |name: &str| json!({"Name": name, "Type": "string"});
    let table = json!({
        "Name": "people",
        "Parameters": {"classification": "csv"},
        "StorageDescriptor": {
            "Columns": [column("id"), column("name"), column("city")],
            "Location": folder.display().to_string(),
        },
    });
    served.call("CreateDatabase", json!({"DatabaseInput": {"Name": "d"}}));
    served.call(
        "CreateTable",
        json!({"DatabaseName": "d", "TableInput": table}),
    );
    let transform = json!({
        "Name": "people",
        "Role": "role",
        "InputRecordTables": [{"DatabaseName": "d", "TableName": "people"}],
        "Parameters": {
            "TransformType": "FIND_MATCHES", "FindMatchesParameters": {"PrimaryKeyColumnName": "id"},
        },
    });
    let made = served.call("CreateMLTransform", transform);
    made["TransformId"].as_str().unwrap().to_owned()
}

fn start(served: &Served, operation: &str, transform: &str, mut input: Value) -> String {
    input["TransformId"] = json!(transform);
    let started = served.call(operation, input);
    started["TaskRunId"].as_str().unwrap().to_owned()
}

/// The task run as soon as it is in one of these states.
fn task(served: &Served, transform: &str, run: &str, states: &[&str]) -> Value {
    let started = Instant::now();
    loop {
        let input = json!({"TransformId": transform, "TaskRunId": run});
        let (_, found) = served.ask("GetMLTaskRun", &input);
        let status = found["Status"].as_str().unwrap_or_default();
        if states.contains(&status) {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{found}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn import(served: &Served, transform: &str, labels: &str) -> Value {
    let path = served.lake("labels.csv");
    std::fs::write(&path, labels).unwrap();
    let input = json!({"InputS3Path": path.display().to_string()});
    let run = start(served, "StartImportLabelsTaskRun", transform, input);
    task(served, transform, &run, ENDS)
}

#[test]
fn boto3_finds_matches() {
    let clients = tenon_tests::root().join("tests/clients");
    let Some(python) = environment::python(&clients) else {
        println!("skipped: pip cannot install tests/clients/requirements.txt here");
        return;
    };
    let served = served();
    let output = Command::new(python)
        .arg(clients.join("runs/boto3_find_matches.py"))
        .arg(format!("http://{}", served.address))
        .arg(served.lake(""))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONPATH", &clients)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    println!("{}", text(&output.stdout));
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn labels_survive_a_kill_and_a_task_under_way_is_not_forgotten() {
    let mut served = served();
    let transform = people(&served, 60_000);
    let labels = "labeling_set_id,label,id,name,city\ns,A,0,name 0,city 0\ns,A,1,name 0,city 1\ns,B,2,name 1,city 2\n";
    let imported = import(&served, &transform, labels);
    assert_eq!(imported["Status"], "SUCCEEDED", "{imported}");
    let sets = served.lake("sets.csv");
    let input = json!({"OutputS3Path": sets.display().to_string()});
    let run = start(
        &served,
        "StartMLLabelingSetGenerationTaskRun",
        &transform,
        input,
    );
    task(&served, &transform, &run, &["RUNNING"]);
    served.kill();
    served.start();
    let found = task(&served, &transform, &run, ENDS);
    let said = found["ErrorString"].as_str().unwrap_or_default();
    assert!(
        found["Status"] == "FAILED" && said.contains("the server ended"),
        "{found}"
    );
    assert!(!sets.exists());
    let kept = served.call("GetMLTransform", json!({"TransformId": transform}));
    assert_eq!(
        (&kept["LabelCount"], &kept["Status"]),
        (&json!(3), &json!("READY"))
    );
    // They go out as they came in.
    let out = served.lake("out.csv");
    let input = json!({"OutputS3Path": out.display().to_string()});
    let run = start(&served, "StartExportLabelsTaskRun", &transform, input);
    assert_eq!(task(&served, &transform, &run, ENDS)["Status"], "SUCCEEDED");
    assert_eq!(std::fs::read_to_string(out).unwrap(), labels);
}

#[test]
fn a_worker_that_is_killed_fails_its_task_and_no_other() {
    let served = served();
    let transform = people(&served, 60_000);
    let input = json!({"OutputS3Path": served.lake("sets.csv").display().to_string()});
    let run = start(
        &served,
        "StartMLLabelingSetGenerationTaskRun",
        &transform,
        input,
    );
    task(&served, &transform, &run, &["RUNNING"]);
    for worker in served.workers("run-worker") {
        let killed = Command::new("kill")
            .arg("-9")
            .arg(worker.to_string())
            .status();
        assert!(killed.unwrap().success());
    }
    let found = task(&served, &transform, &run, ENDS);
    let said = found["ErrorString"].as_str().unwrap_or_default();
    assert!(
        found["Status"] == "FAILED" && said.contains("signal 9"),
        "{found}"
    );
    let said = import(
        &served,
        &transform,
        "labeling_set_id,label,id,name,city\ns,A,none,x,y\n",
    );
    let said = said["ErrorString"].as_str().unwrap();
    assert!(
        said.contains("labels.csv:2: record id = \"none\" is not in the table"),
        "{said}"
    );
}
