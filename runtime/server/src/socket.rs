//! [`Socket`]: a TCP connection that no caller can hold without using it.
//!
//! hyper and rustls read and write through it and know nothing of time. The [`Phase`], which the one who serves
//! requests moves on, says which clock runs while nothing arrives:
//!
//! ```text
//! accepted ──> Head ──headers complete──> Serving ──answered──> Idle ──a byte──> Head
//!              header_timeout             (the request's clock)  keep_alive
//! ```
//!
//! A head that is late is an error, an idle connection's end is an orderly one. Whoever does not read its answer is
//! cut off after `idle_timeout`. The end of a connection waits a moment for what the peer is still sending:
//! otherwise the system discards the answer together with it (RFC 9112, section 9.6).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use crate::limits::Limits;

/// Longest wait for a peer that still sends after we have said goodbye.
const LINGER: Duration = Duration::from_millis(500);

/// What a connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The rest of a request's headers.
    Head,
    /// The answer.
    Serving,
    /// The next request.
    Idle,
}

/// What a connection's socket and its server tell each other.
#[derive(Debug)]
pub(crate) struct Progress {
    phase: AtomicU8,
    /// A byte of the request has arrived.
    begun: AtomicBool,
    /// The headers did not arrive in time.
    late: AtomicBool,
    /// The server stops: no time for stragglers.
    hurry: AtomicBool,
}

impl Progress {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            phase: AtomicU8::new(Phase::Head as u8),
            begun: AtomicBool::new(false),
            late: AtomicBool::new(false),
            hurry: AtomicBool::new(false),
        })
    }

    /// A request's headers are complete.
    pub(crate) fn serving(&self) {
        self.phase.store(Phase::Serving as u8, Ordering::Release);
    }

    /// The request is answered.
    pub(crate) fn answered(&self) {
        self.begun.store(false, Ordering::Release);
        self.phase.store(Phase::Idle as u8, Ordering::Release);
    }

    /// The connection should end without waiting for its peer.
    pub(crate) fn hurry(&self) {
        self.hurry.store(true, Ordering::Release);
    }

    /// Whether the connection ended because the headers of a request that had begun did not come in time.
    pub(crate) fn was_late(&self) -> bool {
        self.late.load(Ordering::Acquire) && self.begun.load(Ordering::Acquire)
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Head,
            1 => Phase::Serving,
            _ => Phase::Idle,
        }
    }

    /// A byte arrived. True when it is a request's first.
    fn arrived(&self) -> bool {
        let first = self.phase() == Phase::Idle;
        if first {
            self.phase.store(Phase::Head as u8, Ordering::Release);
        }
        self.begun.store(true, Ordering::Release);
        first
    }
}

/// The connection.
#[derive(Debug)]
pub(crate) struct Socket {
    tcp: TcpStream,
    limits: Limits,
    progress: Arc<Progress>,
    /// Ends a head that is late.
    head: Pin<Box<Sleep>>,
    /// Ends an idle connection.
    idle: Option<Pin<Box<Sleep>>>,
    /// Ends a write that does not go on.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Ends the wait after the last byte.
    linger: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    /// Takes over a connection that was just accepted.
    pub(crate) fn new(tcp: TcpStream, limits: Limits, progress: Arc<Progress>) -> Self {
        Self {
            tcp,
            limits,
            progress,
            head: Box::pin(sleep(limits.header_timeout)),
            idle: None,
            stalled: None,
            linger: None,
        }
    }

    fn read_some(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.tcp).poll_read(cx, buf);
        if read.is_ready() {
            self.idle = None;
            if buf.filled().len() > before && self.progress.arrived() {
                let deadline = Instant::now() + self.limits.header_timeout;
                self.head.as_mut().reset(deadline);
            }
        }
        read
    }

    /// The clock of the phase, while nothing arrives.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.progress.phase() {
            Phase::Serving => Poll::Pending,
            Phase::Head => {
                ready!(self.head.as_mut().poll(cx));
                self.progress.late.store(true, Ordering::Release);
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            // Nothing read and no error is the end of the stream.
            Phase::Idle => {
                let after = self.limits.keep_alive;
                let idle = self.idle.get_or_insert_with(|| Box::pin(sleep(after)));
                idle.as_mut().poll(cx).map(Ok)
            }
        }
    }

    /// Passes a write's outcome on, unless it has been pending for too long.
    fn or_stalled<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let after = self.limits.idle_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(after)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads and discards until the peer is done or the time is over.
    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waste = [0; 4096];
        let linger = self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if self.progress.hurry.load(Ordering::Acquire) || linger.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            let mut buf = ReadBuf::new(&mut waste);
            let read = ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut buf));
            if read.is_err() || buf.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.read_some(cx, buf) {
            Poll::Pending => self.wait(cx),
            // A head that comes byte by byte must not outlive its time because a byte is always there.
            ready if self.progress.phase() == Phase::Head && self.head.is_elapsed() => {
                drop(ready);
                self.wait(cx)
            }
            ready => ready,
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.or_stalled(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.or_stalled(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.tcp).poll_shutdown(cx))?;
        }
        self.drain(cx).map(Ok)
    }
}
