//! Tables of records: which columns are compared, which come out.

use tenon_sdk::prelude::*;

use super::quoted;

/// Columns that a table may have: Glue has the same limit.
const COLUMNS: usize = 100;
/// Columns of an earlier result that say nothing of a record.
const RESULTS: [&str; 3] = ["match_id", "match_confidence", "match_source"];

/// One table of records.
pub(super) struct Table<'a> {
    pub(super) input: &'a NamedInput,
    /// The column that identifies a record.
    pub(super) id: &'a str,
    pub(super) compared: Vec<&'a str>,
}

impl<'a> Table<'a> {
    pub(super) fn of(input: &'a NamedInput, id: &str) -> Result<Self> {
        let fields = input.schema.fields();
        if fields.len() > COLUMNS {
            return Err(Error::Unsupported(format!(
                "the table has {} columns; at most {COLUMNS} can be matched: select those that matter",
                fields.len()
            )));
        }
        let id = input
            .schema
            .field(tenon_sdk::column(&input.schema, id)?)
            .name();
        if RESULTS.contains(&id.as_str()) {
            return Err(Error::Unsupported(format!(
                "the id column cannot be called {id:?}, as a column of the result is; rename it"
            )));
        }
        let compared = fields.iter().filter(|field| {
            let name = field.name();
            name != id && !RESULTS.contains(&name.as_str()) && is_text_like(field.data_type())
        });
        let compared: Vec<&str> = compared.map(|field| field.name().as_str()).collect();
        if compared.is_empty() {
            return Err(Error::Unsupported(format!(
                "there is no column to compare beside the id column {id:?}"
            )));
        }
        Ok(Self {
            input,
            id,
            compared,
        })
    }

    pub(super) fn all(inputs: &[&'a NamedInput], id: &str) -> Result<Vec<Self>> {
        inputs.iter().map(|input| Self::of(input, id)).collect()
    }

    fn has(&self, column: &str) -> bool {
        self.input.schema.index_of(column).is_ok()
    }

    /// Whether it has a column of this name that can be read as a number.
    pub(super) fn has_number(&self, column: &str) -> bool {
        let field = self.input.schema.field_with_name(column);
        field.is_ok_and(|field| {
            field.data_type().is_numeric()
                || matches!(field.data_type(), DataType::Utf8 | DataType::Utf8View)
        })
    }
}

/// Refuses columns with the names of those that come out beside them.
pub(super) fn refuse_names(tables: &[Table<'_>], names: &[&str]) -> Result<()> {
    let taken = names
        .iter()
        .find(|name| tables.iter().any(|table| table.has(name)));
    taken.map_or(Ok(()), |name| {
        Err(Error::Unsupported(format!(
            "the column {name:?} has the name of one that comes out beside it; rename it first"
        )))
    })
}

/// Whether the host can write values of this type as text.
fn is_text_like(data_type: &DataType) -> bool {
    !data_type.is_nested()
        && !matches!(
            data_type,
            DataType::Binary
                | DataType::LargeBinary
                | DataType::BinaryView
                | DataType::FixedSizeBinary(_)
                | DataType::Null
        )
}

/// A column of what comes out.
pub(super) struct OutputColumn<'a> {
    pub(super) name: &'a str,
    /// Whether the tables disagree about its type, so that it comes out as text.
    mixed: bool,
}

impl OutputColumn<'_> {
    /// The column in one table's part of the result, which is called `n`.
    pub(super) fn of(&self, table: &Table<'_>) -> String {
        let name = quoted(self.name);
        match (table.has(self.name), self.mixed) {
            (false, _) => format!("null as {name}"),
            (true, true) => format!("cast(n.{name} as varchar) as {name}"),
            (true, false) => format!("n.{name}"),
        }
    }

    /// The same as text.
    pub(super) fn text_of(&self, table: &Table<'_>) -> String {
        let name = quoted(self.name);
        if table.has(self.name) {
            format!("cast(n.{name} as varchar) as {name}")
        } else {
            format!("cast(null as varchar) as {name}")
        }
    }
}

/// The columns of all tables, by name, in order of their first appearance; without those of an earlier result.
pub(super) fn output_columns<'a>(tables: &[Table<'a>]) -> Vec<OutputColumn<'a>> {
    let mut columns: Vec<(OutputColumn<'a>, &DataType)> = Vec::new();
    for field in tables.iter().flat_map(|table| table.input.schema.fields()) {
        if RESULTS.contains(&field.name().as_str()) {
            continue;
        }
        match columns
            .iter_mut()
            .find(|(column, _)| column.name == field.name())
        {
            Some((column, data_type)) => column.mixed |= *data_type != field.data_type(),
            None => columns.push((
                OutputColumn {
                    name: field.name(),
                    mixed: false,
                },
                field.data_type(),
            )),
        }
    }
    columns.into_iter().map(|(column, _)| column).collect()
}
