//! `https://` and `http://`: read by ranges where the server gives them, else kept on disk.

use std::path::Path;

use tenon_connect::{Connection, Error, FileSink, Place, Target, WriteMode};

use super::server::{Reply, Server};
use super::{csv, error_of, options, query};

fn ambient() -> Place {
    Place::ambient().with_remote_options(options())
}

const COUNT: &str = "select count(*) from t";

fn is_count(table: &str, count: usize) -> bool {
    table.contains(&format!("| {count} "))
}

#[tokio::test]
async fn a_server_without_ranges_is_read_all_the_same() {
    for gives_ranges in [true, false] {
        let server = Server::start(move |_, request| {
            let mut request = request.clone();
            if !gives_ranges {
                request.headers.retain(|(name, _)| name != "range");
            }
            Reply::object(&request, b"a\n1\n2\n3\n", "W/\"weak\"")
        });
        let url = format!("{}/x.csv?sig=canary", server.url());
        let table = query(&ambient(), &url, &csv(), COUNT).await.unwrap();
        assert!(is_count(&table, 3), "{table}");
        // The query is part of what is asked for.
        assert!(
            server
                .lines()
                .iter()
                .all(|line| line.ends_with("/x.csv?sig=canary"))
        );
    }
}

#[tokio::test]
async fn a_token_goes_to_the_address_it_is_for() {
    let server = Server::start(|_, request| match request.header("authorization") {
        Some("Bearer canary") => Reply::object(request, b"a\n1\n", "\"e\""),
        _ => Reply::new(401, "who are you?"),
    });
    let url = format!("{}/x.csv", server.url());
    let error = error_of(&ambient(), &url, &csv()).await;
    assert!(
        matches!(&error, Error::Denied(text) if text.contains("401 Unauthorized")),
        "{error}"
    );
    let all = [("URL", server.url()), ("BEARER_TOKEN", "canary".to_owned())];
    let all = all.iter().map(|(name, value)| (*name, value.as_str()));
    let connection = Connection::from_properties("api", all).unwrap();
    let place = ambient().with_connections([connection].into_iter().collect());
    let table = query(&place, &url, &csv(), COUNT).await.unwrap();
    assert!(is_count(&table, 1), "{table}");
}

#[tokio::test]
async fn what_is_at_a_web_address_is_not_written() {
    let target = Target::File("https://example.com/x.csv?sig=canary".into());
    let error = FileSink::open(&ambient(), &target, &csv(), WriteMode::Replace, "r").unwrap_err();
    insta::assert_snapshot!(error, @"https://example.com/x.csv: what is at a web address is only read; write to a bucket or a folder");
    let missing = Server::start(|_, _| Reply::new(404, "<html>nothing</html>"));
    let url = format!("{}/x.csv?sig=canary", missing.url());
    let error = error_of(&ambient(), &url, &csv()).await.to_string();
    assert_eq!(
        error,
        format!("{}/x.csv: there is no such object", missing.url())
    );
    assert!(
        Target::from_path(&ambient(), Path::new("s3://b/x/"))
            == Target::Directory("s3://b/x/".into())
    );
}
