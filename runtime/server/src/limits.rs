//! [`Limits`]: how much of the server one caller may have, and what is answered to more.
//!
//! Sizes are checked before anything is parsed, times from the first byte on. A refusal is an answer in the words
//! of the interface that was asked: JSON as Glue's for its clients, `problem+json` below `/v1`.
//!
//! | what | status | name |
//! |---|---|---|
//! | URL, headers, body too large | 414, 431, 413 | `RequestUriTooLongException`, `RequestHeadersTooLargeException`, `RequestTooLargeException` |
//! | head or body too slow | 408 | `RequestTimeoutException` |
//! | operation too slow | 400 (504 below `/v1`) | `OperationTimeoutException` |
//! | too many connections, or bodies in memory; stopping | 503 | `ServiceUnavailable` |

use std::time::Duration;

/// Limits on connections and requests. Every one is finite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Open connections at once. More are answered 503, or closed where TLS is on. Default 1024; each may take a body's
    /// worth of memory, see [`buffered_bytes`](Self::buffered_bytes).
    pub connections: usize,
    /// Open connections at once of one address (IPv6: of one /64 network). Default 64; behind a proxy all callers
    /// have its address, so give it what [`connections`](Self::connections) says.
    pub connections_per_address: usize,
    /// From the first byte of a request, or from the connection's begin, until its headers are complete; includes the
    /// handshake of TLS. Default 10 s.
    pub header_timeout: Duration,
    /// How long a connection may wait for its next request. Default 60 s.
    pub keep_alive: Duration,
    /// Longest pause within a body, or within the reading of an answer. Default 15 s.
    pub idle_timeout: Duration,
    /// A request as a whole, from its headers to its answer. Default 60 s. What an operation had begun may still happen.
    pub request_timeout: Duration,
    /// Names and values of all headers, in bytes. Default 32 KiB.
    pub header_bytes: usize,
    /// Number of headers. Default 100.
    pub headers: usize,
    /// Path and query, in bytes. Default 8 KiB.
    pub url_bytes: usize,
    /// A body, in bytes. Default 4 MiB; a table's definition in Glue is far below.
    pub body_bytes: usize,
    /// A plugin that an administrator publishes, in bytes. Default 50 MiB, the most a registry takes.
    pub upload_bytes: usize,
    /// Bodies of all requests under way, in bytes. Default 256 MiB.
    pub buffered_bytes: usize,
    /// On shutdown: how long connections are still accepted while `/health/ready` says no, so that a balancer
    /// notices. Default 0 s.
    pub drain_notice: Duration,
    /// On shutdown: how long requests under way may take before their connections are closed. Default 30 s.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_address: 64,
            header_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_secs(60),
            header_bytes: 32 * 1024,
            headers: 100,
            url_bytes: 8 * 1024,
            body_bytes: 4 * 1024 * 1024,
            upload_bytes: 50 * 1024 * 1024,
            buffered_bytes: 256 * 1024 * 1024,
            drain_notice: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// Why a request is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Url {
        bytes: usize,
        limit: usize,
    },
    Headers {
        bytes: usize,
        limit: usize,
    },
    Body {
        limit: usize,
    },
    /// The headers took longer.
    SlowHead {
        limit: Duration,
    },
    /// A pause in the body was longer.
    SlowBody {
        limit: Duration,
    },
    /// The request as a whole took longer, while its body was read.
    SlowRequest {
        limit: Duration,
    },
    /// The operation did not end in time.
    SlowOperation {
        limit: Duration,
    },
    /// The bodies of all requests take too much memory.
    Memory {
        limit: usize,
    },
    Connections {
        limit: usize,
    },
    ConnectionsPerAddress {
        limit: usize,
    },
    /// The server stops and did not want to wait any longer.
    Stopping,
    /// The body ended before it was complete.
    Broken,
}

impl Refusal {
    /// For metrics: one of a fixed set.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Url { .. } => "url_bytes",
            Self::Headers { .. } => "header_bytes",
            Self::Body { .. } => "body_bytes",
            Self::SlowHead { .. } => "header_timeout",
            Self::SlowBody { .. } => "idle_timeout",
            Self::SlowRequest { .. } | Self::SlowOperation { .. } => "request_timeout",
            Self::Memory { .. } => "buffered_bytes",
            Self::Connections { .. } => "connections",
            Self::ConnectionsPerAddress { .. } => "connections_per_address",
            Self::Stopping => "drain_timeout",
            Self::Broken => "broken_body",
        }
    }

    /// The exception's name for clients of Glue.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Url { .. } => "RequestUriTooLongException",
            Self::Headers { .. } => "RequestHeadersTooLargeException",
            Self::Body { .. } => "RequestTooLargeException",
            Self::SlowHead { .. } | Self::SlowBody { .. } | Self::SlowRequest { .. } => {
                "RequestTimeoutException"
            }
            Self::SlowOperation { .. } => "OperationTimeoutException",
            Self::Broken => "SerializationException",
            _ => "ServiceUnavailable",
        }
    }

    /// HTTP's number. An operation that took too long is 400 for clients of Glue, as there: they repeat what was
    /// answered 5xx, and this one may have happened.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Url { .. } => 414,
            Self::Headers { .. } => 431,
            Self::Body { .. } => 413,
            Self::SlowHead { .. } | Self::SlowBody { .. } | Self::SlowRequest { .. } => 408,
            Self::SlowOperation { .. } | Self::Broken => 400,
            _ => 503,
        }
    }

    /// What happened, the limit, and what to do.
    pub(crate) fn message(self) -> String {
        match self {
            Self::Url { bytes, limit } => {
                format!("path and query have {bytes} bytes, at most {limit} are read")
            }
            Self::Headers { bytes, limit } => {
                format!("the headers have {bytes} bytes, at most {limit} are read")
            }
            Self::Body { limit } => {
                format!("the body has more than {limit} bytes; divide the request into several")
            }
            Self::SlowHead { limit } => {
                format!("the request's headers took longer than {limit:?} to arrive")
            }
            Self::SlowBody { limit } => format!("nothing of the body arrived for {limit:?}"),
            Self::SlowRequest { limit } => {
                format!("the request took longer than {limit:?} to arrive")
            }
            Self::SlowOperation { limit } => format!(
                "the operation took longer than {limit:?}; it may still complete, so look before you repeat it"
            ),
            Self::Memory { limit } => format!(
                "requests under way hold more than {limit} bytes; repeat the request after a moment"
            ),
            Self::Connections { limit } => {
                format!("all {limit} connections are in use; repeat the request after a moment")
            }
            Self::ConnectionsPerAddress { limit } => format!(
                "your address has {limit} connections open, which is the most; use them again or close some"
            ),
            Self::Stopping => {
                "the server stops; the operation may still complete, so look before you repeat it"
                    .to_owned()
            }
            Self::Broken => "the body ended before it was complete".to_owned(),
        }
    }
}
