//! Writing: [`FileSink`] stages, [`StagedOutput`] commits or aborts.
//!
//! ```text
//! FileSink::open ─▶ write(partitions) ─▶ StagedOutput ─▶ commit: sync files, rename, sync folder
//!                     │ hidden files        │ dropped or abort: removed
//!                     └ error, dropped: removed
//! ```
//!
//! A folder gets `part-<partition>-<run>.<suffix>`, staged as `.<name>.<run>.staged`.
//! The names depend on the run only, so a run that is repeated after a crash writes over its own
//! remains. `_tenon_files` in the folder lists what we wrote, which is all that [`WriteMode::Replace`]
//! removes. Everything goes through one opened folder: no name, and no symlink in it, leads out of it.
//!
//! In a bucket a staged file is a multipart upload, which nobody sees until it is completed: by commit. Standard output
//! is written to a file without a name first, and gets it at commit.
//!
//! A staged file is locked for as long as its writer lives (see `held.rs` for outputs of many folders). A process that was killed leaves staged files
//! without a lock: readers do not see them, and the next [`FileSink::open`] of the target removes them. An upload has no
//! lock: those of the same run are aborted at once, those of others when they are old
//! ([`RemoteOptions::abandoned_after`](crate::RemoteOptions::abandoned_after)).
//!
//! A reader that lists the folder during a commit may see a part of it, or new next to old, until the
//! commit has returned. A commit that is cut off by a crash is completed by repeating the run, whatever the number of its
//! partitions then, and with [`WriteMode::Replace`] by any later run: its files were listed before the first of them was
//! renamed.

mod folder;
mod held;
mod manifest;
mod staged;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::busy::timed;
use crate::error::{Error, Result};
use crate::format::{BatchWriter, Format};
use crate::input::Destination;
use crate::locate::local_path;
use crate::place::Place;
use crate::remote::location::{Location, Scheme, parse_key};
use crate::remote::traffic::Counters;
use crate::sink::folder::Folder;
use crate::sink::staged::StagedFile;

pub(crate) use crate::sink::held::HeldRoot;
pub use crate::sink::staged::{CommittedOutput, StagedFileInfo, StagedOutput};

const MAX_RUN_BYTES: usize = 64;

/// Where output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One file, in a folder that exists.
    File(PathBuf),
    /// A folder of part files, created when missing.
    Directory(PathBuf),
}

impl Target {
    /// A file if the name has the suffix of a known format and is no folder, else a folder. `-` is standard output. In a
    /// bucket the name alone decides.
    pub fn from_path(place: &Place, path: &Path) -> Self {
        if place.is_standard_stream(path) {
            return Target::File(path.to_path_buf());
        }
        let is_folder = place.entry(path).is_ok_and(|entry| entry.is_dir)
            || path.to_string_lossy().ends_with('/');
        if !is_folder && Format::from_path(path).is_ok() {
            Target::File(path.to_path_buf())
        } else {
            Target::Directory(path.to_path_buf())
        }
    }
}

/// What happens to output that is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// The new files take the place of those we wrote before, at commit. A folder with files that are not
    /// ours is refused, since its readers would see both.
    Replace,
    /// The new files stand next to those of other runs. Folders only.
    Append,
}

/// Writes record batches of one schema to one target, for one run.
#[derive(Clone, Debug)]
pub struct FileSink {
    folder: Folder,
    /// The name of the one file; None for a folder of parts.
    file: Option<String>,
    format: Format,
    mode: WriteMode,
    run: String,
    /// What encoding costs counts here.
    counters: Option<Arc<Counters>>,
}

impl FileSink {
    /// Opens the target. `run` names this run: letters, digits, `-` and `_`, at most 64.
    ///
    /// Creates the folder of a [`Target::Directory`] on a disk, writes nothing else. Blocks briefly. What is in a bucket
    /// is looked at by [`FileSink::write`].
    ///
    /// # Errors
    /// [`Error::Refused`] if the target is outside the place, [`Error::Unsupported`] if the mode does not
    /// fit what is there, [`Error::Io`] if the folder cannot be opened, [`Error::Denied`] for a bucket without keys.
    pub fn open(
        place: &Place,
        target: &Target,
        format: &Format,
        mode: WriteMode,
        run: &str,
    ) -> Result<Self> {
        check_run(run)?;
        let (folder, file) = open_target(place, target)?;
        let sink = Self::of(folder, file, format, mode, run)?;
        Ok(sink.counted(place))
    }

    /// The same, where the counters of `place` count what encoding costs.
    pub(crate) fn counted(self, place: &Place) -> Self {
        Self {
            counters: Some(Arc::clone(place.remote().counters())),
            ..self
        }
    }

