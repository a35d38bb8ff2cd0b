//! The requests of plugins over HTTP, sent by [`tenon_connect`] to the origins that were granted.

use tenon_connect::{HttpClient, HttpError, Origin};
use tenon_host::{Http, HttpAnswer, HttpFailure, HttpRequest, HttpResponse};

/// What one plugin of a run may reach.
#[derive(Debug)]
pub(crate) struct GrantedHttp(HttpClient);

impl GrantedHttp {
    pub(crate) fn new(origins: Vec<Origin>) -> Self {
        Self(HttpClient::new(origins))
    }
}

impl Http for GrantedHttp {
    fn send(&self, request: HttpRequest, most_bytes: usize) -> HttpAnswer {
        let client = self.0.clone();
        let work = move || send(&client, request, most_bytes);
        // A run that is cancelled does not wait for it; it ends by itself, at the latest when its time is over.
        let answer = tokio::task::spawn_blocking(work);
        Box::pin(async {
            answer
                .await
                .unwrap_or_else(|e| Err(HttpFailure::Unreachable(e.to_string())))
        })
    }
}

fn send(
    client: &HttpClient,
    request: HttpRequest,
    most_bytes: usize,
) -> Result<HttpResponse, HttpFailure> {
    let HttpRequest {
        method,
        url,
        headers,
        body,
    } = request;
    let answer = client.send(&method, &url, &headers, body, most_bytes);
    let (head, body) = answer.map_err(failure)?.into_parts();
    let text = |(name, value): (&_, &_)| header(name, value);
    Ok(HttpResponse {
        status: head.status.as_u16(),
        headers: head.headers.iter().filter_map(text).collect(),
        body,
    })
}

/// A header whose value is text.
fn header(name: &impl ToString, value: &impl AsRef<[u8]>) -> Option<(String, String)> {
    let value = String::from_utf8(value.as_ref().to_vec()).ok()?;
    Some((name.to_string(), value))
}

fn failure(error: HttpError) -> HttpFailure {
    match error {
        HttpError::Denied(why) => HttpFailure::Denied(why),
        HttpError::Invalid(why) => HttpFailure::Invalid(why),
        HttpError::Unreachable(why) => HttpFailure::Unreachable(why),
        HttpError::TooLarge(why) => HttpFailure::TooLarge(why),
    }
}
