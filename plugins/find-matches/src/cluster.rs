//! Scored pairs to groups of records.
//!
//! Groups are grown greedily from the surest pair on: two groups merge only when the evidence between all their members
//! together says so, so one weak bridge cannot weld two groups that otherwise disagree. Between two tables that are each
//! free of duplicates, a record matches at most one other.

use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use crate::labels::LabelledPair;

/// A scored pair of records.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// First record, below `b`.
    pub a: u32,
    /// Second record.
    pub b: u32,
    /// Probability of a match.
    pub probability: f64,
}

/// The group of one record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Membership {
    /// Smallest record number of the group.
    pub cluster: u32,
    /// How sure the record belongs there: 1 for a record alone, `None` where no pair of the group was scored.
    pub confidence: Option<f64>,
}

/// Strongest evidence one pair may give, in natural log-odds.
const EVIDENCE: f64 = 5.0;
/// Evidence of a pair that was never proposed as a candidate.
const UNSEEN: f64 = -1.0;
/// Share of records with two sure partners up to which a table counts as free of duplicates.
const DIRTY: f64 = 0.05;

/// What is known beside the scored pairs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// 0 or 1 for each record when two tables are linked.
    pub sources: Option<&'a [u8]>,
    /// Pairs that the result must respect.
    pub labels: &'a [LabelledPair],
    /// Groups that stand: of each record the first of its group, itself when it has none.
    pub standing: Option<&'a [u32]>,
}

/// Groups `records` records.
pub fn cluster(
    records: usize,
    edges: &[Edge],
    known: Known<'_>,
    threshold: f64,
) -> Vec<Membership> {
    let valid = |edge: &&Edge| {
        (edge.a as usize) < records && (edge.b as usize) < records && edge.a != edge.b
    };
    let mut edges: Vec<Edge> = edges.iter().filter(valid).copied().collect();
    if let Some(sources) = known.sources {
        edges = keep_best(records, &edges, sources, threshold);
    }
    let start = start(records, known);
    let edges = within_components(start.clone(), edges, threshold);
    let roots = Groups::new(start, &edges, known, threshold).merge();
    memberships(&roots, &edges)
}

/// The groups before any pair is looked at: those that stand, and what labels say is one thing.
fn start(records: usize, known: Known<'_>) -> Vec<u32> {
    let mut parent: Vec<u32> = (0..records as u32).collect();
    let standing = known.standing.unwrap_or_default();
    let stand = (0u32..)
        .zip(standing)
        .map(|(record, first)| (record, *first));
    let said = known.labels.iter().filter(|pair| pair.is_match);
    for (a, b) in stand.chain(said.map(|pair| (pair.a, pair.b))) {
        if (a as usize) < records && (b as usize) < records {
            let (a, b) = (find(&mut parent, a), find(&mut parent, b));
            parent[a.max(b) as usize] = a.min(b);
        }
    }
    (0..records as u32)
        .map(|record| find(&mut parent, record))
        .collect()
}

/// The weakest of the links that hold each group together, by the group's first record: of all ways to connect a group's
/// records by its pairs, the one whose links are surest. Groups of one record have none.
pub fn weakest_links(memberships: &[Membership], edges: &[Edge]) -> Vec<Edge> {
    let group = |record: u32| memberships.get(record as usize).map(|m| m.cluster);
    let mut inner: Vec<&Edge> = edges
        .iter()
        .filter(|edge| group(edge.a).is_some() && group(edge.a) == group(edge.b))
        .collect();
    inner.sort_by(|x, y| surest_first(x, y));
    let mut parent: Vec<u32> = (0..memberships.len() as u32).collect();
    let mut weakest: FxHashMap<u32, Edge> = FxHashMap::default();
    for edge in inner {
        let (a, b) = (find(&mut parent, edge.a), find(&mut parent, edge.b));
        if a != b {
            parent[a.max(b) as usize] = a.min(b);
            weakest.extend(group(edge.a).map(|group| (group, *edge)));
        }
    }
    let mut weakest: Vec<(u32, Edge)> = weakest.into_iter().collect();
    weakest.sort_unstable_by_key(|(group, _)| *group);
    weakest.into_iter().map(|(_, edge)| edge).collect()
}

