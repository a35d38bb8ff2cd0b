//! [`CronExpression`]: the times of a schedule, in the words of AWS.
//!
//! ```text
//! cron(minutes hours day-of-month month day-of-week year)      in UTC
//!      0-59    0-23  1-31 ? L W   1-12  1-7 ? L #   1970-2199
//!                                 JAN.. SUN..
//! ```
//!
//! Every field takes `*`, numbers, ranges `a-b`, steps `*/n`, `a/n`, `a-b/n`, and lists of these. Weeks begin with Sunday,
//! which is 1. Of the two fields that name days exactly one is `?`. `L` is the last day of the month, as a day of the week
//! Saturday; `5L` the last Thursday of the month, `2#1` its first Monday; `15W` the weekday that is nearest to the 15th in the
//! same month, `LW` the last weekday.
//!
//! <https://docs.aws.amazon.com/glue/latest/dg/monitor-data-warehouse-schedule.html>

use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::model::Timestamp;

const MINUTE_MILLIS: i64 = 60_000;
const MINUTES_OF_DAY: i64 = 24 * 60;

/// Characters of an expression, at most.
const MAX_CHARS: usize = 256;

const FIRST_YEAR: u16 = 1970;
const LAST_YEAR: u16 = 2199;

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// When a schedule is due: minutes in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronExpression {
    minutes: Numbers,
    hours: Numbers,
    days: Vec<Day>,
    months: Numbers,
    years: Numbers,
}

/// Numbers of a field; bit `n` stands for its least plus `n`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Numbers {
    least: u16,
    bits: [u64; 4],
}

/// Days of a month; a schedule is due on every one of its list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Day {
    OfMonth(Numbers),
    Last,
    LastWeekday,
    NearestWeekday(u16),
    /// 1 is Sunday.
    OfWeek(Numbers),
    LastOfWeek(u16),
    NthOfWeek(u16, u16),
}

/// A date of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Date {
    year: u16,
    month: u16,
    day: u16,
}

impl CronExpression {
    /// The first time after `after` that is due, to the minute; `None` when there is none up to the end of 2199.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let first = after.unix_millis().div_euclid(MINUTE_MILLIS).max(-1) + 1;
        let (mut day, mut from) = (
            first.div_euclid(MINUTES_OF_DAY),
            first.rem_euclid(MINUTES_OF_DAY),
        );
        loop {
            let date = Date::of(day)?;
            if !self.years.has(date.year) {
                day = date.first_of_next_year();
            } else if !self.months.has(date.month) {
                day = date.first_of_next_month();
            } else {
                if self.days.iter().any(|days| days.has(date))
                    && let Some(minute) = self.minute_of_day(from)
                {
                    let minutes = day * MINUTES_OF_DAY + minute;
                    return Some(Timestamp::from_unix_millis(minutes * MINUTE_MILLIS));
                }
                day += 1;
            }
            from = 0;
        }
    }

    /// The first minute of a day that is due, not before `from`.
    fn minute_of_day(&self, from: i64) -> Option<i64> {
        let is_due = |minute: &i64| {
            let (hour, minute) = ((minute / 60) as u16, (minute % 60) as u16);
            self.hours.has(hour) && self.minutes.has(minute)
        };
        (from..MINUTES_OF_DAY).find(is_due)
    }
}

impl FromStr for CronExpression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).map_err(|reason| {
            let shown: String = text.chars().take(MAX_CHARS).collect();
            Error::invalid(format!(
                "{shown:?} is no schedule: {reason}; write cron(minutes hours day-of-month month day-of-week year), such \
                 as cron(0 12 * * ? *)"
            ))
        })
    }
}

