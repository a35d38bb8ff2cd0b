//! Work on a directory nobody has open: [`verify`], [`repair`], [`migrate`].

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::checkpoint::{self, Info};
use crate::clock::{Clock, unix_millis};
use crate::config::StoreConfig;
use crate::digest::Digest;
use crate::disk::{Disk, SystemDisk};
use crate::engine::Engine;
use crate::engine::sled::SledEngine;
use crate::error::{Error, Result};
use crate::folder::{create_folder, lock};
use crate::journal::reader::{self, End};
use crate::journal::{self, Journal};
use crate::marker::Marker;
use crate::recovery::{Loader, Replay};
use crate::state::{Position, Shared};
use crate::store::{Database, Store as _};
use crate::tree::Space;
use crate::value;

/// Where [`repair`] builds before it replaces anything.
const SCRATCH: &str = "repair.tmp";

/// What was found in a store's directory, and done there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The directory.
    pub dir: PathBuf,
    /// Sequence number of the last transaction, by the journal.
    pub last_seq: u64,
    /// Digest of everything stored, in hexadecimal digits.
    pub digest: String,
    /// Entries in each tree, by its stored name; `chunk` counts the pieces of large payloads.
    pub entries: BTreeMap<String, u64>,
    /// The checkpoints, oldest first.
    pub checkpoints: Vec<CheckpointReport>,
    /// First and last transaction in the journal; `None` when it is empty.
    pub journal: Option<(u64, u64)>,
    /// Transactions that the engine does not have yet: opening takes them from the journal.
    pub behind: u64,
    /// What was done, a sentence each.
    pub done: Vec<String>,
    /// What is wrong, a sentence each; empty when all is well.
    pub problems: Vec<String>,
}

/// A checkpoint in a [`Report`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckpointReport {
    /// Sequence number it begins at.
    pub seq: u64,
    /// Entries in it; 0 when it is damaged.
    pub entries: u64,
    /// Its size; 0 when it is damaged.
    pub bytes: u64,
    /// Whether its sha256 matches.
    pub sound: bool,
}

/// Checks everything in the directory: sha256 of each checkpoint, the chain of the journal, the engine against
/// its digest. Repairs nothing: what opening would repair by itself is reported, too.
///
/// # Errors
/// [`Error::Locked`], [`Error::NewerFormat`], and [`Error::Io`] when something cannot be read at all. Damage is
/// no error but a problem in the report.
pub fn verify(dir: &Path) -> Result<Report> {
    let _lock = lock_existing(dir)?;
    let marker = Marker::read(&SystemDisk, dir)?;
    let mut report = Report {
        dir: dir.to_owned(),
        ..Report::default()
    };
    if marker == Marker::Missing {
        let problem = "it has the format without a journal; `tenon store migrate` upgrades it";
        report.problems.push(problem.to_owned());
    } else {
        verify_checkpoints(&mut report)?;
        verify_journal(&mut report)?;
    }
    if let Err(error) = verify_engine(&mut report, &marker) {
        report.problems.push(error.to_string());
    }
    Ok(report)
}

pub(crate) fn lock_existing(dir: &Path) -> Result<fs::File> {
    if !dir.join(SledEngine::FOLDER).is_dir() && !dir.join(journal::FOLDER).is_dir() {
        return Err(Error::Io {
            action: "find a store in",
            path: dir.to_owned(),
            reason: "it has neither a journal nor an engine".to_owned(),
        });
    }
    lock(dir)
}

fn verify_checkpoints(report: &mut Report) -> Result<()> {
    for (seq, path) in checkpoint::list(&SystemDisk, &report.dir.join(checkpoint::FOLDER))? {
        let info = checkpoint::verify(&SystemDisk, &path);
        report.checkpoints.push(CheckpointReport {
            seq,
            entries: info.as_ref().map_or(0, |info| info.entries),
            bytes: info.as_ref().map_or(0, |info| info.bytes),
            sound: info.is_ok(),
        });
        if let Err(error) = info {
            report.problems.push(error.to_string());
        }
    }
    Ok(())
}

fn verify_journal(report: &mut Report) -> Result<()> {
    let folder = report.dir.join(journal::FOLDER);
    let Some((first, _)) = journal::segments(&SystemDisk, &folder)?.into_iter().next() else {
        report.problems.push("it has no journal".to_owned());
        return Ok(());
    };
    let mut last = None;
    let outcome = reader::read(&SystemDisk, &folder, first, &mut |entry| {
        last = Some((entry.stamp.seq, entry.stamp.digest));
        Ok(())
    });
    if let Some((seq, digest)) = last {
        report.journal = Some((first, seq));
        report.digest = digest.to_string();
    }
    report.last_seq = last.map_or(first - 1, |(seq, _)| seq);
    match outcome {
        Err(error @ Error::DamagedJournal { .. }) => report.problems.push(error.to_string()),
        outcome => drop(outcome?),
    }
    Ok(())
}