    /// Opens a folder below one that is held, which makes it if it is missing. Blocks briefly.
    pub(crate) fn open_below(
        root: &Arc<HeldRoot>,
        below: &str,
        format: &Format,
        mode: WriteMode,
        run: &str,
    ) -> Result<Self> {
        check_run(run)?;
        let path = root.path.join(below);
        match root.dir.create_dir_all(below) {
            // A symlink perhaps: writing into it tells where it leads.
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            created => created.map_err(|e| Error::io("open", &path, e))?,
        }
        let folder = Folder::Local {
            dir: Arc::clone(&root.dir),
            below: PathBuf::from(below),
            path,
            root: Some(Arc::clone(root)),
        };
        Self::of(folder, None, format, mode, run)
    }

    fn of(
        folder: Folder,
        file: Option<String>,
        format: &Format,
        mode: WriteMode,
        run: &str,
    ) -> Result<Self> {
        let sink = Self {
            folder,
            file,
            format: format.clone(),
            mode,
            run: run.to_owned(),
            counters: None,
        };
        if let (Some(file), WriteMode::Append) = (&sink.file, mode) {
            return Err(Error::Unsupported(format!(
                "{}: cannot append to a single file; write to a folder, or replace it",
                sink.folder.path_of(file).display()
            )));
        }
        if !sink.folder.is_remote() {
            sink.prepare()?;
        }
        Ok(sink)
    }

    /// Refuses a target that does not fit the mode, and removes what runs that were killed left staged in it.
    fn prepare(&self) -> Result<()> {
        if self.file.is_none() && self.mode == WriteMode::Replace {
            self.check_ours()?;
        }
        // On a disk a lock tells more than the run's name does.
        let is_over = |run: &str| self.folder.is_remote() && run == self.run;
        self.folder
            .discard(&|name| self.may_be_ours(name), &is_over)?;
        Ok(())
    }

    /// Writes all partitions and returns what was staged, invisible until [`StagedOutput::commit`].
    ///
    /// Partitions are polled at the same time. A folder gets one file per partition; a single file gets
    /// the batches of all partitions as they come, so give it one partition if the order matters. Without
    /// any row, a valid file with the schema is written all the same (for JSON lines, an empty one).
    ///
    /// Dropping the future removes what it staged, at the latest when the batch being written is done. An
    /// error returns when everything is removed, that of the other partitions included.
    ///
    /// # Errors
    /// The error of a stream as it came, or [`Error::Io`] naming the file. Nothing stays behind.
    pub async fn write(
        &self,
        schema: SchemaRef,
        partitions: Vec<SendableRecordBatchStream>,
    ) -> Result<StagedOutput> {
        check_names(&schema)?;
        if self.folder.is_remote() {
            let sink = self.clone();
            blocking(move || sink.prepare()).await?;
        }
        let streams = match &self.file {
            Some(_) => vec![futures::stream::select_all(partitions).boxed()],
            None if partitions.is_empty() => vec![futures::stream::empty().boxed()],
            None => partitions.into_iter().map(StreamExt::boxed).collect(),
        };
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for (partition, stream) in streams.into_iter().enumerate() {
            let write = self.clone().write_partition(
                partition,
                Arc::clone(&schema),
                stream,
                stopped.clone(),
            );
            tasks.spawn(write);
        }
        let mut output = StagedOutput::new(self);
        let mut failure = None;
        while let Some(done) = tasks.join_next().await {
            match done.map_err(Error::joined).flatten() {
                Ok(Some(staged)) => output.push(staged),
                Ok(None) => {}
                Err(error) => {
                    failure.get_or_insert(error);
                    // Asked, not aborted: an aborted task would leave its batch, and with it its file, to
                    // the blocking pool, and nobody would know when it is gone.
                    stop.send_replace(true);
                }
            }
        }
        let Some(failure) = failure else {
            return Ok(output);
        };
        if let Err(error) = output.abort().await {
            tracing::warn!("after a failed write: {error}");
        }
        Err(failure)
    }

    /// `None` when it was stopped; what it wrote is removed then.
    async fn write_partition(
        self,
        partition: usize,
        schema: SchemaRef,
        mut stream: futures::stream::BoxStream<'static, Result<RecordBatch, DataFusionError>>,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<Option<StagedFile>> {
        let counters = self.counters.clone();
        let mut open = blocking(move || OpenFile::create(&self, partition, &schema)).await?;
        loop {
            let next = tokio::select! {
                biased;
                () = until_stopped(&mut stopped) => {
                    blocking(move || {
                        open.discard();
                        Ok(())
                    })
                    .await?;
                    return Ok(None);
                }
                next = stream.next() => next,
            };
            match next {
                None => break,
                Some(Ok(batch)) => {
                    let counters = counters.clone();
                    open = blocking(move || counted(counters, || open.write(&batch))).await?;
                }
                Some(Err(error)) => {
                    blocking(move || {
                        open.discard();
                        Ok(())
                    })
                    .await?;
                    return Err(error.into());
                }
            }
        }
        let finished = blocking(move || counted(counters, || open.finish())).await;
        finished.map(Some)
    }

