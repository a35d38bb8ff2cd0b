//! What labels change: the zero-label score, calibrated, plus boosted trees.
//!
//! ```text
//! margin = slope x score + offset + trees(levels, score)
//! ```
//! With a handful of labels only slope and offset move, held to 1 and 0 by a prior; with some tens of both kinds trees
//! learn what the mixture could not know, as many as help on labels that they have not seen (cross-validation by
//! groups of records that labels connect). Pairs of which the mixture is sure count a little as if they were labelled, so that labels, which people give
//! for doubtful pairs, do not change what is plain.

use serde::{Deserialize, Serialize};

use crate::compare::Pattern;
use crate::hash;
use crate::labels::LabelledPair;
use crate::trees::{Example, Trees};

/// Parts that labels are split into.
const FOLDS: u64 = 5;
/// Trees at most.
const ROUNDS: usize = 120;
/// Labels of either kind from which on trees are tried.
const ENOUGH: usize = 15;
/// Steps of the score that trees see, one bit each, around even odds.
const SCORE_STEPS: f64 = 20.0;
/// Precision of the prior of slope and offset.
const PRIOR: [f64; 2] = [8.0, 1.0];

/// What was learned from labels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Trained {
    slope: f64,
    offset: f64,
    trees: Trees,
}

/// A pattern with its zero-label log-odds, and whether it matches.
pub(crate) struct Lesson {
    pub(crate) pattern: Pattern,
    pub(crate) log_odds: f64,
    pub(crate) is_match: bool,
    /// 1 for what a person said.
    pub(crate) weight: f64,
    /// The part of the labels that it is in; `None` for what nobody said.
    pub(crate) fold: Option<u64>,
}

impl Lesson {
    /// What a person said of a pair.
    ///
    /// `group` is the first of all records that labels connect with the pair's: they are seen together or not at all.
    pub(crate) fn of_label(
        pair: &LabelledPair,
        group: u32,
        pattern: Pattern,
        log_odds: f64,
    ) -> Self {
        Self {
            pattern,
            log_odds,
            is_match: pair.is_match,
            weight: 1.0,
            fold: Some(hash::mix(51, u64::from(group)) % FOLDS),
        }
    }
}

impl Trained {
    /// Learns from lessons; also the margin of each label as those who had not seen it would have it.
    pub(crate) fn fit(lessons: &[Lesson], width: usize) -> (Self, Vec<f64>) {
        let said = |is_match: bool| {
            let of_people = lessons.iter().filter(|lesson| lesson.fold.is_some());
            of_people.filter(|l| l.is_match == is_match).count()
        };
        let rounds = if said(true).min(said(false)) < ENOUGH {
            0
        } else {
            ROUNDS
        };
        let folds: Vec<Self> = (0..FOLDS)
            .map(|fold| {
                let others = lessons.iter().filter(|lesson| lesson.fold != Some(fold));
                Self::of(&others.collect::<Vec<_>>(), width, rounds)
            })
            .collect();
        let best = best_rounds(&folds, lessons, width, rounds);
        let folds: Vec<Self> = folds.into_iter().map(|fold| fold.with(best)).collect();
        let margins = lessons.iter().filter_map(|lesson| {
            let fold = folds.get(lesson.fold? as usize)?;
            Some(fold.margin(&lesson.pattern, width, lesson.log_odds))
        });
        let margins = margins.collect();
        let all = Self::of(&lessons.iter().collect::<Vec<_>>(), width, best);
        (all, margins)
    }

    fn of(lessons: &[&Lesson], width: usize, rounds: usize) -> Self {
        let (slope, offset) = line(lessons);
        let examples: Vec<Example> = lessons
            .iter()
            .map(|lesson| Example {
                bins: bins(&lesson.pattern, width, lesson.log_odds),
                is_match: lesson.is_match,
                weight: lesson.weight,
                margin: slope * lesson.log_odds + offset,
            })
            .collect();
        Self {
            slope,
            offset,
            trees: Trees::fit(&examples, rounds),
        }
    }

    fn with(mut self, rounds: usize) -> Self {
        self.trees = self.trees.truncated(rounds);
        self
    }

    /// Natural log-odds of a pattern, given those of the mixture.
    pub(crate) fn margin(&self, pattern: &Pattern, width: usize, log_odds: f64) -> f64 {
        let line = self.slope * log_odds + self.offset;
        if self.trees.len() == 0 {
            return line;
        }
        line + self.trees.margin(&bins(pattern, width, log_odds))
    }

    /// Takes a margin apart: the prior and the weights of features are those of the mixture when they come in. What the
    /// trees make of the score as a whole is the answer.
    pub(crate) fn attribute(
        &self,
        pattern: &Pattern,
        log_odds: f64,
        prior: &mut f64,
        weights: &mut [f64],
    ) -> f64 {
        let mut parts = vec![0.0; weights.len() + 1];
        let common = self
            .trees
            .attribute(&bins(pattern, weights.len(), log_odds), &mut parts);
        *prior = self.slope * *prior + self.offset + common;
        for (weight, part) in weights.iter_mut().zip(&parts) {
            *weight = self.slope * *weight + part;
        }
        parts.last().copied().unwrap_or(0.0)
    }
}

