//! The `source` world with its real connector: JSON from a real server over HTTP, granted and not.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use arrow::util::pretty::pretty_format_batches;
use insta::assert_snapshot;
use tenon_engine::{EngineConfig, Error, GrantsFile, Job, Progress, first_rows};
use tenon_tests::World;

/// A server on loopback that answers by path and remembers what it was asked. It ends with the process.
struct Server {
    origin: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answer: fn(&str) -> (u16, String)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let remembered = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let remembered = Arc::clone(&remembered);
                std::thread::spawn(move || serve(stream.unwrap(), answer, &remembered));
            }
        });
        Self { origin, asked }
    }

    fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked
    }
}

fn serve(mut stream: TcpStream, answer: fn(&str) -> (u16, String), asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    while reader.read_line(&mut line).is_ok_and(|n| n > 2) {}
    asked.lock().unwrap().push(path.clone());
    let (status, body) = answer(&path);
    let head = format!(
        "HTTP/1.1 {status} Said\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // Whoever asked may have left.
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body.as_bytes());
}

fn pages(path: &str) -> (u16, String) {
    let page = match path {
        "/orders" => {
            r#"{"data":[{"id":1,"price":2.5,"tags":["a"]},{"id":2,"price":3,"tags":[]}],"next":"/orders?page=2"}"#
        }
        "/orders?page=2" => r#"{"data":[{"id":3,"price":null}],"next":"/orders?page=3"}"#,
        "/orders?page=3" => r#"{"data":[],"next":null}"#,
        "/more" => r#"{"data":[{"id":4,"price":1,"tags":null}]}"#,
        "/circle" => r#"{"data":[{"id":1}],"next":"/circle"}"#,
        "/late" => r#"{"data":[{"id":1}],"next":"/text"}"#,
        "/text" => r#"{"data":[{"id":2},{"id":"three"}]}"#,
        "/moved" => return (302, String::new()),
        "/large" => return (200, format!("[{}]", " ".repeat(2 << 20))),
        "/broken" => "<html>",
        _ => return (404, String::new()),
    };
    (200, page.to_owned())
}

fn world(grants: &str) -> World {
    let grants: GrantsFile = grants.parse().unwrap();
    World::with_config(
        &["plugins/http-json"],
        EngineConfig {
            partitions: 2,
            grants: grants.of_tenant(1),
            ..EngineConfig::default()
        },
    )
}

fn granted(origin: &str) -> World {
    world(&format!(
        "[[grant]]\nplugin = \"http-json\"\nhttp = [\"{origin}\"]\n"
    ))
}

/// Writes what is read to the table `t.out`.
async fn run(world: &World, urls: &[&str], more: &str) -> Result<(), Error> {
    let text = format!(
        r#"
        name = "test"
        [nodes.web.DynamicTransform]
        Name = "web"
        TransformName = "web"
        Path = "tenon:http-json@0"
        FunctionName = "http-json"
        Parameters = [
            {{ Name = "url", Type = "list", Value = {urls:?} }},
            {{ Name = "records", Type = "str", Value = ["/data"] }},
            {{ Name = "next", Type = "str", Value = ["/next"] }},
            {more}
        ]
        [nodes.out.S3GlueParquetTarget]
        Name = "out"
        Inputs = ["web"]
        Path = "out"
        SchemaChangePolicy = {{ EnableUpdateCatalog = true, Database = "t", Table = "out" }}
        "#
    );
    let mut job = Job::from_toml(&text)?;
    job.folder = world.folder.path().to_path_buf();
    let outcome = world.engine.run(&job, "run-1", &Progress::default()).await;
    if outcome.is_err() {
        let out = std::fs::read_dir(world.folder.path().join("out"));
        let left = out.map_or(0, Iterator::count);
        assert_eq!(left, 0, "a run that failed left files");
    }
    outcome.map(|_| ())
}

async fn failure(world: &World, server: &Server, path: &str) -> String {
    let url = format!("{}{path}", server.origin);
    let error = run(world, &[&url], "").await.unwrap_err().to_string();
    error.replace(&server.origin, "http://here")
}