    /// The visible name of a partition's file.
    fn name(&self, partition: usize) -> String {
        match &self.file {
            Some(file) => file.clone(),
            None => format!("part-{partition:05}-{}.{}", self.run, self.format.suffix()),
        }
    }

    /// Refuses to replace a folder in which others wrote.
    fn check_ours(&self) -> Result<()> {
        let ours = manifest::read(&self.folder)?;
        // Published by an earlier attempt that was cut off before it could list its files.
        let is_of_this_run = |name: &str| run_of_part(name).is_some_and(|run| run == self.run);
        let foreign: Vec<String> = self
            .folder
            .visible_names()?
            .into_iter()
            .filter(|name| !ours.contains(name) && !is_of_this_run(name))
            .collect();
        match foreign.first() {
            None => Ok(()),
            Some(first) => Err(Error::Unsupported(format!(
                "{}: holds {} entries that were not written here (first: {first}); \
                 choose an empty folder, or append",
                self.folder.path().display(),
                foreign.len()
            ))),
        }
    }

    /// Whether some run writes a file of this visible name to this target.
    fn may_be_ours(&self, visible: &str) -> bool {
        match &self.file {
            Some(file) => file == visible,
            None => visible.starts_with("part-"),
        }
    }
}

/// The run that wrote a part file of this name.
fn run_of_part(name: &str) -> Option<&str> {
    let (_, rest) = name.strip_prefix("part-")?.split_once('-')?;
    let (run, _) = rest.split_once('.')?;
    Some(run)
}

/// Completes when the flag is up, or nobody is left to raise it.
async fn until_stopped(stopped: &mut watch::Receiver<bool>) {
    // The value that was seen is of no interest; the borrow must not outlive this line.
    drop(stopped.wait_for(|stop| *stop).await);
}

/// Removes what a run left staged in a target when it was cut off; returns how many files.
///
/// For who knows that the run is over, also where files cannot be locked. Of a single object in a bucket, whose upload does
/// not tell its run, only what is old is removed.
///
/// # Errors
/// [`Error::Refused`] if the target is outside the place, [`Error::Io`] if a file cannot be removed.
pub async fn discard_staged(place: &Place, target: &Target, run: &str) -> Result<usize> {
    check_run(run)?;
    let (place, target, run) = (place.clone(), target.clone(), run.to_owned());
    blocking(move || {
        let (folder, _) = open_target(&place, &target)?;
        folder.discard(&|_| false, &|of| of == run)
    })
    .await
}

/// A file being written, on the blocking pool.
struct OpenFile {
    /// Dropped first: a writer that flushes when it is dropped must not send anything then.
    staged: StagedFile,
    writer: Box<dyn BatchWriter>,
    rows: u64,
}

impl OpenFile {
    fn create(sink: &FileSink, partition: usize, schema: &SchemaRef) -> Result<Self> {
        let (staged, output) = sink.folder.create(&sink.name(partition), &sink.run)?;
        match sink.format.connector().writer(output, schema) {
            Ok(writer) => Ok(Self {
                writer,
                staged,
                rows: 0,
            }),
            Err(e) => Err(failed(staged, e)),
        }
    }

    fn write(mut self, batch: &RecordBatch) -> Result<Self> {
        self.rows += batch.num_rows() as u64;
        match self.writer.write(batch) {
            Ok(()) => Ok(self),
            Err(e) => {
                drop(self.writer);
                Err(failed(self.staged, e))
            }
        }
    }

    fn finish(self) -> Result<StagedFile> {
        let mut staged = self.staged;
        let completed = self.writer.finish().and_then(|output| {
            let bytes = match output.into_destination() {
                Destination::File(file) => staged.keep(file)?,
                Destination::Upload(upload) => upload.finish()?,
            };
            staged.complete(self.rows, bytes);
            Ok(())
        });
        match completed {
            Ok(()) => Ok(staged),
            Err(e) => Err(failed(staged, e)),
        }
    }

    fn discard(self) {
        drop(self.writer);
        remove(self.staged);
    }
}

/// The error of a file that cannot be completed, which is removed.
fn failed(staged: StagedFile, error: Error) -> Error {
    let error = staged
        .take_failure()
        .unwrap_or_else(|| written(&staged, error));
    remove(staged);
    error
}

