//! Text to its normal form: what two spellings of one value have in common.
//!
//! [`fold`] makes lower-case ASCII-like words separated by single blanks; [`squeeze`] drops the blanks too and is the
//! form under which value frequencies are counted. [`sound`] is a short phonetic skeleton for blocking, [`decimal`]
//! reads a number with its unit. Everything works on untrusted text of any length; callers cap what they store.

use unicode_normalization::UnicodeNormalization;

/// Longest value looked at, in bytes; the tail of a longer one is ignored.
pub(crate) const VALUE_BYTES: usize = 1024;

/// Writes the folded form of `text` into `out` (cleared first): case, accents, punctuation and runs of blanks removed.
pub(crate) fn fold(text: &str, out: &mut String) {
    out.clear();
    let text = clip(text);
    if text.is_ascii() && !text.contains("&#") {
        fold_ascii(text.as_bytes(), out);
    } else {
        fold_chars(decode_entities(text).nfkd(), out);
    }
    if out.ends_with(' ') {
        out.pop();
    }
}

/// The folded form without blanks.
pub(crate) fn squeeze(folded: &str, out: &mut String) {
    out.clear();
    for word in folded.split(' ') {
        out.push_str(word);
    }
}

/// What becomes of each ASCII byte: itself in lower case, a blank, or (0) nothing.
const ASCII: [u8; 128] = {
    let mut table = [b' '; 128];
    let mut byte = 0;
    while byte < 128 {
        let lower = (byte as u8).to_ascii_lowercase();
        if lower.is_ascii_alphanumeric() {
            table[byte] = lower;
        }
        byte += 1;
    }
    // Apostrophes join: `o'brien` is one word.
    table[b'\'' as usize] = 0;
    table
};

fn fold_ascii(text: &[u8], out: &mut String) {
    out.reserve(text.len());
    let mut blank = true;
    for byte in text {
        match ASCII.get(usize::from(*byte)) {
            Some(b' ') if !blank => {
                out.push(' ');
                blank = true;
            }
            Some(b' ' | 0) | None => {}
            Some(byte) => {
                out.push(char::from(*byte));
                blank = false;
            }
        }
    }
}

fn clip(text: &str) -> &str {
    let mut end = text.len().min(VALUE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}

fn fold_chars(chars: impl Iterator<Item = char>, out: &mut String) {
    for c in chars {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if c.is_ascii() {
            separate(c, out);
        } else if c.is_alphanumeric() {
            out.extend(c.to_lowercase());
        } else if c.is_whitespace() {
            separate(' ', out);
        }
    }
}

/// Apostrophes join (`o'brien` is one word), every other mark separates.
fn separate(mark: char, out: &mut String) {
    if mark != '\'' && !out.is_empty() && !out.ends_with(' ') {
        out.push(' ');
    }
}

fn decode_entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("&#") {
        let (before, tail) = rest.split_at(start);
        out.push_str(before);
        match entity(tail) {
            Some((c, length)) => {
                out.push(c);
                rest = tail.get(length..).unwrap_or("");
            }
            None => {
                out.push(' ');
                rest = tail.get(2..).unwrap_or("");
            }
        }
    }
    out.push_str(rest);
    out
}

fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.find(';').filter(|end| *end <= 9)?;
    let code: u32 = text.get(2..end)?.parse().ok()?;
    Some((char::from_u32(code)?, end + 1))
}

/// Phonetic skeleton: first letter, then the classes of the following consonants, at most four marks.
///
/// Coarser than Metaphone on purpose: it also survives most single-letter typos after the first letter.
pub(crate) fn sound(word: &str) -> u64 {
    let mut skeleton = [0u8; 5];
    let mut length = 0;
    let mut last = 0u8;
    for byte in word.bytes().filter(|b| *b != b' ') {
        let class = consonant_class(byte);
        if length == 0 {
            skeleton[0] = if class == 0 { byte } else { class };
            length = 1;
        } else if class != 0 && class != last && length < skeleton.len() {
            skeleton[length] = class;
            length += 1;
        }
        last = class;
    }
    u64::from_le_bytes([
        skeleton[0],
        skeleton[1],
        skeleton[2],
        skeleton[3],
        skeleton[4],
        0,
        0,
        0,
    ])
}

fn consonant_class(byte: u8) -> u8 {
    match byte {
        b'b' | b'f' | b'p' | b'v' => 1,
        b'c' | b'g' | b'j' | b'k' | b'q' | b's' | b'x' | b'z' => 2,
        b'd' | b't' => 3,
        b'l' => 4,
        b'm' | b'n' => 5,
        b'r' => 6,
        b'0'..=b'9' => byte,
        _ => 0,
    }
}

/// Reads a number that may carry a currency sign, a percent sign, thousands marks or a unit after it.
pub(crate) fn decimal(text: &str) -> Option<f64> {
    let mut digits = String::new();
    let mut letters = 0;
    for c in clip(text).chars() {
        match c {
            '0'..='9' | '.' => digits.push(c),
            '-' if digits.is_empty() => digits.push(c),
            c if c.is_alphabetic() && digits.is_empty() => return None,
            c if c.is_alphabetic() => letters += 1,
            ',' | ' ' | '$' | '%' | '+' | '#' => {}
            c if !c.is_ascii() => {}
            _ => return None,
        }
    }
    if letters > 3 {
        None
    } else {
        digits.parse().ok().filter(|value: &f64| value.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn folded(text: &str) -> String {
        let mut out = String::new();
        fold(text, &mut out);
        out
    }

    #[test]
    fn folding_removes_case_accents_and_marks() {
        assert_eq!(folded("  Art's  DELI, Inc. "), "arts deli inc");
        assert_eq!(folded("Bertram Lud&#228;scher"), "bertram ludascher");
        assert_eq!(folded("Łódź—Straße"), folded("łódź—straße"));
        assert_eq!(folded("310/246-1501"), "310 246 1501");
        assert_eq!(folded("&#; &#99999999999;"), "99999999999");
    }

    #[test]
    fn both_ways_to_fold_agree() {
        let every: String = (0u8..128).map(char::from).collect();
        for text in [
            every.as_str(),
            "O'Brien-Smith  3rd",
            "a'",
            "' a",
            "-'-a",
            "",
        ] {
            let mut slow = String::new();
            fold_chars(text.chars(), &mut slow);
            assert_eq!(folded(text), slow.trim_end(), "{text:?}");
        }
    }

    #[test]
    fn sounds_survive_vowels_and_doubles() {
        assert_eq!(sound("smith"), sound("smyth"));
        assert_eq!(sound("katherine"), sound("catherine"));
        assert_ne!(sound("smith"), sound("jones"));
    }

    #[test]
    fn numbers_lose_their_units() {
        assert_eq!(decimal("$ 1,299.50"), Some(1299.5));
        assert_eq!(decimal("4.50 %"), Some(4.5));
        assert_eq!(decimal("Album Only"), None);
        assert_eq!(decimal("12 oz"), Some(12.0));
        assert_eq!(decimal("3:01").or(decimal("DSC90")), None);
    }

    proptest! {
        #[test]
        fn folding_is_idempotent(text in "\\PC{0,60}") {
            let once = folded(&text);
            prop_assert_eq!(folded(&once), once);
        }
    }
}
