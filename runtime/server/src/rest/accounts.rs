//! `/v1/accounts`: accounts and what they may use.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::asked::{Asked, fault, perform};
use super::keys::KeyWithSecret;
use super::problem::Problem;
use crate::identity::{self, Identity};

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Account {
    /// Twelve digits, as in ARNs and in `CatalogId`.
    #[schema(example = "111122223333")]
    id: String,
    /// What people call it.
    #[schema(example = "analytics")]
    name: String,
    /// When it was created, in milliseconds since 1970.
    created_unix_millis: u64,
    /// What it may use.
    quotas: Quotas,
    /// Its things are being deleted and nobody can use it; deleting it again goes on.
    deleting: bool,
}

/// What an account may use. What is absent has no limit.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quotas {
    /// Requests in a second, on average; more are answered with `ThrottlingException`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    requests_per_second: Option<u32>,
    /// Requests at once, when there were few before. Twice the average if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    burst: Option<u32>,
    /// Databases; creating more is answered with `ResourceNumberLimitExceededException`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    databases: Option<u32>,
    /// Tables in all databases together; as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tables: Option<u32>,
    /// Functions in all databases together; as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    functions: Option<u32>,
    /// Connections; as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connections: Option<u32>,
    /// ML transforms; as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ml_transforms: Option<u32>,
    /// Partitions in all tables together; as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partitions: Option<u32>,
    /// Partitions of one table; as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partitions_per_table: Option<u32>,
    /// Versions kept of one table beside its newest; an update that would keep more is answered as above, unless it
    /// says `SkipArchive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    versions_per_table: Option<u32>,
}

/// A page of accounts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accounts {
    /// In the order of their ids.
    accounts: Vec<Account>,
    /// Pass it as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// An account to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAccount {
    /// Twelve digits; drawn if absent.
    id: Option<String>,
    /// What people call it, 1 to 256 characters.
    name: String,
}

/// A created account, with its first access key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedAccount {
    account: Account,
    key: KeyWithSecret,
}

impl From<identity::Account> for Account {
    fn from(account: identity::Account) -> Self {
        Self {
            id: account.id,
            name: account.name,
            created_unix_millis: account.created_unix_millis,
            quotas: account.quotas.into(),
            deleting: account.deleting,
        }
    }
}

impl From<identity::Quotas> for Quotas {
    fn from(quotas: identity::Quotas) -> Self {
        Self {
            requests_per_second: quotas.requests_per_second,
            burst: quotas.burst,
            databases: quotas.databases,
            tables: quotas.tables,
            functions: quotas.functions,
            connections: quotas.connections,
            ml_transforms: quotas.ml_transforms,
            partitions: quotas.partitions,
            partitions_per_table: quotas.partitions_per_table,
            versions_per_table: quotas.versions_per_table,
        }
    }
}

impl From<Quotas> for identity::Quotas {
    fn from(quotas: Quotas) -> Self {
        Self {
            requests_per_second: quotas.requests_per_second,
            burst: quotas.burst,
            databases: quotas.databases,
            tables: quotas.tables,
            functions: quotas.functions,
            connections: quotas.connections,
            ml_transforms: quotas.ml_transforms,
            partitions: quotas.partitions,
            partitions_per_table: quotas.partitions_per_table,
            versions_per_table: quotas.versions_per_table,
        }
    }
}

/// All accounts.
#[utoipa::path(
    get, path = "/v1/accounts", tag = "accounts", operation_id = "listAccounts",
    security(("token" = [])),
    params(
        ("limit" = Option<u64>, Query, description = "Accounts of a page, 1 to 1000; 100 if absent"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of accounts", body = Accounts),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 403, response = Problem),
    ),
)]
pub(crate) async fn list(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("ListAccounts", StatusCode::OK, asked, move |asked| {
        asked.admin(&identity)?;
        let (limit, after) = (asked.limit()?, asked.query("after").unwrap_or_default());
        let all = identity.accounts().map_err(fault)?;
        let mut later = all
            .into_iter()
            .filter(|account| account.id.as_str() > after);
        let accounts: Vec<Account> = later.by_ref().take(limit).map(Account::from).collect();
        let more = later.next().is_some();
        let next = accounts.last().filter(|_| more).map(|last| last.id.clone());
        Ok(Accounts { accounts, next })
    })
    .await
}

