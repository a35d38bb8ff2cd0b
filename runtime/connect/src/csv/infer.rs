//! The schema of CSV files: names from the header, types from the values ([`infer`]).
//!
//! One streaming pass over the first `infer_bytes` of each file; all files must have the same columns,
//! in any order. Every column is nullable, since an empty field is null.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use futures::{StreamExt, TryStreamExt};

use crate::csv::CsvOptions;
use crate::csv::records::{Fields, Record, Records};
use crate::csv::types::{Candidates, Kind};
use crate::error::{Error, Result};
use crate::locate::SourceFile;

const FILES_AT_ONCE: usize = 4;

struct Inferred {
    file: String,
    names: Vec<String>,
    columns: Vec<Candidates>,
}

/// The schema that all `files` share.
///
/// # Errors
/// [`Error::Invalid`] with file and line for a record that cannot be read, a header that names a column
/// twice or not at all, and files whose columns differ.
pub(super) async fn infer(files: &[SourceFile], options: &CsvOptions) -> Result<SchemaRef> {
    let tasks = files.iter().cloned().map(|file| {
        let options = options.clone();
        async move {
            tokio::task::spawn_blocking(move || infer_file(&file, &options))
                .await
                .map_err(Error::joined)?
        }
    });
    // Started together, answered in order: the first file names the columns.
    let inferred: Vec<Option<Inferred>> = futures::stream::iter(tasks)
        .buffered(FILES_AT_ONCE)
        .try_collect()
        .await?;
    let mut inferred = inferred.into_iter().flatten();
    let Some(mut first) = inferred.next() else {
        let names: Vec<_> = files.iter().map(SourceFile::name).collect();
        return Err(Error::Invalid(format!(
            "{}: empty; a CSV file needs at least a header",
            names.join(", ")
        )));
    };
    for next in inferred {
        merge(&mut first, &next)?;
    }
    let fields = first
        .names
        .iter()
        .zip(&first.columns)
        .map(|(name, column)| {
            let kind = if options.all_text {
                Kind::Text
            } else {
                column.kind()
            };
            Field::new(name, kind.data_type(), true)
        });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// None for a file without a single record: it has no columns and takes no part.
fn infer_file(file: &SourceFile, options: &CsvOptions) -> Result<Option<Inferred>> {
    let mut records = Records::new(file.open()?, file.name(), options);
    let mut record = Record::default();
    let Some(names) = read_names(&mut records, &mut record, options)? else {
        return Ok(None);
    };
    let mut columns = vec![Candidates::new(); names.len()];
    if !options.with_header {
        observe(&records, &record, &names, &mut columns)?;
    }
    // Even when all is text, the first stretch is read: a wrong separator shows before the run starts.
    while records.consumed() < options.infer_bytes && records.read(&mut record)? {
        observe(&records, &record, &names, &mut columns)?;
    }
    Ok(Some(Inferred {
        file: file.name(),
        names,
        columns,
    }))
}

/// The column names of the file; `record` holds the record they came from.
pub(super) fn read_names(
    records: &mut Records<File>,
    record: &mut Record,
    options: &CsvOptions,
) -> Result<Option<Vec<String>>> {
    if !records.read(record)? {
        return Ok(None);
    }
    if !options.with_header {
        return Ok(Some(
            (0..record.len())
                .map(|index| format!("col{index}"))
                .collect(),
        ));
    }
    let place = format!("{}:{}", records.name(), record.line);
    let fields = record.text().map_err(|(index, _)| {
        Error::Invalid(format!(
            "{place}: the header's field {} is not UTF-8; convert the file to UTF-8",
            index + 1
        ))
    })?;
    let mut seen = HashSet::new();
    for (index, name) in fields.iter().enumerate() {
        if name.trim().is_empty() {
            return Err(Error::Invalid(format!(
                "{place}: column {} has no name in the header; name it, or read without a header (col0, col1, ...)",
                index + 1
            )));
        }
        if !seen.insert(name) {
            return Err(Error::Invalid(format!(
                "{place}: the header names {name:?} twice; rename one, or read without a header (col0, col1, ...)"
            )));
        }
    }
    Ok(Some(fields.iter().map(str::to_owned).collect()))
}

fn observe(
    records: &Records<File>,
    record: &Record,
    names: &[String],
    columns: &mut [Candidates],
) -> Result<()> {
    let fields = fields(records, record, names)?;
    for (column, value) in columns.iter_mut().zip(fields.iter()) {
        column.observe(value);
    }
    Ok(())
}

/// The fields of a record, if there are as many as names and all are UTF-8.
pub(super) fn fields<'a, R: Read>(
    records: &Records<R>,
    record: &'a Record,
    names: &[String],
) -> Result<Fields<'a>> {
    let place = format_args!("{}:{}", records.name(), record.line);
    if record.len() != names.len() {
        return Err(Error::Invalid(format!(
            "{place}: expected {} fields, found {}; quote values that hold the separator, or choose another separator",
            names.len(),
            record.len()
        )));
    }
    record.text().map_err(|(index, valid)| {
        Error::Invalid(format!(
            "{place}: column {:?}: not UTF-8 after {valid} bytes of the value; convert the file to UTF-8",
            names[index]
        ))
    })
}

fn merge(first: &mut Inferred, next: &Inferred) -> Result<()> {
    for (name, column) in next.names.iter().zip(&next.columns) {
        let Some(index) = first.names.iter().position(|n| n == name) else {
            return Err(differs(
                &first.file,
                &next.file,
                &format!("column {name:?} is missing in the first"),
            ));
        };
        first.columns[index] = first.columns[index].and(*column);
    }
    match first.names.iter().find(|name| !next.names.contains(name)) {
        Some(name) => Err(differs(
            &first.file,
            &next.file,
            &format!("column {name:?} is missing in the second"),
        )),
        None => Ok(()),
    }
}

fn differs(first: &str, second: &str, how: &str) -> Error {
    Error::Invalid(format!(
        "{first} and {second} have different columns: {how}; read them as two tables"
    ))
}
