//! What holds of matching as a whole, on people with households whose truth is known: the same groups whatever the
//! partitions, new records as in a run over all, labels that help, ids that stay.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use tenon_engine::{EngineConfig, Job, Progress, first_rows};
use tenon_tests::World;
use tenon_tests::people::{COLUMNS, people};

const PLUGIN: &[&str] = &["plugins/find-matches"];

/// A world whose engine works in this many partitions.
fn world(partitions: usize) -> World {
    let config = EngineConfig {
        partitions,
        ..EngineConfig::default()
    };
    World::with_config(PLUGIN, config)
}

/// People from the first to the last as a CSV file in the world's folder; of each the person.
fn write_people(world: &World, name: &str, all: usize, range: std::ops::Range<usize>) -> Vec<u32> {
    let (rows, persons) = people(all, 11);
    let mut csv = format!("id,{}\n", COLUMNS.join(","));
    for record in range.clone() {
        write!(csv, "{record}").unwrap();
        for value in rows[record].values() {
            let value = value.as_deref().unwrap_or_default();
            write!(csv, ",\"{}\"", value.replace('"', "\"\"")).unwrap();
        }
        csv.push('\n');
    }
    std::fs::write(world.folder.path().join(name), csv).unwrap();
    persons[range].to_vec()
}

fn csv(node: &str, path: &str) -> String {
    format!("[nodes.{node}.S3CsvSource]\nName = \"{node}\"\nPaths = [\"{path}\"]\nAllText = true\n")
}

fn parquet(node: &str, path: &str) -> String {
    format!("[nodes.{node}.S3ParquetSource]\nName = \"{node}\"\nPaths = [\"{path}\"]\n")
}

/// A call of the plugin; `more` are parameters beside the id, as TOML tables.
fn call(node: &str, function: &str, inputs: &str, more: &str) -> String {
    format!(
        "[nodes.{node}.DynamicTransform]\nName = \"{node}\"\nTransformName = \"{function}\"\nPath = \"tenon:find-matches@0\"\n\
         FunctionName = \"{function}\"\nInputs = [{inputs}]\n\
         Parameters = [{{ Name = \"id\", Type = \"str\", Value = [\"id\"] }}, {more}]\n"
    )
}

fn pick(node: &str, input: &str, index: usize) -> String {
    format!(
        "[nodes.{node}.SelectFromCollection]\nName = \"{node}\"\nInputs = [\"{input}\"]\nIndex = {index}\n"
    )
}

/// A target as a table of the catalog too.
fn target(node: &str, input: &str) -> String {
    format!(
        "[nodes.{node}.S3GlueParquetTarget]\nName = \"{node}\"\nInputs = [\"{input}\"]\nPath = \"{node}\"\n\
         SchemaChangePolicy = {{ EnableUpdateCatalog = true, Database = \"t\", Table = \"{node}\" }}\n"
    )
}

async fn run(world: &World, nodes: &[String]) {
    let mut job = Job::from_toml(&format!("name = \"match\"\n{}", nodes.concat())).unwrap();
    job.folder = world.folder.path().to_path_buf();
    let run = world.engine.run(&job, "run", &Progress::default()).await;
    run.unwrap_or_else(|error| panic!("{error}"));
}

/// The group of each record, by the record's number.
async fn groups(world: &World, table: &str) -> BTreeMap<usize, i64> {
    let query = format!("select cast(id as bigint) as id, match_id from t.{table} order by id");
    let stream = world.engine.sql(&query).await.unwrap();
    let (batches, _) = first_rows(stream, usize::MAX).await.unwrap();
    let mut groups = BTreeMap::new();
    for batch in batches {
        let [ids, matches] = [0, 1].map(|at| batch.column(at).as_primitive::<Int64Type>().clone());
        for (id, group) in ids.values().iter().zip(matches.values()) {
            groups.insert(usize::try_from(*id).unwrap(), *group);
        }
    }
    groups
}

fn pairs<G: Ord + Copy>(groups: impl Iterator<Item = (usize, G)>) -> BTreeSet<(usize, usize)> {
    let mut members: BTreeMap<G, Vec<usize>> = BTreeMap::new();
    groups.for_each(|(record, group)| members.entry(group).or_default().push(record));
    let mut pairs = BTreeSet::new();
    for group in members.values() {
        for (at, a) in group.iter().enumerate() {
            pairs.extend(group[at + 1..].iter().map(|b| (*a.min(b), *a.max(b))));
        }
    }
    pairs
}

