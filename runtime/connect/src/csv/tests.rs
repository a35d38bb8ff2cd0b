//! A file read in parts gives what it gives in one piece: the same rows in the same order, or the same error.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use proptest::prelude::*;

use crate::csv::infer::infer;
use crate::csv::read::CsvReader;
use crate::csv::{CsvOptions, QuoteChar};
use crate::error::Result;
use crate::locate::{SourceFile, locate};
use crate::piece::{FileReader, ScanRequest, partitions};
use crate::place::Place;
use crate::reject::{BadRows, Quarantine};

/// A table over one file.
struct Fixture {
    reader: CsvReader,
    files: Vec<SourceFile>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new(text: &[u8], options: &CsvOptions) -> Result<Self> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("p.csv"), text).unwrap();
        let place = Place::rooted(folder.path())?;
        let files = locate(&place, &[PathBuf::from("p.csv")])?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let inferred = runtime.block_on(infer(&files, options))?;
        let reader = CsvReader {
            options: options.clone(),
            schema: inferred.schema,
            kinds: inferred.kinds,
        };
        Ok(Self {
            reader,
            files,
            _folder: folder,
        })
    }

    fn request(&self, batch_rows: usize) -> ScanRequest {
        ScanRequest {
            projection: (0..self.reader.schema.fields().len()).collect(),
            schema: Arc::clone(&self.reader.schema),
            batch_rows,
            rejected: Arc::default(),
        }
    }

    /// The rows, in at most `target` parts of at least `min_bytes`.
    fn read(&self, target: usize, min_bytes: u64, batch_rows: usize) -> Result<Vec<String>> {
        let request = self.request(batch_rows);
        let mut rows = Vec::new();
        for piece in partitions(&self.files, &self.reader, target, min_bytes).concat() {
            let batches = match &piece.part {
                None => self.reader.open(&piece.file, &request)?,
                Some(part) => self.reader.open_part(&piece.file, part, &request)?,
            };
            for batch in batches {
                rows.extend(shown(&batch?));
            }
        }
        Ok(rows)
    }
}

fn shown(batch: &RecordBatch) -> Vec<String> {
    let row = |row: usize| {
        let cells = batch.columns().iter().map(|column| {
            format!(
                "{:?}",
                column
                    .is_valid(row)
                    .then(|| array_value_to_string(column, row).unwrap())
            )
        });
        cells.collect::<Vec<_>>().join(" ")
    };
    (0..batch.num_rows()).map(row).collect()
}

/// How both ways of reading end, for comparison.
fn ending(read: Result<Vec<String>>) -> std::result::Result<Vec<String>, String> {
    read.map_err(|e| e.to_string())
}

fn options(quotes: bool, escapes: bool, comments: bool, multiline: bool) -> CsvOptions {
    CsvOptions {
        quote_char: if quotes {
            QuoteChar::DOUBLE
        } else {
            QuoteChar::DISABLED
        },
        escaper: escapes.then_some(b'\\'),
        comment: comments.then_some(b'#'),
        multiline,
        all_text: true,
        // What is wrong is met by the scan, not before.
        infer_bytes: 0,
        ..CsvOptions::default()
    }
}

#[test]
fn parts_are_made_and_none_is_lost() {
    let mut text = String::from("id,name\n");
    for id in 0..5000 {
        text.push_str(&format!("{id},\"line\n{id} \"\"x\"\", y\"\n"));
    }
    let fixture = Fixture::new(text.as_bytes(), &CsvOptions::default()).unwrap();
    let pieces = partitions(&fixture.files, &fixture.reader, 8, 1000);
    assert_eq!(pieces.len(), 8);
    let request = fixture.request(100);
    let rows: Vec<usize> = pieces
        .concat()
        .iter()
        .map(|piece| {
            let part = piece.part.as_ref().unwrap();
            let batches = fixture
                .reader
                .open_part(&piece.file, part, &request)
                .unwrap();
            batches.map(|batch| batch.unwrap().num_rows()).sum()
        })
        .collect();
    assert_eq!(rows.iter().sum::<usize>(), 5000);
    assert!(
        rows.iter().all(|rows| (500..800).contains(rows)),
        "{rows:?}"
    );
}

