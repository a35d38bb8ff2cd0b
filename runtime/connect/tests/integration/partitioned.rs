//! Hive-partitioned output: written, read back, bounded.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::{ExecutionPlan, execute_stream_partitioned};
use datafusion::prelude::{SessionConfig, SessionContext};
use proptest::prelude::*;
use tenon_connect::{CsvOptions, Format, JsonOptions, ParquetOptions, PartitionedSink, WriteMode};

use crate::{Folder, stream};

fn csv() -> Format {
    Format::Csv(CsvOptions::default())
}

fn batch(ids: &[i64], keys: &[Option<&str>]) -> RecordBatch {
    RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef),
        (
            "key",
            Arc::new(StringArray::from(keys.to_vec())) as ArrayRef,
        ),
    ])
    .unwrap()
}

fn sink(folder: &Folder, format: &Format, mode: WriteMode, run: &str) -> PartitionedSink {
    let columns = ["key".to_owned()];
    PartitionedSink::new(&folder.place, Path::new("out"), &columns, format, mode, run).unwrap()
}

async fn write(sink: &PartitionedSink, batches: Vec<RecordBatch>) -> Result<u64, String> {
    let schema = batches[0].schema();
    let written = sink.write(schema, vec![stream(batches)]).await;
    let output = written.map_err(|e| e.to_string())?;
    Ok(output.commit().await.map_err(|e| e.to_string())?.rows)
}

