//! All that a model is learned from, gathered in bounded memory: labels, a sample of the candidates, random pairs.
//!
//! Order of calls: [`Lessons::teach`], then every candidate, then every record. Which candidates and records are kept
//! depends on their numbers alone, so neither order nor partitions matter.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::archive::Archive;
use crate::compare::{Comparer, Pattern};
use crate::error::Error;
use crate::hash;
use crate::labels::Labels;
use crate::learn::learn;
use crate::model::{Model, Scorer};
use crate::nominate::Candidate;
use crate::quality::{Curve, Importance, Judged, LabelCounts, Quality, Scored};
use crate::sample::Sampler;
use crate::smallest::Smallest;
use crate::train::{Lesson, Trained};

/// Candidates kept at least, where there are as many.
const KEPT: usize = 60_000;
/// Patterns of either kind, of which the mixture is sure, that count beside labels.
const ANCHORS: usize = 200;
/// What each of them counts.
const ANCHOR_WEIGHT: f64 = 0.2;
/// Precision counts a little more than recall where nobody says otherwise: groups multiply wrong pairs.
const BALANCE: f64 = 0.6;
/// Log-odds from which on the mixture is sure.
const SURE: f64 = 7.0;

/// What a person wants of the result.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// 0 for recall alone, 1 for precision alone; `None` where precision counts a little
    /// more, and where a model that comes with a threshold keeps it.
    pub precision_recall: Option<f64>,
}

/// Gathers lessons.
pub struct Lessons {
    archive: Archive,
    comparer: Comparer,
    wishes: Wishes,
    labels: Labels,
    sample: Smallest<Candidate>,
    /// The sample, once all candidates were seen.
    kept: Vec<Candidate>,
    candidates: u64,
    /// Blobs of the records that kept pairs name.
    blobs: FxHashMap<u32, Option<Vec<u8>>>,
    sampler: Sampler,
    records: u64,
}

impl Lessons {
    /// Nothing gathered yet. An archive that has a model keeps it.
    pub fn new(archive: Archive, wishes: Wishes) -> Self {
        Self {
            comparer: Comparer::new(&archive.profile),
            archive,
            wishes,
            labels: Labels::default(),
            sample: Smallest::new(KEPT),
            kept: Vec::new(),
            candidates: 0,
            blobs: FxHashMap::default(),
            sampler: Sampler::default(),
            records: 0,
        }
    }

    /// Takes what people said.
    pub fn teach(&mut self, labels: Labels) {
        self.labels = labels;
    }

    /// Sees a candidate.
    pub fn candidate(&mut self, candidate: Candidate) {
        if candidate.shared == 0 {
            return;
        }
        self.candidates += 1;
        let pair = u64::from(candidate.a) << 32 | u64::from(candidate.b);
        self.sample.observe(hash::mix(61, pair), || candidate);
    }

    /// All candidates were seen: from now on records come.
    pub fn close(&mut self) {
        let sample = std::mem::replace(&mut self.sample, Smallest::new(KEPT));
        self.kept = sample.finish().collect();
        let kept = self.kept.iter().flat_map(|pair| [pair.a, pair.b]);
        let said = self.labels.pairs.iter().flat_map(|pair| [pair.a, pair.b]);
        self.blobs
            .extend(kept.chain(said).map(|record| (record, None)));
    }

    /// Sees the blob of a record of table 0 or 1.
    pub fn record(&mut self, table: usize, record: u32, blob: &[u8]) {
        self.records += 1;
        self.sampler.observe(table, record, blob);
        if let Some(wanted) = self.blobs.get_mut(&record) {
            *wanted = Some(blob.to_vec());
        }
    }

    /// Learns.
    ///
    /// # Errors
    /// [`Error::Encoding`] when the quality cannot be written.
    pub fn finish(mut self) -> Result<Archive, Error> {
        let mut counted: BTreeMap<Pattern, [f64; 3]> = BTreeMap::new();
        for pair in &self.kept {
            if let Some(pattern) = self.pattern(pair.a, pair.b) {
                let [all, one, two] = counted.entry(pattern).or_default();
                *all += 1.0;
                *one += f64::from(u8::from(pair.shared == 1));
                *two += f64::from(u8::from(pair.shared == 2));
            }
        }
        let scale = self.candidates as f64 / (self.kept.len() as f64).max(1.0);
        let counts: Vec<(Pattern, f64)> = counted
            .iter()
            .map(|(pattern, sums)| (*pattern, sums[0] * scale))
            .collect();
        let kept = self.archive.model.take();
        let keeps_threshold = kept.is_some()
            && self.labels.pairs.is_empty()
            && self.wishes.precision_recall.is_none();
        let mut model = kept.unwrap_or_else(|| self.learn(&counts));
        let judged = self.train(&mut model, &counts);
        let curve = curve(&model, &counted, scale);
        if !keeps_threshold {
            let threshold = curve.threshold(self.wishes.precision_recall.unwrap_or(BALANCE));
            model.threshold = 1.0 / (1.0 + (-threshold).exp());
        }
        let quality = self.quality(&model, &curve, &judged, &counts);
        model.quality = serde_json::to_string(&quality).map_err(Error::encoding)?;
        self.archive.model = Some(model);
        Ok(self.archive)
    }

    fn learn(&mut self, counts: &[(Pattern, f64)]) -> Model {
        let random = std::mem::take(&mut self.sampler).finish(&self.comparer);
        let features = self.comparer.features();
        learn(&self.archive.profile, features, counts, &random)
    }

