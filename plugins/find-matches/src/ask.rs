//! Which pairs a person should judge next: those that teach most.
//!
//! Most telling are pairs that the model doubts, each of another pattern, so that an answer is not asked for twice; among
//! them stand some that it believes in and some that it does not, as both kinds are needed to learn from and to estimate
//! quality. Pairs that were judged are not asked for again.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use crate::compare::Pattern;
use crate::hash;
use crate::smallest::Smallest;

/// Candidates looked at, chosen by their numbers alone.
const LOOKED_AT: usize = 200_000;

/// Chooses candidates to look at: order does not matter.
#[derive(Debug)]
pub struct Drawn(Smallest<(u32, u32)>);

impl Default for Drawn {
    fn default() -> Self {
        Self(Smallest::new(LOOKED_AT))
    }
}

impl Drawn {
    /// Sees a candidate.
    pub fn observe(&mut self, a: u32, b: u32) {
        let hash = hash::mix(81, u64::from(a) << 32 | u64::from(b));
        self.0.observe(hash, || (a, b));
    }

    /// The chosen pairs.
    pub fn pairs(self) -> Vec<(u32, u32)> {
        self.0.finish().collect()
    }
}

/// A candidate that may be asked for.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// First record, below `b`.
    pub a: u32,
    /// Second record.
    pub b: u32,
    /// How probable the model finds a match.
    pub probability: f64,
    /// How they compare.
    pub pattern: Pattern,
}

/// Chooses `count` questions, the most telling ones first; `judged` pairs are left out.
pub fn questions(
    mut candidates: Vec<Question>,
    threshold: f64,
    judged: &FxHashSet<(u32, u32)>,
    count: usize,
) -> Vec<Question> {
    candidates.retain(|question| !judged.contains(&(question.a, question.b)));
    let logit = |p: f64| {
        let p = p.clamp(1e-9, 1.0 - 1e-9);
        (p / (1.0 - p)).ln()
    };
    let doubt = |question: &Question| (logit(question.probability) - logit(threshold)).abs();
    let order =
        |question: &Question| hash::mix(91, u64::from(question.a) << 32 | u64::from(question.b));
    candidates.sort_unstable_by(|x, y| doubt(x).total_cmp(&doubt(y)).then(order(x).cmp(&order(y))));
    let mut strata: [Vec<Question>; 3] = Default::default();
    let mut patterns: FxHashSet<Pattern> = FxHashSet::default();
    for question in candidates {
        let stratum = match logit(question.probability) - logit(threshold) {
            odds if odds > DOUBTED => 1,
            odds if odds < -DOUBTED => 2,
            _ => 0,
        };
        if patterns.insert(question.pattern) {
            strata[stratum].push(question);
        }
    }
    deal(strata, count)
}

/// Natural log-odds from the threshold within which a pair is in doubt.
const DOUBTED: f64 = 2.5;
/// Of ten questions: doubtful ones, and so on from [`questions`]' strata.
const DEAL: [usize; 10] = [0, 0, 1, 0, 2, 0, 0, 1, 0, 2];

/// Takes from the strata in turn; a stratum that has run out leaves its turn to the next.
fn deal(strata: [Vec<Question>; 3], count: usize) -> Vec<Question> {
    let mut strata = strata.map(Vec::into_iter);
    let mut dealt = Vec::with_capacity(count);
    for turn in DEAL.iter().cycle() {
        if dealt.len() == count {
            break;
        }
        let next = (0..3).find_map(|step| strata[(turn + step) % 3].next());
        match next {
            Some(question) => dealt.push(question),
            None => break,
        }
    }
    dealt
}

/// Builds label sets: each around a question, filled with records that are linked to it, likely ones first.
///
/// A record stands in one set only, so that sets cannot contradict each other.
pub fn label_sets(
    questions: &[Question],
    candidates: &[(u32, u32, f64)],
    sets: usize,
    rows: usize,
) -> Vec<Vec<u32>> {
    let mut linked: BTreeMap<u32, Vec<(u32, f64)>> = BTreeMap::new();
    for (a, b, probability) in candidates {
        linked.entry(*a).or_default().push((*b, *probability));
        linked.entry(*b).or_default().push((*a, *probability));
    }
    let mut used: FxHashSet<u32> = FxHashSet::default();
    let mut built = Vec::new();
    for question in questions {
        if built.len() == sets {
            break;
        }
        if used.contains(&question.a) || used.contains(&question.b) {
            continue;
        }
        let mut set = vec![question.a, question.b];
        used.extend(&set);
        let mut at = 0;
        while at < set.len() && set.len() < rows {
            let mut near = linked.get(&set[at]).cloned().unwrap_or_default();
            near.sort_by(|x, y| y.1.total_cmp(&x.1).then(x.0.cmp(&y.0)));
            for (other, _) in near {
                if set.len() < rows && used.insert(other) {
                    set.push(other);
                }
            }
            at += 1;
        }
        built.push(set);
    }
    built
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::PATTERN_BYTES;

    fn question(a: u32, probability: f64, level: u8) -> Question {
        let mut pattern = [0; PATTERN_BYTES];
        pattern[0] = level;
        Question {
            a,
            b: a + 1,
            probability,
            pattern,
        }
    }

    #[test]
    fn doubt_comes_first_and_repeats_never() {
        let candidates = vec![
            question(0, 0.999, 1),
            question(2, 0.55, 2),
            question(4, 0.52, 2),
            question(6, 0.001, 3),
            question(8, 0.6, 4),
        ];
        let judged = FxHashSet::from_iter([(8, 9)]);
        let asked = questions(candidates.clone(), 0.5, &judged, 10);
        let order: Vec<u32> = asked.iter().map(|question| question.a).collect();
        assert_eq!(order, [4, 0, 6]);
        let asked = questions(candidates, 0.5, &FxHashSet::default(), 1);
        assert_eq!((asked.len(), asked[0].a), (1, 4));
    }

    #[test]
    fn sets_share_no_record() {
        let asked = [
            question(0, 0.5, 1),
            question(1, 0.5, 2),
            question(5, 0.5, 3),
        ];
        let candidates = [
            (0, 1, 0.5),
            (1, 2, 0.9),
            (1, 3, 0.2),
            (2, 4, 0.1),
            (5, 6, 0.5),
        ];
        let sets = label_sets(&asked, &candidates, 10, 4);
        assert_eq!(sets, [vec![0, 1, 2, 3], vec![5, 6]]);
        assert_eq!(label_sets(&asked, &candidates, 1, 4).len(), 1);
    }
}
