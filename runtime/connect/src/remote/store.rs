//! [`Store`]: one bucket over one connection, and what its errors mean.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use object_store::http::HttpBuilder;
use object_store::{BackoffConfig, ObjectStore, RetryConfig, StaticCredentialProvider};

use crate::error::{Error, Result};
use crate::remote::client::{BudgetSpent, Client, Purpose, cause, causes};
use crate::remote::connection::Connection;
use crate::remote::location::{Location, Scheme, without_query};
use crate::remote::orphans::OpenUploads;
use crate::remote::reach::NotReached;
use crate::remote::secret::Secret;
use crate::remote::{Remote, RemoteOptions};

const MAX_PAUSE: std::time::Duration = std::time::Duration::from_secs(5);
/// Longest text of a server's that an error shows.
const MAX_SAID_BYTES: usize = 300;

/// See the module.
pub(crate) struct Store {
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// Of web places, which are also read without asking for ranges.
    pub(crate) client: Option<Client>,
    /// Where uploads that are open can be listed.
    pub(crate) uploads: Option<OpenUploads>,
    pub(crate) options: RemoteOptions,
    connection: String,
    secrets: Vec<Secret>,
}

impl fmt::Debug for Store {
    /// What is below shows its keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({:?})", self.connection)
    }
}

impl Store {
    pub(super) fn of_bucket(
        location: &Location,
        connection: &Connection,
        remote: &Remote,
    ) -> Result<Self> {
        if location.scheme == Scheme::Memory {
            return Ok(Self::new(
                remote.memory(&location.bucket),
                connection,
                remote,
            ));
        }
        let client = remote.client(connection, Purpose::Store)?;
        let opening = Opening {
            location,
            connection,
            client,
            options: &remote.options,
        };
        let objects = match location.scheme {
            Scheme::Gcs => opening.google(),
            Scheme::Azure => opening.azure(),
            _ => opening.s3(),
        }?;
        let mut store = Self::new(objects, connection, remote);
        if location.scheme == Scheme::S3 {
            store.uploads = Some(OpenUploads::new(location, connection, opening.client));
        }
        Ok(store)
    }

    pub(super) fn of_web(
        location: &Location,
        connection: &Connection,
        client: Client,
        remote: &Remote,
    ) -> Result<Self> {
        let objects = HttpBuilder::new()
            .with_url(&location.bucket)
            .with_http_connector(client.clone())
            .with_retry(retry(&remote.options))
            .build()
            .map_err(|_| Error::NotFound(format!("{}: not a URL", location.root)))?;
        let mut store = Self::new(Arc::new(objects), connection, remote);
        store.client = Some(client);
        Ok(store)
    }

    fn new(objects: Arc<dyn ObjectStore>, connection: &Connection, remote: &Remote) -> Self {
        Self {
            objects,
            client: None,
            uploads: None,
            options: remote.options.clone(),
            connection: connection.name.clone(),
            secrets: connection.secrets(),
        }
    }

    /// The text without anything that is secret in the connection.
    pub(crate) fn blot(&self, text: String) -> String {
        blotted(&self.secrets, text)
    }

    /// What an error of the store's means for whoever wanted to `action` the object or folder called `name`.
    pub(crate) fn failed(
        &self,
        action: &'static str,
        name: &str,
        error: &(dyn StdError + 'static),
    ) -> Error {
        if let Some(refused) = cause::<NotReached>(error) {
            return Error::Refused(format!("{name}: {refused}"));
        }
        let said = self.blot(said(error));
        if is(error, |e| {
            matches!(e, object_store::Error::Precondition { .. })
        }) {
            return Error::Changed(format!(
                "{name}: it was written over while it was read; run again"
            ));
        }
        let status = status(&error.to_string());
        let is_missing =
            |e: &object_store::Error| matches!(e, object_store::Error::NotFound { .. });
        if is(error, is_missing) || status == Some(404) {
            return Error::NotFound(match said.is_empty() || said.starts_with("404") {
                true => format!("{name}: there is no such object"),
                false => format!("{name}: {said}"),
            });
        }
        let is_denied = |e: &object_store::Error| {
            matches!(
                e,
                object_store::Error::PermissionDenied { .. }
                    | object_store::Error::Unauthenticated { .. }
            )
        };
        if is(error, is_denied) || status.is_some_and(|status| status == 401 || status == 403) {
            let keys = match self.connection.as_str() {
                "" => "no connection is used".to_owned(),
                connection => format!("the keys are those of connection {connection:?}"),
            };
            return Error::Denied(format!("cannot {action} {name}: {said}; {keys}"));
        }
        Error::Unavailable(format!("cannot {action} {name}: {said}"))
    }
}

/// A bucket that is to be opened.
struct Opening<'a> {
    location: &'a Location,
    connection: &'a Connection,
    client: Client,
    options: &'a RemoteOptions,
}