    fn pattern(&self, a: u32, b: u32) -> Option<Pattern> {
        let blob = |record: u32| self.blobs.get(&record)?.as_deref();
        Some(self.comparer.compare(blob(a)?, blob(b)?))
    }

    /// Learns from labels; answers each with the score of a model that had not seen it.
    fn train(&self, model: &mut Model, counts: &[(Pattern, f64)]) -> Vec<Judged> {
        if self.labels.pairs.is_empty() {
            return Vec::new();
        }
        // What was learned from earlier labels makes way: labels add to the mixture, not to each other.
        model.trained = None;
        let scorer = Scorer::new(model);
        let groups = self.labels.groups();
        let said = self.labels.pairs.iter().filter_map(|pair| {
            let pattern = self.pattern(pair.a, pair.b)?;
            let group = groups.get(&pair.a).copied().unwrap_or(pair.a);
            Some(Lesson::of_label(
                pair,
                group,
                pattern,
                scorer.log_odds(&pattern),
            ))
        });
        let mut lessons: Vec<Lesson> = said.collect();
        let matches: Vec<bool> = lessons.iter().map(|lesson| lesson.is_match).collect();
        lessons.extend(anchors(&scorer, counts));
        let (trained, margins) = Trained::fit(&lessons, model.features.len());
        model.trained = Some(trained);
        let judged = margins.into_iter().zip(matches);
        judged
            .map(|(log_odds, is_match)| Judged { log_odds, is_match })
            .collect()
    }

    /// How good the result will be.
    fn quality(
        &self,
        model: &Model,
        curve: &Curve,
        judged: &[Judged],
        counts: &[(Pattern, f64)],
    ) -> Quality {
        let threshold = (model.threshold / (1.0 - model.threshold)).ln();
        // Those of one kind say nothing of the other.
        let both = [true, false]
            .iter()
            .all(|kind| judged.iter().any(|pair| pair.is_match == *kind));
        Quality {
            labels: LabelCounts {
                pairs: self.labels.pairs.len(),
                matches: self.labels.matches().count(),
                sets: self.labels.sets,
            },
            threshold: model.threshold,
            expected: curve.expected(threshold, self.records as f64),
            estimated: both.then(|| curve.estimated(judged, threshold)),
            columns: importances(model, counts),
        }
    }
}

/// Patterns of which the mixture is sure, the most frequent ones.
fn anchors(scorer: &Scorer, counts: &[(Pattern, f64)]) -> Vec<Lesson> {
    let mut by_count: Vec<&(Pattern, f64)> = counts.iter().collect();
    by_count.sort_by(|x, y| y.1.total_cmp(&x.1).then(x.0.cmp(&y.0)));
    let mut anchors = Vec::new();
    for is_match in [true, false] {
        let sure = by_count.iter().filter_map(|(pattern, _)| {
            let log_odds = scorer.log_odds(pattern);
            let sure = if is_match {
                log_odds > SURE
            } else {
                log_odds < -SURE
            };
            sure.then_some(Lesson {
                pattern: *pattern,
                log_odds,
                is_match,
                weight: ANCHOR_WEIGHT,
                fold: None,
            })
        });
        anchors.extend(sure.take(ANCHORS));
    }
    anchors
}

fn curve(model: &Model, counted: &BTreeMap<Pattern, [f64; 3]>, scale: f64) -> Curve {
    let scorer = Scorer::new(model);
    let scored = counted.iter().map(|(pattern, [count, one, two])| Scored {
        log_odds: scorer.log_odds(pattern),
        count: count * scale,
        shared: [one * scale, two * scale],
    });
    Curve::new(scored.collect())
}

/// Mean strength of each column's evidence over the candidates, as a share of all evidence.
fn importances(model: &Model, counts: &[(Pattern, f64)]) -> Vec<Importance> {
    let scorer = Scorer::new(model);
    let mut sums = vec![0.0; model.features.len()];
    for (pattern, count) in counts {
        for (sum, weight) in sums.iter_mut().zip(scorer.explain(pattern).weights) {
            *sum += count * weight.abs();
        }
    }
    let all = sums.iter().sum::<f64>().max(1e-9);
    let features = model.features.iter().zip(sums);
    // What is told across columns belongs to none of them.
    let mut importances: Vec<Importance> = features
        .filter_map(|(feature, sum)| {
            Some(Importance {
                name: feature.name.clone(),
                kind: feature.kind?.name().to_owned(),
                importance: sum / all,
            })
        })
        .collect();
    importances.sort_by(|x, y| y.importance.total_cmp(&x.importance));
    importances
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profiler;

    #[test]
    fn what_is_kept_does_not_depend_on_the_order() {
        let mut profiler = Profiler::new(&[vec!["name".to_owned()]]);
        profiler.observe(0, 0, [Some("ann"), Some("bob")].into_iter());
        let archive = Archive {
            profile: profiler.finish(),
            model: None,
        };
        let kept = |pairs: &mut dyn Iterator<Item = u32>| {
            let mut lessons = Lessons::new(archive.clone(), Wishes::default());
            for a in pairs {
                lessons.candidate(Candidate {
                    a,
                    b: a + 1,
                    shared: 1,
                });
            }
            lessons.close();
            lessons.kept
        };
        let forwards = kept(&mut (0..170_000));
        assert_eq!(forwards.len(), KEPT);
        assert_eq!(forwards, kept(&mut (0..170_000).rev()));
    }
}
