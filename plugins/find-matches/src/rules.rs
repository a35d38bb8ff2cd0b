//! Which blocking rules to use, chosen from a sample of whole records.
//!
//! A [`Rule`] is one, two or three [`Atom`]s of different columns that must all agree. [`choose`] measures on the sample
//! how many pairs each rule would propose and keeps, for every set of columns, the loosest rules that stay within the
//! budget. Rules over different columns are preferred to more rules over the same ones, so that damage to any one column
//! leaves some rule standing.
//!
//! Frequent combinations ("john smith") overflow the block cap of a loose rule; the tighter rules over a third column
//! catch them: blocks are refined, not dropped.

use crate::atom::Atom;
use crate::hash;
use crate::kind::Kind;
use serde::{Deserialize, Serialize};

/// Candidate pairs a single rule may propose per record, on average.
const PAIRS_PER_RECORD: f64 = 4.0;
/// Rules kept at most.
const RULES: usize = 24;
/// Rules kept over one pair of columns.
const RULES_PER_SET: usize = 2;

/// Atoms that must agree together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rule {
    /// Positions in the atom list of the profile.
    pub(crate) parts: Vec<usize>,
    /// The parts may change places: a first name in the surname column still blocks.
    pub(crate) symmetric: bool,
}

/// An atom of a column.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) column: usize,
    pub(crate) atom: Atom,
    pub(crate) kind: Kind,
}

/// Atom hashes of the sampled records; row-major, 0 = absent.
pub(crate) struct Sample {
    pub(crate) hashes: Vec<u64>,
    pub(crate) width: usize,
    /// Source of each row; pairs are counted across sources when `link`.
    pub(crate) sources: Vec<u8>,
    pub(crate) link: bool,
    /// Records in the whole input, and those beyond the smaller side when linking: what a sampled pair stands for.
    pub(crate) scale: f64,
}

impl Rule {
    /// The blocking key of a record, from its atom hashes (0 = absent); `None` when a part is missing.
    pub(crate) fn key(&self, seed: u64, hashes: &[u64]) -> Option<u64> {
        let mut key = hash::mix(11, seed);
        if self.symmetric {
            let (a, b) = (self.part(0, hashes)?, self.part(1, hashes)?);
            return Some(hash::mix(key, a.wrapping_add(b)));
        }
        for at in 0..self.parts.len() {
            key = hash::mix(key, self.part(at, hashes)?);
        }
        Some(key)
    }

    fn part(&self, at: usize, hashes: &[u64]) -> Option<u64> {
        let position = self.parts.get(at)?;
        hashes.get(*position).copied().filter(|hash| *hash != 0)
    }
}

/// Chooses the rules for `parts` measured on `sample`.
pub(crate) fn choose(parts: &[Part], sample: &Sample) -> Vec<Rule> {
    let mut candidates = Vec::new();
    let mut crowded = Vec::new();
    for rule in singles_and_pairs(parts) {
        let measured = measure(rule, parts, sample);
        if measured.pairs > PAIRS_PER_RECORD {
            crowded.push(measured);
        } else {
            candidates.push(measured);
        }
    }
    crowded.sort_by(|a, b| b.value.total_cmp(&a.value));
    for rule in triples(&crowded, parts) {
        let measured = measure(rule, parts, sample);
        if measured.pairs <= PAIRS_PER_RECORD {
            candidates.push(measured);
        }
    }
    select(candidates, parts)
}

struct Measured {
    rule: Rule,
    /// Expected candidate pairs per record at full size.
    pairs: f64,
    /// Prior share of true pairs caught: non-null share times sturdiness.
    value: f64,
}

fn singles_and_pairs(parts: &[Part]) -> Vec<Rule> {
    let mut rules: Vec<Rule> = (0..parts.len())
        .map(|at| Rule {
            parts: vec![at],
            symmetric: false,
        })
        .collect();
    for (i, a) in parts.iter().enumerate() {
        for (j, b) in parts.iter().enumerate().skip(i + 1) {
            if a.column != b.column {
                let symmetric = a.atom == b.atom && a.kind == Kind::Name && b.kind == Kind::Name;
                rules.push(Rule {
                    parts: vec![i, j],
                    symmetric,
                });
            }
        }
    }
    rules
}

fn triples(crowded: &[Measured], parts: &[Part]) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for pair in crowded.iter().filter(|m| m.rule.parts.len() == 2).take(30) {
        for (k, third) in parts.iter().enumerate() {
            let fresh = pair.rule.parts.iter().all(|at| {
                parts
                    .get(*at)
                    .is_some_and(|part| part.column != third.column)
            });
            let mut at = pair.rule.parts.clone();
            at.push(k);
            at.sort_unstable();
            if fresh && !rules.iter().any(|rule| rule.parts == at) {
                rules.push(Rule {
                    parts: at,
                    symmetric: false,
                });
            }
        }
    }
    rules
}

