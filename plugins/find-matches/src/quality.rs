//! How good the result is likely to be, and where the threshold stands.
//!
//! A calibrated probability is an expectation: of the pairs above a threshold the mean probability is the precision to
//! expect, and the share of all probability that lies above it the recall among candidates. With labels, probabilities are
//! first corrected stratum by stratum of the score by what people said there, and bootstrapped for intervals.
//! Matches that share no key are estimated from how many share one key only and how many two (Chao's lower bound,
//! Chao 1984).

use serde::Serialize;

use crate::sample::Random;

/// Bounds of the strata, in natural log-odds; the threshold is one more.
const STRATA: [f64; 8] = [-8.0, -5.0, -3.0, -1.0, 1.0, 3.0, 5.0, 8.0];
/// Labels that a stratum's own expectation counts for.
const PRIOR: f64 = 2.0;
/// Resamples for intervals.
const RESAMPLES: usize = 200;
/// The least probability of a match is the precision's weight divided by this: one half, unless told otherwise.
const MARGIN: f64 = 1.2;
/// The trade-off is held this far from its ends, where one of the two would not count at all.
const EDGE: f64 = 0.02;

/// Candidate pairs of one score.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scored {
    pub(crate) log_odds: f64,
    /// How many pairs.
    pub(crate) count: f64,
    /// How many of them share one key, and two.
    pub(crate) shared: [f64; 2],
}

/// The score of a pair that a person judged, by a model that had not seen the judgement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    pub(crate) log_odds: f64,
    pub(crate) is_match: bool,
}

/// Everything that is told about a model.
#[derive(Clone, Debug, Serialize)]
pub struct Quality {
    /// What people said.
    pub labels: LabelCounts,
    /// Probability from which on a pair matches.
    pub threshold: f64,
    /// By the model's own probabilities.
    pub expected: Expected,
    /// By what people said; `None` without labels of both kinds.
    pub estimated: Option<Estimated>,
    /// The columns.
    pub columns: Vec<Importance>,
}

/// How much was said.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct LabelCounts {
    /// Pairs that were judged.
    pub pairs: usize,
    /// Of them one thing.
    pub matches: usize,
    /// Label sets.
    pub sets: usize,
}

/// Quality that probabilities promise.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Expected {
    /// Share of the matching pairs that are right.
    pub precision: f64,
    /// Share of all matches that are found, those included that no key led to.
    pub recall: f64,
    /// Share of all matches that are candidates.
    pub pair_completeness: f64,
    /// Candidate pairs for each record.
    pub candidates_per_record: f64,
}

/// Low, middle and high of an interval that holds the truth 95 times in 100.
pub type Interval = [f64; 3];

/// Quality by labels.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Estimated {
    /// Share of the matching pairs that are right.
    pub precision: Interval,
    /// Share of all matches that are found.
    pub recall: Interval,
    /// Harmonic mean of both.
    pub f1: Interval,
    /// The best that another threshold would give.
    pub max_f1: Interval,
    /// Area under the curve of precision over recall.
    pub pr_auc: Interval,
    /// Judged pairs by what a model that had not seen the judgement says.
    pub confusion: Confusion,
}

/// Judged pairs, by the judgement and by the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// Rightly one thing.
    pub true_positives: usize,
    /// Wrongly one thing.
    pub false_positives: usize,
    /// Rightly two things.
    pub true_negatives: usize,
    /// Wrongly two things.
    pub false_negatives: usize,
}

/// How much a column decides.
#[derive(Clone, Debug, Serialize)]
pub struct Importance {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: String,
    /// Share of all evidence.
    pub importance: f64,
}

/// The candidates by falling score.
pub(crate) struct Curve(Vec<Scored>);

#[derive(Clone, Copy, Default)]
struct Figures {
    precision: f64,
    recall: f64,
    f1: f64,
    max_f1: f64,
    pr_auc: f64,
}

fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

impl Curve {
    pub(crate) fn new(mut scored: Vec<Scored>) -> Self {
        scored.sort_by(|x, y| y.log_odds.total_cmp(&x.log_odds));
        Self(scored)
    }

    /// The threshold, in log-odds, that is expected to be best when precision counts `precision` of 1 and recall the rest.
    ///
    /// It is the best of F-beta, with beta squared the ratio of recall's weight to precision's.
    pub(crate) fn threshold(&self, precision: f64) -> f64 {
        let precision = precision.clamp(EDGE, 1.0 - EDGE);
        let beta = (1.0 - precision) / precision;
        let all: f64 = self
            .0
            .iter()
            .map(|s| probability(s.log_odds) * s.count)
            .sum();
        let (mut right, mut named) = (0.0, 0.0);
        let mut best = (f64::MIN, 0.0);
        for (at, scored) in self.0.iter().enumerate() {
            right += probability(scored.log_odds) * scored.count;
            named += scored.count;
            let f = (1.0 + beta) * right / (beta * all + named);
            if f > best.0 + 1e-12 {
                let next = self
                    .0
                    .get(at + 1)
                    .map_or(scored.log_odds - 1.0, |n| n.log_odds);
                best = (f, scored.log_odds.midpoint(next));
            }
        }
        // Where nothing is sure, the best is still poor: what is unlikely is no match for all that.
        let least = precision / MARGIN;
        best.1.max((least / (1.0 - least)).ln())
    }

