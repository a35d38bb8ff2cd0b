//! Boosted trees over patterns: what labels add to the score that was learned without them.
//!
//! Small trees of Newton boosting (as in Chen and Guestrin, "XGBoost", KDD 2016) on at most some thousand labelled
//! patterns. Features are the levels of a pattern and the zero-label score in steps of one bit. Levels go from strong
//! agreement to difference, so a split is a level; what is missing goes to the side that fits better.

use serde::{Deserialize, Serialize};

/// Depth of each tree: interactions of three features.
const DEPTH: usize = 3;
/// Share of a tree's answer that counts.
const RATE: f64 = 0.1;
/// Pull of leaves towards nothing.
const RIDGE: f64 = 3.0;
/// Least weight of examples on either side of a split, in units of a coin toss' variance.
const LEAST: f64 = 1.0;
/// Least gain of a split.
const GAIN: f64 = 0.3;

/// An example: bins of its features (0 = missing), whether it is a match, how much it counts, and its margin so far.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    pub(crate) bins: Vec<u8>,
    pub(crate) is_match: bool,
    pub(crate) weight: f64,
    pub(crate) margin: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Node {
    Leaf(f64),
    Split {
        feature: u8,
        /// Bins up to this go to the first child.
        upto: u8,
        missing_first: bool,
        /// The second child; the first follows its parent.
        second: u16,
        /// What a pair that ended here would get: the mean below.
        value: f64,
    },
}

/// A sum of trees.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Trees(Vec<Vec<Node>>);

impl Trees {
    /// Boosts `rounds` trees from the margins of the examples.
    pub(crate) fn fit(examples: &[Example], rounds: usize) -> Self {
        let mut margins: Vec<f64> = examples.iter().map(|example| example.margin).collect();
        let mut trees = Self::default();
        for _ in 0..rounds {
            let tree = grow_tree(examples, &margins);
            if let [Node::Leaf(_)] = tree.as_slice() {
                break;
            }
            for (margin, example) in margins.iter_mut().zip(examples) {
                *margin += walk(&tree, &example.bins, |_, _| ());
            }
            trees.0.push(tree);
        }
        trees
    }

    /// Number of trees.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The sum for one pattern.
    pub(crate) fn margin(&self, bins: &[u8]) -> f64 {
        self.0.iter().map(|tree| walk(tree, bins, |_, _| ())).sum()
    }

    /// The sum with the number of trees reduced.
    pub(crate) fn truncated(mut self, rounds: usize) -> Self {
        self.0.truncate(rounds);
        self
    }

    /// Margins after each tree, for one pattern.
    pub(crate) fn stages<'a>(&'a self, bins: &'a [u8]) -> impl Iterator<Item = f64> + 'a {
        let mut sum = 0.0;
        self.0.iter().map(move |tree| {
            sum += walk(tree, bins, |_, _| ());
            sum
        })
    }

    /// Splits the sum by the features on the way to each leaf; the second is what all patterns get.
    pub(crate) fn attribute(&self, bins: &[u8], parts: &mut [f64]) -> f64 {
        let mut common = 0.0;
        for tree in &self.0 {
            common += match tree.first() {
                Some(Node::Leaf(value) | Node::Split { value, .. }) => *value,
                None => 0.0,
            };
            walk(tree, bins, |feature, change| {
                if let Some(part) = parts.get_mut(usize::from(feature)) {
                    *part += change;
                }
            });
        }
        common
    }
}

/// The leaf of a pattern; tells each feature on the way and by how much the mean below changes there.
fn walk(tree: &[Node], bins: &[u8], mut visit: impl FnMut(u8, f64)) -> f64 {
    let mut at = 0;
    let mut passed: Option<(u8, f64)> = None;
    loop {
        let value = match tree.get(at) {
            Some(Node::Leaf(value) | Node::Split { value, .. }) => *value,
            None => return 0.0,
        };
        if let Some((feature, before)) = passed {
            visit(feature, value - before);
        }
        match tree.get(at) {
            Some(Node::Split {
                feature,
                upto,
                missing_first,
                second,
                ..
            }) => {
                let bin = bins.get(usize::from(*feature)).copied().unwrap_or(0);
                let first = if bin == 0 {
                    *missing_first
                } else {
                    bin <= *upto
                };
                passed = Some((*feature, value));
                at = if first { at + 1 } else { usize::from(*second) };
            }
            _ => return value,
        }
    }
}

/// Sums of gradients and curvatures.
#[derive(Clone, Copy, Default)]
struct Sums {
    gradient: f64,
    curvature: f64,
}

impl Sums {
    fn add(&mut self, other: Sums) {
        self.gradient += other.gradient;
        self.curvature += other.curvature;
    }

    fn less(self, other: Sums) -> Self {
        Self {
            gradient: self.gradient - other.gradient,
            curvature: self.curvature - other.curvature,
        }
    }

    fn score(self) -> f64 {
        self.gradient * self.gradient / (self.curvature + RIDGE)
    }

    fn leaf(self) -> f64 {
        -RATE * self.gradient / (self.curvature + RIDGE)
    }
}

