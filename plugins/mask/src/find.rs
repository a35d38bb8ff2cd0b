//! What looks like personal data in a text. Everything replaces bytes by `*` in place: a text keeps its length.
//!
//! One pass decides whether there is anything to look for (most texts have no `@` and few digits); only then are
//! candidates tried. Characters beyond ASCII are only ever replaced whole, as parts of an address.

use tenon_sdk::{Error, Result};

/// Which kinds are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kinds {
    email: bool,
    phone: bool,
    card: bool,
    iban: bool,
}

impl Kinds {
    pub(crate) const ALL: Self = Self {
        email: true,
        phone: true,
        card: true,
        iban: true,
    };

    /// From their names; all when there are none.
    pub(crate) fn parse(names: Option<&[String]>) -> Result<Self> {
        let Some(names) = names else {
            return Ok(Self::ALL);
        };
        let known = ["email", "phone", "card", "iban"];
        if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
            let known = known.join(", ");
            return Err(Error::Config(format!(
                "kinds: {unknown:?} is none of {known}"
            )));
        }
        let has = |kind: &str| names.iter().any(|name| name == kind);
        Ok(Self {
            email: has("email"),
            phone: has("phone"),
            card: has("card"),
            iban: has("iban"),
        })
    }
}

/// Masks what is found in one text.
pub(crate) fn mask_text(text: &mut [u8], kinds: Kinds) {
    let (mut digits, mut ats) = (0, 0);
    for byte in text.iter() {
        digits += usize::from(byte.is_ascii_digit());
        ats += usize::from(*byte == b'@');
    }
    if kinds.email && ats > 0 {
        mask_emails(text);
    }
    // The shortest of them has this many.
    if digits >= 8 {
        mask_numbers(text, kinds);
    }
}

fn mask_emails(text: &mut [u8]) {
    let is_local = |b: u8| b.is_ascii_alphanumeric() || b >= 0x80 || b"._%+-'".contains(&b);
    let is_domain = |b: &&u8| b.is_ascii_alphanumeric() || **b >= 0x80 || b".-".contains(b);
    for at in 0..text.len() {
        if text[at] != b'@' {
            continue;
        }
        let start = text[..at]
            .iter()
            .rposition(|b| !is_local(*b))
            .map_or(0, |i| i + 1);
        let length = text[at + 1..].iter().take_while(is_domain).count();
        let domain = &text[at + 1..at + 1 + length];
        let dot = domain.iter().position(|b| *b == b'.');
        if dot.is_some_and(|dot| dot > 0 && dot + 2 < length) {
            text[start..at].fill(b'*');
        }
    }
}

/// Tries every word that may begin a number, longest first.
fn mask_numbers(text: &mut [u8], kinds: Kinds) {
    let (mut at, mut masked_to) = (0, 0);
    while at < text.len() {
        let begins = at == 0 || !text[at - 1].is_ascii_alphanumeric() && text[at - 1] < 0x80;
        // The middle of some longer number is no phone.
        let continues = at > masked_to + 1 && text[at - 2].is_ascii_digit();
        let kinds = Kinds {
            phone: kinds.phone && !continues,
            ..kinds
        };
        let end = begins.then(|| number_at(&text[at..], kinds)).flatten();
        let Some((length, kept_first)) = end else {
            at += 1;
            continue;
        };
        keep_last_four(&mut text[at + kept_first..at + length]);
        at += length;
        masked_to = at;
    }
}

fn keep_last_four(number: &mut [u8]) {
    let mut kept = 0;
    for byte in number
        .iter_mut()
        .rev()
        .filter(|b| b.is_ascii_alphanumeric())
    {
        kept += 1;
        if kept > 4 {
            *byte = b'*';
        }
    }
}

/// The length of the number that `text` begins with, and how many bytes in front stay.
fn number_at(text: &[u8], kinds: Kinds) -> Option<(usize, usize)> {
    match text.first()? {
        b'A'..=b'Z' if kinds.iban => Some((longest(text, b" ", 34, &is_iban)?, 2)),
        b'0'..=b'9' | b'+' | b'(' => {
            let card = kinds.card.then(|| longest(text, b" -", 19, &is_card));
            let phone = || kinds.phone.then(|| longest(text, b" -./()", 15, &is_phone));
            Some((card.flatten().or_else(|| phone().flatten())?, 0))
        }
        _ => None,
    }
}

/// The longest piece that ends with a word and holds: of letters and digits, at most `most` of them, with up to two
/// separators in a row.
fn longest(
    text: &[u8],
    separators: &[u8],
    most: usize,
    holds: &dyn Fn(&[u8], &[u8]) -> bool,
) -> Option<usize> {
    // The piece without separators, and where its words end: in the text, and in it.
    let (mut plain, mut ends, mut gap) = (Vec::with_capacity(most), Vec::new(), 0);
    for (position, byte) in text.iter().enumerate() {
        if byte.is_ascii_digit() || byte.is_ascii_uppercase() {
            plain.push(*byte);
            gap = 0;
            let next = text.get(position + 1).copied().unwrap_or(b' ');
            // Not the hour of a clock, nor a part of a longer word.
            let is_clock = next == b':' && text.get(position + 2).is_some_and(u8::is_ascii_digit);
            if !next.is_ascii_alphanumeric() && next < 0x80 && !is_clock {
                ends.push((position + 1, plain.len()));
            }
        } else if gap < 2 && (separators.contains(byte) || *byte == b'+' && position == 0) {
            gap += 1;
        } else {
            break;
        }
        if plain.len() > most {
            break;
        }
    }
    let fits = ends
        .iter()
        .rev()
        .find(|(end, length)| holds(&text[..*end], &plain[..*length]));
    fits.map(|(end, _)| *end)
}

