//! Checkpoints: the whole content of the store in one sorted file, from which, with the journal after it, the
//! engine can be rebuilt.
//!
//! ```text
//! checkpoint/00000000000000004711      named after the sequence number its scan began at
//!
//! 0       8        12    20       36        44       48
//! | magic | format | seq | digest | created | crc32c | entry | entry | ... | end
//!
//! entry = space code u8 | key u32 + bytes | value u32 + bytes       ascending by space and key
//! end   = 0 u8 | end seq u64 | entries u64 | digest u128 | sha256 of everything before
//! ```
//!
//! The scan runs beside the writer, so entries may be as new as `end seq`. Replaying the journal from `seq` on
//! makes the state right from `end seq` on, because operations are absolute. The digest in the header is the
//! store's at `seq`, the one at the end is that of the entries in the file.
//!
//! A checkpoint gets its name only after its entries were found to be what was written (see
//! [`crate::state`]) and the file is on disk.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use sha2::{Digest as _, Sha256};

use crate::clock::unix_millis;
use crate::digest::Digest;
use crate::disk::{Disk, DiskFile, publish};
use crate::engine::Engine;
use crate::envelope::fixed;
use crate::error::{Error, Result};
use crate::journal;
use crate::journal::record::take;
use crate::state::{Position, Scanned, Shared};
use crate::tree::Space;

pub(crate) const FOLDER: &str = "checkpoint";
/// The newest are kept.
pub(crate) const KEPT: usize = 3;

const MAGIC: [u8; 8] = *b"TENONCHK";
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = 48;
const END_BYTES: usize = 1 + 8 + 8 + 16 + 32;
const SHA_BYTES: usize = 32;
/// Written and read at once.
const BUFFER_BYTES: usize = 1024 * 1024;
/// Larger than any key or value an engine holds: what claims more is damaged.
const MAX_PART_BYTES: usize = 64 * 1024;

/// What a checkpoint is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Info {
    /// The state the scan began in: the journal is replayed from here.
    pub(crate) start: Position,
    /// The state is right from here on.
    pub(crate) end_seq: u64,
    pub(crate) entries: u64,
    /// Digest of the entries in the file.
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
}

/// Sequence numbers and files of all checkpoints, oldest first.
pub(crate) fn list(disk: &dyn Disk, folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let names = disk
        .list(folder)
        .map_err(|error| Error::io("list", folder, &error))?;
    let mut all: Vec<_> = names
        .iter()
        .filter_map(|name| seq_of(name).map(|seq| (seq, folder.join(name))))
        .collect();
    all.sort_unstable();
    Ok(all)
}

/// The sequence number in the name of a checkpoint.
pub(crate) fn seq_of(name: &str) -> Option<u64> {
    (name.len() == 20).then(|| name.parse().ok())?
}

/// Writes a checkpoint of the store beside its writer, removes what is no longer needed, and makes the engine
/// durable up to about here. The caller holds `upkeep`.
///
/// # Errors
/// [`Error::DamagedStore`] when the engine's content is not what was written: no checkpoint is made of it, and
/// the store stops serving. [`Error::Io`]: the checkpoints and the journal before are still complete.
pub(crate) fn make<E: Engine>(shared: &Shared<E>) -> Result<Info> {
    let folder = shared.dir.join(FOLDER);
    let before = shared.journal_bytes.load(Ordering::Acquire);
    let temporary = folder.join("next.tmp");
    let info = write(shared, &temporary)?;
    let path = folder.join(format!("{:020}", info.start.seq));
    publish(&*shared.disk, &temporary, &path)
        .map_err(|error| Error::io("publish", &path, &error))?;
    shared.journal_bytes.fetch_sub(before, Ordering::AcqRel);
    shared.engine.sync()?;
    tidy(&*shared.disk, &shared.dir)?;
    Ok(info)
}

fn write<E: Engine>(shared: &Shared<E>, path: &Path) -> Result<Info> {
    let disk = &*shared.disk;
    let file = disk
        .create(path)
        .map_err(|error| Error::io("create", path, &error))?;
    let mut output = Output {
        path,
        file,
        buffer: vec![0; HEADER_BYTES],
        // The header is written last, when the start of the scan is known.
        written: 0,
        sha: Sha256::new(),
    };
    let created = unix_millis(&*shared.clock);
    let start = shared.position();
    output.buffer = header(start, created);
    let scanned = shared.scan_checked(&mut |space, key, value| output.entry(space, key, value));
    let scanned = match scanned {
        Ok(scanned) => scanned,
        Err(error) => {
            drop(output);
            // It has no name that means anything; the next one replaces it.
            let _ = disk.remove(path);
            return Err(error);
        }
    };
    output.finish(start, scanned)
}