    /// What the probabilities promise at a threshold in log-odds.
    pub(crate) fn expected(&self, threshold: f64, records: f64) -> Expected {
        let probabilities: Vec<f64> = self.0.iter().map(|s| probability(s.log_odds)).collect();
        let figures = self.figures(&probabilities, threshold);
        let completeness = self.completeness(&probabilities);
        let candidates = self.0.iter().fold(0.0, |sum, scored| sum + scored.count);
        Expected {
            precision: figures.precision,
            recall: figures.recall * completeness,
            pair_completeness: completeness,
            candidates_per_record: candidates / records.max(1.0),
        }
    }

    fn completeness(&self, probabilities: &[f64]) -> f64 {
        let (mut found, mut shared) = (0.0, [0.0, 0.0]);
        for (scored, probability) in self.0.iter().zip(probabilities) {
            found += probability * scored.count;
            shared[0] += probability * scored.shared[0];
            shared[1] += probability * scored.shared[1];
        }
        let unseen = shared[0] * shared[0] / (2.0 * f64::max(shared[1], 1.0));
        if found > 0.0 {
            found / (found + unseen)
        } else {
            1.0
        }
    }

    fn figures(&self, probabilities: &[f64], threshold: f64) -> Figures {
        let weighted = self.0.iter().zip(probabilities);
        let all: f64 = weighted.clone().map(|(s, p)| p * s.count).sum();
        let (mut right, mut named) = (0.0, 0.0);
        let mut figures = Figures {
            precision: 1.0,
            ..Figures::default()
        };
        let mut recall_before = 0.0;
        for (scored, probability) in weighted {
            right += probability * scored.count;
            named += scored.count;
            let (precision, recall) = (right / named, right / f64::max(all, 1e-9));
            let f1 = 2.0 * right / (all + named);
            figures.max_f1 = figures.max_f1.max(f1);
            figures.pr_auc += precision * (recall - recall_before);
            recall_before = recall;
            if scored.log_odds >= threshold {
                (figures.precision, figures.recall, figures.f1) = (precision, recall, f1);
            }
        }
        figures
    }

    /// What labels say of the result at a threshold in log-odds.
    pub(crate) fn estimated(&self, judged: &[Judged], threshold: f64) -> Estimated {
        let bounds = bounds(threshold);
        let strata: Vec<usize> = self
            .0
            .iter()
            .map(|s| stratum(&bounds, s.log_odds))
            .collect();
        let own: Vec<f64> = self.0.iter().map(|s| probability(s.log_odds)).collect();
        let means = self.means(&strata, &own, bounds.len() + 1);
        let figures = |judged: &mut dyn Iterator<Item = Judged>| {
            let ratios = ratios(&bounds, &means, judged);
            let corrected: Vec<f64> = own
                .iter()
                .zip(&strata)
                .map(|(p, stratum)| (p * ratios[*stratum]).min(1.0))
                .collect();
            let mut figures = self.figures(&corrected, threshold);
            let completeness = self.completeness(&corrected);
            figures.recall *= completeness;
            figures
        };
        let middle = figures(&mut judged.iter().copied());
        let mut random = Random(7);
        let resampled: Vec<Figures> = (0..RESAMPLES)
            .map(|_| {
                let mut drawn = (0..judged.len()).map(|_| judged[random.below(judged.len())]);
                figures(&mut drawn)
            })
            .collect();
        let interval = |of: fn(&Figures) -> f64| interval(of(&middle), resampled.iter().map(of));
        Estimated {
            precision: interval(|f| f.precision),
            recall: interval(|f| f.recall),
            f1: interval(|f| f.f1),
            max_f1: interval(|f| f.max_f1),
            pr_auc: interval(|f| f.pr_auc),
            confusion: confusion(judged, threshold),
        }
    }

    /// Mean probability of each stratum.
    fn means(&self, strata: &[usize], probabilities: &[f64], count: usize) -> Vec<f64> {
        let mut sums = vec![(0.0, 0.0); count];
        for ((scored, probability), stratum) in self.0.iter().zip(probabilities).zip(strata) {
            sums[*stratum].0 += probability * scored.count;
            sums[*stratum].1 += scored.count;
        }
        let mean = |(right, all): &(f64, f64)| if *all > 0.0 { right / all } else { 0.0 };
        sums.iter().map(mean).collect()
    }
}

fn bounds(threshold: f64) -> Vec<f64> {
    let mut bounds = STRATA.to_vec();
    bounds.push(threshold);
    bounds.sort_by(f64::total_cmp);
    bounds
}

