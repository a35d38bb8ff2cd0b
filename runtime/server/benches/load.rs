//! Mixed load by 32 clients, against this server and against `moto_server`, one after the other.
//!
//! ```text
//! 32 threads, each: one kept-alive connection, one request at a time ──> server ──> its catalog
//!    80 % reads   GetTable 40, GetPartition 15, GetDatabase 10, GetTables 10, GetPartitions 5
//!    20 % writes  UpdateTable 8, CreatePartition 6, CreateTable and DeleteTable 3 each
//! ```
//!
//! The model: a read costs the protocol (HTTP, JSON twice, the model's rules) and some lookups; a write costs one sync
//! of the disk, shared by all that wait. So reads bound throughput, the disk bounds p99. moto keeps everything in
//! memory and writes nothing. Server and clients share the machine on both sides; the clients' share of the
//! processor is printed, so that one can see whether they were the limit.
//!
//! `TENON_LOAD_SECONDS` is how long each side is measured (default 60). `TENON_PEER_MOTO` is a Python that has
//! `tests/peers/moto/requirements.txt`; without it only this server is measured.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot go on should stop"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Connection, Random, Running};

const CLIENTS: usize = 32;
const DATABASES: usize = 4;
const TABLES: usize = 25;
/// Of each table, before the load adds more.
const PARTITIONS: usize = 20;

/// moto finds the service in the scope; this server accepts any key as long as it has none of its own.
const HEADERS: &str = "Content-Type: application/x-amz-json-1.1\r\n\
    Authorization: AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/glue/aws4_request, SignedHeaders=host, Signature=0\r\n";