fn verify_engine(report: &mut Report, marker: &Marker) -> Result<()> {
    let dir = &report.dir.clone();
    let damaged = |reason: String| Error::DamagedStore {
        dir: dir.clone(),
        reason,
    };
    if !dir.join(SledEngine::FOLDER).is_dir() {
        return Err(damaged("its folder sled is missing".to_owned()));
    }
    let engine = SledEngine::open(dir, &StoreConfig::default(), Arc::new(SystemDisk))?;
    let digest = count(&engine, &mut report.entries)?;
    if *marker == Marker::Missing {
        report.digest = digest.to_string();
        return Ok(());
    }
    let Some(position) = value::read_state(&engine)? else {
        return Err(damaged("its engine does not know its own state".to_owned()));
    };
    if position.digest != digest {
        return Err(damaged(
            "what sled holds is not what was written".to_owned(),
        ));
    }
    report.behind = report.last_seq.saturating_sub(position.seq);
    if report.behind == 0 {
        report.digest = digest.to_string();
    }
    if position.seq > report.last_seq {
        return Err(damaged(format!(
            "its journal ends with record {}, but record {} was written",
            report.last_seq, position.seq
        )));
    }
    Ok(())
}

/// Counts entries by the name of their space; returns their digest.
fn count(engine: &impl Engine, entries: &mut BTreeMap<String, u64>) -> Result<Digest> {
    let mut digest = Digest::default();
    for space in Space::stored() {
        let mut found = 0;
        engine.range(space, &[], None, &mut |key, value| {
            digest = digest.plus(Digest::of(space, key, value));
            found += 1;
            Ok(true)
        })?;
        entries.insert(space.name().to_owned(), found);
    }
    Ok(digest)
}

/// Rebuilds the store as it was after transaction `to_seq`, or with `None` after the last one before the first
/// record that cannot be read, and gives up everything later. What it replaces is kept beside it, as
/// `sled.bad.<time>`, `journal.bad.<time>` and `checkpoint.bad.<time>`.
///
/// # Errors
/// [`Error::Locked`]; [`Error::DamagedStore`] when checkpoints and journal do not lead to that transaction;
/// [`Error::Io`]. The directory is then as it was, unless it fails while the new files take the places of the old:
/// then both lie in it.
pub fn repair(dir: &Path, to_seq: Option<u64>, clock: &dyn Clock) -> Result<Report> {
    let lock = lock_existing(dir)?;
    if Marker::read(&SystemDisk, dir)? == Marker::Missing {
        return Err(Error::DamagedStore {
            dir: dir.to_owned(),
            reason: "it has the format without a journal, there is nothing to repair it from"
                .to_owned(),
        });
    }
    let scratch = dir.join(SCRATCH);
    let failed = |error| Error::io("prepare", &scratch, &error);
    if scratch.is_dir() {
        fs::remove_dir_all(&scratch).map_err(failed)?;
    }
    let repaired = build(dir, &scratch, to_seq, clock);
    let replaced = repaired.and_then(|position| {
        replace(dir, &scratch, unix_millis(clock))?;
        Ok(position)
    });
    if scratch.is_dir() {
        fs::remove_dir_all(&scratch).map_err(failed)?;
    }
    let position = replaced?;
    drop(lock);
    let mut report = verify(dir)?;
    report.last_seq = position.seq;
    report.done.push(format!(
        "rebuilt from checkpoint and journal up to transaction {}; what was there is kept as *.bad.*",
        position.seq
    ));
    Ok(report)
}

/// A whole store in `scratch`.
fn build(dir: &Path, scratch: &Path, to_seq: Option<u64>, clock: &dyn Clock) -> Result<Position> {
    let disk = Arc::new(SystemDisk);
    let mut problems = Vec::new();
    for candidate in candidates(dir, to_seq)? {
        for folder in [
            scratch.to_owned(),
            scratch.join(journal::FOLDER),
            scratch.join(checkpoint::FOLDER),
        ] {
            create_folder(&folder, &SystemDisk)?;
        }
        let engine = SledEngine::open(scratch, &StoreConfig::default(), disk.clone())?;
        let position = match fill(dir, &engine, candidate.as_ref(), to_seq) {
            Ok(position) if to_seq.is_none_or(|to_seq| to_seq == position.seq) => position,
            outcome => {
                problems.push(match outcome {
                    Ok(position) => format!("records lead to transaction {}", position.seq),
                    Err(error) => error.to_string(),
                });
                drop(engine);
                let failed = |error| Error::io("empty", scratch, &error);
                fs::remove_dir_all(scratch).map_err(failed)?;
                continue;
            }
        };
        engine.apply(&[value::put_state(position)])?;
        let at = clock.now();
        let clock = Arc::new(crate::clock::ManualClock::new(at));
        let shared = Shared::new(scratch.to_owned(), disk.clone(), clock, engine, position);
        checkpoint::make(&shared)?;
        let end = End {
            next_seq: position.seq + 1,
            crc: 0,
            bytes: 0,
            tail: None,
        };
        let bytes = StoreConfig::default().segment_bytes;
        Journal::resume(disk, &scratch.join(journal::FOLDER), bytes, end)?;
        return Ok(position);
    }
    problems.push("no checkpoint leads there".to_owned());
    Err(Error::DamagedStore {
        dir: dir.to_owned(),
        reason: problems.join("; "),
    })
}

