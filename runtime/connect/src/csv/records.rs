//! [`Records`]: CSV bytes to records, streaming, with the line each one starts on.
//!
//! RFC 4180 with any separator and quote. Stricter than most readers where leniency would misread:
//! text after a closing quote, and a quote that never closes, are faults with their line. Blank
//! lines and comment lines are skipped. Line ends are `\n`, `\r\n` or `\r`.
//!
//! Nothing is copied: a stretch of records is indexed in place ([`Block`]), eight bytes at a step, and
//! its consumer takes what it wants of it, column by column, while the text is still in the cache.
//!
//! ```text
//! buffer  │ 1,"a ""b""",2⏎3,c,4⏎5,"d…      one Block: rows 1 and 2; the third waits for more bytes
//! spans   │ [1] [a ""b""]* [2] [3] [c] [4]  * holds doubled quotes: see Cell::text
//! ```

use std::borrow::Cow;
use std::io::Read;
use std::ops::Range;

use crate::csv::Dialect;
use crate::error::{Error, Result};

const CHUNK_BYTES: usize = 256 << 10;
/// Longer than any sane record: the usual cause is a quote that never closes.
pub(super) const MAX_RECORD_BYTES: usize = 16 << 20;
const MAX_FIELDS: usize = 10_000;

const UNCLOSED: &str = "the quote that opens here is never closed; close it, or disable quoting";
const AFTER_QUOTE: &str =
    "text follows a closing quote; double the quotes inside a value, or disable quoting";
const PAST_LINE: &str =
    "a quoted value goes past the end of the line; close the quote, or allow it with multiline";

/// Where a field lies in the buffer, without its quotes.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    /// With [`Span::MARKED`] if doubled quotes or escapes are inside.
    end: u32,
}

impl Span {
    const MARKED: u32 = 1 << 31;

    fn new(start: usize, end: usize, is_marked: bool) -> Self {
        // The buffer is at most a few times MAX_RECORD_BYTES: positions have 31 bits.
        let mark = if is_marked { Self::MARKED } else { 0 };
        Self {
            start: start as u32,
            end: end as u32 | mark,
        }
    }
}

/// One record of a [`Block`].
#[derive(Clone, Debug)]
struct Row {
    first: usize,
    fields: usize,
    start: usize,
    end: usize,
    line: u64,
    fault: Option<Fault>,
}

/// Why a record has no fields to be read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) line: u64,
    pub(super) message: String,
}

/// A stretch of whole records.
pub(super) struct Block<'a> {
    text: &'a [u8],
    is_utf8: bool,
    dialect: &'a Dialect,
    spans: &'a [Span],
    rows: &'a [Row],
}

impl<'a> Block<'a> {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Every byte of the block is part of valid UTF-8.
    pub(super) fn is_utf8(&self) -> bool {
        self.is_utf8
    }

    pub(super) fn field_count(&self, row: usize) -> usize {
        self.rows[row].fields
    }

    /// Every record has `count` fields and none has a fault.
    pub(super) fn is_uniform(&self, count: usize) -> bool {
        self.rows
            .iter()
            .all(|row| row.fields == count && row.fault.is_none())
    }

    /// The line the record starts on, from 1.
    pub(super) fn line(&self, row: usize) -> u64 {
        self.rows[row].line
    }

    pub(super) fn fault(&self, row: usize) -> Option<&Fault> {
        self.rows[row].fault.as_ref()
    }

    /// The bytes of the record, without its line end.
    pub(super) fn raw(&self, row: usize) -> &'a [u8] {
        &self.text[self.rows[row].start..self.rows[row].end]
    }

    pub(super) fn cell(&self, row: usize, column: usize) -> Cell<'a> {
        let span = self.spans[self.rows[row].first + column];
        Cell {
            bytes: &self.text[span.start as usize..(span.end & !Span::MARKED) as usize],
            dialect: (span.end & Span::MARKED != 0).then_some(self.dialect),
        }
    }

    /// How many fields of the record are quoted.
    pub(super) fn quoted_count(&self, row: usize) -> usize {
        let Row { first, fields, .. } = self.rows[row];
        let is_quoted = |span: &&Span| {
            let before = (span.start as usize).checked_sub(1).map(|at| self.text[at]);
            before.is_some() && before == self.dialect.quote
        };
        self.spans[first..first + fields]
            .iter()
            .filter(is_quoted)
            .count()
    }

    pub(super) fn cells(&self, row: usize) -> impl Iterator<Item = Cell<'a>> + '_ {
        (0..self.field_count(row)).map(move |column| self.cell(row, column))
    }
}

