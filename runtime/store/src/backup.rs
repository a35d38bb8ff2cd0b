//! Backups: a checkpoint and the journal after it, in one file that restores on any machine.
//!
//! ```text
//! tar:  checkpoint/<seq>
//!       journal/<first seq>.log ...      without the zeros at their end
//!       MANIFEST                         tenon-store backup 1
//!                                        last-seq 4711
//!                                        digest 0f3a...
//!                                        <sha256> <bytes> <name> ...
//! ```
//!
//! Payloads are as they are stored: what is encrypted in the store is encrypted here.
//!
//! **Chosen: nobody waits.** A checkpoint never changes, and the journal is only added to: what is in it up to the last
//! transaction that was applied is durable and stays. So the writer goes on while the journal is read up to there, and
//! once all files are open their names may go, so checkpoints go on while the archive is written, however slow its
//! reader is.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::checkpoint;
use crate::clock::Clock;
use crate::disk::{Disk, SystemDisk};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::folder::{create_folder, lock};
use crate::journal::{self, reader};
use crate::keeper;
use crate::maintenance::{self, Report};
use crate::marker::Marker;
use crate::state::Position;
use crate::store::{Database, Store as _};

const MANIFEST: &str = "MANIFEST";
const TITLE: &str = "tenon-store backup 1";
/// No manifest is larger: a backup has a few checkpoints and files of the journal.
const MAX_MANIFEST_BYTES: u64 = 1024 * 1024;
/// Read and written at once.
const COPY_BYTES: usize = 64 * 1024;

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupReport {
    /// Its size.
    pub bytes: u64,
    /// Sequence number of the last transaction in it.
    pub last_seq: u64,
    /// Digest of what it restores to, in hexadecimal digits.
    pub digest: String,
    /// The files in it.
    pub files: Vec<String>,
}

/// Backs up a directory nobody has open.
///
/// # Errors
/// [`Error::Locked`]; [`Error::Backup`] when `file` exists or the directory has the format without a journal;
/// [`Error::DamagedJournal`], [`Error::DamagedCheckpoint`], [`Error::Io`]. No file is then left.
pub fn backup(dir: &Path, file: &Path) -> Result<BackupReport> {
    let _lock = lock(dir)?;
    if Marker::read(&SystemDisk, dir)? == Marker::Missing {
        return Err(refused(
            file,
            format!(
                "{} has no journal; run `tenon store migrate` first",
                dir.display()
            ),
        ));
    }
    let selection = select(dir, u64::MAX)?;
    write_file(file, |output| write_archive(selection, output))
}

/// Backs up an open store, beside its work.
pub(crate) fn backup_open<E: Engine>(
    store: &Database<E>,
    to: &mut dyn Write,
) -> Result<BackupReport> {
    let shared = store.shared();
    shared.check()?;
    let no_checkpoint =
        checkpoint::list(&*shared.disk, &shared.dir.join(checkpoint::FOLDER))?.is_empty();
    if no_checkpoint {
        keeper::checkpoint(shared, store.upkeep())?;
    }
    let selection = {
        // No file is removed until all are open.
        let _upkeep = shared.upkeep.lock();
        select(&shared.dir, shared.position().seq)?
    };
    write_archive(selection, to)
        .map_err(|error| Error::io("write a backup of", &shared.dir, &error))
}

/// What goes into a backup.
struct Selection {
    parts: Vec<Part>,
    last: Position,
}

struct Part {
    /// In the archive.
    name: String,
    file: File,
    /// How much of the file.
    bytes: u64,
}

impl Part {
    fn open(name: String, path: &Path, bytes: u64) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::io("open", path, &error))?;
        Ok(Self { name, file, bytes })
    }
}

