//! Jobs in a running server: how long a small one takes from its start to its end, how a long queue of many accounts is
//! worked off and what that leaves in the server, what a bookmark costs, and runs that all want more memory than there is;
//! and what it costs that rows, memory and time are counted for each node.
//!
//! Cost model: a start is one durable transaction; an idle worker process takes the run at once, plans it, writes one file;
//! the end is another transaction, and a fresh worker is made ready meanwhile (about 50 ms of one core). So a queue goes
//! at the pace at which workers are made, and a single start does not wait for one. Counting adds a few instructions to each
//! batch of each node, an entry in a ledger to each reservation of memory, and ten looks at `/proc` a second: at most 3 %
//! of a job that does little else than read and write.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a benchmark that cannot go on should stop"
)]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tenon_engine::{EngineConfig, Job, Progress};
use tenon_tests::{World, tenon};

const ACCOUNTS: usize = 10;
const RUNS_OF_AN_ACCOUNT: usize = 100;
const STARTS: usize = 300;
const ROWS: usize = 10_000_000;
const FILES: usize = 1000;
const ROUNDS: usize = 5;

fn main() {
    starts();
    queue();
    bookmark();
    memory();
    metering();
}

/// `tenon serve` with accounts, each with a folder.
struct Server {
    folder: TempDir,
    process: Child,
    address: String,
    token: String,
}

