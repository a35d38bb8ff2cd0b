//! What people said: label sets to pairs that match and pairs that do not.
//!
//! Glue's form: rows of a label set carry a label; equal labels in a set mean one thing, different ones different things,
//! across sets nothing is said. An empty label is a row that nobody has judged yet.

use std::collections::BTreeMap;

use crate::error::Error;

/// Rows that a label set may have: people do not compare more at once (Glue has the same limit).
const ROWS: usize = 50;
/// How many examples an error names.
const NAMED: usize = 3;

/// One row of a label file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelRow {
    /// Which row of the file, from 1.
    pub line: u64,
    /// The label set.
    pub set: String,
    /// The label; empty when the row was not judged.
    pub label: String,
    /// The record's id as written.
    pub id: String,
    /// The record; `None` when no record has the id.
    pub record: Option<u32>,
}

/// Two records and what was said of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabelledPair {
    /// First record, below `b`.
    pub a: u32,
    /// Second record.
    pub b: u32,
    /// Whether they are one thing.
    pub is_match: bool,
}

/// All that was said, free of contradictions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Pairs in order, each once.
    pub pairs: Vec<LabelledPair>,
    /// Label sets with a pair.
    pub sets: usize,
}

impl Labels {
    /// Reads label rows, in any order.
    ///
    /// # Errors
    /// [`Error::Labels`]: ids that no record or several have, sets of too many rows, rows that contradict each other,
    /// directly or by what follows from others.
    pub fn new(mut rows: Vec<LabelRow>) -> Result<Self, Error> {
        rows.sort_by_key(|row| (row.line, row.record));
        refuse_ambiguous(&rows)?;
        rows.retain(|row| !row.label.trim().is_empty());
        refuse_unknown(&rows)?;
        let mut sets: BTreeMap<&str, Vec<(&LabelRow, u32)>> = BTreeMap::new();
        for row in &rows {
            if let Some(record) = row.record {
                sets.entry(row.set.trim()).or_default().push((row, record));
            }
        }
        let mut said: BTreeMap<(u32, u32), (bool, &LabelRow, &LabelRow)> = BTreeMap::new();
        let mut telling = 0;
        for (name, rows) in &sets {
            if rows.len() > ROWS {
                return Err(Error::Labels(format!(
                    "label set {name:?} has {} rows; a set may have {ROWS}",
                    rows.len()
                )));
            }
            telling += usize::from(rows.len() > 1);
            for (at, (x, a)) in rows.iter().enumerate() {
                for (y, b) in rows.iter().skip(at + 1).filter(|(_, b)| b != a) {
                    let is_match = x.label.trim() == y.label.trim();
                    let entry = said.entry((*a.min(b), *a.max(b)));
                    let known = entry.or_insert((is_match, x, y));
                    if known.0 != is_match {
                        return Err(contradiction(x, y, known.1, known.2));
                    }
                }
            }
        }
        let labels = Self {
            pairs: said
                .iter()
                .map(|((a, b), (is_match, ..))| LabelledPair {
                    a: *a,
                    b: *b,
                    is_match: *is_match,
                })
                .collect(),
            sets: telling,
        };
        labels.refuse_what_follows(&said)?;
        Ok(labels)
    }

    /// Pairs said to be one thing.
    pub fn matches(&self) -> impl Iterator<Item = &LabelledPair> {
        self.pairs.iter().filter(|pair| pair.is_match)
    }

    /// Of each record that was judged, the first of all those that pairs connect it with.
    pub(crate) fn groups(&self) -> BTreeMap<u32, u32> {
        let mut parent: BTreeMap<u32, u32> = BTreeMap::new();
        for pair in &self.pairs {
            let (a, b) = (root(&mut parent, pair.a), root(&mut parent, pair.b));
            parent.insert(a.max(b), a.min(b));
            parent.entry(a.min(b)).or_insert(a.min(b));
        }
        let records: Vec<u32> = parent.keys().copied().collect();
        let first = |record: u32| (record, root(&mut parent, record));
        records.into_iter().map(first).collect()
    }

    /// If A is B and B is C, then A is C, whatever set says otherwise.
    fn refuse_what_follows(
        &self,
        said: &BTreeMap<(u32, u32), (bool, &LabelRow, &LabelRow)>,
    ) -> Result<(), Error> {
        let mut parent: BTreeMap<u32, u32> = BTreeMap::new();
        for pair in self.matches() {
            let (a, b) = (root(&mut parent, pair.a), root(&mut parent, pair.b));
            parent.insert(a.max(b), a.min(b));
        }
        for pair in self.pairs.iter().filter(|pair| !pair.is_match) {
            if root(&mut parent, pair.a) != root(&mut parent, pair.b) {
                continue;
            }
            if let Some((_, x, y)) = said.get(&(pair.a, pair.b)) {
                return Err(Error::Labels(format!(
                    "the labels contradict each other: {:?} and {:?} differ in label set {:?} (rows {} and {}), but by \
                     the matches of other sets they are one; correct one of the sets",
                    x.id, y.id, x.set, x.line, y.line
                )));
            }
        }
        Ok(())
    }
}

