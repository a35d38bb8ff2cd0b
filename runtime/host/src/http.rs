//! Requests over HTTP that a guest makes: passed on to whoever was given at the firewall, refused where nobody was.
//!
//! This room opens no socket and knows no allow-list: the engine hands a [`Http`] to a plugin
//! ([`crate::Plugin::with_http`]), which decides what is granted and does the talking. Waiting for an answer is
//! not the guest's time; how often it may ask in one call is limited here.

use std::pin::Pin;

use crate::bindings::tenon::plugin::http;
use crate::guest::State;

pub use http::{Failure as HttpFailure, Request as HttpRequest, Response as HttpResponse};

/// Most requests of one call into the guest: each has a time limit of its own, so that this bounds how long a call waits.
pub const MAX_REQUESTS: u32 = 1_000;

/// An answer that is on its way.
pub type HttpAnswer = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpFailure>> + Send>>;

/// Who sends the requests of a plugin's instances.
pub trait Http: Send + Sync {
    /// Sends one request where that is granted, follows no redirect, and reads at most `most_bytes` of the answer's body.
    /// Comes to an end in bounded time.
    fn send(&self, request: HttpRequest, most_bytes: usize) -> HttpAnswer;
}

impl http::Host for State {
    async fn send(
        &mut self,
        request: HttpRequest,
    ) -> wasmtime::Result<Result<HttpResponse, HttpFailure>> {
        self.count_request()?;
        let most_bytes = self.limits().output_bytes;
        match self.http() {
            Some(http) => Ok(http.send(request, most_bytes).await),
            None => Ok(Err(HttpFailure::Denied(
                "nothing was granted to plugins here".to_owned(),
            ))),
        }
    }
}
