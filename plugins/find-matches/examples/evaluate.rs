//! Runs the whole matcher natively on data sets with known truth and prints a table of quality and time.
//!
//! `evaluate <folder> [set ...] [--people N] [--errors N]`: every sub-folder of `<folder>` with a `truth.csv` is a set
//! (see that folder's README); the joins that the host's SQL engine would do are done here on sorted arrays.

#[path = "../../../tests/src/people.rs"]
#[expect(
    unreachable_pub,
    reason = "the file is a public module of the test crate"
)]
mod people;

use rustc_hash::{FxHashMap, FxHashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tenon_find_matches::{
    Archive, Budget, Candidate, Comparer, Drawn, Edge, Encoder, Facing, Judge, Known, LabelledPair,
    Labels, Lessons, Nominator, Pattern, Profiler, Question, Scorer, Wishes, cluster, follow,
    questions,
};

type Failure = Box<dyn std::error::Error>;

/// One data set in memory.
struct Set {
    name: String,
    tables: Vec<Table>,
    truth: FxHashSet<(u32, u32)>,
    /// Labelled pairs, when only those are known.
    protocol: Option<FxHashSet<(u32, u32)>>,
}

struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

#[derive(Default)]
struct Options {
    folder: PathBuf,
    sets: Vec<String>,
    people: Vec<usize>,
    errors: usize,
    model: bool,
    patterns: usize,
    budget: Budget,
    wishes: Wishes,
    /// Pairs that are judged by the truth.
    labels: usize,
}

fn main() -> Result<(), Failure> {
    let options = options()?;
    println!(
        "{:<20} {:>7} {:>8} {:>6} | {:>5} {:>5} {:>5} | {:>5} {:>5} | stages s: profile encode join compare learn score cluster",
        "set", "records", "pairs", "compl", "F1", "prec", "rec", "pairF", "bestF"
    );
    let mut folders: Vec<PathBuf> = Vec::new();
    if !options.folder.as_os_str().is_empty() {
        for entry in std::fs::read_dir(&options.folder)? {
            folders.push(entry?.path());
        }
    }
    folders.sort();
    for folder in folders
        .iter()
        .filter(|folder| folder.join("truth.csv").exists())
    {
        let name = folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if options.sets.is_empty() || options.sets.contains(&name) {
            evaluate(&load(folder, name)?, &options)?;
        }
    }
    for count in &options.people {
        evaluate(&generate(*count), &options)?;
    }
    Ok(())
}

fn options() -> Result<Options, Failure> {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || -> Result<usize, Failure> {
            Ok(arguments.next().ok_or("a number is missing")?.parse()?)
        };
        match argument.as_str() {
            "--people" => options.people.push(number()?),
            "--errors" => options.errors = number()?,
            "--patterns" => options.patterns = number()?,
            "--model" => options.model = true,
            "--best" => options.budget.best = number()?,
            "--labels" => options.labels = number()?,
            "--wish" => options.wishes.precision_recall = Some(number()? as f64 / 100.0),
            "--floor" => options.budget.floor = number()? as f64 / 100.0,
            _ if options.folder.as_os_str().is_empty() => options.folder = argument.into(),
            _ => options.sets.push(argument),
        }
    }
    Ok(options)
}

fn load(folder: &Path, name: String) -> Result<Set, Failure> {
    let files: &[&str] = if folder.join("records.csv").exists() {
        &["records.csv"]
    } else {
        &["left.csv", "right.csv"]
    };
    let mut ids = FxHashMap::default();
    let mut tables = Vec::new();
    for file in files {
        let mut reader = csv::Reader::from_path(folder.join(file))?;
        let columns = reader
            .headers()?
            .iter()
            .skip(1)
            .map(str::to_owned)
            .collect();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record?;
            ids.insert(record.get(0).unwrap_or("").to_owned(), ids.len() as u32);
            rows.push(record.iter().skip(1).map(str::to_owned).collect());
        }
        tables.push(Table { columns, rows });
    }
    let truth = read_pairs(&folder.join("truth.csv"), &ids)?;
    let mut protocol = None;
    if ["beer", "itunes_amazon"].contains(&name.as_str()) {
        let mut labelled = FxHashSet::default();
        for split in ["pairs_train.csv", "pairs_valid.csv", "pairs_test.csv"] {
            labelled.extend(read_pairs(&folder.join(split), &ids)?);
        }
        protocol = Some(labelled);
    }
    Ok(Set {
        name,
        tables,
        truth,
        protocol,
    })
}

