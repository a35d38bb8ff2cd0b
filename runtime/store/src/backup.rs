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

use std::fs::{self, File};
use std::io::{self, Read, Write};
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
use crate::store::Database;

const MANIFEST: &str = "MANIFEST";
const TITLE: &str = "tenon-store backup 1";
/// No manifest is larger: a backup has a few checkpoints and files of the journal.
const MAX_MANIFEST_BYTES: u64 = 1024 * 1024;

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupReport {
    /// The file.
    pub file: PathBuf,
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
    write(&select(dir)?, file)
}

/// Backs up an open store, beside its work.
pub(crate) fn backup_open<E: Engine>(store: &Database<E>, file: &Path) -> Result<BackupReport> {
    let shared = store.shared();
    shared.check()?;
    let no_checkpoint =
        checkpoint::list(&*shared.disk, &shared.dir.join(checkpoint::FOLDER))?.is_empty();
    if no_checkpoint {
        keeper::checkpoint(shared, store.upkeep())?;
    }
    // No checkpoint is made and no file removed meanwhile.
    let _upkeep = shared.upkeep.lock();
    let selection = {
        let _quiet = shared.appending.lock();
        select(&shared.dir)?
    };
    write(&selection, file)
}

/// What goes into a backup.
struct Selection {
    /// Names in the archive, files, and how many of their bytes.
    files: Vec<(String, PathBuf, u64)>,
    last: Position,
}

/// The newest checkpoint that is whole and the journal after it.
fn select(dir: &Path) -> Result<Selection> {
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
    let end = reader::read(&SystemDisk, &journal, start.seq + 1, &mut |entry| {
        last = Position {
            seq: entry.stamp.seq,
            digest: entry.stamp.digest,
        };
        Ok(())
    })?;
    let mut files = Vec::new();
    if let Some((path, info)) = newest {
        let name = format!("{}/{:020}", checkpoint::FOLDER, info.start.seq);
        files.push((name, path, info.bytes));
    }
    let segments = journal::segments(&SystemDisk, &journal)?;
    let first = segments
        .iter()
        .rposition(|(seq, _)| *seq <= start.seq + 1)
        .unwrap_or(0);
    for (seq, path) in segments.into_iter().skip(first) {
        let length = match &end.tail {
            Some(tail) if tail.path == path => tail.offset,
            _ => used_bytes(&path)?,
        };
        files.push((format!("{}/{seq:020}.log", journal::FOLDER), path, length));
    }
    Ok(Selection { files, last })
}

/// Bytes before the zeros at the end of a file.
fn used_bytes(path: &Path) -> Result<u64> {
    let bytes = fs::read(path).map_err(|error| Error::io("read", path, &error))?;
    let last = bytes.iter().rposition(|&byte| byte != 0);
    Ok(last.map_or(0, |last| last as u64 + 1))
}

fn write(selection: &Selection, file: &Path) -> Result<BackupReport> {
    if file.exists() {
        return Err(refused(file, "it exists; choose another name"));
    }
    // Behind the whole name: nobody's `backup.tmp` is in the way.
    let mut temporary = file.as_os_str().to_owned();
    temporary.push(".part");
    let temporary = PathBuf::from(temporary);
    let written = write_archive(selection, &temporary);
    let written = written.and_then(|()| {
        fs::rename(&temporary, file)?;
        let folder = file
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        SystemDisk.sync(folder.unwrap_or(Path::new(".")))?;
        fs::metadata(file)
    });
    match written {
        Ok(metadata) => Ok(BackupReport {
            file: file.to_owned(),
            bytes: metadata.len(),
            last_seq: selection.last.seq,
            digest: selection.last.digest.to_string(),
            files: selection.files.iter().map(|file| file.0.clone()).collect(),
        }),
        Err(error) => {
            // What is left is of no use.
            let _ = fs::remove_file(&temporary);
            Err(Error::io("write", file, &error))
        }
    }
}

fn write_archive(selection: &Selection, path: &Path) -> io::Result<()> {
    let mut archive = tar::Builder::new(io::BufWriter::new(File::create(path)?));
    let Position { seq, digest } = selection.last;
    let mut manifest = format!("{TITLE}\nlast-seq {seq}\ndigest {digest}\n");
    for (name, path, length) in &selection.files {
        let mut content = Hashed::new(File::open(path)?.take(*length));
        append(&mut archive, name, *length, &mut content)?;
        let sha = hex(&content.sha.finalize());
        manifest.push_str(&format!("{sha} {length} {name}\n"));
    }
    let bytes = manifest.as_bytes();
    append(&mut archive, MANIFEST, bytes.len() as u64, &mut &*bytes)?;
    let mut output = archive.into_inner()?;
    output.flush()?;
    output.get_ref().sync_all()
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

/// Writes the files of a backup and compares them with its manifest.
fn unpack(file: &Path, dir: &Path) -> Result<Manifest> {
    let broken = |error: io::Error| refused(file, format!("it cannot be read: {error}"));
    let input = File::open(file).map_err(|error| Error::io("open", file, &error))?;
    for folder in [checkpoint::FOLDER, journal::FOLDER] {
        create_folder(&dir.join(folder), &SystemDisk)?;
    }
    let mut archive = tar::Archive::new(io::BufReader::new(input));
    let (mut manifest, mut found) = (None, Vec::new());
    for entry in archive.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if name == MANIFEST {
            let mut text = String::new();
            let mut limited = entry.take(MAX_MANIFEST_BYTES);
            limited.read_to_string(&mut text).map_err(broken)?;
            manifest = Some(parse(&text).ok_or_else(|| refused(file, "its manifest is damaged"))?);
        } else if is_known(&name) {
            found.push(unpack_file(entry, dir, &name)?);
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

/// Whether this is a name a backup has: nothing is written anywhere else.
fn is_known(name: &str) -> bool {
    match name.split_once('/') {
        Some((checkpoint::FOLDER, name)) => checkpoint::seq_of(name).is_some(),
        Some((journal::FOLDER, name)) => journal::segment_seq(name).is_some(),
        _ => false,
    }
}

/// Writes one file and returns its line of the manifest.
fn unpack_file(entry: impl Read, dir: &Path, name: &str) -> Result<String> {
    let path = dir.join(name);
    let write = || {
        let mut content = Hashed::new(entry);
        let mut output = File::create(&path)?;
        io::copy(&mut content, &mut output)?;
        if name.ends_with(".log") {
            let mut header = [0; journal::HEADER_BYTES];
            File::open(&path)?.read_exact(&mut header)?;
            let header = journal::parse_header(&header).map_err(io::Error::other)?;
            output.set_len(header.length.max(content.bytes))?;
        }
        output.sync_all()?;
        SystemDisk.sync(path.parent().unwrap_or(dir))?;
        Ok(format!(
            "{} {} {name}",
            hex(&content.sha.finalize()),
            content.bytes
        ))
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
