//! Rows to record blobs and blocking keys.
//!
//! [`Encoder`] reads each row once. The blob (see the `record` module) holds all that comparing needs; the keys are
//! hashes of rule and normalised parts, so two records that share a key agree on that rule. Words of running text add
//! keys of their own: the rarest words alone, and pairs of them where one alone would match too many records.

use crate::error::Error;
use crate::hash;
use crate::kind::Kind;
use crate::profile::{Column, Profile};
use crate::record::{self, MARK_CODE, RECORD_TOKENS, SECTION_TEXT, TEXT_TOKENS, Writer};
use crate::tokens::Tokens;
use crate::value::Value;

/// Rarest words of a record that make keys.
const KEY_WORDS: usize = 6;
/// A word in at most this many records makes a key alone.
const WORD_ALONE: u32 = 60;
/// Two words rarer than this need no key together.
const WORD_RARE: u32 = 12;

/// Turns rows into blobs and keys; holds buffers, so use one per thread.
pub struct Encoder<'p> {
    profile: &'p Profile,
    /// Position of each column of the profile in the rows, where they have it.
    positions: Vec<Option<usize>>,
    values: Vec<Value>,
    present: Vec<bool>,
    hashes: Vec<u64>,
    words: Vec<(u32, u32)>,
    tokens: Vec<(u32, u8, u16)>,
    spans: Vec<record::Token>,
    writer: Writer,
}

impl<'p> Encoder<'p> {
    /// An encoder for rows with these columns, of table 0 or 1.
    ///
    /// # Errors
    /// [`Error::Columns`] when the rows lack a column that the profile compares.
    pub fn new(profile: &'p Profile, table: usize, names: &[String]) -> Result<Self, Error> {
        Ok(Self {
            positions: profile.positions(table, names)?,
            profile,
            values: profile.columns.iter().map(|_| Value::default()).collect(),
            present: vec![false; profile.columns.len()],
            hashes: Vec::new(),
            words: Vec::new(),
            tokens: Vec::new(),
            spans: Vec::new(),
            writer: Writer::default(),
        })
    }

    /// Appends the blob of a row to `blob` and its distinct keys to `keys`; answers a digest of the blob.
    pub fn encode(&mut self, row: &[Option<&str>], blob: &mut Vec<u8>, keys: &mut Vec<u64>) -> u64 {
        self.read(row);
        let start = blob.len();
        self.write(blob);
        let digest = hash::bytes(31, blob.get(start..).unwrap_or_default());
        let first = keys.len();
        self.rule_keys(keys);
        self.word_keys(keys);
        if let Some(added) = keys.get_mut(first..) {
            added.sort_unstable();
        }
        dedup_from(keys, first);
        digest
    }

    fn read(&mut self, row: &[Option<&str>]) {
        let columns = self.profile.columns.iter().zip(&self.positions);
        for (at, (column, position)) in columns.enumerate() {
            let text = position.and_then(|position| row.get(position).copied().flatten());
            self.present[at] = text.is_some_and(|text| self.values[at].read(text, column.shape));
        }
    }

    fn write(&mut self, blob: &mut Vec<u8>) {
        self.writer.clear();
        for (at, column) in self
            .profile
            .columns
            .iter()
            .enumerate()
            .filter(|(_, column)| column.compared)
        {
            if self.present[at] {
                let value = &self.values[at];
                self.writer.body.push(rarity(column, value));
                match column.kind {
                    Kind::Text => {
                        write_text(value, self.profile, &mut self.spans, &mut self.writer.body)
                    }
                    kind => write_value(kind, value, &mut self.writer.body),
                }
            }
            self.writer.close();
        }
        self.collect_tokens();
        for (id, weight, marks) in &self.tokens {
            self.writer.body.extend_from_slice(&id.to_le_bytes());
            self.writer.body.push(*weight);
            self.writer.body.extend_from_slice(&marks.to_le_bytes());
        }
        self.writer.close();
        self.writer.write(blob);
    }

