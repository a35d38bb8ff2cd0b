//! REST: what the OpenAPI document says is what is served; who may see what.

use super::*;

use serde_json::json;
use tenon_server::TokenScope;

/// A request with a token, and perhaps a body.
fn ask(method: &str, path: &str, token: &str, body: &Value) -> String {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

impl Running {
    async fn ask(&self, method: &str, path: &str, token: &str, body: Value) -> Answer {
        self.exchange(ask(method, path, token, &body)).await
    }

    fn token(&self, scope: TokenScope) -> String {
        let token = self.identity.create_token("test", "a test's", scope, None);
        token.expect("a token").text.reveal().to_owned()
    }
}

/// That it is a problem of this name.
fn problem(answer: &Answer, status: u16, name: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("application/problem+json"), "{answer:?}");
    let problem = answer.json();
    assert_eq!(problem["title"], name);
    assert_eq!(problem["status"], status);
    assert_eq!(problem["type"], format!("urn:tenon:problem:{name}"));
    assert_eq!(
        problem["request_id"].as_str(),
        answer.header("x-amzn-requestid")
    );
}

/// What the document says about an answer, which may stand elsewhere in it.
fn declared<'a>(document: &'a Value, operation: &'a Value, status: u16) -> &'a Value {
    let response = &operation["responses"][status.to_string()];
    match response["$ref"].as_str() {
        Some(place) => document
            .pointer(place.trim_start_matches('#'))
            .expect("what is referred to"),
        None => response,
    }
}

#[tokio::test]
async fn the_document_describes_what_is_served() {
    let server = start(&limits(|_| {})).await;
    let admin = server.token(TokenScope::Admin);
    let document = server.get("/v1/openapi.json").await;
    assert_eq!(document.header("content-type"), Some("application/json"));
    let document = document.json();
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() >= 12);
    let mut asked = 0;
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods") {
            let path = path
                .replace("{account}", "999999999999")
                .replace("{key}", "none")
                .replace("{token}", "none")
                .replace("{name}", "none")
                .replace("{version}", "1.0.0");
            let secured = operation["security"].is_array();
            for token in ["tn_none", &admin] {
                let method = method.to_uppercase();
                let answer = server.ask(&method, &path, token, json!({})).await;
                let context = format!("{method} {path} answered {answer:?}");
                assert!(answer.status < 500, "{context}");
                assert_eq!(
                    answer.status == 401,
                    secured && token == "tn_none",
                    "{context}"
                );
                let declared = declared(&document, operation, answer.status);
                let kind = answer.header("content-type").expect("a type");
                assert!(declared["content"][kind].is_object(), "{context}");
                if kind.ends_with("json") {
                    answer.json();
                }
                asked += 1;
            }
        }
    }
    assert!(asked >= 36, "{asked}");
}

#[tokio::test]
async fn the_server_about_itself() {
    let server = start(&limits(|_| {})).await;
    assert_eq!(server.get("/v1/health").await.json()["status"], "ready");
    let version = server.get("/v1/version").await.json();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    let operations = server.get("/v1/operations").await.json();
    let has = |list: &str, name: &str| {
        let list = operations[list].as_array().expect("a list");
        list.iter().any(|found| found == name)
    };
    assert!(has("supported", "GetTable") && !has("unsupported", "GetTable"));
    assert!(has("unsupported", "CreateScript") && !has("supported", "CreateScript"));
}

#[tokio::test]
async fn errors_are_problems() {
    let server = start(&limits(|_| {})).await;
    let admin = server.token(TokenScope::Admin);
    let absent = server.get("/v1/nothing").await;
    problem(&absent, 404, "UnknownOperationException");
    let method = server.ask("PUT", "/v1/version", "", Value::Null).await;
    problem(&method, 405, "UnknownOperationException");
    for (body, name) in [
        (json!({"name": "x", "nane": "y"}), "InvalidInputException"),
        (json!({}), "InvalidInputException"),
        (json!([]), "SerializationException"),
        (json!({"name": "x", "id": "12"}), "InvalidInputException"),
        (json!({"name": ""}), "InvalidInputException"),
    ] {
        let answer = server.ask("POST", "/v1/accounts", &admin, body).await;
        problem(&answer, 400, name);
    }
    for query in ["limit=0", "limit=1001", "limit=x", "%zz", "limit=-1"] {
        let path = format!("/v1/accounts?{query}");
        let answer = server.ask("GET", &path, &admin, Value::Null).await;
        problem(&answer, 400, "InvalidInputException");
    }
    let strange = server
        .ask("GET", "/v1/accounts/%ff", &admin, Value::Null)
        .await;
    problem(&strange, 400, "InvalidInputException");
    let page = server
        .ask("GET", "/v1/audit?after=x", &admin, Value::Null)
        .await;
    problem(&page, 400, "InvalidInputException");
}

