//! [`LabelTable`]: what people say of records, as in Glue's files of labels, and how it is kept.
//!
//! ```text
//! LabelFile (rows of text) ──read──> LabelTable ──added to──> those of the transform ──> records of PIECE_BYTES
//! ```
//!
//! In a labelling set, records with the same label match, with different labels they do not; an empty label says nothing yet.
//! <https://docs.aws.amazon.com/glue/latest/dg/machine-learning-teaching.html>

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use tenon_store::{Transaction, Tree};

use crate::error::{Error, Result};
use crate::jobs::{MAX_PAGE, TenantJobs};
use crate::stored::{self, SCHEMA};

/// Rows of a labelling set, at most: Glue's limit.
const MAX_SET: usize = 50;

/// Characters of a set's id and of a label.
const MAX_TEXT: usize = 255;

/// Rows of all labels of a transform.
const MAX_ROWS: usize = 50_000;

/// Bytes of them as JSON: a transaction replaces all.
const MAX_BYTES: usize = 24 << 20;

/// Bytes of a row as JSON.
const MAX_ROW_BYTES: usize = 1 << 20;

/// A record of the store is full with so many bytes.
const PIECE_BYTES: usize = 1 << 20;

/// What the first two columns are called.
pub(super) const FIRST: [&str; 2] = ["labeling_set_id", "label"];

/// A file of labels as it was read: everything is text, and empty fields are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelFile {
    /// As errors name it.
    pub path: String,
    /// The names of its columns.
    pub header: Vec<String>,
    /// Its rows, each as long as the header.
    pub rows: Vec<Vec<Option<String>>>,
}

/// Labels of a transform, or of one file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LabelTable {
    /// The columns of the transform's table.
    pub columns: Vec<String>,
    /// Rows of a set stand together in the order in which they came.
    pub rows: Vec<LabelRow>,
}

/// What is said of one record in one set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LabelRow {
    /// The labelling set.
    pub set: String,
    /// The label; empty while nobody gave one.
    pub label: String,
    /// The record, column by column.
    pub values: Vec<Option<String>>,
}

/// Where the labels of a transform are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct KeptLabels {
    /// Rises when labels change.
    pub(crate) generation: u64,
    /// Records.
    pub(crate) pieces: u64,
    /// Rows with a label.
    pub(crate) labelled: u64,
}

