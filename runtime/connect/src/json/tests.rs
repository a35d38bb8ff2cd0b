//! A file of records read in parts gives what it gives in one piece.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::util::pretty::pretty_format_batches;
use proptest::prelude::*;

use crate::error::Result;
use crate::json::JsonOptions;
use crate::json::infer::infer;
use crate::json::read::JsonReader;
use crate::locate::{SourceFile, locate};
use crate::piece::{FileReader, ScanRequest, partitions};
use crate::place::Place;
use crate::reject::{BadRows, Quarantine};

struct Fixture {
    reader: JsonReader,
    files: Vec<SourceFile>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new(text: &str, options: &JsonOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("p.json"), text).unwrap();
        let place = Place::rooted(folder.path()).unwrap();
        let files = locate(&place, &[PathBuf::from("p.json")]).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let inferred = runtime.block_on(infer(&files, options)).unwrap();
        let reader = JsonReader {
            options: options.clone(),
            schema: inferred.schema,
        };
        Self {
            reader,
            files,
            _folder: folder,
        }
    }

    /// All rows, and how many parts had some.
    fn read(&self, target: usize, min_bytes: u64) -> Result<(String, usize)> {
        let request = ScanRequest {
            projection: (0..self.reader.schema.fields().len()).collect(),
            schema: Arc::clone(&self.reader.schema),
            batch_rows: 7,
            rejected: Arc::default(),
        };
        let (mut all, mut parts) = (Vec::new(), 0);
        for piece in partitions(&self.files, &self.reader, target, min_bytes).concat() {
            let batches = match &piece.part {
                None => self.reader.open(&piece.file, &request)?,
                Some(part) => self.reader.open_part(&piece.file, part, &request)?,
            };
            let batches = batches.collect::<Result<Vec<_>>>()?;
            parts += usize::from(!batches.is_empty());
            all.extend(batches);
        }
        Ok((pretty_format_batches(&all).unwrap().to_string(), parts))
    }
}

#[test]
fn parts_are_made_of_lines_and_arrays_are_left_whole() {
    let lines: String = (0..500)
        .map(|id| format!("{{\"id\":{id},\"t\":\"}}{{\"}}\n"))
        .collect();
    let fixture = Fixture::new(&lines, &JsonOptions::default());
    let (whole, _) = fixture.read(1, u64::MAX).unwrap();
    assert_eq!(fixture.read(6, 100).unwrap(), (whole.clone(), 6));
    let array = format!("[{}]", lines.trim_end().replace('\n', ",\n"));
    let fixture = Fixture::new(&array, &JsonOptions::default());
    assert_eq!(fixture.read(6, 100).unwrap(), (whole, 1));
}

#[test]
fn an_error_in_a_later_part_names_its_line() {
    let mut lines: String = (0..500).map(|id| format!("{{\"id\":{id}}}\n")).collect();
    lines.push_str("{\"id\":1,\n \"id\":2}\n");
    let options = JsonOptions {
        infer_bytes: 2,
        ..JsonOptions::default()
    };
    lines.push_str(
        &(0..500)
            .map(|id| format!("{{\"id\":{id}}}\n"))
            .collect::<String>(),
    );
    let fixture = Fixture::new(&lines, &options);
    let error = fixture.read(4, 100).unwrap_err();
    insta::assert_snapshot!(error, @r#"p.json:502:2: the object names "id" twice; rename one"#);
}

/// Bad records of every kind, in parts as in one piece: the same rows, and the same lines in quarantine.
#[test]
fn quarantine_in_parts_names_lines_too() {
    let mut lines: String = (0..300).map(|id| format!("{{\"id\":{id}}}\n")).collect();
    lines.push_str("{\"id\":{\"no\":1}}\nnothing\n{\"id\":1,\n \"new\":2}\n{\"id\":\n{\"id\":7}\n");
    lines.extend((0..300).map(|id| format!("{{\"id\":{id}}}\n")));
    lines.push_str("{\"id\":\"end");
    let read = |target, min_bytes| {
        let quarantine = Quarantine::default();
        let options = JsonOptions {
            infer_bytes: 100,
            bad_rows: BadRows::Quarantine(quarantine.clone()),
            ..JsonOptions::default()
        };
        let fixture = Fixture::new(&lines, &options);
        let (rows, parts) = fixture.read(target, min_bytes).unwrap();
        (rows, quarantine.rows(), parts)
    };
    let (rows, bad, _) = read(1, u64::MAX);
    assert_eq!(rows.matches('\n').count(), 300 + 1 + 300 + 3);
    let shown: Vec<_> = bad
        .iter()
        .map(|row| {
            format!(
                "{} {:?} {:?}: {}",
                row.line, row.column, row.text, row.reason
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    301 Some("id") "{\"id\":{\"no\":1}}": "id" holds an object here, not an int64, the type that the start of the table suggests; raise infer_bytes, or make them alike
    302 None "nothing": expected an object, found n
    303 None "{\"id\":1,\n \"new\":2}": the name "new" is new, which the start of the table does not suggest; raise infer_bytes
    305 Some("id") "{\"id\":": "id" holds an object here, not an int64, the type that the start of the table suggests; raise infer_bytes, or make them alike
    607 Some("id") "{\"id\":\"end": the object that starts here is never closed; is a bracket or quote missing?
    "#);
    let (in_parts, bad_in_parts, parts) = read(6, 100);
    assert!(parts > 3, "{parts}");
    assert_eq!(in_parts, rows);
    assert_eq!(bad_in_parts, bad);
}

/// More bad records in a row than a batch has bytes are not the end of the file.
#[test]
fn many_bad_records_are_not_the_end() {
    let bad = format!("{{\"id\":[\"{}\"]}}\n", "x".repeat(1 << 20));
    let text = format!("{{\"id\":1}}\n{}{{\"id\":2}}\n", bad.repeat(40));
    let options = JsonOptions {
        infer_bytes: 10,
        bad_rows: BadRows::Drop,
        ..JsonOptions::default()
    };
    let fixture = Fixture::new(&text, &options);
    for target in [1, 3] {
        let (rows, _) = fixture.read(target, 1 << 20).unwrap();
        assert!(rows.contains("| 1  |") && rows.contains("| 2  |"), "{rows}");
    }
}

fn record() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("1".to_owned()),
        Just("\"}\\n{\"".to_owned()),
        Just("\"\\\"}\"".to_owned()),
        Just("null".to_owned()),
    ];
    (value, any::<bool>()).prop_map(|(value, is_pretty)| match is_pretty {
        true => format!("{{\n\"o\":\n{{\"v\":{value}}}\n,\"l\":[\n{{\"v\":{value}}}\n,\n{{}}\n]}}"),
        false => format!("{{\"o\":{{\"v\":{value}}},\"l\":[]}}"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn parts_give_the_rows_of_the_whole(
        records in prop::collection::vec((record(), "(\n|\r\n|\n\n| )"), 1..20),
        target in 2usize..9,
        min_bytes in 1u64..60,
    ) {
        let text: String = records.into_iter().map(|(record, between)| record + &between).collect();
        let fixture = Fixture::new(&text, &JsonOptions::default());
        let (whole, _) = fixture.read(1, u64::MAX).unwrap();
        let (parts, _) = fixture.read(target, min_bytes).unwrap();
        prop_assert_eq!(parts, whole);
    }
}
