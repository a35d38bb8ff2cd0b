//! Connections of the catalog, as a node names them: their properties, and their secrets, which only a [`Vault`] opens.
//!
//! ```text
//! node ──Connection = "lake"──▶ catalog: properties, sealed secrets ──Vault──▶ tenon_connect::Connection ──▶ Place
//! ```
//!
//! A node without one of its own whose paths are URLs has the first of the job's connections that is for them. A process
//! that has neither catalog nor vault is given the [`ConnectionProperties`] of those that its job names.
//!
//! Properties are those of `Connection::from_properties`, in `ConnectionProperties`, over them those in
//! `SparkProperties`, over them what is secret, which may also stand in `CustomAuthenticationCredentials`. Without a
//! `URL` the connection is for every path of the node's scheme. A node that names a connection uses its keys and no
//! others. No message of this module has a value in it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tenon_catalog::{Error as CatalogError, TenantCatalog};
use tenon_connect::Connection;

use crate::error::{Error, Result};

/// Opens the secrets of the catalog's connections: whoever has the key. Called where blocking is allowed.
pub trait Vault: Send + Sync {
    /// The secret that was sealed as `place` of the connection called `connection`; none if it was not sealed so.
    ///
    /// # Errors
    /// Why nothing can be opened, without any value.
    fn open(&self, connection: &str, place: &str, sealed: &str) -> Result<Option<String>, String>;
}

/// What a connection says, its secrets in the clear. Its `Debug` shows names only.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionProperties(BTreeMap<String, String>);

impl ConnectionProperties {
    /// Whether paths can be reached through it, which those of databases and brokers are not for.
    #[must_use]
    pub fn is_place(&self, name: &str) -> bool {
        connection(name, self.0.clone(), &[]).is_ok()
    }
}

impl fmt::Debug for ConnectionProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Where connections are found.
#[derive(Clone, Default)]
pub(crate) struct Connections {
    pub(crate) catalog: Option<TenantCatalog>,
    pub(crate) vault: Option<Arc<dyn Vault>>,
    /// By name, instead of those of the catalog.
    pub(crate) given: Arc<BTreeMap<String, ConnectionProperties>>,
}

impl Connections {
    /// The connection of a node that names `own`, or else the first of `of_job` that is for the node's paths.
    pub(crate) async fn of_node(
        &self,
        own: Option<&str>,
        of_job: &[String],
        paths: &[PathBuf],
    ) -> Result<Option<Connection>> {
        if let Some(name) = own {
            let connection = self.open(name, paths).await?;
            return match paths.iter().find(|path| !connection.serves(path)) {
                None => Ok(Some(connection)),
                Some(other) => Err(Error::Query(format!(
                    "connection {name:?} is not for {}: its URL, which says what it is for, is another",
                    without_query(&other.to_string_lossy())
                ))),
            };
        }
        let Some(url) = paths.iter().find(|path| scheme(path).is_some()) else {
            return Ok(None);
        };
        let mut why = String::new();
        for name in of_job {
            match self.open(name, paths).await {
                Ok(connection) if paths.iter().all(|path| connection.serves(path)) => {
                    return Ok(Some(connection));
                }
                Ok(_) => {}
                // One for a database, or one that something is wrong with: another may be for these paths.
                Err(error) => why = format!("; {error}"),
            }
        }
        match of_job {
            [] => Ok(None),
            names => Err(Error::Query(format!(
                "none of the job's connections, {}, is for {}{why}",
                names.join(", "),
                without_query(&url.to_string_lossy())
            ))),
        }
    }

    /// The connection called `name`. Without a `URL` it is for every path of the scheme that the paths have.
    async fn open(&self, name: &str, paths: &[PathBuf]) -> Result<Connection> {
        let properties = match self.given.get(name) {
            Some(given) => given.clone(),
            None => self.look_up(name).await?,
        };
        connection(name, properties.0, paths)
    }

    async fn look_up(&self, name: &str) -> Result<ConnectionProperties> {
        let Some(catalog) = self.catalog.clone() else {
            return Err(Error::not_found(format!(
                "there is no catalog to find connection {name:?} in"
            )));
        };
        let (vault, wanted) = (self.vault.clone(), name.to_owned());
        let opened = tokio::task::spawn_blocking(move || {
            connection_properties(&catalog, vault.as_deref(), &wanted)
        });
        opened.await.map_err(|e| Error::Io(e.to_string()))?
    }
}

fn connection(
    name: &str,
    mut properties: BTreeMap<String, String>,
    paths: &[PathBuf],
) -> Result<Connection> {
    if properties.contains_key("BEARER_TOKEN") && !properties.contains_key("URL") {
        // It is sent as it is, and would be to whatever host a job names.
        return Err(Error::Query(format!(
            "connection {name:?} has a BEARER_TOKEN and no URL: say with URL whom it is for"
        )));
    }
    if !properties.contains_key("URL")
        && let Some(scheme) = paths.iter().find_map(|path| scheme(path))
    {
        properties.insert("URL".to_owned(), scheme);
    }
    let pairs = properties
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    Connection::from_properties(name, pairs).map_err(|e| Error::Query(e.to_string()))
}

/// `s3://` of `s3://bucket/key`.
fn scheme(path: &std::path::Path) -> Option<String> {
    let text = path.to_str()?;
    let (scheme, _) = text.split_once("://")?;
    Some(format!("{scheme}://"))
}

/// A query may hold a token.
fn without_query(path: &str) -> &str {
    path.split(['?', '#']).next().unwrap_or_default()
}

/// What a connection of the catalog says, its secrets opened. Blocks.
///
/// # Errors
/// There is none of that name, or a secret cannot be opened; no value is shown.
pub fn connection_properties(
    catalog: &TenantCatalog,
    vault: Option<&dyn Vault>,
    name: &str,
) -> Result<ConnectionProperties> {
    let failed = |e: CatalogError| match e {
        CatalogError::NotFound { .. } => {
            Error::not_found(format!("there is no connection {name:?} in the catalog"))
        }
        e => Error::Io(format!("connection {name:?} cannot be read: {e}")),
    };
    let connection = catalog.get_connection(name).map_err(failed)?;
    let sealed = catalog.connection_secrets(name).map_err(failed)?;
    let mut properties = connection.connection_properties;
    properties.extend(connection.spark_properties.unwrap_or_default());
    for (place, sealed) in sealed {
        let Some(property) = property_of(&place) else {
            continue;
        };
        let secret = opened(vault, name, &place, &sealed)?;
        properties.insert(property.to_owned(), secret);
    }
    Ok(ConnectionProperties(properties))
}

/// The property that a sealed secret is, if it is one that places are reached by.
fn property_of(place: &str) -> Option<&str> {
    let places = [
        "ConnectionProperties/",
        "SparkProperties/",
        "AuthenticationConfiguration/CustomAuthenticationCredentials/",
    ];
    places.iter().find_map(|before| place.strip_prefix(before))
}

fn opened(vault: Option<&dyn Vault>, name: &str, place: &str, sealed: &str) -> Result<String> {
    let fail = |why: &str| {
        Error::Io(format!(
            "connection {name:?}: {place} cannot be opened: {why}"
        ))
    };
    let Some(vault) = vault else {
        return Err(fail("the key of this server's secrets is not at hand here"));
    };
    let found = vault.open(name, place, sealed).map_err(|why| fail(&why))?;
    found.ok_or_else(|| {
        fail("it was sealed with another key, or for another connection; write it again")
    })
}
