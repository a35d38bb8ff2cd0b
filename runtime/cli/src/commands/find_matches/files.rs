//! Files as nodes: the suffix names the format, and tables of text are read as text.

use std::path::Path;

use tenon_engine::{CsvSource, DirectTarget, JsonSource, Node, ParquetSource};

use super::usage;
use crate::commands::setup;
use crate::error::Failure;

/// A file of records as a source.
///
/// # Errors
/// Its suffix names no format.
pub(super) fn source(name: &str, path: &Path) -> Result<Node, Failure> {
    let (named, paths) = (name.to_owned(), vec![setup::absolute(path)]);
    match suffix(path).as_str() {
        "csv" => Ok(Node::S3CsvSource(csv(name, path, "comma"))),
        "tsv" => Ok(Node::S3CsvSource(csv(name, path, "tab"))),
        "json" | "jsonl" | "ndjson" => Ok(Node::S3JsonSource(JsonSource {
            name: named,
            paths,
            ..JsonSource::default()
        })),
        "parquet" => Ok(Node::S3ParquetSource(ParquetSource {
            name: named,
            paths,
            ..ParquetSource::default()
        })),
        other => Err(unknown_suffix(path, other)),
    }
}

fn csv(name: &str, path: &Path, separator: &str) -> CsvSource {
    CsvSource {
        name: name.to_owned(),
        paths: vec![setup::absolute(path)],
        separator: Some(separator.to_owned()),
        all_text: true,
        ..CsvSource::default()
    }
}

/// A file as a target of what `input` gives.
///
/// # Errors
/// Its suffix names no format.
pub(super) fn target(name: &str, input: &str, path: &Path) -> Result<Node, Failure> {
    let format = match suffix(path).as_str() {
        known @ ("csv" | "tsv" | "json" | "jsonl" | "ndjson" | "parquet") => known.to_owned(),
        other => return Err(unknown_suffix(path, other)),
    };
    let target = DirectTarget {
        name: name.to_owned(),
        inputs: vec![input.to_owned()],
        path: setup::absolute(path),
        format,
        ..DirectTarget::default()
    };
    Ok(Node::S3DirectTarget(target))
}

/// A model's file, which only Parquet can hold.
///
/// # Errors
/// Its suffix is another.
pub(super) fn check_model(path: &Path) -> Result<(), Failure> {
    if suffix(path) == "parquet" {
        return Ok(());
    }
    let what = format!("{}: a model is a Parquet file", path.display());
    Err(usage(what).with_hint("give it the suffix .parquet"))
}

/// A file of labels in the form of Glue.
///
/// # Errors
/// Its suffix is another.
pub(super) fn check_labels(path: &Path) -> Result<(), Failure> {
    if suffix(path) == "csv" {
        return Ok(());
    }
    let what = format!("{}: labels are a CSV file", path.display());
    Err(usage(what).with_hint("give it the suffix .csv"))
}

fn suffix(path: &Path) -> String {
    path.extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase()
}

fn unknown_suffix(path: &Path, suffix: &str) -> Failure {
    let what = format!("{}: the suffix {suffix:?} names no format", path.display());
    usage(what).with_hint("use .csv, .tsv, .json, .jsonl or .parquet")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn models_and_labels_have_one_suffix_each() {
        assert!(check_model(Path::new("people.PARQUET")).is_ok());
        assert_eq!(
            check_model(Path::new("people.json")).unwrap_err().exit(),
            Exit::Usage
        );
        assert!(check_labels(Path::new("labels.csv")).is_ok());
        assert!(check_labels(Path::new("labels.tsv")).is_err());
    }

    #[test]
    fn a_suffix_that_names_no_format_is_refused_on_both_sides() {
        for failure in [
            source("in", Path::new("people.txt")).unwrap_err(),
            target("out", "in", Path::new("people")).unwrap_err(),
        ] {
            assert!(failure.to_string().contains("names no format"), "{failure}");
        }
    }
}
