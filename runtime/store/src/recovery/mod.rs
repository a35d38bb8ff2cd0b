//! Opening: from whatever a shutdown, a kill, a power cut or damage left, to a store that holds exactly what
//! was acknowledged, or to an error that says what to do.
//!
//! ```text
//! marker        engine
//! clean         at the marker's position          trusted, verified beside the work
//! running       same boot                         trusted as far as it got, verified beside the work
//! running       other boot, or unknown            verified before it is served
//! none          nothing there                     a new store
//! none          records but no journal            of the format before: a first checkpoint is written
//!
//! the journal after the engine's position is replayed first; each record says what the digest must be
//!
//! any error, panic or difference                  set aside, rebuilt from checkpoint and journal
//! the journal damaged before its end              refused
//! ```

mod replay;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::checkpoint;
use crate::clock::{Clock, unix_millis};
use crate::config::{StoreConfig, VerifyOnOpen};
use crate::digest::Digest;
use crate::disk::Disk;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::journal::reader::{self, End};
use crate::journal::{self, Journal};
use crate::marker::{self, FORMAT, Marker};
use crate::state::{Position, Shared};
use crate::tree::Space;
use crate::value;

pub(crate) use replay::{Loader, Replay};

/// Names in the meta space, as the format without a journal has them.
const FORMAT_NAME: &str = "format";
const LAST_SEQ_NAME: &str = "last-seq";

/// What opening is done with.
pub(crate) struct Opening<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) config: &'a StoreConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) disk: Arc<dyn Disk>,
}

/// A store that is ready for its first transaction.
pub(crate) struct Opened<E> {
    pub(crate) shared: Shared<E>,
    pub(crate) journal: Journal,
    pub(crate) recovery: Recovery,
    /// Sequence number and bytes of the newest checkpoint.
    pub(crate) newest_checkpoint: Option<(u64, u64)>,
}

/// What opening found and did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recovery {
    /// Why the engine was rebuilt, if it was.
    pub(crate) rebuilt: Option<String>,
    /// The engine was compared with its digest.
    pub(crate) verified: bool,
    /// The store was closed before, or is new.
    pub(crate) clean: bool,
    /// Records of the journal that the engine did not have.
    pub(crate) replayed: u64,
    /// The directory had the format without a journal.
    pub(crate) upgraded: bool,
}

/// An engine that is up to date with the journal.
struct Ready<E> {
    engine: E,
    position: Position,
    end: End,
    recovery: Recovery,
}