fn f1(found: &BTreeSet<(usize, usize)>, truth: &BTreeSet<(usize, usize)>) -> f64 {
    2.0 * found.intersection(truth).count() as f64 / (found.len() + truth.len()) as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_do_not_matter() {
    let mut results = Vec::new();
    for partitions in [1, 3] {
        let world = world(partitions);
        let persons = write_people(&world, "people.csv", 12_000, 0..12_000);
        let nodes = [
            csv("people", "people.csv"),
            call("m", "find-matches", "\"people\"", ""),
            target("matched", "m"),
        ];
        run(&world, &nodes).await;
        let groups = groups(&world, "matched").await;
        let truth = pairs(persons.into_iter().enumerate());
        let found = f1(&pairs(groups.clone().into_iter()), &truth);
        assert!(found > 0.9, "{found}");
        results.push(groups);
    }
    assert_eq!(results[0], results[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_records_are_grouped_as_in_a_run_over_all() {
    let world = world(2);
    write_people(&world, "all.csv", 6_000, 0..6_000);
    write_people(&world, "old.csv", 6_000, 0..5_000);
    write_people(&world, "new.csv", 6_000, 5_000..6_000);
    let keep = [
        csv("people", "old.csv"),
        call("m", "find-matches", "\"people\"", ""),
        target("old", "m"),
        pick("model", "m", 3),
        target("kept", "model"),
    ];
    run(&world, &keep).await;
    let model = "{ Name = \"model\", Type = \"int\", Value = [\"MODEL\"] }";
    let add = [
        parquet("old", "old"),
        csv("new", "new.csv"),
        parquet("model", "kept"),
        call(
            "m",
            "find-incremental-matches",
            "\"old\", \"new\", \"model\"",
            &model.replace("MODEL", "2"),
        ),
        target("added", "m"),
    ];
    run(&world, &add).await;
    let again = [
        csv("people", "all.csv"),
        parquet("model", "kept"),
        call(
            "m",
            "find-matches",
            "\"people\", \"model\"",
            &model.replace("MODEL", "1"),
        ),
        target("whole", "m"),
    ];
    run(&world, &again).await;
    let [old, added, whole] = [
        groups(&world, "old").await,
        groups(&world, "added").await,
        groups(&world, "whole").await,
    ];
    assert_eq!(added.len(), 6_000);
    let of_new = |groups: &BTreeMap<usize, i64>| {
        let pairs = pairs(groups.clone().into_iter()).into_iter();
        pairs.filter(|(_, b)| *b >= 5_000).collect::<BTreeSet<_>>()
    };
    let agree = f1(&of_new(&added), &of_new(&whole));
    assert!(
        agree > 0.97,
        "incremental and whole agree by {agree:.3} only"
    );
    let moved = old
        .iter()
        .filter(|(record, group)| added[record] != **group);
    let share = moved.count() as f64 / 5_000.0;
    assert!(
        share < 0.01,
        "{share} of the old records changed their group"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_help_and_quality_is_estimated() {
    let world = world(2);
    let persons = write_people(&world, "people.csv", 6_000, 0..6_000);
    let mut labels = "labeling_set_id,label,id\n".to_owned();
    let ask = [
        csv("people", "people.csv"),
        call(
            "m",
            "find-questions",
            "\"people\"",
            "{ Name = \"questions\", Type = \"int\", Value = [\"200\"] }",
        ),
        pick("questions", "m", 1),
        target("asked", "questions"),
    ];
    run(&world, &ask).await;
    let query = "select a.question, cast(a.id as bigint), cast(b.id as bigint) from t.asked a join t.asked b \
                 on a.question = b.question where a.side = 1 and b.side = 2 order by 1";
    let stream = world.engine.sql(query).await.unwrap();
    let (batches, _) = first_rows(stream, usize::MAX).await.unwrap();
    for batch in batches {
        let columns = [0, 1, 2].map(|at| batch.column(at).as_primitive::<Int64Type>().clone());
        for row in 0..batch.num_rows() {
            let [set, a, b] = [0, 1, 2].map(|at| columns[at].value(row));
            let person = |record: i64| persons[usize::try_from(record).unwrap()];
            let second = if person(a) == person(b) { "A" } else { "B" };
            writeln!(labels, "{set},A,{a}\n{set},{second},{b}").unwrap();
        }
    }
    std::fs::write(world.folder.path().join("labels.csv"), labels).unwrap();
    let teach = [
        csv("people", "people.csv"),
        csv("labels", "labels.csv"),
        call("plain", "find-matches", "\"people\"", ""),
        target("untaught", "plain"),
        call(
            "m",
            "find-matches",
            "\"people\", \"labels\"",
            "{ Name = \"labels\", Type = \"int\", Value = [\"1\"] }",
        ),
        target("taught", "m"),
        pick("quality", "m", 4),
        target("told", "quality"),
    ];
    run(&world, &teach).await;
    let truth = pairs(persons.into_iter().enumerate());
    let [untaught, taught] = [
        f1(&pairs(groups(&world, "untaught").await.into_iter()), &truth),
        f1(&pairs(groups(&world, "taught").await.into_iter()), &truth),
    ];
    println!("untaught {untaught:.4}, taught {taught:.4}");
    assert!(
        taught > untaught - 0.002 && taught > 0.95,
        "{untaught} {taught}"
    );
    let stream = world
        .engine
        .sql("select quality from t.told")
        .await
        .unwrap();
    let (batches, _) = first_rows(stream, 1).await.unwrap();
    let told = batches.iter().find(|batch| batch.num_rows() > 0).unwrap();
    let text = arrow::util::display::array_value_to_string(told.column(0), 0).unwrap();
    let quality: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(quality["labels"]["pairs"], 200);
    let interval: Vec<f64> = serde_json::from_value(quality["estimated"]["f1"].clone()).unwrap();
    assert!(interval[0] <= interval[1] && interval[1] <= interval[2]);
    // The share of all pairs that share no key at all is underestimated, so the truth may lie a little below.
    assert!(
        interval[0] - 0.05 < taught && taught < interval[2] + 0.05,
        "{taught} is not in {interval:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn long_texts_are_compared_by_what_they_begin_with() {
    let world = world(1);
    let long = |word: &str| format!("{word} ").repeat(200_000);
    let csv_text = format!(
        "id,text\n1,{}\n2,{}\n3,{}\n",
        long("lorem ipsum"),
        long("lorem ipsum"),
        long("dolor sit")
    );
    std::fs::write(world.folder.path().join("texts.csv"), csv_text).unwrap();
    let nodes = [
        csv("texts", "texts.csv"),
        call("m", "find-matches", "\"texts\"", ""),
        target("matched", "m"),
    ];
    run(&world, &nodes).await;
    assert_eq!(groups(&world, "matched").await.len(), 3);
}
