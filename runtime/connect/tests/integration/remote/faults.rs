//! Servers that fail: answers that are errors, cut off, silent, or of another object; and lists without an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tenon_connect::{Connection, Error, Place, RemoteOptions, WriteMode};

use super::server::{Reply, Request, Server};
use super::{csv, error_of, options, place, query, rows, stage};

fn numbers(count: usize) -> Vec<u8> {
    let lines = (0..count).map(|n| format!("{n}\n"));
    ("n\n".to_owned() + &lines.collect::<String>()).into_bytes()
}

/// One object, with faults before the answers to `GET`.
fn faulty(
    body: Vec<u8>,
    fault: impl Fn(usize, &Request, Reply) -> Reply + Send + Sync + 'static,
) -> Server {
    let gets = AtomicUsize::new(0);
    Server::start(move |_, request| {
        let reply = Reply::object(request, &body, "\"one\"");
        match request.method.as_str() {
            "GET" => fault(gets.fetch_add(1, Ordering::SeqCst), request, reply),
            _ => reply,
        }
    })
}

const SUM: &str = "select count(*) as rows, sum(n) as sum from t";

fn summed(count: u64) -> String {
    let sum = count * (count - 1) / 2;
    format!("{count}|{sum}")
}

async fn sum(place: &Place, path: &str) -> Result<String, String> {
    let table = query(place, path, &csv(), SUM).await?;
    let row = table.lines().nth(3).unwrap_or_default();
    let words: Vec<_> = row
        .split('|')
        .map(str::trim)
        .filter(|w| !w.is_empty())
        .collect();
    Ok(words.join("|"))
}

#[tokio::test]
async fn answers_that_are_errors_are_asked_for_again_and_counted() {
    let server = faulty(numbers(5000), |before, _, reply| match before % 3 {
        0 => Reply::new(503, "<Error><Code>SlowDown</Code></Error>"),
        1 => Reply::new(500, ""),
        _ => reply,
    });
    let place = place(&server.url());
    assert_eq!(sum(&place, "s3://b/x.csv").await.unwrap(), summed(5000));
    let traffic = place.traffic();
    assert!(traffic.retries >= 2, "{traffic:?}");
    assert_eq!(traffic.requests, server.requests().len() as u64);
    assert!(traffic.received_bytes >= numbers(5000).len() as u64);
    // A run counts for itself.
    assert_eq!(place.for_run().traffic().requests, 0);
}

#[tokio::test]
async fn a_body_that_is_cut_off_goes_on_where_it_was_cut() {
    let server = faulty(numbers(5000), |before, _, mut reply| {
        if before % 2 == 0 {
            reply.cut_at = Some(reply.body.len() / 2);
        }
        reply
    });
    let place = place(&server.url());
    assert_eq!(sum(&place, "s3://b/x.csv").await.unwrap(), summed(5000));
    assert!(place.traffic().retries > 0);
    // What goes on names the object as it was, and begins in the middle.
    let gets = server.requests();
    let gets: Vec<_> = gets.iter().filter(|r| r.method == "GET").collect();
    assert!(gets.iter().all(|r| r.header("if-match") == Some("\"one\"")));
    let (first, second) = (
        gets[0].range(usize::MAX).unwrap(),
        gets[1].range(usize::MAX).unwrap(),
    );
    assert!(
        first.start < second.start && first.end == second.end,
        "{first:?} {second:?}"
    );
}

#[tokio::test]
async fn a_server_that_falls_silent_is_asked_again() {
    let server = faulty(numbers(5000), |before, _, mut reply| {
        if before == 0 {
            reply.silent_at = Some(100);
        }
        reply
    });
    let place = place(&server.url()).with_remote_options(RemoteOptions {
        silence: Duration::from_secs(1),
        ..options()
    });
    assert_eq!(sum(&place, "s3://b/x.csv").await.unwrap(), summed(5000));
    assert!(place.traffic().retries > 0);
}

#[tokio::test]
async fn an_object_that_was_written_over_is_an_error_and_no_mixture() {
    // With a server that looks at the tag, and with one that does not.
    for looks in [true, false] {
        let server = Server::start(move |before, request| {
            let (body, tag) = match before {
                0 | 1 => (numbers(5000), "\"one\""),
                _ => (numbers(5000), "\"two\""),
            };
            let mut request = request.clone();
            if !looks {
                request.headers.retain(|(name, _)| name != "if-match");
            }
            Reply::object(&request, &body, tag)
        });
        let error = sum(&place(&server.url()), "s3://b/x.csv")
            .await
            .unwrap_err();
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @"s3://b/x.csv: it was written over while it was read; run again");
        }
    }
}

