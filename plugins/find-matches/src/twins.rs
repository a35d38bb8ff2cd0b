//! Records that are equal in all that is compared: one thing, where that cannot be chance.
//!
//! A small table, or one in which a row is repeated many times, teaches little: agreement looks common. But rows whose
//! columns have far more combinations of values than there are rows are not equal by accident.

use crate::profile::Profile;
use crate::record::Record;

/// Natural log-odds that equal records are one thing: 99 in 100.
pub(crate) const LOG_ODDS: f64 = 4.595;
/// Combinations of values for each record from which on equality is no accident.
const COMBINATIONS: f64 = 100.0;

/// From this many records on it counts too how often values meet by chance: there are enough to tell.
const LARGE: u64 = 10_000;
/// Logarithm of the equal records that a record may have by chance: one in a hundred has one.
const ACCIDENTS: f64 = -4.6;

/// Tells accidents from copies.
pub(crate) struct Twins {
    /// Of each compared column the logarithms of its number of distinct values, and of the chance that two values agree.
    columns: Vec<(f64, f64)>,
    least: f64,
    /// Logarithm of the number of records of a large table, whose frequent values meet by chance.
    many: Option<f64>,
}

impl Twins {
    pub(crate) fn new(profile: &Profile) -> Self {
        let compared = profile.columns.iter().filter(|column| column.compared);
        let records: u64 = profile.records.iter().sum();
        Self {
            columns: compared
                .map(|column| {
                    let distinct = (column.distinct_share * column.count).max(1.0);
                    (
                        distinct.ln(),
                        column.collision.max(1.0 / distinct / distinct).ln(),
                    )
                })
                .collect(),
            many: (records >= LARGE).then(|| (records as f64).ln()),
            least: (COMBINATIONS * records as f64).max(1.0).ln(),
        }
    }

    /// Whether two records are equal and say enough for that to mean something.
    pub(crate) fn are(&self, a: &[u8], b: &[u8]) -> bool {
        if a != b {
            return false;
        }
        let record = Record::open(a);
        let said = self.columns.iter().enumerate();
        let said = said.filter(|(at, _)| !record.section(*at).is_empty());
        let (combinations, chance) = said.fold((0.0, 0.0), |sums, (_, (distinct, collision))| {
            (sums.0 + distinct, sums.1 + collision)
        });
        combinations >= self.least && self.many.is_none_or(|many| many + chance <= ACCIDENTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::Encoder;
    use crate::profile::Profiler;

    fn are_twins(values: impl Fn(u32) -> [String; 3], first: [Option<&str>; 3]) -> bool {
        let names = ["first", "last", "born"].map(str::to_owned);
        let rows: Vec<[String; 3]> = (0..200).map(values).collect();
        let mut profiler = Profiler::new(&[names.to_vec()]);
        for column in 0..3 {
            profiler.observe(0, column, rows.iter().map(|row| Some(row[column].as_str())));
        }
        let profile = profiler.finish();
        let mut blob = Vec::new();
        let mut encoder = Encoder::new(&profile, 0, &names).unwrap();
        encoder.encode(&first, &mut blob, &mut Vec::new());
        Twins::new(&profile).are(&blob, &blob)
    }

    #[test]
    fn copies_are_no_accident_where_there_are_many_combinations() {
        let people = |n: u32| {
            [
                format!("ann{}", n % 150),
                format!("lee{}", n % 50),
                format!("19{}-01-02", 10 + n % 80),
            ]
        };
        assert!(are_twins(people, ["ann1", "lee1", "1911-01-02"].map(Some)));
        assert!(!are_twins(people, [Some("ann1"), None, None]));
        let sizes = |n: u32| {
            [
                format!("s{}", n % 3),
                format!("c{}", n % 5),
                "2001-01-01".to_owned(),
            ]
        };
        assert!(!are_twins(sizes, ["s1", "c1", "2001-01-01"].map(Some)));
    }
}
