//! What data cannot say of transforms: plugins behind `CustomCode`, runs that are cancelled while they are planned, inputs
//! that are kept and do not fit into memory, and looking at a job without running it.

use std::path::Path;
use std::time::{Duration, Instant};

use arrow::util::pretty::pretty_format_batches;
use tenon_engine::{EngineConfig, Job, Progress, RunReport};
use tenon_tests::World;

const PEOPLE: &str = "id,name,age\n1,ada,36\n2,Bob,\n3,cleo,17\n";

fn world(plugins: &[&str], config: EngineConfig) -> World {
    let world = World::with_config(plugins, config);
    std::fs::write(world.folder.path().join("people.csv"), PEOPLE).unwrap();
    world
}

/// A job of `nodes` between `people` and a target of CSV.
fn job(world: &World, nodes: &str, last: &str) -> Job {
    let text = format!(
        "name = 'test'
        nodes.people.S3CsvSource = {{ Name = 'people', Paths = ['people.csv'] }}
        {nodes}
        nodes.out.S3DirectTarget = {{ Name = 'out', Inputs = ['{last}'], Path = 'out', Format = 'csv' }}
        "
    );
    let mut job = Job::from_toml(&text).unwrap();
    job.folder = world.folder.path().to_path_buf();
    job
}

fn rows_out(report: &RunReport, id: &str) -> u64 {
    let node = report.nodes.iter().find(|node| node.id == id);
    node.unwrap().rows_out
}

fn is_there(world: &World, name: &str) -> bool {
    Path::new(world.folder.path()).join(name).exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_code_may_be_a_plugin() {
    let world = world(&["tests/hostile"], EngineConfig::default());
    let node = "nodes.c.CustomCode = { Name = 'c', Inputs = ['people'], ClassName = 'floods-the-log', Code = 'plugin: tenon:hostile@0' }";
    let job = job(&world, node, "c");
    let limits = world.engine.limits(&job).unwrap();
    assert_eq!(limits[0].0, "c");
    let report = world.engine.run(&job, "run", &Progress::default()).await;
    let report = report.unwrap();
    let c = report.nodes.iter().find(|node| node.id == "c").unwrap();
    assert_eq!(c.kind, "CustomCode");
    assert_eq!(c.plugin.as_ref().unwrap().reference, "hostile@0.1.0");
    assert!(c.guest.unwrap().calls > 0);
}

/// The plugin spins while DropNullFields looks at what it gives, before anything else runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cancelled_while_it_is_planned_ends() {
    let world = world(&["tests/hostile"], EngineConfig::default());
    let nodes = "
        nodes.d.DynamicTransform = { Name = 'd', TransformName = 'x', Path = 'tenon:hostile@0', FunctionName = 'spins', Inputs = ['people'] }
        nodes.n.DropNullFields = { Name = 'n', Inputs = ['d'] }";
    let job = job(&world, nodes, "n");
    let progress = Progress::default();
    let running = world.engine.run(&job, "run", &progress);
    let ended = tokio::time::timeout(Duration::from_millis(300), running).await;
    assert!(ended.is_err(), "it spins");
    assert!(!is_there(&world, "out"));
    // The engine is free for others, and nothing of the run is left.
    let small = self::job(&world, "", "people");
    let after = Instant::now();
    let report = world
        .engine
        .run(&small, "after", &Progress::default())
        .await;
    assert_eq!(rows_out(&report.unwrap(), "out"), 3);
    assert!(after.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_is_read_first_may_be_larger_than_memory() {
    let config = EngineConfig {
        memory_bytes: 4 << 20,
        partitions: 2,
        ..EngineConfig::default()
    };
    let world = world(&[], config);
    let text = "x".repeat(100);
    let rows = (0..200_000).map(|i| format!("{i},{text},{}\n", if i % 2 == 0 { "" } else { "7" }));
    let rows: String = rows.collect();
    std::fs::write(
        world.folder.path().join("people.csv"),
        format!("id,name,age\n{rows}"),
    )
    .unwrap();
    let nodes = "
        nodes.fill.FillMissingValues = { Name = 'fill', Inputs = ['people'], ImputedPath = 'age' }
        nodes.nulls.DropNullFields = { Name = 'nulls', Inputs = ['fill'] }
        nodes.sum.Aggregate = { Name = 'sum', Inputs = ['nulls'], Groups = [], Aggs = [{ Column = ['age_filled'], AggFunc = 'sum' }, { Column = ['age'], AggFunc = 'count' }] }";
    let report = world
        .engine
        .run(&job(&world, nodes, "sum"), "run", &Progress::default())
        .await
        .unwrap();
    let preview = report.targets[0].preview.clone().unwrap();
    assert_eq!(
        pretty_format_batches(&[preview]).unwrap().to_string(),
        "+-----------------+------------+\n\
         | sum(age_filled) | count(age) |\n\
         +-----------------+------------+\n\
         | 1400000         | 100000     |\n\
         +-----------------+------------+"
    );
    for id in ["people", "fill", "nulls"] {
        assert_eq!(rows_out(&report, id), 200_000, "{id} is computed once");
    }
    let spilled: u64 = report.nodes.iter().map(|node| node.spilled_bytes).sum();
    assert!(spilled > 0);
    let said: Vec<&str> = report
        .log
        .iter()
        .map(|(_, _, text)| text.as_str())
        .collect();
    assert_eq!(
        said,
        ["\"age\": 100000 of 200000 values missing; filled with the mean 7"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_at_a_job_writes_nothing() {
    let world = world(&[], EngineConfig::default());
    let nodes = "
        nodes.s.Spigot = { Name = 'the sample', Inputs = ['people'], Path = 'sample' }
        nodes.split.SplitFields = { Name = 'split', Inputs = ['s'], Paths = [['age']] }
        nodes.rest.SelectFromCollection = { Name = 'rest', Inputs = ['split'], Index = 1 }";
    let job = job(&world, nodes, "rest");
    let columns = world.engine.columns(&job).await.unwrap();
    let of = |id: &str| {
        let node = columns.iter().find(|node| node.id == id).unwrap();
        let outputs = node.outputs.iter();
        let names = outputs.map(|output| {
            let fields = output.fields().iter();
            fields
                .map(|f| f.name().clone())
                .collect::<Vec<_>>()
                .join(",")
        });
        names.collect::<Vec<_>>()
    };
    assert_eq!(of("split"), ["age", "id,name"]);
    assert_eq!(of("out"), ["id,name"]);
    for (node, limit, rows, more) in [
        ("the sample", 2, 2, true),
        ("out", 3, 3, false),
        ("rest", 0, 0, true),
    ] {
        let progress = Progress::default();
        let shown = world.engine.preview(&job, node, limit, &progress).await;
        let (batches, has_more) = shown.unwrap();
        let found: usize = batches
            .iter()
            .map(arrow::array::RecordBatch::num_rows)
            .sum();
        assert_eq!((found, has_more), (rows, more), "{node}");
    }
    assert!(!is_there(&world, "out") && !is_there(&world, "sample"));
    let report = world.engine.run(&job, "run", &Progress::default()).await;
    assert_eq!(rows_out(&report.unwrap(), "s"), 3);
    assert!(is_there(&world, "out") && is_there(&world, "sample"));
}
