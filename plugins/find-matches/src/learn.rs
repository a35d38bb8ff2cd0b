//! Learning without labels: expectation maximisation over counted patterns.
//!
//! Candidate pairs are a mixture of latent classes in which features are independent:
//!
//! ```text
//! match      plain; and variants, where several details changed together (moved house, new owner)
//! relatives  share the details as matches do, but the identity features agree by chance only (spouses, branches,
//!            songs of one album); and those that share further identity features but not the subject (twins)
//! other      pairs that met by a common surname, city, word, ...
//! ```
//! Dependence between columns is what the classes are for: inside relatives, agreeing on street, town and phone at once is
//! no surprise, so it is no evidence. Structure keeps the classes from drifting: identity features are estimated from all
//! match classes together, are at chance among relatives, and may not exceed chance among others by more than blocking
//! explains; match classes are held to a prior and to falling weights from level to level.
//!
//! Refused: plain two-class Fellegi-Sunter (households agree their way over any threshold), free latent classes (which class
//! is the match is then anyone's guess), a tree of pairwise dependences (sees pairs of columns, not groups).

use crate::compare::{Feature, NAME_DISPLACED, Pattern};
use crate::ground::{self, Ground, Levels};
use crate::kind::Kind;
use crate::model::{Class, Model};
use crate::profile::Profile;
use crate::seed::{MATCHES, RELATIVES, Seeds};

/// Rounds of expectation maximisation at most.
const ROUNDS: usize = 60;
/// Total move of the class shares in a round at which learning has settled.
const SETTLED: f64 = 2e-5;
/// Relatives per match below which those that differ in the subject alone are taken for damaged matches.
const RARE_RELATIVES: f64 = 0.3;
/// How far agreement of other pairs may exceed what blocking explains.
const LIFT_SLACK: f64 = 3.0;
/// Levels of text from here on are weak agreement.
const WEAK: usize = 7;
/// Random agreement beyond this many times the expected matches is certainly chance.
const COMMON: f64 = 3.0;
/// Weight of the prior against the data in match classes.
const ANCHOR: f64 = 0.1;
/// Weight of the match classes' levels in classes of relatives.
const SHARED_ANCHOR: f64 = 0.2;
/// Pairs that every prior counts for.
const PRIOR_PAIRS: f64 = 2.0;

/// Learns a model from candidate pairs and from random pairs (for linking: one record of each table).
///
/// The order of the counts does not matter for the outcome beyond rounding; sort them for bit-equal models.
pub(crate) fn learn(
    profile: &Profile,
    features: &[Feature],
    candidates: &[(Pattern, f64)],
    random: &[(Pattern, u64)],
) -> Model {
    let sampled = ground::count_levels(features, random);
    let guess = ground::without_expected(sampled.clone(), ground::Universe::of(profile));
    let first = Learner::new(Ground::new(profile, features, &guess), features, candidates).fit();
    // Random pairs hold matches too: without them, agreement by chance is rarer than it looked.
    let chance =
        first
            .ground
            .without_matches(first.classes.iter().take(MATCHES), first.total, sampled);
    Learner::new(
        Ground::new(profile, features, &chance),
        features,
        candidates,
    )
    .fit()
    .finish()
}

/// Expected counts of a class, per feature and level.
struct Tally {
    share: f64,
    levels: Levels,
}

struct Learner<'a> {
    ground: Ground,
    features: &'a [Feature],
    rows: Vec<(Pattern, f64)>,
    total: f64,
    classes: Vec<Class>,
    ample: Vec<bool>,
    /// A class taken out of play.
    dropped: Option<usize>,
    /// Shares of each row in each class, row by row.
    shares: Vec<f64>,
}

impl<'a> Learner<'a> {
    fn new(ground: Ground, features: &'a [Feature], candidates: &[(Pattern, f64)]) -> Self {
        let rows = candidates.to_vec();
        let total = rows.iter().map(|row| row.1).sum();
        let Seeds {
            width,
            shares,
            ample,
        } = Seeds::new(&ground, &rows);
        let class = |at: usize| Class {
            share: 0.0,
            is_match: at < MATCHES,
            levels: Vec::new(),
        };
        let classes = (0..width).map(class).collect();
        Self {
            ground,
            features,
            rows,
            total,
            classes,
            ample,
            dropped: None,
            shares,
        }
    }

    fn fit(mut self) -> Self {
        self.run();
        if self.drop_rare_relatives() {
            self.run();
        }
        self
    }

    fn run(&mut self) {
        let mut before: Vec<f64> = Vec::new();
        for _ in 0..ROUNDS {
            self.maximise();
            self.expect();
            let shares: Vec<f64> = self.classes.iter().map(|class| class.share).collect();
            let moved: f64 = shares
                .iter()
                .zip(&before)
                .map(|(now, then)| (now - then).abs())
                .sum();
            if !before.is_empty() && moved < SETTLED {
                break;
            }
            before = shares;
        }
        self.maximise();
    }