fn root(parent: &mut BTreeMap<u32, u32>, mut record: u32) -> u32 {
    while let Some(up) = parent.get(&record).copied().filter(|up| *up != record) {
        record = up;
    }
    record
}

fn contradiction(x: &LabelRow, y: &LabelRow, other_x: &LabelRow, other_y: &LabelRow) -> Error {
    Error::Labels(format!(
        "the labels contradict each other: {:?} and {:?} are one thing in one place and two in another, label set {:?} \
         (rows {} and {}) and label set {:?} (rows {} and {}); correct one of them",
        x.id, y.id, other_x.set, other_x.line, other_y.line, x.set, x.line, y.line
    ))
}

/// One row of the file that names several records.
fn refuse_ambiguous(rows: &[LabelRow]) -> Result<(), Error> {
    let twice = rows.windows(2).find(|pair| pair[0].line == pair[1].line);
    twice.map_or(Ok(()), |pair| {
        Err(Error::Labels(format!(
            "row {} of the labels: several records have the id {:?}; labels need ids that name one record",
            pair[0].line, pair[0].id
        )))
    })
}

fn refuse_unknown(rows: &[LabelRow]) -> Result<(), Error> {
    let unknown: Vec<String> = rows
        .iter()
        .filter(|row| row.record.is_none())
        .map(|row| format!("{:?} (row {})", row.id, row.line))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let shown = unknown.iter().take(NAMED).cloned().collect::<Vec<_>>();
    let more = unknown.len().saturating_sub(NAMED);
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    Err(Error::Labels(format!(
        "the labels name ids that no record has: {}{rest}",
        shown.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: u64, set: &str, label: &str, record: u32) -> LabelRow {
        LabelRow {
            line,
            set: set.to_owned(),
            label: label.to_owned(),
            id: format!("r{record}"),
            record: Some(record),
        }
    }

    fn pair(a: u32, b: u32, is_match: bool) -> LabelledPair {
        LabelledPair { a, b, is_match }
    }

    fn refused(rows: Vec<LabelRow>) -> String {
        Labels::new(rows).unwrap_err().to_string()
    }

    #[test]
    fn equal_labels_of_one_set_match() {
        let rows = vec![
            row(1, "s", "A", 2),
            row(2, "s", "A ", 1),
            row(3, "s", "B", 5),
            row(4, "t", "A", 7),
            row(5, "t", "", 8),
        ];
        let labels = Labels::new(rows).unwrap();
        assert_eq!(
            labels.pairs,
            [pair(1, 2, true), pair(1, 5, false), pair(2, 5, false)]
        );
        assert_eq!(labels.sets, 1);
        let groups = labels.groups();
        assert_eq!(groups, BTreeMap::from([(1, 1), (2, 1), (5, 1)]));
    }

    #[test]
    fn contradictions_are_named() {
        let direct = vec![
            row(1, "s", "A", 1),
            row(2, "s", "A", 2),
            row(3, "t", "A", 1),
            row(4, "t", "B", 2),
        ];
        assert_eq!(
            refused(direct),
            "the labels contradict each other: \"r1\" and \"r2\" are one thing in one place and two in another, label set \
             \"s\" (rows 1 and 2) and label set \"t\" (rows 3 and 4); correct one of them"
        );
        let followed = vec![
            row(1, "s", "A", 1),
            row(2, "s", "A", 2),
            row(3, "t", "A", 2),
            row(4, "t", "A", 3),
            row(5, "u", "A", 1),
            row(6, "u", "B", 3),
        ];
        assert!(refused(followed).contains("differ in label set \"u\" (rows 5 and 6)"));
    }

    #[test]
    fn ids_that_are_wrong_are_named() {
        let mut unknown: Vec<LabelRow> = (1..6).map(|line| row(line, "s", "A", 0)).collect();
        unknown.iter_mut().for_each(|row| row.record = None);
        assert_eq!(
            refused(unknown),
            "the labels name ids that no record has: \"r0\" (row 1), \"r0\" (row 2), \"r0\" (row 3) and 2 more"
        );
        let twice = vec![
            row(1, "s", "A", 3),
            LabelRow {
                record: Some(9),
                ..row(1, "s", "A", 3)
            },
        ];
        assert!(refused(twice).contains("several records have the id \"r3\""));
        let crowd = (0..51).map(|n| row(u64::from(n), "s", "A", n)).collect();
        assert_eq!(
            refused(crowd),
            "label set \"s\" has 51 rows; a set may have 50"
        );
    }
}