fn remove(staged: StagedFile) {
    if let Err(error) = staged.remove() {
        tracing::warn!("after a failed write: {error}");
    }
}

/// The error of an encoder, which knows no file names.
fn written(staged: &StagedFile, error: Error) -> Error {
    let path = staged.path();
    match error {
        Error::Io { source, .. } => Error::io("write", path, source),
        Error::Query(error) => match io_cause(&error) {
            Some(source) => Error::io("write", path, source),
            None => Error::Query(error.context(format!("writing {}", path.display()))),
        },
        error => error,
    }
}

/// The system's error below an encoder's.
fn io_cause(error: &DataFusionError) -> Option<std::io::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return io.raw_os_error().map(std::io::Error::from_raw_os_error);
        }
        cause = error.source();
    }
    os_error_in(&error.to_string())
}

/// Encoders that keep only the text of an error leave the system's number in it.
fn os_error_in(text: &str) -> Option<std::io::Error> {
    let (_, rest) = text.rsplit_once("(os error ")?;
    let (number, _) = rest.split_once(')')?;
    number.parse().ok().map(std::io::Error::from_raw_os_error)
}

/// Does `work`, and counts its CPU time.
fn counted<T>(counters: Option<Arc<Counters>>, work: impl FnOnce() -> T) -> T {
    let (done, took) = timed(work);
    if let Some(counters) = counters {
        counters.encoded(took);
    }
    done
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Error::joined)?
}

fn open_target(place: &Place, target: &Target) -> Result<(Folder, Option<String>)> {
    let (Target::Directory(path) | Target::File(path)) = target;
    if let Some(location) = Location::parse(path)? {
        return open_bucket(place, target, &location);
    }
    match target {
        Target::Directory(path) => {
            let path = local_path(path)?;
            place.check(&path)?;
            let dir = place
                .writable_dir(&path, true)
                .map_err(|e| Error::io("open", &path, e))?;
            let dir = Arc::new(dir);
            Ok((local_folder(dir, path), None))
        }
        Target::File(path) if place.is_standard_stream(path) => {
            Ok((Folder::Stdout, Some(path.to_string_lossy().into_owned())))
        }
        Target::File(path) => {
            let path = local_path(path)?;
            place.check(&path)?;
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .ok_or_else(|| no_file_name(&path))?;
            let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
            let dir = place
                .writable_dir(&folder, false)
                .map_err(|e| Error::io("open", &folder, e))?;
            if dir.is_dir(name) {
                return Err(Error::Unsupported(format!(
                    "{}: is a folder; name a file in it",
                    path.display()
                )));
            }
            let dir = Arc::new(dir);
            Ok((local_folder(dir, folder), Some(name.to_owned())))
        }
    }
}

fn local_folder(dir: Arc<cap_std::fs::Dir>, path: PathBuf) -> Folder {
    Folder::Local {
        dir,
        below: PathBuf::new(),
        path,
        root: None,
    }
}

/// The folder of a bucket. Asks nothing of the network yet.
fn open_bucket(
    place: &Place,
    target: &Target,
    location: &Location,
) -> Result<(Folder, Option<String>)> {
    if location.scheme == Scheme::Web {
        return Err(Error::Unsupported(format!(
            "{}: what is at a web address is only read; write to a bucket or a folder",
            location.name()
        )));
    }
    let key = location.key.trim_end_matches('/');
    let (folder, file) = match target {
        Target::Directory(_) => (key, None),
        Target::File(_) => {
            let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
            if name.is_empty() {
                return Err(no_file_name(Path::new(&location.name())));
            }
            (folder, Some(name.to_owned()))
        }
    };
    let key = parse_key(location, folder)?;
    if let Some(name) = &file {
        parse_key(location, name)?;
    }
    let store = place.remote().store(location)?;
    let path = location.path_of(&key);
    Ok((Folder::Bucket { store, key, path }, file))
}

fn no_file_name(path: &Path) -> Error {
    Error::Unsupported(format!(
        "{}: not a file name; name the output file",
        path.display()
    ))
}

fn check_run(run: &str) -> Result<()> {
    let is_plain = run
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if run.is_empty() || run.len() > MAX_RUN_BYTES || !is_plain {
        return Err(Error::Unsupported(format!(
            "run id {run:?}: use 1 to {MAX_RUN_BYTES} letters, digits, `-` or `_`"
        )));
    }
    Ok(())
}

fn check_names(schema: &SchemaRef) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    match schema
        .fields()
        .iter()
        .find(|field| !seen.insert(field.name()))
    {
        None => Ok(()),
        Some(twice) => Err(Error::Unsupported(format!(
            "the output has two columns named {:?}; rename one with AS",
            twice.name()
        ))),
    }
}