fn surest_first(x: &Edge, y: &Edge) -> std::cmp::Ordering {
    y.probability
        .total_cmp(&x.probability)
        .then((x.a, x.b).cmp(&(y.a, y.b)))
}

/// Puts records that repeat another one into its group.
///
/// `repeats` are pairs of a leader and a record equal to it, with the probability that two such records match: a row that
/// says too little to match its own copy stays alone.
pub fn follow(memberships: &mut [Membership], repeats: &[Edge], threshold: f64) {
    for repeat in repeats
        .iter()
        .filter(|repeat| repeat.probability >= threshold)
    {
        let Some(leader) = memberships.get(repeat.a as usize).copied() else {
            continue;
        };
        if let Some(membership) = memberships.get_mut(repeat.b as usize) {
            *membership = Membership {
                cluster: leader.cluster,
                confidence: Some(repeat.probability),
            };
        }
    }
}

/// Keeps the edges inside components of the pairs above the threshold: no other edge can matter.
fn within_components(mut parent: Vec<u32>, mut edges: Vec<Edge>, threshold: f64) -> Vec<Edge> {
    for edge in edges.iter().filter(|edge| edge.probability > threshold) {
        let (a, b) = (find(&mut parent, edge.a), find(&mut parent, edge.b));
        parent[a.max(b) as usize] = a.min(b);
    }
    edges.retain(|edge| find(&mut parent, edge.a) == find(&mut parent, edge.b));
    edges
}

/// The root of a record; halves the path on the way.
fn find(parent: &mut [u32], mut record: u32) -> u32 {
    while parent[record as usize] != record {
        let grand = parent[parent[record as usize] as usize];
        parent[record as usize] = grand;
        record = grand;
    }
    record
}

/// Evidence relative to the threshold.
fn evidence(probability: f64, threshold: f64) -> f64 {
    let logit = |p: f64| (p.clamp(1e-9, 1.0 - 1e-9) / (1.0 - p.clamp(1e-9, 1.0 - 1e-9))).ln();
    (logit(probability) - logit(threshold)).clamp(-EVIDENCE, EVIDENCE)
}

/// Between clean tables, keeps one partner per record, the surest first.
fn keep_best(records: usize, edges: &[Edge], sources: &[u8], threshold: f64) -> Vec<Edge> {
    let clean = [0, 1].map(|source| crowded_share(records, edges, sources, 1 - source) <= DIRTY);
    let mut order: Vec<Edge> = edges
        .iter()
        .filter(|edge| edge.probability >= threshold)
        .copied()
        .collect();
    order.sort_by(surest_first);
    let mut taken = vec![false; records];
    let source =
        |record: u32| usize::from(sources.get(record as usize).copied().unwrap_or(0).min(1));
    order.retain(|edge| {
        // A record may have many partners only when the partners' table holds duplicates.
        let blocked = |record: u32, other: u32| taken[record as usize] && clean[source(other)];
        let free = !blocked(edge.a, edge.b) && !blocked(edge.b, edge.a);
        if free {
            taken[edge.a as usize] = true;
            taken[edge.b as usize] = true;
        }
        free
    });
    order
}

/// Share of the records of `source` with a sure partner that have more than one.
fn crowded_share(records: usize, edges: &[Edge], sources: &[u8], source: u8) -> f64 {
    let mut partners = vec![0u32; records];
    for edge in edges.iter().filter(|edge| edge.probability >= 0.95) {
        for record in [edge.a, edge.b] {
            partners[record as usize] += u32::from(sources.get(record as usize) == Some(&source));
        }
    }
    let matched = partners.iter().filter(|count| **count > 0).count();
    let crowded = partners.iter().filter(|count| **count > 1).count();
    crowded as f64 / matched.max(1) as f64
}

