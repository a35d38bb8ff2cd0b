//! Verify, repair, migrate, backup, restore, and the journal as a record of who did what.

use std::sync::Arc;

use super::*;
use crate::engine::sled::SledEngine;
use crate::engine::{Engine, Op};
use crate::tree::Space;
use crate::value::put_meta;

fn open(dir: &Path) -> SledStore {
    SledStore::open(dir, &config(), &clock()).unwrap()
}

fn all(store: &SledStore) -> Page {
    store
        .scan(TENANT, Tree::Object, &Key::new(), None, 1000)
        .unwrap()
}

/// Some transactions with a checkpoint in between and chunked payloads.
fn fill(store: &SledStore) {
    for number in 0..30_u32 {
        let size = if number % 10 == 0 { 9000 } else { 100 };
        let name = (number % 8).to_string();
        store.commit(put(&name, &vec![number as u8; size])).unwrap();
        if number == 12 {
            store.checkpoint().unwrap();
        }
    }
}

#[test]
fn a_sound_directory_is_reported_as_sound() {
    let dir = scratch();
    let store = open(dir.path());
    fill(&store);
    assert!(matches!(verify(dir.path()), Err(Error::Locked { .. })));
    let digest = store.status().digest;
    drop(store);
    let report = verify(dir.path()).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!((report.last_seq, report.behind), (30, 0));
    assert_eq!(report.digest, digest);
    assert_eq!(report.entries["obj"], 8);
    assert!(report.checkpoints.iter().all(|checkpoint| checkpoint.sound));
    assert_eq!(report.journal, Some((1, 30)));
    let nothing = scratch();
    let text = verify(nothing.path()).unwrap_err().to_string();
    assert!(
        text.ends_with("it has neither a journal nor an engine"),
        "{text}"
    );
}

#[test]
fn each_kind_of_damage_is_a_problem_in_the_report() {
    let dir = scratch();
    let store = open(dir.path());
    fill(&store);
    drop(store);
    let checkpoints = fs::read_dir(dir.path().join("checkpoint")).unwrap();
    for path in checkpoints.map(|entry| entry.unwrap().path()) {
        let mut bytes = fs::read(&path).unwrap();
        bytes[100] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let segment = dir.path().join("journal/00000000000000000001.log");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[100] ^= 1;
    fs::write(&segment, bytes).unwrap();
    fs::remove_dir_all(dir.path().join("sled")).unwrap();
    let problems = verify(dir.path()).unwrap().problems.join("\n");
    for part in [
        "its sha256 does not match",
        "record 1 of the journal in ",
        "its folder sled is missing",
    ] {
        assert!(problems.contains(part), "{part}: {problems}");
    }
}

#[test]
fn repair_goes_back_to_a_transaction_and_keeps_what_was() {
    let dir = scratch();
    let store = open(dir.path());
    for number in 1..=20_u32 {
        store.commit(put(&number.to_string(), b"x")).unwrap();
        if number == 8 {
            store.checkpoint().unwrap();
        }
    }
    drop(store);
    let report = repair(dir.path(), Some(15), &clock()).unwrap();
    assert_eq!((report.last_seq, report.entries["obj"]), (15, 15));
    assert!(dir.path().join("journal.bad.0").is_dir());
    let store = open(dir.path());
    assert_eq!(all(&store).records.len(), 15);
    assert_eq!(store.commit(put("16", b"y")).unwrap().seq, 16);
    drop(store);
    assert_eq!(verify(dir.path()).unwrap().problems, Vec::<String>::new());
    // Where nothing leads to is refused, and nothing is changed.
    let error = repair(dir.path(), Some(9), &clock()).unwrap_err();
    assert!(matches!(error, Error::DamagedStore { .. }), "{error}");
    assert_eq!(all(&open(dir.path())).records.len(), 16);
}

#[test]
fn repair_without_a_number_goes_as_far_as_can_be_read() {
    let dir = scratch();
    let store = open(dir.path());
    for number in 1..=20_u32 {
        store.commit(put(&number.to_string(), b"x")).unwrap();
    }
    let killed = scratch();
    copy(dir.path(), killed.path());
    drop(store);
    let segment = killed.path().join("journal/00000000000000000001.log");
    let mut bytes = fs::read(&segment).unwrap();
    let record = bytes.windows(4).enumerate();
    let starts: Vec<_> = record
        .filter(|(_, window)| *window == b"TREC")
        .map(|(at, _)| at)
        .collect();
    bytes[starts[11] + 40] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let error = SledStore::open(killed.path(), &config(), &clock()).unwrap_err();
    assert!(
        matches!(error, Error::DamagedJournal { record: 12, .. }),
        "{error}"
    );
    assert_eq!(repair(killed.path(), None, &clock()).unwrap().last_seq, 11);
    assert_eq!(all(&open(killed.path())).records.len(), 11);
}

/// A directory as the format without a journal left it: golden bytes would be sled's, so it is made with sled.
fn old_directory(dir: &Path, records: &[(&str, &[u8])]) {
    let engine = SledEngine::open(dir, &config(), Arc::new(SystemDisk)).unwrap();
    let mut ops = vec![
        put_meta("format", 0, 1),
        put_meta("created-unix-millis", 0, 7),
        put_meta("last-seq", records.len() as u64, records.len() as u64),
    ];
    for (number, (name, payload)) in records.iter().enumerate() {
        let seq = number as u64 + 1;
        let stored_key = key(name).stored(TENANT);
        let envelope = crate::envelope::Envelope {
            schema: 1,
            flags: 0,
            version: seq,
            seq,
        };
        let value = envelope.seal("obj", &stored_key, payload);
        ops.push(Op {
            space: Space::Records(Tree::Object),
            key: stored_key,
            value: Some(value),
        });
    }
    engine.apply(&ops).unwrap();
    engine.sync().unwrap();
}

#[test]
fn a_directory_without_a_journal_is_upgraded() {
    let dir = scratch();
    old_directory(dir.path(), &[("a", b"one"), ("b", b"two")]);
    let report = verify(dir.path()).unwrap();
    assert_eq!(report.problems.len(), 1);
    assert!(report.problems[0].contains("`tenon store migrate` upgrades it"));
    let report = migrate(dir.path(), &clock()).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    assert!(report.done[0].starts_with("upgraded"), "{:?}", report.done);
    assert_eq!((report.entries["obj"], report.checkpoints.len()), (2, 1));
    let report = migrate(dir.path(), &clock()).unwrap();
    assert!(
        report.done[0].starts_with("it has the newest"),
        "{:?}",
        report.done
    );

    // From here on sled is not needed.
    fs::remove_dir_all(dir.path().join("sled")).unwrap();
    let store = open(dir.path());
    assert_eq!(payload_of(&store, "b"), Some(b"two".to_vec()));
    assert_eq!(store.commit(put("c", b"")).unwrap().seq, 3);
}

#[test]
fn a_directory_that_lost_its_journal_is_refused() {
    let dir = scratch();
    let store = open(dir.path());
    store.commit(put("a", b"")).unwrap();
    drop(store);
    for name in ["journal", "checkpoint"] {
        fs::remove_dir_all(dir.path().join(name)).unwrap();
    }
    let error = SledStore::open(dir.path(), &config(), &clock()).unwrap_err();
    assert!(
        matches!(error, Error::DamagedJournal { record: 2, .. }),
        "{error}"
    );
    fs::remove_file(dir.path().join("STATE")).unwrap();
    let text = SledStore::open(dir.path(), &config(), &clock())
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("its journal and its file STATE are missing"),
        "{text}"
    );
}

