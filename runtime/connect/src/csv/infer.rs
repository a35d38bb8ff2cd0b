//! The schema of CSV files: names from the header, types from the values ([`infer`]).
//!
//! A file up to `infer_bytes` is read whole. Of a larger one, one half of that is read at its start and the
//! other in windows spread over the rest, since what is rare (a date that is `n/a`) is seldom at the
//! start. All files must have the same columns, in any order. Every column is nullable, since an empty
//! field is null. Why a column got its type is kept ([`Evidence`]).

use std::fmt::Write;
use std::io::Read;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use futures::{StreamExt, TryStreamExt};

use crate::csv::CsvOptions;
use crate::csv::open::{Opened, is_sound, problem};
use crate::csv::records::Records;
use crate::csv::split;
use crate::csv::types::{Candidates, Kind};
use crate::error::{Error, Result};
use crate::evidence::Evidence;
use crate::locate::SourceFile;
use crate::piece::open_at;
use crate::reject::BadRows;

const FILES_AT_ONCE: usize = 4;
const WINDOWS: u64 = 16;
/// Blocks of this many records.
const BLOCK_ROWS: usize = 64;

/// What was found out about the files of a table.
#[derive(Clone, Debug)]
pub(super) struct Inferred {
    pub(super) schema: SchemaRef,
    /// How each column is written.
    pub(super) kinds: Vec<Kind>,
    pub(super) evidence: Vec<Evidence>,
}

/// What one file says.
struct FileColumns {
    file: String,
    names: Vec<String>,
    columns: Vec<Column>,
}

#[derive(Clone)]
struct Column {
    candidates: Candidates,
    /// What changed the candidates: where, and what was left then.
    turns: Vec<Turn>,
}

#[derive(Clone)]
struct Turn {
    place: String,
    value: String,
    left: Candidates,
}

/// The schema that all `files` share.
///
/// # Errors
/// [`Error::Invalid`] with file and line for a record that cannot be read, a header that names a column
/// twice or not at all, and files whose columns differ.
pub(super) async fn infer(files: &[SourceFile], options: &CsvOptions) -> Result<Inferred> {
    let tasks = files.iter().cloned().map(|file| {
        let options = options.clone();
        async move {
            tokio::task::spawn_blocking(move || infer_file(&file, &options))
                .await
                .map_err(Error::joined)?
        }
    });
    // Started together, answered in order: the first file names the columns.
    let mut inferred = futures::stream::iter(tasks).buffered(FILES_AT_ONCE);
    let mut first: Option<FileColumns> = None;
    while let Some(next) = inferred.try_next().await? {
        match (&mut first, next) {
            (_, None) => {}
            (None, next) => first = next,
            (Some(first), Some(next)) => merge(first, next)?,
        }
    }
    let Some(first) = first else {
        let names: Vec<_> = files.iter().map(SourceFile::name).collect();
        return Err(Error::Invalid(format!(
            "{}: empty; a CSV file needs at least a header",
            names.join(", ")
        )));
    };
    Ok(decide(&first, options))
}

fn decide(first: &FileColumns, options: &CsvOptions) -> Inferred {
    let mut fields = Vec::new();
    let mut kinds = Vec::new();
    let mut evidence = Vec::new();
    for (name, column) in first.names.iter().zip(&first.columns) {
        let kind = match options.all_text {
            true => Kind::Text,
            false => column.candidates.kind(),
        };
        fields.push(Field::new(name, kind.data_type(), true));
        evidence.push(Evidence::new(name, column.because(kind, options)));
        kinds.push(kind);
    }
    Inferred {
        schema: Arc::new(Schema::new(fields)),
        kinds,
        evidence,
    }
}

impl Column {
    fn new() -> Self {
        Self {
            candidates: Candidates::new(),
            turns: Vec::new(),
        }
    }

    #[inline]
    fn observe(&mut self, value: &[u8], place: impl Fn() -> String) {
        if self.candidates.is_settled() {
            return;
        }
        if self.candidates.observe(value) {
            self.turns.push(Turn {
                place: place(),
                value: abbreviated(value),
                left: self.candidates,
            });
        }
    }

    /// Appends what another file says.
    fn merge(&mut self, other: Self) {
        for turn in other.turns {
            let left = self.candidates.and(turn.left);
            if left != self.candidates {
                self.candidates = left;
                self.turns.push(Turn { left, ..turn });
            }
        }
        self.candidates = self.candidates.and(other.candidates);
    }

    /// Why the column is of this kind.
    fn because(&self, kind: Kind, options: &CsvOptions) -> String {
        if options.all_text {
            return "text: asked for".to_owned();
        }
        if self.turns.is_empty() {
            return "text: no value was seen".to_owned();
        }
        let mut because = format!("{kind}");
        let mut before: Option<String> = None;
        for turn in &self.turns {
            let left = turn.left.described();
            let (value, place) = (&turn.value, &turn.place);
            // Writing to a String cannot fail.
            let _ = match &before {
                Some(before) if *before == left => Ok(()),
                None => write!(because, ": {value:?} ({place}) is {left}"),
                Some(before) => write!(because, "; {value:?} ({place}) is not {before}"),
            };
            before = Some(left);
        }
        if self.candidates.is_ambiguous() {
            because.push_str("; no value tells whether the day or the month is first");
        }
        because
    }
}

