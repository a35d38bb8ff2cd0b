//! Where a CSV file can be cut ([`record_start`]): records found from the middle, with a proof.
//!
//! What stands at an arbitrary byte depends on everything before it: it may be inside a quoted field
//! that began long ago. Counting quotes from the start would tell, at the price of reading the file
//! twice, and only where quotes never stand in unquoted fields. Instead, every state that the reader
//! could be in at that byte is followed at the same time. Those that the reader would refuse (text after
//! a closing quote, a record beyond its limit, a quote that never closes) are out; those that meet go on as one. As soon as one is
//! left, whatever stood before, the next record it begins is a record.
//!
//! ```text
//!            …al, "Jo"⏎12,"x, y",⏎13,…
//! outside:       ^ text    ^ a record begins here in every state that is left
//! quoted:          ^ closes, then `J`: refused
//! ```
//!
//! That holds for every file the reader accepts. The piece before a cut checks it once more: it must
//! find a record that begins exactly there.

use std::io::Read;

use crate::csv::Dialect;
use crate::csv::records::MAX_RECORD_BYTES;

const CHUNK_BYTES: usize = 64 << 10;
const LIKELY_QUIET_BYTES: u64 = 64 << 10;
/// Hostile quoting can stay ambiguous for ever: then the file is not cut here.
const MAX_SCAN_BYTES: u64 = 2 * MAX_RECORD_BYTES as u64;

/// What the reader may be in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    RecordStart,
    FieldStart,
    Unquoted,
    Quoted,
    Escaped,
    AfterQuote,
    AfterReturn,
    Comment,
}

const STATES: [State; 8] = [
    State::RecordStart,
    State::FieldStart,
    State::Unquoted,
    State::Quoted,
    State::Escaped,
    State::AfterQuote,
    State::AfterReturn,
    State::Comment,
];

impl State {
    /// The state behind `byte`; None if the reader refuses it.
    fn after(self, byte: u8, dialect: &Dialect) -> Option<Self> {
        match self {
            State::Quoted if Some(byte) == dialect.quote => Some(State::AfterQuote),
            State::Quoted if Some(byte) == dialect.escape => Some(State::Escaped),
            State::Quoted if is_line_end(byte) && !dialect.multiline => None,
            State::Quoted | State::Escaped => Some(State::Quoted),
            State::AfterQuote if Some(byte) == dialect.quote => Some(State::Quoted),
            State::AfterQuote if byte != dialect.separator && !is_line_end(byte) => None,
            State::Comment if !is_line_end(byte) => Some(State::Comment),
            State::RecordStart if Some(byte) == dialect.comment => Some(State::Comment),
            State::RecordStart | State::FieldStart if Some(byte) == dialect.quote => {
                Some(State::Quoted)
            }
            State::AfterReturn => State::RecordStart.after(byte, dialect),
            _ if byte == b'\n' => Some(State::RecordStart),
            _ if byte == b'\r' => Some(State::AfterReturn),
            _ if byte == dialect.separator => Some(State::FieldStart),
            _ => Some(State::Unquoted),
        }
    }

    fn is_possible(self, dialect: &Dialect) -> bool {
        match self {
            State::Quoted | State::AfterQuote => dialect.quote.is_some(),
            State::Escaped => dialect.quote.is_some() && dialect.escape.is_some(),
            State::Comment => dialect.comment.is_some(),
            _ => true,
        }
    }
}

fn is_line_end(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

/// One possibility.
#[derive(Clone, Copy, Debug)]
struct Path {
    state: State,
    /// Where it began its first record, if it did.
    record: Option<u64>,
}

struct Paths<'a> {
    dialect: &'a Dialect,
    paths: Vec<Path>,
    /// Bytes looked at.
    seen: u64,
    /// Bytes since the last quote.
    since_quote: u64,
    /// So many without a quote cannot be inside of quotes.
    max_quiet_bytes: u64,
}

/// The offset, counted from where `input` stands, of a byte with which a record (or a blank or comment line)
/// begins; None if there is none, or none can be proven.
pub(super) fn record_start(input: impl Read, dialect: &Dialect) -> std::io::Result<Option<u64>> {
    follow(input, Paths::new(dialect, MAX_RECORD_BYTES as u64))
}