impl Opening<'_> {
    fn s3(&self) -> Result<Arc<dyn ObjectStore>> {
        let (location, connection) = (self.location, self.connection);
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&location.bucket)
            .with_region(region(connection))
            .with_http_connector(self.client.clone())
            .with_retry(retry(self.options));
        let (endpoint, is_virtual_hosted) = s3_endpoint(connection, &location.bucket);
        builder = builder.with_virtual_hosted_style_request(is_virtual_hosted);
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        match (&connection.access_key_id, &connection.secret_access_key) {
            (Some(id), Some(secret)) if !connection.anonymous => {
                builder = builder
                    .with_access_key_id(id)
                    .with_secret_access_key(secret.expose());
                if let Some(token) = &connection.session_token {
                    builder = builder.with_token(token.expose());
                }
            }
            _ if connection.anonymous => builder = builder.with_skip_signature(true),
            _ => {
                return Err(no_keys(
                    location,
                    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true for a public bucket, \
                     or use a connection with ACCESS_KEY_ID and SECRET_ACCESS_KEY, or ANONYMOUS",
                ));
            }
        }
        let built = builder.build();
        built.map(shared).map_err(|e| self.unbuilt(&e))
    }

    fn google(&self) -> Result<Arc<dyn ObjectStore>> {
        let (location, connection) = (self.location, self.connection);
        let mut builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name(&location.bucket)
            .with_http_connector(self.client.clone())
            .with_retry(retry(self.options));
        if let Some(endpoint) = &connection.endpoint {
            builder = builder.with_base_url(endpoint);
        }
        // Whatever else is set, credentials are given: the builder would look for some on this machine.
        let token = |token: &str| {
            Arc::new(StaticCredentialProvider::new(GcpCredential {
                bearer: token.to_owned(),
            }))
        };
        builder = if connection.anonymous {
            builder
                .with_credentials(token(""))
                .with_skip_signature(true)
        } else if let Some(key) = &connection.service_account_key {
            builder.with_service_account_key(key.expose())
        } else if let Some(bearer) = &connection.bearer_token {
            builder.with_credentials(token(bearer.expose()))
        } else if let Some(file) = &connection.credentials_file {
            builder.with_application_credentials(file.to_string_lossy())
        } else {
            return Err(no_keys(
                location,
                "set GOOGLE_APPLICATION_CREDENTIALS, or use a connection with SERVICE_ACCOUNT_KEY, BEARER_TOKEN or ANONYMOUS",
            ));
        };
        let built = builder.build();
        built.map(shared).map_err(|e| self.unbuilt(&e))
    }

    fn azure(&self) -> Result<Arc<dyn ObjectStore>> {
        let (location, connection) = (self.location, self.connection);
        let (container, host) = match location.bucket.split_once('@') {
            Some((container, host)) => (container, Some(host)),
            None => (location.bucket.as_str(), None),
        };
        let account = host
            .and_then(|host| host.split('.').next())
            .map(str::to_owned)
            .or_else(|| connection.account.clone())
            .ok_or_else(|| {
                no_keys(
                    location,
                    "name the storage account: set AZURE_STORAGE_ACCOUNT_NAME, or use a connection with ACCOUNT",
                )
            })?;
        let mut builder = MicrosoftAzureBuilder::new()
            .with_account(account)
            .with_container_name(container)
            .with_http_connector(self.client.clone())
            .with_retry(retry(self.options));
        if let Some(endpoint) = &connection.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        builder = if connection.anonymous {
            builder
                .with_bearer_token_authorization("")
                .with_skip_signature(true)
        } else if let Some(key) = &connection.account_key {
            builder.with_access_key(key.expose())
        } else if let Some(token) = &connection.sas_token {
            let pairs = url::form_urlencoded::parse(token.expose().as_bytes());
            builder.with_sas_authorization(pairs.into_owned().collect::<Vec<_>>())
        } else {
            return Err(no_keys(
                location,
                "set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or use a connection with ACCOUNT_KEY, SAS_TOKEN or ANONYMOUS",
            ));
        };
        let built = builder.build();
        built.map(shared).map_err(|e| self.unbuilt(&e))
    }

    fn unbuilt(&self, error: &object_store::Error) -> Error {
        let secrets = self.connection.secrets();
        Error::Invalid(format!(
            "connection {:?}: {}",
            self.connection.name,
            blotted(&secrets, said(error))
        ))
    }
}

fn blotted(secrets: &[Secret], text: String) -> String {
    secrets.iter().fold(text, |text, secret| secret.blot(text))
}

