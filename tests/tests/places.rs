//! Places of nodes: connections of the catalog with their secrets, retries, ten thousand partitions.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tenon_catalog::{Catalog, ConnectionInput, ConnectionWrite, Tenant};
use tenon_connect::{Place, RemoteOptions};
use tenon_engine::{Engine, EngineConfig, Error, Job, Progress, RunReport, Vault};
use tenon_registry::Registry;
use tenon_store::{SledStore, StoreConfig, SystemClock};
use tenon_tests::{World, tenon};

#[path = "../../runtime/connect/tests/integration/remote/server.rs"]
#[expect(dead_code, reason = "the tests of the room use more of it")]
mod server;

use server::{Reply, Request, Server};

/// What no text may show.
const SECRET: &str = "canary/Secret+Key";

/// A vault that is none: what is sealed is turned around.
struct Turned;

impl Vault for Turned {
    fn open(&self, connection: &str, place: &str, sealed: &str) -> Result<Option<String>, String> {
        let opened: String = sealed.chars().rev().collect();
        let owner = format!("{connection} {place} ");
        Ok(opened.strip_prefix(&owner).map(str::to_owned))
    }
}

fn sealed(connection: &str, place: &str, secret: &str) -> String {
    format!("{connection} {place} {secret}")
        .chars()
        .rev()
        .collect()
}

/// A world whose engine has a vault and does not wait long.
struct Shop {
    world: World,
    engine: Engine,
}

impl Shop {
    fn new() -> Self {
        let world = World::with_plugins(&[]);
        let options = RemoteOptions {
            retries: 2,
            retry_pause: Duration::from_millis(1),
            ..RemoteOptions::default()
        };
        let registry = Registry::open(world.folder.path().join("registry")).unwrap();
        let engine = Engine::new(
            EngineConfig::default(),
            world.host.clone(),
            registry,
            Some(world.catalog.clone()),
            Place::ambient().with_remote_options(options),
        )
        .with_vault(Arc::new(Turned));
        Self { world, engine }
    }

    /// A connection with these properties, its secrets sealed.
    fn connection(&self, name: &str, properties: &[(&str, &str)]) {
        let given: serde_json::Map<_, _> = properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        let input: ConnectionInput = serde_json::from_value(serde_json::json!({
            "Name": name,
            "ConnectionType": "CUSTOM",
            "ConnectionProperties": {},
            "SparkProperties": given,
        }))
        .unwrap();
        let (definition, secrets) = input.split().unwrap();
        let seal = |(place, secret): (String, String)| {
            let sealed = sealed(name, &place, &secret);
            (place, sealed)
        };
        let write = ConnectionWrite {
            secrets: secrets.into_iter().map(seal).collect(),
            ..ConnectionWrite::default()
        };
        let made = self
            .world
            .catalog
            .create_connection(definition, write, &BTreeMap::new());
        made.unwrap();
    }

    /// A connection to a server, with the keys that no text may show.
    fn lake(&self, endpoint: &str) {
        let properties = [
            ("URL", "s3://lake/"),
            ("ENDPOINT", endpoint),
            ("ACCESS_KEY_ID", "me"),
            ("SECRET_ACCESS_KEY", SECRET),
        ];
        self.connection("lake", &properties);
    }

    async fn run(&self, read: &str, write: &str) -> Result<RunReport, Error> {
        let toml = format!(
            "name = 'places'\n[nodes.read.{read}\n[nodes.write.S3DirectTarget]\nName = 'write'\nInputs = ['read']\nFormat = 'csv'\n{write}\n"
        );
        let mut job = Job::from_toml(&toml)?;
        job.folder = self.world.folder.path().to_path_buf();
        self.engine.run(&job, "run-1", &Progress::default()).await
    }

