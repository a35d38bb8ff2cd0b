//! [`Records`]: a JSON file to one object after the other, streaming, with their lines.
//!
//! Finds where objects begin and checks what stands between them; what stands inside, and where they end, is the
//! business of the one who parses them in place. Memory is bounded by the longest object, also for an array
//! of gigabytes: what a path leads past is not kept.
//!
//! A record that is wrong is a [`Fault`]. Where it ends is known if it is JSON all the same; else, of records one after
//! the other, it ends where another can be told to begin: in front of a `{` that begins a line or is proven to begin a
//! record (see `split.rs`). What is broken inside of an array or on a path has no end that could be told.

use std::fmt;
use std::io::Read;

use crate::error::{Error, Result};
use crate::json::parse::{Fail, MAX_DEPTH, Parsed, Parser};
use crate::json::path::{JsonPath, Step};
use crate::json::split;

const CHUNK_BYTES: usize = 256 << 10;
pub(super) const MAX_RECORD_BYTES: usize = 16 << 20;
const MAX_NAME_BYTES: usize = 64 << 10;

#[derive(Clone, Copy, PartialEq)]
enum Between {
    Start,
    /// Objects one after the other.
    Sequence,
    ArrayStart,
    ArrayComma,
    ArrayElement,
    ArrayEnd,
}

/// Something that a path leads into.
#[derive(Clone, Copy)]
struct Frame {
    is_object: bool,
    /// The step that leads further.
    step: usize,
    has_elements: bool,
}

/// Finds the records of one file.
pub(super) struct Records<R> {
    input: R,
    name: String,
    buffer: Vec<u8>,
    filled: usize,
    position: usize,
    /// Where in the file `buffer` begins.
    offset: u64,
    /// Up to here `buffer` is known to be UTF-8.
    valid: usize,
    line: u64,
    /// Where in `buffer` the line begins; negative if before it.
    line_start: i64,
    between: Between,
    path: Option<JsonPath>,
    frames: Vec<Frame>,
    end: u64,
    is_ended: bool,
    has_started: bool,
}

impl<R: Read> Records<R> {
    pub(super) fn new(input: R, name: String, path: Option<JsonPath>) -> Self {
        Self {
            input,
            name,
            buffer: Vec::new(),
            filled: 0,
            position: 0,
            offset: 0,
            valid: 0,
            line: 1,
            line_start: 0,
            between: Between::Start,
            path,
            frames: Vec::new(),
            end: u64::MAX,
            is_ended: false,
            has_started: false,
        }
    }

