//! A process is killed with SIGKILL in the middle of commits, again and again on one directory: everything it
//! acknowledged is there, and no transaction is half there.
//!
//! The process is this test binary itself, told by an environment variable to write instead of test. Each of
//! its writers changes three records in every transaction, one of them large enough to need chunks, and
//! reports the number after the commit returned.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, io};

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const DIR_VARIABLE: &str = "TENON_STORE_TEST_DIR";
pub(super) const WRITERS: u32 = 4;
const KILLS: u64 = 200;

fn write(writer: u32, number: u64) -> Transaction {
    let record = |part: &str| key(&writer.to_string()).with_part(part);
    let large = number.to_be_bytes().repeat(600 + (number % 900) as usize);
    Transaction::new(TENANT)
        .put(
            Tree::Object,
            record("primary"),
            1,
            number.to_be_bytes().to_vec(),
        )
        .put(
            Tree::Version,
            record("secondary"),
            1,
            number.to_be_bytes().to_vec(),
        )
        .put(Tree::Run, record("large"), 1, large)
}

/// Files of the journal and checkpoints follow each other so fast that many kills meet one.
pub(super) fn busy() -> StoreConfig {
    StoreConfig {
        segment_bytes: 128 * 1024,
        checkpoint_interval: Duration::from_millis(15),
        checkpoint_journal_bytes: 256 * 1024,
        ..StoreConfig::default()
    }
}

/// The number all three records of a writer hold; 0 before its first transaction.
pub(super) fn stored_number(store: &dyn Store, writer: u32) -> u64 {
    let places = [
        (Tree::Object, "primary"),
        (Tree::Version, "secondary"),
        (Tree::Run, "large"),
    ];
    let numbers = places.map(|(tree, part)| {
        let record = store
            .get(TENANT, tree, &key(&writer.to_string()).with_part(part))
            .unwrap();
        record.map_or(0, |record| {
            let (number, _) = record.payload.split_first_chunk().unwrap();
            let number = u64::from_be_bytes(*number);
            if part == "large" {
                let expected = number.to_be_bytes().repeat(600 + (number % 900) as usize);
                assert!(
                    record.payload == expected,
                    "the large payload of {number} is not whole"
                );
            }
            number
        })
    });
    assert!(
        numbers.iter().all(|number| *number == numbers[0]),
        "half a transaction: {numbers:?}"
    );
    numbers[0]
}

/// Not a test of its own: the process that is killed.
#[test]
fn child_process_that_writes_until_killed() {
    let Some(dir) = env::var_os(DIR_VARIABLE).map(PathBuf::from) else {
        return;
    };
    let store: Arc<dyn Store> = Arc::new(SledStore::open(&dir, &busy(), &clock()).unwrap());
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = Arc::clone(&store);
            let first = stored_number(&*store, writer) + 1;
            thread::spawn(move || {
                for number in first..=u64::MAX {
                    store.commit(write(writer, number)).unwrap();
                    // One call, so that a line is whole or absent.
                    io::stderr()
                        .write_all(format!("acknowledged {writer} {number}\n").as_bytes())
                        .unwrap();
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| drop(writer.join()));
}

/// The child, and what it acknowledged so far: the last number of each writer.
pub(super) struct Writing {
    pub(super) process: Child,
    acknowledged: Arc<Mutex<[u64; WRITERS as usize]>>,
    reader: JoinHandle<()>,
}

impl Writing {
    pub(super) fn start(dir: &Path) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "tests::kill::child_process_that_writes_until_killed",
                "--nocapture",
            ])
            .env(DIR_VARIABLE, dir)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let acknowledged = Arc::new(Mutex::new([0; WRITERS as usize]));
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let noted = Arc::clone(&acknowledged);
        let reader = thread::spawn(move || {
            for line in lines {
                let line = line.unwrap();
                let Some(rest) = line.strip_prefix("acknowledged ") else {
                    continue;
                };
                // The last line may be cut by the kill.
                if let Some((writer, number)) = rest.split_once(' ') {
                    noted.lock()[writer.parse::<usize>().unwrap()] = number.parse().unwrap();
                }
            }
        });
        Self {
            process,
            acknowledged,
            reader,
        }
    }

    /// Lets it live for a random while: in one of four lives from its start, so that opening is met, too, else
    /// from its first acknowledgement.
    pub(super) fn live(&self, random: &mut StdRng, most_millis: u64) {
        let before = self.acknowledged();
        if random.random_bool(0.25) {
            return thread::sleep(Duration::from_millis(random.random_range(1..60)));
        }
        let start = Instant::now();
        while self.acknowledged() == before && start.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(random.random_range(0..most_millis)));
    }

    pub(super) fn acknowledged(&self) -> [u64; WRITERS as usize] {
        *self.acknowledged.lock()
    }

    /// Kills the child; returns the last number acknowledged to each writer.
    pub(super) fn kill(mut self) -> [u64; WRITERS as usize] {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.reader.join().unwrap();
        *self.acknowledged.lock()
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_torn() {
    let dir = scratch();
    let mut random = StdRng::seed_from_u64(4);
    let mut acknowledged = [0; WRITERS as usize];
    let mut replayed = 0;
    for round in 0..KILLS {
        let writing = Writing::start(dir.path());
        writing.live(&mut random, 60);
        let last = writing.kill();
        let store = SledStore::open(dir.path(), &busy(), &clock()).unwrap();
        for writer in 0..WRITERS {
            let stored = stored_number(&store, writer);
            let told = acknowledged[writer as usize].max(last[writer as usize]);
            assert!(
                stored >= told,
                "round {round}: writer {writer} was told {told}, stored is {stored}"
            );
            acknowledged[writer as usize] = stored;
        }
        while store.status().verified == Verified::Pending {
            thread::sleep(Duration::from_millis(1));
        }
        let status = store.status();
        assert_eq!(status.verified, Verified::Verified, "round {round}");
        // A kill leaves an engine that is behind, in the middle of a group as a rule, but not damaged.
        assert_eq!(status.rebuilt, None, "round {round}");
        replayed += status.replayed;
    }
    assert!(replayed > KILLS, "{replayed} transactions were replayed");
    let total: u64 = acknowledged.iter().sum();
    assert!(
        total > KILLS,
        "the child did not get to write: {total} transactions in {KILLS} rounds"
    );
}
