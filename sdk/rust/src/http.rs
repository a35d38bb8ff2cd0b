//! Requests over HTTP, to places that the operator granted to the plugin.

use crate::error::Error;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, `PUT`, `DELETE` or `HEAD`.
    pub method: String,
    /// Absolute, `http` or `https`.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Empty for none.
    pub body: Vec<u8>,
}

impl Request {
    /// A `GET` without headers.
    #[must_use]
    pub fn get(url: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }
}

/// What came back, whatever its status. Redirects are not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// Names, in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// All of it.
    pub body: Vec<u8>,
}

/// Why there was no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The place was not granted.
    Denied(String),
    /// It is no request.
    Invalid(String),
    /// No answer in time, or none at all.
    Unreachable(String),
    /// The answer is larger than the instance may be given.
    TooLarge(String),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let (code, message) = match failure {
            Failure::Denied(message) => ("http-denied", message),
            Failure::Invalid(message) => ("http-invalid", message),
            Failure::Unreachable(message) => ("http-unreachable", message),
            Failure::TooLarge(message) => ("http-too-large", message),
        };
        Self::user(code, message)
    }
}

/// Sends a request and waits for its answer. Denied outside of a component.
///
/// # Errors
/// There was no response.
pub fn send(request: Request) -> Result<Response, Failure> {
    #[cfg(target_arch = "wasm32")]
    return component::send(request);
    #[cfg(not(target_arch = "wasm32"))]
    Err(Failure::Denied(format!(
        "{}: there is no network outside of a component",
        request.url
    )))
}

#[cfg(target_arch = "wasm32")]
mod component {
    use super::{Failure, Request, Response};
    use crate::bindings::http::tenon::plugin::http as wit;

    pub(super) fn send(request: Request) -> Result<Response, Failure> {
        let answer = wit::send(&wit::Request {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body,
        });
        match answer {
            Ok(response) => Ok(Response {
                status: response.status,
                headers: response.headers,
                body: response.body,
            }),
            Err(wit::Failure::Denied(why)) => Err(Failure::Denied(why)),
            Err(wit::Failure::Invalid(why)) => Err(Failure::Invalid(why)),
            Err(wit::Failure::Unreachable(why)) => Err(Failure::Unreachable(why)),
            Err(wit::Failure::TooLarge(why)) => Err(Failure::TooLarge(why)),
        }
    }
}
