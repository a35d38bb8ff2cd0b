//! The same rows as an independent engine: cases that have a `duckdb.sql` are run, and what they wrote is compared with
//! what DuckDB makes of the same inputs, by `tests/clients/engines/duckdb_rows.py`.

use std::process::{Command, Stdio};

use tenon_engine::EngineConfig;
use tenon_tests::World;

use crate::cases::{Case, copy, folders, run};
use crate::environment;

/// Cases with a `duckdb.sql`; fewer mean that some are not found any more.
const AT_LEAST: usize = 11;

#[tokio::test(flavor = "multi_thread")]
async fn another_engine_finds_the_same_rows() {
    let clients = tenon_tests::root().join("tests/clients");
    let Some(python) = environment::python(&clients) else {
        println!("skipped: pip cannot install tests/clients/requirements.txt here");
        return;
    };
    let mut worlds = Vec::new();
    let mut script = Command::new(python);
    script.arg(clients.join("engines/duckdb_rows.py"));
    let cases = folders(&tenon_tests::root().join("tests/cases"));
    for folder in cases.iter().filter(|f| f.join("duckdb.sql").exists()) {
        let text = std::fs::read_to_string(folder.join("case.toml")).unwrap();
        let case: Case = toml::from_str(&text).unwrap();
        // More than one partition: rows come from several threads, in any order.
        let config = EngineConfig {
            partitions: 3,
            ..EngineConfig::default()
        };
        let world = World::with_config(&[], config);
        let work = world.folder.path().join("work");
        copy(folder, &work);
        for (number, job) in case.jobs.iter().enumerate() {
            run(&world, &work.join(job), number, None)
                .await
                .unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        }
        script.arg(&work);
        worlds.push(world);
    }
    assert!(worlds.len() >= AT_LEAST, "{} cases", worlds.len());
    let output = script.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    println!("{}", text(&output.stdout));
    assert!(output.status.success(), "{}", text(&output.stderr));
}
