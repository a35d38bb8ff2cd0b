//! [`StagedOutput`]: files that are written but not visible, until commit or abort.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::{Dir, OpenOptions};

use crate::error::{Error, Result};
use crate::input::Output;
use crate::remote::upload::StagedUpload;
use crate::sink::folder::{Folder, here};
use crate::sink::held::HeldRoot;
use crate::sink::{FileSink, WriteMode, manifest, run_of_part};

const STAGED_SUFFIX: &str = ".staged";
/// Of files that are not kept open, and so have no lock once they are written: see `held.rs`.
const HELD_SUFFIX: &str = ".held";

/// One file of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedFileInfo {
    /// The path the file has once it is committed, as the target was named.
    pub path: PathBuf,
    /// Rows in the file.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
}

/// What a commit made visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOutput {
    /// The files, in the order of the partitions.
    pub files: Vec<StagedFileInfo>,
    /// Rows in all files.
    pub rows: u64,
    /// Size of all files.
    pub bytes: u64,
    /// Files of earlier runs that were removed.
    pub replaced: usize,
}

/// Written files that nobody sees yet. Removed when dropped without a commit.
#[derive(Debug)]
#[must_use = "staged output is removed unless it is committed"]
pub struct StagedOutput {
    folder: Folder,
    mode: WriteMode,
    run: String,
    is_folder: bool,
    files: Vec<StagedFile>,
}

