//! [`StagedOutput`]: files that are written but not visible, until commit or abort.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::{Dir, OpenOptions};

use crate::error::{Error, Result};
use crate::sink::{FileSink, WriteMode, manifest};

const STAGED_SUFFIX: &str = ".staged";

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
    dir: Arc<Dir>,
    folder: PathBuf,
    mode: WriteMode,
    is_folder: bool,
    files: Vec<StagedFile>,
}

impl StagedOutput {
    pub(super) fn new(sink: &FileSink) -> Self {
        Self {
            dir: Arc::clone(&sink.dir),
            folder: sink.folder.clone(),
            mode: sink.mode,
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

    /// Makes the output visible and durable: syncs every file, renames them, syncs the folder, and in
    /// [`WriteMode::Replace`] removes what earlier runs wrote.
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
        let files = std::mem::take(&mut self.files);
        self.publish(files)?;
        sync_dir(&self.dir, &self.folder)?;
        if self.is_folder {
            output.replaced = self.update_manifest(&output)?;
        }
        Ok(output)
    }

    fn publish(&self, files: Vec<StagedFile>) -> Result<()> {
        let mut published = Vec::new();
        for file in files {
            let name = file.name.clone();
            if let Err(e) = file.publish() {
                // The files not reached yet remove themselves when dropped.
                for name in published {
                    let _ = self.dir.remove_file(name);
                }
                return Err(e);
            }
            published.push(name);
        }
        Ok(())
    }

    /// Lists the new files first, so that a crash in between leaves no file of ours unknown.
    fn update_manifest(&self, output: &CommittedOutput) -> Result<usize> {
        let old = manifest::read(&self.dir, &self.folder)?;
        let names = output
            .files
            .iter()
            .filter_map(|file| file.path.file_name()?.to_str().map(str::to_owned));
        let new: BTreeSet<String> = names.collect();
        manifest::write(&self.dir, &self.folder, &old.union(&new).cloned().collect())?;
        if self.mode == WriteMode::Append {
            return Ok(0);
        }
        let mut replaced = 0;
        for name in old.difference(&new) {
            match self.dir.remove_file(name) {
                Ok(()) => replaced += 1,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::io("remove", self.folder.join(name), e)),
            }
        }
        manifest::write(&self.dir, &self.folder, &new)?;
        Ok(replaced)
    }
}

/// One hidden file. Removed when dropped, unless it was published.
#[derive(Debug)]
pub(super) struct StagedFile {
    dir: Arc<Dir>,
    folder: PathBuf,
    name: String,
    staged_name: String,
    file: Option<File>,
    rows: u64,
    bytes: u64,
    is_here: bool,
}

impl StagedFile {
    /// Creates the file, over the remains of an earlier attempt of the same run.
    pub(super) fn create(
        dir: &Arc<Dir>,
        folder: &Path,
        name: &str,
        run: &str,
    ) -> Result<(Self, File)> {
        let staged_name = staged_name(name, run);
        let failed = |e| Error::io("write", folder.join(name), e);
        match dir.remove_file(&staged_name) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let file = dir
            .open_with(&staged_name, &options)
            .map_err(failed)?
            .into_std();
        let staged = Self {
            dir: Arc::clone(dir),
            folder: folder.to_path_buf(),
            name: name.to_owned(),
            staged_name,
            file: None,
            rows: 0,
            bytes: 0,
            is_here: true,
        };
        Ok((staged, file))
    }

    pub(super) fn complete(&mut self, file: File, rows: u64, bytes: u64) {
        self.file = Some(file);
        self.rows = rows;
        self.bytes = bytes;
    }

    /// The path it will have, for messages.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    fn info(&self) -> StagedFileInfo {
        StagedFileInfo {
            path: self.path(),
            rows: self.rows,
            bytes: self.bytes,
        }
    }

    fn sync(&self) -> Result<()> {
        self.file
            .as_ref()
            .map_or(Ok(()), File::sync_all)
            .map_err(|e| Error::io("write", self.path(), e))
    }

    fn publish(mut self) -> Result<()> {
        self.dir
            .rename(&self.staged_name, &self.dir, &self.name)
            .map_err(|e| Error::io("write", self.path(), e))?;
        self.is_here = false;
        Ok(())
    }

    fn remove(mut self) -> Result<()> {
        self.is_here = false;
        self.dir
            .remove_file(&self.staged_name)
            .map_err(|e| Error::io("remove", self.folder.join(&self.staged_name), e))
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if self.is_here {
            // Nothing more can be done here; `discard_staged` finds what could not be removed.
            let _ = self.dir.remove_file(&self.staged_name);
        }
    }
}

fn staged_name(name: &str, run: &str) -> String {
    format!(".{name}.{run}{STAGED_SUFFIX}")
}

/// The run that a staged file belongs to.
pub(super) fn run_of(staged_name: &str) -> Option<&str> {
    let (_, run) = staged_name
        .strip_prefix('.')?
        .strip_suffix(STAGED_SUFFIX)?
        .rsplit_once('.')?;
    Some(run)
}

pub(super) fn sync_dir(dir: &Dir, folder: &Path) -> Result<()> {
    // A folder handle may be a bare path handle, which cannot be synced: open it for reading.
    let synced = dir.open(".").and_then(|file| file.sync_all());
    synced.map_err(|e| Error::io("sync", folder, e))
}