fn parse(text: &str) -> Result<CronExpression, String> {
    if text.len() > MAX_CHARS {
        return Err(format!("it has more than {MAX_CHARS} bytes"));
    }
    let inner = text
        .strip_prefix("cron(")
        .and_then(|rest| rest.strip_suffix(')'))
        .ok_or("it is not in cron(...)")?;
    let fields: Vec<&str> = inner.split_ascii_whitespace().collect();
    let [minutes, hours, of_month, months, of_week, years] = fields[..] else {
        return Err(format!("it has {} fields, not 6", fields.len()));
    };
    let days = match (of_month, of_week) {
        ("?", "?") => return Err("one of the two fields that name days must name some".to_owned()),
        ("?", of_week) => days_of_week(of_week)?,
        (of_month, "?") => days_of_month(of_month)?,
        _ => return Err("one of the two fields that name days must be ?".to_owned()),
    };
    Ok(CronExpression {
        minutes: numbers("minutes", minutes, 0..=59, &[])?,
        hours: numbers("hours", hours, 0..=23, &[])?,
        days,
        months: numbers("months", months, 1..=12, &MONTHS)?,
        years: numbers("years", years, FIRST_YEAR..=LAST_YEAR, &[])?,
    })
}

fn days_of_month(text: &str) -> Result<Vec<Day>, String> {
    text.split(',').map(day_of_month).collect()
}

fn day_of_month(text: &str) -> Result<Day, String> {
    const DAYS: RangeInclusive<u16> = 1..=31;
    Ok(match text {
        "L" => Day::Last,
        "LW" => Day::LastWeekday,
        _ => match text.strip_suffix('W') {
            Some(day) => Day::NearestWeekday(number("days of the month", day, &DAYS, &[])?),
            None => Day::OfMonth(numbers("days of the month", text, DAYS, &[])?),
        },
    })
}

fn days_of_week(text: &str) -> Result<Vec<Day>, String> {
    text.split(',').map(day_of_week).collect()
}

fn day_of_week(text: &str) -> Result<Day, String> {
    const DAYS: RangeInclusive<u16> = 1..=7;
    let day = |text: &str| number("days of the week", text, &DAYS, &WEEKDAYS);
    if text == "L" {
        return Ok(Day::OfWeek(Numbers::only(7, DAYS)));
    }
    if let Some(weekday) = text.strip_suffix('L') {
        return Ok(Day::LastOfWeek(day(weekday)?));
    }
    if let Some((weekday, nth)) = text.split_once('#') {
        let nth = number("weeks of the month", nth, &(1..=5), &[])?;
        return Ok(Day::NthOfWeek(day(weekday)?, nth));
    }
    Ok(Day::OfWeek(numbers(
        "days of the week",
        text,
        DAYS,
        &WEEKDAYS,
    )?))
}

/// A field that is a list of numbers, ranges and steps; `names` stand for the numbers from the least on.
fn numbers(
    what: &str,
    text: &str,
    allowed: RangeInclusive<u16>,
    names: &[&str],
) -> Result<Numbers, String> {
    let mut numbers = Numbers::none(*allowed.start());
    for item in text.split(',') {
        let (range, step) = match item.split_once('/') {
            None => (item, None),
            Some((range, step)) => {
                let most = allowed.end() - allowed.start();
                (range, Some(number(what, step, &(1..=most), &[])?))
            }
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (*allowed.start(), *allowed.end()),
            Some((from, to)) => (
                number(what, from, &allowed, names)?,
                number(what, to, &allowed, names)?,
            ),
            None => {
                let from = number(what, range, &allowed, names)?;
                (from, if step.is_some() { *allowed.end() } else { from })
            }
        };
        if from > to {
            return Err(format!("the {what} {range} end before they begin"));
        }
        for number in (from..=to).step_by(step.unwrap_or(1).into()) {
            numbers.add(number);
        }
    }
    Ok(numbers)
}

fn number(
    what: &str,
    text: &str,
    allowed: &RangeInclusive<u16>,
    names: &[&str],
) -> Result<u16, String> {
    let named = names
        .iter()
        .position(|name| name.eq_ignore_ascii_case(text));
    let found = match named {
        Some(at) => u16::try_from(at).ok().map(|at| at + allowed.start()),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        None => None,
    };
    found
        .filter(|found| allowed.contains(found))
        .ok_or_else(|| {
            let (least, most) = (allowed.start(), allowed.end());
            format!("{text:?} is none of the {what} {least} to {most}")
        })
}

