//! CSV: inference, error texts, pushdown, streaming.

use arrow::util::display::array_value_to_string;
use datafusion::prelude::SessionContext;
use proptest::prelude::*;
use tenon_connect::{CsvOptions, Format, QuoteChar, Separator};

use crate::{Folder, corpus, files_in, read_all, types};

fn csv() -> Format {
    Format::Csv(CsvOptions::default())
}

fn options(change: impl FnOnce(&mut CsvOptions)) -> Format {
    let mut options = CsvOptions::default();
    change(&mut options);
    Format::Csv(options)
}

async fn error(content: &[u8], format: &Format) -> String {
    let folder = Folder::with(&[("p.csv", content)]);
    folder
        .query(&["p.csv"], format, "SELECT * FROM t")
        .await
        .unwrap_err()
}

#[tokio::test]
async fn types_and_values() {
    let text = "\u{feff}postcode,n,x,ok,day,at,name\r\n0812,1,1.5,true,2024-02-29,2024-02-29T10:00:00Z,\"M\u{fc}ller, \"\"Jo\"\"\"\r\n8001,,2,false,,,\r\n";
    let folder = Folder::with(&[("p.csv", text.as_bytes())]);
    let table = folder.table(&["p.csv"], &csv()).await.unwrap();
    insta::assert_snapshot!(types(&table), @r#"postcode: Utf8, n: Int64, x: Float64, ok: Boolean, day: Date32, at: Timestamp(µs, "+00:00"), name: Utf8"#);
    insta::assert_snapshot!(folder.show(&["p.csv"], &csv(), "SELECT * FROM t").await, @r#"
    +----------+---+-----+-------+------------+----------------------+--------------+
    | postcode | n | x   | ok    | day        | at                   | name         |
    +----------+---+-----+-------+------------+----------------------+--------------+
    | 0812     | 1 | 1.5 | true  | 2024-02-29 | 2024-02-29T10:00:00Z | Müller, "Jo" |
    | 8001     |   | 2.0 | false |            |                      |              |
    +----------+---+-----+-------+------------+----------------------+--------------+
    "#);
    let text = folder
        .table(&["p.csv"], &options(|o| o.all_text = true))
        .await
        .unwrap();
    assert!(
        text.schema()
            .fields()
            .iter()
            .all(|f| f.data_type() == &arrow::datatypes::DataType::Utf8)
    );
}

#[tokio::test]
async fn options_of_glue() {
    let folder = Folder::with(&[("p.csv", b"1;'a;b'\n2;c\n")]);
    let format = options(|o| {
        o.separator = "semicolon".parse().unwrap();
        o.quote_char = "single_quote".parse().unwrap();
        o.with_header = false;
    });
    insta::assert_snapshot!(folder.show(&["p.csv"], &format, "SELECT col1, col0 FROM t").await, @r"
    +------+------+
    | col1 | col0 |
    +------+------+
    | a;b  | 1    |
    | c    | 2    |
    +------+------+
    ");
    insta::assert_snapshot!("x".parse::<Separator>().unwrap_err(), @r#"separator "x": use comma, ctrla, pipe, semicolon, tab or one ASCII character that is no letter, digit, sign, dot, quote or line end"#);
    insta::assert_snapshot!("none".parse::<QuoteChar>().unwrap_err(), @r#"quote "none": use quote, single_quote or disabled"#);
}

#[tokio::test]
async fn every_unreadable_row_is_named() {
    insta::assert_snapshot!(error(b"a,b\n1,2\n1,2,3\n", &csv()).await, @"p.csv:3: expected 2 fields, found 3; quote values that hold the separator, or choose another separator");
    insta::assert_snapshot!(error(b"a,b\n1,2\n\n1\n", &csv()).await, @"p.csv:4: expected 2 fields, found 1; quote values that hold the separator, or choose another separator");
    insta::assert_snapshot!(error(b"a,b\n1,x\n2,\xff\n", &csv()).await, @r#"p.csv:3: column "b": not UTF-8 after 0 bytes of the value; it looks like windows-1252: name the encoding, or convert the file to UTF-8"#);
    insta::assert_snapshot!(error(b"a,b\n\xc3,\xa4\n", &csv()).await, @r#"p.csv:2: column "a": not UTF-8 after 0 bytes of the value; it looks like windows-1250: name the encoding, or convert the file to UTF-8"#);
    insta::assert_snapshot!(error(b"a,\xff\n1,2\n", &csv()).await, @"p.csv:1: the header's field 2 is not UTF-8; it looks like windows-1252: name the encoding, or convert the file to UTF-8");
    insta::assert_snapshot!(error(b"a,b,a\n1,2,3\n", &csv()).await, @r#"p.csv:1: the header names "a" twice; rename one, or read without a header (col0, col1, ...)"#);
    insta::assert_snapshot!(error(b"a,,c\n1,2,3\n", &csv()).await, @"p.csv:1: column 2 has no name in the header; name it, or read without a header (col0, col1, ...)");
    insta::assert_snapshot!(error(b"a,b\n1,\"2\n3,4\n", &csv()).await, @"p.csv:2: the quote that opens here is never closed; close it, or disable quoting");
    insta::assert_snapshot!(error(b"", &csv()).await, @"p.csv: empty; a CSV file needs at least a header");
}

#[tokio::test]
async fn a_value_beyond_the_sample_is_an_error_not_a_null() {
    let mut text = String::from("id,n\n");
    (0..70_000).for_each(|id| text.push_str(&format!("{id},{id}\n")));
    text.push_str("70000,n/a\n");
    (70_001..=100_000).for_each(|id| text.push_str(&format!("{id},{id}\n")));
    let sampled = options(|o| o.infer_bytes = 1000);
    insta::assert_snapshot!(error(text.as_bytes(), &sampled).await, @r#"p.csv:70002: column "n": "n/a" is not an int64, the type that the start of the table suggests; raise infer_bytes, or read with all_text"#);
    // Seen whole, the column is text and nothing is lost.
    let folder = Folder::with(&[("p.csv", text.as_bytes())]);
    let shown = folder
        .show(
            &["p.csv"],
            &csv(),
            "SELECT count(*) AS rows, count(n) AS n, max(n) AS last FROM t",
        )
        .await;
    insta::assert_snapshot!(shown, @r"
    +--------+--------+------+
    | rows   | n      | last |
    +--------+--------+------+
    | 100001 | 100001 | n/a  |
    +--------+--------+------+
    ");
}

#[tokio::test]
async fn several_files_are_one_table() {
    let folder = Folder::with(&[
        ("1.csv", b"a,b\n1,x\n"),
        ("2.csv", b"b,a\ny,2.5\n"),
        ("3.csv", b""),
    ]);
    insta::assert_snapshot!(folder.show(&["."], &csv(), "SELECT * FROM t ORDER BY a").await, @r"
    +-----+---+
    | a   | b |
    +-----+---+
    | 1.0 | x |
    | 2.5 | y |
    +-----+---+
    ");
    folder.write("4.csv", b"a,c\n1,2\n");
    let error = folder.table(&["1.csv", "4.csv"], &csv()).await.unwrap_err();
    insta::assert_snapshot!(error, @r#"1.csv and 4.csv have different columns: column "c" is missing in the first; read them as two tables"#);
}

#[tokio::test]
async fn projection_and_limit_reach_the_scan() {
    let folder = Folder::with(&[
        ("1.csv", b"a,b,c\n1,2,3\n4,5,6\n"),
        ("2.csv", b"a,b,c\n7,8,9\n"),
    ]);
    let context = SessionContext::new();
    context
        .register_table(
            "t",
            folder.table(&["1.csv", "2.csv"], &csv()).await.unwrap(),
        )
        .unwrap();
    let plan = context
        .sql("SELECT c FROM t LIMIT 1")
        .await
        .unwrap()
        .create_physical_plan()
        .await
        .unwrap();
    let plan = datafusion::physical_plan::displayable(plan.as_ref())
        .indent(false)
        .to_string();
    let scan = "FileScanExec: format=csv, files=2, partitions=1, columns=[c], limit=1";
    assert!(plan.contains(scan), "{plan}");
    assert!(
        folder
            .show(&["1.csv", "2.csv"], &csv(), "SELECT count(*) FROM t")
            .await
            .contains("| 3 ")
    );
}

#[tokio::test]
async fn small_files_are_read_together() {
    let folder = Folder::new();
    for file in 0..1000 {
        folder.write(&format!("{file}.csv"), format!("a\n{file}\n").as_bytes());
    }
    let context = SessionContext::new();
    let table = folder.table(&["."], &csv()).await.unwrap();
    let plan = context
        .read_table(table)
        .unwrap()
        .create_physical_plan()
        .await
        .unwrap();
    let partitions = plan.properties().output_partitioning().partition_count();
    assert!(partitions <= 8, "{partitions} partitions");
    let shown = folder
        .show(&["."], &csv(), "SELECT count(*), sum(a) FROM t")
        .await;
    assert!(shown.contains("| 1000     | 499500   |"), "{shown}");
}

#[tokio::test]
async fn corpus_never_panics() {
    let Some(folder) = corpus("arrow-testing/data/csv/fuzzing") else {
        return;
    };
    for path in files_in(&folder) {
        if let Err(error) = read_all(&path, &csv()).await {
            assert!(error.contains(path.to_str().unwrap()), "{error}");
            assert!(!error.contains("panicked"), "{error}");
        }
    }
    let plain = folder.join("../aggregate_test_100.csv");
    assert_eq!(read_all(&plain, &csv()).await.unwrap(), 100);
}

/// Text that is a number, a date and so on, or nearly.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => any::<i64>().prop_map(|n| n.to_string()),
        2 => any::<f64>().prop_map(|f| f.to_string()),
        2 => any::<f32>().prop_map(|f| format!("{f:e}")),
        2 => "-?[0-9]{1,25}(\\.[0-9]{0,20})?(e-?[0-9]{1,3})?",
        2 => "(19|20|00)[0-9]{2}-[01][0-9]-[0-3][0-9]([T ][012][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,9})?(Z|[+-][01][0-9]:00)?)?",
        1 => Just(String::new()),
        1 => "(true|false|TRUE|NaN|inf|-inf|null)",
        1 => "[a-z0-9 \u{e4},\"\n]{0,6}",
    ]
}

/// Columns whose values are alike, so that types other than text happen.
fn column() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![
        prop::collection::vec(value(), 4),
        prop::collection::vec("-?[0-9]{1,19}", 4),
        prop::collection::vec("-?[0-9]{1,6}\\.[0-9]{1,6}", 4),
        prop::collection::vec("2024-0[1-9]-[12][0-9]", 4),
        prop::collection::vec("2024-0[1-9]-[12][0-9]T1[0-9]:00:00\\.[0-9]{1,9}", 4),
        prop::collection::vec("(true|FALSE|)", 4),
    ]
}

/// The same value, written differently at most.
fn is_same(written: &str, read: &str) -> bool {
    if written == read || written.eq_ignore_ascii_case(read) {
        return true;
    }
    if let (Ok(a), Ok(b)) = (written.parse::<f64>(), read.parse::<f64>()) {
        return a == b;
    }
    instant(written).is_some_and(|a| Some(a) == instant(read))
}

fn instant(text: &str) -> Option<i64> {
    use arrow::array::types::TimestampNanosecondType as Nanos;
    use arrow::compute::kernels::cast_utils::Parser;
    <Nanos as Parser>::parse(text)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// What was inferred reads back every value it was inferred from.
    #[test]
    fn inferred_types_lose_nothing(columns in prop::collection::vec(column(), 3)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["a", "b", "c"]).unwrap();
            for row in 0..4 {
                writer.write_record(columns.iter().map(|column| &column[row])).unwrap();
            }
            let folder = Folder::with(&[("p.csv", &writer.into_inner().unwrap())]);
            let batches = folder.query(&["p.csv"], &csv(), "SELECT * FROM t").await.unwrap();
            assert_eq!(batches[0].num_rows(), 4);
            for (column, array) in columns.iter().zip(batches[0].columns()) {
                for (row, written) in column.iter().enumerate() {
                    assert_eq!(array.is_null(row), written.is_empty(), "{written:?}");
                    let read = array_value_to_string(array, row).unwrap();
                    assert!(is_same(written, &read), "{written:?} became {read:?} as {}", array.data_type());
                }
            }
        });
    }
}
