//! What learning found out: a mixture of latent classes over patterns, and the score it gives a pair.
//!
//! Classes that stand for matches and classes that stand for other pairs (chance, relatives, branches of one firm) each
//! give every level of every feature a probability. The score of a pattern is its log-odds of lying in a match class.
//! [`Scorer::explain`] splits the score exactly: feature by feature, what it adds given the features before it.

use crate::compare::{Feature, Pattern};
use crate::train::Trained;
use serde::{Deserialize, Serialize};

/// One latent class.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Class {
    /// Share of candidate pairs.
    pub(crate) share: f64,
    pub(crate) is_match: bool,
    /// Probability of each level of each feature given that it is not missing; index 0 is unused.
    pub(crate) levels: Vec<Vec<f64>>,
}

/// The learned model; travels as bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Model {
    /// The features, in pattern order.
    pub features: Vec<Feature>,
    /// Probability from which a pair counts as a match.
    pub threshold: f64,
    /// Expected share of candidate pairs that are matches.
    pub match_share: f64,
    pub(crate) classes: Vec<Class>,
    /// What labels changed.
    pub(crate) trained: Option<Trained>,
    /// How good the result is likely to be: [`crate::Quality`] as JSON.
    pub quality: String,
}

impl Model {
    /// A table of the learned probabilities, for people.
    pub fn describe(&self) -> String {
        let mut out = String::new();
        for class in &self.classes {
            out.push_str(&format!(
                "{} {:.4}\n",
                if class.is_match { "match" } else { "other" },
                class.share
            ));
            for (feature, levels) in self.features.iter().zip(&class.levels) {
                let levels: Vec<String> = levels
                    .iter()
                    .skip(1)
                    .map(|level| format!("{level:.4}"))
                    .collect();
                out.push_str(&format!("  {:<16} {}\n", feature.name, levels.join(" ")));
            }
        }
        out
    }
}

/// A score taken apart; `prior`, all `weights` and `together` sum to the log-odds in bits.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Log2-odds before any feature is seen.
    pub prior: f64,
    /// Signed log2 weight of each feature; 0 when missing, unless labels made something of that.
    pub weights: Vec<f64>,
    /// What labels made of the features together.
    pub together: f64,
}

/// Classes that a model may have: what learning makes, and room.
const CLASSES: usize = 16;

/// Scores patterns.
pub struct Scorer {
    /// Log share per class.
    shares: Vec<f64>,
    matches: Vec<bool>,
    /// Log probability by feature, then level, then class.
    tables: Vec<Vec<Vec<f64>>>,
    trained: Option<Trained>,
}

impl Scorer {
    /// A scorer for the patterns the model was learned from.
    pub fn new(model: &Model) -> Self {
        let tables = (0..model.features.len())
            .map(|feature| feature_table(model, feature))
            .collect();
        Self {
            shares: model
                .classes
                .iter()
                .take(CLASSES)
                .map(|class| class.share.max(1e-300).ln())
                .collect(),
            matches: model.classes.iter().map(|class| class.is_match).collect(),
            tables,
            trained: model.trained.clone(),
        }
    }

    /// Probability that the pair is a match.
    pub fn probability(&self, pattern: &Pattern) -> f64 {
        1.0 / (1.0 + (-self.log_odds(pattern)).exp())
    }

    /// Natural log-odds of a match.
    pub fn log_odds(&self, pattern: &Pattern) -> f64 {
        let mut joint = [0.0; CLASSES];
        let joint = joint.get_mut(..self.shares.len()).unwrap_or_default();
        joint.copy_from_slice(&self.shares);
        for (table, level) in self.tables.iter().zip(pattern) {
            add_level(joint, table, *level);
        }
        let odds = self.odds(joint);
        match &self.trained {
            Some(trained) => trained.margin(pattern, self.tables.len(), odds),
            None => odds,
        }
    }

    /// The score taken apart: feature by feature, what it adds given those before it.
    pub fn explain(&self, pattern: &Pattern) -> Explanation {
        let mut joint = self.shares.clone();
        let mut before = self.odds(&joint);
        let mut prior = before;
        let mut weights = Vec::with_capacity(self.tables.len());
        for (table, level) in self.tables.iter().zip(pattern) {
            add_level(&mut joint, table, *level);
            let after = self.odds(&joint);
            weights.push(after - before);
            before = after;
        }
        let trained = self.trained.as_ref();
        let together = trained.map_or(0.0, |trained| {
            trained.attribute(pattern, before, &mut prior, &mut weights)
        });
        let bits = |nats: f64| nats / std::f64::consts::LN_2;
        Explanation {
            prior: bits(prior),
            weights: weights.into_iter().map(bits).collect(),
            together: bits(together),
        }
    }

    fn odds(&self, joint: &[f64]) -> f64 {
        log_sum(joint, &self.matches, true) - log_sum(joint, &self.matches, false)
    }
}

fn feature_table(model: &Model, feature: usize) -> Vec<Vec<f64>> {
    let levels = model
        .features
        .get(feature)
        .map_or(0, |feature| usize::from(feature.levels));
    let log = |class: &Class, level: usize| -> f64 {
        let probability = class
            .levels
            .get(feature)
            .and_then(|levels| levels.get(level))
            .copied()
            .unwrap_or(1.0);
        if level == 0 {
            0.0
        } else {
            probability.max(1e-12).ln()
        }
    };
    (0..levels)
        .map(|level| {
            model
                .classes
                .iter()
                .map(|class| log(class, level))
                .collect()
        })
        .collect()
}

fn add_level(joint: &mut [f64], table: &[Vec<f64>], level: u8) {
    if let Some(row) = table.get(usize::from(level)).filter(|_| level != 0) {
        for (sum, weight) in joint.iter_mut().zip(row) {
            *sum += weight;
        }
    }
}

/// Logarithm of the summed exponentials of the chosen side; very low when the side has no class.
fn log_sum(joint: &[f64], matches: &[bool], side: bool) -> f64 {
    let chosen = || {
        joint
            .iter()
            .zip(matches)
            .filter(|(_, is_match)| **is_match == side)
            .map(|(value, _)| *value)
    };
    let top = chosen().fold(f64::MIN, f64::max);
    if top == f64::MIN {
        return -700.0;
    }
    top + chosen().map(|value| (value - top).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::PATTERN_BYTES;

    fn model() -> Model {
        let class = |share, is_match, agree: f64| Class {
            share,
            is_match,
            levels: vec![
                vec![0.0, agree, 1.0 - agree],
                vec![0.0, agree / 2.0, 1.0 - agree / 2.0],
            ],
        };
        let feature = |name: &str| Feature {
            name: name.to_owned(),
            kind: None,
            levels: 3,
        };
        Model {
            features: vec![feature("a"), feature("b")],
            threshold: 0.5,
            match_share: 0.2,
            classes: vec![
                class(0.2, true, 0.9),
                class(0.5, false, 0.1),
                class(0.3, false, 0.5),
            ],
            trained: None,
            quality: String::new(),
        }
    }

    #[test]
    fn weights_sum_to_the_score() {
        let scorer = Scorer::new(&model());
        for levels in [[1, 1], [1, 2], [2, 0], [0, 0]] {
            let mut pattern = [0; PATTERN_BYTES];
            pattern[..2].copy_from_slice(&levels);
            let explanation = scorer.explain(&pattern);
            let sum =
                explanation.prior + explanation.weights.iter().sum::<f64>() + explanation.together;
            assert!((sum - scorer.log_odds(&pattern) / std::f64::consts::LN_2).abs() < 1e-9);
        }
    }
}
