//! [`Server`]: listens, and stops without losing a request. What a request does is `dispatch`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tenon_jobs::Prices;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::dispatch::{Dispatch, DispatchParts};
use crate::front::{Front, MayPublish, Stage};
use crate::health::{Health, Probe, Watchers};
use crate::identity::{Identity, IdentityError, TokenScope, is_account_id, random};
use crate::limits::Limits;
use crate::listen::Listening;
use crate::metrics::Metrics;
use crate::model::Model;
use crate::reach::{Network, Reach};
use crate::rest::Runs;
use crate::routes;
use crate::tasks::{TaskLimits, Tasks};
use crate::tls::{Tls, TlsError, TlsFiles};
use crate::token::Tokens;
use crate::work::{Work, Workers};

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
    /// The certificate. Default none: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// How much one caller may have.
    pub limits: Limits,
    /// Who reaches `/health/live` and `/health/ready`. Default everyone.
    pub health: Watchers,
    /// Who reaches `/metrics`, which is about all tenants together. Default this machine.
    pub metrics: Watchers,
    /// How many runs that find out statistics there may be.
    pub tasks: TaskLimits,
    /// What CPU time and memory of runs cost. Default none: no costs are shown.
    pub prices: Prices,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            reachable: Vec::new(),
            tls: None,
            limits: Limits::default(),
            health: Watchers::Everyone,
            metrics: Watchers::ThisMachine,
            tasks: TaskLimits::default(),
            prices: Prices::default(),
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
                "{address} can be reached from other machines and no access keys are set up; listen on 127.0.0.1, or create an account"
            ),
            Self::Account(account) => write!(f, "account {account:?} is not twelve digits"),
            Self::Identity(error) => error.fmt(f),
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
            Self::Identity(error) => Some(error),
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
pub struct Server(Listening, Work);

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Server").field(&self.0.listener).finish()
    }
}

impl Server {
    /// Takes the address, for a server that reads no data: runs of jobs and runs that find out statistics are refused.
    /// Must be called on a tokio runtime.
    ///
    /// # Errors
    /// As [`Server::bind_with`].
    pub async fn bind(config: &ServerConfig, identity: Identity) -> Result<Self, ServerError> {
        Self::bind_with(config, identity, Workers::default()).await
    }

    /// Takes the address. Must be called on a tokio runtime. Runs that find out statistics and that an earlier server left
    /// under way have failed with this.
    ///
    /// # Errors
    /// [`ServerError::OpenToAll`] for an address that is not of this machine only while there are no accounts,
    /// [`ServerError::Account`], [`ServerError::Tls`], [`ServerError::Identity`],
    /// [`ServerError::Io`].
    pub async fn bind_with(
        config: &ServerConfig,
        identity: Identity,
        workers: Workers,
    ) -> Result<Self, ServerError> {
        if !config.listen.ip().is_loopback() && !identity.is_closed() {
            return Err(ServerError::OpenToAll(config.listen));
        }
        if !is_account_id(&config.account) {
            return Err(ServerError::Account(config.account.clone()));
        }
        let model = Arc::new(Model::glue().map_err(ServerError::Model)?);
        let logs_model = Model::logs().map_err(ServerError::Model)?;
        let lists = match identity.lists_key().map_err(ServerError::Identity)? {
            Some(key) => key,
            None => random()?,
        };
        let (account, region) = (config.account.clone(), config.region.clone());
        let listener = TcpListener::bind(config.listen).await?;
        let reach = Reach::new(&config.reachable, listener.local_addr()?);
        let Workers { analyst, jobs } = workers;
        let tasks = Tasks::new(identity.clone(), account.clone(), analyst, config.tasks);
        tasks.take_over().map_err(ServerError::Identity)?;
        let work = Work::new(&identity, jobs);
        let dispatch = Dispatch::new(DispatchParts {
            identity: identity.clone(),
            model: Arc::clone(&model),
            logs_model,
            account,
            region,
            reach,
            tasks: tasks.clone(),
            jobs: work.jobs.clone(),
            lists,
        });
        dispatch.take_up();
        let runs = Runs {
            identity: identity.clone(),
            jobs: work.jobs.clone(),
            open_account: config.account.clone(),
            model,
            prices: config.prices,
        };
        let mut listening = listening(config, listener, dispatch, runs)?;
        listening.chores.spawn(tasks.clone().work());
        listening.chores.spawn(tasks.keep_time());
        Ok(Self(listening, work))
    }

    /// Where it listens.
    ///
    /// # Errors
    /// [`ServerError::Io`].
    pub fn address(&self) -> Result<SocketAddr, ServerError> {
        Ok(self.0.listener.local_addr()?)
    }

    /// Serves until `stop` is ready, then finishes the requests that are under way, for as long as
    /// [`Limits::drain_timeout`] says, and ends runs of jobs. A connection that cannot be accepted is logged and does not
    /// end it.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) {
        let Self(listening, work) = self;
        let working = work.begin();
        listening.run(stop).await;
        if let Some(working) = working {
            // It waits for the store.
            let _ = tokio::task::spawn_blocking(|| working.stop()).await;
        }
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
fn listening(
    config: &ServerConfig,
    listener: TcpListener,
    dispatch: Dispatch,
    runs: Runs,
) -> Result<Listening, ServerError> {
    let identity = runs.identity.clone();
    let tls = config.tls.as_ref().map(Tls::open).transpose()?;
    if tls.is_none() && !config.listen.ip().is_loopback() {
        tracing::warn!("requests are not encrypted; give a certificate, or let a proxy do it");
    }
    let (stage, stages) = watch::channel(Stage::Serving);
    let metrics = Arc::new(Metrics::new());
    let health = Health::new(
        config.health,
        config.metrics,
        Arc::clone(&metrics),
        stages.clone(),
        probe(identity.clone(), config.account.clone()),
    );
    let router = routes::all(dispatch.router(), Arc::new(health), identity.clone(), runs);
    let mut chores = JoinSet::new();
    chores.spawn(prune(identity.clone()));
    let ids = Tokens::new(random()?);
    let front = Front::new(
        router,
        config.limits,
        Arc::clone(&metrics),
        ids,
        stages,
        may_publish(identity),
    );
    Ok(Listening {
        listener,
        tls,
        front: Arc::new(front),
        limits: config.limits,
        metrics,
        stage,
        chores,
    })
}

/// A read of the store and how it is, for readiness; that there is no such account is an answer.
fn probe(identity: Identity, account: String) -> Probe {
    Arc::new(move || {
        let status = identity.store().status();
        match identity.account(&account) {
            Ok(_) | Err(IdentityError::NotFound { .. }) => Ok(status),
            // What it says of itself is the better reason.
            Err(_) if status.stopped.is_some() => Ok(status),
            Err(error) => Err(error.to_string()),
        }
    })
}

/// Only administrators publish.
fn may_publish(identity: Identity) -> MayPublish {
    Arc::new(move |token| {
        let token = identity.check_token(token).ok().flatten();
        token.is_some_and(|token| token.scope == TokenScope::Admin)
    })
}

/// How often old entries are removed from the audit logs.
const PRUNE_EVERY: Duration = Duration::from_secs(10 * 60);

async fn prune(identity: Identity) {
    let mut ticks = interval(PRUNE_EVERY);
    loop {
        ticks.tick().await;
        let identity = identity.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || identity.prune_audit()).await {
            tracing::error!(%error, "old entries of the audit logs cannot be removed");
        }
    }
}
