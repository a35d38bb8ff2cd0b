//! Parts of values that two records of one thing tend to share: what blocking rules are made of.
//!
//! An [`Atom`] names a part (the whole value, its sound, a year and month, ...); [`Atom::of`] hashes that part of a
//! value. Looser atoms survive more damage and collide more often.

use crate::date::Date;
use crate::hash;
use crate::kind::Kind;
use crate::normalise;
use crate::tokens::Tokens;
use crate::value::Value;
use serde::{Deserialize, Serialize};

/// A part of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Atom {
    /// The whole value, blanks aside.
    Exact,
    /// Phonetic skeleton of the first word (names) or of the whole.
    Sound,
    /// First three characters.
    Head,
    /// Last four characters.
    Tail,
    /// The characters in sorted order: blind to transpositions.
    Bag,
    YearMonth,
    MonthDay,
    YearDay,
    Year,
    /// Mail name before the sign.
    Local,
    /// First word that has a digit.
    Number,
    /// The least frequent word that occurs elsewhere too.
    RareWord,
}

impl Atom {
    /// The atoms worth trying for a kind, loosest last.
    pub(crate) fn for_kind(kind: Kind) -> &'static [Atom] {
        match kind {
            Kind::Name => &[Atom::Exact, Atom::Sound, Atom::Head],
            Kind::Text => &[Atom::Exact, Atom::RareWord, Atom::Number, Atom::Sound],
            Kind::Code => &[Atom::Exact, Atom::Bag, Atom::Tail, Atom::Head],
            Kind::Date => &[
                Atom::Exact,
                Atom::YearMonth,
                Atom::MonthDay,
                Atom::YearDay,
                Atom::Year,
            ],
            Kind::Mail => &[Atom::Exact, Atom::Local, Atom::Head],
            Kind::Number => &[Atom::Exact],
        }
    }

    /// Rough odds that a true pair still shares this part: a prior used to order rules, not a measurement.
    pub(crate) fn sturdiness(self) -> f64 {
        match self {
            Atom::Exact => 0.75,
            Atom::Bag | Atom::Tail => 0.8,
            Atom::YearDay | Atom::MonthDay | Atom::YearMonth | Atom::Local | Atom::RareWord => 0.85,
            Atom::Sound | Atom::Head | Atom::Number => 0.88,
            Atom::Year => 0.92,
        }
    }

    /// Hash of this part of `value`, or `None` when the value lacks it.
    pub(crate) fn of(self, value: &Value, tokens: &Tokens) -> Option<u64> {
        let text = value.squeezed.as_bytes();
        match self {
            Atom::Exact => Some(hash::bytes(2, text)),
            Atom::Sound => sound(value),
            Atom::Head => text.get(..3).map(|head| hash::bytes(3, head)),
            Atom::Tail => text
                .len()
                .checked_sub(4)
                .filter(|at| *at > 0)
                .and_then(|at| text.get(at..))
                .map(|tail| hash::bytes(4, tail)),
            Atom::Bag => Some(bag(text)),
            Atom::YearMonth => value.date.map(|d| part(1, d.year, d.month)),
            Atom::YearDay => value.date.map(|d| part(2, d.year, d.day)),
            Atom::MonthDay => value
                .date
                .map(|Date { month, day, .. }| part(3, month.into(), day)),
            Atom::Year => value.date.map(|d| part(4, d.year, 0)),
            Atom::Local => text
                .get(..value.local)
                .filter(|local| local.len() > 2)
                .map(|local| hash::bytes(5, local)),
            Atom::Number => value
                .words()
                .find(|word| word.bytes().any(|b| b.is_ascii_digit()))
                .map(|word| hash::bytes(6, word.as_bytes())),
            Atom::RareWord => rare_word(value, tokens),
        }
    }
}

fn part(seed: u64, left: u16, right: u8) -> u64 {
    hash::mix(seed, u64::from(left) << 8 | u64::from(right))
}

fn sound(value: &Value) -> Option<u64> {
    let word = value
        .words()
        .find(|word| word.len() > 1 && !word.bytes().any(|b| b.is_ascii_digit()))?;
    Some(hash::mix(7, normalise::sound(word)))
}

fn bag(text: &[u8]) -> u64 {
    let mut sorted = text.get(..text.len().min(64)).unwrap_or(text).to_vec();
    sorted.sort_unstable();
    hash::bytes(8, &sorted)
}

fn rare_word(value: &Value, tokens: &Tokens) -> Option<u64> {
    let mut best: Option<(u32, u32)> = None;
    for word in value.words().filter(|word| word.len() > 1) {
        let id = hash::short(word.as_bytes());
        let count = tokens.count(id);
        if !tokens.is_alone(id) && best.is_none_or(|found| (count, id) < found) {
            best = Some((count, id));
        }
    }
    best.map(|(_, id)| hash::mix(9, u64::from(id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Shape;

    fn part_of(atom: Atom, kind: Kind, text: &str) -> Option<u64> {
        let mut value = Value::default();
        value.read(
            text,
            Shape {
                kind,
                month_first: false,
                digits: kind == Kind::Code,
            },
        );
        atom.of(&value, &Tokens::default())
    }

    #[test]
    fn loose_atoms_survive_damage() {
        assert_eq!(
            part_of(Atom::Sound, Kind::Name, "Smith"),
            part_of(Atom::Sound, Kind::Name, "smyth")
        );
        assert_eq!(
            part_of(Atom::Bag, Kind::Code, "8116238"),
            part_of(Atom::Bag, Kind::Code, "8112638")
        );
        assert_eq!(
            part_of(Atom::YearMonth, Kind::Date, "1987-03-09"),
            part_of(Atom::YearMonth, Kind::Date, "19870319")
        );
        assert_eq!(
            part_of(Atom::Local, Kind::Mail, "ann.lee@x.org"),
            part_of(Atom::Local, Kind::Mail, "annlee@y.com")
        );
        assert_eq!(
            part_of(Atom::Number, Kind::Text, "12 Main St"),
            part_of(Atom::Number, Kind::Text, "Main street 12")
        );
    }

    #[test]
    fn absent_parts_make_no_key() {
        assert_eq!(part_of(Atom::YearMonth, Kind::Date, "unknown"), None);
        assert_eq!(part_of(Atom::Tail, Kind::Code, "12"), None);
    }
}