#[tokio::test]
async fn folders_are_named_after_values() {
    let folder = Folder::new();
    let sink = sink(&folder, &csv(), WriteMode::Replace, "run1");
    let rows = batch(
        &[1, 2, 3, 4],
        &[Some("07"), None, Some("a/b=c"), Some("07")],
    );
    assert_eq!(write(&sink, vec![rows]).await.unwrap(), 4);
    assert_eq!(
        folder.names("out"),
        ["key=07", "key=__HIVE_DEFAULT_PARTITION__", "key=a%2Fb%3Dc"]
    );
    let shown = folder
        .show(&["out"], &csv(), "SELECT id, key FROM t ORDER BY id")
        .await;
    insta::assert_snapshot!(shown, @r"
    +----+-------+
    | id | key   |
    +----+-------+
    | 1  | 07    |
    | 2  |       |
    | 3  | a/b=c |
    | 4  | 07    |
    +----+-------+
    ");
}

#[tokio::test]
async fn replace_leaves_other_partitions_alone() {
    let folder = Folder::new();
    let first = sink(&folder, &csv(), WriteMode::Replace, "run1");
    write(&first, vec![batch(&[1, 2], &[Some("a"), Some("b")])])
        .await
        .unwrap();
    let second = sink(&folder, &csv(), WriteMode::Replace, "run2");
    write(&second, vec![batch(&[3], &[Some("b")])])
        .await
        .unwrap();
    let third = sink(&folder, &csv(), WriteMode::Append, "run3");
    write(&third, vec![batch(&[4], &[Some("a")])])
        .await
        .unwrap();
    let shown = folder
        .show(&["out"], &csv(), "SELECT id, key FROM t ORDER BY id")
        .await;
    insta::assert_snapshot!(shown, @r"
    +----+-----+
    | id | key |
    +----+-----+
    | 1  | a   |
    | 3  | b   |
    | 4  | a   |
    +----+-----+
    ");
}

#[tokio::test]
async fn nothing_stays_of_a_run_that_fails() {
    let folder = Folder::new();
    let json = Format::Json(JsonOptions::default());
    let sink = sink(&folder, &json, WriteMode::Replace, "run1");
    let rows = batch(&[1, 2], &[Some("a"), Some("b")]);
    let schema = rows.schema();
    let failing = crate::stream_of(
        Arc::clone(&schema),
        vec![
            Ok(rows),
            Err(datafusion::error::DataFusionError::Execution(
                "no more".into(),
            )),
        ],
    );
    let error = sink
        .write(schema, vec![failing])
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("no more"), "{error}");
    for key in ["key=a", "key=b"] {
        assert!(folder.names(&format!("out/{key}")).is_empty(), "{key}");
    }
}

#[tokio::test]
async fn columns_that_cannot_be_folders_are_refused() {
    let folder = Folder::new();
    let refuse = |columns: &[&str]| {
        let columns: Vec<_> = columns.iter().map(ToString::to_string).collect();
        PartitionedSink::new(
            &folder.place,
            Path::new("out"),
            &columns,
            &csv(),
            WriteMode::Replace,
            "run1",
        )
    };
    insta::assert_snapshot!(refuse(&[]).unwrap_err(), @"partitioned output needs at least one column to partition by");
    let rows = batch(&[1], &[Some("a")]);
    let error = async |columns: &[&str]| {
        write(&refuse(columns).unwrap(), vec![rows.clone()])
            .await
            .unwrap_err()
    };
    insta::assert_snapshot!(error(&["kez"]).await, @r#"the output has no column "kez" to partition by; it has id, key"#);
    insta::assert_snapshot!(error(&["key", "id"]).await, @"every column is partitioned by, so that the files would be empty; leave one out");
    insta::assert_snapshot!(error(&["key", "key"]).await, @r#"cannot partition by column "key" (Utf8); choose columns of text, integers, dates or booleans, each once"#);
}

/// Many partitions in no order, sorted in little memory: one file each, and every row once.
#[tokio::test]
async fn many_partitions_in_bounded_memory() {
    const PARTITIONS: i64 = 200;
    const ROWS: i64 = 200_000;
    let folder = Folder::new();
    let keys: Vec<_> = (0..ROWS)
        .map(|id| format!("k{}", id * 7919 % PARTITIONS))
        .collect();
    let keys: Vec<_> = keys.iter().map(|key| Some(key.as_str())).collect();
    let ids: Vec<_> = (0..ROWS).collect();
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(4 << 20)))
        .build_arc()
        .unwrap();
    let config = SessionConfig::new()
        .with_target_partitions(1)
        .with_sort_spill_reservation_bytes(512 << 10)
        .with_batch_size(1024);
    let context = SessionContext::new_with_config_rt(config, runtime);
    let frame = context.read_batch(batch(&ids, &keys)).unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    let parquet = Format::Parquet(ParquetOptions::default());
    let sink = sink(&folder, &parquet, WriteMode::Replace, "run1").with_max_open_files(2);
    let sorted: Arc<dyn ExecutionPlan> = sink.sorted(plan).unwrap();
    let streams = execute_stream_partitioned(Arc::clone(&sorted), context.task_ctx()).unwrap();
    let output = sink.write(sorted.schema(), streams).await.unwrap();
    assert_eq!(output.files().len() as i64, PARTITIONS);
    let spilled = sorted.metrics().unwrap().spill_count();
    assert!(spilled.is_some_and(|count| count > 0), "{spilled:?}");
    output.commit().await.unwrap();
    let shown = folder
        .show(
            &["out"],
            &parquet,
            "SELECT count(*), sum(id), count(DISTINCT key), sum(CASE WHEN key = concat('k', id * 7919 % 200) THEN 1 END) AS right FROM t",
        )
        .await;
    assert!(
        shown.contains("| 200000   | 19999900000 | 200                   | 200000 |"),
        "{shown}"
    );
}

/// Files of the process that are open, where the system tells.
fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// Staged files of many partitions are closed, and yet a neighbour leaves them alone while their run lives.
#[tokio::test]
async fn staged_partitions_are_closed_and_kept() {
    const PARTITIONS: usize = 300;
    let folder = Folder::new();
    let keys: Vec<_> = (0..PARTITIONS).map(|key| format!("k{key:03}")).collect();
    let keys: Vec<_> = keys.iter().map(|key| Some(key.as_str())).collect();
    let ids: Vec<_> = (0..PARTITIONS as i64).collect();
    let rows = batch(&ids, &keys);
    let staged = async |run: &str| {
        let sink = sink(&folder, &csv(), WriteMode::Append, run).with_max_open_files(2);
        let streams = vec![stream(vec![rows.clone()])];
        sink.write(rows.schema(), streams).await.unwrap()
    };
    let before = open_files();
    let first = staged("run1").await;
    assert!(open_files() < before + 20, "{} were {before}", open_files());
    assert_eq!(first.partitions().len(), PARTITIONS);
    assert_eq!(first.partitions()[7].folder, "key=k007");
    assert_eq!(first.partitions()[7].values, [Some("k007".to_owned())]);
    let second = staged("run2").await;
    assert_eq!(first.commit().await.unwrap().files.len(), PARTITIONS);
    assert_eq!(second.commit().await.unwrap().files.len(), PARTITIONS);
    let shown = folder
        .show(&["out"], &csv(), "SELECT count(*) AS rows FROM t")
        .await;
    assert!(shown.contains("| 600  |"), "{shown}");
    assert_eq!(folder.names("out").len(), PARTITIONS, "the locks are gone");
}

/// What a killed run left staged is removed by the next that writes the partition.
#[tokio::test]
async fn what_a_killed_run_left_staged_is_removed() {
    let folder = Folder::new();
    let rows = batch(&[1], &[Some("a")]);
    let first = sink(&folder, &csv(), WriteMode::Append, "run1");
    write(&first, vec![rows.clone()]).await.unwrap();
    let path = folder.path("out/key=a");
    let left = path.join(".part-00000-old-0-0.csv.old-0-0.held");
    std::fs::write(&left, "id\n").unwrap();
    // The run's lock lies there, and nobody holds it.
    std::fs::write(folder.path("out/.old.running"), "").unwrap();
    let second = sink(&folder, &csv(), WriteMode::Append, "run2");
    write(&second, vec![rows]).await.unwrap();
    assert!(!left.exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// Rows in any order, with few files open: every row comes back with its partition.
    #[test]
    fn rows_come_back(keys in prop::collection::vec(prop::option::of("[a-e%/= .]{1,2}"), 1..30), max_open in 1usize..4) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = Folder::new();
            let sink = sink(&folder, &csv(), WriteMode::Replace, "run1").with_max_open_files(max_open);
            let ids: Vec<_> = (0..keys.len() as i64).collect();
            let options: Vec<_> = keys.iter().map(Option::as_deref).collect();
            let whole = batch(&ids, &options);
            let batches = (0..keys.len()).step_by(7).map(|at| whole.slice(at, 7.min(keys.len() - at)));
            write(&sink, batches.collect()).await.unwrap();
            let read = folder.query(&["out"], &csv(), "SELECT id, key FROM t ORDER BY id").await.unwrap();
            let read = arrow::compute::concat_batches(&read[0].schema(), &read).unwrap();
            assert_eq!(read.columns(), whole.columns());
        });
    }
}
