//! Calendar dates in the forms people write them, read into comparable parts.
//!
//! [`Date`] keeps year, month and day as written even when the day does not exist (damaged data), so that a comparison
//! can still see which parts agree. Numeric dates are read year-month-day, or day-month-year with the caller's order.

/// A date as read; parts are plausible, not validated against the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: u16,
    pub(crate) month: u8,
    pub(crate) day: u8,
}

/// Reads a date; `month_first` decides `03/04/2005`. `None` when the text is not a date.
pub(crate) fn parse(text: &str, month_first: bool) -> Option<Date> {
    let text = text.trim();
    if text.len() > 40 || !text.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let text = text
        .split(['T'])
        .next()
        .filter(|head| head.len() >= 8)
        .unwrap_or(text);
    if text.bytes().any(|b| b.is_ascii_alphabetic()) {
        parse_named(text)
    } else {
        parse_numeric(text, month_first)
    }
}

/// Whether a numeric date can only be day first (`Some(false)`), only month first (`Some(true)`) or neither.
pub(crate) fn order(text: &str) -> Option<bool> {
    let parts = numbers(text)?;
    let [first, second, third] = parts;
    match (first.0, second.0, third.1) {
        (13..=31, 1..=12, 4) => Some(false),
        (1..=12, 13..=31, 4) => Some(true),
        _ => None,
    }
}

fn parse_numeric(text: &str, month_first: bool) -> Option<Date> {
    if text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit()) {
        let number: u32 = text.parse().ok()?;
        return plausible(number / 10_000, number / 100 % 100, number % 100);
    }
    let [first, second, third] = numbers(text.split(' ').next().unwrap_or(text))?;
    if first.1 == 4 {
        return plausible(first.0, second.0, third.0);
    }
    let year = expand_year(third)?;
    let (day, month) = if month_first {
        (second.0, first.0)
    } else {
        (first.0, second.0)
    };
    plausible(year, month, day).or_else(|| plausible(year, day, month))
}

/// Exactly three runs of digits split by one of `-/.`; each with its length.
fn numbers(text: &str) -> Option<[(u32, usize); 3]> {
    let mut parts = text.split(['-', '/', '.']);
    let mut next = || -> Option<(u32, usize)> {
        let part = parts.next()?.trim();
        let digits =
            !part.is_empty() && part.len() <= 4 && part.bytes().all(|b| b.is_ascii_digit());
        Some((digits.then(|| part.parse().ok())??, part.len()))
    };
    let found = [next()?, next()?, next()?];
    parts.next().is_none().then_some(found)
}

fn parse_named(text: &str) -> Option<Date> {
    let mut month = None;
    let mut values: [(u32, usize); 2] = [(0, 0); 2];
    let mut count = 0;
    for part in text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty())
    {
        if part.bytes().all(|b| b.is_ascii_digit()) {
            if count == 2 || part.len() > 4 {
                return None;
            }
            values[count] = (part.parse().ok()?, part.len());
            count += 1;
        } else if month.is_none() {
            month = Some(month_number(part)?);
        } else {
            return None;
        }
    }
    let month = month.filter(|_| count == 2)?;
    let (day, year) = if values[0].1 == 4 {
        (values[1], values[0])
    } else {
        (values[0], values[1])
    };
    plausible(expand_year(year)?, month, day.0)
}

fn month_number(word: &str) -> Option<u32> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let word = word.to_ascii_lowercase();
    let found = MONTHS
        .iter()
        .position(|month| word.len() >= 3 && month.starts_with(&word))?;
    Some(found as u32 + 1)
}

fn expand_year(year: (u32, usize)) -> Option<u32> {
    match year {
        (value, 4) => Some(value),
        (value, 2) if value <= 30 => Some(2000 + value),
        (value, 2) => Some(1900 + value),
        _ => None,
    }
}

fn plausible(year: u32, month: u32, day: u32) -> Option<Date> {
    let fits =
        (1700..=2200).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    fits.then_some(Date {
        year: year as u16,
        month: month as u8,
        day: day as u8,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(year: u16, month: u8, day: u8) -> Option<Date> {
        Some(Date { year, month, day })
    }

    #[test]
    fn common_forms_agree() {
        for text in [
            "1987-03-09",
            "19870309",
            "09/03/1987",
            "9.3.1987",
            "March 9 , 1987",
            "9-Mar-87",
            "1987-03-09T00:00:00",
        ] {
            assert_eq!(parse(text, false), date(1987, 3, 9), "{text}");
        }
        assert_eq!(parse("03/09/1987", true), date(1987, 3, 9));
        assert_eq!(parse("12/25/1987", false), date(1987, 12, 25));
    }

    #[test]
    fn other_numbers_are_not_dates() {
        for text in [
            "",
            "1987",
            "8123456789",
            "310-246-1501",
            "99999999",
            "3:01",
            "Album 2",
            "12 Main St 1",
        ] {
            assert_eq!(parse(text, false), None, "{text}");
        }
    }

    #[test]
    fn only_a_large_day_tells_the_order() {
        assert_eq!(order("25/12/1987"), Some(false));
        assert_eq!(order("12/25/1987"), Some(true));
        assert_eq!(order("03/04/1987"), None);
    }
}