/// 13 to 19 digits of an issuer, the last one being Luhn's.
fn is_card(_text: &[u8], digits: &[u8]) -> bool {
    if !(13..=19).contains(&digits.len()) || !(b'2'..=b'6').contains(&digits[0]) {
        return false;
    }
    let mut sum = 0;
    for (place, digit) in digits.iter().rev().enumerate() {
        if !digit.is_ascii_digit() {
            return false;
        }
        let value = u32::from(digit - b'0') * if place % 2 == 1 { 2 } else { 1 };
        sum += if value > 9 { value - 9 } else { value };
    }
    sum % 10 == 0
}

/// Country, two check digits and the account: 1 modulo 97 when letters are numbers from 10 and the first four come last.
fn is_iban(_text: &[u8], plain: &[u8]) -> bool {
    let shape = |p: &[u8]| {
        p[..2].iter().all(u8::is_ascii_uppercase) && p[2..4].iter().all(u8::is_ascii_digit)
    };
    if !(15..=34).contains(&plain.len()) || !shape(plain) {
        return false;
    }
    let turned = plain[4..].iter().chain(&plain[..4]);
    let rest = turned.fold(0_u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        letter => (rest * 100 + u32::from(letter - b'A') + 10) % 97,
    });
    rest == 1
}

/// International, with a trunk prefix, or grouped as in North America. Numbers without any of it are somebody's ids.
fn is_phone(text: &[u8], digits: &[u8]) -> bool {
    let groups = || {
        text.split(|b| !b.is_ascii_digit())
            .filter(|g| !g.is_empty())
            .map(<[u8]>::len)
    };
    digits.iter().all(u8::is_ascii_digit)
        && match text[0] {
            b'+' => (8..=15).contains(&digits.len()),
            b'0' | b'(' => (9..=13).contains(&digits.len()),
            _ => digits.len() == 10 && groups().eq([3, 3, 4]),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        mask_text(&mut bytes, Kinds::ALL);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_is_personal_is_hidden_and_keeps_its_shape() {
        for (text, expected) in [
            (
                "write to ada.lovelace@example.com.",
                "write to ************@example.com.",
            ),
            ("<b+x@a.co>, c@d.org", "<***@a.co>, *@d.org"),
            ("jürgen@müller.de", "*******@müller.de"),
            (
                "card 4111 1111 1111 1111, exp 12/27",
                "card **** **** **** 1111, exp 12/27",
            ),
            ("5500005555555559", "************5559"),
            ("3782-822463-10005", "****-******-*0005"),
            (
                "DE89 3704 0044 0532 0130 00 EUR",
                "DE** **** **** **** **30 00 EUR",
            ),
            ("GB82WEST12345698765432", "GB****************5432"),
            ("call +44 20 7946 0958 now", "call +** ** **** 0958 now"),
            ("(02) 9876 5432", "(**) **** 5432"),
            (
                "4111 1111 1111 1111 0412345678",
                "**** **** **** 1111 ******5678",
            ),
            ("555-123-4567", "***-***-4567"),
            ("0412345678: Bob", "******5678: Bob"),
            (
                "tel 0664/1234567 or 4111111111111111",
                "tel ****/***4567 or ************1111",
            ),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    #[test]
    fn what_only_looks_like_it_stays() {
        for text in [
            "2026-01-31 10:15:00.123456",
            "31.01.2026 10:15",
            "order 1234567890, 1700000000000 ms",
            "4111 1111 1111 1112",
            "DE88 3704 0044 0532 0130 00",
            "a0412345678",
            "x@y, @home, me@localhost",
            "3.14159265358979",
            "192.168.100.200",
            "",
        ] {
            assert_eq!(masked(text), text);
        }
    }

    proptest! {
        /// Length and characters stay, masking twice changes nothing more, and no text makes it stop.
        #[test]
        fn any_text_keeps_its_length(text in "[ -9@A-Za-zü€+().]{0,60}") {
            let once = masked(&text);
            prop_assert_eq!(once.len(), text.len());
            let letters = text.bytes().zip(once.bytes());
            prop_assert!(letters.into_iter().all(|(before, after)| before == after || after == b'*'));
        }

        /// No number with a right digit comes through.
        #[test]
        fn every_card_is_found(digits in proptest::collection::vec(0_u8..10, 12..18)) {
            let mut card: Vec<u8> = std::iter::once(4).chain(digits).map(|d| d + b'0').collect();
            let check = (b'0'..=b'9').find(|check| {
                let whole = [&card[..], &[*check]].concat();
                is_card(&whole, &whole)
            });
            card.push(check.unwrap());
            let text = format!("paid with {} today", String::from_utf8(card).unwrap());
            prop_assert!(masked(&text).contains("*********"), "{}", text);
        }
    }
}
