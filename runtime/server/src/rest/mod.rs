//! The REST interface, for what Glue has no word for: `/v1`.
//!
//! `/v1/accounts`, `/v1/tokens`, `/v1/plugins` and `/v1/audit` ask for a token, see `asked`; the server about itself asks for none.
//!
//! Every path is declared once, by the attribute above its function, from which the OpenAPI document is made; the routes
//! are checked against the document by a test. The document is served at `/v1/openapi.json` and committed as
//! `docs/openapi.json`, which `examples/openapi.rs` writes.
//!
//! **Adding a path**: a function with its attribute in its noun's file, its name in [`Document`], a line in [`router`], and
//! `cargo run --release -p tenon-server --example openapi`.

mod accounts;
mod asked;
mod audit;
mod backup;
mod bookmarks;
mod events;
mod graphs;
mod jobs;
mod keys;
mod plugins;
pub(crate) mod problem;
mod runs;
mod system;
mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{delete, get, patch, post};
use serde::Serialize;
use serde_json::json;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

pub(crate) use self::asked::bearer;
use self::backup::Backups;
pub(crate) use self::plugins::is_upload;
pub(crate) use self::runs::Runs;
use crate::front::Told;
use crate::health::Health;
use crate::identity::Identity;
use crate::routes;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "tenon",
        description = "What Glue has no word for. Glue itself is at `POST /`, in its own protocol. \
                       More than 16 requests with tokens of one account at the same time are answered 429.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        system::health, system::version, system::operations, system::document, backup::create,
        accounts::list, accounts::create, accounts::get, accounts::delete, accounts::quotas, accounts::set_quotas,
        keys::list, keys::create, keys::change, keys::delete, keys::find,
        tokens::list, tokens::create, tokens::revoke,
        audit::of_account, audit::of_server,
        jobs::get, jobs::put, jobs::delete, runs::jobs, runs::list, runs::start, runs::get, runs::log, runs::stop, events::watch,
        runs::get_by_id, runs::definition, graphs::of_run, bookmarks::get, bookmarks::set, bookmarks::reset,
        plugins::list, plugins::publish, plugins::get, plugins::change,
        plugins::list_of_account, plugins::publish_for_account, plugins::get_of_account, plugins::change_of_account,
    ),
    components(responses(problem::Problem)),
    modifiers(&Token),
    tags(
        (name = "system", description = "The server itself; only what says so asks for a token"),
        (name = "accounts", description = "Accounts, their access keys and quotas"),
        (name = "tokens", description = "Who may use this interface"),
        (name = "audit", description = "Who changed what"),
        (name = "jobs", description = "Jobs and what each node of their runs did"),
        (name = "plugins", description = "Plugins for all accounts and for one"),
    ),
)]
struct Document;

/// How callers say who they are.
struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

/// The OpenAPI document of the REST interface, as JSON.
#[must_use]
pub fn openapi() -> String {
    let mut text = Document::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// Everything below `/v1`.
pub(crate) fn router(health: Arc<Health>, identity: Identity, runs: Runs) -> Router {
    let accounts = Router::new()
        .route("/v1/accounts", get(accounts::list).post(accounts::create))
        .route(
            "/v1/accounts/{account}",
            get(accounts::get).delete(accounts::delete),
        )
        .route(
            "/v1/accounts/{account}/quotas",
            get(accounts::quotas).put(accounts::set_quotas),
        )
        .route(
            "/v1/accounts/{account}/keys",
            get(keys::list).post(keys::create),
        )
        .route(
            "/v1/accounts/{account}/keys/{key}",
            patch(keys::change).delete(keys::delete),
        )
        .route("/v1/keys/{key}", get(keys::find))
        .route("/v1/accounts/{account}/audit", get(audit::of_account))
        .route(
            "/v1/accounts/{account}/plugins",
            get(plugins::list_of_account).post(plugins::publish_for_account),
        )
        .route(
            "/v1/accounts/{account}/plugins/{name}/{version}",
            get(plugins::get_of_account).patch(plugins::change_of_account),
        )
        .route("/v1/plugins", get(plugins::list).post(plugins::publish))
        .route(
            "/v1/plugins/{name}/{version}",
            get(plugins::get).patch(plugins::change),
        )
        .route("/v1/audit", get(audit::of_server))
        .route("/v1/tokens", get(tokens::list).post(tokens::create))
        .route("/v1/tokens/{token}", delete(tokens::revoke))
        .with_state(identity.clone());
    let runs = Router::new()
        .route("/v1/accounts/{account}/jobs", get(runs::jobs))
        .route(
            "/v1/accounts/{account}/jobs/{job}",
            get(jobs::get).put(jobs::put).delete(jobs::delete),
        )
        .route(
            "/v1/accounts/{account}/jobs/{job}/runs",
            get(runs::list).post(runs::start),
        )
        .route(
            "/v1/accounts/{account}/jobs/{job}/runs/{run}",
            get(runs::get),
        )
        .route(
            "/v1/accounts/{account}/jobs/{job}/runs/{run}/log",
            get(runs::log),
        )
        .route(
            "/v1/accounts/{account}/jobs/{job}/runs/{run}/events",
            get(events::watch),
        )
        .route(
            "/v1/accounts/{account}/jobs/{job}/runs/{run}/graph",
            get(graphs::of_run),
        )
        .route(
            "/v1/accounts/{account}/jobs/{job}/runs/{run}/stop",
            post(runs::stop),
        )
        .route("/v1/accounts/{account}/runs/{run}", get(runs::get_by_id))
        .route(
            "/v1/accounts/{account}/runs/{run}/definition",
            get(runs::definition),
        )
        .route(
            "/v1/accounts/{account}/jobs/{job}/bookmark",
            get(bookmarks::get)
                .put(bookmarks::set)
                .delete(bookmarks::reset),
        )
        .with_state(runs);
    let backup = Router::new()
        .route("/v1/backup", post(backup::create))
        .with_state(Backups::new(identity));
    Router::new()
        .route("/v1/health", get(system::health))
        .route("/v1/version", get(system::version))
        .route("/v1/operations", get(system::operations))
        .route("/v1/openapi.json", get(system::document))
        .with_state(health)
        .merge(accounts)
        .merge(backup)
        .merge(runs)
}

/// An answer with a JSON body.
fn answer(operation: &'static str, status: StatusCode, body: &impl Serialize) -> Response {
    let body = serde_json::to_value(body).unwrap_or_else(|_| json!({}));
    named(operation, routes::json(status, &body))
}

fn named(operation: &'static str, mut response: Response) -> Response {
    response.extensions_mut().insert(Told {
        operation: Some(operation),
        ..Told::default()
    });
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_this_one() {
        let committed = include_str!("../../../../docs/openapi.json");
        assert!(openapi() == committed, "run the example openapi again");
    }
}
