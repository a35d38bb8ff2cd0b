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

/// Applies records of the journal that come after a position, in batches.
pub(crate) struct Replay<'a, E> {
    dir: &'a Path,
    engine: &'a E,
    ledger: Ledger<'a, E>,
    position: Position,
    /// The digest must match from this record on.
    pub(crate) checked_from: u64,
    ops: Vec<Op>,
    bytes: usize,
    replayed: u64,
}

impl<'a, E: Engine> Replay<'a, E> {
    pub(crate) fn new(dir: &'a Path, engine: &'a E, position: Position) -> Self {
        Self {
            dir,
            engine,
            ledger: Ledger::new(engine, position.digest),
            position,
            checked_from: position.seq,
            ops: Vec::new(),
            bytes: 0,
            replayed: 0,
        }
    }

    pub(crate) fn take(&mut self, entry: Entry) -> Result<()> {
        let Entry { stamp, ops } = entry;
        if stamp.seq > self.position.seq {
            for op in &ops {
                self.ledger.add(op)?;
                self.bytes += op.key.len() + op.value.as_ref().map_or(0, Vec::len);
            }
            self.ops.extend(ops);
            self.replayed += 1;
            self.position = Position {
                seq: stamp.seq,
                digest: self.ledger.digest,
            };
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
        if self.bytes >= BATCH_BYTES || self.ops.len() >= BATCH_OPS {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.ops.push(value::put_state(self.position));
        self.engine.apply(&self.ops)?;
        self.ops.clear();
        self.bytes = 0;
        self.ledger = Ledger::new(self.engine, self.position.digest);
        Ok(())
    }

    /// The position reached, and the records applied.
    pub(crate) fn finish(mut self) -> Result<(Position, u64)> {
        if !self.ops.is_empty() {
            self.flush()?;
        }
        Ok((self.position, self.replayed))
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
