//! [`Shared`]: what the writer, the readers and the keeper share, and the scan that runs beside the writer.
//!
//! A scan reads the engine in batches and lets the writer work in between, so it meets no single state. It is
//! checked all the same: the writer adds the digest of each change that lies ahead of the scan to what the scan
//! should come to. What was passed stays as it was scanned. At the end the sum of what was seen must be the
//! digest at the beginning plus those changes; a missing, extra or changed entry shows.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};

use crate::clock::Clock;
use crate::digest::Digest;
use crate::disk::Disk;
use crate::engine::{Engine, Op};
use crate::error::{Error, Result};
use crate::tree::Space;
use crate::value;

/// Entries and bytes read under one lock, while the writer waits: eight microseconds an entry that sled must fetch from
/// the disk.
const BATCH_ENTRIES: usize = 64;
const BATCH_BYTES: usize = 64 * 1024;

/// A state of the store: after the transaction with this number, with this digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Position {
    pub(crate) seq: u64,
    pub(crate) digest: Digest,
}

pub(crate) struct Shared<E> {
    pub(crate) dir: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) engine: E,
    /// What is applied to the engine. Held for writing while operations are applied, so that no read sees half
    /// of a transaction.
    pub(crate) view: RwLock<Position>,
    scan: Mutex<Option<Scan>>,
    /// Held by whoever scans, writes checkpoints or needs their files to stay: one at a time.
    pub(crate) upkeep: Mutex<()>,
    /// Damage that was found: nothing is served any more.
    damage: OnceLock<String>,
    /// Why nothing is written any more.
    pub(crate) stopped: OnceLock<String>,
    /// Something was read that cannot be right: the next open verifies first.
    pub(crate) suspect: AtomicBool,
    /// The engine's content was compared with its digest since the store was opened.
    pub(crate) verified: AtomicBool,
    /// The store is being closed: scans end.
    pub(crate) closing: AtomicBool,
    /// Bytes in the journal after the last checkpoint.
    pub(crate) journal_bytes: AtomicU64,
}

/// A scan that is under way.
struct Scan {
    /// The last entry that was read.
    passed: Option<(Space, Vec<u8>)>,
    /// The last space that was read to its end: what comes there now comes too late, also after its last entry.
    finished: Option<Space>,
    /// Digest of what the scan will have read at its end.
    expected: Digest,
}

/// Called for each entry of a scan with space, key and value.
pub(crate) type VisitEntry<'a> = dyn FnMut(Space, &[u8], &[u8]) -> Result<()> + 'a;

/// Keys and values, in order.
type Batch = Vec<(Vec<u8>, Vec<u8>)>;

/// What a scan came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scanned {
    /// What was read is at most as new as this transaction.
    pub(crate) end_seq: u64,
    pub(crate) entries: u64,
    /// Digest of the entries read.
    pub(crate) digest: Digest,
}

impl<E: Engine> Shared<E> {
    pub(crate) fn new(
        dir: PathBuf,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        engine: E,
        position: Position,
    ) -> Self {
        Self {
            dir,
            disk,
            clock,
            engine,
            view: RwLock::new(position),
            scan: Mutex::default(),
            upkeep: Mutex::default(),
            damage: OnceLock::new(),
            stopped: OnceLock::new(),
            suspect: AtomicBool::new(false),
            verified: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            journal_bytes: AtomicU64::new(0),
        }
    }

    /// Applies operations with the digests they add, and what is then the state. All or nothing.
    pub(crate) fn apply(&self, mut ops: Vec<Op>, deltas: &[Digest], after: Position) -> Result<()> {
        let covered = ops.len();
        ops.push(value::put_state(after));
        let mut view = self.view.write();
        self.engine.apply(&ops)?;
        *view = after;
        if let Some(scan) = &mut *self.scan.lock() {
            for (op, delta) in ops[..covered].iter().zip(deltas) {
                scan.note(op, *delta);
            }
        }
        Ok(())
    }

    /// Reads every entry the journal covers, in order, beside the writer, and compares with the digest. A
    /// difference is remembered: nothing is served after it.
    ///
    /// The caller holds `upkeep`.
    pub(crate) fn scan_checked(&self, visit: &mut VisitEntry<'_>) -> Result<Scanned> {
        let scanned = self.scan(visit).inspect_err(|error| {
            if matches!(error, Error::DamagedStore { .. }) {
                self.damaged(error.to_string());
            }
        });
        *self.scan.lock() = None;
        scanned
    }

