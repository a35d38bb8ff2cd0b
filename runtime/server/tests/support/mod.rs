//! What tests and benchmarks share that speak HTTP themselves: a kept-alive [`Connection`], [`Random`] numbers
//! from a seed, and a [`Running`] server in this process, with a [`Scripted`] analyst and a runner of jobs that plays.

#![allow(
    dead_code,
    clippy::expect_used,
    unreachable_pub,
    reason = "each test uses a part, and one that cannot go on should stop"
)]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tenon_catalog::{ColumnStatistics, ColumnStatisticsData, LengthStatistics, Table};
use tenon_jobs::{
    JobDefinition, LogLine, Outcome, Planner, Problem, Report, Reporter, RunRequest, Runner,
    Running as RunningJob, SchedulerConfig, Success,
};
use tenon_server::{
    Analysis, AnalysisError, Analyst, Identity, IdentityConfig, JobWorkers, Limits, Server,
    ServerConfig, TlsFiles, Workers,
};
use tenon_store::{SledStore, StoreConfig, SystemClock, Tenant};

/// Accounts and catalog kept in `dir`.
pub fn identity(dir: &Path) -> Identity {
    let clock = Arc::new(SystemClock);
    let config = StoreConfig {
        // Tests open many stores, which preallocate their journals.
        segment_bytes: 1 << 20,
        ..StoreConfig::default()
    };
    let store = SledStore::open(&dir.join("store"), &config, clock.as_ref()).expect("a store");
    Identity::open(Arc::new(store), clock, IdentityConfig::new(dir)).expect("identity")
}

/// Finds out what the parameter `script` of a table says: `refuse`, `wait` without end, `fail`, or else that every column
/// is a text of as many characters as percent of the rows were asked for.
pub struct Scripted;

#[async_trait]
impl Analyst for Scripted {
    fn admit(&self, account: &str, table: &Table) -> Result<(), AnalysisError> {
        match script(table) {
            Some("refuse") => Err(AnalysisError(format!("account {account} may read nothing"))),
            _ => Ok(()),
        }
    }

    async fn analyze(&self, analysis: Analysis) -> Result<Vec<ColumnStatistics>, AnalysisError> {
        match script(&analysis.table) {
            Some("wait") => std::future::pending().await,
            Some("fail") => return Err(AnalysisError("t.csv:3:2: expected a number".to_owned())),
            _ => {}
        }
        let all = analysis
            .table
            .storage_descriptor
            .unwrap_or_default()
            .columns;
        let is_asked =
            |name: &String| analysis.columns.is_empty() || analysis.columns.contains(name);
        let columns = all.into_iter().map(|column| column.name).filter(is_asked);
        let found = columns.map(|column_name| ColumnStatistics {
            column_name,
            column_type: "string".to_owned(),
            analyzed_time: analysis.analyzed_time,
            statistics_data: ColumnStatisticsData {
                r#type: "STRING".to_owned(),
                string_column_statistics_data: Some(LengthStatistics {
                    maximum_length: analysis.sample_percent as i64,
                    number_of_distinct_values: Some(1),
                    ..LengthStatistics::default()
                }),
                ..ColumnStatisticsData::default()
            },
        });
        Ok(found.collect())
    }
}

fn script(table: &Table) -> Option<&str> {
    table.parameters.get("script").map(String::as_str)
}

/// Accepts graphs without a node of kind `SparkConnectorSource`, and plays what the argument `--script` of a run says:
/// `fail`, `wait` until it is told to stop, `say` ten lines as a plugin would, or else succeed.
#[derive(Clone, Copy)]
pub struct Player;

impl Planner for Player {
    fn check(&self, _: Tenant, _: &str, definition: &JobDefinition) -> Result<(), String> {
        let kind = "SparkConnectorSource";
        let mut nodes = definition.nodes().into_iter().flatten();
        let bad = nodes.find(|(_, node)| !node[kind].is_null());
        bad.map_or(Ok(()), |(id, _)| {
            Err(format!("node {id:?}: {kind} cannot run here"))
        })
    }
}

impl Runner for Player {
    fn start(&self, request: RunRequest, reporter: Reporter) -> Box<dyn RunningJob> {
        reporter.report(Report::Started);
        match request.arguments.get("--script").map(String::as_str) {
            Some("wait") => {}
            Some("say") => {
                reporter.report(Report::Log(ten_lines()));
                reporter.report(Report::Ready);
            }
            Some("fail") => {
                let why = "node \"in\": in.csv:3:2: expected a number";
                let problem = Problem::new(why, "mend the file");
                reporter.report(Report::Ended(Outcome::Failed(problem)));
            }
            _ => reporter.report(Report::Ready),
        }
        Box::new(Play(reporter))
    }
}

