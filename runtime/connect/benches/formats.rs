//! Reading and writing against DuckDB, Polars and PySpark: time, peak memory, and whether all give the same.
//!
//! Cost model: (a) CSV to Parquet is bound by the processor: finding fields is about a nanosecond a byte, parsing them as
//! much again, and encoding with zstd as much as both. (b) JSON lines have twice the bytes and names to compare. (c) A
//! Parquet scan decodes three columns of eight. (e) Ten thousand small files are opening files and footers.
//!
//! Every run is a process of its own, so that its peak of resident memory is its own; the fastest of the rounds counts,
//! and engines take turns. What they write is read back by one reader and compared by sums.
//!
//! ```text
//! TENON_BENCH_MB=100           size of the CSV file; 2000 for the large size
//! TENON_BENCH_ROUNDS=3
//! TENON_PEER_FORMATS=python    with tests/peers/formats/requirements.txt
//! TENON_PEER_PYTHON=python     with pyspark
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark that cannot go on should stop"
)]

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow::util::display::array_value_to_string;
use datafusion::physical_plan::{ExecutionPlanProperties, execute_stream_partitioned};
use datafusion::prelude::{SessionConfig, SessionContext};
use serde_json::{Value, json};
use tenon_connect::{
    CsvOptions, FileSink, Format, JsonOptions, ParquetOptions, Place, Target, WriteMode, table,
};

const SMALL_FILES: usize = 10_000;
const SMALL_ROWS: u64 = 100;
const FILTERED: &str = "SELECT category, count(*) AS n, sum(id) AS ids, sum(CAST(round(amount * 100) AS BIGINT)) AS cents, \
    max(day) AS last FROM t WHERE amount >= 250 AND flag GROUP BY category ORDER BY category";
const COUNTED: &str = "SELECT count(*) AS n, sum(id) AS ids, count(CASE WHEN flag THEN 1 END) AS flags FROM t WHERE id % 3 = 0";
const SUMS: &str = "SELECT count(*) AS rows, sum(id) AS ids, sum(character_length(name)) AS names, \
    sum(CAST(round(amount * 100) AS BIGINT)) AS cents, count(amount) AS amounts, max(CAST(day AS DATE)) AS last, \
    count(DISTINCT category) AS categories, count(CASE WHEN flag THEN 1 END) AS flags, sum(character_length(note)) AS notes FROM t";

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with("--"))
        .collect();
    if let [marker, task, source, target] = arguments.as_slice()
        && marker == "run"
    {
        return run(task, Path::new(source), Path::new(target));
    }
    let size = number("TENON_BENCH_MB", 100) << 20;
    let folder = tempfile::tempdir().unwrap();
    let data = Data::generate(folder.path(), size);
    println!("{}", machine());
    println!(
        "| task | input MB | engine | seconds | ratio | peak MB | ratio |\n|---|---|---|---|---|---|---|"
    );
    compare("csv", "(a) CSV to Parquet zstd", &data.csv, folder.path());
    compare(
        "json",
        "(b) JSON lines to Parquet zstd",
        &data.json,
        folder.path(),
    );
    compare(
        "scan",
        "(c) Parquet scan, filter, aggregate",
        &data.parquet,
        folder.path(),
    );
    compare(
        "small",
        "(e) 10 000 Parquet files, count and filter",
        &data.small,
        folder.path(),
    );
}

/// One run of ours, in its own process.
fn run(task: &str, source: &Path, target: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let start = Instant::now();
    let answer = runtime.block_on(async {
        match task {
            "csv" => convert(source, target, &Format::Csv(CsvOptions::default())).await,
            "json" => convert(source, target, &Format::Json(JsonOptions::default())).await,
            "scan" => query(source, FILTERED).await,
            "small" => query(source, COUNTED).await,
            "sums" => query(source, SUMS).await,
            other => panic!("no task {other}"),
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{}",
        json!({"seconds": seconds, "bytes": peak(), "answer": answer})
    );
}

async fn convert(source: &Path, target: &Path, format: &Format) -> Vec<Vec<String>> {
    let place = Place::ambient();
    let table = table(&place, &[source.to_path_buf()], format)
        .await
        .unwrap();
    let context = context();
    let frame = context.read_table(table).unwrap();
    let schema = Arc::new(frame.schema().as_arrow().clone());
    let plan = frame.create_physical_plan().await.unwrap();
    assert!(plan.output_partitioning().partition_count() > 0);
    let streams = execute_stream_partitioned(plan, context.task_ctx()).unwrap();
    let target = Target::Directory(target.to_path_buf());
    let parquet = Format::Parquet(ParquetOptions::default());
    let sink = FileSink::open(&place, &target, &parquet, WriteMode::Replace, "bench").unwrap();
    sink.write(schema, streams)
        .await
        .unwrap()
        .commit()
        .await
        .unwrap();
    Vec::new()
}

async fn query(source: &Path, sql: &str) -> Vec<Vec<String>> {
    let parquet = Format::Parquet(ParquetOptions::default());
    let table = table(&Place::ambient(), &[source.to_path_buf()], &parquet)
        .await
        .unwrap();
    let context = context();
    context.register_table("t", table).unwrap();
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter();
            rows.push(
                cells
                    .map(|column| array_value_to_string(column, row).unwrap())
                    .collect(),
            );
        }
    }
    rows
}