impl Numbers {
    const fn none(least: u16) -> Self {
        Self {
            least,
            bits: [0; 4],
        }
    }

    fn only(number: u16, allowed: RangeInclusive<u16>) -> Self {
        let mut numbers = Self::none(*allowed.start());
        numbers.add(number);
        numbers
    }

    fn add(&mut self, number: u16) {
        let bit = usize::from(number - self.least);
        self.bits[bit / 64] |= 1 << (bit % 64);
    }

    fn has(&self, number: u16) -> bool {
        let bit = usize::from(number.wrapping_sub(self.least));
        self.bits
            .get(bit / 64)
            .is_some_and(|bits| bits >> (bit % 64) & 1 == 1)
    }
}

impl Day {
    fn has(&self, date: Date) -> bool {
        match self {
            Self::OfMonth(days) => days.has(date.day),
            Self::Last => date.day == date.days_of_month(),
            Self::LastWeekday => date.day == date.nearest_weekday(date.days_of_month()),
            Self::NearestWeekday(day) => {
                *day <= date.days_of_month() && date.day == date.nearest_weekday(*day)
            }
            Self::OfWeek(days) => days.has(date.weekday()),
            Self::LastOfWeek(weekday) => {
                date.weekday() == *weekday && date.day + 7 > date.days_of_month()
            }
            Self::NthOfWeek(weekday, nth) => {
                date.weekday() == *weekday && date.day.div_ceil(7) == *nth
            }
        }
    }
}

/// Days from 1970-01-01 and dates: <https://howardhinnant.github.io/date_algorithms.html>
impl Date {
    /// The date so many days after 1970-01-01; `None` after the last year of schedules.
    fn of(days: i64) -> Option<Self> {
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = (month_from_march + 2) % 12 + 1;
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        Some(Self {
            year: u16::try_from(year).ok().filter(|year| *year <= LAST_YEAR)?,
            month: u16::try_from(month).ok()?,
            day: u16::try_from(day_of_year - (153 * month_from_march + 2) / 5 + 1).ok()?,
        })
    }