/// The content of one field.
#[derive(Clone, Copy)]
pub(super) struct Cell<'a> {
    bytes: &'a [u8],
    /// Set if quotes are doubled or bytes escaped inside.
    dialect: Option<&'a Dialect>,
}

impl<'a> Cell<'a> {
    /// The value itself, copied only where quotes are doubled or bytes are escaped.
    #[inline]
    pub(super) fn value(self) -> Cow<'a, [u8]> {
        match self.dialect {
            None => Cow::Borrowed(self.bytes),
            Some(dialect) => Cow::Owned(unescaped(self.bytes, dialect)),
        }
    }
}

fn unescaped(bytes: &[u8], dialect: &Dialect) -> Vec<u8> {
    let mut value = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied();
    while let Some(byte) = rest.next() {
        let skips = Some(byte) == dialect.escape || Some(byte) == dialect.quote;
        // A quote or an escape is always followed by the byte it stands for: the scan saw both.
        value.push(if skips {
            rest.next().unwrap_or(byte)
        } else {
            byte
        });
    }
    value
}

/// Reads records from bytes.
pub(super) struct Records<R> {
    input: R,
    name: String,
    dialect: Dialect,
    buffer: Vec<u8>,
    /// How much of `buffer` is filled.
    filled: usize,
    /// Where in `buffer` the next record begins.
    position: usize,
    /// Where in the file `buffer` begins.
    offset: u64,
    /// Records that begin here or later are somebody else's.
    end: u64,
    line: u64,
    is_ended: bool,
    has_started: bool,
    spans: Vec<Span>,
    rows: Vec<Row>,
}

/// What stopped the indexing.
#[derive(PartialEq)]
enum Stop {
    /// The last record may go on in bytes that were not read yet.
    Bytes,
    Rows,
    End,
}

/// What became of a quoted field.
enum Quoted {
    Closed {
        close: usize,
        is_marked: bool,
        lines: u64,
    },
    /// It may go on.
    Open,
    Faulty {
        at: usize,
        message: &'static str,
    },
}

impl<R: Read> Records<R> {
    /// `input` is at the start of its file.
    pub(super) fn new(input: R, name: String, dialect: Dialect) -> Self {
        Self::over(input, name, dialect, 0, u64::MAX)
    }

