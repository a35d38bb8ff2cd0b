//! What a column holds, told from its values alone.
//!
//! [`detect`] looks at a sample of non-null values and names the [`Kind`]; the kind decides normal form, comparison and
//! blocking. Column names are not used: they come in every language.

use crate::date;
use crate::normalise;
use serde::{Deserialize, Serialize};

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// One or two words: a person's name, a city.
    Name,
    /// Several words: titles, addresses, lists of authors, descriptions.
    Text,
    /// Identifiers, phone numbers, postcodes, years: compared letter by letter.
    Code,
    /// Calendar dates.
    Date,
    /// Mail addresses.
    Mail,
    /// Measured quantities: prices, sizes, percentages.
    Number,
}

impl Kind {
    /// In a word or two, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Text => "text",
            Self::Code => "code",
            Self::Date => "date",
            Self::Mail => "mail address",
            Self::Number => "number",
        }
    }
}

/// A kind and how to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    /// Numeric dates are written month first.
    pub(crate) month_first: bool,
    /// Codes without letters: anything but digits is decoration.
    pub(crate) digits: bool,
}

/// Names the kind of a column from sampled non-null values.
pub(crate) fn detect<'a>(values: impl Iterator<Item = &'a str>) -> Shape {
    let mut tally = Tally::default();
    for value in values {
        tally.add(value);
    }
    tally.shape()
}

#[derive(Default)]
struct Tally {
    values: f64,
    dates: f64,
    day_first: f64,
    month_first: f64,
    mails: f64,
    decimals: f64,
    units: f64,
    with_digits: f64,
    short_letters: f64,
    letters: f64,
    tokens: f64,
    folded: String,
}

impl Tally {
    fn add(&mut self, value: &str) {
        let mut folded = std::mem::take(&mut self.folded);
        normalise::fold(value, &mut folded);
        if !folded.is_empty() {
            self.add_folded(value, &folded);
        }
        self.folded = folded;
    }

    fn add_folded(&mut self, value: &str, folded: &str) {
        self.values += 1.0;
        self.tokens += folded.split(' ').count() as f64;
        let digits = folded.bytes().filter(u8::is_ascii_digit).count();
        let letters = folded.chars().filter(|c| c.is_alphabetic()).count();
        self.with_digits += f64::from(u8::from(digits > 0));
        self.letters += f64::from(u8::from(letters > 0));
        self.short_letters += f64::from(u8::from(digits >= letters && digits > 0));
        self.mails += f64::from(u8::from(value.contains('@') && !value.trim().contains(' ')));
        self.dates += f64::from(u8::from(date::parse(value, false).is_some()));
        match date::order(value) {
            Some(true) => self.month_first += 1.0,
            Some(false) => self.day_first += 1.0,
            None => {}
        }
        if let Some(number) = normalise::decimal(value) {
            self.decimals += 1.0;
            let unit =
                number.fract() != 0.0 || value.contains(['$', '%', '.', '€', '£']) || letters > 0;
            self.units += f64::from(u8::from(unit));
        }
    }

    fn shape(&self) -> Shape {
        let kind = self.kind();
        let digits = kind == Kind::Code && self.letters < 0.1 * self.values;
        Shape {
            kind,
            month_first: self.month_first > self.day_first,
            digits,
        }
    }

    fn kind(&self) -> Kind {
        let share = |count: f64| count / self.values.max(1.0);
        if share(self.dates) > 0.8 {
            Kind::Date
        } else if share(self.mails) > 0.5 {
            Kind::Mail
        } else if share(self.decimals) > 0.8 && share(self.units) > 0.2 {
            Kind::Number
        } else if share(self.short_letters) > 0.7 && share(self.tokens) < 4.0
            || share(self.with_digits) > 0.6 && share(self.tokens) < 1.6
        {
            Kind::Code
        } else if share(self.tokens) < 1.6 {
            Kind::Name
        } else {
            Kind::Text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(values: &[&str]) -> Kind {
        detect(values.iter().copied()).kind
    }

    #[test]
    fn kinds_follow_the_values() {
        assert_eq!(
            kind_of(&["1987-03-09", "19870310", "31-Mar-15"]),
            Kind::Date
        );
        assert_eq!(kind_of(&["ann@x.org", "bob@y.net"]), Kind::Mail);
        assert_eq!(
            kind_of(&["$ 0.99", "$ 1.29", "Album Only", "0.99", "1.29", "2.00"]),
            Kind::Number
        );
        assert_eq!(kind_of(&["310/246-1501", "818-762-1221"]), Kind::Code);
        assert_eq!(kind_of(&["2448", "3149"]), Kind::Code);
        assert_eq!(kind_of(&["WX-200B", "DSC90"]), Kind::Code);
        assert_eq!(kind_of(&["isabella", "rosa", "Mary Ann"]), Kind::Name);
        assert_eq!(
            kind_of(&["435 s. la cienega blv.", "12224 ventura blvd."]),
            Kind::Text
        );
        assert_eq!(kind_of(&[]), Kind::Name);
    }

    #[test]
    fn date_order_is_learned() {
        assert!(detect(["12/25/1987", "01/02/1990"].into_iter()).month_first);
        assert!(!detect(["25/12/1987", "01/02/1990"].into_iter()).month_first);
    }

    #[test]
    fn phones_are_digits_only() {
        assert!(detect(["310/246-1501"].into_iter()).digits);
        assert!(!detect(["AB123", "CD456"].into_iter()).digits);
    }
}