fn read_pairs(path: &Path, ids: &FxHashMap<String, u32>) -> Result<FxHashSet<(u32, u32)>, Failure> {
    let mut pairs = FxHashSet::default();
    for record in csv::Reader::from_path(path)?.records() {
        let record = record?;
        let id = |at: usize| record.get(at).and_then(|id| ids.get(id)).copied();
        if let (Some(a), Some(b)) = (id(0), id(1)) {
            pairs.insert((a.min(b), a.max(b)));
        }
    }
    Ok(pairs)
}

fn generate(count: usize) -> Set {
    let (rows, clusters) = people::people(count, 7);
    let mut members: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
    for (record, cluster) in clusters.iter().enumerate() {
        members.entry(*cluster).or_default().push(record as u32);
    }
    let mut truth = FxHashSet::default();
    for group in members.values() {
        for (at, a) in group.iter().enumerate() {
            truth.extend(group.iter().skip(at + 1).map(|b| (*a.min(b), *a.max(b))));
        }
    }
    let columns = people::COLUMNS
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    let rows = rows
        .iter()
        .map(|row| {
            row.values()
                .iter()
                .map(|value| value.as_deref().unwrap_or("").to_owned())
                .collect()
        })
        .collect();
    Set {
        name: format!("people {count}"),
        tables: vec![Table { columns, rows }],
        truth,
        protocol: None,
    }
}

