//! Running text compared as weighted bags of words.
//!
//! Words are weighted by rarity. Words that only one side has may still pair up when one is the other with an error or
//! its abbreviation. [`merge`] walks two token lists sorted by id without allocating.

use crate::record::{self, TEXT_TOKEN, TEXT_TOKENS, Token};
use crate::similarity::near_words;

/// A token of a merged walk, and where it stands.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    Left(Token),
    Right(Token),
    Both(Token, Token),
}

/// Summed weights of two token lists.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Overlap {
    pub(crate) common: f64,
    pub(crate) left: f64,
    pub(crate) right: f64,
}

impl Overlap {
    /// Adds a token that stands on the given sides.
    pub(crate) fn add(&mut self, token: Token, left: bool, right: bool) {
        let weight = f64::from(token.weight);
        self.left += if left { weight } else { 0.0 };
        self.right += if right { weight } else { 0.0 };
        self.common += if left && right { weight } else { 0.0 };
    }
}

/// Walks two token lists sorted by id.
pub(crate) fn merge(a: &[u8], b: &[u8], size: usize, mut visit: impl FnMut(Step)) {
    let (na, nb) = (a.len() / size, b.len() / size);
    let (mut i, mut j) = (0, 0);
    while i < na || j < nb {
        let (left, right) = (record::token(a, size, i), record::token(b, size, j));
        if i < na && j < nb && left.id == right.id {
            visit(Step::Both(left, right));
            (i, j) = (i + 1, j + 1);
        } else if j >= nb || i < na && left.id < right.id {
            visit(Step::Left(left));
            i += 1;
        } else {
            visit(Step::Right(right));
            j += 1;
        }
    }
}

/// Level of two text sections without their rarity byte; `None` when they are equal.
pub(crate) fn compare(a: &[u8], b: &[u8]) -> Option<u8> {
    let (left, right) = (Text::open(a), Text::open(b));
    if left.text == right.text {
        return None;
    }
    let sums = soft_overlap(&left, &right);
    let dice = 2.0 * sums.common / (sums.left + sums.right).max(1.0);
    let inside = sums.common / sums.left.min(sums.right).max(1.0);
    Some(match (dice, inside) {
        (d, _) if d >= 0.9 => 4,
        (d, i) if d >= 0.7 && i >= INSIDE => 5,
        (d, _) if d >= 0.75 => 6,
        (_, i) if i >= INSIDE => 7,
        (d, _) if d >= 0.6 => 8,
        (d, _) if d >= 0.45 => 9,
        (d, _) if d >= 0.25 => 10,
        _ => 11,
    })
}

/// From here on one text holds the other, and the rest does not contradict.
const INSIDE: f64 = 0.9;

struct Text<'a> {
    tokens: &'a [u8],
    text: &'a [u8],
}

impl<'a> Text<'a> {
    fn open(section: &'a [u8]) -> Self {
        let count = section.first().map_or(0, |count| usize::from(*count));
        let split = 1 + count * TEXT_TOKEN;
        Self {
            tokens: section.get(1..split).unwrap_or(&[]),
            text: section.get(split..).unwrap_or(&[]),
        }
    }

    fn word(&self, token: Token) -> &'a [u8] {
        let start = usize::from(token.start);
        self.text
            .get(start..start + usize::from(token.tail))
            .unwrap_or(&[])
    }
}

/// Token lists too long for a fixed array are cut by the encoder.
struct Lone {
    tokens: [Token; TEXT_TOKENS],
    count: usize,
}

impl Lone {
    fn new() -> Self {
        Self {
            tokens: [Token::default(); TEXT_TOKENS],
            count: 0,
        }
    }

    fn push(&mut self, token: Token) {
        if let Some(slot) = self.tokens.get_mut(self.count) {
            *slot = token;
            self.count += 1;
        }
    }

    fn list(&self) -> &[Token] {
        self.tokens.get(..self.count).unwrap_or(&[])
    }
}

fn soft_overlap(a: &Text<'_>, b: &Text<'_>) -> Overlap {
    let (mut left, mut right) = (Lone::new(), Lone::new());
    let mut sums = Overlap::default();
    merge(a.tokens, b.tokens, TEXT_TOKEN, |step| match step {
        Step::Both(token, other) => sums.add(
            if token.weight >= other.weight {
                token
            } else {
                other
            },
            true,
            true,
        ),
        Step::Left(token) => {
            sums.add(token, true, false);
            left.push(token);
        }
        Step::Right(token) => {
            sums.add(token, false, true);
            right.push(token);
        }
    });
    let mut taken = [false; TEXT_TOKENS];
    for token in left.list() {
        for (slot, other) in taken.iter_mut().zip(right.list()) {
            let credit = if *slot {
                0.0
            } else {
                near(a.word(*token), b.word(*other))
            };
            if credit > 0.0 {
                *slot = true;
                pair_up(&mut sums, *token, *other, credit);
                break;
            }
        }
    }
    sums
}

/// Both words count with the lighter weight, of which they have `credit` in common.
fn pair_up(sums: &mut Overlap, left: Token, right: Token, credit: f64) {
    let light = f64::from(left.weight.min(right.weight));
    sums.left += light - f64::from(left.weight);
    sums.right += light - f64::from(right.weight);
    sums.common += credit * light;
}

/// Words pair up only under one first letter: errors there are rare, and it spares most of the work.
fn near(a: &[u8], b: &[u8]) -> f64 {
    let digits = |word: &[u8]| word.iter().any(u8::is_ascii_digit);
    if a.first() != b.first() || digits(a) || digits(b) {
        0.0
    } else {
        near_words(a, b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(words: &[(u32, u8, &str)]) -> Vec<u8> {
        let mut sorted = Vec::new();
        let mut text = String::new();
        for (id, weight, word) in words {
            sorted.push((*id, *weight, text.len() as u16, word.len() as u8));
            text.push_str(word);
            text.push(' ');
        }
        sorted.sort_unstable();
        let mut out = vec![words.len() as u8];
        for (id, weight, start, length) in sorted {
            out.extend_from_slice(&id.to_le_bytes());
            out.push(weight);
            out.extend_from_slice(&start.to_le_bytes());
            out.push(length);
        }
        out.extend_from_slice(text.trim_end().as_bytes());
        out
    }

    #[test]
    fn word_order_and_abbreviations_hardly_matter() {
        let a = section(&[(9, 80, "wilshire"), (4, 20, "boulevard"), (7, 90, "9500")]);
        let b = section(&[(7, 90, "9500"), (9, 80, "wilshire"), (5, 20, "blvd")]);
        assert_eq!(compare(&a, &b), Some(4));
        assert_eq!(compare(&a, &a), None);
    }

    #[test]
    fn numbers_never_pair_up() {
        let a = section(&[(9, 80, "wilshire"), (7, 90, "9500")]);
        let b = section(&[(9, 80, "wilshire"), (8, 90, "9501")]);
        assert!(compare(&a, &b) > Some(7));
    }

    #[test]
    fn damaged_sections_compare_without_panic() {
        assert_eq!(compare(&[200, 1, 2], &[3, 1]), None);
    }
}
