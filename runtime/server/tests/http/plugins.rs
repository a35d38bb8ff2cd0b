//! Plugins over REST: published, found, yanked; for all and for one account; large ones from administrators only.

use super::*;

use serde_json::json;
use tenon_registry::Manifest;
use tenon_server::{AuditQuery, TokenScope};

const ACCOUNT: &str = "111122223333";

/// A component of a plugin; `padding` makes it larger and another one.
fn component(name: &str, version: &str, padding: usize) -> Vec<u8> {
    let manifest = json!({
        "name": name, "version": version, "description": "d", "license": "MIT", "contract": "0.1.0",
        "functions": [{"name": "f", "kind": "map"}],
    });
    let manifest = Manifest::from_json(manifest.to_string().as_bytes()).expect("a manifest");
    // An empty component, and a section of its own that says nothing.
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    if padding > 0 {
        let size = u32::try_from(padding + 2).expect("small");
        bytes.push(0);
        let mut left = size;
        loop {
            let low = (left & 0x7f) as u8;
            left >>= 7;
            bytes.push(if left == 0 { low } else { low | 0x80 });
            if left == 0 {
                break;
            }
        }
        bytes.extend([1, b'p']);
        bytes.extend(vec![7; padding]);
    }
    tenon_registry::embed(&manifest, &bytes).expect("a plugin")
}

struct House {
    server: Running,
    admin: String,
    own: String,
    foreign: String,
}

impl House {
    async fn new() -> Self {
        let server = start(&limits(|_| {})).await;
        for id in [ACCOUNT, "444455556666"] {
            let created = server.identity.create_account("test", Some(id), "a");
            created.expect("an account");
        }
        let token = |scope| {
            let token = server
                .identity
                .create_token("test", "a test's", scope, None);
            token.expect("a token").text.reveal().to_owned()
        };
        Self {
            admin: token(TokenScope::Admin),
            own: token(TokenScope::Account(ACCOUNT.to_owned())),
            foreign: token(TokenScope::Account("444455556666".to_owned())),
            server,
        }
    }

    async fn ask(&self, method: &str, path: &str, token: &str, body: &[u8]) -> Answer {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        self.server.exchange([head.as_bytes(), body].concat()).await
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.ask("GET", path, token, b"").await
    }
}

fn of_account(rest: &str) -> String {
    format!("/v1/accounts/{ACCOUNT}/plugins{rest}")
}

fn names(answer: &Answer) -> Vec<String> {
    let plugins = answer.json()["plugins"].clone();
    let plugins = plugins.as_array().expect("plugins").clone();
    let name =
        |plugin: &Value| format!("{}@{}", plugin["name"], plugin["version"]).replace('"', "");
    plugins.iter().map(name).collect()
}

