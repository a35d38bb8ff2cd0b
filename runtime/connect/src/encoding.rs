//! Text in other encodings than UTF-8, decoded while it is read: [`TextEncoding`], [`decoded`].
//!
//! A byte order mark says what a file is. Without one it is UTF-8, or what the caller names. A guess
//! turns a damaged letter into a wrong one without a word, so nothing is decoded by a guess
//! unless the caller asks for it; but the error about what is not UTF-8 names the guess ([`likely`]).
//! What is malformed in an encoding is an error with its byte, never a replacement character.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Cursor, Read};
use std::str::FromStr;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::error::{Error, Result};

/// How much of a file a guess looks at.
const GUESS_BYTES: u64 = 1 << 20;
const CHUNK_BYTES: usize = 64 << 10;
/// The decoder needs room for a whole character.
const SMALLEST_OUTPUT: usize = 16;

/// The encoding of a text file. A byte order mark always wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextEncoding(Choice);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Choice {
    #[default]
    Utf8,
    Guess,
    Named(&'static Encoding),
}

impl TextEncoding {
    /// UTF-8, the default. Anything else is an error.
    pub const UTF8: Self = Self(Choice::Utf8);
    /// UTF-8 if the first MiB is, else what its bytes look like.
    pub const GUESS: Self = Self(Choice::Guess);
}

impl FromStr for TextEncoding {
    type Err = Error;

    /// `guess`, or a label of the [Encoding Standard](https://encoding.spec.whatwg.org/#names-and-labels):
    /// `utf-8`, `utf-16le`, `windows-1252`, `shift_jis`, ...
    fn from_str(text: &str) -> Result<Self> {
        if text == "guess" {
            return Ok(Self::GUESS);
        }
        match Encoding::for_label(text.as_bytes()) {
            Some(encoding) if encoding == UTF_8 => Ok(Self::UTF8),
            Some(encoding) => Ok(Self(Choice::Named(encoding))),
            None => Err(Error::Unsupported(format!(
                "encoding {text:?}: use guess, utf-8, utf-16le, windows-1252, shift_jis or another label of the Encoding Standard"
            ))),
        }
    }
}

impl fmt::Display for TextEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Choice::Utf8 => f.write_str("utf-8"),
            Choice::Guess => f.write_str("guess"),
            Choice::Named(encoding) => f.write_str(&encoding.name().to_lowercase()),
        }
    }
}

/// A text file from its start, as UTF-8.
pub(crate) struct Text {
    pub(crate) input: Box<dyn Read + Send>,
    /// Its bytes are those of the file: what is at a byte here is at the same byte there.
    pub(crate) is_plain: bool,
}

/// Decodes `input`, which stands at the start of the file `name`.
pub(crate) fn decoded(
    mut input: impl Read + Send + 'static,
    name: &str,
    encoding: TextEncoding,
) -> Result<Text> {
    let wanted = match encoding.0 {
        Choice::Guess => GUESS_BYTES,
        Choice::Utf8 | Choice::Named(_) => 3,
    };
    let mut head = Vec::new();
    (&mut input)
        .take(wanted)
        .read_to_end(&mut head)
        .map_err(|e| Error::io("read", name, e))?;
    let (encoding, mark) = match Encoding::for_bom(&head) {
        Some((encoding, mark)) => (encoding, mark),
        None => (chosen(encoding, &head), 0),
    };
    if encoding == UTF_8 {
        return Ok(Text {
            input: Box::new(Cursor::new(head).chain(input)),
            is_plain: true,
        });
    }
    head.drain(..mark);
    Ok(Text {
        input: Box::new(Decoding {
            input: Cursor::new(head).chain(input),
            encoding,
            decoder: encoding.new_decoder_without_bom_handling(),
            buffer: vec![0; CHUNK_BYTES],
            position: 0,
            filled: 0,
            decoded: mark as u64,
            is_ended: false,
            little: VecDeque::new(),
        }),
        is_plain: false,
    })
}

fn chosen(encoding: TextEncoding, head: &[u8]) -> &'static Encoding {
    match encoding.0 {
        Choice::Utf8 => UTF_8,
        Choice::Named(encoding) => encoding,
        Choice::Guess => guess(head),
    }
}

fn guess(head: &[u8]) -> &'static Encoding {
    match std::str::from_utf8(head) {
        Ok(_) => return UTF_8,
        // Cut off inside a character.
        Err(e) if e.error_len().is_none() => return UTF_8,
        Err(_) => {}
    }
    if let Some(encoding) = utf16(head) {
        return encoding;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(head, (head.len() as u64) < GUESS_BYTES);
    detector.guess(None, Utf8Detection::Deny)
}

