//! Jobs from definition to files, catalog and SQL; and what goes wrong on the way.

use std::path::Path;

use arrow::util::pretty::pretty_format_batches;
use insta::assert_snapshot;
use tenon_engine::{Error, Job, Progress, first_rows};
use tenon_tests::World;

const PEOPLE: &str = "id,name,age,postcode\n1, ada ,36,0812\n2,Bob,,2000\n3,cleo,17,\n3,cleo,17,\n";

fn world() -> World {
    let world = World::with_plugins(&[]);
    std::fs::write(world.folder.path().join("people.csv"), PEOPLE).unwrap();
    world
}

/// A job of the nodes in `toml` between `people` and a Parquet target that is the table `t.out`.
fn job(world: &World, toml: &str, last: &str) -> Result<Job, Error> {
    let text = format!(
        r#"
        name = "test"
        [nodes.people.S3CsvSource]
        Name = "people"
        Paths = ["people.csv"]
        {toml}
        [nodes.out.S3GlueParquetTarget]
        Name = "out"
        Inputs = ["{last}"]
        Path = "out"
        SchemaChangePolicy = {{ EnableUpdateCatalog = true, Database = "t", Table = "out" }}
        "#
    );
    let mut job = Job::from_toml(&text)?;
    job.folder = world.folder.path().to_path_buf();
    Ok(job)
}

async fn run(world: &World, toml: &str, last: &str) -> Result<tenon_engine::RunReport, Error> {
    world
        .engine
        .run(&job(world, toml, last)?, "run-1", &Progress::default())
        .await
}

