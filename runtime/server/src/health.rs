//! For those who watch the server: `/health/live`, `/health/ready`, `/metrics`.
//!
//! They are on the port of everything else and ask for no key, so [`Watchers`] says who reaches them. Numbers are of all
//! tenants together, from which one could tell how busy the others are: by default only this machine reads them.
//!
//! **Ready** means that the store answers a read and takes writes, and that the server does not stop. One read at a
//! time, its answer good for a second, so that the question costs nothing however often it is asked. **Live** means that
//! the process answers, and asks nobody: a store that takes no more writes still serves reads, and whether to restart is
//! for whoever sees that it is not ready.
//!
//! Everyone is told in fixed words why not. What the store itself said names files, so it is only for those who may read
//! the numbers.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{ConnectInfo, Extension, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tenon_store::{Status, Verified};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::front::{RequestId, Stage, Style, Told};
use crate::metrics::Metrics;
use crate::routes;

/// Longest wait for the store's answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the store's answer counts.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Who reaches an address that asks for no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watchers {
    /// Everyone who reaches the port.
    Everyone,
    /// Connections from this machine. A proxy on it counts as such: there, close the path in the proxy.
    ThisMachine,
    /// No one: the address does not exist.
    Nobody,
}

impl Watchers {
    pub(crate) fn admits(self, peer: SocketAddr) -> bool {
        match self {
            Self::Everyone => true,
            Self::ThisMachine => peer.ip().to_canonical().is_loopback(),
            Self::Nobody => false,
        }
    }
}

/// Reads something of the store and says how it is; may block.
pub(crate) type Probe = Arc<dyn Fn() -> Result<Status, String> + Send + Sync>;

/// Why requests should not come here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotReady {
    /// For everyone, in fixed words.
    pub(crate) reason: &'static str,
    /// What the store said, for those who may read the numbers.
    detail: Option<String>,
}

impl NotReady {
    const fn because(reason: &'static str) -> Self {
        Self {
            reason,
            detail: None,
        }
    }

    /// What of it this peer may know.
    pub(crate) fn detail_for(&self, health: &Health, peer: SocketAddr) -> Option<&str> {
        let detail = self.detail.as_deref();
        detail.filter(|_| health.metrics_for.admits(peer))
    }
}

/// Whether a store that is so can serve.
fn check(status: &Status) -> Result<(), NotReady> {
    let reason = match (status.verified, &status.stopped) {
        (Verified::Damaged, _) => "the store is damaged; a restart rebuilds it",
        (_, Some(_)) => "the store takes no writes since one failed; a restart recovers it",
        (Verified::Pending | Verified::Verified, None) => return Ok(()),
    };
    Err(NotReady {
        reason,
        detail: status.stopped.clone(),
    })
}

/// What is known about the server's state.
pub(crate) struct Health {
    pub(crate) health_for: Watchers,
    metrics_for: Watchers,
    metrics: Arc<Metrics>,
    stage: watch::Receiver<Stage>,
    probe: Probe,
    asked: Mutex<Asked>,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Asked {
    last: Option<(Instant, Result<(), NotReady>)>,
    /// A read that has not ended yet: no other is begun before.
    running: Option<JoinHandle<Result<Status, String>>>,
}

impl Health {
    pub(crate) fn new(
        health_for: Watchers,
        metrics_for: Watchers,
        metrics: Arc<Metrics>,
        stage: watch::Receiver<Stage>,
        probe: Probe,
    ) -> Self {
        Self {
            health_for,
            metrics_for,
            metrics,
            stage,
            probe,
            asked: Mutex::default(),
        }
    }

    /// Whether requests should come here; if not, why.
    pub(crate) async fn ready(&self) -> Result<(), NotReady> {
        if *self.stage.borrow() != Stage::Serving {
            return Err(NotReady::because("the server stops"));
        }
        self.store_ready().await
    }

    /// Whether the store serves; the metrics are then as of the answer.
    async fn store_ready(&self) -> Result<(), NotReady> {
        let mut asked = self.asked.lock().await;
        if let Some((when, answer)) = &asked.last
            && when.elapsed() < PROBE_EVERY
        {
            return answer.clone();
        }
        let answer = match self.ask(&mut asked).await {
            Ok(status) => {
                self.metrics.store(&status);
                check(&status)
            }
            Err(reason) => Err(NotReady::because(reason)),
        };
        self.metrics.store_ready(answer.is_ok());
        asked.last = Some((Instant::now(), answer.clone()));
        answer
    }

    async fn ask(&self, asked: &mut Asked) -> Result<Status, &'static str> {
        let probe = Arc::clone(&self.probe);
        let running = asked
            .running
            .get_or_insert_with(|| tokio::task::spawn_blocking(move || probe()));
        let Ok(ended) = timeout(PROBE_TIMEOUT, running).await else {
            tracing::error!("the store did not answer a read within {PROBE_TIMEOUT:?}");
            return Err("the store does not answer");
        };
        asked.running = None;
        match ended {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(reason)) => {
                tracing::error!(reason, "the store refused a read");
                Err("the store does not answer")
            }
            Err(_) => Err("the store does not answer"),
        }
    }
}

/// The addresses.
pub(crate) fn router(health: Arc<Health>) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health)
}