    /// Days after 1970-01-01.
    fn days(self) -> i64 {
        let (year, month, day) = (
            i64::from(self.year) - i64::from(self.month <= 2),
            i64::from(self.month),
            i64::from(self.day),
        );
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    fn first_of_next_year(self) -> i64 {
        let (year, month, day) = (self.year + 1, 1, 1);
        Self { year, month, day }.days()
    }

    fn first_of_next_month(self) -> i64 {
        Self { day: 1, ..self }.days() + i64::from(self.days_of_month())
    }

    const fn days_of_month(self) -> u16 {
        let leap = self.year.is_multiple_of(4)
            && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        match self.month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    /// 1 is Sunday.
    fn weekday(self) -> u16 {
        // 1970-01-01 was a Thursday.
        (self.days() + 4).rem_euclid(7) as u16 + 1
    }

    /// The day of this month from Monday to Friday that is nearest to `day`.
    fn nearest_weekday(self, day: u16) -> u16 {
        match (Self { day, ..self }.weekday(), day) {
            (7, 1) => 3,
            (7, _) => day - 1,
            (1, _) if day == self.days_of_month() => day - 2,
            (1, _) => day + 1,
            _ => day,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(year: u16, month: u16, day: u16, hour: i64, minute: i64) -> Timestamp {
        let minutes = Date { year, month, day }.days() * MINUTES_OF_DAY + hour * 60 + minute;
        Timestamp::from_unix_millis(minutes * MINUTE_MILLIS)
    }

    fn next(text: &str, after: Timestamp) -> Option<Timestamp> {
        text.parse::<CronExpression>().unwrap().next_after(after)
    }

    #[test]
    fn times_are_those_of_the_documentation() {
        // Friday.
        let after = at(2026, 11, 27, 10, 30);
        let cases = [
            ("cron(15 12 * * ? *)", at(2026, 11, 27, 12, 15)),
            ("cron(0 10 * * ? *)", at(2026, 11, 28, 10, 0)),
            ("cron(0 18 ? * MON-FRI *)", at(2026, 11, 27, 18, 0)),
            ("cron(0 8 1 * ? *)", at(2026, 12, 1, 8, 0)),
            ("cron(0/15 * * * ? *)", at(2026, 11, 27, 10, 45)),
            ("cron(*/10 * ? * mon-fri *)", at(2026, 11, 27, 10, 40)),
            ("cron(0/5 8-17 ? * MON-FRI *)", at(2026, 11, 27, 10, 35)),
            ("cron(0 0 L * ? *)", at(2026, 11, 30, 0, 0)),
            ("cron(0 0 ? * L *)", at(2026, 11, 28, 0, 0)),
            ("cron(0 9 ? * 2#1 *)", at(2026, 12, 7, 9, 0)),
            ("cron(0 9 ? * 5L *)", at(2026, 12, 31, 9, 0)),
            // 2026-11-28 is a Saturday, 2027-05-01 too.
            ("cron(0 12 28W * ? *)", at(2026, 11, 27, 12, 0)),
            ("cron(0 12 1W MAY ? *)", at(2027, 5, 3, 12, 0)),
            // 2027-01-31 is a Sunday.
            ("cron(0 12 LW 1 ? *)", at(2027, 1, 29, 12, 0)),
            ("cron(0 0 29 FEB ? *)", at(2028, 2, 29, 0, 0)),
            (
                "cron(30 10,11 27,28 * ? 2026-2030/2)",
                at(2026, 11, 27, 11, 30),
            ),
            ("cron(59 23 31 12 ? 2199)", at(2199, 12, 31, 23, 59)),
        ];
        for (text, expected) in cases {
            assert_eq!(next(text, after), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_over_is_never_due() {
        let after = at(2026, 11, 27, 10, 30);
        assert_eq!(next("cron(0 0 1 1 ? 2026)", after), None);
        assert_eq!(next("cron(0 0 31 2 ? *)", after), None);
        assert_eq!(next("cron(* * * * ? *)", at(2199, 12, 31, 23, 59)), None);
        // After, not at.
        assert_eq!(
            next("cron(30 10 * * ? *)", after),
            Some(at(2026, 11, 28, 10, 30))
        );
        assert_eq!(
            next("cron(* * * * ? *)", Timestamp::from_unix_millis(-7)),
            Some(Timestamp::from_unix_millis(0))
        );
    }

    #[test]
    fn what_is_no_schedule_is_told_why() {
        let said = |text: &str| parse(text).unwrap_err();
        assert_eq!(said("0 12 * * ? *"), "it is not in cron(...)");
        assert_eq!(said("rate(5 minutes)"), "it is not in cron(...)");
        assert_eq!(said("cron(0 12 * * ?)"), "it has 5 fields, not 6");
        assert_eq!(
            said("cron(0 12 * * * *)"),
            "one of the two fields that name days must be ?"
        );
        assert_eq!(
            said("cron(0 12 ? * ? *)"),
            "one of the two fields that name days must name some"
        );
        assert_eq!(
            said("cron(60 12 * * ? *)"),
            "\"60\" is none of the minutes 0 to 59"
        );
        assert_eq!(
            said("cron(+1 12 * * ? *)"),
            "\"+1\" is none of the minutes 0 to 59"
        );
        assert_eq!(
            said("cron(5-1 12 * * ? *)"),
            "the minutes 5-1 end before they begin"
        );
        assert_eq!(
            said("cron(*/0 12 * * ? *)"),
            "\"0\" is none of the minutes 1 to 59"
        );
        for text in [
            "cron(0 12 ? * 8 *)",
            "cron(0 12 ? * 2#6 *)",
            "cron(0 12 0W * ? *)",
            "cron(0 12 * FOO ? *)",
            "cron(0 12 * * ? 1969)",
            "cron(, 12 * * ? *)",
            "cron(0- 12 * * ? *)",
            "cron(0 12 1, * ? *)",
        ] {
            assert!(said(text).contains(" is none of the "), "{text}");
        }
        let error = "daily".parse::<CronExpression>().unwrap_err().to_string();
        assert!(error.starts_with("\"daily\" is no schedule: it is not in cron(...); write cron("));
    }

    #[test]
    fn days_and_dates_are_one_to_one() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..84_006 {
            let date = Date { year, month, day };
            assert_eq!(Date::of(days), Some(date));
            assert_eq!(date.days(), days);
            day += 1;
            if day > date.days_of_month() {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
        assert_eq!((year, month, day), (2200, 1, 1));
    }

    /// A field of numbers.
    fn field(least: u16, most: u16) -> impl Strategy<Value = String> {
        prop_oneof![
            Just("*".to_owned()),
            (least..=most).prop_map(|n| n.to_string()),
            (least..=most, 1..=most - least).prop_map(|(n, step)| format!("{n}/{step}")),
            (least..=most, least..=most).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
            (least..=most, least..=most).prop_map(|(a, b)| format!("{a},{b}")),
        ]
    }

    fn expression() -> impl Strategy<Value = String> {
        let of_month = prop_oneof![
            field(1, 31),
            Just("L".to_owned()),
            Just("LW".to_owned()),
            (1..=31u16).prop_map(|day| format!("{day}W"))
        ];
        let of_week = prop_oneof![
            field(1, 7),
            Just("L".to_owned()),
            (1..=7u16).prop_map(|day| format!("{day}L")),
            (1..=7u16, 1..=5u16).prop_map(|(day, nth)| format!("{day}#{nth}"))
        ];
        let days = prop_oneof![
            of_month.prop_map(|days| (days, "?".to_owned())),
            of_week.prop_map(|days| ("?".to_owned(), days))
        ];
        (field(0, 59), field(0, 23), days, field(1, 12)).prop_map(
            |(minutes, hours, (of_month, of_week), months)| {
                format!("cron({minutes} {hours} {of_month} {months} {of_week} *)")
            },
        )
    }

    /// Whether a minute is due, asked of each field by itself.
    fn is_due(cron: &CronExpression, minute: i64) -> bool {
        let date = Date::of(minute / MINUTES_OF_DAY).unwrap();
        let of_day = (minute % MINUTES_OF_DAY) as u16;
        cron.minutes.has(of_day % 60)
            && cron.hours.has(of_day / 60)
            && cron.months.has(date.month)
            && cron.days.iter().any(|days| days.has(date))
    }

    proptest! {
        #[test]
        fn nothing_between_two_times_is_due(text in expression(), start in 0i64..50_000_000) {
            let cron: CronExpression = text.parse().unwrap();
            let start_at = Timestamp::from_unix_millis(start * MINUTE_MILLIS);
            let most = start + 40 * MINUTES_OF_DAY;
            let expected = (start + 1..=most).find(|minute| is_due(&cron, *minute));
            let found = cron.next_after(start_at).map(|next| next.unix_millis() / MINUTE_MILLIS);
            match expected {
                Some(_) => prop_assert_eq!(found, expected),
                None => prop_assert!(found.is_none_or(|found| found > most && is_due(&cron, found))),
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,40}", fields in proptest::collection::vec("[0-9*/,LW#?A-Z-]{0,6}", 6)) {
            let _ = parse(&text);
            if let Ok(cron) = parse(&format!("cron({})", fields.join(" "))) {
                let _ = cron.next_after(Timestamp::from_unix_millis(0));
            }
        }
    }
}
