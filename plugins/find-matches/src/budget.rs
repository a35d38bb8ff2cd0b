//! How much is compared: Glue's accuracy-cost trade-off as numbers.

/// Up to this many records everything is cheap, so that nothing is spared.
const SMALL: f64 = 20_000.0;
/// From this many records on, what is unlikely is spared in full.
const LARGE: f64 = 500_000.0;

/// Limits on the candidates of each record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Best candidates that a record may name.
    pub best: usize,
    /// Share of its best candidate's weight that another must have, in a large table.
    pub floor: f64,
}

impl Default for Budget {
    fn default() -> Self {
        Self::of_accuracy(0.5)
    }
}

impl Budget {
    /// The budget of an accuracy-cost trade-off between 0 (cheapest) and 1 (most candidates).
    pub fn of_accuracy(accuracy: f64) -> Self {
        let accuracy = accuracy.clamp(0.0, 1.0);
        Self {
            best: (2.5 * 16f64.powf(accuracy)).round() as usize,
            floor: 0.4 * (1.0 - accuracy),
        }
    }

    /// The floor for a table of this many records: learning from few needs the unlikely pairs too.
    pub(crate) fn floor_of(&self, records: usize) -> f64 {
        let size = (records as f64).clamp(SMALL, LARGE);
        self.floor * (size / SMALL).ln() / (LARGE / SMALL).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_accuracy_is_more_candidates() {
        let [cheap, middle, dear] = [0.0, 0.5, 1.0].map(Budget::of_accuracy);
        assert!(cheap.best < middle.best && middle.best < dear.best);
        assert!(cheap.floor > middle.floor && middle.floor > dear.floor);
        assert_eq!((middle.best, dear.floor), (10, 0.0));
        assert_eq!(middle.floor_of(1_000), 0.0);
        assert_eq!(middle.floor_of(1_000_000), middle.floor);
    }
}