/// Total evidence and number of seen pairs between two groups.
#[derive(Clone, Copy, Default)]
struct Link {
    evidence: f64,
    seen: u32,
}

struct Groups {
    parent: Vec<u32>,
    /// Records of each group, by source.
    size: Vec<[u32; 2]>,
    link: bool,
    links: Vec<FxHashMap<u32, Link>>,
    heap: BinaryHeap<Proposal>,
    /// Records that may not be in one group with one of this group.
    apart: FxHashMap<u32, Vec<u32>>,
}

#[derive(PartialEq)]
struct Proposal {
    gain: f64,
    a: u32,
    b: u32,
}

impl Eq for Proposal {}

impl PartialOrd for Proposal {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Proposal {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.gain
            .total_cmp(&other.gain)
            .then((other.a, other.b).cmp(&(self.a, self.b)))
    }
}

impl Groups {
    /// `parent` holds the groups to start from: of each record the first of its group.
    fn new(parent: Vec<u32>, edges: &[Edge], known: Known<'_>, threshold: f64) -> Self {
        let records = parent.len();
        let mut links: Vec<FxHashMap<u32, Link>> = vec![FxHashMap::default(); records];
        for edge in edges {
            let (a, b) = (parent[edge.a as usize], parent[edge.b as usize]);
            if a == b {
                continue;
            }
            let evidence = evidence(edge.probability, threshold);
            for (own, other) in [(a, b), (b, a)] {
                let link = links[own as usize].entry(other).or_default();
                link.evidence += evidence;
                link.seen += 1;
            }
        }
        let mut size = vec![[0; 2]; records];
        for (record, first) in parent.iter().enumerate() {
            let source = known.sources.and_then(|sources| sources.get(record));
            size[*first as usize][usize::from(source == Some(&1))] += 1;
        }
        let mut groups = Self {
            parent,
            size,
            link: known.sources.is_some(),
            links,
            heap: BinaryHeap::new(),
            apart: FxHashMap::default(),
        };
        groups.propose();
        groups.keep_apart(known.labels);
        groups
    }

    /// Proposes all links that speak for a merge.
    fn propose(&mut self) {
        for a in 0..self.links.len() as u32 {
            for (b, link) in self.links[a as usize].iter().filter(|(b, _)| **b > a) {
                let gain = self.gain(a, *b, *link);
                if gain > 0.0 {
                    self.heap.push(Proposal { gain, a, b: *b });
                }
            }
        }
    }

    fn keep_apart(&mut self, labels: &[LabelledPair]) {
        for pair in labels.iter().filter(|pair| !pair.is_match) {
            for (own, other) in [(pair.a, pair.b), (pair.b, pair.a)] {
                if (own.max(other) as usize) < self.parent.len() {
                    self.apart.entry(self.root(own)).or_default().push(other);
                }
            }
        }
    }

    fn are_apart(&self, a: u32, b: u32) -> bool {
        let others = self.apart.get(&a).map_or(&[][..], Vec::as_slice);
        others.iter().any(|other| self.root(*other) == b)
    }

    /// Average evidence over all comparable pairs between two groups; records of one linked table are never compared.
    fn gain(&self, a: u32, b: u32, link: Link) -> f64 {
        let [[a0, a1], [b0, b1]] =
            [self.size[a as usize], self.size[b as usize]].map(|size| size.map(f64::from));
        let pairs = if self.link {
            a0 * b1 + a1 * b0
        } else {
            (a0 + a1) * (b0 + b1)
        };
        (link.evidence + UNSEEN * (pairs - f64::from(link.seen)).max(0.0)) / pairs
    }

