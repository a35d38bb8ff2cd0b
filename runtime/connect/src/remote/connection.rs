//! [`Connection`]: how a remote place is reached, and with which keys.
//!
//! A connection serves every path that begins with its URL (`s3://`, `s3://bucket/`); of several the longest one is
//! used. They come from properties that somebody stored ([`Connection::from_properties`]) or from the environment of the
//! person at the command line ([`Connections::from_environment`]). What is set is checked here: the clients below take
//! keys into headers without a second look.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::remote::location::{Location, canonical};
use crate::remote::secret::Secret;

/// How one remote place is reached. See [`Connection::from_properties`] for what can be said.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    pub(crate) name: String,
    /// What its paths begin with.
    url: String,
    pub(crate) endpoint: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) path_style: Option<bool>,
    pub(crate) anonymous: bool,
    pub(crate) proxy: Option<Secret>,
    /// Hosts that are reached without the proxy, separated by commas.
    pub(crate) no_proxy: Option<String>,
    /// PEM.
    pub(crate) ca_certificate: Option<String>,
    pub(crate) access_key_id: Option<String>,
    pub(crate) secret_access_key: Option<Secret>,
    pub(crate) session_token: Option<Secret>,
    pub(crate) account: Option<String>,
    pub(crate) account_key: Option<Secret>,
    pub(crate) sas_token: Option<Secret>,
    pub(crate) service_account_key: Option<Secret>,
    /// A file of keys on this machine: from the environment only, a tenant has none.
    pub(crate) credentials_file: Option<PathBuf>,
    pub(crate) bearer_token: Option<Secret>,
}

/// The properties, in the order of the documentation.
const PROPERTIES: &str = "URL ENDPOINT REGION PATH_STYLE ANONYMOUS PROXY CA_CERTIFICATE ACCESS_KEY_ID \
     SECRET_ACCESS_KEY SESSION_TOKEN ACCOUNT ACCOUNT_KEY SAS_TOKEN SERVICE_ACCOUNT_KEY BEARER_TOKEN";

impl Connection {
    /// A connection as it is stored: names and values.
    ///
    /// | property | |
    /// |---|---|
    /// | `URL` | what its paths begin with: `s3://`, `gs://bucket/`, `az://`, `https://host/` |
    /// | `ENDPOINT` | `http://127.0.0.1:9000`, for stores that are not the cloud's own |
    /// | `REGION` | default `us-east-1` |
    /// | `PATH_STYLE` | `true`: the bucket is in the path; default with an endpoint. `false`: in the host's name |
    /// | `ANONYMOUS` | `true`: requests are not signed |
    /// | `PROXY` | `http://host:port`; taken where every address is allowed, elsewhere it is the operator's to set |
    /// | `CA_CERTIFICATE` | PEM of an authority that is trusted beside the system's |
    /// | `ACCESS_KEY_ID`, `SECRET_ACCESS_KEY`, `SESSION_TOKEN` | of S3 |
    /// | `ACCOUNT`, `ACCOUNT_KEY`, `SAS_TOKEN` | of Azure |
    /// | `SERVICE_ACCOUNT_KEY`, `BEARER_TOKEN` | of Google Cloud: the key file's JSON, or a token |
    ///
    /// # Errors
    /// [`Error::Invalid`] names the connection and the property, and never shows a value that may be a secret.
    ///
    /// ```
    /// use tenon_connect::Connection;
    ///
    /// let lake = Connection::from_properties(
    ///     "lake",
    ///     [("URL", "s3://lake/"), ("ACCESS_KEY_ID", "me"), ("SECRET_ACCESS_KEY", "canary")],
    /// )?;
    /// assert!(!format!("{lake:?}").contains("canary"));
    /// # Ok::<(), tenon_connect::Error>(())
    /// ```
    pub fn from_properties<'a>(
        name: &str,
        properties: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self> {
        let mut connection = Self {
            name: name.to_owned(),
            ..Self::default()
        };
        for (property, value) in properties {
            connection
                .set(property, value)
                .map_err(|why| connection.wrong(property, &why))?;
        }
        if !connection.url.contains("://") {
            return Err(connection.wrong(
                "URL",
                "it says which paths the connection is for, such as s3://bucket/",
            ));
        }
        if connection.access_key_id.is_some() != connection.secret_access_key.is_some() {
            return Err(connection.wrong(
                "SECRET_ACCESS_KEY",
                "it goes together with ACCESS_KEY_ID, and one of them is not there",
            ));
        }
        Ok(connection)
    }

