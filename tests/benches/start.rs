//! Warm start: from `tenon run` to the end of a job of one row with a plugin that was compiled before.
//!
//! Cost model: the process starts, opens the store and the registry, reads the compiled component and checks its MAC (a
//! few ms per MB), plans, and makes one instance.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot go on should stop"
)]

use std::process::Command;
use std::time::Instant;

use tenon_tests::{component, tenon};

const JOB: &str = r#"
name = "start"
[nodes.rows.S3CsvSource]
Name = "rows"
Paths = ["rows.csv"]
[nodes.shout.DynamicTransform]
Name = "shout"
TransformName = "shout"
Path = "tenon:bench-guest@0"
FunctionName = "shout"
Inputs = ["rows"]
[nodes.out.S3DirectTarget]
Name = "out"
Inputs = ["shout"]
Path = "out.csv"
Format = "csv"
"#;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("job.toml"), JOB).unwrap();
    std::fs::write(at("rows.csv"), "s\n  one  \n").unwrap();
    std::fs::write(at("plugin.wasm"), component("tests/bench-guest")).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(tenon())
            .args(arguments)
            .current_dir(folder.path())
            .env("TENON_DATA", at("data"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    run(&["plugin", "install", "plugin.wasm"]);
    run(&["run", "job.toml"]);
    let mut times = Vec::new();
    for _ in 0..21 {
        let start = Instant::now();
        run(&["run", "job.toml"]);
        times.push(start.elapsed());
    }
    assert_eq!(
        std::fs::read_to_string(at("out.csv"))
            .unwrap()
            .lines()
            .nth(1),
        Some("ONE")
    );
    times.sort_unstable();
    println!("| job of one row, plugin compiled before | median | fastest |");
    println!("|---|---|---|");
    println!(
        "| whole process, to the committed file | {:.1} ms | {:.1} ms |",
        times[10].as_secs_f64() * 1e3,
        times[0].as_secs_f64() * 1e3
    );
}
