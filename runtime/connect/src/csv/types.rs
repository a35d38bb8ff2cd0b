//! [`Candidates`]: which types a column's values can have without losing anything.
//!
//! Every value removes the types it does not survive; what is left, most specific first, is the
//! column's type. Reading uses the same parse functions, so it cannot disagree with inference.
//!
//! | text | stays text because |
//! |---|---|
//! | `0812`, `+41` | a number would lose the zero or the sign |
//! | an integer beyond 64 bits, or beyond 2^53 in a column with fractions | a float would lose digits |
//! | more than 17 significant digits with a fraction | a float would lose digits |

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

/// A type a CSV column may get, in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Int64,
    Float64,
    Date,
    Timestamp(TimeUnit),
    TimestampUtc(TimeUnit),
    Text,
}

/// The offset of the timestamps that carry one; they are normalised to it.
pub(super) const UTC: &str = "+00:00";
const KINDS: [Kind; 9] = [
    Kind::Boolean,
    Kind::Int64,
    Kind::Float64,
    Kind::Date,
    Kind::Timestamp(TimeUnit::Microsecond),
    Kind::Timestamp(TimeUnit::Nanosecond),
    Kind::TimestampUtc(TimeUnit::Microsecond),
    Kind::TimestampUtc(TimeUnit::Nanosecond),
    Kind::Text,
];
const TEXT: u16 = 1 << 8;
const MAX_EXACT_INTEGER: u64 = 1 << 53;
const MAX_EXACT_DIGITS: usize = 17;

impl Kind {
    pub(super) fn data_type(self) -> DataType {
        match self {
            Kind::Boolean => DataType::Boolean,
            Kind::Int64 => DataType::Int64,
            Kind::Float64 => DataType::Float64,
            Kind::Date => DataType::Date32,
            Kind::Timestamp(unit) => DataType::Timestamp(unit, None),
            Kind::TimestampUtc(unit) => DataType::Timestamp(unit, Some(UTC.into())),
            Kind::Text => DataType::Utf8,
        }
    }

    pub(super) fn of(data_type: &DataType) -> Option<Self> {
        KINDS
            .into_iter()
            .find(|kind| kind.data_type() == *data_type)
    }

    fn accepts(self, value: &str) -> bool {
        match self {
            Kind::Boolean => boolean(value).is_some(),
            Kind::Int64 => int64(value).is_some(),
            Kind::Float64 => float64(value).is_some(),
            Kind::Date => date(value).is_some(),
            Kind::Timestamp(unit) => timestamp(value, unit).is_some(),
            Kind::TimestampUtc(unit) => timestamp_utc(value, unit).is_some(),
            Kind::Text => true,
        }
    }
}

/// The types that every value so far survives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidates {
    kinds: u16,
    seen: bool,
}

impl Candidates {
    pub(super) fn new() -> Self {
        Self {
            kinds: (1 << KINDS.len()) - 1,
            seen: false,
        }
    }

    /// Takes one more value into account; empty means null and fits everything.
    pub(super) fn observe(&mut self, value: &str) {
        if value.is_empty() {
            return;
        }
        self.seen = true;
        if self.kinds == TEXT {
            return;
        }
        for (bit, kind) in KINDS.iter().enumerate() {
            if self.kinds & (1 << bit) != 0 && !kind.accepts(value) {
                self.kinds &= !(1 << bit);
            }
        }
    }

    /// What is left when both must fit.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            kinds: self.kinds & other.kinds,
            seen: self.seen || other.seen,
        }
    }

    /// The most specific type left; a column without values is text.
    pub(super) fn kind(self) -> Kind {
        if !self.seen {
            return Kind::Text;
        }
        KINDS
            .into_iter()
            .enumerate()
            .find(|(bit, _)| self.kinds & (1 << bit) != 0)
            .map_or(Kind::Text, |(_, kind)| kind)
    }
}