impl Opening<'_> {
    /// Opens the directory, which the caller has locked.
    pub(crate) fn open<E: Engine>(&self) -> Result<Opened<E>> {
        let marker = Marker::read(&*self.disk, self.dir)?;
        self.create_folders()?;
        let new = marker == Marker::Missing && self.segments()?.is_empty();
        let ready: Ready<E> = if new {
            self.begin()?
        } else {
            self.recover(&marker)?
        };
        let journal_bytes = ready.end.bytes;
        let journal = Journal::resume(
            Arc::clone(&self.disk),
            &self.journal_folder(),
            self.config.segment_bytes,
            ready.end,
        )?;
        Marker::Running(marker::boot_id()).write(&*self.disk, self.dir)?;
        // Asked for, not remembered: an older build that found no mark would write beside the journal.
        if value::read_meta(&ready.engine, FORMAT_NAME)? != Some(FORMAT.into()) {
            let format = value::put_meta(FORMAT_NAME, 0, FORMAT.into());
            ready.engine.apply(&[format])?;
            ready.engine.sync()?;
        }
        let shared = Shared::new(
            self.dir.to_owned(),
            Arc::clone(&self.disk),
            Arc::clone(&self.clock),
            ready.engine,
            ready.position,
        );
        shared.journal_bytes.store(journal_bytes, Ordering::Release);
        shared
            .verified
            .store(ready.recovery.verified, Ordering::Release);
        Ok(Opened {
            shared,
            journal,
            recovery: ready.recovery,
            newest_checkpoint: self.newest_checkpoint()?,
        })
    }

    fn journal_folder(&self) -> PathBuf {
        self.dir.join(journal::FOLDER)
    }

    fn segments(&self) -> Result<Vec<(u64, PathBuf)>> {
        journal::segments(&*self.disk, &self.journal_folder())
    }

    fn checkpoints(&self) -> Result<Vec<(u64, PathBuf)>> {
        checkpoint::list(&*self.disk, &self.dir.join(checkpoint::FOLDER))
    }

    fn newest_checkpoint(&self) -> Result<Option<(u64, u64)>> {
        let Some((seq, path)) = self.checkpoints()?.pop() else {
            return Ok(None);
        };
        let file = self.disk.open(&path);
        let bytes = file.and_then(|file| file.length());
        let bytes = bytes.map_err(|error| Error::io("open", &path, &error))?;
        Ok(Some((seq, bytes)))
    }

    fn create_folders(&self) -> Result<()> {
        for name in [journal::FOLDER, checkpoint::FOLDER] {
            let folder = self.dir.join(name);
            self.disk
                .create_folder(&folder)
                .map_err(|error| Error::io("create", &folder, &error))?;
        }
        self.sync_dir()
    }

    fn sync_dir(&self) -> Result<()> {
        self.disk
            .sync(self.dir)
            .map_err(|error| Error::io("sync", self.dir, &error))
    }

    fn damaged(&self, reason: impl Into<String>) -> Error {
        Error::DamagedStore {
            dir: self.dir.to_owned(),
            reason: reason.into(),
        }
    }

    /// A new store, or one of the format without a journal. Nothing was acknowledged in this format before the
    /// marker is written, so whatever is done here can be done again.
    fn begin<E: Engine>(&self) -> Result<Ready<E>> {
        let engine = E::open(self.dir, self.config, Arc::clone(&self.disk))?;
        match value::read_meta(&engine, FORMAT_NAME)? {
            Some(found) if found > u64::from(FORMAT) => {
                return Err(Error::NewerFormat {
                    dir: self.dir.to_owned(),
                    found: u32::try_from(found).unwrap_or(u32::MAX),
                    supported: FORMAT,
                });
            }
            Some(found) if found == u64::from(FORMAT) => {
                return Err(self.damaged("its journal and its file STATE are missing"));
            }
            _ => {}
        }
        let seq = value::read_meta(&engine, LAST_SEQ_NAME)?.unwrap_or(0);
        let (digest, entries) = digest_of(&engine)?;
        let position = Position { seq, digest };
        engine.apply(&[value::put_state(position)])?;
        engine.sync()?;
        let upgraded = entries > 0 || seq > 0;
        let mut ready = Ready {
            engine,
            position,
            end: End {
                next_seq: seq + 1,
                crc: 0,
                bytes: 0,
                tail: None,
            },
            recovery: Recovery {
                verified: true,
                clean: true,
                upgraded,
                ..Recovery::default()
            },
        };
        if upgraded {
            ready.engine = self.first_checkpoint(ready.engine, position)?;
            tracing::info!(seq, entries, dir = %self.dir.display(), "upgraded the store to the format with a journal");
        }
        Ok(ready)
    }

    /// The journal begins after what is there already: without a checkpoint it could not be rebuilt.
    fn first_checkpoint<E: Engine>(&self, engine: E, position: Position) -> Result<E> {
        let shared = Shared::new(
            self.dir.to_owned(),
            Arc::clone(&self.disk),
            Arc::clone(&self.clock),
            engine,
            position,
        );
        checkpoint::make(&shared)?;
        Ok(shared.engine)
    }

    fn recover<E: Engine>(&self, marker: &Marker) -> Result<Ready<E>> {
        let reason = match self.continue_engine(marker) {
            Ok(ready) => return Ok(ready),
            Err(
                error @ (Error::Locked { .. }
                | Error::DamagedJournal { .. }
                | Error::Io { action: "sync", .. }),
            ) => return Err(error),
            Err(error) => error.to_string(),
        };
        // Before anything is set aside: is there what a rebuild needs?
        let candidates = self.candidates()?;
        let mut problems = Vec::new();
        for candidate in candidates {
            match self.rebuild(candidate.as_deref(), &reason) {
                Ok(ready) => return Ok(ready),
                Err(error @ Error::DamagedCheckpoint { .. }) => {
                    tracing::warn!(%error, "a checkpoint is passed over");
                    problems.push(error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        problems.insert(0, reason);
        problems.push("no checkpoint is left to rebuild it from".to_owned());
        Err(self.damaged(problems.join("; ")))
    }

    /// The engine as it is, with what the journal has after it.
    fn continue_engine<E: Engine>(&self, marker: &Marker) -> Result<Ready<E>> {
        if !self.dir.join(E::FOLDER).is_dir() {
            return Err(self.damaged(format!("its folder {} is missing", E::FOLDER)));
        }
        let engine = E::open(self.dir, self.config, Arc::clone(&self.disk))?;
        let Some(position) = value::read_state(&engine)? else {
            return Err(self.damaged("its engine does not know its own state"));
        };
        let clean = *marker == Marker::Clean(position);
        let killed = *marker == Marker::Running(marker::boot_id()) && *marker != Marker::distrust();
        let always = self.config.verify_on_open == VerifyOnOpen::Always;
        let verified = always || !(clean || killed);
        let next = position.seq + 1;
        let first = self.segments()?.first().map_or(next, |(seq, _)| *seq);
        if next < first {
            let reason = format!("its engine ends before the journal begins, with record {first}");
            return Err(self.damaged(reason));
        }
        let checkpoint = self.checkpoints()?.last().map(|(seq, _)| *seq);
        let from = checkpoint.map_or(first, |seq| seq + 1).min(next);
        let mut replay = Replay::resume(self.dir, &engine, position);
        let end = match self.read(from, &mut |entry| replay.take(entry)) {
            // A checkpoint of the very state the store was closed in: the journal is not needed.
            Err(error @ Error::DamagedJournal { .. }) if clean && self.is_closed_in(position) => {
                tracing::warn!(%error, "a new journal is begun; the store was closed after a checkpoint");
                replay = Replay::resume(self.dir, &engine, position);
                End {
                    next_seq: position.seq + 1,
                    crc: 0,
                    bytes: 0,
                    tail: None,
                }
            }
            outcome => outcome?,
        };
        let (position, replayed) = replay.finish();
        if verified {
            let (digest, entries) = digest_of(&engine)?;
            if digest != position.digest {
                let reason = format!("its {entries} entries are not those that were written");
                return Err(self.damaged(reason));
            }
        }
        let known = match marker {
            Marker::Clean(position) => position.seq,
            _ => 0,
        };
        self.check_end(&end, position.seq.max(known))?;
        if replayed > 0 {
            engine.sync()?;
        }
        Ok(Ready {
            engine,
            position,
            end,
            recovery: Recovery {
                verified,
                clean,
                replayed,
                ..Recovery::default()
            },
        })
    }

    fn read(&self, from: u64, visit: &mut reader::Visit<'_>) -> Result<End> {
        reader::read(&*self.disk, &self.journal_folder(), from, visit)
    }

    /// Refuses a journal that ends before `seq`, which is known to have been in it.
    fn check_end(&self, end: &End, seq: u64) -> Result<()> {
        if end.next_seq > seq {
            return Ok(());
        }
        let file = match &end.tail {
            Some(tail) => tail.path.clone(),
            None => self.journal_folder(),
        };
        let reason = format!("it is missing, although record {seq} was written");
        Err(reader::damaged(&file, end.next_seq, reason))
    }

    /// Whether the newest checkpoint is whole and holds all there was at `position`.
    fn is_closed_in(&self, position: Position) -> bool {
        let newest = self.checkpoints().ok().and_then(|mut all| all.pop());
        newest.is_some_and(|(seq, path)| {
            seq == position.seq && checkpoint::verify(&*self.disk, &path).is_ok()
        })
    }

    /// What the engine can be rebuilt from, best first; `None` is the empty store, when the journal has it all.
    fn candidates(&self) -> Result<Vec<Option<PathBuf>>> {
        let checkpoints = self.checkpoints()?;
        let mut all: Vec<_> = checkpoints
            .into_iter()
            .rev()
            .map(|(_, path)| Some(path))
            .collect();
        if self.segments()?.first().is_some_and(|(seq, _)| *seq == 1) {
            all.push(None);
        }
        Ok(all)
    }

    fn rebuild<E: Engine>(&self, candidate: Option<&Path>, reason: &str) -> Result<Ready<E>> {
        // The journal is read before the engine is touched: if it is damaged, nothing is changed.
        let info = candidate
            .map(|path| checkpoint::verify(&*self.disk, path))
            .transpose()?;
        let from = info.map_or(0, |info| info.start.seq) + 1;
        let end = self.read(from, &mut |_| Ok(()))?;
        self.check_end(&end, info.map_or(0, |info| info.end_seq))?;
        self.set_aside::<E>()?;
        let engine = E::open(self.dir, self.config, Arc::clone(&self.disk))?;
        let mut loader = Loader::new(&engine);
        if let Some(path) = candidate {
            checkpoint::load(&*self.disk, path, &mut |space, key, value| {
                loader.add(space, key, value)
            })?;
        }
        let loaded = loader.finish()?;
        let start = Position {
            seq: from - 1,
            digest: loaded,
        };
        // Entries of the checkpoint may be ahead of the first records.
        let checked_from = info.map_or(0, |info| info.end_seq);
        let mut replay = Replay::rebuild(self.dir, &engine, start, checked_from);
        let end = self.read(from, &mut |entry| replay.take(entry))?;
        let (position, replayed) = replay.finish();
        if replayed == 0 && info.is_some_and(|info| info.start.digest != position.digest) {
            return Err(self.damaged("its newest checkpoint is not the state it is named after"));
        }
        engine.apply(&[value::put_state(position)])?;
        tracing::warn!(
            reason,
            dir = %self.dir.display(),
            last_seq = position.seq,
            replayed,
            "the store's engine was rebuilt from checkpoint and journal; what it was is kept beside it"
        );
        Ok(Ready {
            engine,
            position,
            end,
            recovery: Recovery {
                rebuilt: Some(reason.to_owned()),
                verified: true,
                replayed,
                ..Recovery::default()
            },
        })
    }

    /// Moves the engine's folder out of the way, in place of the one set aside before.
    fn set_aside<E: Engine>(&self) -> Result<()> {
        let folder = self.dir.join(E::FOLDER);
        if !folder.is_dir() {
            return Ok(());
        }
        let prefix = format!("{}.bad.", E::FOLDER);
        let failed = |error| Error::io("set aside", &folder, &error);
        for entry in fs::read_dir(self.dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                fs::remove_dir_all(entry.path()).map_err(failed)?;
            }
        }
        let bad = format!("{prefix}{}", unix_millis(&*self.clock));
        fs::rename(&folder, self.dir.join(bad)).map_err(failed)?;
        self.sync_dir()
    }
}

/// Digest and number of all entries the journal covers.
pub(crate) fn digest_of(engine: &impl Engine) -> Result<(Digest, u64)> {
    let (mut digest, mut entries) = (Digest::default(), 0);
    for space in Space::stored() {
        engine.range(space, &[], None, &mut |key, value| {
            digest = digest.plus(Digest::of(space, key, value));
            entries += 1;
            Ok(true)
        })?;
    }
    Ok((digest, entries))
}
