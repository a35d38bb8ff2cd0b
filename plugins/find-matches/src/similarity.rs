//! How alike two strings are, on bytes, with cheap answers first.
//!
//! [`edits`] is the optimal string alignment distance up to a limit (a transposition costs one), [`jaro_winkler`] the
//! usual name similarity, [`mask_distance`] a lower bound from the sets of bytes used.

use rapidfuzz::distance::{jaro_winkler as jw, osa};

/// Optimal string alignment distance, or `None` above `limit`.
pub(crate) fn edits(a: &[u8], b: &[u8], limit: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    // What both begin and end with costs nothing; then one edit shows at once, and most strings differ by more.
    let start = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[start..], &b[start..]);
    let same_end = a.iter().rev().zip(b.iter().rev());
    let end = same_end.take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[..a.len() - end], &b[..b.len() - end]);
    match (a, b) {
        ([], []) => return Some(0),
        ([], rest) | (rest, []) => return Some(rest.len()).filter(|edits| *edits <= limit),
        ([_], [_]) => return Some(1).filter(|edits| *edits <= limit),
        ([x, y], [u, v]) if x == v && y == u => return Some(1).filter(|edits| *edits <= limit),
        _ if limit < 2 || mask_distance(a, b) > limit as u32 => return None,
        _ => {}
    }
    osa::distance_with_args(
        a.iter().copied(),
        b.iter().copied(),
        &osa::Args::default().score_cutoff(limit),
    )
}

/// Jaro-Winkler similarity, 0 when below `floor`.
pub(crate) fn jaro_winkler(a: &[u8], b: &[u8], floor: f64) -> f64 {
    if jaro_winkler_bound(a, b) < floor {
        return 0.0;
    }
    let args = jw::Args::default().score_cutoff(floor);
    jw::similarity_with_args(a.iter().copied(), b.iter().copied(), &args).unwrap_or(0.0)
}

/// An upper bound from the letters that only one side uses: most unlike names end here.
fn jaro_winkler_bound(a: &[u8], b: &[u8]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return 0.0;
    }
    let (left, right) = (mask(a), mask(b));
    let shared = |text: &[u8], other: u64| {
        text.iter()
            .filter(|byte| other >> (**byte & 63) & 1 == 1)
            .count()
    };
    let matching = shared(a, right).min(shared(b, left)) as f64;
    let jaro = (matching / a.len() as f64 + matching / b.len() as f64 + 1.0) / 3.0;
    let prefix = a.iter().zip(b).take(4).take_while(|(x, y)| x == y).count() as f64;
    jaro + 0.1 * prefix * (1.0 - jaro)
}

/// Distinct bytes of either string that the other lacks, larger side: never more than the edit distance.
pub(crate) fn mask_distance(a: &[u8], b: &[u8]) -> u32 {
    let (left, right) = (mask(a), mask(b));
    (left & !right)
        .count_ones()
        .max((right & !left).count_ones())
}

fn mask(text: &[u8]) -> u64 {
    text.iter().fold(0, |mask, byte| mask | 1 << (byte & 63))
}

/// How far two words are one word: 0.9 with an error, less when one may abbreviate the other, 0 when neither.
pub(crate) fn near_words(a: &[u8], b: &[u8]) -> f64 {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let limit = match short.len() {
        0..=3 => 0,
        4..=7 => 1,
        _ => 2,
    };
    if limit > 0 && edits(a, b, limit).is_some() {
        return 0.9;
    }
    if long.starts_with(short) || short.len() <= 4 && abbreviates(short, long) {
        0.6
    } else {
        0.0
    }
}

/// `blvd` for `boulevard`: same first letter, letters in order, clearly shorter.
fn abbreviates(short: &[u8], long: &[u8]) -> bool {
    if short.len() < 2
        || long.len() < 2 * short.len()
        || short.first() != long.first()
        || short.last() != long.last()
    {
        return false;
    }
    let mut rest = long.iter();
    short.iter().all(|letter| rest.any(|other| other == letter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edits_count_transpositions_once() {
        assert_eq!(edits(b"smith", b"simth", 2), Some(1));
        assert_eq!(edits(b"smith", b"jones", 2), None);
        assert_eq!(edits(b"", b"", 0), Some(0));
    }

    #[test]
    fn abbreviations_are_near() {
        for (short, long) in [
            ("st", "street"),
            ("deli", "delicatessen"),
            ("rd", "road"),
            ("blvd", "boulevard"),
            ("n", "north"),
        ] {
            assert!(
                near_words(short.as_bytes(), long.as_bytes()) == 0.6,
                "{short}"
            );
        }
        assert!(near_words(b"avenue", b"aveneu") == 0.9 && near_words(b"main", b"lane") == 0.0);
    }

    proptest! {
        #[test]
        fn the_mask_never_exceeds_the_distance(a in "[a-d]{0,8}", b in "[a-d]{0,8}") {
            let (a, b) = (a.as_bytes(), b.as_bytes());
            let exact = osa::distance(a.iter().copied(), b.iter().copied());
            prop_assert!(mask_distance(a, b) as usize <= exact);
            prop_assert_eq!(edits(a, b, 20), Some(exact));
            let similarity = jw::similarity(a.iter().copied(), b.iter().copied());
            prop_assert!(a.is_empty() || b.is_empty() || jaro_winkler_bound(a, b) >= similarity - 1e-9);
        }
    }
}
