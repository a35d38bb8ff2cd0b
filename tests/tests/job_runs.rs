//! `tenon serve` runs jobs: the real binary, its worker processes and real files, over the wire, also when processes are
//! killed.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use arrow::array::Int64Array;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::environment;
use crate::moto::Moto;
use crate::served::{ACCOUNT, PATIENCE, Served};

/// The command of the process that runs a job.
const WORKER: &str = "run-worker";

/// States after which nothing happens.
const ENDS: &[&str] = &["SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT"];

impl Served {
    fn write(&self, name: &str, text: &str) {
        let path = self.lake(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Whole or not at all, as whoever delivers files would.
        let hidden = path.with_file_name(".arriving");
        std::fs::write(&hidden, text).unwrap();
        std::fs::rename(hidden, path).unwrap();
    }

    fn create_job(&self, name: &str, nodes: &Value, more: Value) {
        self.call("CreateJob", job(name, nodes, more));
    }

    fn start_job(&self, name: &str, arguments: Value) -> String {
        let input = json!({"JobName": name, "Arguments": arguments});
        let answer = self.call("StartJobRun", input);
        answer["JobRunId"].as_str().unwrap().to_owned()
    }

    /// The run as soon as it is in one of these states.
    fn job_run(&self, job: &str, run: &str, states: &[&str]) -> Value {
        let started = Instant::now();
        loop {
            let input = json!({"JobName": job, "RunId": run});
            let (found, mut answer) = self.ask("GetJobRun", &input);
            let run = answer["JobRun"].take();
            if found && states.contains(&run["JobRunState"].as_str().unwrap()) {
                return run;
            }
            assert!(started.elapsed() < PATIENCE, "{answer} {run}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs it to a success.
    fn succeed(&self, job: &str) -> Value {
        let run = self.start_job(job, json!({}));
        let run = self.job_run(job, &run, ENDS);
        assert_eq!(run["JobRunState"], "SUCCEEDED", "{run}");
        run
    }

    fn stop_run(&self, job: &str, run: &str) {
        let input = json!({"JobName": job, "JobRunIds": [run]});
        let answer = self.call("BatchStopJobRun", input);
        assert!(answer.get("Errors").is_none(), "{answer}");
    }

    /// A job whose run does not end: it reads a pipe that nobody writes into.
    fn create_endless(&self, name: &str, more: Value) {
        let pipe = self.lake(&format!("{name}-in/pipe.csv"));
        std::fs::create_dir_all(pipe.parent().unwrap()).unwrap();
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        let nodes = copies(self, &format!("{name}-in"), &format!("{name}-out"));
        self.create_job(name, &nodes, more);
    }

    /// Process ids of workers that have a run: they have left the folder that idle ones are in.
    fn busy(&self) -> Vec<u32> {
        let is_busy = |id: &u32| {
            let folder = std::fs::read_link(format!("/proc/{id}/cwd"));
            folder.is_ok_and(|folder| folder != Path::new("/"))
        };
        self.workers(WORKER).into_iter().filter(is_busy).collect()
    }
}

fn job(name: &str, nodes: &Value, more: Value) -> Value {
    let mut input = json!({
        "Name": name,
        "Role": "role",
        "Command": {"Name": "glueetl"},
        "CodeGenConfigurationNodes": nodes,
    });
    for (member, value) in more.as_object().unwrap() {
        input[member] = value.clone();
    }
    input
}

/// A graph that copies a folder of CSV files into one of Parquet files.
fn copies(served: &Served, from: &str, to: &str) -> Value {
    let path = |name: &str| served.lake(name).display().to_string();
    json!({
        "in": {"S3CsvSource": {
            "Name": "in", "Paths": [path(from)], "Separator": "comma", "QuoteChar": "quote", "WithHeader": true,
        }},
        "out": {"S3GlueParquetTarget": {"Name": "out", "Inputs": ["in"], "Path": path(to)}},
    })
}

/// Every value of the column `id`, and how often it is there.
fn ids(folder: &Path) -> BTreeMap<i64, usize> {
    let mut ids = BTreeMap::new();
    let Ok(files) = std::fs::read_dir(folder) else {
        return ids;
    };
    for file in files.flatten() {
        if !file.file_name().to_string_lossy().starts_with("part-") {
            continue;
        }
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file.path()).unwrap());
        for batch in reader.unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let column = batch.column_by_name("id").unwrap();
            let column = column.as_any().downcast_ref::<Int64Array>().unwrap();
            for id in column.values() {
                *ids.entry(*id).or_default() += 1;
            }
        }
    }
    ids
}

fn once(ids: impl IntoIterator<Item = i64>) -> BTreeMap<i64, usize> {
    ids.into_iter().map(|id| (id, 1)).collect()
}

fn csv(ids: impl IntoIterator<Item = i64>) -> String {
    let lines = ids.into_iter().map(|id| format!("{id},n{id}\n"));
    format!("id,name\n{}", lines.collect::<String>())
}

/// Whatever is not visible in a folder of results.
fn hidden(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().flatten();
    let names = names.map(|file| file.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with('.')).collect()
}

#[test]
fn a_job_runs_and_its_rows_and_its_table_are_there() {
    let served = Served::new();
    served.write(
        "people/a.csv",
        "id,name,age\n1,Ada,36\n2,Bob,7\n3,Cleo,17\n",
    );
    let path = |name: &str| served.lake(name).display().to_string();
    let nodes = json!({
        "node-1": {"S3CsvSource": {
            "Name": "people", "Paths": [path("people")], "Separator": "comma", "QuoteChar": "quote", "WithHeader": true,
        }},
        "node-2": {"ApplyMapping": {"Name": "mapped", "Inputs": ["node-1"], "Mapping": [
            {"ToKey": "who", "FromPath": ["name"], "FromType": "string", "ToType": "string"},
            {"ToKey": "id", "FromPath": ["id"], "FromType": "long", "ToType": "bigint"},
            {"ToKey": "age", "FromPath": ["age"], "FromType": "long", "ToType": "bigint"},
        ]}},
        "node-3": {"Filter": {"Name": "older", "Inputs": ["node-2"], "LogicalOperator": "AND", "Filters": [
            {"Operation": "GTE", "Values": [
                {"Type": "COLUMNEXTRACTED", "Value": ["age"]}, {"Type": "CONSTANT", "Value": ["17"]},
            ]},
        ]}},
        "node-4": {"S3GlueParquetTarget": {
            "Name": "out", "Inputs": ["node-3"], "Path": path("older"),
            "SchemaChangePolicy": {"EnableUpdateCatalog": true, "Database": "d", "Table": "older"},
        }},
    });
    let more = json!({"WorkerType": "G.1X", "NumberOfWorkers": 2, "GlueVersion": "4.0"});
    served.create_job("people", &nodes, more);
    let run = served.succeed("people");
    assert_eq!(
        (&run["Attempt"], &run["Timeout"]),
        (&json!(0), &json!(2880))
    );
    let seconds = run["ExecutionTime"].as_f64().unwrap();
    assert_eq!(run["DPUSeconds"].as_f64().unwrap(), 2.0 * seconds);
    assert!(
        run["CompletedOn"].as_f64() >= run["StartedOn"].as_f64(),
        "{run}"
    );
    assert!(run.get("ErrorMessage").is_none(), "{run}");
    let detail = run["StateDetail"].as_str().unwrap();
    assert!(
        detail.contains("node-1: 3 rows") && detail.contains("node-3: 2 rows"),
        "{detail}"
    );
    assert_eq!(ids(&served.lake("older")), once([1, 3]));

    let mut answer = served.call("GetTable", json!({"DatabaseName": "d", "Name": "older"}));
    let table = answer["Table"].take();
    assert_eq!(table["StorageDescriptor"]["Location"], path("older"));
    let columns = table["StorageDescriptor"]["Columns"].as_array().unwrap();
    let columns: Vec<_> = columns
        .iter()
        .map(|c| c["Name"].as_str().unwrap())
        .collect();
    assert_eq!(columns, ["who", "id", "age"]);

    // The table that a run made is read by the next job.
    let nodes = json!({
        "t": {"CatalogSource": {"Name": "t", "Database": "d", "Table": "older"}},
        "out": {"S3DirectTarget": {"Name": "out", "Inputs": ["t"], "Path": path("again"), "Format": "parquet"}},
    });
    served.create_job("again", &nodes, json!({}));
    served.succeed("again");
    assert_eq!(ids(&served.lake("again")), once([1, 3]));
}

#[test]
fn a_partitioned_table_is_read() {
    let served = Served::new();
    let column = |name: &str, kind: &str| json!({"Name": name, "Type": kind});
    served.call("CreateDatabase", json!({"DatabaseInput": {"Name": "d"}}));
    let table = json!({
        "Name": "sales",
        "Parameters": {"classification": "csv"},
        "PartitionKeys": [column("year", "int")],
        "StorageDescriptor": {
            "Columns": [column("id", "bigint"), column("name", "string")],
            "Location": served.lake("sales").display().to_string(),
        },
    });
    served.call(
        "CreateTable",
        json!({"DatabaseName": "d", "TableInput": table}),
    );
    for (year, id) in [(2023, 1), (2024, 2)] {
        served.write(&format!("sales/year={year}/x.csv"), &csv([id]));
        let place = served.lake(&format!("sales/year={year}"));
        let partition = json!({
            "Values": [year.to_string()],
            "StorageDescriptor": {"Location": place.display().to_string()},
        });
        let input = json!({"DatabaseName": "d", "TableName": "sales", "PartitionInput": partition});
        served.call("CreatePartition", input);
    }
    let nodes = json!({
        "t": {"CatalogSource": {"Name": "t", "Database": "d", "Table": "sales"}},
        "out": {"S3GlueParquetTarget": {
            "Name": "out", "Inputs": ["t"], "Path": served.lake("out").display().to_string(),
        }},
    });
    served.create_job("sales", &nodes, json!({}));
    served.succeed("sales");
    assert_eq!(ids(&served.lake("out")), once([1, 2]));
}

#[test]
fn a_table_with_its_partitions_and_the_bookmark_change_with_the_success() {
    let served = Served::new();
    served.write("in/a.csv", &csv([1, 2]));
    served.create_job("first", &by_id(&served, "d"), json!({}));
    served.succeed("first");
    let partitions = |database: &str| {
        let input = json!({"DatabaseName": database, "TableName": "t"});
        let answer = served.call("GetPartitions", input);
        let found = answer["Partitions"].as_array().unwrap().clone();
        let values = |partition: &Value| partition["Values"][0].as_str().unwrap().to_owned();
        found.iter().map(values).collect::<Vec<_>>()
    };
    assert_eq!(partitions("d"), ["1", "2"]);

    // A run that reads the table that another of its nodes writes to: its partitions are there once.
    let nodes = json!({
        "in": {"CatalogSource": {"Name": "in", "Database": "d", "Table": "t", "PartitionPredicate": "id = '2'"}},
        "more": {"SparkSQL": {
            "Name": "more", "Inputs": ["in"], "SqlQuery": "select name, id + 1 as id from t",
            "SqlAliases": [{"From": "in", "Alias": "t"}],
        }},
        "out": {"CatalogTarget": {"Name": "out", "Inputs": ["more"], "Database": "d", "Table": "t", "Mode": "append"}},
    });
    served.create_job("itself", &nodes, json!({}));
    served.succeed("itself");
    assert_eq!(partitions("d"), ["1", "2", "3"]);
    assert!(served.lake("d/id=3").is_dir());

    // By bookmark nothing is written into folders by columns: said before anything is.
    let mut nodes = copies(&served, "in", "d");
    nodes["out"] =
        json!({"CatalogTarget": {"Name": "out", "Inputs": ["in"], "Database": "d", "Table": "t"}});
    served.create_job("new", &nodes, json!({}));
    let run = served.start_job(
        "new",
        json!({"--job-bookmark-option": "job-bookmark-enable"}),
    );
    let run = served.job_run("new", &run, ENDS);
    let said = run["ErrorMessage"].as_str().unwrap();
    assert!(said.contains("PartitionKeys"), "{said}");
    assert_eq!(files_of(&served.lake("d/id=1")), 1);
}

/// Files of results in a folder.
fn files_of(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder).unwrap().flatten();
    let names = names.map(|file| file.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("part-")).count()
}

