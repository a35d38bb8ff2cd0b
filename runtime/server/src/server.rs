//! [`Server`]: listens, hands requests to operations on threads that may block, and stops without losing any.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use serde_json::Value;
use tenon_catalog::TenantCatalog;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::fault::Fault;
use crate::front::{Front, Stage};
use crate::glue::{self, Context};
use crate::health::{Health, Probe, Watchers};
use crate::limits::Limits;
use crate::listen::Listening;
use crate::metrics::Metrics;
use crate::model::Model;
use crate::routes;
use crate::tls::{Tls, TlsError, TlsFiles};
use crate::token::Tokens;
use crate::wire;

/// Settings of a server.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen. Port 0 takes a free one. Default 127.0.0.1:8080.
    pub listen: SocketAddr,
    /// The account callers see, of twelve digits. Default 000000000000.
    pub account: String,
    /// The region in names of resources. Default us-east-1.
    pub region: String,
    /// The certificate. Default none: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// How much one caller may have.
    pub limits: Limits,
    /// Who reaches `/health/live` and `/health/ready`. Default everyone.
    pub health: Watchers,
    /// Who reaches `/metrics`, which is about all tenants together. Default this machine.
    pub metrics: Watchers,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            tls: None,
            limits: Limits::default(),
            health: Watchers::Everyone,
            metrics: Watchers::ThisMachine,
        }
    }
}

/// Why a server cannot start or go on.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerError {
    /// The address can be reached by others and nothing would tell who they are.
    OpenToAll(SocketAddr),
    /// The account is not twelve digits.
    Account(String),
    /// The certificate cannot be used.
    Tls(TlsError),
    /// The system refused.
    Io(io::Error),
    /// The built-in rules cannot be read: a fault of the build.
    Model(String),
}

impl std::fmt::Display for ServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OpenToAll(address) => write!(
                f,
                "{address} can be reached from other machines and no access keys are set up; listen on 127.0.0.1"
            ),
            Self::Account(account) => write!(f, "account {account:?} is not twelve digits"),
            Self::Tls(error) => error.fmt(f),
            Self::Io(error) => write!(f, "cannot listen: {error}"),
            Self::Model(reason) => write!(f, "the service model cannot be read: {reason}"),
        }
    }
}

impl std::error::Error for ServerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<TlsError> for ServerError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error)
    }
}

impl From<io::Error> for ServerError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A server that has its address and does not serve yet.
pub struct Server(Listening);

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Server").field(&self.0.listener).finish()
    }
}

struct Shared {
    context: Context,
    requests: AtomicU64,
}

impl Server {
    /// Takes the address. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// [`ServerError::OpenToAll`] for an address that is not of this machine only, [`ServerError::Account`],
    /// [`ServerError::Tls`], [`ServerError::Io`].
    pub async fn bind(config: &ServerConfig, catalog: TenantCatalog) -> Result<Self, ServerError> {
        if !config.listen.ip().is_loopback() {
            return Err(ServerError::OpenToAll(config.listen));
        }
        if config.account.len() != 12 || !config.account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ServerError::Account(config.account.clone()));
        }
        let context = Context {
            catalog,
            account: config.account.clone(),
            region: config.region.clone(),
            tokens: Tokens::new(random_key()?),
            model: Model::glue().map_err(ServerError::Model)?,
        };
        let probe = probe(&context.catalog);
        let shared = Arc::new(Shared {
            context,
            requests: AtomicU64::new(0),
        });
        let router = Router::new().route("/", post(serve)).with_state(shared);
        Ok(Self(listening(config, router, probe).await?))
    }

    /// Where it listens.
    ///
    /// # Errors
    /// [`ServerError::Io`].
    pub fn address(&self) -> Result<SocketAddr, ServerError> {
        Ok(self.0.listener.local_addr()?)
    }

    /// Serves until `stop` is ready, then finishes the requests that are under way, for as long as
    /// [`Limits::drain_timeout`] says.
    ///
    /// # Errors
    /// None yet; a listener that broke would be one.
    pub async fn run(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServerError> {
        self.0.run(stop).await;
        Ok(())
    }

    /// The address for `AWS_ENDPOINT_URL_GLUE`.
    ///
    /// # Errors
    /// [`ServerError::Io`].
    pub fn url(&self) -> Result<String, ServerError> {
        let scheme = if self.0.tls.is_some() {
            "https"
        } else {
            "http"
        };
        Ok(format!("{scheme}://{}", self.address()?))
    }
}

/// What is around the operations.
async fn listening(
    config: &ServerConfig,
    glue: Router,
    probe: Probe,
) -> Result<Listening, ServerError> {
    let tls = config.tls.as_ref().map(Tls::open).transpose()?;
    let (stage, stages) = watch::channel(Stage::Serving);
    let metrics = Arc::new(Metrics::new());
    let health = Health::new(
        config.health,
        config.metrics,
        Arc::clone(&metrics),
        stages.clone(),
        probe,
    );
    let router = routes::all(glue, Arc::new(health));
    let ids = Tokens::new(random_key()?);
    let front = Front::new(router, config.limits, Arc::clone(&metrics), ids, stages);
    Ok(Listening {
        listener: TcpListener::bind(config.listen).await?,
        tls,
        front: Arc::new(front),
        limits: config.limits,
        metrics,
        stage,
    })
}

/// A read of the store, for readiness.
fn probe(catalog: &TenantCatalog) -> Probe {
    let catalog = catalog.clone();
    Arc::new(move || match catalog.list_databases(None, 1) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    })
}

async fn serve(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let number = shared.requests.fetch_add(1, Ordering::Relaxed);
    let request_id = shared.context.tokens.request_id(number);
    let outcome = match wire::operation(&headers).map(str::to_owned) {
        Ok(operation) => perform(shared, operation, body).await,
        Err(fault) => Err(fault),
    };
    wire::answer(outcome, &request_id)
}

/// The store blocks, so every operation runs on a thread for that; what panics there is an answer, not an end.
async fn perform(shared: Arc<Shared>, operation: String, body: Bytes) -> Result<Value, Fault> {
    let work = move || glue::perform(&shared.context, &operation, &wire::input(&body)?);
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(failed) => Err(Fault::internal(&failed.to_string())),
    }
}

fn random_key() -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(key)
}
