//! Two record blobs to a pattern: one small discrete level per feature.
//!
//! A pattern is a short byte vector, so that the host can group equal patterns and learning sees counts, not pairs.
//! Level 0 means that a side is missing; levels from 1 on go from the strongest agreement to plain difference. Exact
//! agreement has three levels by how rare the value is: term frequency without a continuous term.
//!
//! ```text
//! feature       levels 1..                                                                   (0 = missing)
//! name          rare, in between, common, one edit, near, found in another column, initial, weakly alike, different
//! text          rare, in between, common, similarity >= .9, >= .7 one inside the other, >= .75, one inside the other,
//!               >= .6, >= .45, >= .25, different
//! code          rare, in between, common, one edit, two edits or neighbours, different
//! date          rare, in between, common, one edit or swapped parts, two of three parts, year only, different
//! mail          rare, in between, common, two edits, same local part, near local part, different
//! number        rare, in between, common, within 1 %, 5 %, 15 %, different
//! other words   words shared across different columns: much, some, little evidence; none though both have words
//! codes         code-like words: shared, not shared
//! name in mail  where names are missing: both names, one, none of them in the other record's mail address
//! ```

use crate::kind::Kind;
use crate::nicknames;
use crate::profile::{COLUMNS, Profile};
use crate::record::{MARK_CODE, MARK_COLUMNS, RECORD_TOKEN, Record};
use crate::similarity::{edits, jaro_winkler};
use crate::text;
use serde::{Deserialize, Serialize};

/// Longest pattern in bytes.
pub const PATTERN_BYTES: usize = COLUMNS + 3;

/// One byte per feature.
pub type Pattern = [u8; PATTERN_BYTES];

/// What a pattern byte is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// Column name, or what is compared across columns.
    pub name: String,
    /// Column kind; `None` for whole-record features.
    pub kind: Option<Kind>,
    /// Number of levels, missing included.
    pub levels: u8,
}

/// Compares blobs of one profile's encoder.
pub struct Comparer {
    kinds: Vec<Kind>,
    names: Vec<usize>,
    mails: Vec<usize>,
    words: bool,
    features: Vec<Feature>,
}

impl Comparer {
    /// A comparer for the records that were encoded with `profile`.
    pub fn new(profile: &Profile) -> Self {
        let compared = || profile.columns.iter().filter(|column| column.compared);
        let kinds: Vec<Kind> = compared().map(|column| column.kind).collect();
        let of_kind = |kind: Kind| {
            kinds
                .iter()
                .enumerate()
                .filter(|(_, k)| **k == kind)
                .map(|(at, _)| at)
                .collect()
        };
        let (names, mails): (Vec<usize>, Vec<usize>) = (of_kind(Kind::Name), of_kind(Kind::Mail));
        let mut features: Vec<Feature> = compared()
            .map(|column| Feature {
                name: column.name.clone(),
                kind: Some(column.kind),
                levels: levels(column.kind),
            })
            .collect();
        let words = profile.has_text();
        if words {
            features.push(Feature {
                name: WORDS.to_owned(),
                kind: None,
                levels: 5,
            });
            features.push(Feature {
                name: CODES.to_owned(),
                kind: None,
                levels: 3,
            });
        }
        if !mails.is_empty() && !names.is_empty() {
            features.push(Feature {
                name: "name in mail".to_owned(),
                kind: None,
                levels: 4,
            });
        }
        Self {
            kinds,
            names,
            mails,
            words,
            features,
        }
    }

    /// The features in pattern order; bytes past them are 0.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The pattern of two records; symmetric in its arguments.
    pub fn compare(&self, a: &[u8], b: &[u8]) -> Pattern {
        let (a, b) = (Record::open(a), Record::open(b));
        let mut pattern = [0; PATTERN_BYTES];
        for (at, kind) in self.kinds.iter().enumerate() {
            pattern[at] = compare_sections(*kind, a.section(at), b.section(at));
        }
        self.find_displaced(&a, &b, &mut pattern);
        let mut next = self.kinds.len();
        if self.words {
            let (words, codes) = record_words(a.tokens(), b.tokens());
            pattern[next] = words;
            pattern[next + 1] = codes;
            next += 2;
        }
        if !self.mails.is_empty() && !self.names.is_empty() {
            pattern[next] = self.name_in_mail(&a, &b);
        }
        pattern
    }

