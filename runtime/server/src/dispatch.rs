//! What happens to a request: which operation it names, on which thread it runs, how it is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use serde_json::Value;

use crate::fault::Fault;
use crate::glue::{self, Context};
use crate::wire;

struct Shared {
    context: Context,
    requests: AtomicU64,
}

/// The one path of the protocol.
pub(crate) fn router(context: Context) -> Router {
    let shared = Shared {
        context,
        requests: AtomicU64::new(0),
    };
    Router::new()
        .route("/", post(serve))
        .with_state(Arc::new(shared))
}

async fn serve(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let number = shared.requests.fetch_add(1, Ordering::Relaxed);
    let request_id = shared.context.tokens.request_id(number);
    let outcome = match wire::operation(&headers).map(str::to_owned) {
        Ok(operation) => perform(shared, operation, body).await,
        Err(fault) => Err(fault),
    };
    wire::answer(outcome, &request_id)
}

/// The store blocks, so every operation runs on a thread for that; what panics there is an answer, not an end.
async fn perform(shared: Arc<Shared>, operation: String, body: Bytes) -> Result<Value, Fault> {
    let work = move || glue::perform(&shared.context, &operation, &wire::input(&body)?);
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(failed) => Err(Fault::internal(&failed.to_string())),
    }
}