impl StagedOutput {
    pub(super) fn new(sink: &FileSink) -> Self {
        Self {
            folder: sink.folder.clone(),
            mode: sink.mode,
            run: sink.run.clone(),
            is_folder: sink.file.is_none(),
            files: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, file: StagedFile) {
        self.files.push(file);
        self.files.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// The staged files, with the names they will have.
    pub fn files(&self) -> Vec<StagedFileInfo> {
        self.files.iter().map(StagedFile::info).collect()
    }

    /// Rows in all files.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// Size of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Makes what was staged durable, while it is still invisible. For who commits several outputs together:
    /// a full disk shows here, before the first of them is visible.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file; everything that was staged is removed then.
    pub async fn sync(self) -> Result<Self> {
        let sync = move || {
            self.files.iter().try_for_each(StagedFile::sync)?;
            Ok(self)
        };
        tokio::task::spawn_blocking(sync)
            .await
            .map_err(Error::joined)?
    }

    /// Makes the output visible and durable: syncs every file, lists and renames them, syncs the folder, and
    /// removes what it takes the place of: in [`WriteMode::Replace`] all that earlier runs wrote, else what an attempt of
    /// this run left that was cut off.
    ///
    /// Runs to its end even if the future is dropped. Until the first rename a failure leaves the
    /// target as it was; after it, the files that were renamed are removed again.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file; a full disk may show only here.
    pub async fn commit(self) -> Result<CommittedOutput> {
        tokio::task::spawn_blocking(move || self.commit_now())
            .await
            .map_err(Error::joined)?
    }

    /// Removes everything that was staged.
    ///
    /// # Errors
    /// [`Error::Io`] naming a file that could not be removed; the others are.
    pub async fn abort(self) -> Result<()> {
        let abort = move || {
            self.files
                .into_iter()
                .map(StagedFile::remove)
                .fold(Ok(()), Result::and)
        };
        tokio::task::spawn_blocking(abort)
            .await
            .map_err(Error::joined)?
    }

    fn commit_now(mut self) -> Result<CommittedOutput> {
        for file in &self.files {
            file.sync()?;
        }
        let mut output = CommittedOutput {
            files: self.files(),
            rows: self.rows(),
            bytes: self.bytes(),
            replaced: 0,
        };
        let old = self.announce()?;
        let files = std::mem::take(&mut self.files);
        self.publish(files)?;
        self.folder.sync()?;
        output.replaced = self.replace(&old, &output)?;
        Ok(output)
    }

    /// Lists the new files beside the old ones before the first is visible, so that a crash leaves no file of
    /// ours that the next run does not know. Returns the old ones.
    fn announce(&self) -> Result<BTreeSet<String>> {
        if !self.is_folder {
            return Ok(BTreeSet::new());
        }
        let old = manifest::read(&self.folder)?;
        let new = self.files.iter().map(|file| file.name.clone());
        manifest::write(&self.folder, &old.iter().cloned().chain(new).collect())?;
        Ok(old)
    }

    fn publish(&self, files: Vec<StagedFile>) -> Result<()> {
        let mut published: Vec<String> = Vec::new();
        for file in files {
            let name = file.name.clone();
            if let Err(e) = file.publish() {
                // The files not reached yet remove themselves when dropped.
                for name in &published {
                    let _ = self.folder.remove(name);
                }
                return Err(e);
            }
            published.push(name);
        }
        Ok(())
    }

    /// Removes the files that the new ones take the place of; returns how many. Beside others' files that are those of an
    /// attempt of the same run that was cut off while it published.
    fn replace(&self, old: &BTreeSet<String>, output: &CommittedOutput) -> Result<usize> {
        if !self.is_folder {
            return Ok(0);
        }
        let names = output
            .files
            .iter()
            .filter_map(|file| file.path.file_name()?.to_str().map(str::to_owned));
        let new: BTreeSet<String> = names.collect();
        let stays = |name: &&String| match self.mode {
            WriteMode::Replace => false,
            WriteMode::Append => run_of_part(name) != Some(&self.run),
        };
        let (kept, gone): (BTreeSet<&String>, BTreeSet<&String>) =
            old.difference(&new).partition(stays);
        let mut replaced = 0;
        for name in gone {
            replaced += usize::from(self.folder.remove(name)?);
        }
        let names = kept.into_iter().chain(&new).cloned().collect();
        // The output is complete; a list that still names files that are gone does no harm.
        if let Err(error) = manifest::write(&self.folder, &names) {
            tracing::warn!("the list of files is longer than it need be: {error}");
        }
        Ok(replaced)
    }
}

/// One file that nobody sees. Removed when dropped, unless it was published.
#[derive(Debug)]
pub(super) struct StagedFile {
    name: String,
    /// The path it will have.
    path: PathBuf,
    at: Staged,
    rows: u64,
    bytes: u64,
}

/// Where a staged file is.
#[derive(Debug)]
pub(super) enum Staged {
    Local(LocalFile),
    Upload(StagedUpload),
    /// Without a name, until it is copied to standard output.
    Stdout(Option<File>),
}

impl From<StagedUpload> for Staged {
    fn from(upload: StagedUpload) -> Self {
        Self::Upload(upload)
    }
}

impl StagedFile {
    pub(super) fn new(name: &str, path: PathBuf, at: Staged) -> Self {
        Self {
            name: name.to_owned(),
            path,
            at,
            rows: 0,
            bytes: 0,
        }
    }

    /// Takes back the file that was written; returns its size.
    pub(super) fn keep(&mut self, file: File) -> Result<u64> {
        let size = file
            .metadata()
            .map_err(|e| Error::io("write", &self.path, e))?
            .len();
        match &mut self.at {
            Staged::Local(local) if local.root.is_some() => {}
            Staged::Local(local) => local.file = Some(file),
            Staged::Stdout(kept) => *kept = Some(file),
            Staged::Upload(_) => {}
        }
        Ok(size)
    }

    pub(super) fn complete(&mut self, rows: u64, bytes: u64) {
        self.rows = rows;
        self.bytes = bytes;
    }

    /// The path it will have, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What went wrong with it, which encoders may have passed on as mere text.
    pub(super) fn take_failure(&self) -> Option<Error> {
        match &self.at {
            Staged::Upload(upload) => upload.take_failure(),
            Staged::Local(_) | Staged::Stdout(_) => None,
        }
    }

    fn info(&self) -> StagedFileInfo {
        StagedFileInfo {
            path: self.path.clone(),
            rows: self.rows,
            bytes: self.bytes,
        }
    }

    fn sync(&self) -> Result<()> {
        let Staged::Local(local) = &self.at else {
            return Ok(());
        };
        let synced = match (&local.file, &local.root) {
            (Some(file), _) => file.sync_all(),
            // What another handle wrote is synced as well.
            (None, Some(_)) => local
                .dir
                .open(&local.staged)
                .and_then(|file| file.sync_all()),
            (None, None) => Ok(()),
        };
        synced.map_err(|e| Error::io("write", &self.path, e))
    }

    fn publish(self) -> Result<()> {
        match self.at {
            Staged::Local(mut local) => {
                let visible = local.staged.with_file_name(&self.name);
                local
                    .dir
                    .rename(&local.staged, &local.dir, visible)
                    .map_err(|e| Error::io("write", &self.path, e))?;
                local.is_here = false;
                Ok(())
            }
            Staged::Upload(upload) => upload.complete(),
            Staged::Stdout(file) => {
                let copied = file.map_or(Ok(()), copy_to_stdout);
                copied.map_err(|e| Error::io("write", "standard output", e))
            }
        }
    }

    pub(super) fn remove(self) -> Result<()> {
        match self.at {
            Staged::Local(mut local) => {
                local.is_here = false;
                local.dir.remove_file(&local.staged).map_err(|e| {
                    let name = local.staged.file_name().unwrap_or_default();
                    Error::io("remove", self.path.with_file_name(name), e)
                })
            }
            Staged::Upload(upload) => upload.abort(),
            Staged::Stdout(_) => Ok(()),
        }
    }
}

/// A hidden file of a folder on a disk.
#[derive(Debug)]
pub(super) struct LocalFile {
    dir: Arc<Dir>,
    /// Its hidden path below `dir`.
    staged: PathBuf,
    /// Keeps the lock.
    file: Option<File>,
    /// Keeps the lock for all files of an output.
    root: Option<Arc<HeldRoot>>,
    is_here: bool,
}

/// A folder on a disk: `below` `dir`, in messages `path`.
#[derive(Clone, Copy)]
pub(super) struct LocalFolder<'a> {
    pub(super) dir: &'a Arc<Dir>,
    pub(super) below: &'a Path,
    pub(super) path: &'a Path,
}

impl Drop for LocalFile {
    fn drop(&mut self) {
        if self.is_here {
            // Nothing more can be done here; the next run finds what could not be removed.
            let _ = self.dir.remove_file(&self.staged);
        }
    }
}

/// Creates a hidden file, over the remains of an earlier attempt of the same run.
pub(super) fn create_local(
    folder: &LocalFolder<'_>,
    root: Option<&Arc<HeldRoot>>,
    name: &str,
    run: &str,
) -> Result<(Staged, Output)> {
    let suffix = suffix(root.is_some());
    let staged = folder.below.join(format!(".{name}.{run}{suffix}"));
    if let Some(root) = root {
        root.stage(&staged);
    }
    let file = create_locked(folder.dir, &staged)
        .map_err(|e| Error::io("write", folder.path.join(name), e))?;
    let local = LocalFile {
        dir: Arc::clone(folder.dir),
        staged,
        file: None,
        root: root.cloned(),
        is_here: true,
    };
    Ok((Staged::Local(local), file.into()))
}

fn suffix(is_held: bool) -> &'static str {
    match is_held {
        true => HELD_SUFFIX,
        false => STAGED_SUFFIX,
    }
}

