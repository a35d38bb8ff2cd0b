//! What every store must do, whatever engine is below: each check runs on sled and on redb.

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};
use std::thread;

use tempfile::TempDir;

use super::*;
use crate::value::PIECE_BYTES;

/// A directory and the way to open it.
struct Place {
    dir: TempDir,
    open: Open,
}

impl Place {
    fn open(&self) -> Box<dyn Store> {
        (self.open)(self.dir.path())
    }
}

/// One line per check: each becomes a test for each engine.
macro_rules! suite {
    ($($check:ident,)*) => {
        mod on_sled {
            $(#[test] fn $check() { super::run(super::open_sled, super::$check); })*
        }
        mod on_redb {
            $(#[test] fn $check() { super::run(super::open_redb, super::$check); })*
        }
    };
}

suite! {
    records_are_found_and_survive_reopening,
    preconditions_are_checked_and_named,
    a_refused_transaction_changes_nothing,
    versions_rise_and_are_never_used_twice,
    tenants_and_trees_are_apart,
    scans_are_ordered_complete_and_resumable,
    a_scan_cannot_leave_its_tenant_or_prefix,
    large_payloads_come_back_whole,
    chunks_do_not_outlive_their_record,
    a_page_of_large_payloads_ends_early,
    of_racing_writers_one_wins_each_round,
    no_read_sees_half_a_transaction,
    an_empty_transaction_checks_its_preconditions,
}

fn run(open: Open, check: fn(&Place)) {
    check(&Place {
        dir: scratch(),
        open,
    });
}

fn records_are_found_and_survive_reopening(place: &Place) {
    let store = place.open();
    assert_eq!(store.get(TENANT, Tree::Object, &key("a")).unwrap(), None);
    let transaction = Transaction::new(TENANT)
        .put(Tree::Object, key("a"), 9, b"one".to_vec())
        .put(Tree::Object, key("empty"), 1, Vec::new());
    let commit = store.commit(transaction).unwrap();
    let record = Record {
        schema: 9,
        version: commit.versions[0],
        seq: commit.seq,
        payload: b"one".to_vec(),
    };
    assert_eq!(
        store.get(TENANT, Tree::Object, &key("a")).unwrap(),
        Some(record.clone())
    );

    drop(store);
    let store = place.open();
    assert_eq!(
        store.get(TENANT, Tree::Object, &key("a")).unwrap(),
        Some(record)
    );
    assert_eq!(payload_of(&*store, "empty"), Some(Vec::new()));
    assert_eq!(
        store.commit(put("b", b"two")).unwrap().seq,
        commit.seq + 1,
        "sequence numbers go on"
    );
    store
        .commit(Transaction::new(TENANT).delete(Tree::Object, key("a")))
        .unwrap();
    drop(store);
    assert_eq!(payload_of(&*place.open(), "a"), None);
}

fn preconditions_are_checked_and_named(place: &Place) {
    let store = place.open();
    let version = store.commit(put("a", b"")).unwrap().versions[0];
    let ask = |name: &str, expected| {
        let outcome = store.commit(put("other", b"").expect(Tree::Object, key(name), expected));
        outcome.map(drop).map_err(|error| error.to_string())
    };
    for (name, expected) in [
        ("a", Expected::Version(version)),
        ("a", Expected::Present),
        ("a", Expected::Any),
        ("b", Expected::Absent),
        ("b", Expected::Any),
    ] {
        assert_eq!(ask(name, expected), Ok(()), "{name} {expected}");
    }
    let found = format!("is at version {version}");
    for (name, expected, text) in [
        (
            "a",
            Expected::Absent,
            format!("obj record a/ was expected to be absent and {found}"),
        ),
        (
            "a",
            Expected::Version(99),
            format!("obj record a/ was expected to be at version 99 and {found}"),
        ),
        (
            "b",
            Expected::Version(1),
            "obj record b/ was expected to be at version 1 and is absent".to_owned(),
        ),
        (
            "b",
            Expected::Present,
            "obj record b/ was expected to be present and is absent".to_owned(),
        ),
    ] {
        assert_eq!(ask(name, expected), Err(text));
    }
}

fn a_refused_transaction_changes_nothing(place: &Place) {
    let store = place.open();
    store.commit(put("kept", b"old")).unwrap();
    let transaction = put("kept", b"new")
        .put(Tree::Object, key("added"), 1, b"x".to_vec())
        .delete(Tree::Object, key("kept2"))
        .expect(Tree::Object, key("kept"), Expected::Present)
        .expect(Tree::Object, key("absent"), Expected::Present);
    assert!(matches!(
        store.commit(transaction),
        Err(Error::Conflict { found: None, .. })
    ));
    assert_eq!(payload_of(&*store, "kept"), Some(b"old".to_vec()));
    assert_eq!(payload_of(&*store, "added"), None);
    let twice = put("kept", b"new").delete(Tree::Object, key("kept"));
    assert!(matches!(
        store.commit(twice),
        Err(Error::InvalidTransaction { .. })
    ));
    assert_eq!(payload_of(&*store, "kept"), Some(b"old".to_vec()));
}

fn versions_rise_and_are_never_used_twice(place: &Place) {
    let store = place.open();
    let mut last = 0;
    for round in 0..20 {
        if round % 5 == 4 {
            store
                .commit(Transaction::new(TENANT).delete(Tree::Object, key("a")))
                .unwrap();
        }
        let commit = store.commit(put("a", &[round])).unwrap();
        assert!(
            commit.versions[0] > last,
            "round {round}: {} after {last}",
            commit.versions[0]
        );
        last = commit.versions[0];
        let record = store.get(TENANT, Tree::Object, &key("a")).unwrap().unwrap();
        assert_eq!((record.version, record.seq), (last, commit.seq));
    }
}

fn tenants_and_trees_are_apart(place: &Place) {
    let store = place.open();
    let other = Tenant::new(8);
    store.commit(put("a", b"mine")).unwrap();
    store
        .commit(Transaction::new(other).put(Tree::Object, key("a"), 1, b"theirs".to_vec()))
        .unwrap();
    store
        .commit(Transaction::new(TENANT).put(Tree::Version, key("a"), 1, b"old".to_vec()))
        .unwrap();
    store
        .commit(Transaction::new(other).delete(Tree::Object, key("a")))
        .unwrap();
    assert_eq!(payload_of(&*store, "a"), Some(b"mine".to_vec()));
    assert_eq!(store.get(other, Tree::Object, &key("a")).unwrap(), None);
    let old = store
        .get(TENANT, Tree::Version, &key("a"))
        .unwrap()
        .unwrap();
    assert_eq!(old.payload, b"old");
}

/// Keys in the order pages of `limit` bring them.
fn pages(store: &dyn Store, tenant: Tenant, prefix: &Key, limit: usize) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut after = None;
    loop {
        let page = store
            .scan(tenant, Tree::Object, prefix, after.as_ref(), limit)
            .unwrap();
        assert!(page.records.len() <= limit);
        keys.extend(page.records.into_iter().map(|(key, _)| key));
        match page.next {
            None => return keys,
            next => after = next,
        }
    }
}

fn scans_are_ordered_complete_and_resumable(place: &Place) {
    let store = place.open();
    let names = ["", "a", "a\0", "a\0b", "ab", "b", "\u{ff}", "10", "2"];
    let mut transaction = Transaction::new(TENANT);
    for name in names {
        let below = key("db").with_part(name);
        transaction = transaction.put(Tree::Object, below, 1, name.into());
    }
    transaction = transaction.put(Tree::Object, key("db2"), 1, vec![]).put(
        Tree::Object,
        key("da"),
        1,
        vec![],
    );
    store.commit(transaction).unwrap();
    let expected: Vec<Key> = BTreeSet::from(names)
        .iter()
        .map(|name| key("db").with_part(name))
        .collect();
    for limit in [1, 2, 3, 8, 9, 10, 1000] {
        assert_eq!(
            pages(&*store, TENANT, &key("db"), limit),
            expected,
            "limit {limit}"
        );
    }
    let exact = store
        .scan(TENANT, Tree::Object, &key("db"), None, names.len())
        .unwrap();
    assert_eq!(
        exact.next, None,
        "a last page that is full promises no more"
    );
    assert_eq!(
        store
            .scan(TENANT, Tree::Object, &key("db"), None, 0)
            .unwrap()
            .records
            .len(),
        1
    );

    // What a token names may be gone: the scan goes on after its place.
    store
        .commit(Transaction::new(TENANT).delete(Tree::Object, expected[3].clone()))
        .unwrap();
    let rest = store
        .scan(TENANT, Tree::Object, &key("db"), Some(&expected[3]), 100)
        .unwrap();
    let rest: Vec<_> = rest.records.into_iter().map(|(key, _)| key).collect();
    assert_eq!(rest, expected[4..]);
}

fn a_scan_cannot_leave_its_tenant_or_prefix(place: &Place) {
    let store = place.open();
    for tenant in [0, 6, 7, 8, u32::MAX - 1, u32::MAX] {
        for name in ["a", "b"] {
            let key = Key::from_bytes([&[0xff; 4], name.as_bytes()].concat());
            let transaction =
                Transaction::new(Tenant::new(tenant)).put(Tree::Object, key, 1, vec![]);
            store.commit(transaction).unwrap();
        }
    }
    for tenant in [0, 7, u32::MAX] {
        assert_eq!(pages(&*store, Tenant::new(tenant), &Key::new(), 1).len(), 2);
    }
    // Tokens that were tampered with.
    for token in [vec![], vec![0xff; 100], vec![0; 100], b"zz".to_vec()] {
        let token = Key::from_bytes(token);
        let page = store
            .scan(TENANT, Tree::Object, &Key::new(), Some(&token), 100)
            .unwrap();
        assert!(page.records.len() <= 2);
        let below = store
            .scan(
                TENANT,
                Tree::Object,
                &key("nothing here"),
                Some(&token),
                100,
            )
            .unwrap();
        assert_eq!(below, Page::default());
    }
}

fn bytes(size: usize, seed: u8) -> Vec<u8> {
    (0..size)
        .map(|index| (index as u8).wrapping_mul(31).wrapping_add(seed))
        .collect()
}

fn large_payloads_come_back_whole(place: &Place) {
    let store = place.open();
    let sizes = [
        PIECE_BYTES - 1,
        PIECE_BYTES,
        PIECE_BYTES + 1,
        2 * PIECE_BYTES,
        300_000,
        3_000_000,
    ];
    for size in sizes {
        store
            .commit(put(&size.to_string(), &bytes(size, 1)))
            .unwrap();
    }
    drop(store);
    let store = place.open();
    for size in sizes {
        assert!(
            payload_of(&*store, &size.to_string()) == Some(bytes(size, 1)),
            "{size}"
        );
    }
    let scanned = store
        .scan(TENANT, Tree::Object, &Key::new(), None, 100)
        .unwrap();
    assert_eq!(scanned.records.len(), sizes.len(), "chunks are not records");
}

fn chunks_do_not_outlive_their_record(place: &Place) {
    let store = place.open();
    for (round, size) in [50_000, 9_000, 100_000, 10, 20_000].into_iter().enumerate() {
        store.commit(put("a", &bytes(size, round as u8))).unwrap();
        assert!(
            payload_of(&*store, "a") == Some(bytes(size, round as u8)),
            "{size}"
        );
    }
    store
        .commit(Transaction::new(TENANT).delete(Tree::Object, key("a")))
        .unwrap();
    assert_eq!(payload_of(&*store, "a"), None);
    store.commit(put("a", b"small")).unwrap();
    assert_eq!(payload_of(&*store, "a"), Some(b"small".to_vec()));
}

fn a_page_of_large_payloads_ends_early(place: &Place) {
    let store = place.open();
    for index in 0..5 {
        store
            .commit(put(&index.to_string(), &bytes(4_000_000, index)))
            .unwrap();
    }
    let first = store
        .scan(TENANT, Tree::Object, &Key::new(), None, 100)
        .unwrap();
    assert_eq!(first.records.len(), 3);
    assert_eq!(pages(&*store, TENANT, &Key::new(), 100).len(), 5);
}

fn of_racing_writers_one_wins_each_round(place: &Place) {
    const WRITERS: usize = 8;
    const ROUNDS: usize = 25;
    let store: Arc<dyn Store> = place.open().into();
    let first = store.commit(put("contested", b"")).unwrap().versions[0];
    let barrier = Arc::new(Barrier::new(WRITERS));
    let threads: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (store, barrier) = (Arc::clone(&store), Arc::clone(&barrier));
            thread::spawn(move || {
                let mut wins = 0;
                for _ in 0..ROUNDS {
                    barrier.wait();
                    let seen = store
                        .get(TENANT, Tree::Object, &key("contested"))
                        .unwrap()
                        .unwrap();
                    barrier.wait();
                    let expected = Expected::Version(seen.version);
                    let outcome = store.commit(put("contested", b"").expect(
                        Tree::Object,
                        key("contested"),
                        expected,
                    ));
                    wins += usize::from(outcome.is_ok());
                }
                wins
            })
        })
        .collect();
    let wins: usize = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert_eq!(wins, ROUNDS);
    let last = store
        .get(TENANT, Tree::Object, &key("contested"))
        .unwrap()
        .unwrap();
    assert_eq!(last.version, first + ROUNDS as u64);
}