impl LabelTable {
    /// The labels that files say, if they are what they must be: their columns, at most 50 rows a set, each record once in a
    /// set. `columns` are those of the transform's table, `id` the one that identifies a record.
    ///
    /// # Errors
    /// What is wrong, with file and line.
    pub fn read(files: &[LabelFile], columns: &[String], id: &str) -> Result<Self, String> {
        let mut table = Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        };
        let mut seen = Seen::default();
        for file in files {
            table.add_file(file, id, &mut seen)?;
        }
        if table.rows.is_empty() {
            let paths: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
            return Err(format!("there are no labels in {}", paths.join(", ")));
        }
        table.check_size()?;
        Ok(table)
    }

    fn add_file(&mut self, file: &LabelFile, id: &str, seen: &mut Seen) -> Result<(), String> {
        let places = places(file, &self.columns)?;
        let id_at = self.columns.iter().position(|column| same(column, id));
        let id_at = id_at.ok_or_else(|| format!("the table has no column {id:?} any more"))?;
        let lines = lines(file);
        for (row, line) in file.rows.iter().zip(lines) {
            let at = |why: String| format!("{}:{line}: {why}", file.path);
            let text = |place: usize| row.get(place).cloned().flatten();
            let row = LabelRow {
                set: trimmed(text(0)),
                label: trimmed(text(1)),
                values: places.iter().map(|place| text(*place)).collect(),
            };
            seen.add(&row, id_at, id, line).map_err(at)?;
            self.rows.push(row);
        }
        Ok(())
    }

    /// These labels and newer ones: what is newly said of a record in a set takes the place of what was said before.
    ///
    /// # Errors
    /// Together they are more than may be.
    pub(crate) fn and(mut self, newer: &Self, id: &str) -> Result<Self> {
        // The columns of the table may have changed since.
        self = self.with_columns(&newer.columns);
        let id_at = newer.columns.iter().position(|column| same(column, id));
        let id_of = |row: &LabelRow| id_at.and_then(|at| row.values.get(at).cloned().flatten());
        let said: HashSet<_> = newer
            .rows
            .iter()
            .map(|row| (&row.set, id_of(row)))
            .collect();
        self.rows
            .retain(|row| !said.contains(&(&row.set, id_of(row))));
        self.rows.extend(newer.rows.iter().cloned());
        // Stable: rows of a set stay in their order, and come together.
        let mut order: HashMap<String, usize> = HashMap::new();
        for row in &self.rows {
            let next = order.len();
            order.entry(row.set.clone()).or_insert(next);
        }
        self.rows.sort_by_key(|row| order[&row.set]);
        self.check_sets().map_err(Error::invalid)?;
        self.check_size().map_err(Error::invalid)?;
        Ok(self)
    }

    /// With the columns that they lack, which are empty: the table may have got them later.
    fn with_missing(self, columns: &[String]) -> Self {
        let missing = columns
            .iter()
            .filter(|column| self.position(column).is_none());
        let all: Vec<_> = self.columns.iter().chain(missing).cloned().collect();
        self.with_columns(&all)
    }

    /// That some label says which record it is about: `id` may not be the column by which they were given.
    pub(crate) fn check_ids(&self, id: &str) -> Result<(), String> {
        let at = self.position(id);
        let has_id =
            |row: &LabelRow| at.is_some_and(|at| row.values.get(at).is_some_and(Option::is_some));
        match self.rows.is_empty() || self.rows.iter().any(has_id) {
            true => Ok(()),
            false => Err(format!(
                "no label has a value of {id:?}, its primary key: the labels were given by another one; import them again \
                 with that column (StartImportLabelsTaskRun, ReplaceAllLabels)"
            )),
        }
    }

    fn with_columns(self, columns: &[String]) -> Self {
        if self.columns == columns {
            return self;
        }
        let places: Vec<_> = columns
            .iter()
            .map(|column| self.columns.iter().position(|known| same(known, column)))
            .collect();
        let row = |row: LabelRow| LabelRow {
            values: places
                .iter()
                .map(|place| place.and_then(|place| row.values.get(place).cloned().flatten()))
                .collect(),
            ..row
        };
        Self {
            columns: columns.to_vec(),
            rows: self.rows.into_iter().map(row).collect(),
        }
    }

    /// Whether they are what a worker may say: it may have been taken over by what it read.
    pub(crate) fn check(&self) -> Result<(), String> {
        let width = self.columns.len();
        let is_long = |text: &str| text.chars().count() > MAX_TEXT;
        let misfit = |row: &LabelRow| {
            row.values.len() != width
                || row.set.is_empty()
                || is_long(&row.set)
                || is_long(&row.label)
        };
        if self.rows.iter().any(misfit) {
            return Err("labels are not of the form that was checked".to_owned());
        }
        self.check_sets()?;
        self.check_size()
    }

    fn check_sets(&self) -> Result<(), String> {
        let mut sizes: HashMap<&str, usize> = HashMap::new();
        for row in &self.rows {
            *sizes.entry(&row.set).or_default() += 1;
        }
        match sizes.into_iter().filter(|(_, size)| *size > MAX_SET).min() {
            Some((set, size)) => Err(format!(
                "labeling set {set:?} has {size} records with those that were there, at most {MAX_SET} are allowed"
            )),
            None => Ok(()),
        }
    }

    fn check_size(&self) -> Result<(), String> {
        let (rows, sizes) = (self.rows.len(), self.rows.iter().map(LabelRow::bytes));
        let (bytes, most) = sizes.fold((0, 0), |(sum, most), size| (sum + size, size.max(most)));
        if most > MAX_ROW_BYTES {
            return Err(format!(
                "a labelled record has {most} bytes, at most {MAX_ROW_BYTES} are allowed"
            ));
        }
        if rows > MAX_ROWS {
            return Err(format!(
                "there are {rows} rows of labels, a transform keeps at most {MAX_ROWS}"
            ));
        }
        if bytes > MAX_BYTES {
            return Err(format!(
                "labels and their records have {bytes} bytes, a transform keeps at most {MAX_BYTES}"
            ));
        }
        Ok(())
    }

    /// Rows with a label.
    #[must_use]
    pub fn labelled(&self) -> u64 {
        let is_labelled = |row: &&LabelRow| !row.label.trim().is_empty();
        self.rows.iter().filter(is_labelled).count() as u64
    }

    /// What column `column` of the table says in each row.
    pub fn column(&self, column: usize) -> impl Iterator<Item = Option<&str>> {
        self.rows
            .iter()
            .map(move |row| row.values.get(column).and_then(Option::as_deref))
    }

    /// Where files say something of a record, as `file:line`, and how many other places there are.
    #[must_use]
    pub fn place_of(files: &[LabelFile], id: &str, record: &str) -> Option<(String, usize)> {
        let mut places = Vec::new();
        for file in files {
            let at = file.header.iter().position(|name| same(name, id));
            let Some(at) = at else { continue };
            let rows = file.rows.iter().zip(lines(file));
            let found =
                rows.filter(|(row, _)| row.get(at).and_then(Option::as_deref) == Some(record));
            places.extend(found.map(|(_, line)| format!("{}:{line}", file.path)));
        }
        let others = places.len().checked_sub(1)?;
        Some((places.swap_remove(0), others))
    }

    /// Where the column of this name is.
    #[must_use]
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|known| same(known, column))
    }
}

