//! Columns from folder names: `sales/year=2026/month=07/x.parquet` gives `year` and `month`.
//!
//! Only folders below the one that was named count: who names files, or a glob, reads them without. All
//! files of a table must have the same keys. A column of plain integers is Int64, one of dates
//! Date32, anything else text: `07` keeps its zero. `__HIVE_DEFAULT_PARTITION__` is null, and what is
//! percent-encoded is decoded. Filters on these columns alone choose the files and need no second look.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::listing::helpers::expr_applicable_for_cols;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;

use crate::csv::{is_plain_date, is_plain_integer};
use crate::error::{Error, Result};
use crate::locate::{SourceFile, local_path};
use crate::remote::location::Location;

const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The columns that a table's folders give, with the values of each file.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    fields: Vec<FieldRef>,
    /// By file.
    values: Vec<Arc<[ScalarValue]>>,
}

impl Partitions {
    /// What [`assign`] found.
    pub(crate) fn of(files: &[SourceFile]) -> Self {
        let Some(first) = files.first().and_then(|file| file.partition.clone()) else {
            return Self::default();
        };
        let values = files.iter().map(|file| match &file.partition {
            Some(partition) => Arc::clone(&partition.values),
            None => Arc::default(),
        });
        Self {
            fields: first.fields.to_vec(),
            values: values.collect(),
        }
    }

    pub(crate) fn fields(&self) -> &[FieldRef] {
        &self.fields
    }

    /// The files for which all of `filters` hold; None if there is nothing to choose by.
    pub(crate) fn choose(
        &self,
        state: &dyn Session,
        filters: &[Expr],
    ) -> DataFusionResult<Option<Vec<usize>>> {
        let filters = filters
            .iter()
            .filter(|filter| is_about(self, filter))
            .cloned();
        let Some(filter) = conjunction(filters) else {
            return Ok(None);
        };
        let schema = Arc::new(Schema::new(self.fields.clone()));
        let columns = (0..self.fields.len()).map(|column| {
            ScalarValue::iter_to_array(self.values.iter().map(|values| values[column].clone()))
        });
        let columns = columns.collect::<DataFusionResult<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.values.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?;
        let expression =
            state.create_physical_expr(filter, &DFSchema::try_from(schema.as_ref().clone())?)?;
        let holds = expression.evaluate(&batch)?.into_array(batch.num_rows())?;
        let holds = holds.as_boolean();
        let chosen = (0..holds.len()).filter(|file| holds.is_valid(*file) && holds.value(*file));
        Ok(Some(chosen.collect()))
    }
}

/// Whether the filter says something of the folders' columns, and of nothing else.
pub(crate) fn is_about(partitions: &Partitions, filter: &Expr) -> bool {
    let names: Vec<_> = partitions
        .fields
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    !names.is_empty()
        && !filter.column_refs().is_empty()
        && expr_applicable_for_cols(&names, filter)
}

/// The folders' columns of one file.
#[derive(Clone, Debug)]
pub(crate) struct FilePartition {
    fields: Arc<[FieldRef]>,
    values: Arc<[ScalarValue]>,
}

impl SourceFile {
    /// One for each column that the table's folders give.
    pub(crate) fn partition_values(&self) -> &[ScalarValue] {
        self.partition
            .as_ref()
            .map_or(&[], |partition| &partition.values)
    }
}

/// A folder's `key=value`, decoded.
type Pair = (String, Option<String>);

/// Finds the columns that the folders between `paths`, as they were named, and `files` give.
///
/// # Errors
/// [`Error::Invalid`] for two files with different keys, a key that comes twice, and text that is not UTF-8.
pub(crate) fn assign(paths: &[PathBuf], files: &mut [SourceFile]) -> Result<()> {
    // As the files below them are named: what is no local path is named by its URL.
    let paths = paths.iter().map(|path| match Location::parse(path)? {
        Some(_) => Ok(path.clone()),
        None => local_path(path),
    });
    let paths = paths.collect::<Result<Vec<_>>>()?;
    let pairs: Vec<Vec<Pair>> = files
        .iter()
        .map(|file| pairs(&paths, &file.path))
        .collect::<Result<_>>()?;
    let Some(first) = pairs.iter().find(|pairs| !pairs.is_empty()) else {
        return Ok(());
    };
    let keys: Vec<&str> = first.iter().map(|(key, _)| key.as_str()).collect();
    check_keys(&keys, files, &pairs)?;
    let mut fields = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let values = pairs.iter().map(|pairs| pairs[index].1.as_deref());
        fields.push(Arc::new(Field::new(*key, data_type(values), true)));
    }
    let fields: Arc<[FieldRef]> = fields.into();
    for (file, pairs) in files.iter_mut().zip(&pairs) {
        let values = fields
            .iter()
            .zip(pairs)
            .map(|(field, (_, value))| scalar(field.data_type(), value.as_deref()))
            .collect::<Result<Vec<_>>>()?;
        file.partition = Some(FilePartition {
            fields: Arc::clone(&fields),
            values: values.into(),
        });
    }
    Ok(())
}

/// Refuses a table of which a column is in the files and in the folder names.
pub(crate) fn check(schema: &Schema, files: &str) -> Result<()> {
    let mut seen = HashSet::new();
    match schema
        .fields()
        .iter()
        .find(|field| !seen.insert(field.name()))
    {
        None => Ok(()),
        Some(twice) => Err(Error::Invalid(format!(
            "{files}: the column {:?} is in the files and in the folder names; name the files with a glob to read them \
             without partition columns",
            twice.name()
        ))),
    }
}

