//! Backups over HTTP, while others write.

use super::*;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::json;
use tenon_server::{AuditQuery, TokenScope};

fn request(token: &str) -> String {
    format!(
        "POST /v1/backup HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-length: 0\r\n\r\n"
    )
}

fn token(server: &Running, scope: TokenScope) -> String {
    let token = server
        .identity
        .create_token("test", "a test's", scope, None);
    token.expect("a token").text.reveal().to_owned()
}

/// What a chunked body carries; `None` when it was cut off.
fn dechunk(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let line = body.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&body[..line]).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        body = &body[line + 2..];
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(body.get(..size)?);
        body = body.get(size + 2..)?;
    }
}

/// Head and body of the answer.
async fn download(server: &Running, token: &str) -> (String, Vec<u8>) {
    let mut stream = server.connect().await;
    stream
        .write_all(request(token).as_bytes())
        .await
        .expect("taken");
    let mut all = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut all)).await;
    read.expect("in time").expect("an orderly end");
    let end = all.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.expect("a head") + 4;
    let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
    (head, all.split_off(end))
}

/// The names of databases that `write` has created for certain are below its number.
async fn write(address: SocketAddr, acknowledged: Arc<AtomicU32>, over: Arc<AtomicBool>) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    while !over.load(Ordering::Acquire) {
        let number = acknowledged.load(Ordering::Acquire);
        let request = post("CreateDatabase", &create_database(&format!("d{number}")));
        stream.write_all(request.as_bytes()).await.expect("taken");
        assert_eq!(Answer::next(&mut stream).await.status, 200);
        acknowledged.store(number + 1, Ordering::Release);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_has_what_was_acknowledged_before_it_began_and_nothing_torn() {
    let server = start(&limits(|_| {})).await;
    let admin = token(&server, TokenScope::Admin);
    let (acknowledged, over) = (
        Arc::new(AtomicU32::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let writing = write(server.address, Arc::clone(&acknowledged), Arc::clone(&over));
    let writing = tokio::spawn(writing);
    let mut backups = Vec::new();
    while backups.len() < 5 {
        let before = acknowledged.load(Ordering::Acquire);
        let (head, body) = download(&server, &admin).await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains("content-type: application/x-tar"), "{head}");
        assert!(head.contains("cache-control: no-store"), "{head}");
        backups.push((before, dechunk(&body).expect("a whole body")));
    }
    over.store(true, Ordering::Release);
    writing.await.expect("no panic");
    assert!(
        backups.iter().any(|(before, _)| *before > 0),
        "nobody wrote"
    );
    for (before, bytes) in backups {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("backup");
        std::fs::write(&file, bytes).expect("written");
        let report = tenon_store::restore(&file, &dir.path().join("store"), &SystemClock);
        let report = report.expect("restored");
        assert_eq!(report.problems, Vec::<String>::new());
        let restored = identity(dir.path());
        let server = start_over(&limits(|_| {}), restored, dir).await;
        for number in (0..before)
            .step_by(1 + before as usize / 3)
            .chain(before.checked_sub(1))
        {
            let name = format!("{{\"Name\": \"d{number}\"}}");
            let mut stream = server.connect().await;
            let request = post("GetDatabase", &name);
            stream.write_all(request.as_bytes()).await.expect("taken");
            let answer = Answer::next(&mut stream).await;
            assert_eq!(answer.status, 200, "d{number} of {before}: {answer:?}");
        }
    }
    // Who took it is known.
    let query = AuditQuery {
        operation: Some("tenon:CreateBackup".to_owned()),
        limit: 10,
        ..AuditQuery::default()
    };
    let taken = server.identity.audit(None, &query).expect("a log").entries;
    assert_eq!(taken.len(), 5);
    assert!(taken[0].principal.starts_with("token/"), "{taken:?}");
}

#[tokio::test]
async fn only_the_administrator_takes_a_backup() {
    let server = start(&limits(|_| {})).await;
    let created = server
        .identity
        .create_account("test", Some("111122223333"), "a");
    created.expect("an account");
    let own = token(&server, TokenScope::Account("111122223333".to_owned()));
    for (token, status) in [("tn_none", 401), (own.as_str(), 403)] {
        let answer = server.exchange(request(token)).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.json()["title"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_nobody_reads_keeps_nobody_from_writing_and_ends() {
    let server = start(&limits(|limits| limits.idle_timeout = SHORT)).await;
    let admin = token(&server, TokenScope::Admin);
    // More than the sockets' buffers take.
    let long = "x".repeat(250_000);
    for number in 0..40 {
        let input =
            json!({"DatabaseInput": {"Name": format!("d{number}"), "Parameters": {"p": long}}});
        let mut stream = server.connect().await;
        let request = post("CreateDatabase", &input.to_string());
        stream.write_all(request.as_bytes()).await.expect("taken");
        let answer = Answer::next(&mut stream).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let mut unread = server.connect().await;
    unread
        .write_all(request(&admin).as_bytes())
        .await
        .expect("taken");
    unread.readable().await.expect("an answer begins");
    let second = server.exchange(request(&admin)).await;
    // Unless the first was cut off by now.
    assert!([409, 200].contains(&second.status), "{}", second.head);
    let mut stream = server.connect().await;
    let write = post("CreateDatabase", &create_database("meanwhile"));
    stream.write_all(write.as_bytes()).await.expect("taken");
    assert_eq!(Answer::next(&mut stream).await.status, 200);
    // Whoever does not read is cut off, and then there is room again.
    let again = async {
        loop {
            let (head, body) = download(&server, &admin).await;
            if head.starts_with("http/1.1 200") {
                return body;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let body = timeout(PATIENCE, again).await.expect("room again");
    assert!(dechunk(&body).is_some());
    let mut cut = Vec::new();
    // An end or a reset, but no whole backup.
    let _ = timeout(PATIENCE, unread.read_to_end(&mut cut))
        .await
        .expect("an end");
    let end = cut.windows(4).position(|four| four == b"\r\n\r\n");
    assert!(end.is_none_or(|end| dechunk(&cut[end + 4..]).is_none()));
}
