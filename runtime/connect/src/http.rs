//! Places on the web: one request to an origin that somebody was granted, and its whole answer.
//!
//! The client does what it is told and nothing more: no redirect is followed, no proxy of the environment is used, no cookie
//! is kept, no content is decoded. Blocks; call it where blocking is allowed. An address is read once, by the rules
//! that browsers use, and sent as it was read: what was compared with the grants is what is asked for.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use ureq::http;
use url::Url;

/// From connecting to the last byte of the answer.
const TIME: Duration = Duration::from_secs(30);
/// Most bytes of a request's body.
const MAX_REQUEST_BYTES: usize = 16 << 20;
/// Headers that say how a message is carried, which is the client's to say.
const CARRIAGE: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Scheme, host and port: `https://api.example.com`, `http://127.0.0.1:8000`.
///
/// ```
/// use tenon_connect::Origin;
/// let origin: Origin = "https://API.example.com:443/".parse()?;
/// assert_eq!(origin.to_string(), "https://api.example.com");
/// assert!("https://api.example.com/v1".parse::<Origin>().is_err());
/// # Ok::<(), tenon_connect::HttpError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin(String);

impl Origin {
    fn of(url: &Url) -> Self {
        Self(url.origin().ascii_serialization())
    }
}

impl FromStr for Origin {
    type Err = HttpError;

    fn from_str(text: &str) -> Result<Self, HttpError> {
        let url = parsed(text)?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(HttpError::Invalid(format!(
                "{text:?} is more than an origin: write {}",
                Self::of(&url)
            )));
        }
        Ok(Self::of(&url))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The place was not granted.
    #[error("{0}")]
    Denied(String),
    /// It is no request.
    #[error("{0}")]
    Invalid(String),
    /// No answer in time, or none at all.
    #[error("{0}")]
    Unreachable(String),
    /// The answer has more bytes than were allowed.
    #[error("{0}")]
    TooLarge(String),
}

/// A client that reaches some origins and no other.
#[derive(Debug, Clone)]
pub struct HttpClient {
    agent: ureq::Agent,
    granted: Vec<Origin>,
}

impl HttpClient {
    /// A client for these origins.
    #[must_use]
    pub fn new(granted: Vec<Origin>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_global(Some(TIME))
            .user_agent(concat!("tenon/", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            agent: config.into(),
            granted,
        }
    }

    /// Sends a request. The answer's body has at most `most_bytes`; its header names are in lower case, and values that
    /// are no text are left out.
    ///
    /// # Errors
    /// The place was not granted, it is no request, or there was no answer of that size in time.
    pub fn send(
        &self,
        method: &str,
        address: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
        most_bytes: usize,
    ) -> Result<http::Response<Vec<u8>>, HttpError> {
        let url = parsed(address)?;
        self.check_granted(&url)?;
        let request = request(method, &url, headers, &body)?;
        let failed = |e| failure(&url, e);
        let answer = match body.is_empty() {
            true => self
                .agent
                .run(request.body(()).map_err(|e| invalid(&url, &e))?),
            false => self
                .agent
                .run(request.body(body).map_err(|e| invalid(&url, &e))?),
        };
        let (head, mut body) = answer.map_err(failed)?.into_parts();
        let limit = most_bytes as u64;
        let body = body.with_config().limit(limit).read_to_vec();
        Ok(http::Response::from_parts(head, body.map_err(failed)?))
    }

    fn check_granted(&self, url: &Url) -> Result<(), HttpError> {
        let origin = Origin::of(url);
        if self.granted.contains(&origin) {
            return Ok(());
        }
        let granted: Vec<String> = self.granted.iter().map(Origin::to_string).collect();
        Err(HttpError::Denied(match granted.is_empty() {
            true => format!("{origin} was not granted; nothing was"),
            false => format!("{origin} was not granted; granted: {}", granted.join(", ")),
        }))
    }
}

fn request(
    method: &str,
    url: &Url,
    headers: &[(String, String)],
    body: &[u8],
) -> Result<http::request::Builder, HttpError> {
    if !["GET", "POST", "PUT", "DELETE", "HEAD"].contains(&method) {
        return Err(HttpError::Invalid(format!(
            "the method {method:?} is none of GET, POST, PUT, DELETE, HEAD"
        )));
    }
    if !body.is_empty() && !["POST", "PUT"].contains(&method) {
        return Err(HttpError::Invalid(format!("a {method} has no body")));
    }
    if body.len() > MAX_REQUEST_BYTES {
        return Err(HttpError::Invalid(format!(
            "a body of {} bytes; {MAX_REQUEST_BYTES} are allowed",
            body.len()
        )));
    }
    let mut request = http::Request::builder().method(method).uri(url.as_str());
    for (name, value) in headers {
        if CARRIAGE.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(HttpError::Invalid(format!(
                "the header {name:?} is not the plugin's to set"
            )));
        }
        request = request.header(name, value);
    }
    Ok(request)
}

