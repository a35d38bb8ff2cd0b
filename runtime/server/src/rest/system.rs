//! `/v1/health`, `/v1/version`, `/v1/operations`, `/v1/openapi.json`: the server about itself.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use axum::extract::{ConnectInfo, Extension, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{answer, named, openapi};
use crate::front::{RequestId, Style};
use crate::glue;
use crate::health::Health;
use crate::model::Model;
use crate::routes;

/// Whether requests should come here.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthState {
    /// `ready`, or `not ready`.
    #[schema(example = "ready")]
    status: &'static str,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// What the store said, for those who may read the numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl HealthState {
    const fn of(status: &'static str) -> Self {
        Self {
            status,
            reason: None,
            detail: None,
        }
    }
}

/// What runs here.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Version {
    /// `tenon`.
    #[schema(example = "tenon")]
    name: &'static str,
    /// The release.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// The interface's version, as in its paths.
    #[schema(example = "v1")]
    api: &'static str,
}

/// What of Glue is supported.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Operations {
    /// Names of operations that are performed, sorted.
    #[schema(example = json!(["CreateDatabase", "GetTable"]))]
    supported: Vec<&'static str>,
    /// Names of operations that answer `UnknownOperationException`, sorted.
    unsupported: Vec<String>,
}

/// Reading the service model takes a while, and it never changes.
static OPERATIONS: LazyLock<Operations> = LazyLock::new(|| {
    let supported = glue::supported();
    let all = Model::glue().map(|model| model.operations);
    let unsupported = all.unwrap_or_default().into_keys();
    let unsupported = unsupported
        .filter(|name| !supported.contains(&name.as_str()))
        .collect();
    Operations {
        supported,
        unsupported,
    }
});

static DOCUMENT: LazyLock<String> = LazyLock::new(openapi);

/// Whether the store answers a read and takes writes, and the server does not stop.
#[utoipa::path(
    get, path = "/v1/health", tag = "system", operation_id = "getHealth",
    responses(
        (status = 200, description = "Ready", body = HealthState),
        (status = 503, description = "Not ready", body = HealthState),
    ),
)]
pub(crate) async fn health(
    State(health): State<Arc<Health>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(id): Extension<RequestId>,
) -> Response {
    if !health.health_for.admits(peer) {
        return routes::nothing_here(Style::Problem, &id);
    }
    let (code, state) = match health.ready().await {
        Ok(()) => (StatusCode::OK, HealthState::of("ready")),
        Err(not) => {
            let state = HealthState {
                reason: Some(not.reason),
                detail: not.detail_for(&health, peer).map(str::to_owned),
                ..HealthState::of("not ready")
            };
            (StatusCode::SERVICE_UNAVAILABLE, state)
        }
    };
    answer("HealthReady", code, &state)
}

/// The release that runs here.
#[utoipa::path(
    get, path = "/v1/version", tag = "system", operation_id = "getVersion",
    responses((status = 200, description = "The release", body = Version)),
)]
pub(crate) async fn version() -> Response {
    let version = Version {
        name: "tenon",
        version: env!("CARGO_PKG_VERSION"),
        api: "v1",
    };
    answer("GetVersion", StatusCode::OK, &version)
}

/// Which operations of Glue are supported.
#[utoipa::path(
    get, path = "/v1/operations", tag = "system", operation_id = "getOperations",
    responses((status = 200, description = "The operations of Glue", body = Operations)),
)]
pub(crate) async fn operations() -> Response {
    answer("GetOperations", StatusCode::OK, &*OPERATIONS)
}

/// This document.
#[utoipa::path(
    get, path = "/v1/openapi.json", tag = "system", operation_id = "getDocument",
    responses((status = 200, description = "OpenAPI, as JSON", body = serde_json::Value)),
)]
pub(crate) async fn document() -> Response {
    let kind = (header::CONTENT_TYPE, "application/json");
    named("GetDocument", ([kind], DOCUMENT.as_str()).into_response())
}
