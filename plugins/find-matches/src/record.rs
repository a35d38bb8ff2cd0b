//! The record blob: one record's values in the form the comparer reads without parsing text again.
//!
//! ```text
//! u8  columns
//! u16 end of each section, counted from the start of the first one (columns + 1 entries, little endian)
//! sections: one per compared column, then the record's tokens
//!
//! section        empty = missing
//! name, code     rarity u8, bytes
//! mail           rarity u8, local length u8, bytes
//! date           rarity u8, eight digits (or what was written)
//! number         rarity u8, f32
//! text           rarity u8, tokens u8, tokens x (id u32, weight u8, start u16, length u8) by id, folded bytes
//! record tokens  tokens x (id u32, weight u8, marks u16) by id; marks: flags in the low bits, then the columns
//! ```
//! [`Record`] reads a blob; reading past the end of a damaged blob yields missing values, never a panic.

/// Bytes of a token entry in a text section.
pub(crate) const TEXT_TOKEN: usize = 8;
/// Bytes of a token entry in the record section.
pub(crate) const RECORD_TOKEN: usize = 7;
/// Tokens kept of one text value.
pub(crate) const TEXT_TOKENS: usize = 40;
/// Tokens kept of one record.
pub(crate) const RECORD_TOKENS: usize = 120;
/// Bytes kept of one value.
pub(crate) const SECTION_TEXT: usize = 400;
/// Mark of a token that looks like a product or part code.
pub(crate) const MARK_CODE: u16 = 1;
/// Marks of the columns a token stands in; far apart columns may share one.
pub(crate) const MARK_COLUMNS: u16 = !MARK_CODE;

/// The mark of the column at `at`.
pub(crate) fn column_mark(at: usize) -> u16 {
    2 << (at % 15)
}

/// A blob opened for reading.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    ends: &'a [u8],
    body: &'a [u8],
}

impl<'a> Record<'a> {
    pub(crate) fn open(blob: &'a [u8]) -> Self {
        let columns = blob.first().map_or(0, |count| usize::from(*count));
        let split = 1 + 2 * (columns + 1);
        match (blob.get(1..split), blob.get(split..)) {
            (Some(ends), Some(body)) => Self { ends, body },
            _ => Self {
                ends: &[],
                body: &[],
            },
        }
    }

    /// The section at `at`; empty when missing.
    pub(crate) fn section(&self, at: usize) -> &'a [u8] {
        let start = if at == 0 { 0 } else { self.end(at - 1) };
        self.body.get(start..self.end(at)).unwrap_or(&[])
    }

    /// The record's tokens, after the last column.
    pub(crate) fn tokens(&self) -> &'a [u8] {
        self.section((self.ends.len() / 2).saturating_sub(1))
    }

    fn end(&self, at: usize) -> usize {
        match self.ends.get(2 * at..2 * at + 2) {
            Some(&[low, high]) => usize::from(u16::from_le_bytes([low, high])),
            _ => 0,
        }
    }
}

/// A token entry of a text or record section.
#[derive(Clone, Copy, Default)]
pub(crate) struct Token {
    pub(crate) id: u32,
    /// Sixteenths of a natural logarithm.
    pub(crate) weight: u8,
    /// Start in a text section, marks in the record section.
    pub(crate) start: u16,
    /// Length in a text section.
    pub(crate) tail: u8,
}

/// Reads the token entry at `at` of `entries` with the given entry size.
pub(crate) fn token(entries: &[u8], size: usize, at: usize) -> Token {
    match entries.get(at * size..(at + 1) * size) {
        Some(&[a, b, c, d, weight, low, high, tail]) => Token {
            id: u32::from_le_bytes([a, b, c, d]),
            weight,
            start: u16::from_le_bytes([low, high]),
            tail,
        },
        Some(&[a, b, c, d, weight, low, high]) => Token {
            id: u32::from_le_bytes([a, b, c, d]),
            weight,
            start: u16::from_le_bytes([low, high]),
            tail: 0,
        },
        _ => Token::default(),
    }
}

/// Appends sections and writes the blob.
#[derive(Default)]
pub(crate) struct Writer {
    ends: Vec<u16>,
    pub(crate) body: Vec<u8>,
}

impl Writer {
    pub(crate) fn clear(&mut self) {
        self.ends.clear();
        self.body.clear();
    }

    /// Ends the current section.
    pub(crate) fn close(&mut self) {
        self.body.truncate(usize::from(u16::MAX));
        self.ends.push(self.body.len() as u16);
    }

    /// Writes the blob after the last section was closed.
    pub(crate) fn write(&self, blob: &mut Vec<u8>) {
        blob.push(self.ends.len().saturating_sub(1) as u8);
        blob.extend(self.ends.iter().flat_map(|end| end.to_le_bytes()));
        blob.extend_from_slice(&self.body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sections_come_back() {
        let mut writer = Writer::default();
        for part in [&b"one"[..], b"", b"three"] {
            writer.body.extend_from_slice(part);
            writer.close();
        }
        let mut blob = Vec::new();
        writer.write(&mut blob);
        let record = Record::open(&blob);
        assert_eq!(
            (record.section(0), record.section(1), record.tokens()),
            (&b"one"[..], &b""[..], &b"three"[..])
        );
    }

    proptest! {
        #[test]
        fn damaged_blobs_read_as_missing(blob in proptest::collection::vec(any::<u8>(), 0..80), at in 0usize..300) {
            let record = Record::open(&blob);
            let section = record.section(at);
            token(section, TEXT_TOKEN, at);
            token(record.tokens(), RECORD_TOKEN, at);
        }
    }
}