fn grow_tree(examples: &[Example], margins: &[f64]) -> Vec<Node> {
    let sums: Vec<Sums> = examples
        .iter()
        .zip(margins)
        .map(|(example, margin)| {
            let probability = 1.0 / (1.0 + (-margin).exp());
            let label = f64::from(u8::from(example.is_match));
            Sums {
                gradient: example.weight * (probability - label),
                curvature: example.weight * probability * (1.0 - probability),
            }
        })
        .collect();
    let mut tree = Vec::new();
    grow(
        examples,
        &sums,
        (0..examples.len()).collect(),
        DEPTH,
        &mut tree,
    );
    tree
}

fn grow(examples: &[Example], sums: &[Sums], rows: Vec<usize>, depth: usize, tree: &mut Vec<Node>) {
    let mut total = Sums::default();
    rows.iter().for_each(|row| total.add(sums[*row]));
    let split = best_split(examples, sums, &rows, total).filter(|_| depth > 0);
    let Some(split) = split else {
        tree.push(Node::Leaf(total.leaf()));
        return;
    };
    let (first, second): (Vec<usize>, Vec<usize>) = rows
        .into_iter()
        .partition(|row| split.is_first(&examples[*row]));
    let at = tree.len();
    tree.push(Node::Leaf(0.0));
    grow(examples, sums, first, depth - 1, tree);
    tree[at] = Node::Split {
        feature: split.feature as u8,
        upto: split.upto,
        missing_first: split.missing_first,
        second: tree.len() as u16,
        value: total.leaf(),
    };
    grow(examples, sums, second, depth - 1, tree);
}

struct Split {
    feature: usize,
    upto: u8,
    missing_first: bool,
    gain: f64,
}

impl Split {
    fn is_first(&self, example: &Example) -> bool {
        match example.bins.get(self.feature).copied().unwrap_or(0) {
            0 => self.missing_first,
            bin => bin <= self.upto,
        }
    }
}

fn best_split(examples: &[Example], sums: &[Sums], rows: &[usize], total: Sums) -> Option<Split> {
    let width = examples.first().map_or(0, |example| example.bins.len());
    let mut best: Option<Split> = None;
    for feature in 0..width {
        let mut by_bin = [Sums::default(); 256];
        for row in rows {
            by_bin[usize::from(examples[*row].bins[feature])].add(sums[*row]);
        }
        for missing_first in [true, false] {
            let mut first = if missing_first {
                by_bin[0]
            } else {
                Sums::default()
            };
            for (upto, bin) in (1u8..).zip(by_bin.iter().skip(1)).take(254) {
                first.add(*bin);
                let second = total.less(first);
                if first.curvature < LEAST / 4.0 || second.curvature < LEAST / 4.0 {
                    continue;
                }
                let gain = first.score() + second.score() - total.score();
                if gain > best.as_ref().map_or(GAIN, |best| best.gain + 1e-12) {
                    best = Some(Split {
                        feature,
                        upto,
                        missing_first,
                        gain,
                    });
                }
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(bins: &[u8], is_match: bool) -> Example {
        Example {
            bins: bins.to_vec(),
            is_match,
            weight: 1.0,
            margin: 0.0,
        }
    }

    /// Matches where exactly one of two features agrees: no single feature tells. Slightly uneven, as a first split of
    /// exact balance gains nothing.
    fn either() -> Vec<Example> {
        let mut examples = Vec::new();
        for copy in 0..60 {
            for (x, y) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
                if !(copy < 25 && x == 1 && y == 1) {
                    examples.push(example(&[x, y, 1], (x == 1) != (y == 1)));
                }
            }
        }
        examples
    }

    #[test]
    fn interactions_are_learned() {
        let trees = Trees::fit(&either(), 100);
        assert!(trees.margin(&[1, 2, 1]) > 1.5 && trees.margin(&[2, 1, 1]) > 1.5);
        assert!(trees.margin(&[1, 1, 1]) < -1.5 && trees.margin(&[2, 2, 1]) < -1.5);
    }

    #[test]
    fn missing_goes_where_it_fits() {
        let mut examples: Vec<Example> =
            (0..60).map(|n| example(&[1 + n % 2], n % 2 == 0)).collect();
        examples.extend((0..30).map(|_| example(&[0], true)));
        let trees = Trees::fit(&examples, 50);
        assert!(trees.margin(&[0]) > 1.0 && trees.margin(&[2]) < -1.0);
    }

    #[test]
    fn parts_sum_to_the_margin() {
        let trees = Trees::fit(&either(), 30);
        for bins in [[1, 2, 1], [2, 2, 1], [0, 1, 0]] {
            let mut parts = [0.0; 3];
            let common = trees.attribute(&bins, &mut parts);
            let sum = common + parts.iter().sum::<f64>();
            assert!((sum - trees.margin(&bins)).abs() < 1e-9);
            assert!((trees.stages(&bins).last().unwrap() - sum).abs() < 1e-9);
        }
    }

    #[test]
    fn nothing_is_learned_from_nothing() {
        assert_eq!(Trees::fit(&[], 10).len(), 0);
        let same: Vec<Example> = (0..9).map(|_| example(&[1], true)).collect();
        assert_eq!(Trees::fit(&same, 10).len(), 0);
    }
}