#[tokio::test]
async fn a_plugin_from_its_publication_to_its_end() {
    let house = House::new().await;
    let first = component("mask", "0.1.0", 0);
    let answer = house.ask("POST", "/v1/plugins", &house.admin, &first).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let plugin = answer.json();
    assert_eq!(
        (&plugin["name"], &plugin["version"]),
        (&json!("mask"), &json!("0.1.0"))
    );
    assert_eq!(plugin["size_bytes"], first.len());
    assert_eq!(plugin["manifest"]["license"], "MIT");
    let again = house.ask("POST", "/v1/plugins", &house.admin, &first).await;
    assert_eq!((again.status, again.json()), (201, plugin.clone()));
    let other = component("mask", "0.1.0", 5);
    let other = house.ask("POST", "/v1/plugins", &house.admin, &other).await;
    assert_eq!(other.status, 409, "{other:?}");

    // More than other bodies may have.
    let large = component("mask", "0.2.0", 5 * 1024 * 1024);
    let large = house.ask("POST", "/v1/plugins", &house.admin, &large).await;
    assert_eq!(large.status, 201, "{large:?}");
    let one = component("own", "1.0.0", 0);
    let one = house.ask("POST", &of_account(""), &house.admin, &one).await;
    assert_eq!(one.status, 201, "{one:?}");

    // Everyone sees what is for all, and an account its own.
    for token in [&house.admin, &house.own, &house.foreign] {
        let all = house.get("/v1/plugins", token).await;
        assert_eq!(names(&all), ["mask@0.1.0", "mask@0.2.0"]);
        let one = house.get("/v1/plugins/mask/0.1.0", token).await;
        assert_eq!((one.status, one.json()), (200, plugin.clone()));
    }
    let page = house.get("/v1/plugins?limit=1", &house.own).await;
    assert_eq!(
        (names(&page), &page.json()["next"]),
        (vec!["mask@0.1.0".to_owned()], &json!("mask@0.1.0"))
    );
    let page = house
        .get("/v1/plugins?limit=1&after=mask@0.1.0", &house.own)
        .await;
    assert_eq!(names(&page), ["mask@0.2.0"]);
    assert!(page.json().get("next").is_none());
    assert_eq!(
        names(&house.get(&of_account(""), &house.own).await),
        ["own@1.0.0"]
    );
    for path in [of_account(""), of_account("/own/1.0.0")] {
        let foreign = house.get(&path, &house.foreign).await;
        assert_eq!(foreign.status, 404, "{foreign:?}");
        assert!(!foreign.body.contains("own"), "{foreign:?}");
    }

    let yank = json!({"yanked": true}).to_string();
    let path = "/v1/plugins/mask/0.2.0";
    let yanked = house
        .ask("PATCH", path, &house.admin, yank.as_bytes())
        .await;
    assert_eq!(
        (yanked.status, &yanked.json()["yanked"]),
        (200, &json!(true))
    );
    assert_eq!(house.get(path, &house.own).await.json()["yanked"], true);
    let absent = house.get("/v1/plugins/mask/0.3.0", &house.own).await;
    assert_eq!(absent.status, 404, "{absent:?}");

    // Who did it is known; and what an account had goes with it.
    let query = AuditQuery {
        limit: 100,
        ..AuditQuery::default()
    };
    let said = house
        .server
        .identity
        .audit(None, &query)
        .expect("a log")
        .entries;
    let of = |operation: &str| {
        said.iter()
            .filter(|entry| entry.operation == operation)
            .count()
    };
    assert_eq!((of("tenon:PublishPlugin"), of("tenon:YankPlugin")), (4, 1));
    let folder = house.server.dir.path().join("tenants/1/registry");
    assert!(folder.is_dir());
    house
        .server
        .identity
        .delete_account("test", ACCOUNT)
        .expect("deleted");
    assert!(!folder.exists());
    assert_eq!(house.get(&of_account(""), &house.admin).await.status, 404);
}

#[tokio::test]
async fn only_administrators_publish_and_only_plugins() {
    let house = House::new().await;
    let plugin = component("mask", "0.1.0", 0);
    let large = component("mask", "0.1.0", 6 * 1024 * 1024);
    for (token, status) in [("tn_none", 401), (house.own.as_str(), 403)] {
        for path in ["/v1/plugins".to_owned(), of_account("")] {
            let answer = house.ask("POST", &path, token, &plugin).await;
            assert_eq!(answer.status, status, "{path}: {answer:?}");
        }
        // What is large is not read before that is known.
        let mut stream = house.server.connect().await;
        let head = format!(
            "POST /v1/plugins HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\n\
             content-length: {}\r\n\r\n",
            large.len()
        );
        stream.write_all(head.as_bytes()).await.expect("taken");
        let answer = Answer::next(&mut stream).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.header("connection"), Some("close"));
    }
    let yank = json!({"yanked": true}).to_string();
    let yanked = house
        .ask(
            "PATCH",
            "/v1/plugins/mask/0.1.0",
            &house.own,
            yank.as_bytes(),
        )
        .await;
    assert_eq!(yanked.status, 403);

    let mut cut = plugin.clone();
    cut.pop();
    for (bytes, said) in [
        (&b"no wasm"[..], "not a wasm component"),
        (b"\0asm\x01\0\0\0", "not a wasm component"),
        (b"\0asm\x0d\0\x01\0", "section"),
        (&cut, ""),
        (b"", "not a wasm component"),
    ] {
        let answer = house.ask("POST", "/v1/plugins", &house.admin, bytes).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        let detail = answer.json()["detail"]
            .as_str()
            .expect("a reason")
            .to_owned();
        assert!(detail.contains(said), "{detail}");
    }
    for path in [
        "/v1/plugins/..%2f..%2fx/1.0.0",
        "/v1/plugins/mask/..%2f1",
        "/v1/plugins/MASK/1.0.0",
    ] {
        let answer = house.get(path, &house.admin).await;
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
    }
    assert_eq!(
        names(&house.get("/v1/plugins", &house.admin).await),
        Vec::<String>::new()
    );

    let tight = start(&limits(|limits| limits.upload_bytes = 100)).await;
    let token = tight
        .identity
        .create_token("test", "a test's", TokenScope::Admin, None);
    let token = token.expect("a token").text.reveal().to_owned();
    let head = format!(
        "POST /v1/plugins HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\ncontent-length: 101\r\n\r\n"
    );
    let answer = tight.exchange(head).await;
    assert_eq!(answer.status, 413, "{answer:?}");
}