fn main() {
    let seconds = std::env::var("TENON_LOAD_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(60);
    let duration = Duration::from_secs(seconds);
    println!("{CLIENTS} clients, {seconds} s, 80 % reads and 20 % writes\n");
    println!(
        "{:<8}{:>12}{:>10}{:>10}{:>10}{:>9}{:>16}",
        "", "requests/s", "p50 ms", "p99 ms", "max ms", "failed", "clients' CPU"
    );
    let server = Running::start();
    let ours = measure("tenon", server.address, duration);
    server.stop();
    if let Some(moto) = Moto::start() {
        let theirs = measure("moto", moto.address, duration);
        println!(
            "\nthroughput {:.1} times moto's, p99 {:.1} ms",
            ours.per_second / theirs.per_second,
            ours.p99
        );
    }
    ours.by_operation();
}

/// `moto_server` in a process of its own, which ends with this value.
struct Moto {
    child: Child,
    address: SocketAddr,
}

impl Moto {
    fn start() -> Option<Self> {
        let python = std::env::var("TENON_PEER_MOTO").unwrap_or_default();
        if !std::path::Path::new(&python).exists() {
            println!("\nTENON_PEER_MOTO is not a Python: nothing to compare with");
            return None;
        }
        // Free at this moment; nobody else is expected to take it.
        let address = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port");
        let mut command = Command::new(python);
        command.args([
            "-c",
            "from moto.server import main; main()",
            "-H",
            "127.0.0.1",
            "-p",
        ]);
        command.arg(address.port().to_string());
        let quiet = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = quiet.spawn().expect("moto");
        let moto = Self { child, address };
        for _ in 0..300 {
            if TcpStream::connect(address).is_ok() {
                return Some(moto);
            }
            thread::sleep(Duration::from_millis(100));
        }
        println!("\nmoto does not start");
        None
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request that was answered: which operation, how long it took.
type Sample = (&'static str, Duration);

#[derive(Default)]
struct Client {
    samples: Vec<Sample>,
    failed: usize,
    cpu: Duration,
}

struct Measured {
    samples: Vec<Sample>,
    per_second: f64,
    p99: f64,
}

fn measure(name: &str, address: SocketAddr, duration: Duration) -> Measured {
    prepare(address);
    let started = Instant::now();
    let clients: Vec<Client> = thread::scope(|scope| {
        let start = |number| scope.spawn(move || client(address, number, started + duration));
        let threads: Vec<_> = (0..CLIENTS).map(start).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a client"))
            .collect()
    });
    let elapsed = started.elapsed().as_secs_f64();
    let failed: usize = clients.iter().map(|client| client.failed).sum();
    let cpu: Duration = clients.iter().map(|client| client.cpu).sum();
    let cores = thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
    let samples: Vec<_> = clients
        .into_iter()
        .flat_map(|client| client.samples)
        .collect();
    let all = millis(samples.iter());
    let measured = Measured {
        per_second: all.len() as f64 / elapsed,
        p99: at(&all, 0.99),
        samples,
    };
    println!(
        "{name:<8}{:>12.0}{:>10.2}{:>10.2}{:>10.1}{failed:>9}{:>14.0} %",
        measured.per_second,
        at(&all, 0.5),
        measured.p99,
        at(&all, 1.0),
        cpu.as_secs_f64() / elapsed / cores * 100.0
    );
    measured
}

impl Measured {
    fn by_operation(&self) {
        println!(
            "\n{:<18}{:>10}{:>10}{:>10}",
            "tenon", "count", "p50 ms", "p99 ms"
        );
        let mut names: Vec<_> = self.samples.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let of = millis(
                self.samples
                    .iter()
                    .filter(|(operation, _)| *operation == name),
            );
            println!(
                "{name:<18}{:>10}{:>10.2}{:>10.2}",
                of.len(),
                at(&of, 0.5),
                at(&of, 0.99)
            );
        }
    }
}

/// Sorted.
fn millis<'a>(samples: impl Iterator<Item = &'a Sample>) -> Vec<f64> {
    let mut millis: Vec<_> = samples
        .map(|(_, time)| time.as_secs_f64() * 1000.0)
        .collect();
    millis.sort_unstable_by(f64::total_cmp);
    millis
}

fn at(sorted: &[f64], quantile: f64) -> f64 {
    let index = (sorted.len() as f64 * quantile) as usize;
    sorted
        .get(index.min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

fn call(connection: &mut Connection, operation: &str, input: &Value) -> u16 {
    let headers = format!("X-Amz-Target: AWSGlue.{operation}\r\n{HEADERS}");
    connection
        .post(&headers, input.to_string().as_bytes())
        .expect("an answer")
        .status
}

fn prepare(address: SocketAddr) {
    let mut connection = Connection::open(address).expect("a connection");
    let mut done = |operation: &str, input: Value| {
        assert_eq!(
            call(&mut connection, operation, &input),
            200,
            "{operation} {input}"
        );
    };
    for database in 0..DATABASES {
        done(
            "CreateDatabase",
            json!({"DatabaseInput": {"Name": format!("db{database}"), "Description": "load"}}),
        );
        for table in 0..TABLES {
            let (database, name) = (format!("db{database}"), format!("t{table}"));
            done(
                "CreateTable",
                json!({"DatabaseName": database, "TableInput": definition(&name)}),
            );
            let partitions: Vec<_> = (0..PARTITIONS)
                .map(|number| partition(&number.to_string(), "base"))
                .collect();
            done(
                "BatchCreatePartition",
                json!({"DatabaseName": database, "TableName": name, "PartitionInputList": partitions}),
            );
        }
    }
}

/// A table as engines make them: twenty columns, two keys.
fn definition(name: &str) -> Value {
    let keys = json!([{"Name": "day", "Type": "string"}, {"Name": "part", "Type": "string"}]);
    json!({
        "Name": name,
        "Owner": "load",
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"classification": "parquet", "EXTERNAL": "TRUE"},
        "PartitionKeys": keys,
        "StorageDescriptor": descriptor(&format!("s3://bucket/{name}/")),
    })
}

fn descriptor(location: &str) -> Value {
    let columns: Vec<_> = (0..20)
        .map(|n| json!({"Name": format!("column_{n}"), "Type": "bigint", "Comment": ""}))
        .collect();
    json!({
        "Columns": columns,
        "Location": location,
        "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
    })
}

fn partition(day: &str, part: &str) -> Value {
    json!({"Values": [day, part], "StorageDescriptor": descriptor(&format!("s3://bucket/{day}/{part}/"))})
}

fn client(address: SocketAddr, number: usize, until: Instant) -> Client {
    let mut connection = Connection::open(address).expect("a connection");
    let mut random = Random::new(number as u64);
    let mut client = Client::default();
    // Its own table is there or not, so that it can be created and deleted in turn.
    let (mut exists, mut made) = (false, 0);
    while Instant::now() < until {
        let database = format!("db{}", random.below(DATABASES));
        let table = format!("t{}", random.below(TABLES));
        let (operation, input) = match random.below(100) {
            0..40 => ("GetTable", json!({"DatabaseName": database, "Name": table})),
            40..55 => {
                let values = [random.below(PARTITIONS).to_string(), "base".to_owned()];
                (
                    "GetPartition",
                    json!({"DatabaseName": database, "TableName": table, "PartitionValues": values}),
                )
            }
            55..65 => ("GetDatabase", json!({"Name": database})),
            65..75 => (
                "GetTables",
                json!({"DatabaseName": database, "MaxResults": 10}),
            ),
            75..80 => {
                let expression = format!("day = '{}' AND part = 'base'", random.below(PARTITIONS));
                (
                    "GetPartitions",
                    json!({"DatabaseName": database, "TableName": table, "Expression": expression}),
                )
            }
            80..88 => (
                "UpdateTable",
                json!({"DatabaseName": database, "TableInput": definition(&table), "SkipArchive": true}),
            ),
            88..94 => {
                made += 1;
                let input = partition(&format!("{number}-{made}"), "load");
                (
                    "CreatePartition",
                    json!({"DatabaseName": database, "TableName": table, "PartitionInput": input}),
                )
            }
            _ => {
                let own = format!("own{number}");
                exists = !exists;
                match exists {
                    true => (
                        "CreateTable",
                        json!({"DatabaseName": "db0", "TableInput": definition(&own)}),
                    ),
                    false => ("DeleteTable", json!({"DatabaseName": "db0", "Name": own})),
                }
            }
        };
        let started = Instant::now();
        let status = call(&mut connection, operation, &input);
        client.samples.push((operation, started.elapsed()));
        client.failed += usize::from(status != 200);
    }
    client.cpu = thread_cpu();
    client
}

/// What this thread has spent of a processor; nothing where the system does not say.
fn thread_cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}