impl LabelRow {
    /// As JSON.
    fn bytes(&self) -> usize {
        serde_json::to_vec(self).map_or(usize::MAX, |json| json.len())
    }
}

/// A set's id or a label: blanks around it say nothing, and blanks alone are none.
fn trimmed(text: Option<String>) -> String {
    text.unwrap_or_default().trim().to_owned()
}

/// Names of columns differ by more than their case: the catalog has them in small letters.
fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Where each column of the table is in a file.
fn places(file: &LabelFile, columns: &[String]) -> Result<Vec<usize>, String> {
    let at = |why: String| format!("{}:1: {why}", file.path);
    let begins = file.header.iter().map(String::as_str).take(2);
    if !begins.eq(FIRST) {
        let found = file
            .header
            .iter()
            .take(2)
            .cloned()
            .collect::<Vec<_>>()
            .join(",");
        return Err(at(format!(
            "the header begins with {found:?}; a file of labels begins with the columns labeling_set_id,label, and those of the \
             table follow"
        )));
    }
    let known = |name: &String| columns.iter().any(|column| same(column, name));
    if let Some(unknown) = file.header.iter().skip(2).find(|name| !known(name)) {
        return Err(at(format!(
            "column {unknown:?} is none of the table's, which are {}",
            columns.join(", ")
        )));
    }
    let place = |column: &String| {
        let found = file
            .header
            .iter()
            .skip(2)
            .position(|name| same(name, column));
        found
            .map(|place| place + 2)
            .ok_or_else(|| at(format!("column {column:?} of the table is missing")))
    };
    columns.iter().map(place).collect()
}

/// The line on which each row begins: quoted fields may go over several. Blank lines are none.
fn lines(file: &LabelFile) -> Vec<usize> {
    let breaks = |text: &str| text.bytes().filter(|byte| *byte == b'\n').count();
    let mut line = 1 + file.header.iter().map(|name| breaks(name)).sum::<usize>();
    let mut lines = Vec::with_capacity(file.rows.len());
    for row in &file.rows {
        line += 1;
        lines.push(line);
        line += row
            .iter()
            .flatten()
            .map(|value| breaks(value))
            .sum::<usize>();
    }
    lines
}

