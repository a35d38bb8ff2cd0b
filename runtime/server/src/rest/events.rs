//! `/v1/accounts/{account}/jobs/{job}/runs/{run}/events`: a run while it runs, as
//! [server-sent events](https://html.spec.whatwg.org/multipage/server-sent-events.html).
//!
//! An event is the run as its own path gives it, sent when it is not as it was. The stream ends after the run has, and
//! after a minute in any case: browsers ask again by themselves, and a server that stops does not wait for long.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::asked::{Asked, refuse};
use super::named;
use super::problem::Problem;
use super::runs::{Run, Runs};
use crate::fault::Fault;

const OPERATION: &str = "WatchRun";

/// How often the run is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long a stream lasts at most.
const LONGEST: Duration = Duration::from_secs(60);

/// Events that wait for a slow caller.
const WAITING: usize = 16;

/// A run while it runs: an event whenever it is not as it was, until it has ended, for a minute at most.
#[utoipa::path(
    get, path = "/v1/accounts/{account}/jobs/{job}/runs/{run}/events", tag = "jobs", operation_id = "watchRun",
    security(("token" = [])),
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("job" = String, Path, description = "The job's name"),
        ("run" = String, Path, description = "The run's id"),
    ),
    responses(
        (status = 200, description = "Events whose data is the run", body = String, content_type = "text/event-stream"),
        (status = 401, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn watch(State(runs): State<Runs>, asked: Asked) -> Response {
    let id = asked.id().to_owned();
    let asked = Arc::new(asked);
    let look = move || {
        let (runs, asked) = (runs.clone(), Arc::clone(&asked));
        async move {
            let looked = tokio::task::spawn_blocking(move || runs.look(&asked)).await;
            looked.unwrap_or_else(|_| Err(Fault::internal("a look at a run panicked")))
        }
    };
    let first = match look().await {
        Ok(first) => first,
        Err(fault) => return refuse(OPERATION, fault, &id),
    };
    let (sender, events) = mpsc::channel(WAITING);
    tokio::spawn(tell(first, look, sender));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let body = Body::new(Events(events));
    named(OPERATION, (StatusCode::OK, headers, body).into_response())
}

/// Sends events until the run has ended, the time is over, or nobody listens.
async fn tell<F: Future<Output = Result<Run, Fault>>>(
    first: Run,
    look: impl Fn() -> F,
    to: mpsc::Sender<Bytes>,
) {
    let end = Instant::now() + LONGEST;
    let (mut run, mut said) = (first, String::new());
    loop {
        let now = serde_json::to_string(&run).unwrap_or_default();
        // A comment tells whether somebody still listens.
        let event = match now == said {
            true => ":\n\n".to_owned(),
            false => format!("data: {now}\n\n"),
        };
        if to.send(event.into()).await.is_err() || run.has_ended() || Instant::now() >= end {
            return;
        }
        said = now;
        sleep(LOOK_EVERY).await;
        run = match look().await {
            Ok(run) => run,
            // It was deleted; whoever asks again is told.
            Err(_) => return,
        };
    }
}

/// The answer's body.
struct Events(mpsc::Receiver<Bytes>);

impl HttpBody for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let event = ready!(self.0.poll_recv(cx));
        Poll::Ready(event.map(|event| Ok(Frame::data(event))))
    }
}