    /// Where relatives are few against matches, those that differ in the subject alone are damaged matches instead.
    fn drop_rare_relatives(&mut self) -> bool {
        let width = self.classes.len();
        let (mut matches, mut relatives) = (0.0, 0.0);
        let rows = self
            .rows
            .iter()
            .zip(self.shares.chunks(width))
            .zip(&self.ample);
        for ((row, shares), _) in rows.filter(|(_, ample)| **ample) {
            matches += row.1 * shares.iter().take(MATCHES).sum::<f64>();
            relatives += row.1 * shares.iter().skip(MATCHES).take(RELATIVES).sum::<f64>();
        }
        let rare = relatives < RARE_RELATIVES * matches;
        if rare {
            for shares in self.shares.chunks_mut(width) {
                shares[0] += std::mem::take(&mut shares[MATCHES + 1]);
            }
            self.dropped = Some(MATCHES + 1);
        }
        rare
    }

    fn maximise(&mut self) {
        let width = self.classes.len();
        let mut counts: Vec<Tally> = (0..width).map(|at| self.tally(at)).collect();
        self.tie_identity(&mut counts);
        for (at, tally) in counts.into_iter().enumerate() {
            let levels = tally
                .levels
                .into_iter()
                .enumerate()
                .map(|(feature, sums)| self.estimate(at, feature, sums))
                .collect();
            let class = &mut self.classes[at];
            class.share = if self.dropped == Some(at) {
                1e-12
            } else {
                (tally.share + 1.0) / (self.total + width as f64)
            };
            class.levels = levels;
        }
    }

    /// Expected counts of one class.
    fn tally(&self, class: usize) -> Tally {
        let mut levels: Vec<Vec<f64>> = self
            .features
            .iter()
            .map(|f| vec![0.0; usize::from(f.levels)])
            .collect();
        let mut share = 0.0;
        for ((pattern, count), shares) in
            self.rows.iter().zip(self.shares.chunks(self.classes.len()))
        {
            let weight = count * shares[class];
            share += weight;
            for (sums, level) in levels.iter_mut().zip(pattern) {
                if let Some(sum) = sums.get_mut(usize::from(*level)) {
                    *sum += weight;
                }
            }
        }
        Tally { share, levels }
    }

    /// Match classes differ in their details only: identity features are estimated from all of them together.
    fn tie_identity(&self, counts: &mut [Tally]) {
        for feature in (0..self.features.len()).filter(|feature| self.ground.identity[*feature]) {
            let mut pooled = vec![0.0; usize::from(self.features[feature].levels)];
            for tally in counts.iter().take(MATCHES) {
                pooled
                    .iter_mut()
                    .zip(&tally.levels[feature])
                    .for_each(|(sum, count)| *sum += count);
            }
            for tally in counts.iter_mut().take(MATCHES) {
                tally.levels[feature].clone_from(&pooled);
            }
        }
    }

    /// Level probabilities of a feature in a class from its expected counts.
    fn estimate(&self, class: usize, feature: usize, mut sums: Vec<f64>) -> Vec<f64> {
        let unrelated = class == MATCHES && self.ground.identity[feature]
            || class == MATCHES + 1 && self.ground.subject == Some(feature);
        if unrelated {
            return self.ground.chance[feature].clone();
        }
        let is_match = self.classes[class].is_match;
        let present: f64 = sums.iter().skip(1).sum();
        let (anchor, strength) = match (is_match, self.shared_levels(class, feature)) {
            (true, _) => (&self.ground.prior[feature], PRIOR_PAIRS + ANCHOR * present),
            (false, Some(shared)) => (shared, PRIOR_PAIRS + SHARED_ANCHOR * present),
            (false, None) => (&self.ground.chance[feature], PRIOR_PAIRS),
        };
        for (sum, anchor) in sums.iter_mut().zip(anchor).skip(1) {
            *sum = (*sum + strength * anchor) / (present + strength);
        }
        if is_match {
            isotonic(
                &mut sums,
                &self.ground.chance[feature],
                unordered(&self.features[feature]),
            );
        } else if Some(feature) == self.ground.subject {
            self.limit_to_chance(&mut sums, &self.ground.chance[feature], present);
        }
        sums
    }

    /// What relatives share they share as matches do.
    fn shared_levels(&self, class: usize, feature: usize) -> Option<&Vec<f64>> {
        let relatives = (MATCHES..MATCHES + RELATIVES).contains(&class);
        self.classes
            .first()
            .filter(|_| relatives)?
            .levels
            .get(feature)
    }