pub(super) fn boolean(value: &str) -> Option<bool> {
    match value {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

pub(super) fn int64(value: &str) -> Option<i64> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if !is_plain_integer(digits) || value == "-0" {
        return None;
    }
    value.parse().ok()
}

fn is_plain_integer(digits: &str) -> bool {
    let bytes = digits.as_bytes();
    !bytes.is_empty()
        && bytes.iter().all(u8::is_ascii_digit)
        && (bytes[0] != b'0' || bytes.len() == 1)
}

pub(super) fn float64(value: &str) -> Option<f64> {
    match value {
        "NaN" => return Some(f64::NAN),
        "inf" => return Some(f64::INFINITY),
        "-inf" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let unsigned = value.strip_prefix('-').unwrap_or(value);
    if is_plain_integer(unsigned) {
        return unsigned
            .parse()
            .ok()
            .filter(|n: &u64| *n <= MAX_EXACT_INTEGER)
            .and_then(|_| value.parse().ok());
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let well_formed = (whole.is_empty() || is_plain_integer(whole))
        && all_digits(fraction)
        && !fraction.is_empty()
        && all_digits(exponent)
        && !exponent.is_empty();
    if !well_formed || significant_digits(mantissa) > MAX_EXACT_DIGITS {
        return None;
    }
    value.parse().ok().filter(|f: &f64| f.is_finite())
}

fn significant_digits(mantissa: &str) -> usize {
    let significant = mantissa.trim_start_matches(['0', '.']);
    let significant = if mantissa.contains('.') {
        significant.trim_end_matches('0')
    } else {
        significant
    };
    significant.bytes().filter(u8::is_ascii_digit).count()
}

/// `YYYY-MM-DD`, as days since 1970-01-01.
pub(super) fn date(value: &str) -> Option<i32> {
    naive_date(value).map(|date| date.to_epoch_days())
}

fn naive_date(value: &str) -> Option<NaiveDate> {
    let bytes = value.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    NaiveDate::from_ymd_opt(
        number(&bytes[..4])? as i32,
        number(&bytes[5..7])?,
        number(&bytes[8..])?,
    )
}

/// A date, or a date and time without an offset, since 1970-01-01T00:00:00.
pub(super) fn timestamp(value: &str, unit: TimeUnit) -> Option<i64> {
    if let Some(date) = naive_date(value) {
        return in_unit(date.and_time(NaiveTime::MIN), 0, unit);
    }
    let (time, fraction_digits, rest) = date_time(value)?;
    if rest.is_empty() {
        in_unit(time, fraction_digits, unit)
    } else {
        None
    }
}

/// A date and time with `Z` or `+HH:MM`, since 1970-01-01T00:00:00Z.
pub(super) fn timestamp_utc(value: &str, unit: TimeUnit) -> Option<i64> {
    let (time, fraction_digits, rest) = date_time(value)?;
    let offset = offset_seconds(rest)?;
    in_unit(
        time.checked_sub_signed(TimeDelta::seconds(offset))?,
        fraction_digits,
        unit,
    )
}

/// The time, how many digits its fraction has, and what follows it.
fn date_time(value: &str) -> Option<(NaiveDateTime, usize, &str)> {
    let bytes = value.as_bytes();
    let shaped = bytes.len() >= 19
        && matches!(bytes[10], b'T' | b' ')
        && bytes[13] == b':'
        && bytes[16] == b':';
    if !shaped || !value.is_char_boundary(10) || !value.is_char_boundary(19) {
        return None;
    }
    let date = naive_date(&value[..10])?;
    let (fraction, rest) = match value[19..].strip_prefix('.') {
        Some(tail) => tail.split_at(tail.bytes().take_while(u8::is_ascii_digit).count()),
        None => ("", &value[19..]),
    };
    if fraction.len() > 9 || (fraction.is_empty() && bytes.get(19) == Some(&b'.')) {
        return None;
    }
    let nanos = if fraction.is_empty() {
        0
    } else {
        number(fraction.as_bytes())? * 10_u32.pow(9 - fraction.len() as u32)
    };
    let time = NaiveTime::from_hms_nano_opt(
        number(&bytes[11..13])?,
        number(&bytes[14..16])?,
        number(&bytes[17..19])?,
        nanos,
    )?;
    Some((date.and_time(time), fraction.len(), rest))
}

fn offset_seconds(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if text == "Z" {
        return Some(0);
    }
    let sign = match bytes.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    if bytes.len() != 6 || bytes[3] != b':' {
        return None;
    }
    let (hours, minutes) = (number(&bytes[1..3])?, number(&bytes[4..])?);
    (hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}

fn number(digits: &[u8]) -> Option<u32> {
    let mut number: u32 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number
            .checked_mul(10)?
            .checked_add(u32::from(digit - b'0'))?;
    }
    Some(number)
}

fn in_unit(time: NaiveDateTime, fraction_digits: usize, unit: TimeUnit) -> Option<i64> {
    let time: DateTime<FixedOffset> = time.and_utc().into();
    match unit {
        TimeUnit::Nanosecond => time.timestamp_nanos_opt(),
        _ if fraction_digits > 6 => None,
        _ => Some(time.timestamp_micros()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(values: &[&str]) -> Kind {
        let mut candidates = Candidates::new();
        values.iter().for_each(|value| candidates.observe(value));
        candidates.kind()
    }

    #[test]
    fn the_most_specific_type_that_loses_nothing() {
        use TimeUnit::{Microsecond, Nanosecond};
        let cases: &[(&[&str], Kind)] = &[
            (&["1", "-2", "", "0"], Kind::Int64),
            (
                &["9223372036854775807", "-9223372036854775808"],
                Kind::Int64,
            ),
            (&["9223372036854775808"], Kind::Text),
            (&["0812", "8001"], Kind::Text),
            (&["+41"], Kind::Text),
            (&["-0", "1"], Kind::Float64),
            (
                &["1", "2.5", "-1e-7", ".5", "0.10000000000000000000"],
                Kind::Float64,
            ),
            (&["1e400"], Kind::Text),
            (&["9007199254740993", "0.5"], Kind::Text),
            (&["0.1234567890123456789"], Kind::Text),
            (&["00.5"], Kind::Text),
            (&["1.", "2"], Kind::Text),
            (&["1e", "2"], Kind::Text),
            (&["true", "FALSE", ""], Kind::Boolean),
            (&["true", "1"], Kind::Text),
            (&["2024-02-29", "0001-01-01"], Kind::Date),
            (&["2023-02-29"], Kind::Text),
            (
                &["2024-02-29", "2024-02-29 10:11:12.5"],
                Kind::Timestamp(Microsecond),
            ),
            (
                &["2024-02-29T10:11:12.123456789"],
                Kind::Timestamp(Nanosecond),
            ),
            (&["2024-02-29T10:11:12.123456789", "0001-01-01"], Kind::Text),
            (
                &["2024-02-29T10:11:12Z", "2024-02-29T10:11:12+02:00"],
                Kind::TimestampUtc(Microsecond),
            ),
            (&["2024-02-29T10:11:12Z", "2024-02-29T10:11:12"], Kind::Text),
            (&["2024-02-29T24:00:00"], Kind::Text),
            (&["2024-02-29T10:11:12."], Kind::Text),
            (&["2024-02-2\u{e4}T10:11:1\u{e4}"], Kind::Text),
            (&["", ""], Kind::Text),
            (&["x"], Kind::Text),
        ];
        for (values, expected) in cases {
            assert_eq!(kind(values), *expected, "{values:?}");
        }
        assert_eq!(
            timestamp_utc("1970-01-01T02:00:00+02:00", Microsecond),
            Some(0)
        );
    }
}
