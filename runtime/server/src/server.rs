//! [`Server`]: listens, and stops without losing a request. What a request does is `dispatch`.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use tokio::net::TcpListener;

use crate::dispatch::Dispatch;
use crate::identity::{Identity, IdentityError, is_account_id, random};
use crate::model::Model;
use crate::reach::{Network, Reach};

/// Largest request, in bytes; Glue's own limit on a table's definition is far below.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// Settings of a server.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen. Port 0 takes a free one. Default 127.0.0.1:8080.
    pub listen: SocketAddr,
    /// The account callers see as long as none was created, of twelve digits. Default 000000000000.
    pub account: String,
    /// The region in names of resources, and the one requests must be signed for. Default us-east-1.
    pub region: String,
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
    /// What is stored of accounts cannot be used.
    Identity(IdentityError),
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
                "{address} can be reached from other machines and no access keys are set up; listen on 127.0.0.1, or create an account"
            ),
            Self::Account(account) => write!(f, "account {account:?} is not twelve digits"),
            Self::Identity(error) => error.fmt(f),
            Self::Io(error) => write!(f, "cannot listen: {error}"),
            Self::Model(reason) => write!(f, "the service model cannot be read: {reason}"),
        }
    }
}

impl std::error::Error for ServerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Identity(error) => Some(error),
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

impl Server {
    /// Takes the address. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// [`ServerError::OpenToAll`] for an address that is not of this machine only while there are no accounts,
    /// [`ServerError::Account`], [`ServerError::Identity`], [`ServerError::Io`].
    pub async fn bind(config: &ServerConfig, identity: Identity) -> Result<Self, ServerError> {
        if !config.listen.ip().is_loopback() && !identity.is_closed() {
            return Err(ServerError::OpenToAll(config.listen));
        }
        if !is_account_id(&config.account) {
            return Err(ServerError::Account(config.account.clone()));
        }
        let model = Model::glue().map_err(ServerError::Model)?;
        let lists = match identity.lists_key().map_err(ServerError::Identity)? {
            Some(key) => key,
            None => random()?,
        };
        let (account, region) = (config.account.clone(), config.region.clone());
        let listener = TcpListener::bind(config.listen).await?;
        let reach = Reach::new(&config.reachable, listener.local_addr()?);
        let dispatch = Dispatch::new(identity, model, account, region, reach, lists, random()?);
        let router = dispatch
            .router()
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
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
        let service = self
            .router
            .into_make_service_with_connect_info::<SocketAddr>();
        Ok(axum::serve(self.listener, service)
            .with_graceful_shutdown(stop)
            .await?)
    }
}
