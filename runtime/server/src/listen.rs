//! [`Listening`]: accepts connections within the limits, speaks HTTP/1.1 on them, and ends in order.
//!
//! ```text
//! accept ── how many are open ── Socket (clocks) ── TLS ── hyper ── Front
//! ```
//!
//! **The end.** Readiness says no; connections are accepted for `drain_notice` and those that wait in the system's
//! queue still after it; idle ones are closed; requests under way are finished. After `drain_timeout` those that are
//! left are told so, and everything is closed.
//!
//! **Chosen: HTTP/1.1 only.** Clients of AWS speak nothing else to Glue, and streams that are reset again and again are
//! HTTP/2's own way to exhaust a server.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::front::{Front, Stage};
use crate::limits::{Limits, Refusal};
use crate::metrics::{Counted, Metrics};
use crate::socket::{Progress, Socket};
use crate::tls::{Look, Tls};

/// Connections that are told at once why they are not served; more are closed without a word.
const MAX_REFUSING: usize = 64;

/// What hyper may buffer of a head above the limits, so that what exceeds them a little is refused in our words and
/// not with hyper's bare status.
const HEAD_MARGIN_BYTES: usize = 32 * 1024;

/// How long answers of the last moment may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// First byte of a TLS connection.
const TLS_HANDSHAKE: u8 = 0x16;

/// A server that is about to accept.
pub(crate) struct Listening {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Tls>,
    pub(crate) front: Arc<Front>,
    pub(crate) limits: Limits,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stage: watch::Sender<Stage>,
    /// Work beside the requests, until the end.
    pub(crate) chores: JoinSet<()>,
}

impl Listening {
    /// Serves until `stop` is ready, then ends in order.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) {
        let mut chores = self.chores;
        chores.spawn(tidy(Arc::clone(&self.metrics)));
        let acceptor = self.tls.as_ref().map(Tls::acceptor);
        if let Some(tls) = self.tls {
            chores.spawn(watch_files(tls, Arc::clone(&self.metrics)));
        }
        let mut connections = Connections {
            acceptor,
            front: self.front,
            limits: self.limits,
            metrics: self.metrics,
            stage: self.stage.subscribe(),
            open: Arc::default(),
            serving: JoinSet::new(),
            refusing: JoinSet::new(),
        };
        connections.accept_until(&self.listener, stop).await;
        // Nobody may listen any more, which is no reason to stay.
        let _ = self.stage.send_replace(Stage::Noticed);
        let notice = sleep(self.limits.drain_notice);
        connections.accept_until(&self.listener, notice).await;
        connections.accept_waiting(&self.listener).await;
        drop(self.listener);
        let _ = self.stage.send_replace(Stage::Draining);
        connections.finish(&self.stage).await;
    }
}

/// Looks at the certificate's files until it is stopped.
async fn watch_files(mut tls: Tls, metrics: Arc<Metrics>) {
    let every = tls.check_every();
    loop {
        sleep(every).await;
        let Ok((look, back)) = tokio::task::spawn_blocking(move || (tls.look(), tls)).await else {
            return;
        };
        tls = back;
        match look {
            Look::Unchanged => {}
            Look::Reloaded => {
                metrics.reloaded(true);
                tracing::info!("the certificate's files changed and are in use");
            }
            Look::Kept(error) => {
                metrics.reloaded(false);
                tracing::error!(%error, "the certificate's files changed; the old certificate stays in use");
            }
        }
    }
}

async fn tidy(metrics: Arc<Metrics>) {
    let mut ticks = interval(Duration::from_secs(5));
    loop {
        ticks.tick().await;
        metrics.tidy();
    }
}

/// How many connections are open, by where they come from.
type Open = Mutex<HashMap<IpAddr, usize>>;

/// Counts as open until it is dropped.
struct Seat {
    open: Arc<Open>,
    origin: IpAddr,
    _counted: Counted,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.origin) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.origin);
            }
        }
    }
}