fn shared(store: impl ObjectStore) -> Arc<dyn ObjectStore> {
    Arc::new(store)
}

pub(super) fn region(connection: &Connection) -> &str {
    connection.region.as_deref().unwrap_or("us-east-1")
}

/// The endpoint, if it is not AWS's own, and whether the bucket's name stands in the host's.
pub(super) fn s3_endpoint(connection: &Connection, bucket: &str) -> (Option<String>, bool) {
    // A dot in the bucket's name makes a host that no certificate is for.
    let is_path_style = connection
        .path_style
        .unwrap_or(connection.endpoint.is_some() || bucket.contains('.'));
    let endpoint = match (&connection.endpoint, is_path_style) {
        (Some(endpoint), false) => Some(endpoint.replacen("://", &format!("://{bucket}."), 1)),
        (endpoint, _) => endpoint.clone(),
    };
    (endpoint, !is_path_style)
}

fn retry(options: &RemoteOptions) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: options.retry_pause,
            max_backoff: MAX_PAUSE.max(options.retry_pause),
            base: 2.0,
        },
        max_retries: options.retries,
        retry_timeout: options.retry_time,
    }
}

fn no_keys(location: &Location, what_to_do: &str) -> Error {
    Error::Denied(format!("{}: no keys for it: {what_to_do}", location.name()))
}

/// Whether some cause is an error of the store's that is such.
fn is(error: &(dyn StdError + 'static), such: impl Fn(&object_store::Error) -> bool) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref().is_some_and(&such) {
            return true;
        }
        next = error.source();
    }
    false
}

/// The status of the answer that an error's text tells of.
fn status(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}

/// What an error says, for a person: the code and message of the server's answer, or the innermost words.
fn said(error: &(dyn StdError + 'static)) -> String {
    if let Some(spent) = cause::<BudgetSpent>(error) {
        return shortened(&spent.to_string());
    }
    let text = causes(error);
    let between = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (value, _) = rest.split_once(&format!("</{name}>"))?;
        Some(value.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let said = match (between("Code"), between("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code,
        _ => match text.split_once("status code: ") {
            Some((_, answer)) => first_line(answer),
            None => {
                // Method, URL and times stand before the dash.
                let inner = text
                    .rsplit_once(" - ")
                    .map_or(text.as_str(), |(_, said)| said);
                first_line(inner)
            }
        },
    };
    shortened(&said)
}

/// The first line, without the queries of URLs and without an answer that is a page.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let line = line.split_once(": <").map_or(line, |(status, _)| status);
    let words = line.split(' ').map(|word| match word.contains("://") {
        true => without_query(word),
        false => word,
    });
    let line = words.collect::<Vec<_>>().join(" ");
    line.trim_end_matches([' ', ':']).to_owned()
}

fn shortened(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_SAID_BYTES)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Text(&'static str);

    #[test]
    fn of_an_answer_its_code_and_message_are_said() {
        let of = |text| said(&Text(text));
        insta::assert_snapshot!(of("Generic S3 error: Error performing GET http://h/b?list-type=2 in 12ms - Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?>\n<Error><Code>InvalidAccessKeyId</Code><Message>The key\n does not exist</Message><AWSAccessKeyId>canary</AWSAccessKeyId></Error>"), @"InvalidAccessKeyId: The key does not exist");
        insta::assert_snapshot!(of("Error performing HEAD http://h/b/k?sig=canary in 12ms - Server returned non-2xx status code: 404 Not Found: "), @"404 Not Found");
        insta::assert_snapshot!(of("Error performing GET http://h/k?sig=canary in 1s, after 2 retries, max_retries: 2, retry_timeout: 2s  - HTTP error: error sending request: connection refused"), @"HTTP error: error sending request: connection refused");
        insta::assert_snapshot!(of("bad https://h/k?sig=canary here"), @"bad https://h/k here");
        assert_eq!(status("x status code: 403 Forbidden"), Some(403));
    }

    #[test]
    fn a_bucket_is_in_the_path_or_in_the_host() {
        let of = |properties: &[(&'static str, &'static str)], bucket| {
            let url = [("URL", "s3://")];
            let all = url.iter().chain(properties).copied();
            s3_endpoint(&Connection::from_properties("c", all).unwrap(), bucket)
        };
        let endpoint = ("ENDPOINT", "http://h:1");
        assert_eq!(of(&[], "b"), (None, true));
        assert_eq!(of(&[], "b.c"), (None, false));
        assert_eq!(of(&[endpoint], "b"), (Some("http://h:1".into()), false));
        assert_eq!(
            of(&[endpoint, ("PATH_STYLE", "false")], "b"),
            (Some("http://b.h:1".into()), true)
        );
    }
}