impl Server {
    fn start(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let command = |args: &[&str]| {
            let mut command = Command::new(tenon());
            let data = folder.path().join("data");
            command.args(args).env("TENON_DATA", data);
            command.stdin(Stdio::null());
            command
        };
        let output = |args: &[&str]| {
            let output = command(args).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            output.stdout
        };
        let mut serve = command(&["serve", "--listen", "127.0.0.1:0"]);
        serve.args(more);
        for number in 0..ACCOUNTS {
            let account = account(number);
            output(&["account", "create", &account, "--id", &account]);
            let root = folder.path().join(&account);
            std::fs::create_dir(&root).unwrap();
            serve.arg("--data-root");
            serve.arg(format!("{account}={}", root.display()));
        }
        let token = output(&["token", "create", "bench", "--output", "json"]);
        let token: Value = serde_json::from_slice(&token).unwrap();
        let mut process = serve.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let line = lines.by_ref().map(Result::unwrap);
        let line = line.into_iter().find(|line| line.contains("http://"));
        let line = line.unwrap();
        let (_, address) = line.split_once("http://").unwrap();
        let of_address = |c: &char| *c == '.' || *c == ':' || c.is_ascii_digit();
        let address: String = address.chars().take_while(of_address).collect();
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            address: address.trim_end_matches(':').to_owned(),
            token: token["token"].as_str().unwrap().to_owned(),
            folder,
            process,
        }
    }

    fn path(&self, number: usize, name: &str) -> PathBuf {
        self.folder.path().join(account(number)).join(name)
    }

    fn ask(&self, method: &str, number: usize, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{method} /v1/accounts/{}/jobs/{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            account(number),
            self.address,
            self.token,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 2"), "{path}: {answer}");
        serde_json::from_str(body).unwrap_or_default()
    }

    /// A job that makes Parquet of the folder `in`.
    fn put(&self, number: usize, name: &str, sql: Option<&str>) {
        let path = |name: &str| self.path(number, name).display().to_string();
        let mut nodes = json!({
            "in": {"S3CsvSource": {
                "Name": "in", "Paths": [path("in")], "Separator": "comma", "QuoteChar": "quote", "WithHeader": true,
            }},
            "out": {"S3GlueParquetTarget": {"Name": "out", "Inputs": ["in"], "Path": path(&format!("{name}-out"))}},
        });
        if let Some(sql) = sql {
            nodes["sql"] = json!({"SparkSQL": {
                "Name": "sql", "Inputs": ["in"], "SqlQuery": sql, "SqlAliases": [{"From": "in", "Alias": "t"}],
            }});
            nodes["out"]["S3GlueParquetTarget"]["Inputs"] = json!(["sql"]);
        }
        let concurrent = json!({"MaxConcurrentRuns": RUNS_OF_AN_ACCOUNT});
        let job = json!({"CodeGenConfigurationNodes": nodes, "ExecutionProperty": concurrent});
        self.ask("PUT", number, name, &job);
    }

    fn start_run(&self, number: usize, job: &str, arguments: &Value) -> String {
        let body = json!({"arguments": arguments});
        let run = self.ask("POST", number, &format!("{job}/runs"), &body);
        run["id"].as_str().unwrap().to_owned()
    }

    fn wait(&self, number: usize, job: &str, run: &str, every: Duration) -> Value {
        loop {
            let found = self.ask("GET", number, &format!("{job}/runs/{run}"), &Value::Null);
            match found["state"].as_str().unwrap() {
                "SUCCEEDED" => return found,
                "WAITING" | "STARTING" | "RUNNING" => std::thread::sleep(every),
                _ => panic!("{found}"),
            }
        }
    }

    /// Resident memory in MB, open files and threads of the server's process.
    fn holds(&self) -> (u64, usize, usize) {
        let process = format!("/proc/{}", self.process.id());
        let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: u64 = line
            .unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap();
        let count = |folder: &str| {
            std::fs::read_dir(format!("{process}/{folder}"))
                .unwrap()
                .count()
        };
        (kib / 1024, count("fd"), count("task"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn account(number: usize) -> String {
    format!("{:012}", number + 1)
}

fn write_rows(folder: &Path, files: usize, rows: usize) {
    std::fs::create_dir_all(folder).unwrap();
    for file in 0..files {
        let mut text = String::from("id,word,amount\n");
        for row in file * rows..(file + 1) * rows {
            let mixed = row.wrapping_mul(0x9E37_79B9) % 1_000_003;
            writeln!(text, "{row},word{mixed},{}.5", mixed % 1000).unwrap();
        }
        std::fs::write(folder.join(format!("{file:05}.csv")), text).unwrap();
    }
}

fn starts() {
    let server = Server::start(&[]);
    write_rows(&server.path(0, "in"), 1, 1);
    server.put(0, "small", None);
    let mut times: Vec<Duration> = (0..STARTS + 10)
        .map(|_| {
            let started = Instant::now();
            let run = server.start_run(0, "small", &json!({}));
            server.wait(0, "small", &run, Duration::from_millis(1));
            let took = started.elapsed();
            // Somebody who starts one job after the other leaves the server time to make the next worker.
            std::thread::sleep(Duration::from_millis(100));
            took
        })
        .skip(10)
        .collect();
    times.sort_unstable();
    let at =
        |part: usize| times[(times.len() * part / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
    println!("| job of one row in a running server, {STARTS} starts | p50 | p99 | slowest |");
    println!("|---|---|---|---|");
    println!(
        "| from StartJobRun to SUCCEEDED as seen by the caller | {:.1} ms | {:.1} ms | {:.1} ms |\n",
        at(50),
        at(99),
        at(100)
    );
}

fn queue() {
    let server = Server::start(&[]);
    for number in 0..ACCOUNTS {
        write_rows(&server.path(number, "in"), 1, 10);
        server.put(number, "small", None);
    }
    work_off(&server, 10);
    let before = server.holds();
    let started = Instant::now();
    let waits = work_off(&server, RUNS_OF_AN_ACCOUNT);
    let took = started.elapsed().as_secs_f64();
    std::thread::sleep(Duration::from_secs(2));
    let after = server.holds();
    let runs = ACCOUNTS * RUNS_OF_AN_ACCOUNT;
    let (most, least) = waits
        .iter()
        .fold((0.0, f64::MAX), |(most, least): (f64, f64), wait| {
            (most.max(*wait), least.min(*wait))
        });
    println!(
        "| {runs} runs of {ACCOUNTS} accounts, all waiting | runs/s | mean wait, most / least of an account | memory | files | threads |"
    );
    println!("|---|---|---|---|---|---|");
    println!(
        "| {took:.1} s | {:.1} | {most:.2} s / {least:.2} s = {:.2} | {} -> {} MB | {} -> {} | {} -> {} |\n",
        runs as f64 / took,
        most / least,
        before.0,
        after.0,
        before.1,
        after.1,
        before.2,
        after.2
    );
}

/// Starts that many runs of each account and waits for them; the mean of each account from start to end, in seconds.
fn work_off(server: &Server, runs: usize) -> Vec<f64> {
    let of_account = |number: usize| -> f64 {
        let all: Vec<String> = (0..runs)
            .map(|_| server.start_run(number, "small", &json!({})))
            .collect();
        let ends = all.iter().map(|run| {
            let found = server.wait(number, "small", run, Duration::from_millis(500));
            let time = |name: &str| found[name].as_f64().unwrap();
            time("completed_unix_millis") - time("started_unix_millis")
        });
        ends.sum::<f64>() / runs as f64 / 1e3
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..ACCOUNTS)
            .map(|number| scope.spawn(move || of_account(number)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

fn bookmark() {
    let server = Server::start(&[]);
    write_rows(&server.path(0, "in"), FILES, ROWS / FILES);
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        for (times, option) in times
            .iter_mut()
            .zip(["job-bookmark-disable", "job-bookmark-enable"])
        {
            // A job of its own has a bookmark of its own, which is empty.
            let name = format!("{option}-{round}");
            server.put(0, &name, None);
            let started = Instant::now();
            let run = server.start_run(0, &name, &json!({"--job-bookmark-option": option}));
            server.wait(0, &name, &run, Duration::from_millis(5));
            times.push(started.elapsed().as_secs_f64());
            std::fs::remove_dir_all(server.path(0, &format!("{name}-out"))).unwrap();
        }
    }
    let median = |times: &[f64]| {
        // The first warms up.
        let mut times = times[1..].to_vec();
        times.sort_unstable_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let (without, with) = (median(&times[0]), median(&times[1]));
    println!(
        "| {ROWS} rows of {FILES} files, median of {ROUNDS} in turns | without bookmark | with | cost |"
    );
    println!("|---|---|---|---|");
    println!(
        "| CSV to Parquet | {without:.2} s | {with:.2} s | {:.1} % |\n",
        (with / without - 1.0) * 100.0
    );
}

fn memory() {
    let server = Server::start(&["--runs", "10", "--run-memory", "64MiB"]);
    let rows = 2_000_000;
    for number in 0..ACCOUNTS {
        write_rows(&server.path(number, "in"), 1, rows);
        server.put(number, "sort", Some("select * from t order by word, id"));
    }
    let started = Instant::now();
    let runs: Vec<String> = (0..ACCOUNTS)
        .map(|number| server.start_run(number, "sort", &json!({})))
        .collect();
    let (mut spilled, mut peak) = (0, 0);
    for (number, run) in runs.iter().enumerate() {
        let found = server.wait(number, "sort", run, Duration::from_millis(50));
        let nodes = found["metrics"]["nodes"].as_array().unwrap();
        spilled += nodes
            .iter()
            .map(|node| node["spilled_bytes"].as_u64().unwrap())
            .sum::<u64>();
        peak = peak.max(found["metrics"]["peak_memory_bytes"].as_u64().unwrap_or(0));
    }
    println!(
        "| ten runs at once, each sorts {rows} rows in 64 MiB | all done after | written to disk meanwhile | largest process |"
    );
    println!("|---|---|---|---|");
    println!(
        "| all succeeded | {:.1} s | {} MB | {} MB |\n",
        started.elapsed().as_secs_f64(),
        spilled / 1_000_000,
        peak / 1_000_000
    );
}

/// A job that reads, filters and writes all rows, in this process, with and without what is counted of its nodes.
fn metering() {
    let worlds = [true, false].map(|is_metered| {
        let config = EngineConfig {
            is_metered,
            ..EngineConfig::default()
        };
        World::with_config(&[], config)
    });
    let folder = tempfile::tempdir().unwrap();
    write_rows(&folder.path().join("in"), FILES, ROWS / FILES);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..=2 * ROUNDS {
        // Each goes first as often as the other.
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for which in order {
            let out = folder.path().join("out");
            let job = metered_job(folder.path());
            let started = Instant::now();
            let progress = Progress::default();
            let run = worlds[which].engine.run(&job, "bench", &progress);
            let report = runtime.block_on(run).unwrap();
            times[which].push(started.elapsed().as_secs_f64());
            let counted = report
                .nodes
                .iter()
                .any(|node| node.id == "in" && node.rows_out > 0);
            assert_eq!(counted, which == 0, "what is measured is what is said");
            std::fs::remove_dir_all(out).unwrap();
        }
    }
    let [with, without] = times.map(|mut times| {
        // The first warms up.
        times.remove(0);
        times.sort_unstable_by(f64::total_cmp);
        times[times.len() / 2]
    });
    println!(
        "| {ROWS} rows, median of {} in turns | counted | not counted | cost |",
        2 * ROUNDS
    );
    println!("|---|---|---|---|");
    println!(
        "| CSV to Parquet with a filter and a query | {with:.2} s | {without:.2} s | {:.1} % |\n",
        (with / without - 1.0) * 100.0
    );
}

fn metered_job(folder: &Path) -> Job {
    let (from, to) = (folder.join("in"), folder.join("out"));
    let nodes = json!({
        "in": {"S3CsvSource": {
            "Name": "in", "Paths": [from], "Separator": "comma", "QuoteChar": "quote", "WithHeader": true,
        }},
        "some": {"Filter": {"Name": "some", "Inputs": ["in"], "LogicalOperator": "AND", "Filters": [
            {"Operation": "GTE", "Values": [
                {"Type": "COLUMNEXTRACTED", "Value": ["amount"]}, {"Type": "CONSTANT", "Value": ["10"]},
            ]},
        ]}},
        "sql": {"SparkSQL": {
            "Name": "sql", "Inputs": ["some"], "SqlQuery": "select id, word, amount * 2 as amount from t",
            "SqlAliases": [{"From": "some", "Alias": "t"}],
        }},
        "out": {"S3GlueParquetTarget": {"Name": "out", "Inputs": ["sql"], "Path": to}},
    });
    let nodes = nodes.as_object().unwrap().clone();
    Job::from_nodes("bench", nodes).unwrap()
}