    /// Names that differ but stand in another name column of the other record.
    fn find_displaced(&self, a: &Record<'_>, b: &Record<'_>, pattern: &mut Pattern) {
        let open = |level: u8| level == NAME_DIFFERENT || level == 0;
        for (at, &i) in self.names.iter().enumerate() {
            for &j in self.names.iter().skip(at + 1) {
                if open(pattern[i]) && open(pattern[j]) {
                    let ways = [(a.section(i), b.section(j)), (a.section(j), b.section(i))];
                    (pattern[i], pattern[j]) =
                        displaced_levels(ways).unwrap_or((pattern[i], pattern[j]));
                }
            }
        }
    }

    /// Where only one side has a mail address: does it hold the other side's names?
    fn name_in_mail(&self, a: &Record<'_>, b: &Record<'_>) -> u8 {
        let mut best = 0;
        for &mail in &self.mails {
            let (left, right) = (a.section(mail), b.section(mail));
            best = match (left.is_empty(), right.is_empty()) {
                (false, true) => self.names_held(left, a, b),
                (true, false) => self.names_held(right, b, a),
                _ => continue,
            };
        }
        best
    }

    /// Names of `other` that `own` lacks, looked up in the mail address of `own`.
    fn names_held(&self, mail: &[u8], own: &Record<'_>, other: &Record<'_>) -> u8 {
        let local = mail_local(mail);
        let lacking = self.names.iter().filter(|at| own.section(**at).is_empty());
        let names = lacking
            .filter_map(|at| other.section(*at).get(1..))
            .filter(|name| name.len() >= 3);
        let (mut known, mut held) = (0, 0);
        for name in names {
            known += 1;
            held += u8::from(local.windows(name.len()).any(|part| part == name));
        }
        match (known, held) {
            (0, _) => 0,
            (_, 0) => 3,
            (_, 1) => 2,
            _ => 1,
        }
    }
}

/// A level in words, for people.
pub(crate) fn agreement(feature: &Feature, level: u8) -> &'static str {
    let words: &[&str] = match feature.kind {
        Some(Kind::Name) => &[
            "one edit",
            "near",
            "found in another column",
            "initial",
            "weakly alike",
            "different",
        ],
        Some(Kind::Text) => &[
            "very alike",
            "alike, one inside the other",
            "alike",
            "one inside the other",
            "partly alike",
            "some words shared",
            "few words shared",
            "different",
        ],
        Some(Kind::Code) => &["one edit", "two edits or a common start", "different"],
        Some(Kind::Date) => &[
            "one edit or swapped parts",
            "two of three parts",
            "the year only",
            "different",
        ],
        Some(Kind::Mail) => &[
            "two edits",
            "same name, other host",
            "near name",
            "different",
        ],
        Some(Kind::Number) => &["within 1 %", "within 5 %", "within 15 %", "different"],
        None => return across(feature, level),
    };
    match level {
        0 => "missing",
        1 => "equal, rare",
        2 => "equal",
        3 => "equal, common",
        _ => words
            .get(usize::from(level) - 4)
            .copied()
            .unwrap_or("different"),
    }
}

/// A level of a feature that is about several columns.
fn across(feature: &Feature, level: u8) -> &'static str {
    let words: &[&str] = match feature.name.as_str() {
        WORDS => &[
            "much shared",
            "some shared",
            "little shared",
            "nothing shared",
        ],
        CODES => &["shared", "not shared"],
        _ => &[
            "both names in the mail",
            "a name in the mail",
            "no name in the mail",
        ],
    };
    match level {
        0 => "missing",
        _ => words
            .get(usize::from(level) - 1)
            .copied()
            .unwrap_or("different"),
    }
}

/// Names of the features across columns.
const WORDS: &str = "words elsewhere";
const CODES: &str = "codes";

/// A name found in another column; how strong that is does not follow from its place among the levels.
pub(crate) const NAME_DISPLACED: u8 = 6;
const NAME_DIFFERENT: u8 = 9;

fn levels(kind: Kind) -> u8 {
    match kind {
        Kind::Name => 10,
        Kind::Text => 12,
        Kind::Code => 7,
        Kind::Date | Kind::Mail | Kind::Number => 8,
    }
}

