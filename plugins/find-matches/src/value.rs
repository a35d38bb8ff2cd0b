//! One value of one column, read once: the normal form that both blocking and comparison start from.
//!
//! [`Reader`] owns the buffers; [`Reader::read`] fills them for a value. `squeezed` identifies the value (equal texts
//! have equal squeezed forms), `folded` keeps the words, the typed parts depend on the column's kind.

use crate::date::{self, Date};
use crate::hash;
use crate::kind::{Kind, Shape};
use crate::normalise;

/// A value as read under its column's shape.
#[derive(Default)]
pub(crate) struct Value {
    pub(crate) folded: String,
    pub(crate) squeezed: String,
    pub(crate) date: Option<Date>,
    pub(crate) number: Option<f64>,
    /// Length in bytes of the part of `squeezed` before the mail sign.
    pub(crate) local: usize,
    /// The id under which this value is counted: its squeezed form before the kind had a say.
    pub(crate) id: u32,
}

impl Value {
    /// Reads `text`; answers whether there is anything in it.
    pub(crate) fn read(&mut self, text: &str, shape: Shape) -> bool {
        normalise::fold(text, &mut self.folded);
        normalise::squeeze(&self.folded, &mut self.squeezed);
        self.id = hash::short(self.squeezed.as_bytes());
        (self.date, self.number, self.local) = (None, None, 0);
        match shape.kind {
            Kind::Date => self.read_date(text, shape),
            Kind::Number => self.number = normalise::decimal(text),
            Kind::Code if shape.digits => self.keep_digits(),
            Kind::Mail => self.read_mail(text),
            Kind::Code | Kind::Name | Kind::Text => {}
        }
        !self.squeezed.is_empty()
    }

    /// The words of the folded form.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.folded.split(' ').filter(|word| !word.is_empty())
    }

    fn read_date(&mut self, text: &str, shape: Shape) {
        self.date = date::parse(text, shape.month_first);
        if let Some(date) = self.date {
            self.squeezed = format!("{:04}{:02}{:02}", date.year, date.month, date.day);
        }
    }

    fn keep_digits(&mut self) {
        let digits = self.squeezed.bytes().filter(u8::is_ascii_digit).count();
        if digits * 2 > self.squeezed.len() {
            self.squeezed.retain(|c| c.is_ascii_digit());
        }
    }

    fn read_mail(&mut self, text: &str) {
        let Some((local, _)) = text.split_once('@') else {
            self.local = self.squeezed.len();
            return;
        };
        let mut folded = String::new();
        normalise::fold(local, &mut folded);
        self.local = folded
            .bytes()
            .filter(|b| *b != b' ')
            .count()
            .min(self.squeezed.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, kind: Kind, digits: bool) -> Value {
        let mut value = Value::default();
        value.read(
            text,
            Shape {
                kind,
                month_first: false,
                digits,
            },
        );
        value
    }

    #[test]
    fn one_value_has_one_id() {
        assert_eq!(read("31-Mar-15", Kind::Date, false).squeezed, "20150331");
        assert_eq!(
            read("310/246-1501", Kind::Code, true).id,
            read("310-246-1501", Kind::Code, true).id
        );
        assert_eq!(
            read("O'Brien", Kind::Name, false).id,
            read("OBRIEN ", Kind::Name, false).id
        );
    }

    #[test]
    fn mail_keeps_its_local_part() {
        let value = read("ann.lee92@x-y.org", Kind::Mail, false);
        assert_eq!(value.squeezed.get(..value.local), Some("annlee92"));
    }

    #[test]
    fn nothing_is_missing() {
        let mut value = Value::default();
        assert!(!value.read(
            " - ",
            Shape {
                kind: Kind::Name,
                month_first: false,
                digits: false
            }
        ));
    }
}