fn stratum(bounds: &[f64], log_odds: f64) -> usize {
    bounds.partition_point(|bound| *bound <= log_odds)
}

/// By how much the matches of each stratum are more than the model believes.
fn ratios(bounds: &[f64], means: &[f64], judged: &mut dyn Iterator<Item = Judged>) -> Vec<f64> {
    let mut said = vec![(0.0, 0.0); means.len()];
    for pair in judged {
        let counts = &mut said[stratum(bounds, pair.log_odds)];
        counts.0 += f64::from(u8::from(pair.is_match));
        counts.1 += 1.0;
    }
    let ratio = |((matches, all), mean): (&(f64, f64), &f64)| {
        let rate = (matches + PRIOR * mean) / (all + PRIOR);
        if *mean > 0.0 { rate / mean } else { 1.0 }
    };
    said.iter().zip(means).map(ratio).collect()
}

fn interval(middle: f64, resampled: impl Iterator<Item = f64>) -> Interval {
    let mut values: Vec<f64> = resampled.collect();
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (share * (values.len().saturating_sub(1)) as f64).round() as usize;
        values.get(place).copied().unwrap_or(middle)
    };
    [at(0.025).min(middle), middle, at(0.975).max(middle)]
}

fn confusion(judged: &[Judged], threshold: f64) -> Confusion {
    let mut confusion = Confusion::default();
    for pair in judged {
        let count = match (pair.log_odds >= threshold, pair.is_match) {
            (true, true) => &mut confusion.true_positives,
            (true, false) => &mut confusion.false_positives,
            (false, false) => &mut confusion.true_negatives,
            (false, true) => &mut confusion.false_negatives,
        };
        *count += 1;
    }
    confusion
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scored(log_odds: f64, count: f64) -> Scored {
        Scored {
            log_odds,
            count,
            shared: [0.0, count],
        }
    }

    fn curve() -> Curve {
        Curve::new(vec![
            scored(6.0, 90.0),
            scored(2.0, 20.0),
            scored(-0.3, 20.0),
            scored(-2.0, 100.0),
            scored(-7.0, 1000.0),
        ])
    }

    #[test]
    fn the_threshold_is_where_f1_is_best() {
        let threshold = curve().threshold(0.5);
        assert!((-2.0..2.0).contains(&threshold), "{threshold}");
        let expected = curve().expected(threshold, 100.0);
        assert!(
            expected.precision > 0.85 && expected.recall > 0.8,
            "{expected:?}"
        );
        assert_eq!(expected.candidates_per_record, 12.3);
    }

    #[test]
    fn what_is_unlikely_is_no_match() {
        let doubtful = Curve::new(vec![scored(-3.0, 10.0), scored(-8.0, 100.0)]);
        assert!(doubtful.threshold(0.6) >= -1e-9);
        assert!(doubtful.threshold(0.1) < -2.0);
    }

    #[test]
    fn matches_that_share_one_key_only_hint_at_those_that_share_none() {
        let thin = |one: f64| {
            Curve::new(vec![Scored {
                log_odds: 9.0,
                count: 100.0,
                shared: [one, 30.0],
            }])
        };
        let full = thin(0.0).expected(0.0, 1.0).pair_completeness;
        let less = thin(30.0).expected(0.0, 1.0).pair_completeness;
        assert!(full > 0.999 && (0.85..0.9).contains(&less), "{less}");
    }

    #[test]
    fn labels_correct_what_the_model_believes() {
        let threshold = curve().threshold(0.5);
        // People say that half of what the model is sure of is wrong.
        let judged: Vec<Judged> = (0..100)
            .map(|n| Judged {
                log_odds: 6.0,
                is_match: n % 2 == 0,
            })
            .collect();
        let estimated = curve().estimated(&judged, threshold);
        let [low, middle, high] = estimated.precision;
        assert!(
            low < middle && middle < high && middle < 0.65,
            "{estimated:?}"
        );
        assert!(high - low < 0.25);
        assert_eq!(estimated.confusion.false_positives, 50);
    }

    #[test]
    fn nothing_to_judge_is_no_division_by_zero() {
        let empty = Curve::new(Vec::new());
        assert!(empty.threshold(0.5) <= 0.0);
        let expected = empty.expected(0.0, 0.0);
        assert!(expected.precision == 1.0 && expected.recall == 0.0);
    }

    proptest! {
        #[test]
        fn more_weight_on_precision_never_lowers_the_threshold(
            scores in proptest::collection::vec((-9.0f64..9.0, 1.0f64..50.0), 1..40),
            low in 0.0f64..1.0,
            more in 0.0f64..1.0,
        ) {
            let curve = Curve::new(scores.into_iter().map(|(l, c)| scored(l, c)).collect());
            let high = low + more * (1.0 - low);
            prop_assert!(curve.threshold(low) <= curve.threshold(high) + 1e-9);
        }
    }
}
