//! [`Asked`]: a request of the REST interface, who sends it, and how it is answered.
//!
//! Callers send a token: `Authorization: Bearer tn_...`. One of the administrator does everything; one of an account
//! reads what concerns that account. What a caller may not see does not exist for it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tracing::Span;

use super::answer;
use crate::fault::Fault;
use crate::front::{Held, RequestId, Style, Told};
use crate::identity::{BearerToken, Identity, IdentityError, REST_SEATS, TokenScope};
use crate::{query, wire};

/// A request: all of it, since it arrives complete.
pub(crate) struct Asked {
    id: String,
    token: Option<String>,
    path: HashMap<String, String>,
    query: Value,
    body: Bytes,
    /// One of the account whose token it is, until it is answered.
    seat: OnceLock<OwnedSemaphorePermit>,
    _held: Option<Arc<Held>>,
}

impl<S: Send + Sync> axum::extract::FromRequest<S> for Asked {
    type Rejection = Response;

    async fn from_request(request: Request<Body>, state: &S) -> Result<Self, Response> {
        let (mut head, body) = request.into_parts();
        let id = head.extensions.get::<RequestId>();
        let id = id.map(|RequestId(id)| id.to_string()).unwrap_or_default();
        let refuse = |fault| Style::Problem.answer(fault, &id);
        let path = path(&mut head, state).await.map_err(refuse)?;
        let text = head.uri.query().unwrap_or_default().to_owned();
        let query = query::input(&Bytes::from(text))
            .map_err(|_| refuse(Fault::invalid("the query cannot be read")))?;
        // Its size was checked when it arrived.
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        Ok(Self {
            token: bearer(&head.headers).map(str::to_owned),
            id,
            path,
            query,
            body,
            seat: OnceLock::new(),
            _held: head.extensions.get().cloned(),
        })
    }
}

/// The token a request carries.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(str::trim)
}

async fn path<S: Send + Sync>(
    head: &mut Parts,
    state: &S,
) -> Result<HashMap<String, String>, Fault> {
    let found = RawPathParams::from_request_parts(head, state).await;
    let found = found.map_err(|_| Fault::invalid("the path is not text"))?;
    let pairs = found
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(pairs.collect())
}

/// Whoever may do what was asked.
#[derive(Debug)]
pub(crate) struct Caller {
    /// As the audit log names it.
    pub(crate) name: String,
}

impl Asked {
    /// Names the request.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// A part of the path, by its name in the route.
    pub(crate) fn path(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// A member of the query.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .get(name)?
            .as_str()
            .filter(|text| !text.is_empty())
    }

    /// A number of the query.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Fault> {
        let text = self.query(name);
        let number = text.map(str::parse).transpose();
        number.map_err(|_| Fault::invalid(format!("{name} is not a whole number")))
    }

    /// How many items a page may have: 1 to 1000.
    pub(crate) fn limit(&self) -> Result<usize, Fault> {
        match self.number("limit")?.unwrap_or(100) {
            limit @ 1..=1000 => Ok(usize::try_from(limit).unwrap_or(1000)),
            limit => Err(Fault::invalid(format!("limit is {limit}; give 1 to 1000"))),
        }
    }

    /// The body. Members that nobody knows are refused: they may be misspelt.
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        let input = wire::input(&self.body)?;
        serde_json::from_value(input)
            .map_err(|error| Fault::invalid(format!("the body cannot be used: {error}")))
    }

    /// The body as it came.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// Whoever has a token.
    pub(crate) fn anyone(&self, identity: &Identity) -> Result<Caller, Fault> {
        Ok(Caller::of(&self.bearer(identity)?))
    }

    /// An administrator.
    pub(crate) fn admin(&self, identity: &Identity) -> Result<Caller, Fault> {
        let token = self.bearer(identity)?;
        match token.scope {
            TokenScope::Admin => Ok(Caller::of(&token)),
            TokenScope::Account(_) => Err(Fault {
                status: 403,
                name: "AccessDeniedException",
                message: "this takes a token of the administrator".to_owned(),
            }),
        }
    }

    /// An administrator, or someone of the account that the path names.
    pub(crate) fn admin_or_owner(&self, identity: &Identity) -> Result<Caller, Fault> {
        let (token, account) = (self.bearer(identity)?, self.path("account"));
        match &token.scope {
            TokenScope::Account(own) if own != account => {
                Err(fault(IdentityError::not_found("account", account)))
            }
            _ => Ok(Caller::of(&token)),
        }
    }

    fn bearer(&self, identity: &Identity) -> Result<BearerToken, Fault> {
        let refused = |message: &str| Fault {
            status: 401,
            name: "UnauthorizedException",
            message: message.to_owned(),
        };
        let text = self.token.as_deref();
        let text = text.ok_or_else(|| refused("send a token: Authorization: Bearer tn_..."))?;
        let token = identity.check_token(text).map_err(fault)?;
        let token =
            token.ok_or_else(|| refused("the token is unknown, revoked or over; make another"))?;
        if let TokenScope::Account(account) = &token.scope {
            self.sit_down(identity, account)?;
        }
        Ok(token)
    }

    /// An account has so many of the server's threads and no more: what it asks here is not urgent.
    fn sit_down(&self, identity: &Identity, account: &str) -> Result<(), Fault> {
        if self.seat.get().is_some() {
            return Ok(());
        }
        let seat = identity.rest_seats(account).try_acquire_owned();
        let seat = seat.map_err(|_| Fault {
            status: 429,
            name: "ThrottlingException",
            message: format!(
                "{REST_SEATS} requests of the account are under way; ask again after a moment"
            ),
        })?;
        let _ = self.seat.set(seat);
        Ok(())
    }
}

