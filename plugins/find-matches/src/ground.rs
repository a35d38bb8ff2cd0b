//! What is known before learning: agreement by chance, the shape of matches, and which features name the thing.
//!
//! [`Ground`] gathers it. Agreement by chance comes from random pairs; in small tables those hold matches too, and
//! [`without_expected`] and [`Ground::without_matches`] take them out. The subject is the leftmost naming column that tells
//! records apart, as tables start with what they are about; subject, dates and mail addresses are the identity features:
//! relatives, branches and editions share everything else.

use crate::compare::{Feature, Pattern};
use crate::kind::Kind;
use crate::model::Class;
use crate::profile::{Column, Profile};

/// Chance that two values of a telling column are equal, at most.
const TELLING: f64 = 0.05;
/// Share of the best distinct share at which a text tells records apart about as well.
const NEARLY: f64 = 0.7;
/// Random pairs assumed at each level beyond those seen.
const UNSEEN: f64 = 0.2;

/// Level probabilities or counts, by feature and level; level 0 is unused.
pub(crate) type Levels = Vec<Vec<f64>>;

/// What learning starts from.
pub(crate) struct Ground {
    /// Level probabilities between random records.
    pub(crate) chance: Levels,
    /// Level probabilities expected of matches before any data is seen.
    pub(crate) prior: Levels,
    /// Features that tell one thing from its relatives.
    pub(crate) identity: Vec<bool>,
    /// The feature that names the thing.
    pub(crate) subject: Option<usize>,
    /// All pairs there are, and how many of them may match.
    pub(crate) universe: Universe,
}

impl Ground {
    /// The ground that random pairs with these level counts give.
    pub(crate) fn new(profile: &Profile, features: &[Feature], sampled: &Levels) -> Self {
        let chance = smooth(sampled);
        let telling = telling(profile, features);
        let subject = subject(features, &telling);
        let identity = identity(features, &telling, subject);
        let prior = features
            .iter()
            .zip(&identity)
            .map(|(feature, identity)| prior_levels(feature, *identity))
            .collect();
        Self {
            chance,
            prior,
            identity,
            subject,
            universe: Universe::of(profile),
        }
    }

    /// Takes the matches that random pairs hold by luck out of their level counts.
    pub(crate) fn without_matches<'c>(
        &self,
        matches: impl Iterator<Item = &'c Class>,
        candidates: f64,
        mut sampled: Levels,
    ) -> Levels {
        for class in matches {
            let rate = class.share * candidates / self.universe.pairs;
            for (counts, levels) in sampled.iter_mut().zip(&class.levels) {
                let present: f64 = counts.iter().skip(1).sum();
                for (count, level) in counts.iter_mut().zip(levels).skip(1) {
                    *count = (*count - present * rate * level).max(0.0);
                }
            }
        }
        sampled
    }
}

/// All pairs there are, and how many of them might match before any data is seen.
#[derive(Clone, Copy)]
pub(crate) struct Universe {
    pub(crate) pairs: f64,
    pub(crate) expected: f64,
}

impl Universe {
    pub(crate) fn of(profile: &Profile) -> Self {
        let [n0, n1] = profile.records.map(|n| n as f64);
        let pairs = if profile.link {
            n0 * n1
        } else {
            n0 * (n0 - 1.0).max(0.0) / 2.0
        };
        let expected = if profile.link { n0.min(n1) } else { n0 } * 0.5;
        Self {
            pairs: pairs.max(1.0),
            expected: expected.max(1.0),
        }
    }
}

/// Where the expected matches alone explain that random records agree, chance gets only the rest.
pub(crate) fn without_expected(mut sampled: Levels, universe: Universe) -> Levels {
    const AGREEMENT: std::ops::Range<usize> = 1..5;
    for counts in sampled
        .iter_mut()
        .filter(|counts| counts.len() > AGREEMENT.end)
    {
        let present: f64 = counts.iter().skip(1).sum();
        let agreeing: f64 = counts[AGREEMENT].iter().sum();
        let matching = 0.8 * present * universe.expected / universe.pairs;
        let chance = (1.0 - matching / agreeing.max(1e-9)).max(0.0);
        counts[AGREEMENT]
            .iter_mut()
            .for_each(|count| *count *= chance);
    }
    sampled
}

/// Pairs per level of each feature.
pub(crate) fn count_levels(features: &[Feature], counts: &[(Pattern, u64)]) -> Levels {
    let mut sums: Levels = features
        .iter()
        .map(|f| vec![0.0; usize::from(f.levels)])
        .collect();
    for (pattern, count) in counts {
        for (sums, level) in sums.iter_mut().zip(pattern) {
            if let Some(sum) = sums.get_mut(usize::from(*level)) {
                *sum += *count as f64;
            }
        }
    }
    sums
}

/// Level probabilities between random records; a level never seen is rare, not impossible.
fn smooth(counts: &Levels) -> Levels {
    let smooth_one = |counts: &Vec<f64>| -> Vec<f64> {
        let total: f64 = counts.iter().skip(1).map(|count| count + UNSEEN).sum();
        std::iter::once(1.0)
            .chain(counts.iter().skip(1).map(|count| (count + UNSEEN) / total))
            .collect()
    };
    counts.iter().map(smooth_one).collect()
}

