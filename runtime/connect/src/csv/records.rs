//! [`Records`]: CSV bytes to records, streaming, with the line each one starts on.
//!
//! RFC 4180 with any separator and quote. Stricter than most readers where leniency would misread:
//! text after a closing quote, and a quote that never closes, are errors with their line. Blank
//! lines are skipped. Line ends are `\n`, `\r\n` or `\r`.

use std::io::Read;

use crate::csv::CsvOptions;
use crate::error::{Error, Result};

const CHUNK_BYTES: usize = 256 << 10;
/// Longer than any sane record: the usual cause is a quote that never closes.
const MAX_RECORD_BYTES: usize = 16 << 20;
const MAX_FIELDS: usize = 10_000;

/// The fields of one record; reused from record to record.
#[derive(Default)]
pub(super) struct Record {
    data: Vec<u8>,
    ends: Vec<usize>,
    /// The line the record starts on, from 1.
    pub(super) line: u64,
}

impl Record {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The fields as text, or the index of the first one that is not UTF-8 and how many of its bytes are.
    pub(super) fn text(&self) -> Result<Fields<'_>, (usize, usize)> {
        let text = simdutf8::basic::from_utf8(&self.data).map_err(|_| self.first_invalid())?;
        if self.ends.iter().all(|end| text.is_char_boundary(*end)) {
            Ok(Fields {
                text,
                ends: &self.ends,
            })
        } else {
            Err(self.first_invalid())
        }
    }

    fn first_invalid(&self) -> (usize, usize) {
        let mut start = 0;
        for (index, end) in self.ends.iter().enumerate() {
            if let Err(e) = std::str::from_utf8(&self.data[start..*end]) {
                return (index, e.valid_up_to());
            }
            start = *end;
        }
        (0, 0)
    }

    fn clear(&mut self, line: u64) {
        self.data.clear();
        self.ends.clear();
        self.line = line;
    }

    fn end_field(&mut self) {
        self.ends.push(self.data.len());
    }

    fn is_blank(&self) -> bool {
        self.ends.is_empty() && self.data.is_empty()
    }
}

/// A record whose fields are known to be UTF-8.
pub(super) struct Fields<'a> {
    text: &'a str,
    ends: &'a [usize],
}