    fn set(&mut self, property: &str, value: &str) -> Result<(), String> {
        match property {
            "URL" => self.url = canonical(value),
            "ENDPOINT" => self.endpoint = Some(endpoint(value)?),
            "REGION" => self.region = Some(plain(value)?),
            "PATH_STYLE" => self.path_style = Some(flag(value)?),
            "ANONYMOUS" => self.anonymous = flag(value)?,
            "PROXY" => self.proxy = Some(Secret::new(endpoint_or_login(value)?)),
            "CA_CERTIFICATE" => self.ca_certificate = Some(value.to_owned()),
            "ACCESS_KEY_ID" => self.access_key_id = Some(plain(value)?),
            "SECRET_ACCESS_KEY" => self.secret_access_key = Some(secret(value)?),
            "SESSION_TOKEN" => self.session_token = Some(secret(value)?),
            "ACCOUNT" => self.account = Some(plain(value)?),
            "ACCOUNT_KEY" => self.account_key = Some(secret(value)?),
            "SAS_TOKEN" => self.sas_token = Some(secret(value.trim_start_matches('?'))?),
            // JSON, which has lines; its parser is its check.
            "SERVICE_ACCOUNT_KEY" => self.service_account_key = Some(Secret::new(value)),
            "BEARER_TOKEN" => self.bearer_token = Some(secret(value)?),
            _ => return Err(format!("it is not known; known are {PROPERTIES}")),
        }
        Ok(())
    }

    fn wrong(&self, property: &str, why: &str) -> Error {
        Error::Invalid(format!("connection {:?}: {property}: {why}", self.name))
    }

    /// Whether it is for this path: one that begins with its URL.
    pub fn serves(&self, path: &Path) -> bool {
        let Ok(Some(location)) = Location::parse(path) else {
            return false;
        };
        let (root, whole) = location.canonical();
        self.is_for(&root, &whole)
    }

    /// A connection to a whole bucket serves the bucket itself too.
    fn is_for(&self, root: &str, path: &str) -> bool {
        path.starts_with(&self.url) || self.url.strip_suffix('/') == Some(root)
    }

    /// Everything of it that no text may show.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let single = [
            &self.proxy,
            &self.secret_access_key,
            &self.session_token,
            &self.account_key,
            &self.sas_token,
            &self.service_account_key,
            &self.bearer_token,
        ];
        let mut secrets: Vec<Secret> = single.into_iter().flatten().cloned().collect();
        // A token of several parts may come back in another order, a key in JSON by its member.
        if let Some(token) = &self.sas_token {
            let pairs = url::form_urlencoded::parse(token.expose().as_bytes());
            let signature = pairs.filter(|(name, _)| name == "sig");
            secrets.extend(signature.map(|(_, value)| Secret::new(value.into_owned())));
        }
        if let Some(key) = &self.service_account_key
            && let Ok(key) = serde_json::from_str::<serde_json::Value>(key.expose())
            && let Some(key) = key.get("private_key").and_then(|key| key.as_str())
        {
            secrets.push(Secret::new(key));
        }
        if let Some(proxy) = &self.proxy
            && let Ok(proxy) = url::Url::parse(proxy.expose())
            && let Some(password) = proxy.password()
        {
            secrets.push(Secret::new(password));
        }
        secrets
    }
}

/// The connections that a place may use. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Connections(std::sync::Arc<[Connection]>);

impl Connections {
    /// The connection that serves a path, both with the scheme as we call it: the one whose URL is the longest that
    /// the path begins with.
    pub(crate) fn of(&self, root: &str, path: &str) -> Option<&Connection> {
        self.0
            .iter()
            .filter(|connection| connection.is_for(root, path))
            .max_by_key(|connection| connection.url.len())
    }