#[test]
fn an_error_in_a_later_part_names_its_line() {
    let mut text = String::from("id,name\n");
    for id in 0..3000 {
        text.push_str(&format!("{id},\"two\nlines\"\n"));
    }
    text.push_str("3000,a,b\n");
    let options = CsvOptions {
        infer_bytes: 20,
        ..CsvOptions::default()
    };
    let fixture = Fixture::new(text.as_bytes(), &options).unwrap();
    let error = fixture.read(4, 100, 64).unwrap_err().to_string();
    insta::assert_snapshot!(error, @"p.csv:6002: expected 2 fields, found 3; quote values that hold the separator, or choose another separator");
    let text = text.replace("3000,a,b", "x,a");
    let fixture = Fixture::new(text.as_bytes(), &options).unwrap();
    let error = fixture.read(4, 100, 64).unwrap_err().to_string();
    insta::assert_snapshot!(error, @r#"p.csv:6002: column "id": "x" is not an int64, the type that the start of the table suggests; raise infer_bytes, or read with all_text"#);
}

/// More bad rows one after the other than a batch has bytes are not the end of the file.
#[test]
fn many_bad_rows_are_not_the_end() {
    let bad = format!("{},1\n", "x".repeat(1 << 20));
    let text = format!("id\n1\n{}2\n", bad.repeat(40));
    let options = CsvOptions {
        infer_bytes: 10,
        bad_rows: BadRows::Drop,
        ..CsvOptions::default()
    };
    let fixture = Fixture::new(text.as_bytes(), &options).unwrap();
    let rows = fixture.read(1, u64::MAX, 7).unwrap();
    assert_eq!(rows, [r#"Some("1")"#, r#"Some("2")"#]);
}

#[test]
fn quarantine_in_parts_names_lines_too() {
    let mut text = String::from("id,name\n");
    for id in 0..1000 {
        text.push_str(&format!("{id},a\n"));
        if id % 100 == 99 {
            text.push_str("short\n");
        }
    }
    let quarantine = Quarantine::default();
    let options = CsvOptions {
        bad_rows: BadRows::Quarantine(quarantine.clone()),
        multiline: false,
        ..CsvOptions::default()
    };
    let fixture = Fixture::new(text.as_bytes(), &options).unwrap();
    assert!(partitions(&fixture.files, &fixture.reader, 5, 100).len() == 5);
    assert_eq!(fixture.read(5, 100, 64).unwrap().len(), 1000);
    let lines: Vec<_> = quarantine.rows().iter().map(|row| row.line).collect();
    assert_eq!(lines, [102, 203, 304, 405, 506, 607, 708, 809, 910, 1011]);
    let few = Quarantine::new(3, 1000);
    let options = CsvOptions {
        bad_rows: BadRows::Quarantine(few),
        ..options
    };
    let fixture = Fixture::new(text.as_bytes(), &options).unwrap();
    let error = fixture.read(1, 100, 64).unwrap_err().to_string();
    insta::assert_snapshot!(error, @"p.csv:405: expected 2 fields, found 1; quote values that hold the separator, or choose another separator; more than 3 rows or 1000 bytes are in quarantine already: is the format right?");
}

/// Values that look like anything but themselves.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab,\"\n\r#\\\\]{0,6}",
        Just("\",\"".to_owned()),
        Just("\"\n\"".to_owned()),
        Just(",\n".to_owned()),
        "[a-z]{0,3}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Whatever values a file holds.
    #[test]
    fn parts_give_the_rows_of_the_whole(
        rows in prop::collection::vec((value(), value()), 1..30),
        quotes_all in any::<bool>(),
        returns in any::<bool>(),
        target in 2usize..9,
        min_bytes in 1u64..40,
        batch_rows in 1usize..9,
    ) {
        let mut writer = csv::WriterBuilder::new()
            .quote_style(if quotes_all { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary })
            .terminator(if returns { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') })
            .from_writer(Vec::new());
        writer.write_record(["a", "b"]).unwrap();
        for (a, b) in &rows {
            writer.write_record([a, b]).unwrap();
        }
        let fixture = Fixture::new(&writer.into_inner().unwrap(), &options(true, false, false, true)).unwrap();
        let whole = fixture.read(1, u64::MAX, batch_rows).unwrap();
        let expected: Vec<_> = rows
            .iter()
            .map(|(a, b)| [a, b].map(|v| format!("{:?}", Some(v).filter(|v| !v.is_empty()))).join(" "))
            .collect();
        prop_assert_eq!(&whole, &expected);
        prop_assert_eq!(fixture.read(target, min_bytes, batch_rows).unwrap(), whole);
    }

    /// Whatever bytes a file holds, broken ones included: the same rows, or the same error.
    #[test]
    fn parts_end_like_the_whole(
        text in "a,b\n(([ab],[ab]\n)|([ab,\"\n\r#\\\\]){0,3}|\"[ab,\n]{0,4}\",a\n){0,25}",
        flags in any::<(bool, bool, bool, bool)>(),
        target in 2usize..9,
        min_bytes in 1u64..30,
    ) {
        let options = options(flags.0, flags.1, flags.2, flags.3);
        if let Ok(fixture) = Fixture::new(text.as_bytes(), &options) {
            let whole = ending(fixture.read(1, u64::MAX, 4));
            prop_assert_eq!(ending(fixture.read(target, min_bytes, 4)), whole);
        }
    }
}
