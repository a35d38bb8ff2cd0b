//! What happens to a request: who sends it, whether it may, what it asks for, and what is kept of it.
//!
//! ```text
//! X-Amz-Target: AWSGlue.<Operation>          glue, JSON
//! no target, credential scope of sts or iam  query, XML
//!
//! authenticate ── rate ── input ── count quota ── operation ── audit ── answer
//! ```
//!
//! All of it runs on a thread that may block, since every step asks the store. What panics there is an answer,
//! not an end.

use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Extension, State};
use axum::http::{Extensions, HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tenon_catalog::{Catalog, TenantCatalog};
use tenon_jobs::Jobs;
use tenon_store::Note;
use tracing::Span;

use crate::audit::{self, AuditEntry, AuditLog};
use crate::fault::Fault;
use crate::front::{Held, RequestId, Told};
use crate::glue::{self, Context};
use crate::identity::sigv4::{Request, Scope, Signed};
use crate::identity::{Caller, Denied, Identity, lock};
use crate::model::Model;
use crate::query::{self, Service};
use crate::reach::Reach;
use crate::routes;
use crate::token::Tokens;
use crate::wire;

#[cfg(test)]
mod tests;

/// The region that services without regions are signed for.
const GLOBAL_REGION: &str = "us-east-1";

/// What all requests share.
pub(crate) struct Dispatch {
    identity: Identity,
    catalog: Catalog,
    jobs: Jobs,
    /// The account of a server without accounts.
    account: String,
    region: String,
    reach: Arc<Reach>,
    model: Arc<Model>,
    lists: Tokens,
}

/// A request as it arrived.
struct Call {
    id: String,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    source: Option<IpAddr>,
    /// Whose it is, once that is known.
    account: OnceLock<String>,
    /// Counts the body as long as it is here, also when nobody waits for the answer any more.
    _held: Option<Arc<Held>>,
}

/// What a request is for.
enum Target {
    Glue(String),
    Query(Service, String),
    /// The words of what is not here, and how.
    Unknown(String, u16),
}

impl Dispatch {
    pub(crate) fn new(
        identity: Identity,
        model: Model,
        account: String,
        region: String,
        reach: Reach,
        lists: [u8; 32],
        jobs: Jobs,
    ) -> Self {
        Self {
            catalog: identity.catalog(),
            jobs,
            identity,
            account,
            region,
            reach: Arc::new(reach),
            model: Arc::new(model),
            lists: Tokens::new(lists),
        }
    }

    /// Everything that is no route of its own.
    pub(crate) fn router(self) -> Router {
        Router::new().fallback(serve).with_state(Arc::new(self))
    }

    fn answer(&self, call: &Call) -> Response {
        let target = Target::of(call);
        let outcome = self.perform(call, &target);
        if let Err(fault) = &outcome {
            let (name, request_id) = (fault.name, &call.id);
            tracing::debug!(request_id, name, "a request was refused");
        }
        let told = Told {
            operation: match &target {
                Target::Query(_, operation) => query::known(operation),
                Target::Glue(_) | Target::Unknown(..) => None,
            },
            account: call.account.get().cloned(),
            outcome: outcome.as_ref().err().map(|fault| fault.name),
        };
        let mut response = match target {
            Target::Query(service, operation) => {
                query::answer(service, &operation, outcome, &call.id)
            }
            Target::Glue(_) | Target::Unknown(..) => wire::answer(outcome, &call.id),
        };
        response.extensions_mut().insert(told);
        response
    }

    fn perform(&self, call: &Call, target: &Target) -> Result<Value, Fault> {
        let is_mutation = target.is_mutation();
        // Nothing is read of the body of whoever is not known.
        let caller = match self.authenticate(call, target, is_mutation) {
            Ok(caller) => caller,
            Err(denied) => return Err(self.denied(call, target, denied)),
        };
        let _ = call.account.set(caller.account.clone());
        if !self.identity.admits(&caller) {
            // Not written down: what is refused to save work must not make work.
            return Err(Fault::new("ThrottlingException", "Rate exceeded"));
        }
        let input = target.input(&call.body);
        let entry = is_mutation.then(|| AuditEntry {
            principal: caller.principal.arn.clone(),
            access_key: caller.principal.access_key.clone(),
            ..self.entry(call, target, &input)
        });
        let tenant = caller.tenant;
        let note = match &entry {
            Some(entry) => Some(Arc::new(AuditLog::note(entry)?)),
            None => None,
        };
        let outcome = input.and_then(|input| self.run(call, target, input, caller, note.clone()));
        if let Some((entry, note)) = entry.zip(note) {
            self.conclude(tenant, entry, &note, &outcome);
        }
        outcome
    }

    fn authenticate(&self, call: &Call, target: &Target, once: bool) -> Result<Caller, Denied> {
        let request = Request {
            method: call.method.as_str(),
            path: call.uri.path(),
            query: call.uri.query().unwrap_or_default(),
            headers: &call.headers,
            body: &call.body,
        };
        let (service, regions): (_, &[&str]) = match target {
            Target::Glue(_) | Target::Unknown(..) => ("glue", &[&self.region]),
            Target::Query(Service::Sts, _) => ("sts", &[&self.region, GLOBAL_REGION]),
            Target::Query(Service::Iam, _) => ("iam", &[GLOBAL_REGION]),
        };
        let scope = Scope { service, regions };
        self.identity
            .authenticate(&request, &scope, &self.account, once)
    }

    fn run(
        &self,
        call: &Call,
        target: &Target,
        input: Value,
        caller: Caller,
        note: Option<Arc<Note>>,
    ) -> Result<Value, Fault> {
        let catalog = self.catalog.tenant(caller.tenant);
        let jobs = self.jobs.tenant(caller.tenant);
        let quotas = caller.quotas;
        let (jobs, noted) = match note {
            Some(note) => (
                jobs.with_note(Arc::clone(&note)),
                catalog.clone().with_note(note),
            ),
            None => (jobs, catalog.clone()),
        };
        let context = Context {
            catalog: noted,
            jobs,
            invocation: wire::invocation(&call.headers),
            catalog_id: caller.account.clone(),
            account: caller.account,
            region: self.region.clone(),
            tokens: self.lists.of_tenant(caller.tenant),
            model: Arc::clone(&self.model),
            principal: caller.principal,
            request_id: call.id.clone(),
            identity: self.identity.clone(),
            reach: Arc::clone(&self.reach),
        };
        let work = || match target {
            Target::Glue(operation) => {
                let limit = match operation.as_str() {
                    "CreateDatabase" => quotas.databases.map(|limit| (limit, Counted::Databases)),
                    "CreateTable" => quotas.tables.map(|limit| (limit, Counted::Tables)),
                    _ => None,
                };
                let creating = limit.map(|_| self.identity.creating(caller.tenant));
                let _creating = creating.as_deref().map(lock);
                if let Some((limit, counted)) = limit {
                    counted.check(&catalog, limit)?;
                }
                glue::perform(&context, operation, input)
            }
            Target::Query(service, operation) => {
                query::perform(*service, operation, &context, &self.identity, &input)
            }
            Target::Unknown(what, status) => Err(routes::unknown(what, *status)),
        };
        // Whatever unwinds has changed nothing but the store, whose transactions are whole.
        let outcome = catch_unwind(AssertUnwindSafe(work));
        let outcome = outcome.unwrap_or_else(|_| Err(Fault::internal("an operation panicked")));
        if outcome.as_ref().is_err_and(|fault| fault.status >= 500) {
            let (request_id, operation) = (&context.request_id, target.name());
            tracing::error!(request_id, operation, "an operation failed");
        }
        outcome
    }

    /// What is known of a request before it is known who sends it.
    fn entry(&self, call: &Call, target: &Target, input: &Result<Value, Fault>) -> AuditEntry {
        let outcome = if target.has_steps() {
            audit::BEGUN
        } else {
            audit::SUCCESS
        };
        AuditEntry {
            time_unix_millis: audit::unix_millis(self.identity.audit_log().clock.now()),
            request_id: call.id.clone(),
            principal: "anonymous".to_owned(),
            access_key: None,
            source: call.source.map(|address| address.to_string()),
            operation: target.name(),
            resource: input.as_ref().map(audit::resource).unwrap_or_default(),
            outcome: outcome.to_owned(),
        }
    }

    /// Writes what the transaction of the change did not.
    fn conclude(
        &self,
        tenant: tenon_catalog::Tenant,
        mut entry: AuditEntry,
        note: &Note,
        outcome: &Result<Value, Fault>,
    ) {
        let said = match outcome {
            Ok(answer) if answer.get("Errors").is_some() => audit::PARTIAL,
            Ok(_) => audit::SUCCESS,
            Err(fault) => fault.name,
        };
        let log = self.identity.audit_log();
        if !note.is_written() || said != entry.outcome {
            said.clone_into(&mut entry.outcome);
            report(&entry, log.write(tenant, &entry));
        }
    }

    /// A refused caller is in the log of the account whose key it named, if there is one: a few times a minute, so
    /// that the body is read no more often.
    fn denied(&self, call: &Call, target: &Target, denied: Denied) -> Fault {
        let Denied { fault, claimed } = denied;
        let name = fault.name;
        tracing::warn!(name, ?claimed, "a caller was refused");
        if let Some((tenant, key)) = claimed.filter(|_| target.is_mutation()) {
            let entry = AuditEntry {
                access_key: Some(key),
                outcome: name.to_owned(),
                ..self.entry(call, target, &target.input(&call.body))
            };
            report(&entry, self.identity.audit_log().write(tenant, &entry));
        }
        fault
    }
}

/// The audit log has a hole when it cannot be written: then the server's log has what belongs there.
fn report<T>(entry: &AuditEntry, outcome: Result<T, crate::IdentityError>) {
    if let Err(error) = outcome {
        tracing::error!(?entry, %error, "the audit log cannot be written");
    }
}

/// What a quota counts.
#[derive(Clone, Copy)]
enum Counted {
    Databases,
    Tables,
}

impl Counted {
    /// Counting reads what is counted; accounts without a quota do not pay for it.
    fn check(self, catalog: &TenantCatalog, limit: u32) -> Result<(), Fault> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let (what, count) = match self {
            Self::Databases => ("databases", catalog.count_databases(most)?),
            Self::Tables => ("tables", catalog.count_tables(most)?),
        };
        if count < most {
            return Ok(());
        }
        Err(Fault::new(
            "ResourceNumberLimitExceededException",
            format!("the account may have {limit} {what} and has as many"),
        ))
    }
}