async fn sql(world: &World, query: &str) -> String {
    let stream = world.engine.sql(query).await.unwrap();
    let (batches, _) = first_rows(stream, 100).await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

/// Files that a user would see, and those that were staged.
fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn every_built_in_node_works_and_is_counted() {
    let world = world();
    let nodes = r#"
        [nodes.mapped.ApplyMapping]
        Name = "mapped"
        Inputs = ["people"]
        Mapping = [
            { ToKey = "person", FromPath = ["id"], ToType = "string" },
            { ToKey = "years", FromPath = ["age"], ToType = "double" },
            { ToKey = "postcode", FromPath = ["postcode"] },
            { ToKey = "gone", FromPath = ["name"], Dropped = true },
        ]
        [nodes.once.DropDuplicates]
        Name = "once"
        Inputs = ["mapped"]
        [nodes.grown.Filter]
        Name = "grown"
        Inputs = ["once"]
        LogicalOperator = "OR"
        Filters = [
            { Operation = "GTE", Values = [{ Type = "COLUMNEXTRACTED", Value = ["years"] }, { Type = "CONSTANT", Value = ["18"] }] },
            { Operation = "ISNULL", Values = [{ Type = "COLUMNEXTRACTED", Value = ["years"] }] },
        ]
        [nodes.marked.SparkSQL]
        Name = "marked"
        Inputs = ["grown", "people"]
        SqlAliases = [{ From = "grown", Alias = "g" }, { From = "people", Alias = "p" }]
        SqlQuery = "select g.*, trim(p.name) as name from g join p on cast(p.id as varchar) = g.person order by person"
    "#;
    let report = run(&world, nodes, "marked").await.unwrap();
    let counts: Vec<(String, u64, u64)> = report
        .nodes
        .iter()
        .map(|n| (n.id.clone(), n.rows_in, n.rows_out))
        .collect();
    let expected = [
        ("people", 0, 4),
        ("mapped", 4, 4),
        ("once", 4, 3),
        ("grown", 3, 2),
        ("marked", 6, 2),
        ("out", 2, 2),
    ];
    for (id, rows_in, rows_out) in expected {
        assert!(
            counts.contains(&(id.to_owned(), rows_in, rows_out)),
            "{id}: {counts:?}"
        );
    }
    assert_snapshot!(sql(&world, "select * from t.out").await, @r"
    +--------+-------+----------+------+
    | person | years | postcode | name |
    +--------+-------+----------+------+
    | 1      | 36.0  | 0812     | ada  |
    | 2      |       | 2000     | Bob  |
    +--------+-------+----------+------+
    ");
    let table = world.catalog.get_table("t", "out").unwrap();
    let columns: Vec<String> = table
        .storage_descriptor
        .unwrap()
        .columns
        .into_iter()
        .map(|c| format!("{} {}", c.name, c.r#type.unwrap()))
        .collect();
    assert_eq!(
        columns,
        [
            "person string",
            "years double",
            "postcode string",
            "name string"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_replaces_the_first_and_counts_up_the_version() {
    let world = world();
    run(&world, "", "people").await.unwrap();
    std::fs::write(world.folder.path().join("people.csv"), "id\n9\n").unwrap();
    let again = job(&world, "", "people").unwrap();
    world
        .engine
        .run(&again, "run-2", &Progress::default())
        .await
        .unwrap();
    assert_snapshot!(sql(&world, "select * from t.out").await, @r"
    +----+
    | id |
    +----+
    | 9  |
    +----+
    ");
    assert_eq!(
        world
            .catalog
            .get_table("t", "out")
            .unwrap()
            .version_id
            .as_deref(),
        Some("1")
    );
}

/// A result that is read twice and larger than the memory of the run goes to disk, and the report says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_read_twice_may_be_larger_than_memory() {
    let world = World::with_config(
        &[],
        tenon_engine::EngineConfig {
            memory_bytes: 24 << 20,
            partitions: 2,
            ..tenon_engine::EngineConfig::default()
        },
    );
    let rows: String = (0..700).map(|i| format!("{i},name {i}\n")).collect();
    let people = world.folder.path().join("people.csv");
    std::fs::write(people, format!("id,name\n{rows}")).unwrap();
    let nodes = r#"
        [nodes.pairs.SparkSQL]
        Name = "pairs"
        Inputs = ["people"]
        SqlAliases = [{ From = "people", Alias = "p" }]
        SqlQuery = "select a.id, concat(a.name, ' and ', b.name) as names from p a, p b"
        [nodes.sums.SparkSQL]
        Name = "sums"
        Inputs = ["pairs"]
        SqlAliases = [{ From = "pairs", Alias = "t" }]
        SqlQuery = "select count(*) as n, sum(length(names)) as bytes, 1 as half from t union all select count(*), sum(length(names)), 2 from t where id >= 350 order by half"
    "#;
    let report = run(&world, nodes, "sums").await.unwrap();
    assert_snapshot!(sql(&world, "select * from t.out").await, @r"
    +--------+----------+------+
    | n      | bytes    | half |
    +--------+----------+------+
    | 490000 | 10136000 | 1    |
    | 245000 | 5106500  | 2    |
    +--------+----------+------+
    ");
    let spilled = |id: &str| {
        let node = report.nodes.iter().find(|node| node.id == id);
        node.unwrap().spilled_bytes
    };
    assert!(
        spilled("pairs") > 1 << 20,
        "{} bytes on disk",
        spilled("pairs")
    );
    assert_eq!(spilled("people"), 0);
}

/// What a run says about a plugin: which bytes it was, and what it used.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_accounted_for() {
    let world = World::with_plugins(&["tests/hostile"]);
    std::fs::write(world.folder.path().join("people.csv"), PEOPLE).unwrap();
    let node = "[nodes.d.DynamicTransform]\nName = \"d\"\nTransformName = \"x\"\nPath = \"tenon:hostile@0\"\nFunctionName = \"floods-the-log\"\nInputs = [\"people\"]";
    let report = run(&world, node, "d").await.unwrap();
    let d = report.nodes.iter().find(|node| node.id == "d").unwrap();
    let (plugin, used) = (d.plugin.clone().unwrap(), d.guest.unwrap());
    let (resolved, _) = world.engine.plugin("tenon:hostile").await.unwrap();
    assert_eq!(plugin.reference, "hostile@0.1.0");
    assert_eq!(plugin.digest, resolved.digest.to_string());
    assert_eq!(plugin.limits.limits, tenon_host::Limits::default());
    assert!(
        used.calls > 0 && used.cpu > std::time::Duration::ZERO,
        "{used:?}"
    );
    assert!(used.bytes_sent > 0 && used.bytes_received > 0, "{used:?}");
    assert!(used.memory_bytes >= 64 << 10, "{used:?}");
    // What its instances held is the node's memory, and no other node's.
    assert!(
        d.memory_bytes >= 64 << 10 && d.memory_byte_seconds > 0.0,
        "{d:?}"
    );
    let people = report
        .nodes
        .iter()
        .find(|node| node.id == "people")
        .unwrap();
    assert!(people.memory_bytes < d.memory_bytes, "{people:?}");
    assert!(people.bytes_read >= PEOPLE.len() as u64, "{people:?}");
    assert!(people.cpu > std::time::Duration::ZERO, "{people:?}");
    assert!(report.used.cpu >= people.cpu, "{:?}", report.used);
    assert!(
        report
            .nodes
            .iter()
            .all(|node| node.id == "d" || node.plugin.is_none())
    );
}

/// The error, and that neither files nor tables are left.
async fn refused(world: &World, nodes: &str, last: &str) -> String {
    let error = match run(world, nodes, last).await {
        Ok(_) => panic!("it went through"),
        Err(e) => format!(
            "{e}{}",
            e.hint().map(|h| format!("\n{h}")).unwrap_or_default()
        ),
    };
    let mut left = files(&world.folder.path().join("out"));
    left.retain(|name| name != "_tenon_files");
    assert!(left.is_empty(), "{left:?}");
    assert!(
        world.catalog.get_table("t", "out").is_err(),
        "a table was registered"
    );
    error.replace(world.folder.path().to_str().unwrap(), "FOLDER")
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_node_and_remedy() {
    let world = world();
    let mapping = |path: &str, to: &str| {
        format!(
            "[nodes.m.ApplyMapping]\nName = \"m\"\nInputs = [\"people\"]\nMapping = [{{ ToKey = \"x\", FromPath = [\"{path}\"], ToType = \"{to}\" }}]"
        )
    };
    assert_snapshot!(refused(&world, &mapping("nmae", "string"), "m").await, @r#"
    node "m": there is no column "nmae"; the input has id, name, age, postcode
    did you mean "name"?
    "#);
    assert_snapshot!(refused(&world, &mapping("name", "int"), "m").await, @r#"node "m": Cannot cast string ' ada ' to value of Int32 type"#);
    assert_snapshot!(refused(&world, &mapping("name", "nit"), "m").await);
    let query = |text: &str| {
        format!(
            "[nodes.q.SparkSQL]\nName = \"q\"\nInputs = [\"people\"]\nSqlAliases = [{{ From = \"people\", Alias = \"people\" }}]\nSqlQuery = \"{text}\""
        )
    };
    assert_snapshot!(refused(&world, &query("select * from peopel"), "q").await);
    assert_snapshot!(refused(&world, &query("select nmae from people"), "q").await);
    assert_snapshot!(refused(&world, &query("select id, age as id from people"), "q").await);
    assert_snapshot!(refused(&world, &query("drop table people"), "q").await);
    assert_snapshot!(refused(&world, &query("copy people to 'x.csv'"), "q").await);
    let plugin = "[nodes.d.DynamicTransform]\nName = \"d\"\nTransformName = \"x\"\nPath = \"tenon:no-such@1\"\nFunctionName = \"x\"\nInputs = [\"people\"]";
    assert_snapshot!(refused(&world, plugin, "d").await);
    std::fs::write(
        world.folder.path().join("people.csv"),
        "id,name\n1,a\n2,b,c\n",
    )
    .unwrap();
    assert_snapshot!(refused(&world, "", "people").await);
    std::fs::remove_file(world.folder.path().join("people.csv")).unwrap();
    assert_snapshot!(refused(&world, "", "people").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_plugin_fails_its_node_and_leaves_nothing() {
    let world = World::with_config(
        &["tests/hostile"],
        tenon_engine::EngineConfig {
            guest_limits: tenon_host::Limits {
                memory_bytes: 32 << 20,
                call_time: std::time::Duration::from_millis(200),
                ..tenon_host::Limits::default()
            },
            ..tenon_engine::EngineConfig::default()
        },
    );
    std::fs::write(world.folder.path().join("people.csv"), PEOPLE).unwrap();
    let evil = |name: &str| {
        format!(
            "[nodes.d.DynamicTransform]\nName = \"d\"\nTransformName = \"x\"\nPath = \"tenon:hostile@0\"\nFunctionName = \"{name}\"\nInputs = [\"people\"]"
        )
    };
    assert_snapshot!(refused(&world, &evil("panics"), "d").await);
    assert_snapshot!(refused(&world, &evil("spins"), "d").await);
    assert_snapshot!(refused(&world, &evil("eats-memory"), "d").await);
    assert_snapshot!(refused(&world, &evil("bad-utf8"), "d").await);
    assert_snapshot!(refused(&world, &evil("no-such-function"), "d").await);
    // Bound as a stream in a plan it would be of the wrong world; the neighbour still works.
    run(&world, &evil("floods-the-log"), "d").await.unwrap();
}

/// A plan's SQL may name its inputs and its own steps: no table of the catalog, no file, no statement.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_plan_reaches_nothing() {
    let world = World::with_plugins(&["tests/hostile"]);
    std::fs::write(world.folder.path().join("people.csv"), PEOPLE).unwrap();
    let cases = [
        ("plan-defines-a-table", "only a query is allowed"),
        ("plan-doubles-thirty-times", "2147483648 columns when each"),
        ("plan-names-a-catalog-table", "t.out' not found"),
        ("plan-names-a-later-step", "step1' not found"),
        ("plan-names-itself", "step0' not found"),
        ("plan-nests-twenty-definitions", "more than 8 levels deep"),
        ("plan-reads-a-file", "/etc/passwd' not found"),
        ("plan-reads-the-schema", "not found"),
        ("plan-says-two-things", "single SQL statement"),
        ("plan-sets-a-variable", "only a query is allowed"),
        ("plan-writes-a-file", "only a query is allowed"),
    ];
    for (function, words) in cases {
        let node = format!(
            "[nodes.d.DynamicTransform]\nName = \"d\"\nTransformName = \"x\"\nPath = \"tenon:hostile@0\"\nFunctionName = \"{function}\"\nInputs = [\"people\"]"
        );
        let error = refused(&world, &node, "d").await;
        assert!(
            error.contains("step \"step0\" of its plan") && error.contains(words),
            "{function}: {error}"
        );
    }
    assert!(!Path::new("/tmp/tenon-hostile.csv").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_leaves_nothing() {
    let world = World::with_plugins(&["tests/hostile"]);
    std::fs::write(world.folder.path().join("people.csv"), PEOPLE).unwrap();
    let nodes = "[nodes.d.DynamicTransform]\nName = \"d\"\nTransformName = \"x\"\nPath = \"tenon:hostile@0\"\nFunctionName = \"spins\"\nInputs = [\"people\"]";
    let job = job(&world, nodes, "d").unwrap();
    let progress = Progress::default();
    let running = world.engine.run(&job, "run-1", &progress);
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(300), running)
            .await
            .is_err(),
        "it spins"
    );
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(
        files(&world.folder.path().join("out")).is_empty(),
        "{:?}",
        files(&world.folder.path().join("out"))
    );
}

/// Without pieces the host would build eight million times a megabyte, and its process would end.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_selected_for_ever_comes_in_pieces() {
    let world = World::with_plugins(&["tests/hostile"]);
    let long = format!("id,text\n1,{}\n", "x".repeat(1 << 20));
    std::fs::write(world.folder.path().join("people.csv"), long).unwrap();
    let nodes = "[nodes.d.DynamicTransform]\nName = \"d\"\nTransformName = \"x\"\nPath = \"tenon:hostile@0\"\nFunctionName = \"selects-one-row-for-ever\"\nInputs = [\"people\"]\n[nodes.few.SparkSQL]\nName = \"few\"\nInputs = [\"d\"]\nSqlQuery = \"select id, length(text) as n from d limit 40\"\nSqlAliases = [{ From = \"d\", Alias = \"d\" }]";
    run(&world, nodes, "few").await.unwrap();
    let counted = sql(&world, "select count(*) as rows, min(n), max(n) from t.out").await;
    assert!(counted.contains("| 40   | 1048576"), "{counted}");
}