/// What was read so far.
#[derive(Default)]
struct Seen {
    sizes: HashMap<String, usize>,
    /// Set and record to the line of their row.
    records: HashMap<(String, String), usize>,
}

impl Seen {
    fn add(&mut self, row: &LabelRow, id_at: usize, id: &str, line: usize) -> Result<(), String> {
        let set = &row.set;
        if set.is_empty() {
            return Err("labeling_set_id is empty".to_owned());
        }
        for (what, text) in [("labeling_set_id", set), ("label", &row.label)] {
            if text.chars().count() > MAX_TEXT {
                return Err(format!("{what} has more than {MAX_TEXT} characters"));
            }
        }
        let Some(record) = row.values.get(id_at).cloned().flatten() else {
            return Err(format!("{id} is empty: it says which record is meant"));
        };
        let size = self.sizes.entry(set.clone()).or_default();
        *size += 1;
        if *size > MAX_SET {
            return Err(format!(
                "labeling set {set:?} has more than {MAX_SET} records; divide it into several"
            ));
        }
        match self.records.insert((set.clone(), record.clone()), line) {
            Some(first) => Err(format!(
                "record {id} = {record:?} stands in labeling set {set:?} twice, first on line {first}"
            )),
            None => Ok(()),
        }
    }
}

impl TenantJobs {
    /// The labels of the transform with this number, in the columns in which they were given and all of `columns`.
    pub(crate) fn kept_labels(&self, transform: u64, columns: &[String]) -> Result<LabelTable> {
        let (mut rows, mut after) = (Vec::new(), None);
        let below = stored::label_pieces(transform);
        loop {
            let (found, next) =
                self.list::<LabelPiece>(Tree::Run, &below, after.as_ref(), MAX_PAGE)?;
            rows.extend(found.into_iter().map(|(_, piece)| piece));
            after = next;
            if after.is_none() {
                break;
            }
        }
        let own = rows.first().map_or(columns, |piece| &piece.columns);
        let labels = LabelTable {
            columns: own.to_vec(),
            rows: rows.into_iter().flat_map(|piece| piece.rows).collect(),
        };
        Ok(labels.with_missing(columns))
    }

    /// Keeps labels in the place of those that were there.
    pub(crate) fn with_labels(
        &self,
        mut transaction: Transaction,
        transform: u64,
        old: KeptLabels,
        labels: &LabelTable,
    ) -> Result<(Transaction, KeptLabels)> {
        let mut pieces = 0;
        for rows in pieces_of(&labels.rows) {
            let piece = LabelPiece {
                columns: labels.columns.clone(),
                rows: rows.to_vec(),
            };
            let key = stored::label_piece(transform, pieces);
            transaction = transaction.put(Tree::Run, key, SCHEMA, stored::encode(&piece)?);
            pieces += 1;
        }
        for surplus in pieces..old.pieces {
            transaction = transaction.delete(Tree::Run, stored::label_piece(transform, surplus));
        }
        let kept = KeptLabels {
            generation: old.generation + 1,
            pieces,
            labelled: labels.labelled(),
        };
        Ok((transaction, kept))
    }
}

/// Rows that are kept together.
fn pieces_of(rows: &[LabelRow]) -> Vec<&[LabelRow]> {
    let (mut pieces, mut begin, mut bytes) = (Vec::new(), 0, 0);
    for (at, row) in rows.iter().enumerate() {
        bytes += row.bytes();
        if bytes >= PIECE_BYTES || at + 1 == rows.len() {
            pieces.push(&rows[begin..=at]);
            (begin, bytes) = (at + 1, 0);
        }
    }
    pieces
}

