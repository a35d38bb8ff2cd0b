//! Logs on stderr and traces to a collector.
//!
//! One line a request (target `tenon::request`) with its id, operation, account, status, time and sizes; never a header's
//! value, a body or a path. Lines that are written while a request is served carry its id as well.
//!
//! Traces go by OTLP (HTTP, JSON) to the collector that `OTEL_EXPORTER_OTLP_ENDPOINT` names. A request's span continues
//! the trace of its `traceparent` header (<https://www.w3.org/TR/trace-context/>); sampling is as `OTEL_TRACES_SAMPLER` says.
//!
//! A process has one subscriber, so its `main` calls [`init`] once and keeps the [`TelemetryGuard`] until its end.

use std::fmt;
use std::time::Duration;

use axum::http::{HeaderMap, Method};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Span, Subscriber, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry};

use crate::otlp::OtlpClient;

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged and traced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// Which lines, as `tracing`'s directives say: `info`, `warn,tenon_server=debug`. Default `info`.
    pub log: String,
    /// Default text.
    pub format: LogFormat,
    /// The collector's address, `http://host:4318`, to which `/v1/traces` is added. Default none: no traces.
    pub collector: Option<String>,
    /// Who the traces are of. Default `tenon`.
    pub service_name: String,
    /// Longest wait for the collector. Default 10 s.
    pub export_timeout: Duration,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            log: "info".to_owned(),
            format: LogFormat::Text,
            collector: None,
            service_name: "tenon".to_owned(),
            export_timeout: Duration::from_secs(10),
        }
    }
}

