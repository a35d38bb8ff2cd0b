//! REST: what the OpenAPI document says is what is served.

use super::*;

#[tokio::test]
async fn the_document_describes_what_is_served() {
    let server = start(&limits(|_| {})).await;
    let document = server.get("/v1/openapi.json").await;
    assert_eq!(document.header("content-type"), Some("application/json"));
    let document = document.json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() >= 4);
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods") {
            let path = path
                .replace("{account}", "000000000000")
                .replace("{key}", "none");
            let request = format!(
                "{} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
                method.to_uppercase()
            );
            let answer = server.exchange(request).await;
            let declared = &operation["responses"][answer.status.to_string()];
            assert!(declared.is_object(), "{method} {path} answered {answer:?}");
            let kind = answer.header("content-type").expect("a type");
            assert!(
                declared["content"][kind].is_object(),
                "{method} {path} answered {kind}"
            );
            assert!(answer.header("x-amzn-requestid").is_some());
            answer.json();
        }
    }
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
    assert!(has("unsupported", "StartJobRun") && !has("supported", "StartJobRun"));
}

#[tokio::test]
async fn errors_are_problems() {
    let server = start(&limits(|_| {})).await;
    let absent = server.get("/v1/nothing").await;
    let put = "PUT /v1/version HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    let method = server.exchange(put).await;
    for (answer, status) in [(absent, 404), (method, 405)] {
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        let problem = answer.json();
        assert_eq!(problem["status"], status);
        assert_eq!(
            problem["type"],
            "urn:tenon:problem:UnknownOperationException"
        );
        assert_eq!(
            problem["request_id"].as_str(),
            answer.header("x-amzn-requestid")
        );
    }
}