/// UTF-16 without a mark: nearly every other byte of western text is zero.
fn utf16(head: &[u8]) -> Option<&'static Encoding> {
    let zeros = |odd: usize| {
        head.iter()
            .skip(odd)
            .step_by(2)
            .filter(|byte| **byte == 0)
            .count()
    };
    let (even, odd) = (zeros(0), zeros(1));
    let most = head.len() / 4;
    match (even > most, odd > most) {
        (true, false) => Some(UTF_16BE),
        (false, true) => Some(UTF_16LE),
        _ => None,
    }
}

/// What bytes that are not UTF-8 may be; for messages.
pub(crate) fn likely(bytes: &[u8]) -> String {
    guess(bytes).name().to_lowercase()
}

/// Reads another encoding as UTF-8.
struct Decoding<R> {
    input: R,
    encoding: &'static Encoding,
    decoder: Decoder,
    buffer: Vec<u8>,
    position: usize,
    filled: usize,
    /// Bytes of the file that are decoded.
    decoded: u64,
    is_ended: bool,
    /// What did not fit into an output smaller than a character.
    little: VecDeque<u8>,
}

impl<R: Read> Read for Decoding<R> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if output.len() < SMALLEST_OUTPUT || !self.little.is_empty() {
            return self.read_little(output);
        }
        loop {
            if self.position == self.filled && !self.is_ended {
                self.position = 0;
                self.filled = self.input.read(&mut self.buffer)?;
                self.is_ended = self.filled == 0;
            }
            let source = &self.buffer[self.position..self.filled];
            let (result, read, written) =
                self.decoder
                    .decode_to_utf8_without_replacement(source, output, self.is_ended);
            self.position += read;
            self.decoded += read as u64;
            if let DecoderResult::Malformed(length, after) = result {
                return Err(self.malformed(length, after));
            }
            if written > 0 || self.is_ended {
                return Ok(written);
            }
        }
    }
}

impl<R: Read> Decoding<R> {
    fn read_little(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if self.little.is_empty() && !output.is_empty() {
            let mut character = [0; SMALLEST_OUTPUT];
            let read = self.read(&mut character)?;
            self.little.extend(&character[..read]);
        }
        self.little.read(output)
    }

    fn malformed(&self, length: u8, after: u8) -> io::Error {
        let at = self.decoded - u64::from(length) - u64::from(after);
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "byte {at} does not begin a character of {}; name the right encoding",
                self.encoding.name().to_lowercase()
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], encoding: &str) -> Result<String> {
        let mut text = decoded(
            Cursor::new(bytes.to_vec()),
            "t.csv",
            encoding.parse().unwrap(),
        )?;
        let mut all = String::new();
        match text.input.read_to_string(&mut all) {
            Ok(_) => Ok(all),
            Err(e) => Err(Error::io("read", "t.csv", e)),
        }
    }

    #[test]
    fn marks_names_and_guesses() {
        let utf16: Vec<u8> = "a,\u{fc}\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let marked = [b"\xFF\xFE".as_slice(), &utf16].concat();
        assert_eq!(read(&marked, "utf-8").unwrap(), "a,\u{fc}\n");
        assert_eq!(read(&utf16, "guess").unwrap(), "a,\u{fc}\n");
        assert_eq!(
            read(b"M\xfcller, Z\xfcrich", "windows-1252").unwrap(),
            "Müller, Zürich"
        );
        assert_eq!(
            read(b"M\xfcller, Z\xfcrich", "guess").unwrap(),
            "Müller, Zürich"
        );
        assert_eq!(read("M\u{fc}ller".as_bytes(), "guess").unwrap(), "Müller");
        let (japanese, _, _) = encoding_rs::SHIFT_JIS.encode("名前,住所\n東京都の人\n");
        assert_eq!(
            read(&japanese, "shift_jis").unwrap(),
            "名前,住所\n東京都の人\n"
        );
        assert_eq!(read(&japanese, "guess").unwrap(), "名前,住所\n東京都の人\n");
    }

    #[test]
    fn what_is_malformed_is_not_replaced() {
        insta::assert_snapshot!(read(b"ab\x81\xff", "shift_jis").unwrap_err(), @"cannot read t.csv: byte 2 does not begin a character of shift_jis; name the right encoding");
        insta::assert_snapshot!("latin-9000".parse::<TextEncoding>().unwrap_err(), @r#"encoding "latin-9000": use guess, utf-8, utf-16le, windows-1252, shift_jis or another label of the Encoding Standard"#);
    }

    #[test]
    fn long_text_is_decoded_in_pieces() {
        let text = "\u{e4}\u{f6}x".repeat(100_000);
        let (bytes, _, _) = encoding_rs::WINDOWS_1252.encode(&text);
        assert_eq!(read(&bytes, "windows-1252").unwrap(), text);
    }
}
