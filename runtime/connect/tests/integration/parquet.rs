//! Parquet: pushdown, damaged files, several files.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::prelude::SessionContext;
use tenon_connect::{Format, ParquetOptions};

use crate::{Folder, corpus, files_in, read_all, types};

fn parquet() -> Format {
    Format::Parquet(ParquetOptions::default())
}

pub(crate) fn people(ids: std::ops::Range<i64>) -> RecordBatch {
    let names: StringArray = ids
        .clone()
        .map(|id| (id % 3 != 0).then(|| format!("name {id}")))
        .collect();
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
    ]);
    RecordBatch::try_new(
        Arc::new(schema),
        vec![Arc::new(Int64Array::from_iter_values(ids)), Arc::new(names)],
    )
    .unwrap()
}

async fn written(name: &str, options: ParquetOptions, batch: RecordBatch, folder: &Folder) {
    folder
        .stage(name, &Format::Parquet(options), vec![batch])
        .await
        .unwrap()
        .commit()
        .await
        .unwrap();
}

#[tokio::test]
async fn filters_limits_and_counts_are_pushed_down() {
    let folder = Folder::new();
    let small_groups = ParquetOptions {
        row_group_rows: 100,
        ..ParquetOptions::default()
    };
    written("p.parquet", small_groups, people(0..1000), &folder).await;
    let table = folder.table(&["p.parquet"], &parquet()).await.unwrap();
    assert_eq!(types(&table), "id: Int64, name: Utf8");
    let context = SessionContext::new();
    context.register_table("t", table).unwrap();
    let analyzed = context
        .sql("EXPLAIN ANALYZE SELECT name FROM t WHERE id = 555")
        .await
        .unwrap();
    let text = arrow::util::pretty::pretty_format_batches(&analyzed.collect().await.unwrap())
        .unwrap()
        .to_string();
    assert!(
        text.contains("row_groups_pruned_statistics=10 total \u{2192} 1 matched"),
        "{text}"
    );
    let counted = context
        .sql("SELECT count(*) FROM t")
        .await
        .unwrap()
        .create_physical_plan()
        .await
        .unwrap();
    let counted = datafusion::physical_plan::displayable(counted.as_ref())
        .indent(false)
        .to_string();
    assert!(
        !counted.contains("GuardExec"),
        "the count comes from the footers: {counted}"
    );
    let shown = folder
        .show(
            &["p.parquet"],
            &parquet(),
            "SELECT * FROM t WHERE id > 4 AND name IS NULL ORDER BY id LIMIT 1",
        )
        .await;
    insta::assert_snapshot!(shown, @r"
    +----+------+
    | id | name |
    +----+------+
    | 6  |      |
    +----+------+
    ");
}

#[tokio::test]
async fn files_may_lack_columns_but_not_disagree() {
    let folder = Folder::new();
    written(
        "1.parquet",
        ParquetOptions::default(),
        people(0..2),
        &folder,
    )
    .await;
    let batch = people(2..3);
    written(
        "2.parquet",
        ParquetOptions::default(),
        batch.project(&[0]).unwrap(),
        &folder,
    )
    .await;
    insta::assert_snapshot!(folder.show(&["."], &parquet(), "SELECT * FROM t ORDER BY id").await, @r"
    +----+--------+
    | id | name   |
    +----+--------+
    | 0  |        |
    | 1  | name 1 |
    | 2  |        |
    +----+--------+
    ");
    let schema = Schema::new(vec![Field::new("id", DataType::Utf8, true)]);
    let text = RecordBatch::try_new(
        Arc::new(schema),
        vec![Arc::new(StringArray::from(vec!["x"]))],
    )
    .unwrap();
    written("3.parquet", ParquetOptions::default(), text, &folder).await;
    let error = folder.table(&["."], &parquet()).await.unwrap_err();
    insta::assert_snapshot!(error, @r#"1.parquet and 3.parquet have different types for column "id": Int64 and Utf8; read them as two tables, or cast one"#);
}

#[tokio::test]
async fn damage_is_named_also_among_other_files() {
    let folder = Folder::new();
    for index in 0..4 {
        written(
            &format!("{index}.parquet"),
            ParquetOptions::default(),
            people(0..20_000),
            &folder,
        )
        .await;
    }
    let mut bytes = std::fs::read(folder.path("2.parquet")).unwrap();
    bytes[4..2000].fill(0xA5);
    folder.write("2.parquet", &bytes);
    for sql in [
        "SELECT sum(id), max(name) FROM t",
        "SELECT id FROM t LIMIT 70000",
    ] {
        let error = folder.query(&["."], &parquet(), sql).await.unwrap_err();
        assert!(
            error.starts_with("2.parquet: ") && error.contains("damaged"),
            "{error}"
        );
    }
    folder.write("5.parquet", b"not parquet");
    let error = folder
        .table(&["5.parquet"], &parquet())
        .await
        .unwrap_err()
        .to_string();
    insta::assert_snapshot!(error, @"5.parquet: Invalid Parquet file. Corrupt footer; the file is damaged or not what its name says");
    folder.write("6.parquet", b"");
    let error = folder
        .table(&["6.parquet"], &parquet())
        .await
        .unwrap_err()
        .to_string();
    insta::assert_snapshot!(error, @"6.parquet: Parquet files are at least 8 bytes long, but file length is 0; the file is damaged or not what its name says");
}

#[tokio::test]
async fn broken_corpora_are_refused_by_name() {
    for name in [
        "parquet-testing/bad_data",
        "arrow-testing/data/parquet/fuzzing",
    ] {
        let Some(folder) = corpus(name) else { return };
        let (mut read, mut refused, mut panicked) = (0, 0, 0);
        for path in files_in(&folder) {
            match read_all(&path, &parquet()).await {
                Ok(_) => read += 1,
                Err(error) => {
                    assert!(
                        error.contains(path.to_str().unwrap()),
                        "{} is not named: {error}",
                        path.display()
                    );
                    refused += 1;
                    panicked += usize::from(error.contains("panicked"));
                }
            }
        }
        println!("{name}: {read} read, {refused} refused, {panicked} of them after a panic");
        assert!(refused > read, "{name}: {read} read, {refused} refused");
    }
}

#[tokio::test]
async fn valid_corpus_is_read_or_refused_by_name() {
    let Some(folder) = corpus("parquet-testing/data") else {
        return;
    };
    let mut read = 0;
    for path in files_in(&folder)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|s| s == "parquet"))
    {
        match read_all(&path, &parquet()).await {
            Ok(_) => read += 1,
            Err(error) => {
                println!("{error}");
                assert!(
                    error.contains(path.to_str().unwrap()),
                    "{} is not named: {error}",
                    path.display()
                );
            }
        }
    }
    assert!(read >= 40, "only {read} were read");
}
