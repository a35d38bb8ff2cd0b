//! What a guest may use, and what of its answers is believed.

use std::time::Duration;

/// Limits of one instance. Every field is finite by default; an operator may set other values
/// and a tenant, a plugin or a run may only lower them ([`Limits::lowered_to`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of the instance, in bytes. Default 256 MiB.
    pub memory_bytes: usize,
    /// Elements of all tables together. Default 20 000.
    pub table_elements: usize,
    /// CPU time of one call into the guest. Default 30 s. The guest yields to other tasks every
    /// [`TICK`] until then, and traps after it.
    pub call_time: Duration,
    /// Bytes that one call may return. Default 64 MiB.
    pub output_bytes: usize,
    /// Bytes of log lines kept per instance. Default 64 KiB; later lines are counted and dropped.
    pub log_bytes: usize,
    /// Bytes kept of an error or panic message. Default 10 000.
    pub message_bytes: usize,
    /// Top-level columns of a schema that a guest answers. Default 4 096.
    pub columns: usize,
}

/// How often the clock of running guests ticks: the grain of yielding, time limits and
/// cancellation.
pub const TICK: Duration = Duration::from_millis(10);

/// Largest component that is loaded, in bytes.
pub const MAX_COMPONENT_BYTES: usize = 50 << 20;

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            table_elements: 20_000,
            call_time: Duration::from_secs(30),
            output_bytes: 64 << 20,
            log_bytes: 64 << 10,
            message_bytes: 10_000,
            columns: 4_096,
        }
    }
}

impl Limits {
    /// The stricter of the two in every field.
    #[must_use]
    pub fn lowered_to(&self, other: &Self) -> Self {
        Self {
            memory_bytes: self.memory_bytes.min(other.memory_bytes),
            table_elements: self.table_elements.min(other.table_elements),
            call_time: self.call_time.min(other.call_time),
            output_bytes: self.output_bytes.min(other.output_bytes),
            log_bytes: self.log_bytes.min(other.log_bytes),
            message_bytes: self.message_bytes.min(other.message_bytes),
            columns: self.columns.min(other.columns),
        }
    }

    /// The largest batch that the host sends in one call, in bytes: 16 MiB, or a quarter of the
    /// guest's memory when that is less.
    #[must_use]
    pub fn batch_bytes(&self) -> usize {
        (16 << 20).min(self.memory_bytes / 4)
    }

    pub(crate) fn call_ticks(&self) -> u64 {
        u64::try_from(self.call_time.as_millis() / TICK.as_millis())
            .unwrap_or(u64::MAX)
            .max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_can_only_lower_limits() {
        let operator = Limits::default();
        let wish = Limits {
            memory_bytes: 1 << 40,
            call_time: Duration::from_secs(1),
            ..Limits::default()
        };
        let granted = operator.lowered_to(&wish);
        assert_eq!(granted.memory_bytes, operator.memory_bytes);
        assert_eq!(granted.call_time, Duration::from_secs(1));
    }

    #[test]
    fn a_batch_is_at_most_a_quarter_of_the_memory() {
        let small = Limits {
            memory_bytes: 4 << 20,
            ..Limits::default()
        };
        assert_eq!(small.batch_bytes(), 1 << 20);
        assert_eq!(Limits::default().batch_bytes(), 16 << 20);
    }
}
