//! `/v1/plugins` and `/v1/accounts/{account}/plugins`: the plugins there are, for all accounts and for one.
//!
//! A plugin is a component that says itself what it is called; publishing sends its bytes. What was published stays
//! what it is: a version is written once, and what should not be used any more is yanked, which removes nothing. The
//! registry reads and validates a component; only a run compiles it, elsewhere.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenon_registry::{Error, PluginName, Record, Registry, Version};
use utoipa::ToSchema;

use super::asked::{Asked, fault, perform};
use super::problem::Problem;
use crate::fault::Fault;
use crate::identity::{Identity, IdentityError};

/// One version of a plugin.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Plugin {
    #[schema(example = "find-matches")]
    name: String,
    #[schema(example = "0.1.0")]
    version: String,
    /// `sha256:` and the hash of its bytes.
    digest: String,
    /// The component's size.
    size_bytes: u64,
    /// When it was published, in milliseconds since 1970.
    published_unix_millis: u64,
    /// Only what pins this version or its digest still picks it.
    yanked: bool,
    /// What it says about itself: description, functions, limits, authors.
    #[schema(value_type = Object)]
    manifest: Value,
}

/// A page of plugins.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Plugins {
    /// By name, then from the oldest version to the newest.
    plugins: Vec<Plugin>,
    /// Pass it as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A change of a version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PluginChange {
    /// Whether it is withdrawn.
    yanked: bool,
}

impl Plugin {
    fn of(record: Record) -> Result<Self, Fault> {
        let manifest = serde_json::to_value(&record.manifest);
        Ok(Self {
            name: record.manifest.name.to_string(),
            version: record.manifest.version.to_string(),
            digest: record.digest.to_string(),
            size_bytes: record.size_bytes,
            published_unix_millis: record.installed_unix_millis,
            yanked: record.yanked,
            manifest: manifest.map_err(|error| Fault::internal(&error.to_string()))?,
        })
    }
}

/// Whether a request's body is a plugin, which may be larger than others.
pub(crate) fn is_upload(method: &Method, uri: &Uri) -> bool {
    let mut parts = uri.path().split('/').skip(1);
    let parts = std::array::from_fn(|_| parts.next());
    let place = matches!(
        parts,
        [Some("v1"), Some("plugins"), None, None, None]
            | [Some("v1"), Some("accounts"), Some(_), Some("plugins"), None]
    );
    place && method == Method::POST
}

/// The plugins for all accounts.
#[utoipa::path(
    get, path = "/v1/plugins", tag = "plugins", operation_id = "listPlugins",
    security(("token" = [])),
    params(
        ("limit" = Option<u64>, Query, description = "Versions of a page, 1 to 1000; 100 if absent"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of plugins", body = Plugins),
        (status = 400, response = Problem), (status = 401, response = Problem),
    ),
)]
pub(crate) async fn list(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("ListPlugins", StatusCode::OK, asked, move |asked| {
        asked.anyone(&identity)?;
        page(&open(&identity, None)?, asked)
    })
    .await
}

/// The plugins of an account, beside those for all.
#[utoipa::path(
    get, path = "/v1/accounts/{account}/plugins", tag = "plugins", operation_id = "listAccountPlugins",
    security(("token" = [])),
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("limit" = Option<u64>, Query, description = "Versions of a page, 1 to 1000; 100 if absent"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of plugins", body = Plugins),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn list_of_account(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("ListAccountPlugins", StatusCode::OK, asked, move |asked| {
        asked.admin_or_owner(&identity)?;
        page(&open(&identity, Some(asked.path("account")))?, asked)
    })
    .await
}

/// Publishes a plugin for all accounts: the body is its component. Publishing the same bytes again changes nothing.
#[utoipa::path(
    post, path = "/v1/plugins", tag = "plugins", operation_id = "publishPlugin",
    security(("token" = [])), request_body(content = Vec<u8>, content_type = "application/wasm"),
    responses(
        (status = 201, description = "The version", body = Plugin),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 403, response = Problem),
        (status = 409, response = Problem),
    ),
)]
pub(crate) async fn publish(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("PublishPlugin", StatusCode::CREATED, asked, move |asked| {
        install(&identity, asked, None)
    })
    .await
}

