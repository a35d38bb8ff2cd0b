//! Filling an engine: [`Replay`] from the journal, [`Loader`] from a checkpoint.

use std::path::Path;

use crate::digest::Digest;
use crate::engine::{Engine, Op};
use crate::error::{Error, Result};
use crate::journal::record::Entry;
use crate::state::{Ledger, Position};
use crate::tree::Space;
use crate::value;

/// Bytes applied to the engine at once.
const BATCH_BYTES: usize = 1024 * 1024;
const BATCH_OPS: usize = 2000;

/// Applies records of the journal that come after a position.
///
/// The engine may hold the first operations of the group that follows its state: a crash met it in the middle. Such
/// operations happen once more, and what they add to the digest cannot be told from what is there; it is taken
/// from the journal. Each record is applied with its state, so that a crash in here leaves nothing else.
pub(crate) struct Replay<'a, E> {
    dir: &'a Path,
    engine: &'a E,
    position: Position,
    /// The digest must match from this record on.
    checked_from: u64,
    /// Records that were written when no later one than this was in the engine may be there in part.
    begun_after: Option<u64>,
    replayed: u64,
}

impl<'a, E: Engine> Replay<'a, E> {
    /// Goes on in an engine that was in use.
    pub(crate) fn resume(dir: &'a Path, engine: &'a E, position: Position) -> Self {
        Self {
            begun_after: Some(position.seq),
            ..Self::rebuild(dir, engine, position, position.seq)
        }
    }

    /// Fills an engine that holds a checkpoint, whose entries may be as new as those of the record `checked_from`.
    pub(crate) fn rebuild(
        dir: &'a Path,
        engine: &'a E,
        position: Position,
        checked_from: u64,
    ) -> Self {
        Self {
            dir,
            engine,
            position,
            checked_from,
            begun_after: None,
            replayed: 0,
        }
    }

    pub(crate) fn take(&mut self, entry: Entry) -> Result<()> {
        let Entry { stamp, mut ops } = entry;
        if stamp.seq > self.position.seq {
            let digest = match self.begun_after {
                Some(last) if stamp.durable <= last => stamp.digest,
                _ => self.digest_after(&ops)?,
            };
            self.position = Position {
                seq: stamp.seq,
                digest,
            };
            ops.push(value::put_state(self.position));
            self.engine.apply(&ops)?;
            self.replayed += 1;
        }
        if stamp.seq >= self.checked_from
            && stamp.seq == self.position.seq
            && stamp.digest != self.position.digest
        {
            return Err(Error::DamagedStore {
                dir: self.dir.to_owned(),
                reason: format!(
                    "after record {} of the journal the engine does not hold what was written",
                    stamp.seq
                ),
            });
        }
        Ok(())
    }

    fn digest_after(&self, ops: &[Op]) -> Result<Digest> {
        let mut ledger = Ledger::new(self.engine, self.position.digest);
        for op in ops {
            ledger.add(op)?;
        }
        Ok(ledger.digest)
    }

    /// The position reached, and the records applied.
    pub(crate) fn finish(self) -> (Position, u64) {
        (self.position, self.replayed)
    }
}

/// Fills an empty engine.
pub(crate) struct Loader<'a, E> {
    engine: &'a E,
    ops: Vec<Op>,
    bytes: usize,
    digest: Digest,
}

impl<'a, E: Engine> Loader<'a, E> {
    pub(crate) fn new(engine: &'a E) -> Self {
        Self {
            engine,
            ops: Vec::new(),
            bytes: 0,
            digest: Digest::default(),
        }
    }

    pub(crate) fn add(&mut self, space: Space, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        self.digest = self.digest.plus(Digest::of(space, &key, &value));
        self.bytes += key.len() + value.len();
        self.ops.push(Op {
            space,
            key,
            value: Some(value),
        });
        if self.bytes >= BATCH_BYTES || self.ops.len() >= BATCH_OPS {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.ops.is_empty() {
            return Ok(());
        }
        self.engine.apply(&self.ops)?;
        self.ops.clear();
        self.bytes = 0;
        Ok(())
    }

    /// Digest of what was loaded.
    pub(crate) fn finish(mut self) -> Result<Digest> {
        self.flush()?;
        Ok(self.digest)
    }
}
