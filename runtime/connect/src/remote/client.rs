//! The HTTP client below every remote place: [`Client`].
//!
//! ```text
//! object_store: signs, pages, tries again ─▶ CheckedService ─▶ reqwest ─▶ resolver that checks ─▶ network
//!                                              │ addresses in URLs are checked
//!                                              │ requests, bytes and retries are counted
//!                                              └ no retry beyond the budget
//! ```
//!
//! No proxy of the environment is used unless a connection or the operator names it, nothing is decoded, and only web
//! places follow redirects.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Certificate, NoProxy, Proxy, StatusCode, redirect};

use crate::error::{Error, Result};
use crate::remote::RemoteOptions;
use crate::remote::connection::Connection;
use crate::remote::reach::{NotReached, Reach};
use crate::remote::secret::Secret;
use crate::remote::traffic::Counters;

const CONNECT_TIME: Duration = Duration::from_secs(10);
const MAX_REDIRECTS: usize = 5;

/// Every retry that the place allows has been made. Found again in the causes of the client's error.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{last}; all {budget} retries that a run may make have been made")]
pub(crate) struct BudgetSpent {
    budget: u64,
    last: String,
}

/// What a client is built for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Signed requests to an object store: it redirects only whoever asks in the wrong place.
    Store,
    /// A URL that somebody named.
    Web,
}

/// A client for one connection, given to whatever asks for one.
#[derive(Clone, Debug)]
pub(crate) struct Client(pub(crate) HttpClient);

impl Client {
    pub(crate) fn new(
        connection: &Connection,
        purpose: Purpose,
        reach: &Reach,
        options: &RemoteOptions,
        counters: &Arc<Counters>,
    ) -> Result<Self> {
        let client = reqwest_client(connection, purpose, reach, options)?;
        let bearer = match purpose {
            Purpose::Store => None,
            Purpose::Web => connection.bearer_token.as_ref().map(bearer).transpose()?,
        };
        Ok(Self(HttpClient::new(CheckedService {
            client: HttpClient::new(client),
            reach: reach.clone(),
            counters: Arc::clone(counters),
            bearer,
        })))
    }
}

impl HttpConnector for Client {
    /// What the options say beside certificates and proxies, which this client has its own of, is not ours.
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.0.clone())
    }
}

