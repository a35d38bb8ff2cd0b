//! Handlers that are slow or panic, which the server itself has none of; the log and traces of a request.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex, mpsc};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

use super::{Front, Stage, Told};
use crate::limits::Limits;
use crate::listen::Listening;
use crate::metrics::Metrics;
use crate::telemetry::{LogFormat, TelemetryConfig, subscriber};
use crate::token::Tokens;

/// Two subscribers as long as the process lives. While there is one alone, tracing asks only the thread that meets a span
/// first whether it is recorded, and keeps the answer for all: a test without a subscriber would switch off the spans of one
/// that looks at them.
static SUBSCRIBERS: LazyLock<[tracing::Dispatch; 2]> =
    LazyLock::new(|| [(); 2].map(|()| tracing_subscriber::registry().into()));

/// Serves `router` on this test's thread, and answers where and how to stop.
async fn start(router: Router, limits: Limits) -> (SocketAddr, oneshot::Sender<()>, Arc<Metrics>) {
    LazyLock::force(&SUBSCRIBERS);
    let (stage, stages) = watch::channel(Stage::Serving);
    let metrics = Arc::new(Metrics::new());
    let ids = Tokens::new([7; 32]);
    let front = Front::new(
        router,
        limits,
        Arc::clone(&metrics),
        ids,
        stages,
        Arc::new(|_| false),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listening = Listening {
        listener,
        tls: None,
        front: Arc::new(front),
        limits,
        metrics: Arc::clone(&metrics),
        stage,
        chores: tokio::task::JoinSet::new(),
    };
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(listening.run(async {
        let _ = stopped.await;
    }));
    (address, stop, metrics)
}

async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn request(method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{more}\r\n")
}

async fn panics() {
    panic!("a test's own")
}

#[tokio::test]
async fn handlers_that_are_slow_or_panic_are_answered() {
    let sleep = || async { tokio::time::sleep(Duration::from_secs(600)).await };
    let router = Router::new()
        .route("/", post(sleep).get(panics))
        .route("/v1/slow", get(sleep))
        .route("/v1/panics", get(panics));
    let limits = Limits {
        request_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let (address, _stop, metrics) = start(router, limits).await;
    // What is repeated by clients must not have happened, so this is none of 5xx.
    let slow = exchange(address, &request("POST", "/", "")).await;
    assert!(
        slow.starts_with("HTTP/1.1 400") && slow.contains("OperationTimeoutException"),
        "{slow}"
    );
    assert!(
        slow.contains("longer than 300ms; it may still complete"),
        "{slow}"
    );
    let slow = exchange(address, &request("GET", "/v1/slow", "")).await;
    assert!(
        slow.starts_with("HTTP/1.1 504") && slow.contains("problem+json"),
        "{slow}"
    );
    let panicked = exchange(address, &request("GET", "/", "")).await;
    assert!(panicked.starts_with("HTTP/1.1 500"), "{panicked}");
    assert!(
        panicked.contains("InternalServiceException") && !panicked.contains("own"),
        "{panicked}"
    );
    let panicked = exchange(address, &request("GET", "/v1/panics", "")).await;
    assert!(
        panicked.starts_with("HTTP/1.1 500") && panicked.contains("problem+json"),
        "{panicked}"
    );
    let text = metrics.render();
    assert!(
        text.contains("tenon_refused_total{limit=\"request_timeout\"} 2"),
        "{text}"
    );
    assert!(text.contains("tenon_requests_in_flight 0"), "{text}");
}

/// Lines that are kept.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// A collector: every request that it gets.
fn collector() -> (String, mpsc::Receiver<(String, Value)>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, received) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut text, mut part) = (Vec::new(), [0; 4096]);
            let (head, body) = loop {
                let read = stream.read(&mut part).unwrap();
                assert!(read > 0, "ended early");
                text.extend_from_slice(&part[..read]);
                let all = String::from_utf8_lossy(&text).into_owned();
                if let Some((head, body)) = all.split_once("\r\n\r\n")
                    && let Ok(body) = serde_json::from_str(body)
                {
                    break (head.to_lowercase(), body);
                }
            };
            let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
            stream.write_all(answer.as_bytes()).unwrap();
            if sender.send((head, body)).is_err() {
                return;
            }
        }
    });
    (address, received)
}

