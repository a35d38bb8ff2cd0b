//! The time that a future is polled, without the time that it waits.

use std::pin::pin;
use std::task::Poll;

use datafusion::physical_plan::metrics::Time;

/// Awaits `work`, adding the time of each poll to `time`.
pub(crate) async fn timed<T>(time: &Time, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        let _timer = time.timer();
        match work.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(value),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
