//! Splink on the same files, where Python with Splink is at hand.

use std::process::Command;

use serde_json::Value;
use tenon_tests::root;

use crate::Measured;
use crate::score::Score;
use crate::set::Set;

/// Probability from which a pair counts as a match by itself.
const MATCH: f64 = 0.5;

/// One run; none where the peer is absent.
pub(crate) fn run(set: &Set, model: &str) -> Option<Measured> {
    let python = std::env::var("TENON_PEER_SPLINK").ok()?;
    let folder = tempfile::tempdir().unwrap();
    let [clusters, candidates] =
        ["clusters.csv", "candidates.csv"].map(|name| folder.path().join(name));
    let mut command = Command::new(python);
    command
        .arg(root().join("tests/peers/splink/match.py"))
        .arg(model)
        .args([&clusters, &candidates])
        .args(&set.files)
        .current_dir(folder.path());
    let output = match command.output() {
        Ok(output) if output.status.success() => output,
        Ok(output) => {
            println!("Splink failed: {}", String::from_utf8_lossy(&output.stderr));
            return None;
        }
        Err(error) => {
            println!("Splink cannot be started: {error}");
            return None;
        }
    };
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let seconds = said["seconds"].as_f64().unwrap();
    let training = said["training_seconds"].as_f64().unwrap();
    let candidates = set.paired(&candidates);
    let matches = candidates
        .iter()
        .filter(|(_, probability)| *probability >= MATCH);
    let matches = matches.map(|(pair, _)| *pair).collect();
    let right = candidates
        .iter()
        .filter(|(pair, _)| set.truth.contains(pair));
    Some(Measured {
        system: "Splink 5".to_owned(),
        seconds,
        peak_bytes: said["bytes"].as_u64().unwrap(),
        cluster: Score::of(&set.grouped(&clusters, "cluster"), &set.truth),
        pair: Score::of(&matches, &set.truth),
        candidates_per_record: candidates.len() as f64 / set.records() as f64,
        pair_completeness: right.count() as f64 / set.truth.len() as f64,
        stages: vec![
            ("training".to_owned(), training),
            ("scoring and grouping".to_owned(), seconds - training),
        ],
    })
}