/// Levels of two name columns from the two crosswise pairs of names; `None` leaves them as they are.
///
/// The evidence counts once: names that changed places show in the earlier column, a single name found elsewhere shows
/// in the later one, and where its partner contradicts, the earlier column still differs.
fn displaced_levels(ways: [(&[u8], &[u8]); 2]) -> Option<(u8, u8)> {
    let [first, second] = ways.map(|(name, other)| is_displaced(name, other));
    let (name, other) = match (first, second) {
        (true, true) => return Some((NAME_DISPLACED, 0)),
        (true, false) => ways[1],
        (false, true) => ways[0],
        (false, false) => return None,
    };
    Some(match (name.get(1..), other.get(1..)) {
        (Some(name), Some(other)) if jaro_winkler(name, other, 0.8) > 0.0 => (NAME_DISPLACED, 0),
        (Some(_), Some(_)) => (NAME_DIFFERENT, NAME_DISPLACED),
        _ => (0, NAME_DISPLACED),
    })
}

fn is_displaced(name: &[u8], other: &[u8]) -> bool {
    match (name.get(1..), other.get(1..)) {
        (Some(name), Some(other)) if name.len() >= 3 => {
            name == other || name.len() >= 5 && edits(name, other, 1).is_some()
        }
        _ => false,
    }
}

fn compare_sections(kind: Kind, a: &[u8], b: &[u8]) -> u8 {
    let (Some((rarity, left)), Some((_, right))) = (a.split_first(), b.split_first()) else {
        return 0;
    };
    if kind != Kind::Text && left == right {
        return 1 + *rarity;
    }
    match kind {
        Kind::Name => compare_names(left, right),
        Kind::Code => compare_codes(left, right),
        Kind::Date => compare_dates(left, right),
        Kind::Mail => compare_mails(left, right),
        Kind::Number => compare_numbers(left, right),
        Kind::Text => text::compare(left, right).unwrap_or(1 + *rarity),
    }
}

fn compare_names(a: &[u8], b: &[u8]) -> u8 {
    let shorter = a.len().min(b.len());
    if shorter <= 1 {
        return if a.first() == b.first() {
            7
        } else {
            NAME_DIFFERENT
        };
    }
    if shorter >= 3 && edits(a, b, 1).is_some() {
        return 4;
    }
    if shorter >= 3 && (a.starts_with(b) || b.starts_with(a))
        || shorter >= 6 && edits(a, b, 2).is_some()
    {
        return 5;
    }
    if nicknames::same(a, b) {
        return 5;
    }
    match jaro_winkler(a, b, 0.75) {
        similarity if similarity >= 0.88 => 5,
        similarity if similarity >= 0.75 => 8,
        _ => NAME_DIFFERENT,
    }
}

fn compare_codes(a: &[u8], b: &[u8]) -> u8 {
    let shorter = a.len().min(b.len());
    if shorter >= 3 && edits(a, b, 1).is_some()
        || shorter >= 7 && (a.ends_with(b) || b.ends_with(a))
    {
        return 4;
    }
    let near = shorter >= 5 && edits(a, b, 2).is_some()
        || shorter >= 2 && (a.starts_with(b) || b.starts_with(a));
    if near { 5 } else { 6 }
}

fn compare_dates(a: &[u8], b: &[u8]) -> u8 {
    if edits(a, b, 1).is_some() {
        return 4;
    }
    let (Some(left), Some(right)) = (date_parts(a), date_parts(b)) else {
        return 7;
    };
    if left[0] == right[0] && left[1] == right[2] && left[2] == right[1] {
        return 4;
    }
    let same = left.iter().zip(&right).filter(|(l, r)| l == r).count();
    match same {
        2 => 5,
        _ if left[0] == right[0] => 6,
        _ if edits(a, b, 2).is_some() => 6,
        _ => 7,
    }
}

fn date_parts(text: &[u8]) -> Option<[&[u8]; 3]> {
    Some([text.get(..4)?, text.get(4..6)?, text.get(6..8)?])
}

fn mail_local(section: &[u8]) -> &[u8] {
    let length = section.get(1).map_or(0, |length| usize::from(*length));
    section.get(2..2 + length).unwrap_or(&[])
}

fn compare_mails(a: &[u8], b: &[u8]) -> u8 {
    let (Some((la, left)), Some((lb, right))) = (a.split_first(), b.split_first()) else {
        return 7;
    };
    if edits(left, right, 2).is_some() {
        return 4;
    }
    let local = |text: &'_ [u8], length: u8| -> usize { usize::from(length).min(text.len()) };
    let (la, lb) = (
        left.get(..local(left, *la)).unwrap_or(&[]),
        right.get(..local(right, *lb)).unwrap_or(&[]),
    );
    if la == lb && la.len() >= 3 {
        return 5;
    }
    let near = la.len().min(lb.len()) >= 5 && edits(la, lb, 2).is_some()
        || edits(left, right, 4).is_some();
    if near { 6 } else { 7 }
}