    async fn refused(&self, read: &str, write: &str) -> String {
        let error = match self.run(read, write).await {
            Ok(report) => panic!("it went through: {report:?}"),
            Err(error) => error,
        };
        let all = format!("{error} {error:?} {:?}", error.hint());
        assert!(!all.contains("canary"), "{all}");
        error.to_string()
    }
}

const READ: &str = "S3CsvSource]\nName = 'read'\nPaths = ['s3://lake/in.csv']\nconnection = 'lake'";
const WRITE: &str = "Path = 'out'";

fn object(request: &Request) -> Reply {
    Reply::object(request, b"id,name\n1,ada\n2,bob\n", "\"one\"")
}

/// The object is there, and what comes of reading it is this.
fn after_head(request: &Request, reply: Reply) -> Reply {
    match request.method.as_str() {
        "HEAD" => object(request),
        _ => reply,
    }
}

fn denied() -> String {
    format!("<Error><Code>AccessDenied</Code><Message>not with {SECRET}</Message></Error>")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_the_catalog_has_the_endpoint_and_the_keys() {
    let server = Server::start(|_, request| object(request));
    let shop = Shop::new();
    shop.lake(&server.url());
    let report = shop.run(READ, WRITE).await.unwrap();
    assert_eq!(report.targets[0].rows, 2);
    let requests = server.requests();
    let signature = requests[0].header("authorization").unwrap();
    assert!(signature.contains("Credential=me/"), "{signature}");
    assert!(
        requests[0].target.starts_with("/lake/in.csv"),
        "{}",
        requests[0].target
    );
}

/// Wherever the secret may come back from, and whatever goes wrong, no error shows it.
#[tokio::test(flavor = "multi_thread")]
async fn no_error_shows_a_secret() {
    type Answer = fn(&Request) -> Reply;
    let answers: [(&str, Answer, &str); 5] = [
        (
            "denied",
            |r| after_head(r, Reply::new(403, denied())),
            "AccessDenied: not with ***",
        ),
        ("missing", |_| Reply::new(404, SECRET), "in.csv"),
        ("failing", |r| after_head(r, Reply::new(500, SECRET)), "500"),
        (
            "broken",
            |r| Reply::object(r, b"a,b\n1\n", "\"1\""),
            "expected 2 fields",
        ),
        (
            "redirecting",
            |_| Reply::new(301, SECRET).with("location", "http://canary/"),
            "in.csv",
        ),
    ];
    for (what, answer, words) in answers {
        let server = Server::start(move |_, request| answer(request));
        let shop = Shop::new();
        shop.lake(&server.url());
        let error = shop.refused(READ, WRITE).await;
        assert!(
            error.contains("node \"read\"") && error.contains(words),
            "{what}: {error}"
        );
    }
    let shop = Shop::new();
    shop.lake("http://127.0.0.1:1");
    let error = shop.refused(READ, WRITE).await;
    assert!(error.contains("in.csv"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_connection_is_named_and_not_shown() {
    let shop = Shop::new();
    let named = |name: &str| READ.replace("'lake'", &format!("'{name}'"));
    let key = [("URL", "s3://lake/"), ("ACCESS_KEY_ID", "me")];
    let with = |more: &[(&'static str, &'static str)]| [&key, more].concat();
    shop.connection("lines", &with(&[("SECRET_ACCESS_KEY", "canary\n")]));
    shop.connection("half", &key);
    shop.connection(
        "unknown",
        &with(&[("SECRET_ACCESS_KEY", SECRET), ("DBTABLE", "canary")]),
    );
    shop.connection("other", &[("URL", "s3://other/"), ("ANONYMOUS", "true")]);
    insta::assert_snapshot!(shop.refused(&named("lines"), WRITE).await, @r#"node "read": connection "lines": SECRET_ACCESS_KEY: it has visible ASCII characters only, and at least one; is there a line end in it?"#);
    insta::assert_snapshot!(shop.refused(&named("half"), WRITE).await, @r#"node "read": connection "half": SECRET_ACCESS_KEY: it goes together with ACCESS_KEY_ID, and one of them is not there"#);
    insta::assert_snapshot!(shop.refused(&named("other"), WRITE).await, @r#"node "read": connection "other" is not for s3://lake/in.csv: its URL, which says what it is for, is another"#);
    insta::assert_snapshot!(shop.refused(&named("none"), WRITE).await, @r#"node "read": there is no connection "none" in the catalog"#);
    let unknown = shop.refused(&named("unknown"), WRITE).await;
    assert!(
        unknown.contains("connection \"unknown\": DBTABLE: it is not known"),
        "{unknown}"
    );
    // A secret of another connection, as if somebody had moved it there.
    let input: ConnectionInput = serde_json::from_value(serde_json::json!({
        "Name": "moved", "ConnectionType": "CUSTOM", "ConnectionProperties": {},
        "SparkProperties": {"URL": "s3://lake/", "ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": "x"},
    }))
    .unwrap();
    let (definition, _) = input.split().unwrap();
    let place = "SparkProperties/SECRET_ACCESS_KEY".to_owned();
    let write = ConnectionWrite {
        secrets: [(place.clone(), sealed("lake", &place, SECRET))].into(),
        ..ConnectionWrite::default()
    };
    shop.world
        .catalog
        .create_connection(definition, write, &BTreeMap::new())
        .unwrap();
    insta::assert_snapshot!(shop.refused(&named("moved"), WRITE).await, @r#"node "read": connection "moved": SparkProperties/SECRET_ACCESS_KEY cannot be opened: it was sealed with another key, or for another connection; write it again"#);
    // A path that is on no network.
    std::fs::write(shop.world.folder.path().join("in.csv"), "id\n1\n").unwrap();
    shop.lake("http://127.0.0.1:1");
    let local = READ.replace("s3://lake/in.csv", "in.csv");
    let error = shop.refused(&local, WRITE).await;
    assert!(error.contains("connection \"lake\" is not for"), "{error}");
}

/// Writes of a target are counted at the target, reads at the source, and no secret comes back.
#[tokio::test(flavor = "multi_thread")]
async fn retries_are_counted_at_their_node() {
    let server = Server::start(|before, request| match (before, request.method.as_str()) {
        (0 | 2, _) => Reply::new(503, ""),
        _ => object(request),
    });
    let bucket = Server::start(|_, request| match request.method.as_str() {
        "POST" => Reply::new(200, "<R><UploadId>id</UploadId></R>"),
        "PUT" => Reply::new(403, denied()),
        "DELETE" => Reply::new(204, ""),
        _ if request.target.contains("list-type=2") => {
            Reply::new(200, "<ListBucketResult></ListBucketResult>")
        }
        _ => Reply::new(404, ""),
    });
    let shop = Shop::new();
    shop.lake(&server.url());
    let report = shop.run(READ, WRITE).await.unwrap();
    let retries = |id: &str| {
        let node = report.nodes.iter().find(|node| node.id == id);
        node.unwrap().retries
    };
    assert_eq!((retries("read"), retries("write")), (2, 0));
    let endpoint = bucket.url();
    let properties = [
        ("ENDPOINT", endpoint.as_str()),
        ("ACCESS_KEY_ID", "me"),
        ("SECRET_ACCESS_KEY", SECRET),
    ];
    shop.connection("bucket", &properties);
    let write = "Path = 's3://any/out/'\nconnection = 'bucket'";
    let error = shop.refused(READ, write).await;
    assert!(
        error.contains("node \"write\"") && error.contains("AccessDenied: not with ***"),
        "{error}"
    );
}

const PARTITIONS: usize = 10_000;

/// A run of `tenon` that may have 256 files open, over rows of so many partitions in no order; how many bytes it held.
fn partitioned(folder: &Path, partitions: usize) -> u64 {
    // Each partition is met several times, far from the time before.
    let rows: String = (0..3 * PARTITIONS)
        .map(|row| format!("{row},{}\n", row * 7919 % partitions))
        .collect();
    std::fs::write(folder.join("in.csv"), format!("id,key\n{rows}")).unwrap();
    let job = format!(
        "name = 'many'\n[nodes.read.S3CsvSource]\nName = 'read'\nPaths = ['in.csv']\n\
         [nodes.write.S3GlueParquetTarget]\nName = 'write'\nInputs = ['read']\nPath = 'out{partitions}'\npartition_by = ['key']\n\
         SchemaChangePolicy = {{ EnableUpdateCatalog = true, Database = 'd', Table = 't{partitions}' }}\n"
    );
    std::fs::write(folder.join("job.toml"), job).unwrap();
    let run = format!(
        "ulimit -n 256; exec {} run job.toml --memory 64MiB --output json",
        tenon().display()
    );
    let mut command = Command::new("sh");
    let output = command
        .args(["-c", &run])
        .env("TENON_DATA", folder.join("data"))
        .env_remove("TENON_SERVER")
        .current_dir(folder)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let target = &report["targets"][0];
    assert_eq!(target["partitions"], partitions, "{target}");
    assert_eq!(target["rows"], 3 * PARTITIONS, "{target}");
    report["peak_memory_bytes"].as_u64().unwrap_or_default()
}

/// Ten thousand partitions of one run: each a folder and a partition of the table, with few files open, and in memory that
/// grows by a few kilobytes for each.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_partitions_in_one_job() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let few = partitioned(folder, 100);
    let many = partitioned(folder, PARTITIONS);
    println!("{few} bytes for a hundred partitions, {many} for {PARTITIONS}");
    assert!(many < few + (128 << 20), "{few} and {many} bytes");
    let names = std::fs::read_dir(folder.join("out10000")).unwrap();
    let is_partition = |entry: &std::io::Result<std::fs::DirEntry>| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("key=")
    };
    assert_eq!(names.filter(is_partition).count(), PARTITIONS);
    assert_eq!(registered(folder), PARTITIONS);
    let paths = [folder.join("out10000")];
    let format = tenon_connect::Format::Parquet(tenon_connect::ParquetOptions::default());
    let place = Place::ambient();
    let table = tenon_connect::table(&place, &paths, &format).await;
    let context = datafusion::prelude::SessionContext::new();
    context.register_table("t", table.unwrap()).unwrap();
    let sum = "select count(*), sum(id), count(distinct key), sum(case when id * 7919 % 10000 = key then 1 end) as right from t";
    let batches = context.sql(sum).await.unwrap().collect().await.unwrap();
    let shown = arrow::util::pretty::pretty_format_batches(&batches)
        .unwrap()
        .to_string();
    assert!(
        shown.contains("| 30000    | 449985000 | 10000                 | 30000 |"),
        "{shown}"
    );
}

/// Partitions that the catalog has.
fn registered(folder: &Path) -> usize {
    let config = StoreConfig::default();
    let store = SledStore::open(&folder.join("data/store"), &config, &SystemClock).unwrap();
    let catalog = Catalog::open(Arc::new(store), Arc::new(SystemClock)).tenant(Tenant::new(1));
    let table = catalog.get_table("d", "t10000").unwrap();
    catalog.partitions_of(&table, PARTITIONS).unwrap().len()
}

/// A connection that is created over the wire, its secret encrypted with the server's key, serves a run of the command
/// line; retries are in its table and its JSON, and the secret is nowhere.
#[test]
fn a_connection_of_a_server_serves_the_command_line() {
    // Every request has to be made twice.
    let bucket = Server::start(|before, request| match before % 2 {
        0 => Reply::new(503, SECRET),
        _ => object(request),
    });
    let folder = tempfile::tempdir().unwrap();
    let body = serde_json::json!({"ConnectionInput": {
        "Name": "lake", "ConnectionType": "CUSTOM",
        "ConnectionProperties": {"ENDPOINT": bucket.url(), "REGION": "eu-west-1"},
        "SparkProperties": {"URL": "s3://lake/", "ACCESS_KEY_ID": "me"},
        "AuthenticationConfiguration": {"AuthenticationType": "CUSTOM",
            "CustomAuthenticationCredentials": {"SECRET_ACCESS_KEY": SECRET}},
    }});
    let (serving, address) = serve(folder.path());
    let answer = post(&address, "AWSGlue.CreateConnection", &body.to_string());
    assert!(answer.contains("200 OK"), "{answer}");
    let shown = post(&address, "AWSGlue.GetConnection", r#"{"Name": "lake"}"#);
    assert!(
        shown.contains("s3://lake/") && !shown.contains("canary"),
        "{shown}"
    );
    drop(serving);
    let job = format!(
        "name = 'wire'\n[nodes.read.{READ}\n[nodes.write.S3DirectTarget]\nName = 'write'\nInputs = ['read']\nFormat = 'csv'\nPath = 'out'\n"
    );
    std::fs::write(folder.path().join("job.toml"), job).unwrap();
    let run = |args: &[&str]| {
        let mut command = command(folder.path(), args);
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    };
    let (is_done, json) = run(&["run", "job.toml", "--output", "json"]);
    assert!(is_done, "{json}");
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let retries = |node: usize| report["nodes"][node]["retries"].as_u64();
    assert!(retries(0) > Some(0) && retries(1) == Some(0), "{json}");
    assert!(!json.contains("canary"), "{json}");
    let (is_done, table) = run(&["run", "job.toml"]);
    let header = table.lines().find(|line| line.starts_with("node"));
    assert!(
        is_done && header.is_some_and(|line| line.contains("retries")),
        "{table}"
    );
    assert!(!table.contains("canary"), "{table}");
    let requests = bucket.requests();
    let signature = requests[0].header("authorization").unwrap();
    assert!(
        signature.contains("Credential=me/") && signature.contains("eu-west-1"),
        "{signature}"
    );
    let failing = Server::start(|_, request| after_head(request, Reply::new(403, denied())));
    let (serving, address) = serve(folder.path());
    let update = serde_json::json!({"Name": "lake", "ConnectionInput": {
        "Name": "lake", "ConnectionType": "CUSTOM", "ConnectionProperties": {"ENDPOINT": failing.url()},
        "SparkProperties": {"URL": "s3://lake/", "ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": SECRET},
    }});
    let answer = post(&address, "AWSGlue.UpdateConnection", &update.to_string());
    assert!(answer.contains("200 OK"), "{answer}");
    drop(serving);
    let (is_done, text) = run(&["run", "job.toml", "-v"]);
    assert!(
        !is_done && text.contains("AccessDenied: not with ***") && !text.contains("canary"),
        "{text}"
    );
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(tenon());
    command
        .args(args)
        .env("TENON_DATA", folder.join("data"))
        .env("RUST_LOG", "trace")
        .env("NO_COLOR", "1")
        .env_remove("TENON_SERVER")
        .current_dir(folder);
    command
}

/// A server over the folder; killed when it is dropped.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(folder: &Path) -> (Serving, String) {
    use std::io::{BufRead, BufReader};
    let mut command = command(folder, &["serve", "--listen", "127.0.0.1:0"]);
    command
        .env_remove("RUST_LOG")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let serving = Serving(child);
    let address = loop {
        let line = said.next().unwrap().unwrap();
        if let Some((_, rest)) = line.split_once("serving Glue on http://") {
            break rest.split(": ").next().unwrap_or_default().to_owned();
        }
    };
    // What it says later must not fill the pipe.
    std::thread::spawn(move || said.for_each(drop));
    (serving, address)
}

fn post(address: &str, operation: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\nx-amz-target: {operation}\r\ncontent-type: application/x-amz-json-1.1\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