/// Rows in a folder for each of their ids, registered as the table `t`.
fn by_id(served: &Served, database: &str) -> Value {
    let mut nodes = copies(served, "in", database);
    let target = &mut nodes["out"]["S3GlueParquetTarget"];
    target["PartitionKeys"] = json!([["id"]]);
    target["SchemaChangePolicy"] =
        json!({"EnableUpdateCatalog": true, "Database": database, "Table": "t"});
    nodes
}

#[test]
fn what_cannot_run_is_refused_when_the_job_is_created() {
    let served = Served::new();
    let refused = |nodes: &Value, more: Value| served.refused("CreateJob", job("x", nodes, more));
    let with = |node: &str, value: Value| {
        let mut nodes = copies(&served, "in", "out");
        nodes[node] = value;
        nodes
    };
    let kind = json!({"SparkConnectorSource": {
        "Name": "from spark", "ConnectionName": "c", "ConnectorName": "c", "ConnectionType": "t",
    }});
    let said = refused(&with("in", kind), json!({}));
    assert!(said.contains("InvalidInputException"), "{said}");
    assert!(
        said.contains(
            "node \"from spark\" is of the kind SparkConnectorSource: databases cannot be"
        ),
        "{said}"
    );
    let plugin = json!({"DynamicTransform": {
        "Name": "mine", "TransformName": "t", "Inputs": ["in"], "FunctionName": "f", "Path": "none:none@1",
    }});
    let mut nodes = with("plugin", plugin);
    nodes["out"]["S3GlueParquetTarget"]["Inputs"] = json!(["plugin"]);
    let said = refused(&nodes, json!({}));
    assert!(
        said.contains("\"mine\"") && said.contains("none:none"),
        "{said}"
    );
    let outside = served.folder.path().join("data/x").display().to_string();
    for path in ["/etc/passwd", &outside, "s3://bucket/key", "relative.csv"] {
        let mut nodes = copies(&served, "in", "out");
        nodes["in"]["S3CsvSource"]["Paths"] = json!([path]);
        let said = refused(&nodes, json!({}));
        assert!(
            said.contains(&format!("the path of node \"in\" lies at {path}, ")),
            "{said}"
        );
    }
    let by_bookmark = |option: &str| json!({"DefaultArguments": {"--job-bookmark-option": option}});
    let said = refused(&copies(&served, "in", "out"), by_bookmark("yes"));
    assert!(said.contains("--job-bookmark-option is \"yes\""), "{said}");
    let to_file = copies(&served, "in", "out.parquet");
    let said = refused(&to_file, by_bookmark("job-bookmark-enable"));
    assert!(
        said.contains("node \"out\"") && said.contains("give a folder"),
        "{said}"
    );
    let table = json!({"CatalogSource": {"Name": "in", "Database": "d", "Table": "t"}});
    let said = refused(&with("in", table), by_bookmark("job-bookmark-enable"));
    assert!(said.contains("is read whole"), "{said}");
}

