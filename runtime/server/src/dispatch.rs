//! What happens to a request: who sends it, whether it may, what it asks for, and what is kept of it.
//!
//! ```text
//! X-Amz-Target: AWSGlue.<Operation>          glue, JSON
//! X-Amz-Target: Logs_20140328.<Operation>    logs, JSON
//! no target, credential scope of sts or iam  query, XML
//!
//! authenticate ── rate ── seat ── input ── quota ── operation ── audit ── answer
//! ```
//!
//! All of it runs on a thread that may block, since every step asks the store. One tenant has a share of these threads:
//! when that is in use, its requests wait for a seat without a thread. What panics is an answer, not an end.

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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Span;

use crate::audit::{self, AuditEntry, AuditLog};
use crate::fault::Fault;
use crate::front::{Held, RequestId, Told};
use crate::glue::{self, Context};
use crate::identity::sigv4::{Request, Scope, Signed};
use crate::identity::{Caller, Denied, Identity, Quotas};
use crate::logs;
use crate::model::Model;
use crate::query::{self, Service};
use crate::quota::Wanted;
use crate::reach::Reach;
use crate::routes;
use crate::share::Seats;
use crate::tasks::Tasks;
use crate::token::Tokens;
use crate::wire::{self, Output};

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
    tasks: Tasks,
    model: Arc<Model>,
    logs_model: Model,
    lists: Tokens,
    seats: Seats<tenon_catalog::Tenant>,
}

/// Requests of one tenant that are performed at the same time, a quarter of the threads that tokio has for what blocks.
const SEATS: usize = 128;

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

/// A request whose sender is known.
struct Waiting {
    call: Call,
    target: Target,
    caller: Caller,
}

/// What became of a request on its first thread.
enum Begun {
    Answered(Response),
    /// It needs one of these seats.
    Waits(Box<Waiting>, Arc<Semaphore>),
}

/// What a request is for.
enum Target {
    Glue(String),
    Logs(String),
    Query(Service, String),
    /// The words of what is not here, and how.
    Unknown(String, u16),
}

/// What a [`Dispatch`] is made of.
pub(crate) struct DispatchParts {
    pub(crate) identity: Identity,
    pub(crate) model: Arc<Model>,
    /// The rules of CloudWatch Logs.
    pub(crate) logs_model: Model,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) reach: Reach,
    pub(crate) tasks: Tasks,
    pub(crate) jobs: Jobs,
    /// The key of pagination tokens.
    pub(crate) lists: [u8; 32],
}

impl Dispatch {
    pub(crate) fn new(parts: DispatchParts) -> Self {
        Self {
            catalog: parts.identity.catalog(),
            jobs: parts.jobs,
            identity: parts.identity,
            account: parts.account,
            region: parts.region,
            reach: Arc::new(parts.reach),
            tasks: parts.tasks,
            model: parts.model,
            logs_model: parts.logs_model,
            lists: Tokens::new(parts.lists),
            seats: Seats::new(SEATS),
        }
    }

    /// Begins what a stopped server left undone.
    pub(crate) fn take_up(&self) {
        match self.identity.tenants(&self.account) {
            Ok(tenants) => glue::take_up_indexes(
                tenants
                    .into_iter()
                    .map(|(tenant, _)| self.catalog.tenant(tenant))
                    .collect(),
            ),
            Err(error) => tracing::warn!(%error, "what was left undone cannot be found"),
        }
    }

    /// Everything that is no route of its own.
    pub(crate) fn router(self) -> Router {
        Router::new().fallback(serve).with_state(Arc::new(self))
    }

    /// Performs a request, unless all seats of its tenant are taken.
    fn begin(&self, call: Call) -> Begun {
        let target = Target::of(&call);
        let caller = match self.admit(&call, &target) {
            Ok(caller) => caller,
            Err(fault) => return Begun::Answered(Self::answer(&call, target, Err(fault))),
        };
        let seats = self.seats.of(caller.tenant);
        let waiting = Waiting {
            call,
            target,
            caller,
        };
        match Arc::clone(&seats).try_acquire_owned() {
            Ok(seat) => Begun::Answered(self.finish(waiting, seat)),
            Err(_) => Begun::Waits(Box::new(waiting), seats),
        }
    }

    /// Performs a request that has a seat.
    fn finish(&self, request: Waiting, _seat: OwnedSemaphorePermit) -> Response {
        let Waiting {
            call,
            target,
            caller,
        } = request;
        let outcome = self.perform(&call, &target, caller);
        Self::answer(&call, target, outcome)
    }