fn evaluate(set: &Set, options: &Options) -> Result<(), Failure> {
    let mut clock = Clock {
        started: Instant::now(),
        laps: Vec::new(),
    };
    let names: Vec<Vec<String>> = set
        .tables
        .iter()
        .map(|table| table.columns.clone())
        .collect();
    let mut profiler = Profiler::new(&names);
    for (at, table) in set.tables.iter().enumerate() {
        for column in 0..table.columns.len() {
            profiler.observe(
                at,
                column,
                table.rows.iter().map(|row| present(&row[column])),
            );
        }
    }
    let profile = profiler.finish();
    clock.lap();
    let split = set.tables[0].rows.len();
    let records: usize = set.tables.iter().map(|table| table.rows.len()).sum();
    let (mut blobs, mut ends) = (Vec::new(), vec![0usize]);
    let (mut keys, mut keyed) = (Vec::new(), vec![0usize]);
    let mut digests = Vec::new();
    for (at, table) in set.tables.iter().enumerate() {
        let mut encoder = Encoder::new(&profile, at, &table.columns)?;
        for row in &table.rows {
            let row: Vec<Option<&str>> = row.iter().map(|value| present(value)).collect();
            digests.push(encoder.encode(&row, &mut blobs, &mut keys));
            keyed.push(keys.len());
            ends.push(blobs.len());
        }
    }
    let blob = |rid: u32| &blobs[ends[rid as usize]..ends[rid as usize + 1]];
    clock.lap();
    let link = profile.link.then_some(split as u32);
    let facing = link.map_or(Facing::All, Facing::Across);
    let mut nominator = Nominator::new(options.budget);
    for rid in 0..records {
        nominator.observe(rid as u32, digests[rid], &keys[keyed[rid]..keyed[rid + 1]])?;
    }
    drop((keys, keyed));
    let named = nominator.finish(facing);
    let candidates: Vec<(u32, u32)> = named
        .iter()
        .filter(|c| c.shared > 0)
        .map(|c| (c.a, c.b))
        .collect();
    let copies: Vec<(u32, u32)> = named
        .iter()
        .filter(|c| c.shared == 0)
        .map(|c| (c.a, c.b))
        .collect();
    clock.lap();
    let comparer = Comparer::new(&profile);
    let patterns: Vec<Pattern> = candidates
        .iter()
        .map(|(a, b)| comparer.compare(blob(*a), blob(*b)))
        .collect();
    clock.lap();
    let untaught = Archive {
        profile: profile.clone(),
        model: None,
    };
    let learned = |labels: &[LabelledPair]| -> Result<Archive, Failure> {
        let mut lessons = Lessons::new(untaught.clone(), options.wishes);
        lessons.teach(Labels {
            pairs: labels.to_vec(),
            sets: labels.len(),
        });
        named
            .iter()
            .for_each(|candidate| lessons.candidate(*candidate));
        lessons.close();
        (0..records).for_each(|rid| {
            lessons.record(usize::from(rid >= split), rid as u32, blob(rid as u32))
        });
        Ok(lessons.finish()?)
    };
    let mut archive = learned(&[])?;
    let mut said: Vec<LabelledPair> = Vec::new();
    while said.len() < options.labels {
        let asked = ask(&archive, &named, &said, &blob)?;
        if asked.is_empty() {
            break;
        }
        for (a, b) in asked {
            let is_match = set.truth.contains(&(a, b));
            said.push(LabelledPair { a, b, is_match });
        }
        archive = learned(&said)?;
    }
    let model = archive.model()?;
    clock.lap();
    let scorer = Scorer::new(model);
    let edges: Vec<Edge> = candidates
        .iter()
        .zip(&patterns)
        .map(|((a, b), pattern)| Edge {
            a: *a,
            b: *b,
            probability: scorer.probability(pattern),
        })
        .collect();
    clock.lap();
    let sources: Vec<u8> = (0..records).map(|rid| u8::from(rid >= split)).collect();
    let mut groups = cluster(
        records,
        &edges,
        Known {
            sources: profile.link.then_some(&sources[..]),
            ..Known::default()
        },
        model.threshold,
    );
    let repeats: Vec<Edge> = copies
        .iter()
        .map(|(a, b)| Edge {
            a: *a,
            b: *b,
            probability: scorer.probability(&comparer.compare(blob(*a), blob(*b))),
        })
        .collect();
    follow(&mut groups, &repeats, model.threshold);
    clock.lap();

    let known = |pair: &(u32, u32)| {
        set.protocol
            .as_ref()
            .is_none_or(|labelled| labelled.contains(pair))
    };
    let found: FxHashSet<(u32, u32)> = candidates.iter().copied().collect();
    let complete = set.truth.iter().filter(|pair| found.contains(pair)).count() as f64
        / set.truth.len().max(1) as f64;
    let mut members: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
    for (record, group) in groups.iter().enumerate() {
        members
            .entry(group.cluster)
            .or_default()
            .push(record as u32);
    }
    let (mut proposed, mut right) = (0.0, 0.0);
    let mut wrong = Vec::new();
    for group in members.values() {
        for (at, a) in group.iter().enumerate() {
            for b in group.iter().skip(at + 1) {
                let pair = (*a.min(b), *a.max(b));
                if known(&pair)
                    && (link.is_none() || sources[pair.0 as usize] != sources[pair.1 as usize])
                {
                    proposed += 1.0;
                    if set.truth.contains(&pair) {
                        right += 1.0
                    } else {
                        wrong.push(pair)
                    }
                }
            }
        }
    }
    let (precision, recall) = (
        right / f64::max(proposed, 1.0),
        right / f64::max(set.truth.len() as f64, 1.0),
    );
    let mut scored: Vec<(f64, bool)> = edges
        .iter()
        .filter(|edge| known(&(edge.a, edge.b)))
        .map(|edge| (edge.probability, set.truth.contains(&(edge.a, edge.b))))
        .collect();
    let pair_f1 = best_f1(&mut scored, set.truth.len(), model.threshold);
    println!(
        "{:<20} {:>7} {:>8} {:>6.3} | {:.3} {:.3} {:.3} | {:.3} {:.3} | {}",
        set.name,
        records,
        candidates.len(),
        complete,
        2.0 * precision * recall / f64::max(precision + recall, 1e-9),
        precision,
        recall,
        pair_f1.0,
        pair_f1.1,
        clock.print()
    );
    if options.model {
        println!(
            "   blobs {} B/record, {}",
            blobs.len() / records,
            model.quality
        );
        for column in &profile.columns {
            println!(
                "   {} {:?} null {:.2} distinct {:.2} collision {:.4}",
                column.name,
                column.kind,
                column.null_share,
                column.distinct_share,
                column.collision
            );
        }
        println!("   {}", profile.describe_rules());
        println!("{}", model.describe());
    }
    if options.patterns > 0 {
        print_patterns(
            &candidates,
            &patterns,
            &set.truth,
            &scorer,
            comparer.features().len(),
            options.patterns,
        );
    }
    if options.errors != 0 {
        let scores: FxHashMap<(u32, u32), (f64, Pattern)> = edges
            .iter()
            .zip(&patterns)
            .map(|(edge, pattern)| ((edge.a, edge.b), (edge.probability, *pattern)))
            .collect();
        let missed: Vec<(u32, u32)> = {
            let mut missed: Vec<_> = set
                .truth
                .iter()
                .filter(|(a, b)| groups[*a as usize].cluster != groups[*b as usize].cluster)
                .copied()
                .collect();
            missed.sort_unstable();
            missed
        };
        wrong.sort_unstable();
        for (title, pairs) in [("WRONG", &wrong), ("MISSED", &missed)] {
            println!("  {title}: {}", pairs.len());
            for pair in pairs
                .iter()
                .step_by(pairs.len().div_ceil(options.errors.max(1)).max(1))
                .take(options.errors)
            {
                let row = |rid: u32| {
                    if rid as usize >= split {
                        &set.tables[1].rows[rid as usize - split]
                    } else {
                        &set.tables[0].rows[rid as usize]
                    }
                };
                println!("    {:?}\n    {:?}", row(pair.0), row(pair.1));
                match scores.get(pair) {
                    Some((p, pattern)) => println!(
                        "      p={p:.4} {:?} {:.1?}",
                        &pattern[..comparer.features().len()],
                        scorer.explain(pattern)
                    ),
                    None => println!("      not a candidate"),
                }
            }
        }
    }
    Ok(())
}

