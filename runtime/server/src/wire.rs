//! The protocol: which operation a request names, and how answers and faults look.
//!
//! AWS JSON 1.1: <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html>

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::fault::Fault;

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
const TARGET_PREFIX: &str = "AWSGlue.";

/// The operation of Glue in `X-Amz-Target`; `Err` is the target of another service, `None` is none.
pub(crate) fn operation(headers: &HeaderMap) -> Option<Result<&str, &str>> {
    let target = headers
        .get("x-amz-target")?
        .to_str()
        .unwrap_or("(not text)");
    Some(target.strip_prefix(TARGET_PREFIX).ok_or(target))
}

/// Characters of an invocation's id, at most.
const MAX_INVOCATION: usize = 128;

/// What SDKs send with every repetition of one call.
pub(crate) fn invocation(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("amz-sdk-invocation-id")?.to_str().ok()?;
    (1..=MAX_INVOCATION)
        .contains(&id.len())
        .then(|| id.to_owned())
}

/// What the answer is to an operation that does not exist or is not supported.
pub(crate) fn unknown(operation: &str) -> Fault {
    let shown: String = operation.chars().take(100).collect();
    Fault::new(
        "UnknownOperationException",
        format!("operation {shown} is not supported"),
    )
}

/// The members of the body; an empty one has none.
pub(crate) fn input(body: &Bytes) -> Result<Value, Fault> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    // Depth is bounded before parsing, which recurses.
    check_depth(body)?;
    match serde_json::from_slice(body) {
        Ok(input @ Value::Object(_)) => Ok(input),
        Ok(_) => Err(Fault::new(
            "SerializationException",
            "the body is not a JSON object",
        )),
        Err(error) => Err(Fault::new(
            "SerializationException",
            format!("the body is not JSON: {error}"),
        )),
    }
}

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 128;

fn check_depth(body: &[u8]) -> Result<(), Fault> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for &byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            let message = format!("the body is nested deeper than {MAX_DEPTH}");
            return Err(Fault::new("SerializationException", message));
        }
    }
    Ok(())
}

/// What an operation answers, ready to be sent.
#[derive(Debug)]
pub(crate) struct Output {
    /// JSON, or the elements of an answer in XML.
    pub(crate) body: String,
    /// How many parts of what was asked for failed.
    pub(crate) failures: usize,
}

/// The HTTP answer.
pub(crate) fn answer(outcome: Result<Output, Fault>, request_id: &str) -> Response {
    let (status, name, body) = match outcome {
        Ok(output) => (200, None, output.body),
        Err(fault) => {
            let body =
                json!({"__type": fault.name, "Message": fault.message, "message": fault.message});
            (fault.status, Some(fault.name), body.to_string())
        }
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    if let Some(name) = name {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(name));
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_are_no_object_are_refused() {
        let name = |body: &str| input(&Bytes::from(body.to_owned())).unwrap_err().name;
        for body in ["{", "[]", "1", "\u{0}", "{\"a\":1}x"] {
            assert_eq!(name(body), "SerializationException");
        }
        assert_eq!(name(&"[".repeat(1_000_000)), "SerializationException");
        assert_eq!(input(&Bytes::new()).unwrap(), json!({}));
        assert_eq!(
            input(&Bytes::from_static(b"{\"a\":\"[[\\\"{\"}")).unwrap(),
            json!({"a": "[[\"{"})
        );
    }
}
