//! Files of the corpora and of other writers, compared value by value with what other people's readers
//! see (`tests/reference/reference.py`: pyarrow, fastavro, openpyxl), and ours read by them.
//!
//! The readers live in a virtual environment below cargo's target folder. Where pip cannot install them,
//! the tests say so and pass.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use serde_json::Value;
use tenon_connect::{
    ArrowCompression, ArrowOptions, AvroCompression, AvroOptions, ExcelOptions, Format,
    OrcCompression, OrcOptions, ParquetCompression, ParquetOptions,
};

use crate::random::{Kinds, random_batch};
use crate::values::values;
use crate::{Folder, corpus, files_in, read_batches};

static ENVIRONMENT: Mutex<()> = Mutex::new(());

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

fn runs(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The environment's Python. A mark says that everything was installed, also when a test was killed half-way.
fn python() -> Option<PathBuf> {
    let _one_at_a_time = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    let requirements = scripts().join("requirements.txt");
    let mut hasher = DefaultHasher::new();
    fs::read(&requirements).unwrap().hash(&mut hasher);
    let name = format!("reference-{:016x}", hasher.finish());
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let python = environment.join("bin/python");
    let mark = environment.join("installed");
    if !mark.exists() {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(&environment);
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--no-compile", "-r"])
            .arg(&requirements);
        if !(runs(&mut venv) && runs(&mut pip)) {
            println!("skipped: the readers to compare with cannot be installed");
            return None;
        }
        fs::write(&mark, "").unwrap();
    }
    Some(python)
}

fn run(python: &Path, arguments: &[&str], files: &[PathBuf]) -> String {
    let output = Command::new(python)
        .arg(scripts().join("reference.py"))
        .args(arguments)
        .args(files)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

type Columns = serde_json::Map<String, Value>;

/// What the reference reads, by file; none where it cannot.
fn reference(
    python: &Path,
    format: &str,
    files: &[PathBuf],
) -> BTreeMap<PathBuf, Result<Columns, String>> {
    let lines = run(python, &["read", format], files);
    let parse = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let file = PathBuf::from(line["file"].as_str().unwrap());
        match line["columns"].take() {
            Value::Object(columns) => (file, Ok(columns)),
            _ => (file, Err(line["error"].to_string())),
        }
    };
    lines.lines().map(parse).collect()
}

/// What we read, in the same form.
async fn ours(path: &Path, format: &Format) -> Result<Columns, String> {
    let batches = read_batches(path, format).await?;
    Ok(columns(&batches))
}

fn columns(batches: &(arrow::datatypes::SchemaRef, Vec<RecordBatch>)) -> Columns {
    let (schema, batches) = batches;
    let whole = concat_batches(schema, batches).unwrap();
    let names = schema.fields().iter().map(|field| field.name().clone());
    let columns = whole.columns().iter();
    names
        .zip(columns.map(|column| Value::from(values(column.as_ref()))))
        .collect()
}

/// The first difference, if any.
fn difference(ours: &Columns, theirs: &Columns) -> Option<String> {
    if ours.keys().collect::<Vec<_>>() != theirs.keys().collect::<Vec<_>>() {
        let names = |columns: &Columns| columns.keys().cloned().collect::<Vec<_>>();
        return Some(format!("columns {:?} and {:?}", names(ours), names(theirs)));
    }
    for (name, column) in ours {
        let (column, other) = (column.as_array()?, theirs[name].as_array()?);
        if column.len() != other.len() {
            return Some(format!("{} and {} rows", column.len(), other.len()));
        }
        if let Some(row) = (0..column.len()).find(|row| column[*row] != other[*row]) {
            return Some(format!(
                "column {name:?}, row {row}: {} and {}",
                column[row], other[row]
            ));
        }
    }
    None
}

/// Files in which the reference, not we, says what is not there.
const REFERENCE_IS_WRONG: &[(&str, &str)] = &[
    (
        "int96_from_spark.parquet",
        "pyarrow's microseconds overflow in the year 290000, which the file holds",
    ),
    (
        "timestamp_logical_types.avro",
        "fastavro does not know nanoseconds and gives their number",
    ),
];

struct Compared {
    equal: Vec<String>,
    refused: Vec<String>,
    differ: Vec<String>,
}

async fn compare(python: &Path, name: &str, files: &[PathBuf], format: &Format) -> Compared {
    let theirs = reference(python, name, files);
    let mut compared = Compared {
        equal: Vec::new(),
        refused: Vec::new(),
        differ: Vec::new(),
    };
    for file in files {
        let short = file.file_name().unwrap().to_string_lossy().into_owned();
        let mut read = ours(file, format).await;
        if let (Ok(columns), "excel") = (&mut read, name) {
            dates_as_times(columns);
        }
        match (read, &theirs[file]) {
            (Ok(ours), Ok(theirs)) => match difference(&ours, theirs) {
                None => compared.equal.push(short),
                Some(difference) => {
                    match REFERENCE_IS_WRONG.iter().find(|known| known.0 == short) {
                        Some((_, why)) => println!("{short}: {why}: {difference}"),
                        None => compared.differ.push(format!("{short}: {difference}")),
                    }
                }
            },
            (Err(error), theirs) => {
                assert!(error.contains(&short), "{short} is not named: {error}");
                let theirs = theirs.as_ref().err().map_or("reads it", String::as_str);
                compared
                    .refused
                    .push(format!("{short}: {error} (the reference: {theirs})"));
            }
            (Ok(_), Err(error)) => println!("{short}: read; the reference cannot: {error}"),
        }
    }
    println!(
        "{name}: {} equal, {} refused, {} differ",
        compared.equal.len(),
        compared.refused.len(),
        compared.differ.len()
    );
    for line in compared.refused.iter().chain(&compared.differ) {
        println!("  {line}");
    }
    compared
}

/// A sheet has no dates of its own: openpyxl gives midnight.
fn dates_as_times(columns: &mut Columns) {
    for value in columns
        .values_mut()
        .filter_map(Value::as_array_mut)
        .flatten()
    {
        let days = value.as_str().and_then(|text| text.strip_prefix("D:"));
        if let Some(days) = days.and_then(|days| days.parse::<i64>().ok()) {
            *value = format!("T:{}", days * 86_400_000_000_000).into();
        }
    }
}

fn with_suffix(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut files = files_in(folder);
    files.retain(|path| path.extension().is_some_and(|s| s == suffix));
    files
}

#[tokio::test]
async fn the_avro_corpus_reads_as_fastavro_reads_it() {
    let Some(folder) = corpus("arrow-testing/data/avro") else {
        return;
    };
    let Some(python) = python() else { return };
    let files = with_suffix(&folder, "avro");
    let format = Format::Avro(AvroOptions::default());
    let compared = compare(&python, "avro", &files, &format).await;
    assert!(compared.differ.is_empty(), "{:#?}", compared.differ);
    assert!(compared.equal.len() >= 25, "{:#?}", compared.equal);
}

#[tokio::test]
async fn the_parquet_corpus_reads_as_pyarrow_reads_it() {
    let Some(folder) = corpus("parquet-testing/data") else {
        return;
    };
    let Some(python) = python() else { return };
    let files = with_suffix(&folder, "parquet");
    let format = Format::Parquet(ParquetOptions::default());
    let compared = compare(&python, "parquet", &files, &format).await;
    assert!(compared.differ.is_empty(), "{:#?}", compared.differ);
    assert!(compared.equal.len() >= 45, "{:#?}", compared.equal);
}

#[tokio::test]
async fn files_of_other_writers_read_as_their_readers_read_them() {
    let Some(python) = python() else { return };
    let folder = Folder::new();
    run(&python, &["make"], &[folder.path("")]);
    let files = |suffix: &str| with_suffix(&folder.path(""), suffix);
    let orc = Format::Orc(OrcOptions::default());
    let arrow = Format::Arrow(ArrowOptions::default());
    let excel = Format::Excel(ExcelOptions::default());
    for (name, suffix, format) in [
        ("orc", "orc", &orc),
        ("arrow", "arrow", &arrow),
        ("arrow", "arrows", &arrow),
        ("arrow", "feather", &arrow),
        ("excel", "xlsx", &excel),
    ] {
        let files = files(suffix);
        assert!(!files.is_empty(), "{suffix}");
        let compared = compare(&python, name, &files, format).await;
        assert!(compared.differ.is_empty(), "{:#?}", compared.differ);
        assert!(compared.refused.is_empty(), "{:#?}", compared.refused);
    }
}

#[tokio::test]
async fn other_readers_read_what_we_write() {
    let Some(python) = python() else { return };
    let folder = Folder::new();
    let mut formats: Vec<(String, &str, Format, Kinds)> = Vec::new();
    for compression in [
        ParquetCompression::Zstd,
        ParquetCompression::Snappy,
        ParquetCompression::Gzip,
        ParquetCompression::Brotli,
        ParquetCompression::Lz4,
        ParquetCompression::Uncompressed,
    ] {
        let options = ParquetOptions {
            compression,
            row_group_rows: 70,
            ..ParquetOptions::default()
        };
        let name = format!("{compression:?}.parquet");
        formats.push((name, "parquet", Format::Parquet(options), Kinds::All));
    }
    for compression in [
        AvroCompression::Zstd,
        AvroCompression::Deflate,
        AvroCompression::Snappy,
        AvroCompression::Uncompressed,
    ] {
        let options = AvroOptions {
            compression,
            ..AvroOptions::default()
        };
        let name = format!("{compression:?}.avro");
        formats.push((name, "avro", Format::Avro(options), Kinds::Avro));
    }
    for compression in [
        OrcCompression::Zstd,
        OrcCompression::Zlib,
        OrcCompression::Snappy,
        OrcCompression::Uncompressed,
    ] {
        let options = OrcOptions {
            compression,
            ..OrcOptions::default()
        };
        let name = format!("{compression:?}.orc");
        formats.push((name, "orc", Format::Orc(options), Kinds::Orc));
    }
    for compression in [
        ArrowCompression::Zstd,
        ArrowCompression::Lz4,
        ArrowCompression::Uncompressed,
    ] {
        let options = ArrowOptions {
            compression,
            ..ArrowOptions::default()
        };
        let name = format!("{compression:?}.arrow");
        formats.push((name, "arrow", Format::Arrow(options), Kinds::All));
    }
    for (name, reader, format, kinds) in formats {
        let batch = random_batch(kinds, 150, 7);
        let output = folder.stage(&name, &format, vec![batch.clone()]).await;
        output.unwrap().commit().await.unwrap();
        let written = columns(&(batch.schema(), vec![batch]));
        let file = folder.path(&name);
        let read = reference(&python, reader, std::slice::from_ref(&file));
        let read = read[&file]
            .as_ref()
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(difference(&written, read), None, "{name}");
    }
}
