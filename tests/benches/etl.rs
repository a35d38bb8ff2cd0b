//! The everyday job against DuckDB and Polars: read CSV, cast, filter, join a dimension, aggregate, write Parquet in
//! folders by country ((d) of the comparison in `runtime/connect/benches/formats.rs`), and the same with a plugin's
//! function where the query adds one ((f)).
//!
//! Cost model: fields of the large file are found and parsed once, three columns of six reach the join, which holds the
//! small file. The plugin gets one column of integers; what it costs is two copies of that column.
//!
//! Every run is a process of its own, `tenon run` for us, with its start; seconds are those of the work as each says,
//! the fastest of the rounds counts and engines take turns. What they write is read back by one reader and compared.
//!
//! ```text
//! TENON_BENCH_MB=100           size of the large file
//! TENON_PEER_FORMATS=python    with tests/peers/formats/requirements.txt
//! ```

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot go on should stop"
)]

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use arrow::util::display::array_value_to_string;
use datafusion::prelude::SessionContext;
use serde_json::Value;
use tenon_connect::{Format, ParquetOptions, Place, table};
use tenon_tests::{component, root, tenon};

const ROUNDS: usize = 5;
const CUSTOMERS: u64 = 10_000;
const COUNTRIES: u64 = 20;
const SUMS: &str = "select count(*), sum(orders), cast(sum(quantity) as bigint), cast(round(sum(amount)) as bigint), max(month) from t";

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path();
    let megabytes = std::env::var("TENON_BENCH_MB").map_or(100, |mb| mb.parse().unwrap());
    generate(work, megabytes << 20);
    std::fs::write(work.join("plugin.wasm"), component("tests/bench-guest")).unwrap();
    ours(work, &["plugin", "install", "plugin.wasm"]);
    for (name, quantity) in [("d", "o.quantity + 1"), ("f", "add_one(o.quantity)")] {
        std::fs::write(work.join(format!("{name}.toml")), job(name, quantity)).unwrap();
    }
    let python = std::env::var("TENON_PEER_FORMATS").ok();
    let mut engines = vec!["tenon (d)", "tenon (f)"];
    engines.extend(python.iter().flat_map(|_| ["duckdb", "polars"]));
    let mut best = vec![(f64::MAX, 0_u64); engines.len()];
    let mut sums: Vec<Vec<String>> = Vec::new();
    for round in 0..ROUNDS {
        for (engine, best) in engines.iter().zip(&mut best) {
            let target = work.join(format!("{}-out", engine.replace(['(', ')', ' '], "")));
            let _ = std::fs::remove_dir_all(&target);
            let (seconds, bytes) = match engine.strip_prefix("tenon ") {
                Some(name) => run(work, &format!("{}.toml", &name[1..2])),
                None => peer(python.as_ref().unwrap(), engine, work, &target),
            };
            if seconds < best.0 {
                *best = (seconds, bytes);
            }
            if round == 0 {
                sums.push(read_back(&target));
            }
        }
    }
    for (engine, found) in engines.iter().zip(&sums) {
        assert_eq!(found, &sums[0], "{engine} writes something else");
    }
    let fastest = best
        .iter()
        .skip(2)
        .map(|best| best.0)
        .fold(f64::MAX, f64::min);
    println!("all write the same: {}", sums[0].join(", "));
    println!(
        "| {megabytes} MB of CSV | seconds | to the fastest peer | peak MB |\n|---|---|---|---|"
    );
    for (engine, (seconds, bytes)) in engines.iter().zip(&best) {
        let ratio = seconds / fastest;
        println!(
            "| {engine} | {seconds:.3} | {ratio:.2} | {} |",
            bytes / 1_000_000
        );
    }
    println!("(f) takes {:.2} of (d)", best[1].0 / best[0].0);
}

