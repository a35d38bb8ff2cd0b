//! The matcher on real data with known truth, as users run it: `find-matches` in the sandbox, joins in the engine,
//! no labels, no settings but the id column. Each case has a floor; none has settings of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use tenon_engine::{Job, Progress, first_rows};
use tenon_tests::{World, root, shared};

type Pairs = BTreeSet<(String, String)>;

/// Precision, recall and F1 over unordered pairs.
fn score(found: &Pairs, truth: &Pairs) -> (f64, f64, f64) {
    let right = found.intersection(truth).count() as f64;
    let (precision, recall) = (
        right / found.len().max(1) as f64,
        right / truth.len().max(1) as f64,
    );
    (
        precision,
        recall,
        2.0 * right / (found.len() + truth.len()).max(1) as f64,
    )
}

fn ordered(a: &str, b: &str) -> (String, String) {
    if a < b {
        (a.to_owned(), b.to_owned())
    } else {
        (b.to_owned(), a.to_owned())
    }
}

fn read_pairs(path: &Path) -> Pairs {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .skip(1)
        .map(|line| line.split_once(',').unwrap())
        .map(|(a, b)| ordered(a, b))
        .collect()
}

fn job(world: &World, files: &[&Path]) -> Job {
    let mut text = String::from("name = \"match\"\n");
    for (i, file) in files.iter().enumerate() {
        text += &format!(
            "[nodes.in{i}.S3CsvSource]\nName = \"in{i}\"\nPaths = [{file:?}]\nAllText = true\n"
        );
    }
    let inputs: Vec<String> = (0..files.len()).map(|i| format!("\"in{i}\"")).collect();
    text += &format!(
        r#"
        [nodes.matches.DynamicTransform]
        Name = "matches"
        TransformName = "find-matches"
        Path = "tenon:find-matches@0"
        FunctionName = "find-matches"
        Inputs = [{}]
        Parameters = [{{ Name = "id", Type = "str", Value = ["id"] }}]
        [nodes.out.S3GlueParquetTarget]
        Name = "out"
        Inputs = ["matches"]
        Path = "out"
        SchemaChangePolicy = {{ EnableUpdateCatalog = true, Database = "t", Table = "out" }}
        [nodes.pairs.SelectFromCollection]
        Name = "pairs"
        Inputs = ["matches"]
        Index = 1
        [nodes.pairs_out.S3GlueParquetTarget]
        Name = "pairs_out"
        Inputs = ["pairs"]
        Path = "pairs"
        SchemaChangePolicy = {{ EnableUpdateCatalog = true, Database = "t", Table = "pairs" }}
        "#,
        inputs.join(", ")
    );
    let mut job = Job::from_toml(&text).unwrap();
    job.folder = world.folder.path().to_path_buf();
    job
}

async fn rows(world: &World, query: &str) -> Vec<RecordBatch> {
    let stream = world.engine.sql(query).await.unwrap();
    first_rows(stream, usize::MAX).await.unwrap().0
}

/// The clusters' pairs; across the tables only, when two are linked.
async fn found(world: &World, link: bool) -> Pairs {
    let source = if link {
        "match_source"
    } else {
        "cast(1 as bigint)"
    };
    let mut members: BTreeMap<i64, Vec<(String, i64)>> = BTreeMap::new();
    for batch in rows(
        world,
        &format!("select id, match_id, {source} as s from t.out"),
    )
    .await
    {
        let (ids, groups, sources) = (
            batch.column(0).as_string::<i32>(),
            batch.column(1).as_primitive::<Int64Type>(),
            batch.column(2).as_primitive::<Int64Type>(),
        );
        for row in 0..batch.num_rows() {
            members
                .entry(groups.value(row))
                .or_default()
                .push((ids.value(row).to_owned(), sources.value(row)));
        }
    }
    let mut pairs = Pairs::new();
    for group in members.values() {
        for (i, (a, from_a)) in group.iter().enumerate() {
            pairs.extend(
                group[i + 1..]
                    .iter()
                    .filter(|(_, from_b)| !link || from_a != from_b)
                    .map(|(b, _)| ordered(a, b)),
            );
        }
    }
    pairs
}