/// Publishes a plugin for one account, as above.
#[utoipa::path(
    post, path = "/v1/accounts/{account}/plugins", tag = "plugins", operation_id = "publishAccountPlugin",
    security(("token" = [])), request_body(content = Vec<u8>, content_type = "application/wasm"),
    params(("account" = String, Path, description = "Twelve digits")),
    responses(
        (status = 201, description = "The version", body = Plugin),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 403, response = Problem),
        (status = 404, response = Problem), (status = 409, response = Problem),
    ),
)]
pub(crate) async fn publish_for_account(
    State(identity): State<Identity>,
    asked: Asked,
) -> Response {
    let operation = "PublishAccountPlugin";
    perform(operation, StatusCode::CREATED, asked, move |asked| {
        install(&identity, asked, Some(asked.path("account")))
    })
    .await
}

/// One version of a plugin for all accounts.
#[utoipa::path(
    get, path = "/v1/plugins/{name}/{version}", tag = "plugins", operation_id = "getPlugin",
    security(("token" = [])),
    params(
        ("name" = String, Path, description = "The plugin's name"),
        ("version" = String, Path, description = "Its whole version"),
    ),
    responses(
        (status = 200, description = "The version", body = Plugin),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn get(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("GetPlugin", StatusCode::OK, asked, move |asked| {
        asked.anyone(&identity)?;
        show(&identity, asked, None)
    })
    .await
}

/// One version of a plugin of an account.
#[utoipa::path(
    get, path = "/v1/accounts/{account}/plugins/{name}/{version}", tag = "plugins", operation_id = "getAccountPlugin",
    security(("token" = [])),
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("name" = String, Path, description = "The plugin's name"),
        ("version" = String, Path, description = "Its whole version"),
    ),
    responses(
        (status = 200, description = "The version", body = Plugin),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn get_of_account(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("GetAccountPlugin", StatusCode::OK, asked, move |asked| {
        asked.admin_or_owner(&identity)?;
        show(&identity, asked, Some(asked.path("account")))
    })
    .await
}

/// Yanks a version of a plugin for all accounts, or takes that back.
#[utoipa::path(
    patch, path = "/v1/plugins/{name}/{version}", tag = "plugins", operation_id = "changePlugin",
    security(("token" = [])), request_body = PluginChange,
    params(
        ("name" = String, Path, description = "The plugin's name"),
        ("version" = String, Path, description = "Its whole version"),
    ),
    responses(
        (status = 200, description = "The version", body = Plugin),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 403, response = Problem),
        (status = 404, response = Problem),
    ),
)]
pub(crate) async fn change(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("ChangePlugin", StatusCode::OK, asked, move |asked| {
        yank(&identity, asked, None)
    })
    .await
}

/// Yanks a version of a plugin of an account, or takes that back.
#[utoipa::path(
    patch, path = "/v1/accounts/{account}/plugins/{name}/{version}", tag = "plugins",
    operation_id = "changeAccountPlugin",
    security(("token" = [])), request_body = PluginChange,
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("name" = String, Path, description = "The plugin's name"),
        ("version" = String, Path, description = "Its whole version"),
    ),
    responses(
        (status = 200, description = "The version", body = Plugin),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 403, response = Problem),
        (status = 404, response = Problem),
    ),
)]
pub(crate) async fn change_of_account(State(identity): State<Identity>, asked: Asked) -> Response {
    perform("ChangeAccountPlugin", StatusCode::OK, asked, move |asked| {
        yank(&identity, asked, Some(asked.path("account")))
    })
    .await
}

/// The registry of an account, or the one for all.
fn open(identity: &Identity, account: Option<&str>) -> Result<Registry, Fault> {
    let folder: PathBuf = identity.plugins(account).map_err(fault)?;
    let clock = Arc::clone(identity.clock());
    Registry::open_with_clock(folder, move || clock.now()).map_err(refused)
}