    /// `input` is at byte `start` of its file, where a record begins; those that begin at `end` or later
    /// are left. Lines count from the first of them.
    pub(super) fn over(input: R, name: String, dialect: Dialect, start: u64, end: u64) -> Self {
        Self {
            input,
            name,
            dialect,
            buffer: Vec::new(),
            filled: 0,
            position: 0,
            offset: start,
            end,
            line: 1,
            is_ended: false,
            has_started: start > 0,
            spans: Vec::new(),
            rows: Vec::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Where in the file the next record begins.
    pub(super) fn position(&self) -> u64 {
        self.offset + self.position as u64
    }

    /// Leaves the records that begin at byte `end` of the file or later.
    pub(super) fn end_at(&mut self, end: u64) {
        self.end = end;
    }

    /// The line of the next record.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Indexes at least one and at most `limit` further records; None at the end.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read. What is wrong with a record is its [`Fault`].
    pub(super) fn read(&mut self, limit: usize) -> Result<Option<Block<'_>>> {
        loop {
            self.spans.clear();
            self.rows.clear();
            let start = self.position;
            let stop = self.index(limit);
            if !self.rows.is_empty() {
                return Ok(Some(self.block(start)));
            }
            if stop == Stop::End || self.is_ended {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    /// Gives the last block back: the next one begins with it.
    pub(super) fn unread(&mut self) {
        if let Some(row) = self.rows.first() {
            (self.position, self.line) = (row.start, row.line);
        }
    }

    fn block(&self, start: usize) -> Block<'_> {
        let text = &self.buffer[start..self.position];
        Block {
            text: &self.buffer,
            is_utf8: simdutf8::basic::from_utf8(text).is_ok(),
            dialect: &self.dialect,
            spans: &self.spans,
            rows: &self.rows,
        }
    }

    /// Indexes whole records from `position` on, which it advances.
    fn index(&mut self, limit: usize) -> Stop {
        let mut scan = Scan {
            text: &self.buffer[..self.filled],
            specials: Specials::new(self.dialect.separator),
            dialect: &self.dialect,
            is_ended: self.is_ended,
            spans: &mut self.spans,
            rows: &mut self.rows,
            line: self.line,
            record: self.position,
            end: usize::try_from(self.end.saturating_sub(self.offset)).unwrap_or(usize::MAX),
        };
        let stop = scan.run(limit);
        self.position = scan.record;
        self.line = scan.line;
        stop
    }

    /// Moves what is left to the front and reads on behind it.
    fn fill(&mut self) -> Result<()> {
        self.buffer.copy_within(self.position..self.filled, 0);
        self.offset += self.position as u64;
        self.filled -= self.position;
        self.position = 0;
        // A record that fills the buffer needs a larger one; it is indexed again from its start, so doubled.
        let wanted = (self.filled * 2).max(CHUNK_BYTES);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        while self.filled < self.buffer.len() {
            match self.input.read(&mut self.buffer[self.filled..]) {
                Ok(0) => {
                    self.is_ended = true;
                    break;
                }
                Ok(read) => self.filled += read,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Error::io("read", &self.name, e)),
            }
            // One read is enough, but for a byte order mark, which must not be split.
            if self.has_started || self.filled >= 3 {
                break;
            }
        }
        if !std::mem::replace(&mut self.has_started, true)
            && self.buffer[..self.filled].starts_with(b"\xEF\xBB\xBF")
        {
            self.position = 3;
        }
        Ok(())
    }
}

/// Finds separators and line ends, eight bytes at a time.
#[derive(Clone, Copy)]
struct Specials {
    separator: u64,
}

const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;

const fn repeated(byte: u8) -> u64 {
    byte as u64 * 0x0101_0101_0101_0101
}

/// The highest bit of every byte that is zero; exact, so that no hit needs a second look.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    !(((word & LOW) + LOW) | word | LOW)
}

impl Specials {
    fn new(separator: u8) -> Self {
        Self {
            separator: repeated(separator),
        }
    }

    #[inline]
    fn find(self, word: u64) -> u64 {
        zero_bytes(word ^ self.separator)
            | zero_bytes(word ^ repeated(b'\n'))
            | zero_bytes(word ^ repeated(b'\r'))
    }
}

struct Scan<'a> {
    text: &'a [u8],
    specials: Specials,
    dialect: &'a Dialect,
    is_ended: bool,
    spans: &'a mut Vec<Span>,
    rows: &'a mut Vec<Row>,
    line: u64,
    /// Where the next record begins.
    record: usize,
    end: usize,
}

