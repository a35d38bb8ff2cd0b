//! [`Report`]: a command's result as rows. One code path fills it; it prints as a table or as JSON.
//!
//! ```text
//! let mut plugins = Report::list(&["name", "size_bytes"]);
//! plugins.row([cell("find-matches"), bytes(812_000)]);
//!
//! name          size                  [{"name": "find-matches", "size_bytes": 812000}]
//! find-matches  812 kB
//! ```
//!
//! Keys are the JSON names and carry units; titles are the keys without them, because the table's cells say
//! the unit themselves. Missing values are `null` and `-`.

use std::fmt::Display;
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Map, Value};

use crate::shell::printable;

/// Rows of cells under named columns.
#[derive(Debug)]
pub(crate) struct Report {
    shape: Shape,
    keys: Vec<String>,
    rows: Vec<Vec<Cell>>,
    empty: &'static str,
}

/// How many things the report is about.
#[derive(Debug, PartialEq, Eq)]
enum Shape {
    /// Any number: a table, a JSON array.
    List,
    /// One: `key value` lines, a JSON object.
    Record,
}

/// One value, and how people see it when that differs.
#[derive(Debug)]
pub(crate) struct Cell {
    value: Value,
    shown: Option<String>,
}

impl Report {
    /// Any number of rows under `keys`.
    pub(crate) fn list(keys: &[&str]) -> Self {
        Self {
            shape: Shape::List,
            keys: keys.iter().map(|&key| key.to_owned()).collect(),
            rows: Vec::new(),
            empty: "nothing",
        }
    }

    /// One thing; give it [`Report::field`]s.
    pub(crate) fn record() -> Self {
        Self {
            shape: Shape::Record,
            keys: Vec::new(),
            rows: vec![Vec::new()],
            empty: "nothing",
        }
    }

    /// What the table says when there are no rows.
    pub(crate) fn when_empty(mut self, text: &'static str) -> Self {
        self.empty = text;
        self
    }

    /// Adds a row; a list's cells stand in the order of its keys.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.keys.len(), "a row has a cell for each key");
        self.rows.push(cells.into());
    }

    /// Adds a row whose width is only known now.
    pub(crate) fn cells(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(
            cells.len(),
            self.keys.len(),
            "a row has a cell for each key"
        );
        self.rows.push(cells);
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Keeps the first rows.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.rows.truncate(rows);
    }

    /// Adds a field to a record.
    pub(crate) fn field(mut self, key: &str, cell: Cell) -> Self {
        self.keys.push(key.to_owned());
        if let Some(row) = self.rows.first_mut() {
            row.push(cell);
        }
        self
    }

    /// For people, with a line end.
    pub(crate) fn to_table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        match self.shape {
            Shape::List if self.rows.is_empty() => return format!("{}\n", self.empty),
            Shape::List => {
                table.set_content_arrangement(ContentArrangement::Dynamic);
                table.set_header(self.keys.iter().map(|key| title(key)));
                for row in &self.rows {
                    table.add_row(row.iter().map(Cell::show));
                }
            }
            Shape::Record => {
                for (key, cell) in self.keys.iter().zip(self.rows.iter().flatten()) {
                    table.add_row([title(key), cell.show()]);
                }
            }
        }
        trim_lines(&table.to_string())
    }

    /// For programs, with a line end.
    pub(crate) fn to_json(&self) -> String {
        let mut objects: Vec<Value> = self.rows.iter().map(|row| self.object(row)).collect();
        let document = match self.shape {
            Shape::List => Value::Array(objects),
            Shape::Record => objects.pop().unwrap_or_default(),
        };
        format!("{document:#}\n")
    }

    fn object(&self, row: &[Cell]) -> Value {
        let pairs = self.keys.iter().zip(row);
        let object: Map<String, Value> = pairs
            .map(|(key, cell)| (key.clone(), cell.value.clone()))
            .collect();
        Value::Object(object)
    }
}

impl Cell {
    fn show(&self) -> String {
        match &self.shown {
            Some(shown) => printable(shown),
            None => show(&self.value),
        }
    }
}

/// A cell that shows as it is.
pub(crate) fn cell(value: impl Into<Value>) -> Cell {
    Cell {
        value: value.into(),
        shown: None,
    }
}

/// A cell with a text of its own for people.
pub(crate) fn cell_as(value: impl Into<Value>, shown: impl Display) -> Cell {
    Cell {
        value: value.into(),
        shown: Some(shown.to_string()),
    }
}

/// A size; name its key `..._bytes`.
pub(crate) fn bytes(size: u64) -> Cell {
    cell_as(size, human_bytes(size))
}

