//! The REST interface, for what Glue has no word for: `/v1`.
//!
//! Every path is declared once, by the attribute above its function, from which the OpenAPI document is made; the routes
//! are checked against the document by a test. The document is served at `/v1/openapi.json` and committed as
//! `docs/openapi.json`, which `examples/openapi.rs` writes.
//!
//! **Adding a path**: a function with its attribute in its noun's file, its name in [`Document`], a line in [`router`], and
//! `cargo run --release -p tenon-server --example openapi`.

pub(crate) mod problem;
mod system;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;
use serde_json::json;
use utoipa::OpenApi;

use crate::front::Told;
use crate::health::Health;
use crate::routes;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "tenon",
        description = "What Glue has no word for. Glue itself is at `POST /`, in its own protocol.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(system::health, system::version, system::operations, system::document),
    components(schemas(problem::Problem)),
    tags((name = "system", description = "The server itself; asks for no token")),
)]
struct Document;

/// The OpenAPI document of the REST interface, as JSON.
#[must_use]
pub fn openapi() -> String {
    let mut text = Document::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// Everything below `/v1`.
pub(crate) fn router(health: Arc<Health>) -> Router {
    Router::new()
        .route("/v1/health", get(system::health))
        .route("/v1/version", get(system::version))
        .route("/v1/operations", get(system::operations))
        .route("/v1/openapi.json", get(system::document))
        .with_state(health)
}

/// An answer with a JSON body.
fn answer(operation: &'static str, status: StatusCode, body: &impl Serialize) -> Response {
    let body = serde_json::to_value(body).unwrap_or_else(|_| json!({}));
    named(operation, routes::json(status, &body))
}

fn named(operation: &'static str, mut response: Response) -> Response {
    response.extensions_mut().insert(Told {
        operation: Some(operation),
        ..Told::default()
    });
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_this_one() {
        let committed = include_str!("../../../../docs/openapi.json");
        assert!(openapi() == committed, "run the example openapi again");
    }
}
