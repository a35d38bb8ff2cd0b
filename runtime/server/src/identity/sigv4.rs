//! Checks signatures of requests: AWS Signature Version 4, in the `Authorization` header.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
//!
//! ```text
//! Authorization: AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=hex
//! ```
//!
//! Everything is rebuilt from what arrived: the path and the query as they were sent, every header that is
//! named, and the hash of the body as it was received; `x-amz-content-sha256` proves nothing. `host` and every
//! `x-amz-*` header must be signed. Signatures in the query (presigned addresses) are not accepted.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::fault::Fault;
use crate::token::{hex, unhex};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";

/// How far a caller's clock may be off.
const MAX_SKEW: Duration = Duration::from_secs(5 * 60);

/// What a signature covers, as it arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    /// The path, still encoded.
    pub(crate) path: &'a str,
    /// What follows the question mark, still encoded; empty without one.
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// What a caller says about its signature. Nothing of it is proven before [`Signed::check_signature`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signed<'a> {
    pub(crate) key_id: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    /// Of keys that last for a while only.
    pub(crate) session_token: Option<&'a str>,
    /// Year, month and day of the credential's scope.
    date: &'a str,
    time_text: &'a str,
    time: SystemTime,
    signed_headers: &'a str,
    pub(crate) signature: [u8; 32],
}

/// What the scope of a credential must name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) service: &'a str,
    pub(crate) regions: &'a [&'a str],
}

impl<'a> Signed<'a> {
    /// Reads the headers.
    ///
    /// # Errors
    /// `MissingAuthenticationTokenException`, `IncompleteSignatureException`.
    pub(crate) fn read(headers: &'a HeaderMap) -> Result<Self, Fault> {
        let text = once(headers, "authorization")?.ok_or_else(missing)?;
        let (algorithm, rest) = text.split_once(' ').unwrap_or((text, ""));
        if algorithm != ALGORITHM {
            return Err(incomplete(&format!("the algorithm is not {ALGORITHM}")));
        }
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for part in rest.split(',') {
            let (name, value) = part.trim().split_once('=').unwrap_or_default();
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(incomplete("Authorization has a part that is not known")),
            };
            if place.replace(value).is_some() {
                return Err(incomplete("Authorization names a part twice"));
            }
        }
        let part = |found: Option<&'a str>, name: &str| {
            found.ok_or_else(|| incomplete(&format!("Authorization requires '{name}'")))
        };
        let credential = read_credential(part(credential, "Credential")?)?;
        let signed_headers = part(signed_headers, "SignedHeaders")?;
        let signature = read_signature(part(signature, "Signature")?)?;
        let time_text = once(headers, "x-amz-date")?
            .ok_or_else(|| incomplete("Authorization requires an 'X-Amz-Date' header"))?;
        let time = parse_time(time_text)
            .ok_or_else(|| incomplete("X-Amz-Date is not yyyymmddThhmmssZ"))?;
        Ok(Self {
            key_id: credential.key_id,
            date: credential.date,
            region: credential.region,
            service: credential.service,
            session_token: once(headers, "x-amz-security-token")?,
            time_text,
            time,
            signed_headers,
            signature,
        })
    }

    /// Whether the scope is the one of this service, in one of its regions, on the day of the request.
    pub(crate) fn check_scope(&self, scope: &Scope<'_>) -> Result<(), Fault> {
        if self.service != scope.service {
            let wanted = scope.service;
            return Err(invalid(&format!(
                "Credential should be scoped to correct service: '{wanted}'."
            )));
        }
        if !scope.regions.contains(&self.region) {
            let (found, wanted) = (self.region, scope.regions.join("' or '"));
            return Err(invalid(&format!(
                "Credential should be scoped to a valid region, not '{found}': this server is in '{wanted}'."
            )));
        }
        if !self.time_text.starts_with(self.date) {
            return Err(invalid(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP",
            ));
        }
        Ok(())
    }

    /// Whether the request was signed just now.
    pub(crate) fn check_time(&self, now: SystemTime) -> Result<(), Fault> {
        let text = self.time_text;
        if self.time + MAX_SKEW < now {
            return Err(invalid(&format!(
                "Signature expired: {text} is earlier than 5 minutes before the server's time."
            )));
        }
        if self.time > now + MAX_SKEW {
            return Err(invalid(&format!(
                "Signature not yet current: {text} is later than 5 minutes after the server's time."
            )));
        }
        Ok(())
    }

    /// Whether `secret` made this signature for exactly this request.
    pub(crate) fn check_signature(&self, request: &Request<'_>, secret: &str) -> Result<(), Fault> {
        let canonical = self.canonical_request(request)?;
        let expected = self.sign(&canonical, secret);
        if bool::from(expected.ct_eq(&self.signature)) {
            return Ok(());
        }
        Err(invalid(
            "The request signature we calculated does not match the signature you provided. Check your AWS \
             Secret Access Key and signing method. Consult the service documentation for details.",
        ))
    }

    fn sign(&self, canonical_request: &[u8], secret: &str) -> [u8; 32] {
        let (date, region, service) = (self.date, self.region, self.service);
        let text = format!(
            "{ALGORITHM}\n{}\n{date}/{region}/{service}/{TERMINATOR}\n{}",
            self.time_text,
            sha256_hex(canonical_request)
        );
        let mut key = hmac(format!("AWS4{secret}").as_bytes(), date.as_bytes());
        for part in [region, service, TERMINATOR] {
            key = hmac(&key, part.as_bytes());
        }
        hmac(&key, text.as_bytes())
    }

    fn canonical_request(&self, request: &Request<'_>) -> Result<Vec<u8>, Fault> {
        let mut text = format!(
            "{}\n{}\n{}\n",
            request.method,
            canonical_path(request.path),
            canonical_query(request.query)
        )
        .into_bytes();
        let names: Vec<_> = self.signed_headers.split(';').collect();
        check_signed_headers(&names, request.headers)?;
        for name in &names {
            text.extend(name.bytes());
            text.push(b':');
            text.extend(canonical_values(request.headers, name));
            text.push(b'\n');
        }
        text.push(b'\n');
        text.extend(self.signed_headers.bytes());
        text.push(b'\n');
        text.extend(sha256_hex(request.body).bytes());
        Ok(text)
    }
}

