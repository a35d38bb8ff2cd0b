//! Two blobs to the probability that they are of one thing: comparer and scorer together, remembering frequent patterns.

use crate::archive::Archive;
use crate::compare::{Comparer, PATTERN_BYTES, Pattern};
use crate::error::Error;
use crate::hash;
use crate::model::Scorer;
use crate::twins::{self, Twins};

/// Patterns remembered; most pairs show one of a few thousand.
const REMEMBERED: usize = 1 << 14;

/// Judges pairs; holds buffers, so use one per thread.
pub struct Judge {
    comparer: Comparer,
    scorer: Scorer,
    twins: Twins,
    threshold: f64,
    /// Probabilities by the hash of their pattern.
    remembered: Vec<(Pattern, f64)>,
}

impl Judge {
    /// A judge by the archive's model.
    ///
    /// # Errors
    /// [`Error::Encoding`] where nothing was learned yet.
    pub fn new(archive: &Archive) -> Result<Self, Error> {
        let model = archive.model()?;
        Ok(Self {
            comparer: Comparer::new(&archive.profile),
            scorer: Scorer::new(model),
            twins: Twins::new(&archive.profile),
            threshold: model.threshold,
            remembered: vec![([u8::MAX; PATTERN_BYTES], 0.0); REMEMBERED],
        })
    }

    /// Probability from which on a pair matches.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// How two records compare.
    pub fn pattern(&self, a: &[u8], b: &[u8]) -> Pattern {
        self.comparer.compare(a, b)
    }

    /// The probability that two records are one thing.
    pub fn probability(&mut self, a: &[u8], b: &[u8]) -> f64 {
        let pattern = self.pattern(a, b);
        let probability = self.of_pattern(&pattern);
        if self.twins.are(a, b) {
            probability.max(1.0 / (1.0 + (-twins::LOG_ODDS).exp()))
        } else {
            probability
        }
    }

    /// The probability of a pattern.
    pub fn of_pattern(&mut self, pattern: &Pattern) -> f64 {
        let place = hash::bytes(71, pattern) as usize % REMEMBERED;
        let remembered = &mut self.remembered[place];
        if remembered.0 != *pattern {
            *remembered = (*pattern, self.scorer.probability(pattern));
        }
        remembered.1
    }
}