/// None for a file without a single record: it has no columns and takes no part.
fn infer_file(file: &SourceFile, options: &CsvOptions) -> Result<Option<FileColumns>> {
    let Some(mut opened) = Opened::new(file, options)? else {
        return Ok(None);
    };
    let mut columns = FileColumns {
        file: file.name(),
        names: std::mem::take(&mut opened.names),
        columns: Vec::new(),
    };
    columns.columns = vec![Column::new(); columns.names.len()];
    let has_trailing_separator = opened.has_trailing_separator;
    let is_whole = file.size <= options.infer_bytes;
    let head = match is_whole || !opened.is_plain {
        true => options.infer_bytes,
        false => options.infer_bytes / 2,
    };
    // Even when all is text, the first stretch is read: a wrong separator shows before the run starts.
    let mut sample = Sample {
        columns: &mut columns,
        options,
        has_trailing_separator,
        knows_lines: true,
    };
    sample.observe(&mut opened.records, head)?;
    if !is_whole && opened.is_plain {
        sample.knows_lines = false;
        sample.windows(file, head)?;
    }
    Ok(Some(columns))
}

struct Sample<'a> {
    columns: &'a mut FileColumns,
    options: &'a CsvOptions,
    has_trailing_separator: bool,
    /// The lines of the records are those of the file.
    knows_lines: bool,
}

impl Sample<'_> {
    /// Takes the records of a stretch that ends at byte `end` into account.
    fn observe<R: Read>(&mut self, records: &mut Records<R>, end: u64) -> Result<()> {
        while records.position() < end {
            let at = records.position();
            let Some(block) = records.read(BLOCK_ROWS)? else {
                return Ok(());
            };
            let is_sound = is_sound(&block, &self.columns.names, self.has_trailing_separator);
            for row in 0..block.len() {
                if !is_sound
                    && let Some(problem) = problem(
                        &block,
                        row,
                        &self.columns.names,
                        self.has_trailing_separator,
                    )
                {
                    self.meet(problem.line, problem.column, &problem.reason)?;
                    continue;
                }
                let file = &self.columns.file;
                let line = block.line(row);
                let place = || match self.knows_lines {
                    true => format!("{file}:{line}"),
                    false => format!("{file}, behind byte {at}"),
                };
                for (index, column) in self.columns.columns.iter_mut().enumerate() {
                    column.observe(&block.cell(row, index).value(), place);
                }
            }
        }
        Ok(())
    }

    /// A row that cannot be read: an error if one is wanted and its line is known, else left to the scan.
    fn meet(&self, line: u64, column: Option<usize>, reason: &str) -> Result<()> {
        if self.options.bad_rows != BadRows::Fail || !self.knows_lines {
            return Ok(());
        }
        let file = &self.columns.file;
        Err(Error::Invalid(match column {
            Some(index) => {
                let column = &self.columns.names[index];
                format!("{file}:{line}: column {column:?}: {reason}")
            }
            None => format!("{file}:{line}: {reason}"),
        }))
    }

    /// Looks into the file behind `head` in several places.
    fn windows(&mut self, file: &SourceFile, head: u64) -> Result<()> {
        let step = (file.size - head) / WINDOWS;
        let size = (self.options.infer_bytes - head) / WINDOWS;
        let dialect = self.options.dialect();
        for window in 0..WINDOWS {
            if self
                .columns
                .columns
                .iter()
                .all(|c| c.candidates.is_settled())
            {
                break;
            }
            // At the end of each step, so that the last window is the end of the file.
            let at = head + (window + 1) * step - size.min(step);
            let found = split::likely_record_start(open_at(file, at)?, &dialect)
                .map_err(|e| Error::io("read", &file.path, e))?;
            let Some(offset) = found else { continue };
            let start = at + offset;
            let input = open_at(file, start)?;
            let mut records = Records::over(input, file.name(), dialect.clone(), start, u64::MAX);
            self.observe(&mut records, start + size)?;
        }
        Ok(())
    }
}

/// Enough of a value to find it.
pub(crate) fn abbreviated(value: &[u8]) -> String {
    let value = String::from_utf8_lossy(value);
    match value.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value.into_owned(),
    }
}

fn merge(first: &mut FileColumns, next: FileColumns) -> Result<()> {
    let mut positions = Vec::with_capacity(next.names.len());
    for (guess, name) in next.names.iter().enumerate() {
        let is_there = first.names.get(guess) == Some(name);
        let position = match is_there {
            true => Some(guess),
            false => first.names.iter().position(|known| known == name),
        };
        positions.push(position.ok_or_else(|| {
            let how = format!("column {name:?} is missing in the first");
            differs(&first.file, &next.file, &how)
        })?);
    }
    if let Some(name) = first.names.iter().find(|name| !next.names.contains(name)) {
        let how = format!("column {name:?} is missing in the second");
        return Err(differs(&first.file, &next.file, &how));
    }
    for (position, column) in positions.into_iter().zip(next.columns) {
        first.columns[position].merge(column);
    }
    Ok(())
}

fn differs(first: &str, second: &str, how: &str) -> Error {
    Error::Invalid(format!(
        "{first} and {second} have different columns: {how}; read them as two tables"
    ))
}
