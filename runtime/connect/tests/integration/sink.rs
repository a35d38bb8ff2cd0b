//! Writing: round trips, staging, replacing, and every way it can fail.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use tenon_connect::{
    CsvOptions, Error, FileSink, Format, JsonOptions, ParquetCompression, ParquetOptions, Place,
    QuoteChar, Target, WriteMode, discard_staged,
};

use crate::parquet::people;
use crate::{Folder, stream, stream_of};

fn csv() -> Format {
    Format::Csv(CsvOptions::default())
}

fn parquet() -> Format {
    Format::Parquet(ParquetOptions::default())
}

fn formats() -> [Format; 3] {
    [csv(), Format::Json(JsonOptions::default()), parquet()]
}

/// One column of every type that the formats share, with nulls and awkward text.
fn everything() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "i",
            Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(7)])),
        ),
        (
            "f",
            Arc::new(Float64Array::from(vec![Some(1e300), Some(-0.1), None])),
        ),
        (
            "b",
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        ),
        (
            "d",
            Arc::new(Date32Array::from(vec![Some(-1), Some(19_000), None])),
        ),
        (
            "t",
            Arc::new(TimestampMicrosecondArray::from(vec![
                Some(1_500_000_000_000_001),
                None,
                Some(-1),
            ])),
        ),
        (
            "u",
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(1), None, Some(0)])
                    .with_timezone("+00:00"),
            ),
        ),
        (
            "s",
            Arc::new(StringArray::from(vec![
                Some("0812"),
                Some("a,\"b\"\r\n\u{e4} "),
                None,
            ])),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap()
}

#[tokio::test]
async fn csv_and_parquet_read_back_what_was_written() {
    let snappy = ParquetOptions {
        compression: ParquetCompression::Snappy,
        dictionary: false,
        ..Default::default()
    };
    let tabs = Format::Csv(CsvOptions::tab_separated());
    for (name, format) in [
        ("o.csv", csv()),
        ("o.tsv", tabs),
        ("o.parquet", parquet()),
        ("p.parquet", Format::Parquet(snappy)),
    ] {
        let folder = Folder::new();
        let staged = folder
            .stage(name, &format, vec![everything()])
            .await
            .unwrap();
        assert_eq!((staged.rows(), staged.files().len()), (3, 1));
        let output = staged.commit().await.unwrap();
        assert_eq!(
            output.bytes,
            std::fs::metadata(folder.path(name)).unwrap().len()
        );
        let read = folder
            .query(&[name], &format, "SELECT * FROM t")
            .await
            .unwrap();
        assert_eq!(read, [everything()], "{name}");
    }
}

#[tokio::test]
async fn json_reads_back_what_was_written() {
    let folder = Folder::new();
    let batch = everything().project(&[0, 1, 2, 6]).unwrap();
    let format = Format::Json(JsonOptions::default());
    folder
        .stage("o.jsonl", &format, vec![batch.clone()])
        .await
        .unwrap()
        .commit()
        .await
        .unwrap();
    assert_eq!(
        folder
            .query(&["o.jsonl"], &format, "SELECT * FROM t")
            .await
            .unwrap(),
        [batch]
    );
}

#[tokio::test]
async fn an_empty_result_keeps_its_schema() {
    let folder = Folder::new();
    let schema = everything().schema();
    for (name, format) in [
        ("o.csv", csv()),
        ("o.parquet", parquet()),
        ("parts", parquet()),
    ] {
        let sink = folder.sink(name, &format, WriteMode::Replace, "r").unwrap();
        sink.write(Arc::clone(&schema), vec![])
            .await
            .unwrap()
            .commit()
            .await
            .unwrap();
        let table = folder.table(&[name], &format).await.unwrap();
        let names = |schema: &arrow::datatypes::Schema| {
            schema
                .fields()
                .iter()
                .map(|f| f.name().clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&table.schema()), names(&schema), "{name}");
    }
    assert_eq!(
        folder.table(&["parts"], &parquet()).await.unwrap().schema(),
        schema
    );
}