#[test]
fn a_backup_of_an_open_store_restores_what_was_acknowledged() {
    let dir = scratch();
    let store = Arc::new(open(&dir.path().join("store")));
    fill(&store);
    let writer = {
        let store = Arc::clone(&store);
        std::thread::spawn(move || {
            for number in 0..400_u32 {
                store.commit(put("busy", &number.to_be_bytes())).unwrap();
            }
        })
    };
    let mut backups = Vec::new();
    while !writer.is_finished() {
        let before = store.status().last_seq;
        let file = dir.path().join(format!("backup-{}", backups.len()));
        let report = store
            .backup_to(&mut fs::File::create(&file).unwrap())
            .unwrap();
        assert!(report.last_seq >= before);
        assert_eq!(check_backup(&file).unwrap(), report);
        backups.push((file, report));
    }
    writer.join().unwrap();
    for (file, report) in &backups {
        let to = scratch();
        let restored = restore(file, to.path(), &clock()).unwrap();
        assert_eq!(
            (restored.last_seq, &restored.digest),
            (report.last_seq, &report.digest)
        );
        assert_eq!(restored.problems, Vec::<String>::new());
        assert_eq!(payload_of(&open(to.path()), "5"), payload_of(&*store, "5"));
    }
    // At rest, the same.
    let expected = all(&store);
    drop(store);
    let file = dir.path().join("at-rest");
    let report = backup(&dir.path().join("store"), &file).unwrap();
    assert_eq!(report.last_seq, 430);
    let to = scratch();
    let restored = restore(&file, to.path(), &clock()).unwrap();
    assert_eq!((restored.last_seq, restored.entries["obj"]), (430, 9));
    assert!(all(&open(to.path())) == expected);
}

#[test]
fn a_damaged_backup_and_a_full_directory_are_refused() {
    let dir = scratch();
    let store = open(&dir.path().join("store"));
    fill(&store);
    let file = dir.path().join("backup");
    drop(store);
    backup(&dir.path().join("store"), &file).unwrap();
    let again = backup(&dir.path().join("store"), &file).unwrap_err();
    let again = again.to_string();
    assert!(again.ends_with("it exists; choose another name"), "{again}");
    let text = restore(&file, dir.path(), &clock())
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("is not empty; choose another directory"),
        "{text}"
    );
    let whole = fs::read(&file).unwrap();
    let damaged = dir.path().join("damaged");
    let to = dir.path().join("to");
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        for cut in [false, true] {
            let mut bytes = whole.clone();
            if cut {
                bytes.truncate(at);
            } else {
                bytes[at] ^= 1;
            }
            fs::write(&damaged, bytes).unwrap();
            match restore(&damaged, &to, &clock()) {
                Err(Error::Backup { .. } | Error::Io { .. }) => {
                    assert_eq!(fs::read_dir(&to).unwrap().count(), 0, "it is left empty");
                }
                Err(error) => panic!("{at} {cut}: {error}"),
                // Padding of the archive means nothing.
                Ok(report) => {
                    assert_eq!((report.last_seq, report.entries["obj"]), (30, 8));
                    fs::remove_dir_all(&to).unwrap();
                }
            }
        }
    }
}

