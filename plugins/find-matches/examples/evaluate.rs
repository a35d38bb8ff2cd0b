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
use tenon_find_matches::{CAP, REPEATS, Sampler, TOP};
use tenon_find_matches::{
    Comparer, Edge, Encoder, Pattern, Profiler, Scorer, cluster, follow, learn,
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
            evaluate(&load(folder, name)?, &options);
        }
    }
    for count in &options.people {
        evaluate(&generate(*count), &options);
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

fn evaluate(set: &Set, options: &Options) {
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
    let mut encoder = Encoder::new(&profile);
    let (mut blobs, mut ends, mut keyed) = (Vec::new(), vec![0usize], Vec::new());
    let mut keys = Vec::new();
    for (at, table) in set.tables.iter().enumerate() {
        for row in &table.rows {
            let row: Vec<Option<&str>> = row.iter().map(|value| present(value)).collect();
            keys.clear();
            let rid = ends.len() as u32 - 1;
            encoder.encode(at, &row, &mut blobs, &mut keys);
            keyed.extend(keys.iter().map(|key| (*key, rid)));
            ends.push(blobs.len());
        }
    }
    let blob = |rid: u32| &blobs[ends[rid as usize]..ends[rid as usize + 1]];
    clock.lap();
    let link = profile.link.then_some(split as u32);
    let leaders = leaders(records, link, blob);
    keyed.retain(|(_, rid)| leaders[*rid as usize] == *rid);
    let candidates = join(keyed, link, records);
    clock.lap();
    let comparer = Comparer::new(&profile);
    let patterns: Vec<Pattern> = candidates
        .iter()
        .map(|(a, b)| comparer.compare(blob(*a), blob(*b)))
        .collect();
    let mut sampler = Sampler::default();
    (0..records).for_each(|rid| sampler.observe(usize::from(rid >= split), blob(rid as u32)));
    let random = sampler.finish(&comparer);
    clock.lap();
    let model = learn(&profile, comparer.features(), &count(&patterns), &random);
    clock.lap();
    let scorer = Scorer::new(&model);
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
        profile.link.then_some(&sources[..]),
        model.threshold,
    );
    let repeated = (0..records as u32).filter(|rid| leaders[*rid as usize] != *rid);
    let repeats: Vec<Edge> = repeated
        .map(|b| Edge {
            a: leaders[b as usize],
            b,
            probability: scorer.probability(&comparer.compare(blob(b), blob(b))),
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

/// The first of many equal records, else the record itself.
fn leaders<'b>(records: usize, link: Option<u32>, blob: impl Fn(u32) -> &'b [u8]) -> Vec<u32> {
    let mut leaders: Vec<u32> = (0..records as u32).collect();
    if link.is_none() {
        let mut order = leaders.clone();
        order.sort_unstable_by_key(|rid| (blob(*rid), *rid));
        for equal in order
            .chunk_by(|a, b| blob(*a) == blob(*b))
            .filter(|equal| equal.len() as u64 > REPEATS)
        {
            equal
                .iter()
                .for_each(|rid| leaders[*rid as usize] = equal[0]);
        }
    }
    leaders
}

fn present(value: &str) -> Option<&str> {
    (!value.is_empty()).then_some(value)
}

/// Pairs that share keys: blocks up to the cap, then the best few per record by summed weight.
fn join(mut keyed: Vec<(u64, u32)>, link: Option<u32>, records: usize) -> Vec<(u32, u32)> {
    keyed.sort_unstable();
    let mut pairs: Vec<(u64, f32)> = Vec::new();
    for block in keyed
        .chunk_by(|x, y| x.0 == y.0)
        .filter(|block| block.len() > 1 && block.len() as u64 <= CAP)
    {
        let weight = (1.0 + CAP as f32 / block.len() as f32).ln();
        for (at, (_, a)) in block.iter().enumerate() {
            for (_, b) in &block[at + 1..] {
                if link.is_none_or(|split| *a < split && *b >= split) {
                    pairs.push((u64::from(*a) << 32 | u64::from(*b), weight));
                }
            }
        }
    }
    pairs.sort_unstable_by_key(|pair| pair.0);
    let summed: Vec<(u64, f32)> = pairs
        .chunk_by(|x, y| x.0 == y.0)
        .map(|same| (same[0].0, same.iter().map(|pair| pair.1).sum()))
        .collect();
    top_pairs(&summed, records)
}

fn top_pairs(pairs: &[(u64, f32)], records: usize) -> Vec<(u32, u32)> {
    let mut order: Vec<u32> = (0..pairs.len() as u32).collect();
    order.sort_unstable_by(|x, y| {
        pairs[*y as usize]
            .1
            .total_cmp(&pairs[*x as usize].1)
            .then(x.cmp(y))
    });
    let mut used = vec![0u32; records];
    let mut kept: Vec<(u32, u32)> = Vec::new();
    for at in order {
        let pair = pairs[at as usize].0;
        let (a, b) = ((pair >> 32) as u32, pair as u32);
        // Kept when it is among the best of either side.
        let good = u64::from(used[a as usize].min(used[b as usize])) < TOP;
        used[a as usize] += 1;
        used[b as usize] += 1;
        if good {
            kept.push((a, b));
        }
    }
    kept.sort_unstable();
    kept
}

fn count(patterns: &[Pattern]) -> Vec<(Pattern, u64)> {
    let mut counts: FxHashMap<Pattern, u64> = FxHashMap::default();
    for pattern in patterns {
        *counts.entry(*pattern).or_insert(0) += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable();
    counts
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
