//! Errors below `/v1`, as RFC 9457 has them: `application/problem+json`.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::{ToResponse, ToSchema};

use crate::fault::Fault;
use crate::front::Told;

/// Why a request was not served.
#[derive(Debug, Serialize, ToSchema, ToResponse)]
#[response(
    description = "Why the request was not served",
    content_type = "application/problem+json"
)]
pub(crate) struct Problem {
    /// `urn:tenon:problem:` and the problem's name; the same for all of its kind.
    #[schema(example = "urn:tenon:problem:EntityNotFoundException")]
    r#type: String,
    /// The problem's name.
    #[schema(example = "EntityNotFoundException")]
    title: &'static str,
    /// The status of HTTP once more.
    #[schema(example = 404)]
    status: u16,
    /// What happened here, and what to do.
    detail: String,
    /// Names the request in the server's log.
    request_id: String,
}

/// The answer for a fault.
pub(crate) fn answer(fault: &Fault, request_id: &str) -> Response {
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let problem = Problem {
        r#type: format!("urn:tenon:problem:{}", fault.name),
        title: fault.name,
        status: status.as_u16(),
        detail: fault.message.clone(),
        request_id: request_id.to_owned(),
    };
    // Five members of text always become JSON.
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let kind = (header::CONTENT_TYPE, "application/problem+json");
    let mut response = (status, [kind], body).into_response();
    response.extensions_mut().insert(Told {
        outcome: Some(fault.name),
        ..Told::default()
    });
    response
}