fn page(registry: &Registry, asked: &Asked) -> Result<Plugins, Fault> {
    let limit = asked.limit()?;
    let after = match asked.query("after") {
        None => None,
        Some(text) => match text.split_once('@') {
            Some((name, version)) => Some((plugin_name(name)?, plugin_version(version)?)),
            None => return Err(Fault::invalid("after is not the next of a page before")),
        },
    };
    let place = |record: &Record| {
        let manifest = &record.manifest;
        (manifest.name.clone(), manifest.version.clone())
    };
    let all = registry.list().map_err(refused)?.into_iter();
    let mut later =
        all.skip_while(|record| after.as_ref().is_some_and(|after| place(record) <= *after));
    let plugins = later.by_ref().take(limit).map(Plugin::of);
    let plugins: Vec<Plugin> = plugins.collect::<Result<_, _>>()?;
    let more = later.next().is_some();
    let last = plugins.last().filter(|_| more);
    Ok(Plugins {
        next: last.map(|last| format!("{}@{}", last.name, last.version)),
        plugins,
    })
}

fn install(identity: &Identity, asked: &Asked, account: Option<&str>) -> Result<Plugin, Fault> {
    let by = asked.admin(identity)?.name;
    let registry = open(identity, account)?;
    let installed = registry.install(asked.bytes()).map_err(refused)?;
    let record = registry.record(&installed.name, &installed.version);
    let plugin = Plugin::of(record.map_err(refused)?)?;
    note(identity, &by, "tenon:PublishPlugin", account, &plugin);
    Ok(plugin)
}

fn show(identity: &Identity, asked: &Asked, account: Option<&str>) -> Result<Plugin, Fault> {
    let (name, version) = named(asked)?;
    let record = open(identity, account)?.record(&name, &version);
    Plugin::of(record.map_err(refused)?)
}

fn yank(identity: &Identity, asked: &Asked, account: Option<&str>) -> Result<Plugin, Fault> {
    let by = asked.admin(identity)?.name;
    let change: PluginChange = asked.body()?;
    let (name, version) = named(asked)?;
    let record = open(identity, account)?.yank(&name, &version, change.yanked);
    let plugin = Plugin::of(record.map_err(refused)?)?;
    let operation = match change.yanked {
        true => "tenon:YankPlugin",
        false => "tenon:UnyankPlugin",
    };
    note(identity, &by, operation, account, &plugin);
    Ok(plugin)
}

/// It happened: that the log cannot be written changes nothing.
fn note(identity: &Identity, by: &str, operation: &str, account: Option<&str>, plugin: &Plugin) {
    let reference = format!("{}@{}", plugin.name, plugin.version);
    let mut names = vec![("Plugin", reference.as_str()), ("Digest", &plugin.digest)];
    names.extend(account.map(|account| ("Account", account)));
    if let Err(error) = identity.note(by, operation, &names) {
        tracing::error!(by, operation, reference, %error, "the audit log cannot be written");
    }
}

/// What the path names.
fn named(asked: &Asked) -> Result<(PluginName, Version), Fault> {
    let name = plugin_name(asked.path("name"))?;
    Ok((name, plugin_version(asked.path("version"))?))
}

fn plugin_name(text: &str) -> Result<PluginName, Fault> {
    PluginName::new(text).map_err(refused)
}

fn plugin_version(text: &str) -> Result<Version, Fault> {
    let version = Version::parse(text);
    version.map_err(|error| Fault::invalid(format!("the version is none: {error}")))
}

/// What callers see of the registry's errors.
fn refused(error: Error) -> Fault {
    let (status, name) = match &error {
        // Not what there is instead.
        Error::NotFound { reference, .. } => {
            return fault(IdentityError::not_found("plugin", reference));
        }
        Error::Conflict { .. } => (409, "AlreadyExistsException"),
        Error::NoManifest { .. }
        | Error::InvalidManifest { .. }
        | Error::NotAComponent { .. }
        | Error::TooLarge { .. }
        | Error::InvalidName { .. }
        | Error::InvalidReference { .. } => (400, "InvalidInputException"),
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
    use super::*;

    #[test]
    fn only_publishing_sends_plugins() {
        let upload =
            |method: Method, path: &'static str| is_upload(&method, &Uri::from_static(path));
        assert!(upload(Method::POST, "/v1/plugins"));
        assert!(upload(Method::POST, "/v1/accounts/111122223333/plugins"));
        assert!(!upload(Method::GET, "/v1/plugins"));
        for path in [
            "/",
            "/v1/plugins/a",
            "/v1/accounts/plugins",
            "/v1/accounts/1/plugins/x",
            "/x/v1/plugins",
        ] {
            assert!(!upload(Method::POST, path), "{path}");
        }
    }
}
