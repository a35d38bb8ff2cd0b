//! [`Keeper`]: the thread that verifies and writes checkpoints beside the writer, and what closing does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;

use crate::checkpoint::{self, Info};
use crate::config::StoreConfig;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::marker::Marker;
use crate::recovery::Recovery;
use crate::state::Shared;

/// A checkpoint is not worth writing while the journal has grown by less than this part of the last one.
const WORTHWHILE_PART: u64 = 16;

/// How a store is: for `status` commands, metrics and readiness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Sequence number of the last transaction.
    pub last_seq: u64,
    /// Digest of everything stored, in hexadecimal digits.
    pub digest: String,
    /// Whether the engine's content was compared with the digest.
    pub verified: Verified,
    /// Why the engine was rebuilt from checkpoint and journal when the store was opened; `None` if it was not.
    pub rebuilt: Option<String>,
    /// Transactions that the engine did not have when the store was opened, taken from the journal.
    pub replayed: u64,
    /// Whether the directory had the format without a journal when it was opened.
    pub upgraded: bool,
    /// Checkpoints written since the store was opened.
    pub checkpoints: u64,
    /// Checkpoints that could not be written; the journal grows meanwhile.
    pub failed_checkpoints: u64,
    /// Why the last of these failed.
    pub checkpoint_error: Option<String>,
    /// Where the newest checkpoint begins.
    pub last_checkpoint_seq: Option<u64>,
    /// Bytes of journal after it.
    pub journal_bytes: u64,
    /// Why nothing is written any more; `None` when all is well.
    pub stopped: Option<String>,
}

/// What is known of the engine's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verified {
    /// It is being compared with the digest.
    Pending,
    /// It was compared with the digest since the store was opened.
    Verified,
    /// It differs from what was written: nothing is served until a restart rebuilds it.
    Damaged,
}

/// What was done so far.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    pub(crate) recovery: Recovery,
    checkpoints: u64,
    failed_checkpoints: u64,
    checkpoint_error: Option<String>,
    last_checkpoint_seq: Option<u64>,
    last_checkpoint_bytes: u64,
}

impl Upkeep {
    pub(crate) fn new(recovery: Recovery, newest: Option<(u64, u64)>) -> Self {
        Self {
            recovery,
            last_checkpoint_seq: newest.map(|(seq, _)| seq),
            last_checkpoint_bytes: newest.map_or(0, |(_, bytes)| bytes),
            ..Self::default()
        }
    }

    pub(crate) fn status<E: Engine>(&self, shared: &Shared<E>) -> Status {
        let position = shared.position();
        let verified = if shared.check().is_err() {
            Verified::Damaged
        } else if shared.verified.load(Ordering::Acquire) {
            Verified::Verified
        } else {
            Verified::Pending
        };
        Status {
            last_seq: position.seq,
            digest: position.digest.to_string(),
            verified,
            rebuilt: self.recovery.rebuilt.clone(),
            replayed: self.recovery.replayed,
            upgraded: self.recovery.upgraded,
            checkpoints: self.checkpoints,
            failed_checkpoints: self.failed_checkpoints,
            checkpoint_error: self.checkpoint_error.clone(),
            last_checkpoint_seq: self.last_checkpoint_seq,
            journal_bytes: shared.journal_bytes.load(Ordering::Acquire),
            stopped: shared.stopped.get().cloned(),
        }
    }

    fn note(&mut self, outcome: &Result<Info>) {
        match outcome {
            Ok(info) => {
                self.checkpoints += 1;
                self.last_checkpoint_seq = Some(info.start.seq);
                self.last_checkpoint_bytes = info.bytes;
            }
            Err(error) => {
                self.failed_checkpoints += 1;
                self.checkpoint_error = Some(error.to_string());
            }
        }
    }
}

pub(crate) struct Keeper<E> {
    pub(crate) shared: Arc<Shared<E>>,
    pub(crate) upkeep: Arc<Mutex<Upkeep>>,
    /// Woken when the journal is long; ends when nobody can wake it any more.
    pub(crate) wake: Receiver<()>,
    pub(crate) interval: Duration,
    pub(crate) journal_limit: u64,
}

impl<E: Engine> Keeper<E> {
    pub(crate) fn new(
        shared: Arc<Shared<E>>,
        upkeep: Arc<Mutex<Upkeep>>,
        wake: Receiver<()>,
        config: &StoreConfig,
    ) -> Self {
        Self {
            shared,
            upkeep,
            wake,
            interval: config.checkpoint_interval,
            journal_limit: config.checkpoint_journal_bytes,
        }
    }

    /// Works until the store is closed.
    pub(crate) fn run(self) {
        if !self.shared.verified.load(Ordering::Acquire) {
            self.verify();
        }
        loop {
            let due = match self.wake.recv_timeout(self.interval) {
                Ok(()) => self.shared.journal_bytes.load(Ordering::Acquire) >= self.journal_limit,
                Err(RecvTimeoutError::Timeout) => is_due(&self.shared, &self.upkeep),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if due && self.shared.stopped.get().is_none() {
                // Noted and logged; the next one is tried in its time.
                let _ = checkpoint(&self.shared, &self.upkeep);
            }
        }
    }

    fn verify(&self) {
        let _upkeep = self.shared.upkeep.lock();
        match self.shared.scan_checked(&mut |_, _, _| Ok(())) {
            Ok(scanned) => tracing::debug!(entries = scanned.entries, "the store was verified"),
            // Being closed, or reported where it was found.
            Err(error) => tracing::debug!(%error, "the store was not verified"),
        }
    }
}

/// Writes a checkpoint now.
pub(crate) fn checkpoint<E: Engine>(shared: &Shared<E>, upkeep: &Mutex<Upkeep>) -> Result<Info> {
    let _upkeep = shared.upkeep.lock();
    let outcome = checkpoint::make(shared);
    let closing = matches!(&outcome, Err(Error::Stopped { .. }));
    if !closing {
        if let Err(error) = &outcome {
            tracing::warn!(%error, "a checkpoint could not be written; the journal grows until one can");
        }
        upkeep.lock().note(&outcome);
    }
    outcome
}

fn is_due<E: Engine>(shared: &Shared<E>, upkeep: &Mutex<Upkeep>) -> bool {
    let grown = shared.journal_bytes.load(Ordering::Acquire);
    grown > 0 && grown >= upkeep.lock().last_checkpoint_bytes / WORTHWHILE_PART
}

/// Leaves the directory so that the next open trusts it, or verifies it first. Writer and keeper have ended.
pub(crate) fn close<E: Engine>(shared: &Shared<E>, upkeep: &Mutex<Upkeep>) {
    shared.closing.store(false, Ordering::Release);
    if let Err(error) = leave(shared, upkeep) {
        tracing::warn!(%error, dir = %shared.dir.display(), "the store was not closed cleanly; the next start recovers it");
    }
}

fn leave<E: Engine>(shared: &Shared<E>, upkeep: &Mutex<Upkeep>) -> Result<()> {
    if shared.suspect.load(Ordering::Acquire) {
        return Marker::distrust().write(&*shared.disk, &shared.dir);
    }
    if shared.stopped.get().is_some() {
        return Ok(());
    }
    if is_due(shared, upkeep) {
        checkpoint(shared, upkeep)?;
    } else {
        shared.engine.sync()?;
    }
    let trusted = shared.verified.load(Ordering::Acquire) || upkeep.lock().recovery.clean;
    if trusted {
        Marker::Clean(shared.position()).write(&*shared.disk, &shared.dir)?;
    }
    Ok(())
}