/// The newest checkpoint that is whole and the journal after it, up to transaction `last_seq` or to its end.
fn select(dir: &Path, last_seq: u64) -> Result<Selection> {
    let folder = dir.join(checkpoint::FOLDER);
    let mut newest = None;
    for (_, path) in checkpoint::list(&SystemDisk, &folder)?.into_iter().rev() {
        if let Ok(info) = checkpoint::verify(&SystemDisk, &path) {
            newest = Some((path, info));
            break;
        }
    }
    let start = newest
        .as_ref()
        .map_or(Position::default(), |(_, info)| info.start);
    let journal = dir.join(journal::FOLDER);
    let mut last = start;
    let end = reader::read_until(
        &SystemDisk,
        &journal,
        start.seq + 1,
        last_seq,
        &mut |entry| {
            last = Position {
                seq: entry.stamp.seq,
                digest: entry.stamp.digest,
            };
            Ok(())
        },
    )?;
    let mut parts = Vec::new();
    if let Some((path, info)) = newest {
        let name = format!("{}/{:020}", checkpoint::FOLDER, info.start.seq);
        parts.push(Part::open(name, &path, info.bytes)?);
    }
    let segments = journal::segments(&SystemDisk, &journal)?;
    let first = segments
        .iter()
        .rposition(|(seq, _)| *seq <= start.seq + 1)
        .unwrap_or(0);
    for (seq, path) in segments.into_iter().skip(first) {
        let name = format!("{}/{seq:020}.log", journal::FOLDER);
        match &end.tail {
            Some(tail) if tail.path == path => {
                parts.push(Part::open(name, &path, tail.offset)?);
                break;
            }
            _ => parts.push(Part::open(name, &path, used_bytes(&path)?)?),
        }
    }
    Ok(Selection { parts, last })
}

/// Bytes before the zeros at the end of a file.
fn used_bytes(path: &Path) -> Result<u64> {
    let failed = |error| Error::io("read", path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let mut until = file.metadata().map_err(failed)?.len();
    let mut buffer = vec![0; COPY_BYTES];
    while until > 0 {
        let from = until.saturating_sub(COPY_BYTES as u64);
        let block = &mut buffer[..(until - from) as usize];
        file.seek(SeekFrom::Start(from)).map_err(failed)?;
        file.read_exact(block).map_err(failed)?;
        if let Some(last) = block.iter().rposition(|&byte| byte != 0) {
            return Ok(from + last as u64 + 1);
        }
        until = from;
    }
    Ok(0)
}

/// Writes a new file that appears whole or not at all.
fn write_file(
    file: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<BackupReport>,
) -> Result<BackupReport> {
    if file.exists() {
        return Err(refused(file, "it exists; choose another name"));
    }
    // Behind the whole name: nobody's `backup.tmp` is in the way.
    let mut temporary = file.as_os_str().to_owned();
    temporary.push(".part");
    let temporary = PathBuf::from(temporary);
    let written = || {
        let mut output = File::create(&temporary)?;
        let report = write(&mut output)?;
        output.sync_all()?;
        fs::rename(&temporary, file)?;
        let folder = file
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        SystemDisk.sync(folder.unwrap_or(Path::new(".")))?;
        Ok(report)
    };
    written().map_err(|error: io::Error| {
        // What is left is of no use.
        let _ = fs::remove_file(&temporary);
        Error::io("write", file, &error)
    })
}

fn write_archive(selection: Selection, to: &mut dyn Write) -> io::Result<BackupReport> {
    let counted = Counted {
        inner: to,
        bytes: 0,
    };
    let mut archive = tar::Builder::new(io::BufWriter::with_capacity(COPY_BYTES, counted));
    let Position { seq, digest } = selection.last;
    let mut manifest = format!("{TITLE}\nlast-seq {seq}\ndigest {digest}\n");
    let mut files = Vec::new();
    for Part { name, file, bytes } in selection.parts {
        let mut content = Hashed::new(file.take(bytes));
        append(&mut archive, &name, bytes, &mut content)?;
        if content.bytes != bytes {
            return Err(io::Error::other(format!("{name} became shorter")));
        }
        let sha = hex(&content.sha.finalize());
        manifest.push_str(&format!("{sha} {bytes} {name}\n"));
        files.push(name);
    }
    let text = manifest.as_bytes();
    append(&mut archive, MANIFEST, text.len() as u64, &mut &*text)?;
    let output = archive.into_inner()?;
    let mut counted = output
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    counted.flush()?;
    Ok(BackupReport {
        bytes: counted.bytes,
        last_seq: seq,
        digest: digest.to_string(),
        files,
    })
}

/// Counts what is written through it.
struct Counted<'a> {
    inner: &'a mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn append(
    archive: &mut tar::Builder<impl Write>,
    name: &str,
    length: u64,
    content: &mut impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(length);
    header.set_mode(0o600);
    archive.append_data(&mut header, name, content)
}

