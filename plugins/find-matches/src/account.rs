//! Why two records do or do not match, in words and bits: the account that `explain-match` gives.

use std::collections::BTreeSet;

use crate::archive::Archive;
use crate::compare::{Comparer, agreement};
use crate::encode::Encoder;
use crate::error::Error;
use crate::model::Scorer;
use crate::twins::{self, Twins};

/// One of the two records.
pub struct Side<'a> {
    /// The profile's table that it is of, 0 or 1.
    pub table: usize,
    /// Its columns.
    pub columns: &'a [String],
    /// Its values, as text.
    pub values: &'a [Option<String>],
}

/// One line of an account.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// A column, what is compared across columns, or where the score starts.
    pub feature: String,
    /// What either record has there.
    pub values: [Option<String>; 2],
    /// How they compare.
    pub agreement: &'static str,
    /// What that adds to the score, in bits.
    pub weight: f64,
}

/// The whole account.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// The prior, then the features, heaviest first; their weights sum to the score.
    pub lines: Vec<Line>,
    /// Log2-odds of a match.
    pub score: f64,
    /// Probability of a match.
    pub probability: f64,
    /// Probability from which on a pair matches.
    pub threshold: f64,
    /// Whether a run compares the two.
    pub compared: bool,
    /// Why it does or does not.
    pub reason: String,
}

/// Gives the account of two records; `named` says whether they are candidates among all records.
///
/// # Errors
/// [`Error::Columns`] when a side lacks a column of the model, [`Error::Encoding`] where nothing was learned yet.
pub fn account(archive: &Archive, sides: [Side<'_>; 2], named: bool) -> Result<Account, Error> {
    let (profile, model) = (&archive.profile, archive.model()?);
    let [(left, left_keys), (right, right_keys)] =
        [encoded(archive, &sides[0])?, encoded(archive, &sides[1])?];
    let comparer = Comparer::new(profile);
    let pattern = comparer.compare(&left, &right);
    let explanation = Scorer::new(model).explain(&pattern);
    let mut lines = Vec::new();
    for ((feature, level), weight) in comparer
        .features()
        .iter()
        .zip(pattern)
        .zip(explanation.weights)
    {
        let value = |side: &Side<'_>| {
            let column = profile
                .columns
                .iter()
                .position(|column| column.name == feature.name)?;
            let positions = profile.positions(side.table, side.columns).ok()?;
            side.values.get((*positions.get(column)?)?)?.clone()
        };
        lines.push(Line {
            feature: feature.name.clone(),
            values: [value(&sides[0]), value(&sides[1])],
            agreement: agreement(feature, level),
            weight,
        });
    }
    lines.sort_by(|x, y| y.weight.abs().total_cmp(&x.weight.abs()));
    if explanation.together != 0.0 {
        lines.push(line(
            "all together",
            "as labels taught",
            explanation.together,
        ));
    }
    lines.insert(
        0,
        line(
            "before any column",
            "how rare matches are",
            explanation.prior,
        ),
    );
    let so_far: f64 = lines.iter().map(|line| line.weight).sum();
    let twins = twins::LOG_ODDS / std::f64::consts::LN_2;
    if so_far < twins && Twins::new(profile).are(&left, &right) {
        lines.push(line(
            "every column",
            "equal, and no accident",
            twins - so_far,
        ));
    }
    let score: f64 = lines.iter().map(|line| line.weight).sum();
    let equal = left == right;
    let shared: BTreeSet<u64> = left_keys
        .into_iter()
        .filter(|key| right_keys.contains(key))
        .collect();
    Ok(Account {
        lines,
        score,
        probability: 1.0 / (1.0 + (-score * std::f64::consts::LN_2).exp()),
        threshold: model.threshold,
        compared: named || equal,
        reason: reason(named, equal, shared.len()),
    })
}

fn line(feature: &str, agreement: &'static str, weight: f64) -> Line {
    Line {
        feature: feature.to_owned(),
        values: [None, None],
        agreement,
        weight,
    }
}

