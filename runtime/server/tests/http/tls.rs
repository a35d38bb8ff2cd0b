//! TLS: who connects, what happens to who does not speak it, and new certificates.

use super::*;

use tenon_server::{ServerError, TlsFiles};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
};

/// Writes a certificate for `localhost` and, so that sizes differ, for a number of other names.
fn write(files: &TlsFiles, names: usize) -> CertificateDer<'static> {
    let mut all = vec!["localhost".to_owned()];
    all.extend((0..names).map(|number| format!("name-{number}.example")));
    let made = rcgen::generate_simple_self_signed(all).expect("a certificate");
    std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("written");
    std::fs::write(&files.certificate, made.cert.pem()).expect("written");
    made.cert.der().clone()
}

fn files(dir: &Path) -> TlsFiles {
    let mut files = TlsFiles::new(dir.join("cert.pem"), dir.join("key.pem"));
    files.check_every = Duration::from_millis(50);
    files
}

fn secure(files: &TlsFiles, change: impl FnOnce(&mut Limits)) -> ServerConfig {
    ServerConfig {
        tls: Some(files.clone()),
        ..limits(change)
    }
}

async fn connect(
    server: &Running,
    trusted: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config))
        .connect(name, server.connect().await)
        .await
}

async fn fetch(mut stream: TlsStream<TcpStream>, path: &str) -> Answer {
    stream.write_all(get(path).as_bytes()).await.expect("taken");
    Answer::last(stream).await
}

#[tokio::test]
async fn both_versions_are_spoken() {
    let dir = tempfile::tempdir().expect("a folder");
    let files = files(dir.path());
    let certificate = write(&files, 0);
    let server = start(&secure(&files, |_| {})).await;
    for (version, name) in [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let stream = connect(&server, &certificate, version)
            .await
            .expect("secure");
        let session = stream.get_ref().1;
        assert_eq!(session.protocol_version(), Some(name));
        assert_eq!(session.alpn_protocol(), Some(b"http/1.1".as_slice()));
        assert_eq!(fetch(stream, "/health/live").await.status, 200);
    }
}

#[tokio::test]
async fn limits_hold_for_secure_connections_too() {
    let dir = tempfile::tempdir().expect("a folder");
    let files = files(dir.path());
    let certificate = write(&files, 0);
    let server = start(&secure(&files, |limits| limits.header_timeout = SHORT * 3)).await;
    // Half of a hello.
    let mut stream = server.connect().await;
    stream.write_all(&[0x16, 3, 1]).await.expect("taken");
    assert_eq!(rest_of(stream).await, "");
    // Secure, and then half of a head.
    let mut stream = connect(&server, &certificate, &TLS13)
        .await
        .expect("secure");
    stream.write_all(b"POST / HT").await.expect("taken");
    Answer::last(stream)
        .await
        .fault(408, "RequestTimeoutException");
    // No TLS at all.
    let said = server
        .exchange(get("/"))
        .await
        .fault(400, "InvalidInputException");
    assert!(said.contains("use https://"), "{said}");
}

#[tokio::test]
async fn new_files_are_used_and_broken_ones_are_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let files = files(dir.path());
    let first = write(&files, 0);
    let server = start(&secure(&files, |_| {})).await;
    let mut old = connect(&server, &first, &TLS13).await.expect("secure");

    let second = write(&files, 1);
    let taken = async {
        loop {
            if let Ok(stream) = connect(&server, &second, &TLS13).await {
                return stream;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let stream = timeout(PATIENCE, taken).await.expect("taken");
    assert_eq!(fetch(stream, "/health/live").await.status, 200);
    connect(&server, &first, &TLS13)
        .await
        .expect_err("the old one is gone");
    // Whoever was connected stays so.
    old.write_all(get("/health/live").as_bytes())
        .await
        .expect("taken");
    assert_eq!(Answer::last(old).await.status, 200);

    std::fs::write(&files.key, "broken").expect("written");
    let seen = async {
        loop {
            let stream = connect(&server, &second, &TLS13).await.expect("as before");
            let text = fetch(stream, "/metrics").await.body;
            if text.contains("tenon_tls_reloads_total{outcome=\"kept_old\"}") {
                return text;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let text = timeout(PATIENCE, seen).await.expect("seen");
    assert!(
        text.contains("tenon_tls_reloads_total{outcome=\"taken\"} 1"),
        "{text}"
    );
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_stops_the_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = secure(&files(dir.path()), |_| {});
    let data = tempfile::tempdir().expect("a folder");
    let error = Server::bind(&config, identity(data.path()))
        .await
        .expect_err("refused");
    assert!(matches!(error, ServerError::Tls(_)));
    assert!(
        error.to_string().contains("cert.pem cannot be read"),
        "{error}"
    );
}
