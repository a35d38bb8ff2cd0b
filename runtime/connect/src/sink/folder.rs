//! [`Folder`]: where the files of an output become visible: a folder of a disk, one of a bucket, or standard output.
//!
//! All calls block, and those of a bucket must be made where a Tokio runtime is. Names are those of files in the folder,
//! never paths.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::Dir;
use futures::TryStreamExt;
use object_store::path::Path as Key;
use object_store::{GetOptions, ObjectStoreExt, PutPayload};
use tokio::runtime::Handle;

use crate::error::{Error, Result};
use crate::input::Output;
use crate::locate::is_hidden;
use crate::remote::orphans::OpenUpload;
use crate::remote::store::Store;
use crate::remote::upload;
use crate::sink::held::HeldRoot;
use crate::sink::staged::{self, StagedFile};

/// Entries that a message counts; beyond them it says "or more".
const MAX_COUNTED: usize = 1000;

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) enum Folder {
    Local {
        dir: Arc<Dir>,
        /// Below `dir`; empty for the folder itself.
        below: PathBuf,
        path: PathBuf,
        /// Set where many folders are written at a time: staged files are not kept open then.
        root: Option<Arc<HeldRoot>>,
    },
    Bucket {
        store: Arc<Store>,
        key: Key,
        /// The URL of the folder.
        path: PathBuf,
    },
    /// One file at a time.
    Stdout,
}

impl Folder {
    /// The folder as messages name it.
    pub(super) fn path(&self) -> &Path {
        match self {
            Folder::Local { path, .. } | Folder::Bucket { path, .. } => path,
            Folder::Stdout => Path::new(""),
        }
    }

    /// A file in it as messages name it.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Whether what it holds is known only by asking over a network.
    pub(super) fn is_remote(&self) -> bool {
        matches!(self, Folder::Bucket { .. })
    }

    /// The names that readers see, sorted.
    pub(super) fn visible_names(&self) -> Result<Vec<String>> {
        let names = match self {
            Folder::Local {
                dir, below, path, ..
            } => {
                let mut names = Vec::new();
                let entries = dir.read_dir(here(below));
                for entry in entries.map_err(|e| Error::io("list", path, e))? {
                    let name = entry.map_err(|e| Error::io("list", path, e))?.file_name();
                    names.push(name.to_string_lossy().into_owned());
                }
                names
            }
            Folder::Bucket { store, key, path } => {
                let listed = Handle::current().block_on(names_below(store, key));
                listed.map_err(|e| store.failed("list", &path.to_string_lossy(), &e))?
            }
            Folder::Stdout => Vec::new(),
        };
        let mut names: Vec<String> = names
            .into_iter()
            .filter(|name| !is_hidden(Path::new(name)))
            .collect();
        names.sort();
        Ok(names)
    }

    /// The text of a small file, or none if it is not there.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>> {
        match self {
            Folder::Local {
                dir, below, path, ..
            } => match dir.read_to_string(below.join(name)) {
                Ok(text) => Ok(Some(text)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(Error::io("read", path.join(name), e)),
            },
            Folder::Bucket { store, key, .. } => {
                let key = key.clone().join(name);
                let text = Handle::current().block_on(async {
                    let got = store.objects.get_opts(&key, GetOptions::default()).await?;
                    got.bytes().await
                });
                match text {
                    Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
                    Err(object_store::Error::NotFound { .. }) => Ok(None),
                    Err(e) => Err(self.failed(store, "read", name, &e)),
                }
            }
            Folder::Stdout => Ok(None),
        }
    }

    /// Puts a small file there, whole and durable, in the place of one of that name.
    pub(super) fn replace(&self, name: &str, text: &str) -> Result<()> {
        match self {
            Folder::Local {
                dir, below, path, ..
            } => {
                let new_name = below.join(format!(".{name}.new"));
                let replace = || {
                    let mut file = dir.create(&new_name)?;
                    file.write_all(text.as_bytes())?;
                    file.sync_all()?;
                    dir.rename(&new_name, dir, below.join(name))
                };
                replace().map_err(|e| {
                    let _ = dir.remove_file(&new_name);
                    Error::io("write", path.join(name), e)
                })?;
                self.sync()
            }
            Folder::Bucket { store, key, .. } => {
                let payload = PutPayload::from(text.to_owned());
                let key = key.clone().join(name);
                let put = Handle::current().block_on(store.objects.put(&key, payload));
                put.map(drop)
                    .map_err(|e| self.failed(store, "write", name, &e))
            }
            Folder::Stdout => Ok(()),
        }
    }

    /// Removes a file; false if it was not there, as far as that is known.
    pub(super) fn remove(&self, name: &str) -> Result<bool> {
        match self {
            Folder::Local {
                dir, below, path, ..
            } => match dir.remove_file(below.join(name)) {
                Ok(()) => Ok(true),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(e) => Err(Error::io("remove", path.join(name), e)),
            },
            Folder::Bucket { store, key, .. } => {
                let key = key.clone().join(name);
                match Handle::current().block_on(store.objects.delete(&key)) {
                    Ok(()) => Ok(true),
                    Err(object_store::Error::NotFound { .. }) => Ok(false),
                    Err(e) => Err(self.failed(store, "remove", name, &e)),
                }
            }
            Folder::Stdout => Ok(false),
        }
    }

