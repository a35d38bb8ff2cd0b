//! A secret that can be recognised, through every error, log and debug text of this crate.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tenon_connect::{Connection, Error, Place, Reach, Secret, WriteMode};
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};

use super::server::{Reply, Server};
use super::{csv, error_of, options, rows, stage};

const SECRETS: [&str; 5] = [
    "canary/Secret+Key",
    "canaryToken",
    "canary%2Fsig",
    "canary/sig",
    "canaryPassword",
];

fn shows_none(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

/// Looks at everything that is logged, by whichever thread.
struct Log;

static EVENTS: AtomicUsize = AtomicUsize::new(0);
static LEAKS: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let text = format!("{field}={value:?}");
        EVENTS.fetch_add(1, Ordering::SeqCst);
        if SECRETS.iter().any(|secret| text.contains(secret)) {
            LEAKS.lock().unwrap().push(text);
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::DEBUG
    }
    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        attributes.record(&mut Self);
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut Self);
    }
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut Self);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// A server that says whatever it was sent, as servers do in their errors.
fn echo(status: u16) -> Server {
    Server::start(move |_, request| {
        let all = SECRETS.join(" ");
        Reply::new(
            status,
            format!(
                "<Error><Code>Odd</Code><Message>{} {all} {:?}</Message></Error>",
                request.target, request.headers
            ),
        )
    })
}

fn places(server: &Server) -> Vec<(Place, &'static str)> {
    let proxy = format!("http://me:canaryPassword@{}", server.address);
    let endpoint = server.url();
    let connections = [
        vec![
            ("URL", "s3://"),
            ("ENDPOINT", endpoint.as_str()),
            ("ACCESS_KEY_ID", "me"),
            ("SECRET_ACCESS_KEY", SECRETS[0]),
            ("SESSION_TOKEN", SECRETS[1]),
            ("BEARER_TOKEN", SECRETS[3]),
            ("PROXY", proxy.as_str()),
        ],
        vec![
            ("URL", "az://"),
            ("ENDPOINT", endpoint.as_str()),
            ("ACCOUNT", "acc"),
            ("SAS_TOKEN", "sv=1&sig=canary%2Fsig"),
            ("ACCOUNT_KEY", "Y2FuYXJ5VG9rZW4="),
            ("SESSION_TOKEN", SECRETS[1]),
            ("SECRET_ACCESS_KEY", SECRETS[0]),
            ("ACCESS_KEY_ID", "me"),
            ("PROXY", proxy.as_str()),
        ],
        vec![
            ("URL", "gs://"),
            ("ENDPOINT", endpoint.as_str()),
            ("BEARER_TOKEN", SECRETS[1]),
            ("SAS_TOKEN", "sig=canary%2Fsig"),
            ("SECRET_ACCESS_KEY", SECRETS[0]),
            ("ACCESS_KEY_ID", "me"),
            ("PROXY", proxy.as_str()),
        ],
    ];
    let urls = ["s3://b/x.csv", "az://b/x.csv", "gs://b/x.csv"];
    let place = |properties: Vec<(&str, &str)>| {
        let connection = Connection::from_properties("lake", properties).unwrap();
        Place::ambient()
            .with_connections([connection].into_iter().collect())
            .with_remote_options(tenon_connect::RemoteOptions {
                retries: 1,
                ..options()
            })
    };
    connections.into_iter().map(place).zip(urls).collect()
}

#[tokio::test]
async fn a_secret_is_in_no_error_no_log_and_no_debug_text() {
    tracing::subscriber::set_global_default(Log).unwrap();
    for status in [400, 401, 403, 404, 409, 412, 500, 503] {
        let server = echo(status);
        for (place, url) in places(&server) {
            let error = error_of(&place, url, &csv()).await;
            shows_none(&format!("{error} {error:?}"));
            let folder = url.replace("x.csv", "out/");
            let staged = stage(
                &place,
                &folder,
                &csv(),
                WriteMode::Append,
                "r",
                vec![rows(0, 3)],
            );
            let error = staged.await.unwrap_err();
            shows_none(&format!("{error} {error:?}"));
            shows_none(&format!("{place:?}"));
        }
        let url = format!("{}/x.csv?sig=canary%2Fsig", server.url());
        let error = error_of(
            &Place::ambient().with_remote_options(options()),
            &url,
            &csv(),
        )
        .await;
        // A key in a URL is known to nobody as one: that a server says it again is not seen.
        assert!(!matches!(error, Error::Query(_)));
        assert!(!error.to_string().contains(&url));
    }
    let reach = Reach::anywhere().through(Secret::new("http://me:canaryPassword@h"));
    shows_none(&format!("{reach:?}"));
    assert!(EVENTS.load(Ordering::SeqCst) > 0);
    assert_eq!(*LEAKS.lock().unwrap(), Vec::<String>::new());
}
