//! Calling a guest from a place that cannot wait: DataFusion evaluates scalar and aggregate functions in plain calls.
//!
//! A guest's future is only ever pending because it yields after a tick, so polling it again at once is right. The
//! runtime is told that this thread is busy, so that other tasks move elsewhere; and each tick asks whether the run is
//! still wanted.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use tenon_host::{Error, Result};
use tokio::runtime::{Handle, RuntimeFlavor};

/// Whether a run is still wanted. Its [`CancelOnDrop`] says when it is not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cancellation(Arc<AtomicBool>);

impl Cancellation {
    /// Whoever drops the guard does not want the run any more.
    pub(crate) fn guard(&self) -> CancelOnDrop {
        CancelOnDrop(self.clone())
    }

    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Cancels when dropped.
#[derive(Debug)]
pub(crate) struct CancelOnDrop(Cancellation);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a guest's call to its end, or until the run is cancelled.
pub(crate) fn drive<T>(
    cancellation: &Cancellation,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    let work = || poll_to_end(cancellation, call);
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

fn poll_to_end<T>(cancellation: &Cancellation, call: impl Future<Output = Result<T>>) -> Result<T> {
    let mut call = pin!(call);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(outcome) = call.as_mut().poll(&mut context) {
            return outcome;
        }
        if cancellation.is_cancelled() {
            return Err(Error::Cancelled);
        }
    }
}