/// The number of trees with the least loss on labels that they had not seen.
fn best_rounds(folds: &[Trained], lessons: &[Lesson], width: usize, rounds: usize) -> usize {
    let mut losses = vec![0.0; rounds + 1];
    for lesson in lessons {
        let Some(fold) = lesson.fold.and_then(|fold| folds.get(fold as usize)) else {
            continue;
        };
        let sign = if lesson.is_match { -1.0 } else { 1.0 };
        let line = fold.slope * lesson.log_odds + fold.offset;
        let bins = bins(&lesson.pattern, width, lesson.log_odds);
        let mut margin = line;
        let mut stages = fold.trees.stages(&bins);
        for (at, loss) in losses.iter_mut().enumerate() {
            if at > 0 {
                margin = stages.next().map_or(margin, |stage| line + stage);
            }
            *loss += (sign * margin).exp().ln_1p();
        }
    }
    let best = losses.iter().enumerate().min_by(|x, y| x.1.total_cmp(y.1));
    best.map_or(0, |(at, _)| at)
}

/// Levels, then the score in steps.
fn bins(pattern: &Pattern, width: usize, log_odds: f64) -> Vec<u8> {
    let mut bins: Vec<u8> = pattern.iter().take(width).copied().collect();
    let bits = (log_odds / std::f64::consts::LN_2).clamp(-SCORE_STEPS, SCORE_STEPS);
    bins.push((bits + SCORE_STEPS) as u8 + 1);
    bins
}

/// Slope and offset by Newton's method, with a normal prior around 1 and 0 (Platt scaling).
fn line(lessons: &[&Lesson]) -> (f64, f64) {
    let (mut slope, mut offset) = (1.0f64, 0.0f64);
    for _ in 0..25 {
        let (mut g, mut h) = (
            [PRIOR[0] * (slope - 1.0), PRIOR[1] * offset],
            [PRIOR[0], 0.0, PRIOR[1]],
        );
        for lesson in lessons {
            let x = lesson.log_odds.clamp(-14.0, 14.0);
            let probability = 1.0 / (1.0 + (-(slope * x + offset)).exp());
            let label = f64::from(u8::from(lesson.is_match));
            let error = lesson.weight * (probability - label);
            let curvature = lesson.weight * probability * (1.0 - probability);
            g[0] += error * x;
            g[1] += error;
            h[0] += curvature * x * x;
            h[1] += curvature * x;
            h[2] += curvature;
        }
        let determinant = h[0] * h[2] - h[1] * h[1];
        let step = [
            (h[2] * g[0] - h[1] * g[1]) / determinant,
            (h[0] * g[1] - h[1] * g[0]) / determinant,
        ];
        slope = (slope - step[0].clamp(-0.5, 0.5)).clamp(0.1, 3.0);
        offset -= step[1].clamp(-2.0, 2.0);
        if step.iter().all(|step| step.abs() < 1e-9) {
            break;
        }
    }
    (slope, offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::PATTERN_BYTES;

    fn lesson(levels: &[u8], log_odds: f64, is_match: bool, n: u32) -> Lesson {
        let mut pattern = [0; PATTERN_BYTES];
        pattern[..levels.len()].copy_from_slice(levels);
        let pair = LabelledPair {
            a: n,
            b: n + 1,
            is_match,
        };
        Lesson::of_label(&pair, n, pattern, log_odds)
    }

    /// The mixture likes level 1 of the first feature; people say that the second decides.
    fn corrected() -> Vec<Lesson> {
        (0..200)
            .map(|n| {
                let (x, y) = (1 + (n % 2) as u8, 1 + (n / 2 % 2) as u8);
                lesson(&[x, y], if x == 1 { 2.0 } else { -2.0 }, y == 1, n)
            })
            .collect()
    }

    #[test]
    fn people_overrule_the_mixture() {
        let (trained, unseen) = Trained::fit(&corrected(), 2);
        let pattern = corrected()[0].pattern;
        assert!(trained.margin(&pattern, 2, 2.0) > 2.0);
        let mut other = pattern;
        other[1] = 2;
        assert!(trained.margin(&other, 2, 2.0) < -2.0);
        let right = unseen
            .iter()
            .zip(corrected())
            .filter(|(margin, lesson)| (**margin > 0.0) == lesson.is_match);
        assert_eq!(right.count(), 200);
    }

    #[test]
    fn a_few_labels_change_little() {
        let lessons = [
            lesson(&[1], 3.0, true, 0),
            lesson(&[1], 2.0, true, 1),
            lesson(&[2], -3.0, false, 2),
        ];
        let (trained, _) = Trained::fit(&lessons, 1);
        assert_eq!(trained.trees.len(), 0);
        assert!((trained.slope - 1.0).abs() < 0.3 && trained.offset.abs() < 0.5);
    }

    #[test]
    fn labels_of_one_kind_are_enough_to_go_on() {
        let lessons: Vec<Lesson> = (0..30).map(|n| lesson(&[1], 0.0, true, n)).collect();
        let (trained, unseen) = Trained::fit(&lessons, 1);
        assert!(trained.offset > 1.0 && trained.offset.is_finite());
        assert_eq!(unseen.len(), 30);
    }

    #[test]
    fn parts_sum_to_the_margin() {
        let (trained, _) = Trained::fit(&corrected(), 2);
        let pattern = corrected()[0].pattern;
        let (mut prior, mut weights) = (-1.0, [2.5, 0.5]);
        let rest = trained.attribute(&pattern, 2.0, &mut prior, &mut weights);
        let sum = prior + weights.iter().sum::<f64>() + rest;
        assert!((sum - trained.margin(&pattern, 2, 2.0)).abs() < 1e-9);
    }
}
