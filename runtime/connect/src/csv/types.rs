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
//! | `03/04/2026`, unless another value shows whether day or month is first | it may be either day |

use std::fmt;

use arrow::datatypes::{DataType, TimeUnit};

/// How dates are written. One column has one style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DateStyle {
    /// `2026-07-31`
    Iso,
    /// `31.07.2026`
    Dotted,
    /// `31/07/2026`
    DayFirst,
    /// `07/31/2026`
    MonthFirst,
}

/// A type a CSV column may get, in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Int64,
    Float64,
    Date(DateStyle),
    Timestamp(TimeUnit),
    TimestampUtc(TimeUnit),
    Text,
}

/// The offset of the timestamps that carry one; they are normalised to it.
pub(super) const UTC: &str = "+00:00";
const KINDS: [Kind; 12] = [
    Kind::Boolean,
    Kind::Int64,
    Kind::Float64,
    Kind::Date(DateStyle::Iso),
    Kind::Date(DateStyle::Dotted),
    Kind::Date(DateStyle::DayFirst),
    Kind::Date(DateStyle::MonthFirst),
    Kind::Timestamp(TimeUnit::Microsecond),
    Kind::Timestamp(TimeUnit::Nanosecond),
    Kind::TimestampUtc(TimeUnit::Microsecond),
    Kind::TimestampUtc(TimeUnit::Nanosecond),
    Kind::Text,
];
const TEXT: u16 = 1 << (KINDS.len() - 1);
const SLASHED: u16 = 1 << 5 | 1 << 6;
const MAX_EXACT_INTEGER: u64 = 1 << 53;
const MAX_EXACT_DIGITS: usize = 17;

impl Kind {
    pub(super) fn data_type(self) -> DataType {
        match self {
            Kind::Boolean => DataType::Boolean,
            Kind::Int64 => DataType::Int64,
            Kind::Float64 => DataType::Float64,
            Kind::Date(_) => DataType::Date32,
            Kind::Timestamp(unit) => DataType::Timestamp(unit, None),
            Kind::TimestampUtc(unit) => DataType::Timestamp(unit, Some(UTC.into())),
            Kind::Text => DataType::Utf8,
        }
    }

    pub(super) fn accepts(self, value: &[u8]) -> bool {
        match self {
            Kind::Boolean => boolean(value).is_some(),
            Kind::Int64 => int64(value).is_some(),
            Kind::Float64 => float64(value).is_some(),
            Kind::Date(style) => date(value, style).is_some(),
            Kind::Timestamp(unit) => timestamp(value, unit).is_some(),
            Kind::TimestampUtc(unit) => timestamp_utc(value, unit).is_some(),
            Kind::Text => true,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Boolean => "a boolean",
            Kind::Int64 => "an int64",
            Kind::Float64 => "a float64",
            Kind::Date(DateStyle::Iso) => "a date",
            Kind::Date(DateStyle::Dotted) => "a date like 31.12.2026",
            Kind::Date(DateStyle::DayFirst) => "a date like 31/12/2026",
            Kind::Date(DateStyle::MonthFirst) => "a date like 12/31/2026",
            Kind::Timestamp(_) => "a timestamp",
            Kind::TimestampUtc(_) => "a timestamp with an offset",
            Kind::Text => "text",
        })
    }
}

/// The types that every value so far survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    /// Takes one more value into account; empty means null and fits everything. True if fewer types are left.
    pub(super) fn observe(&mut self, value: &[u8]) -> bool {
        if value.is_empty() {
            return false;
        }
        self.seen = true;
        if self.kinds == TEXT {
            return false;
        }
        let before = self.kinds;
        for (bit, kind) in KINDS.iter().enumerate() {
            if self.kinds & (1 << bit) != 0 && !kind.accepts(value) {
                self.kinds &= !(1 << bit);
            }
        }
        self.kinds != before
    }

    /// Nothing but text is left: no further value can change that.
    pub(super) fn is_settled(self) -> bool {
        self.kinds == TEXT
    }

    /// What is left when both must fit.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            kinds: self.kinds & other.kinds,
            seen: self.seen || other.seen,
        }
    }

    /// The most specific type left; a column without values is text, and so is one whose dates could all
    /// be read with either the day or the month first.
    pub(super) fn kind(self) -> Kind {
        if !self.seen || self.is_ambiguous() {
            return Kind::Text;
        }
        KINDS
            .into_iter()
            .enumerate()
            .find(|(bit, _)| self.kinds & (1 << bit) != 0)
            .map_or(Kind::Text, |(_, kind)| kind)
    }

    /// What the values so far are.
    pub(super) fn described(self) -> String {
        match self.is_ambiguous() {
            true => "a date with either the day or the month first".to_owned(),
            false => self.kind().to_string(),
        }
    }

    /// Every value is a date with slashes, and none tells which part is the day.
    pub(super) fn is_ambiguous(self) -> bool {
        self.seen && self.kinds & !TEXT == SLASHED
    }
}