#[test]
fn a_failure_is_told_in_a_sentence_that_names_node_and_place() {
    let served = Served::new();
    served.write("bad/a.csv", "id,name\n1,a\n2,\"b\n");
    served.create_job(
        "bad",
        &copies(&served, "bad", "out"),
        json!({"MaxRetries": 1}),
    );
    let run = served.start_job("bad", json!({}));
    for run in [run.clone(), format!("{run}_attempt_1")] {
        let found = served.job_run("bad", &run, ENDS);
        assert_eq!(found["JobRunState"], "FAILED");
        let said = found["ErrorMessage"].as_str().unwrap();
        assert!(
            said.contains("\"in\"") && said.contains("a.csv:3"),
            "{said}"
        );
        assert!(
            !said.contains(served.folder.path().to_str().unwrap()),
            "{said}"
        );
    }
    assert!(ids(&served.lake("out")).is_empty());
    served.create_job("none", &copies(&served, "nowhere", "out"), json!({}));
    let run = served.start_job("none", json!({}));
    let said = served.job_run("none", &run, ENDS)["ErrorMessage"].to_string();
    assert!(said.contains("nowhere"), "{said}");
}

#[test]
fn a_failure_has_a_hint_that_fits() {
    let mut served = Served::new();
    served.kill();
    let json_of = |(succeeded, said): (bool, String)| -> Value {
        assert!(succeeded, "{said}");
        serde_json::from_str(&said).unwrap()
    };
    let token = ["token", "create", "t", "--output", "json"];
    let token = json_of(served.command(None, &token))["token"].clone();
    let token = token.as_str().unwrap();
    served.start();
    served.write("damaged/a.parquet", "PAR1 and nothing of it");
    served.write("wide/a.csv", &csv(0..10));
    let mut damaged = copies(&served, "damaged", "out");
    damaged["in"] = json!({"S3ParquetSource": {"Name": "in", "Paths": [served.lake("damaged")]}});
    let mut missing = copies(&served, "none", "out");
    missing["in"] = json!({"CatalogSource": {"Name": "in", "Database": "d", "Table": "t"}});
    let mut large = copies(&served, "wide", "out");
    large["sql"] = json!({"SparkSQL": {
        "Name": "sql", "Inputs": ["in"], "SqlQuery": "select repeat('x', 2000000000) as x from t",
        "SqlAliases": [{"From": "in", "Alias": "t"}],
    }});
    large["out"]["S3GlueParquetTarget"]["Inputs"] = json!(["sql"]);
    for (name, nodes, problem, hint) in [
        ("damaged", damaged, "a.parquet", "the file that it names"),
        (
            "missing",
            missing,
            "database d does not exist",
            "its tables are in the catalog",
        ),
        (
            "large",
            large,
            "at once, the limit is",
            "give it more memory",
        ),
    ] {
        served.create_job(name, &nodes, json!({}));
        let run = served.start_job(name, json!({}));
        let found = served.job_run(name, &run, ENDS);
        let show = ["job", "show", name, &run, "--output", "json"];
        let shown = json_of(served.command(Some(token), &show));
        let said = |member: &str| shown[member].as_str().unwrap_or_default().to_owned();
        assert!(said("problem").contains(problem), "{name}: {shown}");
        assert!(said("hint").contains(hint), "{name}: {shown}");
        assert_eq!(
            found["ErrorMessage"],
            format!("{}; try: {}", said("problem"), said("hint"))
        );
    }
}

