//! Connections of the catalog, as a node names them: their properties, and their secrets, which only a [`Vault`] opens.
//!
//! ```text
//! node ──Connection = "lake"──▶ catalog: properties, sealed secrets ──Vault──▶ tenon_connect::Connection ──▶ Place
//! ```
//!
//! Properties are those of `Connection::from_properties`, in `ConnectionProperties`, over them those in
//! `SparkProperties`, over them what is secret, which may also stand in `CustomAuthenticationCredentials`. Without a
//! `URL` the connection is for every path of the node's scheme. A node that names a connection uses its keys and no
//! others. No message of this module has a value in it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

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

/// The connection that a node names, for its paths.
pub(crate) async fn open(
    catalog: Option<&TenantCatalog>,
    vault: Option<&Arc<dyn Vault>>,
    name: &str,
    paths: &[PathBuf],
) -> Result<Connection> {
    let Some(catalog) = catalog.cloned() else {
        return Err(Error::not_found(format!(
            "there is no catalog to find connection {name:?} in"
        )));
    };
    let (vault, wanted) = (vault.cloned(), name.to_owned());
    let opened =
        tokio::task::spawn_blocking(move || properties(&catalog, vault.as_deref(), &wanted));
    let mut properties = opened.await.map_err(|e| Error::Io(e.to_string()))??;
    if !properties.contains_key("URL")
        && let Some(scheme) = paths.iter().find_map(|path| scheme(path))
    {
        properties.insert("URL".to_owned(), scheme);
    }
    let pairs = properties
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let connection =
        Connection::from_properties(name, pairs).map_err(|e| Error::Query(e.to_string()))?;
    match paths.iter().find(|path| !connection.serves(path)) {
        None => Ok(connection),
        Some(other) => Err(Error::Query(format!(
            "connection {name:?} is not for {}: its URL, which says what it is for, is another",
            without_query(&other.to_string_lossy())
        ))),
    }
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

fn properties(
    catalog: &TenantCatalog,
    vault: Option<&dyn Vault>,
    name: &str,
) -> Result<BTreeMap<String, String>> {
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
    Ok(properties)
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