    /// Records that are no matches agree on the subject by chance only: no more often than among all pairs.
    fn limit_to_chance(&self, levels: &mut [f64], chance: &[f64], present: f64) {
        let last = levels.len() - 1;
        let universe = self.ground.universe;
        let agreeing: f64 = chance.iter().take(WEAK).skip(1).sum();
        // Agreement too frequent to come from the matches among random pairs is chance, whatever blocking explains.
        let common = agreeing * universe.pairs > COMMON * universe.expected;
        let lift = if common {
            f64::MAX
        } else {
            blocking_lift(levels, chance)
        };
        let ratio = lift.min(2.0 * universe.pairs / present.max(1.0));
        let mut excess = 0.0;
        for (level, chance) in levels.iter_mut().zip(chance).take(last).skip(1) {
            let limit = chance * ratio;
            excess += (*level - limit).max(0.0);
            *level = level.min(limit);
        }
        levels[last] += excess;
    }

    /// Shares of every row in the classes, given the classes.
    fn expect(&mut self) {
        let width = self.classes.len();
        let tables: Vec<Vec<Vec<f64>>> = (0..self.features.len())
            .map(|feature| self.log_table(feature))
            .collect();
        let shares: Vec<f64> = self.classes.iter().map(|class| class.share.ln()).collect();
        for ((pattern, _), out) in self.rows.iter().zip(self.shares.chunks_mut(width)) {
            out.copy_from_slice(&shares);
            for (table, level) in tables.iter().zip(pattern) {
                let logs = table
                    .get(usize::from(*level))
                    .map_or(&[][..], Vec::as_slice);
                out.iter_mut().zip(logs).for_each(|(sum, log)| *sum += log);
            }
            normalise(out);
        }
    }

    /// Log probability by level, then class; missing levels weigh nothing.
    fn log_table(&self, feature: usize) -> Vec<Vec<f64>> {
        let log = |class: &Class, level: usize| {
            if level == 0 {
                0.0
            } else {
                class.levels[feature][level].max(1e-12).ln()
            }
        };
        let levels = 0..usize::from(self.features[feature].levels);
        levels
            .map(|level| self.classes.iter().map(|class| log(class, level)).collect())
            .collect()
    }

    fn finish(self) -> Model {
        let match_share = self
            .classes
            .iter()
            .take(MATCHES)
            .map(|class| class.share)
            .sum();
        Model {
            features: self.features.to_vec(),
            threshold: 0.5,
            match_share,
            classes: self.classes,
            trained: None,
            quality: String::new(),
        }
    }
}

/// Turns logarithms into shares of one.
fn normalise(logs: &mut [f64]) {
    let top = logs.iter().copied().fold(f64::MIN, f64::max);
    logs.iter_mut().for_each(|log| *log = (*log - top).exp());
    let sum: f64 = logs.iter().sum();
    logs.iter_mut().for_each(|share| *share /= sum);
}

/// How much more often than by chance pairs of a class agree because they share a blocking key.
///
/// Texts that share a word agree a little or much as chance has it: sharing the word lifts all levels alike. What the
/// weaker levels show is therefore a limit for the stronger ones.
fn blocking_lift(levels: &[f64], chance: &[f64]) -> f64 {
    let weak = |levels: &[f64]| levels.iter().take(levels.len() - 1).skip(WEAK).sum::<f64>();
    if levels.len() <= WEAK + 4 {
        f64::MAX
    } else {
        LIFT_SLACK * weak(levels) / weak(chance)
    }
}

/// The level that stands outside the order of agreement.
fn unordered(feature: &Feature) -> Option<usize> {
    (feature.kind == Some(Kind::Name)).then_some(usize::from(NAME_DISPLACED))
}

