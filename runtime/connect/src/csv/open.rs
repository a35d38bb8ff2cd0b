//! Opening a CSV file, whole or from the middle: [`Opened`].
//!
//! The header names the columns of its file, so that a part of a file that begins behind it opens the file
//! twice: at its start for the names, and at its first record.

use std::collections::HashSet;
use std::io::Read;

use crate::csv::records::{Block, Records};
use crate::csv::{CsvOptions, split};
use crate::error::{Error, Result};
use crate::locate::SourceFile;
use crate::piece::{Part, open_at, open_text};

pub(super) type FileRecords = Records<Box<dyn Read + Send>>;

/// A file whose header is read.
pub(super) struct Opened {
    /// From the first record behind the header on.
    pub(super) records: FileRecords,
    pub(super) names: Vec<String>,
    /// Every record ends with a separator after which nothing comes; so does the header.
    pub(super) has_trailing_separator: bool,
    /// UTF-8 as it stands in the file: parts of it can be read.
    pub(super) is_plain: bool,
}

impl Opened {
    /// None for a file without a single record.
    pub(super) fn new(file: &SourceFile, options: &CsvOptions) -> Result<Option<Self>> {
        let text = open_text(file, options.encoding)?;
        let mut records = Records::new(text.input, file.name(), options.dialect());
        if options.skip_first && !options.with_header {
            records.read(1)?;
        }
        let Some(block) = records.read(1)? else {
            return Ok(None);
        };
        let (names, has_trailing_separator) = names(&file.name(), &block, options)?;
        if !options.with_header {
            records.unread();
        } else if options.skip_first {
            records.read(1)?;
        }
        Ok(Some(Self {
            records,
            names,
            has_trailing_separator,
            is_plain: text.is_plain,
        }))
    }

    /// Goes to the records of one part, and gives the bytes at which they begin and those of the next part do; None
    /// if they are read with another part.
    pub(super) fn seek(
        &mut self,
        file: &SourceFile,
        part: &Part,
        options: &CsvOptions,
    ) -> Result<Option<(u64, u64)>> {
        if !self.is_plain {
            // What is decoded has no other positions than its start.
            return Ok(part.is_first().then_some((0, u64::MAX)));
        }
        let find = |at: u64| {
            let found = split::record_start(open_at(file, at)?, &options.dialect())
                .map_err(|e| Error::io("read", &file.path, e))?;
            Ok(found.map(|offset| at + offset))
        };
        let Some((start, end)) = part.range(find)? else {
            return Ok(None);
        };
        if start <= self.records.position() {
            self.records.end_at(end);
            return Ok(Some((0, end)));
        }
        let input: Box<dyn Read + Send> = open_at(file, start)?;
        self.records = Records::over(input, file.name(), options.dialect(), start, end);
        Ok(Some((start, end)))
    }
}

/// The names in the first record, and whether a separator without anything behind it ends it.
fn names(file: &str, block: &Block<'_>, options: &CsvOptions) -> Result<(Vec<String>, bool)> {
    let place = format!("{file}:{}", block.line(0));
    if let Some(fault) = block.fault(0) {
        return Err(Error::Invalid(format!(
            "{file}:{}: {}",
            fault.line, fault.message
        )));
    }
    if !options.with_header {
        let names = (0..block.field_count(0)).map(|index| format!("col{index}"));
        return Ok((names.collect(), false));
    }
    let mut names = Vec::with_capacity(block.field_count(0));
    for (index, cell) in block.cells(0).enumerate() {
        let name = String::from_utf8(cell.value().into_owned()).map_err(|_| {
            let likely = crate::encoding::likely(block.raw(0));
            Error::Invalid(format!(
                "{place}: the header's field {} is not UTF-8; it looks like {likely}: name the encoding, or convert the file to UTF-8",
                index + 1
            ))
        })?;
        names.push(name);
    }
    let has_trailing_separator = names.len() > 1 && names.last().is_some_and(String::is_empty);
    if has_trailing_separator {
        names.pop();
    }
    check(&place, &names)?;
    Ok((names, has_trailing_separator))
}

fn check(place: &str, names: &[String]) -> Result<()> {
    let mut seen = HashSet::new();
    for (index, name) in names.iter().enumerate() {
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
    Ok(())
}

/// What is wrong with one row of a block, beyond its values' types: the column, if it is one's matter, and why.
pub(super) fn problem(
    block: &Block<'_>,
    row: usize,
    names: &[String],
    has_trailing_separator: bool,
) -> Option<Problem> {
    if let Some(fault) = block.fault(row) {
        return Some(Problem {
            line: fault.line,
            column: None,
            reason: fault.message.clone(),
        });
    }
    let line = block.line(row);
    let of_row = |reason: String| {
        Some(Problem {
            line,
            column: None,
            reason,
        })
    };
    let found = block.field_count(row);
    let expected = names.len() + usize::from(has_trailing_separator);
    if found != expected {
        return of_row(format!(
            "expected {expected} fields, found {found}; quote values that hold the separator, or choose another separator"
        ));
    }
    if has_trailing_separator && !block.cell(row, names.len()).value().is_empty() {
        return of_row(format!(
            "a value stands in field {expected}, which has no name in the header; name it"
        ));
    }
    if block.is_utf8() {
        return None;
    }
    let invalid = block.cells(row).enumerate().find_map(|(index, cell)| {
        let value = cell.value();
        let error = std::str::from_utf8(&value).err()?;
        Some((index, error.valid_up_to()))
    });
    let (index, valid) = invalid?;
    let likely = crate::encoding::likely(block.raw(row));
    Some(Problem {
        line,
        column: Some(index),
        reason: format!(
            "not UTF-8 after {valid} bytes of the value; it looks like {likely}: name the encoding, or convert the file to UTF-8"
        ),
    })
}

/// See [`problem`].
pub(super) struct Problem {
    pub(super) line: u64,
    /// An index into the file's columns.
    pub(super) column: Option<usize>,
    pub(super) reason: String,
}

/// A row whose fields are all there and UTF-8, at little cost where the whole block is like that.
pub(super) fn is_sound(block: &Block<'_>, names: &[String], has_trailing_separator: bool) -> bool {
    !has_trailing_separator && block.is_utf8() && block.is_uniform(names.len())
}