/// Hashes what is read through it.
struct Hashed<R> {
    inner: R,
    sha: Sha256,
    bytes: u64,
}

impl<R> Hashed<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            sha: Sha256::new(),
            bytes: 0,
        }
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.sha.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Restores a backup into a directory that is empty or does not exist, and verifies that it came to the state
/// that was backed up.
///
/// # Errors
/// [`Error::Backup`] when the directory is not empty, or the file is not a whole backup; [`Error::Io`]. The
/// directory is then empty.
pub fn restore<C>(file: &Path, dir: &Path, clock: &C) -> Result<Report>
where
    C: Clock + Clone + 'static,
{
    create_folder(dir, &SystemDisk)?;
    let mut entries = fs::read_dir(dir).map_err(|error| Error::io("list", dir, &error))?;
    if entries.next().is_some() {
        let reason = format!("{} is not empty; choose another directory", dir.display());
        return Err(refused(file, reason));
    }
    let restored = restore_into(file, dir, clock);
    if restored.is_err() {
        empty(dir)?;
    }
    restored
}

fn empty(dir: &Path) -> Result<()> {
    let failed = |error| Error::io("empty", dir, &error);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let removed = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.map_err(failed)?;
    }
    Ok(())
}

fn restore_into<C>(file: &Path, dir: &Path, clock: &C) -> Result<Report>
where
    C: Clock + Clone + 'static,
{
    let manifest = unpack(file, dir)?;
    let store = maintenance::open(dir, clock)?;
    let status = store.status();
    if status.last_seq != manifest.last_seq || status.digest != manifest.digest {
        let reason = format!(
            "it restores to transaction {} with digest {}, and its manifest says {} with digest {}",
            status.last_seq, status.digest, manifest.last_seq, manifest.digest
        );
        return Err(refused(file, reason));
    }
    store.checkpoint()?;
    drop(store);
    let mut report = maintenance::verify(dir)?;
    report.last_seq = manifest.last_seq;
    report.digest = manifest.digest;
    report
        .done
        .push(format!("restored from {}", file.display()));
    Ok(report)
}

struct Manifest {
    last_seq: u64,
    digest: String,
    /// Lines of sha256, bytes and name.
    files: Vec<String>,
}

/// Reads a backup and compares it with its manifest, writing nothing: for a file that came from elsewhere.
///
/// # Errors
/// [`Error::Backup`] when it is cut or damaged, [`Error::Io`].
pub fn check_backup(file: &Path) -> Result<BackupReport> {
    let manifest = read_archive(file, &mut |name, content| {
        line_of(name, content, &mut io::sink())
            .map_err(|error| refused(file, format!("it cannot be read: {error}")))
    })?;
    let length = fs::metadata(file).map_err(|error| Error::io("read", file, &error))?;
    let name_of = |line: String| line.rsplit(' ').next().map(str::to_owned);
    Ok(BackupReport {
        bytes: length.len(),
        last_seq: manifest.last_seq,
        digest: manifest.digest,
        files: manifest.files.into_iter().filter_map(name_of).collect(),
    })
}