/// Runs one set and returns its F1.
async fn f1(name: &str, folder: &Path) -> f64 {
    let world = World::with_plugins(&["plugins/find-matches"]);
    let (left, right) = (folder.join("left.csv"), folder.join("right.csv"));
    let single = ["records.csv", "people.csv"]
        .map(|file| folder.join(file))
        .into_iter()
        .find(|file| file.exists());
    let files: Vec<&Path> = match &single {
        Some(file) => vec![file],
        None => vec![&left, &right],
    };
    let report = world
        .engine
        .run(&job(&world, &files), "run-1", &Progress::default())
        .await
        .unwrap();
    let lines: usize = files
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap().lines().count() - 1)
        .sum();
    assert_eq!(
        report.targets.iter().find(|t| t.id == "out").unwrap().rows,
        lines as u64,
        "every input row comes out once"
    );
    let link = single.is_none();
    let (precision, recall, f1) = score(
        &found(&world, link).await,
        &read_pairs(&folder.join("truth.csv")),
    );
    println!(
        "{name}: precision {precision:.4} recall {recall:.4} f1 {f1:.4} in {:?}",
        report.elapsed
    );
    f1
}

async fn floor(name: &str, least: f64) {
    let Some(folder) = shared(&format!("data/entity-resolution/{name}")) else {
        return;
    };
    let f1 = f1(name, &folder).await;
    assert!(f1 >= least, "{name}: F1 {f1:.4} is below {least}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_of_the_example() {
    let f1 = f1("match-people", &root().join("examples/match-people")).await;
    assert!(f1 >= 0.95, "F1 {f1:.4}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_febrl1() {
    floor("febrl1", 0.97).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_febrl4_linked() {
    floor("febrl4", 0.99).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restaurants_fodors_zagats() {
    floor("fodors_zagats", 0.95).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn papers_dblp_acm() {
    floor("dblp_acm", 0.95).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_input_gives_the_same_result() {
    let folder = root().join("examples/match-people");
    let mut results = Vec::new();
    for _ in 0..2 {
        let world = World::with_plugins(&["plugins/find-matches"]);
        world
            .engine
            .run(
                &job(&world, &[&folder.join("people.csv")]),
                "run-1",
                &Progress::default(),
            )
            .await
            .unwrap();
        results.push(
            rows(
                &world,
                "select id, match_id, match_confidence from t.out order by id",
            )
            .await,
        );
    }
    let text = |batches: &[RecordBatch]| {
        arrow::util::pretty::pretty_format_batches(batches)
            .unwrap()
            .to_string()
    };
    assert_eq!(text(&results[0]), text(&results[1]));
}

/// Tables that a matcher must survive: nothing to find, nothing to compare, nothing at all.
#[tokio::test(flavor = "multi_thread")]
async fn odd_tables() {
    let cases = [
        ("no rows", "id,name\n"),
        ("one row", "id,name\n1,ada\n"),
        ("all missing", "id,name\n1,\n2,\n3,\n"),
        (
            "all equal",
            "id,name,city\n1,ada lovelace,london\n2,ada lovelace,london\n3,ada lovelace,london\n",
        ),
    ];
    for (name, csv) in cases {
        let world = World::with_plugins(&["plugins/find-matches"]);
        let file = world.folder.path().join("in.csv");
        std::fs::write(&file, csv).unwrap();
        let report = world
            .engine
            .run(&job(&world, &[&file]), "run-1", &Progress::default())
            .await;
        let rows = report.unwrap_or_else(|e| panic!("{name}: {e}")).targets[0].rows;
        assert_eq!(rows as usize, csv.lines().count() - 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_id_column_is_named() {
    let world = World::with_plugins(&["plugins/find-matches"]);
    let file = world.folder.path().join("in.csv");
    std::fs::write(&file, "key,name\n1,ada\n").unwrap();
    let error = world
        .engine
        .run(&job(&world, &[&file]), "run-1", &Progress::default())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("there is no column \"id\"; the input has key, name"),
        "{error}"
    );
}