struct Credential<'a> {
    key_id: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
}

fn read_credential(text: &str) -> Result<Credential<'_>, Fault> {
    let parts: Vec<_> = text.split('/').collect();
    match parts[..] {
        [key_id, date, region, service, TERMINATOR]
            if !key_id.is_empty()
                && date.len() == 8
                && date.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Ok(Credential {
                key_id,
                date,
                region,
                service,
            })
        }
        _ => Err(incomplete(
            "Credential must be <key>/<yyyymmdd>/<region>/<service>/aws4_request",
        )),
    }
}

fn read_signature(text: &str) -> Result<[u8; 32], Fault> {
    let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    unhex(text)
        .filter(|_| lower)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| incomplete("Signature is not 64 small hexadecimal digits"))
}

/// The value of a header that may be sent once: of two, one might be checked and the other used.
fn once<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Fault> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(incomplete(&format!("the header {name} is sent twice")));
    }
    first
        .map(|value| value.to_str())
        .transpose()
        .map_err(|_| incomplete(&format!("the header {name} has characters beyond ASCII")))
}

/// The names are sorted, each is there, and nothing that has a meaning for the service is left out.
fn check_signed_headers(names: &[&str], headers: &HeaderMap) -> Result<(), Fault> {
    let sorted = names.is_sorted_by(|a, b| a < b);
    let small = names
        .iter()
        .all(|name| !name.is_empty() && !name.bytes().any(|byte| byte.is_ascii_uppercase()));
    if !sorted || !small {
        return Err(incomplete(
            "SignedHeaders are not sorted names in small letters",
        ));
    }
    if let Some(absent) = names.iter().find(|name| !headers.contains_key(**name)) {
        return Err(invalid(&format!(
            "the header '{absent}' is signed and was not sent"
        )));
    }
    let must = |name: &&str| *name == "host" || name.starts_with("x-amz-");
    let sent = headers.keys().map(|name| name.as_str());
    for name in sent.filter(must).chain(["host"]) {
        if !names.contains(&name) {
            return Err(invalid(&format!("the header '{name}' must be signed")));
        }
    }
    Ok(())
}

/// All values of a header, without spaces around and with single ones inside.
fn canonical_values(headers: &HeaderMap, name: &str) -> Vec<u8> {
    let values = headers.get_all(name).iter().map(|value| {
        let words = value.as_bytes().split(u8::is_ascii_whitespace);
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        words.join(&b' ')
    });
    values.collect::<Vec<_>>().join(&b',')
}

