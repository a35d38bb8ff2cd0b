//! `tenon serve`: the catalog as a Glue endpoint.

use std::net::SocketAddr;

use tenon_server::{Server, ServerConfig, ServerError};
use tokio::signal::unix::{SignalKind, signal};

use super::setup;
use crate::error::Failure;
use crate::exit::Exit;
use crate::shell::Shell;

/// Arguments of `tenon serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The account that clients see, twelve digits.
    #[arg(long, value_name = "ID", default_value = "000000000000")]
    account: String,
    /// The region in names of resources.
    #[arg(long, value_name = "NAME", default_value = "us-east-1")]
    region: String,
}

/// Serves until it is told to stop, then finishes what is under way.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let config = ServerConfig {
        listen: args.listen,
        account: args.account.clone(),
        region: args.region.clone(),
        ..ServerConfig::default()
    };
    let identity = setup::identity(shell)?;
    let keys = if identity.is_closed() {
        "requests must be signed with a key of an account"
    } else {
        "any access key is accepted until an account is created"
    };
    // A runtime of its own: Ctrl-C ends a server in order, it does not interrupt it.
    tokio::runtime::Runtime::new()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let server = Server::bind(&config, identity).await.map_err(failure)?;
        let address = server.address().map_err(failure)?;
        shell.say(&format!(
            "serving Glue on http://{address}: set AWS_ENDPOINT_URL_GLUE to it; {keys}"
        ));
        let stop = async move {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        };
        server.run(stop).await.map_err(failure)
    })
}

fn failure(error: ServerError) -> Failure {
    let exit = match &error {
        ServerError::OpenToAll(_) => Exit::NotAllowed,
        ServerError::Account(_) => Exit::Usage,
        _ => Exit::Failed,
    };
    Failure::from(error).with_exit(exit)
}
