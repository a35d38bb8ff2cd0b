//! [`Metrics`]: what the server counts, as Prometheus reads it.
//!
//! Every server has numbers of its own; nothing is global. Labels come from fixed sets (operations, exceptions,
//! limits), never from a request, so that they can neither grow without bound nor tell one tenant about another.
//!
//! | metric | labels | what |
//! |---|---|---|
//! | `tenon_build_info` | version | 1 |
//! | `tenon_requests_total` | operation, outcome | answered requests; outcome is `ok` or an exception's name |
//! | `tenon_request_seconds` | operation | from the headers to the answer, histogram |
//! | `tenon_requests_in_flight` | | requests under way |
//! | `tenon_request_bytes_total`, `tenon_response_bytes_total` | | bodies |
//! | `tenon_connections`, `tenon_connections_total` | | open, accepted |
//! | `tenon_refused_total` | limit | refused by a limit |
//! | `tenon_tls_handshakes_failed_total` | | connections that did not become secure |
//! | `tenon_tls_reloads_total` | outcome | certificates taken, and not taken |
//! | `tenon_store_ready` | | 1 when the store serves, as readiness has it |
//! | `tenon_store_writable`, `tenon_store_verified` | | 1 when it takes writes; when its content was compared with its digest |
//! | `tenon_store_last_seq`, `tenon_store_journal_bytes` | | the last transaction; journal after the last checkpoint |
//! | `tenon_store_checkpoints_total`, `tenon_store_checkpoints_failed_total` | | since the start |

use std::borrow::Cow;
use std::time::Duration;

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge, histogram};
use metrics::{describe_histogram, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tenon_store::{Status, Verified};

/// Upper bounds of latency's buckets, in seconds.
const SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// The numbers of one server.
#[derive(Debug)]
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    single: Single,
}

/// Those without labels.
#[derive(Debug)]
struct Single {
    in_flight: Gauge,
    connections: Gauge,
    connections_total: Counter,
    request_bytes: Counter,
    response_bytes: Counter,
    handshakes_failed: Counter,
    store: StoreNumbers,
}

/// As the store last said.
#[derive(Debug)]
struct StoreNumbers {
    ready: Gauge,
    writable: Gauge,
    verified: Gauge,
    last_seq: Gauge,
    journal_bytes: Gauge,
    checkpoints: Counter,
    checkpoints_failed: Counter,
}

/// Counts as under way, or open, until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        // Buckets are refused only when there are none.
        let recorder = PrometheusBuilder::new()
            .set_buckets(&SECONDS)
            .unwrap_or_default()
            .build_recorder();
        let single = with_local_recorder(&recorder, || {
            describe();
            gauge!("tenon_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
            Single::new()
        });
        Self {
            handle: recorder.handle(),
            recorder,
            single,
        }
    }

    /// All numbers in Prometheus' text format.
    pub(crate) fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds samples into their buckets; to be called every few seconds, since they wait in memory until then.
    pub(crate) fn tidy(&self) {
        self.handle.run_upkeep();
    }

    /// A request is under way until the answer is dropped.
    pub(crate) fn request_begins(&self) -> Counted {
        count(&self.single.in_flight)
    }

    /// A connection is open until the answer is dropped.
    pub(crate) fn connection_begins(&self) -> Counted {
        self.single.connections_total.increment(1);
        count(&self.single.connections)
    }

    /// A request was answered. `outcome` is `ok` or an exception's name.
    pub(crate) fn answered(
        &self,
        operation: &'static str,
        outcome: Cow<'static, str>,
        took: Duration,
        bytes: (u64, u64),
    ) {
        self.single.request_bytes.increment(bytes.0);
        self.single.response_bytes.increment(bytes.1);
        with_local_recorder(&self.recorder, || {
            counter!("tenon_requests_total", "operation" => operation, "outcome" => outcome)
                .increment(1);
            histogram!("tenon_request_seconds", "operation" => operation).record(took);
        });
    }

    /// A limit refused a request or a connection.
    pub(crate) fn refused(&self, limit: &'static str) {
        with_local_recorder(&self.recorder, || {
            counter!("tenon_refused_total", "limit" => limit).increment(1);
        });
    }

    /// How the store is.
    pub(crate) fn store(&self, status: &Status) {
        let numbers = &self.single.store;
        numbers.writable.set(one_if(status.stopped.is_none()));
        numbers
            .verified
            .set(one_if(status.verified == Verified::Verified));
        numbers.last_seq.set(status.last_seq as f64);
        numbers.journal_bytes.set(status.journal_bytes as f64);
        numbers.checkpoints.absolute(status.checkpoints);
        numbers
            .checkpoints_failed
            .absolute(status.failed_checkpoints);
    }

    /// Whether the store serves.
    pub(crate) fn store_ready(&self, ready: bool) {
        self.single.store.ready.set(one_if(ready));
    }

    pub(crate) fn handshake_failed(&self) {
        self.single.handshakes_failed.increment(1);
    }

    /// The certificate's files changed; `taken` when the new ones are used.
    pub(crate) fn reloaded(&self, taken: bool) {
        let outcome = if taken { "taken" } else { "kept_old" };
        with_local_recorder(&self.recorder, || {
            counter!("tenon_tls_reloads_total", "outcome" => outcome).increment(1);
        });
    }
}