struct Output<'a> {
    path: &'a Path,
    file: Box<dyn DiskFile>,
    buffer: Vec<u8>,
    written: u64,
    sha: Sha256,
}

impl Output<'_> {
    fn entry(&mut self, space: Space, key: &[u8], value: &[u8]) -> Result<()> {
        self.buffer.push(space.code());
        for part in [key, value] {
            self.buffer.extend((part.len() as u32).to_be_bytes());
            self.buffer.extend_from_slice(part);
        }
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn finish(mut self, start: Position, scanned: Scanned) -> Result<Info> {
        self.buffer.push(0);
        self.buffer.extend(scanned.end_seq.to_be_bytes());
        self.buffer.extend(scanned.entries.to_be_bytes());
        self.buffer.extend(scanned.digest.to_bytes());
        self.flush()?;
        let sha = self.sha.finalize();
        let failed = |action| move |error| Error::io(action, self.path, &error);
        self.file
            .write_at(self.written, &sha)
            .map_err(failed("write"))?;
        self.file.sync().map_err(failed("sync"))?;
        Ok(Info {
            start,
            end_seq: scanned.end_seq,
            entries: scanned.entries,
            digest: scanned.digest,
            bytes: self.written + SHA_BYTES as u64,
        })
    }

    fn flush(&mut self) -> Result<()> {
        self.sha.update(&self.buffer);
        self.file
            .write_at(self.written, &self.buffer)
            .map_err(|error| Error::io("write", self.path, &error))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

fn header(start: Position, created: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend(MAGIC);
    header.extend(FORMAT.to_be_bytes());
    header.extend(start.seq.to_be_bytes());
    header.extend(start.digest.to_bytes());
    header.extend(created.to_be_bytes());
    header.extend(crc32c::crc32c(&header).to_be_bytes());
    header
}

fn parse_header(header: &[u8]) -> Result<Position, String> {
    let (fields, crc) = header
        .split_at_checked(HEADER_BYTES - 4)
        .ok_or("its header is cut off")?;
    if fields[..8] != MAGIC || crc32c::crc32c(fields) != u32::from_be_bytes(fixed(crc)) {
        return Err("its header is damaged".to_owned());
    }
    let format = u32::from_be_bytes(fixed(&fields[8..12]));
    if format > FORMAT {
        return Err(format!(
            "it has format {format}, written by a newer version of tenon"
        ));
    }
    Ok(Position {
        seq: u64::from_be_bytes(fixed(&fields[12..20])),
        digest: Digest::from_bytes(fixed(&fields[20..36])),
    })
}

/// Reads a checkpoint twice: whole, to compare its sha256, then its entries. Nothing is visited before the
/// first pass was right. The error says what is wrong with it.
pub(crate) fn load(
    disk: &dyn Disk,
    path: &Path,
    visit: &mut dyn FnMut(Space, Vec<u8>, Vec<u8>) -> Result<()>,
) -> Result<Info> {
    let info = verify(disk, path)?;
    let file = disk
        .open(path)
        .map_err(|error| Error::io("open", path, &error))?;
    let mut input = Input {
        path,
        file,
        at: HEADER_BYTES as u64,
        buffer: Vec::new(),
        start: 0,
    };
    let mut digest = Digest::default();
    for _ in 0..info.entries {
        let (space, key, value) = input.entry()?;
        digest = digest.plus(Digest::of(space, &key, &value));
        visit(space, key, value)?;
    }
    if digest != info.digest {
        return Err(bad(path, "its entries are not those of its digest"));
    }
    Ok(info)
}

/// Reads a checkpoint and compares its sha256.
pub(crate) fn verify(disk: &dyn Disk, path: &Path) -> Result<Info> {
    let failed = |error| Error::io("read", path, &error);
    let file = disk.open(path).map_err(failed)?;
    let length = file.length().map_err(failed)?;
    if length < (HEADER_BYTES + END_BYTES) as u64 {
        return Err(bad(path, "it is cut off"));
    }
    let mut sha = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut at, until) = (0, length - SHA_BYTES as u64);
    let (mut head, mut end) = (Vec::new(), Vec::new());
    while at < until {
        let size = buffer.len().min((until - at) as usize);
        let read = file.read_at(at, &mut buffer[..size]).map_err(failed)?;
        if read == 0 {
            return Err(bad(path, "it is cut off"));
        }
        sha.update(&buffer[..read]);
        if head.len() < HEADER_BYTES {
            head.extend_from_slice(&buffer[..read.min(HEADER_BYTES - head.len())]);
        }
        end.extend_from_slice(&buffer[..read]);
        end.drain(..end.len().saturating_sub(END_BYTES - SHA_BYTES));
        at += read as u64;
    }
    let mut stored = [0; SHA_BYTES];
    let read = file.read_at(until, &mut stored).map_err(failed)?;
    if read != SHA_BYTES || sha.finalize().as_slice() != stored {
        return Err(bad(path, "its sha256 does not match"));
    }
    let start = parse_header(&head).map_err(|reason| bad(path, reason))?;
    let mut end = end.get(1..).unwrap_or_default();
    let mut number = || take(&mut end).map(u64::from_be_bytes);
    let numbers = (number(), number());
    match (numbers, take(&mut end)) {
        ((Some(end_seq), Some(entries)), Some(digest)) => Ok(Info {
            start,
            end_seq,
            entries,
            digest: Digest::from_bytes(digest),
            bytes: length,
        }),
        _ => Err(bad(path, "its end is cut off")),
    }
}

struct Input<'a> {
    path: &'a Path,
    file: Box<dyn DiskFile>,
    /// Where the next read begins.
    at: u64,
    buffer: Vec<u8>,
    /// What of the buffer was used.
    start: usize,
}

