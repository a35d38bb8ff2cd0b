//! [`Front`]: what happens around every request, whatever it asks for.
//!
//! ```text
//! head ── size of URL and headers ── body, within size and time ── router, within time ── answer
//!   └ request id, span, in flight ─────────────────────────────────────────────────────── one line, numbers
//! ```
//!
//! Handlers find [`RequestId`] and `ConnectInfo<SocketAddr>` in the request's extensions and may leave a [`Told`] in the
//! answer's. Bodies reach them complete, so no handler waits for the network.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request, Uri, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::service::Service;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{Instrument, Span};

use crate::fault::Fault;
use crate::limits::{Limits, Refusal};
use crate::metrics::{Counted, Metrics};
use crate::rest::{bearer, is_upload, problem};
use crate::token::Tokens;
use crate::{glue, telemetry, wire};

/// How far a server's end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Serving,
    /// It will stop; still accepts, and says that it is not ready.
    Noticed,
    /// It accepts nothing more and finishes what is under way.
    Draining,
    /// What is under way is answered now.
    Closing,
}

/// Names a request in the answer's `x-amzn-RequestId`, the log and traces.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

/// What a handler tells about a request for the log and the metrics. The names are of fixed sets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    pub(crate) operation: Option<&'static str>,
    pub(crate) account: Option<String>,
    pub(crate) outcome: Option<&'static str>,
}

/// Whose words an error is said in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Glue,
    /// RFC 9457.
    Problem,
}