impl Single {
    fn new() -> Self {
        Self {
            in_flight: gauge!("tenon_requests_in_flight"),
            connections: gauge!("tenon_connections"),
            connections_total: counter!("tenon_connections_total"),
            request_bytes: counter!("tenon_request_bytes_total"),
            response_bytes: counter!("tenon_response_bytes_total"),
            handshakes_failed: counter!("tenon_tls_handshakes_failed_total"),
            store: StoreNumbers {
                ready: gauge!("tenon_store_ready"),
                writable: gauge!("tenon_store_writable"),
                verified: gauge!("tenon_store_verified"),
                last_seq: gauge!("tenon_store_last_seq"),
                journal_bytes: gauge!("tenon_store_journal_bytes"),
                checkpoints: counter!("tenon_store_checkpoints_total"),
                checkpoints_failed: counter!("tenon_store_checkpoints_failed_total"),
            },
        }
    }
}

fn one_if(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}

fn count(gauge: &Gauge) -> Counted {
    gauge.increment(1.0);
    Counted(gauge.clone())
}

fn describe() {
    describe_gauge!("tenon_store_ready", "1 when the store serves");
    describe_gauge!("tenon_store_writable", "1 when the store takes writes");
    describe_gauge!(
        "tenon_store_verified",
        "1 when the store's content was compared with its digest"
    );
    describe_gauge!("tenon_store_last_seq", "The store's last transaction");
    describe_gauge!(
        "tenon_store_journal_bytes",
        "Bytes of journal after the last checkpoint"
    );
    describe_counter!("tenon_store_checkpoints_total", "Checkpoints written");
    describe_counter!(
        "tenon_store_checkpoints_failed_total",
        "Checkpoints that could not be written"
    );
    describe_gauge!("tenon_build_info", "The version, as a label");
    describe_counter!("tenon_requests_total", "Answered requests");
    describe_histogram!(
        "tenon_request_seconds",
        "From a request's headers to its answer"
    );
    describe_gauge!("tenon_requests_in_flight", "Requests under way");
    describe_counter!("tenon_request_bytes_total", "Bytes of requests' bodies");
    describe_counter!("tenon_response_bytes_total", "Bytes of answers' bodies");
    describe_gauge!("tenon_connections", "Open connections");
    describe_counter!("tenon_connections_total", "Accepted connections");
    describe_counter!(
        "tenon_refused_total",
        "Requests and connections refused by a limit"
    );
    describe_counter!(
        "tenon_tls_handshakes_failed_total",
        "Connections that did not become secure"
    );
    describe_counter!(
        "tenon_tls_reloads_total",
        "Changes of the certificate's files"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_of_this_server_only() {
        let (one, two) = (Metrics::new(), Metrics::new());
        let under_way = one.request_begins();
        one.answered("GetTable", "ok".into(), Duration::from_millis(3), (10, 200));
        one.refused("url_bytes");
        one.reloaded(false);
        let text = one.render();
        for line in [
            "tenon_requests_total{operation=\"GetTable\",outcome=\"ok\"} 1",
            "tenon_request_seconds_bucket{operation=\"GetTable\",le=\"0.005\"} 1",
            "tenon_request_seconds_bucket{operation=\"GetTable\",le=\"0.0025\"} 0",
            "tenon_requests_in_flight 1",
            "tenon_response_bytes_total 200",
            "tenon_refused_total{limit=\"url_bytes\"} 1",
            "tenon_tls_reloads_total{outcome=\"kept_old\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        drop(under_way);
        assert!(one.render().contains("tenon_requests_in_flight 0"));
        assert!(!two.render().contains("GetTable"));
        assert!(two.render().contains("tenon_build_info{version="));
    }
}
