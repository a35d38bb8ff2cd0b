//! [`Book`]: the answers, in the CSV that Glue reads: a row for each record of a labelling set.
//!
//! ```text
//! labeling_set_id,label,id,name,...
//! pair-1,A,p17,ann lee,...            equal labels within a set: the same
//! pair-1,A,p94,anne lee,...
//! pair-2,A,p17,ann lee,...            different labels: different
//! pair-2,B,p20,bob lee,...
//! ```
//!
//! An answer is on disk before the next question is asked, in one write, so that neither Ctrl-C nor a power cut loses
//! more than the answer under way. The file is locked against a second session.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::session::Question;
use crate::error::{Explain, Failure};
use crate::exit::Exit;

const SET: &str = "labeling_set_id";
const LABEL: &str = "label";
/// What our own sets are called; a number follows.
const OWN: &str = "pair-";

/// Labels of two records of one set.
type Pair = (String, String);

/// A file of labels.
#[derive(Debug)]
pub(super) struct Book {
    path: PathBuf,
    file: File,
    /// The column of ids.
    id: String,
    /// Two tables are linked: the sides of a pair are not the same when they change places.
    link: bool,
    /// Its columns; none while it is empty.
    header: Vec<String>,
    /// This session wrote them.
    is_new: bool,
    /// Pairs, and whether they are the same.
    pairs: BTreeMap<Pair, bool>,
    /// The number of the next set.
    next: u64,
    changes: u64,
}

/// Where an answer begins in the file, and what it is about.
#[derive(Debug)]
pub(super) struct Mark {
    length: u64,
    pair: Pair,
}

impl Book {
    /// Opens it, or begins one.
    ///
    /// # Errors
    /// The file cannot be used, is in use, or is no file of labels.
    pub(super) fn open(path: &Path, id: &str, link: bool) -> Result<Self, Failure> {
        let what = || format!("cannot open {}", path.display());
        let mut file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .what(what)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let what = format!("{} is being labelled already", path.display());
                return Err(Failure::new(what).with_exit(Exit::Conflict));
            }
            Err(TryLockError::Error(error)) => return Err(error).what(what),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).what(what)?;
        let mut book = Self {
            path: path.to_path_buf(),
            file,
            id: id.to_owned(),
            link,
            header: Vec::new(),
            is_new: false,
            pairs: BTreeMap::new(),
            next: 1,
            changes: 0,
        };
        let complete = complete(&text);
        book.load(complete)
            .what(|| format!("{} is no file of labels", path.display()))
            .hint(format!("it needs the columns {SET}, {LABEL} and {id}"))?;
        book.mend(&text, complete)?;
        Ok(book)
    }

    /// The column of ids.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// How many pairs are the same.
    pub(super) fn same(&self) -> usize {
        self.pairs.values().filter(|same| **same).count()
    }

    /// How many are different.
    pub(super) fn different(&self) -> usize {
        self.pairs.len() - self.same()
    }

    /// A number that grows with each answer, also one taken back.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// What tells a pair from others.
    pub(super) fn pair(&self, sides: &[Map<String, Value>; 2]) -> Pair {
        let [a, b] = sides.each_ref().map(|side| text(side, &self.id));
        self.ordered(a, b)
    }

    /// Whether it is labelled.
    pub(super) fn knows(&self, pair: &Pair) -> bool {
        self.pairs.contains_key(pair)
    }

    /// Writes an answer; it is on disk when this returns.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn add(&mut self, question: &Question, same: bool) -> Result<Mark, Failure> {
        if self.header.is_empty() {
            self.begin(&question.columns)?;
        }
        let length = self.length()?;
        let set = format!("{OWN}{}", self.next);
        let labels = ["A", if same { "A" } else { "B" }];
        let rows = question.sides.iter().zip(labels);
        let rows: Vec<Vec<String>> = rows
            .map(|(side, label)| self.row(&set, label, side))
            .collect();
        self.append(&rows)?;
        let pair = self.pair(&question.sides);
        self.pairs.insert(pair.clone(), same);
        self.next += 1;
        self.changes += 1;
        Ok(Mark { length, pair })
    }

    /// Removes the last answer.
    ///
    /// # Errors
    /// The file cannot be cut.
    pub(super) fn take_back(&mut self, mark: Mark) -> Result<(), Failure> {
        self.file
            .set_len(mark.length)
            .and_then(|()| self.file.sync_data())
            .what(|| format!("cannot take an answer back from {}", self.path.display()))?;
        self.pairs.remove(&mark.pair);
        self.changes += 1;
        Ok(())
    }

    fn ordered(&self, a: String, b: String) -> Pair {
        match self.link || a <= b {
            true => (a, b),
            false => (b, a),
        }
    }

    /// Reads what earlier sessions and others have written.
    fn load(&mut self, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        let mut reader = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
        self.header = reader.headers()?.iter().map(str::to_owned).collect();
        let [set, label, id] = [SET, LABEL, self.id.as_str()].map(|name| self.position(name));
        let (set, label, id) = (set?, label?, id?);
        let mut sets: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for record in reader.records() {
            let record = record?;
            let value = |at: usize| record.get(at).unwrap_or_default().to_owned();
            let trimmed = |at: usize| value(at).trim().to_owned();
            sets.entry(trimmed(set))
                .or_default()
                .push((value(id), trimmed(label)));
        }
        for (name, rows) in sets {
            let number = name
                .strip_prefix(OWN)
                .and_then(|number| number.parse::<u64>().ok());
            self.next = self
                .next
                .max(number.map_or(0, |number| number.saturating_add(1)));
            self.add_set(&rows);
        }
        Ok(())
    }

    /// All pairs of a set whose two labels are there.
    fn add_set(&mut self, rows: &[(String, String)]) {
        let labelled: Vec<&(String, String)> =
            rows.iter().filter(|row| !row.1.is_empty()).collect();
        for (at, a) in labelled.iter().enumerate() {
            for b in &labelled[at + 1..] {
                let pair = self.ordered(a.0.clone(), b.0.clone());
                self.pairs.insert(pair, a.1 == b.1);
            }
        }
    }

    fn position(&self, name: &str) -> Result<usize, Failure> {
        let position = self.header.iter().position(|column| column == name);
        let has = self.header.join(", ");
        position.ok_or_else(|| Failure::new(format!("there is no column {name:?}; it has {has}")))
    }

    /// Cuts off the row that a power cut has left half written, and ends the last line.
    fn mend(&mut self, text: &str, complete: &str) -> Result<(), Failure> {
        let what = || format!("cannot mend the end of {}", self.path.display());
        if complete.len() < text.len() {
            self.file.set_len(complete.len() as u64).what(what)?;
        }
        if !complete.is_empty() && !complete.ends_with('\n') {
            self.file.write_all(b"\n").what(what)?;
        }
        Ok(())
    }

    /// The header of a new file.
    fn begin(&mut self, columns: &[String]) -> Result<(), Failure> {
        let leading = [SET, LABEL].map(str::to_owned);
        let own = columns.iter().filter(|column| !leading.contains(*column));
        self.header = leading.iter().chain(own).cloned().collect();
        self.append(std::slice::from_ref(&self.header))?;
        self.is_new = true;
        // The file's name is on disk when its folder is.
        let folder = self
            .path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .what(|| format!("cannot keep {}", self.path.display()))
    }

    /// A record in the order of the file's columns.
    fn row(&self, set: &str, label: &str, record: &Map<String, Value>) -> Vec<String> {
        let value = |column: &String| match column.as_str() {
            SET => set.to_owned(),
            LABEL => label.to_owned(),
            other => text(record, other),
        };
        self.header.iter().map(value).collect()
    }

    fn append(&self, rows: &[Vec<String>]) -> Result<(), Failure> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in rows {
            writer.write_record(row)?;
        }
        let bytes = writer
            .into_inner()
            .map_err(|error| Failure::new(error.to_string()))?;
        (&self.file)
            .write_all(&bytes)
            .and_then(|()| self.file.sync_data())
            .what(|| format!("cannot write {}", self.path.display()))
    }

    fn length(&mut self) -> Result<u64, Failure> {
        let end = self.file.seek(SeekFrom::End(0));
        end.what(|| format!("cannot read {}", self.path.display()))
    }
}

