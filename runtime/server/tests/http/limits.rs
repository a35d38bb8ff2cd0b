//! Every limit: what exceeds it is answered in time, and others are served meanwhile.

use super::*;

#[tokio::test]
async fn sizes_of_a_head() {
    let server = start(&limits(|limits| {
        limits.header_bytes = 1000;
        limits.url_bytes = 100;
    }))
    .await;
    let with = |bytes: usize| {
        format!(
            "GET / HTTP/1.1\r\nhost: test\r\nx: {}\r\n\r\n",
            "a".repeat(bytes)
        )
    };
    let said = server.exchange(with(2000)).await;
    let said = said.fault(431, "RequestHeadersTooLargeException");
    assert!(
        said.contains("have 2009 bytes, at most 1000 are read"),
        "{said}"
    );
    // Above what is parsed at all there is the bare status.
    assert_eq!(server.exchange(with(100_000)).await.status, 431);
    let many = "y: z\r\n".repeat(200);
    let many = format!("GET / HTTP/1.1\r\nhost: test\r\n{many}\r\n");
    assert_eq!(server.exchange(many).await.status, 431);

    let said = server.get(&format!("/{}", "a".repeat(100))).await;
    let said = said.fault(414, "RequestUriTooLongException");
    assert!(
        said.contains("have 101 bytes, at most 100 are read"),
        "{said}"
    );
    assert_eq!(
        server.get(&format!("/{}", "a".repeat(99))).await.status,
        404
    );
    server
        .metric("tenon_refused_total{limit=\"header_bytes\"} 1")
        .await;
    server
        .metric("tenon_refused_total{limit=\"url_bytes\"} 1")
        .await;
}

#[tokio::test]
async fn size_of_a_body() {
    let server = start(&limits(|limits| limits.body_bytes = 1000)).await;
    // Said before the body is sent.
    let said = server.exchange(head("GetDatabases", 1001)).await;
    let said = said.fault(413, "RequestTooLargeException");
    assert!(said.contains("more than 1000 bytes"), "{said}");

    // Sent whole although nobody reads it: the answer still arrives.
    let large = post("GetDatabases", &"x".repeat(3_000_000));
    let mut stream = server.connect().await;
    let (reading, mut writing) = stream.split();
    let send = async {
        let _ = writing.write_all(large.as_bytes()).await;
    };
    let (answer, ()) = tokio::join!(Answer::last(reading), send);
    answer.fault(413, "RequestTooLargeException");

    let chunk = format!("100\r\n{}\r\n", "x".repeat(256));
    let chunked = format!(
        "POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n{}",
        chunk.repeat(4)
    );
    let answer = server.exchange(chunked).await;
    answer.fault(413, "RequestTooLargeException");

    let exactly = post("GetDatabases", &format!("{{}}{}", " ".repeat(998)));
    let answer = Answer::next(&mut {
        let mut stream = server.connect().await;
        stream.write_all(exactly.as_bytes()).await.expect("taken");
        stream
    })
    .await;
    assert_eq!(answer.status, 200, "{answer:?}");

    let problem = "POST /v1/version HTTP/1.1\r\nhost: test\r\ncontent-length: 1001\r\n\r\n";
    let problem = server.exchange(problem).await;
    assert_eq!(problem.status, 413);
    assert_eq!(
        problem.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(problem.json()["title"], "RequestTooLargeException");
    server
        .metric("tenon_refused_total{limit=\"body_bytes\"} 4")
        .await;
}

#[tokio::test]
async fn heads_that_come_slowly_hold_up_nobody() {
    let server = start(&limits(|limits| limits.header_timeout = SHORT * 3)).await;
    let request = post("GetDatabases", "{}");
    let mut slow = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (reading, writing) = server.connect().await.into_split();
        let bytes = request.clone().into_bytes();
        slow.spawn(async move {
            let pause = Duration::from_millis(100);
            // Alive until the end of the answer, as a client's writing half is.
            let drip = tokio::spawn(async move { drip(writing, &bytes, pause).await });
            let answer = Answer::last(reading).await;
            drip.abort();
            answer
        });
    }
    let answer = server.get("/health/live").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    while let Some(answer) = slow.join_next().await {
        let said = answer
            .expect("no panic")
            .fault(408, "RequestTimeoutException");
        assert!(said.contains("took longer than 900ms to arrive"), "{said}");
    }
    server
        .metric("tenon_refused_total{limit=\"header_timeout\"} 40")
        .await;

    // Who never said anything is not told anything.
    assert_eq!(rest_of(server.connect().await).await, "");
}