/// The path without dots and doubled slashes, encoded once more.
fn canonical_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let trailing = path.ends_with('/') && !parts.is_empty();
    let joined = format!("/{}{}", parts.join("/"), if trailing { "/" } else { "" });
    let mut encoded = String::new();
    for byte in joined.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(byte.into());
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The query's pairs, sorted by name and then by value, as they were sent.
fn canonical_query(query: &str) -> String {
    if query.is_empty() {
        return String::new();
    }
    let pairs = query.split('&');
    let mut pairs: Vec<_> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    pairs.sort_unstable();
    let pairs = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("&")
}

/// `20150830T123600Z`.
fn parse_time(text: &str) -> Option<SystemTime> {
    let bytes: [u8; 16] = text.as_bytes().try_into().ok()?;
    if bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |from: usize, until: usize| {
        let digits = text.get(from..until)?;
        let all = digits.bytes().all(|byte| byte.is_ascii_digit());
        all.then(|| digits.parse::<u64>().ok())?
    };
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Of the Gregorian calendar, from 1970 on: years begin in March, so that the leap day is a year's last.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn missing() -> Fault {
    Fault::forbidden(
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
    )
}

fn incomplete(message: &str) -> Fault {
    Fault::new("IncompleteSignatureException", message)
}

fn invalid(message: &str) -> Fault {
    Fault::forbidden("InvalidSignatureException", message)
}

