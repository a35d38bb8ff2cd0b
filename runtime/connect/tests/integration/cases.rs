//! Messy files, as data: every folder of `tests/cases` is read as its `case.toml` says, and what comes out is its
//! `expected.txt`: types, rows, what was put into quarantine, why each type was chosen, or the error.
//!
//! `TENON_UPDATE_CASES=1` writes what comes out instead of comparing it; look at the difference before it is committed.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::SessionContext;
use serde::Deserialize;
use tenon_connect::{BadRows, CsvOptions, Format, JsonOptions, Place, Quarantine, evidence, table};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What is messy, and what should come of it.
    what: String,
    #[serde(default = "input")]
    paths: Vec<PathBuf>,
    #[serde(default = "everything")]
    sql: String,
    /// Shows why each column has its type.
    #[serde(default)]
    evidence: bool,
    csv: Option<Csv>,
    json: Option<Json>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Csv {
    separator: Option<String>,
    quote: Option<String>,
    escaper: Option<char>,
    comment: Option<char>,
    header: Option<bool>,
    multiline: Option<bool>,
    #[serde(default)]
    detect: bool,
    #[serde(default)]
    skip_first: bool,
    encoding: Option<String>,
    /// `fail`, `drop` or `quarantine`.
    bad_rows: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    rows: Option<String>,
    encoding: Option<String>,
    /// `fail`, `drop` or `quarantine`.
    bad_rows: Option<String>,
}

fn input() -> Vec<PathBuf> {
    vec!["in".into()]
}

fn everything() -> String {
    "SELECT * FROM t".to_owned()
}

fn format(case: &Case, quarantine: &Quarantine) -> Format {
    if let Some(json) = &case.json {
        return Format::Json(JsonOptions {
            rows: json.rows.as_ref().map(|rows| rows.parse().unwrap()),
            encoding: json.encoding.as_deref().unwrap_or("utf-8").parse().unwrap(),
            bad_rows: bad_rows(json.bad_rows.as_deref(), quarantine),
            ..JsonOptions::default()
        });
    }
    let default = Csv::default();
    let csv = case.csv.as_ref().unwrap_or(&default);
    Format::Csv(CsvOptions {
        separator: csv.separator.as_deref().unwrap_or("comma").parse().unwrap(),
        quote_char: csv.quote.as_deref().unwrap_or("quote").parse().unwrap(),
        escaper: csv.escaper.map(|escaper| u8::try_from(escaper).unwrap()),
        comment: csv.comment.map(|comment| u8::try_from(comment).unwrap()),
        with_header: csv.header.unwrap_or(true),
        multiline: csv.multiline.unwrap_or(true),
        detect: csv.detect,
        encoding: csv.encoding.as_deref().unwrap_or("utf-8").parse().unwrap(),
        skip_first: csv.skip_first,
        bad_rows: bad_rows(csv.bad_rows.as_deref(), quarantine),
        ..CsvOptions::default()
    })
}

fn bad_rows(mode: Option<&str>, quarantine: &Quarantine) -> BadRows {
    match mode {
        None | Some("fail") => BadRows::Fail,
        Some("drop") => BadRows::Drop,
        Some("quarantine") => BadRows::Quarantine(quarantine.clone()),
        Some(other) => panic!("bad_rows {other:?}"),
    }
}

async fn outcome(folder: &Path, case: &Case) -> String {
    let quarantine = Quarantine::default();
    match read(folder, case, &quarantine).await {
        Ok(text) => text,
        Err(error) => format!("error: {error}\n"),
    }
}

async fn read(folder: &Path, case: &Case, quarantine: &Quarantine) -> Result<String, String> {
    let place = Place::rooted(folder).map_err(|e| e.to_string())?;
    let table = table(&place, &case.paths, &format(case, quarantine))
        .await
        .map_err(|e| e.to_string())?;
    let mut text = format!("{}\n", crate::types(&table));
    if case.evidence {
        for evidence in evidence(table.as_ref()) {
            writeln!(text, "  {evidence}").unwrap();
        }
    }
    let context = SessionContext::new();
    context.register_table("t", table).unwrap();
    let frame = context.sql(&case.sql).await.map_err(|e| e.to_string())?;
    let batches = frame
        .collect()
        .await
        .map_err(|e| e.find_root().to_string().replace("External error: ", ""))?;
    writeln!(text, "{}", pretty_format_batches(&batches).unwrap()).unwrap();
    let rejected = quarantine.batch().unwrap();
    if rejected.num_rows() > 0 {
        writeln!(
            text,
            "quarantine:\n{}",
            pretty_format_batches(&[rejected]).unwrap()
        )
        .unwrap();
    }
    Ok(text)
}

#[tokio::test]
async fn messy_files_read_as_expected() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut folders: Vec<_> = std::fs::read_dir(&cases)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    assert!(folders.len() >= 25, "{} cases", folders.len());
    let mut differences = Vec::new();
    for folder in folders {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(folder.join("case.toml")).unwrap();
        let case: Case = toml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let found = outcome(&folder, &case).await;
        let expected = folder.join("expected.txt");
        if std::env::var_os("TENON_UPDATE_CASES").is_some() {
            std::fs::write(expected, found).unwrap();
        } else if std::fs::read_to_string(expected).unwrap_or_default() != found {
            differences.push(format!("{name} ({}) gives\n{found}", case.what));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