/// Takes a backup as slowly as its reader likes: between two pieces the store is written to, and a checkpoint is made.
struct Between<'a> {
    store: &'a SledStore,
    bytes: Vec<u8>,
    writes: u32,
}

impl std::io::Write for Between<'_> {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        self.writes += 1;
        let late = put("late", &self.writes.to_be_bytes());
        self.store.commit(late).unwrap();
        self.store.checkpoint().unwrap();
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn nobody_waits_for_the_reader_of_a_backup_and_it_is_of_the_moment_it_began() {
    let dir = scratch();
    let store = open(&dir.path().join("store"));
    for number in 0..200_u32 {
        store.commit(put(&number.to_string(), &[7; 3000])).unwrap();
    }
    store.checkpoint().unwrap();
    for number in 0..200_u32 {
        store.commit(put(&number.to_string(), &[8; 3000])).unwrap();
    }
    let expected = all(&store);
    let before = store.status();
    let mut slow = Between {
        store: &store,
        bytes: Vec::new(),
        writes: 0,
    };
    let report = store.backup_to(&mut slow).unwrap();
    assert!(slow.writes > 10, "{} pieces", slow.writes);
    assert_eq!(report.bytes, slow.bytes.len() as u64);
    assert_eq!(
        (report.last_seq, &report.digest),
        (before.last_seq, &before.digest)
    );
    let file = dir.path().join("backup");
    fs::write(&file, &slow.bytes).unwrap();
    let to = scratch();
    restore(&file, to.path(), &clock()).unwrap();
    assert!(all(&open(to.path())) == expected);
}

#[test]
fn a_backup_nobody_takes_any_more_ends_and_leaves_the_store_as_it_was() {
    struct Gone;
    impl std::io::Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let dir = scratch();
    let store = open(dir.path());
    fill(&store);
    let error = store.backup_to(&mut Gone).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    store.commit(put("after", b"all is well")).unwrap();
    store.checkpoint().unwrap();
}

#[test]
fn the_journal_tells_who_changed_what_and_when_up_to_where_it_is_damaged() {
    let dir = scratch();
    let time = clock();
    let store = SledStore::open(dir.path(), &config(), &time).unwrap();
    time.advance(std::time::Duration::from_millis(1500));
    store.commit(put("a", &[1; 9000]).by("anna")).unwrap();
    let other = Transaction::new(Tenant::new(8)).put(Tree::Object, key("theirs"), 1, vec![]);
    store.commit(other.by("otto")).unwrap();
    let both = Transaction::new(TENANT).delete(Tree::Object, key("a")).put(
        Tree::Version,
        key("a"),
        1,
        vec![],
    );
    store.commit(both.by("ben")).unwrap();
    let long = Transaction::new(TENANT).by("x".repeat(MAX_ACTOR_BYTES + 1));
    assert!(matches!(store.commit(long), Err(Error::TooLarge { .. })));
    assert!(matches!(log(dir.path(), 0, 100), Err(Error::Locked { .. })));
    drop(store);
    let whole = log(dir.path(), 0, 100).unwrap();
    assert_eq!(whole.problem, None);
    let changes = whole.changes;
    let seen: Vec<_> = changes
        .iter()
        .map(|change| (change.seq, change.tenant.number(), change.actor.as_str()))
        .collect();
    assert_eq!(seen, [(1, 7, "anna"), (2, 8, "otto"), (3, 7, "ben")]);
    assert!(changes.iter().all(|change| change.unix_millis == 1500));
    assert_eq!(changes[0].records, [(Tree::Object, key("a"), Touched::Put)]);
    assert_eq!(
        changes[2].records,
        [
            (Tree::Object, key("a"), Touched::Deleted),
            (Tree::Version, key("a"), Touched::Put)
        ]
    );
    assert_eq!(log(dir.path(), 1, 100).unwrap().changes, changes[1..]);
    assert_eq!(log(dir.path(), 0, 1).unwrap().changes, changes[..1]);
    assert_eq!(log(dir.path(), 3, 100).unwrap(), Log::default());

    let segment = dir.path().join("journal/00000000000000000001.log");
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(4).position(|name| name == b"otto").unwrap();
    bytes[at] ^= 1;
    fs::write(segment, bytes).unwrap();
    let log = log(dir.path(), 0, 100).unwrap();
    assert_eq!(log.changes, changes[..1]);
    let problem = log.problem.unwrap();
    assert!(problem.contains("record 2"), "{problem}");
}