#[test]
fn runs_are_tables_cost_money_and_are_compared() {
    let mut served = Served::new();
    served.write("in/a.csv", &csv(0..1000));
    served.create_job("j", &copies(&served, "in", "out"), json!({}));
    let first = served.succeed("j")["Id"].as_str().unwrap().to_owned();
    served.write("in/b.csv", &csv(1000..1500));
    let mut nodes = copies(&served, "in", "out");
    nodes["out"]["S3GlueParquetTarget"]["Compression"] = json!("gzip");
    let mut update = job("j", &nodes, json!({}));
    update.as_object_mut().unwrap().remove("Name");
    served.call("UpdateJob", json!({"JobName": "j", "JobUpdate": update}));
    let second = served.succeed("j")["Id"].as_str().unwrap().to_owned();
    served.kill();
    let json_of = |(succeeded, said): (bool, String)| -> Value {
        assert!(succeeded, "{said}");
        serde_json::from_str(&said).unwrap()
    };
    let query = |query: &str, more: &[&str]| {
        let args = [&["sql", query, "--output", "json"], more].concat();
        json_of(served.command(None, &args))
    };
    let runs = query(
        "select run, state, rows_written, cost, completed >= started as is_after, arrow_typeof(started) as type \
         from system.runs where cpu_seconds > 0 order by started",
        &[],
    );
    let kind = "Timestamp(ms, \"UTC\")";
    let row = |run: &str, rows: u64| {
        json!({
            "run": run, "state": "SUCCEEDED", "rows_written": rows, "cost": null, "is_after": true, "type": kind,
        })
    };
    assert_eq!(runs, json!([row(&first, 1000), row(&second, 1500)]));
    let nodes = query(
        "select node, cpu_seconds, cost from system.nodes where run = (select min(run) from system.runs) order by node",
        &["--price-core-hour", "3600", "--account", ACCOUNT],
    );
    assert_eq!(
        (&nodes[0]["node"], &nodes[1]["node"]),
        (&json!("in"), &json!("out"))
    );
    for node in nodes.as_array().unwrap() {
        let [seconds, cost] = ["cpu_seconds", "cost"].map(|name| node[name].as_f64().unwrap());
        assert!(seconds > 0.0 && (seconds - cost).abs() < 1e-9, "{node}");
    }
    let (succeeded, said) = served.command(None, &["sql", "select 1 from system.none"]);
    assert!(
        !succeeded && said.contains("there is no table system.none"),
        "{said}"
    );
    let (succeeded, said) = served.command(None, &["sql", "select 1", "--account", "999999999999"]);
    assert!(
        !succeeded && said.contains("there is no account 999999999999"),
        "{said}"
    );

    let token = ["token", "create", "t", "--output", "json"];
    let token = json_of(served.command(None, &token))["token"].clone();
    served.start();
    let compare = ["job", "compare", &first, &second];
    let with = |more: &[&str]| served.command(token.as_str(), &[&compare, more].concat());
    let compared = json_of(with(&["--output", "json"]));
    assert_eq!(
        (&compared["a"]["run"], &compared["b"]["run"]),
        (&json!(first), &json!(second))
    );
    let nodes = compared["nodes"].as_array().unwrap();
    let node = |id: &str| nodes.iter().find(|node| node["node"] == id).unwrap();
    assert_eq!(node("in")["rows_out"], json!({"a": 1000, "b": 1500}));
    assert!(node("out")["bytes_written"]["a"].is_u64(), "{compared}");
    let differences = json!([{
        "member": "out.S3GlueParquetTarget.Compression", "a": null, "b": "gzip",
    }]);
    assert_eq!(compared["definition"], differences);
    let (succeeded, said) = with(&[]);
    assert!(
        succeeded && said.contains("+50 %") && said.contains("Compression"),
        "{said}"
    );
}