#[tokio::test]
async fn a_run_has_so_many_retries_and_no_more() {
    let server = faulty(numbers(100_000), |before, _, reply| match before % 2 {
        0 => Reply::new(503, ""),
        _ => reply,
    });
    let place = place(&server.url()).with_remote_options(RemoteOptions {
        retry_budget: 5,
        ..options()
    });
    let error = sum(&place, "s3://b/x.csv").await.unwrap_err();
    insta::assert_snapshot!(error, @"cannot read s3://b/x.csv: it answered 503 Service Unavailable; all 5 retries that a run may make have been made");
    assert!(matches!(
        error_of(&place, "s3://b/x.csv", &csv()).await,
        Error::Unavailable(_)
    ));
}

#[tokio::test]
async fn one_request_is_not_asked_for_ever() {
    let server = Server::start(|_, _| Reply::new(500, ""));
    let place = place(&server.url()).with_remote_options(RemoteOptions {
        retries: 3,
        ..options()
    });
    let error = error_of(&place, "s3://b/x.csv", &csv()).await;
    insta::assert_snapshot!(error, @"cannot read s3://b/x.csv: 500 Internal Server Error");
    assert_eq!(server.requests().len(), 4);
}

/// Answers `ListObjectsV2` with `total` objects, a page of 1000 at a time.
fn page(request: &Request, total: usize) -> Reply {
    let start: usize = request
        .target
        .split_once("continuation-token=")
        .and_then(|(_, rest)| rest.split('&').next()?.parse().ok())
        .unwrap_or(0);
    let end = (start + 1000).min(total);
    let objects = (start..end).map(|n| {
        format!(
            "<Contents><Key>in/{n:06}.csv</Key><Size>5</Size><ETag>\"one\"</ETag>\
             <LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>"
        )
    });
    let next = match end < total {
        true => format!("<NextContinuationToken>{end}</NextContinuationToken>"),
        false => String::new(),
    };
    let objects = objects.collect::<String>();
    Reply::new(
        200,
        format!(
            "<ListBucketResult><IsTruncated>{}</IsTruncated>{objects}{next}</ListBucketResult>",
            end < total
        ),
    )
}

fn listing(total: usize) -> Server {
    Server::start(
        move |_, request| match request.target.contains("list-type=2") {
            true => page(request, total),
            false if request.method == "HEAD" && request.target.ends_with(".csv") => {
                Reply::object(request, b"n\n1\n", "\"one\"")
            }
            false if request.method == "HEAD" => Reply::new(404, ""),
            false => Reply::object(request, b"n\n1\n2", "\"one\""),
        },
    )
}

/// What does not match is forgotten page by page: of 100 000 objects one file is kept, and pages come as they are needed.
#[tokio::test]
async fn a_hundred_thousand_objects_are_listed_page_by_page() {
    let server = listing(100_000);
    let found = sum(&place(&server.url()), "s3://b/in/07654?.csv").await;
    assert_eq!(found.unwrap(), "20|30");
    let lists = |server: &Server| {
        let lines = server.lines();
        lines
            .iter()
            .filter(|line| line.contains("list-type=2"))
            .count()
    };
    assert_eq!(lists(&server), 100);
    // One more than may be read ends the listing there, not at its end.
    let server = listing(1_000_000);
    let error = error_of(&place(&server.url()), "s3://b/in/", &csv()).await;
    insta::assert_snapshot!(error, @"more than 100000 files; name fewer with a narrower path");
    assert_eq!(lists(&server), 101);
}

/// The uploads that a server of S3 knows of.
fn uploads(age: &'static str) -> Server {
    Server::start(move |before, request| {
        let upload = |run: &str, id: &str, initiated: &str| {
            format!(
                "<Upload><Key>out/part-00000-{run}.csv</Key><UploadId>{id}</UploadId>\
                 <Initiated>{initiated}</Initiated></Upload>"
            )
        };
        let target = request.target.as_str();
        match request.method.as_str() {
            "GET" if target.contains("uploads=") => Reply::new(
                200,
                format!(
                    "<R>{}{}{}<IsTruncated>false</IsTruncated></R>",
                    upload("mine", "id-mine", "2026-01-02T03:00:00.000Z"),
                    upload("other", "id-other", age),
                    "<Upload><Key>out/deep/part-00000-mine.csv</Key><UploadId>id-deep</UploadId>\
                     <Initiated>2020-01-01T00:00:00.000Z</Initiated></Upload>",
                ),
            )
            .with("date", "Fri, 02 Jan 2026 03:04:05 GMT"),
            "GET" if target.contains("list-type=2") => {
                Reply::new(200, "<ListBucketResult></ListBucketResult>")
            }
            "GET" => Reply::new(404, ""),
            "POST" if target.contains("uploads") => {
                Reply::new(200, "<R><UploadId>id-new</UploadId></R>")
            }
            "POST" => Reply::new(200, "<R><ETag>\"e\"</ETag></R>"),
            "PUT" => Reply::new(200, "").with("etag", &format!("\"{before}\"")),
            _ => Reply::new(204, ""),
        }
    })
}

