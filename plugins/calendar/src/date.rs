//! Days since 1970 to dates and back, in whole numbers.
//!
//! Years are counted from March, so that the leap day ends them: month lengths from there on are those of
//! `(153 m + 2) / 5` (H. Hinnant, <https://howardhinnant.github.io/date_algorithms.html>).

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;
/// Days in 400 years.
const ERA: i64 = 146_097;

/// One day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Day {
    pub(crate) year: i32,
    pub(crate) month: i32,
    pub(crate) day: i32,
    pub(crate) iso_year: i32,
    pub(crate) iso_week: i32,
    /// 1 is Monday.
    pub(crate) weekday: i32,
}

impl Day {
    /// The day so many days after 1970-01-01.
    pub(crate) fn of(days: i32) -> Self {
        let (year, month, day) = civil(i64::from(days));
        let weekday = (i64::from(days) + 3).rem_euclid(7) + 1;
        // A week belongs to the year of its Thursday, and its number is that Thursday's.
        let thursday = i64::from(days) - weekday + 4;
        let (iso_year, _, _) = civil(thursday);
        let iso_week = (thursday - days_of(iso_year, 1, 1)) / 7 + 1;
        Self {
            year: year as i32,
            month: month as i32,
            day: day as i32,
            iso_year: iso_year as i32,
            iso_week: iso_week as i32,
            weekday: weekday as i32,
        }
    }

    pub(crate) fn month_name(&self) -> &'static str {
        const NAMES: [&str; 12] = [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ];
        NAMES[(self.month - 1) as usize]
    }
}

/// Year, month and day.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH;
    let (era, of_era) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since 1970-01-01.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH
}

/// `2026-01-31`, a day that there is.
pub(crate) fn parse(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_i64, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + i64::from(digit - b'0'))
        })
    };
    let (year, month, day) = (
        number(&bytes[..4])?,
        number(&bytes[5..7])?,
        number(&bytes[8..])?,
    );
    if !(1..=12).contains(&month) {
        return None;
    }
    let days = days_of(year, month, day);
    // The 30th of February comes back as another day.
    (civil(days) == (year, month, day))
        .then(|| i32::try_from(days).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_go_there_and_back_without_a_gap() {
        let mut before = Day::of(-800_000);
        for days in -799_999..800_000 {
            let day = Day::of(days);
            let (year, month) = (i64::from(day.year), i64::from(day.month));
            assert_eq!(days_of(year, month, i64::from(day.day)), i64::from(days));
            assert_eq!(day.weekday, before.weekday % 7 + 1);
            let is_next = day.day == before.day + 1 || day.day == 1;
            assert!(
                is_next && (1..=53).contains(&day.iso_week),
                "{day:?} after {before:?}"
            );
            before = day;
        }
    }

    /// Examples of the standard, and the ends of what there is.
    #[test]
    fn weeks_are_those_of_iso_8601() {
        let week = |text: &str| {
            let day = Day::of(parse(text).unwrap());
            (day.iso_year, day.iso_week, day.weekday)
        };
        assert_eq!(week("1970-01-01"), (1970, 1, 4));
        assert_eq!(week("2005-01-01"), (2004, 53, 6));
        assert_eq!(week("2008-12-29"), (2009, 1, 1));
        assert_eq!(week("2010-01-03"), (2009, 53, 7));
        assert_eq!(week("2026-11-24"), (2026, 48, 2));
        assert_eq!(
            (Day::of(i32::MAX).year, Day::of(i32::MIN).year),
            (5_881_580, -5_877_641)
        );
    }

    #[test]
    fn only_days_that_there_are_can_be_written() {
        assert_eq!(parse("1970-01-01"), Some(0));
        assert_eq!(parse("2024-02-29"), Some(19_782));
        for wrong in [
            "2023-02-29",
            "2024-13-01",
            "2024-00-10",
            "2024-01-00",
            "2024-1-01",
            "20240101",
            "2024-01-0a",
            "",
            "2024-04-31",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