    /// Makes the names durable.
    pub(super) fn sync(&self) -> Result<()> {
        match self {
            Folder::Local {
                dir, below, path, ..
            } => {
                // A folder handle may be a bare path handle, which cannot be synced: open it for reading.
                let synced = dir.open(here(below)).and_then(|file| file.sync_all());
                synced.map_err(|e| Error::io("sync", path, e))
            }
            Folder::Bucket { .. } | Folder::Stdout => Ok(()),
        }
    }

    /// Begins a file that nobody sees, over the remains of an earlier attempt of the same run.
    pub(super) fn create(&self, name: &str, run: &str) -> Result<(StagedFile, Output)> {
        match self {
            Folder::Local {
                dir,
                below,
                path,
                root,
            } => {
                let at = staged::LocalFolder { dir, below, path };
                let (file, output) = staged::create_local(&at, root.as_ref(), name, run)?;
                Ok((StagedFile::new(name, path.join(name), file), output))
            }
            Folder::Bucket { store, key, path } => {
                let path = path.join(name);
                let key = key.clone().join(name);
                let (staged, writer) = upload::start(store, &key, &path.to_string_lossy())?;
                Ok((StagedFile::new(name, path, staged.into()), writer.into()))
            }
            Folder::Stdout => {
                let path = PathBuf::from(name);
                let (file, output) =
                    staged::create_for_stdout().map_err(|e| Error::io("keep on disk", &path, e))?;
                Ok((StagedFile::new(name, path, file), output))
            }
        }
    }

    /// Removes what was staged here and left behind; returns how many files.
    ///
    /// `is_over` says of a run that it writes no more. Of the others, for every visible name that `is_ours` takes, what is
    /// left behind shows: on a disk by a lock that is gone, in a bucket by its age.
    pub(super) fn discard(
        &self,
        is_ours: &dyn Fn(&str) -> bool,
        is_over: &dyn Fn(&str) -> bool,
    ) -> Result<usize> {
        match self {
            Folder::Local {
                dir,
                below,
                path,
                root,
            } => {
                let at = staged::LocalFolder { dir, below, path };
                staged::discard_local(&at, root.as_deref(), is_ours, is_over)
            }
            Folder::Bucket { store, key, path } => {
                discard_uploads(store, key, path, is_ours, is_over)
            }
            Folder::Stdout => Ok(0),
        }
    }

    fn failed(
        &self,
        store: &Store,
        action: &'static str,
        name: &str,
        error: &object_store::Error,
    ) -> Error {
        store.failed(action, &self.path_of(name).to_string_lossy(), error)
    }
}

/// A path below a folder that can be opened: the empty one is the folder itself.
pub(super) fn here(below: &Path) -> &Path {
    match below.as_os_str().is_empty() {
        true => Path::new("."),
        false => below,
    }
}

/// The names right below a folder, each once, some thousand at most.
async fn names_below(store: &Store, key: &Key) -> object_store::Result<Vec<String>> {
    let mut names = BTreeSet::new();
    let mut objects = store.objects.list(Some(key));
    while let Some(meta) = objects.try_next().await? {
        let name = meta
            .location
            .prefix_match(key)
            .and_then(|mut below| below.next().map(|part| part.as_ref().to_owned()));
        names.extend(name);
        if names.len() > 2 * MAX_COUNTED {
            break;
        }
    }
    Ok(names.into_iter().collect())
}

fn discard_uploads(
    store: &Store,
    key: &Key,
    path: &Path,
    is_ours: &dyn Fn(&str) -> bool,
    is_over: &dyn Fn(&str) -> bool,
) -> Result<usize> {
    let Some(uploads) = &store.uploads else {
        return Ok(0);
    };
    let prefix = match key.as_ref() {
        "" => String::new(),
        key => format!("{key}/"),
    };
    let is_left = |upload: &OpenUpload| {
        let Some(name) = upload.key.strip_prefix(&prefix) else {
            return false;
        };
        let is_old = upload.age >= store.options.abandoned_after;
        let run = super::run_of_part(name);
        !name.contains('/') && (is_old && is_ours(name) || run.is_some_and(is_over))
    };
    let path = path.to_string_lossy();
    Handle::current().block_on(async {
        let listed = match uploads.list(&prefix).await {
            Ok(listed) => listed,
            Err(error) => {
                // Keys that may write need not be allowed to look: nothing is lost but the space.
                let error = store.failed("list the open uploads of", &path, error.as_ref());
                tracing::info!("{error}");
                return Ok(0);
            }
        };
        let mut removed = 0;
        for upload in listed.iter().filter(|upload| is_left(upload)) {
            let aborted = uploads.abort(upload).await;
            aborted.map_err(|e| store.failed("take back an upload of", &path, e.as_ref()))?;
            removed += 1;
        }
        Ok(removed)
    })
}