    fn collect_tokens(&mut self) {
        self.tokens.clear();
        if !self.profile.has_text() {
            return;
        }
        for (at, column) in self.profile.columns.iter().enumerate() {
            if self.present[at] && column.is_running(self.profile.link) {
                let room = RECORD_TOKENS.saturating_sub(self.tokens.len());
                for word in self.values[at].words().take(room) {
                    let id = hash::short(word.as_bytes());
                    let marks = record::column_mark(at) | if is_code(word) { MARK_CODE } else { 0 };
                    self.tokens.push((id, weight(self.profile, id), marks));
                }
            }
        }
        self.tokens.sort_unstable();
        self.tokens.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            kept.2 |= if same { next.2 } else { 0 };
            same
        });
    }

    fn rule_keys(&mut self, keys: &mut Vec<u64>) {
        self.hashes.clear();
        for part in &self.profile.parts {
            let value = self
                .values
                .get(part.column)
                .filter(|_| self.present.get(part.column) == Some(&true));
            self.hashes.push(
                value
                    .and_then(|value| part.atom.of(value, &self.profile.tokens))
                    .unwrap_or(0),
            );
        }
        for (at, rule) in self.profile.rules.iter().enumerate() {
            keys.extend(rule.key(at as u64, &self.hashes));
        }
    }

    fn word_keys(&mut self, keys: &mut Vec<u64>) {
        self.words.clear();
        for (at, column) in self.profile.columns.iter().enumerate() {
            if self.present[at] && column.is_running(self.profile.link) {
                collect_words(&self.values[at], &self.profile.tokens, &mut self.words);
            }
        }
        self.words.sort_unstable();
        self.words.dedup();
        self.words.truncate(KEY_WORDS);
        for (at, (count, id)) in self.words.iter().enumerate() {
            if *count <= WORD_ALONE {
                keys.push(hash::mix(21, u64::from(*id)));
            }
            for (other, second) in self.words.iter().skip(at + 1) {
                if *other > WORD_RARE {
                    let (low, high) = (id.min(second), id.max(second));
                    keys.push(hash::mix(22, u64::from(*low) << 32 | u64::from(*high)));
                }
            }
        }
    }
}

/// Adds (count, id) of the words that occur in some other record too.
fn collect_words(value: &Value, tokens: &Tokens, words: &mut Vec<(u32, u32)>) {
    for word in value.words().filter(|word| word.len() > 1) {
        let id = hash::short(word.as_bytes());
        let count = tokens.count(id);
        if !tokens.is_alone(id) {
            words.push((count, id));
        }
    }
}

fn dedup_from(keys: &mut Vec<u64>, first: usize) {
    let mut kept = first;
    for at in first..keys.len() {
        if kept == first || keys[at] != keys[kept - 1] {
            keys[kept] = keys[at];
            kept += 1;
        }
    }
    keys.truncate(kept);
}

fn weight(profile: &Profile, id: u32) -> u8 {
    (profile.tokens.weight(id) * 16.0).clamp(1.0, 255.0) as u8
}

/// Digits mixed with letters, or many digits; ordinals such as `51st` are words.
fn is_code(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let ordinal = word.len() == digits + 2
        && ["st", "nd", "rd", "th"]
            .iter()
            .any(|end| word.ends_with(end));
    word.len() >= 4 && digits >= 2 && (digits < word.len() || digits >= 5) && !ordinal
}

fn write_value(kind: Kind, value: &Value, out: &mut Vec<u8>) {
    let squeezed = clipped(value.squeezed.as_bytes());
    match kind {
        Kind::Mail => {
            out.push(value.local.min(255) as u8);
            out.extend_from_slice(squeezed);
        }
        Kind::Number => {
            out.extend_from_slice(&(value.number.unwrap_or(f64::NAN) as f32).to_le_bytes())
        }
        Kind::Name | Kind::Code | Kind::Date | Kind::Text => out.extend_from_slice(squeezed),
    }
}

fn write_text(value: &Value, profile: &Profile, spans: &mut Vec<record::Token>, out: &mut Vec<u8>) {
    let text = clipped(value.folded.as_bytes());
    spans.clear();
    let mut start = 0;
    for word in text.split(|byte| *byte == b' ') {
        if !word.is_empty() && spans.len() < TEXT_TOKENS {
            let id = hash::short(word);
            spans.push(record::Token {
                id,
                weight: weight(profile, id),
                start: start as u16,
                tail: word.len().min(255) as u8,
            });
        }
        start += word.len() + 1;
    }
    spans.sort_unstable_by_key(|token| (token.id, token.start));
    spans.dedup_by_key(|token| token.id);
    out.push(spans.len() as u8);
    for token in spans.iter() {
        out.extend_from_slice(&token.id.to_le_bytes());
        out.push(token.weight);
        out.extend_from_slice(&token.start.to_le_bytes());
        out.push(token.tail);
    }
    out.extend_from_slice(text);
}

