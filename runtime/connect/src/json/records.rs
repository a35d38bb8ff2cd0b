//! [`Records`]: JSON bytes to the bytes of one object after the other, streaming, with their lines.
//!
//! Finds where objects begin and end (brackets outside strings) and checks what stands between them;
//! what stands inside is the decoder's business. Memory is bounded by the longest object.

use std::io::Read;

use crate::error::{Error, Result};

const CHUNK_BYTES: usize = 256 << 10;
const MAX_RECORD_BYTES: usize = 16 << 20;
const MAX_DEPTH: u32 = 128;

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

/// Splits JSON into its records.
pub(super) struct Records<R> {
    input: R,
    name: String,
    buffer: Vec<u8>,
    position: usize,
    end: usize,
    consumed: u64,
    line: u64,
    between: Between,
    started: bool,
}

impl<R: Read> Records<R> {
    pub(super) fn new(input: R, name: String) -> Self {
        Self {
            input,
            name,
            buffer: vec![0; CHUNK_BYTES],
            position: 0,
            end: 0,
            consumed: 0,
            line: 1,
            between: Between::Start,
            started: false,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Bytes read so far.
    pub(super) fn consumed(&self) -> u64 {
        self.consumed - (self.end - self.position) as u64
    }

    /// Appends the next object to `record` and returns the line it starts on; None at the end.
    pub(super) fn read(&mut self, record: &mut Vec<u8>) -> Result<Option<u64>> {
        if !self.find_object()? {
            return Ok(None);
        }
        let line = self.line;
        self.copy_object(record, line)?;
        Ok(Some(line))
    }

    fn find_object(&mut self) -> Result<bool> {
        while let Some(byte) = self.peek()? {
            match (byte, self.between) {
                (b' ' | b'\t' | b'\r', _) => {}
                (b'\n', _) => self.line += 1,
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
            self.position += 1;
        }
        match self.between {
            Between::Start | Between::Sequence | Between::ArrayEnd => Ok(false),
            _ => Err(self.invalid(self.line, "the file ends inside its array; is it cut off?")),
        }
    }

    fn copy_object(&mut self, record: &mut Vec<u8>, line: u64) -> Result<()> {
        let start = record.len();
        let (mut depth, mut in_string, mut is_escaped) = (0_u32, false, false);
        loop {
            if self.position == self.end && !self.fill()? {
                return Err(self.invalid(
                    line,
                    "the object that starts here is never closed; is a bracket or quote missing?",
                ));
            }
            let run = &self.buffer[self.position..self.end];
            let mut length = 0;
            let mut is_whole = false;
            for byte in run {
                length += 1;
                if is_escaped {
                    is_escaped = false;
                    continue;
                }
                match byte {
                    b'\n' => self.line += 1,
                    b'\\' => is_escaped = in_string,
                    b'"' => in_string = !in_string,
                    b'{' | b'[' if !in_string => depth += 1,
                    b'}' | b']' if !in_string => depth -= 1,
                    _ => continue,
                }
                is_whole = depth == 0;
                if is_whole || depth > MAX_DEPTH {
                    break;
                }
            }
            record.extend_from_slice(&run[..length]);
            self.position += length;
            if depth > MAX_DEPTH {
                return Err(
                    self.invalid(self.line, &format!("nested deeper than {MAX_DEPTH} levels"))
                );
            }
            if record.len() - start > MAX_RECORD_BYTES {
                let message = format!(
                    "the object that starts here has over {MAX_RECORD_BYTES} bytes; is a bracket missing?"
                );
                return Err(self.invalid(line, &message));
            }
            if is_whole {
                return Ok(());
            }
        }
    }

    fn peek(&mut self) -> Result<Option<u8>> {
        if self.position == self.end && !self.fill()? {
            return Ok(None);
        }
        Ok(Some(self.buffer[self.position]))
    }

    fn fill(&mut self) -> Result<bool> {
        self.position = 0;
        self.end = 0;
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
        if !std::mem::replace(&mut self.started, true)
            && self.buffer[..self.end].starts_with(b"\xEF\xBB\xBF")
        {
            self.position = 3;
            if self.end == 3 {
                return self.fill();
            }
        }
        Ok(self.position < self.end)
    }

    fn unexpected(&self, byte: u8, between: Between) -> Error {
        let found = if byte.is_ascii_graphic() {
            char::from(byte).to_string()
        } else {
            format!("byte 0x{byte:02x}")
        };
        let expected = match between {
            Between::Start => "an object or an array of objects",
            Between::Sequence | Between::ArrayElement => "an object",
            Between::ArrayStart => "an object or the end of the array",
            Between::ArrayComma => "a comma or the end of the array",
            Between::ArrayEnd => "nothing after the array",
        };
        self.invalid(self.line, &format!("expected {expected}, found {found}"))
    }

    fn invalid(&self, line: u64, message: &str) -> Error {
        Error::Invalid(format!("{}:{line}: {message}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(u64, String)>> {
        let mut records = Records::new(text.as_bytes(), "t.json".into());
        let mut all = Vec::new();
        let mut record = Vec::new();
        while let Some(line) = records.read(&mut record)? {
            all.push((
                line,
                String::from_utf8(std::mem::take(&mut record)).unwrap(),
            ));
        }
        Ok(all)
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
        insta::assert_snapshot!(error("{}\n{\"a\":1\n{}\n"), @"t.json:2: the object that starts here is never closed; is a bracket or quote missing?");
        assert!(error(&"{\"a\":".repeat(200)).contains("nested deeper than 128 levels"));
    }
}