impl Input<'_> {
    fn entry(&mut self) -> Result<(Space, Vec<u8>, Vec<u8>)> {
        let code = self.take(1)?[0];
        let space =
            Space::of_code(code).ok_or_else(|| bad(self.path, format!("it has a space {code}")))?;
        Ok((space, self.part()?, self.part()?))
    }

    fn part(&mut self) -> Result<Vec<u8>> {
        let length = u32::from_be_bytes(fixed(self.take(4)?)) as usize;
        if length > MAX_PART_BYTES {
            return Err(bad(self.path, format!("an entry claims {length} bytes")));
        }
        Ok(self.take(length)?.to_vec())
    }

    fn take(&mut self, size: usize) -> Result<&[u8]> {
        if self.buffer.len() - self.start < size {
            self.fill(size)?;
        }
        let start = self.start;
        self.start += size;
        Ok(&self.buffer[start..self.start])
    }

    fn fill(&mut self, size: usize) -> Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let mut filled = self.buffer.len();
        self.buffer.resize(filled.max(size) + BUFFER_BYTES, 0);
        while filled < size {
            let read = self
                .file
                .read_at(self.at, &mut self.buffer[filled..])
                .map_err(|error| Error::io("read", self.path, &error))?;
            if read == 0 {
                return Err(bad(self.path, "it is cut off"));
            }
            self.at += read as u64;
            filled += read;
        }
        self.buffer.truncate(filled);
        Ok(())
    }
}

fn bad(path: &Path, reason: impl Into<String>) -> Error {
    Error::DamagedCheckpoint {
        file: path.to_owned(),
        reason: reason.into(),
    }
}

/// Removes checkpoints beyond those kept, and segments of the journal that lie before the second newest.
pub(crate) fn tidy(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let remove = |path: &Path| {
        disk.remove(path)
            .map_err(|error| Error::io("remove", path, &error))
    };
    let checkpoints = list(disk, &dir.join(FOLDER))?;
    for (_, path) in checkpoints.iter().rev().skip(KEPT) {
        remove(path)?;
    }
    let Some((needed, _)) = checkpoints.iter().rev().nth(1) else {
        return Ok(());
    };
    let segments = journal::segments(disk, &dir.join(journal::FOLDER))?;
    for pair in segments.windows(2) {
        let ((_, path), (next, _)) = (&pair[0], &pair[1]);
        if *next <= needed + 1 {
            remove(path)?;
        }
    }
    Ok(())
}