    /// What the environment says, in the names that each cloud's own tools use.
    ///
    /// S3: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION` (or
    /// `AWS_DEFAULT_REGION`), `AWS_ENDPOINT_URL_S3` (or `AWS_ENDPOINT_URL`), `AWS_SKIP_SIGNATURE=true` for public
    /// buckets, `AWS_VIRTUAL_HOSTED_STYLE_REQUEST`, `AWS_CA_BUNDLE`. Google Cloud: `GOOGLE_SERVICE_ACCOUNT_KEY`,
    /// `GOOGLE_APPLICATION_CREDENTIALS`. Azure: `AZURE_STORAGE_ACCOUNT_NAME`, `AZURE_STORAGE_ACCOUNT_KEY`,
    /// `AZURE_STORAGE_SAS_TOKEN`. All: `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`.
    ///
    /// `variable` looks one up; a value that is empty counts as not set.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the variable, [`Error::Io`] the file that cannot be read.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let get = |name: &str| variable(name).filter(|value| !value.is_empty());
        let either = |names: [&'static str; 2]| names.into_iter().find(|name| get(name).is_some());
        let mut s3 = Environment::of("s3://", &get);
        s3.take("ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID")?;
        s3.take("SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY")?;
        s3.take("SESSION_TOKEN", "AWS_SESSION_TOKEN")?;
        s3.take("ANONYMOUS", "AWS_SKIP_SIGNATURE")?;
        for (property, names) in [
            ("REGION", ["AWS_REGION", "AWS_DEFAULT_REGION"]),
            ("ENDPOINT", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]),
        ] {
            if let Some(name) = either(names) {
                s3.take(property, name)?;
            }
        }
        s3.take("PATH_STYLE", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST")?;
        s3.connection.path_style = s3.connection.path_style.map(|is_in_host| !is_in_host);
        if let Some(path) = get("AWS_CA_BUNDLE") {
            s3.connection.ca_certificate = Some(read(Path::new(&path))?);
        }
        if s3.connection.access_key_id.is_some() != s3.connection.secret_access_key.is_some() {
            return Err(Error::Invalid(
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together, and one of them is not set"
                    .to_owned(),
            ));
        }
        let mut google = Environment::of("gs://", &get);
        google.take("SERVICE_ACCOUNT_KEY", "GOOGLE_SERVICE_ACCOUNT_KEY")?;
        google.connection.credentials_file =
            get("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from);
        let mut azure = Environment::of("az://", &get);
        azure.take("ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME")?;
        azure.take("ACCOUNT_KEY", "AZURE_STORAGE_ACCOUNT_KEY")?;
        azure.take("SAS_TOKEN", "AZURE_STORAGE_SAS_TOKEN")?;
        let web = Environment::of("https://", &get);
        let plain_web = Environment::of("http://", &get);
        let all = [s3, google, azure, web, plain_web];
        Ok(all
            .into_iter()
            .map(Environment::done)
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .collect())
    }
}

impl FromIterator<Connection> for Connections {
    fn from_iter<T: IntoIterator<Item = Connection>>(connections: T) -> Self {
        Self(connections.into_iter().collect())
    }
}

/// One connection as the environment describes it.
struct Environment<'a> {
    connection: Connection,
    get: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Environment<'a> {
    fn of(url: &str, get: &'a dyn Fn(&str) -> Option<String>) -> Self {
        let connection = Connection {
            name: "environment".to_owned(),
            url: url.to_owned(),
            ..Connection::default()
        };
        Self { connection, get }
    }

    fn take(&mut self, property: &str, variable: &str) -> Result<()> {
        match (self.get)(variable) {
            None => Ok(()),
            Some(value) => self
                .connection
                .set(property, &value)
                .map_err(|why| Error::Invalid(format!("{variable}: {why}"))),
        }
    }

    fn done(mut self) -> Result<Connection> {
        let endpoint = self.connection.endpoint.as_deref();
        let is_plain = endpoint
            .unwrap_or(&self.connection.url)
            .starts_with("http://");
        // Lower case first, as curl does.
        let names = match is_plain {
            true => ["http_proxy", "HTTP_PROXY"],
            false => ["https_proxy", "HTTPS_PROXY"],
        };
        if let Some(name) = names.into_iter().find(|name| (self.get)(name).is_some()) {
            self.take("PROXY", name)?;
        }
        self.connection.no_proxy = (self.get)("no_proxy").or_else(|| (self.get)("NO_PROXY"));
        Ok(self.connection)
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))
}

fn flag(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("it is true or false".to_owned()),
    }
}

/// Goes into a header and a signature.
fn plain(value: &str) -> Result<String, String> {
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(
            "it has visible ASCII characters only, and at least one; is there a line end in it?"
                .to_owned(),
        );
    }
    Ok(value.to_owned())
}

fn secret(value: &str) -> Result<Secret, String> {
    plain(value).map(Secret::new)
}

fn endpoint(value: &str) -> Result<String, String> {
    let url = web_url(value)?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err("it has no user name, no password and no query".to_owned());
    }
    Ok(value.trim_end_matches('/').to_owned())
}