#[tokio::test]
async fn nothing_is_visible_before_commit_or_after_abort() {
    for format in formats() {
        let folder = Folder::new();
        let target = "out";
        let staged = folder
            .stage(target, &format, vec![people(0..10)])
            .await
            .unwrap();
        assert!(
            folder
                .names(target)
                .iter()
                .all(|name| name.starts_with('.')),
            "{:?}",
            folder.names(target)
        );
        assert!(folder.table(&[target], &format).await.is_err());
        drop(staged);
        assert!(folder.names(target).is_empty());
        folder
            .stage(target, &format, vec![people(0..10)])
            .await
            .unwrap()
            .abort()
            .await
            .unwrap();
        assert!(folder.names(target).is_empty());
    }
}

#[tokio::test]
async fn replace_removes_what_we_wrote_and_append_keeps_it() {
    let folder = Folder::new();
    let write = async |mode, run: &str, partitions: i64| {
        let sink = folder.sink("out", &parquet(), mode, run)?;
        let streams = (0..partitions)
            .map(|p| stream(vec![people(p * 10..p * 10 + 10)]))
            .collect();
        sink.write(people(0..0).schema(), streams)
            .await?
            .commit()
            .await
    };
    assert_eq!(write(WriteMode::Replace, "a", 3).await.unwrap().rows, 30);
    assert_eq!(
        folder.names("out"),
        [
            "_tenon_files",
            "part-00000-a.parquet",
            "part-00001-a.parquet",
            "part-00002-a.parquet"
        ]
    );
    assert_eq!(write(WriteMode::Replace, "b", 2).await.unwrap().replaced, 3);
    write(WriteMode::Append, "c", 1).await.unwrap();
    assert_eq!(
        folder.names("out"),
        [
            "_tenon_files",
            "part-00000-b.parquet",
            "part-00000-c.parquet",
            "part-00001-b.parquet"
        ]
    );
    // A run that is repeated writes over itself, also in fewer partitions: no row twice.
    write(WriteMode::Append, "c", 3).await.unwrap();
    let again = write(WriteMode::Append, "c", 1).await.unwrap();
    assert_eq!(again.replaced, 2);
    assert!(
        folder
            .show(&["out"], &parquet(), "SELECT count(*) FROM t")
            .await
            .contains("| 30 ")
    );
    // Also if it was cut off after publishing, before it listed its files.
    std::fs::remove_file(folder.path("out/_tenon_files")).unwrap();
    std::fs::remove_file(folder.path("out/part-00000-b.parquet")).unwrap();
    std::fs::remove_file(folder.path("out/part-00001-b.parquet")).unwrap();
    write(WriteMode::Replace, "c", 1).await.unwrap();
    folder.write("out/theirs.parquet", b"");
    insta::assert_snapshot!(write(WriteMode::Replace, "d", 1).await.unwrap_err(), @"out: holds 1 entries that were not written here (first: theirs.parquet); choose an empty folder, or append");
    // The manifest cannot make us remove what is not ours.
    folder.write(
        "out/_tenon_files",
        b"../keep.txt\ntheirs.parquet\npart-00000-c.parquet\npart-x/../../keep.txt\n",
    );
    folder.write("keep.txt", b"");
    std::fs::rename(
        folder.path("out/theirs.parquet"),
        folder.path("out/.theirs.parquet"),
    )
    .unwrap();
    assert_eq!(write(WriteMode::Replace, "e", 1).await.unwrap().replaced, 1);
    assert_eq!(
        folder.names("out"),
        [".theirs.parquet", "_tenon_files", "part-00000-e.parquet"]
    );
    assert!(folder.path("keep.txt").exists());
}

#[tokio::test]
async fn many_partitions_become_one_file() {
    let folder = Folder::new();
    let sink = folder
        .sink("o.csv", &csv(), WriteMode::Replace, "r")
        .unwrap();
    let streams = (0..5)
        .map(|p| {
            stream(vec![
                people(p * 10..p * 10 + 5),
                people(p * 10 + 5..p * 10 + 10),
            ])
        })
        .collect();
    sink.write(people(0..0).schema(), streams)
        .await
        .unwrap()
        .commit()
        .await
        .unwrap();
    let read = folder
        .query(&["o.csv"], &csv(), "SELECT * FROM t ORDER BY id")
        .await
        .unwrap();
    assert_eq!(
        concat_batches(&read[0].schema(), &read).unwrap(),
        people(0..50)
    );
}