impl Caller {
    fn of(token: &BearerToken) -> Self {
        Self {
            name: format!("token/{}", token.id),
        }
    }
}

/// Does what was asked on a thread that may block, and answers.
pub(crate) async fn perform<T: Serialize + Send + 'static>(
    operation: &'static str,
    success: StatusCode,
    asked: Asked,
    work: impl FnOnce(&Asked) -> Result<T, Fault> + Send + 'static,
) -> Response {
    perform_with(operation, asked, work, |body| match success {
        StatusCode::NO_CONTENT => super::named(operation, success.into_response()),
        _ => answer(operation, success, &body),
    })
    .await
}

/// The same with an answer of another kind than JSON.
pub(crate) async fn perform_with<T: Send + 'static>(
    operation: &'static str,
    asked: Asked,
    work: impl FnOnce(&Asked) -> Result<T, Fault> + Send + 'static,
    respond: impl FnOnce(T) -> Response,
) -> Response {
    let id = asked.id.clone();
    let span = Span::current();
    let work = move || span.in_scope(|| work(&asked));
    let outcome = tokio::task::spawn_blocking(work).await;
    let outcome = outcome.unwrap_or_else(|_| Err(Fault::internal("an operation panicked")));
    match outcome {
        Ok(body) => respond(body),
        Err(fault) => refuse(operation, fault, &id),
    }
}

/// The answer to what is not served.
pub(super) fn refuse(operation: &'static str, fault: Fault, id: &str) -> Response {
    let (status, name) = (fault.status, fault.name);
    let mut response = Style::Problem.answer(fault, id);
    response.extensions_mut().insert(Told {
        operation: Some(operation),
        outcome: Some(name),
        account: None,
    });
    if status == 401 {
        let bearer = HeaderValue::from_static("Bearer");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, bearer);
    }
    response
}

/// What callers of this interface see of an error about accounts.
pub(crate) fn fault(error: IdentityError) -> Fault {
    let (status, name) = match &error {
        IdentityError::NotFound { .. } => (404, "EntityNotFoundException"),
        IdentityError::AlreadyExists { .. } => (409, "AlreadyExistsException"),
        IdentityError::Invalid(_) => (400, "InvalidInputException"),
        _ => return Fault::internal(&error.to_string()),
    };
    Fault {
        status,
        name,
        message: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use tenon_store::{SledStore, StoreConfig, SystemClock};

    use super::*;
    use crate::identity::IdentityConfig;

    fn asked(identity: &Identity, scope: TokenScope) -> Asked {
        let token = identity.create_token("test", "a test's", scope, None);
        Asked {
            id: String::new(),
            token: Some(token.unwrap().text.reveal().to_owned()),
            path: HashMap::new(),
            query: Value::Null,
            body: Bytes::new(),
            seat: OnceLock::new(),
            _held: None,
        }
    }

    #[test]
    fn an_account_has_its_seats_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock);
        let folder = dir.path().join("store");
        let store = SledStore::open(&folder, &StoreConfig::default(), clock.as_ref()).unwrap();
        let config = IdentityConfig::new(dir.path());
        let identity = Identity::open(Arc::new(store), clock, config).unwrap();
        let account = |id: &str| {
            identity.create_account("test", Some(id), "a").unwrap();
            TokenScope::Account(id.to_owned())
        };
        let (busy, other) = (account("111111111111"), account("222222222222"));
        let mut under_way: Vec<Asked> = (0..REST_SEATS)
            .map(|_| asked(&identity, busy.clone()))
            .collect();
        for one in &under_way {
            one.anyone(&identity).unwrap();
            // However often it is looked at.
            one.anyone(&identity).unwrap();
        }
        let more = asked(&identity, busy);
        let refused = more.anyone(&identity).err().unwrap();
        assert_eq!((refused.status, refused.name), (429, "ThrottlingException"));
        asked(&identity, other).anyone(&identity).unwrap();
        asked(&identity, TokenScope::Admin)
            .admin(&identity)
            .unwrap();
        under_way.pop();
        more.anyone(&identity).unwrap();
    }
}
