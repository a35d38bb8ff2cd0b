//! Health, numbers, and what is said at paths that mean nothing.

use super::*;

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