impl TelemetryConfig {
    /// The defaults, changed by the variables `TENON_LOG`, `TENON_LOG_FORMAT` (`text`, `json`),
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` and `OTEL_SERVICE_NAME`. Empty ones count as absent.
    ///
    /// # Errors
    /// [`TelemetryError`] for a format that does not exist.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Result<Self, TelemetryError> {
        let var = |name: &str| var(name).filter(|value| !value.is_empty());
        let default = Self::default();
        let format = match var("TENON_LOG_FORMAT").as_deref() {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => {
                let message = format!("TENON_LOG_FORMAT is {other:?}; give text or json");
                return Err(TelemetryError(message));
            }
        };
        Ok(Self {
            log: var("TENON_LOG").unwrap_or(default.log),
            format,
            collector: var("OTEL_EXPORTER_OTLP_ENDPOINT"),
            service_name: var("OTEL_SERVICE_NAME").unwrap_or(default.service_name),
            export_timeout: default.export_timeout,
        })
    }
}

/// Why logs or traces cannot be set up. Says which setting, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryError(String);

impl fmt::Display for TelemetryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TelemetryError {}

/// Sends the traces that still wait when it is dropped, which blocks until they are sent or the time for that is over.
#[derive(Debug)]
#[must_use = "traces that wait are lost without it"]
pub struct TelemetryGuard(Option<SdkTracerProvider>);

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        if let Some(provider) = &self.0
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

/// Sets the process's subscriber: lines on stderr, traces to the collector.
///
/// # Errors
/// [`TelemetryError`]: a directive or address that cannot be read, or a subscriber that is there already.
pub fn init(config: &TelemetryConfig) -> Result<TelemetryGuard, TelemetryError> {
    let (subscriber, guard) = subscriber(config, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_| TelemetryError("logs are set up already in this process".to_owned()))?;
    Ok(guard)
}

/// What [`init`] sets, with lines to `writer`.
pub(crate) fn subscriber<W>(
    config: &TelemetryConfig,
    writer: W,
) -> Result<(impl Subscriber + Send + Sync, TelemetryGuard), TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&config.log).map_err(|error| {
        TelemetryError(format!(
            "the log's level {:?} cannot be read ({error}); give error, warn, info, debug or trace",
            config.log
        ))
    })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match config.format {
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
    };
    let provider = config
        .collector
        .as_ref()
        .map(|collector| provider(config, collector))
        .transpose()?;
    // Only our own spans: those of the HTTP client that sends them would never end.
    let traces = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("tenon"))
            .with_filter(filter_fn(|metadata| metadata.target().starts_with("tenon")))
    });
    let subscriber = Registry::default()
        .with(lines.with_filter(filter))
        .with(traces);
    Ok((subscriber, TelemetryGuard(provider)))
}

fn provider(
    config: &TelemetryConfig,
    collector: &str,
) -> Result<SdkTracerProvider, TelemetryError> {
    let refused = |reason: String| {
        TelemetryError(format!(
            "traces cannot be sent to {collector:?}: {reason}; give OTEL_EXPORTER_OTLP_ENDPOINT as http://host:4318"
        ))
    };
    if !collector.starts_with("http://") {
        return Err(refused("only http is spoken to collectors".to_owned()));
    }
    let client =
        OtlpClient::new(config.export_timeout).map_err(|error| refused(error.to_string()))?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpJson)
        .with_endpoint(format!("{}/v1/traces", collector.trim_end_matches('/')))
        .with_timeout(config.export_timeout)
        .build()
        .map_err(|error| refused(error.to_string()))?;
    let resource = Resource::builder()
        .with_service_name(config.service_name.clone())
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build())
}

/// The span of a request, as a child of the caller's span if there is one.
pub(crate) fn request_span(
    operation: &'static str,
    request_id: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Span {
    let span = tracing::info_span!(
        target: "tenon::request",
        "request",
        request_id,
        otel.name = operation,
        otel.kind = "server",
        otel.status_code = field::Empty,
        http.request.method = known(method),
        http.response.status_code = field::Empty,
        error.type = field::Empty,
    );
    let caller = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    if caller.span().span_context().is_valid() {
        // Refused where there are no traces.
        let _ = span.set_parent(caller);
    }
    span
}

/// Any word may be a method.
fn known(method: &Method) -> &str {
    match method.as_str() {
        name @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => name,
        _ => "_OTHER",
    }
}

/// Completes the span of a request.
pub(crate) fn end_span(span: &Span, operation: &'static str, status: u16, outcome: &str) {
    // A span that has begun takes a name only so.
    span.context().span().update_name(operation);
    span.record("http.response.status_code", status);
    if outcome != "ok" {
        span.record("error.type", outcome);
    }
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// What the log says about a request.
pub(crate) struct Line<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) operation: &'static str,
    pub(crate) account: &'a str,
    /// 0 when the peer went away before.
    pub(crate) status: u16,
    pub(crate) outcome: &'a str,
    pub(crate) took: Duration,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// Operations that monitors ask for every few seconds.
const FREQUENT: [&str; 3] = ["HealthLive", "HealthReady", "Metrics"];

/// Writes the one line of a request.
pub(crate) fn log_request(line: &Line<'_>) {
    macro_rules! write_line {
        ($level:ident) => {
            tracing::$level!(
                target: "tenon::request",
                parent: None,
                request_id = line.request_id,
                operation = line.operation,
                account = line.account,
                status = line.status,
                outcome = line.outcome,
                milliseconds = line.took.as_secs_f64() * 1e3,
                bytes_in = line.bytes_in,
                bytes_out = line.bytes_out,
                "request"
            )
        };
    }
    if FREQUENT.contains(&line.operation) {
        write_line!(debug);
    } else {
        write_line!(info);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_from_the_environment_and_errors_name_them() {
        let with = |name: &'static str, value: &'static str| {
            TelemetryConfig::from_env(move |asked| (asked == name).then(|| value.to_owned()))
        };
        assert_eq!(
            TelemetryConfig::from_env(|_| None),
            Ok(TelemetryConfig::default())
        );
        assert_eq!(with("TENON_LOG", ""), Ok(TelemetryConfig::default()));
        assert_eq!(with("TENON_LOG", "debug").unwrap().log, "debug");
        assert_eq!(
            with("TENON_LOG_FORMAT", "json").unwrap().format,
            LogFormat::Json
        );
        assert_eq!(
            with("OTEL_SERVICE_NAME", "mine").unwrap().service_name,
            "mine"
        );
        let refused = with("TENON_LOG_FORMAT", "xml").unwrap_err().to_string();
        assert_eq!(refused, "TENON_LOG_FORMAT is \"xml\"; give text or json");

        let refused = |config: TelemetryConfig| match subscriber(&config, std::io::stderr) {
            Ok(_) => panic!("accepted"),
            Err(error) => error.to_string(),
        };
        let log = "tenon=loud".to_owned();
        let said = refused(TelemetryConfig {
            log,
            ..Default::default()
        });
        assert!(
            said.contains("level \"tenon=loud\" cannot be read"),
            "{said}"
        );
        for address in ["https://collector:4318", "collector:4318", "http://"] {
            let collector = Some(address.to_owned());
            let said = refused(TelemetryConfig {
                collector,
                ..Default::default()
            });
            assert!(
                said.contains("give OTEL_EXPORTER_OTLP_ENDPOINT as http://host:4318"),
                "{said}"
            );
        }
    }
}
