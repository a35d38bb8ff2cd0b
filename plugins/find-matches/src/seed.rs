//! Where learning starts: a first guess of the class of every pattern.
//!
//! Pairs that agree on almost everything start as matches, pairs that agree on enough for a match but differ where relatives
//! differ start as relatives, and the rest is split by the features that most of them agree on.

use crate::compare::Pattern;
use crate::ground::Ground;

/// Classes that stand for matches: plain ones, and those where several details changed together.
pub(crate) const MATCHES: usize = 2;
/// Classes of relatives, after the match classes: they share all but the identity features, or all but the subject.
pub(crate) const RELATIVES: usize = 2;
/// Classes that the remaining pairs are split into by what they agree on; one more takes the rest.
const OTHERS: usize = 3;
/// Log-odds that agreement alone may give, however much there is of it.
const SURE: f64 = 2.0;
/// What differing details may cost together: an address changes as a whole.
const DETAILS: f64 = -3.0;

/// The first guess for one pattern.
struct Seed {
    /// Of a match.
    probability: f64,
    /// Evidence enough for a match but for what differs: which class of relatives.
    relative: Option<usize>,
    /// Several details differ: the second match class.
    variant: bool,
}

/// First guesses for all patterns.
pub(crate) struct Seeds {
    /// Number of classes.
    pub(crate) width: usize,
    /// Shares of each pattern in each class, row by row.
    pub(crate) shares: Vec<f64>,
    /// Patterns with evidence enough for a match, whatever differs.
    pub(crate) ample: Vec<bool>,
}

impl Seeds {
    /// Guesses for patterns with their numbers of pairs.
    pub(crate) fn new(ground: &Ground, rows: &[(Pattern, f64)]) -> Self {
        let seeds: Vec<Seed> = rows
            .iter()
            .map(|(pattern, _)| seed_of(ground, pattern))
            .collect();
        let others = split_others(ground, rows, &seeds);
        let width = MATCHES + RELATIVES + 1 + others.iter().max().map_or(0, |top| top + 1);
        let mut shares = vec![0.0; width * rows.len()];
        for ((seed, other), shares) in seeds.iter().zip(&others).zip(shares.chunks_mut(width)) {
            let other = seed
                .relative
                .map_or(MATCHES + RELATIVES + other, |at| MATCHES + at);
            shares[other] = 1.0 - seed.probability;
            shares[usize::from(seed.variant)] = seed.probability;
        }
        Self {
            width,
            shares,
            ample: seeds.iter().map(|seed| seed.relative.is_some()).collect(),
        }
    }
}

/// Agreement beyond certainty does not make up for disagreement: relatives agree on much and differ on the rest.
fn seed_of(ground: &Ground, pattern: &Pattern) -> Seed {
    let base = (ground.universe.expected / ground.universe.pairs)
        .min(0.5)
        .ln();
    let (mut agree, mut identity, mut details) = (0.0, 0.0, 0.0f64);
    let (mut named, mut differing) = (false, 0);
    for (at, weight) in weights(ground, pattern) {
        match (weight > 0.0, ground.identity[at]) {
            (true, is_identity) => {
                agree += weight;
                named |= is_identity;
            }
            (false, true) => identity += weight,
            (false, false) => {
                details += weight;
                differing += usize::from(weight < -0.7);
            }
        }
    }
    let score = agree.min(SURE - base) + identity + details.max(DETAILS) + base;
    let relative = (agree + base > 0.0).then_some(usize::from(named));
    Seed {
        probability: 1.0 / (1.0 + (-score).exp()),
        relative,
        variant: differing >= 2,
    }
}

/// Log weight of every feature that is not missing, under the prior.
fn weights<'a>(
    ground: &'a Ground,
    pattern: &'a Pattern,
) -> impl Iterator<Item = (usize, f64)> + 'a {
    let levels = pattern
        .iter()
        .zip(&ground.prior)
        .zip(&ground.chance)
        .enumerate();
    levels.filter_map(|(at, ((level, prior), chance))| {
        let level = usize::from(*level);
        let (prior, chance) = (prior.get(level)?, chance.get(level)?);
        (level > 0).then(|| (at, (prior / chance).ln()))
    })
}

fn agrees(ground: &Ground, feature: usize, pattern: &Pattern) -> bool {
    weights(ground, pattern).any(|(at, weight)| at == feature && weight > 0.0)
}

/// Splits by agreement on the feature that most undecided pairs agree on, then the next.
fn split_others(ground: &Ground, rows: &[(Pattern, f64)], seeds: &[Seed]) -> Vec<usize> {
    let mut class = vec![None; rows.len()];
    let mut used = 0;
    while used < OTHERS {
        let mut gains = vec![0.0; ground.prior.len()];
        let undecided = rows
            .iter()
            .zip(seeds)
            .zip(&class)
            .filter(|((_, seed), class)| class.is_none() && seed.relative.is_none());
        for (((pattern, count), seed), _) in undecided {
            for (at, _) in weights(ground, pattern).filter(|(_, weight)| *weight > 0.0) {
                gains[at] += count * (1.0 - seed.probability);
            }
        }
        let best = (0..gains.len())
            .rev()
            .max_by(|x, y| gains[*x].total_cmp(&gains[*y]));
        let Some(best) = best.filter(|best| gains[*best] > 0.0) else {
            break;
        };
        for ((pattern, _), class) in rows.iter().zip(&mut class) {
            if class.is_none() && agrees(ground, best, pattern) {
                *class = Some(used);
            }
        }
        used += 1;
    }
    class
        .into_iter()
        .map(|class| class.unwrap_or(used))
        .collect()
}