/// Headers of a `POST /` that is signed right.
#[cfg(test)]
pub(crate) fn signed_post(
    (key_id, secret): (&str, &str),
    session_token: Option<&str>,
    time_text: &str,
    scope: &str,
    target: Option<&str>,
    body: &[u8],
) -> HeaderMap {
    let mut names = vec!["host", "x-amz-date"];
    let mut headers = HeaderMap::new();
    headers.insert("host", "localhost:8080".parse().unwrap());
    headers.insert("x-amz-date", time_text.parse().unwrap());
    if let Some(token) = session_token {
        headers.insert("x-amz-security-token", token.parse().unwrap());
        names.push("x-amz-security-token");
    }
    if let Some(target) = target {
        headers.insert("x-amz-target", target.parse().unwrap());
        names.push("x-amz-target");
    }
    let names = names.join(";");
    let text = |signature: &str| {
        let date = &time_text[..8];
        format!(
            "{ALGORITHM} Credential={key_id}/{date}/{scope}/aws4_request, SignedHeaders={names}, Signature={signature}"
        )
    };
    let mut unsigned = headers.clone();
    unsigned.insert("authorization", text(&"0".repeat(64)).parse().unwrap());
    let signed = Signed::read(&unsigned).unwrap();
    let request = Request {
        method: "POST",
        path: "/",
        query: "",
        headers: &unsigned,
        body,
    };
    let signature = signed.sign(&signed.canonical_request(&request).unwrap(), secret);
    headers.insert("authorization", text(&hex(&signature)).parse().unwrap());
    headers
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn headers(list: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        headers
    }

    fn authorization(service: &str, signed: &str, signature: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/{service}/aws4_request, \
             SignedHeaders={signed}, Signature={signature}"
        )
    }

    fn verify(method: &str, path: &str, query: &str, headers: &HeaderMap) -> Result<(), Fault> {
        let signed = Signed::read(headers)?;
        let request = Request {
            method,
            path,
            query,
            headers,
            body: b"",
        };
        signed.check_signature(&request, SECRET)
    }

    /// From AWS's published test suite and from the signing example of its general reference.
    #[test]
    fn the_published_examples_are_accepted() {
        let vectors = [
            (
                "GET",
                "/",
                "",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "POST",
                "/",
                "",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "GET",
                "/",
                "Param2=value2&Param1=value1",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
        ];
        for (method, path, query, signature) in vectors {
            let headers = headers(&[
                ("host", "example.amazonaws.com"),
                ("x-amz-date", "20150830T123600Z"),
                (
                    "authorization",
                    &authorization("service", "host;x-amz-date", signature),
                ),
            ]);
            verify(method, path, query, &headers).unwrap();
            verify("PUT", path, query, &headers).unwrap_err();
        }
        let signature = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
        let headers = headers(&[
            ("host", "iam.amazonaws.com"),
            (
                "content-type",
                "application/x-www-form-urlencoded; charset=utf-8",
            ),
            ("x-amz-date", "20150830T123600Z"),
            (
                "authorization",
                &authorization("iam", "content-type;host;x-amz-date", signature),
            ),
        ]);
        verify("GET", "/", "Action=ListUsers&Version=2010-05-08", &headers).unwrap();
    }

    #[test]
    fn paths_queries_and_values_have_one_form() {
        for (path, form) in [
            ("/", "/"),
            ("", "/"),
            ("//", "/"),
            ("/./a/../b//c/", "/b/c/"),
            ("/../..", "/"),
            ("/a%20b", "/a%2520b"),
            ("/~-._", "/~-._"),
            ("/a/", "/a/"),
        ] {
            assert_eq!(canonical_path(path), form, "{path:?}");
        }
        for (query, form) in [
            ("", ""),
            ("b&a=2&a=1&a", "a=&a=1&a=2&b="),
            ("a=b=c", "a=b=c"),
            ("%C3%A9=1&A=2", "%C3%A9=1&A=2"),
        ] {
            assert_eq!(canonical_query(query), form, "{query:?}");
        }
        let headers = headers(&[("x", "  a   b "), ("x", "c")]);
        assert_eq!(canonical_values(&headers, "x"), b"a b,c");
    }

    #[test]
    fn times_are_read_exactly() {
        let seconds = |text: &str| {
            parse_time(text).map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_secs())
        };
        assert_eq!(seconds("19700101T000000Z"), Some(0));
        assert_eq!(seconds("20150830T123600Z"), Some(1_440_938_160));
        assert_eq!(seconds("20240229T235959Z"), Some(1_709_251_199));
        assert_eq!(seconds("20000301T000000Z"), Some(951_868_800));
        for bad in [
            "",
            "20150830T123600",
            "20150830 123600Z",
            "+0150830T123600Z",
            "20151330T123600Z",
            "20150800T123600Z",
            "20150830T243600Z",
            "20150830T126000Z",
            "2015083éT12360Z",
        ] {
            assert_eq!(seconds(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn scope_and_time_are_checked() {
        let headers = headers(&[
            ("host", "h"),
            ("x-amz-date", "20150830T123600Z"),
            (
                "authorization",
                &authorization("glue", "host;x-amz-date", &"0".repeat(64)),
            ),
        ]);
        let signed = Signed::read(&headers).unwrap();
        let scope = |service, regions| signed.check_scope(&Scope { service, regions });
        scope("glue", &["eu-west-1", "us-east-1"]).unwrap();
        assert!(
            scope("sts", &["us-east-1"])
                .unwrap_err()
                .message
                .contains("correct service: 'sts'")
        );
        assert!(
            scope("glue", &["eu-west-1"])
                .unwrap_err()
                .message
                .contains("not 'us-east-1'")
        );
        let at = |seconds: u64| signed.check_time(UNIX_EPOCH + Duration::from_secs(seconds));
        at(1_440_938_160 + 300).unwrap();
        at(1_440_938_160 - 300).unwrap();
        assert!(
            at(1_440_938_160 + 301)
                .unwrap_err()
                .message
                .starts_with("Signature expired")
        );
        assert!(
            at(1_440_938_160 - 301)
                .unwrap_err()
                .message
                .starts_with("Signature not yet current")
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_name() {
        let name = |text: &str| {
            let headers = headers(&[
                ("host", "h"),
                ("x-amz-date", "20150830T123600Z"),
                ("authorization", text),
            ]);
            verify("POST", "/", "", &headers).unwrap_err().name
        };
        let good = authorization("glue", "host;x-amz-date", &"0".repeat(64));
        assert_eq!(name(&good), "InvalidSignatureException");
        for bad in [
            String::new(),
            "AWS4-HMAC-SHA256".to_owned(),
            good.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
            good.replace("Signature=0", "Signature=A"),
            good.replace("Signature=0", "Signature="),
            good.replace("/aws4_request", ""),
            good.replace("20150830/", "2015083/"),
            good.replace("AKIDEXAMPLE", ""),
            good.replace("host;x-amz-date", "x-amz-date;host"),
            good.replace("host;x-amz-date", "Host;x-amz-date"),
            good.replace("host;x-amz-date", "host;host;x-amz-date"),
            good.replace("host;x-amz-date", ""),
            format!("{good}, Signature={}", "0".repeat(64)),
            format!("{good}, More=1"),
        ] {
            assert_eq!(name(&bad), "IncompleteSignatureException", "{bad}");
        }
        for unsigned in ["host", "x-amz-date", "host;x-absent;x-amz-date"] {
            assert_eq!(
                name(&good.replace("host;x-amz-date", unsigned)),
                "InvalidSignatureException",
                "{unsigned}"
            );
        }
        let none = Signed::read(&HeaderMap::new()).unwrap_err();
        assert_eq!(none.name, "MissingAuthenticationTokenException");
        let twice = headers(&[("authorization", &good), ("authorization", &good)]);
        assert_eq!(
            Signed::read(&twice).unwrap_err().name,
            "IncompleteSignatureException"
        );
    }
}