/// A session without answers leaves no empty file.
impl Drop for Book {
    fn drop(&mut self) {
        if self.header.is_empty() || (self.is_new && self.pairs.is_empty()) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The text without a last row that has fewer values than the header and no end of line.
fn complete(text: &str) -> &str {
    if text.ends_with('\n') {
        return text;
    }
    let mut builder = csv::ReaderBuilder::new();
    let mut reader = builder.flexible(true).from_reader(text.as_bytes());
    let columns = reader.headers().map_or(0, csv::StringRecord::len);
    let last = reader.records().last().and_then(Result::ok);
    let torn = last.filter(|row| row.len() < columns);
    let start = torn.and_then(|row| usize::try_from(row.position()?.byte()).ok());
    start.and_then(|start| text.get(..start)).unwrap_or(text)
}

fn text(record: &Map<String, Value>, column: &str) -> String {
    match record.get(column) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use serde_json::json;

    fn question(a: &str, b: &str) -> Question {
        let side = |id: &str| {
            let record = json!({"id": id, "name": format!("{id}, \"the\" one"), "city": null});
            record.as_object().unwrap().clone()
        };
        Question {
            columns: Arc::from(["id", "name", "city"].map(str::to_owned)),
            probability: 0.5,
            sides: [side(a), side(b)],
        }
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.csv");
        (folder, path)
    }

    #[test]
    fn answers_are_rows_that_can_be_read_again() {
        let (_folder, path) = folder();
        let mut book = Book::open(&path, "id", false).unwrap();
        book.add(&question("b", "a"), true).unwrap();
        book.add(&question("a", "c"), false).unwrap();
        drop(book);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "labeling_set_id,label,id,name,city\n\
             pair-1,A,b,\"b, \"\"the\"\" one\",\n\
             pair-1,A,a,\"a, \"\"the\"\" one\",\n\
             pair-2,A,a,\"a, \"\"the\"\" one\",\n\
             pair-2,B,c,\"c, \"\"the\"\" one\",\n"
        );
        let mut book = Book::open(&path, "id", false).unwrap();
        assert_eq!((book.same(), book.different()), (1, 1));
        assert!(book.knows(&("a".to_owned(), "b".to_owned())));
        book.add(&question("x", "y"), true).unwrap();
        assert!(
            std::fs::read_to_string(&path)
                .unwrap()
                .contains("\npair-3,A,x,")
        );
    }

    #[test]
    fn the_last_answer_can_be_taken_back() {
        let (_folder, path) = folder();
        let mut book = Book::open(&path, "id", false).unwrap();
        book.add(&question("a", "b"), true).unwrap();
        let before = std::fs::read_to_string(&path).unwrap();
        let mark = book.add(&question("a", "c"), true).unwrap();
        book.take_back(mark).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
        assert_eq!((book.same(), book.different()), (1, 0));
        book.add(&question("a", "c"), false).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 5);
    }

