//! `tenon serve` finds out statistics of columns: the real binary over real files, compared with what is computed here.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int32Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use tenon_tests::tenon;

use crate::served::{ACCOUNT, PATIENCE, Served};

/// The command of the process that reads a table.
const READER: &str = "analyze-worker";

impl Served {
    fn table(&self, name: &str, format: &str, location: &str, columns: &Value, keys: &Value) {
        let _ = self.ask("CreateDatabase", &json!({"DatabaseInput": {"Name": "d"}}));
        let table = json!({
            "Name": name,
            "Parameters": {"classification": format},
            "PartitionKeys": keys,
            "StorageDescriptor": {"Columns": columns, "Location": location},
        });
        self.call(
            "CreateTable",
            json!({"DatabaseName": "d", "TableInput": table}),
        );
    }

    fn start_run(&self, table: &str) -> String {
        let input = json!({"DatabaseName": "d", "TableName": table, "Role": "r"});
        let answer = self.call("StartColumnStatisticsTaskRun", input);
        answer["ColumnStatisticsTaskRunId"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The run when its status is one of these.
    fn until(&self, run: &str, statuses: &[&str]) -> Value {
        let started = Instant::now();
        loop {
            let mut answer = self.call(
                "GetColumnStatisticsTaskRun",
                json!({"ColumnStatisticsTaskRunId": run}),
            );
            let found = answer["ColumnStatisticsTaskRun"].take();
            if statuses.contains(&found["Status"].as_str().unwrap()) {
                return found;
            }
            assert!(started.elapsed() < PATIENCE, "{found}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn succeeded(&self, table: &str) {
        let run = self.until(&self.start_run(table), &["SUCCEEDED", "FAILED"]);
        assert_eq!(run["Status"], "SUCCEEDED", "{run}");
    }

    fn failed(&self, table: &str) -> String {
        let run = self.until(&self.start_run(table), &["SUCCEEDED", "FAILED"]);
        assert_eq!(run["Status"], "FAILED", "{run}");
        run["ErrorMessage"].as_str().unwrap().to_owned()
    }

    /// The statistics of a column.
    fn statistics(&self, table: &str, column: &str) -> Value {
        let input = json!({"DatabaseName": "d", "TableName": table, "ColumnNames": [column]});
        let mut answer = self.call("GetColumnStatisticsForTable", input);
        let data = answer["ColumnStatisticsList"][0]["StatisticsData"].take();
        let members = data.as_object().unwrap();
        members
            .values()
            .find(|member| member.is_object())
            .unwrap()
            .clone()
    }
}

fn columns(named: &[(&str, &str)]) -> Value {
    let columns = named
        .iter()
        .map(|(name, kind)| json!({"Name": name, "Type": kind}));
    Value::Array(columns.collect())
}

/// `found` is as good an estimate of `exact` as a sketch of 16384 registers gives, with room to spare.
fn is_about(found: &Value, exact: usize) {
    let found = found.as_f64().unwrap();
    assert!(
        (found - exact as f64).abs() <= 0.05 * exact as f64,
        "{found} is not about {exact}"
    );
}

#[test]
fn a_csv_table_is_found_out() {
    let served = Served::new();
    let mut text = String::from("id,name,score,ok,day\n");
    let (mut ids, mut names, mut scores, mut oks, mut days) =
        (vec![], vec![], vec![], vec![], vec![]);
    for i in 0..5_000i64 {
        let id = i * 7 - 100;
        let name = (i % 10 != 3).then(|| format!("näme {}", i % 777));
        let score = (i % 4 != 0).then_some(i as f64 / 8.0 - 50.0);
        let ok = (i % 5 != 0).then_some(i % 3 == 0);
        let day = i % 365;
        writeln!(
            text,
            "{id},{},{},{},{}",
            name.as_deref().unwrap_or_default(),
            score.map(|score| score.to_string()).unwrap_or_default(),
            ok.map(|ok| ok.to_string()).unwrap_or_default(),
            date(day),
        )
        .unwrap();
        ids.push(id);
        names.extend(name);
        scores.extend(score);
        oks.extend(ok);
        days.push(day);
    }
    std::fs::create_dir(served.lake("orders")).unwrap();
    std::fs::write(served.lake("orders/part.csv"), text).unwrap();
    let kinds = [
        ("id", "bigint"),
        ("name", "string"),
        ("score", "double"),
        ("ok", "boolean"),
        ("day", "date"),
    ];
    let location = format!("file://{}", served.lake("orders").display());
    served.table("orders", "csv", &location, &columns(&kinds), &json!([]));
    served.succeeded("orders");

    let id = served.statistics("orders", "id");
    assert_eq!(id["MinimumValue"], *ids.iter().min().unwrap());
    assert_eq!(id["MaximumValue"], *ids.iter().max().unwrap());
    assert_eq!(id["NumberOfNulls"], 0);
    is_about(&id["NumberOfDistinctValues"], ids.len());

    let name = served.statistics("orders", "name");
    let lengths: Vec<usize> = names.iter().map(|name| name.chars().count()).collect();
    assert_eq!(name["MaximumLength"], *lengths.iter().max().unwrap());
    let average = lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
    assert!(
        (name["AverageLength"].as_f64().unwrap() - average).abs() < 1e-9,
        "{name}"
    );
    assert_eq!(name["NumberOfNulls"], 5_000 - names.len());
    is_about(
        &name["NumberOfDistinctValues"],
        names.iter().collect::<BTreeSet<_>>().len(),
    );

    let score = served.statistics("orders", "score");
    assert_eq!(
        score["MinimumValue"],
        scores.iter().copied().fold(f64::MAX, f64::min)
    );
    assert_eq!(
        score["MaximumValue"],
        scores.iter().copied().fold(f64::MIN, f64::max)
    );
    assert_eq!(score["NumberOfNulls"], 5_000 - scores.len());

    let ok = served.statistics("orders", "ok");
    assert_eq!(ok["NumberOfTrues"], oks.iter().filter(|ok| **ok).count());
    assert_eq!(ok["NumberOfFalses"], oks.iter().filter(|ok| !**ok).count());
    assert_eq!(ok["NumberOfNulls"], 5_000 - oks.len());

    let day = served.statistics("orders", "day");
    assert_eq!(
        day["MinimumValue"].as_f64().unwrap(),
        *days.iter().min().unwrap() as f64 * 86_400.0
    );
    assert_eq!(
        day["MaximumValue"].as_f64().unwrap(),
        *days.iter().max().unwrap() as f64 * 86_400.0
    );
    is_about(&day["NumberOfDistinctValues"], 365);
}

/// A day of 1970.
fn date(mut day: i64) -> String {
    let mut month = 1;
    for days in [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    format!("1970-{month:02}-{:02}", day + 1)
}

fn parquet(path: &Path, columns: RecordBatch) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), columns.schema(), None).unwrap();
    writer.write(&columns).unwrap();
    writer.close().unwrap();
}

#[test]
fn a_partitioned_parquet_table_is_found_out() {
    let served = Served::new();
    let columns_of = columns(&[("n", "bigint"), ("word", "string"), ("later", "double")]);
    let keys = columns(&[("year", "int"), ("region", "string")]);
    let location = served.lake("sales").display().to_string();
    served.table("sales", "parquet", &location, &columns_of, &keys);
    let (mut numbers, mut words) = (BTreeSet::new(), 0);
    for (year, region) in [(2023, "eu"), (2024, "eu"), (2024, "us-east")] {
        let place = served.lake(&format!("sales/year={year}/region={region}"));
        let n: Vec<i32> = (0..300).map(|i| year * 1_000 + i).collect();
        let word: Vec<Option<String>> = (0..300)
            .map(|i| (i % 3 != 0).then(|| format!("w{i}")))
            .collect();
        numbers.extend(n.iter().copied());
        words += word.iter().flatten().count();
        // The table says bigint, the files int; the column `later` they do not have.
        let batch = RecordBatch::try_from_iter([
            ("n", Arc::new(Int32Array::from(n)) as _),
            ("word", Arc::new(StringArray::from(word)) as _),
        ]);
        parquet(&place.join("part.parquet"), batch.unwrap());
        let partition = json!({
            "Values": [year.to_string(), region],
            "StorageDescriptor": {"Location": place.display().to_string()},
        });
        served.call(
            "CreatePartition",
            json!({"DatabaseName": "d", "TableName": "sales", "PartitionInput": partition}),
        );
    }
    served.succeeded("sales");
    let n = served.statistics("sales", "n");
    assert_eq!(n["MinimumValue"], *numbers.first().unwrap());
    assert_eq!(n["MaximumValue"], *numbers.last().unwrap());
    is_about(&n["NumberOfDistinctValues"], numbers.len());
    assert_eq!(
        served.statistics("sales", "word")["NumberOfNulls"],
        900 - words
    );
    assert_eq!(served.statistics("sales", "later")["NumberOfNulls"], 900);
    let year = served.statistics("sales", "year");
    assert_eq!(
        (&year["MinimumValue"], &year["MaximumValue"]),
        (&json!(2023), &json!(2024))
    );
    assert_eq!(served.statistics("sales", "region")["MaximumLength"], 7);
}

#[test]
fn what_cannot_be_read_is_named_and_what_may_not_be_is_refused() {
    let served = Served::new();
    let outside = served.folder.path().join("outside.csv");
    std::fs::write(&outside, "n\n1\n").unwrap();
    let n = columns(&[("n", "bigint")]);
    let at = |name: &str| served.lake(name).display().to_string();
    let start = |table: &str| json!({"DatabaseName": "d", "TableName": table, "Role": "r"});
    for (table, location) in [
        ("outside", outside.display().to_string()),
        ("up", at("../outside.csv")),
        ("relative", "outside.csv".to_owned()),
        ("remote", "s3://bucket/key".to_owned()),
        (
            "data",
            served.folder.path().join("data").display().to_string(),
        ),
    ] {
        served.table(table, "csv", &location, &n, &json!([]));
        let said = served.refused("StartColumnStatisticsTaskRun", start(table));
        assert!(said.contains("AccessDeniedException"), "{said}");
        assert!(
            said.contains(&format!("table d.{table} lies at {location}")),
            "{said}"
        );
    }

    std::os::unix::fs::symlink(&outside, served.lake("link.csv")).unwrap();
    served.table("link", "csv", &at("link.csv"), &n, &json!([]));
    let said = served.failed("link");
    assert!(said.contains("link.csv"), "{said}");

    served.table("missing", "csv", &at("missing.csv"), &n, &json!([]));
    let said = served.failed("missing");
    assert!(said.contains("missing.csv"), "{said}");
    assert!(
        !said.contains(served.folder.path().to_str().unwrap()),
        "{said}"
    );

    std::fs::write(served.lake("open.csv"), "n,t\n1,a\n2,\"b\n").unwrap();
    served.table("open", "csv", &at("open.csv"), &n, &json!([]));
    let said = served.failed("open");
    assert!(said.contains("open.csv:3"), "{said}");

    std::fs::write(served.lake("broken.parquet"), b"PAR1 nothing of it PAR1").unwrap();
    served.table("broken", "parquet", &at("broken.parquet"), &n, &json!([]));
    let said = served.failed("broken");
    assert!(said.contains("broken.parquet"), "{said}");
}

/// A table whose reading does not end: a pipe that nobody writes into.
fn endless(served: &Served) -> String {
    let pipe = served.lake("pipe.csv");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let location = pipe.display().to_string();
    served.table(
        "endless",
        "csv",
        &location,
        &columns(&[("n", "bigint")]),
        &json!([]),
    );
    let run = served.start_run("endless");
    served.until(&run, &["RUNNING"]);
    run
}

#[test]
fn stopping_ends_the_process_that_reads() {
    let served = Served::new();
    let run = endless(&served);
    let started = Instant::now();
    while served.workers(READER).is_empty() {
        assert!(started.elapsed() < PATIENCE, "nothing reads");
        std::thread::sleep(Duration::from_millis(5));
    }
    let of = json!({"DatabaseName": "d", "TableName": "endless"});
    served.call("StopColumnStatisticsTaskRun", of);
    assert_eq!(served.until(&run, &["STOPPED"])["Status"], "STOPPED");
    let started = Instant::now();
    while !served.workers(READER).is_empty() {
        assert!(started.elapsed() < PATIENCE, "it still reads");
        std::thread::sleep(Duration::from_millis(5));
    }
    println!("ended within {:?}", started.elapsed());
}

#[test]
fn a_run_does_not_outlive_its_server() {
    let mut served = Served::new();
    let run = endless(&served);
    served.kill();
    served.start();
    let found = served.until(&run, &["FAILED"]);
    let said = found["ErrorMessage"].as_str().unwrap();
    assert!(
        said.starts_with("the server was stopped before the run ended"),
        "{said}"
    );
    // The table is free again.
    served.start_run("endless");
}

#[test]
fn a_data_root_is_a_folder_of_data() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let said = |root: &str| {
        let output = Command::new(tenon())
            .args(["serve", "--listen", "127.0.0.1:0", "--data-root", root])
            .env("TENON_DATA", &data)
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let of = |path: &Path| format!("{ACCOUNT}={}", path.display());
    assert!(said("12=/tmp").contains("is not twelve digits"));
    assert!(said(&of(&folder.path().join("none"))).contains("No such file"));
    for around in [folder.path(), &data] {
        let said = said(&of(around));
        assert!(said.contains("tenon's own data folder is there"), "{said}");
    }
}