/// Every third of them is a warning.
fn ten_lines() -> Vec<LogLine> {
    let lines = (0..10).map(|number| LogLine {
        node: "plugin".to_owned(),
        level: if number % 3 == 0 { "warn" } else { "info" }.to_owned(),
        message: format!("line {number}"),
        time_unix_millis: 0,
    });
    lines.collect()
}

struct Play(Reporter);

impl RunningJob for Play {
    fn cancel(&mut self) {
        self.0.report(Report::Ended(Outcome::Cancelled));
    }

    fn publish(&mut self) {
        let success = Outcome::Succeeded(Success::default());
        self.0.report(Report::Ended(success));
    }
}

/// Whoever runs jobs in tests, `slots` at once, and finds out statistics.
pub fn workers(slots: usize) -> Workers {
    Workers {
        analyst: Some(Arc::new(Scripted)),
        jobs: Some(JobWorkers {
            planner: Arc::new(Player),
            runner: Arc::new(Player),
            config: SchedulerConfig {
                slots,
                ..SchedulerConfig::default()
            },
        }),
    }
}

/// A server in this process with an empty store; [`Running::stop`] ends it.
pub struct Running {
    pub address: SocketAddr,
    runtime: tokio::runtime::Runtime,
    stop: tokio::sync::oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<()>,
    _dir: tempfile::TempDir,
}

impl Running {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        Self::over(identity(dir.path()), dir)
    }

    /// A server over what is kept in `dir`.
    pub fn over(identity: Identity, dir: tempfile::TempDir) -> Self {
        Self::with_tls(identity, dir, None)
    }

    /// The same with a certificate.
    pub fn with_tls(identity: Identity, dir: tempfile::TempDir, tls: Option<TlsFiles>) -> Self {
        let mut limits = Limits::default();
        // All callers are this machine.
        limits.connections_per_address = limits.connections;
        let config = ServerConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            limits,
            tls,
            // Scripts listen there.
            reachable: vec!["127.0.0.0/8".parse().expect("a network")],
            ..ServerConfig::default()
        };
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let server = runtime
            .block_on(Server::bind_with(&config, identity, workers(4)))
            .expect("a server");
        let address = server.address().expect("an address");
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = runtime.spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self {
            address,
            runtime,
            stop,
            serving,
            _dir: dir,
        }
    }

    /// Ends the server when its connections are closed.
    pub fn stop(self) {
        let _ = self.stop.send(());
        let served = self.runtime.block_on(self.serving);
        served.expect("no panic");
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }
}

/// One HTTP/1.1 connection that stays open, with one request at a time.
pub struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    read: Vec<u8>,
    request: Vec<u8>,
}

impl Connection {
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self {
            address,
            stream,
            read: Vec::new(),
            request: Vec::new(),
        })
    }

    /// Posts `body`. `headers` are whole lines, each with its line end. A connection that the other side closes
    /// after its answer is opened again.
    pub fn post(&mut self, headers: &str, body: &[u8]) -> io::Result<Answer> {
        self.request.clear();
        write!(
            self.request,
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n{headers}\r\n",
            self.address,
            body.len()
        )?;
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request)?;
        let answer = self.answer()?;
        if answer.header("connection") == Some("close") {
            *self = Self::open(self.address)?;
        }
        Ok(answer)
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.more()?;
        };
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let status = status.and_then(|status| status.parse().ok());
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Answer {
            status: status.ok_or_else(|| io::Error::other(head.clone()))?,
            headers,
            body: Vec::new(),
        };
        let length = answer
            .header("content-length")
            .and_then(|text| text.parse().ok());
        let length: usize = length.ok_or_else(|| io::Error::other("no length"))?;
        while self.read.len() < end + length {
            self.more()?;
        }
        answer.body = self.read[end..end + length].to_vec();
        self.read.drain(..end + length);
        Ok(answer)
    }

    fn more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let count = self.stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read.extend_from_slice(&buffer[..count]);
        Ok(())
    }
}

/// Numbers that are the same for the same seed. SplitMix64: <https://prng.di.unimi.it/splitmix64.c>
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, not including, `until`, which must not be 0.
    pub const fn below(&mut self, until: usize) -> usize {
        (self.next() % until as u64) as usize
    }

    /// True `percent` times of a hundred.
    pub const fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub const fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}
