//! What a tenant's URLs may lead to: names that change their meaning, redirects, proxies.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use tenon_connect::{Connection, Error, Place, Reach, Resolver, Secret};

use super::server::{Reply, Server};
use super::{connection, csv, error_of, options, query};

/// A resolver that says one thing after the other, the last one for ever.
#[derive(Debug)]
struct Fickle {
    answers: Vec<&'static str>,
    asked: AtomicUsize,
}

impl Resolver for Fickle {
    fn resolve(&self, _: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers[asked.min(self.answers.len() - 1)];
        async move { Ok(vec![answer.parse().unwrap()]) }.boxed()
    }
}

fn fickle(answers: &[&'static str]) -> Arc<Fickle> {
    Arc::new(Fickle {
        answers: answers.to_vec(),
        asked: AtomicUsize::new(0),
    })
}

fn rooted(reach: Reach) -> (tempfile::TempDir, Place) {
    let root = tempfile::tempdir().unwrap();
    let place = Place::rooted(root.path()).unwrap();
    (root, place.with_reach(reach).with_remote_options(options()))
}

fn good() -> Server {
    Server::start(|_, request| Reply::object(request, b"a\n1\n", "\"e\""))
}

#[tokio::test]
async fn addresses_inside_are_not_reached_however_they_are_written() {
    let server = good();
    let port = server.address.port();
    let (_root, place) = rooted(Reach::public());
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "localhost",
        "[::1]",
        "169.254.169.254",
        "[::ffff:127.0.0.1]",
    ] {
        let url = format!("http://{host}:{port}/x.csv");
        let error = error_of(&place, &url, &csv()).await;
        assert!(matches!(error, Error::Refused(_)), "{host}: {error}");
    }
    // The same by the endpoint of a connection.
    let place = place.with_connections(connection("s3://", &server.url(), &[]));
    let error = error_of(&place, "s3://b/x.csv", &csv()).await;
    insta::assert_snapshot!(error, @"s3://b/x.csv: 127.0.0.1 may not be reached: its address is loopback and the operator has not allowed its network");
    assert!(server.requests().is_empty());
    assert_eq!(place.traffic().retries, 0);
}

#[tokio::test]
async fn a_name_that_changes_its_meaning_gains_nothing() {
    let server = good();
    let url = format!("http://data.example:{}/x.csv", server.address.port());
    let reach = || Reach::public().allow("127.0.0.0/8".parse().unwrap());
    let refusal = "data.example may not be reached: its address is link-local";
    // Allowed when it is first asked for, not later: what connects later is checked with the address that it goes to.
    let resolver = fickle(&["127.0.0.1", "169.254.169.254"]);
    let (_root, place) = rooted(reach().resolved_by(resolver.clone()));
    if let Err(error) = query(&place, &url, &csv(), "select * from t").await {
        assert!(error.ends_with(refusal), "{error}");
    }
    assert!(!server.requests().is_empty());
    let error = error_of(&place.for_run(), &url, &csv()).await;
    assert!(error.to_string().ends_with(refusal), "{error}");
    // The other way round: one question, one answer, and nobody asks again.
    let resolver = fickle(&["169.254.169.254", "127.0.0.1"]);
    let (_root, place) = rooted(reach().resolved_by(resolver.clone()));
    let error = error_of(&place, &url, &csv()).await;
    assert!(error.to_string().ends_with(refusal), "{error}");
    assert_eq!(resolver.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_redirect_leads_no_further_than_its_target_may_be_reached() {
    for (to, why) in [
        ("http://169.254.169.254/latest", "its address is link-local"),
        ("http://[::1]:1/x", "its address is loopback"),
        ("http://other.example/x", "its address is private"),
    ] {
        let server = Server::start(move |_, _| Reply::new(302, "").with("location", to));
        let url = format!("http://data.example:{}/x.csv", server.address.port());
        let resolver = fickle(&["127.0.0.1", "10.0.0.1"]);
        let reach = Reach::public().allow("127.0.0.0/8".parse().unwrap());
        let (_root, place) = rooted(reach.resolved_by(resolver));
        let error = error_of(&place, &url, &csv()).await;
        assert!(
            matches!(&error, Error::Refused(text) if text.contains(why)),
            "{error}"
        );
    }
    let target = good();
    let to = format!("{}/y.csv", target.url());
    let server = Server::start(move |_, _| Reply::new(302, "").with("location", &to));
    let url = format!("{}/x.csv", server.url());
    query(&Place::ambient(), &url, &csv(), "select * from t")
        .await
        .unwrap();
    // A store that redirects is not followed: what is signed is for one place.
    let place = super::place(&server.url());
    assert!(matches!(
        error_of(&place, "s3://b/x.csv", &csv()).await,
        Error::Unavailable(_)
    ));
}

#[tokio::test]
async fn only_the_operator_sets_a_proxy() {
    let proxy = good();
    let address = format!("http://me:canary@{}", proxy.address);
    let properties = [("URL", "http://"), ("PROXY", address.as_str())];
    let connections = || {
        let connection = Connection::from_properties("c", properties).unwrap();
        [connection].into_iter().collect()
    };
    let (_root, place) = rooted(Reach::public());
    let error = error_of(
        &place.with_connections(connections()),
        "http://data.example/x.csv",
        &csv(),
    )
    .await;
    insta::assert_snapshot!(error, @r#"connection "c": PROXY: only the operator sets a proxy here"#);
    // The proxy finds the names; what is written as an address is checked here all the same.
    let (_root, place) = rooted(Reach::public().through(Secret::new(address.as_str())));
    query(
        &place,
        "http://data.example/x.csv",
        &csv(),
        "select * from t",
    )
    .await
    .unwrap();
    let error = error_of(&place, "http://10.0.0.1/x.csv", &csv()).await;
    assert!(matches!(error, Error::Refused(_)), "{error}");
    let ambient = Place::ambient().with_connections(connections());
    query(
        &ambient,
        "http://data.example/x.csv",
        &csv(),
        "select * from t",
    )
    .await
    .unwrap();
    assert!(
        proxy
            .lines()
            .iter()
            .all(|line| line.contains("http://data.example/x.csv"))
    );
}
