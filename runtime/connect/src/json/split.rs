//! Where a file of JSON records can be cut ([`record_start`]).
//!
//! A line end never stands inside a string, so what is around one is known to be outside. And only between two
//! records can an object follow another without a comma: `}`, line end, `{` proves that a record begins, whatever
//! stood before. In a file that is one array there is no such place; it is read in one piece.

use std::io::{self, Read};

use crate::json::records::MAX_RECORD_BYTES;

const CHUNK_BYTES: usize = 64 << 10;

/// Where in the pattern the bytes so far end.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Elsewhere,
    Closed,
    /// Behind the line end.
    LineEnd,
}

impl State {
    /// Behind another byte; None if a record begins with it.
    fn after(self, byte: u8) -> Option<Self> {
        Some(match (byte, self) {
            (b'{', State::LineEnd) => return None,
            (b'}', _) => State::Closed,
            (b'\n', State::Closed | State::LineEnd) => State::LineEnd,
            (b' ' | b'\t' | b'\r', state) => state,
            _ => State::Elsewhere,
        })
    }
}

/// The offset of the `{` of the first record that is proven to begin in a text.
pub(super) fn first_record(text: &[u8]) -> Option<usize> {
    let mut state = State::Elsewhere;
    text.iter().position(|byte| match state.after(*byte) {
        Some(next) => {
            state = next;
            false
        }
        None => true,
    })
}

/// The offset, counted from where `input` stands, of the `{` of a record; None if none can be proven.
pub(super) fn record_start(mut input: impl Read) -> io::Result<Option<u64>> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut state = State::Elsewhere;
    let mut seen = 0;
    while seen <= 2 * MAX_RECORD_BYTES as u64 {
        let read = match input.read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        for (index, byte) in buffer[..read].iter().enumerate() {
            match state.after(*byte) {
                Some(next) => state = next,
                None => return Ok(Some(seen + index as u64)),
            }
        }
        seen += read as u64;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_between_records() {
        let found = |text: &str| record_start(text.as_bytes()).unwrap();
        assert_eq!(found("1}\n{\"a\":2}\n"), Some(3));
        assert_eq!(found("1} \r\n\n  {\"a\":2}\n"), Some(8));
        assert_eq!(found("\"a\":\n{\"b\":1}\n}\n{"), Some(15));
        assert_eq!(found("1},\n{\"a\":2}]"), None);
        assert_eq!(found("[\n{\"a\":2}]"), None);
        assert_eq!(found("\"}{\"} {"), None);
        assert_eq!(found(""), None);
    }
}