fn no_read_sees_half_a_transaction(place: &Place) {
    let store: Arc<dyn Store> = place.open().into();
    let write = |number: u32| {
        let mut transaction = Transaction::new(TENANT);
        for name in ["a", "b", "c"] {
            // Of changing size, so that one is chunked now and then.
            let payload =
                number
                    .to_be_bytes()
                    .repeat(if number.is_multiple_of(3) { 2500 } else { 1 });
            transaction = transaction.put(Tree::Object, key(name), 1, payload);
        }
        transaction
    };
    store.commit(write(0)).unwrap();
    let writer = {
        let store = Arc::clone(&store);
        thread::spawn(move || {
            (1..150).for_each(|number| drop(store.commit(write(number)).unwrap()))
        })
    };
    while !writer.is_finished() {
        let page = store
            .scan(TENANT, Tree::Object, &Key::new(), None, 10)
            .unwrap();
        let seqs: BTreeSet<_> = page.records.iter().map(|(_, record)| record.seq).collect();
        assert_eq!((page.records.len(), seqs.len()), (3, 1));
    }
    writer.join().unwrap();
}

fn an_empty_transaction_checks_its_preconditions(place: &Place) {
    let store = place.open();
    let seq = store.commit(put("a", b"")).unwrap().seq;
    let check =
        |expected| store.commit(Transaction::new(TENANT).expect(Tree::Object, key("a"), expected));
    assert_eq!(
        check(Expected::Present).unwrap(),
        Commit {
            seq,
            versions: vec![]
        }
    );
    assert!(check(Expected::Absent).is_err());
    assert_eq!(store.commit(put("b", b"")).unwrap().seq, seq + 1);
}