fn clipped(text: &[u8]) -> &[u8] {
    text.get(..SECTION_TEXT).unwrap_or(text)
}

/// 0 rare, 1 in between, 2 common: how much sharing this exact value says.
fn rarity(column: &Column, value: &Value) -> u8 {
    let others = f64::from(column.values.count(value.id)) - 1.0;
    let share = others.max(0.5) / column.count.max(1.0);
    u8::from(share > 0.0003) + u8::from(share > 0.006)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profiler;

    fn profile(rows: &[[&str; 3]]) -> Profile {
        let names = ["first", "last", "born"].map(str::to_owned).to_vec();
        let mut profiler = Profiler::new(&[names]);
        for column in 0..3 {
            profiler.observe(0, column, rows.iter().map(|row| Some(row[column])));
        }
        profiler.finish()
    }

    fn encoder(profile: &Profile) -> Encoder<'_> {
        Encoder::new(profile, 0, &["first", "last", "born"].map(str::to_owned)).unwrap()
    }

    fn keys(profile: &Profile, row: [&str; 3]) -> Vec<u64> {
        let (mut blob, mut keys) = (Vec::new(), Vec::new());
        encoder(profile).encode(&row.map(Some), &mut blob, &mut keys);
        keys
    }

    #[test]
    fn damaged_and_swapped_rows_share_keys() {
        let first = ["john", "mary", "peter", "susan", "alice"];
        let last = [
            "smith", "jones", "taylor", "brown", "walker", "hall", "young",
        ];
        let rows: Vec<[String; 3]> = (0..35)
            .map(|n| {
                [
                    first[n % 5].to_owned(),
                    last[n % 7].to_owned(),
                    format!("19{}-0{}-1{}", 40 + n, 1 + n % 9, n % 8),
                ]
            })
            .collect();
        let rows: Vec<[&str; 3]> = rows
            .iter()
            .map(|row| [row[0].as_str(), row[1].as_str(), row[2].as_str()])
            .collect();
        let profile = profile(&rows);
        let clean = keys(&profile, ["john", "smith", "1940-01-10"]);
        let damaged = keys(&profile, ["smyth", "jon", "1940-01-10"]);
        assert!(clean.iter().any(|key| damaged.contains(key)));
        assert_eq!(clean, keys(&profile, ["JOHN", "Smith ", "1940-01-10"]));
        assert!(clean.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn columns_may_stand_in_any_order_but_not_be_missing() {
        let profile = profile(&[["ann", "lee", "1990-01-01"], ["bob", "ray", "1991-01-01"]]);
        let names = ["Born", "extra", "last", "first"].map(str::to_owned);
        let mut moved = Encoder::new(&profile, 0, &names).unwrap();
        let (mut blob, mut keys) = (Vec::new(), Vec::new());
        let row = ["1990-01-01", "x", "lee", "ann"].map(Some);
        let digest = moved.encode(&row, &mut blob, &mut keys);
        let (mut plain, mut others) = (Vec::new(), Vec::new());
        let row = ["ann", "lee", "1990-01-01"].map(Some);
        assert_eq!(
            encoder(&profile).encode(&row, &mut plain, &mut others),
            digest
        );
        assert_eq!((blob, keys), (plain, others));
        let lacking = Encoder::new(&profile, 0, &names[1..])
            .map(|_| ())
            .unwrap_err();
        assert!(lacking.to_string().contains("made with born"), "{lacking}");
    }

    #[test]
    fn short_rows_are_missing_values() {
        let profile = profile(&[["a", "b", "1990-01-01"], ["c", "d", "1991-01-01"]]);
        let (mut blob, mut keys) = (Vec::new(), Vec::new());
        encoder(&profile).encode(&[None], &mut blob, &mut keys);
        assert!(keys.is_empty());
        assert!(record::Record::open(&blob).section(0).is_empty());
    }
}