/// Writes the files of a backup and compares them with its manifest.
fn unpack(file: &Path, dir: &Path) -> Result<Manifest> {
    for folder in [checkpoint::FOLDER, journal::FOLDER] {
        create_folder(&dir.join(folder), &SystemDisk)?;
    }
    read_archive(file, &mut |name, content| unpack_file(content, dir, name))
}

/// Takes a file of a backup, by its name and content; returns its line of the manifest.
type TakeFile<'a> = dyn FnMut(&str, &mut dyn Read) -> Result<String> + 'a;

fn read_archive(file: &Path, take: &mut TakeFile<'_>) -> Result<Manifest> {
    let broken = |error: io::Error| refused(file, format!("it cannot be read: {error}"));
    let input = File::open(file).map_err(|error| Error::io("open", file, &error))?;
    let mut archive = tar::Archive::new(io::BufReader::new(input));
    let (mut manifest, mut found) = (None, Vec::new());
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if name == MANIFEST {
            let mut text = String::new();
            let mut limited = entry.take(MAX_MANIFEST_BYTES);
            limited.read_to_string(&mut text).map_err(broken)?;
            manifest = Some(parse(&text).ok_or_else(|| refused(file, "its manifest is damaged"))?);
        } else if is_known(&name) {
            found.push(take(&name, &mut entry)?);
        } else {
            return Err(refused(file, format!("it has a file {name:?}")));
        }
    }
    let manifest = manifest.ok_or_else(|| refused(file, "it has no manifest, it was cut"))?;
    if manifest.files != found {
        let reason = "its files are not those of its manifest; use another backup";
        return Err(refused(file, reason));
    }
    Ok(manifest)
}

/// Copies a file and returns its line of the manifest.
fn line_of(name: &str, content: &mut dyn Read, to: &mut dyn Write) -> io::Result<String> {
    let mut content = Hashed::new(content);
    let bytes = io::copy(&mut content, to)?;
    let sha = hex(&content.sha.finalize());
    Ok(format!("{sha} {bytes} {name}"))
}

/// Whether this is a name a backup has: nothing is written anywhere else.
fn is_known(name: &str) -> bool {
    match name.split_once('/') {
        Some((checkpoint::FOLDER, name)) => checkpoint::seq_of(name).is_some(),
        Some((journal::FOLDER, name)) => journal::segment_seq(name).is_some(),
        _ => false,
    }
}

/// Writes one file and returns its line of the manifest.
fn unpack_file(content: &mut dyn Read, dir: &Path, name: &str) -> Result<String> {
    let path = dir.join(name);
    let mut write = || {
        let mut output = File::create(&path)?;
        let line = line_of(name, content, &mut output)?;
        if name.ends_with(".log") {
            let mut header = [0; journal::HEADER_BYTES];
            File::open(&path)?.read_exact(&mut header)?;
            let header = journal::parse_header(&header).map_err(io::Error::other)?;
            let written = output.metadata()?.len();
            output.set_len(header.length.max(written))?;
        }
        output.sync_all()?;
        SystemDisk.sync(path.parent().unwrap_or(dir))?;
        Ok(line)
    };
    write().map_err(|error: io::Error| Error::io("restore", &path, &error))
}

fn parse(text: &str) -> Option<Manifest> {
    let mut lines = text.strip_suffix('\n')?.lines();
    if lines.next()? != TITLE {
        return None;
    }
    let last_seq = lines.next()?.strip_prefix("last-seq ")?.parse().ok()?;
    let digest = lines.next()?.strip_prefix("digest ")?.to_owned();
    Some(Manifest {
        last_seq,
        digest,
        files: lines.map(str::to_owned).collect(),
    })
}

fn refused(file: &Path, reason: impl Into<String>) -> Error {
    Error::Backup {
        file: file.to_owned(),
        reason: reason.into(),
    }
}
