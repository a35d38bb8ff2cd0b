//! `/v1/tokens`: who may use this interface. A token's text is shown once, when it is made.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::asked::{Asked, fault, perform};
use super::problem::Problem;
use crate::identity::{BearerToken, Identity, NewToken, TokenScope};

/// A token.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Token {
    /// The part of it that may be shown.
    id: String,
    /// What it is for.
    name: String,
    /// The account whose things it reads; absent for the administrator's, which do everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// When it was made, in milliseconds since 1970.
    created_unix_millis: u64,
    /// When it ends, in milliseconds since 1970; absent when it lasts until it is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_unix_millis: Option<u64>,
}

/// A token that was made just now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenWithText {
    #[serde(flatten)]
    token: Token,
    /// What follows `Authorization: Bearer`. It is never shown again.
    text: String,
}

/// All tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tokens {
    tokens: Vec<Token>,
}

/// A token to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WantedToken {
    /// What it is for, up to 256 characters.
    name: String,
    /// The account whose things it reads; if absent it is an administrator's and does everything.
    account: Option<String>,
    /// How long it lasts; if absent until it is revoked.
    #[schema(minimum = 1)]
    lifetime_seconds: Option<u64>,
}

impl From<BearerToken> for Token {
    fn from(token: BearerToken) -> Self {
        Self {
            id: token.id,
            name: token.name,
            account: match token.scope {
                TokenScope::Admin => None,
                TokenScope::Account(account) => Some(account),
            },
            created_unix_millis: token.created_unix_millis,
            expires_unix_millis: token.expires_unix_millis,
        }
    }
}

impl From<NewToken> for TokenWithText {
    fn from(new: NewToken) -> Self {
        Self {
            text: new.text.reveal().to_owned(),
            token: new.token.into(),
        }
    }
}

/// All tokens, also those that have ended.
#[utoipa::path(
    get, path = "/v1/tokens", tag = "tokens", operation_id = "listTokens",
    security(("token" = [])),
    responses(
        (status = 200, description = "The tokens", body = Tokens),
        (status = 401, response = Problem), (status = 403, response = Problem),
    ),
)]
pub(crate) async fn list(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("ListTokens", StatusCode::OK, asked, move |asked| {
        asked.admin(&identity)?;
        let tokens = identity.tokens().map_err(fault)?;
        let tokens = tokens.into_iter().map(Token::from).collect();
        Ok(Tokens { tokens })
    })
    .await
}

/// Makes a token, whose text is shown this once.
#[utoipa::path(
    post, path = "/v1/tokens", tag = "tokens", operation_id = "createToken",
    security(("token" = [])), request_body = WantedToken,
    responses(
        (status = 201, description = "The token and its text", body = TokenWithText),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 403, response = Problem),
        (status = 404, response = Problem),
    ),
)]
pub(crate) async fn create(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("CreateToken", StatusCode::CREATED, asked, move |asked| {
        let by = asked.admin(&identity)?.name;
        let wanted: WantedToken = asked.body()?;
        let scope = wanted
            .account
            .map_or(TokenScope::Admin, TokenScope::Account);
        let lifetime = wanted.lifetime_seconds.map(Duration::from_secs);
        let new = identity.create_token(&by, &wanted.name, scope, lifetime);
        Ok(TokenWithText::from(new.map_err(fault)?))
    })
    .await
}

/// Ends a token.
#[utoipa::path(
    delete, path = "/v1/tokens/{token}", tag = "tokens", operation_id = "revokeToken",
    security(("token" = [])),
    params(("token" = String, Path, description = "The token's id")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn revoke(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("RevokeToken", StatusCode::NO_CONTENT, asked, move |asked| {
        let by = asked.admin(&identity)?.name;
        identity
            .revoke_token(&by, asked.path("token"))
            .map_err(fault)
    })
    .await
}