pub(super) fn boolean(value: &[u8]) -> Option<bool> {
    match value {
        b"true" | b"True" | b"TRUE" => Some(true),
        b"false" | b"False" | b"FALSE" => Some(false),
        _ => None,
    }
}

#[inline]
pub(super) fn int64(value: &[u8]) -> Option<i64> {
    let (is_negative, digits) = sign(value);
    let number = plain_integer(digits)?;
    match is_negative {
        // `-0` would come back as `0`.
        true if number == 0 => None,
        true => 0_i64.checked_sub_unsigned(number),
        false => i64::try_from(number).ok(),
    }
}

#[inline]
fn sign(value: &[u8]) -> (bool, &[u8]) {
    match value {
        [b'-', digits @ ..] => (true, digits),
        _ => (false, value),
    }
}

/// Digits without a leading zero, at most 19 of them, which fit.
#[inline]
fn plain_integer(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 || (digits[0] == b'0' && digits.len() > 1) {
        return None;
    }
    digits_value(digits)
}

/// Up to 19 digits.
#[inline]
fn digits_value(digits: &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}

/// The powers of ten that a float64 holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

#[inline]
pub(super) fn float64(value: &[u8]) -> Option<f64> {
    let (is_negative, unsigned) = sign(value);
    let magnitude = match decimal(unsigned) {
        Some(magnitude) => magnitude,
        None => return any_float64(value),
    };
    Some(if is_negative { -magnitude } else { magnitude })
}

/// `digits[.digits]` of at most 15 digits: an exact integer over an exact power of ten is rounded once, as
/// it should be. None: look closer.
#[inline]
fn decimal(unsigned: &[u8]) -> Option<f64> {
    if unsigned.is_empty() || unsigned.len() > 16 {
        return None;
    }
    let mut number = 0_u64;
    let mut point = None;
    for (index, byte) in unsigned.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            number = number * 10 + u64::from(digit);
        } else if *byte == b'.' && point.is_none() {
            point = Some(index);
        } else {
            return None;
        }
    }
    let whole = point.unwrap_or(unsigned.len());
    let fraction = unsigned.len() - whole;
    if (whole > 1 && unsigned[0] == b'0') || fraction == 1 || (point.is_none() && whole > 15) {
        return None;
    }
    Some(number as f64 / POWERS[fraction.saturating_sub(1)])
}

fn any_float64(value: &[u8]) -> Option<f64> {
    match value {
        b"NaN" => return Some(f64::NAN),
        b"inf" => return Some(f64::INFINITY),
        b"-inf" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let value = std::str::from_utf8(value).ok()?;
    let unsigned = value.strip_prefix('-').unwrap_or(value);
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let is_exact = plain_integer(unsigned.as_bytes()).is_some_and(|n| n <= MAX_EXACT_INTEGER);
        return is_exact.then(|| value.parse().ok()).flatten();
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let has_leading_zero = whole.len() > 1 && whole.starts_with('0');
    let well_formed = all_digits(whole)
        && !has_leading_zero
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

/// Days since 1970-01-01.
#[inline]
pub(super) fn date(value: &[u8], style: DateStyle) -> Option<i32> {
    let (separator, year, month, day) = match style {
        DateStyle::Iso => ([4, 7, b'-'], 0, 5, 8),
        DateStyle::Dotted => ([2, 5, b'.'], 6, 3, 0),
        DateStyle::DayFirst => ([2, 5, b'/'], 6, 3, 0),
        DateStyle::MonthFirst => ([2, 5, b'/'], 6, 0, 3),
    };
    let value: &[u8; 10] = value.try_into().ok()?;
    let [first, second, separator] = separator;
    if value[first as usize] != separator || value[second as usize] != separator {
        return None;
    }
    days(
        number(&value[year..year + 4])?,
        number(&value[month..month + 2])?,
        number(&value[day..day + 2])?,
    )
}

/// Days since 1970-01-01 of a day in the proleptic Gregorian calendar, after Howard Hinnant's
/// [`days_from_civil`](https://howardhinnant.github.io/date_algorithms.html).
fn days(year: u32, month: u32, day: u32) -> Option<i32> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(is_leap),
        _ => return None,
    };
    if day == 0 || day > length {
        return None;
    }
    // Years begin in March, so that the leap day is the last; four centuries are added, so that none is negative.
    let year = year + 400 - u32::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some((era * 146_097 + day_of_era) as i32 - 719_468 - 146_097)
}