#[tokio::test]
async fn uploads_of_runs_that_were_killed_are_taken_back() {
    for (age, expected) in [
        ("2026-01-02T03:00:00.000Z", vec!["id-mine"]),
        ("2026-01-01T03:00:00.000Z", vec!["id-mine", "id-other"]),
    ] {
        let server = uploads(age);
        let place = place(&server.url());
        let staged = stage(
            &place,
            "s3://b/out/",
            &csv(),
            WriteMode::Replace,
            "mine",
            vec![rows(0, 3)],
        );
        let committed = staged.await.unwrap().commit().await.unwrap();
        assert_eq!(committed.rows, 3);
        let lines = server.lines();
        let aborted: Vec<_> = lines
            .iter()
            .filter(|line| line.starts_with("DELETE"))
            .filter_map(|line| line.split_once("uploadId=").map(|(_, id)| id))
            .collect();
        assert_eq!(aborted, expected, "{lines:#?}");
    }
}

/// A part that cannot be sent ends the run with its error, and takes back what was sent.
#[tokio::test]
async fn a_write_that_fails_takes_its_upload_back() {
    let aborts = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&aborts);
    let server = Server::start(move |_, request| match request.method.as_str() {
        "POST" => Reply::new(200, "<R><UploadId>id</UploadId></R>"),
        "PUT" => Reply::new(
            403,
            format!(
                "<Error><Code>AccessDenied</Code><Message>not you, {}</Message></Error>",
                super::SECRET
            ),
        ),
        "DELETE" => {
            seen.fetch_add(1, Ordering::SeqCst);
            Reply::new(204, "")
        }
        _ if request.target.contains("list-type=2") => {
            Reply::new(200, "<ListBucketResult></ListBucketResult>")
        }
        _ => Reply::new(404, ""),
    });
    let place = place(&server.url());
    for format in [csv(), super::json()] {
        let staged = stage(
            &place,
            "s3://b/out/",
            &format,
            WriteMode::Append,
            "r",
            vec![rows(0, 400_000)],
        );
        let error = staged.await.unwrap_err();
        let name = format!(
            "s3://b/out/part-00000-r.{}",
            if format == csv() { "csv" } else { "jsonl" }
        );
        assert_eq!(
            error.to_string(),
            format!(
                "cannot write {name}: AccessDenied: not you, ***; the keys are those of connection \"lake\""
            )
        );
    }
    assert_eq!(aborts.load(Ordering::SeqCst), 2);
}

/// What the stores of Google and Azure are asked, and how.
#[tokio::test]
async fn google_and_azure_are_asked_in_their_own_ways() {
    let server = Server::start(|_, request| Reply::object(request, b"n\n1\n2\n", "\"one\""));
    let place_with = |url: &'static str, more: &[(&'static str, &'static str)]| {
        let endpoint = server.url();
        let own = [("URL", url), ("ENDPOINT", endpoint.as_str())];
        let all = own.iter().chain(more).copied();
        let connection = Connection::from_properties("c", all).unwrap();
        Place::ambient()
            .with_connections([connection].into_iter().collect())
            .with_remote_options(options())
    };
    let google = place_with("gs://", &[("BEARER_TOKEN", "canary-token")]);
    assert_eq!(sum(&google, "gs://b/x.csv").await.unwrap(), "2|3");
    let azure = place_with(
        "abfss://",
        &[("ACCOUNT", "acc"), ("SAS_TOKEN", "?sv=1&sig=canary%2Fsig")],
    );
    let url = "abfss://c@acc.dfs.core.windows.net/x.csv";
    assert_eq!(sum(&azure, url).await.unwrap(), "2|3");
    let requests = server.requests();
    let of = |prefix: &str| {
        let found = requests
            .iter()
            .find(|r| r.method == "GET" && r.target.starts_with(prefix));
        found.unwrap().clone()
    };
    assert_eq!(
        of("/b/x").header("authorization"),
        Some("Bearer canary-token")
    );
    assert!(of("/c/x").target.contains("sig=canary%2Fsig"));
}