    /// `input` is at byte `start` of its file, where a record of a sequence begins; those that begin at `end` or
    /// later are left. Lines count from the first of them.
    pub(super) fn over(input: R, name: String, start: u64, end: u64) -> Self {
        let between = match start {
            0 => Between::Start,
            _ => Between::Sequence,
        };
        Self {
            offset: start,
            end,
            between,
            has_started: start > 0,
            ..Self::new(input, name, None)
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Where in the file the next record is looked for.
    pub(super) fn position(&self) -> u64 {
        self.offset + self.position as u64
    }

    /// Parses the next record and gives the line it begins on; None at the end. `parse` gets text that begins with `{`
    /// and may end too early, and gives the length of the object.
    ///
    /// # Errors
    /// What is wrong with the record, behind which [`Self::skip`] goes on, or with the file; [`Self::error`] makes either
    /// an [`Error`] with file, line and column.
    pub(super) fn read(
        &mut self,
        mut parse: impl FnMut(&[u8]) -> Parsed<usize>,
    ) -> Result<Option<u64>, Stop> {
        let is_there = match self.path {
            None => self.find_object()?,
            Some(_) => self.find_by_path()?,
        };
        if !is_there || self.position() >= self.end {
            return Ok(None);
        }
        loop {
            match parse(&self.buffer[self.position..self.filled]) {
                Ok(length) => {
                    self.check_utf8(length)?;
                    let line = self.line;
                    self.advance(length);
                    return Ok(Some(line));
                }
                Err(Fail::End) => self.extend()?,
                Err(Fail::At(at, message)) => return Err(self.fault(at, &message).into()),
            }
        }
    }

    pub(super) fn error(&self, stop: Stop) -> Error {
        match stop {
            Stop::Fault(fault) => Error::Invalid(format!("{}:{fault}", self.name)),
            Stop::Error(error) => error,
        }
    }

    /// Goes past the record that [`Self::read`] found a fault in, and gives its text; None if its end cannot be told.
    pub(super) fn skip(&mut self) -> Result<Option<Vec<u8>>> {
        let is_open =
            matches!(self.between, Between::Start | Between::Sequence) && self.path.is_none();
        loop {
            let rest = &self.buffer[self.position..self.filled];
            let mut parser = Parser::new(rest);
            let is_record = rest.first() == Some(&b'{');
            let length = match is_record.then(|| parser.skip_object()) {
                Some(Ok(())) => Some(parser.at),
                Some(Err(Fail::End)) if !self.is_ended => None,
                _ if !is_open => return Ok(None),
                _ => next_record(rest).or(self.is_ended.then_some(rest.len())),
            };
            if let Some(length) = length {
                let text = rest[..length].to_vec();
                self.advance(length);
                self.between = match self.between {
                    Between::Start => Between::Sequence,
                    other => other,
                };
                return Ok(Some(text));
            }
            if rest.len() > MAX_RECORD_BYTES {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    /// More of a record that is not whole yet.
    fn extend(&mut self) -> Result<(), Stop> {
        let length = self.filled - self.position;
        if length > MAX_RECORD_BYTES {
            return Err(self
                .fault_of_line(&format!(
                    "the object that starts here has over {MAX_RECORD_BYTES} bytes; is a bracket missing?"
                ))
                .into());
        }
        if !self.fill()? {
            // What is not UTF-8 explains more.
            self.check_utf8(length)?;
            return Err(self
                .fault_of_line(
                    "the object that starts here is never closed; is a bracket or quote missing?",
                )
                .into());
        }
        Ok(())
    }

    fn check_utf8(&mut self, length: usize) -> Result<(), Fault> {
        let end = self.position + length;
        if end <= self.valid {
            return Ok(());
        }
        let rest = &self.buffer[self.valid.max(self.position)..self.filled];
        let start = self.valid.max(self.position);
        self.valid = match simdutf8::compat::from_utf8(rest) {
            Ok(_) => self.filled,
            Err(e) => start + e.valid_up_to(),
        };
        if end <= self.valid {
            return Ok(());
        }
        let likely = crate::encoding::likely(&self.buffer[self.position..end]);
        Err(self.fault(
            self.valid - self.position,
            &format!(
                "not UTF-8; it looks like {likely}: name the encoding, or convert the file to UTF-8"
            ),
        ))
    }

    fn find_object(&mut self) -> Result<bool, Stop> {
        while let Some(byte) = self.peek()? {
            match (byte, self.between) {
                (b' ' | b'\t' | b'\r' | b'\n', _) => {}
                (b'[', Between::Start) => self.between = Between::ArrayStart,
                (b',', Between::ArrayComma) => self.between = Between::ArrayElement,
                (b']', Between::ArrayStart | Between::ArrayComma) => {
                    self.between = Between::ArrayEnd
                }
                (b'{', Between::Start | Between::Sequence) => {
                    self.between = Between::Sequence;
                    return Ok(true);
                }
                (b'{', Between::ArrayStart | Between::ArrayElement) => {
                    self.between = Between::ArrayComma;
                    return Ok(true);
                }
                (_, between) => return Err(self.unexpected(byte, between).into()),
            }
            self.advance(1);
        }
        match self.between {
            Between::Start | Between::Sequence | Between::ArrayEnd => Ok(false),
            _ => Err(self
                .invalid_line("the file ends inside its array; is it cut off?")
                .into()),
        }
    }

    fn find_by_path(&mut self) -> Result<bool> {
        loop {
            let Some(byte) = self.peek_token()? else {
                if self.frames.is_empty() {
                    return Ok(false);
                }
                return Err(self.cut_off());
            };
            let Some(frame) = self.frames.last().copied() else {
                if self.enter(0)? {
                    return Ok(true);
                }
                continue;
            };
            if byte == if frame.is_object { b'}' } else { b']' } {
                self.advance(1);
                self.frames.pop();
                continue;
            }
            if frame.has_elements {
                if byte != b',' {
                    return Err(self.expected("a comma or the end", byte));
                }
                self.advance(1);
            }
            if let Some(frame) = self.frames.last_mut() {
                frame.has_elements = true;
            }
            if frame.is_object && !self.is_name(frame.step)? {
                self.skip_value()?;
            } else if self.enter(frame.step + 1)? {
                return Ok(true);
            }
        }
    }

    /// In front of a value to which `step` steps led: true if it is a row; else it is entered, or skipped if it is null.
    fn enter(&mut self, step: usize) -> Result<bool> {
        let Some(byte) = self.peek_token()? else {
            return Err(self.cut_off());
        };
        let next = self.path.as_ref().and_then(|path| path.steps().get(step));
        let (opens, expected) = match next {
            None => (b'{', "an object, which is a row"),
            Some(Step::Name(_)) => (b'{', "an object"),
            Some(Step::All) => (b'[', "a list"),
        };
        let is_row = next.is_none();
        if byte == b'n' {
            self.skip_value()?;
            return Ok(false);
        }
        if byte != opens {
            let path = self
                .path
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            return Err(self.expected(&format!("{expected} on the path {path}"), byte));
        }
        if is_row {
            return Ok(true);
        }
        self.advance(1);
        self.frames.push(Frame {
            is_object: opens == b'{',
            step,
            has_elements: false,
        });
        Ok(false)
    }

    /// Goes past a name and its colon: is it the one that a step names?
    fn is_name(&mut self, step: usize) -> Result<bool> {
        let name = self.text(MAX_NAME_BYTES)?;
        match self.peek_token()? {
            Some(b':') => self.advance(1),
            Some(byte) => return Err(self.expected("a colon", byte)),
            None => return Err(self.cut_off()),
        }
        let wanted = self.path.as_ref().and_then(|path| path.steps().get(step));
        Ok(matches!(wanted, Some(Step::Name(wanted)) if wanted.as_bytes() == name))
    }

    /// The string that begins here.
    fn text(&mut self, max_bytes: usize) -> Result<Vec<u8>> {
        loop {
            let mut parser = Parser::new(&self.buffer[self.position..self.filled]);
            let mut name = Vec::new();
            let parsed = parser.text().and_then(|raw| raw.append_to(&mut name));
            match parsed {
                Ok(()) => {
                    let length = parser.at;
                    self.advance(length);
                    return Ok(name);
                }
                Err(Fail::At(at, message)) => return Err(self.invalid(at, &message)),
                Err(Fail::End) if self.filled - self.position > max_bytes => {
                    return Err(self.invalid(0, &format!("a name has over {max_bytes} bytes")));
                }
                Err(Fail::End) => {
                    if !self.fill()? {
                        return Err(self.cut_off());
                    }
                }
            }
        }
    }

    /// Goes past a value that no path leads into, of any size.
    fn skip_value(&mut self) -> Result<()> {
        let mut depth = 0_usize;
        loop {
            let Some(byte) = self.peek_token()? else {
                return Err(self.cut_off());
            };
            match byte {
                b'"' => self.skip_text()?,
                b'{' | b'[' => {
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return Err(
                            self.invalid(0, &format!("nested deeper than {MAX_DEPTH} levels"))
                        );
                    }
                    self.advance(1);
                    continue;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.advance(1);
                }
                b',' | b':' if depth > 0 => {
                    self.advance(1);
                    continue;
                }
                _ if byte.is_ascii_alphanumeric() || b"-+.".contains(&byte) => self.skip_word()?,
                _ => return Err(self.expected("a value", byte)),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn skip_word(&mut self) -> Result<()> {
        while let Some(byte) = self.peek()?
            && (byte.is_ascii_alphanumeric() || b"-+.".contains(&byte))
        {
            self.advance(1);
        }
        Ok(())
    }

    fn skip_text(&mut self) -> Result<()> {
        self.advance(1);
        while let Some(byte) = self.peek()? {
            self.advance(1);
            match byte {
                b'"' => return Ok(()),
                b'\\' => match self.peek()? {
                    Some(_) => self.advance(1),
                    None => break,
                },
                _ => {}
            }
        }
        Err(self.cut_off())
    }

    /// The next byte that is no white space, if there is one.
    fn peek_token(&mut self) -> Result<Option<u8>> {
        while let Some(byte) = self.peek()? {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Ok(Some(byte));
            }
            self.advance(1);
        }
        Ok(None)
    }

    fn peek(&mut self) -> Result<Option<u8>> {
        if self.position == self.filled && !self.fill()? {
            return Ok(None);
        }
        Ok(Some(self.buffer[self.position]))
    }

    fn advance(&mut self, length: usize) {
        let passed = &self.buffer[self.position..self.position + length];
        let lines = memchr::memchr_iter(b'\n', passed).count() as u64;
        if lines > 0 {
            self.line += lines;
            let last = memchr::memrchr(b'\n', passed).unwrap_or_default();
            self.line_start = (self.position + last + 1) as i64;
        }
        self.position += length;
    }

    /// Moves what is left to the front and reads on behind it; false at the end of the file.
    fn fill(&mut self) -> Result<bool> {
        if self.is_ended {
            return Ok(false);
        }
        self.buffer.copy_within(self.position..self.filled, 0);
        self.offset += self.position as u64;
        self.line_start -= self.position as i64;
        self.valid = self.valid.saturating_sub(self.position);
        self.filled -= self.position;
        self.position = 0;
        let wanted = (self.filled * 2).max(CHUNK_BYTES);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        let before = self.filled;
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
            // A byte order mark must not be split.
            if self.has_started || self.filled >= 3 {
                break;
            }
        }
        if !std::mem::replace(&mut self.has_started, true)
            && self.buffer[..self.filled].starts_with(b"\xEF\xBB\xBF")
        {
            self.position = 3;
            self.line_start = 3;
            if self.filled == 3 {
                return self.fill();
            }
        }
        Ok(self.filled > before)
    }

    fn unexpected(&self, byte: u8, between: Between) -> Fault {
        let expected = match between {
            Between::Start => "an object or an array of objects",
            Between::Sequence | Between::ArrayElement => "an object",
            Between::ArrayStart => "an object or the end of the array",
            Between::ArrayComma => "a comma or the end of the array",
            Between::ArrayEnd => "nothing after the array",
        };
        self.fault_of_line(&expected_but_found(expected, byte))
    }

    fn expected(&self, expected: &str, byte: u8) -> Error {
        self.invalid_line(&expected_but_found(expected, byte))
    }

    fn cut_off(&self) -> Error {
        self.invalid_line("the file ends inside its document; is it cut off?")
    }

    fn invalid_line(&self, message: &str) -> Error {
        self.error(self.fault_of_line(message).into())
    }

    fn invalid(&self, at: usize, message: &str) -> Error {
        self.error(self.fault(at, message).into())
    }

    fn fault_of_line(&self, message: &str) -> Fault {
        Fault {
            row_line: self.line,
            line: self.line,
            column: None,
            message: message.to_owned(),
        }
    }

    /// What is wrong `at` bytes behind the position.
    fn fault(&self, at: usize, message: &str) -> Fault {
        let end = (self.position + at).min(self.filled);
        let passed = &self.buffer[self.position..end];
        let lines = memchr::memchr_iter(b'\n', passed).count() as u64;
        let column = match memchr::memrchr(b'\n', passed) {
            Some(last) => (passed.len() - last) as i64,
            None => end as i64 - self.line_start + 1,
        };
        Fault {
            row_line: self.line,
            line: self.line + lines,
            column: Some(column),
            message: message.to_owned(),
        }
    }
}

/// Why there is no next record.
pub(super) enum Stop {
    /// One record is wrong.
    Fault(Fault),
    /// The file is, or cannot be read.
    Error(Error),
}

/// What is wrong with a record, and where; shown as `line:column: message`.
pub(super) struct Fault {
    /// Where the record begins.
    pub(super) row_line: u64,
    line: u64,
    column: Option<i64>,
    pub(super) message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            Some(column) => write!(f, "{}:{column}: {}", self.line, self.message),
            None => write!(f, "{}: {}", self.line, self.message),
        }
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fault(fault)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Error(error)
    }
}

fn expected_but_found(expected: &str, byte: u8) -> String {
    if byte.is_ascii_graphic() {
        format!("expected {expected}, found {}", char::from(byte))
    } else {
        format!("expected {expected}, found byte 0x{byte:02x}")
    }
}

/// Where in the text, which begins with a record that is broken, the next one begins.
fn next_record(text: &[u8]) -> Option<usize> {
    let begins_line = memchr::memmem::find(text, b"\n{").map(|at| at + 1);
    // As for a part: what is read in parts is what is read in one.
    let proven = split::first_record(text);
    [begins_line, proven].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let limit = self.1.min(buffer.len());
            self.0.read(&mut buffer[..limit])
        }
    }

    fn read_by(text: &str, path: Option<&str>, chunk: usize) -> Result<Vec<(u64, String)>> {
        let path = path.map(|path| path.parse().unwrap());
        let mut records = Records::new(Slow(text.as_bytes(), chunk), "t.json".into(), path);
        let mut all = Vec::new();
        let mut object = String::new();
        loop {
            let read = records.read(|text| {
                let mut parser = Parser::new(text);
                parser.skip_object()?;
                object = String::from_utf8_lossy(&text[..parser.at]).into_owned();
                Ok(parser.at)
            });
            match read.map_err(|stop| records.error(stop))? {
                Some(line) => all.push((line, std::mem::take(&mut object))),
                None => return Ok(all),
            }
        }
    }

    /// Every record, and what was left out between them.
    fn read_around(text: &str, chunk: usize) -> std::result::Result<Vec<String>, String> {
        let mut records = Records::new(Slow(text.as_bytes(), chunk), "t.json".into(), None);
        let mut all = Vec::new();
        loop {
            let mut object = String::new();
            let read = records.read(|text| {
                let mut parser = Parser::new(text);
                parser.skip_object()?;
                object = String::from_utf8_lossy(&text[..parser.at]).into_owned();
                Ok(parser.at)
            });
            match read {
                Ok(Some(line)) => all.push(format!("{line} {object}")),
                Ok(None) => return Ok(all),
                Err(Stop::Error(error)) => return Err(error.to_string()),
                Err(Stop::Fault(fault)) => match records.skip().map_err(|e| e.to_string())? {
                    Some(text) => {
                        let text = String::from_utf8_lossy(&text);
                        all.push(format!("{} BAD {}", fault.row_line, text.trim_end()));
                    }
                    None => return Err(records.error(fault.into()).to_string()),
                },
            }
        }
    }

    /// What is broken ends where another record can be told to begin, however the bytes come.
    #[test]
    fn broken_records_are_left_out_alone() {
        for chunk in [1, 3, 1000] {
            let around = |text: &str| read_around(text, chunk).unwrap().join("|");
            assert_eq!(
                around("{\"a\":1}\n{\"a\":\n{\"a\":2}\n"),
                "1 {\"a\":1}|2 BAD {\"a\":|3 {\"a\":2}"
            );
            assert_eq!(
                around("oops\n{\"a\":1}\nhm, {\n {\"b\"}\n  {\"a\":2}"),
                "1 BAD oops|2 {\"a\":1}|3 BAD hm, {\n {\"b\"}|5 {\"a\":2}"
            );
            assert_eq!(around("{\"a\":1}\n{\"a\":"), "1 {\"a\":1}|2 BAD {\"a\":");
            assert_eq!(around("{\"a\":tru}{\"a\":1}"), "1 BAD {\"a\":tru}{\"a\":1}");
            let refused = read_around("[{\"a\":1},\n{\"a\":},\n{\"a\":2}]", chunk).unwrap_err();
            insta::allow_duplicates! {
                insta::assert_snapshot!(refused, @"t.json:2:6: expected a value, found }");
            }
        }
    }

    fn read(text: &str) -> Result<Vec<(u64, String)>> {
        let whole = read_by(text, None, usize::MAX);
        let pieces = read_by(text, None, 1);
        let show = |read: &Result<Vec<(u64, String)>>| format!("{read:?}");
        assert_eq!(show(&whole), show(&pieces));
        whole
    }

    #[test]
    fn lines_and_arrays() {
        let lines = "\u{feff}{\"a\":1}\n\n{\"a\":\"}\\\"{\"}\r\n{\n\"a\":[{}]} {}";
        let expected = [
            (1, "{\"a\":1}"),
            (3, "{\"a\":\"}\\\"{\"}"),
            (4, "{\n\"a\":[{}]}"),
            (5, "{}"),
        ];
        let found = read(lines).unwrap();
        assert_eq!(
            found
                .iter()
                .map(|(line, text)| (*line, text.as_str()))
                .collect::<Vec<_>>(),
            expected
        );
        assert_eq!(
            read("[{\"a\":1},\n{\"a\":2}\n]\n")
                .unwrap()
                .iter()
                .map(|r| r.0)
                .collect::<Vec<_>>(),
            [1, 2]
        );
        assert!(read("[]").unwrap().is_empty());
        assert!(read("").unwrap().is_empty());
    }

    #[test]
    fn what_stands_between_is_checked() {
        let error = |text: &str| read(text).unwrap_err().to_string();
        insta::assert_snapshot!(error("{}\n1"), @"t.json:2: expected an object, found 1");
        insta::assert_snapshot!(error("[{}\n{}]"), @"t.json:2: expected a comma or the end of the array, found {");
        insta::assert_snapshot!(error("[{},]"), @"t.json:1: expected an object, found ]");
        insta::assert_snapshot!(error("[{}"), @"t.json:1: the file ends inside its array; is it cut off?");
        insta::assert_snapshot!(error("[{}]\n{}"), @"t.json:2: expected nothing after the array, found {");
        insta::assert_snapshot!(error("{}\n{\"a\":1"), @"t.json:2: the object that starts here is never closed; is a bracket or quote missing?");
        insta::assert_snapshot!(error("{}\n{\"a\":1\n{}\n"), @"t.json:3:1: expected a comma or }, found {");
        let deep = |levels: usize| error(&"{\"a\":".repeat(levels));
        insta::assert_snapshot!(deep(100_000), @"t.json:1:642: nested deeper than 128 levels");
    }

    #[test]
    fn paths_lead_to_rows() {
        let text = "{\"n\":{\"skipped\":[1,\"]\\\"\",{}]},\"a\":{\"b\":[{\"x\":1},\n{\"x\":2},null]}}\n{\"a\":null}\n{\"a\":{\"b\":[]}}";
        for chunk in [1, 7, 1000] {
            let found = read_by(text, Some("$.a.b[*]"), chunk).unwrap();
            assert_eq!(
                found,
                [(1, "{\"x\":1}".to_owned()), (2, "{\"x\":2}".to_owned())]
            );
            let nested = read_by("[[{}],[{\"a\":1}]]", Some("$[*][*]"), chunk).unwrap();
            assert_eq!(nested.len(), 2);
            let one = read_by("{\"a\":{\"x\":1}} {\"a\":{\"x\":2}}", Some("$.a"), chunk).unwrap();
            assert_eq!(one.len(), 2);
        }
        let error = |text: &str, path: &str| read_by(text, Some(path), 3).unwrap_err().to_string();
        insta::assert_snapshot!(error("{\"a\":[1]}", "$.a[*]"), @"t.json:1: expected an object, which is a row on the path $.a[*], found 1");
        insta::assert_snapshot!(error("{\"a\":1}", "$.a[*]"), @"t.json:1: expected a list on the path $.a[*], found 1");
        insta::assert_snapshot!(error("{\"a\":[{}", "$.a[*]"), @"t.json:1: the file ends inside its document; is it cut off?");
        insta::assert_snapshot!(error("{\"a\":[{} {}]}", "$.a[*]"), @"t.json:1: expected a comma or the end, found {");
    }
}
