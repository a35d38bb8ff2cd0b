//! The end: what is under way is finished, what was acknowledged is there, and nothing waits for ever.

use super::*;

use std::time::Instant;
use tenon_catalog::{Catalog, Tenant};

#[tokio::test]
async fn requests_under_way_are_finished_and_kept() {
    let mut server = start(&limits(|_| {})).await;
    let mut slow = Vec::new();
    for number in 0..20 {
        let body = create_database(&format!("db{number}"));
        let mut stream = server.connect().await;
        let (now, later) = body.split_at(7);
        let begin = head("CreateDatabase", body.len()) + now;
        stream.write_all(begin.as_bytes()).await.expect("taken");
        slow.push((stream, later.to_owned()));
    }
    server.metric("tenon_requests_in_flight 21").await;
    server.stop();
    // Nobody new is let in.
    let closed = async {
        while TcpStream::connect(server.address).await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, closed).await.expect("closed");
    assert!(!server.serving.is_finished());
    for (mut stream, later) in slow {
        stream.write_all(later.as_bytes()).await.expect("taken");
        let answer = Answer::last(&mut stream).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("connection"), Some("close"));
    }
    let dir = server.ended().await;
    let clock = Arc::new(SystemClock);
    let store = dir.path().join("store");
    let store = SledStore::open(&store, &StoreConfig::default(), clock.as_ref());
    let catalog = Catalog::open(Arc::new(store.expect("a store")), clock);
    let found = catalog.tenant(Tenant::new(1)).list_databases(None, 100);
    assert_eq!(found.expect("a list").items.len(), 20);
}

#[tokio::test]
async fn idle_connections_do_not_hold_it_up() {
    let mut server = start(&limits(|_| {})).await;
    let mut idle = server.connect().await;
    idle.write_all(post("GetDatabases", "{}").as_bytes())
        .await
        .expect("taken");
    assert_eq!(Answer::next(&mut idle).await.status, 200);
    let silent = server.connect().await;
    let begun = Instant::now();
    server.stop();
    server.ended().await;
    assert!(begun.elapsed() < PATIENCE / 2);
    assert_eq!(rest_of(idle).await, "");
    drop(silent);
}

#[tokio::test]
async fn patience_has_an_end() {
    let mut server = start(&limits(|limits| limits.drain_timeout = SHORT)).await;
    let mut stream = server.connect().await;
    let partial = head("GetDatabases", 10) + "{";
    stream.write_all(partial.as_bytes()).await.expect("taken");
    server.metric("tenon_requests_in_flight 2").await;
    server.stop();
    let said = Answer::last(stream).await.fault(503, "ServiceUnavailable");
    assert!(
        said.contains("the server stops; the operation may still complete"),
        "{said}"
    );
    server.ended().await;
}

#[tokio::test]
async fn balancers_are_told_before() {
    let mut server = start(&limits(|limits| limits.drain_notice = SHORT * 5)).await;
    assert_eq!(server.get("/health/ready").await.status, 200);
    server.stop();
    let noticed = async {
        loop {
            let answer = server.get("/health/ready").await;
            if answer.status == 503 {
                return answer;
            }
        }
    };
    let answer = timeout(PATIENCE, noticed).await.expect("noticed");
    assert_eq!(answer.json()["reason"], "the server stops");
    // Still served.
    assert_eq!(server.get("/health/live").await.status, 200);
    server.ended().await;
}
