//! JSON: lines and arrays, nesting, error texts.

use proptest::prelude::*;
use serde_json::{Value, json};
use tenon_connect::{Format, JsonOptions};

use crate::{Folder, corpus, files_in, read_all, types};

fn json() -> Format {
    Format::Json(JsonOptions::default())
}

async fn error(content: &str, format: &Format) -> String {
    let folder = Folder::with(&[("p.json", content.as_bytes())]);
    folder
        .query(&["p.json"], format, "SELECT * FROM t")
        .await
        .unwrap_err()
}

#[tokio::test]
async fn lines_and_arrays_read_alike() {
    let lines = "{\"id\":1,\"tags\":[\"a\"],\"at\":{\"zip\":\"0812\"}}\n{\"id\":2.5,\"extra\":12345678901234567890}\n";
    let array = "[{\"id\":1,\"tags\":[\"a\"],\"at\":{\"zip\":\"0812\"}},\n {\"id\":2.5,\"extra\":12345678901234567890}]";
    let folder = Folder::with(&[("p.json", array.as_bytes()), ("p.jsonl", lines.as_bytes())]);
    for name in ["p.json", "p.jsonl"] {
        let table = folder.table(&[name], &json()).await.unwrap();
        let shown = folder.show(&[name], &json(), "SELECT * FROM t").await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(types(&table), @r#"id: Float64, tags: List(Utf8), at: Struct("zip": Utf8), extra: Utf8"#);
            insta::assert_snapshot!(shown, @r"
            +-----+------+-------------+----------------------+
            | id  | tags | at          | extra                |
            +-----+------+-------------+----------------------+
            | 1.0 | [a]  | {zip: 0812} |                      |
            | 2.5 |      |             | 12345678901234567890 |
            +-----+------+-------------+----------------------+
            ");
        }
        assert!(
            folder
                .show(&[name], &json(), "SELECT count(*) FROM t")
                .await
                .contains("| 2 ")
        );
    }
}

#[tokio::test]
async fn errors_name_file_and_line() {
    insta::assert_snapshot!(error("{\"a\":1}\n{\"a\":tru}\n", &json()).await, @"p.json:2:6: expected a value");
    insta::assert_snapshot!(error("{\"a\":1}\n{\"a\":[1]}\n", &json()).await, @r#"p.json:2:6: "a" holds a list here, but a single value before; make them alike, or read them as two tables"#);
    insta::assert_snapshot!(error("[1]", &json()).await, @"p.json:1: expected an object or the end of the array, found 1");
    insta::assert_snapshot!(error("", &json()).await, @"p.json: no object with a name in it; nothing to read");
}

#[tokio::test]
async fn what_comes_after_the_sample_is_checked() {
    let sampled = Format::Json(JsonOptions {
        infer_bytes: 10,
        ..JsonOptions::default()
    });
    let head = "{\"a\":1}\n{\"a\":2}\n{\"a\":null}\n";
    insta::assert_snapshot!(error(&format!("{head}{{\"a\":\"012\"}}"), &sampled).await, @r#"p.json:4:6: "a" holds text here, not an int64, the type that the start of the table suggests; raise infer_bytes, or make them alike"#);
    insta::assert_snapshot!(error(&format!("{head}{{\"b\":1}}"), &sampled).await, @r#"p.json:4:2: the name "b" is new, which the start of the table does not suggest; raise infer_bytes"#);
}

#[tokio::test]
async fn test_suite_of_invalid_documents() {
    let Some(folder) = corpus("json-testing/test_parsing") else {
        return;
    };
    // No document at all is a file without records here, and objects may follow each other.
    for path in files_in(&folder) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let read = read_all(&path, &json()).await;
        if name.starts_with("n_") {
            assert!(read.is_err(), "{name} was read");
        }
        if let Err(error) = read {
            assert!(
                error.contains(name) && !error.contains("panicked"),
                "{error}"
            );
        }
    }
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(|n| json!(n)),
        any::<u64>().prop_map(|n| json!(n)),
        (-1000i64..1000).prop_map(|n| json!(n)),
        any::<f64>()
            .prop_filter("finite", |f| f.is_finite())
            .prop_map(|f| json!(f)),
        any::<bool>().prop_map(|b| json!(b)),
        "[a-z0-9\"\\\\ \u{e4}\n]{0,6}".prop_map(|s| json!(s)),
        Just(Value::Null),
    ]
}

fn record() -> impl Strategy<Value = Value> {
    let list = prop::collection::vec(scalar(), 0..3);
    (scalar(), list, scalar(), any::<bool>()).prop_map(|(a, list, inner, has_b)| {
        if has_b {
            json!({"a": a, "list": list, "b": {"c": inner}})
        } else {
            json!({"a": a})
        }
    })
}

/// Equal up to what a column does: nulls may be absent, scalars may be text with the same characters.
fn is_same(written: &Value, read: &Value) -> bool {
    match (written, read) {
        (Value::Object(w), Value::Object(r)) => {
            w.iter()
                .all(|(k, v)| is_same(v, r.get(k).unwrap_or(&Value::Null)))
                && r.iter().all(|(k, v)| w.contains_key(k) || v.is_null())
        }
        (Value::Array(w), Value::Array(r)) => {
            w.len() == r.len() && w.iter().zip(r).all(|(w, r)| is_same(w, r))
        }
        (Value::Number(w), Value::Number(r)) => w == r || w.as_f64() == r.as_f64(),
        (Value::Number(_) | Value::Bool(_), Value::String(r)) => {
            serde_json::from_str::<Value>(r).is_ok_and(|r| is_same(written, &r))
        }
        _ => written == read,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// What was inferred reads back every value, and what we write reads back the same.
    #[test]
    fn inferred_types_lose_nothing(records in prop::collection::vec(record(), 1..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let text: String = records.iter().map(|record| format!("{record}\n")).collect();
            let folder = Folder::with(&[("p.jsonl", text.as_bytes())]);
            let batches = folder.query(&["p.jsonl"], &json(), "SELECT * FROM t").await.unwrap();
            folder.stage("out.jsonl", &json(), batches).await.unwrap().commit().await.unwrap();
            let written = std::fs::read_to_string(folder.path("out.jsonl")).unwrap();
            let read: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(read.len(), records.len());
            // serde_json reads floats to the last digit but one: both sides must have been read by it.
            let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            for (written, read) in records.zip(&read) {
                let written = &written;
                assert!(is_same(written, read), "{written} became {read}");
            }
        });
    }
}

#[tokio::test]
async fn a_byte_order_mark_alone_is_no_record() {
    let folder = Folder::with(&[("p.json", b"\xEF\xBB\xBF"), ("p.csv", b"\xEF\xBB\xBF")]);
    insta::assert_snapshot!(folder.table(&["p.json"], &json()).await.unwrap_err(), @"p.json: no object with a name in it; nothing to read");
    let csv = Format::from_path("p.csv".as_ref()).unwrap();
    insta::assert_snapshot!(folder.table(&["p.csv"], &csv).await.unwrap_err(), @"p.csv: empty; a CSV file needs at least a header");
}