/// Creates an account with its first access key, whose secret is shown this once. After the first account every request
/// to Glue must be signed with a key of an account.
#[utoipa::path(
    post, path = "/v1/accounts", tag = "accounts", operation_id = "createAccount",
    security(("token" = [])), request_body = NewAccount,
    responses(
        (status = 201, description = "The account and its key", body = CreatedAccount),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 403, response = Problem),
        (status = 409, response = Problem),
    ),
)]
pub(crate) async fn create(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("CreateAccount", StatusCode::CREATED, asked, move |asked| {
        let by = asked.admin(&identity)?.name;
        let new: NewAccount = asked.body()?;
        let created = identity.create_account(&by, new.id.as_deref(), &new.name);
        let (account, key) = created.map_err(fault)?;
        Ok(CreatedAccount {
            account: account.into(),
            key: key.into(),
        })
    })
    .await
}

/// One account.
#[utoipa::path(
    get, path = "/v1/accounts/{account}", tag = "accounts", operation_id = "getAccount",
    security(("token" = [])),
    params(("account" = String, Path, description = "Twelve digits")),
    responses(
        (status = 200, description = "The account", body = Account),
        (status = 401, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn get(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("GetAccount", StatusCode::OK, asked, move |asked| {
        asked.admin_or_owner(&identity)?;
        let account = identity.account(asked.path("account")).map_err(fault)?;
        Ok(Account::from(account))
    })
    .await
}

/// Deletes an account with its keys, its tokens, its audit log and everything in its catalog.
#[utoipa::path(
    delete, path = "/v1/accounts/{account}", tag = "accounts", operation_id = "deleteAccount",
    security(("token" = [])),
    params(("account" = String, Path, description = "Twelve digits")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn delete(State(identity): State<Identity>, asked: Asked) -> Response {
    perform(
        "DeleteAccount",
        StatusCode::NO_CONTENT,
        asked,
        move |asked| {
            let by = asked.admin(&identity)?.name;
            identity
                .delete_account(&by, asked.path("account"))
                .map_err(fault)
        },
    )
    .await
}

/// What an account may use.
#[utoipa::path(
    get, path = "/v1/accounts/{account}/quotas", tag = "accounts", operation_id = "getQuotas",
    security(("token" = [])),
    params(("account" = String, Path, description = "Twelve digits")),
    responses(
        (status = 200, description = "The quotas", body = Quotas),
        (status = 401, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn quotas(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("GetQuotas", StatusCode::OK, asked, move |asked| {
        asked.admin_or_owner(&identity)?;
        let account = identity.account(asked.path("account")).map_err(fault)?;
        Ok(Quotas::from(account.quotas))
    })
    .await
}

/// Sets all quotas of an account; what is absent has no limit then. They hold from the next request on.
#[utoipa::path(
    put, path = "/v1/accounts/{account}/quotas", tag = "accounts", operation_id = "setQuotas",
    security(("token" = [])), request_body = Quotas,
    params(("account" = String, Path, description = "Twelve digits")),
    responses(
        (status = 200, description = "The quotas", body = Quotas),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 403, response = Problem),
        (status = 404, response = Problem),
    ),
)]
pub(crate) async fn set_quotas(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("SetQuotas", StatusCode::OK, asked, move |asked| {
        let by = asked.admin(&identity)?.name;
        let quotas: identity::Quotas = asked.body::<Quotas>()?.into();
        identity
            .set_quotas(&by, asked.path("account"), quotas)
            .map_err(fault)?;
        Ok(Quotas::from(quotas))
    })
    .await
}