    fn answer(call: &Call, target: Target, outcome: Result<Output, Fault>) -> Response {
        if let Err(fault) = &outcome {
            let (name, request_id) = (fault.name, &call.id);
            tracing::debug!(request_id, name, "a request was refused");
        }
        let told = Told {
            operation: match &target {
                Target::Query(_, operation) => query::known(operation),
                Target::Logs(operation) => logs::known(operation),
                Target::Glue(_) | Target::Unknown(..) => None,
            },
            account: call.account.get().cloned(),
            outcome: outcome.as_ref().err().map(|fault| fault.name),
        };
        let mut response = match target {
            Target::Query(service, operation) => {
                query::answer(service, &operation, outcome, &call.id)
            }
            Target::Glue(_) | Target::Logs(_) | Target::Unknown(..) => {
                wire::answer(outcome, &call.id)
            }
        };
        response.extensions_mut().insert(told);
        response
    }

    /// Who sends a request, if it may.
    fn admit(&self, call: &Call, target: &Target) -> Result<Caller, Fault> {
        // Nothing is read of the body of whoever is not known.
        let caller = match self.authenticate(call, target, target.is_mutation()) {
            Ok(caller) => caller,
            Err(denied) => return Err(self.denied(call, target, denied)),
        };
        let _ = call.account.set(caller.account.clone());
        if !self.identity.admits(&caller) {
            // Not written down: what is refused to save work must not make work.
            return Err(Fault::new("ThrottlingException", "Rate exceeded"));
        }
        Ok(caller)
    }

    fn perform(&self, call: &Call, target: &Target, caller: Caller) -> Result<Output, Fault> {
        let is_mutation = target.is_mutation();
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
            Target::Logs(_) => ("logs", &[&self.region]),
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
    ) -> Result<Output, Fault> {
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
            tasks: self.tasks.clone(),
        };
        let work = || match target {
            Target::Glue(operation) => {
                self.within_quotas(operation, &catalog, &quotas, &context, input)
            }
            Target::Logs(operation) => logs::perform(&context, &self.logs_model, operation, input),
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

    /// Performs an operation of Glue if what it creates is within the account's quotas.
    fn within_quotas(
        &self,
        operation: &str,
        catalog: &TenantCatalog,
        quotas: &Quotas,
        context: &Context,
        input: Value,
    ) -> Result<Output, Fault> {
        let wanted = Wanted::of(operation, &input, quotas);
        if wanted.is_empty() {
            let outcome = glue::perform(context, operation, input);
            if glue::deletes(operation) {
                self.identity.usage().of(catalog.tenant()).deleted();
            }
            return outcome;
        }
        let usage = self.identity.usage().of(catalog.tenant());
        let reserved = usage.reserve((catalog, &context.jobs), &wanted)?;
        let outcome = glue::perform(context, operation, input);
        match &outcome {
            Ok(output) => reserved.keep(output.failures as u64),
            // Some of it may have happened: counted when it matters.
            Err(fault) if fault.status >= 500 => {
                reserved.keep(0);
                usage.deleted();
            }
            Err(_) => drop(reserved),
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
        outcome: &Result<Output, Fault>,
    ) {
        let said = match outcome {
            Ok(output) if output.failures > 0 => audit::PARTIAL,
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
            Some(Err(target)) => {
                return match logs::operation(target) {
                    Some(operation) => Self::Logs(operation.to_owned()),
                    None => Self::Unknown(target.to_owned(), 400),
                };
            }
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
            Self::Logs(operation) => format!("logs:{operation}"),
            Self::Query(service, operation) => format!("{}:{operation}", service.name()),
            Self::Unknown(what, _) => what.clone(),
        }
    }

    fn input(&self, body: &Bytes) -> Result<Value, Fault> {
        match self {
            Self::Glue(_) | Self::Logs(_) => wire::input(body),
            Self::Query(..) => query::input(body),
            Self::Unknown(..) => Ok(Value::Null),
        }
    }

    fn is_mutation(&self) -> bool {
        match self {
            Self::Glue(operation) => glue::is_mutation(operation),
            Self::Query(_, operation) => query::is_mutation(operation),
            Self::Logs(_) | Self::Unknown(..) => false,
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
    let begin = {
        let (dispatch, span) = (Arc::clone(&dispatch), span.clone());
        move || span.in_scope(|| dispatch.begin(call))
    };
    let (waiting, seats) = match tokio::task::spawn_blocking(begin).await {
        Ok(Begun::Answered(response)) => return response,
        Ok(Begun::Waits(waiting, seats)) => (waiting, seats),
        Err(failed) => return unanswered(&failed),
    };
    // Nobody closes it.
    let Ok(seat) = seats.acquire_owned().await else {
        return unanswered(&"its seats are gone");
    };
    let finish = move || span.in_scope(|| dispatch.finish(*waiting, seat));
    let finished = tokio::task::spawn_blocking(finish).await;
    finished.unwrap_or_else(|failed| unanswered(&failed))
}

fn unanswered(failed: &dyn std::fmt::Display) -> Response {
    tracing::error!(%failed, "a request was not answered");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}