fn compare_numbers(a: &[u8], b: &[u8]) -> u8 {
    let (Some(left), Some(right)) = (float(a), float(b)) else {
        return 0;
    };
    let difference = (left - right).abs() / left.abs().max(right.abs()).max(1e-6);
    match difference {
        d if d.is_nan() => 0,
        d if d <= 0.01 => 4,
        d if d <= 0.05 => 5,
        d if d <= 0.15 => 6,
        _ => 7,
    }
}

fn float(bytes: &[u8]) -> Option<f32> {
    Some(f32::from_le_bytes(bytes.try_into().ok()?))
}

/// Evidence from words that stand in different columns of the two records, and the level of code-like words.
fn record_words(a: &[u8], b: &[u8]) -> (u8, u8) {
    let mut crossing = text::Overlap::default();
    let (mut left, mut right, mut both) = (false, false, false);
    text::merge(a, b, RECORD_TOKEN, |step| match step {
        text::Step::Left(token) => {
            left |= token.start & MARK_CODE != 0;
            crossing.add(token, true, false);
        }
        text::Step::Right(token) => {
            right |= token.start & MARK_CODE != 0;
            crossing.add(token, false, true);
        }
        text::Step::Both(token, other) => {
            both |= token.start & MARK_CODE != 0;
            if token.start & other.start & MARK_COLUMNS == 0 {
                crossing.add(token, true, true);
            }
        }
    });
    let codes = match (both, left && right) {
        (true, _) => 1,
        (false, true) => 2,
        _ => 0,
    };
    (crossing_level(crossing), codes)
}

/// Thresholds in nats: a word in one of twenty thousand records is worth ten.
fn crossing_level(sums: text::Overlap) -> u8 {
    const NATS: f64 = 16.0;
    if sums.left.min(sums.right) < 4.0 * NATS {
        return 0;
    }
    match sums.common / NATS {
        nats if nats >= 16.0 => 1,
        nats if nats >= 8.0 => 2,
        nats if nats >= 4.0 => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_from_edit_to_difference() {
        assert_eq!(compare_names(b"smith", b"simth"), 4);
        assert_eq!(compare_names(b"liz", b"lizbeth"), 5);
        assert_eq!(compare_names(b"j", b"john"), 7);
        assert_eq!(compare_names(b"smith", b"jones"), NAME_DIFFERENT);
    }

    #[test]
    fn dates_compare_by_parts() {
        assert_eq!(compare_dates(b"19870309", b"19870903"), 4);
        assert_eq!(compare_dates(b"19870309", b"19870308"), 4);
        assert_eq!(compare_dates(b"19870309", b"19871209"), 5);
        assert_eq!(compare_dates(b"19870309", b"19871112"), 6);
        assert_eq!(compare_dates(b"19870309", b"20011112"), 7);
    }

    #[test]
    fn codes_and_numbers_have_near_levels() {
        assert_eq!(compare_codes(b"8116238", b"8112638"), 4);
        assert_eq!(compare_codes(b"3102461501", b"2461501"), 4);
        assert_eq!(compare_codes(b"12", b"13"), 6);
        assert_eq!(
            compare_numbers(&1.0f32.to_le_bytes(), &1.04f32.to_le_bytes()),
            5
        );
        assert_eq!(
            compare_numbers(&f32::NAN.to_le_bytes(), &1.0f32.to_le_bytes()),
            0
        );
    }

    #[test]
    fn mails_compare_by_local_part() {
        let mail = |local: &str, domain: &str| {
            [&[local.len() as u8], local.as_bytes(), domain.as_bytes()].concat()
        };
        assert_eq!(
            compare_mails(&mail("annlee", "xorg"), &mail("annlee", "otherplacecom")),
            5
        );
        assert_eq!(
            compare_mails(&mail("annlee", "xorg"), &mail("anlee", "xorg")),
            4
        );
        assert_eq!(
            compare_mails(&mail("annlee", "xorg"), &mail("bobby", "xorg")),
            7
        );
    }
}
