//! A page: where its rows are, and the page after it.

use tenon_sdk::prelude::*;
use tenon_sdk::serde_json::{Deserializer, Map, Value};

/// What a page has.
#[derive(Debug, PartialEq)]
pub(crate) struct Page {
    pub(crate) rows: Vec<Map<String, Value>>,
    pub(crate) next: Option<String>,
}

/// Reads a page. `records` and `next` are JSON pointers.
pub(crate) fn parse(url: &str, body: &[u8], records: &str, next: Option<&str>) -> Result<Page> {
    let mut values = Vec::new();
    for value in Deserializer::from_slice(body).into_iter::<Value>() {
        values.push(value.map_err(|e| wrong(url, &format!("is not JSON: {e}")))?);
    }
    let [page] = values.as_mut_slice() else {
        // A row on each line, or nothing at all.
        let rows = values.into_iter().enumerate();
        let rows = rows.map(|(at, value)| object(url, at, value));
        return Ok(Page {
            rows: rows.collect::<Result<_>>()?,
            next: None,
        });
    };
    let next = match next.and_then(|pointer| page.pointer(pointer)) {
        None | Some(Value::Null) => None,
        Some(Value::String(place)) if place.is_empty() => None,
        Some(Value::String(place)) => Some(absolute(url, place)),
        Some(other) => return Err(wrong(url, &format!("has {other} for its next page"))),
    };
    let found = page.pointer_mut(records).map(Value::take);
    let rows = match found {
        Some(Value::Array(rows)) => rows,
        Some(one @ Value::Object(_)) => vec![one],
        Some(Value::Null) => Vec::new(),
        Some(_) => return Err(wrong(url, &format!("has no rows at {records:?}"))),
        None => return Err(wrong(url, &format!("has nothing at {records:?}"))),
    };
    let rows = rows.into_iter().enumerate();
    let rows = rows.map(|(at, value)| object(url, at, value));
    Ok(Page {
        rows: rows.collect::<Result<_>>()?,
        next,
    })
}

fn object(url: &str, at: usize, value: Value) -> Result<Map<String, Value>> {
    match value {
        Value::Object(object) => Ok(object),
        other => {
            let mut shown = other.to_string();
            shown.truncate(shown.floor_char_boundary(80));
            Err(wrong(
                url,
                &format!("has {shown} for its row {at}, not an object"),
            ))
        }
    }
}

fn wrong(url: &str, what: &str) -> Error {
    Error::user("bad-page", format!("{url} {what}"))
}

/// `place` as an address: from the page's origin where it begins with a slash.
fn absolute(url: &str, place: &str) -> String {
    let is_path = place.starts_with('/') && !place.starts_with("//");
    let origin = match url.find("://") {
        Some(scheme) if is_path => {
            let host = &url[scheme + 3..];
            let end = host.find(['/', '?', '#']).unwrap_or(host.len());
            &url[..scheme + 3 + end]
        }
        _ => "",
    };
    format!("{origin}{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://a.example/things?x=1";

    fn rows(body: &str, records: &str) -> Result<usize, String> {
        let page = parse(URL, body.as_bytes(), records, None);
        page.map(|page| page.rows.len()).map_err(|e| e.to_string())
    }

    #[test]
    fn rows_come_in_four_shapes() {
        assert_eq!(rows(r#"[{"a":1},{"a":2}]"#, ""), Ok(2));
        assert_eq!(rows(r#"{"a":1}"#, ""), Ok(1));
        assert_eq!(rows("{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n", ""), Ok(3));
        assert_eq!(
            rows(r#"{"data":{"items":[{"a":1}]}}"#, "/data/items"),
            Ok(1)
        );
        assert_eq!(rows("", ""), Ok(0));
        assert_eq!(rows(r#"{"data":null}"#, "/data"), Ok(0));
    }

    #[test]
    fn what_is_no_page_is_named() {
        let said = |body: &str, records: &str, words: &str| {
            let said = rows(body, records).unwrap_err();
            assert!(said.contains(URL) && said.contains(words), "{said}");
        };
        said("<html>", "", "is not JSON");
        said("[1]", "", "has 1 for its row 0");
        said("{\"a\":1}\n7", "", "has 7 for its row 1");
        said(r#"{"data":[]}"#, "/items", "has nothing at \"/items\"");
        said(r#"{"data":7}"#, "/data", "has no rows at \"/data\"");
    }

    #[test]
    fn the_next_page_may_be_a_path() {
        let next = |place: &str| {
            let body = format!("{{\"rows\":[],\"next\":{place}}}");
            parse(URL, body.as_bytes(), "/rows", Some("/next")).map(|page| page.next)
        };
        assert_eq!(next("null"), Ok(None));
        assert_eq!(next("\"\""), Ok(None));
        assert_eq!(
            next("\"/things?x=2\""),
            Ok(Some("https://a.example/things?x=2".to_owned()))
        );
        assert_eq!(
            next("\"http://b.example/\""),
            Ok(Some("http://b.example/".to_owned()))
        );
        assert!(next("7").is_err());
    }
}
