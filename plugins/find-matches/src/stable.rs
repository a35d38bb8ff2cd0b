//! Ids that groups keep from one run to the next.
//!
//! A group takes the id that most of its records had before; of several groups that want an id, the one with most of its
//! records gets it, ties going to the smaller id and the earlier group. Groups without an id get fresh ones, above all
//! ids that there were, in the order of their first records. So a run over the same records renumbers nothing.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::cluster::Membership;
use crate::error::Error;

/// The id of each record's group. `previous` holds the records' ids of an earlier run; without any, a group's id is the
/// number of its first record.
///
/// # Errors
/// [`Error::Ids`] when there is no room for fresh ids above those that there were.
pub fn stable_ids(
    memberships: &[Membership],
    previous: &FxHashMap<u32, i64>,
) -> Result<Vec<i64>, Error> {
    let Some(top) = previous.values().max().copied() else {
        return Ok(memberships.iter().map(|m| i64::from(m.cluster)).collect());
    };
    if top > i64::MAX - (1 << 32) {
        return Err(Error::Ids(top));
    }
    let ids = inherited(memberships, previous);
    let mut next = top.max(-1) + 1;
    let mut fresh: BTreeMap<u32, i64> = BTreeMap::new();
    let mut id = |group: u32| match ids.get(&group) {
        Some(id) => *id,
        None => *fresh.entry(group).or_insert_with(|| {
            next += 1;
            next - 1
        }),
    };
    Ok(memberships.iter().map(|m| id(m.cluster)).collect())
}

/// The earlier id of each group that gets one.
fn inherited(memberships: &[Membership], previous: &FxHashMap<u32, i64>) -> FxHashMap<u32, i64> {
    let mut overlaps: FxHashMap<(u32, i64), u32> = FxHashMap::default();
    for (record, id) in previous {
        if let Some(membership) = memberships.get(*record as usize) {
            *overlaps.entry((membership.cluster, *id)).or_default() += 1;
        }
    }
    let mut claims: Vec<(u32, i64, u32)> = overlaps
        .into_iter()
        .map(|((group, id), records)| (records, id, group))
        .collect();
    claims.sort_unstable_by_key(|(records, id, group)| (u32::MAX - records, *id, *group));
    let (mut ids, mut taken) = (FxHashMap::default(), FxHashSet::default());
    for (_, id, group) in claims {
        if !ids.contains_key(&group) && taken.insert(id) {
            ids.insert(group, id);
        }
    }
    ids
}

/// Of each record the first with the same earlier id; itself where it has none.
pub fn standing(records: usize, previous: &FxHashMap<u32, i64>) -> Vec<u32> {
    let mut firsts: FxHashMap<i64, u32> = FxHashMap::default();
    let mut standing: Vec<u32> = (0..records as u32).collect();
    for first in &mut standing {
        if let Some(id) = previous.get(first) {
            *first = *firsts.entry(*id).or_insert(*first);
        }
    }
    standing
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn groups(clusters: &[u32]) -> Vec<Membership> {
        let membership = |cluster: &u32| Membership {
            cluster: *cluster,
            confidence: Some(1.0),
        };
        clusters.iter().map(membership).collect()
    }

    fn previous(ids: &[i64]) -> FxHashMap<u32, i64> {
        (0..).zip(ids.iter().copied()).collect()
    }

    #[test]
    fn the_larger_part_keeps_the_id() {
        // Group 7 was split, three against two; groups 3 and 4 became one; the last record is new.
        let now = groups(&[0, 0, 0, 3, 3, 5, 5, 5, 8]);
        let before = previous(&[7, 7, 7, 7, 7, 3, 4, 4]);
        assert_eq!(
            stable_ids(&now, &before).unwrap(),
            [7, 7, 7, 8, 8, 4, 4, 4, 9]
        );
        let full = previous(&[i64::MAX]);
        let refused = stable_ids(&now, &full).unwrap_err().to_string();
        assert!(refused.contains("9223372036854775807"), "{refused}");
    }

    #[test]
    fn without_a_past_groups_are_named_by_their_first_record() {
        let ids = stable_ids(&groups(&[0, 1, 0]), &FxHashMap::default()).unwrap();
        assert_eq!(ids, [0, 1, 0]);
    }

    #[test]
    fn standing_groups_are_named_by_their_first_record() {
        let before: FxHashMap<u32, i64> = [(1, 50), (3, 50), (4, 8)].into_iter().collect();
        assert_eq!(standing(6, &before), [0, 1, 2, 1, 4, 5]);
    }

    proptest! {
        #[test]
        fn a_run_over_the_same_groups_renumbers_nothing(parts in proptest::collection::vec(0u32..8, 1..40)) {
            let first = |part: u32| parts.iter().position(|other| *other == part).unwrap() as u32;
            let clusters: Vec<u32> = parts.iter().map(|part| first(*part)).collect();
            let ids = stable_ids(&groups(&clusters), &FxHashMap::default()).unwrap();
            prop_assert_eq!(stable_ids(&groups(&clusters), &previous(&ids)).unwrap(), ids);
        }

        #[test]
        fn different_groups_have_different_ids(
            parts in proptest::collection::vec((0u32..8, proptest::option::of(0i64..8)), 1..40),
        ) {
            let first = |part: u32| parts.iter().position(|other| other.0 == part).unwrap() as u32;
            let clusters: Vec<u32> = parts.iter().map(|part| first(part.0)).collect();
            let before: FxHashMap<u32, i64> = (0..)
                .zip(&parts)
                .filter_map(|(record, part)| Some((record, part.1?)))
                .collect();
            let ids = stable_ids(&groups(&clusters), &before).unwrap();
            for (x, a) in clusters.iter().zip(&ids) {
                for (y, b) in clusters.iter().zip(&ids) {
                    prop_assert_eq!(x == y, a == b);
                }
            }
        }
    }
}
