//! Connections: create, get, update, delete, list.
//!
//! Secrets of a connection never lie in its record. [`ConnectionInput::split`] parts them from the rest; who
//! creates the connection encrypts them, and they are kept in the tree of secrets under the connection's key,
//! in the same transaction. What is read back as a [`Connection`] holds none.
//! <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-connections.html>

mod model;
mod secret;

use std::collections::BTreeMap;

use tenon_store::{Expected, Tree};

use crate::catalog::{Page, Stored, TenantCatalog};
use crate::error::{Error, Kind, Result};
use crate::model::Timestamp;
use crate::name;
use crate::scope::Transaction;
use crate::stored;
use crate::tag::Tags;

pub use model::{
    AuthenticationConfiguration, Connection, ConnectionInput, OAuth2ClientApplication,
    OAuth2Properties, PhysicalConnectionRequirements,
};
pub use secret::{ConnectionDefinition, is_secret_name};

/// Encrypted secrets of a connection as text, by the place they had in its definition.
pub type SealedSecrets = BTreeMap<String, String>;

/// What is known about a connection beside its definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionWrite {
    /// Its secrets, encrypted.
    pub secrets: SealedSecrets,
    /// Who writes it.
    pub updated_by: Option<String>,
    /// Whether it was tried and found to work.
    pub validated: bool,
}

impl TenantCatalog {
    /// Creates a connection.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::InvalidInput`], [`Error::Store`].
    pub fn create_connection(
        &self,
        definition: ConnectionDefinition,
        write: ConnectionWrite,
        tags: &Tags,
    ) -> Result<Connection> {
        let connection = Connection {
            creation_time: self.now(),
            ..self.connection_of(definition, &write)
        };
        let name = connection.name.clone();
        let key = stored::connection(&name);
        let transaction = self
            .transaction()
            .expect(Tree::Object, key.clone(), Expected::Absent)
            .put_tags(&key, tags)?;
        match self.commit(with_connection(transaction, &connection, &write)?) {
            Ok(()) => Ok(connection),
            Err(error) if error.is_store_conflict() => Err(Error::AlreadyExists {
                kind: Kind::Connection,
                name,
            }),
            Err(error) => Err(error),
        }
    }

    /// The connection called `name`, without its secrets.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub fn get_connection(&self, name: &str) -> Result<Connection> {
        Ok(self.read_connection(name)?.value)
    }

    /// The encrypted secrets of the connection called `name`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub fn connection_secrets(&self, name: &str) -> Result<SealedSecrets> {
        self.read_connection(name)?;
        let found = self.read(Tree::Secret, &stored::connection(name))?;
        Ok(found.map(|found| found.value).unwrap_or_default())
    }

    /// Replaces the connection called `name`: what is left out is gone, secrets as well. It cannot be renamed.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::InvalidInput`], [`Error::Conflict`] when it is changed all the time,
    /// [`Error::Store`].
    pub fn update_connection(
        &self,
        name: &str,
        definition: ConnectionDefinition,
        write: &ConnectionWrite,
    ) -> Result<Connection> {
        if definition.name() != name {
            let new = definition.name();
            return Err(Error::invalid(format!(
                "connection {name} cannot be renamed to {new}"
            )));
        }
        self.change_connection(name, |old| {
            let connection = Connection {
                creation_time: old.value.creation_time,
                last_connection_validation_time: self
                    .validation_time(write)
                    .or(old.value.last_connection_validation_time),
                ..self.connection_of(definition.clone(), write)
            };
            let transaction = self.transaction();
            Ok((
                with_connection(transaction, &connection, write)?,
                connection,
            ))
        })
    }

    /// Notes that the connection called `name` was tried and found to work.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], [`Error::Store`].
    pub fn connection_validated(&self, name: &str) -> Result<Connection> {
        self.change_connection(name, |old| {
            let connection = Connection {
                last_connection_validation_time: self.now(),
                ..old.value.clone()
            };
            let transaction = self.transaction().put(
                Tree::Object,
                stored::connection(name),
                stored::SCHEMA,
                stored::encode(&connection)?,
            );
            Ok((transaction, connection))
        })
    }

    /// Deletes the connection called `name` with its secrets and tags.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub fn delete_connection(&self, name: &str) -> Result<()> {
        let key = stored::connection(name);
        let transaction = self
            .transaction()
            .expect(Tree::Object, key.clone(), Expected::Present)
            .delete(Tree::Secret, key.clone())
            .delete_tagged(key);
        match self.commit(transaction) {
            Err(error) if error.is_store_conflict() => {
                Err(Error::not_found(Kind::Connection, name))
            }
            outcome => outcome,
        }
    }

    /// At most `limit` connections (1 to 1000) in the order of their names; `token` is a page's `next`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn list_connections(&self, token: Option<&str>, limit: usize) -> Result<Page<Connection>> {
        let after = token.map(stored::connection);
        let below = stored::connections();
        let (items, next) = self.list::<Connection>(Tree::Object, &below, after.as_ref(), limit)?;
        let next = next.and_then(|_| items.last().map(|connection| connection.name.clone()));
        Ok(Page { items, next })
    }

    fn change_connection(
        &self,
        name: &str,
        change: impl Fn(&Stored<Connection>) -> Result<(Transaction, Connection)>,
    ) -> Result<Connection> {
        self.retry(Kind::Connection, name, || {
            let old = self.read_connection(name)?;
            let (transaction, connection) = change(&old)?;
            let key = stored::connection(name);
            self.commit(transaction.expect(Tree::Object, key, old.unchanged()))?;
            Ok(connection)
        })
    }

    fn read_connection(&self, connection: &str) -> Result<Stored<Connection>> {
        name::check("connection", connection)?;
        let found = self.read(Tree::Object, &stored::connection(connection))?;
        found.ok_or_else(|| Error::not_found(Kind::Connection, connection))
    }

    fn connection_of(
        &self,
        definition: ConnectionDefinition,
        write: &ConnectionWrite,
    ) -> Connection {
        Connection {
            last_updated_time: self.now(),
            last_updated_by: write.updated_by.clone(),
            last_connection_validation_time: self.validation_time(write),
            ..definition.into_connection()
        }
    }

    fn validation_time(&self, write: &ConnectionWrite) -> Option<Timestamp> {
        write.validated.then(|| self.now()).flatten()
    }
}

/// Writes a connection and its secrets, in place of those it had.
fn with_connection(
    transaction: Transaction,
    connection: &Connection,
    write: &ConnectionWrite,
) -> Result<Transaction> {
    let key = stored::connection(&connection.name);
    let transaction = transaction.put(
        Tree::Object,
        key.clone(),
        stored::SCHEMA,
        stored::encode(connection)?,
    );
    if write.secrets.is_empty() {
        return Ok(transaction.delete(Tree::Secret, key));
    }
    let payload = stored::encode(&write.secrets)?;
    Ok(transaction.put(Tree::Secret, key, stored::SCHEMA, payload))
}