/// Like [`record_start`], at less cost and without a proof where no quote comes for long: good enough for a sample.
pub(super) fn likely_record_start(
    input: impl Read,
    dialect: &Dialect,
) -> std::io::Result<Option<u64>> {
    follow(input, Paths::new(dialect, LIKELY_QUIET_BYTES))
}

fn follow(mut input: impl Read, mut paths: Paths<'_>) -> std::io::Result<Option<u64>> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let read = match input.read(&mut buffer) {
            Ok(0) => return Ok(paths.finish()),
            Ok(read) => read,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        if let Some(found) = paths.follow(&buffer[..read]) {
            return Ok(found);
        }
    }
}

impl<'a> Paths<'a> {
    fn new(dialect: &'a Dialect, max_quiet_bytes: u64) -> Self {
        let possible = STATES
            .into_iter()
            .filter(|state| state.is_possible(dialect));
        Self {
            dialect,
            paths: possible
                .map(|state| Path {
                    state,
                    record: None,
                })
                .collect(),
            seen: 0,
            since_quote: 0,
            max_quiet_bytes,
        }
    }

    /// Some as soon as the answer is known.
    fn follow(&mut self, bytes: &[u8]) -> Option<Option<u64>> {
        let mut at = 0;
        while at < bytes.len() {
            at += self.skip(&bytes[at..]);
            let Some(byte) = bytes.get(at) else { break };
            self.step(*byte);
            at += 1;
            if let Some(answer) = self.answer() {
                return Some(answer);
            }
        }
        self.answer()
    }

    /// At the end of the file nothing may be open.
    fn finish(mut self) -> Option<u64> {
        self.paths
            .retain(|path| !matches!(path.state, State::Quoted | State::Escaped));
        let (first, others) = self.paths.split_first()?;
        let agree = others.iter().all(|path| path.record == first.record);
        first.record.filter(|_| agree)
    }

    fn answer(&self) -> Option<Option<u64>> {
        match self.paths.as_slice() {
            [] => Some(None),
            [
                Path {
                    record: Some(record),
                    ..
                },
            ] => Some(Some(*record)),
            _ if self.seen > MAX_SCAN_BYTES => Some(None),
            _ => None,
        }
    }

    fn step(&mut self, byte: u8) {
        let seen = self.seen;
        self.paths.retain_mut(|path| {
            if path.state == State::AfterReturn && byte != b'\n' {
                path.record.get_or_insert(seen);
            }
            let Some(state) = path.state.after(byte, self.dialect) else {
                return false;
            };
            path.state = state;
            if state == State::RecordStart {
                path.record.get_or_insert(seen + 1);
            }
            true
        });
        self.seen += 1;
        let is_quote = Some(byte) == self.dialect.quote || Some(byte) == self.dialect.escape;
        self.since_quote = if is_quote { 0 } else { self.since_quote + 1 };
        self.join();
    }

    /// Paths in the same state have one future. If they began different records before, only what comes
    /// from here on is common to them.
    fn join(&mut self) {
        let mut index = 0;
        while index < self.paths.len() {
            let path = self.paths[index];
            let twin = self.paths[index + 1..]
                .iter()
                .position(|other| other.state == path.state);
            let Some(twin) = twin else {
                index += 1;
                continue;
            };
            let twin = self.paths.remove(index + 1 + twin);
            if twin.record != path.record {
                let begins_here = path.state == State::RecordStart;
                self.paths[index].record = begins_here.then_some(self.seen);
            }
        }
    }