/// Makes `probability / chance` fall from level to level, keeping the sum; `except` stays as it is.
fn isotonic(levels: &mut [f64], chance: &[f64], except: Option<usize>) {
    let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
    for at in (1..levels.len()).filter(|at| Some(*at) != except) {
        blocks.push((levels[at], chance[at], 1));
        while let [.., before, last] = blocks.as_mut_slice() {
            if before.0 * last.1 >= last.0 * before.1 {
                break;
            }
            *before = (before.0 + last.0, before.1 + last.1, before.2 + last.2);
            blocks.pop();
        }
    }
    let mut ordered = (1..levels.len()).filter(|at| Some(*at) != except);
    for (level, total, width) in blocks {
        for at in ordered.by_ref().take(width) {
            levels[at] = chance[at] * level / total;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::PATTERN_BYTES;
    use crate::model::Scorer;
    use crate::profile::Profiler;

    /// Made-up levels: name (10), date (8), street and phone as codes (7).
    fn features() -> Vec<Feature> {
        let feature = |name: &str, kind, levels| Feature {
            name: name.to_owned(),
            kind: Some(kind),
            levels,
        };
        vec![
            feature("name", Kind::Name, 10),
            feature("born", Kind::Date, 8),
            feature("street", Kind::Code, 7),
            feature("phone", Kind::Code, 7),
        ]
    }

    fn pattern(levels: [u8; 4]) -> Pattern {
        let mut pattern = [0; PATTERN_BYTES];
        pattern[..4].copy_from_slice(&levels);
        pattern
    }

    fn profile(records: usize) -> Profile {
        let names = ["name", "born", "street", "phone"]
            .map(str::to_owned)
            .to_vec();
        let mut profiler = Profiler::new(&[names]);
        for column in 0..4 {
            let values: Vec<String> = (0..records)
                .map(|row| format!("x{}", row / 2 * 4 + column))
                .collect();
            profiler.observe(0, column, values.iter().map(|value| Some(value.as_str())));
        }
        profiler.finish()
    }

    /// Matches agree with the given rate on each feature, independently; relatives on street and phone only.
    fn candidates(matches: f64, relatives: f64, others: f64, rate: f64) -> Vec<(Pattern, f64)> {
        let mut counts = Vec::new();
        for mask in 0..16u8 {
            let agrees = |at: u8| mask >> at & 1 == 1;
            let level = |at: u8, last: u8| if agrees(at) { 1 } else { last };
            let levels = [level(0, 9), level(1, 7), level(2, 6), level(3, 6)];
            let odds = |at: u8, rate: f64| if agrees(at) { rate } else { 1.0 - rate };
            let product = |rates: [f64; 4]| {
                (0..4)
                    .map(|at| odds(at, rates[usize::from(at)]))
                    .product::<f64>()
            };
            let pairs = matches * product([rate; 4])
                + relatives * product([0.002, 0.002, rate, rate])
                + others * product([0.3, 0.002, 0.002, 0.002]);
            counts.push((pattern(levels), pairs.round()));
        }
        counts
    }

    fn random() -> Vec<(Pattern, u64)> {
        vec![
            (pattern([9, 7, 6, 6]), 990_000),
            (pattern([1, 7, 6, 6]), 2_000),
            (pattern([9, 1, 6, 6]), 300),
            (pattern([9, 7, 1, 6]), 300),
            (pattern([9, 7, 6, 1]), 300),
        ]
    }

    fn probability(model: &Model, levels: [u8; 4]) -> f64 {
        Scorer::new(model).probability(&pattern(levels))
    }

    #[test]
    fn known_shares_are_recovered() {
        let model = learn(
            &profile(20_000),
            &features(),
            &candidates(5_000.0, 0.0, 20_000.0, 0.9),
            &random(),
        );
        assert!(
            (model.match_share - 0.2).abs() < 0.03,
            "{}",
            model.match_share
        );
        assert!(
            probability(&model, [1, 1, 1, 1]) > 0.99 && probability(&model, [1, 7, 6, 6]) < 0.05
        );
        assert!(
            probability(&model, [9, 1, 1, 1]) > 0.5,
            "{}",
            model.describe()
        );
    }

    #[test]
    fn relatives_are_not_matches() {
        let model = learn(
            &profile(20_000),
            &features(),
            &candidates(5_000.0, 20_000.0, 20_000.0, 0.9),
            &random(),
        );
        assert!(
            probability(&model, [9, 7, 1, 1]) < 0.2,
            "{}",
            model.describe()
        );
        assert!(
            probability(&model, [1, 1, 1, 1]) > 0.95 && probability(&model, [1, 1, 6, 6]) > 0.5
        );
    }

    #[test]
    fn nothing_matches_when_nothing_does() {
        let model = learn(
            &profile(20_000),
            &features(),
            &candidates(0.0, 0.0, 20_000.0, 0.9),
            &random(),
        );
        assert!(model.match_share < 0.01, "{}", model.describe());
        assert!(probability(&model, [1, 7, 6, 6]) < 0.05);
    }

    #[test]
    fn no_candidates_make_a_usable_model() {
        let model = learn(&profile(1), &features(), &[], &[]);
        assert!(
            probability(&model, [9, 7, 6, 6]) < 0.5
                && probability(&model, [1, 1, 1, 1]).is_finite()
        );
    }

    #[test]
    fn weights_fall_from_level_to_level() {
        let mut levels = vec![0.0, 0.1, 0.5, 0.2, 0.2];
        isotonic(&mut levels, &[1.0, 0.1, 0.1, 0.3, 0.5], None);
        let ratios: Vec<f64> = levels
            .iter()
            .zip([1.0, 0.1, 0.1, 0.3, 0.5])
            .skip(1)
            .map(|(level, chance)| level / chance)
            .collect();
        assert!(ratios.windows(2).all(|pair| pair[0] >= pair[1] - 1e-12));
        assert!((levels.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
}
