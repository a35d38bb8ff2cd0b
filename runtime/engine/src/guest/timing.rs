//! The CPU time that a future takes, without the time that it waits or that others have the core.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use datafusion::physical_plan::metrics::Time;
use rustix::time::{ClockId, clock_gettime};

/// Awaits `work`, adding the CPU time of each poll to `time`. A poll stays on its thread, so the thread's clock tells.
pub(crate) async fn timed<T>(time: &Time, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        let timer = CpuTimer::start(time);
        let polled = work.as_mut().poll(context);
        drop(timer);
        match polled {
            Poll::Ready(value) => Poll::Ready(value),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Adds the CPU time of this thread, from its start to its drop, to a metric. Two calls of the kernel: about 0.3 us.
pub(crate) struct CpuTimer<'a> {
    time: &'a Time,
    start: Duration,
}

impl<'a> CpuTimer<'a> {
    pub(crate) fn start(time: &'a Time) -> Self {
        let start = thread_time();
        Self { time, start }
    }
}

impl Drop for CpuTimer<'_> {
    fn drop(&mut self) {
        self.time
            .add_duration(thread_time().saturating_sub(self.start));
    }
}

/// CPU time of this thread so far.
fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(now).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleeping_costs_nothing_and_working_does() {
        let (asleep, busy) = (Time::new(), Time::new());
        timed(&asleep, async {
            std::thread::sleep(Duration::from_millis(200));
        })
        .await;
        timed(&busy, async {
            let start = thread_time();
            while thread_time() - start < Duration::from_millis(20) {}
        })
        .await;
        let millis = |time: &Time| time.value() / 1_000_000;
        assert!(millis(&asleep) < 100, "{asleep}");
        assert!(millis(&busy) >= 20, "{busy}");
    }
}
