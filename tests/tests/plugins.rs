//! The first-party plugins in the engine: as nodes of jobs, in SQL, over one partition and two, and beyond memory; and
//! what `tenon plugin new` makes of each world.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::util::pretty::pretty_format_batches;
use insta::assert_snapshot;
use serde_json::Value;
use tenon_engine::{EngineConfig, Error, Job, Progress, first_rows};
use tenon_tests::{World, root, tenon};

const ALL: [&str; 4] = [
    "plugins/mask",
    "plugins/sessionize",
    "plugins/most-frequent",
    "plugins/calendar",
];

fn world(plugins: &[&str], partitions: usize) -> World {
    World::with_config(
        plugins,
        EngineConfig {
            partitions,
            ..EngineConfig::default()
        },
    )
}

async fn batches(world: &World, query: &str) -> Result<Vec<RecordBatch>, Error> {
    let stream = world.engine.sql(query).await?;
    Ok(first_rows(stream, 1_000_000).await?.0)
}

async fn sql(world: &World, query: &str) -> String {
    let batches = batches(world, query).await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

/// Writes `rows` as JSON lines to the table `t.NAME`, through `node`, which reads `rows`.
async fn job(world: &World, name: &str, rows: &str, node: &str) -> Result<(), Error> {
    let folder = world.folder.path();
    std::fs::write(folder.join(format!("{name}.json")), rows).unwrap();
    let text = format!(
        r#"
        name = "{name}"
        [nodes.rows.S3JsonSource]
        Name = "rows"
        Paths = ["{name}.json"]
        {node}
        [nodes.out.S3GlueParquetTarget]
        Name = "out"
        Inputs = ["{last}"]
        Path = "{name}"
        SchemaChangePolicy = {{ EnableUpdateCatalog = true, Database = "t", Table = "{name}" }}
        "#,
        last = if node.is_empty() { "rows" } else { "call" },
    );
    let mut job = Job::from_toml(&text)?;
    job.folder = folder.to_path_buf();
    world
        .engine
        .run(&job, name, &Progress::default())
        .await
        .map(|_| ())
}

fn call(plugin: &str, parameters: &str) -> String {
    format!(
        "[nodes.call.DynamicTransform]\nName = \"call\"\nTransformName = \"call\"\nPath = \"tenon:{plugin}@0\"\n\
         FunctionName = \"{plugin}\"\nInputs = [\"rows\"]\nParameters = [{parameters}]"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn mask_hides_in_a_job_and_in_sql() {
    let world = world(&ALL[..1], 2);
    let rows = concat!(
        "{\"id\":1,\"mail\":\"ada@example.com\",\"note\":\"card 4111 1111 1111 1111\"}\n",
        "{\"id\":2,\"mail\":null,\"note\":\"call +44 20 7946 0958\"}\n",
    );
    let node = call(
        "mask",
        r#"{ Name = "columns", Type = "list", Value = ["note"] }"#,
    );
    job(&world, "masked", rows, &node).await.unwrap();
    assert_snapshot!(sql(&world, "select * from t.masked order by id").await, @r"
    +----+-----------------+--------------------------+
    | id | mail            | note                     |
    +----+-----------------+--------------------------+
    | 1  | ada@example.com | card **** **** **** 1111 |
    | 2  |                 | call +** ** **** 0958    |
    +----+-----------------+--------------------------+
    ");
    assert_snapshot!(sql(&world, "select mask(mail) as mail, mask('IBAN GB82WEST12345698765432') as account from t.masked order by id").await, @r"
    +-----------------+-----------------------------+
    | mail            | account                     |
    +-----------------+-----------------------------+
    | ***@example.com | IBAN GB****************5432 |
    |                 | IBAN GB****************5432 |
    +-----------------+-----------------------------+
    ");
    let wrong = call(
        "mask",
        r#"{ Name = "kinds", Type = "list", Value = ["ssn"] }"#,
    );
    let error = job(&world, "wrong", rows, &wrong).await.unwrap_err();
    assert_snapshot!(error.to_string(), @r#"node "call": plugin mask@0.1.0, function mask: configuration refused: kinds: "ssn" is none of email, phone, card, iban"#);
}

/// Events of 50 users, out of order, with gaps that are longer than the limit now and then.
fn events() -> (String, BTreeMap<(String, i64), i64>) {
    let (mut lines, mut numbers) = (Vec::new(), BTreeMap::new());
    for user in 0..50_i64 {
        let (mut at, mut number) = (1_767_225_600_000 + user, 0);
        for event in 0..40_i64 {
            let pause = (user * 31 + event * 17) % 37 * 60_000;
            at += pause + 1;
            number = if event == 0 || pause + 1 > 1_800_000 {
                1
            } else {
                number + 1
            };
            lines.push(format!("{{\"user\":\"u{user}\",\"at\":{at}}}"));
            numbers.insert((format!("u{user}"), at), number);
        }
    }
    lines.sort_by_key(|line| line.bytes().rev().collect::<Vec<u8>>());
    (lines.join("\n"), numbers)
}

const SESSIONS: &str = r#"{ Name = "key", Type = "str", Value = ["user"] }, { Name = "time", Type = "str", Value = ["at"] }"#;

#[tokio::test(flavor = "multi_thread")]
async fn sessionize_gives_the_same_sessions_on_one_partition_and_on_two() {
    let (rows, expected) = events();
    let query =
        r#"select "user", at, event_in_session, session from t.sessions order by "user", at"#;
    let mut found = Vec::new();
    for partitions in [1, 2] {
        let world = world(&ALL[1..2], partitions);
        job(&world, "sessions", &rows, &call("sessionize", SESSIONS))
            .await
            .unwrap();
        let sessions = sql(&world, "select count(distinct session) from t.sessions").await;
        let starts = expected.values().filter(|number| **number == 1).count();
        assert!(
            starts > 100 && sessions.contains(&format!(" {starts} ")),
            "{starts} {sessions}"
        );
        let batches = batches(&world, query).await.unwrap();
        for batch in &batches {
            let users = batch.column(0).as_string::<i32>();
            let times = batch.column(1).as_primitive::<Int64Type>();
            let numbers = batch.column(2).as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                let key = (users.value(row).to_owned(), times.value(row));
                assert_eq!(expected.get(&key), Some(&numbers.value(row)), "{key:?}");
            }
        }
        found.push(pretty_format_batches(&batches).unwrap().to_string());
    }
    assert_eq!(found[0], found[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn most_frequent_is_an_aggregate_of_sql() {
    let world = world(&ALL[2..3], 2);
    let rows = concat!(
        "{\"k\":1,\"city\":\"Wien\",\"day\":\"2026-01-02\",\"ok\":true}\n",
        "{\"k\":1,\"city\":\"Vienna\",\"day\":\"2026-01-02\",\"ok\":false}\n",
        "{\"k\":1,\"city\":\"Wien\",\"day\":\"2026-01-01\",\"ok\":null}\n",
        "{\"k\":2,\"city\":null,\"day\":null,\"ok\":true}\n",
    );
    job(&world, "people", rows, "").await.unwrap();
    assert_snapshot!(sql(&world, "select k, most_frequent(city) as city, most_frequent(cast(day as date)) as day, most_frequent(ok) as ok, most_frequent(k) as n from t.people group by k order by k").await, @r"
    +---+------+------------+-------+---+
    | k | city | day        | ok    | n |
    +---+------+------------+-------+---+
    | 1 | Wien | 2026-01-02 | false | 1 |
    | 2 |      |            | true  | 2 |
    +---+------+------------+-------+---+
    ");
    assert_snapshot!(sql(&world, "select most_frequent(city) as city from t.people where k > 2").await, @r"
    +------+
    | city |
    +------+
    |      |
    +------+
    ");
    let error = batches(
        &world,
        "select most_frequent(cast(k as double)) from t.people",
    )
    .await;
    assert_snapshot!(error.unwrap_err().to_string(), @r#"plugin most-frequent@0.1.0, function most-frequent: unsupported input: it takes text, integers, dates, timestamps and booleans, not Float64"#);
}

/// A number that looks random and is not.
fn scattered(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32
}

/// Many groups in an instance that may hold a part of them: the states go to disk and come back, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn most_frequent_of_more_groups_than_fit_is_still_right() {
    const GROUPS: u64 = 60_000;
    let rows: Vec<(u64, u64)> = (0..4 * GROUPS)
        .map(|row| (scattered(row) % GROUPS, scattered(row + 7) % 3))
        .collect();
    let mut counts: BTreeMap<u64, BTreeMap<u64, usize>> = BTreeMap::new();
    for (group, value) in &rows {
        *counts.entry(*group).or_default().entry(*value).or_default() += 1;
    }
    let best = |counts: &BTreeMap<u64, usize>| {
        let best = counts
            .iter()
            .max_by_key(|(value, count)| (**count, std::cmp::Reverse(**value)));
        *best.unwrap().0 as i64
    };
    let expected: Vec<(i64, i64)> = counts
        .iter()
        .map(|(group, counts)| (*group as i64, best(counts)))
        .collect();
    let lines: Vec<String> = rows
        .iter()
        .map(|(k, v)| format!("{{\"k\":{k},\"v\":{v}}}"))
        .collect();
    for partitions in [1, 2] {
        let mut config = EngineConfig {
            partitions,
            memory_bytes: 48 << 20,
            ..EngineConfig::default()
        };
        config.guest_limits.memory_bytes = 8 << 20;
        let world = World::with_config(&ALL[2..3], config);
        job(&world, "rows", &lines.join("\n"), "").await.unwrap();
        let found = batches(
            &world,
            "select k, most_frequent(v) as v from t.rows group by k order by k",
        )
        .await
        .unwrap();
        let pairs = found.iter().flat_map(|batch| {
            let keys = batch.column(0).as_primitive::<Int64Type>();
            let values = batch.column(1).as_primitive::<Int64Type>();
            keys.values()
                .iter()
                .copied()
                .zip(values.values().iter().copied())
        });
        assert!(
            pairs.eq(expected.iter().copied()),
            "{partitions} partitions"
        );
        let plan = sql(
            &world,
            "explain analyze select k, most_frequent(v) as v from t.rows group by k",
        )
        .await;
        let spills = plan
            .split("spill_count=")
            .skip(1)
            .filter(|rest| !rest.starts_with('0'));
        assert!(spills.count() > 0, "nothing went to disk: {plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calendar_makes_days_alone_and_for_each_row() {
    let world = world(&ALL[3..], 2);
    assert_snapshot!(sql(&world, "select count(*) as days, sum(case when is_weekend then 1 else 0 end) as weekend, max(iso_week) as weeks from calendar('2026-01-01', '2026-12-31')").await, @r"
    +------+---------+-------+
    | days | weekend | weeks |
    +------+---------+-------+
    | 365  | 104     | 53    |
    +------+---------+-------+
    ");
    let rows = concat!(
        "{\"room\":\"blue\",\"start\":\"2026-02-27\",\"end\":\"2026-03-01\"}\n",
        "{\"room\":\"red\",\"start\":\"2026-01-02\",\"end\":\"2026-01-01\"}\n",
        "{\"room\":\"green\",\"start\":null,\"end\":\"2026-01-01\"}\n",
    );
    job(&world, "t", rows, "").await.unwrap();
    assert_snapshot!(sql(&world, r#"select t.room, c.date, c.weekday, c.month_name from t.t as t, lateral calendar(t.start, t."end") as c order by c.date"#).await, @r"
    +------+------------+---------+------------+
    | room | date       | weekday | month_name |
    +------+------------+---------+------------+
    | blue | 2026-02-27 | 5       | February   |
    | blue | 2026-02-28 | 6       | February   |
    | blue | 2026-03-01 | 7       | March      |
    +------+------------+---------+------------+
    ");
    assert_snapshot!(sql(&world, r#"select t.room, count(c.date) as days from t.t as t join lateral calendar(cast(t.start as date), cast(t."end" as date)) as c on true group by t.room order by t.room"#).await, @r"
    +------+------+
    | room | days |
    +------+------+
    | blue | 3    |
    +------+------+
    ");
    let error = batches(&world, "select * from calendar('2026-02-30', '2026-03-01')").await;
    assert_snapshot!(error.unwrap_err().to_string(), @r#"plugin calendar@0.1.0, function calendar: "2026-02-30" is not a date like 2026-01-31 [bad-date, row 0 of the batch]"#);
    // The host takes what it wants of a range without an end.
    let first = batches(
        &world,
        "select year from calendar(date '2026-01-01', date '9999-12-31') limit 3",
    )
    .await
    .unwrap();
    let years: i32 = first
        .iter()
        .map(|batch| arrow::compute::sum(batch.column(0).as_primitive::<Int32Type>()).unwrap_or(0))
        .sum();
    assert_eq!(years, 3 * 2026);
}

/// Runs the binary in a folder, with plugins' builds where those of all tests are.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(tenon());
    command.args(arguments).current_dir(folder);
    command
        .env("TENON_DATA", folder.join("data"))
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// What `plugin test` says of a plugin, as an object.
fn tested(folder: &Path, plugin: &str) -> Value {
    let output = run(folder, &["--output", "json", "plugin", "test", plugin]);
    assert!(output.status.success(), "{plugin}: {}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_sample_rows_of_every_plugin_come_out_as_expected() {
    let folder = tempfile::tempdir().unwrap();
    for plugin in ALL {
        let path = root().join(plugin);
        let result = tested(folder.path(), path.to_str().unwrap());
        assert_eq!(result["result"], "as expected", "{plugin}: {result}");
    }
}

#[test]
fn a_new_plugin_of_every_world_passes_its_own_test() {
    let folder = tempfile::tempdir().unwrap();
    let sdk = root().join("sdk/rust");
    for world in [
        "map",
        "stream",
        "aggregate",
        "table-function",
        "plan",
        "source",
    ] {
        let name = format!("new-{world}");
        let new = [
            "plugin",
            "new",
            &name,
            "--world",
            world,
            "--sdk",
            sdk.to_str().unwrap(),
        ];
        let made = run(folder.path(), &new);
        assert!(made.status.success(), "{world}: {}", text(&made));
        // The versions of this checkout: nothing newer is looked for.
        std::fs::copy(
            root().join("Cargo.lock"),
            folder.path().join(&name).join("Cargo.lock"),
        )
        .unwrap();
        let result = tested(folder.path(), &name);
        assert_eq!(result["result"], "as expected", "{world}: {result}");
    }
    // The test can fail, and says where.
    let expected = folder.path().join("new-aggregate/tests/expected.ndjson");
    std::fs::write(
        &expected,
        "{\"k\":\"a\",\"longest\":\"x\"}\n{\"k\":\"b\"}\n",
    )
    .unwrap();
    let output = run(folder.path(), &["plugin", "test", "new-aggregate"]);
    assert!(!output.status.success());
    let said = r#"row 1 differs: expected {"k":"a","longest":"x"}, got {"k":"a","longest":"xyz"}"#;
    assert!(text(&output).contains(said), "{}", text(&output));
    std::fs::remove_file(folder.path().join("new-aggregate/tests/query.sql")).unwrap();
    let output = run(folder.path(), &["plugin", "test", "new-aggregate"]);
    assert_snapshot!(String::from_utf8_lossy(&output.stderr), @r"
    error: longest is an aggregate, which only a query calls: new-aggregate/tests/query.sql is missing
      hint: write one over the table input, the sample rows: select k, longest(v) from input group by k order by k
    ");
}