#[test]
fn a_bookmark_goes_back_to_a_run_and_no_row_is_lost_or_doubled() {
    let mut served = Served::new();
    let by_bookmark = json!({"DefaultArguments": {"--job-bookmark-option": "job-bookmark-enable"}});
    served.create_job("add", &copies(&served, "in", "out"), by_bookmark);
    let mut runs = Vec::new();
    for (at, name) in ["a", "b", "c"].into_iter().enumerate() {
        let first = at as i64 * 10;
        served.write(&format!("in/{name}.csv"), &csv(first..first + 10));
        runs.push(served.succeed("add")["Id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids(&served.lake("out")), once(0..30));
    // From now on what runs write is looked at alone.
    let read = |served: &Served, arguments: Value| {
        std::fs::remove_dir_all(served.lake("out")).unwrap();
        let run = served.start_job("add", arguments);
        let run = served.job_run("add", &run, ENDS);
        assert_eq!(run["JobRunState"], "SUCCEEDED", "{run}");
        ids(&served.lake("out"))
    };
    let rewind = json!({"JobName": "add", "RunId": &runs[0]});
    let entry = served.call("ResetJobBookmark", rewind.clone());
    assert_eq!(entry["JobBookmarkEntry"]["RunId"], json!(runs[0]));
    assert_eq!(
        read(&served, json!({})),
        once(10..30),
        "what later runs read, once"
    );
    assert!(read(&served, json!({})).is_empty(), "nothing is new");

    // A range reads again, and leaves the bookmark.
    let range = |from: &str, to: &str| {
        json!({
            "--job-bookmark-option": "job-bookmark-pause", "--job-bookmark-from": from, "--job-bookmark-to": to,
        })
    };
    let (succeeded, _) = served.ask("ResetJobBookmark", &json!({"JobName": "add"}));
    assert!(succeeded);
    let mut again = Vec::new();
    for name in ["a", "b", "c"] {
        // One file at a time, so that each run has one.
        let hidden = served.lake(&format!("in/.{name}"));
        std::fs::rename(served.lake(&format!("in/{name}.csv")), &hidden).unwrap();
    }
    for name in ["a", "b", "c"] {
        std::fs::rename(
            served.lake(&format!("in/.{name}")),
            served.lake(&format!("in/{name}.csv")),
        )
        .unwrap();
        again.push(served.succeed("add")["Id"].as_str().unwrap().to_owned());
    }
    assert_eq!(read(&served, range(&again[0], &again[1])), once(10..20));
    assert_eq!(read(&served, range(&again[0], &again[2])), once(10..30));
    assert!(read(&served, json!({})).is_empty(), "the bookmark stood");
    // What is written again since is not what that run read.
    served.write("in/b.csv", &csv(100..103));
    assert_eq!(read(&served, range(&again[0], &again[2])), once(20..30));
    assert_eq!(read(&served, json!({})), once(100..103));

    // Runs before a reset cannot be named any more.
    let (succeeded, answer) = served.ask("ResetJobBookmark", &rewind);
    assert!(
        !succeeded && answer.to_string().contains("is not known any more"),
        "{answer}"
    );
    let run = served.start_job("add", range(&runs[0], &again[2]));
    let found = served.job_run("add", &run, ENDS);
    assert_eq!(found["JobRunState"], "FAILED", "{found}");

    // The same by the command line, and to a moment.
    served.kill();
    let json_of = |(succeeded, said): (bool, String)| -> Value {
        assert!(succeeded, "{said}");
        serde_json::from_str(&said).unwrap()
    };
    let token = ["token", "create", "t", "--output", "json"];
    let token = json_of(served.command(None, &token))["token"].clone();
    served.start();
    let bookmark = |served: &Served, args: &[&str]| {
        let args = [&["job", "bookmark"], args, &["--output", "json"]].concat();
        json_of(served.command(token.as_str(), &args))
    };
    let shown = bookmark(&served, &["show", "add"]);
    assert_eq!(shown["nodes"][0]["files"], 3, "{shown}");
    assert_eq!(shown["runs"][0], json!({"run": &again[0], "files": 1}));
    assert_eq!(bookmark(&served, &["ls"])[0]["job"], "add");
    bookmark(&served, &["rewind", "add", &again[1]]);
    assert_eq!(read(&served, json!({})), once((20..30).chain(100..103)));
    bookmark(&served, &["set", "add", "--before", "2000-01-01T00:00:00Z"]);
    assert_eq!(read(&served, json!({})).len(), 23, "all are newer");
    bookmark(&served, &["set", "add", "--before", "2100-01-01T00:00:00Z"]);
    assert!(read(&served, json!({})).is_empty(), "all are older");
    bookmark(&served, &["reset", "add"]);
    assert_eq!(read(&served, json!({})).len(), 23);
}

#[test]
fn a_run_that_does_not_listen_stops_within_a_second_and_others_go_on() {
    let served = Served::new();
    served.create_endless(
        "endless",
        json!({"ExecutionProperty": {"MaxConcurrentRuns": 1}}),
    );
    let first = served.start_job("endless", json!({}));
    served.job_run("endless", &first, &["RUNNING"]);
    let second = served.start_job("endless", json!({}));
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(
        served.job_run("endless", &second, &["WAITING"])["Id"],
        second.as_str()
    );
    let at_once = json!({"JobName": "endless", "JobRunQueuingEnabled": false});
    let said = served.refused("StartJobRun", at_once);
    assert!(said.contains("ConcurrentRunsExceededException"), "{said}");

    let stopped = Instant::now();
    served.stop_run("endless", &first);
    let run = served.job_run("endless", &first, &["STOPPED"]);
    let took = stopped.elapsed();
    println!("stopped within {took:?}");
    assert!(took < Duration::from_millis(2_000), "{took:?}");
    assert!(
        run["CompletedOn"].is_number() && run.get("ErrorMessage").is_none(),
        "{run}"
    );
    served.job_run("endless", &second, &["RUNNING"]);
    assert_eq!(served.busy().len(), 1, "the first worker is gone");

    served.write("in/a.csv", &csv(0..10));
    served.create_job("quick", &copies(&served, "in", "out"), json!({}));
    served.succeed("quick");
    served.stop_run("endless", &second);
    served.job_run("endless", &second, &["STOPPED"]);
}

/// Whether the kernel names a version of Landlock, whatever becomes of a wall.
fn has_landlock() -> bool {
    use landlock::{ABI, Access, AccessFs, LandlockStatus, Ruleset, RulesetAttr};

    let tried = std::thread::spawn(|| {
        let rules = Ruleset::default().handle_access(AccessFs::from_all(ABI::V1));
        rules.unwrap().create().unwrap().restrict_self().unwrap()
    });
    let status = tried.join().unwrap().landlock;
    matches!(status, LandlockStatus::Available { .. })
}

#[test]
fn threads_that_work_on_a_run_have_given_the_system_up() {
    if !has_landlock() {
        println!("skipped: the kernel has no Landlock");
        return;
    }
    let served = Served::new();
    served.create_endless("endless", json!({}));
    let run = served.start_job("endless", json!({}));
    served.job_run("endless", &run, &["RUNNING"]);
    let worker = served.busy()[0];
    let tasks = std::fs::read_dir(format!("/proc/{worker}/task")).unwrap();
    let mut confined = 0;
    for task in tasks.flatten() {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap();
        let is_main = task.file_name().to_string_lossy() == worker.to_string();
        if is_main || name.starts_with("tokio") {
            let status = std::fs::read_to_string(task.path().join("status")).unwrap();
            // Whoever raises a wall of Landlock's gains no rights by running programs either.
            assert!(status.contains("NoNewPrivs:\t1"), "{name}: {status}");
            confined += 1;
        }
    }
    assert!(confined >= 2, "the main thread, and those that read");
    served.stop_run("endless", &run);
    served.job_run("endless", &run, &["STOPPED"]);
}

#[test]
fn a_worker_that_is_killed_ends_its_run_alone() {
    let served = Served::new();
    served.create_endless("endless", json!({"MaxRetries": 1}));
    let run = served.start_job("endless", json!({}));
    served.job_run("endless", &run, &["RUNNING"]);
    for worker in served.busy() {
        let killed = Command::new("kill")
            .args(["-9", &worker.to_string()])
            .status();
        assert!(killed.unwrap().success());
    }
    let found = served.job_run("endless", &run, ENDS);
    assert_eq!(found["JobRunState"], "FAILED");
    let said = found["ErrorMessage"].as_str().unwrap();
    assert!(
        said.starts_with("the worker process of the run was killed (signal 9)"),
        "{said}"
    );
    let again = format!("{run}_attempt_1");
    served.job_run("endless", &again, &["RUNNING"]);
    served.stop_run("endless", &again);
    served.job_run("endless", &again, &["STOPPED"]);
}

#[test]
fn a_server_that_is_killed_takes_its_runs_up_again() {
    let mut served = Served::new();
    served.write("in/a.csv", &csv(0..1000));
    served.create_endless("endless", json!({}));
    served.create_job(
        "quick",
        &copies(&served, "in", "out"),
        json!({"MaxRetries": 1}),
    );
    let run = served.start_job("endless", json!({}));
    served.job_run("endless", &run, &["RUNNING"]);
    let quick = served.start_job("quick", json!({}));
    let workers = served.workers(WORKER);
    served.kill();
    served.start();
    let found = served.job_run("endless", &run, ENDS);
    assert_eq!(found["JobRunState"], "FAILED");
    assert_eq!(
        found["ErrorMessage"],
        "the server ended while the run was under way; try: run the job again; with MaxRetries that happens by itself"
    );
    // It was waiting, or under way, or done.
    let found = served.job_run("quick", &quick, ENDS);
    if found["JobRunState"] != "SUCCEEDED" {
        let again = format!("{quick}_attempt_1");
        let found = served.job_run("quick", &again, ENDS);
        assert_eq!(found["JobRunState"], "SUCCEEDED", "{found}");
    }
    assert_eq!(ids(&served.lake("out")), once(0..1000));
    let started = Instant::now();
    while workers
        .iter()
        .any(|id| Path::new(&format!("/proc/{id}")).exists())
    {
        assert!(started.elapsed() < PATIENCE, "a worker outlives its server");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_run_by_bookmark_reads_what_is_new_and_adds_it() {
    let served = Served::new();
    let by_bookmark = json!({"DefaultArguments": {"--job-bookmark-option": "job-bookmark-enable"}});
    served.create_job("add", &copies(&served, "in", "out"), by_bookmark);
    served.write("in/a.csv", &csv(0..10));
    served.succeed("add");
    assert_eq!(ids(&served.lake("out")), once(0..10));
    served.write("in/b.csv", &csv(10..15));
    let detail = served.succeed("add")["StateDetail"].to_string();
    assert!(detail.contains("in: 5 rows"), "{detail}");
    assert_eq!(ids(&served.lake("out")), once(0..15));
    // Nothing is new.
    served.succeed("add");
    assert_eq!(ids(&served.lake("out")), once(0..15));
    // A file that was written again is.
    served.write("in/a.csv", &csv(100..103));
    served.succeed("add");
    assert_eq!(ids(&served.lake("out")), once((0..15).chain(100..103)));

    let of = json!({"JobName": "add"});
    let entry = served.call("GetJobBookmark", of.clone());
    let text = entry["JobBookmarkEntry"]["JobBookmark"].as_str().unwrap();
    let state: Value = serde_json::from_str(text).unwrap();
    assert_eq!(state["in"]["files"], 2, "{state}");

    // A run that pauses the bookmark reads what is new and does not move it.
    served.write("in/c.csv", &csv(200..201));
    let paused = json!({"--job-bookmark-option": "job-bookmark-pause"});
    for times in 1..=2 {
        let run = served.start_job("add", paused.clone());
        let run = served.job_run("add", &run, ENDS);
        assert_eq!(run["JobRunState"], "SUCCEEDED", "{run}");
        assert_eq!(ids(&served.lake("out"))[&200], times);
    }
    served.call("ResetJobBookmark", of);
    served.succeed("add");
    assert_eq!(
        ids(&served.lake("out"))[&10],
        2,
        "everything was read again"
    );
}

/// The server is killed at some moment of a run, again and again; what comes out is what would have come out.
#[test]
fn rows_are_there_once_whenever_the_server_is_killed() {
    let mut served = Served::new();
    let nodes = copies(&served, "in", "out");
    kill_again_and_again(
        &mut served,
        &nodes,
        12,
        |served, name, text| served.write(name, text),
        |served| (ids(&served.lake("out")), hidden(&served.lake("out"))),
    );
}

/// The same in a bucket: uploads that a killed process began are not left either.
#[test]
fn rows_are_there_once_in_a_bucket_whenever_the_server_is_killed() {
    let Some(bucket) = Moto::start() else { return };
    let mut served = Served::with(&["--reachable", "127.0.0.0/8"]);
    connect(&served, "lake", &bucket);
    let nodes = copies_in_bucket(&served);
    kill_again_and_again(
        &mut served,
        &nodes,
        4,
        |_, name, text| bucket.put(name, text),
        |_| (ids_in(&bucket), uploads_in(&bucket)),
    );
}

/// Delivers files, runs a job that reads what is new, and kills the server at some moment of each run. `written` says
/// which ids are there, how often, and what should not be there. `TENON_KILLS` says how often, if not `rounds`.
fn kill_again_and_again(
    served: &mut Served,
    nodes: &Value,
    rounds: i64,
    deliver: impl Fn(&Served, &str, &str),
    written: impl Fn(&Served) -> (BTreeMap<i64, usize>, Vec<String>),
) {
    let wanted = std::env::var("TENON_KILLS").ok();
    let rounds = wanted
        .and_then(|wanted| wanted.parse().ok())
        .unwrap_or(rounds);
    let mut more = json!({
        "MaxRetries": 2,
        "DefaultArguments": {"--job-bookmark-option": "job-bookmark-enable"},
    });
    if nodes["out"].get("S3DirectTarget").is_some() {
        more["Connections"] = json!({"Connections": ["lake"]});
    }
    served.create_job("add", nodes, more);
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..rounds {
        let rows = round * 1000..(round + 1) * 1000;
        deliver(served, &format!("in/{round}.csv"), &csv(rows));
        let first = served.start_job("add", json!({}));
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        std::thread::sleep(Duration::from_millis(seed % 160));
        served.kill();
        served.start();
        let mut run = first.clone();
        for attempt in 1.. {
            let found = served.job_run("add", &run, ENDS);
            if found["JobRunState"] == "SUCCEEDED" {
                break;
            }
            println!("round {round}: {}", found["ErrorMessage"]);
            run = format!("{first}_attempt_{attempt}");
        }
        let (ids, left) = written(served);
        assert_eq!(ids, once(0..(round + 1) * 1000));
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn what_a_run_did_is_kept_and_shown() {
    let mut served = Served::new();
    served.write("in/a.csv", &csv(0..1000));
    served.create_job("quick", &copies(&served, "in", "out"), json!({}));
    served.create_job("none", &copies(&served, "nowhere", "out"), json!({}));
    served.kill();
    let json_of = |(succeeded, said): (bool, String)| -> Value {
        assert!(succeeded, "{said}");
        serde_json::from_str(&said).unwrap()
    };
    let token = json_of(served.command(None, &["token", "create", "t", "--output", "json"]));
    let token = token["token"].as_str().unwrap().to_owned();
    served.start();
    let job = |args: &[&str]| served.command(Some(&token), &[&["job"], args].concat());
    let jobs = json_of(job(&["ls", "--output", "json"]));
    assert_eq!(jobs, json!([{"job": "none"}, {"job": "quick"}]));
    let run = json_of(job(&["submit", "quick", "--wait", "--output", "json"]));
    assert_eq!(run["state"], "SUCCEEDED", "{run}");
    let id = run["run"].as_str().unwrap();
    let shown = json_of(job(&["show", "quick", id, "--output", "json"]));
    let nodes = shown["nodes"].as_array().unwrap();
    let node = |id: &str| nodes.iter().find(|node| node["node"] == id).unwrap();
    let number = |value: &Value| value.as_f64().unwrap();
    let size = csv(0..1000).len() as f64;
    assert!(number(&node("in")["bytes_read"]) >= size, "{shown}");
    assert!(node("out")["bytes_read"].is_null());
    for id in ["in", "out"] {
        assert!(number(&node(id)["cpu_micros"]) > 0.0, "{shown}");
        assert_eq!(node(id)["rows_dropped"], 0);
    }
    assert!(number(&shown["memory_byte_seconds"]) > 0.0, "{shown}");
    assert_eq!(
        (&node("in")["kind"], &node("in")["rows_out"]),
        (&json!("S3CsvSource"), &json!(1000))
    );
    let graph = |format: &str| {
        let run = run["run"].as_str().unwrap();
        let (succeeded, said) = job(&["graph", "--run", run, "--format", format]);
        assert!(succeeded, "{said}");
        said
    };
    let drawn: Value = serde_json::from_str(&graph("json")).unwrap();
    assert_eq!(drawn["state"], "SUCCEEDED", "{drawn}");
    let drawn = drawn["nodes"].as_array().unwrap();
    let marked = drawn.iter().filter(|node| node["is_slowest"] == true);
    assert_eq!(marked.count(), 1);
    assert!(drawn.iter().any(|node| node["metrics"]["rows_out"] == 1000));
    let text = graph("text");
    assert!(
        text.contains("in  S3CsvSource  1,000 rows, read "),
        "{text}"
    );
    assert!(text.matches('◀').count() == 1, "{text}");
    let picture = graph("svg");
    assert!(
        picture.starts_with("<svg") && picture.contains("1,000 rows"),
        "{picture}"
    );
    let (succeeded, said) = job(&["graph", "--run", "jr_none"]);
    assert!(!succeeded && said.contains("jr_none"), "{said}");
    assert_eq!(node("out")["rows_in"], 1000);
    let files = std::fs::read_dir(served.lake("out")).unwrap().flatten();
    let parts = files.filter(|file| file.file_name().to_string_lossy().starts_with("part-"));
    let bytes: u64 = parts.map(|file| file.metadata().unwrap().len()).sum();
    assert_eq!(node("out")["bytes_written"], bytes);
    assert!(
        shown["peak_memory_bytes"].as_u64().unwrap() > 1 << 20,
        "{shown}"
    );
    let (succeeded, said) = job(&["submit", "none", "--wait"]);
    assert!(
        !succeeded && said.contains("the run is FAILED: ") && said.contains("nowhere"),
        "{said}"
    );
    let runs = json_of(job(&["runs", "quick", "--output", "json"]));
    assert_eq!(
        (runs.as_array().unwrap().len(), &runs[0]["run"]),
        (1, &json!(id))
    );
    assert_eq!(runs[0]["rows_written"], 1000);
    // A run while it runs.
    let watched = served.start_job("quick", json!({}));
    let path = format!("/v1/accounts/{ACCOUNT}/jobs/quick/runs/{watched}/events");
    let said = served.get(&token, &path);
    assert!(said.contains("text/event-stream"), "{said}");
    let events = said.lines().filter_map(|line| line.strip_prefix("data: "));
    let events: Vec<Value> = events
        .map(|event| serde_json::from_str(event).unwrap())
        .collect();
    let last = events.last().unwrap();
    assert_eq!(
        (&last["id"], &last["state"]),
        (&json!(watched), &json!("SUCCEEDED"))
    );
    assert_eq!(last["metrics"]["nodes"][0]["rows_out"], 1000, "{last}");
    assert!(
        served
            .get(&token, &format!("{path}x"))
            .starts_with("HTTP/1.1 404")
    );
    let graph = path.replace("/events", "/graph");
    for (format, kind) in [
        ("", "application/json"),
        ("text", "text/plain"),
        ("svg", "image/svg+xml"),
    ] {
        let said = served.get(&token, &format!("{graph}?format={format}"));
        assert!(
            said.starts_with("HTTP/1.1 200") && said.contains(kind),
            "{said}"
        );
        assert!(said.contains("S3CsvSource"), "{said}");
    }
    let said = served.get(&token, &format!("{graph}?format=png"));
    assert!(
        said.starts_with("HTTP/1.1 400") && said.contains("json, text or svg"),
        "{said}"
    );
    // One that is asked to stop is answered as it is.
    served.create_endless("endless", json!({}));
    let stopped = served.start_job("endless", json!({}));
    served.job_run("endless", &stopped, &["RUNNING"]);
    let waiting = served.start_job("endless", json!({}));
    let path = format!("/v1/accounts/{ACCOUNT}/jobs/endless/runs/{waiting}/graph");
    let said = served.get(&token, &path);
    assert!(
        said.starts_with("HTTP/1.1 404") && said.contains("it did not begin"),
        "{said}"
    );
    let path = format!("/v1/accounts/{ACCOUNT}/jobs/endless/runs/{stopped}/stop");
    let said = served.send("POST", &token, &path);
    assert!(said.starts_with("HTTP/1.1 202"), "{said}");
    let (_, body) = said.split_once("\r\n\r\n").unwrap();
    let answer: Value = serde_json::from_str(body).unwrap();
    assert_eq!(answer["state"], "STOPPING", "{answer}");
    assert!(answer["metrics"]["cpu_micros"].is_number(), "{answer}");
    let (succeeded, said) = job(&["show", "quick", "jr_none"]);
    assert!(
        !succeeded && said.contains("job run jr_none of job quick does not exist"),
        "{said}"
    );
    assert_eq!(
        json_of(job(&["logs", "quick", id, "--output", "json"])),
        json!([])
    );
}

#[test]
fn a_plugin_that_spins_is_stopped_within_a_second() {
    let mut served = Served::new();
    let wasm = served.folder.path().join("hostile.wasm");
    std::fs::write(&wasm, tenon_tests::component("tests/hostile")).unwrap();
    served.kill();
    let install = ["plugin", "install", wasm.to_str().unwrap()];
    let (succeeded, said) = served.command(None, &install);
    assert!(succeeded, "{said}");
    served.start();
    served.write("in/a.csv", &csv(0..10));
    let mut nodes = copies(&served, "in", "out");
    nodes["evil"] = json!({"DynamicTransform": {
        "Name": "evil", "TransformName": "spins", "Inputs": ["in"], "FunctionName": "spins", "Path": "tenon:hostile@0",
    }});
    nodes["out"]["S3GlueParquetTarget"]["Inputs"] = json!(["evil"]);
    served.create_job("spins", &nodes, json!({}));
    let run = served.start_job("spins", json!({}));
    let input = json!({"JobName": "spins", "RunId": &run});
    let started = Instant::now();
    // It is compiled first, by another process.
    while !served.call("GetJobRun", input.clone())["JobRun"]["StateDetail"].is_string() {
        assert!(started.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(100));
    }
    let stopped = Instant::now();
    served.stop_run("spins", &run);
    served.job_run("spins", &run, &["STOPPED"]);
    let took = stopped.elapsed();
    println!("stopped within {took:?}");
    assert!(took < Duration::from_millis(2_000), "{took:?}");
    assert!(served.busy().is_empty());
    // One that traps ends its run, which says what to try.
    nodes["evil"]["DynamicTransform"]["FunctionName"] = json!("traps");
    served.create_job("traps", &nodes, json!({}));
    let run = served.start_job("traps", json!({}));
    let found = served.job_run("traps", &run, ENDS);
    let said = found["ErrorMessage"].as_str().unwrap();
    let (problem, hint) = said.split_once("; try: ").unwrap();
    assert!(
        problem.contains("plugin hostile@0.1.0, function traps"),
        "{said}"
    );
    assert!(!hint.is_empty(), "{said}");
}

/// A connection of the catalog that leads to a bucket, as clients create it.
fn connect(served: &Served, name: &str, bucket: &Moto) {
    let input = json!({
        "Name": name, "ConnectionType": "CUSTOM",
        "ConnectionProperties": {"ENDPOINT": bucket.url, "REGION": "us-east-1"},
        "SparkProperties": {"URL": "s3://lake/", "ACCESS_KEY_ID": "me"},
        "AuthenticationConfiguration": {
            "AuthenticationType": "CUSTOM",
            "CustomAuthenticationCredentials": {"SECRET_ACCESS_KEY": "canary/Secret+Key"},
        },
    });
    served.call("CreateConnection", json!({"ConnectionInput": input}));
}

/// A graph that copies CSV files of a bucket into others of the same bucket.
fn copies_in_bucket(served: &Served) -> Value {
    let mut nodes = copies(served, "in", "out");
    nodes["in"]["S3CsvSource"]["Paths"] = json!(["s3://lake/in/"]);
    nodes["out"] = json!({"S3DirectTarget": {
        "Name": "out", "Inputs": ["in"], "Path": "s3://lake/out/", "Format": "csv",
    }});
    nodes
}

/// The ids in what was written to the bucket, and how often each is there.
fn ids_in(bucket: &Moto) -> BTreeMap<i64, usize> {
    let mut ids = BTreeMap::new();
    let rows = bucket.inspect(&["cat", "lake", "out/part-"]);
    // What is none is the header of each file.
    let found = rows
        .lines()
        .filter_map(|row| row.split(',').next()?.parse().ok());
    found.for_each(|id| *ids.entry(id).or_default() += 1);
    ids
}

/// Uploads to the bucket that were begun and not ended.
fn uploads_in(bucket: &Moto) -> Vec<String> {
    let names = bucket.names().into_iter();
    names.filter(|name| name.starts_with("open ")).collect()
}

#[test]
fn a_run_reaches_a_bucket_through_a_connection_of_its_job() {
    let Some(bucket) = Moto::start() else { return };
    let served = Served::with(&["--reachable", "127.0.0.0/8"]);
    let nodes = copies_in_bucket(&served);
    let said = served.refused("CreateJob", job("copy", &nodes, json!({})));
    assert!(
        said.contains("s3://lake/in/, which takes a connection"),
        "{said}"
    );
    let connected = json!({
        "Connections": {"Connections": ["lake"]},
        "DefaultArguments": {"--job-bookmark-option": "job-bookmark-enable"},
    });
    let said = served.refused("CreateJob", job("copy", &nodes, connected.clone()));
    assert!(said.contains("connection \"lake\" of the job"), "{said}");
    connect(&served, "lake", &bucket);
    served.create_job("copy", &nodes, connected);

    bucket.put("in/a.csv", "id,name\n1,a\n2,b\n");
    let first = served.succeed("copy");
    bucket.put("in/b.csv", "id,name\n3,c\n");
    served.succeed("copy");
    served.succeed("copy");
    assert_eq!(ids_in(&bucket), once(1..=3));
    assert!(uploads_in(&bucket).is_empty());

    // One that is not for the path, and files of the machine, are no way around the folder.
    connect(&served, "other", &bucket);
    let database = json!({"Name": "db", "ConnectionType": "JDBC", "ConnectionProperties": {
        "JDBC_CONNECTION_URL": "jdbc:postgresql://db/x", "USERNAME": "me", "PASSWORD": "canary",
    }});
    served.call("CreateConnection", json!({"ConnectionInput": database}));
    let both = json!({"Connections": {"Connections": ["db", "lake"]}});
    served.create_job("both", &nodes, both);
    served.succeed("both");
    let mut away = nodes.clone();
    away["in"]["S3CsvSource"]["Paths"] = json!(["s3://elsewhere/in/"]);
    served.create_job(
        "away",
        &away,
        json!({"Connections": {"Connections": ["other"]}}),
    );
    let run = served.start_job("away", json!({}));
    let run = served.job_run("away", &run, ENDS);
    assert!(
        run["ErrorMessage"]
            .as_str()
            .unwrap()
            .contains("none of the job's connections, other, is for s3://elsewhere/in/"),
        "{run}"
    );
    away["in"]["S3CsvSource"]["Paths"] = json!(["/etc"]);
    let said = served.refused(
        "CreateJob",
        job(
            "etc",
            &away,
            json!({"Connections": {"Connections": ["other"]}}),
        ),
    );
    assert!(said.contains("lies at /etc"), "{said}");
    for shown in [first.to_string(), run.to_string(), said] {
        assert!(!shown.contains("canary"), "{shown}");
    }
}

#[test]
fn a_run_reaches_no_network_that_the_operator_did_not_allow() {
    let Some(bucket) = Moto::start() else { return };
    let served = Served::new();
    connect(&served, "lake", &bucket);
    let connected = json!({"Connections": {"Connections": ["lake"]}});
    served.create_job("copy", &copies_in_bucket(&served), connected);
    let run = served.start_job("copy", json!({}));
    let run = served.job_run("copy", &run, ENDS);
    let said = run["ErrorMessage"].as_str().unwrap();
    assert!(
        run["JobRunState"] == "FAILED" && said.contains("127.0.0.1"),
        "{said}"
    );
    assert!(bucket.names().is_empty());
}

#[test]
fn boto3_runs_jobs() {
    a_client_runs_jobs("", "runs/boto3_runs.py");
}

#[test]
fn boto3_runs_jobs_that_write_tables() {
    a_client_runs_jobs("", "runs/boto3_tables.py");
}

#[test]
fn airflow_runs_a_job_and_shows_its_log() {
    a_client_runs_jobs("airflow", "airflow/airflow_glue.py");
}

/// Runs a script against a server, in the environment that the requirements of `folder` make.
fn a_client_runs_jobs(folder: &str, script: &str) {
    let clients = tenon_tests::root().join("tests/clients");
    let Some(python) = environment::python(&clients.join(folder)) else {
        println!("skipped: pip cannot install the requirements.txt of {script} here");
        return;
    };
    let served = Served::new();
    let output = Command::new(python)
        .arg(clients.join(script))
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
