//! [`Place`]: where paths are looked up, either anywhere or below one root.
//!
//! ```text
//! Place::ambient()      what the user of the command line may see; relative paths start at the working folder
//! Place::rooted(root)   a tenant's folder: `..`, absolute paths and symlinks that lead out are refused
//!
//!     .with_connections(..)   the keys of buckets
//!     .with_reach(..)         the addresses that URLs may lead to; a rooted place begins with the public ones
//! ```

use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::error::{Error, Result};
use crate::remote::connection::Connections;
use crate::remote::reach::Reach;
use crate::remote::spool::{Spool, chunks_of};
use crate::remote::traffic::Traffic;
use crate::remote::{Remote, RemoteOptions};

/// Where paths are looked up. Cheap to clone; clones share connections, counters and what standard input held.
#[derive(Clone, Debug)]
pub struct Place {
    root: Option<Arc<Dir>>,
    remote: Arc<Remote>,
    stdin: Arc<Mutex<Option<Spool>>>,
}

/// The path that stands for standard input and output.
const STDIN: &str = "-";

/// What is at a path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) is_dir: bool,
    pub(crate) size: u64,
    pub(crate) modified: std::time::SystemTime,
}

impl Place {
    /// The whole file system, with this process's rights, and every address. For paths given by the local user only.
    pub fn ambient() -> Self {
        Self::of(None, Reach::anywhere())
    }

    fn of(root: Option<Arc<Dir>>, reach: Reach) -> Self {
        Self {
            root,
            remote: Arc::new(Remote::new(reach)),
            stdin: Arc::default(),
        }
    }

    /// Only what is below `root`, whatever the paths say. URLs lead to public addresses only, see [`Reach::public`].
    ///
    /// # Errors
    /// [`Error::Io`] if `root` is not a folder that can be opened.
    pub fn rooted(root: impl AsRef<Path>) -> Result<Self> {
        let root = root.as_ref();
        let dir = Dir::open_ambient_dir(root, ambient_authority())
            .map_err(|e| Error::io("open", root, e))?;
        Ok(Self::of(Some(Arc::new(dir)), Reach::public()))
    }

    /// The same place with these keys for buckets.
    #[must_use]
    pub fn with_connections(self, connections: Connections) -> Self {
        let remote = self.remote.with_connections(connections);
        self.with_remote(remote)
    }

    /// The same place with other addresses that URLs may lead to.
    #[must_use]
    pub fn with_reach(self, reach: Reach) -> Self {
        let remote = self.remote.with_reach(reach);
        self.with_remote(remote)
    }

    /// The same place with other sizes, times and limits of what is remote.
    #[must_use]
    pub fn with_remote_options(self, options: RemoteOptions) -> Self {
        let remote = self.remote.with_options(options);
        self.with_remote(remote)
    }

    /// The same place with counters, and a budget of retries, of its own.
    #[must_use]
    pub fn for_run(&self) -> Self {
        self.clone().with_remote(self.remote.for_run())
    }

    /// The same place for a part of a run: what it counts is its own and the run's, the budget of retries is the run's.
    /// With `connections`, their keys are used and no others.
    #[must_use]
    pub fn for_part(&self, connections: Option<Connections>) -> Self {
        self.clone().with_remote(self.remote.for_part(connections))
    }

    fn with_remote(self, remote: Remote) -> Self {
        Self {
            remote: Arc::new(remote),
            ..self
        }
    }

    /// What was sent and received so far.
    pub fn traffic(&self) -> Traffic {
        self.remote.counters().traffic()
    }

    pub(crate) fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Standard input, read to its end the first time. Blocks.
    pub(crate) fn stdin(&self) -> Result<Spool> {
        let mut kept = self.stdin.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spool) = &*kept {
            return Ok(spool.clone());
        }
        let limit = self.remote.options.spool_bytes;
        let spool = Spool::of(STDIN, limit, chunks_of(STDIN, io::stdin().lock()))?;
        *kept = Some(spool.clone());
        Ok(spool)
    }

    /// Whether a path stands for standard input or output: for the local user only.
    pub(crate) fn is_standard_stream(&self, path: &Path) -> bool {
        self.root.is_none() && path == Path::new(STDIN)
    }

    /// Refuses a path whose text alone shows that it leaves a rooted place.
    pub(crate) fn check(&self, path: &Path) -> Result<()> {
        if self.root.is_none() {
            return Ok(());
        }
        for component in path.components() {
            let reason = match component {
                Component::ParentDir => "`..` is not allowed",
                Component::RootDir | Component::Prefix(_) => "absolute paths are not allowed",
                Component::CurDir | Component::Normal(_) => continue,
            };
            return Err(Error::Refused(format!(
                "{}: {reason} here; use a path inside the folder",
                path.display()
            )));
        }
        Ok(())
    }

    pub(crate) fn open(&self, path: &Path) -> io::Result<File> {
        match &self.root {
            None => File::open(path),
            Some(dir) => dir.open(path).map(cap_std::fs::File::into_std),
        }
    }

    pub(crate) fn entry(&self, path: &Path) -> io::Result<Entry> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        match &self.root {
            None => {
                let meta = std::fs::metadata(path)?;
                Ok(Entry {
                    is_dir: meta.is_dir(),
                    size: meta.len(),
                    modified: meta.modified()?,
                })
            }
            Some(dir) => {
                let meta = dir.metadata(path)?;
                Ok(Entry {
                    is_dir: meta.is_dir(),
                    size: meta.len(),
                    modified: meta.modified()?.into_std(),
                })
            }
        }
    }

    /// The names in a folder, sorted.
    pub(crate) fn names(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let mut names = Vec::new();
        match &self.root {
            None => {
                for entry in std::fs::read_dir(path)? {
                    names.push(PathBuf::from(entry?.file_name()));
                }
            }
            Some(dir) => {
                for entry in dir.read_dir(path)? {
                    names.push(PathBuf::from(entry?.file_name()));
                }
            }
        }
        names.sort();
        Ok(names)
    }

    /// The folder to write into, opened so that no name can leave it. `create` makes it and its parents.
    pub(crate) fn writable_dir(&self, path: &Path, create: bool) -> io::Result<Dir> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        match &self.root {
            None => {
                if create {
                    std::fs::create_dir_all(path)?;
                }
                Dir::open_ambient_dir(path, ambient_authority())
            }
            Some(dir) => {
                if create {
                    match dir.create_dir_all(path) {
                        // A symlink perhaps: opening it tells where it leads.
                        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                        created => created?,
                    }
                }
                dir.open_dir(path)
            }
        }
    }
}