#[tokio::test]
async fn what_cannot_be_written_says_so() {
    let folder = Folder::new();
    let open = |target: Target, format: &Format, mode, run: &str| {
        FileSink::open(&folder.place, &target, format, mode, run).unwrap_err()
    };
    insta::assert_snapshot!(open(Target::File("o.csv".into()), &csv(), WriteMode::Append, "r"), @"o.csv: cannot append to a single file; write to a folder, or replace it");
    insta::assert_snapshot!(open(Target::File("no/o.csv".into()), &csv(), WriteMode::Replace, "r"), @"cannot open no: No such file or directory (os error 2)");
    insta::assert_snapshot!(open(Target::Directory("../out".into()), &csv(), WriteMode::Replace, "r"), @"../out: `..` is not allowed here; use a path inside the folder");
    insta::assert_snapshot!(open(Target::File("o.csv".into()), &csv(), WriteMode::Replace, "a/b"), @r#"run id "a/b": use 1 to 64 letters, digits, `-` or `_`"#);

    let nan = RecordBatch::try_from_iter([(
        "x",
        Arc::new(Float64Array::from(vec![f64::NAN])) as ArrayRef,
    )])
    .unwrap();
    let error = folder
        .stage("o.jsonl", &Format::Json(JsonOptions::default()), vec![nan])
        .await
        .unwrap_err();
    insta::assert_snapshot!(error, @r#"column "x" holds NaN or an infinity, which JSON cannot hold; write parquet or csv, or turn them into null"#);
    let unquoted = Format::Csv(CsvOptions {
        quote_char: QuoteChar::DISABLED,
        ..CsvOptions::default()
    });
    let error = folder
        .stage("o.csv", &unquoted, vec![everything()])
        .await
        .unwrap_err();
    insta::assert_snapshot!(error, @r#"column "s": "a,\"b\"\r\nä " holds a separator or a line end, which cannot be written with quotes disabled; allow quotes or choose another separator"#);
    assert!(folder.names(".").is_empty());
}

#[tokio::test]
async fn a_failing_stream_leaves_nothing() {
    for target in ["out", "o.parquet"] {
        let folder = Folder::new();
        let sink = folder
            .sink(target, &parquet(), WriteMode::Replace, "r")
            .unwrap();
        let failing = stream_of(
            people(0..0).schema(),
            vec![
                Ok(people(0..10)),
                Err(DataFusionError::Execution("row 11".into())),
            ],
        );
        let error = sink
            .write(
                people(0..0).schema(),
                vec![stream(vec![people(0..10)]), failing],
            )
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Query(_)), "{error}");
        let left = folder.names(if target == "out" { "out" } else { "." });
        assert!(left.is_empty(), "{left:?}");
    }
}

/// A failed write returns when the files of its other partitions are gone, whatever they are busy with.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_waits_for_its_siblings() {
    let schema = people(0..0).schema();
    let busy = |pause: Duration| -> SendableRecordBatchStream {
        let stream = futures::stream::unfold((), move |()| async move {
            tokio::time::sleep(pause).await;
            Some((Ok(people(0..20_000)), ()))
        });
        Box::pin(RecordBatchStreamAdapter::new(people(0..0).schema(), stream))
    };
    for round in 0..20 {
        let folder = Folder::new();
        let sink = folder.sink("out", &csv(), WriteMode::Replace, "r").unwrap();
        let failing = futures::stream::once(async move {
            tokio::time::sleep(Duration::from_millis(round)).await;
            Err(DataFusionError::Execution("row 11".into()))
        });
        let failing = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), failing));
        let forever = busy(Duration::from_secs(3600));
        let partitions = vec![
            busy(Duration::ZERO),
            failing,
            busy(Duration::from_micros(100)),
            forever,
        ];
        sink.write(Arc::clone(&schema), partitions)
            .await
            .unwrap_err();
        assert!(
            folder.names("out").is_empty(),
            "round {round}: {:?}",
            folder.names("out")
        );
    }
}