async fn sql(world: &World, query: &str) -> String {
    let stream = world.engine.sql(query).await.unwrap();
    let (batches, _) = first_rows(stream, 100).await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_two_addresses_become_one_table() {
    let server = Server::start(pages);
    let world = granted(&server.origin);
    let urls = ["/orders", "/more"].map(|path| format!("{}{path}", server.origin));
    run(&world, &[&urls[0], &urls[1]], "").await.unwrap();
    assert_snapshot!(sql(&world, "select * from t.out order by id").await, @r#"
    +----+-------+-------+
    | id | price | tags  |
    +----+-------+-------+
    | 1  | 2.5   | ["a"] |
    | 2  | 3.0   | []    |
    | 3  |       |       |
    | 4  | 1.0   |       |
    +----+-------+-------+
    "#);
    let asked = server.asked();
    assert!(
        asked.contains(&"/orders?page=3".to_owned()) && asked.contains(&"/more".to_owned()),
        "{asked:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_are_named_need_no_first_page() {
    let server = Server::start(pages);
    let world = granted(&server.origin);
    let url = format!("{}/more", server.origin);
    let named = r#"{ Name = "columns", Type = "list", Value = ["price string", "id double", "other boolean"] }"#;
    run(&world, &[&url], named).await.unwrap();
    assert_snapshot!(sql(&world, "select * from t.out").await, @r"
    +-------+-----+-------+
    | price | id  | other |
    +-------+-----+-------+
    | 1     | 4.0 |       |
    +-------+-----+-------+
    ");
    assert_eq!(server.asked(), ["/more"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_reached_that_was_not_granted() {
    let server = Server::start(pages);
    let others = [
        String::new(),
        "[[grant]]\nplugin = \"http-json\"\nhttp = [\"http://127.0.0.1:9\"]".to_owned(),
        format!(
            "[[grant]]\nplugin = \"mask\"\nhttp = [\"{}\"]",
            server.origin
        ),
        format!(
            "[[grant]]\nplugin = \"http-json@9\"\nhttp = [\"{}\"]",
            server.origin
        ),
        format!(
            "[[grant]]\nplugin = \"http-json\"\ntenant = 2\nhttp = [\"{}\"]",
            server.origin
        ),
    ];
    for grants in others {
        let said = failure(&world(&grants), &server, "/orders").await;
        assert!(
            said.contains("http://here was not granted"),
            "{grants}: {said}"
        );
    }
    assert_eq!(server.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_named() {
    let server = Server::start(pages);
    let world = granted(&server.origin);
    for (path, words) in [
        ("/nowhere", "http://here/nowhere answers 404"),
        (
            "/moved",
            "http://here/moved answers 302 and leads to http://127.0.0.1:9/, which is not followed",
        ),
        ("/broken", "http://here/broken is not JSON"),
        ("/circle", "http://here/circle comes again"),
        (
            "/late",
            "http://here/text, row 1: \"three\" is no bigint for the column \"id\"",
        ),
    ] {
        let said = failure(&world, &server, path).await;
        assert!(said.contains(words), "{path}: {said}");
        assert!(said.contains("web"), "the node is not named: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_no_more_bytes_than_a_call_may_return() {
    let server = Server::start(pages);
    let grants: GrantsFile = format!(
        "[[grant]]\nplugin = \"http-json\"\nhttp = [\"{}\"]",
        server.origin
    )
    .parse()
    .unwrap();
    let world = World::with_config(
        &["plugins/http-json"],
        EngineConfig {
            grants: grants.of_tenant(1),
            guest_limits: tenon_host::Limits {
                output_bytes: 1 << 20,
                ..tenon_host::Limits::default()
            },
            ..EngineConfig::default()
        },
    );
    let said = failure(&world, &server, "/large").await;
    assert!(
        said.contains("http://here/large: the answer has more than 1048576 bytes"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_reads_no_node() {
    let server = Server::start(pages);
    let world = granted(&server.origin);
    std::fs::write(world.folder.path().join("rows.csv"), "a\n1\n").unwrap();
    let job = r#"
        name = "test"
        [nodes.rows.S3CsvSource]
        Name = "rows"
        Paths = ["rows.csv"]
        [nodes.web.DynamicTransform]
        Name = "web"
        TransformName = "web"
        Path = "tenon:http-json@0"
        FunctionName = "http-json"
        Inputs = ["rows"]
        [nodes.out.S3DirectTarget]
        Name = "out"
        Inputs = ["web"]
        Path = "out.csv"
        Format = "csv"
        "#;
    let mut job = Job::from_toml(job).unwrap();
    job.folder = world.folder.path().to_path_buf();
    let error = world.engine.run(&job, "run-1", &Progress::default()).await;
    let said = error.unwrap_err().to_string();
    assert!(
        said.contains("a source function takes no input, not 1"),
        "{said}"
    );
}
