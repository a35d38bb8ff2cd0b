//! What a run used of the machine as a whole: [`RunUsage`], measured at its process.
//!
//! CPU time is the process's own clock. Memory is what is resident, looked at [every so often](LOOK_EVERY) and summed
//! over time. A process that runs one job is that run; in one that does more the figures are those of all it does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a run used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Used {
    /// CPU time of all threads.
    pub cpu: Duration,
    /// Resident bytes, each times the seconds for which it was; 0 where the system does not tell.
    pub memory_byte_seconds: f64,
}

/// Measures from its making on. Clones measure the same.
#[derive(Debug, Clone)]
pub(crate) struct RunUsage(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cpu_before: Duration,
    memory: Mutex<Integral>,
}

#[derive(Debug)]
struct Integral {
    at: Instant,
    bytes: u64,
    byte_seconds: f64,
}

impl RunUsage {
    pub(crate) fn begin() -> Self {
        Self(Arc::new(Inner {
            cpu_before: cpu_time(),
            memory: Mutex::new(Integral {
                at: Instant::now(),
                bytes: resident_bytes(),
                byte_seconds: 0.0,
            }),
        }))
    }

    /// Looks at memory until it is dropped, while `work` is under way.
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let usage = self.clone();
        let looking = tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                usage.look();
            }
        });
        let _stops = StopOnDrop(looking);
        work.await
    }

    /// What was used so far.
    pub(crate) fn so_far(&self) -> Used {
        self.look();
        Used {
            cpu: cpu_time().saturating_sub(self.0.cpu_before),
            memory_byte_seconds: self.0.memory.lock().byte_seconds,
        }
    }

    fn look(&self) {
        let (now, bytes) = (Instant::now(), resident_bytes());
        let mut memory = self.0.memory.lock();
        let lasted = now.saturating_duration_since(memory.at).as_secs_f64();
        // Between two looks it was as much as at both of them on the average.
        memory.byte_seconds += (memory.bytes as f64 + bytes as f64) / 2.0 * lasted;
        (memory.at, memory.bytes) = (now, bytes);
    }
}

struct StopOnDrop(tokio::task::JoinHandle<()>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// CPU time of this process so far.
fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(now).unwrap_or_default()
}

fn resident_bytes() -> u64 {
    status_bytes("VmRSS:").unwrap_or(0)
}

/// Peak resident memory of this process, in bytes.
pub(crate) fn peak_memory_bytes() -> Option<u64> {
    status_bytes("VmHWM:")
}

fn status_bytes(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_costs_cpu_and_waiting_costs_memory() {
        let usage = RunUsage::begin();
        usage
            .during(tokio::time::sleep(Duration::from_millis(250)))
            .await;
        let waited = usage.so_far();
        let resident = resident_bytes() as f64;
        assert!(waited.memory_byte_seconds > resident * 0.05, "{waited:?}");
        let start = cpu_time();
        while cpu_time() - start < Duration::from_millis(20) {}
        let worked = usage.so_far();
        assert!(worked.cpu >= waited.cpu + Duration::from_millis(20));
        assert!(worked.memory_byte_seconds > waited.memory_byte_seconds);
    }
}