/// What may be built on, best first; `None` is the empty store.
fn candidates(dir: &Path, to_seq: Option<u64>) -> Result<Vec<Option<(PathBuf, Info)>>> {
    let mut all = Vec::new();
    for (_, path) in checkpoint::list(&SystemDisk, &dir.join(checkpoint::FOLDER))?
        .into_iter()
        .rev()
    {
        if let Ok(info) = checkpoint::verify(&SystemDisk, &path)
            && to_seq.is_none_or(|to_seq| info.end_seq <= to_seq)
        {
            all.push(Some((path, info)));
        }
    }
    let segments = journal::segments(&SystemDisk, &dir.join(journal::FOLDER))?;
    if segments.first().is_some_and(|(seq, _)| *seq == 1) {
        all.push(None);
    }
    Ok(all)
}

/// Loads a checkpoint and replays the journal as far as it goes, at most to `to_seq`.
fn fill(
    dir: &Path,
    engine: &SledEngine,
    candidate: Option<&(PathBuf, Info)>,
    to_seq: Option<u64>,
) -> Result<Position> {
    let mut loader = Loader::new(engine);
    if let Some((path, _)) = candidate {
        checkpoint::load(&SystemDisk, path, &mut |space, key, value| {
            loader.add(space, key, value)
        })?;
    }
    let info = candidate.map(|(_, info)| info);
    let start = Position {
        seq: info.map_or(0, |info| info.start.seq),
        digest: loader.finish()?,
    };
    let checked_from = info.map_or(0, |info| info.end_seq);
    let mut replay = Replay::rebuild(dir, engine, start, checked_from);
    let folder = dir.join(journal::FOLDER);
    let last = to_seq.unwrap_or(u64::MAX);
    let outcome = reader::read(&SystemDisk, &folder, start.seq + 1, &mut |entry| {
        if entry.stamp.seq <= last {
            replay.take(entry)?;
        }
        Ok(())
    });
    match outcome {
        // What is wanted lies before it, or it is given up.
        Err(Error::DamagedJournal { .. }) => {}
        outcome => drop(outcome?),
    }
    let (position, _) = replay.finish();
    let complete = info.map_or(0, |info| info.end_seq);
    if position.seq < complete {
        return Err(Error::DamagedStore {
            dir: dir.to_owned(),
            reason: format!("a checkpoint needs record {complete} of the journal"),
        });
    }
    Ok(position)
}

/// Puts what was built in place.
fn replace(dir: &Path, scratch: &Path, unix_millis: u64) -> Result<()> {
    Marker::distrust().write(&SystemDisk, dir)?;
    for name in [SledEngine::FOLDER, journal::FOLDER, checkpoint::FOLDER] {
        let (old, new) = (dir.join(name), scratch.join(name));
        let failed = |error| Error::io("replace", &old, &error);
        if old.is_dir() {
            fs::rename(&old, dir.join(format!("{name}.bad.{unix_millis}"))).map_err(failed)?;
        }
        fs::rename(&new, &old).map_err(failed)?;
    }
    SystemDisk
        .sync(dir)
        .map_err(|error| Error::io("sync", dir, &error))
}

/// Opens the store, which upgrades it from an older format, and closes it.
///
/// # Errors
/// As [`crate::SledStore::open`].
pub fn migrate<C>(dir: &Path, clock: &C) -> Result<Report>
where
    C: Clock + Clone + 'static,
{
    drop(lock_existing(dir)?);
    let store = open(dir, clock)?;
    let status = store.status();
    drop(store);
    let mut report = verify(dir)?;
    report.done.push(if status.upgraded {
        "upgraded from the format without a journal; a first checkpoint was written".to_owned()
    } else {
        "it has the newest format already".to_owned()
    });
    Ok(report)
}

pub(crate) fn open<C>(dir: &Path, clock: &C) -> Result<Database<SledEngine>>
where
    C: Clock + Clone + 'static,
{
    let clock = Arc::new(clock.clone());
    Database::open(dir, &StoreConfig::default(), clock, Arc::new(SystemDisk))
}
