//! Where equal values of a key lie in the order of texts.
//!
//! Numbers and dates can be written in several ways, and partitions are stored as they were written. All spellings of
//! one value are a few texts and a few ranges of texts that hold little else:
//!
//! ```text
//! 2015         "2015", what begins below "1" (blanks, signs, zeros), "2015" with blanks behind
//! 2020-02-03   "2020-02-03", "2020-2-3", ..., what begins with a blank, each of them with blanks behind
//! ```

use crate::expression::{Kind, Value, kind};
use crate::model::Column;

/// The texts a value can be written as.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spellings {
    /// These texts exactly.
    pub(super) exact: Vec<String>,
    /// Maybe some texts from the first on and before the second.
    pub(super) ranges: Vec<(String, String)>,
}

/// The spellings of a value of `column`; `None` when they are all over the place.
pub(super) fn spellings(column: &Column, value: &Value) -> Option<Spellings> {
    match (kind(column)?, value) {
        (Kind::Text, Value::Text(text)) => Some(Spellings {
            exact: vec![text.clone()],
            ranges: Vec::new(),
        }),
        (Kind::Integer, Value::Integer(number)) => {
            let exact = Some(number.to_string()).filter(|_| *number > 0);
            Some(with_blanks(exact.into_iter().collect(), "1"))
        }
        (Kind::Date, Value::Text(date)) => dates(date),
        _ => None,
    }
}

/// Years before 1000 could have fewer digits.
fn dates(date: &str) -> Option<Spellings> {
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if year.starts_with('0') {
        return None;
    }
    let mut exact = Vec::new();
    for month in [month, month.trim_start_matches('0')] {
        for day in [day, day.trim_start_matches('0')] {
            exact.push(format!("{year}-{month}-{day}"));
        }
    }
    exact.sort();
    exact.dedup();
    Some(with_blanks(exact, "!"))
}

/// Blanks are the characters up to the space. What is written in front of a value sorts before `first`.
fn with_blanks(exact: Vec<String>, first: &str) -> Spellings {
    let behind = exact
        .iter()
        .map(|text| (format!("{text}\0"), format!("{text}!")));
    let front = (String::new(), first.to_owned());
    Spellings {
        ranges: [front].into_iter().chain(behind).collect(),
        exact,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::expression::value;

    fn covers(r#type: &str, wanted: &str, written: &str) -> Option<bool> {
        let column = Column {
            r#type: Some(r#type.to_owned()),
            ..Default::default()
        };
        let (wanted, found) = (value(&column, wanted)?, value(&column, written)?);
        if wanted != found {
            return None;
        }
        let spellings = spellings(&column, &wanted)?;
        let written = written.to_owned();
        let in_range = |(from, until): &(String, String)| *from <= written && written < *until;
        Some(spellings.exact.contains(&written) || spellings.ranges.iter().any(in_range))
    }

    #[test]
    fn every_spelling_is_covered() {
        for (r#type, wanted, written) in [
            ("int", "7", "7"),
            ("int", "7", "+7"),
            ("int", "7", "007"),
            ("int", "7", " 7"),
            ("int", "7", "7\t"),
            ("int", "0", "-0"),
            ("bigint", "-12", "-0012 "),
            ("date", "2020-02-03", "2020-2-03"),
            ("date", "2020-2-3", " 2020-02-3 "),
            ("string", " a", " a"),
        ] {
            assert_eq!(covers(r#type, wanted, written), Some(true), "{written:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_spelling_is_missed(number in -20..20_i64, written in "[ \t]{0,1}[-+]{0,1}0{0,2}[0-9]{1,2}[ \n]{0,1}") {
            let trimmed = written.trim();
            if let Ok(same) = trimmed.parse::<i64>() {
                prop_assert_eq!(covers("int", &same.to_string(), &written), Some(true));
            }
            prop_assert!(covers("int", &number.to_string(), &written) != Some(false));
        }
    }
}