async fn live(
    State(health): State<Arc<Health>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(id): Extension<RequestId>,
) -> Response {
    if !health.health_for.admits(peer) {
        return routes::nothing_here(Style::Glue, &id);
    }
    told("HealthLive", state(StatusCode::OK, "live"))
}

async fn ready(
    State(health): State<Arc<Health>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(id): Extension<RequestId>,
) -> Response {
    if !health.health_for.admits(peer) {
        return routes::nothing_here(Style::Glue, &id);
    }
    let response = match health.ready().await {
        Ok(()) => state(StatusCode::OK, "ready"),
        Err(not) => {
            let mut body = body("not ready");
            body["reason"] = json!(not.reason);
            if let Some(detail) = not.detail_for(&health, peer) {
                body["detail"] = json!(detail);
            }
            routes::json(StatusCode::SERVICE_UNAVAILABLE, &body)
        }
    };
    told("HealthReady", response)
}

async fn metrics(
    State(health): State<Arc<Health>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(id): Extension<RequestId>,
) -> Response {
    if !health.metrics_for.admits(peer) {
        return routes::nothing_here(Style::Glue, &id);
    }
    // What it says is in the numbers.
    let _ = health.store_ready().await;
    let mut response = health.metrics.render().into_response();
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    told("Metrics", response)
}

fn state(status: StatusCode, word: &str) -> Response {
    routes::json(status, &body(word))
}

fn body(word: &str) -> Value {
    json!({"status": word, "version": env!("CARGO_PKG_VERSION")})
}

fn told(operation: &'static str, mut response: Response) -> Response {
    response.extensions_mut().insert(Told {
        operation: Some(operation),
        ..Told::default()
    });
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn health(probe: Probe) -> (watch::Sender<Stage>, Health) {
        let (sender, stage) = watch::channel(Stage::Serving);
        let everyone = Watchers::Everyone;
        let metrics = Arc::new(Metrics::new());
        (
            sender,
            Health::new(everyone, everyone, metrics, stage, probe),
        )
    }

    fn status() -> Status {
        Status {
            last_seq: 7,
            digest: String::new(),
            verified: Verified::Pending,
            rebuilt: None,
            replayed: 0,
            upgraded: false,
            checkpoints: 1,
            failed_checkpoints: 0,
            checkpoint_error: None,
            last_checkpoint_seq: Some(3),
            journal_bytes: 4096,
            stopped: None,
        }
    }

    #[tokio::test]
    async fn ready_is_what_the_store_says_and_asks_it_rarely() {
        let count = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&count);
        let (stage, asked) = health(Arc::new(move || {
            seen.fetch_add(1, Ordering::Relaxed);
            Ok(status())
        }));
        for _ in 0..100 {
            assert_eq!(asked.ready().await, Ok(()));
        }
        assert!(count.load(Ordering::Relaxed) <= 2, "{count:?} reads");
        stage.send_replace(Stage::Noticed);
        let stops = NotReady::because("the server stops");
        assert_eq!(asked.ready().await, Err(stops));
    }

    #[tokio::test]
    async fn a_store_that_fails_or_panics_is_not_ready() {
        let (_stage, failing) = health(Arc::new(|| Err("damaged".to_owned())));
        let silent = Err(NotReady::because("the store does not answer"));
        assert_eq!(failing.ready().await, silent);
        let (_stage, panicking) = health(Arc::new(|| panic!("a test's own")));
        assert_eq!(panicking.ready().await, silent);
    }

    #[tokio::test]
    async fn a_store_that_takes_no_writes_is_not_ready_and_says_why_to_some() {
        let (_stage, mut stopped) = health(Arc::new(|| {
            Ok(Status {
                stopped: Some("cannot sync /data/journal/1.log".to_owned()),
                ..status()
            })
        }));
        let not = stopped.ready().await.unwrap_err();
        assert!(
            not.reason.starts_with("the store takes no writes"),
            "{not:?}"
        );
        let peer = |text: &str| text.parse().unwrap();
        let told = not.detail_for(&stopped, peer("192.0.2.1:1"));
        assert_eq!(told, Some("cannot sync /data/journal/1.log"));
        stopped.metrics_for = Watchers::ThisMachine;
        assert_eq!(not.detail_for(&stopped, peer("192.0.2.1:1")), None);
        assert!(not.detail_for(&stopped, peer("127.0.0.1:1")).is_some());
        let text = stopped.metrics.render();
        for line in [
            "tenon_store_ready 0",
            "tenon_store_writable 0",
            "tenon_store_last_seq 7",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        let (_stage, damaged) = health(Arc::new(|| {
            Ok(Status {
                verified: Verified::Damaged,
                ..status()
            })
        }));
        let not = damaged.ready().await.unwrap_err();
        assert!(not.reason.starts_with("the store is damaged"), "{not:?}");
    }

    #[test]
    fn this_machine_is_also_what_ipv6_calls_so() {
        let admits = |text: &str| Watchers::ThisMachine.admits(text.parse().unwrap());
        assert!(admits("127.0.0.1:1") && admits("[::1]:1") && admits("[::ffff:127.0.0.1]:1"));
        assert!(!admits("192.0.2.1:1") && !admits("[2001:db8::1]:1"));
    }
}