fn job(name: &str, quantity: &str) -> String {
    format!(
        r#"
name = "{name}"
[nodes.orders.S3CsvSource]
Name = "orders"
Paths = ["orders.csv"]
[nodes.customers.S3CsvSource]
Name = "customers"
Paths = ["customers.csv"]
[nodes.typed.ApplyMapping]
Name = "typed"
Inputs = ["orders"]
Mapping = [
    {{ ToKey = "customer", FromPath = ["customer"] }},
    {{ ToKey = "quantity", FromPath = ["quantity"], ToType = "long" }},
    {{ ToKey = "amount", FromPath = ["amount"], ToType = "double" }},
    {{ ToKey = "day", FromPath = ["day"], ToType = "date" }},
]
[nodes.large.Filter]
Name = "large"
Inputs = ["typed"]
LogicalOperator = "AND"
Filters = [{{ Operation = "GTE", Values = [
    {{ Type = "COLUMNEXTRACTED", Value = ["amount"] }},
    {{ Type = "CONSTANT", Value = ["10"] }},
] }}]
[nodes.sums.SparkSQL]
Name = "sums"
Inputs = ["large", "customers"]
SqlQuery = """
    select c.segment, date_trunc('month', o.day) as month, count(*) as orders, sum({quantity}) as quantity,
        sum(o.amount) as amount, c.country
    from o join c on o.customer = c.customer group by c.country, c.segment, date_trunc('month', o.day)"""
SqlAliases = [{{ From = "large", Alias = "o" }}, {{ From = "customers", Alias = "c" }}]
[nodes.out.S3GlueParquetTarget]
Name = "out"
Inputs = ["sums"]
Path = "tenon{name}-out"
PartitionKeys = [["country"]]
Compression = "zstd"
"#
    )
}

/// Our own command; what it prints.
fn ours(work: &Path, arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new(tenon());
    command.args(arguments).current_dir(work);
    let output = command
        .env("TENON_DATA", work.join("data"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    output.stdout
}

fn run(work: &Path, job: &str) -> (f64, u64) {
    let said = ours(work, &["run", job, "--output", "json"]);
    let said: Value = serde_json::from_slice(&said).unwrap();
    let seconds = said["elapsed_millis"].as_f64().unwrap() / 1e3;
    (seconds, said["peak_memory_bytes"].as_u64().unwrap())
}

fn peer(python: &str, engine: &str, work: &Path, target: &Path) -> (f64, u64) {
    let output = Command::new(python)
        .arg(root().join("tests/peers/formats/etl.py"))
        .arg(engine)
        .args([work.join("orders.csv"), work.join("customers.csv")])
        .arg(target)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{engine}: {said}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    (
        said["seconds"].as_f64().unwrap(),
        said["bytes"].as_u64().unwrap(),
    )
}

fn read_back(target: &Path) -> Vec<String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let parquet = Format::Parquet(ParquetOptions::default());
        let found = table(&Place::ambient(), &[target.to_path_buf()], &parquet).await;
        let context = SessionContext::new();
        context.register_table("t", found.unwrap()).unwrap();
        let batches = context.sql(SUMS).await.unwrap().collect().await.unwrap();
        let columns = batches[0].columns().iter();
        // A date and a timestamp at midnight are the same month.
        let cell = |column: &arrow::array::ArrayRef| {
            array_value_to_string(column, 0)
                .unwrap()
                .replace("T00:00:00", "")
        };
        columns.map(cell).collect()
    })
}

fn generate(work: &Path, bytes: u64) {
    let mut customers = BufWriter::new(std::fs::File::create(work.join("customers.csv")).unwrap());
    writeln!(customers, "customer,country,segment").unwrap();
    for customer in 0..CUSTOMERS {
        let (country, segment) = (customer * 7 % COUNTRIES, customer % 5);
        writeln!(customers, "{customer},country {country},segment {segment}").unwrap();
    }
    let file = std::fs::File::create(work.join("orders.csv")).unwrap();
    let mut orders = BufWriter::new(file);
    let (mut written, mut state) = (0, 42_u64);
    writeln!(orders, "id,customer,quantity,amount,day,note").unwrap();
    for id in 0_u64.. {
        // A linear congruential generator, Knuth's.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let drawn = state >> 33;
        let line = format!(
            "{id},{},{},{}.{:02},20{:02}-{:02}-{:02},as the customer said on the phone {}\n",
            drawn % CUSTOMERS,
            drawn % 97,
            drawn % 250,
            drawn % 100,
            10 + drawn % 15,
            1 + drawn % 12,
            1 + drawn % 28,
            drawn % 1_000_000
        );
        orders.write_all(line.as_bytes()).unwrap();
        written += line.len() as u64;
        if written >= bytes {
            break;
        }
    }
}