fn bearer(token: &Secret) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
        .map_err(|_| Error::Invalid("BEARER_TOKEN: it is no token".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn reqwest_client(
    connection: &Connection,
    purpose: Purpose,
    reach: &Reach,
    options: &RemoteOptions,
) -> Result<reqwest::Client> {
    let proxy = proxy(connection, reach)?;
    let resolver = Arc::new(CheckedResolver {
        // What is resolved here then is the proxy alone, which the operator chose.
        reach: match proxy {
            Some(_) => Reach::anywhere(),
            None => reach.clone(),
        },
    });
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("tenon/", env!("CARGO_PKG_VERSION")))
        .http1_only()
        .no_proxy()
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .redirect(redirects(purpose, reach))
        .dns_resolver(resolver)
        .connect_timeout(CONNECT_TIME)
        .read_timeout(options.silence);
    if let Some(pem) = &connection.ca_certificate {
        let certificates = Certificate::from_pem_bundle(pem.as_bytes())
            .ok()
            .filter(|found| !found.is_empty())
            .ok_or_else(|| wrong(connection, "CA_CERTIFICATE", "it holds no PEM certificate"))?;
        for certificate in certificates {
            builder = builder.add_root_certificate(certificate);
        }
    }
    if let Some(proxy) = proxy {
        builder = builder.proxy(proxy);
    }
    builder
        .build()
        .map_err(|e| wrong(connection, "CA_CERTIFICATE", &causes(&e.without_url())))
}

fn wrong(connection: &Connection, property: &str, why: &str) -> Error {
    Error::Invalid(format!(
        "connection {:?}: {property}: {why}",
        connection.name
    ))
}

fn proxy(connection: &Connection, reach: &Reach) -> Result<Option<Proxy>> {
    if connection.proxy.is_some() && !reach.is_anywhere() {
        return Err(Error::Refused(format!(
            "connection {:?}: PROXY: only the operator sets a proxy here",
            connection.name
        )));
    }
    let Some(secret) = reach.proxy().or(connection.proxy.as_ref()) else {
        return Ok(None);
    };
    let proxy = Proxy::all(secret.expose())
        .map_err(|_| wrong(connection, "PROXY", "it is a URL such as http://host:port"))?;
    let direct = connection
        .no_proxy
        .as_deref()
        .filter(|_| reach.is_anywhere());
    Ok(Some(proxy.no_proxy(direct.and_then(NoProxy::from_string))))
}

fn redirects(purpose: Purpose, reach: &Reach) -> redirect::Policy {
    if purpose == Purpose::Store {
        return redirect::Policy::none();
    }
    let reach = reach.clone();
    redirect::Policy::custom(move |attempt| {
        let came_by_tls = attempt.previous().iter().any(|url| url.scheme() == "https");
        if attempt.previous().len() > MAX_REDIRECTS {
            return attempt.error(format!("more than {MAX_REDIRECTS} redirects"));
        }
        if came_by_tls && attempt.url().scheme() != "https" {
            return attempt.error("it redirects from https to http");
        }
        match reach.check_host(attempt.url().host_str().unwrap_or_default()) {
            Ok(()) => attempt.follow(),
            Err(refused) => attempt.error(refused),
        }
    })
}

/// Finds addresses and lets through those that may be connected to. The connection goes to these and to no others.
struct CheckedResolver {
    reach: Reach,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach.clone();
        Box::pin(async move {
            let found = reach.resolve(name.as_str()).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// See the module.
struct CheckedService {
    client: HttpClient,
    reach: Reach,
    counters: Arc<Counters>,
    bearer: Option<HeaderValue>,
}

impl fmt::Debug for CheckedService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckedService")
    }
}

#[async_trait]
impl HttpService for CheckedService {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let host = request.uri().host().unwrap_or_default();
        self.reach.check_host(host).map_err(final_error)?;
        if let Some(bearer) = &self.bearer {
            request.headers_mut().insert(AUTHORIZATION, bearer.clone());
        }
        self.counters.sent(request.body().content_length());
        match self.client.execute(request).await {
            Ok(answer) if is_tried_again(answer.status()) => {
                self.spend(|| format!("it answered {}", answer.status()))?;
                Ok(answer)
            }
            Ok(answer) => Ok(counted(answer, &self.counters)),
            Err(error) => Err(self.failed(error)),
        }
    }
}

impl CheckedService {
    fn failed(&self, error: HttpError) -> HttpError {
        if let Some(refused) = cause::<NotReached>(&error) {
            return final_error(refused.clone());
        }
        let is_tried_again = matches!(
            error.kind(),
            HttpErrorKind::Connect
                | HttpErrorKind::Request
                | HttpErrorKind::Timeout
                | HttpErrorKind::Interrupted
        );
        if !is_tried_again {
            return error;
        }
        match self.spend(|| causes(&error)) {
            Ok(()) => error,
            Err(spent) => spent,
        }
    }

    /// Counts a retry, or says that there is none left.
    fn spend(&self, last: impl Fn() -> String) -> Result<(), HttpError> {
        match self.counters.spend_retry() {
            true => Ok(()),
            false => Err(final_error(BudgetSpent {
                budget: self.counters.budget(),
                last: last(),
            })),
        }
    }
}

/// The answers after which the layers above ask again.
fn is_tried_again(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
}

/// An error of a kind that is not tried again.
fn final_error(error: impl StdError + Send + Sync + 'static) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, error)
}

/// The answer, whose bytes are counted as they come, and whose end before its time is counted as a retry: what is left
/// is then asked for again.
fn counted(answer: HttpResponse, counters: &Arc<Counters>) -> HttpResponse {
    let (head, body) = answer.into_parts();
    let (bytes, cuts) = (Arc::clone(counters), Arc::clone(counters));
    let body = body
        .map_frame(move |frame| {
            bytes.received(frame.data_ref().map_or(0, |data| data.len()));
            frame
        })
        .map_err(move |error| {
            cuts.spend_retry();
            error
        });
    HttpResponse::from_parts(head, HttpResponseBody::new(body))
}

/// The first cause of a type.
pub(crate) fn cause<'a, T: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// An error and what caused it, innermost last, each said once.
pub(crate) fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = error.source();
    }
    text
}