impl<'a> Fields<'a> {
    pub(super) fn get(&self, index: usize) -> &'a str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'a str> {
        (0..self.ends.len()).map(|index| self.get(index))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    FieldStart,
    Unquoted,
    Quoted,
    Escaped,
    AfterQuote,
}

/// Reads records from bytes.
pub(super) struct Records<R> {
    input: R,
    name: String,
    separator: u8,
    quote: Option<u8>,
    escape: Option<u8>,
    multiline: bool,
    buffer: Vec<u8>,
    position: usize,
    end: usize,
    consumed: u64,
    line: u64,
    quote_line: u64,
    started: bool,
    skip_line_feed: bool,
}

impl<R: Read> Records<R> {
    pub(super) fn new(input: R, name: String, options: &CsvOptions) -> Self {
        let quote = options.quote_char.0;
        Self {
            input,
            name,
            separator: options.separator.0,
            quote,
            escape: options.escaper.filter(|escape| Some(*escape) != quote),
            multiline: options.multiline,
            buffer: vec![0; CHUNK_BYTES],
            position: 0,
            end: 0,
            consumed: 0,
            line: 1,
            quote_line: 1,
            started: false,
            skip_line_feed: false,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Bytes read so far.
    pub(super) fn consumed(&self) -> u64 {
        self.consumed - (self.end - self.position) as u64
    }

    /// Reads the next record into `record`; false at the end of the file.
    pub(super) fn read(&mut self, record: &mut Record) -> Result<bool> {
        record.clear(self.line);
        let mut state = State::FieldStart;
        loop {
            if self.position == self.end && !self.fill()? {
                return self.finish(record, state);
            }
            if self.skip_line_feed {
                self.skip_line_feed = false;
                self.position += usize::from(self.buffer[self.position] == b'\n');
                continue;
            }
            self.check_size(record)?;
            state = match state {
                State::FieldStart => self.field_start(),
                State::Unquoted => match self.unquoted(record) {
                    Step::To(state) => state,
                    Step::Record => return Ok(true),
                },
                State::Quoted => self.quoted(record)?,
                State::Escaped => self.escaped(record),
                State::AfterQuote => match self.after_quote(record)? {
                    Step::To(state) => state,
                    Step::Record => return Ok(true),
                },
            };
        }
    }

    fn field_start(&mut self) -> State {
        if Some(self.buffer[self.position]) != self.quote {
            return State::Unquoted;
        }
        self.position += 1;
        self.quote_line = self.line;
        State::Quoted
    }

    fn unquoted(&mut self, record: &mut Record) -> Step {
        let run = &self.buffer[self.position..self.end];
        let length = memchr::memchr3(self.separator, b'\n', b'\r', run).unwrap_or(run.len());
        record.data.extend_from_slice(&run[..length]);
        self.position += length;
        if self.position == self.end {
            return Step::To(State::Unquoted);
        }
        let byte = self.take();
        if byte == self.separator {
            record.end_field();
            return Step::To(State::FieldStart);
        }
        self.end_line(byte);
        if record.is_blank() {
            record.line = self.line;
            return Step::To(State::FieldStart);
        }
        record.end_field();
        Step::Record
    }

    fn quoted(&mut self, record: &mut Record) -> Result<State> {
        let run = &self.buffer[self.position..self.end];
        let quote = self.quote.unwrap_or(b'"');
        let length = memchr::memchr2(quote, self.escape.unwrap_or(quote), run).unwrap_or(run.len());
        let lines = memchr::memchr_iter(b'\n', &run[..length]).count() as u64;
        if lines > 0 && !self.multiline {
            return Err(self.invalid(
                self.line,
                "a quoted value goes past the end of the line; close the quote, or allow it with multiline",
            ));
        }
        self.line += lines;
        record.data.extend_from_slice(&run[..length]);
        self.position += length;
        if self.position == self.end {
            return Ok(State::Quoted);
        }
        let byte = self.take();
        Ok(if byte == quote {
            State::AfterQuote
        } else {
            State::Escaped
        })
    }

    fn escaped(&mut self, record: &mut Record) -> State {
        let byte = self.take();
        self.line += u64::from(byte == b'\n');
        record.data.push(byte);
        State::Quoted
    }

    fn after_quote(&mut self, record: &mut Record) -> Result<Step> {
        let byte = self.take();
        if Some(byte) == self.quote {
            record.data.push(byte);
            return Ok(Step::To(State::Quoted));
        }
        // From here on the record counts as begun, so that a quoted empty value is not a blank line.
        record.end_field();
        match byte {
            _ if byte == self.separator => Ok(Step::To(State::FieldStart)),
            b'\n' | b'\r' => {
                self.end_line(byte);
                Ok(Step::Record)
            }
            _ => Err(self.invalid(
                self.line,
                "text follows a closing quote; double the quotes inside a value, or disable quoting",
            )),
        }
    }

    fn finish(&mut self, record: &mut Record, state: State) -> Result<bool> {
        match state {
            State::Quoted | State::Escaped => Err(self.invalid(
                self.quote_line,
                "the quote that opens here is never closed; close it, or disable quoting",
            )),
            State::AfterQuote => {
                record.end_field();
                Ok(true)
            }
            State::FieldStart | State::Unquoted if record.is_blank() => Ok(false),
            State::FieldStart | State::Unquoted => {
                record.end_field();
                Ok(true)
            }
        }
    }

    fn take(&mut self) -> u8 {
        let byte = self.buffer[self.position];
        self.position += 1;
        byte
    }

    fn end_line(&mut self, byte: u8) {
        self.line += 1;
        self.skip_line_feed = byte == b'\r';
    }

    fn check_size(&self, record: &Record) -> Result<()> {
        if record.data.len() > MAX_RECORD_BYTES {
            return Err(self.invalid(
                record.line,
                &format!("the record that starts here has over {MAX_RECORD_BYTES} bytes; is a quote left open?"),
            ));
        }
        if record.ends.len() > MAX_FIELDS {
            return Err(self.invalid(
                record.line,
                &format!("over {MAX_FIELDS} fields; is the separator right?"),
            ));
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<bool> {
        self.position = 0;
        self.end = 0;
        // The first bytes are looked at together: a byte order mark must not be split.
        let wanted = if self.started { 1 } else { 3 };
        while self.end < wanted {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(read) => self.end += read,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io("read", &self.name, e)),
            }
        }
        self.consumed += self.end as u64;
        if !self.started {
            self.started = true;
            self.byte_order_mark()?;
            if self.position == self.end && self.end > 0 {
                return self.fill();
            }
        }
        Ok(self.position < self.end)
    }

    fn byte_order_mark(&mut self) -> Result<()> {
        let start = &self.buffer[..self.end];
        if start.starts_with(b"\xEF\xBB\xBF") {
            self.position = 3;
        }
        if start.starts_with(b"\xFF\xFE") || start.starts_with(b"\xFE\xFF") {
            return Err(self.invalid(
                1,
                "the file is UTF-16; convert it to UTF-8 first, for example with iconv",
            ));
        }
        Ok(())
    }

    fn invalid(&self, line: u64, message: &str) -> Error {
        Error::Invalid(format!("{}:{line}: {message}", self.name))
    }
}

enum Step {
    To(State),
    Record,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8], chunk: usize, options: &CsvOptions) -> Result<Vec<(u64, Vec<Vec<u8>>)>> {
        struct Slow<'a>(&'a [u8], usize);
        impl Read for Slow<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                let limit = self.1.min(buffer.len());
                self.0.read(&mut buffer[..limit])
            }
        }
        let mut records = Records::new(Slow(bytes, chunk), "t.csv".into(), options);
        let mut record = Record::default();
        let mut all = Vec::new();
        while records.read(&mut record)? {
            let mut start = 0;
            let fields = record
                .ends
                .iter()
                .map(|end| record.data[std::mem::replace(&mut start, *end)..*end].to_vec());
            all.push((record.line, fields.collect()));
        }
        Ok(all)
    }

    fn oracle(bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(bytes);
        reader
            .byte_records()
            .map(|r| r.unwrap().iter().map(<[u8]>::to_vec).collect())
            .collect()
    }

    #[test]
    fn lines_are_where_records_start() {
        let text = b"\xEF\xBB\xBFa,b\r\n\r\n1,\"x\ny\"\n\n\"\",z\rlast";
        for chunk in [1, 2, 3, 100] {
            let records = read(text, chunk, &CsvOptions::default()).unwrap();
            let lines: Vec<u64> = records.iter().map(|r| r.0).collect();
            assert_eq!(lines, [1, 3, 6, 7], "chunk {chunk}");
            assert_eq!(records[1].1[1], b"x\ny");
            assert_eq!(records[2].1[0], b"");
        }
    }

    #[test]
    fn broken_quotes_name_their_line() {
        let error =
            |text: &[u8], options: &CsvOptions| read(text, 7, options).unwrap_err().to_string();
        let options = CsvOptions::default();
        insta::assert_snapshot!(error(b"a\n1\n\"2\n3\n", &options), @"t.csv:3: the quote that opens here is never closed; close it, or disable quoting");
        insta::assert_snapshot!(error(b"a\n\"1\"2\n", &options), @"t.csv:2: text follows a closing quote; double the quotes inside a value, or disable quoting");
        let single = CsvOptions {
            multiline: false,
            ..CsvOptions::default()
        };
        insta::assert_snapshot!(error(b"a\n\"1\n2\"\n", &single), @"t.csv:2: a quoted value goes past the end of the line; close the quote, or allow it with multiline");
        insta::assert_snapshot!(error(b"\xFF\xFEa\0", &options), @"t.csv:1: the file is UTF-16; convert it to UTF-8 first, for example with iconv");
    }

    #[test]
    fn escaper_and_disabled_quote() {
        let escaper = CsvOptions {
            escaper: Some(b'\\'),
            ..CsvOptions::default()
        };
        assert_eq!(
            read(br#""a\"b",c\d"#, 1, &escaper).unwrap()[0].1,
            [b"a\"b".to_vec(), b"c\\d".to_vec()]
        );
        let disabled = CsvOptions {
            quote_char: QuoteChar::DISABLED,
            ..CsvOptions::default()
        };
        assert_eq!(
            read(br#""a",5" tall"#, 1, &disabled).unwrap()[0].1,
            [b"\"a\"".to_vec(), b"5\" tall".to_vec()]
        );
    }

    use crate::csv::QuoteChar;

    proptest! {
        /// What we accept, we read like the `csv` crate.
        #[test]
        fn agrees_with_the_csv_crate(text in "[ab,\"\n\r\u{e4}]{0,40}", chunk in 1usize..9) {
            if let Ok(records) = read(text.as_bytes(), chunk, &CsvOptions::default()) {
                let fields: Vec<_> = records.into_iter().map(|r| r.1).collect();
                prop_assert_eq!(fields, oracle(text.as_bytes()));
            }
        }

        /// What the `csv` crate writes, we accept and read back.
        #[test]
        fn reads_what_the_csv_crate_writes(rows in prop::collection::vec(prop::collection::vec("[ab,\"\n\r ']{0,5}", 2), 0..6)) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let bytes = writer.into_inner().unwrap();
            let records = read(&bytes, 5, &CsvOptions::default()).unwrap();
            let fields: Vec<Vec<String>> = records.into_iter().map(|r| r.1.into_iter().map(|f| String::from_utf8(f).unwrap()).collect()).collect();
            prop_assert_eq!(fields, rows);
        }
    }
}
