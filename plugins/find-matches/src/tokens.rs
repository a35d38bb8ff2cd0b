//! How much a word says: rare words much, words that only one of two tables uses little.
//!
//! [`Tokens`] holds the word counts of each table. A word that one table puts into most titles and the other never (a
//! year in brackets, a trailing article) is that table's habit, so missing it on the other side contradicts nothing.

use crate::frequency::Frequencies;
use serde::{Deserialize, Serialize};

/// A word must occur this often before its use by one table alone counts as habit.
const HABIT: u32 = 20;
/// The least share of its weight that a habit keeps.
const FLOOR: f64 = 0.2;

/// Word counts per table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tokens {
    tables: Vec<Frequencies>,
    records: [f64; 2],
}

impl Tokens {
    pub(crate) fn new(tables: Vec<Frequencies>, records: [u64; 2]) -> Self {
        Self {
            tables,
            records: records.map(|count| count as f64),
        }
    }

    /// Occurrences in all tables.
    pub(crate) fn count(&self, id: u32) -> u32 {
        self.tables
            .iter()
            .map(|table| table.count(id))
            .sum::<u32>()
            .max(1)
    }

    /// Whether the word is known to occur once only.
    pub(crate) fn is_alone(&self, id: u32) -> bool {
        let known = |table: &Frequencies| table.is_exact() && table.count(id) < 2;
        self.tables.len() == 1 && self.tables.iter().all(known)
    }

    /// Weight of a word in natural logarithms of rarity.
    pub(crate) fn weight(&self, id: u32) -> f64 {
        let total = (self.records[0] + self.records[1]).max(2.0);
        let rarity = (total / f64::from(self.count(id))).ln().max(0.05);
        rarity * self.balance(id)
    }

    /// 1 for words that both tables use about equally.
    fn balance(&self, id: u32) -> f64 {
        let [left, right] = self.tables.as_slice() else {
            return 1.0;
        };
        if self.count(id) < HABIT {
            return 1.0;
        }
        let rates = [left, right].map(|table| f64::from(table.count(id)));
        let rates = [
            rates[0] / self.records[0].max(1.0),
            rates[1] / self.records[1].max(1.0),
        ];
        (4.0 * rates[0].min(rates[1]) / rates[0].max(rates[1])).clamp(FLOOR, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frequency::Counter;

    fn table(counts: &[(u32, u32)]) -> Frequencies {
        let mut counter = Counter::new(100);
        for (id, count) in counts {
            (0..*count).for_each(|_| counter.add(*id));
        }
        counter.freeze(100)
    }

    #[test]
    fn habits_of_one_table_say_little() {
        let tokens = Tokens::new(
            vec![table(&[(1, 50), (2, 50)]), table(&[(1, 50)])],
            [1000, 1000],
        );
        assert!(tokens.weight(2) < 0.3 * tokens.weight(1));
        assert!(tokens.weight(9) > tokens.weight(1));
    }

    #[test]
    fn one_table_has_no_habits() {
        let tokens = Tokens::new(vec![table(&[(1, 50)])], [1000, 0]);
        assert!((tokens.weight(1) - 20f64.ln()).abs() < 1e-9);
        assert!(tokens.is_alone(7) && !tokens.is_alone(1));
    }
}
