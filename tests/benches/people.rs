//! Matching against Splink: people in households from a seeded generator, and public sets with known truth; time, memory and
//! quality of both in the same run.
//!
//! Cost model: profiling and encoding read each record once; the joins make a few candidates for each record, each of which is
//! compared once; learning sees distinct patterns only; grouping is near linear in the candidates. Splink's time goes into
//! estimating its parameters and into SQL.
//!
//! Every run is a process of its own, `tenon match` for us, whose seconds are those of the whole process; Splink's are those
//! of the work as it says, without Python's start. Memory is the process's peak of resident memory as the kernel keeps it, told by the
//! process itself. Runs take turns and the median counts. Of us, nothing is said but the column of ids; Splink gets a model for each
//! set (`tests/peers/splink/match.py`).
//!
//! "Cluster" figures are over the pairs within groups (across the tables where two are linked), "pair" figures over the pairs that
//! match by themselves. Candidates and their completeness are measured for Splink, which gives its candidates away, and what the
//! matcher expects of its own for us.
//!
//! ```text
//! cargo bench --bench people -- 100000     how many people; 1 000 000 unless told
//! TENON_BENCH_RECORDS=100000               the same
//! TENON_BENCH_LABELS=300                   labels of the taught run, 0 for none
//! TENON_PEER_SPLINK=python                 with tests/peers/splink/requirements.txt
//! TENON_SHARED=folder                      with data/entity-resolution; public sets that are absent are skipped
//! ```

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot go on should stop"
)]

#[path = "people/ours.rs"]
mod ours;
#[path = "people/score.rs"]
mod score;
#[path = "people/set.rs"]
mod set;
#[path = "people/splink.rs"]
mod splink;
#[path = "people/teach.rs"]
mod teach;

use ours::Ours;
use score::Score;
use set::Set;

const RECORDS: usize = 1_000_000;
const LABELS: usize = 300;
/// Runs of each system; large tables run once.
const ROUNDS: usize = 3;
const LARGE: usize = 2_000_000;

/// The public sets, in the order of the table.
const PUBLIC: [&str; 5] = [
    "fodors_zagats",
    "dblp_acm",
    "febrl4",
    "fake_1000",
    "early_childhood",
];

/// One run of one system on one set.
struct Measured {
    system: String,
    seconds: f64,
    peak_bytes: u64,
    /// Over the pairs within groups.
    cluster: Score,
    /// Over the pairs that match by themselves.
    pair: Score,
    candidates_per_record: f64,
    /// Share of the true pairs that are candidates.
    pair_completeness: f64,
    /// What took how long, in seconds.
    stages: Vec<(String, f64)>,
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Ours::new(folder.path());
    let records = number_of_records();
    let people = Set::people(records, &folder.path().join("people"));
    let mut measured = compare(&ours, &people, "people_place", rounds(records));
    let labels = std::env::var("TENON_BENCH_LABELS").map_or(LABELS, |text| text.parse().unwrap());
    if labels > 0 {
        let taught = teach::teach(&ours, &people, labels);
        println!("{}: {}", people.name, taught.said);
        measured.insert(1, ours.run(&people, Some(&taught.file)));
    }
    print(&people, &measured);
    let mut ratios = vec![ratio(&people, &measured)];
    for name in PUBLIC {
        let Some(set) = Set::public(name) else {
            continue;
        };
        let measured = compare(&ours, &set, name, ROUNDS);
        print(&set, &measured);
        ratios.push(ratio(&set, &measured));
    }
    println!(
        "\n{}",
        ratios.into_iter().flatten().collect::<Vec<_>>().join("\n")
    );
}

/// The first argument that is a number, the variable, or the default; cargo adds words of its own.
fn number_of_records() -> usize {
    let argument = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let variable = || std::env::var("TENON_BENCH_RECORDS").ok();
    let variable = || variable().map(|text| text.parse().unwrap());
    argument.or_else(variable).unwrap_or(RECORDS)
}

fn rounds(records: usize) -> usize {
    if records > LARGE { 1 } else { ROUNDS }
}

/// Both systems in turns; of each, the run with the median time. Ours is the first.
fn compare(ours: &Ours, set: &Set, model: &str, rounds: usize) -> Vec<Measured> {
    let mut runs: [Vec<Measured>; 2] = Default::default();
    for _ in 0..rounds {
        runs[0].push(ours.run(set, None));
        runs[1].extend(splink::run(set, model));
    }
    runs.into_iter().filter_map(middle).collect()
}

fn middle(mut runs: Vec<Measured>) -> Option<Measured> {
    runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let middle = runs.len() / 2;
    runs.into_iter().nth(middle)
}

fn print(set: &Set, measured: &[Measured]) {
    println!(
        "\n| {} | s | peak MB | cluster P | R | F1 | pair P | R | F1 | candidates a record | pair completeness |",
        set.name
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for run in measured {
        println!(
            "| {} | {:.1} | {} | {} | {} | {:.2} | {:.3} |",
            run.system,
            run.seconds,
            run.peak_bytes / 1_000_000,
            run.cluster.cells(),
            run.pair.cells(),
            run.candidates_per_record,
            run.pair_completeness
        );
    }
    for run in measured.iter().filter(|run| !run.stages.is_empty()) {
        let stages: Vec<String> = run
            .stages
            .iter()
            .map(|(name, seconds)| format!("{name} {seconds:.2} s"))
            .collect();
        println!("{}: {}", run.system, stages.join(", "));
    }
}

/// Ours without labels to Splink's, where there is both.
fn ratio(set: &Set, measured: &[Measured]) -> Option<String> {
    let (ours, theirs) = (measured.first()?, measured.last()?);
    if !theirs.system.starts_with("Splink") {
        return None;
    }
    Some(format!(
        "{}: {:.2} of Splink's time, {:.2} of its memory, cluster F1 {:+.3}, pair F1 {:+.3}",
        set.name,
        ours.seconds / theirs.seconds,
        ours.peak_bytes as f64 / theirs.peak_bytes as f64,
        ours.cluster.f1() - theirs.cluster.f1(),
        ours.pair.f1() - theirs.pair.f1()
    ))
}