fn parsed(address: &str) -> Result<Url, HttpError> {
    let shown = || shortened(address);
    let url = Url::parse(address)
        .map_err(|e| HttpError::Invalid(format!("{:?} is no address: {e}", shown())))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(HttpError::Invalid(format!(
            "{:?} is neither http nor https",
            shown()
        )));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(HttpError::Invalid(
            "an address has no user name and no password: those are headers".to_owned(),
        ));
    }
    Ok(url)
}

/// An address as far as a person reads it.
fn shortened(address: &str) -> String {
    let end = address.floor_char_boundary(200);
    address[..end].to_owned()
}

fn invalid(url: &Url, why: &dyn fmt::Display) -> HttpError {
    HttpError::Invalid(format!("{}: {why}", place(url)))
}

/// Without the query, which may hold a key.
fn place(url: &Url) -> String {
    shortened(&format!("{}{}", Origin::of(url), url.path()))
}

fn failure(url: &Url, error: ureq::Error) -> HttpError {
    let place = place(url);
    match error {
        ureq::Error::BodyExceedsLimit(limit) => {
            HttpError::TooLarge(format!("{place}: the answer has more than {limit} bytes"))
        }
        ureq::Error::Timeout(what) => HttpError::Unreachable(format!(
            "{place}: no answer within {} s ({what})",
            TIME.as_secs()
        )),
        ureq::Error::Http(e) => HttpError::Invalid(format!("{place}: {e}")),
        other => HttpError::Unreachable(format!("{place}: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> HttpClient {
        HttpClient::new(vec!["http://127.0.0.1:9".parse().unwrap()])
    }

    fn said(method: &str, address: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers: Vec<_> = headers.iter().map(own).collect();
        let answer = client().send(method, address, &headers, body.to_vec(), 10);
        format!("{:?}", answer.unwrap_err())
    }

    #[test]
    fn what_was_not_granted_is_denied_however_it_is_written() {
        for address in [
            "http://127.0.0.1/",
            "https://127.0.0.1:9/",
            "http://localhost:9/",
            "http://127.0.0.1:90/",
            "http://127.0.0.2:9/",
            "http://[::1]:9/",
            "http://example.com:9/127.0.0.1:9",
            "http://127.0.0.1.example.com:9/",
            "http://example.com:9#@127.0.0.1:9",
            "http://example.com:9\\@127.0.0.1:9/",
        ] {
            let said = said("GET", address, &[], b"");
            assert!(
                said.contains("was not granted; granted: http://127.0.0.1:9"),
                "{address}: {said}"
            );
        }
        let nobody = HttpClient::new(Vec::new());
        let said = nobody.send("GET", "http://127.0.0.1:9/", &[], Vec::new(), 10);
        assert!(said.unwrap_err().to_string().ends_with("nothing was"));
    }

    #[test]
    fn other_spellings_of_what_was_granted_are_the_same_place() {
        // Nobody listens there: that is the answer, not a refusal.
        for address in ["http://127.1:9/x?key=secret", "HTTP://0x7f000001:9/"] {
            let said = said("GET", address, &[], b"");
            assert!(said.starts_with("Unreachable"), "{address}: {said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let here = "http://127.0.0.1:9/";
        let invalid = |said: String, words: &str| {
            assert!(
                said.starts_with("Invalid") && said.contains(words),
                "{said}"
            );
        };
        invalid(said("CONNECT", here, &[], b""), "the method");
        invalid(said("GET", here, &[], b"x"), "has no body");
        invalid(
            said("GET", here, &[("Host", "example.com")], b""),
            "not the plugin's to set",
        );
        invalid(
            said("GET", here, &[("transfer-encoding", "chunked")], b""),
            "not the plugin's",
        );
        invalid(
            said("GET", here, &[("x", "a\r\nhost: b")], b""),
            "127.0.0.1:9",
        );
        invalid(
            said("GET", "file:///etc/passwd", &[], b""),
            "neither http nor https",
        );
        invalid(said("GET", "/relative", &[], b""), "is no address");
        invalid(
            said("GET", "http://me:pw@127.0.0.1:9/", &[], b""),
            "no user name",
        );
    }
}