/// Some rows as they are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LabelPiece {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<LabelRow>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<String> {
        ["id", "name"].map(str::to_owned).to_vec()
    }

    fn file(rows: &[[&str; 4]]) -> LabelFile {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        LabelFile {
            path: "labels.csv".to_owned(),
            header: ["labeling_set_id", "label", "id", "name"]
                .map(str::to_owned)
                .to_vec(),
            rows: rows.iter().map(|row| row.map(some).to_vec()).collect(),
        }
    }

    fn read(file: &LabelFile) -> Result<LabelTable, String> {
        LabelTable::read(std::slice::from_ref(file), &columns(), "ID")
    }

    #[test]
    fn labels_are_read_whatever_the_order_of_the_columns() {
        let mut given = file(&[["s", "A", "Ann", "1"], ["s", "", "Bob", "2"]]);
        given.header.swap(2, 3);
        given.header[3] = "Id".to_owned();
        let labels = read(&given).unwrap();
        assert_eq!(labels.labelled(), 1);
        let ids: Vec<_> = labels
            .column(labels.position("id").unwrap())
            .flatten()
            .collect();
        assert_eq!(ids, ["1", "2"]);
        assert_eq!(labels.columns, columns());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let refused = |file: &LabelFile| read(file).unwrap_err();
        let mut swapped = file(&[["s", "A", "1", "x"]]);
        swapped.header.swap(0, 1);
        assert!(
            refused(&swapped)
                .starts_with("labels.csv:1: the header begins with \"label,labeling_set_id\"")
        );
        let mut other = file(&[["s", "A", "1", "x"]]);
        other.header[3] = "city".to_owned();
        assert_eq!(
            refused(&other),
            "labels.csv:1: column \"city\" is none of the table's, which are id, name"
        );
        other.header.truncate(3);
        assert_eq!(
            refused(&other),
            "labels.csv:1: column \"name\" of the table is missing"
        );
        let broken = file(&[["s", "A", "1", "two\nlines"], ["", "A", "2", "x"]]);
        assert_eq!(refused(&broken), "labels.csv:4: labeling_set_id is empty");
        let nobody = file(&[["s", "A", "", "x"]]);
        assert!(refused(&nobody).starts_with("labels.csv:2: ID is empty"));
        let twice = file(&[
            ["s", "A", "1", "x"],
            ["t", "A", "1", "x"],
            ["s", "B", "1", "x"],
        ]);
        assert_eq!(
            refused(&twice),
            "labels.csv:4: record ID = \"1\" stands in labeling set \"s\" twice, first on line 2"
        );
        assert_eq!(refused(&file(&[])), "there are no labels in labels.csv");
    }

    #[test]
    fn blanks_around_sets_and_labels_say_nothing() {
        let labels = read(&file(&[
            [" s", "A ", "1", " x "],
            ["s ", "A", "2", "x"],
            ["s", " ", "3", "x"],
        ]))
        .unwrap();
        let said: Vec<_> = labels
            .rows
            .iter()
            .map(|row| (row.set.as_str(), row.label.as_str()))
            .collect();
        assert_eq!(said, [("s", "A"), ("s", "A"), ("s", "")]);
        assert_eq!(labels.rows[0].values[1].as_deref(), Some(" x "));
        let twice = file(&[["s", "A", "1", "x"], ["s ", "B", "1", "x"]]);
        assert!(read(&twice).unwrap_err().contains("\"s\" twice"));
        let nowhere = file(&[[" ", "A", "1", "x"]]);
        assert_eq!(
            read(&nowhere).unwrap_err(),
            "labels.csv:2: labeling_set_id is empty"
        );
        // Those of a worker, and those that were kept before, may have blanks.
        let blank = LabelRow {
            label: " ".to_owned(),
            ..labels.rows[0].clone()
        };
        let table = LabelTable {
            rows: vec![blank],
            ..labels
        };
        assert_eq!(table.labelled(), 0);
    }

    #[test]
    fn a_record_is_found_in_the_files_that_name_it() {
        let given = file(&[
            ["s", "A", "1", "a\nb"],
            ["s", "A", "2", "x"],
            ["t", "A", "2", "x"],
        ]);
        let found = LabelTable::place_of(std::slice::from_ref(&given), "ID", "2");
        assert_eq!(found, Some(("labels.csv:4".to_owned(), 1)));
        assert_eq!(LabelTable::place_of(&[given], "ID", "3"), None);
    }

    #[test]
    fn a_set_has_at_most_fifty_rows() {
        let ids: Vec<String> = (0..51).map(|id| id.to_string()).collect();
        let rows: Vec<_> = ids.iter().map(|id| ["s", "A", id, "x"]).collect();
        assert_eq!(read(&file(&rows[..50])).unwrap().rows.len(), 50);
        let refused = read(&file(&rows)).unwrap_err();
        assert_eq!(
            refused,
            "labels.csv:52: labeling set \"s\" has more than 50 records; divide it into several"
        );
        // Also when it grows.
        let (old, new) = (
            read(&file(&rows[..30])).unwrap(),
            read(&file(&rows[20..])).unwrap(),
        );
        let refused = old.and(&new, "id").unwrap_err().to_string();
        assert!(refused.contains("\"s\" has 51 records"), "{refused}");
    }

    #[test]
    fn what_is_newly_said_takes_the_place_of_what_was() {
        let old = read(&file(&[
            ["s", "A", "1", "x"],
            ["s", "A", "2", "x"],
            ["t", "A", "1", "x"],
        ]))
        .unwrap();
        let new = read(&file(&[["s", "B", "2", "y"], ["s", "B", "3", "z"]])).unwrap();
        let all = old.and(&new, "id").unwrap();
        let said: Vec<_> = all
            .rows
            .iter()
            .map(|row| {
                (
                    row.set.as_str(),
                    row.label.as_str(),
                    row.values[0].as_deref().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            said,
            [
                ("s", "A", "1"),
                ("s", "B", "2"),
                ("s", "B", "3"),
                ("t", "A", "1")
            ]
        );
    }

    #[test]
    fn columns_that_the_table_got_later_are_empty() {
        let old = read(&file(&[["s", "A", "1", "x"]])).unwrap();
        let wider = LabelTable {
            columns: ["id", "city", "name"].map(str::to_owned).to_vec(),
            rows: Vec::new(),
        };
        let all = old.and(&wider, "id").unwrap();
        let values = [Some("1".to_owned()), None, Some("x".to_owned())];
        assert_eq!(all.rows[0].values, values);
    }

    #[test]
    fn labels_without_a_value_of_the_key_name_no_record() {
        let old = read(&file(&[["s", "A", "1", "x"], ["s", "A", "2", ""]])).unwrap();
        let labels = old.with_missing(&["ID", "email"].map(str::to_owned));
        assert_eq!(labels.columns, ["id", "name", "email"]);
        assert_eq!(labels.rows[0].values.len(), 3);
        labels.check_ids("ID").unwrap();
        labels.check_ids("name").unwrap();
        let refused = labels.check_ids("email").unwrap_err();
        assert!(
            refused.starts_with("no label has a value of \"email\""),
            "{refused}"
        );
        labels.check_ids("phone").unwrap_err();
        LabelTable::default().check_ids("email").unwrap();
    }

    #[test]
    fn large_rows_are_kept_in_pieces_and_none_is_lost() {
        let row = |bytes: usize| LabelRow {
            set: "s".to_owned(),
            label: String::new(),
            values: vec![Some("x".repeat(bytes))],
        };
        let rows = [row(400_000), row(400_000), row(400_000), row(5)];
        let pieces: Vec<_> = pieces_of(&rows).iter().map(|piece| piece.len()).collect();
        assert_eq!(pieces, [3, 1]);
        assert!(pieces_of(&[]).is_empty());
        let table = LabelTable {
            columns: vec!["c".to_owned()],
            rows: vec![row(MAX_ROW_BYTES)],
        };
        assert!(
            table
                .check()
                .unwrap_err()
                .contains("at most 1048576 are allowed")
        );
    }

    #[test]
    fn what_a_worker_says_is_checked_again() {
        let mut labels = read(&file(&[["s", "A", "1", "x"]])).unwrap();
        labels.check().unwrap();
        labels.rows[0].values.pop();
        labels.check().unwrap_err();
    }
}