/// Creates the file that is copied to standard output when it is published.
pub(super) fn create_for_stdout() -> std::io::Result<(Staged, Output)> {
    Ok((Staged::Stdout(None), tempfile::tempfile()?.into()))
}

fn copy_to_stdout(mut file: File) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    file.seek(SeekFrom::Start(0))?;
    std::io::copy(&mut file, &mut stdout)?;
    stdout.flush()
}

/// How often a staged file is made again because another process, cleaning up, took it for abandoned.
const CREATE_ATTEMPTS: usize = 16;

/// Creates a file and locks it, over the remains of an earlier attempt.
///
/// Between the two steps another process may take the file for abandoned; that shows as a lock that is
/// held, or as a name that is gone.
pub(super) fn create_locked(dir: &Dir, staged: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    for _ in 0..CREATE_ATTEMPTS {
        match dir.remove_file(staged) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let file = dir.open_with(staged, &options)?.into_std();
        let is_locked = match file.try_lock() {
            Err(TryLockError::WouldBlock) => false,
            // A file system without locks: nothing there is ever taken for abandoned either.
            Ok(()) | Err(TryLockError::Error(_)) => true,
        };
        if is_locked && dir.symlink_metadata(staged).is_ok() {
            return Ok(file);
        }
    }
    Err(std::io::Error::other(
        "another process keeps removing the staged file",
    ))
}

/// See [`Folder::discard`](crate::sink::folder::Folder::discard).
pub(super) fn discard_local(
    folder: &LocalFolder<'_>,
    root: Option<&HeldRoot>,
    is_ours: &dyn Fn(&str) -> bool,
    is_over: &dyn Fn(&str) -> bool,
) -> Result<usize> {
    let mut removed = 0;
    let entries = folder.dir.read_dir(here(folder.below));
    for entry in entries.map_err(|e| Error::io("list", folder.path, e))? {
        let entry = entry.map_err(|e| Error::io("list", folder.path, e))?;
        let staged_name = entry.file_name();
        let Some(staged_name) = staged_name.to_str() else {
            continue;
        };
        let Some((name, run)) = parts_of(staged_name, suffix(root.is_some())) else {
            continue;
        };
        let staged = folder.below.join(staged_name);
        let is_held = root.is_some_and(|root| root.is_needed(&staged, run));
        removed += usize::from(if is_ours(name) {
            !is_held && remove_if_abandoned(folder, staged_name)?
        } else {
            is_over(run) && remove_staged(folder, staged_name)?
        });
    }
    Ok(removed)
}