/// The value of an attribute, whatever its type.
fn attribute(span: &Value, name: &str) -> String {
    let all = span["attributes"].as_array().unwrap();
    let found = all.iter().find(|found| found["key"] == name);
    let value = found.and_then(|found| found["value"].as_object());
    value
        .and_then(|value| value.values().next())
        .map_or_else(String::new, |value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
}

#[tokio::test]
async fn a_request_is_one_line_and_one_span() {
    let (address_of_collector, received) = collector();
    let config = TelemetryConfig {
        format: LogFormat::Json,
        collector: Some(address_of_collector),
        ..TelemetryConfig::default()
    };
    let lines = Lines::default();
    let writer = lines.clone();
    let (subscriber, guard) = subscriber(&config, move || writer.clone()).unwrap();
    let here = tracing::subscriber::set_default(subscriber);

    let handler = || async {
        tracing::warn!("said within");
        let mut response = axum::response::Response::new(Body::from("three"));
        response.extensions_mut().insert(Told {
            operation: Some("Told"),
            account: Some("123456789012".to_owned()),
            outcome: None,
        });
        response
    };
    let router = Router::new().route("/secret-path", post(handler));
    let (address, _stop, _metrics) = start(router, Limits::default()).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let more = format!(
        "traceparent: 00-{trace}-b7ad6b7169203331-01\r\nauthorization: secret-header\r\ncontent-length: 11\r\n"
    );
    let request = request("POST", "/secret-path", &more) + "secret-body";
    let answer = exchange(address, &request).await;
    assert!(answer.contains("three"), "{answer}");

    let text = lines.text();
    assert!(!text.contains("secret"), "{text}");
    let found: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let about = |message: &str| {
        found
            .iter()
            .find(|line| line["message"] == message)
            .unwrap()
    };
    let line = about("request");
    assert_eq!(line["operation"], "Told");
    assert_eq!(line["account"], "123456789012");
    assert_eq!(
        (&line["status"], &line["outcome"]),
        (&200.into(), &"ok".into())
    );
    assert_eq!(
        (&line["bytes_in"], &line["bytes_out"]),
        (&11.into(), &5.into())
    );
    assert!(line["milliseconds"].as_f64().is_some_and(|took| took > 0.0));
    let id = line["request_id"].as_str().unwrap();
    assert!(answer.contains(id), "{answer}");
    // What is logged meanwhile has the id too.
    assert_eq!(about("said within")["span"]["request_id"], id);

    drop(here);
    // Sends what waits; the collector has a thread of its own.
    tokio::task::spawn_blocking(move || drop(guard))
        .await
        .unwrap();
    let (head, body) = received.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(
        head.starts_with("post /v1/traces ") && head.contains("application/json"),
        "{head}"
    );
    let resource = &body["resourceSpans"][0];
    assert_eq!(attribute(&resource["resource"], "service.name"), "tenon");
    let span = &resource["scopeSpans"][0]["spans"][0];
    assert_eq!(
        (&span["name"], &span["traceId"]),
        (&"Told".into(), &trace.into())
    );
    assert_eq!(span["parentSpanId"], "b7ad6b7169203331");
    assert_eq!(attribute(span, "http.response.status_code"), "200");
    assert_eq!(attribute(span, "request_id"), id);
    assert!(!body.to_string().contains("secret"), "{body}");
}

#[tokio::test]
async fn whoever_goes_away_is_written_down() {
    let lines = Lines::default();
    let writer = lines.clone();
    let config = TelemetryConfig::default();
    let (subscriber, _guard) = subscriber(&config, move || writer.clone()).unwrap();
    let _here = tracing::subscriber::set_default(subscriber);
    let sleep = || async { tokio::time::sleep(Duration::from_secs(600)).await };
    let (address, _stop, metrics) =
        start(Router::new().route("/", get(sleep)), Limits::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(request("GET", "/", "").as_bytes())
        .await
        .unwrap();
    let waits = |word: &'static str| {
        let metrics = &metrics;
        async move {
            while !metrics.render().contains(word) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    waits("tenon_requests_in_flight 1").await;
    drop(stream);
    waits("outcome=\"disconnected\"} 1").await;
    let text = lines.text();
    assert!(
        text.contains("operation=\"other\"") && text.contains("outcome=\"disconnected\""),
        "{text}"
    );
}
