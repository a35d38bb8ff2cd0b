//! Which paths there are, and what is said about all others.
//!
//! | path | what |
//! |---|---|
//! | `POST /` | Glue, STS, IAM: see `dispatch` |
//! | `GET /` | what this is and how to use it |
//! | `/health/live`, `/health/ready`, `/metrics` | see `health` |
//! | `/v1/...` | see `rest` |

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::front::{RequestId, Style, Told};
use crate::health::{self, Health};
use crate::identity::Identity;
use crate::rest;

/// All paths. `glue` gets what is posted to `/`.
pub(crate) fn all(glue: Router, health: Arc<Health>, identity: Identity) -> Router {
    Router::new()
        .route("/", get(welcome).post_service(glue))
        .merge(health::router(Arc::clone(&health)))
        .merge(rest::router(health, identity))
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        // Bodies come complete and bounded.
        .layer(DefaultBodyLimit::disable())
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: &Value) -> Response {
    let kind = (header::CONTENT_TYPE, "application/json");
    let store = (header::CACHE_CONTROL, "no-store");
    (status, [kind, store], body.to_string()).into_response()
}

/// As for a path that does not exist.
pub(crate) fn nothing_here(style: Style, id: &RequestId) -> Response {
    style.answer(missing(), &id.0)
}

async fn welcome(headers: HeaderMap) -> Response {
    let mut response = json(
        StatusCode::OK,
        &json!({
            "service": "tenon",
            "version": env!("CARGO_PKG_VERSION"),
            "message": "a Glue endpoint: set AWS_ENDPOINT_URL_GLUE to this address, then use boto3, the AWS CLI and others as ever",
            "address": host(&headers),
            "operations": "/v1/operations",
            "openapi": "/v1/openapi.json",
            "ready": "/health/ready",
        }),
    );
    response.extensions_mut().insert(Told {
        operation: Some("Welcome"),
        ..Told::default()
    });
    response
}

/// What the caller calls this server, if it looks like an address.
fn host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:-[]".contains(&byte);
    (host.len() <= 255 && host.bytes().all(plain)).then_some(host)
}

async fn unknown_path(uri: Uri, Extension(id): Extension<RequestId>) -> Response {
    nothing_here(Style::of(&uri), &id)
}

fn missing() -> Fault {
    Fault {
        status: 404,
        name: "UnknownOperationException",
        message: "nothing is at this path; Glue is at POST /, the REST interface below /v1 \
                  (see /v1/openapi.json)"
            .to_owned(),
    }
}

async fn unknown_method(
    method: Method,
    uri: Uri,
    Extension(RequestId(id)): Extension<RequestId>,
) -> Response {
    let known = [
        Method::GET,
        Method::PUT,
        Method::POST,
        Method::DELETE,
        Method::PATCH,
    ];
    let method = if known.contains(&method) {
        method.as_str()
    } else {
        "this method"
    };
    let hint = match Style::of(&uri) {
        Style::Glue if uri.path() == "/" => "Glue is asked by POST with X-Amz-Target",
        Style::Glue => "use GET",
        Style::Problem => "see /v1/openapi.json",
    };
    let fault = Fault {
        status: 405,
        name: "UnknownOperationException",
        message: format!("{method} means nothing at this path; {hint}"),
    };
    Style::of(&uri).answer(fault, &id)
}
