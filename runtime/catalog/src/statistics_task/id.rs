//! [`StatisticsRunId`]: what a run is called.

use std::fmt;
use std::str::FromStr;

use tenon_store::Key;

use crate::error::{Error, Kind, Result};
use crate::model::Timestamp;
use crate::stored;

/// Digits behind each of which a text of an id has a dash.
const GROUPS: [usize; 4] = [8, 12, 16, 20];

/// What a run is called: a UUID that begins with the time of its start, so that the keys of runs are in the order of
/// their starts. Written in lower case with dashes.
///
/// <https://datatracker.ietf.org/doc/html/rfc9562#section-5.7>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatisticsRunId(u128);

impl StatisticsRunId {
    /// The id of a run that starts `at`. `random` tells it from others of the same millisecond, and from what
    /// somebody guesses.
    #[must_use]
    pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
        let millis = u128::try_from(at.unix_millis()).unwrap_or(0) & 0xffff_ffff_ffff;
        let random = random
            .iter()
            .fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
        let (first, second) = ((random >> 62) & 0xfff, random & (u128::MAX >> 66));
        Self(millis << 80 | 7 << 76 | first << 64 | 0b10 << 62 | second)
    }

    /// The key of a record below `prefix`: those of later runs come first.
    pub(super) fn key(self, prefix: Key) -> Key {
        let (high, low) = ((self.0 >> 64) as u64, self.0 as u64);
        prefix.with_u64(u64::MAX - high).with_u64(u64::MAX - low)
    }

    /// The id in the key of a record below a kind's prefix.
    pub(super) fn of_key(key: &Key) -> Result<Self> {
        let mut reader = key.reader();
        let mut read = || {
            reader.u8().ok()?;
            Some((reader.u64().ok()?, reader.u64().ok()?))
        };
        let (high, low) = read().ok_or_else(|| {
            stored::unreadable(tenon_store::Tree::Object, key, "it is no key of a run")
        })?;
        let (high, low) = (u64::MAX - high, u64::MAX - low);
        Ok(Self(u128::from(high) << 64 | u128::from(low)))
    }

    /// The id in a text; what is no id is the name of no run.
    pub(super) fn parse(text: &str) -> Result<Self> {
        text.parse()
            .map_err(|()| Error::not_found(Kind::StatisticsRun, text))
    }
}

impl fmt::Display for StatisticsRunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", self.0);
        let mut from = 0;
        for to in GROUPS {
            write!(f, "{}-", &digits[from..to])?;
            from = to;
        }
        f.write_str(&digits[from..])
    }
}

impl FromStr for StatisticsRunId {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let digits: String = text.chars().filter(|c| *c != '-').take(33).collect();
        let id = u128::from_str_radix(&digits, 16).map(Self).map_err(drop)?;
        // Only one text is this id.
        (id.to_string() == text).then_some(id).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_of_version_7() {
        let at = Timestamp::from_unix_millis(0x0123_4567_89ab);
        let id = StatisticsRunId::new(at, [0xff; 10]);
        assert_eq!(id.to_string(), "01234567-89ab-7fff-bfff-ffffffffffff");
        let id = StatisticsRunId::new(at, [0; 10]);
        assert_eq!(id.to_string(), "01234567-89ab-7000-8000-000000000000");
    }

    #[test]
    fn ids_survive_texts_and_keys_and_later_ones_come_first() {
        let id = |millis, random| StatisticsRunId::new(Timestamp::from_unix_millis(millis), random);
        let (first, second) = (id(1_000, [0xee; 10]), id(1_001, [0x11; 10]));
        let key = |id: StatisticsRunId| id.key(Key::new().with_u8(1));
        assert!(key(second) < key(first));
        for id in [first, second] {
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(StatisticsRunId::of_key(&key(id)).unwrap(), id);
        }
    }

    #[test]
    fn other_texts_are_no_ids() {
        let id = StatisticsRunId::new(Timestamp::from_unix_millis(1), [0xab; 10]).to_string();
        let others = [
            String::new(),
            id.to_uppercase(),
            id.replace('-', ""),
            format!("{id}-"),
            format!("{id}0"),
            format!("+{}", &id[1..]),
            "\u{130}".repeat(32),
        ];
        for other in others {
            assert_eq!(other.parse::<StatisticsRunId>(), Err(()), "{other}");
        }
    }
}