fn measure(rule: Rule, parts: &[Part], sample: &Sample) -> Measured {
    let rows = sample.sources.len();
    let mut keys: Vec<(u64, u8)> = Vec::with_capacity(rows);
    for (row, source) in sample
        .hashes
        .chunks(sample.width.max(1))
        .zip(&sample.sources)
    {
        if let Some(key) = rule.key(0, row) {
            keys.push((key, *source));
        }
    }
    let present = keys.len() as f64 / rows.max(1) as f64;
    keys.sort_unstable();
    let colliding: f64 = keys
        .chunk_by(|a, b| a.0 == b.0)
        .map(|block| pairs_in(block, sample.link))
        .sum();
    let sturdiness: f64 = rule
        .parts
        .iter()
        .filter_map(|at| parts.get(*at))
        .map(|part| part.atom.sturdiness())
        .product();
    Measured {
        pairs: colliding * sample.scale,
        value: present * present * sturdiness,
        rule,
    }
}

fn pairs_in(block: &[(u64, u8)], link: bool) -> f64 {
    let right = block.iter().filter(|entry| entry.1 == 1).count() as f64;
    let all = block.len() as f64;
    if link {
        right * (all - right)
    } else {
        all * (all - 1.0) / 2.0
    }
}

/// Greedy: the most valuable rule next, discounted by how often its columns were used.
fn select(mut candidates: Vec<Measured>, parts: &[Part]) -> Vec<Rule> {
    let columns = parts.iter().map(|part| part.column + 1).max().unwrap_or(0);
    let mut used = vec![0.0f64; columns];
    let mut sets: Vec<(Vec<usize>, usize)> = Vec::new();
    let mut chosen = Vec::new();
    candidates.retain(|measured| measured.value > 0.001);
    while chosen.len() < RULES && !candidates.is_empty() {
        let score = |measured: &Measured| {
            let uses: f64 = measured
                .rule
                .parts
                .iter()
                .filter_map(|at| parts.get(*at))
                .map(|p| used[p.column])
                .sum();
            measured.value / (1.0 + uses / measured.rule.parts.len() as f64)
        };
        let mut best = (0, f64::MIN);
        for (at, measured) in candidates.iter().enumerate() {
            let value = score(measured);
            if value > best.1 {
                best = (at, value);
            }
        }
        let measured = candidates.swap_remove(best.0);
        let set: Vec<usize> = measured
            .rule
            .parts
            .iter()
            .filter_map(|at| parts.get(*at))
            .map(|p| p.column)
            .collect();
        if admit(&mut sets, &set) {
            for column in &set {
                used[*column] += 1.0;
            }
            chosen.push(measured.rule);
        }
    }
    chosen
}

fn admit(sets: &mut Vec<(Vec<usize>, usize)>, set: &[usize]) -> bool {
    match sets.iter_mut().find(|known| known.0 == set) {
        Some(known) => {
            known.1 += 1;
            known.1 <= RULES_PER_SET
        }
        None => {
            sets.push((set.to_vec(), 1));
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(column: usize, atom: Atom, kind: Kind) -> Part {
        Part { column, atom, kind }
    }

    #[test]
    fn names_block_when_swapped() {
        let rule = Rule {
            parts: vec![0, 1],
            symmetric: true,
        };
        assert_eq!(rule.key(1, &[5, 9]), rule.key(1, &[9, 5]));
        assert_eq!(rule.key(1, &[5, 0]), None);
        let ordered = Rule {
            parts: vec![0, 1],
            symmetric: false,
        };
        assert_ne!(ordered.key(1, &[5, 9]), ordered.key(1, &[9, 5]));
    }

    #[test]
    fn crowded_rules_are_refined() {
        let parts = [
            part(0, Atom::Exact, Kind::Code),
            part(1, Atom::Exact, Kind::Code),
            part(2, Atom::Exact, Kind::Code),
        ];
        let mut hashes = Vec::new();
        for row in 0..1000u64 {
            hashes.extend([1 + row % 2, 1 + row % 3, 1 + row / 2]);
        }
        let sample = Sample {
            hashes,
            width: 3,
            sources: vec![0; 1000],
            link: false,
            scale: 1.0 / 1000.0,
        };
        let rules = choose(&parts, &sample);
        assert!(rules.iter().any(|rule| rule.parts == [2]));
        assert!(!rules.iter().any(|rule| rule.parts == [0]), "{rules:?}");
    }
}