/// Pairs of one round of questions.
const ROUND: usize = 30;

fn ask<'b>(
    archive: &Archive,
    named: &[Candidate],
    said: &[LabelledPair],
    blob: &impl Fn(u32) -> &'b [u8],
) -> Result<Vec<(u32, u32)>, Failure> {
    let mut drawn = Drawn::default();
    named
        .iter()
        .filter(|candidate| candidate.shared > 0)
        .for_each(|candidate| drawn.observe(candidate.a, candidate.b));
    let mut judge = Judge::new(archive)?;
    let candidates = drawn.pairs().into_iter().map(|(a, b)| {
        let pattern = judge.pattern(blob(a), blob(b));
        Question {
            a,
            b,
            probability: judge.of_pattern(&pattern),
            pattern,
        }
    });
    let candidates = candidates.collect();
    let judged = said.iter().map(|pair| (pair.a, pair.b)).collect();
    let asked = questions(candidates, judge.threshold(), &judged, ROUND);
    Ok(asked
        .iter()
        .map(|question| (question.a, question.b))
        .collect())
}

/// The most frequent patterns with how many of their pairs are true.
fn print_patterns(
    pairs: &[(u32, u32)],
    patterns: &[Pattern],
    truth: &FxHashSet<(u32, u32)>,
    scorer: &Scorer,
    width: usize,
    limit: usize,
) {
    let mut counts: FxHashMap<Pattern, (usize, usize)> = FxHashMap::default();
    for (pair, pattern) in pairs.iter().zip(patterns) {
        let entry = counts.entry(*pattern).or_default();
        entry.0 += 1;
        entry.1 += usize::from(truth.contains(pair));
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable_by_key(|(pattern, count)| (usize::MAX - count.0, *pattern));
    for (pattern, (all, right)) in counts.iter().take(limit) {
        println!(
            "   {:?} {all} true {right} p {:.4}",
            &pattern[..width],
            scorer.probability(pattern)
        );
    }
}

struct Clock {
    started: Instant,
    laps: Vec<f64>,
}

impl Clock {
    fn lap(&mut self) {
        self.laps.push(self.started.elapsed().as_secs_f64());
        self.started = Instant::now();
    }

    fn print(&self) -> String {
        let laps: Vec<String> = self.laps.iter().map(|lap| format!("{lap:.2}")).collect();
        format!("{} = {:.2}", laps.join(" "), self.laps.iter().sum::<f64>())
    }
}

fn present(value: &str) -> Option<&str> {
    (!value.is_empty()).then_some(value)
}

/// F1 at the threshold and the best over all thresholds.
fn best_f1(scored: &mut [(f64, bool)], truth: usize, threshold: f64) -> (f64, f64) {
    scored.sort_by(|x, y| y.0.total_cmp(&x.0));
    let (mut right, mut best, mut at_threshold) = (0.0, 0.0f64, 0.0);
    for (at, (probability, is_match)) in scored.iter().enumerate() {
        right += f64::from(u8::from(*is_match));
        let f1 = 2.0 * right / (at as f64 + 1.0 + truth as f64);
        best = best.max(f1);
        if *probability >= threshold {
            at_threshold = f1;
        }
    }
    (at_threshold, best)
}
