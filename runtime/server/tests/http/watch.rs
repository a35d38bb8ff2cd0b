//! Health, numbers, and what is said at paths that mean nothing.

use super::*;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use tenon_store::{Disk, DiskFile, SystemDisk};

/// A disk that, once it is `full`, takes nothing more.
struct Filling(Arc<AtomicBool>);

struct FillingFile {
    file: Box<dyn DiskFile>,
    full: Arc<AtomicBool>,
}

impl Filling {
    fn file(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        let full = Arc::clone(&self.0);
        Box::new(FillingFile { file, full })
    }
}

impl Disk for Filling {
    fn sync(&self, path: &Path) -> io::Result<()> {
        SystemDisk.sync(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        SystemDisk.create_folder(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        SystemDisk.list(folder)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(SystemDisk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(SystemDisk.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        SystemDisk.remove(path)
    }
}

impl DiskFile for FillingFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.full.load(Ordering::Acquire) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_at(offset, bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

#[tokio::test]
async fn a_store_that_takes_no_writes_is_alive_and_not_ready() {
    let dir = tempfile::tempdir().expect("a folder");
    let full = Arc::new(AtomicBool::new(false));
    let disk = Arc::new(Filling(Arc::clone(&full)));
    let config = StoreConfig::default();
    let store = SledStore::open_with_disk(&dir.path().join("store"), &config, &SystemClock, disk);
    let store = Arc::new(store.expect("a store"));
    let identity = Identity::open(
        store,
        Arc::new(SystemClock),
        IdentityConfig::new(dir.path()),
    );
    let server = start_over(&limits(|_| {}), identity.expect("identity"), dir).await;
    let mut stream = server.connect().await;
    let mut call = async |operation: &str, body: &str| {
        let request = post(operation, body);
        stream.write_all(request.as_bytes()).await.expect("taken");
        Answer::next(&mut stream).await
    };
    assert_eq!(
        call("CreateDatabase", &create_database("a")).await.status,
        200
    );
    server.metric("tenon_store_writable 1").await;
    server.metric("tenon_store_ready 1").await;

    full.store(true, Ordering::Release);
    let failed = call("CreateDatabase", &create_database("b")).await;
    failed.fault(500, "InternalServiceException");
    // The answer of a moment ago may still count.
    server.metric("tenon_store_ready 0").await;
    server.metric("tenon_store_writable 0").await;
    let answer = server.get("/health/ready").await;
    assert_eq!(answer.status, 503, "{answer:?}");
    let said = answer.json();
    assert_eq!(said["status"], "not ready");
    let reason = "the store takes no writes since one failed; a restart recovers it";
    assert_eq!(said["reason"], reason);
    assert!(
        said["detail"]
            .as_str()
            .is_some_and(|text| text.contains("cannot write")),
        "{said}"
    );
    let rest = server.get("/v1/health").await;
    assert_eq!(
        (rest.status, &rest.json()["reason"]),
        (503, &said["reason"])
    );
    assert_eq!(server.get("/health/live").await.status, 200);
    // What is there is still served.
    let read = call("GetDatabase", "{\"Name\": \"a\"}").await;
    assert_eq!(read.status, 200, "{read:?}");
}

#[tokio::test]
async fn health_and_version() {
    let server = start(&limits(|_| {})).await;
    for (path, word) in [("/health/live", "live"), ("/health/ready", "ready")] {
        let answer = server.get(path).await;
        assert_eq!(
            (answer.status, answer.json()["status"].as_str()),
            (200, Some(word))
        );
        assert_eq!(answer.json()["version"], env!("CARGO_PKG_VERSION"));
    }
    let head = "HEAD /health/live HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    let answer = server.exchange(head).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
}

#[tokio::test]
async fn numbers_know_operations_and_nothing_of_callers() {
    let server = start(&limits(|_| {})).await;
    let mut stream = server.connect().await;
    let canary = "canary0name";
    for (operation, body) in [
        ("CreateDatabase", create_database(canary)),
        ("CreateDatabase", create_database(canary)),
        ("GetDatabase", format!("{{\"Name\": \"{canary}\"}}")),
        ("Canary0Operation", "{}".to_owned()),
    ] {
        stream
            .write_all(post(operation, &body).as_bytes())
            .await
            .expect("taken");
        Answer::next(&mut stream).await;
    }
    server.get("/canary0path").await;
    server
        .exchange("CANARY / HTTP/1.1\r\nhost: canary0\r\nconnection: close\r\n\r\n")
        .await;
    for line in [
        "tenon_requests_total{operation=\"CreateDatabase\",outcome=\"ok\"} 1",
        "tenon_requests_total{operation=\"CreateDatabase\",outcome=\"AlreadyExistsException\"} 1",
        "tenon_requests_total{operation=\"GetDatabase\",outcome=\"ok\"} 1",
        "tenon_requests_total{operation=\"unsupported\",outcome=\"UnknownOperationException\"} 1",
        "tenon_requests_total{operation=\"other\",outcome=\"UnknownOperationException\"} 2",
        "tenon_request_seconds_count{operation=\"CreateDatabase\"} 2",
        "tenon_requests_in_flight 1",
    ] {
        server.metric(line).await;
    }
    let text = server.get("/metrics").await;
    assert!(
        text.header("content-type")
            .is_some_and(|kind| kind.starts_with("text/plain"))
    );
    assert!(
        !text.body.to_lowercase().contains("canary"),
        "{}",
        text.body
    );
}

#[tokio::test]
async fn health_and_numbers_can_be_closed() {
    let mut config = local();
    config.health = Watchers::Nobody;
    config.metrics = Watchers::Nobody;
    let server = start(&config).await;
    for path in ["/health/live", "/health/ready", "/metrics"] {
        server
            .get(path)
            .await
            .fault(404, "UnknownOperationException");
    }
    assert_eq!(server.get("/v1/health").await.status, 404);
}

#[tokio::test]
async fn wrong_paths_and_methods_get_a_hint() {
    let server = start(&limits(|_| {})).await;
    let welcome = server.get("/").await;
    assert_eq!(welcome.status, 200);
    let said = welcome.json();
    assert!(
        said["message"]
            .as_str()
            .is_some_and(|text| text.contains("AWS_ENDPOINT_URL_GLUE"))
    );
    assert_eq!(said["address"], "test");
    assert!(welcome.header("x-amzn-requestid").is_some());

    let said = server.get("/databases").await;
    let said = said.fault(404, "UnknownOperationException");
    assert!(said.contains("Glue is at POST /"), "{said}");
    let put = "PUT / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    let said = server
        .exchange(put)
        .await
        .fault(405, "UnknownOperationException");
    assert!(
        said.contains("PUT means nothing at this path; Glue is asked by POST"),
        "{said}"
    );
    let target = "POST / HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    server
        .exchange(target)
        .await
        .fault(400, "UnknownOperationException");

    // A host that is no address is not repeated.
    let strange = "GET / HTTP/1.1\r\nhost: <script>\r\nconnection: close\r\n\r\n";
    assert!(!server.exchange(strange).await.body.contains("script"));
}

#[tokio::test]
async fn pages_of_other_sites_do_not_use_a_server_without_keys() {
    let server = start(&limits(|_| {})).await;
    let from = |page: &str| {
        post("GetDatabases", "{}").replacen(
            "host: test",
            &format!("host: test\r\norigin: {page}"),
            1,
        )
    };
    let mut stream = server.connect().await;
    for (page, status) in [
        ("http://rebound.example:8080", 403),
        ("null", 403),
        ("http://localhost:3000", 200),
    ] {
        stream
            .write_all(from(page).as_bytes())
            .await
            .expect("taken");
        let answer = Answer::next(&mut stream).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.header("access-control-allow-origin").is_none());
    }
    // Where keys are asked for, they decide.
    server
        .identity
        .create_account("test", None, "first")
        .expect("an account");
    stream
        .write_all(from("http://rebound.example").as_bytes())
        .await
        .expect("taken");
    let answer = Answer::next(&mut stream).await;
    assert_ne!(
        answer.header("x-amzn-errortype"),
        Some("accessdeniedexception"),
        "{answer:?}"
    );
    assert_ne!(answer.status, 200);
}