#[tokio::test]
async fn bodies_that_stop_or_come_slowly() {
    let server = start(&limits(|limits| {
        limits.idle_timeout = SHORT;
        limits.request_timeout = SHORT * 5;
    }))
    .await;
    let answer = server.exchange(head("GetDatabases", 10) + "{").await;
    let said = answer.fault(408, "RequestTimeoutException");
    assert!(
        said.contains("nothing of the body arrived for 300ms"),
        "{said}"
    );

    let (reading, mut writing) = server.connect().await.into_split();
    let sending = tokio::spawn(async move {
        let _ = writing
            .write_all(head("GetDatabases", 1000).as_bytes())
            .await;
        drip(writing, &[b' '; 1000], Duration::from_millis(30)).await;
    });
    let said = Answer::last(reading)
        .await
        .fault(408, "RequestTimeoutException");
    assert!(said.contains("took longer than 1.5s to arrive"), "{said}");
    sending.abort();

    let mut stream = server.connect().await;
    let partial = head("GetDatabases", 10) + "{";
    stream.write_all(partial.as_bytes()).await.expect("taken");
    stream.shutdown().await.expect("closed");
    // A client that went away: nothing to say to it, and nothing left of it.
    drop(stream);
    server.metric("tenon_requests_in_flight 1").await;
}

#[tokio::test]
async fn a_connection_is_used_again_and_closed_when_idle() {
    let server = start(&limits(|limits| {
        limits.keep_alive = SHORT * 3;
        limits.header_timeout = SHORT * 3;
    }))
    .await;
    let mut stream = server.connect().await;
    for name in ["one", "two", "three"] {
        let request = post("CreateDatabase", &create_database(name));
        stream.write_all(request.as_bytes()).await.expect("taken");
        assert_eq!(Answer::next(&mut stream).await.status, 200);
    }
    assert_eq!(rest_of(stream).await, "");
}

#[tokio::test]
async fn connections_of_one_address_and_of_all() {
    let server = start(&limits(|limits| limits.connections_per_address = 3)).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = server.connect().await;
        stream
            .write_all(post("GetDatabases", "{}").as_bytes())
            .await
            .expect("taken");
        assert_eq!(Answer::next(&mut stream).await.status, 200);
        held.push(stream);
    }
    let refused = server.exchange(post("GetDatabases", "{}")).await;
    assert_eq!(refused.header("retry-after"), Some("1"));
    let said = refused.fault(503, "ServiceUnavailable");
    assert!(
        said.contains("your address has 3 connections open"),
        "{said}"
    );
    // Those that are open go on, and one that ends makes room.
    let stream = held.last_mut().expect("one");
    stream
        .write_all(get("/metrics").as_bytes())
        .await
        .expect("taken");
    let text = Answer::next(stream).await.body;
    assert!(
        text.contains("tenon_refused_total{limit=\"connections_per_address\"} 1"),
        "{text}"
    );
    drop(held);
    let room = async {
        while server.get("/health/live").await.status != 200 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, room).await.expect("room");

    let server = start(&limits(|limits| limits.connections = 1)).await;
    let mut first = server.connect().await;
    first
        .write_all(post("GetDatabases", "{}").as_bytes())
        .await
        .expect("taken");
    assert_eq!(Answer::next(&mut first).await.status, 200);
    let said = server
        .get("/health/live")
        .await
        .fault(503, "ServiceUnavailable");
    assert!(said.contains("all 1 connections are in use"), "{said}");
}

#[tokio::test]
async fn memory_of_all_bodies_together() {
    let server = start(&limits(|limits| limits.buffered_bytes = 100_000)).await;
    let mut first = server.connect().await;
    let partial = head("GetDatabases", 90_001) + &" ".repeat(90_000);
    first.write_all(partial.as_bytes()).await.expect("taken");
    server.metric("tenon_requests_in_flight 2").await;
    let said = server
        .exchange(post("GetDatabases", &" ".repeat(50_000)))
        .await;
    let said = said.fault(503, "ServiceUnavailable");
    assert!(said.contains("hold more than 100000 bytes"), "{said}");
    // What was refused does not count, and what is over gives its share back.
    first.write_all(b" ").await.expect("taken");
    assert_eq!(Answer::next(&mut first).await.status, 400);
    let body = format!("{{}}{}", " ".repeat(50_000));
    let mut second = server.connect().await;
    second
        .write_all(post("GetDatabases", &body).as_bytes())
        .await
        .expect("taken");
    assert_eq!(Answer::next(&mut second).await.status, 200);
}

#[tokio::test]
async fn whoever_does_not_read_is_cut_off() {
    let server = start(&limits(|limits| limits.idle_timeout = SHORT)).await;
    let (reading, mut writing) = server.connect().await.into_split();
    let request = "GET /v1/operations HTTP/1.1\r\nhost: test\r\n\r\n".repeat(1000);
    // Ends by an error once the server has closed.
    let flood = async { while writing.write_all(request.as_bytes()).await.is_ok() {} };
    timeout(PATIENCE, flood).await.expect("cut off");
    drop(reading);
    server.metric("tenon_connections 1").await;
}

#[tokio::test]
async fn what_is_no_http_is_told_so() {
    let server = start(&limits(|_| {})).await;
    for bytes in [
        "hello\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}",
        "GET / HTTP/9.9\r\n\r\n",
    ] {
        assert_eq!(server.exchange(bytes).await.status, 400, "{bytes:?}");
    }
}