    fn merge(mut self) -> Vec<u32> {
        while let Some(proposal) = self.heap.pop() {
            let (a, b) = (proposal.a, proposal.b);
            if self.parent[a as usize] != a || self.parent[b as usize] != b {
                continue;
            }
            let Some(link) = self.links[a as usize].get(&b).copied() else {
                continue;
            };
            let gain = self.gain(a, b, link);
            if gain <= 0.0 || self.are_apart(a, b) {
                continue;
            }
            if gain < proposal.gain - 1e-9 {
                self.heap.push(Proposal { gain, a, b });
                continue;
            }
            self.join(a, b);
        }
        (0..self.parent.len() as u32)
            .map(|record| self.root(record))
            .collect()
    }

    fn root(&self, mut record: u32) -> u32 {
        while self.parent[record as usize] != record {
            record = self.parent[record as usize];
        }
        record
    }

    /// Moves the smaller group's links to the larger group.
    fn join(&mut self, a: u32, b: u32) {
        let (keep, gone) = if self.links[a as usize].len() >= self.links[b as usize].len() {
            (a, b)
        } else {
            (b, a)
        };
        self.parent[gone as usize] = keep;
        let moved_size = self.size[gone as usize];
        for (sum, size) in self.size[keep as usize].iter_mut().zip(moved_size) {
            *sum += size;
        }
        if let Some(apart) = self.apart.remove(&gone) {
            self.apart.entry(keep).or_default().extend(apart);
        }
        let moved = std::mem::take(&mut self.links[gone as usize]);
        self.links[keep as usize].remove(&gone);
        let mut moved: Vec<(u32, Link)> = moved
            .into_iter()
            .filter(|(other, _)| *other != keep)
            .collect();
        moved.sort_unstable_by_key(|entry| entry.0);
        for (other, link) in moved {
            self.links[other as usize].remove(&gone);
            let sum = self.links[keep as usize].entry(other).or_default();
            *sum = Link {
                evidence: sum.evidence + link.evidence,
                seen: sum.seen + link.seen,
            };
            let sum = *sum;
            self.links[other as usize].insert(keep, sum);
            let gain = self.gain(keep, other, sum);
            if gain > 0.0 {
                self.heap.push(Proposal {
                    gain,
                    a: keep.min(other),
                    b: keep.max(other),
                });
            }
        }
    }
}

