//! [`OtlpClient`]: sends traces over plain HTTP/1.1 to a collector.
//!
//! It has a runtime of its own with one thread: traces are exported by a thread that belongs to no runtime, and the last
//! ones when the server's own has ended. A collector that does not answer is told in the log once, and once when it
//! answers again.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Runtime;

/// Most that is read of a collector's answer, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Sends requests to a collector.
pub(crate) struct OtlpClient {
    client: Client<HttpConnector, Body>,
    timeout: Duration,
    /// Present until the client is dropped.
    runtime: Option<Runtime>,
    failing: AtomicBool,
}

impl fmt::Debug for OtlpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpClient").finish_non_exhaustive()
    }
}

impl OtlpClient {
    /// A client whose requests take at most `timeout`.
    pub(crate) fn new(timeout: Duration) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("tenon-traces")
            .enable_all()
            .build()?;
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            timeout,
            runtime: Some(runtime),
            failing: AtomicBool::new(false),
        })
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let runtime = self.runtime.as_ref().ok_or("the client is closed")?;
        let client = self.client.clone();
        let exchange = async move {
            let answer = client.request(request.map(Body::from)).await?;
            let (head, body) = answer.into_parts();
            let body = axum::body::to_bytes(Body::new(body), MAX_ANSWER_BYTES).await?;
            Ok::<_, HttpError>(Response::from_parts(head, body))
        };
        let timeout = self.timeout;
        runtime
            .spawn(async move { tokio::time::timeout(timeout, exchange).await })
            .await??
    }

    /// Tells the log when the state changes.
    fn note(&self, trouble: Option<&str>) {
        let was = self.failing.swap(trouble.is_some(), Ordering::Relaxed);
        match trouble {
            Some(reason) if !was => {
                tracing::warn!(
                    reason,
                    "the collector does not take traces; they are dropped until it does"
                );
            }
            None if was => tracing::info!("the collector takes traces again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for OtlpClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let outcome = self.send(request).await;
        match &outcome {
            Ok(answer) if answer.status().is_success() => self.note(None),
            Ok(answer) => self.note(Some(answer.status().as_str())),
            Err(error) => self.note(Some(&error.to_string())),
        }
        outcome
    }
}

impl Drop for OtlpClient {
    fn drop(&mut self) {
        // A runtime that is dropped within another one waits for its threads, which is not allowed there.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