#[tokio::test]
async fn a_dropped_write_leaves_nothing_and_a_dead_run_can_be_discarded() {
    let folder = Folder::new();
    let sink = folder.sink("out", &csv(), WriteMode::Replace, "r").unwrap();
    let endless = futures::stream::unfold((), async |()| {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Some((Ok(people(0..100)), ()))
    });
    let schema = people(0..0).schema();
    let endless = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), endless));
    let write = tokio::time::timeout(
        Duration::from_millis(100),
        sink.write(schema, vec![endless]),
    );
    assert!(write.await.is_err());
    wait_until_empty(&folder, "out").await;

    folder.write("out/.part-00000-r.csv.r.staged", b"");
    folder.write("out/.part-00000-s.csv.s.staged", b"");
    let target = Target::Directory("out".into());
    assert_eq!(
        discard_staged(&folder.place, &target, "r").await.unwrap(),
        1
    );
    assert_eq!(folder.names("out"), [".part-00000-s.csv.s.staged"]);
}

/// A cancelled task may be inside its last batch.
async fn wait_until_empty(folder: &Folder, name: &str) {
    for _ in 0..500 {
        if folder.names(name).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("left behind: {:?}", folder.names(name));
}

#[tokio::test]
async fn output_does_not_leave_the_place() {
    let (folder, outside) = (Folder::new(), Folder::new());
    std::os::unix::fs::symlink(outside.path("."), folder.path("link")).unwrap();
    for target in [
        Target::Directory("link".into()),
        Target::Directory("link/new".into()),
        Target::File("link/o.csv".into()),
    ] {
        let error =
            FileSink::open(&folder.place, &target, &csv(), WriteMode::Replace, "r").unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{error}");
    }
    // A link in place of the file is replaced, not followed.
    outside.write("secret.csv", b"keep");
    std::os::unix::fs::symlink(outside.path("secret.csv"), folder.path("o.csv")).unwrap();
    folder
        .stage("o.csv", &csv(), vec![people(0..1)])
        .await
        .unwrap()
        .commit()
        .await
        .unwrap();
    assert_eq!(std::fs::read(outside.path("secret.csv")).unwrap(), b"keep");
}

/// Runs [`writes_more_than_the_disk_takes`] in a process whose files may not grow past 64 blocks.
#[test]
fn a_full_disk_leaves_nothing() {
    for format in ["csv", "jsonl", "parquet"] {
        let folder = Folder::new();
        // The signal is ignored so that the write fails, as on a full disk, instead of ending the process.
        let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" --exact sink::writes_more_than_the_disk_takes --ignored";
        let child = Command::new("sh")
            .args(["-c", script])
            .arg(std::env::current_exe().unwrap())
            .env("TENON_TEST_FULL_DISK", folder.path(&format!("o.{format}")))
            .output()
            .unwrap();
        assert!(
            child.status.success(),
            "{format}: {}",
            String::from_utf8_lossy(&child.stdout)
        );
        assert!(
            folder.names(".").is_empty(),
            "{format}: {:?}",
            folder.names(".")
        );
    }
}

#[test]
#[ignore = "run by a_full_disk_leaves_nothing"]
fn writes_more_than_the_disk_takes() {
    let Some(path) = std::env::var_os("TENON_TEST_FULL_DISK").map(std::path::PathBuf::from) else {
        return;
    };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let format = match Format::from_path(&path).unwrap() {
            // Rows must reach the file before the end, to fail in the middle.
            Format::Parquet(options) => Format::Parquet(ParquetOptions {
                row_group_rows: 1000,
                ..options
            }),
            format => format,
        };
        let sink = FileSink::open(
            &Place::ambient(),
            &Target::File(path.clone()),
            &format,
            WriteMode::Replace,
            "r",
        )
        .unwrap();
        let batches = (0..200)
            .map(|p| people(p * 1000..p * 1000 + 1000))
            .collect();
        let error = sink
            .write(people(0..0).schema(), vec![stream(batches)])
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot write {}: File too large (os error 27)",
                path.display()
            )
        );
    });
}

#[tokio::test]
async fn a_folder_without_permission_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    std::fs::create_dir(folder.path("out")).unwrap();
    std::fs::set_permissions(folder.path("out"), std::fs::Permissions::from_mode(0o500)).unwrap();
    if std::fs::write(folder.path("out/probe"), "").is_ok() {
        println!("skipped: permissions do not bind this user");
        return;
    }
    let error = folder
        .stage("out", &csv(), vec![people(0..1)])
        .await
        .unwrap_err();
    insta::assert_snapshot!(error, @"cannot write out/part-00000-run1.csv: Permission denied (os error 13)");
}
