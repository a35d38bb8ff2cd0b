//! 100 000 people with households, matched without labels by the command line: time, memory and quality.
//!
//! Cost model: profiling and encoding read each record once; the joins make about a dozen candidates for each
//! record, each of which is compared once; grouping is near linear in the candidates.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot go on should stop"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;
use std::time::Instant;

use tenon_tests::people::{COLUMNS, people};
use tenon_tests::{component, tenon};

const RECORDS: usize = 100_000;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, truth) = people(RECORDS, 7);
    let mut csv = format!("id,{}\n", COLUMNS.join(","));
    for (i, row) in rows.iter().enumerate() {
        let values: Vec<&str> = row
            .values()
            .iter()
            .map(|v| v.as_deref().unwrap_or_default())
            .collect();
        let quoted: Vec<String> = values
            .iter()
            .map(|v| {
                if v.contains([',', '"']) {
                    format!("\"{}\"", v.replace('"', "\"\""))
                } else {
                    (*v).to_owned()
                }
            })
            .collect();
        writeln!(csv, "{i},{}", quoted.join(",")).unwrap();
    }
    let (file, out) = (
        folder.path().join("people.csv"),
        folder.path().join("matched.csv"),
    );
    std::fs::write(&file, csv).unwrap();
    let plugin = folder.path().join("find-matches.wasm");
    std::fs::write(&plugin, component("plugins/find-matches")).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(tenon())
            .args(arguments)
            .env("TENON_DATA", folder.path().join("data"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    run(&["plugin", "install", plugin.to_str().unwrap()]);
    let mut times = Vec::new();
    for _ in 0..3 {
        let start = Instant::now();
        run(&[
            "match",
            file.to_str().unwrap(),
            "--id",
            "id",
            "-o",
            out.to_str().unwrap(),
        ]);
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let (precision, recall, f1) = score(&std::fs::read_to_string(&out).unwrap(), &truth);
    println!("| records | median of 3 | precision | recall | pair F1 of the groups |");
    println!("|---|---|---|---|---|");
    println!(
        "| {RECORDS} people in households | {:.1} s | {precision:.3} | {recall:.3} | {f1:.3} |",
        times[1].as_secs_f64()
    );
}

/// Precision, recall and F1 over the pairs within groups.
fn score(matched: &str, truth: &[u32]) -> (f64, f64, f64) {
    let header: Vec<&str> = matched.lines().next().unwrap().split(',').collect();
    // Counted from the end, where no value holds a comma.
    let position = header.len() - 1 - header.iter().position(|h| *h == "match_id").unwrap();
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for line in matched.lines().skip(1) {
        let id: usize = line.split(',').next().unwrap().parse().unwrap();
        let group = line.rsplit(',').nth(position).unwrap();
        groups.entry(group.to_owned()).or_default().push(id);
    }
    let pairs = |n: usize| (n * n.saturating_sub(1) / 2) as f64;
    let mut right = 0.0;
    for members in groups.values() {
        let mut people: BTreeMap<u32, usize> = BTreeMap::new();
        members
            .iter()
            .for_each(|id| *people.entry(truth[*id]).or_default() += 1);
        right += people.values().map(|n| pairs(*n)).sum::<f64>();
    }
    let found: f64 = groups.values().map(|m| pairs(m.len())).sum();
    let mut sizes: BTreeMap<u32, usize> = BTreeMap::new();
    truth
        .iter()
        .for_each(|person| *sizes.entry(*person).or_default() += 1);
    let there: f64 = sizes.values().map(|n| pairs(*n)).sum();
    (right / found, right / there, 2.0 * right / (found + there))
}