fn memberships(roots: &[u32], edges: &[Edge]) -> Vec<Membership> {
    let mut smallest: Vec<u32> = vec![u32::MAX; roots.len()];
    for (record, root) in roots.iter().enumerate() {
        let slot = &mut smallest[*root as usize];
        *slot = (*slot).min(record as u32);
    }
    let mut best = vec![0.0f64; roots.len()];
    for edge in edges
        .iter()
        .filter(|edge| roots[edge.a as usize] == roots[edge.b as usize])
    {
        for record in [edge.a as usize, edge.b as usize] {
            best[record] = best[record].max(edge.probability);
        }
    }
    let mut sizes = vec![0u32; roots.len()];
    roots.iter().for_each(|root| sizes[*root as usize] += 1);
    let confidence = |root: u32, best: f64| match (sizes[root as usize], best > 0.0) {
        (1, _) => Some(1.0),
        (_, true) => Some(best),
        (_, false) => None,
    };
    roots
        .iter()
        .zip(best)
        .map(|(root, best)| Membership {
            cluster: smallest[*root as usize],
            confidence: confidence(*root, best),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(a: u32, b: u32, probability: f64) -> Edge {
        Edge { a, b, probability }
    }

    fn linked(sources: &[u8]) -> Known<'_> {
        Known {
            sources: Some(sources),
            ..Known::default()
        }
    }

    fn ids(memberships: &[Membership]) -> Vec<u32> {
        memberships
            .iter()
            .map(|membership| membership.cluster)
            .collect()
    }

    #[test]
    fn a_weak_bridge_does_not_weld() {
        let edges = [
            edge(0, 1, 0.99),
            edge(0, 2, 0.99),
            edge(1, 2, 0.99),
            edge(3, 4, 0.99),
            edge(3, 5, 0.99),
            edge(4, 5, 0.99),
            edge(2, 3, 0.6),
        ];
        assert_eq!(
            ids(&cluster(7, &edges, Known::default(), 0.5)),
            [0, 0, 0, 3, 3, 3, 6]
        );
    }

    #[test]
    fn clean_tables_match_one_to_one() {
        let sources = [0, 0, 0, 1, 1, 1];
        let edges = [
            edge(0, 3, 0.99),
            edge(0, 4, 0.8),
            edge(1, 4, 0.9),
            edge(2, 5, 0.99),
        ];
        assert_eq!(
            ids(&cluster(6, &edges, linked(&sources), 0.5)),
            [0, 1, 2, 0, 1, 2]
        );
    }

    #[test]
    fn tables_with_duplicates_match_many() {
        let sources = [0, 1, 1];
        let edges = [edge(0, 1, 0.99), edge(0, 2, 0.99)];
        assert_eq!(ids(&cluster(3, &edges, linked(&sources), 0.5)), [0, 0, 0]);
    }

    #[test]
    fn repeats_follow_their_leader() {
        let mut groups = cluster(4, &[edge(0, 1, 0.99)], Known::default(), 0.5);
        follow(
            &mut groups,
            &[
                edge(1, 2, 0.9),
                edge(1, 3, 0.2),
                edge(9, 1, 0.9),
                edge(1, 9, 0.9),
            ],
            0.5,
        );
        assert_eq!(ids(&groups), [0, 0, 0, 3]);
    }

    #[test]
    fn labels_overrule_evidence() {
        let said = |a, b, is_match| LabelledPair { a, b, is_match };
        let labels = [said(0, 1, false), said(2, 3, true)];
        let known = Known {
            labels: &labels,
            ..Known::default()
        };
        let edges = [edge(0, 1, 0.99), edge(1, 2, 0.97), edge(0, 2, 0.95)];
        assert_eq!(ids(&cluster(4, &edges, known, 0.5)), [0, 1, 1, 1]);
        // Records that are apart do not meet through a third either.
        let edges = [edge(0, 2, 0.99), edge(1, 2, 0.98)];
        assert_eq!(ids(&cluster(4, &edges, known, 0.5)), [0, 1, 0, 0]);
    }

    #[test]
    fn standing_groups_grow_and_merge() {
        let standing = [0, 0, 2, 2, 4, 5];
        let known = Known {
            standing: Some(&standing),
            ..Known::default()
        };
        let joins = [edge(0, 4, 0.99), edge(1, 4, 0.99), edge(3, 5, 0.1)];
        assert_eq!(ids(&cluster(6, &joins, known, 0.5)), [0, 0, 2, 2, 0, 5]);
        let bridges = [
            edge(0, 4, 0.999),
            edge(1, 4, 0.999),
            edge(2, 4, 0.999),
            edge(3, 4, 0.999),
        ];
        assert_eq!(ids(&cluster(6, &bridges, known, 0.5)), [0, 0, 0, 0, 0, 5]);
    }

    #[test]
    fn the_weakest_link_is_the_one_that_cannot_be_spared() {
        let edges = [
            edge(0, 1, 0.9),
            edge(0, 2, 0.6),
            edge(1, 2, 0.8),
            edge(3, 4, 0.99),
        ];
        let groups = cluster(6, &edges, Known::default(), 0.5);
        assert_eq!(
            weakest_links(&groups, &edges),
            [edge(1, 2, 0.8), edge(3, 4, 0.99)]
        );
    }

    #[test]
    fn records_alone_are_sure() {
        let groups = cluster(
            2,
            &[edge(0, 1, 0.1), edge(0, 9, 0.99)],
            Known::default(),
            0.5,
        );
        assert_eq!(
            groups,
            [
                Membership {
                    cluster: 0,
                    confidence: Some(1.0)
                },
                Membership {
                    cluster: 1,
                    confidence: Some(1.0)
                }
            ]
        );
    }
}
