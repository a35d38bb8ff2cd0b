//! The dialect of a CSV file, found out from its first stretch ([`detected`]).
//!
//! Every separator of Glue's classifier, and `|`, is tried with every quote; the records it gives are judged by how
//! many have the same number of fields, at least two. The header rule is the classifier's: the first record is a
//! header if each of its values is a name (text, under 150 characters; the last may be empty) and some record
//! below holds something else than text in some column. A file of text alone has no header, therefore;
//! where that is wrong, say so with `with_header`.
//! See <https://docs.aws.amazon.com/glue/latest/dg/add-classifier.html>.

use std::io::Read;

use crate::csv::records::Records;
use crate::csv::types::{Candidates, Kind};
use crate::csv::{CsvOptions, QuoteChar, Separator};
use crate::error::{Error, Result};
use crate::evidence::Evidence;
use crate::locate::SourceFile;
use crate::piece::open_text;

const SAMPLE_BYTES: u64 = 256 << 10;
const SAMPLE_ROWS: usize = 200;
const MAX_NAME_CHARACTERS: usize = 150;
/// In order of preference.
const SEPARATORS: [Separator; 5] = [
    Separator::COMMA,
    Separator::TAB,
    Separator::SEMICOLON,
    Separator::PIPE,
    Separator::CTRL_A,
];
const QUOTES: [QuoteChar; 2] = [QuoteChar::DOUBLE, QuoteChar::SINGLE];
const ESCAPE: u8 = b'\\';
const COMMENT: u8 = b'#';

/// The options with the dialect of the first file that has a record, if it is to be found out, and why.
pub(super) async fn detected(
    files: &[SourceFile],
    options: &CsvOptions,
) -> Result<(CsvOptions, Option<Evidence>)> {
    if !options.detect {
        return Ok((options.clone(), None));
    }
    let (files, options) = (files.to_vec(), options.clone());
    tokio::task::spawn_blocking(move || {
        for file in files {
            let sample = sample(&file, &options)?;
            if sample.iter().any(|byte| !byte.is_ascii_whitespace()) {
                let (options, because) = detect(&sample, &options, &file.name())?;
                return Ok((options, Some(Evidence::new("dialect", because))));
            }
        }
        Ok((options, None))
    })
    .await
    .map_err(Error::joined)?
}

fn sample(file: &SourceFile, options: &CsvOptions) -> Result<Vec<u8>> {
    let text = open_text(file, options.encoding)?;
    let mut sample = Vec::new();
    text.input
        .take(SAMPLE_BYTES)
        .read_to_end(&mut sample)
        .map_err(|e| Error::io("read", &file.path, e))?;
    if sample.len() as u64 == SAMPLE_BYTES {
        // The last line is cut off.
        let whole = memchr::memrchr2(b'\n', b'\r', &sample).map_or(sample.len(), |end| end + 1);
        sample.truncate(whole);
    }
    Ok(sample)
}

/// How well a dialect explains a sample.
#[derive(Clone, Debug)]
struct Trial {
    options: CsvOptions,
    rows: usize,
    /// Records that have the most frequent number of fields.
    alike: usize,
    fields: usize,
    /// Quoted fields; a quote that quotes nothing explains nothing.
    quoted: usize,
}

impl Trial {
    /// Every record but a few has the same number of fields, at least two.
    fn is_table(&self) -> bool {
        self.fields >= 2 && self.alike * 10 >= self.rows * 9
    }

    fn score(&self) -> (bool, usize, usize, usize) {
        let share = self.alike * 1000 / self.rows.max(1);
        (self.is_table(), share, self.quoted, self.fields)
    }
}

fn detect(sample: &[u8], options: &CsvOptions, file: &str) -> Result<(CsvOptions, String)> {
    let mut best: Option<Trial> = None;
    for separator in SEPARATORS {
        for quote_char in QUOTES {
            let options = CsvOptions {
                separator,
                quote_char,
                escaper: escapes(sample, quote_char).then_some(ESCAPE),
                comment: has_comments(sample, separator).then_some(COMMENT),
                detect: false,
                ..options.clone()
            };
            let trial = attempt(sample, options)?;
            if best
                .as_ref()
                .is_none_or(|best| trial.score() > best.score())
            {
                best = Some(trial);
            }
        }
    }
    let Some(best) = best.filter(|best| best.rows > 0) else {
        return Ok((options.clone(), "the file has no record".to_owned()));
    };
    let mut found = best.options.clone();
    if !best.is_table() {
        // One column: no separator is at work.
        found.separator = Separator::COMMA;
    }
    let (with_header, why) = header(sample, &found)?;
    found.with_header = with_header;
    let because = format!(
        "separator {:?}: {} of the first {} records of {file} have {} fields; quote {:?}{}{}; {why}",
        char::from(found.separator.0),
        best.alike,
        best.rows,
        best.fields,
        found.quote_char.0.map_or('-', char::from),
        if found.escaper.is_some() {
            "; quotes are escaped by \\"
        } else {
            ""
        },
        if found.comment.is_some() {
            "; lines that begin with # are comments"
        } else {
            ""
        },
    );
    Ok((found, because))
}

