//! [`Value`]: a text as a value of a key's type, in that type's order.

use std::cmp::Ordering;

use crate::model::Column;

/// A value in the order of its key's type. Values of one key are all of one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Decimal(Decimal),
}

/// A decimal number of any length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    whole: String,
    fraction: String,
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = |number: &Self| {
            (
                number.whole.len(),
                number.whole.clone(),
                number.fraction.clone(),
            )
        };
        match (self.negative, other.negative) {
            (false, false) => size(self).cmp(&size(other)),
            (true, true) => size(other).cmp(&size(self)),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Decimal,
    Date,
    Timestamp,
}

pub(super) fn type_name(key: &Column) -> String {
    key.r#type
        .as_deref()
        .unwrap_or("string")
        .trim()
        .to_lowercase()
}

/// The kind of a key's type, if values of it can be compared.
pub(crate) fn kind(key: &Column) -> Option<Kind> {
    let name = type_name(key);
    Some(match name.split('(').next().unwrap_or_default().trim() {
        "string" | "varchar" | "char" => Kind::Text,
        "tinyint" | "smallint" | "int" | "integer" | "bigint" | "long" => Kind::Integer,
        "decimal" => Kind::Decimal,
        "date" => Kind::Date,
        "timestamp" => Kind::Timestamp,
        _ => return None,
    })
}

/// Whether values of the key compare as the texts they are.
pub(crate) fn is_text(key: &Column) -> bool {
    kind(key) == Some(Kind::Text)
}

/// A text as a value of the key's type.
pub(crate) fn value(key: &Column, text: &str) -> Option<Value> {
    match kind(key)? {
        Kind::Text => Some(Value::Text(text.to_owned())),
        Kind::Integer => trim(text).parse().ok().map(Value::Integer),
        Kind::Decimal => decimal(trim(text)).map(Value::Decimal),
        Kind::Date => date(trim(text)).map(Value::Text),
        Kind::Timestamp => timestamp(trim(text)).map(Value::Text),
    }
}

/// Without blanks around it, as Java has them: the characters up to the space.
fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

pub(super) fn decimal(text: &str) -> Option<Decimal> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = || whole.bytes().chain(fraction.bytes());
    if all().next().is_none() || !all().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (whole, fraction) = (
        whole.trim_start_matches('0'),
        fraction.trim_end_matches('0'),
    );
    Some(Decimal {
        // There is one zero.
        negative: negative && !(whole.is_empty() && fraction.is_empty()),
        whole: whole.to_owned(),
        fraction: fraction.to_owned(),
    })
}

fn date(text: &str) -> Option<String> {
    let mut parts = text.splitn(3, '-');
    let mut part = |digits: usize, from: u32, to: u32| {
        let part = parts.next()?;
        let number: u32 = part
            .parse()
            .ok()
            .filter(|_| part.len() <= digits && part.bytes().all(|b| b.is_ascii_digit()))?;
        (from..=to).contains(&number).then_some(number)
    };
    let (year, month, day) = (part(4, 0, 9999)?, part(2, 1, 12)?, part(2, 1, 31)?);
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

fn timestamp(text: &str) -> Option<String> {
    let (day, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00:00"));
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = clock.splitn(3, ':');
    let mut part = |to: u32| {
        let part = parts.next()?;
        let number: u32 = part
            .parse()
            .ok()
            .filter(|_| part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit()))?;
        (number <= to).then_some(number)
    };
    let (hour, minute, second) = (part(23)?, part(59)?, part(59)?);
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(format!(
        "{} {hour:02}:{minute:02}:{second:02}.{fraction:0<9}",
        date(day)?
    ))
}