fn context() -> SessionContext {
    let cores = std::thread::available_parallelism().unwrap().get();
    SessionContext::new_with_config(SessionConfig::new().with_target_partitions(cores))
}

struct Engine {
    name: &'static str,
    /// The Python that has it; none for ours.
    python: Option<PathBuf>,
}

fn engines() -> Vec<Engine> {
    let python = |variable: &str| {
        std::env::var_os(variable)
            .map(PathBuf::from)
            .filter(|p| p.is_file())
    };
    let peers = python("TENON_PEER_FORMATS");
    let spark = python("TENON_PEER_PYTHON");
    let mut engines = vec![Engine {
        name: "tenon",
        python: None,
    }];
    for name in ["duckdb", "polars"] {
        match &peers {
            Some(python) => engines.push(Engine {
                name,
                python: Some(python.clone()),
            }),
            None => println!("{name} is absent: TENON_PEER_FORMATS names no Python that has it"),
        }
    }
    match spark {
        Some(python) => engines.push(Engine {
            name: "pyspark",
            python: Some(python),
        }),
        None => println!("pyspark is absent: TENON_PEER_PYTHON names no Python that has it"),
    }
    engines
}

impl Engine {
    fn run(&self, task: &str, source: &Path, target: &Path) -> Option<Value> {
        let _ = std::fs::remove_dir_all(target);
        let _ = std::fs::remove_file(target);
        let mut command = match &self.python {
            None => {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command.arg("run");
                command
            }
            Some(python) => {
                let script = Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("../../tests/peers/formats/bench.py");
                let mut command = Command::new(python);
                command.arg(script).arg(self.name);
                command
            }
        };
        let output = command.arg(task).arg(source).arg(target).output().unwrap();
        if !output.status.success() {
            println!(
                "{} fails: {}",
                self.name,
                String::from_utf8_lossy(&output.stderr).trim_end()
            );
            return None;
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Some(serde_json::from_str(text.trim().lines().last().unwrap()).unwrap())
    }
}

/// The fastest run of an engine, and the least memory of its runs.
struct Best {
    name: &'static str,
    seconds: f64,
    bytes: f64,
}

fn compare(task: &str, title: &str, source: &Path, folder: &Path) {
    let engines = engines_of(task);
    let mut best: Vec<Best> = Vec::new();
    let mut expected: Option<(Value, &str)> = None;
    for round in 0..number("TENON_BENCH_ROUNDS", 3) {
        for engine in &engines {
            // A folder for ours and Spark, a file in a folder for the others.
            let output = folder.join("out").join(engine.name);
            std::fs::create_dir_all(output.parent().unwrap()).unwrap();
            let is_folder = matches!(engine.name, "tenon" | "pyspark");
            let target = if is_folder {
                output.clone()
            } else {
                output.with_extension("parquet")
            };
            let Some(result) = engine.run(task, source, &target) else {
                continue;
            };
            let (seconds, bytes) = (
                result["seconds"].as_f64().unwrap(),
                result["bytes"].as_f64().unwrap(),
            );
            match best.iter_mut().find(|best| best.name == engine.name) {
                None => best.push(Best {
                    name: engine.name,
                    seconds,
                    bytes,
                }),
                Some(best) => {
                    best.seconds = best.seconds.min(seconds);
                    best.bytes = best.bytes.min(bytes);
                }
            }
            if round > 0 {
                continue;
            }
            let answer = match task {
                "csv" | "json" => engines[0]
                    .run("sums", &target, &folder.join("none"))
                    .unwrap()["answer"]
                    .clone(),
                _ => result["answer"].clone(),
            };
            match &expected {
                None => expected = Some((answer, engine.name)),
                Some((expected, first)) if *expected != answer => {
                    println!(
                        "{title}: {} and {first} differ: {answer} and {expected}",
                        engine.name
                    );
                }
                Some(_) => {}
            }
        }
    }
    report(title, source, &best);
}

fn engines_of(task: &str) -> Vec<Engine> {
    // Ten thousand files cost Spark minutes and say nothing of ours.
    engines()
        .into_iter()
        .filter(|engine| task != "small" || engine.name != "pyspark")
        .collect()
}

fn report(title: &str, source: &Path, best: &[Best]) {
    let peers = || best.iter().filter(|best| best.name != "tenon");
    let fastest = peers()
        .map(|best| best.seconds)
        .fold(f64::INFINITY, f64::min);
    let leanest = peers().map(|best| best.bytes).fold(f64::INFINITY, f64::min);
    let megabytes = size(source) >> 20;
    for best in best {
        println!(
            "| {title} | {megabytes} | {} | {:.3} | {:.2} | {:.0} | {:.2} |",
            best.name,
            best.seconds,
            best.seconds / fastest,
            best.bytes / 1e6,
            best.bytes / leanest
        );
    }
}

fn size(path: &Path) -> u64 {
    if path.is_file() {
        return path.metadata().unwrap().len();
    }
    let entries = std::fs::read_dir(path).unwrap();
    entries.map(|entry| size(&entry.unwrap().path())).sum()
}

/// The same rows in every format, from a seed.
struct Data {
    csv: PathBuf,
    json: PathBuf,
    parquet: PathBuf,
    small: PathBuf,
}

struct Row {
    id: u64,
    name: String,
    amount: Option<f64>,
    day: String,
    days: i32,
    category: String,
    flag: bool,
    note: String,
}

/// SplitMix64: the n-th number, wherever one begins.
fn random(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn row(id: u64) -> Row {
    let [a, b, c] = [random(id * 3), random(id * 3 + 1), random(id * 3 + 2)];
    let days = (a % 3650) as i32;
    let (year, month, day) = (2015 + a % 10, 1 + (a >> 8) % 12, 1 + (a >> 16) % 28);
    let has_comma = c.is_multiple_of(4);
    Row {
        id,
        name: format!("customer {:x} \u{e9}t\u{e9}", b >> 36),
        amount: (!b.is_multiple_of(50)).then(|| (b % 100_000) as f64 / 100.0),
        day: format!("{year}-{month:02}-{day:02}"),
        days,
        category: format!("category-{:02}", c % 40),
        flag: c.is_multiple_of(3),
        note: match has_comma {
            true => format!("ordered {}, then \"returned\" {}", c % 9, a % 7),
            false => format!("ordered {} and kept {}", c % 9, a % 7),
        },
    }
}

impl Data {
    fn generate(folder: &Path, size: u64) -> Self {
        let data = Self {
            csv: folder.join("data.csv"),
            json: folder.join("data.jsonl"),
            parquet: folder.join("parquet"),
            small: folder.join("small"),
        };
        let mut csv = BufWriter::new(std::fs::File::create(&data.csv).unwrap());
        let mut json = BufWriter::new(std::fs::File::create(&data.json).unwrap());
        writeln!(csv, "id,name,amount,day,category,flag,note").unwrap();
        let (mut rows, mut written) = (0, 0);
        while written < size {
            let row = row(rows);
            rows += 1;
            let amount = row
                .amount
                .map(|amount| format!("{amount}"))
                .unwrap_or_default();
            let note = match row.note.contains(',') {
                true => format!("\"{}\"", row.note.replace('"', "\"\"")),
                false => row.note.clone(),
            };
            let Row {
                id,
                name,
                day,
                category,
                flag,
                ..
            } = &row;
            let line = format!("{id},{name},{amount},{day},{category},{flag},{note}\n");
            written += line.len() as u64;
            csv.write_all(line.as_bytes()).unwrap();
            let object = json!({"id": id, "name": name, "amount": row.amount, "day": day, "category": category, "flag": flag, "note": row.note});
            writeln!(json, "{object}").unwrap();
        }
        std::fs::create_dir(&data.parquet).unwrap();
        std::fs::create_dir(&data.small).unwrap();
        let per_file = rows.div_ceil(4).max(1);
        for file in 0..4 {
            let range = file * per_file..((file + 1) * per_file).min(rows);
            parquet(&data.parquet.join(format!("{file}.parquet")), range);
        }
        for file in 0..SMALL_FILES as u64 {
            parquet(
                &data.small.join(format!("{file:05}.parquet")),
                file * SMALL_ROWS..(file + 1) * SMALL_ROWS,
            );
        }
        data
    }
}

fn parquet(path: &Path, ids: std::ops::Range<u64>) {
    let mut writer = None;
    let mut start = ids.start;
    while start < ids.end {
        let end = (start + 8192).min(ids.end);
        let batch = batch(&(start..end).map(row).collect::<Vec<_>>());
        let writer = writer.get_or_insert_with(|| {
            let file = std::fs::File::create(path).unwrap();
            parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap()
        });
        writer.write(&batch).unwrap();
        start = end;
    }
    if let Some(writer) = writer {
        writer.close().unwrap();
    }
}

fn batch(rows: &[Row]) -> RecordBatch {
    let text = |of: fn(&Row) -> &str| {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of))) as ArrayRef
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "id",
            Arc::new(Int64Array::from_iter_values(
                rows.iter().map(|row| row.id as i64),
            )),
        ),
        ("name", text(|row| &row.name)),
        (
            "amount",
            Arc::new(rows.iter().map(|row| row.amount).collect::<Float64Array>()),
        ),
        (
            "day",
            Arc::new(Date32Array::from_iter_values(
                rows.iter().map(|row| row.days),
            )),
        ),
        ("category", text(|row| &row.category)),
        (
            "flag",
            Arc::new(
                rows.iter()
                    .map(|row| Some(row.flag))
                    .collect::<BooleanArray>(),
            ),
        ),
        ("note", text(|row| &row.note)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// The most memory this process had resident, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

fn machine() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    format!("{cores} cores, load {load} at the start")
}
