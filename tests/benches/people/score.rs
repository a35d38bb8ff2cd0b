//! [`Score`]: found pairs against true ones.

use std::collections::HashSet;

/// Precision and recall over unordered pairs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Score {
    pub(crate) precision: f64,
    pub(crate) recall: f64,
}

impl Score {
    /// Of these pairs.
    pub(crate) fn of(found: &HashSet<(u32, u32)>, truth: &HashSet<(u32, u32)>) -> Self {
        let right = found.intersection(truth).count() as f64;
        Self {
            precision: right / found.len().max(1) as f64,
            recall: right / truth.len().max(1) as f64,
        }
    }

    /// Their harmonic mean.
    pub(crate) fn f1(self) -> f64 {
        2.0 * self.precision * self.recall / (self.precision + self.recall).max(f64::MIN_POSITIVE)
    }

    /// Cells of a table.
    pub(crate) fn cells(self) -> String {
        format!(
            "{:.3} | {:.3} | {:.3}",
            self.precision,
            self.recall,
            self.f1()
        )
    }
}