/// What something cost, in whatever money the operator counts.
pub(crate) fn cost(cost: f64) -> Cell {
    cell_as(cost, format!("{cost:.6}"))
}

/// A time of day: RFC 3339 in UTC, milliseconds since 1970 given.
pub(crate) fn time(unix_millis: u64) -> Cell {
    let time = i64::try_from(unix_millis)
        .ok()
        .and_then(chrono::DateTime::from_timestamp_millis);
    time.map_or_else(
        || cell(unix_millis),
        |time| cell(time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
    )
}

/// A time that something took; name its key `..._millis`.
pub(crate) fn millis(took: Duration) -> Cell {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    cell_as(millis, human_time(took))
}

/// A digest; people see as much of it as they need to tell two apart.
pub(crate) fn digest(digest: &str) -> Cell {
    cell_as(digest, digest.get(..SHORT_DIGEST).unwrap_or(digest))
}

const SHORT_DIGEST: usize = "sha256:".len() + 12;

/// `812 kB`: decimal units, three digits.
pub(crate) fn human_bytes(size: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut unit = 0;
    #[expect(
        clippy::cast_precision_loss,
        reason = "three digits are shown, f64 has fifteen"
    )]
    let mut amount = size as f64;
    while amount >= 999.5 && unit + 1 < UNITS.len() {
        amount /= 1000.0;
        unit += 1;
    }
    let digits = match amount {
        _ if unit == 0 => 0,
        small if small < 9.995 => 2,
        middle if middle < 99.95 => 1,
        _ => 0,
    };
    format!("{amount:.digits$} {}", UNITS[unit])
}

/// `0.4 ms`, `85 ms`, `1.2 s`, `3 min 5 s`.
pub(crate) fn human_time(took: Duration) -> String {
    match took.as_secs() {
        0 if took.as_millis() < 10 => format!("{:.1} ms", took.as_secs_f64() * 1e3),
        0 => format!("{} ms", took.as_millis()),
        1..60 => format!("{:.1} s", took.as_secs_f64()),
        long => format!("{} min {} s", long / 60, long % 60),
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => printable(text),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(show).collect::<Vec<_>>().join(", "),
        Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

fn title(key: &str) -> String {
    let noun = ["_bytes", "_millis"]
        .iter()
        .find_map(|unit| key.strip_suffix(unit))
        .unwrap_or(key);
    noun.replace('_', " ")
}

/// The table pads every line to its width and begins it with a space; copied text should not.
fn trim_lines(table: &str) -> String {
    let lines = table
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end());
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plugins() -> Report {
        let mut report = Report::list(&["name", "size_bytes", "kinds"]).when_empty("no plugins");
        report.row([
            cell("find-matches"),
            bytes(812_345),
            cell(json!(["map", "plan"])),
        ]);
        report.row([cell("x"), bytes(12), cell(Value::Null)]);
        report
    }

    #[test]
    fn a_list_is_a_table_and_an_array() {
        let report = plugins();
        assert_eq!(
            report.to_table(),
            "name          size    kinds\nfind-matches  812 kB  map, plan\nx             12 B    -\n"
        );
        let parsed: Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(
            parsed[0],
            json!({"name": "find-matches", "size_bytes": 812_345, "kinds": ["map", "plan"]})
        );
    }

    #[test]
    fn a_record_is_lines_and_an_object() {
        let report = Report::record()
            .field("path", cell("a.wasm"))
            .field("took_millis", millis(Duration::from_millis(1250)));
        assert_eq!(report.to_table(), "path  a.wasm\ntook  1.2 s\n");
        let parsed: Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(parsed, json!({"path": "a.wasm", "took_millis": 1250}));
    }

    #[test]
    fn an_empty_list_says_so_to_people_only() {
        let report = Report::list(&["name"]).when_empty("no plugins");
        assert_eq!(report.to_table(), "no plugins\n");
        assert_eq!(report.to_json(), "[]\n");
    }

    #[test]
    fn sizes_and_times_have_three_digits_and_a_unit() {
        let sizes = [0, 999, 1_000, 9_999, 99_960, 999_400, 999_900, 25_922];
        let shown = sizes.map(human_bytes);
        assert_eq!(
            shown,
            [
                "0 B", "999 B", "1.00 kB", "10.0 kB", "100 kB", "999 kB", "1.00 MB", "25.9 kB"
            ]
        );
        assert_eq!(human_time(Duration::from_millis(85)), "85 ms");
        assert_eq!(human_time(Duration::from_secs(185)), "3 min 5 s");
    }

    #[test]
    fn cells_cannot_steer_the_terminal() {
        let report = Report::record().field("name", cell("a\x1b[2J"));
        assert!(!report.to_table().contains('\x1b'));
    }
}
