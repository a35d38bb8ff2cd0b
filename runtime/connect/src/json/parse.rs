//! JSON text, byte by byte: [`Parser`], which [`super::decode`] and [`super::records`] walk with.
//!
//! As strict as RFC 8259 and serde_json: no control characters in strings, no lone surrogates, no leading zeros, at
//! most [`MAX_DEPTH`] levels. What ends too early is told apart ([`Fail::End`]) from what is wrong, so that a
//! record can be parsed from a buffer that may not hold all of it. Text is checked to be UTF-8 elsewhere.

/// Deeper nesting is refused.
pub(super) const MAX_DEPTH: usize = 128;

/// Why a value could not be parsed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fail {
    /// The text ends before the value does.
    End,
    /// What is wrong, and at which byte.
    At(usize, String),
}

pub(super) type Parsed<T> = Result<T, Fail>;

/// A position in a text.
pub(super) struct Parser<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    pub(super) depth: usize,
}

/// A string as it stands in the text, without its quotes.
#[derive(Clone, Copy)]
pub(super) struct RawText<'a> {
    pub(super) bytes: &'a [u8],
    /// It holds escapes.
    pub(super) is_escaped: bool,
    start: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
        }
    }

    pub(super) fn fail<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(Fail::At(self.at, message.into()))
    }

    /// The next byte that is no white space; stays in front of it.
    #[inline]
    pub(super) fn peek(&mut self) -> Parsed<u8> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(Fail::End),
            }
        }
    }

    #[inline]
    pub(super) fn expect(&mut self, byte: u8, what: &str) -> Parsed<()> {
        if self.peek()? != byte {
            return self.unexpected(what);
        }
        self.at += 1;
        Ok(())
    }

    #[cold]
    pub(super) fn unexpected<T>(&self, expected: &str) -> Parsed<T> {
        match self.text.get(self.at) {
            None => Err(Fail::End),
            Some(byte) if byte.is_ascii_graphic() => {
                self.fail(format!("expected {expected}, found {}", char::from(*byte)))
            }
            Some(byte) => self.fail(format!("expected {expected}, found byte 0x{byte:02x}")),
        }
    }

    #[inline]
    pub(super) fn enter(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        Ok(())
    }

    /// Behind an element: true if another follows, false behind the `close` that ends them all.
    #[inline]
    pub(super) fn goes_on(&mut self, close: u8) -> Parsed<bool> {
        let byte = self.peek()?;
        if byte == b',' {
            self.at += 1;
            return Ok(true);
        }
        if byte == close {
            self.at += 1;
            self.depth -= 1;
            return Ok(false);
        }
        let what = if close == b'}' {
            "a comma or }"
        } else {
            "a comma or ]"
        };
        self.unexpected(what)
    }

    /// True, and behind it, if what was entered is empty.
    #[inline]
    pub(super) fn is_empty(&mut self, close: u8) -> Parsed<bool> {
        let is_empty = self.peek()? == close;
        if is_empty {
            self.at += 1;
            self.depth -= 1;
        }
        Ok(is_empty)
    }

    /// The string that begins here.
    #[inline]
    pub(super) fn text(&mut self) -> Parsed<RawText<'a>> {
        if self.peek()? != b'"' {
            return self.unexpected("a string");
        }
        let start = self.at + 1;
        let mut at = start;
        let mut is_escaped = false;
        loop {
            let rest = self.text.get(at..).ok_or(Fail::End)?;
            let length = memchr::memchr2(b'"', b'\\', rest).ok_or(Fail::End)?;
            at += length;
            if self.text[at] == b'"' {
                break;
            }
            is_escaped = true;
            at += 2;
        }
        let bytes = &self.text[start..at];
        if let Some(control) = first_control(bytes) {
            return Err(Fail::At(
                start + control,
                "a control character stands in a string; write it as \\u00XX".to_owned(),
            ));
        }
        self.at = at + 1;
        Ok(RawText {
            bytes,
            is_escaped,
            start,
        })
    }

    /// The number that begins here, as it stands in the text; `true` if it has a fraction or an exponent.
    #[inline]
    pub(super) fn number(&mut self) -> Parsed<(&'a [u8], bool)> {
        let start = self.at;
        let mut at = start + usize::from(self.text[start] == b'-');
        let digits = |mut at: usize| {
            while self.text.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let whole = at;
        at = digits(at);
        if at - whole > 1 && self.text[whole] == b'0' {
            return self.fail("a number begins with 0; write it without, or as a string");
        }
        let mut is_well_formed = at > whole;
        let mut has_fraction = false;
        if self.text.get(at) == Some(&b'.') {
            let fraction = at + 1;
            at = digits(fraction);
            is_well_formed &= at > fraction;
            has_fraction = true;
        }
        if let Some(b'e' | b'E') = self.text.get(at) {
            let sign = matches!(self.text.get(at + 1), Some(b'+' | b'-'));
            let exponent = at + 1 + usize::from(sign);
            at = digits(exponent);
            is_well_formed &= at > exponent;
            has_fraction = true;
        }
        if at >= self.text.len() {
            return Err(Fail::End);
        }
        if !is_well_formed {
            return self.fail("not a number");
        }
        self.at = at;
        Ok((&self.text[start..at], has_fraction))
    }

    /// `true`, `false` or `null`.
    #[inline]
    pub(super) fn word(&mut self, word: &str) -> Parsed<()> {
        let rest = &self.text[self.at..];
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        if rest.len() < word.len() && word.as_bytes().starts_with(rest) {
            return Err(Fail::End);
        }
        self.fail("expected a value")
    }

    /// Goes past one value of any kind.
    pub(super) fn skip(&mut self) -> Parsed<()> {
        match self.peek()? {
            b'"' => self.text()?.check(),
            b'{' => self.skip_object(),
            b'[' => self.skip_list(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            b'-' | b'0'..=b'9' => self.number().map(|_| ()),
            _ => self.unexpected("a value"),
        }
    }

    /// Goes past the object that begins here.
    pub(super) fn skip_object(&mut self) -> Parsed<()> {
        self.expect(b'{', "an object")?;
        self.enter()?;
        if self.is_empty(b'}')? {
            return Ok(());
        }
        loop {
            self.text()?.check()?;
            self.expect(b':', "a colon")?;
            self.skip()?;
            if !self.goes_on(b'}')? {
                return Ok(());
            }
        }
    }

    fn skip_list(&mut self) -> Parsed<()> {
        self.at += 1;
        self.enter()?;
        if self.is_empty(b']')? {
            return Ok(());
        }
        loop {
            self.skip()?;
            if !self.goes_on(b']')? {
                return Ok(());
            }
        }
    }
}

/// The position of the first control character.
#[inline]
fn first_control(bytes: &[u8]) -> Option<usize> {
    // The smallest byte is found many at a time; which one it is matters only if there is one.
    let least = bytes.iter().fold(u8::MAX, |least, byte| least.min(*byte));
    match least < 0x20 {
        true => bytes.iter().position(|byte| *byte < 0x20),
        false => None,
    }
}

impl RawText<'_> {
    /// Appends what the string stands for.
    #[inline]
    pub(super) fn append_to(self, output: &mut Vec<u8>) -> Parsed<()> {
        if !self.is_escaped {
            output.extend_from_slice(self.bytes);
            return Ok(());
        }
        self.unescape(output)
    }

    pub(super) fn check(self) -> Parsed<()> {
        match self.is_escaped {
            true => self.unescape(&mut Vec::new()),
            false => Ok(()),
        }
    }

    fn unescape(self, output: &mut Vec<u8>) -> Parsed<()> {
        let mut at = 0;
        while let Some(length) = memchr::memchr(b'\\', &self.bytes[at..]) {
            output.extend_from_slice(&self.bytes[at..at + length]);
            at += length + 1;
            let plain = match self.bytes.get(at) {
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'r') => b'\r',
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
                Some(b'u') => {
                    at = self.unicode(at + 1, output)?;
                    continue;
                }
                _ => return self.fail(at, "an escape that JSON does not know"),
            };
            output.push(plain);
            at += 1;
        }
        output.extend_from_slice(&self.bytes[at..]);
        Ok(())
    }

    /// The character whose four digits begin at `at`; the position behind it.
    fn unicode(self, at: usize, output: &mut Vec<u8>) -> Parsed<usize> {
        let first = self.code(at)?;
        let (code, next) = if (0xD800..0xDC00).contains(&first) {
            if self.bytes.get(at + 4..at + 6) != Some(b"\\u") {
                return self.fail(at, "half of a surrogate pair");
            }
            let second = self.code(at + 6)?;
            if !(0xDC00..0xE000).contains(&second) {
                return self.fail(at, "half of a surrogate pair");
            }
            (
                0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00),
                at + 10,
            )
        } else {
            (first, at + 4)
        };
        let Some(character) = char::from_u32(code) else {
            return self.fail(at, "half of a surrogate pair");
        };
        output.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(next)
    }

    fn code(self, at: usize) -> Parsed<u32> {
        let digits = self.bytes.get(at..at + 4).unwrap_or_default();
        let code = std::str::from_utf8(digits)
            .ok()
            .filter(|digits| digits.len() == 4 && digits.bytes().all(|d| d.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok());
        match code {
            Some(code) => Ok(code),
            None => self.fail(at, "\\u needs four hexadecimal digits"),
        }
    }

    fn fail<T>(self, at: usize, message: &str) -> Parsed<T> {
        Err(Fail::At(self.start + at, message.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether the text is one object.
    fn accepts(text: &[u8]) -> bool {
        let mut parser = Parser::new(text);
        parser.skip_object().is_ok() && parser.at == text.len()
    }

    #[test]
    fn what_ends_early_is_told_apart() {
        let whole = br#"{"a":[1.5e3,-0,true,null,"x\u00e4\ud83d\ude00"],"b":{"c":false}}"#;
        assert!(accepts(whole));
        for end in 0..whole.len() {
            assert_eq!(
                Parser::new(&whole[..end]).skip_object(),
                Err(Fail::End),
                "{end}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// We accept what serde_json accepts.
        #[test]
        fn agrees_with_serde_json(text in r#"\{("a":([0-9.e+-]{1,6}|"(\\\\[nu"x/0-9a-fD8]{0,6}|[ab\n\t])*"|[\[\]{},:"a0-9 ]{0,8}|true|nul|null),?){0,2}\}"#) {
            let expected = serde_json::from_str::<serde_json::Value>(&text);
            // Only what has no number is out of range there.
            let is_number_out_of_range = expected.as_ref().is_err_and(|e| e.to_string().contains("out of range"));
            if !is_number_out_of_range {
                prop_assert_eq!(accepts(text.as_bytes()), expected.is_ok(), "{} {:?}", text, expected);
            }
        }
    }
}