    /// How many of `bytes` can be passed at once: where only a quoted field and unquoted text are left, until
    /// the next quote nothing happens to the first, and the last byte before it tells the state of the other.
    fn skip(&mut self, bytes: &[u8]) -> usize {
        let outside = match self.paths.as_slice() {
            [a, b] if a.state == State::Quoted => b,
            [a, b] if b.state == State::Quoted => a,
            _ => return 0,
        };
        let is_settled = outside.record.is_some()
            && matches!(
                outside.state,
                State::RecordStart | State::FieldStart | State::Unquoted
            );
        let (Some(quote), None) = (self.dialect.quote, self.dialect.comment) else {
            return 0;
        };
        if !is_settled || !self.dialect.multiline {
            return 0;
        }
        let escape = self.dialect.escape.unwrap_or(quote);
        let length = memchr::memchr2(quote, escape, bytes).unwrap_or(bytes.len());
        let Some(last) = length.checked_sub(1).map(|last| bytes[last]) else {
            return 0;
        };
        // The state of the other is that behind the last byte; before it, any unquoted one will do.
        let state = State::Unquoted.after(last, self.dialect);
        self.seen += length as u64;
        self.since_quote += length as u64;
        let is_too_long = self.since_quote > self.max_quiet_bytes;
        self.paths.retain_mut(|path| {
            if path.state == State::Quoted {
                return !is_too_long;
            }
            path.state = state.unwrap_or(path.state);
            true
        });
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csv::CsvOptions;
    use crate::csv::records::Records;
    use proptest::prelude::*;

    fn cut(text: &[u8], at: usize, dialect: &Dialect) -> Option<u64> {
        let found = record_start(&text[at..], dialect).unwrap();
        found.map(|offset| at as u64 + offset)
    }

    /// Where records, and blank and comment lines, begin; None if the reader refuses the text.
    fn starts(text: &[u8], dialect: &Dialect) -> Option<Vec<u64>> {
        let mut records = Records::new(text, "t.csv".into(), dialect.clone());
        let mut starts = vec![0];
        while let Some(block) = records.read(1).unwrap() {
            if block.fault(0).is_some() {
                return None;
            }
            starts.push(records.position());
        }
        Some(starts)
    }

    #[test]
    fn the_next_record_is_found_and_proven() {
        let dialect = CsvOptions::default().dialect();
        let text = b"1,\"a\nb\",x\n2,\"c\",y\n3,d,z\n4,e,\"w\"\n";
        // From inside the quoted field: the quote that closes is followed by a separator, as one that opens
        // may be preceded by one; `c` after the next quote decides.
        assert_eq!(cut(text, 4, &dialect), Some(10));
        assert_eq!(cut(text, 12, &dialect), Some(18));
        assert_eq!(cut(b"1,2\r\n3,4\r\n\"5\",6\r\n", 4, &dialect), Some(5));
    }

    #[test]
    fn a_file_without_quotes_is_decided_by_the_record_limit() {
        let dialect = CsvOptions::default().dialect();
        let text = b"abcdefg,hijklmn\n".repeat(2 << 20);
        assert_eq!(cut(&text, 20, &dialect), Some(32));
        // Or by its end, where no quote may be open.
        assert_eq!(cut(&text[..1 << 20], 20, &dialect), Some(32));
    }

    fn dialects() -> impl Strategy<Value = Dialect> {
        (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(escapes, comments, multiline, quotes)| {
                let mut dialect = CsvOptions::default().dialect();
                dialect.escape = escapes.then_some(b'\\');
                dialect.comment = comments.then_some(b'#');
                dialect.multiline = multiline;
                dialect.quote = quotes.then_some(b'"');
                dialect
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        /// Whatever is found is a place where the reader, coming from the start, begins a line or a record.
        #[test]
        fn what_is_found_is_a_record(text in "([a,\"\n\r\\\\#]|,\"|\"\n){0,60}", at in 0usize..60, dialect in dialects()) {
            let text = text.as_bytes();
            let at = at.min(text.len());
            if let (Some(found), Some(starts)) = (cut(text, at, &dialect), starts(text, &dialect)) {
                // Blank and comment lines begin between two records: all line starts there count.
                let before = starts.iter().filter(|start| **start <= found).max().copied().unwrap_or(0);
                let mut between = Records::over(&text[found as usize..], "t".into(), dialect.clone(), found, u64::MAX);
                let mut whole = Records::over(&text[before as usize..], "t".into(), dialect.clone(), before, u64::MAX);
                let next = between.read(1).unwrap().map(|block| block.raw(0).to_vec());
                let truth = whole.read(1).unwrap().map(|block| block.raw(0).to_vec());
                prop_assert_eq!(next, truth, "cut at {}", found);
            }
        }
    }
}
