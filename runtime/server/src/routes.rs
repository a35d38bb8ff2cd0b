//! Which paths there are, and what is said about all others.
//!
//! | path | what |
//! |---|---|
//! | `POST /`, and whatever is not below | Glue, STS, IAM: see `dispatch` |
//! | `GET /` | what this is and how to use it |
//! | `/health/live`, `/health/ready`, `/metrics` | see `health` |
//! | `/v1/...` | see `rest` |

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::front::{RequestId, Style, Told};
use crate::health::{self, Health};
use crate::identity::Identity;
use crate::rest::Runs;
use crate::{rest, wire};

/// All paths. `glue` gets what is no path of ours: where keys are asked for, who sends none learns nothing of paths.
pub(crate) fn all(glue: Router, health: Arc<Health>, identity: Identity, runs: Runs) -> Router {
    let glue = glue.layer(from_fn_with_state(identity.clone(), local_pages_only));
    Router::new()
        .route("/", get(welcome).fallback_service(glue.clone()))
        .merge(health::router(Arc::clone(&health)))
        .merge(rest::router(health, identity, runs))
        .route("/v1", any(unknown_path))
        .route("/v1/{*rest}", any(unknown_path))
        .fallback_service(glue)
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

/// Where no key is asked for, whatever a browser sends would be obeyed, and a page of any site can make it send
/// requests to this machine, under a name of its own. Browsers say which page that is; clients of AWS say nothing.
async fn local_pages_only(
    State(identity): State<Identity>,
    Extension(RequestId(id)): Extension<RequestId>,
    request: Request,
    next: Next,
) -> Response {
    let foreign = request.headers().get(header::ORIGIN);
    if foreign.is_some_and(|page| !is_local(page)) && !identity.is_closed() {
        let message = "pages of other sites are not served while no key is asked for";
        let fault = Fault {
            status: 403,
            name: "AccessDeniedException",
            message: message.to_owned(),
        };
        return Style::Glue.answer(fault, &id);
    }
    next.run(request).await
}

/// Whether the page of this `Origin` is on this machine.
fn is_local(page: &HeaderValue) -> bool {
    let page: Option<Uri> = page.to_str().ok().and_then(|page| page.parse().ok());
    let host = page.as_ref().and_then(Uri::host).unwrap_or_default();
    let address: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
    match address {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
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

/// What is said about a request that is none of Glue's: `what` is its path, its method and path, or its target.
pub(crate) fn unknown(what: &str, status: u16) -> Fault {
    match status {
        404 => missing(),
        405 => {
            let method = what.split(' ').next().unwrap_or_default();
            let method: String = method.chars().take(20).collect();
            Fault {
                status,
                message: format!(
                    "{method} means nothing at this path; Glue is asked by POST with X-Amz-Target"
                ),
                ..missing()
            }
        }
        _ => wire::unknown(what),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_this_machine_are_told_from_others() {
        let local = |page: &str| is_local(&HeaderValue::from_str(page).unwrap());
        for page in [
            "http://localhost:3000",
            "http://127.0.0.1",
            "https://[::1]:8080",
            "http://a.localhost",
        ] {
            assert!(local(page), "{page}");
        }
        for page in [
            "http://localhost.example",
            "http://example:8080",
            "null",
            "",
            "http://10.0.0.1",
            "file://",
        ] {
            assert!(!local(page), "{page}");
        }
    }
}