/// Whose connections are counted together: one address, and of IPv6 the network that one customer has.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            Ipv6Addr::from(network).into()
        }
        address => address,
    }
}

struct Connections {
    acceptor: Option<TlsAcceptor>,
    front: Arc<Front>,
    limits: Limits,
    metrics: Arc<Metrics>,
    stage: watch::Receiver<Stage>,
    open: Arc<Open>,
    serving: JoinSet<()>,
    refusing: JoinSet<()>,
}

impl Connections {
    async fn accept_until(&mut self, listener: &TcpListener, end: impl Future<Output = ()>) {
        let mut end = std::pin::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return,
                accepted = listener.accept() => self.accepted(accepted).await,
                Some(_) = self.serving.join_next() => {}
                Some(_) = self.refusing.join_next() => {}
            }
        }
    }

    /// Takes the connections that the system has made already, whose requests may be here.
    async fn accept_waiting(&mut self, listener: &TcpListener) {
        let mut left = self.limits.connections;
        while left > 0 {
            let next = std::future::poll_fn(|cx| match listener.poll_accept(cx) {
                std::task::Poll::Ready(accepted) => std::task::Poll::Ready(Some(accepted)),
                std::task::Poll::Pending => std::task::Poll::Ready(None),
            });
            let Some(accepted) = next.await else { return };
            self.accepted(accepted).await;
            left -= 1;
        }
    }

    async fn accepted(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        match accepted {
            Ok((tcp, peer)) => self.connection(tcp, peer),
            // The peer was faster to go.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted; are there descriptors left?");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }

    fn connection(&mut self, tcp: TcpStream, peer: SocketAddr) {
        // Without it small answers wait for acknowledgements.
        let _ = tcp.set_nodelay(true);
        match self.seat(peer.ip()) {
            Ok(seat) => {
                let connection = Connection {
                    peer,
                    acceptor: self.acceptor.clone(),
                    front: Arc::clone(&self.front),
                    limits: self.limits,
                    metrics: Arc::clone(&self.metrics),
                    stage: self.stage.clone(),
                    progress: Progress::new(),
                };
                self.serving.spawn(async move {
                    connection.serve(tcp).await;
                    drop(seat);
                });
            }
            Err(refusal) => {
                self.metrics.refused(refusal.label());
                // What is not encrypted would not be understood.
                if self.acceptor.is_none() && self.refusing.len() < MAX_REFUSING {
                    let answer = bare(refusal, &self.front.next_id());
                    let socket = Socket::new(tcp, self.limits, Progress::new());
                    self.refusing.spawn(say(socket, answer));
                }
            }
        }
    }

    fn seat(&self, address: IpAddr) -> Result<Seat, Refusal> {
        let limit = self.limits.connections;
        if self.serving.len() >= limit {
            return Err(Refusal::Connections { limit });
        }
        let origin = origin(address);
        let limit = self.limits.connections_per_address;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.get(&origin).copied().unwrap_or(0);
        if count >= limit {
            return Err(Refusal::ConnectionsPerAddress { limit });
        }
        open.insert(origin, count + 1);
        Ok(Seat {
            open: Arc::clone(&self.open),
            origin,
            _counted: self.metrics.connection_begins(),
        })
    }

    /// Waits for the connections, within the time for that.
    async fn finish(mut self, stage: &watch::Sender<Stage>) {
        let connections = self.serving.len();
        tracing::info!(connections, "stopping: requests under way are finished");
        if timeout(self.limits.drain_timeout, self.ended())
            .await
            .is_ok()
        {
            return;
        }
        let connections = self.serving.len();
        tracing::warn!(
            connections,
            "requests took longer than drain_timeout; their connections are closed"
        );
        let _ = stage.send_replace(Stage::Closing);
        // What is left then is aborted when the set is dropped.
        let _ = timeout(LAST_WORDS, self.ended()).await;
    }

    async fn ended(&mut self) {
        while self.serving.join_next().await.is_some() {}
        while self.refusing.join_next().await.is_some() {}
    }
}

/// One connection, from its first byte to its last.
struct Connection {
    peer: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    front: Arc<Front>,
    limits: Limits,
    metrics: Arc<Metrics>,
    stage: watch::Receiver<Stage>,
    progress: Arc<Progress>,
}

impl Connection {
    async fn serve(self, tcp: TcpStream) {
        let Some(acceptor) = self.acceptor.clone() else {
            let socket = Socket::new(tcp, self.limits, Arc::clone(&self.progress));
            return self.speak(socket).await;
        };
        let mut first = [0];
        let peeked = timeout(self.limits.header_timeout, tcp.peek(&mut first)).await;
        let socket = Socket::new(tcp, self.limits, Arc::clone(&self.progress));
        match peeked {
            Ok(Ok(1)) if first == [TLS_HANDSHAKE] => {}
            Ok(Ok(1)) => {
                self.metrics.handshake_failed();
                return say(socket, not_secure(&self.front.next_id())).await;
            }
            _ => return self.metrics.handshake_failed(),
        }
        match acceptor.accept(socket).await {
            Ok(stream) => self.speak(stream).await,
            Err(error) => {
                self.metrics.handshake_failed();
                tracing::debug!(%error, "a TLS handshake failed");
            }
        }
    }

    /// HTTP until either side ends it.
    async fn speak<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(mut self, stream: S) {
        let service = service_fn(|request: Request<Incoming>| {
            let (front, progress, peer) = (
                Arc::clone(&self.front),
                Arc::clone(&self.progress),
                self.peer,
            );
            Box::pin(async move {
                progress.serving();
                let answer = front.answer(peer, request).await;
                progress.answered();
                Ok::<_, Infallible>(answer)
            })
        });
        let mut connection = http1::Builder::new()
            .header_read_timeout(None)
            .max_headers(self.limits.headers)
            .max_buf_size(self.limits.header_bytes + self.limits.url_bytes + HEAD_MARGIN_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let mut stops = false;
        let ended = loop {
            tokio::select! {
                // First what has arrived, so that it is not taken for an idle connection.
                biased;
                ended = &mut connection => break ended,
                _ = self.stage.wait_for(|stage| *stage >= Stage::Draining), if !stops => {
                    stops = true;
                    self.progress.hurry();
                    std::pin::Pin::new(&mut connection).graceful_shutdown();
                }
            }
        };
        let Err(error) = ended else { return };
        tracing::debug!(%error, "a connection ended early");
        if self.progress.was_late() {
            let limit = self.limits.header_timeout;
            let refusal = Refusal::SlowHead { limit };
            self.metrics.refused(refusal.label());
            let answer = bare(refusal, &self.front.next_id());
            say(connection.into_parts().io.into_inner(), answer).await;
        }
    }
}

/// Writes an answer to a request that was not read, and ends the connection.
async fn say<S: AsyncWrite + Unpin>(mut stream: S, answer: String) {
    // Whoever is gone needs no answer.
    if stream.write_all(answer.as_bytes()).await.is_ok() {
        let _ = stream.shutdown().await;
    }
}

/// An answer without knowing what was asked: in the words of Glue.
fn bare(refusal: Refusal, id: &str) -> String {
    let status = match refusal.status() {
        408 => "408 Request Timeout",
        _ => "503 Service Unavailable\r\nretry-after: 1",
    };
    raw(status, refusal.name(), &refusal.message(), id)
}

/// An answer to HTTP where TLS was expected.
fn not_secure(id: &str) -> String {
    let message = "this port speaks TLS; use https:// in the endpoint's address";
    raw("400 Bad Request", "InvalidInputException", message, id)
}

fn raw(status: &str, name: &str, message: &str, id: &str) -> String {
    let body = json!({"__type": name, "Message": message, "message": message}).to_string();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\
         connection: close\r\nx-amzn-errortype: {name}\r\nx-amzn-requestid: {id}\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_by_who_can_open_them() {
        let of = |text: &str| origin(text.parse().unwrap()).to_string();
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:2::1"), "2001:db8:1:2::");
    }
}
