//! Entries of partition indexes: how values become a key whose order is theirs, and back.
//!
//! ```text
//! idx  2|database|table|index u32|indexed value...|spelling...|other value...     empty
//!
//! indexed value = 1 | i64 with the sign flipped     of a whole number
//!               | 1 | normal form as a part         of a date or timestamp
//!               | 1 | text as a part                of anything else
//!               | 2 | text as a part                what is not of the key's type
//! spelling      = an empty part for the usual one, else the text as a part; of each indexed value
//! other value   = text as a part; the other values have the order of the table's keys
//! ```
//!
//! So `7` and `07` lie side by side under one value, what has equal indexed values begins alike, and an entry tells
//! every value of its partition.

use tenon_store::{Key, KeyReader};

use super::IndexDefinition;
use crate::expression::{Value, value};
use crate::model::Column;

/// Of the key's type.
const TYPED: u8 = 1;
/// Not of the key's type.
const OTHER: u8 = 2;

/// What every entry begins with whose indexed value is `wanted`.
pub(crate) fn with_value(key: Key, wanted: &Value) -> Key {
    let key = key.with_u8(TYPED);
    match wanted {
        Value::Integer(number) => key.with_u64(ordered(*number)),
        Value::Text(text) => key.with_part(text),
        // Decimals are kept as they were written.
        Value::Decimal(_) => key,
    }
}

/// Whether equal values of this key are one range of entries.
pub(crate) fn is_ordered(column: &Column) -> bool {
    !matches!(value(column, "0"), Some(Value::Decimal(_)))
}

fn ordered(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}

const fn number(ordered: u64) -> i64 {
    (ordered ^ (1 << 63)).cast_signed()
}

/// The key with the indexed value, and how the value is spelled.
fn with_text(key: Key, column: &Column, text: &str) -> (Key, String) {
    let spelling = |usual: &str| if usual == text { "" } else { text }.to_owned();
    match value(column, text) {
        Some(Value::Decimal(_)) => (key.with_u8(TYPED).with_part(text), String::new()),
        Some(value @ Value::Integer(number)) => {
            (with_value(key, &value), spelling(&number.to_string()))
        }
        Some(Value::Text(normal)) => {
            let spelling = spelling(&normal);
            (with_value(key, &Value::Text(normal)), spelling)
        }
        None => (key.with_u8(OTHER).with_part(text), String::new()),
    }
}

/// The usual spelling of an indexed value.
fn read_value(reader: &mut KeyReader<'_>, column: &Column) -> Option<String> {
    match reader.u8().ok()? {
        TYPED if matches!(value(column, "0"), Some(Value::Integer(_))) => {
            Some(number(reader.u64().ok()?).to_string())
        }
        TYPED | OTHER => read_text(reader),
        _ => None,
    }
}

fn read_text(reader: &mut KeyReader<'_>) -> Option<String> {
    String::from_utf8(reader.part().ok()?).ok()
}

impl IndexDefinition {
    /// The key of the entry for a partition with these values, below `below`; `None` when one is missing.
    pub(crate) fn entry(&self, below: Key, values: &[String]) -> Option<Key> {
        let (mut key, mut spellings) = (below, Vec::new());
        for indexed in &self.keys {
            let (next, spelling) = with_text(key, &indexed.column, values.get(indexed.position)?);
            key = next;
            spellings.push(spelling);
        }
        let key = spellings.iter().fold(key, Key::with_part);
        let others = values.iter().enumerate();
        Some(
            others
                .filter(|(position, _)| self.place_of(*position).is_none())
                .fold(key, |key, (_, text)| key.with_part(text)),
        )
    }

    /// The values of the partition whose entry lies below a prefix of `skipped` bytes; `None` when it is no entry
    /// of this index. Also the length of the key after each value, in the order of the entry.
    pub(crate) fn values(&self, entry: &Key, skipped: usize) -> Option<(Vec<String>, Vec<usize>)> {
        let bytes = entry.as_bytes();
        let key = Key::from_bytes(bytes.get(skipped..)?.to_vec());
        let mut reader = key.reader();
        let (mut indexed, mut others, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for key in &self.keys {
            indexed.push(read_value(&mut reader, &key.column)?);
            ends.push(bytes.len() - reader.remaining());
        }
        for usual in &mut indexed {
            let spelling = read_text(&mut reader)?;
            if !spelling.is_empty() {
                *usual = spelling;
            }
        }
        while !reader.is_empty() {
            others.push(read_text(&mut reader)?);
            ends.push(bytes.len() - reader.remaining());
        }
        let mut others = others.into_iter();
        let total = indexed.len() + others.len();
        let value = |position| match self.place_of(position) {
            Some(place) => indexed.get(place).cloned(),
            None => others.next(),
        };
        Some(((0..total).map(value).collect::<Option<_>>()?, ends))
    }

    /// Which of the indexed keys the table's key at `position` is.
    pub(crate) fn place_of(&self, position: usize) -> Option<usize> {
        self.keys.iter().position(|key| key.position == position)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{IndexKey, IndexStatus};
    use super::*;

    fn index(keys: &[(usize, &str)]) -> IndexDefinition {
        let key = |(position, r#type): &(usize, &str)| IndexKey {
            position: *position,
            column: Column {
                name: format!("k{position}"),
                r#type: Some((*r#type).to_owned()),
                ..Default::default()
            },
        };
        IndexDefinition {
            id: 1,
            index_name: "i".to_owned(),
            index_status: IndexStatus::Active,
            keys: keys.iter().map(key).collect(),
            backfill_errors: Vec::new(),
        }
    }

    #[test]
    fn numbers_have_their_own_order_and_spellings_lie_together() {
        let index = index(&[(1, "int")]);
        let entry = |text: &str| {
            let values = ["x".to_owned(), text.to_owned()];
            index.entry(Key::new(), &values).unwrap()
        };
        let texts = ["-10", "-9", "0", "7", "007", "10", "abc"];
        let keys: Vec<_> = texts.iter().map(|text| entry(text)).collect();
        assert!(keys.is_sorted());
        let seven = with_value(Key::new(), &Value::Integer(7));
        let found = keys.iter().filter(|key| key.starts_with(&seven)).count();
        assert_eq!(found, 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn entries_tell_every_value(
            values in prop::collection::vec("[-+ 0-9]{0,3}|2020-[0-9]-0[0-9]|[a-c\u{0}\u{1}é]{0,4}", 4),
            keys in prop::sample::subsequence(vec![(0_usize, "int"), (1, "date"), (2, "decimal(9,2)"), (3, "timestamp")], 1..4),
        ) {
            let index = index(&keys);
            let below = Key::new().with_u8(2).with_part("d");
            let entry = index.entry(below.clone(), &values).unwrap();
            let (read, ends) = index.values(&entry, below.as_bytes().len()).unwrap();
            prop_assert_eq!(&read, &values);
            prop_assert_eq!(ends.last().copied(), Some(entry.as_bytes().len()));
        }

        #[test]
        fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            let _ = index(&[(1, "int"), (0, "date")]).values(&Key::from_bytes(bytes), 0);
        }
    }
}