/// Per feature, the distinct values of its column per record if they tell records apart, else 0.
///
/// Judged within the tables: two tables may spell the few values of a column so differently that they never agree.
fn telling(profile: &Profile, features: &[Feature]) -> Vec<f64> {
    let share = |column: &Column| {
        if column.collision < TELLING {
            column.distinct_share * (1.0 - column.null_share)
        } else {
            0.0
        }
    };
    let compared = profile.columns.iter().filter(|column| column.compared);
    let mut telling: Vec<f64> = compared.map(share).collect();
    telling.resize(features.len(), 0.0);
    telling
}

/// The leftmost naming column whose values tell records apart: tables start with what they are about.
///
/// Where that is running text (an artist, a maker), another text that tells records apart much better (the title) is
/// the subject instead. A person's first name is the subject though streets have more distinct values.
fn subject(features: &[Feature], telling: &[f64]) -> Option<usize> {
    let of_kind = |at: usize, kind: Kind| features[at].kind == Some(kind) && telling[at] > 0.0;
    let leftmost =
        (0..features.len()).find(|at| of_kind(*at, Kind::Name) || of_kind(*at, Kind::Text))?;
    if of_kind(leftmost, Kind::Name) {
        return Some(leftmost);
    }
    let texts = || (0..features.len()).filter(|at| of_kind(*at, Kind::Text));
    let best = texts().map(|at| telling[at]).fold(0.0, f64::max);
    texts().find(|at| telling[*at] >= NEARLY * best)
}

/// The subject, dates and mail addresses.
fn identity(features: &[Feature], telling: &[f64], subject: Option<usize>) -> Vec<bool> {
    let personal = |feature: &Feature| matches!(feature.kind, Some(Kind::Date | Kind::Mail));
    let features = features.iter().zip(telling).enumerate();
    features
        .map(|(at, (feature, telling))| Some(at) == subject || personal(feature) && *telling > 0.0)
        .collect()
}

/// Level probabilities expected of matches before any data is seen.
fn prior_levels(feature: &Feature, identity: bool) -> Vec<f64> {
    let shape: &[f64] = match feature.kind {
        Some(Kind::Name) => &[0.25, 0.25, 0.25, 0.08, 0.05, 0.02, 0.02, 0.02],
        Some(Kind::Text) => &[0.2, 0.2, 0.2, 0.1, 0.06, 0.06, 0.05, 0.05, 0.04, 0.03],
        Some(Kind::Code) => &[0.25, 0.25, 0.25, 0.08, 0.05],
        Some(Kind::Date) => &[0.27, 0.27, 0.27, 0.08, 0.04, 0.03],
        Some(Kind::Mail) => &[0.25, 0.25, 0.25, 0.07, 0.04, 0.04],
        Some(Kind::Number) => &[0.2, 0.2, 0.2, 0.08, 0.08, 0.08],
        None if feature.levels == 5 => &[0.1, 0.1, 0.1],
        None if feature.levels == 4 => &[0.4, 0.4],
        None => &[0.85],
    };
    let differ = match (feature.kind, feature.levels) {
        (None, 5) => 0.7,
        _ if identity => 0.03,
        _ => 0.15,
    };
    let total: f64 = shape.iter().sum();
    let agree = shape.iter().map(|share| share / total * (1.0 - differ));
    std::iter::once(1.0)
        .chain(agree)
        .chain(std::iter::once(differ))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(kind: Kind, levels: u8) -> Feature {
        Feature {
            name: String::new(),
            kind: Some(kind),
            levels,
        }
    }

    #[test]
    fn the_subject_is_the_first_telling_name() {
        let features = [
            feature(Kind::Name, 10),
            feature(Kind::Text, 12),
            feature(Kind::Date, 8),
        ];
        assert_eq!(subject(&features, &[0.0, 0.5, 0.5]), Some(1));
        assert_eq!(
            identity(&features, &[0.0, 0.5, 0.5], Some(1)),
            [false, true, true]
        );
    }

    #[test]
    fn priors_are_distributions() {
        let kinds = [
            (Kind::Name, 10),
            (Kind::Text, 12),
            (Kind::Code, 7),
            (Kind::Date, 8),
            (Kind::Mail, 8),
            (Kind::Number, 8),
        ];
        for (kind, levels) in kinds {
            let prior = prior_levels(&feature(kind, levels), false);
            assert_eq!(prior.len(), usize::from(levels));
            assert!((prior.iter().skip(1).sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn expected_matches_are_not_chance() {
        let universe = Universe {
            pairs: 1_000.0,
            expected: 100.0,
        };
        let rare = without_expected(vec![vec![0.0, 5.0, 0.0, 0.0, 0.0, 95.0]], universe);
        let common = without_expected(vec![vec![0.0, 80.0, 0.0, 0.0, 0.0, 20.0]], universe);
        assert_eq!(rare[0][1], 0.0);
        assert!((common[0][1] - 72.0).abs() < 1e-9);
    }
}
