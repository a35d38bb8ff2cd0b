//! [`Place`]: where paths are looked up, either anywhere or below one root.
//!
//! ```text
//! Place::ambient()      what the user of the command line may see; relative paths start at the working folder
//! Place::rooted(root)   a tenant's folder: `..`, absolute paths and symlinks that lead out are refused
//! ```

use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::error::{Error, Result};

/// Where paths are looked up. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Place {
    root: Option<Arc<Dir>>,
}

/// What is at a path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) is_dir: bool,
    pub(crate) size: u64,
    pub(crate) modified: std::time::SystemTime,
}

impl Place {
    /// The whole file system, with this process's rights. For paths given by the local user only.
    pub fn ambient() -> Self {
        Self { root: None }
    }

    /// Only what is below `root`, whatever the paths say.
    ///
    /// # Errors
    /// [`Error::Io`] if `root` is not a folder that can be opened.
    pub fn rooted(root: impl AsRef<Path>) -> Result<Self> {
        let root = root.as_ref();
        let dir = Dir::open_ambient_dir(root, ambient_authority())
            .map_err(|e| Error::io("open", root, e))?;
        Ok(Self {
            root: Some(Arc::new(dir)),
        })
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