impl Target {
    fn of(call: &Call) -> Self {
        if call.uri.path() != "/" {
            return Self::Unknown(call.uri.path().to_owned(), 404);
        }
        if call.method != Method::POST {
            return Self::Unknown(format!("{} /", call.method), 405);
        }
        match wire::operation(&call.headers) {
            Some(Ok(operation)) => return Self::Glue(operation.to_owned()),
            Some(Err(target)) => return Self::Unknown(target.to_owned(), 400),
            None => {}
        }
        let signed = Signed::read(&call.headers).ok();
        match signed.and_then(|signed| Service::of_scope(signed.service)) {
            Some(service) => {
                let input = query::input(&call.body).unwrap_or_default();
                let action = input.get("Action").and_then(Value::as_str);
                let name =
                    action.filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
                Self::Query(service, name.unwrap_or("(none)").to_owned())
            }
            None => Self::Unknown("(none)".to_owned(), 400),
        }
    }

    /// With the service, as policies name it.
    fn name(&self) -> String {
        match self {
            Self::Glue(operation) => format!("glue:{operation}"),
            Self::Query(service, operation) => format!("{}:{operation}", service.name()),
            Self::Unknown(what, _) => what.clone(),
        }
    }

    fn input(&self, body: &Bytes) -> Result<Value, Fault> {
        match self {
            Self::Glue(_) => wire::input(body),
            Self::Query(..) => query::input(body),
            Self::Unknown(..) => Ok(Value::Null),
        }
    }

    fn is_mutation(&self) -> bool {
        match self {
            Self::Glue(operation) => glue::is_mutation(operation),
            Self::Query(_, operation) => query::is_mutation(operation),
            Self::Unknown(..) => false,
        }
    }

    fn has_steps(&self) -> bool {
        matches!(self, Self::Glue(operation) if glue::has_steps(operation))
    }
}

async fn serve(
    State(dispatch): State<Arc<Dispatch>>,
    Extension(RequestId(id)): Extension<RequestId>,
    extensions: Extensions,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    let call = Call {
        id: id.to_string(),
        method,
        uri,
        headers,
        body,
        source: peer.map(|ConnectInfo(address)| address.ip()),
        account: OnceLock::new(),
        _held: extensions.get().cloned(),
    };
    let span = Span::current();
    let work = move || span.in_scope(|| dispatch.answer(&call));
    match tokio::task::spawn_blocking(work).await {
        Ok(response) => response,
        Err(failed) => {
            tracing::error!(%failed, "a request was not answered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