/// A date, or a date and time without an offset, since 1970-01-01T00:00:00.
pub(super) fn timestamp(value: &[u8], unit: TimeUnit) -> Option<i64> {
    if let Some(date) = date(value, DateStyle::Iso) {
        return Instant::at_midnight(date).in_unit(unit);
    }
    let (time, rest) = date_time(value)?;
    if rest.is_empty() {
        time.in_unit(unit)
    } else {
        None
    }
}

/// A date and time with `Z` or `+HH:MM`, since 1970-01-01T00:00:00Z.
pub(super) fn timestamp_utc(value: &[u8], unit: TimeUnit) -> Option<i64> {
    let (mut time, rest) = date_time(value)?;
    time.seconds -= offset_seconds(rest)?;
    time.in_unit(unit)
}

struct Instant {
    seconds: i64,
    nanos: u32,
    fraction_digits: usize,
}

impl Instant {
    fn at_midnight(days: i32) -> Self {
        Self {
            seconds: i64::from(days) * 86_400,
            nanos: 0,
            fraction_digits: 0,
        }
    }

    fn in_unit(self, unit: TimeUnit) -> Option<i64> {
        match unit {
            TimeUnit::Nanosecond => {
                let nanos = i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos);
                i64::try_from(nanos).ok()
            }
            _ if self.fraction_digits > 6 => None,
            _ => Some(self.seconds * 1_000_000 + i64::from(self.nanos / 1000)),
        }
    }
}

/// The time, and what follows it.
fn date_time(value: &[u8]) -> Option<(Instant, &[u8])> {
    if value.len() < 19
        || !matches!(value[10], b'T' | b' ')
        || value[13] != b':'
        || value[16] != b':'
    {
        return None;
    }
    let mut time = Instant::at_midnight(date(&value[..10], DateStyle::Iso)?);
    let (hours, minutes, seconds) = (
        number(&value[11..13])?,
        number(&value[14..16])?,
        number(&value[17..19])?,
    );
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    time.seconds += i64::from(hours * 3600 + minutes * 60 + seconds);
    let Some(tail) = value[19..].strip_prefix(b".") else {
        return Some((time, &value[19..]));
    };
    let length = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 || length > 9 {
        return None;
    }
    time.nanos = number(&tail[..length])? * 10_u32.pow(9 - length as u32);
    time.fraction_digits = length;
    Some((time, &tail[length..]))
}

fn offset_seconds(text: &[u8]) -> Option<i64> {
    if text == b"Z" {
        return Some(0);
    }
    let sign = match text.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    if text.len() != 6 || text[3] != b':' {
        return None;
    }
    let (hours, minutes) = (number(&text[1..3])?, number(&text[4..])?);
    (hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}

/// Up to nine digits.
#[inline]
fn number(digits: &[u8]) -> Option<u32> {
    digits_value(digits).and_then(|number| u32::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(values: &[&str]) -> Kind {
        let mut candidates = Candidates::new();
        for value in values {
            candidates.observe(value.as_bytes());
        }
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
            (&["2024-02-29", "0001-01-01"], Kind::Date(DateStyle::Iso)),
            (
                &["29.02.2024", "", "01.01.2025"],
                Kind::Date(DateStyle::Dotted),
            ),
            (
                &["03/04/2024", "29/02/2024"],
                Kind::Date(DateStyle::DayFirst),
            ),
            (
                &["03/04/2024", "02/29/2024"],
                Kind::Date(DateStyle::MonthFirst),
            ),
            (&["03/04/2024", "05/06/2024"], Kind::Text),
            (&["29/02/2024", "02/29/2024"], Kind::Text),
            (&["29.02.2024", "2024-02-29"], Kind::Text),
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
            timestamp_utc(b"1970-01-01T02:00:00+02:00", Microsecond),
            Some(0)
        );
    }

    #[test]
    fn every_day_is_where_chrono_has_it() {
        use chrono::{Datelike, NaiveDate};
        let mut day = NaiveDate::from_ymd_opt(0, 1, 1).unwrap();
        while day.year() < 10_000 {
            let (year, month, of_month) = (day.year() as u32, day.month(), day.day());
            assert_eq!(
                days(year, month, of_month),
                Some(day.to_epoch_days()),
                "{day}"
            );
            day += chrono::TimeDelta::days(1);
        }
        assert_eq!(days(2023, 2, 29), None);
        assert_eq!(days(2023, 4, 31), None);
        assert_eq!(days(2023, 13, 1), None);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]

        /// The fast way of a decimal number gives the same bits as the standard library.
        #[test]
        fn decimals_round_as_they_should(text in "-?(0|[1-9][0-9]{0,9})?(\\.[0-9]{1,9})?") {
            if let Some(fast) = float64(text.as_bytes()) {
                proptest::prop_assert_eq!(fast.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{}", text);
            }
        }
    }
}