fn encoded(archive: &Archive, side: &Side<'_>) -> Result<(Vec<u8>, Vec<u64>), Error> {
    let values: Vec<Option<&str>> = side.values.iter().map(Option::as_deref).collect();
    let (mut blob, mut keys) = (Vec::new(), Vec::new());
    let mut encoder = Encoder::new(&archive.profile, side.table, side.columns)?;
    encoder.encode(&values, &mut blob, &mut keys);
    Ok((blob, keys))
}

fn reason(named: bool, equal: bool, shared: usize) -> String {
    if equal {
        return "they are equal in all that is compared".to_owned();
    }
    let keys = if shared == 1 { "key" } else { "keys" };
    match (named, shared) {
        (true, _) => format!("they share {shared} {keys}"),
        (false, 0) => {
            "they share no key: nothing in them is alike enough to look at both".to_owned()
        }
        (false, _) => format!(
            "they share {shared} {keys}, but too many records share those too, or both have better candidates; a higher \
             accuracy-cost trade-off looks at more"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lessons::{Lessons, Wishes};
    use crate::profile::Profiler;

    fn names() -> Vec<String> {
        ["first", "last", "born"].map(str::to_owned).to_vec()
    }

    /// An archive learned from records of which every second repeats the one before with an error.
    fn archive() -> Archive {
        let rows: Vec<[String; 3]> = (0..200u32)
            .map(|n| {
                let person = n / 2;
                let first = format!("{}a{}", char::from(b'a' + (person % 20) as u8), person % 7);
                let last = format!(
                    "{}o{}n",
                    char::from(b'b' + (person % 17) as u8),
                    person % 11
                );
                let born = format!("19{:02}-0{}-1{}", 10 + person % 80, 1 + person % 9, n % 2);
                [first, last, born]
            })
            .collect();
        let mut profiler = Profiler::new(&[names()]);
        for column in 0..3 {
            profiler.observe(0, column, rows.iter().map(|row| Some(row[column].as_str())));
        }
        let untaught = Archive {
            profile: profiler.finish(),
            model: None,
        };
        let mut lessons = Lessons::new(untaught.clone(), Wishes::default());
        let mut encoder = Encoder::new(&untaught.profile, 0, &names()).unwrap();
        for a in (0..200).step_by(2) {
            lessons.candidate(crate::Candidate {
                a,
                b: a + 1,
                shared: 2,
            });
            lessons.candidate(crate::Candidate {
                a,
                b: (a + 7) % 200,
                shared: 1,
            });
        }
        lessons.close();
        for (rid, row) in (0..).zip(&rows) {
            let (mut blob, mut keys) = (Vec::new(), Vec::new());
            let values: Vec<Option<&str>> = row.iter().map(|value| Some(value.as_str())).collect();
            encoder.encode(&values, &mut blob, &mut keys);
            lessons.record(0, rid, &blob);
        }
        lessons.finish().unwrap()
    }

    fn told(a: [&str; 3], b: [&str; 3], named: bool) -> Account {
        let names = names();
        let [a, b] = [a, b].map(|row| row.map(|value| Some(value.to_owned())));
        let side = |values| Side {
            table: 0,
            columns: &names,
            values,
        };
        account(&archive(), [side(&a), side(&b)], named).unwrap()
    }

    #[test]
    fn weights_sum_to_the_score_and_are_told_in_words() {
        let account = told(
            ["ann", "lee", "1987-03-09"],
            ["ann", "lea", "1987-03-09"],
            true,
        );
        let sum: f64 = account.lines.iter().map(|line| line.weight).sum();
        assert!((sum - account.score).abs() < 1e-9);
        assert_eq!(account.lines[0].feature, "before any column");
        let last = account
            .lines
            .iter()
            .find(|line| line.feature == "last")
            .unwrap();
        assert_eq!(last.agreement, "one edit");
        assert_eq!(
            last.values,
            [Some("lee".to_owned()), Some("lea".to_owned())]
        );
        assert!(account.reason.starts_with("they share "));
    }

    #[test]
    fn strangers_are_never_looked_at() {
        let account = told(
            ["ann", "lee", "1987-03-09"],
            ["zoe", "quist", "2001-11-30"],
            false,
        );
        assert!(account.probability < 0.1 && account.score < 0.0);
        assert_eq!(
            account.reason,
            "they share no key: nothing in them is alike enough to look at both"
        );
    }
}