/// Removes a staged file that no living process writes.
fn remove_if_abandoned(folder: &LocalFolder<'_>, staged_name: &str) -> Result<bool> {
    let staged = folder.below.join(staged_name);
    let is_file = |meta: cap_std::fs::Metadata| meta.is_file();
    if !folder.dir.symlink_metadata(&staged).is_ok_and(is_file) {
        return Ok(false);
    }
    // Gone, or another user's: neither is ours to remove.
    let Ok(file) = folder.dir.open(&staged) else {
        return Ok(false);
    };
    if file.into_std().try_lock().is_err() {
        return Ok(false);
    }
    remove_staged(folder, staged_name)
}

fn remove_staged(folder: &LocalFolder<'_>, staged_name: &str) -> Result<bool> {
    match folder.dir.remove_file(folder.below.join(staged_name)) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io("remove", folder.path.join(staged_name), e)),
    }
}

/// The name that a staged file would have had, and its run.
fn parts_of<'a>(staged_name: &'a str, suffix: &str) -> Option<(&'a str, &'a str)> {
    staged_name
        .strip_prefix('.')?
        .strip_suffix(suffix)?
        .rsplit_once('.')
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
    use datafusion::execution::SendableRecordBatchStream;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

    use super::*;
    use crate::csv::CsvOptions;
    use crate::format::Format;
    use crate::place::Place;
    use crate::sink::Target;

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, false)]))
    }

    fn rows() -> SendableRecordBatchStream {
        let column = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let batch = RecordBatch::try_new(schema(), vec![column]).unwrap();
        let stream = futures::stream::iter([Ok(batch)]);
        Box::pin(RecordBatchStreamAdapter::new(schema(), stream))
    }

    async fn stage(folder: &Path, partitions: usize, run: &str) -> Result<StagedOutput> {
        let sink = FileSink::open(
            &Place::ambient(),
            &Target::Directory(folder.to_path_buf()),
            &Format::Csv(CsvOptions::default()),
            WriteMode::Replace,
            run,
        )?;
        let partitions = (0..partitions).map(|_| rows()).collect();
        sink.write(schema(), partitions).await
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Wherever a commit is cut off, the next run, of another name, replaces what is there.
    #[tokio::test]
    async fn a_commit_that_was_cut_off_is_replaced_by_the_next_run() {
        for steps in 0..3 {
            let folder = tempfile::tempdir().unwrap();
            stage(folder.path(), 2, "a")
                .await
                .unwrap()
                .commit()
                .await
                .unwrap();
            let mut cut_off = stage(folder.path(), 3, "b").await.unwrap();
            if steps > 0 {
                cut_off.announce().unwrap();
            }
            if steps > 1 {
                let mut files = std::mem::take(&mut cut_off.files);
                let rest = files.split_off(steps);
                cut_off.publish(files).unwrap();
                cut_off.files = rest;
            }
            // As a killed process does: locks go, files stay.
            for mut file in std::mem::take(&mut cut_off.files) {
                if let Staged::Local(local) = &mut file.at {
                    local.is_here = false;
                }
            }
            stage(folder.path(), 1, "c")
                .await
                .unwrap()
                .commit()
                .await
                .unwrap();
            assert_eq!(
                names(folder.path()),
                ["_tenon_files", "part-00000-c.csv"],
                "cut off after step {steps}"
            );
        }
    }

    #[tokio::test]
    async fn staged_files_stay_while_their_writer_lives() {
        let folder = tempfile::tempdir().unwrap();
        let first = stage(folder.path(), 1, "a").await.unwrap();
        std::fs::write(folder.path().join(".part-00007-z.csv.z.staged"), "").unwrap();
        std::fs::write(folder.path().join(".notes.z.staged"), "not a name of ours").unwrap();
        let second = stage(folder.path(), 1, "b").await.unwrap();
        assert_eq!(
            names(folder.path()),
            [
                ".notes.z.staged",
                ".part-00000-a.csv.a.staged",
                ".part-00000-b.csv.b.staged"
            ]
        );
        first.commit().await.unwrap();
        second.commit().await.unwrap();
        assert_eq!(
            names(folder.path()),
            [".notes.z.staged", "_tenon_files", "part-00000-b.csv"]
        );
    }
}