fn endpoint_or_login(value: &str) -> Result<String, String> {
    web_url(value).map(|url| url.to_string())
}

/// Errors do not show the value: a proxy's may hold a password.
fn web_url(value: &str) -> Result<url::Url, String> {
    let wrong = || "it is a URL such as https://host:port".to_owned();
    let url = url::Url::parse(value).map_err(|_| wrong())?;
    match matches!(url.scheme(), "http" | "https") && url.host().is_some() {
        true => Ok(url),
        false => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(properties: &[(&str, &str)]) -> String {
        Connection::from_properties("lake", properties.iter().copied())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn the_longest_url_serves() {
        let named =
            |name: &str, url: &str| Connection::from_properties(name, [("URL", url)]).unwrap();
        let connections: Connections = [
            named("all", "S3://"),
            named("lake", "s3://lake/"),
            named("raw", "s3://lake/raw/"),
            named("near", "s3://la"),
        ]
        .into_iter()
        .collect();
        let of = |root: &str, path: &str| connections.of(root, path).map(|c| c.name.clone());
        assert_eq!(of("s3://lake", "s3://lake/raw/x").as_deref(), Some("raw"));
        assert_eq!(of("s3://lake", "s3://lake/x").as_deref(), Some("lake"));
        assert_eq!(of("s3://lake", "s3://lake").as_deref(), Some("lake"));
        assert_eq!(of("s3://other", "s3://other/x").as_deref(), Some("all"));
        assert_eq!(of("gs://lake", "gs://lake/x"), None);
    }

    #[test]
    fn what_is_wrong_is_named_and_not_shown() {
        let url = ("URL", "s3://");
        insta::assert_snapshot!(refused(&[]), @r#"connection "lake": URL: it says which paths the connection is for, such as s3://bucket/"#);
        insta::assert_snapshot!(refused(&[url, ("SECRET_ACCESS_KEY", "canary\n")]), @r#"connection "lake": SECRET_ACCESS_KEY: it has visible ASCII characters only, and at least one; is there a line end in it?"#);
        insta::assert_snapshot!(refused(&[url, ("SECRET_ACCESS_KEY", "canary")]), @r#"connection "lake": SECRET_ACCESS_KEY: it goes together with ACCESS_KEY_ID, and one of them is not there"#);
        insta::assert_snapshot!(refused(&[url, ("PROXY", "me:canary@proxy")]), @r#"connection "lake": PROXY: it is a URL such as https://host:port"#);
        insta::assert_snapshot!(refused(&[url, ("ENDPOINT", "http://me:canary@host")]), @r#"connection "lake": ENDPOINT: it has no user name, no password and no query"#);
        insta::assert_snapshot!(refused(&[url, ("ANONYMOUS", "yes")]), @r#"connection "lake": ANONYMOUS: it is true or false"#);
        assert!(refused(&[url, ("KEY", "canary")]).contains("KEY: it is not known; known are URL"));
    }

    #[test]
    fn the_environment_is_read_by_the_names_of_its_own_tools() {
        let variables = [
            ("AWS_ACCESS_KEY_ID", "me"),
            ("AWS_SECRET_ACCESS_KEY", "canary"),
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_ENDPOINT_URL", "http://elsewhere:1"),
            ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000/"),
            ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true"),
            ("AWS_SESSION_TOKEN", ""),
            ("HTTPS_PROXY", "http://proxy:1"),
            ("AZURE_STORAGE_SAS_TOKEN", "?sv=1&sig=ca%2Fnary"),
        ];
        let lookup = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let connections = Connections::from_environment(lookup).unwrap();
        let s3 = connections.of("s3://b", "s3://b/x").unwrap();
        assert_eq!(s3.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(s3.region.as_deref(), Some("eu-west-1"));
        assert_eq!(
            (s3.path_style, s3.session_token.is_some()),
            (Some(false), false)
        );
        // The proxy of https is not the proxy of an endpoint without it.
        assert!(s3.proxy.is_none());
        let azure = connections.of("az://b", "az://b/x").unwrap();
        assert!(azure.proxy.is_some());
        assert!(azure.secrets().contains(&Secret::new("ca/nary")));
        assert!(!format!("{connections:?}").contains("nary"));
        let half = |name: &str| (name == "AWS_ACCESS_KEY_ID").then(|| "me".to_owned());
        let error = Connections::from_environment(half).unwrap_err();
        insta::assert_snapshot!(error, @"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together, and one of them is not set");
    }
}