impl Style {
    pub(crate) fn of(uri: &Uri) -> Self {
        match uri.path().strip_prefix("/v1") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => Self::Problem,
            _ => Self::Glue,
        }
    }

    /// An error's answer.
    pub(crate) fn answer(self, fault: Fault, id: &str) -> Response {
        match self {
            Self::Glue => wire::answer(Err(fault), id),
            Self::Problem => problem::answer(&fault, id),
        }
    }

    fn refuse(self, refusal: Refusal, id: &str) -> Response {
        let slow = matches!(refusal, Refusal::SlowOperation { .. });
        let fault = Fault {
            status: if slow && self == Self::Problem {
                504
            } else {
                refusal.status()
            },
            name: refusal.name(),
            message: refusal.message(),
        };
        let mut response = self.answer(fault, id);
        // What is left of the request is not read.
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

/// Whether the bearer of this token may publish plugins; may block.
pub(crate) type MayPublish = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Takes requests of all connections.
pub(crate) struct Front {
    router: Router,
    limits: Limits,
    metrics: Arc<Metrics>,
    ids: Tokens,
    number: AtomicU64,
    /// Bytes of bodies in memory.
    buffered: Arc<AtomicUsize>,
    stage: watch::Receiver<Stage>,
    may_publish: MayPublish,
    operations: Vec<&'static str>,
}

impl Front {
    pub(crate) fn new(
        router: Router,
        limits: Limits,
        metrics: Arc<Metrics>,
        ids: Tokens,
        stage: watch::Receiver<Stage>,
        may_publish: MayPublish,
    ) -> Self {
        Self {
            router,
            limits,
            metrics,
            ids,
            number: AtomicU64::new(0),
            buffered: Arc::default(),
            stage,
            may_publish,
            operations: glue::supported(),
        }
    }

    /// An identifier that no other request of this server has.
    pub(crate) fn next_id(&self) -> Arc<str> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        self.ids.request_id(number).into()
    }

    /// Answers a request, always. When the peer goes away the answer is dropped, and the record says so.
    pub(crate) async fn answer(&self, peer: SocketAddr, request: Request<Incoming>) -> Response {
        let style = Style::of(request.uri());
        let id = self.next_id();
        let operation = self.operation(&request);
        let span = telemetry::request_span(operation, &id, request.method(), request.headers());
        let mut record = Record::new(&self.metrics, Arc::clone(&id), operation, span.clone());
        let served = self
            .serve(peer, request, &mut record)
            .instrument(span)
            .await;
        let mut response = match served {
            Ok(response) => response,
            Err(refusal) => {
                self.metrics.refused(refusal.label());
                style.refuse(refusal, &id)
            }
        };
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-amzn-requestid", id);
        }
        record.answered(&mut response);
        response
    }

    /// As [`perform`](Self::perform), unless the server's patience ends before.
    async fn serve(
        &self,
        peer: SocketAddr,
        request: Request<Incoming>,
        record: &mut Record<'_>,
    ) -> Result<Response, Refusal> {
        let mut stage = self.stage.clone();
        tokio::select! {
            answer = self.perform(peer, request, record) => answer,
            // Without a sender the server is gone, and this future with it.
            _ = stage.wait_for(|stage| *stage == Stage::Closing) => Err(Refusal::Stopping),
        }
    }

    async fn perform(
        &self,
        peer: SocketAddr,
        request: Request<Incoming>,
        record: &mut Record<'_>,
    ) -> Result<Response, Refusal> {
        let limit = self.limits.request_timeout;
        let deadline = Instant::now() + limit;
        self.check_head(request.uri(), request.headers())?;
        let (head, incoming) = request.into_parts();
        let mut held = Held {
            bytes: 0,
            all: Arc::clone(&self.buffered),
        };
        let most = self.most_body_bytes(&head).await;
        let body = match most {
            Some(most) => {
                let body = timeout_at(deadline, self.body(incoming, most, &mut held)).await;
                body.map_err(|_| Refusal::SlowRequest { limit })??
            }
            // Whoever gets the request refuses it without.
            None => Bytes::new(),
        };
        record.bytes_in = body.len();
        let mut request = Request::from_parts(head, Body::from(body));
        let extensions = request.extensions_mut();
        extensions.insert(ConnectInfo(peer));
        extensions.insert(RequestId(Arc::clone(&record.id)));
        extensions.insert(Arc::new(held));
        let answer = route(self.router.clone(), request, &record.id);
        let answer = timeout_at(deadline, answer).await;
        let mut answer = answer.map_err(|_| Refusal::SlowOperation { limit })?;
        if most.is_none() {
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(header::CONNECTION, close);
        }
        Ok(answer)
    }

    /// How much of a body is read: plugins are large, and memory is for those who may publish them. `None` when nothing
    /// is.
    async fn most_body_bytes(&self, head: &Parts) -> Option<usize> {
        if !is_upload(&head.method, &head.uri) {
            return Some(self.limits.body_bytes);
        }
        let token = bearer(&head.headers)?.to_owned();
        let may_publish = Arc::clone(&self.may_publish);
        let may = tokio::task::spawn_blocking(move || may_publish(&token)).await;
        may.unwrap_or(false).then_some(self.limits.upload_bytes)
    }

    fn check_head(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let bytes = uri.path_and_query().map_or(0, |text| text.as_str().len());
        let limit = self.limits.url_bytes;
        if bytes > limit {
            return Err(Refusal::Url { bytes, limit });
        }
        let sizes = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len());
        let bytes = sizes.sum();
        let limit = self.limits.header_bytes;
        if bytes > limit {
            return Err(Refusal::Headers { bytes, limit });
        }
        Ok(())
    }

    /// The whole body. Memory is counted as it fills, not as a header promises.
    async fn body(
        &self,
        mut incoming: Incoming,
        limit: usize,
        held: &mut Held,
    ) -> Result<Bytes, Refusal> {
        if incoming.size_hint().lower() > limit as u64 {
            return Err(Refusal::Body { limit });
        }
        let mut first = Bytes::new();
        let mut all = Vec::new();
        loop {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx));
            let frame = timeout(self.limits.idle_timeout, frame).await;
            let slow = Refusal::SlowBody {
                limit: self.limits.idle_timeout,
            };
            let Some(frame) = frame.map_err(|_| slow)? else {
                break;
            };
            // Trailers say nothing to us.
            let Ok(data) = frame.map_err(|_| Refusal::Broken)?.into_data() else {
                continue;
            };
            if held.bytes + data.len() > limit {
                return Err(Refusal::Body { limit });
            }
            held.more(data.len(), self.limits.buffered_bytes)?;
            if first.is_empty() {
                first = data;
            } else {
                if all.is_empty() {
                    all.extend_from_slice(&first);
                }
                all.extend_from_slice(&data);
            }
        }
        Ok(if all.is_empty() { first } else { all.into() })
    }

    /// What is asked for, as one of a fixed set; handlers that know better say so in [`Told`].
    fn operation<B>(&self, request: &Request<B>) -> &'static str {
        let asked = match wire::operation(request.headers()) {
            Some(asked) if request.uri().path() == "/" => asked.unwrap_or_default(),
            _ => return "other",
        };
        let found = self.operations.binary_search(&asked);
        let name = found.ok().and_then(|at| self.operations.get(at));
        name.copied().unwrap_or("unsupported")
    }
}

