//! [`Server`]: listens, hands requests to operations on threads that may block, and stops without losing any.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use serde_json::Value;
use tenon_catalog::TenantCatalog;
use tokio::net::TcpListener;

use crate::fault::Fault;
use crate::glue::{self, Context};
use crate::model::Model;
use crate::reach::{Network, Reach};
use crate::secret::Secrets;
use crate::token::Tokens;
use crate::wire;

/// Largest request, in bytes; Glue's own limit on a table's definition is far below.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// Settings of a server.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen. Port 0 takes a free one. Default 127.0.0.1:8080.
    pub listen: SocketAddr,
    /// The account callers see, of twelve digits. Default 000000000000.
    pub account: String,
    /// The region in names of resources. Default us-east-1.
    pub region: String,
    /// What encrypts secrets of connections. Default none, and then none are taken.
    pub secrets: Option<Secrets>,
    /// Networks, beside public ones, that connections may be tested in: loopback and private ones are closed
    /// unless they are here. Default none.
    pub reachable: Vec<Network>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            secrets: None,
            reachable: Vec::new(),
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

impl From<io::Error> for ServerError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A server that has its address and does not serve yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    router: Router,
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
    /// [`ServerError::Io`].
    pub async fn bind(config: &ServerConfig, catalog: TenantCatalog) -> Result<Self, ServerError> {
        if !config.listen.ip().is_loopback() {
            return Err(ServerError::OpenToAll(config.listen));
        }
        if config.account.len() != 12 || !config.account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ServerError::Account(config.account.clone()));
        }
        let listener = TcpListener::bind(config.listen).await?;
        let context = Context {
            catalog,
            catalog_id: config.account.clone(),
            account: config.account.clone(),
            region: config.region.clone(),
            tokens: Tokens::new(random_key()?),
            model: Arc::new(Model::glue().map_err(ServerError::Model)?),
            secrets: config.secrets.clone(),
            reach: Arc::new(Reach::new(&config.reachable, listener.local_addr()?)),
        };
        let shared = Arc::new(Shared {
            context,
            requests: AtomicU64::new(0),
        });
        let router = Router::new()
            .route("/", post(serve))
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .with_state(shared);
        Ok(Self { listener, router })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// [`ServerError::Io`].
    pub fn address(&self) -> Result<SocketAddr, ServerError> {
        Ok(self.listener.local_addr()?)
    }

    /// Serves until `stop` is ready, then finishes the requests that are under way.
    ///
    /// # Errors
    /// [`ServerError::Io`].
    pub async fn run(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServerError> {
        Ok(axum::serve(self.listener, self.router)
            .with_graceful_shutdown(stop)
            .await?)
    }
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