/// A backslash before a quote is an escape where no quote is doubled.
fn escapes(sample: &[u8], quote_char: QuoteChar) -> bool {
    let Some(quote) = quote_char.0 else {
        return false;
    };
    let has = |pair: [u8; 2]| memchr::memmem::find(sample, &pair).is_some();
    has([ESCAPE, quote])
        && !sample.windows(3).any(|w| {
            w[0] != ESCAPE && w[1] == quote && w[2] == quote && w[0].is_ascii_alphanumeric()
        })
}

/// The file begins with lines that begin with `#` and, unlike those below, hold no separator.
fn has_comments(sample: &[u8], separator: Separator) -> bool {
    let mut lines = sample.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    first.starts_with(&[COMMENT])
        && (!first.contains(&separator.0)
            || lines.filter(|line| line.starts_with(&[COMMENT])).count() > 0)
}

fn attempt(sample: &[u8], options: CsvOptions) -> Result<Trial> {
    let mut records = Records::new(sample, String::new(), options.dialect());
    let mut counts: Vec<usize> = Vec::new();
    let mut quoted = 0;
    while counts.len() < SAMPLE_ROWS
        && let Some(block) = records.read(SAMPLE_ROWS - counts.len())?
    {
        for row in 0..block.len() {
            counts.push(block.field_count(row));
            quoted += block.quoted_count(row);
        }
    }
    let rows = counts.len();
    counts.sort_unstable();
    let (alike, fields) = counts
        .chunk_by(|a, b| a == b)
        .map(|alike| (alike.len(), alike[0]))
        .max()
        .unwrap_or_default();
    Ok(Trial {
        options,
        rows,
        alike,
        fields,
        quoted,
    })
}

/// Whether the first record is a header, and why.
fn header(sample: &[u8], options: &CsvOptions) -> Result<(bool, String)> {
    let mut records = Records::new(sample, String::new(), options.dialect());
    let Some(block) = records.read(1)? else {
        return Ok((false, "no record".to_owned()));
    };
    let names: Vec<Vec<u8>> = block
        .cells(0)
        .map(|cell| cell.value().into_owned())
        .collect();
    for (index, name) in names.iter().enumerate() {
        if let Err(why) = check_name(name, index + 1 == names.len()) {
            return Ok((false, format!("no header: its value {} {why}", index + 1)));
        }
    }
    let mut columns = vec![Candidates::new(); names.len()];
    let mut rows = 0;
    while rows < SAMPLE_ROWS
        && let Some(block) = records.read(SAMPLE_ROWS)?
    {
        rows += block.len();
        for row in (0..block.len()).filter(|row| block.field_count(*row) == names.len()) {
            for (column, cell) in columns.iter_mut().zip(block.cells(row)) {
                column.observe(&cell.value());
            }
        }
    }
    let typed = columns
        .iter()
        .position(|column| column.kind() != Kind::Text || column.is_ambiguous());
    Ok(match typed {
        Some(index) => (
            true,
            format!(
                "header: its values are names, and below {:?} are values that are not text",
                String::from_utf8_lossy(&names[index])
            ),
        ),
        None => (false, "no header: all below it is text too".to_owned()),
    })
}

fn check_name(name: &[u8], is_last: bool) -> Result<(), String> {
    let text = String::from_utf8_lossy(name);
    if name.is_empty() && is_last {
        return Ok(());
    }
    if text.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    if text.chars().count() >= MAX_NAME_CHARACTERS {
        return Err(format!("has {MAX_NAME_CHARACTERS} characters or more"));
    }
    let mut candidates = Candidates::new();
    candidates.observe(name);
    if candidates.kind() != Kind::Text || candidates.is_ambiguous() {
        return Err(format!("({text:?}) is not text"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(sample: &str) -> String {
        detect(sample.as_bytes(), &CsvOptions::detected(), "t.csv")
            .unwrap()
            .1
    }

    #[test]
    fn separators_quotes_and_headers() {
        insta::assert_snapshot!(why("id,name\n1,Ada\n2,Bob\n"), @r##"separator ',': 3 of the first 3 records of t.csv have 2 fields; quote '"'; header: its values are names, and below "id" are values that are not text"##);
        insta::assert_snapshot!(why("id;price\n1;2,50\n2;3,75\n"), @r##"separator ';': 3 of the first 3 records of t.csv have 2 fields; quote '"'; header: its values are names, and below "id" are values that are not text"##);
        insta::assert_snapshot!(why("a\tb\nx\ty\n"), @r##"separator '\t': 2 of the first 2 records of t.csv have 2 fields; quote '"'; no header: all below it is text too"##);
        insta::assert_snapshot!(why("id|note\n1|'a|b'\n2|'c|d'\n"), @r##"separator '|': 3 of the first 3 records of t.csv have 2 fields; quote '\''; header: its values are names, and below "id" are values that are not text"##);
        insta::assert_snapshot!(why("1,2\n3,4\n"), @r##"separator ',': 2 of the first 2 records of t.csv have 2 fields; quote '"'; no header: its value 1 ("1") is not text"##);
        insta::assert_snapshot!(why("# made by hand\nid,n\n1,\"a \\\"b\\\" c, d\"\n2,x\n"), @r##"separator ',': 3 of the first 3 records of t.csv have 2 fields; quote '"'; quotes are escaped by \; lines that begin with # are comments; header: its values are names, and below "id" are values that are not text"##);
    }
}