    #[test]
    fn the_sets_of_glue_count_as_pairs_and_keep_their_columns() {
        let (_folder, path) = folder();
        let sets = "label,id,labeling_set_id\n1,a,s1\n1,b,s1\n2,c,s1\n,d,s1\n";
        std::fs::write(&path, sets).unwrap();
        let mut book = Book::open(&path, "id", false).unwrap();
        assert_eq!((book.same(), book.different()), (1, 2));
        book.add(&question("d", "e"), true).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{sets}A,d,pair-1\nA,e,pair-1\n"));
    }

    #[test]
    fn half_a_row_is_cut_off_and_a_last_line_without_end_is_kept() {
        let (_folder, path) = folder();
        let whole = "labeling_set_id,label,id\npair-1,A,a\npair-1,A,b";
        std::fs::write(&path, whole).unwrap();
        assert_eq!(Book::open(&path, "id", false).unwrap().same(), 1);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            format!("{whole}\n")
        );
        std::fs::write(&path, format!("{whole}\npair-2,A")).unwrap();
        assert_eq!(Book::open(&path, "id", false).unwrap().same(), 1);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            format!("{whole}\n")
        );
    }

    #[test]
    fn a_last_row_of_several_lines_is_whole_when_its_values_are_all_there() {
        let (_folder, path) = folder();
        let whole = "labeling_set_id,label,id,name\npair-1,A,a,x\npair-1,A,b,\"two\nlines\"";
        std::fs::write(&path, whole).unwrap();
        assert_eq!(Book::open(&path, "id", false).unwrap().same(), 1);
        let torn = format!("{whole}\npair-2,A,\"two\nli");
        std::fs::write(&path, torn).unwrap();
        assert_eq!(Book::open(&path, "id", false).unwrap().same(), 1);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{whole}\n"));
    }

    #[test]
    fn another_file_is_refused_as_it_is() {
        let (_folder, path) = folder();
        std::fs::write(&path, "id,name\n1,ann\n").unwrap();
        let failure = Book::open(&path, "id", false).unwrap_err();
        assert!(
            failure
                .to_string()
                .contains("no column \"labeling_set_id\"; it has id, name"),
            "{failure}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "id,name\n1,ann\n");
    }

    #[test]
    fn a_session_without_answers_leaves_nothing_and_a_second_one_waits_outside() {
        let (_folder, path) = folder();
        let book = Book::open(&path, "id", false).unwrap();
        assert_eq!(
            Book::open(&path, "id", false).unwrap_err().exit(),
            Exit::Conflict
        );
        drop(book);
        assert!(!path.exists());
    }

    #[test]
    fn a_session_whose_answers_were_all_taken_back_leaves_nothing() {
        let (_folder, path) = folder();
        let mut book = Book::open(&path, "id", false).unwrap();
        let mark = book.add(&question("a", "b"), true).unwrap();
        book.take_back(mark).unwrap();
        drop(book);
        assert!(!path.exists());
        // What others wrote stays, whatever is in it.
        let header = "labeling_set_id,label,id,name\n";
        std::fs::write(&path, header).unwrap();
        let mut book = Book::open(&path, "id", false).unwrap();
        let mark = book.add(&question("a", "b"), true).unwrap();
        book.take_back(mark).unwrap();
        drop(book);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), header);
    }

    #[test]
    fn blanks_around_sets_and_labels_say_nothing() {
        let (_folder, path) = folder();
        let sets = "labeling_set_id,label,id\ns1 ,A,a\n s1, A ,b\ns1, ,c\ns1, ,d\n pair-7,A,e\n";
        std::fs::write(&path, sets).unwrap();
        let mut book = Book::open(&path, "id", false).unwrap();
        assert_eq!((book.same(), book.different()), (1, 0));
        book.add(&question("x", "y"), true).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\npair-8,A,x\n"), "{text}");
    }

    #[test]
    fn sides_of_linked_tables_do_not_change_places() {
        let (_folder, path) = folder();
        let book = Book::open(&path, "id", true).unwrap();
        assert_ne!(
            book.pair(&question("1", "2").sides),
            book.pair(&question("2", "1").sides)
        );
    }
}