/// Memory of one body, given back when the request is over.
pub(crate) struct Held {
    bytes: usize,
    all: Arc<AtomicUsize>,
}

impl Held {
    fn more(&mut self, bytes: usize, limit: usize) -> Result<(), Refusal> {
        let before = self.all.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        if before + bytes > limit {
            return Err(Refusal::Memory { limit });
        }
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The handler's answer; its panic is an answer too, and not the connection's end.
async fn route(router: Router, request: Request<Body>, id: &str) -> Response {
    let style = Style::of(request.uri());
    let mut answer = pin!(hyper_util::service::TowerToHyperService::new(router).call(request));
    let caught = std::future::poll_fn(|cx| {
        match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    });
    match caught.await {
        Some(Ok(response)) => response,
        Some(Err(never)) => match never {},
        None => style.answer(Fault::internal("a handler panicked"), id),
    }
}

/// The one line and the numbers of a request, written when it is over, however it ends.
struct Record<'a> {
    metrics: &'a Metrics,
    span: Span,
    id: Arc<str>,
    begun: Instant,
    operation: &'static str,
    account: String,
    status: u16,
    outcome: Cow<'static, str>,
    bytes_in: usize,
    bytes_out: u64,
    _under_way: Counted,
}

impl<'a> Record<'a> {
    /// Until it is answered, it ends because the peer went away.
    fn new(metrics: &'a Metrics, id: Arc<str>, operation: &'static str, span: Span) -> Self {
        Self {
            metrics,
            span,
            id,
            begun: Instant::now(),
            operation,
            account: String::new(),
            status: 0,
            outcome: "disconnected".into(),
            bytes_in: 0,
            bytes_out: 0,
            _under_way: metrics.request_begins(),
        }
    }

    fn answered(&mut self, response: &mut Response) {
        let told = response
            .extensions_mut()
            .remove::<Told>()
            .unwrap_or_default();
        self.operation = told.operation.unwrap_or(self.operation);
        self.account = told.account.unwrap_or_default();
        self.status = response.status().as_u16();
        self.outcome = match told.outcome {
            Some(outcome) => outcome.into(),
            None => outcome(response).into(),
        };
        self.bytes_out = response.body().size_hint().exact().unwrap_or(0);
    }
}

/// `ok` or the exception's name: that header is ours alone, and its values are names in our code.
fn outcome(response: &Response) -> String {
    let name = response.headers().get("x-amzn-errortype");
    match name.and_then(|name| name.to_str().ok()) {
        Some(name) => name.to_owned(),
        None if response.status().is_success() => "ok".to_owned(),
        None => response.status().as_str().to_owned(),
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let took = self.begun.elapsed();
        let bytes_in = self.bytes_in as u64;
        self.metrics.answered(
            self.operation,
            self.outcome.clone(),
            took,
            (bytes_in, self.bytes_out),
        );
        telemetry::end_span(&self.span, self.operation, self.status, &self.outcome);
        telemetry::log_request(&telemetry::Line {
            request_id: &self.id,
            operation: self.operation,
            account: &self.account,
            status: self.status,
            outcome: &self.outcome,
            took,
            bytes_in,
            bytes_out: self.bytes_out,
        });
    }
}

#[cfg(test)]
mod tests;