fn check_keys(keys: &[&str], files: &[SourceFile], pairs: &[Vec<Pair>]) -> Result<()> {
    let mut files = files.iter().map(SourceFile::name).zip(pairs);
    let Some((first, _)) = files.clone().find(|(_, pairs)| !pairs.is_empty()) else {
        return Ok(());
    };
    for (index, key) in keys.iter().enumerate() {
        if keys[..index].contains(key) {
            return Err(Error::Invalid(format!(
                "{first}: the folder names say {key:?} twice; rename one"
            )));
        }
    }
    let other = files.find(|(_, pairs)| {
        !pairs
            .iter()
            .map(|(key, _)| key.as_str())
            .eq(keys.iter().copied())
    });
    match other {
        None => Ok(()),
        Some((other, pairs)) => {
            let found: Vec<_> = pairs.iter().map(|(key, _)| key.as_str()).collect();
            Err(Error::Invalid(format!(
                "{first} and {other} have different partition folders: [{}] and [{}]; read them as two tables, \
                 or name the files with a glob to read them without partition columns",
                keys.join(", "),
                found.join(", ")
            )))
        }
    }
}

/// The `key=value` folders between the longest of `paths` that leads to `file`, and `file`.
fn pairs(paths: &[PathBuf], file: &Path) -> Result<Vec<Pair>> {
    let below = paths
        .iter()
        .filter_map(|path| {
            let path = path.strip_prefix(".").unwrap_or(path);
            file.strip_prefix(path).ok()
        })
        .min_by_key(|below| below.components().count());
    let folders = below
        .and_then(Path::parent)
        .into_iter()
        .flat_map(Path::components);
    let mut pairs = Vec::new();
    for folder in folders {
        let Component::Normal(name) = folder else {
            continue;
        };
        let name = name.to_string_lossy();
        let Some((key, value)) = name.split_once('=') else {
            continue;
        };
        let value = match value {
            NULL => None,
            value => Some(decoded(value, file)?),
        };
        pairs.push((decoded(key, file)?, value));
    }
    Ok(pairs)
}

/// Turns `%3A` back into `:`. A percent sign that begins no code stands for itself.
fn decoded(text: &str, file: &Path) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let code = (*byte == b'%').then(|| after.get(..2)).flatten();
        let code = code
            .and_then(|code| std::str::from_utf8(code).ok())
            .filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        match code {
            Some(code) => {
                bytes.push(code);
                rest = &after[2..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| {
        Error::Invalid(format!(
            "{}: the folder name {text:?} does not decode to UTF-8; rename it",
            file.display()
        ))
    })
}

/// The folder of a column's value.
pub(crate) fn folder_name(column: &str, value: Option<&str>) -> String {
    let value = value.map_or_else(|| NULL.to_owned(), encoded);
    format!("{}={value}", encoded(column))
}

/// Escapes a value for a folder name, as Hive does: what a file system, a URL or a reader could take for
/// something else.
fn encoded(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for character in text.chars() {
        let is_special = character.is_ascii_control() || "\"#%'*/:=?\\{}[]^<>|".contains(character);
        if is_special {
            name.push_str(&format!("%{:02X}", u32::from(character)));
        } else {
            name.push(character);
        }
    }
    name
}

fn data_type<'a>(values: impl Iterator<Item = Option<&'a str>> + Clone) -> DataType {
    let mut present = values.flatten().peekable();
    if present.peek().is_none() {
        return DataType::Utf8;
    }
    let all = |fits: fn(&str) -> bool| present.clone().all(fits);
    if all(is_plain_integer) {
        DataType::Int64
    } else if all(is_plain_date) {
        DataType::Date32
    } else {
        DataType::Utf8
    }
}

fn scalar(data_type: &DataType, value: Option<&str>) -> Result<ScalarValue> {
    let scalar = match value {
        None => ScalarValue::try_from(data_type),
        Some(value) => ScalarValue::try_from_string(value.to_owned(), data_type),
    };
    scalar.map_err(Error::Query)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(base: &str, file: &str) -> Vec<Pair> {
        pairs(&[PathBuf::from(base)], Path::new(file)).unwrap()
    }

    #[test]
    fn folders_below_the_named_one_count() {
        let pair = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
        assert_eq!(
            found("in", "in/year=2026/month=07/x.csv"),
            [pair("year", "2026"), pair("month", "07")]
        );
        assert_eq!(found(".", "year=2026/x.csv"), [pair("year", "2026")]);
        assert_eq!(
            found("in/year=2026", "in/year=2026/month=07/x.csv"),
            [pair("month", "07")]
        );
        assert_eq!(found("in/year=2026/x.csv", "in/year=2026/x.csv"), []);
        assert_eq!(found("in/*/x.csv", "in/year=2026/x.csv"), []);
        assert_eq!(found("in", "in/a=b=c/plain/x=1.csv"), [pair("a", "b=c")]);
        assert_eq!(
            found("in", "in/c=__HIVE_DEFAULT_PARTITION__/x.csv"),
            [("c".to_owned(), None)]
        );
    }

    proptest::proptest! {
        /// What is written into a folder name is read out of it again.
        #[test]
        fn names_come_back(value in "[ -~\u{e4}\u{1f600}\n]{1,12}") {
            let path = format!("out/k={}/x.csv", encoded(&value));
            proptest::prop_assert_eq!(found("out", &path), [("k".to_owned(), Some(value))]);
        }
    }
}
