//! `/v1/accounts/{account}/keys`: what the account's callers sign with. A secret is shown once, when its key is made.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::asked::{Asked, fault, perform};
use super::problem::Problem;
use crate::fault::Fault;
use crate::identity::{AccessKey, Identity, IdentityError, NewKey};

/// An access key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Key {
    /// `AWS_ACCESS_KEY_ID` of a client.
    id: String,
    /// Whose it is.
    account: String,
    /// Whom requests signed with it come from; `root` is the account itself.
    user: String,
    /// When it was made, in milliseconds since 1970.
    created_unix_millis: u64,
    /// Requests signed with a disabled key are refused.
    enabled: bool,
}

/// An access key that was made just now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyWithSecret {
    #[serde(flatten)]
    key: Key,
    /// `AWS_SECRET_ACCESS_KEY` of a client. It is never shown again.
    secret: String,
}

/// The keys of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Keys {
    keys: Vec<Key>,
}

/// A key to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForUser {
    /// Whom its requests come from: 1 to 64 letters, digits or `_+=,.@-`; `root` if absent.
    user: Option<String>,
}

/// A change of a key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyChange {
    enabled: bool,
}

impl From<AccessKey> for Key {
    fn from(key: AccessKey) -> Self {
        Self {
            id: key.id,
            account: key.account,
            user: key.user,
            created_unix_millis: key.created_unix_millis,
            enabled: key.enabled,
        }
    }
}

impl From<NewKey> for KeyWithSecret {
    fn from(new: NewKey) -> Self {
        Self {
            secret: new.secret.reveal().to_owned(),
            key: new.key.into(),
        }
    }
}

/// The keys of an account, without their secrets.
#[utoipa::path(
    get, path = "/v1/accounts/{account}/keys", tag = "accounts", operation_id = "listKeys",
    security(("token" = [])),
    params(("account" = String, Path, description = "Twelve digits")),
    responses(
        (status = 200, description = "The keys", body = Keys),
        (status = 401, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn list(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("ListKeys", StatusCode::OK, asked, move |asked| {
        asked.admin_or_owner(&identity)?;
        let keys = identity.keys(asked.path("account")).map_err(fault)?;
        let keys = keys.into_iter().map(Key::from).collect();
        Ok(Keys { keys })
    })
    .await
}

/// A key, of whatever account.
#[utoipa::path(
    get, path = "/v1/keys/{key}", tag = "accounts", operation_id = "findKey",
    security(("token" = [])),
    params(("key" = String, Path, description = "The key's id")),
    responses(
        (status = 200, description = "The key", body = Key),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn find(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("FindKey", StatusCode::OK, asked, move |asked| {
        asked.admin(&identity)?;
        let key = identity.key(asked.path("key")).map_err(fault)?;
        Ok(Key::from(key))
    })
    .await
}

/// Makes a key, whose secret is shown this once.
#[utoipa::path(
    post, path = "/v1/accounts/{account}/keys", tag = "accounts", operation_id = "createKey",
    security(("token" = [])), request_body = ForUser,
    params(("account" = String, Path, description = "Twelve digits")),
    responses(
        (status = 201, description = "The key and its secret", body = KeyWithSecret),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 403, response = Problem),
        (status = 404, response = Problem),
    ),
)]
pub(crate) async fn create(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("CreateKey", StatusCode::CREATED, asked, move |asked| {
        let by = asked.admin(&identity)?.name;
        let wanted: ForUser = asked.body()?;
        let user = wanted.user.as_deref().unwrap_or("root");
        let new = identity.create_key(&by, asked.path("account"), user);
        Ok(KeyWithSecret::from(new.map_err(fault)?))
    })
    .await
}

/// Lets a key be used or not.
#[utoipa::path(
    patch, path = "/v1/accounts/{account}/keys/{key}", tag = "accounts", operation_id = "changeKey",
    security(("token" = [])), request_body = KeyChange,
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("key" = String, Path, description = "The key's id"),
    ),
    responses(
        (status = 200, description = "The key", body = Key),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 403, response = Problem),
        (status = 404, response = Problem),
    ),
)]
pub(crate) async fn change(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("ChangeKey", StatusCode::OK, asked, move |asked| {
        let by = asked.admin(&identity)?.name;
        let change: KeyChange = asked.body()?;
        let key = of_account(&identity, asked)?;
        identity
            .enable_key(&by, &key.id, change.enabled)
            .map_err(fault)?;
        Ok(Key::from(AccessKey {
            enabled: change.enabled,
            ..key
        }))
    })
    .await
}

/// Deletes a key, and with it every session that was begun with it.
#[utoipa::path(
    delete, path = "/v1/accounts/{account}/keys/{key}", tag = "accounts", operation_id = "deleteKey",
    security(("token" = [])),
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("key" = String, Path, description = "The key's id"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn delete(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("DeleteKey", StatusCode::NO_CONTENT, asked, move |asked| {
        let by = asked.admin(&identity)?.name;
        let key = of_account(&identity, asked)?;
        identity.delete_key(&by, &key.id).map_err(fault)
    })
    .await
}

/// The key that the path names, if it is of the account there.
fn of_account(identity: &Identity, asked: &Asked) -> Result<AccessKey, Fault> {
    let id = asked.path("key");
    let keys = identity.keys(asked.path("account")).map_err(fault)?;
    let found = keys.into_iter().find(|key| key.id == id);
    found.ok_or_else(|| fault(IdentityError::not_found("access key", id)))
}
