//! The server over real sockets: limits, TLS, its end, health, numbers, REST. Clients write bytes by hand, so that they
//! can misbehave.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

mod backup;
mod limits;
mod plugins;
mod rest;
mod shutdown;
mod tls;
mod watch;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tenon_server::{Identity, IdentityConfig, Limits, Server, ServerConfig, Watchers};
use tenon_store::{SledStore, StoreConfig, SystemClock};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Far beyond every limit that the tests set: only a fault waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Shorter than anything else.
const SHORT: Duration = Duration::from_millis(300);

/// Longer than a test.
const LONG: Duration = Duration::from_secs(600);

struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
    identity: Identity,
    dir: tempfile::TempDir,
}

fn identity(dir: &Path) -> Identity {
    let clock = Arc::new(SystemClock);
    let store = SledStore::open(&dir.join("store"), &StoreConfig::default(), clock.as_ref());
    let store = Arc::new(store.expect("a store"));
    Identity::open(store, clock, IdentityConfig::new(dir)).expect("identity")
}

fn local() -> ServerConfig {
    ServerConfig {
        listen: "127.0.0.1:0".parse().expect("an address"),
        metrics: Watchers::Everyone,
        ..ServerConfig::default()
    }
}

/// Limits of which none plays a part, then changed.
fn limits(change: impl FnOnce(&mut Limits)) -> ServerConfig {
    let mut config = local();
    config.limits.header_timeout = LONG;
    config.limits.keep_alive = LONG;
    config.limits.idle_timeout = LONG;
    config.limits.request_timeout = LONG;
    change(&mut config.limits);
    config
}

async fn start(config: &ServerConfig) -> Running {
    let dir = tempfile::tempdir().expect("a folder");
    let identity = identity(dir.path());
    start_over(config, identity, dir).await
}

/// A server over what is kept in `dir`.
async fn start_over(config: &ServerConfig, identity: Identity, dir: tempfile::TempDir) -> Running {
    let server = Server::bind(config, identity.clone())
        .await
        .expect("a server");
    let address = server.address().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    Running {
        address,
        stop: Some(stop),
        serving,
        identity,
        dir,
    }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address)
            .await
            .expect("a connection")
    }

    /// Sends bytes, and answers all that comes until the server ends the connection.
    async fn exchange(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_ref()).await.expect("taken");
        Answer::last(stream).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.exchange(get(path)).await
    }

    /// The numbers, once one of their lines is this.
    async fn metric(&self, line: &str) {
        let mut text = String::new();
        let found = async {
            loop {
                text = self.get("/metrics").await.body;
                if text.lines().any(|found| found == line) {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        let found = timeout(PATIENCE, found).await;
        assert!(found.is_ok(), "{line} is not in\n{text}");
    }

    fn stop(&mut self) {
        let stop = self.stop.take().expect("runs");
        stop.send(()).expect("runs");
    }

    /// Its folder, once the server has ended.
    async fn ended(self) -> tempfile::TempDir {
        let ended = timeout(PATIENCE, self.serving).await.expect("in time");
        ended.expect("no panic");
        self.dir
    }
}

/// An answer over the wire.
#[derive(Debug)]
struct Answer {
    status: u16,
    /// In lower case, as they came.
    head: String,
    body: String,
}

impl Answer {
    /// The one answer on a connection that the server then ends.
    async fn last(stream: impl AsyncRead + Unpin) -> Self {
        let text = rest_of(stream).await;
        Self::parse(&text).unwrap_or_else(|| panic!("no answer but {text:?}"))
    }

    /// The next answer on a connection that stays.
    async fn next(mut stream: impl AsyncRead + Unpin) -> Self {
        let mut text = Vec::new();
        let reading = async {
            loop {
                if let Some(answer) = Self::parse(&String::from_utf8_lossy(&text))
                    && answer
                        .length()
                        .is_none_or(|length| length <= answer.body.len())
                {
                    return answer;
                }
                let byte = stream.read_u8().await.expect("more of the answer");
                text.push(byte);
            }
        };
        timeout(PATIENCE, reading).await.expect("in time")
    }

    fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        Some(Self {
            status,
            head: head.to_lowercase(),
            body: body.to_owned(),
        })
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn length(&self) -> Option<usize> {
        self.header("content-length")?.parse().ok()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// That it is an exception of this name as Glue's clients read it, and what it says.
    fn fault(&self, status: u16, name: &str) -> String {
        let body = self.json();
        assert_eq!(
            (self.status, body["__type"].as_str()),
            (status, Some(name)),
            "{self:?}"
        );
        assert_eq!(
            self.header("x-amzn-errortype"),
            Some(name.to_lowercase().as_str())
        );
        assert!(
            self.header("x-amzn-requestid")
                .is_some_and(|id| id.len() == 36),
            "{self:?}"
        );
        body["message"].as_str().expect("a message").to_owned()
    }
}

/// Everything until the server ends the connection in order.
async fn rest_of(mut stream: impl AsyncRead + Unpin) -> String {
    let mut all = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut all)).await;
    let text = String::from_utf8_lossy(&all).into_owned();
    match read {
        Ok(Ok(_)) => text,
        Ok(Err(error)) => panic!("{error} after {text:?}"),
        Err(_) => panic!("the connection stays open after {text:?}"),
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
}

/// A request's head; the body has that many bytes.
fn head(operation: &str, length: usize) -> String {
    format!(
        "POST / HTTP/1.1\r\nhost: test\r\nx-amz-target: AWSGlue.{operation}\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// A whole request.
fn post(operation: &str, body: &str) -> String {
    head(operation, body.len()) + body
}

fn create_database(name: &str) -> String {
    format!("{{\"DatabaseInput\": {{\"Name\": \"{name}\"}}}}")
}

/// Sends the bytes one by one with pauses, until the server has had enough or all are sent.
async fn drip(mut stream: impl AsyncWrite + Unpin, bytes: &[u8], pause: Duration) {
    for byte in bytes {
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
        sleep(pause).await;
    }
}