    fn scan(&self, visit: &mut VisitEntry<'_>) -> Result<Scanned> {
        let view = self.view.write();
        *self.scan.lock() = Some(Scan {
            passed: None,
            finished: None,
            expected: view.digest,
        });
        drop(view);
        let (mut entries, mut digest) = (0, Digest::default());
        for space in Space::stored() {
            let mut from = Vec::new();
            while let Some(batch) = self.batch(space, &from)? {
                for (key, value) in &batch {
                    digest = digest.plus(Digest::of(space, key, value));
                    visit(space, key, value)?;
                }
                entries += batch.len() as u64;
                let Some((last, _)) = batch.last() else { break };
                from = [last.as_slice(), &[0]].concat();
            }
        }
        let view = self.view.read();
        let expected = self.scan.lock().as_ref().map(|scan| scan.expected);
        if expected != Some(digest) {
            return Err(Error::DamagedStore {
                dir: self.dir.clone(),
                reason: format!("its {entries} entries are not those that were written"),
            });
        }
        self.verified.store(true, Ordering::Release);
        Ok(Scanned {
            end_seq: view.seq,
            entries,
            digest,
        })
    }

    /// Some entries of a space, from a key on; marks them as passed. `None` after the last.
    fn batch(&self, space: Space, from: &[u8]) -> Result<Option<Batch>> {
        if self.closing.load(Ordering::Acquire) {
            return Err(Error::Stopped {
                reason: "the store is being closed".to_owned(),
            });
        }
        let (mut batch, mut bytes) = (Batch::new(), 0);
        let view = self.view.read();
        self.engine.range(space, from, None, &mut |key, value| {
            bytes += key.len() + value.len();
            batch.push((key.to_vec(), value.to_vec()));
            Ok(batch.len() < BATCH_ENTRIES && bytes < BATCH_BYTES)
        })?;
        if let Some(scan) = &mut *self.scan.lock() {
            match batch.last() {
                Some((last, _)) => scan.passed = Some((space, last.clone())),
                None => scan.finished = Some(space),
            }
        }
        drop(view);
        Ok((!batch.is_empty()).then_some(batch))
    }

    /// Stops serving.
    pub(crate) fn damaged(&self, reason: String) {
        tracing::error!(reason, dir = %self.dir.display(), "the store stops serving");
        self.suspect.store(true, Ordering::Release);
        // The first reason stays.
        let _ = self.stopped.set(reason.clone());
        let _ = self.damage.set(reason);
    }

    /// Refuses once damage was found.
    pub(crate) fn check(&self) -> Result<()> {
        match self.damage.get() {
            None => Ok(()),
            Some(reason) => Err(Error::DamagedStore {
                dir: self.dir.clone(),
                reason: reason.clone(),
            }),
        }
    }

    /// Remembers what must not be trusted after a restart.
    pub(crate) fn watch<T>(&self, outcome: Result<T>) -> Result<T> {
        if let Err(Error::DamagedRecord { .. } | Error::DamagedStore { .. }) = &outcome {
            self.suspect.store(true, Ordering::Release);
        }
        outcome
    }

    pub(crate) fn position(&self) -> Position {
        *self.view.read()
    }
}

impl Scan {
    /// Takes a change into account that the scan will meet.
    fn note(&mut self, op: &Op, delta: Digest) {
        let read = self
            .passed
            .as_ref()
            .is_some_and(|(space, key)| (op.space, &op.key) <= (*space, key));
        let finished = self.finished.is_some_and(|space| op.space <= space);
        if !read && !finished {
            self.expected = self.expected.plus(delta);
        }
    }
}

/// Digests of entries as they are while operations are being planned on top of an engine.
pub(crate) struct Ledger<'a, E> {
    engine: &'a E,
    /// Digests of entries that were read, and as planned operations leave them.
    known: std::collections::HashMap<(Space, Vec<u8>), Digest>,
    pub(crate) digest: Digest,
}

impl<'a, E: Engine> Ledger<'a, E> {
    pub(crate) fn new(engine: &'a E, digest: Digest) -> Self {
        Self {
            engine,
            known: std::collections::HashMap::new(),
            digest,
        }
    }

    /// Takes note of an entry that was read from the engine, before any operation on it is added.
    pub(crate) fn found(&mut self, space: Space, key: &[u8], value: Option<&[u8]>) {
        let digest = value
            .map(|value| Digest::of(space, key, value))
            .unwrap_or_default();
        self.known.insert((space, key.to_vec()), digest);
    }

    /// What an operation adds to the digest; it is taken as done.
    pub(crate) fn add(&mut self, op: &Op) -> Result<Digest> {
        let new = op
            .value
            .as_ref()
            .map(|value| Digest::of(op.space, &op.key, value))
            .unwrap_or_default();
        let place = (op.space, op.key.clone());
        let old = match self.known.insert(place, new) {
            Some(old) => old,
            None => match self.engine.get(op.space, &op.key)? {
                Some(old) => Digest::of(op.space, &op.key, &old),
                None => Digest::default(),
            },
        };
        let delta = new.minus(old);
        self.digest = self.digest.plus(delta);
        Ok(delta)
    }
}
