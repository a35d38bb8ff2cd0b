//! Columns: their types, from rows or as they are written, and arrays of them.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use tenon_sdk::arrow_array::RecordBatchOptions;
use tenon_sdk::prelude::*;
use tenon_sdk::serde::Deserialize;
use tenon_sdk::serde_json::{Map, Value};

type Row = Map<String, Value>;

/// A column, written `id bigint`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(crate = "tenon_sdk::serde", try_from = "String")]
pub(crate) struct Column {
    name: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bigint,
    Double,
    Boolean,
    String,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Bigint, Self::Double, Self::Boolean, Self::String];

    fn word(self) -> &'static str {
        match self {
            Self::Bigint => "bigint",
            Self::Double => "double",
            Self::Boolean => "boolean",
            Self::String => "string",
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Bigint => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::String => DataType::Utf8,
        }
    }

    /// Of a value; `None` for null.
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => None,
            Value::Bool(_) => Some(Self::Boolean),
            Value::Number(number) if number.is_i64() => Some(Self::Bigint),
            // Beyond 64 bits with a sign, a double would not keep it.
            Value::Number(number) if number.is_u64() => Some(Self::String),
            Value::Number(_) => Some(Self::Double),
            Value::String(_) | Value::Array(_) | Value::Object(_) => Some(Self::String),
        }
    }

    /// What holds values of both.
    fn with(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (Self::Bigint, Self::Double) | (Self::Double, Self::Bigint) => Self::Double,
            _ => Self::String,
        }
    }
}

impl TryFrom<String> for Column {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Column {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            let words = Kind::ALL.map(Kind::word).join(", ");
            format!(
                "{text:?} is no column: write its name and one of {words}, such as \"id bigint\""
            )
        };
        let (name, word) = text.trim().rsplit_once(' ').ok_or_else(wrong)?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word);
        Ok(Self {
            name: name.trim_end().to_owned(),
            kind: kind.ok_or_else(wrong)?,
        })
    }
}

/// Columns as text that [`read`] reads.
pub(crate) fn written(columns: &[Column]) -> String {
    let line = |column: &Column| Value::from(format!("{} {}", column.name, column.kind.word()));
    Value::Array(columns.iter().map(line).collect()).to_string()
}

pub(crate) fn read(text: &str) -> Result<Vec<Column>> {
    tenon_sdk::serde_json::from_str(text).map_err(|e| Error::Internal(e.to_string()))
}

/// The columns that hold these rows. One that is null in all of them is a string.
pub(crate) fn of_rows(rows: &[Row]) -> Vec<Column> {
    let mut kinds: BTreeMap<&str, Option<Kind>> = BTreeMap::new();
    for (name, value) in rows.iter().flatten() {
        let known = kinds.entry(name).or_default();
        *known = match (*known, Kind::of(value)) {
            (Some(one), Some(other)) => Some(one.with(other)),
            (one, other) => one.or(other),
        };
    }
    let column = |(name, kind): (&str, Option<Kind>)| Column {
        name: name.to_owned(),
        kind: kind.unwrap_or(Kind::String),
    };
    kinds.into_iter().map(column).collect()
}

pub(crate) fn schema(columns: &[Column]) -> SchemaRef {
    let field = |column: &Column| Field::new(&column.name, column.kind.data_type(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// Rows as a batch; the first of them is row `first` of the page.
pub(crate) fn batch(
    columns: &[Column],
    rows: &[Row],
    page: &str,
    first: usize,
) -> Result<RecordBatch> {
    let arrays = columns
        .iter()
        .map(|column| array(column, rows, page, first))
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(
        schema(columns),
        arrays,
        &options,
    )?)
}

fn array(column: &Column, rows: &[Row], page: &str, first: usize) -> Result<ArrayRef> {
    Ok(match column.kind {
        Kind::Bigint => Arc::new(
            values(column, rows, page, first, Value::as_i64)?
                .into_iter()
                .collect::<Int64Array>(),
        ),
        Kind::Double => Arc::new(
            values(column, rows, page, first, Value::as_f64)?
                .into_iter()
                .collect::<Float64Array>(),
        ),
        Kind::Boolean => Arc::new(
            values(column, rows, page, first, Value::as_bool)?
                .into_iter()
                .collect::<BooleanArray>(),
        ),
        Kind::String => Arc::new(
            values(column, rows, page, first, text)?
                .into_iter()
                .collect::<StringArray>(),
        ),
    })
}

/// A string as it is, all else as JSON.
fn text(value: &Value) -> Option<String> {
    Some(match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

fn values<T>(
    column: &Column,
    rows: &[Row],
    page: &str,
    first: usize,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Vec<Option<T>>> {
    let value = |(at, row): (usize, &Row)| match row.get(&column.name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match read(value) {
            Some(value) => Ok(Some(value)),
            None => {
                let mut shown = value.to_string();
                shown.truncate(shown.floor_char_boundary(80));
                Err(Error::user(
                    "bad-value",
                    format!(
                        "{page}, row {}: {shown} is no {} for the column {:?}; say another type in columns",
                        first + at,
                        column.kind.word(),
                        column.name
                    ),
                ))
            }
        },
    };
    rows.iter().enumerate().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(json: &str) -> Vec<Row> {
        tenon_sdk::serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_type_holds_every_value() {
        let seen = of_rows(&rows(
            r#"[{"i":1,"d":1,"b":true,"s":"x","n":null,"o":{},"m":1,"u":1},
                {"i":-2,"d":1.5,"b":null,"l":[1],"m":"x","u":18446744073709551615}]"#,
        ));
        let written = written(&seen);
        assert_eq!(
            written,
            r#"["b boolean","d double","i bigint","l string","m string","n string","o string","s string","u string"]"#
        );
        assert_eq!(read(&written), Ok(seen));
    }

    #[test]
    fn values_become_arrays() {
        let columns: Vec<Column> = ["a b bigint", "o string"]
            .map(|c| c.parse().unwrap())
            .into();
        let rows = rows(r#"[{"a b":1,"o":{"x":[1]}},{"o":"text"}]"#);
        let batch = batch(&columns, &rows, "p", 0).unwrap();
        let (numbers, texts) = (batch.column(0), batch.column(1));
        assert_eq!(
            numbers.as_ref(),
            &Int64Array::from(vec![Some(1), None]) as &dyn Array
        );
        assert_eq!(
            texts.as_ref(),
            &StringArray::from(vec!["{\"x\":[1]}", "text"]) as &dyn Array
        );
    }

    #[test]
    fn a_value_that_does_not_fit_is_named() {
        let columns: Vec<Column> = vec!["a bigint".parse().unwrap()];
        let rows = rows(r#"[{"a":1},{"a":1.5}]"#);
        let said = batch(&columns, &rows, "https://a.example/", 10)
            .unwrap_err()
            .to_string();
        assert!(
            said.contains("https://a.example/, row 11: 1.5 is no bigint for the column \"a\""),
            "{said}"
        );
    }

    #[test]
    fn what_is_no_column_is_refused() {
        for text in ["id", "id int128", ""] {
            let said = text.parse::<Column>().unwrap_err();
            assert!(said.contains("bigint, double, boolean, string"), "{said}");
        }
    }
}