impl Scan<'_> {
    fn run(&mut self, limit: usize) -> Stop {
        while self.rows.len() < limit {
            if let Some(stop) = self.skip_lines() {
                return stop;
            }
            let spans = self.spans.len();
            if !self.record() {
                self.spans.truncate(spans);
                return self.incomplete();
            }
        }
        Stop::Rows
    }

    /// Goes past blank lines and comments to where a record begins.
    fn skip_lines(&mut self) -> Option<Stop> {
        loop {
            if self.record >= self.end {
                return Some(Stop::End);
            }
            let Some(byte) = self.text.get(self.record).copied() else {
                return Some(Stop::Bytes);
            };
            if byte == b'\n' || byte == b'\r' {
                self.record = match self.after_line_end(self.record) {
                    Some(next) => next,
                    None => return Some(Stop::Bytes),
                };
            } else if Some(byte) == self.dialect.comment {
                let rest = &self.text[self.record..];
                match memchr::memchr2(b'\n', b'\r', rest) {
                    Some(length) => match self.after_line_end(self.record + length) {
                        Some(next) => self.record = next,
                        None => return Some(Stop::Bytes),
                    },
                    None if self.is_ended => self.record = self.text.len(),
                    None => return Some(Stop::Bytes),
                }
            } else {
                return None;
            }
            self.line += 1;
        }
    }

    /// The position behind the line end at `at`; None if its second byte is yet to be read.
    #[inline]
    fn after_line_end(&self, at: usize) -> Option<usize> {
        if self.text[at] == b'\n' {
            return Some(at + 1);
        }
        match self.text.get(at + 1) {
            Some(b'\n') => Some(at + 2),
            Some(_) => Some(at + 1),
            None => self.is_ended.then_some(at + 1),
        }
    }

    /// Indexes the record at `self.record`; false if it is not whole yet.
    fn record(&mut self) -> bool {
        let first = self.spans.len();
        let start = self.record;
        let mut field = start;
        let mut at = start;
        let mut lines = 0;
        'words: loop {
            let mut hits = self.specials_at(at);
            while hits != 0 {
                let mut stop = at + hits.trailing_zeros() as usize / 8;
                hits &= hits - 1;
                let mut jumped = false;
                if self.dialect.quote == Some(self.text[field]) {
                    match self.quoted(field) {
                        Quoted::Closed {
                            close,
                            is_marked,
                            lines: inner,
                        } => {
                            self.spans.push(Span::new(field + 1, close, is_marked));
                            lines += inner;
                            stop = close + 1;
                            jumped = true;
                        }
                        Quoted::Open => return false,
                        Quoted::Faulty { at, message } => return self.faulty(start, at, message),
                    }
                } else {
                    self.spans.push(Span::new(field, stop, false));
                }
                if stop == self.text.len() {
                    return self.is_ended && self.push(first, start..stop, lines, stop);
                }
                if self.text[stop] == self.dialect.separator {
                    field = stop + 1;
                    if jumped {
                        at = field;
                        continue 'words;
                    }
                    continue;
                }
                let Some(next) = self.after_line_end(stop) else {
                    return false;
                };
                return self.push(first, start..stop, lines + 1, next);
            }
            at += 8;
            if at >= self.text.len() {
                return self.last_field(first, start, field, lines);
            }
        }
    }

    /// The field that reaches to the end of what was read.
    fn last_field(&mut self, first: usize, start: usize, field: usize, mut lines: u64) -> bool {
        if !self.is_ended {
            return false;
        }
        let end = self.text.len();
        let quote = self.text.get(field).copied();
        if quote.is_some() && quote == self.dialect.quote {
            match self.quoted(field) {
                Quoted::Closed {
                    close,
                    is_marked,
                    lines: inner,
                } => {
                    self.spans.push(Span::new(field + 1, close, is_marked));
                    lines += inner;
                }
                Quoted::Open => return false,
                Quoted::Faulty { at, message } => return self.faulty(start, at, message),
            }
        } else {
            self.spans.push(Span::new(field, end, false));
        }
        self.push(first, start..end, lines, end)
    }

    #[inline]
    fn specials_at(&self, at: usize) -> u64 {
        let word = match self.text.get(at..at + 8) {
            Some(bytes) => bytes.try_into().map(u64::from_le_bytes).unwrap_or_default(),
            None => self.last_word(at),
        };
        self.specials.find(word)
    }

    /// Fewer than eight bytes, filled up with ones that mean nothing.
    #[cold]
    fn last_word(&self, at: usize) -> u64 {
        let filler = if self.dialect.separator == b'-' {
            b'a'
        } else {
            b'-'
        };
        let mut word = [filler; 8];
        let rest = self.text.get(at..).unwrap_or_default();
        word[..rest.len()].copy_from_slice(rest);
        u64::from_le_bytes(word)
    }

    /// Finds the end of the quoted field whose quote opens at `open`.
    fn quoted(&self, open: usize) -> Quoted {
        let quote = self.dialect.quote.unwrap_or(b'"');
        let escape = self.dialect.escape.unwrap_or(quote);
        let mut at = open + 1;
        let mut is_marked = false;
        loop {
            let rest = &self.text[at..];
            let Some(length) = memchr::memchr2(quote, escape, rest) else {
                return self.open_to_end(open);
            };
            if !self.dialect.multiline
                && let Some(line_end) = memchr::memchr2(b'\n', b'\r', &rest[..length])
            {
                return Quoted::Faulty {
                    at: at + line_end,
                    message: PAST_LINE,
                };
            }
            at += length;
            if self.text[at] == quote {
                match self.text.get(at + 1).copied() {
                    Some(next) if next == quote => {}
                    Some(next) if self.ends_field(next) => {
                        return self.closed(open, at, is_marked);
                    }
                    Some(_) => {
                        return Quoted::Faulty {
                            at: at + 1,
                            message: AFTER_QUOTE,
                        };
                    }
                    None if self.is_ended => return self.closed(open, at, is_marked),
                    None => return Quoted::Open,
                }
            }
            if at + 2 > self.text.len() {
                return self.open_to_end(open);
            }
            is_marked = true;
            at += 2;
        }
    }

    #[inline]
    fn closed(&self, open: usize, close: usize, is_marked: bool) -> Quoted {
        let inner = &self.text[open..close];
        Quoted::Closed {
            close,
            is_marked,
            lines: memchr::memchr_iter(b'\n', inner).count() as u64,
        }
    }

    fn open_to_end(&self, open: usize) -> Quoted {
        if !self.dialect.multiline
            && let Some(line_end) = memchr::memchr2(b'\n', b'\r', &self.text[open..])
        {
            return Quoted::Faulty {
                at: open + line_end,
                message: PAST_LINE,
            };
        }
        match self.is_ended {
            true => Quoted::Faulty {
                at: open,
                message: UNCLOSED,
            },
            false => Quoted::Open,
        }
    }

    #[inline]
    fn ends_field(&self, byte: u8) -> bool {
        byte == self.dialect.separator || byte == b'\n' || byte == b'\r'
    }

    /// Takes the record in; `lines` end in it, and `next` is where the one after it begins.
    #[inline]
    fn push(&mut self, first: usize, bytes: Range<usize>, lines: u64, next: usize) -> bool {
        let fields = self.spans.len() - first;
        let is_too_large = fields > MAX_FIELDS || bytes.len() > MAX_RECORD_BYTES;
        self.rows.push(Row {
            first,
            fields,
            start: bytes.start,
            end: bytes.end,
            line: self.line,
            fault: is_too_large.then(|| too_large(fields, self.line)),
        });
        self.line += lines;
        self.record = next;
        true
    }

    /// A record that cannot be cut into fields ends at the end of the line on which that shows, or, if
    /// it has no end, with its first line.
    fn faulty(&mut self, start: usize, at: usize, message: &'static str) -> bool {
        let line = self.line + line_ends(&self.text[start..at]);
        let rest = memchr::memchr2(b'\n', b'\r', &self.text[at..]);
        let end = match rest {
            Some(length) => at + length,
            None if self.is_ended => self.text.len(),
            None => return false,
        };
        let next = if end == self.text.len() {
            end
        } else {
            match self.after_line_end(end) {
                Some(next) => next,
                None => return false,
            }
        };
        self.push_fault(start, end, next, line, message.to_owned());
        true
    }

    fn push_fault(&mut self, start: usize, end: usize, next: usize, line: u64, message: String) {
        self.rows.push(Row {
            first: self.spans.len(),
            fields: 0,
            start,
            end,
            line: self.line,
            fault: Some(Fault { line, message }),
        });
        self.line += line_ends(&self.text[start..next]);
        self.record = next;
    }

    /// What is there is not a whole record: more bytes are needed, unless there are too many already.
    fn incomplete(&mut self) -> Stop {
        if self.text.len() - self.record <= MAX_RECORD_BYTES {
            return Stop::Bytes;
        }
        let rest = &self.text[self.record..];
        let length = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let end = self.record + length;
        let message = format!(
            "the record that starts here has over {MAX_RECORD_BYTES} bytes; is a quote left open?"
        );
        let next = (end + 1).min(self.text.len());
        self.push_fault(self.record, end, next, self.line, message);
        Stop::Rows
    }
}

#[cold]
fn too_large(fields: usize, line: u64) -> Fault {
    let message = if fields > MAX_FIELDS {
        format!("over {MAX_FIELDS} fields; is the separator right?")
    } else {
        format!(
            "the record that starts here has over {MAX_RECORD_BYTES} bytes; is a quote left open?"
        )
    };
    Fault { line, message }
}

/// How many lines end in `text`.
fn line_ends(text: &[u8]) -> u64 {
    let feeds = memchr::memchr_iter(b'\n', text).count();
    let alone = memchr::memchr_iter(b'\r', text)
        .filter(|at| text.get(at + 1) != Some(&b'\n'))
        .count();
    (feeds + alone) as u64
}