#[tokio::test]
async fn an_account_from_its_first_key_to_its_end() {
    let server = start(&limits(|_| {})).await;
    let admin = server.token(TokenScope::Admin);
    let new = json!({"id": "111122223333", "name": "analytics"});
    let created = server
        .ask("POST", "/v1/accounts", &admin, new.clone())
        .await;
    assert_eq!(created.status, 201, "{created:?}");
    let created = created.json();
    let secret = created["key"]["secret"]
        .as_str()
        .expect("a secret")
        .to_owned();
    assert_eq!(secret.len(), 40);
    assert_eq!(created["account"]["name"], "analytics");
    assert!(created["account"].get("tenant").is_none());
    let again = server.ask("POST", "/v1/accounts", &admin, new).await;
    problem(&again, 409, "AlreadyExistsException");

    let keys = "/v1/accounts/111122223333/keys";
    let key = server
        .ask("POST", keys, &admin, json!({"user": "etl"}))
        .await;
    assert_eq!(key.status, 201);
    let key = key.json();
    let path = format!("{keys}/{}", key["id"].as_str().expect("an id"));
    let off = server
        .ask("PATCH", &path, &admin, json!({"enabled": false}))
        .await;
    assert_eq!((off.status, &off.json()["enabled"]), (200, &json!(false)));
    let listed = server.ask("GET", keys, &admin, Value::Null).await.json();
    let listed = listed["keys"].as_array().expect("keys").clone();
    assert_eq!(listed.len(), 2);
    assert!(
        listed
            .iter()
            .any(|found| found["id"] == key["id"] && found["enabled"] == false)
    );
    assert!(!Value::from(listed).to_string().contains(&secret));
    // A key is found below its own account only.
    let elsewhere = path.replace("111122223333", "444455556666");
    server
        .ask(
            "POST",
            "/v1/accounts",
            &admin,
            json!({"id": "444455556666", "name": "b"}),
        )
        .await;
    let answer = server.ask("DELETE", &elsewhere, &admin, Value::Null).await;
    problem(&answer, 404, "EntityNotFoundException");
    assert_eq!(
        server
            .ask("DELETE", &path, &admin, Value::Null)
            .await
            .status,
        204
    );

    let quotas = "/v1/accounts/111122223333/quotas";
    let wanted = json!({"requests_per_second": 50, "tables": 10});
    let set = server.ask("PUT", quotas, &admin, wanted.clone()).await;
    assert_eq!((set.status, set.json()), (200, wanted.clone()));
    assert_eq!(
        server.ask("GET", quotas, &admin, Value::Null).await.json(),
        wanted
    );
    let none = server.ask("PUT", quotas, &admin, json!({"burst": 0})).await;
    problem(&none, 400, "InvalidInputException");

    let first = server
        .ask("GET", "/v1/accounts?limit=1", &admin, Value::Null)
        .await
        .json();
    assert_eq!(first["accounts"][0]["id"], "111122223333");
    let next = format!(
        "/v1/accounts?after={}",
        first["next"].as_str().expect("more")
    );
    let second = server.ask("GET", &next, &admin, Value::Null).await.json();
    assert_eq!(second["accounts"][0]["id"], "444455556666");
    assert!(second.get("next").is_none());

    let account = "/v1/accounts/111122223333";
    assert_eq!(
        server
            .ask("DELETE", account, &admin, Value::Null)
            .await
            .status,
        204
    );
    let gone = server.ask("GET", account, &admin, Value::Null).await;
    problem(&gone, 404, "EntityNotFoundException");

    // All of it is in the audit log, under the token, and no secret is.
    let audit = server.ask("GET", "/v1/audit", &admin, Value::Null).await;
    assert!(!audit.body.contains(&secret) && !audit.body.contains(&admin));
    let audit = audit.json();
    let by = format!("token/{}", &admin[3..19]);
    let done: Vec<_> = audit["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .filter(|entry| entry["principal"] == by.as_str())
        .filter_map(|entry| entry["operation"].as_str())
        .collect();
    let expected = [
        "DeleteAccount",
        "SetQuotas",
        "DeleteKey",
        "CreateAccount",
        "DisableKey",
        "CreateKey",
        "CreateAccount",
    ];
    let mut expected = expected.map(|name| format!("tenon:{name}")).to_vec();
    let mut done: Vec<_> = done.into_iter().map(str::to_owned).collect();
    done.sort();
    expected.sort();
    assert_eq!(done, expected);
}

#[tokio::test]
async fn who_sees_what() {
    let server = start(&limits(|_| {})).await;
    let admin = server.token(TokenScope::Admin);
    for id in ["111122223333", "444455556666"] {
        let new = json!({"id": id, "name": id});
        server.ask("POST", "/v1/accounts", &admin, new).await;
    }
    let wanted = json!({"name": "reader", "account": "111122223333", "lifetime_seconds": 3600});
    let made = server
        .ask("POST", "/v1/tokens", &admin, wanted)
        .await
        .json();
    let owner = made["text"].as_str().expect("a token").to_owned();
    let listed = server.ask("GET", "/v1/tokens", &admin, Value::Null).await;
    assert!(!listed.body.contains(&owner) && listed.body.contains("reader"));

    let mut other_and_none = Vec::new();
    for id in ["111122223333", "444455556666", "999999999999"] {
        for what in ["", "/keys", "/quotas", "/audit"] {
            let path = format!("/v1/accounts/{id}{what}");
            let answer = server.ask("GET", &path, &owner, Value::Null).await;
            if id == "111122223333" {
                assert_eq!(answer.status, 200, "{path} {answer:?}");
            } else {
                problem(&answer, 404, "EntityNotFoundException");
                let mut seen = answer.json();
                seen["request_id"] = Value::Null;
                other_and_none.push(seen.to_string().replace(id, ""));
            }
        }
    }
    // Nothing tells an account of someone else from one that does not exist.
    assert!(
        other_and_none.windows(2).all(|pair| pair[0] == pair[1]),
        "{other_and_none:?}"
    );
    for (method, path) in [
        ("GET", "/v1/accounts"),
        ("POST", "/v1/accounts"),
        ("DELETE", "/v1/accounts/111122223333"),
        ("DELETE", "/v1/accounts/444455556666"),
        ("PUT", "/v1/accounts/111122223333/quotas"),
        ("POST", "/v1/accounts/111122223333/keys"),
        ("GET", "/v1/audit"),
        ("GET", "/v1/tokens"),
        ("POST", "/v1/tokens"),
    ] {
        let body = json!({"name": "x"});
        let answer = server.ask(method, path, &owner, body.clone()).await;
        problem(&answer, 403, "AccessDeniedException");
        let changed = format!("{}0", &owner[..owner.len() - 1]);
        for token in ["", "tn_", "tn_0123456789abcdef_00", "x", &changed] {
            if token == owner {
                continue;
            }
            let answer = server.ask(method, path, token, body.clone()).await;
            problem(&answer, 401, "UnauthorizedException");
            assert_eq!(answer.header("www-authenticate"), Some("bearer"));
        }
    }
    let revoke = format!("/v1/tokens/{}", made["id"].as_str().expect("an id"));
    assert_eq!(
        server
            .ask("DELETE", &revoke, &admin, Value::Null)
            .await
            .status,
        204
    );
    let path = "/v1/accounts/111122223333";
    let over = server.ask("GET", path, &owner, Value::Null).await;
    problem(&over, 401, "UnauthorizedException");
}

#[tokio::test]
async fn changes_are_found_by_the_answers_request_id() {
    let server = start(&limits(|_| {})).await;
    let admin = server.token(TokenScope::Admin);
    let mut stream = server.connect().await;
    let request = post("CreateDatabase", &create_database("one"));
    stream.write_all(request.as_bytes()).await.expect("taken");
    let answer = Answer::next(&mut stream).await;
    let path = "/v1/accounts/000000000000/audit?operation=glue:CreateDatabase";
    let audit = server.ask("GET", path, &admin, Value::Null).await.json();
    let entry = &audit["entries"][0];
    assert_eq!(
        entry["request_id"].as_str(),
        answer.header("x-amzn-requestid")
    );
    assert_eq!(entry["source"], "127.0.0.1");
    assert_eq!(entry["outcome"], "Success");
    let none = format!("{path}&until=1");
    let none = server.ask("GET", &none, &admin, Value::Null).await.json();
    assert_eq!(none["entries"], json!([]));
}
