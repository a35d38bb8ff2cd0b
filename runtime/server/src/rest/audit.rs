//! `/v1/accounts/{account}/audit` and `/v1/audit`: who changed what.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::{Asked, fault, perform};
use super::problem::Problem;
use crate::audit::{AuditEntry, AuditPage, AuditQuery};
use crate::fault::Fault;
use crate::identity::Identity;

/// One request that changed something, or was to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Entry {
    /// When it arrived, in milliseconds since 1970.
    time_unix_millis: u64,
    /// The id in its answer's `x-amzn-RequestId`.
    request_id: String,
    /// Who: an ARN, or `token/` and a token's id, or what a tool calls itself.
    principal: String,
    /// With which access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key: Option<String>,
    /// From which address.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// Service and operation.
    #[schema(example = "glue:CreateTable")]
    operation: String,
    /// Names of what it is about.
    resource: BTreeMap<String, String>,
    /// `Success`, `PartialSuccess`, the exception's name, or `Begun`.
    #[schema(example = "Success")]
    outcome: String,
}

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Entries {
    /// The newest first. There may be none although there are more: then nothing fit among those looked at.
    entries: Vec<Entry>,
    /// Pass it as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl From<AuditEntry> for Entry {
    fn from(entry: AuditEntry) -> Self {
        Self {
            time_unix_millis: entry.time_unix_millis,
            request_id: entry.request_id,
            principal: entry.principal,
            access_key: entry.access_key,
            source: entry.source,
            operation: entry.operation,
            resource: entry.resource,
            outcome: entry.outcome,
        }
    }
}

impl From<AuditPage> for Entries {
    fn from(page: AuditPage) -> Self {
        Self {
            entries: page.entries.into_iter().map(Entry::from).collect(),
            next: page.next,
        }
    }
}

/// What was changed in an account.
#[utoipa::path(
    get, path = "/v1/accounts/{account}/audit", tag = "audit", operation_id = "listAccountAudit",
    security(("token" = [])),
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("from" = Option<u64>, Query, description = "Not before, in milliseconds since 1970"),
        ("until" = Option<u64>, Query, description = "Not after, in milliseconds since 1970"),
        ("principal" = Option<String>, Query, description = "Only this principal"),
        ("operation" = Option<String>, Query, description = "Only this operation, with its service"),
        ("limit" = Option<u64>, Query, description = "Entries of a page, 1 to 1000; 100 if absent"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page, the newest first", body = Entries),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn of_account(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("ListAccountAudit", StatusCode::OK, asked, move |asked| {
        asked.admin_or_owner(&identity)?;
        list(&identity, asked, Some(asked.path("account")))
    })
    .await
}

/// What was changed of accounts, keys and tokens.
#[utoipa::path(
    get, path = "/v1/audit", tag = "audit", operation_id = "listAudit",
    security(("token" = [])),
    params(
        ("from" = Option<u64>, Query, description = "Not before, in milliseconds since 1970"),
        ("until" = Option<u64>, Query, description = "Not after, in milliseconds since 1970"),
        ("principal" = Option<String>, Query, description = "Only this principal"),
        ("operation" = Option<String>, Query, description = "Only this operation, with its service"),
        ("limit" = Option<u64>, Query, description = "Entries of a page, 1 to 1000; 100 if absent"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page, the newest first", body = Entries),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 403, response = Problem),
    ),
)]
pub(crate) async fn of_server(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("ListAudit", StatusCode::OK, asked, move |asked| {
        asked.admin(&identity)?;
        list(&identity, asked, None)
    })
    .await
}

fn list(identity: &Identity, asked: &Asked, account: Option<&str>) -> Result<Entries, Fault> {
    let query = AuditQuery {
        from_unix_millis: asked.number("from")?,
        until_unix_millis: asked.number("until")?,
        principal: asked.query("principal").map(str::to_owned),
        operation: asked.query("operation").map(str::to_owned),
        after: asked.query("after").map(str::to_owned),
        limit: asked.limit()?,
    };
    let page = identity.audit(account, &query).map_err(fault)?;
    Ok(page.into())
}
