//! [`Records`]: a JSON file to one object after the other, streaming, with their lines.
//!
//! Finds where objects begin and checks what stands between them; what stands inside, and where they end, is the
//! business of the one who parses them in place. Memory is bounded by the longest object, also for an array
//! of gigabytes: what a path leads past is not kept.

use std::io::Read;

use crate::error::{Error, Result};
use crate::json::parse::{Fail, MAX_DEPTH, Parsed, Parser};
use crate::json::path::{JsonPath, Step};

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
    /// [`Error::Invalid`] with file, line and column for what is not JSON or what `parse` refuses.
    pub(super) fn read(
        &mut self,
        mut parse: impl FnMut(&[u8]) -> Parsed<usize>,
    ) -> Result<Option<u64>> {
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
                Err(Fail::At(at, message)) => return Err(self.invalid(at, &message)),
            }
        }
    }

    /// More of a record that is not whole yet.
    fn extend(&mut self) -> Result<()> {
        let length = self.filled - self.position;
        if length > MAX_RECORD_BYTES {
            return Err(self.invalid_line(&format!(
                "the object that starts here has over {MAX_RECORD_BYTES} bytes; is a bracket missing?"
            )));
        }
        if !self.fill()? {
            // What is not UTF-8 explains more.
            self.check_utf8(length)?;
            return Err(self.invalid_line(
                "the object that starts here is never closed; is a bracket or quote missing?",
            ));
        }
        Ok(())
    }

    fn check_utf8(&mut self, length: usize) -> Result<()> {
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
        Err(self.invalid(
            self.valid - self.position,
            &format!(
                "not UTF-8; it looks like {likely}: name the encoding, or convert the file to UTF-8"
            ),
        ))
    }

    fn find_object(&mut self) -> Result<bool> {
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
                (_, between) => return Err(self.unexpected(byte, between)),
            }
            self.advance(1);
        }
        match self.between {
            Between::Start | Between::Sequence | Between::ArrayEnd => Ok(false),
            _ => Err(self.invalid_line("the file ends inside its array; is it cut off?")),
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

    fn unexpected(&self, byte: u8, between: Between) -> Error {
        let expected = match between {
            Between::Start => "an object or an array of objects",
            Between::Sequence | Between::ArrayElement => "an object",
            Between::ArrayStart => "an object or the end of the array",
            Between::ArrayComma => "a comma or the end of the array",
            Between::ArrayEnd => "nothing after the array",
        };
        self.expected(expected, byte)
    }

    fn expected(&self, expected: &str, byte: u8) -> Error {
        let found = if byte.is_ascii_graphic() {
            char::from(byte).to_string()
        } else {
            format!("byte 0x{byte:02x}")
        };
        self.invalid_line(&format!("expected {expected}, found {found}"))
    }

    fn cut_off(&self) -> Error {
        self.invalid_line("the file ends inside its document; is it cut off?")
    }

    fn invalid_line(&self, message: &str) -> Error {
        Error::Invalid(format!("{}:{}: {message}", self.name, self.line))
    }

    /// What is wrong `at` bytes behind the position.
    fn invalid(&self, at: usize, message: &str) -> Error {
        let end = (self.position + at).min(self.filled);
        let passed = &self.buffer[self.position..end];
        let lines = memchr::memchr_iter(b'\n', passed).count() as u64;
        let column = match memchr::memrchr(b'\n', passed) {
            Some(last) => (passed.len() - last) as i64,
            None => end as i64 - self.line_start + 1,
        };
        Error::Invalid(format!(
            "{}:{}:{column}: {message}",
            self.name,
            self.line + lines
        ))
    }
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
        while let Some(line) = records.read(|text| {
            let mut parser = Parser::new(text);
            parser.skip_object()?;
            object = String::from_utf8_lossy(&text[..parser.at]).into_owned();
            Ok(parser.at)
        })? {
            all.push((line, std::mem::take(&mut object)));
        }
        Ok(all)
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
